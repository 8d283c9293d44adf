//! Trees drawn as text, one word an object, in any order; missing parents are made.
//!
//! ```text
//! a=1            a file with content "1"          d/      a directory
//! a=1:4755       with mode 4755                   d/:700  with mode 700
//! d/!            an opaque directory              d/@old  a directory with the redirect "old" (or "/a/b")
//! l->d/a         a symbolic link                  -a      a whiteout
//! p|             a fifo                           a+=1    metadata of a file alone, its content below
//! ```

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    Attrs, Change, Device, Error, Kind, Layer, Leave, Marks, New, Node, Opaque, Overlay, Result, Step, Time, VPath,
    WritableLayer, Xattr,
    layers::memory::Memory,
    overlay::{Follow, Policy, WalkOptions},
};

/// One object of a tree to be built.
#[derive(Clone, Debug)]
pub struct Item {
    /// Where.
    pub path: VPath,
    /// What; [`Kind::Whiteout`] too.
    pub kind: Kind,
    /// Mode, owner, times.
    pub attrs: Attrs,
    /// A file's content.
    pub content: Vec<u8>,
    /// A symlink's target.
    pub target: Vec<u8>,
    /// Extended attributes.
    pub xattrs: Vec<Xattr>,
    /// Overlay marks.
    pub marks: Marks,
}

impl Item {
    /// Returns an object with mode 0755 or 0644, owned by root, of the year 2001.
    pub fn new(path: VPath, kind: Kind) -> Self {
        let mode = if kind == Kind::Dir { 0o755 } else { 0o644 };
        let time = Time { secs: 1_000_000_000, nanos: 0 };
        let attrs = Attrs { mode, mtime: time, atime: time, ..Attrs::default() };
        let (content, target, xattrs) = Default::default();
        Self { path, kind, attrs, content, target, xattrs, marks: Marks::default() }
    }
}

/// Reads a drawing. Panics when it is not one: drawings stand in tests.
pub fn parse(text: &str) -> Vec<Item> {
    text.split_whitespace().map(word).collect()
}

fn path(text: &str) -> VPath {
    VPath::parse(text.as_bytes()).expect("a drawing holds valid paths")
}

fn word(text: &str) -> Item {
    if let Some(gone) = text.strip_prefix('-') {
        return Item::new(path(gone), Kind::Whiteout);
    }
    if let Some((link, target)) = text.split_once("->") {
        return Item { target: target.into(), ..Item::new(path(link), Kind::Symlink) };
    }
    if let Some(fifo) = text.strip_suffix('|') {
        return Item::new(path(fifo), Kind::Fifo);
    }
    let (text, mode) = match text.rsplit_once(':') {
        Some((text, mode)) => (text, u32::from_str_radix(mode, 8).ok()),
        None => (text, None),
    };
    let mut item = match text.split_once('=') {
        Some((name, content)) => file(name, content),
        None => directory(text),
    };
    item.attrs.mode = mode.unwrap_or(item.attrs.mode);
    item
}

fn file(name: &str, content: &str) -> Item {
    let metacopy = name.ends_with('+');
    let marks = Marks { metacopy, ..Marks::default() };
    Item { content: content.into(), marks, ..Item::new(path(name.trim_end_matches('+')), Kind::File) }
}

fn directory(text: &str) -> Item {
    let (name, marks) = text.rsplit_once('/').expect("a word is a file, a link, a fifo, a whiteout or a directory");
    let (name, marks) = match text.split_once("/@") {
        Some((name, redirect)) => (name, Marks { redirect: Some(redirect.as_bytes().into()), ..Marks::default() }),
        None => (name, Marks { opaque: if marks == "!" { Opaque::Yes } else { Opaque::No }, ..Marks::default() }),
    };
    Item { marks, ..Item::new(path(name), Kind::Dir) }
}

/// Builds a tree in an empty layer, parents first.
pub fn fill(layer: &dyn WritableLayer, items: &[Item]) -> Result<()> {
    let mut dirs = BTreeMap::from([(VPath::root(), layer.root())]);
    let mut items: Vec<&Item> = items.iter().collect();
    items.sort_by_key(|item| &item.path);
    for item in items {
        let Some((parent, name)) = item.path.split() else { continue };
        let dir = fill_dir(layer, &mut dirs, &parent)?;
        if item.kind == Kind::Whiteout {
            layer.commit(&[Step::Remove { dir: &dir, name, leave: Leave::Whiteout }], item.attrs.mtime)?;
            continue;
        }
        let node = stage(layer, item)?;
        layer.commit(&[Step::Place { node: &node, dir: &dir, name, quiet: true }], item.attrs.mtime)?;
        dirs.insert(item.path.clone(), node);
    }
    layer.settle()
}

fn fill_dir(layer: &dyn WritableLayer, dirs: &mut BTreeMap<VPath, Node>, path: &VPath) -> Result<Node> {
    if let Some(node) = dirs.get(path) {
        return Ok(node.clone());
    }
    let Some((parent, name)) = path.split() else { return Ok(layer.root()) };
    let above = fill_dir(layer, dirs, &parent)?;
    let node = stage(layer, &Item::new(path.clone(), Kind::Dir))?;
    layer.commit(&[Step::Place { node: &node, dir: &above, name, quiet: true }], Time::default())?;
    dirs.insert(path.clone(), node.clone());
    Ok(node)
}

