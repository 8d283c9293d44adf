//! Writes the glue between JavaScript and the engine: a module for browsers and Workers, with its types.

use std::{env, process::ExitCode};

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let [module, out] = &args[..] else {
        eprintln!("Usage: ovl-bindgen MODULE.wasm FOLDER");
        return ExitCode::FAILURE;
    };
    let mut bindgen = Bindgen::new();
    let written = bindgen.input_path(module).out_name("ovl").web(true).and_then(|it| it.typescript(true).generate(out));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ovl-bindgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}
