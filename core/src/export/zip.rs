//! Writing a zip: members copied as they are stored, or deflated at a fixed level.
//!
//! A member that a zip lower stores is verified first, by a full read, unless a read has done so before: a damaged one
//! never leaves under our name (trust 3.7). What cannot be read, being encrypted or of an unknown method, is copied
//! with the flags, time and extra fields that its readers need.
//!
//! Deflate's output is the same for the same input on one machine; between processors of other kinds it may differ.

use std::sync::Arc;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use crate::{Attrs, Blob, Error, ErrorKind, Kind, Result, Stored};

use super::{
    Loss, Losses, Member, Out, PIECE, Sink, each_piece, manifest,
    zip_records::{DESCRIPTOR, Directory, ENCRYPTED, Head, Sums, dos_time, extra, holds_time, unix_mode},
};

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const LEVEL: u32 = 6;
/// Flags of a stored member that its bytes depend on: encryption, the coder's options, strong encryption.
const OF_BYTES: u16 = ENCRYPTED | 0b110 | 1 << 6;
/// Files up to this length are deflated in memory, and stored when that is not longer.
const SMALL: u64 = PIECE as u64;
/// From this length on a descriptor is wide: deflate adds less than a part in a thousand.
const MAYBE_WIDE: u64 = 0xff00_0000;

/// A zip being written.
pub(super) struct Zip<'a> {
    out: Out<'a>,
    directory: Directory,
    deflate: Deflate,
    /// Of an upper alone.
    manifest: Option<manifest::Writer>,
}

impl<'a> Zip<'a> {
    pub(super) fn new(out: Out<'a>, is_upper: bool) -> Self {
        let manifest = is_upper.then(manifest::Writer::new);
        Self { out, directory: Directory::default(), deflate: Deflate::new(), manifest }
    }

    fn note_losses(&self, member: &Member<'_>, losses: &mut Losses) {
        let Some(stat) = member.stat.filter(|_| self.manifest.is_none()) else { return };
        let marks = &member.marks;
        let lost = [
            (Loss::Xattrs, !member.xattrs.is_empty()),
            (Loss::Times, !holds_time(stat.attrs.mtime)),
            (Loss::HardLinks, member.link.is_some()),
            (Loss::Marks, marks.opaque != crate::Opaque::No || marks.redirect.is_some()),
        ];
        lost.iter().filter(|(_, lost)| *lost).for_each(|(loss, _)| losses.note(*loss, &member.name));
    }

    fn head(&self, member: &Member<'_>) -> Result<Head> {
        let name = if self.manifest.is_some() { manifest::stored_name(&member.name)? } else { member.name.clone() };
        let kind = member.kind();
        let attrs = member.stat.map_or_else(Attrs::default, |stat| stat.attrs);
        let device = match kind {
            Kind::Whiteout => Some(Default::default()),
            Kind::Char | Kind::Block => member.stat.map(|stat| stat.rdev),
            _ => None,
        };
        let slash: &[u8] = if kind == Kind::Dir { b"/" } else { b"" };
        Ok(Head {
            name: [name.as_bytes(), slash].concat(),
            flags: 0,
            method: STORED,
            time: dos_time(attrs.mtime),
            mode: unix_mode(kind, attrs.mode),
            extra: extra(&attrs, device),
        })
    }

    /// Writes a short member, deflated if that is shorter.
    fn put_short(&mut self, mut head: Head, content: &[u8]) -> Result<()> {
        let deflated = self.deflate.all(content)?;
        if deflated.len() >= content.len() {
            return self.put_bytes(head, content, content);
        }
        head.method = DEFLATED;
        self.put_bytes(head, content, &deflated)
    }

    fn put_bytes(&mut self, head: Head, content: &[u8], bytes: &[u8]) -> Result<()> {
        let mut crc = Crc::new();
        crc.update(content);
        let sums = Sums { crc: crc.sum(), packed: bytes.len() as u64, size: content.len() as u64 };
        let at = self.out.at;
        self.out.put(&head.local(Some(sums), false))?;
        self.out.put(bytes)?;
        self.directory.add(&head, &sums, at);
        Ok(())
    }

    fn put_file(&mut self, head: Head, blob: &dyn Blob) -> Result<()> {
        if let Some(stored) = blob.stored() {
            return self.put_stored(head, blob, &stored);
        }
        let size = blob.size()?;
        if size > SMALL {
            return self.put_streamed(head, blob, size);
        }
        let mut content = Vec::with_capacity(size as usize);
        each_piece(blob, size, |piece| {
            content.extend_from_slice(piece);
            Ok(())
        })?;
        self.put_short(head, &content)
    }

    /// Deflates a long file; its numbers follow it.
    fn put_streamed(&mut self, mut head: Head, blob: &dyn Blob, size: u64) -> Result<()> {
        (head.method, head.flags) = (DEFLATED, DESCRIPTOR);
        let (at, wide) = (self.out.at, size >= MAYBE_WIDE);
        self.out.put(&head.local(None, wide))?;
        let start = self.out.at;
        let mut crc = Crc::new();
        let read = each_piece(blob, size, |piece| {
            crc.update(piece);
            self.deflate.push(piece, &mut self.out)
        })?;
        self.deflate.finish(&mut self.out)?;
        let sums = Sums { crc: crc.sum(), packed: self.out.at - start, size: read };
        if sums.is_wide() && !wide {
            return Err(Error::new(ErrorKind::Busy, "export").because("it grew while it was read"));
        }
        self.out.put(&sums.descriptor(wide))?;
        self.directory.add(&head, &sums, at);
        Ok(())
    }

