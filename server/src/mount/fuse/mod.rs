//! A stack as a file system of this machine, by FUSE: one more front end of the engine, beside HTTP.
//!
//! ```text
//! front                        the kernel's requests: one call of the tree, one answer
//! look  dirs  files  names  set   what they ask for, by the kernel's numbers
//! tree                         the overlay, and what the kernel knows of it
//! table                        numbers and names of objects, whoever renames them
//! notices                      telling the kernel what others have changed
//! handles  attr  errno         what is open; words of both sides
//! device                       the mount itself
//! pass                         what the kernel reads and writes without us
//! unasked                      what it opens without us
//! piece                        the buffer that content is read into
//! panics                       a worker that fails ends the mount
//! ```
//!
//! The kernel checks permissions (`default_permissions`) and keeps names, attributes and content. It is told of every
//! change that others make, before that is acknowledged to them; what it asks for itself it knows. Of what is done
//! through another mount of the same overlay it is told, too, but nobody waits for it: for an instant it may show what
//! was, and answer that what it shows is not there (`ENOENT`, `ESTALE`).
//!
//! The engine remembers directories on the way to names for a second: so long may a directory that hands beneath us
//! have renamed or made anew show as it was, to HTTP in the same process, too.
//!
//! What differs from the kernel's own overlay: no `O_TMPFILE` (`EOPNOTSUPP`) and no `chattr` (`ENOTTY`); POSIX ACLs are
//! set and heeded only where the upper keeps them in step with modes, not in memory and not in the portable form
//! (`EOPNOTSUPP`); a file is not emptied by opening it only to read (`O_RDONLY | O_TRUNC`, always `ETXTBSY`: the kernel does
//! not tell us whether it is in execution); `syncfs` does not reach us; the names of one file in a lower show different inode numbers; a file's
//! blocks are told from its length.

mod attr;
mod device;
mod dirs;
mod errno;
mod files;
mod front;
mod handles;
mod look;
mod names;
mod notices;
mod panics;
mod pass;
mod piece;
mod set;
mod table;
mod tree;
mod unasked;

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use fuser::{BackgroundSession, Config, Session, SessionACL};
use ovl_core::{Error, ErrorKind, Overlay, Result, layers::host, overlay::Watch};
use rustix::process::{Resource, getrlimit};

use self::{front::Front, panics::Guard, tree::Tree};
use super::leave::Place;

/// How long the kernel keeps what it has been told. It hears of every change, so this is for what changes beneath us.
const TTL: Duration = Duration::from_secs(60);

/// The most objects that are held open because they lie on the way to others.
const DIRS: usize = 4096;

/// How a stack is mounted.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The directories that are layers, the upper first if there is one: no mount point may lie in one of them.
    pub layers: Vec<PathBuf>,
    /// The directory whose file system's room is told.
    pub room: Option<PathBuf>,
    /// Whether other users than the one who mounts may use it.
    pub others: bool,
    /// Whether setuid bits count.
    pub suid: bool,
    /// Whether devices can be opened.
    pub dev: bool,
    /// Whether programs in it can be started: not when set.
    pub noexec: bool,
    /// Whether it takes no changes, though the overlay has an upper.
    pub read_only: bool,
    /// What the table of mounts calls it; `ovl` when `None`.
    pub source: Option<String>,
    /// How many requests are worked on at once; as many as there are processors, up to four, when `None`.
    pub threads: Option<usize>,
}

/// A mounted stack. It is unmounted when it is dropped.
#[derive(Debug)]
pub struct Mounted {
    session: Option<BackgroundSession>,
    messenger: Option<JoinHandle<()>>,
    watch: Arc<Tree>,
    place: Place,
    _guard: Guard,
}

