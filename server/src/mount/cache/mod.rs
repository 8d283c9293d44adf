//! Archives unpacked for the kernel, which stacks directories alone: each once, kept for the next mount.
//!
//! An archive is known by the BLAKE3 of its bytes, so that one that was changed is another. Its tree is written whole, each
//! member verified, before it gets the name under which it is used; from then on it is not looked at again.
//!
//! ```text
//! place     where the cache is, and whose
//! digest    which archive it is, remembered as long as nobody has touched it
//! slot      one archive's directory: its lock, its tree, what is known of it
//! evict     what there is, and the end of it
//! used      whose trees a mount shows
//! ```
//!
//! ```text
//! ovl/zip-1/DIGEST/           locked while it is made or used (flock)
//!                  part/      being made; left by whoever was stopped
//!                  tree/      whole
//!                  about      what is known of the tree
//! ovl/digests/STAMP           the digest of a file with this device, inode, size and these times
//! ```

mod digest;
mod evict;
mod place;
mod slot;
mod used;

use std::{os::fd::AsFd, path::Path};

use ovl_core::{
    Error, ErrorKind, Layer,
    layers::host::{self, Plain},
};

use self::{
    digest::Archive,
    slot::{About, Slot},
};
pub(crate) use self::{evict::Kept, place::Cache, slot::Lease};
use crate::cli::{
    exit::{Failure, code, of_kind},
    flags::{StackArgs, ZipBackslash, ZipNames},
    spec::LayerSpec,
    stack,
};

/// Returns the tree of a zip, unpacked unless it is there already. It stays at least as long as the lease is held.
///
/// # Errors
/// A missing archive (3), a cache that may not be used (5), an archive that is damaged, or of which nothing may be left
/// out (`--strict`) and something is (6), a full disk (74).
pub(crate) fn unpacked(spec: &LayerSpec, args: &StackArgs) -> Result<Lease, Failure> {
    let archive = Archive::open(&spec.path).map_err(|error| stack::lower_failure(&spec.path, &error))?;
    let cache = Cache::open()?;
    cache.sweep();
    let digest = archive.digest(&cache).map_err(|error| stack::lower_failure(&spec.path, &error))?;
    let lease = cache.lease(&key(&digest.to_string(), args), &|slot| {
        let written = write(slot, &archive, spec, args)?;
        archive.must_still_be(digest).map_err(|error| stack::lower_failure(&spec.path, &error))?;
        Ok(written)
    })?;
    if args.strict && lease.about.left_out > 0 {
        // Says what it is, and refuses it.
        stack::archive(archive.blob.clone(), spec, args).map_err(|error| stack::lower_failure(&spec.path, &error))?;
    }
    Ok(lease)
}

/// Returns the name of a tree: an archive may be read in several ways.
fn key(digest: &str, args: &StackArgs) -> String {
    let names = match args.zip_names {
        ZipNames::Cp437 => "",
        ZipNames::Windows1252 => "-windows1252",
        ZipNames::Bytes => "-bytes",
    };
    let backslash = if args.zip_backslash == ZipBackslash::Separator { "-separator" } else { "" };
    let privileged = if args.privileged_metadata { "-privileged" } else { "" };
    format!("{digest}{names}{backslash}{privileged}")
}

fn write(slot: &Slot, archive: &Archive, spec: &LayerSpec, args: &StackArgs) -> Result<About, Failure> {
    let opened = stack::archive(archive.blob.clone(), spec, args);
    let layer = opened.map_err(|error| stack::lower_failure(&spec.path, &error))?;
    let left_out = layer.caps().omitted.iter().filter(|omitted| !omitted.shown).count() as u64;
    let part = slot.begin()?;
    let written = host::write_plain(&(layer as _), part.as_fd(), args.privileged_metadata);
    let Plain { entries, bytes, special } = written.map_err(|error| failure(&spec.path, &error))?;
    let archive = std::path::absolute(&spec.path).unwrap_or_else(|_| spec.path.clone());
    Ok(About { archive: archive.to_string_lossy().into_owned(), entries, bytes, special, left_out })
}

/// Tells why an archive was not unpacked.
fn failure(path: &Path, error: &Error) -> Failure {
    let shown = path.display();
    let at = error.path().map(|path| format!(" {}", ovl_core::printable(path))).unwrap_or_default();
    let cause = error.cause().unwrap_or_else(|| error.kind().reason().to_owned());
    let advice = match error.kind() {
        ErrorKind::Corrupt | ErrorKind::UnsupportedEntry => {
            let what = format!("cannot unpack the zip {shown} for the kernel: its member{at} cannot be read ({cause})");
            let advice = "fetch it again; `ovl mount --driver fuse` shows the rest of it";
            return Failure::new(code::CORRUPT, format!("{what}; {advice}"));
        }
        ErrorKind::NoSpace => {
            "make room (`ovl cache prune`), set XDG_CACHE_HOME to another place, or mount by FUSE, which copies nothing"
        }
        ErrorKind::LayerChanged => "start again, and let nothing change the archive meanwhile",
        ErrorKind::PermissionDenied => "leave out --privileged-metadata, or be root",
        _ => "`ovl mount --driver fuse` unpacks nothing",
    };
    Failure::new(
        of_kind(error.kind()),
        format!("cannot unpack{at} of the zip {shown} for the kernel: {cause}; {advice}"),
    )
}
