//! The program `ovl-server`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ovl_server::cli::serve::main()
}
