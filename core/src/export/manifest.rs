//! The manifest of an upper's zip: `.ovl/changes.json`, its last member.
//!
//! It tells of every object of the upper all that the zip itself cannot hold exactly: kind, mode, owner, time to the
//! nanosecond, extended attributes, whiteouts, opaque directories, redirects and hard links. The zip's comment,
//! [`COMMENT`], says that the manifest is there and is ours, so that a file of the same name in any other zip is a file.
//!
//! A client's own object called `.ovl` in the root of the upper gives way: it is stored as `.ovl~`, one called `.ovl~`
//! as `.ovl~~`, and so on, and read back likewise.
//!
//! Paths, targets and attributes are bytes: those that are not UTF-8, control bytes and the percent sign are written
//! as `%XX`.

use serde::Serialize;

use crate::{Error, ErrorKind, Kind, Name, Opaque, Result, VPath, Xattr};

/// Where the manifest is.
pub(crate) const PATH: &str = ".ovl/changes.json";
/// The zip's comment.
pub(crate) const COMMENT: &[u8] = b"ovl upper export, version 1";
const RESERVED: &[u8] = b".ovl";

/// What the manifest says of one object.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Line {
    pub(crate) path: String,
    pub(crate) kind: Word,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds and nanoseconds.
    pub(crate) mtime: (i64, u32),
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<(u32, u32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) opaque: Option<char>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) redirect: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) xattrs: Vec<(String, String)>,
    /// The path of the object of which this is another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<String>,
}

/// The word for a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Word {
    #[default]
    File,
    Dir,
    Symlink,
    Fifo,
    Socket,
    Char,
    Block,
    Whiteout,
}

impl Word {
    pub(crate) const ALL: [Self; 8] =
        [Self::File, Self::Dir, Self::Symlink, Self::Fifo, Self::Socket, Self::Char, Self::Block, Self::Whiteout];

    /// Returns the word as it is written.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Dir => "dir",
            Self::Symlink => "symlink",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
            Self::Char => "char",
            Self::Block => "block",
            Self::Whiteout => "whiteout",
        }
    }
}

/// The manifest as it is written, line by line.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new() -> Self {
        Self(br#"{"format":"ovl-upper","version":1,"objects":["#.to_vec())
    }

    pub(super) fn add(&mut self, line: &Line) -> Result<()> {
        let comma = if self.0.ends_with(b"[") { "" } else { "," };
        self.0.extend([comma, "\n"].concat().bytes());
        serde_json::to_writer(&mut self.0, line)
            .map_err(|e| Error::new(ErrorKind::Io, "write manifest").because(e.to_string()))
    }

    pub(super) fn finish(&mut self) -> Vec<u8> {
        self.0.extend(b"\n]}\n");
        std::mem::take(&mut self.0)
    }
}

impl Line {
    pub(super) fn of(member: &super::Member<'_>) -> Self {
        let (path, kind) = (escape(member.name.as_bytes()), Word::from(member.kind()));
        let Some(stat) = member.stat else { return Self { path, kind, ..Self::default() } };
        let xattr = |x: &Xattr| (escape(&x.name), escape(&x.value));
        let is_device = matches!(stat.kind, Kind::Char | Kind::Block);
        Self {
            path,
            kind,
            mode: stat.attrs.mode,
            uid: stat.attrs.uid,
            gid: stat.attrs.gid,
            mtime: (stat.attrs.mtime.secs, stat.attrs.mtime.nanos),
            device: is_device.then_some((stat.rdev.major, stat.rdev.minor)),
            opaque: match member.marks.opaque {
                Opaque::No => None,
                Opaque::Yes => Some('y'),
                Opaque::Xwhiteouts => Some('x'),
            },
            redirect: member.marks.redirect.as_deref().map(escape),
            xattrs: member.xattrs.iter().map(xattr).collect(),
            link: member.link.as_ref().map(|link| escape(link.as_bytes())),
        }
    }
}

impl From<Kind> for Word {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::File => Self::File,
            Kind::Dir => Self::Dir,
            Kind::Symlink => Self::Symlink,
            Kind::Fifo => Self::Fifo,
            Kind::Socket => Self::Socket,
            Kind::Char => Self::Char,
            Kind::Block => Self::Block,
            Kind::Whiteout => Self::Whiteout,
        }
    }
}

/// Returns the name under which an upper's object is stored: `.ovl` and its like in the root give way.
pub(super) fn stored_name(path: &VPath) -> Result<VPath> {
    rename_first(path, |first| is_reserved(first).then(|| [first, b"~"].concat()))
}

/// Returns the path of a stored object, the reverse of [`stored_name`]; `None` for the manifest's folder.
pub(crate) fn unstored_name(path: &VPath) -> Result<Option<VPath>> {
    if path.names().next().is_some_and(|first| first.as_bytes() == RESERVED) {
        return Ok(None);
    }
    rename_first(path, |first| is_reserved(first).then(|| first[..first.len() - 1].to_vec())).map(Some)
}

fn is_reserved(name: &[u8]) -> bool {
    name.strip_prefix(RESERVED).is_some_and(|rest| rest.iter().all(|b| *b == b'~'))
}

fn rename_first(path: &VPath, rename: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Result<VPath> {
    let mut names = path.names();
    let Some(first) = names.next().and_then(|first| rename(first.as_bytes())) else { return Ok(path.clone()) };
    let mut renamed = VPath::root().join(Name::new(&first)?);
    names.for_each(|name| renamed.push(name));
    Ok(renamed)
}

/// Writes bytes as text.
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '%' => text.push_str("%25"),
                '\0'..='\x1f' | '\x7f' => text.push_str(&format!("%{:02X}", c as u32)),
                c => text.push(c),
            }
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("%{byte:02X}")));
    }
    text
}
