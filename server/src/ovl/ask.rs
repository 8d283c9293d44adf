//! Asking before something is lost.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;

use crate::cli::exit::{Failure, code};

/// Whether to go ahead with what cannot be undone.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Consent {
    /// Does not ask.
    #[arg(long, short)]
    yes: bool,
    /// Says what would be done, and does nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl Consent {
    /// Asks on a terminal unless `--yes` was said.
    ///
    /// # Errors
    /// A no (1), and no terminal to ask on (2).
    pub(super) fn ask(self, question: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        let advice = "Say --yes to go ahead, or --dry-run to look first";
        ask(question, || Failure::usage(format!("{question} {advice}")))
    }
}

/// Asks on a terminal.
///
/// # Errors
/// A no (1), and `unasked` where there is no terminal.
pub(super) fn ask(question: &str, unasked: impl FnOnce() -> Failure) -> Result<(), Failure> {
    match answer(question)? {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::new(code::FAILED, "nothing was changed; say y or --yes to go ahead")),
        None => Err(unasked()),
    }
}

/// Returns whether a person on a terminal says yes; `None` where there is none.
pub(super) fn answer(question: &str) -> Result<Option<bool>, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(None);
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    let unheard = |error| Failure::io("cannot read the answer", error, "say --yes instead");
    io::stderr().flush().and_then(|()| io::stdin().lock().read_line(&mut answer)).map_err(unheard)?;
    Ok(Some(matches!(answer.trim(), "y" | "Y" | "yes")))
}