fn stage(layer: &dyn WritableLayer, item: &Item) -> Result<Node> {
    let node = layer.stage(&New {
        kind: item.kind,
        attrs: item.attrs,
        rdev: Device::default(),
        target: &item.target,
        xattrs: &item.xattrs,
        marks: item.marks.clone(),
        copied_up: false,
        faithful: true,
    })?;
    if item.kind == Kind::File {
        let content = layer.open_mut(&node)?;
        content.write_at(&item.content, 0)?;
        content.sync()?;
        let change = Change { mtime: Some(item.attrs.mtime), atime: Some(item.attrs.atime), ..Change::default() };
        layer.commit(&[Step::Set { node: &node, change: &change }], item.attrs.mtime)?;
    }
    Ok(node)
}

/// Returns a memory layer that holds a drawing.
pub fn memory(name: &str, text: &str) -> Arc<Memory> {
    let layer = Memory::new(name, 0);
    fill(&*layer, &parse(text)).expect("memory takes every drawing");
    layer
}

/// Returns the overlay of drawn layers in memory: an upper, and lowers from the top.
pub fn stack(upper: &str, lowers: &[&str]) -> Arc<Overlay> {
    let lowers = lowers.iter().enumerate().map(|(i, text)| memory(&format!("lower{}", i + 1), text) as Arc<dyn Layer>);
    let upper = memory("upper", upper);
    Overlay::new(Some(upper), lowers.collect(), Policy::default(), None).expect("a small stack is taken")
}

/// Draws what an overlay shows, sorted by path; an error is drawn in its place.
pub fn draw(overlay: &Arc<Overlay>) -> String {
    let mut words = Vec::new();
    let walk = overlay.walk(&VPath::root(), WalkOptions::default());
    for line in walk.into_iter().flatten() {
        words.push(match line {
            Ok((path, _)) => drawn(overlay, &path).unwrap_or_else(|e| format!("{path}?{:?}", e.kind())),
            Err(e) => format!("?{e}"),
        });
    }
    words.sort();
    words.join(" ")
}

fn drawn(overlay: &Overlay, path: &VPath) -> Result<String> {
    let name = &path.to_string()[1..];
    Ok(match overlay.entry(path, Follow::No)?.stat.kind {
        Kind::Dir => format!("{name}/"),
        Kind::Symlink => format!("{name}->{}", crate::printable(&overlay.target(path)?)),
        Kind::File => format!("{name}={}", crate::printable(&content(overlay, path)?)),
        Kind::Fifo => format!("{name}|"),
        kind => format!("{name}?{kind:?}"),
    })
}

/// Reads a file whole.
pub fn content(overlay: &Overlay, path: &VPath) -> Result<Vec<u8>> {
    let (_, blob) = overlay.open(path, Follow::No)?;
    read_all(&*blob)
}

/// Reads a blob whole, in pieces.
pub fn read_all(blob: &dyn crate::Blob) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut piece = [0; 5000];
    loop {
        match blob.read_at(&mut piece, bytes.len() as u64)? {
            0 => return Ok(bytes),
            got => bytes.extend_from_slice(&piece[..got]),
        }
    }
}

/// Draws what one layer holds, whiteouts and marks included.
pub fn draw_layer(layer: &dyn Layer) -> String {
    let mut words = Vec::new();
    draw_dir(layer, &layer.root(), "", &mut words).unwrap_or_else(|e: Error| words.push(format!("?{e}")));
    words.sort();
    words.join(" ")
}

fn draw_dir(layer: &dyn Layer, dir: &Node, above: &str, words: &mut Vec<String>) -> Result<()> {
    for entry in layer.list(dir, None, usize::MAX, false)? {
        let name = format!("{above}{}", crate::printable(entry.name.as_bytes()));
        let Some(node) = layer.lookup(dir, entry.name.as_name())? else { continue };
        words.push(draw_node(layer, &node, &name)?);
        if node.kind == Kind::Dir {
            draw_dir(layer, &node, &format!("{name}/"), words)?;
        }
    }
    Ok(())
}

fn draw_node(layer: &dyn Layer, node: &Node, name: &str) -> Result<String> {
    let marks = layer.marks(node)?;
    Ok(match node.kind {
        Kind::Whiteout => format!("-{name}"),
        Kind::Symlink => format!("{name}->{}", crate::printable(&layer.target(node)?)),
        Kind::Fifo => format!("{name}|"),
        Kind::Dir => match (&marks.redirect, marks.opaque) {
            (Some(redirect), _) => format!("{name}/@{}", crate::printable(redirect)),
            (None, Opaque::Yes) => format!("{name}/!"),
            _ => format!("{name}/"),
        },
        Kind::File if marks.metacopy => format!("{name}+="),
        Kind::File => format!("{name}={}", crate::printable(&read_all(&*layer.open(node)?)?)),
        kind => format!("{name}?{kind:?}"),
    })
}
