//! `ovl mounts`: the stacks that are mounted, with their layers.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};
use ovl_core::layers::host;
use serde::Serialize;
use serde_json::Map;

use super::{
    print::{self, Format, List},
    unmount::whole,
};
use crate::{
    cli::exit::{Failure, code},
    graphdriver::GraphDriver,
    mount::{
        Driver,
        listed::{Listed, listed},
    },
};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ovl mounts
  ovl mounts --json
  ovl mounts --graphdriver /mnt/work")]
pub(super) struct Mounts {
    /// Where to look; everywhere by default.
    #[arg(value_name = "MOUNTPOINT", value_hint = ValueHint::DirPath)]
    point: Option<PathBuf>,
    /// Prints the directories of the mount at MOUNTPOINT as `docker inspect` does: one JSON object.
    #[arg(long, requires = "point", conflicts_with_all = ["json", "ndjson", "null"])]
    graphdriver: bool,
    #[command(flatten)]
    format: Format,
}

/// A mount as JSON. A path that is no UTF-8 is told as readable as it can be.
#[derive(Serialize)]
struct Body {
    mountpoint: String,
    driver: &'static str,
    /// `mounted`, or `stale` where the process that answered for it has ended.
    state: &'static str,
    /// The process that answers for a mount by FUSE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    read_only: bool,
    /// Topmost first.
    lowers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    data_only: Vec<String>,
    upper: Option<String>,
    work: Option<String>,
    /// The form that ovl has recorded on the upper; `null` where it has not written.
    form: Option<String>,
    options: Vec<String>,
}

impl Mounts {
    pub(super) fn run(self) -> Result<(), Failure> {
        if let Some(point) = self.point.as_ref().filter(|_| self.graphdriver) {
            return graphdriver(point);
        }
        let mut mounts = listed()?;
        if let Some(point) = &self.point {
            let point = whole(point)?;
            mounts.retain(|mount| mount.point == point);
        }
        let mut list = List::begin(self.format, "ovl.mounts/1", &[], "mounts")?;
        for mount in &mounts {
            let name = mount.point.as_os_str().as_bytes();
            list.line(|out| out.extend(text(mount).bytes()), name, || body(mount))?;
        }
        list.end(Map::new())
    }
}

/// Prints the topmost mount at a place in the shape that Docker has for its own.
pub(super) fn graphdriver(point: &Path) -> Result<(), Failure> {
    let none = || Failure::new(code::NOT_FOUND, "no overlay is mounted there; `ovl mounts` lists those that are");
    let point = whole(point)?;
    let mount = listed()?.into_iter().rfind(|mount| mount.point == point).ok_or_else(none)?;
    let Listed { driver, lowers, upper, work, .. } = &mount;
    let name = if *driver == Driver::Kernel { "overlay2" } else { "ovl" };
    let body = GraphDriver::of(name, lowers, upper.as_deref(), work.as_deref(), &point);
    let text = serde_json::to_string_pretty(&body).expect("what is printed holds nothing that JSON cannot");
    print::object(false, "", &(), &format!("{text}\n"))
}

fn body(mount: &Listed) -> Body {
    let all = |paths: &[PathBuf]| paths.iter().map(|path| shown(path)).collect();
    Body {
        mountpoint: shown(&mount.point),
        driver: match mount.driver {
            Driver::Kernel => "kernel",
            Driver::Fuse => "fuse",
        },
        state: if mount.stale { "stale" } else { "mounted" },
        pid: mount.pid,
        read_only: mount.read_only,
        lowers: all(&mount.lowers),
        data_only: all(&mount.data),
        upper: mount.upper.as_deref().map(shown),
        work: mount.work.as_deref().map(shown),
        form: form(mount),
        options: mount.options.clone(),
    }
}

fn text(mount: &Listed) -> String {
    let mut text = printed(&mount.point);
    match (mount.driver, mount.stale, mount.pid) {
        (Driver::Kernel, ..) => {}
        (_, true, _) => text.push_str("\n  stale  its process has ended; `ovl unmount` takes it away"),
        (_, _, Some(pid)) => text.push_str(&format!("\n  FUSE   process {pid}")),
        (_, _, None) => text.push_str("\n  FUSE   no record tells its process and layers"),
    }
    if let Some(upper) = &mount.upper {
        text.push_str(&format!("\n  upper  {} ({})", printed(upper), written(mount)));
    }
    for lower in mount.lowers.iter().chain(&mount.data) {
        text.push_str(&format!("\n  lower  {}", printed(lower)));
    }
    text
}

fn written(mount: &Listed) -> String {
    form(mount).map_or("not written by ovl".into(), |form| format!("ovl's, {form}"))
}

/// Returns the form of an upper of ours; one that cannot be reached from here is none that we know.
fn form(mount: &Listed) -> Option<String> {
    host::recorded_form(mount.upper.as_ref()?).ok()?.map(|form| form.to_string())
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn printed(path: &Path) -> String {
    ovl_core::printable(path.as_os_str().as_bytes()).into_owned()
}
