//! What every layer owes its readers. One line gives a layer the whole suite:
//!
//! ```text
//! ovl_core::layer_suite!(memory, |items| Held::new(filled(items)));
//! ```

use std::{any::Any, collections::BTreeSet, sync::Arc};

use crate::{
    Kind, Layer, Name, NameBuf, Node, Time, VPath,
    testing::drawing::{Item, parse, read_all},
};

/// A layer under test, with what must live as long (a temporary directory, say).
pub struct Held<L> {
    /// The layer.
    pub layer: L,
    keep: Vec<Box<dyn Any>>,
}

impl<L> Held<L> {
    /// Returns a layer that needs nothing beside it.
    pub fn new(layer: L) -> Self {
        Self { layer, keep: Vec::new() }
    }

    /// Keeps something alive beside the layer.
    pub fn with(mut self, keep: impl Any) -> Self {
        self.keep.push(Box::new(keep));
        self
    }
}

/// How a suite gets a layer that holds the given objects.
pub type Make<'a> = &'a dyn Fn(&[Item]) -> Held<Arc<dyn Layer>>;

/// Returns the node at a path.
pub fn at(layer: &dyn Layer, path: &str) -> Node {
    let path = VPath::parse(path.as_bytes()).expect("a test's path");
    path.names().fold(layer.root(), |dir, name| {
        layer.lookup(&dir, name).expect("lookup works").unwrap_or_else(|| panic!("{path} is missing"))
    })
}

fn name(text: &str) -> Name<'_> {
    Name::new(text.as_bytes()).expect("a test's name")
}

fn listed(layer: &dyn Layer, dir: &Node) -> Vec<NameBuf> {
    layer.list(dir, None, usize::MAX, false).expect("list works").into_iter().map(|entry| entry.name).collect()
}

/// A missing name is an answer, not a failure.
pub fn a_missing_name_is_no_error(make: Make<'_>) {
    let held = make(&parse("d/a=1"));
    let dir = at(&*held.layer, "d");
    assert!(held.layer.lookup(&dir, name("b")).expect("lookup works").is_none());
    assert!(held.layer.lookup(&held.layer.root(), name("a")).expect("lookup works").is_none());
}

/// The root is a directory, also of an empty tree.
pub fn an_empty_tree_has_a_root(make: Make<'_>) {
    let held = make(&[]);
    let root = held.layer.root();
    assert_eq!(root.kind, Kind::Dir);
    assert_eq!(held.layer.stat(&root).expect("stat works").kind, Kind::Dir);
    assert_eq!(listed(&*held.layer, &root), []);
}

/// Kinds, content, targets and modes come back as they were put in.
pub fn objects_come_back_as_they_were(make: Make<'_>) {
    let held = make(&parse("d/:750 d/a=hello:640 l->../nowhere/at-all e/ empty="));
    let layer = &*held.layer;
    for (path, kind, mode) in [("d", Kind::Dir, 0o750), ("d/a", Kind::File, 0o640), ("e", Kind::Dir, 0o755)] {
        let node = at(layer, path);
        let stat = layer.stat(&node).expect("stat works");
        assert_eq!((node.kind, stat.kind, stat.attrs.mode), (kind, kind, mode), "{path}");
        assert_eq!(stat.attrs.mtime, Time { secs: 1_000_000_000, nanos: 0 }, "{path}");
    }
    let open = |path| layer.open(&at(layer, path)).expect("open works");
    assert_eq!(read_all(&*open("d/a")).expect("read works"), b"hello");
    assert_eq!(read_all(&*open("empty")).expect("read works"), b"");
    assert_eq!(layer.stat(&at(layer, "d/a")).expect("stat works").size, 5);
    let link = at(layer, "l");
    assert_eq!(layer.target(&link).expect("target works"), b"../nowhere/at-all");
    assert_eq!(layer.stat(&link).expect("stat works").size, 17);
}

