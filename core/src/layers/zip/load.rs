//! Reading the central directory into the tree.

use rawzip::{ZipArchive, ZipFileHeaderRecord};

use super::{
    Options, attrs,
    build::{Builder, Entry},
    end::{Directory, corrupt},
    extra::{self, Extra},
    index::{Index, Record},
    local,
    names::{Backslash, decode},
    report::Report,
    spans::{self, Order, Span},
    times,
    view::{BUFFER, View, failed},
};
use crate::{Blob, Device, Error, ErrorKind, Kind, PATH_MAX, Result};

/// What was read.
pub(super) struct Loaded {
    pub(super) index: Index,
    pub(super) report: Report,
    /// The hash of the directory.
    pub(super) digest: blake3::Hash,
}

/// Reads the directory. Refuses what the limits, the rules of T11 and T13 and, if asked, strictness refuse.
pub(super) fn load(source: &dyn Blob, found: &Directory, options: &Options) -> Result<Loaded> {
    within_limits(found, options)?;
    let archive = View::open(source, found)?;
    let mut walk = Walk::new(found, options);
    archive.get_ref().begin();
    // The walker takes a zip64 end record at the very start, of an empty archive, for an entry.
    if found.size > 0 {
        each(&archive, |record| walk.take(record))?;
    }
    let digest = archive.get_ref().finish();
    if walk.count != found.entries {
        let reason = format!("the end record counts {} entries, the directory has {}", found.entries, walk.count);
        return Err(corrupt(reason));
    }
    let builder = walk.settle(source, &archive, found)?;
    let (index, report) = builder.finish();
    if let Some((name, reason)) = report.first_left_out().filter(|_| options.strict) {
        return Err(corrupt(format!("strict: {reason}")).at_bytes(name));
    }
    Ok(Loaded { index, report, digest })
}

fn within_limits(found: &Directory, options: &Options) -> Result<()> {
    let limits = options.limits;
    let reason = if found.entries > limits.entries as u64 {
        format!("{} entries, allowed are {}", found.entries, limits.entries)
    } else if found.size > limits.directory {
        format!("a directory of {} bytes, allowed are {}", found.size, limits.directory)
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::TooLarge, "read archive").because(reason))
}

fn each(archive: &ZipArchive<View<'_>>, mut take: impl FnMut(&ZipFileHeaderRecord<'_>) -> Result<()>) -> Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut entries = archive.entries(&mut buffer);
    while let Some(record) = entries.next_entry().map_err(failed)? {
        take(&record)?;
    }
    Ok(())
}

/// The shortest record of the directory.
const HEADER: u64 = 46;

/// One pass over the directory.
struct Walk<'a> {
    options: &'a Options,
    builder: Builder,
    order: Order,
    count: u64,
    /// Where members must end: the start of the directory, from the start of the archive proper.
    limit: u64,
    decoded: Vec<u8>,
    separated: Vec<u8>,
}

impl<'a> Walk<'a> {
    fn new(found: &Directory, options: &'a Options) -> Self {
        // No more than there are bytes for, whatever the end record counts.
        let expected = found.entries.min(found.size / HEADER);
        Self {
            options,
            builder: Builder::new(options.limits.entries, expected as usize),
            order: Order::new(),
            count: 0,
            limit: found.start - found.base,
            decoded: Vec::new(),
            separated: Vec::new(),
        }
    }

    /// Takes one entry. It stays a function of its own: in a browser the loop around it never gets faster, what it calls does.
    #[inline(never)]
    fn take(&mut self, record: &ZipFileHeaderRecord<'_>) -> Result<()> {
        self.count += 1;
        let span = span(record, self.limit)?;
        let id = self.place(record)?;
        if let Some((before, room)) = self.order.next(span, id) {
            self.builder.set_room(before, room);
        }
        Ok(())
    }

