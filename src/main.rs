//! The `embargo` binary.

fn main() {}
