//! What every upper owes its writers: each step by itself, on an otherwise quiet layer.

use std::sync::Arc;

use crate::{
    Attrs, Change, Device, Kind, Leave, Marks, Name, New, Node, Step, Time, VPath, WritableLayer, Xattr,
    testing::{
        drawing::{draw_layer, fill, parse, read_all},
        suite::{Held, at},
    },
};

/// How a suite gets an empty upper.
pub type Make<'a> = &'a dyn Fn() -> Held<Arc<dyn WritableLayer>>;

const NOW: Time = Time { secs: 1_700_000_000, nanos: 123_456_789 };

fn drawn(make: Make<'_>, text: &str) -> Held<Arc<dyn WritableLayer>> {
    let held = make();
    fill(&*held.layer, &parse(text)).expect("an upper takes every drawing");
    held
}

fn name(text: &str) -> Name<'_> {
    Name::new(text.as_bytes()).expect("a test's name")
}

fn new(kind: Kind) -> New<'static> {
    let attrs = Attrs { mode: 0o700, uid: 0, gid: 0, atime: NOW, mtime: NOW };
    let marks = Marks::default();
    New { kind, attrs, rdev: Device::default(), target: b"t", xattrs: &[], marks, copied_up: false, faithful: true }
}

fn commit(layer: &dyn WritableLayer, step: Step<'_>) {
    layer.commit(&[step], NOW).expect("the step is taken");
    layer.settle().expect("it settles");
}

fn shows(layer: &dyn WritableLayer, drawing: &str) {
    assert_eq!(draw_layer(layer), drawing);
}

/// What a drawing says is what the layer holds, marks and whiteouts included.
pub fn a_drawing_comes_back(make: Make<'_>) {
    let text = "-gone a=1 d/! d/-x e/ e/f=2 l->a p|";
    let held = drawn(make, "a=1 d/! -d/x e/f=2 l->a -gone p|");
    let mut words: Vec<_> = text.split(' ').map(|word| word.replace("d/-x", "-d/x")).collect();
    words.sort();
    shows(&*held.layer, &words.join(" "));
}

/// A staged object shows nowhere, and is gone when it is dropped.
pub fn a_staged_object_shows_nowhere(make: Make<'_>) {
    let held = drawn(make, "a=1");
    let node = held.layer.stage(&new(Kind::File)).expect("staging works");
    held.layer.open_mut(&node).expect("open works").write_at(b"secret", 0).expect("write works");
    drop(node);
    shows(&*held.layer, "a=1");
}

/// An object is placed over nothing, a whiteout, a file, and a directory over a directory.
pub fn placing_replaces_what_stands_there(make: Make<'_>) {
    let held = drawn(make, "-w f=1 d/ -d/x");
    let root = held.layer.root();
    for target in ["n", "w", "f"] {
        let node = held.layer.stage(&new(Kind::Symlink)).expect("staging works");
        commit(&*held.layer, Step::Place { node: &node, dir: &root, name: name(target), quiet: false });
    }
    for target in ["d", "w"] {
        let node = held.layer.stage(&new(Kind::Dir)).expect("staging works");
        commit(&*held.layer, Step::Place { node: &node, dir: &root, name: name(target), quiet: false });
    }
    shows(&*held.layer, "d/ f->t n->t w/");
}

/// A directory over a whiteout takes its place, opaque when it is asked to be (semantics W07).
pub fn a_directory_over_a_whiteout(make: Make<'_>) {
    let held = drawn(make, "-d -e");
    let root = held.layer.root();
    for (target, opaque) in [("d", crate::Opaque::Yes), ("e", crate::Opaque::No)] {
        let marks = Marks { opaque, ..Marks::default() };
        let node = held.layer.stage(&New { marks, ..new(Kind::Dir) }).expect("staging works");
        commit(&*held.layer, Step::Place { node: &node, dir: &root, name: name(target), quiet: false });
    }
    shows(&*held.layer, "d/! e/");
}

