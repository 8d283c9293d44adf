//! `/v1/mounts` and `/v1/graphdriver`: the tree as a file system of the server's machine.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use crate::{
    graphdriver::GraphDriver,
    json::Json,
    mounts::{Driver, Mount, Standing},
    problem::{MOUNTED, NOT_FOUND, PATHS_NOT_TOLD, Problem, ProblemBody},
};

/// Who has the tree mounted, and whether it still is.
#[derive(Serialize, ToSchema)]
pub(crate) struct MountSummary {
    driver: Driver,
    state: Standing,
}

/// A mount.
#[derive(Serialize, ToSchema)]
pub(crate) struct MountBody {
    /// The last part of its mount point.
    #[schema(example = "work")]
    name: String,
    driver: Driver,
    /// Why it is this driver.
    reason: String,
    state: Standing,
    /// Whether the upper can be changed through the mount alone.
    owns_upper: bool,
    /// What the table of mounts says of it, while it is mounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<TableBody>,
    /// Where it is on the server's machine, when the server tells paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<HostBody>,
}

/// What the table of mounts says, as findmnt shows it.
#[derive(Serialize, ToSchema)]
pub(crate) struct TableBody {
    #[schema(example = "fuse.ovl")]
    fstype: String,
    source: String,
    /// Those that are paths only when the server tells paths.
    options: Vec<String>,
    /// Whether nothing can be changed through it.
    read_only: bool,
}

/// Paths on the server's machine.
#[derive(Serialize, ToSchema)]
pub(crate) struct HostBody {
    /// Where it was mounted, or was moved to since.
    mountpoint: String,
    /// What mounts the same without a server.
    command: String,
    /// The lowers, topmost first; what is in memory has no place.
    lowers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    work: Option<String>,
}

impl MountSummary {
    pub(crate) fn of(mount: &Mount) -> Self {
        Self { driver: mount.driver, state: mount.standing() }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.state == Standing::Gone
    }
}

impl MountBody {
    fn of(mount: &Mount) -> Self {
        let line = mount.line();
        let state = if line.is_some() { Standing::Mounted } else { Standing::Gone };
        let host = mount.tell_paths.then(|| {
            let shown = |path: &std::path::PathBuf| path.to_string_lossy().into_owned();
            HostBody {
                mountpoint: shown(line.as_ref().map_or(&mount.point, |line| &line.point)),
                command: mount.command.clone(),
                lowers: mount.layers.lowers.iter().map(shown).collect(),
                upper: mount.layers.upper.as_ref().map(shown),
                work: mount.layers.work.as_ref().map(shown),
            }
        });
        let table = line.map(|line| TableBody {
            read_only: line.read_only,
            options: line.options.into_iter().chain(line.paths.into_iter().filter(|_| mount.tell_paths)).collect(),
            fstype: line.fstype,
            source: line.source,
        });
        let reason = if mount.tell_paths { mount.whole_reason() } else { mount.reason.to_owned() };
        let (driver, owns_upper) = (mount.driver, mount.owns_upper);
        Self { name: mount.name(), driver, reason, state, owns_upper, table, host }
    }
}

/// List the mounts of this server: one, or none.
#[utoipa::path(get, path = "/v1/mounts", tag = "mounts", responses((status = 200, description = "The mounts", body = Vec<MountBody>)))]
pub(crate) async fn list(State(state): Shared) -> Json<Vec<MountBody>> {
    Json(state.mount.as_deref().map(MountBody::of).into_iter().collect())
}

/// Tell the directories of the mount in the shape that Docker has for its own.
#[utoipa::path(get, path = "/v1/graphdriver", tag = "mounts", responses(
    (status = 200, description = "The directories", body = GraphDriver),
    (status = 403, description = "The server tells no paths of its machine", body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, description = "Nothing is mounted", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn graphdriver(State(state): Shared) -> Result<Json<GraphDriver>, Problem> {
    let none = |what: &str| Problem::new(&NOT_FOUND, format!("{what}; GET /v1/mounts lists the mounts of this server"));
    let mount = state.mount.as_deref().ok_or_else(|| none("the server mounts nothing"))?;
    let line = mount.line().ok_or_else(|| none("the mount is gone"))?;
    if !mount.tell_paths {
        return Err(Problem::new(
            &PATHS_NOT_TOLD,
            "the directories of the mount are paths of the host; --tell-paths tells them",
        ));
    }
    let name = if mount.driver == Driver::Kernel { "overlay2" } else { "ovl" };
    let layers = &mount.layers;
    let (upper, work) = (layers.upper.as_deref(), layers.work.as_deref());
    Ok(Json(GraphDriver::of(name, &layers.lowers, upper, work, &line.point)))
}

/// Tells that the kernel has the upper, and what to do.
pub(crate) fn refusal(owner: &Mount) -> Problem {
    let place = match owner.tell_paths {
        true => owner.point.display().to_string(),
        false => format!("{:?} on the server's machine", owner.name()),
    };
    let detail = match owner.standing() {
        Standing::Mounted => format!(
            "the kernel has the upper mounted and tells of no change: make changes through the mount at {place}, \
             or start the server with --driver fuse"
        ),
        Standing::Gone => format!("the mount at {place} is gone, and the upper was the kernel's: restart the server"),
    };
    Problem::new(&MOUNTED, detail)
}
