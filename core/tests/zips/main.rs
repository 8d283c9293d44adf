//! The zip layer: what it serves, what it leaves out, what it refuses.

mod attributes;
mod differential;
mod hostile;
mod odd;
mod reading;

use std::sync::Arc;

use ovl_core::{
    Error, ErrorKind, Kind, Layer, Node, Result, VPath,
    layers::zip::{self, Options, Zip},
    printable,
    testing::{drawing::read_all, source::Source, suite::at},
};

/// Opens bytes as the layer `a.zip`.
fn open(bytes: Vec<u8>) -> Result<Arc<Zip>> {
    open_with(bytes, Options::default())
}

fn open_with(bytes: Vec<u8>, options: Options) -> Result<Arc<Zip>> {
    zip::open(Source::new(bytes), &Options { name: "a.zip".into(), ..options })
}

/// Returns a file's content.
fn content(layer: &Zip, path: &str) -> Result<Vec<u8>> {
    read_all(&*layer.open(&at(layer, path))?)
}

/// Draws a tree, sorted by path: `d/ d/a=1 l->x`; an object that cannot be read is drawn as `a?Kind`.
fn draw(layer: &Zip) -> String {
    let mut words = Vec::new();
    walk(layer, &layer.root(), &VPath::root(), &mut |path, node| words.push(word(layer, path, node)));
    words.sort();
    words.join(" ")
}

/// Calls `visit` for everything in the tree.
fn walk(layer: &Zip, dir: &Node, path: &VPath, visit: &mut dyn FnMut(&VPath, &Node)) {
    for entry in layer.list(dir, None, usize::MAX, false).expect("list works") {
        let name = entry.name.as_name();
        let node = layer.lookup(dir, name).expect("lookup works").expect("what is listed is found");
        let path = path.join(name);
        assert_eq!(VPath::parse(path.as_bytes()).expect("every shown path is valid"), path);
        visit(&path, &node);
        if entry.kind == Kind::Dir {
            walk(layer, &node, &path, visit);
        }
    }
}

fn word(layer: &Zip, path: &VPath, node: &Node) -> String {
    let name = printable(path.as_bytes());
    let read = |result: Result<Vec<u8>>, sign: &str| match result {
        Ok(bytes) => format!("{name}{sign}{}", printable(&bytes)),
        Err(error) => format!("{name}?{:?}", error.kind()),
    };
    match node.kind {
        Kind::Dir => format!("{name}/"),
        Kind::File => read(layer.open(node).and_then(|blob| read_all(&*blob)), "="),
        Kind::Symlink => read(layer.target(node), "->"),
        kind => format!("{name}?{kind:?}"),
    }
}

/// Returns the reports as text: `name: reason`, with `(shown)` where the entry is served all the same.
fn reports(layer: &Zip) -> Vec<String> {
    let line = |omitted: &ovl_core::Omitted| {
        let shown = if omitted.shown { " (shown)" } else { "" };
        format!("{}: {}{shown}", printable(&omitted.name), omitted.reason)
    };
    layer.caps().omitted.iter().map(line).collect()
}

/// Asserts that a failure is of this kind, names the layer and gives this reason.
fn assert_refused(error: &Error, kind: ErrorKind, reason: &str, what: &str) {
    assert_eq!(error.kind(), kind, "{what}: {error}");
    assert_eq!(error.layer(), Some("a.zip"), "{what}: {error}");
    assert!(error.cause().is_some_and(|cause| cause.contains(reason)), "{what}: {error}");
}
