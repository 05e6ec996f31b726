//! The JSON of the API, as the server writes it and the command line reads it.
//!
//! Guards: what goes over the wire is a type of its own, so that nothing of the inside gets out by accident. Unknown fields
//! are refused in what comes in and skipped in what goes out, so that an old client may meet a new server.

pub mod account;
pub mod problem;
