//! A mount in the shape that Docker has for its own.

use std::path::{Path, PathBuf};

use serde::Serialize;
use utoipa::ToSchema;

/// The directories of a mount, as `docker inspect` tells them.
#[derive(Debug, Serialize, ToSchema)]
pub struct GraphDriver {
    /// The directories.
    #[serde(rename = "Data")]
    data: GraphData,
    /// `overlay2` where the kernel's overlay has them mounted, `ovl` where the engine has.
    #[serde(rename = "Name")]
    name: &'static str,
}

/// The directories. A path that is no UTF-8 is as readable as it can be.
#[derive(Debug, Serialize, ToSchema)]
pub struct GraphData {
    /// The lowers, topmost first, with colons between them; a colon in a path has a backslash before it.
    #[serde(rename = "LowerDir", skip_serializing_if = "Option::is_none")]
    lower: Option<String>,
    /// Where the merged tree is.
    #[serde(rename = "MergedDir")]
    merged: String,
    /// Where changes go.
    #[serde(rename = "UpperDir", skip_serializing_if = "Option::is_none")]
    upper: Option<String>,
    /// Where what is not finished lies.
    #[serde(rename = "WorkDir", skip_serializing_if = "Option::is_none")]
    work: Option<String>,
}

impl GraphDriver {
    /// Tells of a mount at `merged`.
    pub fn of(
        name: &'static str,
        lowers: &[PathBuf],
        upper: Option<&Path>,
        work: Option<&Path>,
        merged: &Path,
    ) -> Self {
        let lower = lowers.iter().map(|lower| escaped(lower)).collect::<Vec<_>>().join(":");
        let data = GraphData {
            lower: Some(lower).filter(|_| !lowers.is_empty()),
            merged: shown(merged),
            upper: upper.map(shown),
            work: work.map(shown),
        };
        Self { data, name }
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Writes a path for a list with colons, as the kernel reads one.
fn escaped(path: &Path) -> String {
    shown(path).replace('\\', "\\\\").replace(':', "\\:")
}
