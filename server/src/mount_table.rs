//! A mount found again in the table of mounts (Linux; elsewhere there is none).

use std::path::PathBuf;

/// Options of a file system that are paths of the host.
#[cfg(target_os = "linux")]
const PATHS: &[&str] = &["lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir"];

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it is mounted.
    pub point: PathBuf,
    /// The type of the file system: `overlay`, `fuse.ovl`.
    pub fstype: String,
    /// What it was called when it was mounted.
    pub source: String,
    /// Whether nothing can be changed.
    pub read_only: bool,
    /// The options of the mount and of the file system, as the table writes them.
    pub options: Vec<String>,
    /// Those of them that are paths of the host.
    pub paths: Vec<String>,
}

/// What stays the same of a mount, wherever it is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    device: (u32, u32),
    fstype: String,
    /// A number that no other mount ever gets, where the kernel has one (6.8): that of a device is used again.
    unique: Option<u64>,
}

#[cfg(target_os = "linux")]
pub use here::{key_at, unique};

#[cfg(target_os = "linux")]
mod here {
    use std::path::Path;

    use ovl_core::layers::host::{self, Mount};
    use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

    use super::{Key, Line, PATHS};

    /// Returns what tells the mount on top at a place from all others.
    pub fn key_at(point: &Path) -> Option<Key> {
        table().iter().rfind(|mount| mount.point == point).map(key)
    }

    impl Line {
        /// Returns a mount again, `None` when it is gone or another covers it.
        pub fn of(wanted: &Key) -> Option<Self> {
            table().iter().find(|mount| mount.device == wanted.device && key(mount) == *wanted).map(Self::read)
        }

        fn read(mount: &Mount) -> Self {
            let text = |option: &[u8]| String::from_utf8_lossy(option).into_owned();
            let mut options: Vec<String> = mount.flags().map(text).collect();
            // The file system may be writable where the mount is not.
            options.extend(mount.options().filter(|option| !matches!(*option, b"rw" | b"ro")).map(text));
            let is_path = |option: &String| option.split_once('=').is_some_and(|(key, _)| PATHS.contains(&key));
            let (paths, options) = options.into_iter().partition(is_path);
            let source = mount.source.to_string_lossy().into_owned();
            let (point, fstype) = (mount.point.clone(), mount.kind.clone());
            Self { point, fstype, source, read_only: mount.read_only, options, paths }
        }
    }

    fn table() -> Vec<Mount> {
        // Where it cannot be read, nobody knows of any mount.
        host::mounts().unwrap_or_default()
    }

    fn key(mount: &Mount) -> Key {
        Key { device: mount.device, fstype: mount.kind.clone(), unique: unique(&mount.point) }
    }

    /// Returns the number of the mount on top at a place, asking nobody but the kernel.
    pub fn unique(point: &Path) -> Option<u64> {
        /// `STATX_MNT_ID_UNIQUE`.
        const UNIQUE: u32 = 0x4000;
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
        let told = statx(CWD, point, flags, StatxFlags::from_bits_retain(UNIQUE)).ok()?;
        (told.stx_mask & UNIQUE != 0).then_some(told.stx_mnt_id)
    }
}

#[cfg(not(target_os = "linux"))]
impl Line {
    /// Returns nothing.
    pub fn of(_: &Key) -> Option<Self> {
        None
    }
}
