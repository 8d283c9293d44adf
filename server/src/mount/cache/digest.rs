//! Which archive a file is: the BLAKE3 of its bytes.
//!
//! It is remembered for a file's device, inode, size, time of content and time of change, and only if the last change was a
//! while ago: within the grain of the clock, a file may change without a trace in its times.

use std::{
    fs::File,
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::Path,
    sync::Arc,
};

use ovl_core::{
    Blob, Error, ErrorKind, Result,
    digest::{self, Digest},
    layers::host,
};
use rustix::{
    fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat},
    io::{read, write},
};

use super::place::Cache;
use crate::time;

/// A change that is older shows in the times: the coarsest clock, that of FAT, counts two seconds.
const GRAIN: i64 = 3;
const HEX: usize = 64;

/// An archive, open.
pub(super) struct Archive {
    pub(super) blob: Arc<dyn Blob>,
    stamp: u128,
    /// Whether it was changed just now.
    is_young: bool,
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self> {
        // Refuses what is no regular file before anything waits for it.
        drop(host::file(path)?);
        let file = File::open(path)?;
        let blob = host::file(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())))?;
        let (meta, now) = (file.metadata()?, time::now().secs);
        let is_young = meta.ctime().max(meta.mtime()).saturating_add(GRAIN) >= now;
        Ok(Self { stamp: blob.stamp()?, blob, is_young })
    }

    /// Returns the digest, computed if it is not remembered.
    pub(super) fn digest(&self, cache: &Cache) -> Result<Digest> {
        let name = format!("{:032x}", self.stamp);
        if let Some(known) = (!self.is_young).then(|| remembered(cache, &name)).flatten() {
            return Ok(known);
        }
        let digest = self.computed()?;
        if !self.is_young {
            // What is not remembered is computed anew.
            let _forgotten = remember(cache, &name, digest);
        }
        Ok(digest)
    }

    /// Refuses an archive that may have changed since its digest was computed, and has (`LayerChanged`).
    pub(super) fn must_still_be(&self, digest: Digest) -> Result<()> {
        if self.is_young && self.computed()? != digest { Err(changed()) } else { self.must_be_unchanged() }
    }

    fn computed(&self) -> Result<Digest> {
        let digest = digest::content(&*self.blob)?;
        self.must_be_unchanged().map(|()| digest)
    }

    fn must_be_unchanged(&self) -> Result<()> {
        if self.blob.stamp()? == self.stamp { Ok(()) } else { Err(changed()) }
    }
}

fn changed() -> Error {
    Error::new(ErrorKind::LayerChanged, "read archive")
        .because("it changes while it is read; start again when it is whole")
}

fn remembered(cache: &Cache, name: &str) -> Option<Digest> {
    let file = openat(&cache.digests, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = [0; HEX + 1];
    let text = match read(file, &mut text) {
        Ok(HEX) => std::str::from_utf8(&text[..HEX]).ok()?,
        _ => return None,
    };
    let mut digest = [0; HEX / 2];
    for (byte, at) in digest.iter_mut().zip((0..HEX).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(Digest(digest)).filter(|digest| digest.to_string() == text)
}

/// Writes beside and renames, so that a reader finds all of it.
fn remember(cache: &Cache, name: &str, digest: Digest) -> rustix::io::Result<()> {
    let part = format!("{name}.{}", std::process::id());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(&cache.digests, &part, flags, Mode::RUSR | Mode::WUSR)?;
    let done = write(&file, digest.to_string().as_bytes());
    let done = done.and_then(|_| renameat(&cache.digests, &part, &cache.digests, name));
    if done.is_err() {
        let _leftover = unlinkat(&cache.digests, &part, AtFlags::empty());
    }
    done
}
