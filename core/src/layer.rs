//! The vocabulary: what a layer is, what it holds, and the steps by which an upper changes.
//!
//! A layer speaks for itself alone. It may say that a name is gone ([`Kind::Whiteout`]) or that a
//! directory starts afresh ([`Marks::opaque`]); it never looks at another layer and follows no
//! symlink. Whatever dialect its whiteouts, marks and attributes are written in (devices, extended
//! attributes, reserved names, zip entries) is decoded inside the layer.

use std::{any::Any, fmt, ops::Range, sync::Arc};

use crate::{
    error::Result,
    path::{Name, NameBuf},
};

/// A point in time: seconds since 1970-01-01 UTC, and nanoseconds below 1,000,000,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Whole seconds, negative before 1970.
    pub secs: i64,
    /// Nanoseconds, always counted forward.
    pub nanos: u32,
}

/// What stands at a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link; its target is data and never handed to the host.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device (0/0 is a whiteout).
    Char,
    /// A block device.
    Block,
    /// Nothing, and nothing below shows either.
    Whiteout,
}

/// A device number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device {
    /// The class of device.
    pub major: u32,
    /// The device within its class.
    pub minor: u32,
}

/// The attributes that a new object receives and copy-up keeps (semantics U01).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attrs {
    /// Permission bits with setuid, setgid and sticky: at most 0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last access.
    pub atime: Time,
    /// Last change of the content.
    pub mtime: Time,
}

/// What a layer says about one object, marks aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Mode, owner, times.
    pub attrs: Attrs,
    /// Content length in bytes; of a symlink, its target's.
    pub size: u64,
    /// Last change of anything, by the layer's own clock or counter: material for validators only.
    pub ctime: Time,
    /// The device number of [`Kind::Char`] and [`Kind::Block`].
    pub rdev: Device,
    /// The object's number within its layer: equal for hard links to one object.
    pub ino: u64,
    /// How many names the object has in this layer.
    pub nlink: u32,
}

/// Where a lookup in the layers below continues (semantics 2.10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Opaque {
    /// The layers below contribute.
    #[default]
    No,
    /// `y`: the layers below are hidden.
    Yes,
    /// `x`: in a lower, empty files that carry a whiteout mark count as whiteouts (L09).
    Xwhiteouts,
}

/// The overlay marks on one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Whether the layers below are hidden (directories).
    pub opaque: Opaque,
    /// The name (or, with a leading slash, the path from the root) under which the layers below know it.
    pub redirect: Option<Box<[u8]>>,
    /// The object holds metadata alone; its content is the next lower's (2.11).
    pub metacopy: bool,
}

/// All that a layer says about an object, content aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its attributes.
    pub stat: Stat,
    /// Its overlay marks.
    pub marks: Marks,
    /// Its extended attributes, sorted by name.
    pub xattrs: Vec<Xattr>,
    /// Whether all of this stands on a host's inode, so that a copy may have it there, too (semantics 1). What an archive
    /// or a client has said is data, and stays it.
    pub faithful: bool,
}

impl Facts {
    /// Returns whether the object's content runs with rights that its reader does not have: setuid, setgid, capabilities.
    pub(crate) fn is_privileged(&self) -> bool {
        self.stat.attrs.mode & 0o6000 != 0 || self.xattrs.iter().any(|xattr| *xattr.name == *b"security.capability")
    }
}

/// An extended attribute: full name (`user.comment`) and value, as a user of this layer sees them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xattr {
    /// Name with its namespace.
    pub name: Box<[u8]>,
    /// Value.
    pub value: Box<[u8]>,
}

/// One object of one layer; usable after unlink, rename and copy-up (host: a descriptor; zip: an index).
#[derive(Clone)]
pub struct Node {
    /// The layer's number for it.
    pub id: u64,
    /// What it is, as found.
    pub kind: Kind,
    /// What the layer keeps alive for it.
    pub pin: Option<Arc<dyn Any + Send + Sync>>,
}

impl Node {
    /// Returns what the layer pinned, if it is a `T`.
    pub fn pinned<T: 'static>(&self) -> Option<&T> {
        self.pin.as_ref()?.downcast_ref()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}#{}", self.kind, self.id)
    }
}

