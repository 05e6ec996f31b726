//! The `embargo` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    embargo::cli::main()
}
