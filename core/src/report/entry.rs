//! An entry.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::{AttrValue, readable, readable_path, rfc3339};
use crate::{
    Kind, Overlay, Result, Stat, VPath, Xattr,
    overlay::{Follow, Info, Shown},
    sorted::Sorted,
};

/// A tree and what its layers are called.
#[derive(Clone)]
pub struct View {
    /// The tree.
    pub tree: Arc<Overlay>,
    /// One name a layer, topmost first.
    pub ids: Arc<[String]>,
}

/// What stands at a path.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = Entry))]
pub struct EntryBody {
    /// The path, with a leading slash.
    pub path: String,
    /// The exact bytes of the path, in Base64, where they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_b64: Option<String>,
    /// The last name of the path; empty for the root.
    pub name: String,
    /// The exact bytes of the name, in Base64, where they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_b64: Option<String>,
    /// What it is.
    #[cfg_attr(feature = "schema", schema(value_type = EntryKind))]
    pub kind: &'static str,
    /// Content bytes; of a symbolic link, its target's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Permission bits in octal.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(example = "0644"))]
    pub mode: Option<String>,
    /// The owner's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The group's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// The last change of the content.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(format = DateTime))]
    pub mtime: Option<String>,
    /// The last access.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(format = DateTime))]
    pub atime: Option<String>,
    /// How many names the object has in its layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nlink: Option<u32>,
    /// The device number, MAJOR:MINOR.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rdev: Option<String>,
    /// Where a symbolic link leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The exact bytes of the target, in Base64, where they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_b64: Option<String>,
    /// The validator, as headers have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The layer that gives it.
    pub layer: String,
    /// The layers below with something by this name that does not show, when asked for; of a merged directory, those
    /// that add to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadowed: Option<Vec<String>>,
    /// `true` where an opaque directory hides it, so that nothing shows at this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<bool>,
    /// Extended attributes.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_object")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<std::collections::BTreeMap<String, AttrValue>>))]
    pub xattrs: Vec<(String, AttrValue)>,
    /// BLAKE3 of the content, or of everything in a directory, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,
}

/// What stands at a name.
#[cfg(feature = "schema")]
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "as `Kind` has them; the names themselves come from `kind_name`")]
pub enum EntryKind {
    File,
    Dir,
    Symlink,
    Fifo,
    Socket,
    Char,
    Block,
    Whiteout,
}

/// Returns what a kind is called everywhere in the API.
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Dir => "dir",
        Kind::Symlink => "symlink",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        Kind::Char => "char",
        Kind::Block => "block",
        Kind::Whiteout => "whiteout",
    }
}

impl View {
    /// Describes one entry in full; a symbolic link at the end is not followed.
    ///
    /// # Errors
    /// What the engine answers.
    pub fn describe(&self, path: &VPath) -> Result<(Info, EntryBody)> {
        let info = self.tree.entry(path, Follow::No)?;
        let mut body = self.named(path, info.stat.kind, info.layers.first());
        body.fill(&info.stat);
        body.etag = Some(format!("\"{}\"", info.tag));
        if info.stat.kind == Kind::Symlink {
            let (text, exact) = readable(&self.tree.target(path)?);
            (body.target, body.target_b64) = (Some(text), exact);
        }
        let mut xattrs = Sorted::default();
        for (name, value) in self.tree.xattrs(path, Follow::No)?.iter().map(attr) {
            xattrs.set(name, value);
        }
        body.xattrs = xattrs.into_pairs();
        Ok((info, body))
    }

    /// Describes a line of a listing, with the layers beneath when they are asked for.
    pub fn line(&self, path: &VPath, shown: &Shown, shadowed: bool) -> EntryBody {
        let mut body = self.named(path, shown.kind, Some(&shown.layer));
        if let Some(stat) = &shown.stat {
            body.fill(stat);
            body.etag = self.tree.tag(shown).map(|tag| format!("\"{tag}\""));
        }
        body.hidden = shown.hidden.then_some(true);
        if shadowed {
            body.shadowed = Some(shown.below.iter().map(|layer| self.ids[*layer].clone()).collect());
        }
        body
    }

    fn named(&self, path: &VPath, kind: Kind, layer: Option<&usize>) -> EntryBody {
        let last = path.names().next_back().map(|name| name.as_bytes()).unwrap_or_default();
        let ((path, path_b64), (name, name_b64)) = (readable_path(path), readable(last));
        let layer = layer.map(|layer| self.ids[*layer].clone()).unwrap_or_default();
        EntryBody { path, path_b64, name, name_b64, kind: kind_name(kind), layer, ..EntryBody::default() }
    }
}

impl EntryBody {
    fn fill(&mut self, stat: &Stat) {
        self.size = matches!(stat.kind, Kind::File | Kind::Symlink).then_some(stat.size);
        self.mode = Some(format!("{:04o}", stat.attrs.mode));
        (self.uid, self.gid, self.nlink) = (Some(stat.attrs.uid), Some(stat.attrs.gid), Some(stat.nlink));
        (self.mtime, self.atime) = (rfc3339(stat.attrs.mtime), rfc3339(stat.attrs.atime));
        let device = matches!(stat.kind, Kind::Char | Kind::Block);
        self.rdev = device.then(|| format!("{}:{}", stat.rdev.major, stat.rdev.minor));
    }
}

fn as_object<S: Serializer>(pairs: &[(String, AttrValue)], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

fn attr(xattr: &Xattr) -> (String, AttrValue) {
    (String::from_utf8_lossy(&xattr.name).into_owned(), AttrValue::of(&xattr.value))
}