/// One line of a layer's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: NameBuf,
    /// What stands there, whiteouts included.
    pub kind: Kind,
    /// The attributes, when they were asked for (never of a whiteout).
    pub stat: Option<Stat>,
}

/// An entry of an archive that is not shown, or not shown as it stands, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Omitted {
    /// The name as the archive has it.
    pub name: Box<[u8]>,
    /// The reason, as a sentence.
    pub reason: String,
    /// Whether the entry is served all the same (a kept backslash, say).
    pub shown: bool,
}

/// Which names a layer can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRules {
    /// Every [`Name`].
    Bytes,
    /// Windows' rules: valid UTF-8 without its reserved characters, names and endings.
    Windows,
}

/// What is fixed about a layer while it is open.
#[derive(Clone, Debug)]
pub struct Caps {
    /// What to call it in messages: a short name without host paths, such as `a.zip`.
    pub name: String,
    /// `dir`, `zip` or `mem`.
    pub kind: &'static str,
    /// Identifies this state of the layer in validators: changes when the source does.
    pub fingerprint: [u8; 16],
    /// Which names it can hold.
    pub names: NameRules,
    /// How names are folded where two that differ in case alone are one.
    pub fold: Option<fn(&[u8]) -> String>,
    /// Whether a directory can carry a redirect, so that lower and merged directories can move.
    pub redirects: bool,
    /// Whether what is written in a file stamps it with a time by itself; otherwise the overlay does.
    pub stamps: bool,
    /// Whether an object's mode and its POSIX ACL follow each other by themselves.
    pub acls: bool,
    /// Whether it only gives content to metadata in the layers above: its names never show (semantics Y04).
    pub data_only: bool,
    /// What an archive holds that is not shown as it stands.
    pub omitted: Vec<Omitted>,
}

/// A tree that can be read: one sheet of the stack.
pub trait Layer: fmt::Debug + Send + Sync {
    /// Returns what is fixed about the layer.
    fn caps(&self) -> &Caps;

    /// Returns the root directory.
    fn root(&self) -> Node;

