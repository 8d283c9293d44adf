//! `ovl run`: a command in the merged tree, mounted for it alone, and what becomes of its changes.
//!
//! ```text
//! scratch   the mount point, and the upper that is thrown away
//! stale     what killed runs have left of that
//! guarded   the command, which is killed where this process is
//! tend      waiting for the command and all that it started
//! ```

pub(in crate::ovl) mod guarded;
mod scratch;
mod stale;
mod tend;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};
use ovl_core::{VPath, diff::Changed, layers::host};
use rustix::{
    fs::{Access, AtFlags, CWD, accessat},
    mount::{UnmountFlags, unmount},
};

use self::scratch::Scratch;
use super::{
    archive::Export,
    ask::answer,
    cache::unpacked,
    changes,
    notes::Notes,
    session::{Session, ctx},
};
use crate::{
    cli::{
        exit::{Failure, code},
        flags::StackArgs,
        spec::LayerSpec,
    },
    mount::{
        by_kernel,
        kernel::{self, KernelArgs},
        private,
    },
};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ovl run --lower ./project -- make test
  ovl run --lower ./project --export changes.zip -- ./install.sh
  ovl run --keep --lower ./base --upper ./changes -- sh")]
pub(super) struct Run {
    /// Keeps the changes in the upper, without asking.
    #[arg(long, group = "fate", requires = "upper")]
    keep: bool,
    /// Throws the changes away, without asking.
    #[arg(long, group = "fate")]
    discard: bool,
    /// Writes the changes as an archive, as `ovl export --what upper` does.
    #[arg(long, group = "fate", value_name = "FILE", value_hint = ValueHint::FilePath)]
    export: Option<PathBuf>,
    #[command(flatten)]
    notes: Notes,
    #[command(flatten)]
    stack: StackArgs,
    /// The command and its arguments; it starts in the root of the merged tree.
    #[arg(required = true, last = true, value_name = "COMMAND", value_hint = ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

impl Run {
    pub(super) fn run(mut self) -> Result<(), Failure> {
        self.export.iter().try_for_each(|file| self.check_export(file))?;
        private::enter()?;
        let mut scratch = Scratch::new(&mut self.stack, self.notes)?;
        let is_fresh = self.changes()?.is_empty();
        if self.discard && !is_fresh {
            let why = "the upper holds earlier changes, which --discard would throw away, too; leave it out, or take another --upper";
            return Err(Failure::new(code::CONFLICT, why));
        }
        let done = self.mounted(&scratch.merged()).and_then(|status| {
            self.settle(&mut scratch, is_fresh)?;
            Ok(status)
        });
        if done.is_err() && !self.changes().is_ok_and(|changes| changes.is_empty()) {
            scratch.keep(self.notes);
        }
        drop(scratch);
        match done? {
            0 => Ok(()),
            // Its own number, which is no failure of ours.
            status => std::process::exit(status),
        }
    }

    /// Refuses an archive that could not be written when the command has run: its place is taken (4), missing (3), not to
    /// be written in (5), or in a layer (2).
    fn check_export(&self, file: &Path) -> Result<(), Failure> {
        let shown = file.display();
        if file.symlink_metadata().is_ok() {
            return Err(Failure::new(code::CONFLICT, format!("{shown} is there already; choose another --export")));
        }
        let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = |error| Failure::io(&format!("cannot write {shown}"), error, "choose another --export");
        let is_dir = dir.metadata().map_err(failed)?.is_dir();
        if !is_dir || file.file_name().is_none() {
            return Err(Failure::usage(format!("{shown} is no place for a file; choose another --export")));
        }
        let layers = self.stack.lower.iter().chain(&self.stack.upper).filter(|layer| layer.path.is_dir());
        for layer in layers {
            if host::is_same_or_within(dir, &layer.path)? {
                let why = format!("{shown} lies in the layer {}; choose another --export", layer.path.display());
                return Err(Failure::usage(why));
            }
        }
        accessat(CWD, dir, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).map_err(|errno| failed(errno.into()))
    }

    fn changes(&self) -> Result<Vec<Changed>, Failure> {
        let overlay = Session::to_read(&self.stack)?.overlay;
        Ok(overlay.changes(&VPath::root(), None)?.collect::<ovl_core::Result<_>>()?)
    }

    /// Runs the command while the tree is mounted, and returns with what it ended.
    fn mounted(&self, point: &Path) -> Result<i32, Failure> {
        by_kernel(&self.stack)?;
        let unpack = |spec: &LayerSpec| unpacked(spec, &self.stack, self.notes);
        let mounted = kernel::mount(&self.stack, &KernelArgs::default(), point, &unpack)?;
        self.notes.say(&format!("mounted at {} by the kernel, for this command alone", point.display()));
        let mut command = guarded::command(&self.command);
        command.current_dir(point).env("PWD", point);
        let ended = tend::run(&mut command, self.notes);
        // Where someone still uses it, it goes with the last of them.
        let flags = if ended.is_ok() { UnmountFlags::empty() } else { UnmountFlags::DETACH };
        let unmounted = unmount(point, flags | UnmountFlags::NOFOLLOW);
        mounted.upper.iter().for_each(|upper| upper.tidy());
        let advice = "what was changed stays in the upper";
        ended.and_then(|status| match unmounted {
            Ok(()) => Ok(status),
            Err(errno) => Err(Failure::io("cannot unmount the tree", errno.into(), advice)),
        })
    }

    /// Tells the changes, and does with them as asked.
    fn settle(&self, scratch: &mut Scratch, is_fresh: bool) -> Result<(), Failure> {
        let made = self.changes()?;
        self.tell(&made);
        if let Some(file) = &self.export {
            return Export::of_changes(file.clone(), self.notes, self.stack.clone()).run();
        }
        match (!made.is_empty() && self.keeps(scratch.is_upper(), is_fresh)?, scratch.is_upper()) {
            (true, true) => scratch.keep(self.notes),
            (false, false) if !made.is_empty() => {
                Session::open(&self.stack)?.overlay.discard(&ctx(), &VPath::root())?;
            }
            _ => {}
        }
        Ok(())
    }

    fn tell(&self, made: &[Changed]) {
        for change in made {
            let mut line = Vec::new();
            changes::text(&mut line, change);
            self.notes.say(&String::from_utf8_lossy(&line));
        }
        if made.is_empty() {
            self.notes.say("nothing was changed");
        }
    }

    /// Returns whether changes are kept. Changes that were there before are never thrown away.
    fn keeps(&self, is_scratch: bool, is_fresh: bool) -> Result<bool, Failure> {
        match (self.keep, self.discard, is_scratch) {
            (true, ..) => Ok(true),
            (_, true, _) => Ok(false),
            (_, _, true) => Ok(answer("Keep these changes?")?.unwrap_or(false)),
            _ if is_fresh => Ok(!answer("Throw these changes away?")?.unwrap_or(false)),
            _ => Ok(true),
        }
    }
}
