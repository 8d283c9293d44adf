//! Uppers that the kernel has written with each of its options: read over the same lowers, they show the kernel's tree.
//!
//! `OVL_SEED` and `OVL_HISTORIES` choose other histories.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use ovl_core::{
    ErrorKind, Kind, Layer, Overlay, VPath,
    layers::host::{self, LowerOptions, Namespace, UpperOptions},
    overlay::{Detail, Follow},
    testing::{
        history::{self, Choose, Rng},
        kernel::{Portrait, assert_same, build, defects, draw, histories, run},
    },
    verify::Defect,
};

use rustix::fs::XattrFlags;

use crate::{
    differential::portrait,
    place::{Mount, Place, is_root, path, read},
};

const STEPS: usize = 25;

/// What the kernel is asked for, and which defects an upper then has by design.
const OPTIONS: &[(&str, &[Defect])] = &[
    ("redirect_dir=off", &[]),
    ("redirect_dir=on", &[]),
    ("redirect_dir=on,metacopy=on", &[]),
    ("index=on", &[Defect::Index]),
    ("xino=on", &[]),
    ("userxattr", &[]),
    ("volatile", &[Defect::Volatile]),
    ("redirect_dir=on,metacopy=on,index=on,xino=on", &[Defect::Index]),
    ("redirect_dir=on,index=on,nfs_export=on", &[Defect::Index]),
    ("redirect_dir=on,metacopy=on,volatile,xino=on", &[Defect::Volatile]),
    ("userxattr,volatile,xino=on", &[Defect::Volatile]),
];

#[test]
fn uppers_of_every_option_are_read_as_the_kernel_shows_them() {
    if !is_root() {
        return;
    }
    histories(10, |seed| OPTIONS.iter().for_each(|(options, by_design)| history(seed, options, by_design)));
}

/// A place with lowers of the marks that a mount with these options heeds.
struct Stack {
    place: Place,
    lowers: Vec<PathBuf>,
    namespace: Namespace,
}

impl Stack {
    fn draw(rng: &mut Rng, options: &str) -> Self {
        let is_user = options.contains("userxattr");
        let (namespace, prefix) = if is_user { (Namespace::User, "user") } else { (Namespace::Trusted, "trusted") };
        let place = Place::new();
        let lowers = (0..1 + rng.below(3)).map(|i| {
            let root = place.path(&format!("lower{i}"));
            build(&root, &history::layer(rng, true), prefix);
            link_some(&root);
            root
        });
        let lowers = lowers.collect();
        Self { place, lowers, namespace }
    }

    fn mount(&self, options: &str) -> Mount {
        let lowers: Vec<&str> = self.lowers.iter().map(|path| path.to_str().unwrap()).collect();
        let (upper, work) = (self.place.dir("u"), self.place.dir("work"));
        let stack = format!("lowerdir={},upperdir={},workdir={}", lowers.join(":"), upper.display(), work.display());
        Mount::new("overlay", &format!("{stack},{options}"), self.place.path("merged"))
    }

    /// Returns how the lowers are read.
    fn read(&self) -> LowerOptions {
        LowerOptions { namespace: Some(self.namespace), ..LowerOptions::default() }
    }

    fn layers(&self) -> Vec<Arc<dyn Layer>> {
        self.lowers.iter().map(|path| host::lower(path, self.read()).unwrap() as Arc<dyn Layer>).collect()
    }
}

/// Gives one file or symbolic link of a lower two more names: one of a length that histories do not know, and one that
/// they do.
fn link_some(root: &Path) {
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let linkable = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() || meta.is_symlink());
    let Some(file) = entries.filter(linkable).min() else { return };
    fs::hard_link(&file, root.join("linked")).unwrap();
    if let Some(free) =
        ["a", "b", "c", "d"].map(|name| root.join(name)).iter().find(|path| !path.is_symlink() && !path.exists())
    {
        fs::hard_link(&file, free).unwrap();
    }
}

fn history(seed: u64, options: &str, by_design: &[Defect]) {
    let mut rng = Rng(seed);
    let stack = Stack::draw(&mut rng, options);
    let ops: Vec<_> = (0..STEPS).map(|_| history::op(&mut rng)).collect();
    let told = || format!("seed {seed}, {options}, {ops:?}");
    let mount = stack.mount(options);
    for op in &ops {
        // What the kernel refuses leaves an upper, too.
        run(mount.path(), op);
    }
    let theirs = draw(mount.path(), false);
    drop(mount);
    let as_left = UpperOptions { work: Some(stack.place.path("work")), ..UpperOptions::default() };
    let upper = host::upper_to_read(&stack.place.path("u"), &as_left).unwrap();
    let ours = portrait(&Overlay::to_read(upper, stack.layers()).unwrap());
    // With nfs_export the kernel counts the index's own link to a file that has one name in the lower.
    let [ours, theirs] =
        if options.contains("nfs_export") { [ours, theirs].map(without_links) } else { [ours, theirs] };
    assert_same(&ours, &theirs, &told);
    let found = defects(&stack.place.path("u"), &stack.lowers, stack.read(), Some(stack.place.path("work")));
    let found: Vec<_> = found.iter().filter(|finding| !by_design.contains(&finding.fault.defect)).collect();
    assert!(found.is_empty(), "{found:?} {}", told());
}

