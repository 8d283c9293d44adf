//! Uppers that the kernel has written with each of its options: read over the same lowers, they show the kernel's tree.
//!
//! `OVL_SEED` and `OVL_HISTORIES` choose other histories. Of an upper with an index, names of a lower's hard links are not
//! compared: the kernel finds by a file handle that their content has changed at another name.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use ovl_core::{
    Layer, Overlay,
    layers::host::{self, LowerOptions, Namespace},
    testing::{
        history::{self, Choose, Rng},
        kernel::{assert_same, build, defects, draw, histories, run},
    },
    verify::Defect,
};

use crate::{
    differential::portrait,
    place::{Mount, Place, is_root},
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

/// Gives one file of a lower a second name, of a length that histories do not know.
fn link_some(root: &Path) {
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    if let Some(file) = entries.filter(|path| fs::symlink_metadata(path).unwrap().is_file()).min() {
        fs::hard_link(&file, root.join("linked")).unwrap();
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
    let mut theirs = draw(mount.path(), false);
    drop(mount);
    let upper = host::upper_to_read(&stack.place.path("u"), "u".into(), None).unwrap();
    let mut ours = portrait(&Overlay::to_read(upper, stack.layers()).unwrap());
    if options.contains("index=on") {
        let linked: Vec<String> = ours.iter().chain(&theirs).filter(is_linked).map(|(path, _)| path.clone()).collect();
        linked.iter().for_each(|path| {
            ours.remove(path);
            theirs.remove(path);
        });
    }
    assert_same(&ours, &theirs, &told);
    let found = defects(&stack.place.path("u"), &stack.lowers, stack.read(), Some(stack.place.path("work")));
    let found: Vec<_> = found.iter().filter(|finding| !by_design.contains(&finding.fault.defect)).collect();
    assert!(found.is_empty(), "{found:?} {}", told());
}

/// Returns whether a line of a portrait is that of a file with several names.
fn is_linked((_, line): &(&String, &String)) -> bool {
    line.split(' ').nth(4).is_some_and(|links| links.parse::<u64>().is_ok_and(|links| links > 1))
}
