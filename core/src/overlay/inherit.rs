//! What a new object takes from its directory (semantics P01): the group of a setgid one, and its default ACL, in whose
//! place the umask does not count.
//!
//! An ACL as an attribute: the version as 32 bits, then for each entry tag, permissions (16 bits each) and id (32 bits),
//! the least byte first.

use crate::{
    Attrs, Error, ErrorKind, Kind, Result, Xattr,
    overlay::{Ctx, Overlay, Place, Spot},
};

const SETGID: u32 = 0o2000;
const ACCESS: &[u8] = b"system.posix_acl_access";
const DEFAULT: &[u8] = b"system.posix_acl_default";

const HEAD: usize = 4;
const ENTRY: usize = 8;
const OWNER: u8 = 0x01;
const GROUP: u8 = 0x04;
const MASK: u8 = 0x10;
const OTHER: u8 = 0x20;

impl Overlay {
    /// Returns the attributes of a new object at a spot. A setgid directory passes on its group, and to directories the
    /// bit too; a default ACL counts for a user whose rights are checked ([`Ctx::faithful`]).
    pub(super) fn inherited(
        &self,
        ctx: &Ctx,
        spot: &Spot,
        kind: Kind,
        mode: Option<u32>,
    ) -> Result<(Attrs, Vec<Xattr>)> {
        let attrs = ctx.attrs(kind, mode);
        let Some(hit) = spot.dirs.last().and_then(Place::top) else { return Ok((attrs, Vec::new())) };
        let layer = &self.stack.layers[hit.layer];
        if !ctx.faithful || kind == Kind::Symlink {
            return Ok((from_directory(&layer.stat(&hit.node)?.attrs, kind, attrs), Vec::new()));
        }
        let dir = layer.facts(&hit.node)?;
        let mut attrs = from_directory(&dir.stat.attrs, kind, attrs);
        let Some(default) = dir.xattrs.into_iter().find(|known| *known.name == *DEFAULT) else {
            return Ok((attrs, Vec::new()));
        };
        let asked = Ctx { umask: 0, ..ctx.clone() }.attrs(kind, mode).mode;
        let (mode, access) = apply(&default.value, asked)?;
        attrs.mode = mode | (attrs.mode & SETGID);
        let access = access.map(|value| Xattr { name: ACCESS.into(), value });
        Ok((attrs, access.into_iter().chain((kind == Kind::Dir).then_some(default)).collect()))
    }

    /// Returns the group of a new file at a spot, and nothing else.
    pub(super) fn inherited_group(&self, spot: &Spot, own: u32) -> Result<u32> {
        let Some(hit) = spot.dirs.last().and_then(Place::top) else { return Ok(own) };
        let dir = self.stack.layers[hit.layer].stat(&hit.node)?.attrs;
        Ok(from_directory(&dir, Kind::File, Attrs { gid: own, ..Attrs::default() }).gid)
    }
}

fn from_directory(dir: &Attrs, kind: Kind, attrs: Attrs) -> Attrs {
    if dir.mode & SETGID == 0 {
        return attrs;
    }
    let bit = if kind == Kind::Dir { SETGID } else { 0 };
    Attrs { gid: dir.gid, mode: attrs.mode | bit, ..attrs }
}

/// Takes from a default ACL what `mode` does not give, and from `mode` what the ACL does not. Returns the mode, and the
/// ACL if it says more than that.
fn apply(default: &[u8], mode: u32) -> Result<(u32, Option<Box<[u8]>>)> {
    if default.len() < HEAD || !(default.len() - HEAD).is_multiple_of(ENTRY) {
        return Err(Error::new(ErrorKind::InvalidInput, "create").because("the directory's default ACL is damaged"));
    }
    let mut acl = default.to_vec();
    let has_mask = acl[HEAD..].chunks(ENTRY).any(|entry| entry[0] == MASK);
    let (mut mode, mut says_more) = (mode, false);
    for entry in acl[HEAD..].chunks_mut(ENTRY) {
        let shift = match entry[0] {
            OWNER => 6,
            OTHER => 0,
            MASK => 3,
            GROUP if !has_mask => 3,
            _ => {
                says_more |= entry[0] != GROUP;
                continue;
            }
        };
        says_more |= entry[0] == MASK;
        let allowed = u32::from(entry[2]) & (mode >> shift) & 7;
        entry[2] = allowed as u8;
        mode = (mode & !(7 << shift)) | (allowed << shift);
    }
    Ok((mode, says_more.then(|| acl.into())))
}