fn without_links(portrait: Portrait) -> Portrait {
    let without = |line: String| {
        line.split(' ').enumerate().filter(|(at, _)| *at != 4).map(|(_, word)| word).collect::<Vec<_>>().join(" ")
    };
    portrait.into_iter().map(|(path, line)| (path, without(line))).collect()
}

/// A lower with a file of three names, on a file system of its own where that is asked for, and what the kernel has made
/// of one name.
struct Linked {
    // Unmounted before the place goes.
    _other: Option<Mount>,
    place: Place,
}

impl Linked {
    fn new(far: bool) -> Self {
        let place = Place::new();
        let other = far.then(|| Mount::new("tmpfs", "", place.path("lowers")));
        place.file("lowers/l/a", "old");
        place.file("lowers/l/alone", "alone");
        for name in ["b", "d/c"] {
            fs::create_dir_all(place.path("lowers/l/d")).unwrap();
            fs::hard_link(place.path("lowers/l/a"), place.path("lowers/l").join(name)).unwrap();
        }
        let [u, work] = [place.dir("u"), place.dir("work")];
        let at = |path: &Path| path.display().to_string();
        let options =
            format!("lowerdir={},upperdir={},workdir={},index=on", at(&place.path("lowers/l")), at(&u), at(&work));
        let mount = Mount::new("overlay", &options, place.path("merged"));
        fs::write(mount.path().join("a"), "new one").unwrap();
        rustix::fs::setxattr(mount.path().join("a"), "user.new", b"too", XattrFlags::empty()).unwrap();
        drop(mount);
        Self { _other: other, place }
    }

    fn overlay(&self, lowers: &[&str]) -> Arc<Overlay> {
        let as_left = UpperOptions { work: Some(self.place.path("work")), ..UpperOptions::default() };
        let upper = host::upper_to_read(&self.place.path("u"), &as_left).unwrap();
        let lower =
            |name: &&str| host::lower(&self.place.path(name), LowerOptions::default()).unwrap() as Arc<dyn Layer>;
        Overlay::to_read(upper, lowers.iter().map(lower).collect()).unwrap()
    }
}

#[test]
fn every_name_of_a_hard_link_shows_what_the_kernel_changed_at_one() {
    if !is_root() {
        return;
    }
    for far in [false, true] {
        let linked = Linked::new(far);
        let overlay = linked.overlay(&["lowers/l"]);
        for name in ["a", "b", "d/c"] {
            let stat = overlay.entry(&path(name), Follow::No).unwrap().stat;
            assert_eq!((&*read(&overlay, name), stat.nlink, stat.size), ("new one", 3, 7), "{name}, {far}");
            let (by_name, layer) = overlay.stat(&path(name)).unwrap().unwrap();
            assert_eq!((by_name.size, by_name.nlink, layer), (7, 3, 0), "{name}, {far}");
            assert_eq!(
                overlay.xattrs(&path(name), Follow::No).unwrap(),
                overlay.xattrs(&path("a"), Follow::Yes).unwrap()
            );
        }
        let detail = Detail { stats: true, ..Detail::default() };
        let lines = overlay.list(&VPath::root(), None, 9, detail).unwrap();
        let sizes: Vec<_> =
            lines.iter().filter(|line| line.kind == Kind::File).map(|line| line.stat.unwrap().size).collect();
        assert_eq!(sizes, [7, 5, 7], "{far}");
        assert_eq!(read(&overlay, "alone"), "alone");
    }
}

#[test]
fn a_hard_link_that_may_have_been_changed_is_refused_rather_than_shown_as_it_was() {
    if !is_root() {
        return;
    }
    let linked = Linked::new(true);
    // Nothing says any more which file system the topmost lower was on.
    rustix::fs::removexattr(linked.place.path("u"), "trusted.overlay.origin").unwrap();
    let overlay = linked.overlay(&["lowers/l"]);
    let error = overlay.entry(&path("b"), Follow::No).unwrap_err();
    assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains("--index"), "{error}");
    assert_eq!((read(&overlay, "alone"), read(&overlay, "a")), ("alone".into(), "new one".into()));
}
