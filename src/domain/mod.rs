//! The rules: ids, states, transitions, who may do what. Pure: no clock, no randomness, no I/O, nothing async.
//!
//! This is the part to read first. Every other layer asks it; it asks nobody.

pub mod check;
pub mod id;
pub mod refusal;
pub mod repo;
pub mod sealed;
pub mod text;
