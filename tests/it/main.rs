//! The one integration binary: a real server, the real `git` and `age`, a fixed clock.

mod account;
mod architecture;
mod disclosure;
mod config;
mod mail;
mod push;
mod states;
mod support;
