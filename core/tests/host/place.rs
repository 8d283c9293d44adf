//! A folder of its own for each test, and how trees are drawn for comparison.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use ovl_core::{
    Kind, Layer, Overlay, VPath, WritableLayer,
    layers::host::{self, Form, HostUpper, LowerOptions, UpperOptions},
    overlay::{Ctx, Done, Follow, Policy, PutOptions, Walk, WalkOptions},
};

/// A folder that goes when the test ends.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("host-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes a file with its parents.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        fs::create_dir_all(self.path(name)).unwrap();
        self.path(name)
    }

    pub(crate) fn upper(&self, options: UpperOptions) -> ovl_core::Result<Arc<HostUpper>> {
        host::upper(&self.path("u"), options)
    }

    /// Stacks the folder `u` over the folder `l`.
    pub(crate) fn overlay(&self, options: UpperOptions) -> Arc<Overlay> {
        stack(self.upper(options).unwrap(), &[self.dir("l")])
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

pub(crate) fn stack(upper: Arc<HostUpper>, lowers: &[PathBuf]) -> Arc<Overlay> {
    let lower = |path: &PathBuf| host::lower(path, LowerOptions::default()).unwrap() as Arc<dyn Layer>;
    let upper: Arc<dyn WritableLayer> = upper;
    Overlay::new(Some(upper), lowers.iter().map(lower).collect(), Policy::default(), None).unwrap()
}

pub(crate) fn form(form: Form) -> UpperOptions {
    UpperOptions { form: Some(form), ..UpperOptions::default() }
}

pub(crate) fn is_root() -> bool {
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !root {
        println!("skipped: needs root");
    }
    root
}

pub(crate) fn path(text: &str) -> VPath {
    VPath::parse(text.as_bytes()).unwrap()
}

pub(crate) fn ctx() -> Ctx {
    let now = ovl_core::Time { secs: 1_700_000_000, nanos: 123_456_789 };
    Ctx { umask: 0o022, now, ..Ctx::default() }
}

pub(crate) fn put(overlay: &Overlay, at: &str, content: &str) -> Done {
    let upload = overlay.upload(&ctx()).unwrap();
    upload.write_at(content.as_bytes(), 0).unwrap();
    overlay.put(&ctx(), &path(at), &upload, &PutOptions::default()).unwrap()
}

pub(crate) fn read(overlay: &Overlay, at: &str) -> String {
    let (info, blob) = overlay.open(&path(at), Follow::Yes).unwrap();
    let mut content = vec![0; info.stat.size as usize];
    assert_eq!(blob.read_at(&mut content, 0).unwrap(), content.len());
    String::from_utf8(content).unwrap()
}

/// Draws what the overlay shows: path, kind, mode, owner, mtime, and content or target.
pub(crate) fn shown(overlay: &Arc<Overlay>) -> BTreeMap<String, String> {
    let walk: Walk = overlay.walk(&VPath::root(), WalkOptions::default()).unwrap();
    walk.map(|line| line.unwrap().0)
        .map(|at| {
            let info = overlay.entry(&at, Follow::No).unwrap();
            let (stat, attrs) = (info.stat, info.stat.attrs);
            let content = match stat.kind {
                Kind::File => read(overlay, &at.to_string()[1..]),
                Kind::Symlink => String::from_utf8(overlay.target(&at).unwrap()).unwrap(),
                Kind::Char | Kind::Block => format!("{}:{}", stat.rdev.major, stat.rdev.minor),
                _ => String::new(),
            };
            let head = format!("{:?} {:o} {}:{}", stat.kind, attrs.mode, attrs.uid, attrs.gid);
            (at.to_string(), format!("{head} {}.{:09} {content}", attrs.mtime.secs, attrs.mtime.nanos))
        })
        .collect()
}

/// Draws a host's tree in the same words.
pub(crate) fn on_host(root: &Path) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    draw_host(root, "", &mut lines);
    lines
}

fn draw_host(dir: &Path, at: &str, lines: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let at = format!("{at}/{}", path.file_name().unwrap().to_str().unwrap());
        let meta = fs::symlink_metadata(&path).unwrap();
        let (kind, content) = match meta.file_type() {
            t if t.is_dir() => (Kind::Dir, String::new()),
            t if t.is_symlink() => (Kind::Symlink, fs::read_link(&path).unwrap().to_str().unwrap().to_owned()),
            t if t.is_fifo() => (Kind::Fifo, String::new()),
            t if t.is_socket() => (Kind::Socket, String::new()),
            t if t.is_char_device() => (Kind::Char, format!("{}:{}", meta.rdev() >> 8 & 0xfff, meta.rdev() & 0xff)),
            t if t.is_block_device() => (Kind::Block, format!("{}:{}", meta.rdev() >> 8 & 0xfff, meta.rdev() & 0xff)),
            _ => (Kind::File, fs::read_to_string(&path).unwrap()),
        };
        let head = format!("{kind:?} {:o} {}:{}", meta.mode() & 0o7777, meta.uid(), meta.gid());
        lines.insert(at.clone(), format!("{head} {}.{:09} {content}", meta.mtime(), meta.mtime_nsec()));
        if kind == Kind::Dir {
            draw_host(&path, &at, lines);
        }
    }
}

/// Runs a command that must succeed.
pub(crate) fn run(program: &str, args: &[&str]) {
    let out = Command::new(program).args(args).output().unwrap();
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// A mount that goes when it is dropped.
pub(crate) struct Mount(PathBuf);

impl Mount {
    pub(crate) fn new(kind: &str, options: &str, at: PathBuf) -> Self {
        fs::create_dir_all(&at).unwrap();
        run("mount", &["-t", kind, kind, "-o", options, at.to_str().unwrap()]);
        Self(at)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Another test's child may hold a descriptor of the mount between its fork and its exec.
        let gone = (0..100).any(|_| {
            let done = Command::new("umount").arg("-q").arg(&self.0).status().is_ok_and(|status| status.success());
            if !done {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            done
        });
        assert!(gone, "{} stays mounted", self.0.display());
    }
}
