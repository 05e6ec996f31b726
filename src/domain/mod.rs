//! The rules: ids, states, transitions, who may do what. Pure: no clock, no randomness, no I/O, nothing async.
//!
//! This is the part to read first. Every other layer asks it; it asks nobody.

pub mod access;
pub mod account;
pub mod actor;
pub mod advisory;
pub mod awaited;
pub mod blocker;
pub mod candidate;
pub mod case;
pub mod change;
pub mod channel;
pub mod check;
pub mod credit;
pub mod digest;
pub mod effect;
pub mod embargo;
pub mod event;
pub mod fix;
pub mod haste;
pub mod hold;
pub mod id;
pub mod job;
pub mod limit;
pub mod manifest;
pub mod mark;
pub mod origin;
pub mod owner;
pub mod plain;
pub mod plan;
pub mod project;
pub mod push;
pub mod readiness;
pub mod refusal;
pub mod rehearsal;
pub mod release;
pub mod reminder;
pub mod repo;
pub mod report;
pub mod sealed;
pub mod session;
pub mod severity;
pub mod steady;
pub mod text;
pub mod told;
