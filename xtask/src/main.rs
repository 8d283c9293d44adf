//! The errands of the house, run as `cargo xtask …`.
//!
//! ```text
//! main     reads the command
//! serve    builds the server and starts it
//! bench    builds what the benchmarks measure, and runs them
//! man      writes the man pages and completions that are shipped
//! web      builds the engine for JavaScript
//! site     builds the page around it
//! test     runs stages and prints their seconds
//! stages   the list of what CI runs: one line each
//! checks   checks of our own that no tool has
//! tools    finds or fetches what a stage needs
//! house    where things are, and how a program is run there
//! ```

mod bench;
mod checks;
mod house;
mod man;
mod serve;
mod site;
mod stages;
mod test;
mod tools;
mod web;

use std::{env, process::ExitCode};

use house::House;

const HELP: &str = "\
Usage: cargo xtask COMMAND

  serve [FLAGS]           build the server if needed, with its page where Node is there, and start it with FLAGS
                          (`serve --help` lists them)
  test [--long] [STAGE…]  run everything that CI runs, or only the named stages;
                          --long adds what takes longer than CI may
  bench [JOB…]            measure beside the peers (nginx, find, tar, the zip crate, fflate, ...): J1 J2 J3 J5 J7 J8 J9, or some;
                          M1 M2 M3 M4 M5 are mounts beside fuse-overlayfs, fuse-zip and the kernel, for root
  web [--static]          build the npm package `ovl` (the engine for browsers and Node) into the target folder, and
                          the page over it into ovl-server; with --static into web/dist alone, for any file host
  man                     write man pages and completions of both programs into the target folder
  help                    show this text
";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<(), String> {
    match args.split_first() {
        Some((command, rest)) if command == "serve" => serve::run(&House::find()?, rest),
        Some((command, rest)) if command == "bench" => bench::run(&House::find()?, rest),
        Some((command, _)) if command == "man" => man::run(&House::find()?),
        Some((command, rest)) if command == "web" => {
            site::run(&House::find()?, rest.iter().any(|flag| flag == "--static"))
        }
        Some((command, rest)) if command == "test" => test::run(&House::find()?, rest),
        Some((command, _)) if command != "help" && command != "--help" => {
            Err(format!("no command `{command}`; `cargo xtask help` lists them"))
        }
        _ => {
            print!("{HELP}");
            Ok(())
        }
    }
}