    /// Returns what stands at `name` in `dir`, or `None` when this layer says nothing about it.
    fn lookup(&self, dir: &Node, name: Name<'_>) -> Result<Option<Node>>;

    /// Returns what [`Layer::lookup`] does; a layer may make a directory ready to be listed.
    fn enter(&self, dir: &Node, name: Name<'_>) -> Result<Option<Node>> {
        self.lookup(dir, name)
    }

    /// Returns up to `max` entries after `after`, sorted by name, whiteouts among them.
    ///
    /// Attributes are filled in when `stats` is set. Fewer than `max` entries mean the end.
    fn list(&self, dir: &Node, after: Option<Name<'_>>, max: usize, stats: bool) -> Result<Vec<Entry>>;

    /// Returns the attributes of what stands at `name` in `dir`, or `None` when that is nothing or a whiteout.
    fn stat_at(&self, dir: &Node, name: Name<'_>) -> Result<Option<Stat>> {
        let shown = self.lookup(dir, name)?.filter(|node| node.kind != Kind::Whiteout);
        shown.map(|node| self.stat(&node)).transpose()
    }

    /// Returns the attributes.
    fn stat(&self, node: &Node) -> Result<Stat>;

    /// Returns the overlay marks.
    fn marks(&self, node: &Node) -> Result<Marks>;

    /// Returns the extended attributes sorted by name, the layer's own marks aside (semantics X01, X02).
    fn xattrs(&self, node: &Node) -> Result<Vec<Xattr>>;

    /// Returns attributes, marks and extended attributes together.
    fn facts(&self, node: &Node) -> Result<Facts> {
        let (stat, marks, xattrs) = (self.stat(node)?, self.marks(node)?, self.xattrs(node)?);
        Ok(Facts { stat, marks, xattrs, faithful: false })
    }

    /// Returns the same of what stands at `name` in `dir`, whiteouts included; `None` when nothing does. Nothing is
    /// pinned: what is told of an object that is exchanged at this moment may be partly of its successor.
    fn facts_at(&self, dir: &Node, name: Name<'_>) -> Result<Option<Facts>> {
        self.lookup(dir, name)?.map(|node| self.facts(&node)).transpose()
    }

    /// Returns the target of a symlink.
    fn target(&self, link: &Node) -> Result<Vec<u8>>;

    /// Opens a regular file's content. Refuses what cannot be read, saying why (`UnsupportedEntry`).
    fn open(&self, file: &Node) -> Result<Arc<dyn Blob>>;

    /// Returns what an upper knows of hard links in lowers, where it keeps that (semantics H02).
    fn links(&self) -> Option<&dyn Links> {
        None
    }
}

/// What an upper knows of hard links in the lowers.
pub trait Links {
    /// Returns the upper's object that stands for `node` of a lower, since another of its names was changed.
    ///
    /// Refuses what stands for an object of another kind (`Corrupt`), and where it cannot be known (`Unsupported`).
    fn changed(&self, lower: &dyn Layer, node: &Node) -> Result<Option<Node>>;
}

/// Writes the methods of [`Layer`] that pass a call on to another layer: all of them, or those that are named.
macro_rules! forward_layer {
    (|$this:ident| $inner:expr) => {
        forward_layer!(|$this| $inner; caps root lookup enter list stat_at stat marks xattrs facts facts_at target open links);
    };
    (|$this:ident| $inner:expr; $($method:ident)*) => { $(forward_layer!(@$method $this $inner);)* };
    (@caps $this:ident $inner:expr) => { forward_layer!(@fn $this $inner; caps() -> &$crate::Caps); };
    (@root $this:ident $inner:expr) => { forward_layer!(@fn $this $inner; root() -> $crate::Node); };
    (@lookup $this:ident $inner:expr) => {
        forward_layer!(@fn $this $inner; lookup(dir: &$crate::Node, name: $crate::Name<'_>) -> $crate::Result<Option<$crate::Node>>);
    };
    (@enter $this:ident $inner:expr) => {
        forward_layer!(@fn $this $inner; enter(dir: &$crate::Node, name: $crate::Name<'_>) -> $crate::Result<Option<$crate::Node>>);
    };
    (@list $this:ident $inner:expr) => {
        forward_layer!(@fn $this $inner; list(dir: &$crate::Node, after: Option<$crate::Name<'_>>, max: usize, stats: bool)
            -> $crate::Result<Vec<$crate::Entry>>);
    };
    (@stat_at $this:ident $inner:expr) => {
        forward_layer!(@fn $this $inner; stat_at(dir: &$crate::Node, name: $crate::Name<'_>) -> $crate::Result<Option<$crate::Stat>>);
    };
    (@stat $this:ident $inner:expr) => { forward_layer!(@fn $this $inner; stat(node: &$crate::Node) -> $crate::Result<$crate::Stat>); };
    (@marks $this:ident $inner:expr) => { forward_layer!(@fn $this $inner; marks(node: &$crate::Node) -> $crate::Result<$crate::Marks>); };
    (@xattrs $this:ident $inner:expr) => {
        forward_layer!(@fn $this $inner; xattrs(node: &$crate::Node) -> $crate::Result<Vec<$crate::Xattr>>);
    };
    (@facts $this:ident $inner:expr) => { forward_layer!(@fn $this $inner; facts(node: &$crate::Node) -> $crate::Result<$crate::Facts>); };
    (@facts_at $this:ident $inner:expr) => {
        forward_layer!(@fn $this $inner; facts_at(dir: &$crate::Node, name: $crate::Name<'_>) -> $crate::Result<Option<$crate::Facts>>);
    };
    (@target $this:ident $inner:expr) => { forward_layer!(@fn $this $inner; target(link: &$crate::Node) -> $crate::Result<Vec<u8>>); };
    (@open $this:ident $inner:expr) => {
        forward_layer!(@fn $this $inner; open(file: &$crate::Node) -> $crate::Result<std::sync::Arc<dyn $crate::Blob>>);
    };
    (@links $this:ident $inner:expr) => { forward_layer!(@fn $this $inner; links() -> Option<&dyn $crate::layer::Links>); };
    (@fn $this:ident $inner:expr; $method:ident($($arg:ident: $type:ty),*) -> $answer:ty) => {
        fn $method(&self, $($arg: $type),*) -> $answer {
            let $this = self;
            $inner.$method($($arg),*)
        }
    };
}
pub(crate) use forward_layer;

/// The content of a file, read at any place by any number of readers.
pub trait Blob: Send + Sync {
    /// Returns the length in bytes.
    fn size(&self) -> Result<u64>;

    /// Reads at `offset`; 0 bytes mean the end. A sequential reader gets `Corrupt` instead of the last
    /// bytes of a damaged archive member.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize>;

    /// Returns the next range at or after `offset` that is not a hole, or `None` when only holes follow.
    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>>;

    /// Returns the bytes as an archive stores them, when an archive does.
    fn stored(&self) -> Option<Stored>;

    /// Returns a value that changes when what is read is exchanged or modified.
    fn stamp(&self) -> Result<u128>;

    /// Lets a layer recognise its own, to clone instead of copying.
    fn as_any(&self) -> &dyn Any;
}

/// An archive member as it is stored.
#[derive(Clone)]
pub struct Stored {
    /// The zip compression method: 0 stored, 8 deflate.
    pub method: u16,
    /// The general purpose flags of the entry: bit 0 says that the bytes are encrypted.
    pub flags: u16,
    /// Of an encrypted entry, its DOS date (upper half) and time, which some encryption needs to be read again.
    pub time: u32,
    /// CRC-32 of the content, as the archive declares it.
    pub crc32: u32,
    /// Length of the content, as the archive declares it.
    pub size: u64,
    /// Whether a full read has found CRC and size to be true.
    pub verified: bool,
    /// The extra fields that say how the bytes are encrypted, to be kept beside them.
    pub lock: Box<[u8]>,
    /// The stored bytes.
    pub bytes: Arc<dyn Blob>,
}

/// The content of an upper's file, being written.
pub trait BlobMut: Blob {
    /// Writes all of `data` at `offset`.
    fn write_at(&self, data: &[u8], offset: u64) -> Result<()>;

    /// Sets room aside or gives it back. Refuses what the host's file system cannot (`Unsupported`).
    fn allocate(&self, how: Allocate, range: Range<u64>) -> Result<()>;

    /// Sets the length; what is added reads as zeros.
    fn set_len(&self, len: u64) -> Result<()>;

    /// Replaces the content by `from`'s: cloned where the host can, holes kept (semantics U08). Returns the bytes.
    fn copy_from(&self, from: &dyn Blob) -> Result<u64>;

    /// Makes the content durable, as the upper's durability asks.
    fn sync(&self) -> Result<()>;
}

/// How room in a file is set aside or given back (`fallocate`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocate {
    /// Room for what will be written; the file becomes as long as that.
    Extend,
    /// The same without a change of its length.
    Keep,
    /// What is there becomes a hole; the length stays.
    Punch,
    /// What is there reads as zeros; the file becomes as long as that.
    Zero,
    /// The same without a change of its length.
    ZeroKeep,
}

/// A new object, to be staged.
#[derive(Clone, Debug)]
pub struct New<'a> {
    /// What it is; never a whiteout.
    pub kind: Kind,
    /// Mode, owner, times.
    pub attrs: Attrs,
    /// The device number, for devices.
    pub rdev: Device,
    /// The target, for symlinks.
    pub target: &'a [u8],
    /// Extended attributes.
    pub xattrs: &'a [Xattr],
    /// Marks; `metacopy` is never asked for.
    pub marks: Marks,
    /// Whether it is a copy of a lower's object (semantics U05).
    pub copied_up: bool,
    /// Whether the attributes may reach the host's inode (see [`Facts::faithful`]); otherwise setuid,
    /// setgid, owners, devices and privileged attributes are kept as data.
    pub faithful: bool,
}

/// What is left at a name that is vacated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Nothing: what lies below shows, if anything does.
    Nothing,
    /// A whiteout.
    Whiteout,
}

/// An extended attribute's full name, and its new value or `None` to remove it.
pub type XattrChange = (Box<[u8]>, Option<Box<[u8]>>);

/// A change of metadata; `None` and empty leave things as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Permission bits, at most 0o7777.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Last access.
    pub atime: Option<Time>,
    /// Last change of the content.
    pub mtime: Option<Time>,
    /// Extended attributes to set, or with `None` to remove if there.
    pub xattrs: Vec<XattrChange>,
    /// Makes a directory opaque.
    pub opaque: bool,
    /// Sets a redirect.
    pub redirect: Option<Box<[u8]>>,
    /// Whether the attributes may reach the host's inode, as [`New::faithful`] has it.
    pub faithful: bool,
}

/// One change of an upper's tree, by itself all or nothing for readers and crashes.
///
/// Directories are objects of the same upper. What a replacing step replaces is gone with everything
/// beneath it: the overlay has made sure that nothing visible is lost.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// Puts a staged object at a name, over nothing, a whiteout or another object.
    Place {
        /// The staged object; from here on it is the object at `name`.
        node: &'a Node,
        /// Where.
        dir: &'a Node,
        /// Under which name.
        name: Name<'a>,
        /// Whether the directory keeps its times: a copy-up is no change of it (semantics U04).
        quiet: bool,
    },
    /// Gives an object of this upper another name, over nothing, a whiteout or a non-directory.
    Link {
        /// The object; no directory.
        node: &'a Node,
        /// Where.
        dir: &'a Node,
        /// Under which name.
        name: Name<'a>,
    },
    /// Moves an object to another name, over nothing, a whiteout or another object.
    Move {
        /// From where.
        dir: &'a Node,
        /// From which name.
        name: Name<'a>,
        /// To where.
        to_dir: &'a Node,
        /// To which name.
        to_name: Name<'a>,
        /// What stays at the old name.
        leave: Leave,
    },
    /// Exchanges two objects.
    Exchange {
        /// Where the one is.
        dir: &'a Node,
        /// Its name.
        name: Name<'a>,
        /// Where the other is.
        to_dir: &'a Node,
        /// Its name.
        to_name: Name<'a>,
    },
    /// Removes what stands at a name, or with [`Leave::Whiteout`] puts a whiteout where nothing stands.
    Remove {
        /// Where.
        dir: &'a Node,
        /// Which name.
        name: Name<'a>,
        /// What stays there.
        leave: Leave,
    },
    /// Changes metadata of an object.
    Set {
        /// The object, placed or staged.
        node: &'a Node,
        /// The change.
        change: &'a Change,
    },
}

/// A layer that also takes changes.
///
/// An object is staged and filled without a lock, then placed by `commit`, which is short. Whoever
/// acknowledges a change calls `settle` first.
pub trait WritableLayer: Layer {
    /// Makes an object that has no name yet. Dropped before it is placed, it leaves nothing behind.
    fn stage(&self, new: &New<'_>) -> Result<Node>;

    /// Opens the content of a staged or placed file for writing.
    fn open_mut(&self, file: &Node) -> Result<Arc<dyn BlobMut>>;

    /// Makes an object durable with its attributes, a directory with its names, now: for a user who asks for it. Only an
    /// upper whose durability is none at all leaves it out.
    fn sync(&self, node: &Node) -> Result<()>;

    /// Applies the steps in order, each by itself all or nothing. The caller orders them so that every
    /// prefix shows the tree as before.
    ///
    /// `now` is the time of the change for a layer without a clock of its own; a host's file system stamps
    /// directories itself.
    fn commit(&self, steps: &[Step<'_>], now: Time) -> Result<()>;

    /// Returns when every commit that returned before this call is durable, as the upper's durability asks.
    fn settle(&self) -> Result<()>;
}

/// Copies all content from one blob to another, keeping holes, in pieces of 128 KiB. Returns the bytes.
pub fn copy_blob(from: &dyn Blob, to: &dyn BlobMut) -> Result<u64> {
    let size = from.size()?;
    to.set_len(0)?;
    to.set_len(size)?;
    let mut buf = vec![0; 128 * 1024];
    let mut at = 0;
    while let Some(data) = from.next_data(at)? {
        at = data.start;
        while at < data.end {
            let want = (data.end - at).min(buf.len() as u64);
            let got = from.read_at(&mut buf[..want as usize], at)?;
            if got == 0 {
                return Ok(at);
            }
            to.write_at(&buf[..got], at)?;
            at += got as u64;
        }
    }
    Ok(size)
}
