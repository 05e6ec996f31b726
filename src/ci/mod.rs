//! The project's own workflows: plan, sandbox, logs.
