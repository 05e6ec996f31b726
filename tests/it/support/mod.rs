//! What tests stand on: a site on disk ([`site`]), a server on it ([`server`]), the real git ([`git`]), and people at the
//! doors ([`client`]).
//!
//! Guards: nothing of the machine's own configuration gets in, nothing reaches a network, time stands still until a test
//! moves it, and work left behind fails the test that left it.

pub(crate) mod client;
pub(crate) mod git;
pub(crate) mod server;
pub(crate) mod site;
