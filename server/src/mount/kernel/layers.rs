//! Descriptors of layers and of the mount point.

use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use ovl_core::{ErrorKind, layers::host};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};

use crate::cli::{
    exit::{Failure, code, of_kind},
    spec::LayerSpec,
    stack,
};

/// Names a directory and opens nothing.
const PLACE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A directory, and what a person calls it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(super) path: PathBuf,
    pub(super) fd: OwnedFd,
    /// Whether it is of the cache, which finds in the table of mounts what is used.
    pub(super) is_kept: bool,
    /// Whether it gives content alone.
    pub(super) data_only: bool,
}

/// Opens a lower, an archive's `tree` or the directory itself, down to the directory that `root=` names; no symbolic link
/// leads from there.
pub(super) fn lower(spec: &LayerSpec, tree: Option<BorrowedFd<'_>>) -> Result<Place, Failure> {
    let failed = |error: io::Error| stack::lower_failure(&spec.path, &error.into());
    let fd = tree.map_or_else(|| open(&spec.path), |tree| tree.try_clone_to_owned()).map_err(failed)?;
    let is_kept = tree.is_some();
    if spec.root.is_root() {
        return Ok(Place { path: spec.path.clone(), fd, is_kept, data_only: spec.data_only });
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let inner = openat2(fd, spec.root.as_bytes(), PLACE, Mode::empty(), resolve);
    let fd = inner.map_err(|error| stack::root_failure(spec, &io::Error::from(error).into()))?;
    Ok(Place {
        path: spec.path.join(spec.root.to_string().trim_start_matches('/')),
        fd,
        is_kept,
        data_only: spec.data_only,
    })
}

/// Opens the directory that the mount will cover.
pub(crate) fn mount_point(path: &Path) -> Result<Place, Failure> {
    let fd = open(path).map_err(|error| point_failure(path, error))?;
    Ok(Place { path: path.to_owned(), fd, is_kept: false, data_only: false })
}

fn point_failure(path: &Path, error: io::Error) -> Failure {
    let shown = path.display();
    match ovl_core::Error::from(error).kind() {
        ErrorKind::NotFound => Failure::new(code::NOT_FOUND, format!("no such mount point: {shown}; make it first")),
        ErrorKind::NotADirectory => Failure::usage(format!("the mount point {shown} is no directory; name one")),
        kind => Failure::new(of_kind(kind), format!("cannot use the mount point {shown}: {}", kind.reason())),
    }
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, path, PLACE, Mode::empty())?)
}

/// Returns the path by which the system knows a descriptor.
pub(super) fn known_as(fd: impl AsFd) -> io::Result<PathBuf> {
    use std::os::fd::AsRawFd;
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))
}

/// Escapes a path where the kernel takes a list of them.
pub(super) fn escaped(path: &OsStr) -> Vec<u8> {
    let special = |byte: u8| matches!(byte, b'\\' | b':' | b',');
    path.as_bytes().iter().flat_map(|byte| special(*byte).then_some(b'\\').into_iter().chain([*byte])).collect()
}

/// Returns two of the places of which the first is the second or lies beneath it.
pub(super) fn overlapping(places: &[Place]) -> Option<(&Place, &Place)> {
    let whole: Vec<PathBuf> = places.iter().map(|place| known_as(&place.fd).unwrap_or_default()).collect();
    let inside = |a: usize, b: usize| host::is_same_or_within(&whole[a], &whole[b]).unwrap_or(false);
    let pairs = (0..places.len()).flat_map(|one| (0..places.len()).map(move |other| (one, other)));
    let (one, other) = pairs.filter(|(one, other)| one != other).find(|(one, other)| inside(*one, *other))?;
    Some((&places[one], &places[other]))
}