/// Mounts a stack at a directory.
///
/// # Errors
/// A mount point within a layer (`InvalidInput`), one that is missing (`NotFound`) or no directory (`NotADirectory`), and
/// what the kernel and, without root, `fusermount3` refuse.
pub fn mount(overlay: Arc<Overlay>, at: &Path, options: &Options) -> Result<Mounted> {
    let failed = |error: io::Error| Error::from(error).at_bytes(at.as_os_str().as_encoded_bytes());
    check_point(at, options)?;
    let room = options.room.as_ref().map(fs::File::open).transpose().map_err(failed)?;
    let at = &at.canonicalize().map_err(failed)?;
    let read_only = options.read_only || !overlay.has_upper();
    let tree = Tree::new(overlay, room.map(Into::into));
    let watch: Arc<dyn Watch> = tree.clone();
    tree.overlay.watch(&watch);
    let device = device::mount(at, options, read_only).map_err(failed)?;
    let place = Place::of(at).map_err(failed)?;
    match start(&tree, device, options) {
        Ok((session, messenger)) => {
            place.read_ahead(piece::PIECE);
            let guard = Guard::new(tree.id, place.clone());
            Ok(Mounted { session: Some(session), messenger: Some(messenger), watch: tree, place, _guard: guard })
        }
        Err(error) => {
            // Nobody will answer for it.
            let _gone = place.detach();
            Err(failed(error))
        }
    }
}

/// Answers what the kernel asks, in threads of their own.
fn start(tree: &Arc<Tree>, device: OwnedFd, options: &Options) -> io::Result<(BackgroundSession, JoinHandle<()>)> {
    let config = config(options);
    let session = Session::from_fd(Front(tree.clone()), device, config.acl, config)?.spawn()?;
    let (kernel, told) = (session.notifier(), tree.clone());
    let messenger = thread::Builder::new().name("fuse-notices".into()).spawn(move || {
        told.overlay.remember_dirs(room_for_dirs());
        told.notices.send_all(&kernel, || told.overlay.forget_dirs());
        told.overlay.remember_dirs(0);
    })?;
    Ok((session, messenger))
}

/// Returns how many objects on the way to others may be held open: a quarter of all that this process may.
fn room_for_dirs() -> usize {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / 4;
    usize::try_from(most).unwrap_or(usize::MAX).min(DIRS)
}

/// Refuses a mount point that is no directory, or lies in a layer: looking there would ask ourselves.
fn check_point(at: &Path, options: &Options) -> Result<()> {
    let refused = |kind| Error::new(kind, "mount").because(at.display().to_string());
    let meta = fs::metadata(at).map_err(|error| Error::from(error).because(at.display().to_string()))?;
    if !meta.is_dir() {
        return Err(refused(ErrorKind::NotADirectory));
    }
    for layer in options.layers.iter().filter(|layer| layer.is_dir()) {
        if host::is_same_or_within(at, layer)? {
            let reason = format!("the mount point {} lies in the layer {}", at.display(), layer.display());
            return Err(Error::new(ErrorKind::InvalidInput, "mount").because(reason));
        }
    }
    Ok(())
}

fn config(options: &Options) -> Config {
    let processors = || thread::available_parallelism().map_or(1, |count| count.get().min(4));
    let mut config = Config::default();
    config.acl = if options.others { SessionACL::All } else { SessionACL::Owner };
    config.n_threads = Some(options.threads.unwrap_or_else(processors));
    config
}

impl Mounted {
    /// Returns where it is mounted, to take it away while another thread waits.
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// Unmounts. Refuses while something in it is in use (`Busy`); then it stays mounted. Where somebody has taken it
    /// away from its place already, returns when the last who uses it has gone.
    pub fn unmount(&mut self) -> Result<()> {
        self.place.unmount().map_err(|error| Error::from(error).because(self.place.path().display().to_string()))?;
        self.end()
    }

    /// Returns when somebody has unmounted it, and nobody uses it any more.
    pub fn wait(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        let ended = self.session.take().map_or(Ok(()), BackgroundSession::join);
        self.watch.notices.close();
        if let Some(messenger) = self.messenger.take() {
            // It has nothing to tell but that it has ended.
            let _ended = messenger.join();
        }
        ended.map_err(Error::from)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.session.as_ref().is_none_or(|session| session.guard.is_finished()) || self.unmount().is_ok() {
            return;
        }
        // Somebody is still in it: it goes when they do, and its threads answer until then.
        let _detached = self.place.detach();
    }
}