    /// Puts an entry into the tree and returns its number there, or reports why it is left out.
    fn place(&mut self, header: &ZipFileHeaderRecord<'_>) -> Result<Option<u32>> {
        let raw = header.file_path();
        let raw = raw.as_bytes();
        let extra = extra::read(header.extra_fields());
        let marked = header.flags().is_utf8();
        let path = decode(raw, marked, extra.unicode, self.options.names, &mut self.decoded);
        let path = separate(path, self.options.backslash, &mut self.separated);
        let record = record(header, &extra, path.ends_with(b"/"));
        let device = extra.device.unwrap_or_default();
        if let Some(reason) = unfit(&record, device, self.options.whiteouts) {
            self.builder.report.leave_out(raw, reason);
            return Ok(None);
        }
        let has_backslash = path.contains(&b'\\');
        let id = self.builder.add(Entry { path, raw, record, atime: extra.atime, device })?;
        if has_backslash && id.is_some() {
            self.builder.report.shown(raw, "the backslash in its name is kept: it is no separator here");
        }
        Ok(id)
    }

    /// Checks what only the whole directory shows, and returns the tree with its rooms.
    fn settle(mut self, source: &dyn Blob, archive: &ZipArchive<View<'_>>, found: &Directory) -> Result<Builder> {
        if !self.order.is_ascending() {
            self.builder.set_rooms(&sorted_spans(archive, self.limit)?, self.limit);
        } else if let Some((id, room)) = self.order.last(self.limit) {
            self.builder.set_room(id, room);
        }
        if !found.others.is_empty() {
            lie_in_members(source, &sorted_spans(archive, self.limit)?, found)?;
        }
        Ok(self.builder)
    }
}

fn span(record: &ZipFileHeaderRecord<'_>, limit: u64) -> Result<Span> {
    Span::new(record.local_header_offset(), record.file_path().len(), record.compressed_size_hint(), limit)
}

/// Walks the directory once more, for an archive whose members do not stand in its order.
fn sorted_spans(archive: &ZipArchive<View<'_>>, limit: u64) -> Result<Vec<Span>> {
    let mut spans = Vec::new();
    each(archive, |record| {
        spans.push(span(record, limit)?);
        Ok(())
    })?;
    spans::sort(&mut spans)?;
    Ok(spans)
}

/// Refuses (`Corrupt`) a second end record that is not some member's content.
fn lie_in_members(source: &dyn Blob, spans: &[Span], found: &Directory) -> Result<()> {
    for other in &found.others {
        let at = other.checked_sub(found.base);
        let before = at.and_then(|at| spans.partition_point(|span| span.start <= at).checked_sub(1));
        let end = before.map_or(Ok(0), |before| local::end(source, found.base, spans[before]))?;
        if at.is_none_or(|at| at >= end) {
            return Err(corrupt("there are two end records"));
        }
    }
    Ok(())
}

fn separate<'a>(path: &'a [u8], backslash: Backslash, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if backslash == Backslash::Keep || !path.contains(&b'\\') {
        return path;
    }
    scratch.clear();
    scratch.extend(path.iter().map(|b| if *b == b'\\' { b'/' } else { *b }));
    scratch
}

/// Returns all that a central record says of its entry, but place and name.
fn record(header: &ZipFileHeaderRecord<'_>, extra: &Extra<'_>, slash: bool) -> Record {
    let size = header.uncompressed_size_hint();
    let host = header.version_made_by().creator_system().as_u8();
    let mode = attrs::mode(host, header.external_attributes(), slash, size);
    let dos = header.last_modified_dos();
    let (uid, gid) = extra.owner.unwrap_or_default();
    Record {
        size: if holds_bytes(mode) { size } else { 0 },
        packed: header.compressed_size_hint(),
        local: header.local_header_offset(),
        mtime: extra.mtime.unwrap_or_else(|| times::from_dos(dos.packed_date(), dos.packed_time())),
        uid,
        gid,
        crc: header.crc32(),
        mode,
        method: header.compression_method().as_u16(),
        flags: header.flags().bits(),
        ..Record::default()
    }
}

fn holds_bytes(mode: u16) -> bool {
    matches!(attrs::kind(mode), Kind::File | Kind::Symlink)
}

/// Returns why an entry cannot be shown as the kind it is, or `None` if it can (trust T4, T8).
fn unfit(record: &Record, device: Device, whiteouts: bool) -> Option<&'static str> {
    match attrs::kind(record.mode) {
        Kind::Symlink if record.size == 0 => Some("it is a symbolic link without a target"),
        Kind::Symlink if record.size > PATH_MAX as u64 => Some("its target is longer than 4,096 bytes"),
        Kind::Char if device == Device::default() && !whiteouts => {
            Some("a character device 0/0 would hide what lies below")
        }
        _ => None,
    }
}
