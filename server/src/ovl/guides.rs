//! `ovl completions` and `ovl man`: what shells and `man` know of both programs, made from the flags themselves.

use std::{fs, io, path::PathBuf};

use clap::{Args, CommandFactory, ValueEnum, ValueHint};
use clap_complete::Shell;

use super::{Program, print};
use crate::cli::{exit::Failure, serve::ServeArgs};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  source <(ovl completions bash)
  ovl completions fish > ~/.config/fish/completions/ovl.fish")]
pub(super) struct Completions {
    /// The shell that will read the script.
    #[arg(value_enum)]
    shell: Shell,
    /// The program whose flags are completed.
    #[arg(value_enum, default_value = "ovl")]
    program: Which,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  ovl man ~/.local/share/man/man1")]
pub(super) struct Man {
    /// The directory that takes the pages; made if it is missing.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    folder: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    Ovl,
    OvlServer,
}

impl Which {
    fn command(self) -> clap::Command {
        match self {
            Self::Ovl => Program::command(),
            Self::OvlServer => ServeArgs::command(),
        }
    }
}

impl Completions {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut command = self.program.command();
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        io::Write::write_all(&mut io::stdout(), &script).map_err(print::failed)
    }
}

impl Man {
    pub(super) fn run(self) -> Result<(), Failure> {
        let pages = |which: Which| clap_mangen::generate_to(which.command(), &self.folder);
        let written =
            fs::create_dir_all(&self.folder).and_then(|()| pages(Which::Ovl)).and_then(|()| pages(Which::OvlServer));
        let shown = self.folder.display();
        written.map_err(|error| Failure::io(&format!("cannot write man pages to {shown}"), error, "choose another DIR"))
    }
}
