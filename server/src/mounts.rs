//! The mount of a served stack as it is told: who mounts it, and whether it still stands.

use std::{fmt, path::PathBuf};

use serde::Serialize;
use utoipa::ToSchema;

use crate::mount_table::{Key, Line};

/// The mount of a served stack.
#[derive(Debug)]
pub struct Mount {
    /// Who mounts.
    pub driver: Driver,
    /// Why it is this driver, without any path.
    pub reason: &'static str,
    /// More of the reason, which may name paths.
    pub detail: Option<String>,
    /// Where it was mounted.
    pub point: PathBuf,
    /// What it was mounted as; `None` where the table of mounts never showed it.
    pub key: Option<Key>,
    /// The command that mounts the same without a server.
    pub command: String,
    /// The layers as the host has them.
    pub layers: HostLayers,
    /// Whether the upper is the kernel's, so that changes are made through the mount alone.
    pub owns_upper: bool,
    /// Whether clients are told paths of the host.
    pub tell_paths: bool,
}

/// The layers of a mount by their paths; what is in memory has none.
#[derive(Clone, Debug, Default)]
pub struct HostLayers {
    /// The lowers, topmost first.
    pub lowers: Vec<PathBuf>,
    /// Where changes go.
    pub upper: Option<PathBuf>,
    /// Where what is not finished lies.
    pub work: Option<PathBuf>,
}

/// Who mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = MountDriver)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// The kernel's overlay.
    Kernel,
    /// The engine, by FUSE.
    Fuse,
}

/// Whether a mount stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = MountState)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It is mounted.
    Mounted,
    /// Somebody has unmounted it.
    Gone,
}

impl Mount {
    /// Returns what the table of mounts says of it, `None` when somebody has unmounted it.
    pub fn line(&self) -> Option<Line> {
        self.key.as_ref().and_then(Line::of)
    }

    /// Returns whether it stands.
    pub fn standing(&self) -> Standing {
        if self.line().is_some() { Standing::Mounted } else { Standing::Gone }
    }

    /// Returns the whole reason for its driver.
    pub fn whole_reason(&self) -> String {
        let detail = self.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
        format!("{}{detail}", self.reason)
    }

    /// Returns what to call it: no more than the last part of its path (trust T32).
    pub fn name(&self) -> String {
        self.point.file_name().map_or_else(|| "/".into(), |name| name.to_string_lossy().into_owned())
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "the kernel",
            Self::Fuse => "FUSE",
        })
    }
}
