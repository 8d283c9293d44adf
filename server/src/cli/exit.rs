//! Failures on the command line: one line that says what and what to do, and an exit code.

use std::{fmt, io, process::ExitCode};

use ovl_core::{Error, ErrorKind};

/// Exit codes, the same for every command.
pub mod code {
    /// The operation failed, or differences were found.
    pub const FAILED: u8 = 1;
    /// The command line is wrong.
    pub const USAGE: u8 = 2;
    /// Something named does not exist.
    pub const NOT_FOUND: u8 = 3;
    /// A conflict, or a condition that does not hold.
    pub const CONFLICT: u8 = 4;
    /// Read-only, or no permission.
    pub const PERMISSION: u8 = 5;
    /// A layer is damaged.
    pub const CORRUPT: u8 = 6;
    /// The address is taken.
    pub const PORT_BUSY: u8 = 7;
    /// Another process or mount holds the upper.
    pub const UPPER_BUSY: u8 = 8;
    /// The upper was written in another form.
    pub const WRONG_FORM: u8 = 9;
    /// The upper has defects that were not mended.
    pub const DEFECTS: u8 = 10;
    /// Reading or writing failed.
    pub const IO: u8 = 74;
    /// Stopped at once by a SIGHUP after another signal.
    pub const HUNG_UP: u8 = 129;
    /// Stopped at once by a second SIGINT.
    pub const INTERRUPTED: u8 = 130;
    /// Stopped at once by a second SIGTERM.
    pub const TERMINATED: u8 = 143;
}

/// Why a command ends without success.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What failed and what to do, in one line.
    pub message: String,
}

impl Failure {
    /// Returns a failure.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Returns a mistake on the command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(code::USAGE, message)
    }

    /// Returns a failure of the machine's files: `what` could not be done, `advice` says what to do.
    pub fn io(what: &str, error: io::Error, advice: &str) -> Self {
        let message = format!("{what}: {error}; {advice}");
        Self::new(of_kind(Error::from(error).kind()), message)
    }

    /// Prints the line and returns the code.
    pub fn report(&self, program: &str) -> ExitCode {
        eprintln!("{program}: {}", self.message);
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let advice = advice(&error).map(|advice| format!("; {advice}")).unwrap_or_default();
        Self::new(of_kind(error.kind()), format!("{error}{advice}"))
    }
}

/// Returns what to do about a failure of the engine, where there is something to do.
fn advice(error: &Error) -> Option<&'static str> {
    Some(match error.kind() {
        ErrorKind::InvalidPath => "a path is names joined by /, none of them . or ..",
        ErrorKind::NotFound if error.op() == "discard" => "`ovl changes` lists what can be discarded",
        ErrorKind::NotFound => "`ovl ls` lists what there is, `ovl why` tells what hides the rest",
        ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::Loop | ErrorKind::UnsupportedEntry => {
            "`ovl stat` tells what stands there"
        }
        ErrorKind::AlreadyExists => "take another place, or say what becomes of what is there (--on-conflict)",
        ErrorKind::NoUpper => "name an upper with --upper",
        ErrorKind::PermissionDenied => "run it as a user who may, or choose another place",
        ErrorKind::NoSpace => "make room, or raise --quota",
        ErrorKind::Corrupt | ErrorKind::BadMark => "fetch the layer again, or look with `ovl inspect`",
        ErrorKind::LayerChanged => "start again, and let nothing change the lowers meanwhile",
        ErrorKind::Busy => "try again when the other is done",
        _ => return None,
    })
}

/// Returns the exit code of a failure of the engine: the one table from `ErrorKind`.
pub fn of_kind(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::InvalidPath | ErrorKind::NameTooLong | ErrorKind::UnsupportedName | ErrorKind::InvalidInput => {
            code::USAGE
        }
        ErrorKind::NotFound | ErrorKind::NoAttribute => code::NOT_FOUND,
        ErrorKind::AlreadyExists
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::NotEmpty
        | ErrorKind::CrossLayerRename
        | ErrorKind::Precondition
        | ErrorKind::Busy => code::CONFLICT,
        ErrorKind::NoUpper | ErrorKind::ReadOnly | ErrorKind::PermissionDenied => code::PERMISSION,
        ErrorKind::Corrupt | ErrorKind::BadMark | ErrorKind::LayerChanged => code::CORRUPT,
        ErrorKind::WrongForm => code::WRONG_FORM,
        ErrorKind::Io | ErrorKind::NoSpace => code::IO,
        _ => code::FAILED,
    }
}
