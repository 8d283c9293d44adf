//! Who changes something, when, and on which condition; and what a change did.

use crate::{
    Error, ErrorKind, Layer, Result, Stat, Time, VPath,
    layer::{Attrs, Kind},
    overlay::{Overlay, Spot},
};

/// A strong validator: equal tags mean the same object with the same content and metadata.
///
/// It is made from the layer's fingerprint and the object's number, size and times, never from a counter
/// of the whole overlay, so that a change elsewhere leaves it alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag([u8; 16]);

impl Tag {
    pub(crate) fn of(layer: &dyn Layer, stat: &Stat) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&layer.caps().fingerprint);
        hasher.update(&stat.ino.to_le_bytes()).update(&stat.size.to_le_bytes());
        for time in [stat.attrs.mtime, stat.ctime] {
            hasher.update(&time.secs.to_le_bytes()).update(&time.nanos.to_le_bytes());
        }
        let mut tag = [0; 16];
        tag.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(tag)
    }

    /// Reads back what `Display` wrote: 32 hexadecimal digits. Returns `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let all_hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| all_hex)?;
        Some(Self(number.to_be_bytes()))
    }
}

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl std::fmt::Debug for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The condition under which a change is made, checked at the instant of the change (RFC 9110 section 13).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// Whatever stands there.
    #[default]
    Always,
    /// Something stands there (`If-Match: *`).
    Exists,
    /// Nothing stands there (`If-None-Match: *`).
    Absent,
    /// What stands there has one of these tags (`If-Match`).
    Is(Vec<Tag>),
    /// What stands there, if anything, has none of these tags (`If-None-Match`).
    IsNot(Vec<Tag>),
    /// The whole overlay is at one of these generations, whatever stands there.
    Generation(Vec<u64>),
}

impl When {
    fn check(&self, current: Option<Tag>, generation: u64, path: &VPath, op: &'static str) -> Result<()> {
        let holds = match (self, current) {
            (Self::Always, _) => true,
            (Self::Exists, current) => current.is_some(),
            (Self::Absent, current) => current.is_none(),
            (Self::Is(tags), Some(tag)) => tags.contains(&tag),
            (Self::Is(_), None) => false,
            (Self::IsNot(tags), current) => current.is_none_or(|tag| !tags.contains(&tag)),
            (Self::Generation(wanted), _) => wanted.contains(&generation),
        };
        if holds {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Precondition, op).at(path);
        Err(match (self, current) {
            (Self::Generation(_), _) => error.because(format!("the overlay is at generation {generation}")),
            (_, Some(tag)) => error.because(format!("its tag is {tag}")),
            (_, None) => error.because("nothing stands there"),
        })
    }
}

impl Overlay {
    /// Refuses a change whose condition does not hold for what stands at a spot. Only under the writers' lock does it
    /// go on holding until the change is made.
    pub(super) fn must_hold(&self, ctx: &Ctx, spot: &Spot, path: &VPath, op: &'static str) -> Result<()> {
        match ctx.when {
            When::Always => Ok(()),
            _ => self.must_hold_for(ctx, self.current(spot)?, path, op),
        }
    }

    /// The same where the tag of what stands there is known.
    pub(super) fn must_hold_for(&self, ctx: &Ctx, tag: Option<Tag>, path: &VPath, op: &'static str) -> Result<()> {
        ctx.when.check(tag, self.generation(), path, op)
    }
}

/// Who asks, and when: core has no user and no clock.
#[derive(Clone, Debug, Default)]
pub struct Ctx {
    /// Owner of what is created.
    pub uid: u32,
    /// Group of what is created.
    pub gid: u32,
    /// Permission bits that are not given to what is created.
    pub umask: u32,
    /// The time of the change.
    pub now: Time,
    /// The condition of the change; for moves and links it concerns the target.
    pub when: When,
    /// Whether whoever asks is a user of this machine whose rights it has checked: then the attributes that it
    /// gives may reach the host's inode (as [`crate::New::faithful`] has it).
    pub faithful: bool,
}

impl Ctx {
    pub(crate) fn attrs(&self, kind: Kind, mode: Option<u32>) -> Attrs {
        let default = if kind == Kind::Dir { 0o777 } else { 0o666 };
        let mode = if kind == Kind::Symlink { 0o777 } else { mode.unwrap_or(default) & !self.umask & 0o7777 };
        Attrs { mode, uid: self.uid, gid: self.gid, atime: self.now, mtime: self.now }
    }
}

/// What shows at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The path, with the symbolic links resolved that were followed.
    pub path: VPath,
    /// The attributes; a merged directory shows one link (semantics R06).
    pub stat: Stat,
    /// The layers that contribute, topmost first: the first gives the attributes.
    pub layers: Vec<usize>,
    /// Its validator.
    pub tag: Tag,
}

/// What a change did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// What stands at the path now; `None` when it was removed.
    pub info: Option<Info>,
    /// Whether nothing stood there before.
    pub created: bool,
    /// Content bytes that were copied up for it.
    pub copied_up: u64,
    /// The overlay's generation that includes the change.
    pub generation: u64,
}

/// One thing that the overlay did, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The generation that includes it.
    pub generation: u64,
    /// What was done.
    pub deed: Deed,
    /// Where.
    pub path: VPath,
}

/// What the overlay did at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// An object was created.
    Created,
    /// Content was replaced or written.
    Modified,
    /// Metadata was changed.
    Metadata,
    /// An object was removed.
    Removed,
    /// An object was copied from a lower to the upper, with this many content bytes.
    CopiedUp(u64),
    /// A whiteout was left.
    Whiteout,
    /// A directory was made opaque.
    Opaque,
    /// An object came here from this path.
    Moved(VPath),
    /// What the upper held here was discarded: the lowers show again.
    Discarded,
    /// What was here before a change that was taken back is here again.
    Restored,
}
