//! The JSON of the API, the command line and the hook socket. Plain values: no rule lives here.

pub mod account;
pub mod advisory;
pub mod case;
pub mod channel;
pub mod check;
pub mod history;
pub mod hook;
pub mod problem;
pub mod project;
pub mod release;
pub mod report;
pub mod sign;
pub mod wave;