/// Names are bytes: nothing is normalised, folded or decoded, and `.wh.` means nothing (semantics L15).
pub fn names_are_bytes(make: Make<'_>) {
    let long = "n".repeat(255);
    let names =
        [".wh.a", ".wh..wh..opq", "A", "a", "caf\u{e9}", "cafe\u{301}", "%41", "a:b", "a b\n\t", "-", "#x", &long];
    let item = |text: &&str| Item::new(VPath::parse(text.as_bytes()).expect("valid"), Kind::File);
    let held = make(&names.iter().map(item).collect::<Vec<_>>());
    let expected: BTreeSet<&[u8]> = names.iter().map(|text| text.as_bytes()).collect();
    let listed = listed(&*held.layer, &held.layer.root());
    assert_eq!(listed.iter().map(NameBuf::as_bytes).collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>());
    for text in names {
        assert!(held.layer.lookup(&held.layer.root(), name(text)).expect("lookup works").is_some(), "{text:?}");
    }
}

/// Pages of any size join to the whole listing, sorted by bytes.
pub fn pages_join_to_the_whole_listing(make: Make<'_>) {
    let words: Vec<String> = (0..23).map(|i| format!("d/f{:02}={i}", (i * 7) % 23)).collect();
    let held = make(&parse(&words.join(" ")));
    let dir = at(&*held.layer, "d");
    let whole = listed(&*held.layer, &dir);
    assert_eq!(whole.len(), 23);
    assert!(whole.is_sorted());
    for max in [1, 2, 7, 22, 23, 24] {
        let mut joined: Vec<NameBuf> = Vec::new();
        loop {
            let after = joined.last().cloned();
            let page = held.layer.list(&dir, after.as_ref().map(NameBuf::as_name), max, false).expect("list works");
            let ended = page.len() < max;
            joined.extend(page.into_iter().map(|entry| entry.name));
            if ended {
                break;
            }
        }
        assert_eq!(joined, whole, "pages of {max}");
    }
}

/// A listing with attributes tells what `stat` tells.
pub fn a_listing_tells_what_stat_tells(make: Make<'_>) {
    let held = make(&parse("d/ d/x=1 a=12345:600 l->a z/:700"));
    let root = held.layer.root();
    for entry in held.layer.list(&root, None, 100, true).expect("list works") {
        let node = held.layer.lookup(&root, entry.name.as_name()).expect("lookup works").expect("it is listed");
        assert_eq!(entry.stat, Some(held.layer.stat(&node).expect("stat works")), "{:?}", entry.name);
        assert_eq!(entry.kind, node.kind);
        assert_eq!(held.layer.stat_at(&root, entry.name.as_name()).expect("stat works"), entry.stat);
    }
    assert_eq!(held.layer.stat_at(&root, name("b")).expect("stat works"), None);
}

/// What is told of an object, by its node and by its name, is what the single calls tell.
pub fn all_facts_are_those_told_one_by_one(make: Make<'_>) {
    let held = make(&parse("d/ d/x=1 a=12345:600 l->a z/:700"));
    let (layer, root) = (&*held.layer, held.layer.root());
    for entry in layer.list(&root, None, 100, false).expect("list works") {
        let node = layer.lookup(&root, entry.name.as_name()).expect("lookup works").expect("it is listed");
        let stat = layer.stat(&node).expect("stat works");
        let (marks, xattrs) = (layer.marks(&node).expect("marks work"), layer.xattrs(&node).expect("xattrs work"));
        let told = layer.facts(&node).expect("facts work");
        assert_eq!((told.stat, &told.marks, &told.xattrs), (stat, &marks, &xattrs));
        assert_eq!(layer.facts_at(&root, entry.name.as_name()).expect("facts work"), Some(told));
    }
    assert_eq!(layer.facts_at(&root, name("b")).expect("facts work"), None);
}

