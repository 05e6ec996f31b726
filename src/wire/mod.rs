//! The JSON of the API, the command line and the hook socket. Plain values: no rule lives here.

pub mod account;
pub mod advisory;
pub mod amendment;
pub mod case;
pub mod channel;
pub mod check;
pub mod details;
pub mod follow_up;
pub mod history;
pub mod hook;
pub mod landing;
pub mod problem;
pub mod project;
pub mod record;
pub mod release;
pub mod report;
pub mod retrospective;
pub mod sign;
pub mod wave;