    /// Copies a member as it is stored.
    fn put_stored(&mut self, mut head: Head, blob: &dyn Blob, stored: &Stored) -> Result<()> {
        let is_encrypted = stored.flags & ENCRYPTED != 0;
        if !stored.verified && !is_encrypted {
            verify(blob)?;
        }
        head.method = stored.method;
        head.flags = stored.flags & OF_BYTES;
        head.extra.extend_from_slice(&stored.lock);
        if is_encrypted {
            // The oldest encryption checks a password against the CRC or, before a descriptor, against the time.
            head.flags |= stored.flags & DESCRIPTOR;
            head.time = stored.time;
        }
        let sums = Sums { crc: stored.crc32, packed: stored.bytes.size()?, size: stored.size };
        let (at, streamed) = (self.out.at, head.flags & DESCRIPTOR != 0);
        self.out.put(&head.local((!streamed).then_some(sums), sums.is_wide()))?;
        let copied = each_piece(&*stored.bytes, sums.packed, |piece| self.out.put(piece))?;
        if copied != sums.packed {
            return Err(Error::new(ErrorKind::Corrupt, "export").because("the stored bytes are cut short"));
        }
        if streamed {
            self.out.put(&sums.descriptor(sums.is_wide()))?;
        }
        self.directory.add(&head, &sums, at);
        Ok(())
    }

    fn put_manifest(&mut self) -> Result<()> {
        let Some(mut manifest) = self.manifest.take() else { return Ok(()) };
        let attrs = Attrs { mode: 0o644, ..Attrs::default() };
        let head = Head {
            name: manifest::PATH.as_bytes().to_vec(),
            flags: 0,
            method: STORED,
            time: dos_time(attrs.mtime),
            mode: unix_mode(Kind::File, attrs.mode),
            extra: extra(&attrs, None),
        };
        self.put_file(head, &manifest.finish())
    }
}

impl Sink for Zip<'_> {
    fn add(&mut self, member: &Member<'_>, losses: &mut Losses) -> Result<bool> {
        self.note_losses(member, losses);
        let head = self.head(member)?;
        match member.kind() {
            Kind::File => {
                let content: Arc<dyn Blob> = member.open(self.manifest.is_some())?;
                self.put_file(head, &*content)?;
            }
            Kind::Symlink => {
                let target = member.object.target()?;
                self.put_bytes(head, &target, &target)?;
            }
            _ => self.put_bytes(head, b"", b"")?,
        }
        if let Some(manifest) = &mut self.manifest {
            manifest.add(&manifest::Line::of(member))?;
        }
        Ok(true)
    }

    fn finish(&mut self) -> Result<u64> {
        let comment = if self.manifest.is_some() { manifest::COMMENT } else { b"" };
        self.put_manifest()?;
        self.directory.finish(&mut self.out, comment)?;
        self.out.inner.flush()?;
        Ok(self.out.at)
    }
}

/// Reads a member to its end, where a damaged one is found out; one that cannot be read at all is left as it is.
fn verify(blob: &dyn Blob) -> Result<()> {
    match blob.size().and_then(|size| each_piece(blob, size, |_| Ok(()))) {
        Err(e) if e.kind() == ErrorKind::UnsupportedEntry => Ok(()),
        read => read.map(drop),
    }
}

/// A deflate stream going into the archive, used again for every member.
struct Deflate {
    coder: Compress,
    buffer: Vec<u8>,
}

impl Deflate {
    fn new() -> Self {
        Self { coder: Compress::new(Compression::new(LEVEL), false), buffer: Vec::with_capacity(PIECE) }
    }

    fn push(&mut self, mut piece: &[u8], out: &mut Out<'_>) -> Result<()> {
        while !piece.is_empty() {
            let before = self.coder.total_in();
            self.step(piece, FlushCompress::None, out)?;
            piece = &piece[(self.coder.total_in() - before) as usize..];
        }
        Ok(())
    }

    /// Ends the stream; the next push begins another.
    fn finish(&mut self, out: &mut Out<'_>) -> Result<()> {
        while self.step(b"", FlushCompress::Finish, out)? != Status::StreamEnd {}
        self.coder.reset();
        Ok(())
    }

    /// Deflates bytes at hand.
    fn all(&mut self, content: &[u8]) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut out = Out { inner: &mut bytes, at: 0 };
        self.push(content, &mut out)?;
        self.finish(&mut out)?;
        Ok(bytes)
    }

    fn step(&mut self, input: &[u8], flush: FlushCompress, out: &mut Out<'_>) -> Result<Status> {
        self.buffer.clear();
        let status = self.coder.compress_vec(input, &mut self.buffer, flush).map_err(failed)?;
        out.put(&self.buffer)?;
        Ok(status)
    }
}

fn failed(error: flate2::CompressError) -> Error {
    Error::new(ErrorKind::Io, "deflate").because(error)
}
