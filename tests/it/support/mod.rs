//! What tests stand on: a site on disk ([`site`]), a server on it ([`server`]), the real git ([`git`]), people at the
//! doors ([`client`]), a release up to its instant ([`house`]), a real mail server ([`mail`]), a forge and a receiver of webhooks ([`hub`], [`receiver`]), the real program ([`program`]).
//!
//! Guards: nothing of the machine's own configuration gets in, nothing reaches a network, time stands still until a test
//! moves it, and work left behind fails the test that left it.

pub(crate) mod cable;
pub(crate) mod client;
pub(crate) mod details;
pub(crate) mod elsewhere;
pub(crate) mod forge;
pub(crate) mod git;
pub(crate) mod house;
pub(crate) mod hub;
pub(crate) mod mail;
pub(crate) mod program;
pub(crate) mod receiver;
pub(crate) mod registry;
pub(crate) mod server;
pub(crate) mod site;
pub(crate) mod ssh;
