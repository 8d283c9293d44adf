//! What is mounted: overlays of the kernel, and stacks by FUSE.

use std::path::{Path, PathBuf};

use ovl_core::{
    Result,
    layers::host::{self, Mount, OverlayMount},
};
use rustix::{fs::stat, io::Errno};

use super::{Driver, record::Record};

/// A mounted stack, as far as it can be told.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) point: PathBuf,
    pub(crate) driver: Driver,
    pub(crate) read_only: bool,
    /// The lowers, topmost first.
    pub(crate) lowers: Vec<PathBuf>,
    /// Layers of which only the data is used.
    pub(crate) data: Vec<PathBuf>,
    pub(crate) upper: Option<PathBuf>,
    pub(crate) work: Option<PathBuf>,
    pub(crate) options: Vec<String>,
    /// The process that answers for a mount by FUSE.
    pub(crate) pid: Option<u32>,
    /// Whether that process has ended, and the mount answers nobody.
    pub(crate) stale: bool,
}

/// Returns the stacks that this process sees mounted, in the order of the table: a later one may cover an earlier.
pub(crate) fn listed() -> Result<Vec<Listed>> {
    Ok(host::mounts()?.iter().filter_map(Listed::of).collect())
}

/// Returns the record of a mount by FUSE, where its process has written one.
pub(crate) fn record(mount: &Mount) -> Option<Record> {
    let user = mount.options().find_map(|option| str::from_utf8(option).ok()?.strip_prefix("user_id=")?.parse().ok());
    (mount.kind == "fuse.ovl").then(|| Record::of(mount.device, user?))?
}

impl Listed {
    fn of(mount: &Mount) -> Option<Self> {
        match &*mount.kind {
            "fuse.ovl" => Some(Self::by_fuse(mount)),
            _ => OverlayMount::of(mount).map(Self::by_kernel),
        }
    }

    fn by_kernel(mount: OverlayMount) -> Self {
        let OverlayMount { point, read_only, lowers, data, upper, work, options } = mount;
        Self { point, driver: Driver::Kernel, read_only, lowers, data, upper, work, options, pid: None, stale: false }
    }

    fn by_fuse(mount: &Mount) -> Self {
        let record = record(mount);
        let stale = record.as_ref().map_or_else(|| is_dead(&mount.point), |record| !record.is_held());
        let told = record.map(|record| record.told).unwrap_or_default();
        let shown = |option: &[u8]| String::from_utf8_lossy(option).into_owned();
        Self {
            point: mount.point.clone(),
            driver: Driver::Fuse,
            read_only: mount.read_only,
            lowers: told.lowers.into_iter().map(Into::into).collect(),
            data: Vec::new(),
            upper: told.upper.map(Into::into),
            work: told.work.map(Into::into),
            options: mount.options().filter(|option| !matches!(*option, b"rw" | b"ro")).map(shown).collect(),
            pid: Some(told.pid).filter(|pid| *pid != 0),
            stale,
        }
    }
}

/// Returns whether nobody answers for what is mounted at a path.
pub(crate) fn is_dead(point: &Path) -> bool {
    stat(point).err() == Some(Errno::NOTCONN)
}
