//! Objects held by a handle: finding them, looking at them, reading them.

use std::{io, path::Path};

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt};
use cap_std::{
    ambient_authority,
    fs::{Dir, File, OpenOptions},
};

use super::{
    Raw,
    meta::{kind, named_raw, open_raw},
    text,
};
use crate::Kind;

/// An object of the host.
#[derive(Debug)]
pub(in super::super) enum Handle {
    /// A directory, held open.
    Dir(Dir),
    /// A file, held open, with its directory and name to open it for writing.
    File { file: File, full: bool, dir: Dir, name: String },
    /// A symlink or something else that is never opened.
    Named { dir: Dir, name: String },
}

/// Returns how a file is opened: without following a link at its name.
pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.follow(FollowSymlinks::No);
    options
}

impl Handle {
    /// Holds the directory at `path`, the one path that ever reaches the host.
    pub(in super::super) fn root(path: &Path) -> io::Result<Self> {
        Ok(Self::Dir(Dir::open_ambient_dir(path, ambient_authority())?))
    }

    /// Returns the directory that is held.
    pub(super) fn dir(&self) -> io::Result<&Dir> {
        match self {
            Self::Dir(dir) => Ok(dir),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Looks up one name, following nothing.
    pub(in super::super) fn child(&self, name: &[u8]) -> io::Result<Self> {
        let (dir, name) = (self.dir()?, text(name)?);
        match kind(dir.symlink_metadata(name)?.file_type()) {
            Kind::Dir => Ok(Self::Dir(dir.open_dir_nofollow(name)?)),
            Kind::File => {
                let file = dir.open_with(name, options().read(true))?;
                Ok(Self::File { file, full: false, dir: dir.try_clone()?, name: name.to_owned() })
            }
            _ => Ok(Self::Named { dir: dir.try_clone()?, name: name.to_owned() }),
        }
    }

    /// Looks up a directory by one name, following nothing.
    pub(in super::super) fn child_dir(&self, name: &[u8]) -> io::Result<Self> {
        Ok(Self::Dir(self.dir()?.open_dir_nofollow(text(name)?)?))
    }

    /// Returns what the host says about the object.
    pub(in super::super) fn stat(&self) -> io::Result<Raw> {
        match self {
            Self::Dir(dir) => Ok(open_raw(&dir.dir_metadata()?)),
            Self::File { file, .. } => Ok(open_raw(&file.metadata()?)),
            Self::Named { dir, name } => {
                Ok(named_raw(&dir.symlink_metadata(name)?, &open_raw(&dir.dir_metadata()?), name))
            }
        }
    }

    /// Returns what the host says about `name`, following nothing.
    pub(in super::super) fn child_stat(&self, name: &[u8]) -> io::Result<Raw> {
        self.child(name)?.stat()
    }

    /// Returns the target of a symlink.
    pub(in super::super) fn read_link(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Named { dir, name } => Ok(dir.read_link_contents(name)?.into_os_string().into_encoded_bytes()),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Calls `each` with every name of the directory and its kind.
    pub(in super::super) fn scan(&self, each: &mut dyn FnMut(&[u8], Option<Kind>)) -> io::Result<()> {
        for entry in self.dir()?.entries()? {
            let entry = entry?;
            each(entry.file_name().as_encoded_bytes(), Some(kind(entry.file_type()?)));
        }
        Ok(())
    }

    /// Opens a regular file's content for reading.
    pub(in super::super) fn read(&self) -> io::Result<std::fs::File> {
        match self {
            Self::File { file, .. } => Ok(file.try_clone()?.into_std()),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Opens a regular file's content for reading and writing; `StaleNetworkFileHandle` when another object
    /// has taken its name.
    pub(in super::super) fn write(&self) -> io::Result<std::fs::File> {
        match self {
            Self::File { file, full: true, .. } => Ok(file.try_clone()?.into_std()),
            Self::File { file, dir, name, .. } => {
                let writing = dir.open_with(name, options().read(true).write(true))?;
                let same = open_raw(&writing.metadata()?).id() == open_raw(&file.metadata()?).id();
                if same { Ok(writing.into_std()) } else { Err(io::ErrorKind::StaleNetworkFileHandle.into()) }
            }
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Returns the directory above.
    pub(in super::super) fn parent(&self) -> io::Result<Self> {
        Ok(Self::Dir(self.dir()?.open_parent_dir(ambient_authority())?))
    }
}

/// Opens a regular file by the path that an operator named; refuses what is no regular file.
pub(in super::super) fn open_file(path: &Path) -> io::Result<std::fs::File> {
    let file = File::open_ambient(path, ambient_authority())?.into_std();
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::Unsupported.into()) }
}