/// A tree that is built while staged appears whole.
pub fn a_staged_tree_appears_whole(make: Make<'_>) {
    let held = drawn(make, "");
    let dir = held.layer.stage(&new(Kind::Dir)).expect("staging works");
    let link = held.layer.stage(&new(Kind::Symlink)).expect("staging works");
    commit(&*held.layer, Step::Place { node: &link, dir: &dir, name: name("l"), quiet: true });
    shows(&*held.layer, "");
    commit(&*held.layer, Step::Place { node: &dir, dir: &held.layer.root(), name: name("d"), quiet: false });
    shows(&*held.layer, "d/ d/l->t");
}

/// A move leaves nothing or a whiteout, and takes the place of what stands there.
pub fn a_move_leaves_what_it_is_asked_to(make: Make<'_>) {
    let cases = [
        ("a=1", "a", "b", Leave::Nothing, "b=1"),
        ("a=1", "a", "b", Leave::Whiteout, "-a b=1"),
        ("a=1 b=2", "a", "b", Leave::Whiteout, "-a b=1"),
        ("a=1 -b", "a", "b", Leave::Nothing, "b=1"),
        ("a=1 -b", "a", "b", Leave::Whiteout, "-a b=1"),
        ("d/ d/x=1 -e", "d", "e", Leave::Nothing, "e/ e/x=1"),
        ("d/ d/x=1 -e", "d", "e", Leave::Whiteout, "-d e/ e/x=1"),
        ("d/ d/x=1 e/ -e/y", "d", "e", Leave::Whiteout, "-d e/ e/x=1"),
        ("d/! d/x=1 e/ -e/y", "d", "e", Leave::Nothing, "e/! e/x=1"),
        ("d/ d/x=1", "d", "e", Leave::Whiteout, "-d e/ e/x=1"),
    ];
    for (text, from, to, leave, after) in cases {
        let held = drawn(make, text);
        let root = held.layer.root();
        let step = Step::Move { dir: &root, name: name(from), to_dir: &root, to_name: name(to), leave };
        commit(&*held.layer, step);
        assert_eq!(draw_layer(&*held.layer), after, "{text}: {from} to {to}, {leave:?}");
    }
}

/// A move between directories keeps the object.
pub fn a_move_between_directories_keeps_the_object(make: Make<'_>) {
    let held = drawn(make, "d/a=1 e/");
    let (d, e, a) = (at(&*held.layer, "d"), at(&*held.layer, "e"), at(&*held.layer, "d/a"));
    let step = Step::Move { dir: &d, name: name("a"), to_dir: &e, to_name: name("b"), leave: Leave::Nothing };
    commit(&*held.layer, step);
    shows(&*held.layer, "d/ e/ e/b=1");
    let ino = |node: &Node| held.layer.stat(node).expect("stat works").ino;
    assert_eq!(ino(&at(&*held.layer, "e/b")), ino(&a));
    assert_eq!(read_all(&*held.layer.open(&a).expect("a pinned node opens")).expect("read works"), b"1");
}

/// An exchange swaps two objects of any kind.
pub fn an_exchange_swaps(make: Make<'_>) {
    let held = drawn(make, "a=1 d/ d/x=2 e/");
    let (root, d) = (held.layer.root(), at(&*held.layer, "d"));
    commit(&*held.layer, Step::Exchange { dir: &root, name: name("a"), to_dir: &d, to_name: name("x") });
    shows(&*held.layer, "a=2 d/ d/x=1 e/");
    commit(&*held.layer, Step::Exchange { dir: &root, name: name("a"), to_dir: &root, to_name: name("d") });
    shows(&*held.layer, "a/ a/x=1 d=2 e/");
}

/// Removing takes whole trees, and leaves nothing or a whiteout.
pub fn removing_leaves_what_it_is_asked_to(make: Make<'_>) {
    let held = drawn(make, "a=1 b=1 d/x/y=1 -d/z e/x=1 -w -v");
    let root = held.layer.root();
    let steps = [("a", Leave::Nothing), ("b", Leave::Whiteout), ("d", Leave::Whiteout), ("e", Leave::Nothing)];
    for (target, leave) in steps {
        commit(&*held.layer, Step::Remove { dir: &root, name: name(target), leave });
    }
    commit(&*held.layer, Step::Remove { dir: &root, name: name("w"), leave: Leave::Nothing });
    commit(&*held.layer, Step::Remove { dir: &root, name: name("new"), leave: Leave::Whiteout });
    shows(&*held.layer, "-b -d -new -v");
}

