//! The kernel as judge of the engine: see [`ovl_core::testing::kernel`]. Once with redirects, once without.

use std::{path::PathBuf, sync::Arc};

use ovl_core::{
    ErrorKind, Kind, Layer, Overlay, Time, VPath,
    layers::host::{self, Durability, LowerOptions, UpperOptions},
    overlay::{Follow, Policy, WalkOptions},
    testing::{
        drawing::content,
        history::{self, Op, XATTR},
        kernel::{Ground, Judged, Portrait, histories, judge, line},
    },
};
use rustix::io::Errno;

use crate::place::{Place, is_root};

#[test]
fn the_kernel_and_ovl_agree_with_redirects() {
    agree(true);
}

#[test]
fn the_kernel_and_ovl_agree_without_redirects() {
    agree(false);
}

fn agree(redirects: bool) {
    if !is_root() {
        return;
    }
    histories(150, |seed| {
        let place = Place::new();
        let ground = Ground { place: &place.path(""), redirects };
        judge(seed, ground, |lowers| Engine(open(ground, lowers)));
    });
}

fn open(ground: Ground<'_>, lowers: &[PathBuf]) -> Arc<Overlay> {
    let options = UpperOptions { durability: Durability::None, privileged_metadata: true, ..UpperOptions::default() };
    let upper = host::upper(&ground.upper(), options).unwrap();
    let lower = |path: &PathBuf| host::lower(path, LowerOptions::default()).unwrap() as Arc<dyn Layer>;
    let policy = Policy { redirect_dir: ground.redirects };
    Overlay::new(Some(upper), lowers.iter().map(lower).collect(), policy, None).unwrap()
}

struct Engine(Arc<Overlay>);

impl Judged for Engine {
    fn run(&self, op: &Op, step: usize) -> Option<i32> {
        let now = Time { secs: 1_900_000_000 + step as i64, nanos: 0 };
        history::run(&self.0, op, now).err().map(|error| errno(error.kind()))
    }

    fn draw(&self) -> Portrait {
        portrait(&self.0)
    }
}

/// Draws what an overlay shows.
pub(crate) fn portrait(overlay: &Arc<Overlay>) -> Portrait {
    let walk = overlay.walk(&VPath::root(), WalkOptions::default()).unwrap();
    walk.map(|shown| shown.unwrap().0).map(|path| (path.to_string(), line_of(overlay, &path))).collect()
}

fn line_of(overlay: &Arc<Overlay>, path: &VPath) -> String {
    let stat = overlay.entry(path, Follow::No).unwrap().stat;
    let body = match stat.kind {
        Kind::File => content(overlay, path).unwrap(),
        Kind::Symlink => overlay.target(path).unwrap(),
        _ => Vec::new(),
    };
    let xattr = overlay.xattrs(path, Follow::No).unwrap().into_iter().find(|x| &*x.name == XATTR);
    let (attrs, xattr) = (stat.attrs, xattr.map(|x| x.value.to_vec()));
    let mtime = (attrs.mtime.secs, attrs.mtime.nanos);
    line(stat.kind, attrs.mode, (attrs.uid, attrs.gid), mtime, stat.nlink.into(), &body, xattr)
}

fn errno(kind: ErrorKind) -> i32 {
    let errno = match kind {
        ErrorKind::NotFound => Errno::NOENT,
        ErrorKind::AlreadyExists => Errno::EXIST,
        ErrorKind::NotADirectory => Errno::NOTDIR,
        ErrorKind::IsADirectory => Errno::ISDIR,
        ErrorKind::NotEmpty => Errno::NOTEMPTY,
        ErrorKind::CrossLayerRename => Errno::XDEV,
        ErrorKind::Loop => Errno::LOOP,
        ErrorKind::InvalidInput | ErrorKind::BadMark => Errno::INVAL,
        ErrorKind::NoAttribute => Errno::NODATA,
        ErrorKind::PermissionDenied => Errno::PERM,
        _ => Errno::IO,
    };
    errno.raw_os_error()
}
