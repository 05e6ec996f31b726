//! The one integration binary: a real server, the real `git` and `age`, a fixed clock.

mod account;
mod architecture;
mod config;
mod disclosure;
mod mail;
mod push;
mod states;
mod support;
