//! The `meshplan` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    meshplan::cli::main()
}
