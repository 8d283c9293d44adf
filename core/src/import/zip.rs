//! Reading a zip: an exported upper with its manifest, or any other.

use std::sync::Arc;

use super::{
    Archive, Entry, Options, corrupt,
    manifest::{self, Manifest},
};
use crate::{
    Attrs, Blob, Device, Kind, Layer, Marks, Name, Omitted, Result, VPath,
    descent::Descent,
    export::manifest::{COMMENT, PATH},
    layers::zip::{self, Names},
    overlay::Item,
};

/// A zip being read.
pub(super) struct Zip {
    layer: Arc<zip::Zip>,
    objects: Descent,
    /// Of an exported upper alone.
    manifest: Option<Manifest>,
}

impl Zip {
    pub(super) fn open(source: &Arc<dyn Blob>, options: &Options) -> Result<Self> {
        let is_upper = has_comment(&**source)?;
        let names = if is_upper { Names::Bytes } else { options.names };
        let name = "the archive".to_owned();
        let options = zip::Options { name, names, whiteouts: is_upper, strict: is_upper, ..zip::Options::default() };
        let layer = zip::open(source.clone(), &options)?;
        let manifest = if is_upper { Some(read_manifest(&*layer)?) } else { None };
        let objects = Descent::new(layer.clone(), layer.root(), VPath::root(), false);
        Ok(Self { layer, objects, manifest })
    }

    fn item(&mut self, stored: VPath, node: &crate::Node) -> Result<Option<Item>> {
        let target = if node.kind == Kind::Symlink { self.layer.target(node)? } else { Vec::new() };
        let content = if node.kind == Kind::File { Some(self.layer.open(node)?) } else { None };
        let item = Item {
            path: stored,
            kind: node.kind,
            attrs: Attrs::default(),
            rdev: Device::default(),
            target,
            xattrs: Vec::new(),
            marks: Marks::default(),
            link: None,
            content,
        };
        match &mut self.manifest {
            Some(manifest) => told(manifest, item),
            None => {
                let stat = self.layer.stat(node)?;
                Ok(Some(Item { attrs: stat.attrs, rdev: stat.rdev, ..item }))
            }
        }
    }
}

/// Returns an object as the manifest tells of it.
fn told(manifest: &mut Manifest, item: Item) -> Result<Option<Item>> {
    let Some((path, line)) = manifest.take(&item.path, item.kind)? else { return Ok(None) };
    let link = manifest::link(&line)?;
    let content = item.content.filter(|_| link.is_none());
    let (attrs, rdev) = (manifest::attrs(&line), manifest::rdev(&line));
    let (marks, xattrs) = (manifest::marks(&line)?, manifest::xattrs(&line)?);
    Ok(Some(Item { path, attrs, rdev, marks, xattrs, link, content, ..item }))
}

impl Archive for Zip {
    fn is_upper(&self) -> bool {
        self.manifest.is_some()
    }

    fn next(&mut self) -> Result<Option<Entry>> {
        while let Some(found) = self.objects.advance()? {
            let Some(node) = found.node(&*self.layer)? else { continue };
            if let Some(item) = self.item(found.path.clone(), &node).map_err(|e| e.or_at(&found.path))? {
                return Ok(Some(Entry::Object(item)));
            }
        }
        self.manifest.as_ref().map_or(Ok(()), Manifest::must_be_spent)?;
        Ok(None)
    }

    fn omitted(&mut self) -> Vec<Omitted> {
        self.layer.caps().omitted.clone()
    }
}

/// Returns whether the archive ends with our comment: only then a manifest is one.
fn has_comment(source: &dyn Blob) -> Result<bool> {
    let len = COMMENT.len() as u16;
    let want = [&len.to_le_bytes(), COMMENT].concat();
    let Some(at) = source.size()?.checked_sub(want.len() as u64) else { return Ok(false) };
    let mut tail = vec![0; want.len()];
    let got = source.read_at(&mut tail, at)?;
    Ok(got == tail.len() && tail == want)
}

fn read_manifest(layer: &dyn Layer) -> Result<Manifest> {
    let mut node = layer.root();
    for name in PATH.split('/') {
        let found = layer.lookup(&node, Name::new(name.as_bytes())?)?;
        node = found.ok_or_else(|| corrupt("the manifest is missing"))?;
    }
    Manifest::read(&*layer.open(&node)?)
}
