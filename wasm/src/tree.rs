//! Trees that are handed over: a list of files, directories, links and whiteouts becomes a layer in memory.

use std::sync::Arc;

use js_sys::Array;
use ovl_core::{
    Attrs, Change, Kind, Layer, Leave, Marks, New, Node, Opaque, Result as CoreResult, Step, Time, VPath,
    WritableLayer, layers::memory::Memory,
};
use wasm_bindgen::{JsCast, JsValue};

use crate::{
    fail::{Failure, Result},
    progress, source,
    value::{ctx, field, mode, nonce, path, text, time},
};

/// The caller hears each time that so many items more are done.
const STEP: u64 = 500;

/// Builds a layer.
///
/// # Errors
/// What is wrong with an item, with its path; two items of one path (`already-exists`); `cancelled`.
pub(crate) fn build(name: &str, items: &JsValue) -> Result<Arc<Memory>> {
    let tree = Memory::new(name, nonce());
    let items = items.dyn_ref::<Array>().ok_or_else(|| Failure::input("a tree is a list of items"))?;
    for (done, item) in (0..).zip(items.iter()) {
        if done % STEP == 0 {
            progress::tell(done, Some(items.length().into()))?;
        }
        let at = path(&field(&item, "path"))?;
        add(&tree, &at, &item).map_err(|failure| failure.or_at(&at))?;
    }
    Ok(tree)
}

fn add(tree: &Memory, at: &VPath, item: &JsValue) -> Result<()> {
    let now = ctx().now;
    let target = text(&field(item, "target"));
    let kind = match (field(item, "kind").as_string().as_deref(), &target) {
        (None, None) | (Some("file"), _) => Kind::File,
        (None, Some(_)) | (Some("symlink"), _) => Kind::Symlink,
        (Some("dir"), _) => Kind::Dir,
        (Some("whiteout"), _) => Kind::Whiteout,
        _ => return Err(Failure::input("the kind of an item is file, dir, symlink or whiteout")),
    };
    let Some((parent, name)) = at.split() else { return set_root(tree, item, now) };
    let dir = make_dirs(tree, &parent, now)?;
    let found = tree.lookup(&dir, name)?;
    if kind == Kind::Whiteout {
        let step = Step::Remove { dir: &dir, name, leave: Leave::Whiteout };
        return Ok(tree.commit(&[step], now)?);
    }
    let attrs = attrs(item, kind, now)?;
    match found {
        Some(made) if kind == Kind::Dir && made.kind == Kind::Dir => return set(tree, &made, item, attrs, now),
        Some(_) => return Err(Failure::new("already-exists", "two items have one path")),
        None => {}
    }
    let node = stage(tree, item, kind, attrs, target.as_deref().unwrap_or_default())?;
    Ok(tree.commit(&[Step::Place { node: &node, dir: &dir, name, quiet: true }], now)?)
}

fn set_root(tree: &Memory, item: &JsValue, now: Time) -> Result<()> {
    let attrs = attrs(item, Kind::Dir, now)?;
    set(tree, &tree.root(), item, attrs, now)
}

/// Gives a directory that was made on the way to another its own attributes.
fn set(tree: &Memory, node: &Node, item: &JsValue, attrs: Attrs, now: Time) -> Result<()> {
    let opaque = field(item, "opaque").is_truthy();
    let change = Change { mode: Some(attrs.mode), mtime: Some(attrs.mtime), opaque, ..Change::default() };
    Ok(tree.commit(&[Step::Set { node, change: &change }], now)?)
}

fn stage(tree: &Memory, item: &JsValue, kind: Kind, attrs: Attrs, target: &[u8]) -> Result<Node> {
    let content = field(item, "content");
    if kind == Kind::File && !content.is_undefined() {
        let content = match text(&content) {
            Some(text) => Arc::new(text),
            None => source::open(&content)?,
        };
        return Ok(tree.stage_given(attrs, content));
    }
    if kind == Kind::Symlink && (target.is_empty() || target.contains(&0) || target.len() >= ovl_core::PATH_MAX) {
        return Err(Failure::input("a link needs a target of 1 to 4,095 bytes"));
    }
    let opaque = if field(item, "opaque").is_truthy() { Opaque::Yes } else { Opaque::No };
    Ok(tree.stage(&new(kind, attrs, target, opaque))?)
}

fn new(kind: Kind, attrs: Attrs, target: &[u8], opaque: Opaque) -> New<'_> {
    let marks = Marks { opaque, ..Marks::default() };
    let (rdev, xattrs, copied_up, faithful) = (ovl_core::Device::default(), &[][..], false, false);
    New { kind, attrs, rdev, target, xattrs, marks, copied_up, faithful }
}

fn make_dirs(tree: &Memory, path: &VPath, now: Time) -> Result<Node> {
    let mut dir = tree.root();
    for name in path.names() {
        dir = match tree.lookup(&dir, name)? {
            Some(found) if found.kind == Kind::Dir => found,
            Some(_) => return Err(Failure::new("not-a-directory", "an item lies beneath one that is no directory")),
            None => make_dir(tree, &dir, name, now)?,
        };
    }
    Ok(dir)
}

fn make_dir(tree: &Memory, dir: &Node, name: ovl_core::Name<'_>, now: Time) -> CoreResult<Node> {
    let attrs = Attrs { mode: 0o755, atime: now, mtime: now, ..Attrs::default() };
    let node = tree.stage(&new(Kind::Dir, attrs, b"", Opaque::No))?;
    tree.commit(&[Step::Place { node: &node, dir, name, quiet: true }], now)?;
    Ok(node)
}

fn attrs(item: &JsValue, kind: Kind, now: Time) -> Result<Attrs> {
    let default = match kind {
        Kind::Dir => 0o755,
        Kind::Symlink => 0o777,
        _ => 0o644,
    };
    let given = |name: &str| Some(field(item, name)).filter(|value| !value.is_undefined());
    let mode = given("mode").map_or(Ok(default), |value| mode(&value))?;
    let mtime = given("mtime").map_or(Ok(now), |value| time(&value))?;
    Ok(Attrs { mode, atime: mtime, mtime, ..Attrs::default() })
}
