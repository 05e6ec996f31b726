//! Git: bare repositories, pack transport, mirror, inspection, merges, push.
