//! Where the cache is, and whose: a directory of this user, closed to all others.

use std::{
    env,
    fs::{self, DirBuilder, File},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags, mkdirat, openat},
    io::Errno,
    process::geteuid,
};

use crate::cli::exit::{Failure, code};

/// The trees, and the version of how they are written.
const TREES: &str = "zip-1";
const DIGESTS: &str = "digests";
const ELSEWHERE: &str = "set XDG_CACHE_HOME to a directory that this user may write";
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The cache of this user.
#[derive(Debug)]
pub(crate) struct Cache {
    path: PathBuf,
    pub(super) trees: OwnedFd,
    pub(super) digests: OwnedFd,
}

impl Cache {
    /// Opens the cache, making it where it is missing: in `$XDG_CACHE_HOME`, without it in /var/cache for root and in
    /// ~/.cache for others.
    ///
    /// # Errors
    /// No place for it (2), one that belongs to another user or may not be written (5).
    pub(crate) fn open() -> Result<Self, Failure> {
        let path = usual_place()?;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|error| Failure::io(&format!("cannot make the cache {}", path.display()), error, ELSEWHERE))?;
        Self::of(path)
    }

    /// Opens the cache if there is one.
    ///
    /// # Errors
    /// As [`Cache::open`].
    pub(crate) fn existing() -> Result<Option<Self>, Failure> {
        let path = usual_place()?;
        if fs::exists(&path).is_ok_and(|exists| !exists) { Ok(None) } else { Self::of(path).map(Some) }
    }

    fn of(path: PathBuf) -> Result<Self, Failure> {
        let root = own(&path)?;
        let inner = |name| {
            subdirectory(&root, name).map_err(|errno| {
                Failure::io(&format!("cannot use the cache {}", path.display()), errno.into(), ELSEWHERE)
            })
        };
        let (trees, digests) = (inner(TREES)?, inner(DIGESTS)?);
        Ok(Self { path, trees, digests })
    }

    /// Returns where the trees are, for people.
    pub(super) fn trees_path(&self) -> PathBuf {
        self.path.join(TREES)
    }

    /// Tells a failure of the machine's files here.
    pub(super) fn failure(&self, errno: impl Into<std::io::Error>) -> Failure {
        Failure::io(&format!("cannot use the cache {}", self.path.display()), errno.into(), ELSEWHERE)
    }
}

fn usual_place() -> Result<PathBuf, Failure> {
    let set = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_CACHE_HOME").or_else(|| match geteuid().is_root() {
        true => Some("/var/cache".into()),
        false => Some(set("HOME")?.join(".cache")),
    });
    let none = || Failure::usage("no place for unpacked archives: set XDG_CACHE_HOME or HOME");
    base.map(|base| base.join("ovl")).ok_or_else(none)
}

/// Opens a directory of this user, and closes it to all others.
fn own(path: &Path) -> Result<File, Failure> {
    let shown = path.display();
    let failed = |error| Failure::io(&format!("cannot use the cache {shown}"), error, ELSEWHERE);
    let dir = openat(rustix::fs::CWD, path, DIRECTORY.difference(OFlags::NOFOLLOW), Mode::empty());
    let dir = File::from(dir.map_err(|errno| failed(errno.into()))?);
    let meta = dir.metadata().map_err(failed)?;
    if meta.uid() != geteuid().as_raw() {
        let why = format!("the cache {shown} belongs to user {}; {ELSEWHERE}", meta.uid());
        return Err(Failure::new(code::PERMISSION, why));
    }
    if meta.mode() & 0o077 != 0 {
        dir.set_permissions(fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(dir)
}

/// Opens a directory in `dir`, made if it is missing and can be.
pub(super) fn subdirectory(dir: impl AsFd, name: &str) -> rustix::io::Result<OwnedFd> {
    match mkdirat(&dir, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return openat(&dir, name, DIRECTORY, Mode::empty()).map_err(|_| errno),
    }
    openat(&dir, name, DIRECTORY, Mode::empty())
}
