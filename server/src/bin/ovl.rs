//! The program `ovl`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ovl_server::ovl::main()
}
