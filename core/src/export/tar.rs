//! Writing a tar: ustar headers, with PAX records for all that does not fit them.
//!
//! Times have nanoseconds, names any bytes and any length, extended attributes are `SCHILY.xattr.` records, further
//! names of one file are link members. Holes are filled. Whiteouts and their like have mode 0 and time 0.

use crate::{Device, Error, ErrorKind, Kind, Opaque, Result};

use super::{
    Loss, Losses, Member, Out, Sink, Whiteouts, each_piece,
    tar_format::{BLOCK, COMMENT, Header, OVERLAY, UPPER_KERNEL, UPPER_OCI, WH, WH_OPAQUE, XATTR, padding, typeflag},
};

/// A tar being written.
pub(super) struct Tar<'a> {
    out: Out<'a>,
    whiteouts: Whiteouts,
    is_upper: bool,
    /// What the first member of an upper's tar carries.
    comment: Option<&'static [u8]>,
}

impl<'a> Tar<'a> {
    pub(super) fn new(out: Out<'a>, whiteouts: Whiteouts, is_upper: bool) -> Self {
        let comment = if whiteouts == Whiteouts::Oci { UPPER_OCI } else { UPPER_KERNEL };
        Self { out, whiteouts, is_upper, comment: is_upper.then_some(comment) }
    }

    /// Returns what the dialect cannot hold of an object at all.
    fn unfit(&self, member: &Member<'_>) -> Option<Loss> {
        let name = member.name.last()?.as_bytes();
        let too_long = member.kind() == Kind::Whiteout && name.len() + WH.len() > crate::NAME_MAX;
        match self.whiteouts {
            Whiteouts::Oci if too_long || member.name.names().any(|name| name.as_bytes().starts_with(WH)) => {
                Some(Loss::Names)
            }
            _ if member.kind() == Kind::Socket => Some(Loss::Sockets),
            _ => None,
        }
    }

    fn header(&mut self, member: &Member<'_>, losses: &mut Losses) -> Result<Header> {
        let mut header = Header { path: member.name.as_bytes().to_vec(), ..Header::default() };
        header.typeflag = typeflag(member.kind()).unwrap_or(b'0');
        if let Some(comment) = self.comment.take() {
            header.records.push((COMMENT.to_vec(), comment.to_vec()));
        }
        let Some(stat) = member.stat else {
            self.whiteout(&mut header, member);
            return Ok(header);
        };
        if member.kind() == Kind::Dir {
            header.path.push(b'/');
        }
        (header.mode, header.uid, header.gid) = (stat.attrs.mode, stat.attrs.uid, stat.attrs.gid);
        header.mtime = stat.attrs.mtime;
        let Device { major, minor } = stat.rdev;
        header.device = (major, minor);
        if let Some(link) = &member.link {
            (header.typeflag, header.target) = (b'1', link.as_bytes().to_vec());
            return Ok(header);
        }
        if member.kind() == Kind::Symlink {
            header.target = member.object.target()?;
        }
        self.attributes(&mut header, member, losses);
        Ok(header)
    }

    fn whiteout(&self, header: &mut Header, member: &Member<'_>) {
        if self.whiteouts == Whiteouts::Oci {
            let at = header.path.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
            header.path.splice(at..at, WH.iter().copied());
            header.typeflag = b'0';
        }
        debug_assert_eq!(member.kind(), Kind::Whiteout, "all else has attributes");
    }

    fn attributes(&self, header: &mut Header, member: &Member<'_>, losses: &mut Losses) {
        for xattr in &member.xattrs {
            if xattr.name.contains(&b'=') {
                losses.note(Loss::Xattrs, &member.name);
                continue;
            }
            let name = match xattr.name.strip_prefix(OVERLAY) {
                Some(rest) => [XATTR, OVERLAY, b"overlay.", rest].concat(),
                None => [XATTR, &xattr.name].concat(),
            };
            header.records.push((name, xattr.value.to_vec()));
        }
        let mut mark = |name: &[u8], value: &[u8]| {
            header.records.push(([XATTR, OVERLAY, name].concat(), value.to_vec()));
        };
        match (self.whiteouts, member.marks.opaque) {
            (Whiteouts::Kernel, Opaque::Yes) => mark(b"opaque", b"y"),
            (Whiteouts::Kernel, Opaque::Xwhiteouts) => mark(b"opaque", b"x"),
            _ => {}
        }
        match (self.whiteouts, &member.marks.redirect) {
            (Whiteouts::Kernel, Some(redirect)) => mark(b"redirect", redirect),
            (Whiteouts::Oci, Some(_)) => losses.note(Loss::Marks, &member.name),
            _ => {}
        }
    }

    fn put_content(&mut self, header: &mut Header, member: &Member<'_>) -> Result<()> {
        let blob = member.open(self.is_upper)?;
        header.size = blob.size()?;
        self.out.put(&header.blocks())?;
        let mut left = header.size;
        each_piece(&*blob, header.size, |piece| {
            left = left.checked_sub(piece.len() as u64).ok_or_else(changed)?;
            self.out.put(piece)
        })?;
        if left > 0 {
            return Err(changed());
        }
        self.out.put(&[0; BLOCK][..padding(header.size)])
    }

    fn put_opaque(&mut self, member: &Member<'_>) -> Result<()> {
        if self.whiteouts != Whiteouts::Oci || member.marks.opaque != Opaque::Yes {
            return Ok(());
        }
        let path = [member.name.as_bytes(), b"/", WH_OPAQUE].concat();
        self.out.put(&Header { path, typeflag: b'0', ..Header::default() }.blocks())
    }
}

impl Sink for Tar<'_> {
    fn add(&mut self, member: &Member<'_>, losses: &mut Losses) -> Result<bool> {
        if let Some(loss) = self.unfit(member) {
            losses.note(loss, &member.name);
            return Ok(false);
        }
        let mut header = self.header(member, losses)?;
        if header.typeflag == b'0' && member.kind() == Kind::File {
            self.put_content(&mut header, member)?;
        } else {
            self.out.put(&header.blocks())?;
        }
        self.put_opaque(member)?;
        Ok(true)
    }

    fn finish(&mut self) -> Result<u64> {
        self.out.put(&[0; 2 * BLOCK])?;
        self.out.inner.flush()?;
        Ok(self.out.at)
    }
}

fn changed() -> Error {
    Error::new(ErrorKind::Busy, "export").because("its length changed while it was read")
}