/// Hard links are one object: content, metadata and number.
pub fn links_are_one_object(make: Make<'_>) {
    let held = drawn(make, "a=1 d/ -d/w");
    let (a, d) = (at(&*held.layer, "a"), at(&*held.layer, "d"));
    for target in ["b", "w"] {
        commit(&*held.layer, Step::Link { node: &a, dir: &d, name: name(target) });
    }
    let b = at(&*held.layer, "d/b");
    held.layer.open_mut(&b).expect("open works").write_at(b"22", 0).expect("write works");
    shows(&*held.layer, "a=22 d/ d/b=22 d/w=22");
    let stat = |node: &Node| held.layer.stat(node).expect("stat works");
    assert_eq!(stat(&a).ino, stat(&b).ino);
    assert_eq!((stat(&a).nlink, stat(&b).nlink), (3, 3));
}

/// Metadata survives: mode with setuid, owner, times to the nanosecond, extended attributes.
pub fn metadata_comes_back(make: Make<'_>) {
    let held = drawn(make, "f=1 d/");
    let old = Time { secs: -5, nanos: 999_999_999 };
    for path in ["f", "d"] {
        let node = at(&*held.layer, path);
        let change = Change {
            mode: Some(0o4751),
            uid: Some(1234),
            gid: Some(4321),
            atime: Some(old),
            mtime: Some(NOW),
            xattrs: vec![(b"user.a".as_slice().into(), Some(b"\0\xff".as_slice().into()))],
            ..Change::default()
        };
        commit(&*held.layer, Step::Set { node: &node, change: &change });
        let stat = held.layer.stat(&at(&*held.layer, path)).expect("stat works");
        assert_eq!(stat.attrs, Attrs { mode: 0o4751, uid: 1234, gid: 4321, atime: old, mtime: NOW }, "{path}");
        let xattr = Xattr { name: b"user.a".as_slice().into(), value: b"\0\xff".as_slice().into() };
        assert_eq!(held.layer.xattrs(&node).expect("xattrs work"), [xattr]);
        let gone = Change { xattrs: vec![(b"user.a".as_slice().into(), None)], ..Change::default() };
        commit(&*held.layer, Step::Set { node: &node, change: &gone });
        assert_eq!(held.layer.xattrs(&node).expect("xattrs work"), []);
    }
}

/// What an archive or a client says of owners, setuid and devices comes back, wherever it is kept.
pub fn unfaithful_metadata_comes_back(make: Make<'_>) {
    let held = drawn(make, "");
    let root = held.layer.root();
    let attrs = Attrs { mode: 0o6711, uid: 77, gid: 88, atime: NOW, mtime: NOW };
    let rdev = Device { major: 8, minor: 1 };
    for (target, kind) in [("f", Kind::File), ("d", Kind::Dir), ("l", Kind::Symlink), ("b", Kind::Block)] {
        let rdev = if kind == Kind::Block { rdev } else { Device::default() };
        let attrs = Attrs { mode: if kind == Kind::Symlink { 0o777 } else { attrs.mode }, ..attrs };
        let node = held.layer.stage(&New { attrs, rdev, faithful: false, ..new(kind) }).expect("staging works");
        commit(&*held.layer, Step::Place { node: &node, dir: &root, name: name(target), quiet: false });
        let found = at(&*held.layer, target);
        let stat = held.layer.stat(&found).expect("stat works");
        assert_eq!((found.kind, stat.kind, stat.rdev), (kind, kind, rdev), "{target}");
        assert_eq!(stat.attrs, attrs, "{target}");
    }
    let kinds: Vec<_> = held.layer.list(&root, None, 9, true).expect("list works");
    assert_eq!(kinds.iter().map(|e| e.kind).collect::<Vec<_>>(), [Kind::Block, Kind::Dir, Kind::File, Kind::Symlink]);
    assert!(kinds.iter().all(|e| e.stat.is_some_and(|stat| stat.attrs.uid == 77)));
}

