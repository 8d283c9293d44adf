//! An entry as JSON.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use ovl_core::{
    Kind, Overlay, Result, Stat, VPath, Xattr,
    overlay::{Follow, Info, Shown},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time;

/// A tree and what its layers are called.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) tree: Arc<Overlay>,
    /// One name a layer, topmost first.
    pub(crate) ids: Arc<[String]>,
}

/// What stands at a path.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = Entry)]
pub(crate) struct EntryBody {
    /// The path, with a leading slash.
    path: String,
    /// The exact bytes of the path, in Base64, where they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
    /// The last name of the path; empty for the root.
    name: String,
    /// The exact bytes of the name, in Base64, where they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    name_b64: Option<String>,
    #[schema(value_type = EntryKind)]
    kind: &'static str,
    /// Content bytes; of a symbolic link, its target's.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// Permission bits in octal.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0644")]
    mode: Option<String>,
    /// The owner's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    /// The group's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<u32>,
    /// The last change of the content.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    mtime: Option<String>,
    /// The last access.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    atime: Option<String>,
    /// How many names the object has in its layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    nlink: Option<u32>,
    /// The device number, MAJOR:MINOR.
    #[serde(skip_serializing_if = "Option::is_none")]
    rdev: Option<String>,
    /// Where a symbolic link leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    /// The exact bytes of the target, in Base64, where they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    target_b64: Option<String>,
    /// The validator, as headers have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    /// The layer that gives it.
    layer: String,
    /// The layers below with something by this name that does not show, when asked for; of a merged directory, those
    /// that add to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    shadowed: Option<Vec<String>>,
    /// Extended attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    xattrs: Option<BTreeMap<String, AttrValue>>,
    /// BLAKE3 of the content, or of everything in a directory, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) blake3: Option<String>,
}

/// What stands at a name.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "it describes the API; the names themselves come from `kind_name`")]
pub(crate) enum EntryKind {
    File,
    Dir,
    Symlink,
    Fifo,
    Socket,
    Char,
    Block,
    Whiteout,
}

/// The value of an extended attribute: a text, or bytes in Base64.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum AttrValue {
    Text(String),
    Bytes { b64: String },
}

impl AttrValue {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes { b64: BASE64_STANDARD.encode(bytes) },
        }
    }

    /// Returns the bytes, or `None` for what is no Base64.
    pub(crate) fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.into_bytes()),
            Self::Bytes { b64 } => BASE64_STANDARD.decode(b64).ok(),
        }
    }
}

/// Returns what a kind is called everywhere in the API.
pub(crate) fn kind_name(kind: Kind) -> &'static str {
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

/// Returns bytes as readable text, and in Base64 where the text is not exact.
pub(crate) fn readable(bytes: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (String::from_utf8_lossy(bytes).into_owned(), Some(BASE64_STANDARD.encode(bytes))),
    }
}

/// Returns a path as readable text with a leading slash, and in Base64 where the text is not exact.
pub(crate) fn readable_path(path: &VPath) -> (String, Option<String>) {
    let (text, exact) = readable(path.as_bytes());
    (format!("/{text}"), exact)
}

impl View {
    /// Describes one entry in full; a symbolic link at the end is not followed.
    ///
    /// # Errors
    /// What the engine answers.
    pub(crate) fn describe(&self, path: &VPath) -> Result<(Info, EntryBody)> {
        let info = self.tree.entry(path, Follow::No)?;
        let mut body = self.named(path, info.stat.kind, info.layers.first());
        body.fill(&info.stat);
        body.etag = Some(format!("\"{}\"", info.tag));
        if info.stat.kind == Kind::Symlink {
            let (text, exact) = readable(&self.tree.target(path)?);
            (body.target, body.target_b64) = (Some(text), exact);
        }
        let xattrs = self.tree.xattrs(path, Follow::No)?;
        body.xattrs = (!xattrs.is_empty()).then(|| xattrs.iter().map(attr).collect());
        Ok((info, body))
    }

    /// Describes a line of a listing, with the layers beneath when they are asked for.
    pub(crate) fn line(&self, path: &VPath, shown: &Shown, shadowed: bool) -> EntryBody {
        let mut body = self.named(path, shown.kind, Some(&shown.layer));
        if let Some(stat) = &shown.stat {
            body.fill(stat);
            body.etag = self.tree.tag(shown).map(|tag| format!("\"{tag}\""));
        }
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
        (self.mtime, self.atime) = (time::format(stat.attrs.mtime), time::format(stat.attrs.atime));
        let device = matches!(stat.kind, Kind::Char | Kind::Block);
        self.rdev = device.then(|| format!("{}:{}", stat.rdev.major, stat.rdev.minor));
    }
}

fn attr(xattr: &Xattr) -> (String, AttrValue) {
    (String::from_utf8_lossy(&xattr.name).into_owned(), AttrValue::of(&xattr.value))
}
