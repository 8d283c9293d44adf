//! Changing attributes.

use fuser::FileAttr;
use ovl_core::{
    Change, Error, ErrorKind, Result,
    overlay::{Ctx, Follow, XattrHow},
};

use super::{notices::Notice, tree::Tree};

impl Tree {
    /// Sets a length first, then the rest. A change of nothing copies up, too (semantics C04).
    pub(super) fn set(
        &self,
        ctx: &Ctx,
        ino: u64,
        handle: Option<u64>,
        len: Option<u64>,
        change: &Change,
    ) -> Result<FileAttr> {
        if let Some(len) = len {
            self.set_len(ctx, ino, handle, len)?;
        }
        if len.is_none() || *change != (Change { faithful: true, ..Change::default() }) {
            self.set_metadata(ctx, ino, change)?;
        }
        self.attributes(ino)
    }

    pub(super) fn set_attribute(&self, ctx: &Ctx, ino: u64, name: &[u8], value: &[u8], flags: i32) -> Result<()> {
        let how = match flags {
            0 => XattrHow::Any,
            1 => XattrHow::Create,
            2 => XattrHow::Replace,
            _ => return Err(Error::new(ErrorKind::InvalidInput, "set attribute")),
        };
        if name.starts_with(b"system.posix_acl_") && !self.acls {
            return Err(Error::new(ErrorKind::Unsupported, "set attribute"));
        }
        let _still = self.still();
        let path = self.table().path(ino);
        match path {
            Some(path) => self.overlay.set_xattr(ctx, &path, Follow::No, name, value, how).map(drop),
            None => self.set_nameless(ctx, ino, &xattr(name, Some(value))),
        }
    }

    pub(super) fn remove_attribute(&self, ctx: &Ctx, ino: u64, name: &[u8]) -> Result<()> {
        self.set_metadata(ctx, ino, &xattr(name, None))
    }

    /// Takes setuid and setgid from a file that someone other than root has emptied (semantics P03). The kernel does it
    /// where a file is written, but not where it is opened to be emptied.
    pub(super) fn take_rights(&self, ctx: &Ctx, ino: u64) -> Result<()> {
        let stat = self.attributes(ino)?;
        let mode = u32::from(stat.perm);
        let foreign_group = mode & 0o2010 == 0o2000 && stat.gid != ctx.gid;
        let lost = 0o4000 | if mode & 0o2010 == 0o2010 || foreign_group { 0o2000 } else { 0 };
        if mode & lost != 0 {
            let change = Change { mode: Some(mode & !lost), faithful: true, ..Change::default() };
            self.set_metadata(ctx, ino, &change)?;
            self.notices.push(vec![Notice::Attributes(ino)]);
        }
        Ok(())
    }

    fn set_metadata(&self, ctx: &Ctx, ino: u64, change: &Change) -> Result<()> {
        let _still = self.still();
        let path = self.table().path(ino);
        match path {
            Some(path) => self.overlay.set(ctx, &path, Follow::No, change).map(drop),
            None => self.set_nameless(ctx, ino, change),
        }
    }

    fn set_nameless(&self, ctx: &Ctx, ino: u64, change: &Change) -> Result<()> {
        let mut object = self.nameless(ino)?;
        let before = object.layer();
        self.overlay.set_nameless(ctx, &mut object, change)?;
        if object.layer() != before {
            self.table().renewed(ino, object);
        }
        Ok(())
    }
}

fn xattr(name: &[u8], value: Option<&[u8]>) -> Change {
    Change { xattrs: vec![(name.into(), value.map(Into::into))], faithful: true, ..Change::default() }
}