/// A copy keeps holes, and a write leaves a gap of zeros.
pub fn content_is_written_at_any_place(make: Make<'_>) {
    let held = drawn(make, "f=abc");
    let content = held.layer.open_mut(&at(&*held.layer, "f")).expect("open works");
    content.write_at(b"xyz", 300_000).expect("write works");
    assert_eq!(content.size().expect("size works"), 300_003);
    let mut gap = [1; 4];
    assert_eq!(content.read_at(&mut gap, 200_000).expect("read works"), 4);
    assert_eq!(gap, [0; 4]);
    let copy = held.layer.stage(&new(Kind::File)).expect("staging works");
    let copied = held.layer.open_mut(&copy).expect("open works");
    assert_eq!(copied.copy_from(&*content).expect("copy works"), 300_003);
    assert_eq!(read_all(&*copied).expect("read works"), read_all(&*content).expect("read works"));
    content.set_len(2).expect("truncation works");
    content.set_len(5).expect("growth works");
    assert_eq!(read_all(&*content).expect("read works"), b"ab\0\0\0");
}

/// A quiet placement leaves the directory's times alone (semantics U04).
pub fn a_copy_up_is_no_change_of_its_directory(make: Make<'_>) {
    let held = drawn(make, "d/");
    let dir = at(&*held.layer, "d");
    let before = held.layer.stat(&dir).expect("stat works").attrs;
    let node = held.layer.stage(&New { copied_up: true, ..new(Kind::File) }).expect("staging works");
    commit(&*held.layer, Step::Place { node: &node, dir: &dir, name: name("f"), quiet: true });
    assert_eq!(held.layer.stat(&dir).expect("stat works").attrs, before);
}

/// A redirect is kept (by uppers that can).
pub fn a_redirect_is_kept(make: Make<'_>) {
    let held = drawn(make, "d/");
    if !held.layer.caps().redirects {
        return;
    }
    let change = Change { redirect: Some(b"/x/y".as_slice().into()), ..Change::default() };
    commit(&*held.layer, Step::Set { node: &at(&*held.layer, "d"), change: &change });
    shows(&*held.layer, "d/@/x/y");
}

/// Names that look like the layer's own are plain names.
pub fn no_name_is_special(make: Make<'_>) {
    let names =
        [".wh.a", ".wh..wh..opq", ".ovl.w.a", ".ovl.m.a", ".ovl.n.61", ".ovl-form", "#1", "con", "a.", "a:b\\c"];
    let held = drawn(make, "");
    let root = held.layer.root();
    for text in names {
        let node = held.layer.stage(&new(Kind::Symlink)).expect("staging works");
        commit(&*held.layer, Step::Place { node: &node, dir: &root, name: name(text), quiet: false });
    }
    let listed = held.layer.list(&root, None, 99, false).expect("list works");
    let mut expected = names;
    expected.sort_unstable();
    assert_eq!(listed.iter().map(|e| e.name.as_bytes()).collect::<Vec<_>>(), expected.map(str::as_bytes));
    let long = VPath::parse("n".repeat(255).as_bytes()).expect("valid");
    let node = held.layer.stage(&new(Kind::Dir)).expect("staging works");
    let long = long.last().expect("a name");
    commit(&*held.layer, Step::Place { node: &node, dir: &root, name: long, quiet: false });
    commit(&*held.layer, Step::Remove { dir: &root, name: long, leave: Leave::Whiteout });
    let found = held.layer.lookup(&root, long).expect("lookup works").expect("a whiteout");
    assert_eq!(found.kind, Kind::Whiteout);
}

/// Gives an upper the suite: a name for the module, and a function to a [`Held`] empty upper.
#[macro_export]
macro_rules! upper_suite {
    ($name:ident, $make:expr) => {
        $crate::suite_tests!(
            $name,
            upper_suite,
            $make,
            [
                a_drawing_comes_back,
                a_staged_object_shows_nowhere,
                placing_replaces_what_stands_there,
                a_directory_over_a_whiteout,
                a_staged_tree_appears_whole,
                a_move_leaves_what_it_is_asked_to,
                a_move_between_directories_keeps_the_object,
                an_exchange_swaps,
                removing_leaves_what_it_is_asked_to,
                links_are_one_object,
                metadata_comes_back,
                unfaithful_metadata_comes_back,
                content_is_written_at_any_place,
                a_copy_up_is_no_change_of_its_directory,
                a_redirect_is_kept,
                no_name_is_special,
            ]
        );
    };
}
