//! Which attributes reach the inode, and which stay data beside it (semantics 1, trust T9 and T10).

use super::{
    marks::Keys,
    record::Record,
    sys::{self, Handle},
};
use crate::{Change, ErrorKind, Kind, New, Result, Stat};

/// What may be written to inodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rights {
    /// The owner and group of what this process makes.
    own: (u32, u32),
    /// Whether clients and archives decide about owners, special bits, devices and privileged attributes.
    privileged: bool,
    /// Whether permission bits stop this process from editing its own objects.
    bound: bool,
}

impl Rights {
    pub(super) fn new(privileged: bool, bound: bool) -> Self {
        Self { own: sys::own_ids(), privileged, bound }
    }

    /// Returns whether all attributes of `new` go to the inode: a host lower's do, as the kernel keeps them.
    fn all(&self, new: &New<'_>) -> bool {
        new.faithful || self.privileged
    }

    /// Returns the kind of the host's object: what may not be made is kept as an empty file with a record.
    pub(super) fn kind(&self, new: &New<'_>) -> Kind {
        match new.kind {
            Kind::File | Kind::Dir | Kind::Symlink => new.kind,
            special if self.all(new) => special,
            _ => Kind::File,
        }
    }

    /// Returns the bits for the inode. An owner who is bound by them keeps the right to edit.
    fn mode(&self, mode: u32, kind: Kind, all: bool) -> u32 {
        let allowed = if all { mode } else { mode & 0o777 };
        match kind {
            Kind::Symlink => 0o777,
            Kind::Dir if self.bound => allowed | 0o700,
            Kind::File if self.bound => allowed | 0o600,
            _ => allowed,
        }
    }
}

/// The attributes of one object on their way: some are set, the rest is gathered in the record.
pub(super) struct Inode<'a> {
    pub(super) handle: &'a Handle,
    pub(super) keys: &'static Keys,
    pub(super) rights: Rights,
}

impl Inode<'_> {
    /// Gives a new object its attributes: owner, attributes, record, mode, and the times last, since each
    /// of them would undo a part of the next. Refuses what the host does not permit.
    pub(super) fn fill(&self, new: &New<'_>, kind: Kind) -> Result<Record> {
        let all = self.rights.all(new);
        let mut record = Record::default();
        if kind != new.kind {
            record.kind = Some(new.kind);
            record.rdev = Some(new.rdev);
        }
        self.own(new, all, &mut record)?;
        for xattr in new.xattrs {
            self.set_xattr(&xattr.name, Some(&xattr.value), kind, all, &mut record)?;
        }
        let mode = self.rights.mode(new.attrs.mode, kind, all);
        record.mode = (mode != new.attrs.mode).then_some(new.attrs.mode);
        if kind != Kind::Symlink {
            self.handle.set_mode(mode).map_err(super::failed("set mode"))?;
        }
        Ok(record)
    }

    fn own(&self, new: &New<'_>, all: bool, record: &mut Record) -> Result<()> {
        let ((uid, gid), (own_uid, own_gid)) = ((new.attrs.uid, new.attrs.gid), self.rights.own);
        let foreign = |id: u32, own: u32| (id != own).then_some(id);
        let (uid, gid) = (foreign(uid, own_uid), foreign(gid, own_gid));
        if !all {
            (record.uid, record.gid) = (uid, gid);
        } else if uid.is_some() || gid.is_some() {
            self.handle.set_owner(uid, gid).map_err(super::failed("set owner"))?;
        }
        Ok(())
    }

    /// Applies a change to the inode and to `record`, which the caller stores.
    pub(super) fn change(&self, change: &Change, stat: &Stat, record: &mut Record) -> Result<()> {
        let all = change.faithful || self.rights.privileged;
        for (name, value) in &change.xattrs {
            self.set_xattr(name, value.as_deref(), stat.kind, all, record)?;
        }
        let logical = change.mode.or(record.mode).unwrap_or(stat.attrs.mode);
        self.change_owner(change, stat, all, record)?;
        // A new owner must not inherit special bits on the inode, nor lose them in the record.
        let owned = change.uid.is_some() || change.gid.is_some();
        if change.mode.is_some() || (owned && stat.attrs.mode & 0o6000 != 0) {
            let mode = self.rights.mode(logical, stat.kind, all);
            record.mode = (mode != logical).then_some(logical);
            if stat.kind != Kind::Symlink {
                self.handle.set_mode(mode).map_err(super::failed("set mode"))?;
            }
        }
        Ok(())
    }

    fn change_owner(&self, change: &Change, stat: &Stat, all: bool, record: &mut Record) -> Result<()> {
        if all {
            if change.uid.is_some() || change.gid.is_some() {
                self.handle.set_owner(change.uid, change.gid).map_err(super::failed("set owner"))?;
            }
            record.uid = record.uid.filter(|_| change.uid.is_none());
            record.gid = record.gid.filter(|_| change.gid.is_none());
            return Ok(());
        }
        if let Some(uid) = change.uid {
            record.uid = (uid != stat.attrs.uid).then_some(uid);
        }
        if let Some(gid) = change.gid {
            record.gid = (gid != stat.attrs.gid).then_some(gid);
        }
        Ok(())
    }

    /// Sets or removes an attribute where it belongs: on the inode, escaped, or in the record.
    fn set_xattr(&self, name: &[u8], value: Option<&[u8]>, kind: Kind, all: bool, record: &mut Record) -> Result<()> {
        let stored = self.keys.escape(name)?;
        let (Some(value), true) = (value, all || self.is_plain(name, kind)) else {
            record.set_xattr(name, value);
            return if value.is_none() { self.remove_xattr(&stored) } else { Ok(()) };
        };
        match self.handle.set_xattr(&stored, value).map_err(super::failed("set attribute")) {
            // Lossless where the file system keeps no such attributes; capabilities and ACLs must hold (U03).
            Err(error) if error.kind() == ErrorKind::Unsupported && !is_security(name) => {
                record.set_xattr(name, Some(value));
                Ok(())
            }
            set => {
                record.set_xattr(name, None);
                set
            }
        }
    }

    /// Removes an attribute from the inode if it is there: asking to remove another's may be refused.
    fn remove_xattr(&self, stored: &[u8]) -> Result<()> {
        match self.handle.xattr_bytes(stored).map_err(super::failed("read attribute"))? {
            Some(_) => self.handle.remove_xattr(stored).map_err(super::failed("remove attribute")),
            None => Ok(()),
        }
    }

    /// Returns whether anyone may set this attribute on an object of this kind: `user.*` on files and
    /// directories, without the marks of the namespace that is not in use, and our own escaped.
    fn is_plain(&self, name: &[u8], kind: Kind) -> bool {
        let ours = name.starts_with(self.keys.prefix.as_bytes());
        let user = name.starts_with(b"user.") && !name.starts_with(b"user.overlay.");
        matches!(kind, Kind::File | Kind::Dir) && (ours || user)
    }
}

fn is_security(name: &[u8]) -> bool {
    name.starts_with(b"security.") || name.starts_with(b"system.")
}
