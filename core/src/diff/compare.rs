//! Whether an object of the upper differs from the one that it covers.
//!
//! The cheap signs decide first: kinds, lengths, and for files the time of the content. Another length or
//! another time means other content, and nothing is read. Only where length and time are equal, as after a
//! change of metadata alone, is the content compared, up to the first difference. Metadata is mode, owner and
//! extended attributes; times of access and of inodes never count, nor do a directory's times, which follow
//! its entries.

use crate::{
    Blob, ErrorKind, Facts, Kind, Result, Stat,
    overlay::{Place, Stack},
};

/// What differs between an object and the one below it; nothing, where they are not of one kind.
#[derive(Default)]
pub(super) struct Difference {
    pub(super) content: bool,
    pub(super) metadata: bool,
}

impl Stack {
    /// Compares the upper's object, of which `mine` is known, with what the lowers show.
    pub(super) fn differs(&self, upper: &Place, mine: &Facts, below: &Place) -> Result<Difference> {
        let Some(other) = below.top().filter(|other| other.node.kind == mine.stat.kind) else {
            return Ok(Difference::default());
        };
        let theirs = self.layers[other.layer].facts(&other.node)?;
        let content = self.content_differs(upper, below, &mine.stat, &theirs.stat)?;
        Ok(Difference { content, metadata: metadata_differs(mine, &theirs) })
    }

    fn content_differs(&self, upper: &Place, below: &Place, one: &Stat, other: &Stat) -> Result<bool> {
        match one.kind {
            Kind::File if upper.top().is_some_and(|hit| hit.marks.metacopy) => Ok(false),
            Kind::File if is_another(one, other) => Ok(true),
            Kind::File => {
                let mine = self.content(upper)?;
                // What cannot be read was never copied up, so this is something else.
                match self.content(below) {
                    Ok(lower) => blobs_differ(&*mine, &*lower),
                    Err(e) if is_unreadable(e.kind()) => Ok(true),
                    Err(e) => Err(e),
                }
            }
            Kind::Symlink => Ok(self.link(upper)? != self.link(below)?),
            Kind::Char | Kind::Block => Ok(one.rdev != other.rdev),
            _ => Ok(false),
        }
    }

    fn link(&self, place: &Place) -> Result<Vec<u8>> {
        match place.top() {
            Some(hit) => self.layers[hit.layer].target(&hit.node),
            None => Ok(Vec::new()),
        }
    }
}

/// Returns the difference of two whole files where length and time tell it; `None` where they have to be read.
pub(super) fn files_differ(mine: &Facts, theirs: &Facts) -> Option<Difference> {
    let metadata = metadata_differs(mine, theirs);
    is_another(&mine.stat, &theirs.stat).then_some(Difference { content: true, metadata })
}

fn is_unreadable(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::UnsupportedEntry | ErrorKind::Corrupt | ErrorKind::NotFound)
}

fn is_another(one: &Stat, other: &Stat) -> bool {
    one.size != other.size || one.attrs.mtime != other.attrs.mtime
}

fn metadata_differs(mine: &Facts, theirs: &Facts) -> bool {
    let (a, b) = (mine.stat.attrs, theirs.stat.attrs);
    let timed = !matches!(mine.stat.kind, Kind::Dir | Kind::File) && a.mtime != b.mtime;
    timed || (a.mode, a.uid, a.gid) != (b.mode, b.uid, b.gid) || mine.xattrs != theirs.xattrs
}

/// Compares two contents of one length, in pieces of 128 KiB.
fn blobs_differ(one: &dyn Blob, other: &dyn Blob) -> Result<bool> {
    let (mut a, mut b) = (vec![0; 128 * 1024], vec![0; 128 * 1024]);
    let mut at = 0;
    loop {
        let got = read_full(one, &mut a, at)?;
        if got != read_full(other, &mut b, at)? || a[..got] != b[..got] {
            return Ok(true);
        }
        if got == 0 {
            return Ok(false);
        }
        at += got as u64;
    }
}

/// Fills `buf` as far as the content goes.
fn read_full(blob: &dyn Blob, buf: &mut [u8], at: u64) -> Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        match blob.read_at(&mut buf[done..], at + done as u64)? {
            0 => break,
            got => done += got,
        }
    }
    Ok(done)
}