/// A directory that was entered is listed as often as one likes, and is the same that a lookup finds.
pub fn an_entered_directory_is_listed_like_any_other(make: Make<'_>) {
    let held = make(&parse("d/a=1 d/b=2 d/c/ f=3"));
    let (layer, root) = (&*held.layer, held.layer.root());
    let enter = |dir: &Node, text| layer.enter(dir, name(text)).expect("enter works");
    let dir = enter(&root, "d").expect("it is there");
    let expected = listed(layer, &at(layer, "d"));
    (0..3).for_each(|_| assert_eq!(listed(layer, &dir), expected));
    let after = layer.list(&dir, Some(name("a")), 1, false).expect("list works");
    assert_eq!(after[0].name.as_bytes(), b"b");
    assert_eq!(layer.stat(&dir).expect("stat works"), layer.stat(&at(layer, "d")).expect("stat works"));
    assert_eq!(listed(layer, &enter(&dir, "c").expect("it is there")), []);
    assert_eq!(enter(&root, "f").expect("it is there").kind, Kind::File);
    assert!(enter(&root, "x").is_none());
}

/// Content reads the same from any offset and in any order.
pub fn content_reads_at_any_place(make: Make<'_>) {
    let content: Vec<u8> = (0..200_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let file = Item { content: content.clone(), ..Item::new(VPath::parse(b"f").expect("valid"), Kind::File) };
    let held = make(&[file]);
    let blob = held.layer.open(&at(&*held.layer, "f")).expect("open works");
    assert_eq!(blob.size().expect("size works"), 200_000);
    for offset in [0, 199_999, 65_535, 65_536, 7, 131_072, 100_000, 0] {
        let mut buf = [0; 777];
        let got = blob.read_at(&mut buf, offset as u64).expect("read works");
        assert!(got > 0 && buf[..got] == content[offset..offset + got], "at {offset}");
    }
    assert_eq!(blob.read_at(&mut [0; 10], 200_000).expect("read works"), 0);
    assert_eq!(blob.read_at(&mut [0; 10], u64::MAX).expect("read works"), 0);
    assert_eq!(read_all(&*blob).expect("read works"), content);
}

/// Plain objects carry no marks.
pub fn plain_objects_carry_no_marks(make: Make<'_>) {
    let held = make(&parse("d/a=1 l->d"));
    for path in ["d", "d/a", "l"] {
        assert_eq!(held.layer.marks(&at(&*held.layer, path)).expect("marks work"), Default::default(), "{path}");
    }
}

/// Many readers at once see the same.
pub fn readers_do_not_disturb_each_other(make: Make<'_>) {
    let held = make(&parse("d/a=one d/b=two"));
    let one = held.layer.open(&at(&*held.layer, "d/a")).expect("open works");
    let two = held.layer.open(&at(&*held.layer, "d/b")).expect("open works");
    let again = held.layer.open(&at(&*held.layer, "d/a")).expect("open works");
    assert_eq!(read_all(&*two).expect("read works"), b"two");
    assert_eq!(read_all(&*one).expect("read works"), b"one");
    assert_eq!(read_all(&*again).expect("read works"), b"one");
}

/// Gives a layer the suite: a name for the module, and a function from objects to a [`Held`] layer.
#[macro_export]
macro_rules! layer_suite {
    ($name:ident, $make:expr) => {
        $crate::suite_tests!(
            $name,
            suite,
            $make,
            [
                a_missing_name_is_no_error,
                an_empty_tree_has_a_root,
                objects_come_back_as_they_were,
                names_are_bytes,
                pages_join_to_the_whole_listing,
                a_listing_tells_what_stat_tells,
                all_facts_are_those_told_one_by_one,
                an_entered_directory_is_listed_like_any_other,
                content_reads_at_any_place,
                plain_objects_carry_no_marks,
                readers_do_not_disturb_each_other,
            ]
        );
    };
}

/// Turns functions of a suite into tests of a layer.
#[macro_export]
macro_rules! suite_tests {
    ($name:ident, $suite:ident, $make:expr, [$($test:ident),* $(,)?]) => {
        mod $name {
            #[allow(unused_imports, reason = "the maker may be a plain path")]
            use super::*;
            $(
                #[test]
                fn $test() {
                    $crate::testing::$suite::$test(&$make);
                }
            )*
        }
    };
}
