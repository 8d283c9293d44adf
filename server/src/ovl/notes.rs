//! What is said beside the output: notes, and the progress of long work for a person who watches.

use std::{
    io::{self, IsTerminal, Write},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What takes less shows no progress.
const PATIENCE: Duration = Duration::from_millis(500);
const TICK: Duration = Duration::from_millis(100);
/// Bytes are told to the display in steps of this size, so that counting costs nothing.
const STEP: u64 = 256 * 1024;

#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Output")]
pub(super) struct Notes {
    /// Says nothing beside the output but failures.
    #[arg(long, short)]
    quiet: bool,
}

/// A display that goes away with the work.
pub(super) struct Progress {
    bar: ProgressBar,
    _work: Sender<()>,
}

impl Notes {
    /// Writes a line to the standard error.
    pub(super) fn say(self, note: &str) {
        if !self.quiet {
            eprintln!("ovl: {note}");
        }
    }

    /// Shows on a terminal that `what` goes on, once it takes long.
    pub(super) fn progress(self, what: &'static str) -> Progress {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_message(what);
        let (work, done) = mpsc::channel();
        if !self.quiet && io::stderr().is_terminal() {
            let bar = bar.clone();
            thread::spawn(move || {
                if done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                    show(&bar);
                }
            });
        }
        Progress { bar, _work: work }
    }
}

fn show(bar: &ProgressBar) {
    let style = ProgressStyle::with_template("{spinner} {msg} {bytes} {elapsed}");
    bar.set_style(style.expect("the template is one of indicatif's"));
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.enable_steady_tick(TICK);
}

impl Progress {
    /// Returns `out`, counting what is written.
    pub(super) fn counting<'a>(&'a self, out: &'a mut dyn Write) -> impl Write + 'a {
        Counting { out, bar: &self.bar, untold: 0 }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

struct Counting<'a> {
    out: &'a mut dyn Write,
    bar: &'a ProgressBar,
    untold: u64,
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.untold += count as u64;
        if self.untold >= STEP {
            self.bar.inc(std::mem::take(&mut self.untold));
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
