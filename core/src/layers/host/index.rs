//! The kernel's index of hard links (semantics H02): what stands for a lower's file of several names, once one of them
//! was changed.
//!
//! An entry is named by the file handle of the lower's file, with the number of its file system. Where that number is
//! not known, an entry that could be meant is an error: nothing old is shown for new.

use super::{
    failed,
    kept::{self, KERNEL},
    marks::Keys,
    sys::{FileHandle, Handle, Handles},
};
use crate::{Error, ErrorKind, Kind, Result};

/// An upper's index.
#[derive(Debug)]
pub(super) struct Index {
    dir: Handle,
    handles: Handles,
    /// The device of the upper, and the number of its file system.
    upper: (u64, Option<[u8; UUID]>),
    /// The root of the topmost lower.
    top: Option<Origin>,
}

const UUID: usize = 16;
/// What precedes the file handle in a mark: version, magic number, length, flags, type, and the file system's number.
const HEAD: usize = 5 + UUID;

/// A file handle as the kernel's overlay writes it in marks.
#[derive(Debug)]
struct Origin {
    uuid: [u8; UUID],
    handle: FileHandle,
}

impl Origin {
    /// Reads a mark; `None` for one that says nothing, or is of another kind of machine.
    fn parse(mark: &[u8]) -> Option<Self> {
        let (head, bytes) = mark.split_at_checked(HEAD)?;
        let &[0, 0xfb, length, _flags, kind, ref uuid @ ..] = head else { return None };
        let uuid = uuid.try_into().ok()?;
        (usize::from(length) == mark.len()).then(|| Self { uuid, handle: FileHandle { kind, bytes: bytes.to_vec() } })
    }
}

impl Index {
    /// Opens the index that a mount with this `work` directory keeps for the upper at `root`: in the kernel's own part
    /// of it, or right there where somebody else has mounted it. Returns `None` where there is none.
    pub(super) fn find(work: &Handle, root: &Handle, keys: &Keys) -> Result<Option<Self>> {
        let ours = kept::find(work, &[KERNEL, b"index"])?;
        let Some(dir) = ours.map_or_else(|| kept::find(work, &[b"index"]), |dir| Ok(Some(dir)))? else {
            return Ok(None);
        };
        let mark = |handle: &Handle, name: &str| {
            let value = handle.xattr(name).map_err(failed("read mark"))?;
            Ok::<_, Error>(value.and_then(|value| Origin::parse(&value)))
        };
        let upper = mark(&dir, keys.upper)?.map(|origin| origin.uuid);
        let dev = root.stat().map_err(failed("open upper"))?.dev;
        let (handles, top) = (Handles::new().map_err(failed("open upper"))?, mark(root, keys.origin)?);
        Ok(Some(Self { dir, handles, upper: (dev, upper), top }))
    }

    /// Returns what stands for a lower's object, with the lower's `root`; `None` where the lower's own shows.
    ///
    /// Refuses what the kernel refuses (`Corrupt`), and where it cannot be known (`Unsupported`).
    pub(super) fn entry(&self, root: &Handle, lower: &Handle) -> Result<Option<Handle>> {
        let raw = lower.stat().map_err(failed("look into the index"))?;
        if raw.stat.kind == Kind::Dir || raw.stat.nlink < 2 {
            return Ok(None);
        }
        let handle = self.handles.of(lower).map_err(failed("look into the index"))?;
        let found = match (handle, self.uuid_of(raw.dev, root)?) {
            (Some(handle), Some(uuid)) => self.child(name_of(&uuid, &handle).as_bytes())?,
            (handle, _) => {
                self.refuse_alike(handle.as_ref())?;
                None
            }
        };
        let wrong = |found: &Handle| found.stat().map(|up| up.stat.kind != raw.stat.kind);
        match found {
            Some(found) if wrong(&found).map_err(failed("look into the index"))? => {
                Err(Error::new(ErrorKind::Corrupt, "look into the index").because("it has an object of another kind"))
            }
            found => Ok(found),
        }
    }

    fn child(&self, name: &[u8]) -> Result<Option<Handle>> {
        match self.dir.child(name) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("look into the index")(error)),
        }
    }

    /// Returns the number of the file system on which a lower lies: the upper's, or that of the topmost lower.
    fn uuid_of(&self, dev: u64, root: &Handle) -> Result<Option<[u8; UUID]>> {
        if dev == self.upper.0 {
            return Ok(self.upper.1);
        }
        let Some(top) = &self.top else { return Ok(None) };
        let is_top = self.handles.of(root).map_err(failed("look into the index"))?.as_ref() == Some(&top.handle);
        Ok((is_top && root.stat().map_err(failed("look into the index"))?.dev == dev).then_some(top.uuid))
    }

    /// Refuses an index that holds an entry of this handle on some file system; of an unknown handle, one that holds any.
    fn refuse_alike(&self, handle: Option<&FileHandle>) -> Result<()> {
        let end = handle.map(|handle| name_of(&[0; UUID], handle).split_off(2 * HEAD)).unwrap_or_default();
        let mut alike = false;
        let scanned = self.dir.scan(&mut |name, _| alike |= name.ends_with(end.as_bytes()));
        scanned.map_err(failed("look into the index"))?;
        if !alike {
            return Ok(());
        }
        let why =
            "another name of this file may have been changed, and the kernel alone can tell; mount it with --index";
        Err(Error::new(ErrorKind::Unsupported, "look into the index").because(why))
    }
}

/// Returns the name of the entry for a handle on a file system.
fn name_of(uuid: &[u8; UUID], handle: &FileHandle) -> String {
    let length = (HEAD + handle.bytes.len()) as u8;
    let flags = u8::from(cfg!(target_endian = "big"));
    let head = [0, 0xfb, length, flags, handle.kind];
    head.iter().chain(uuid).chain(&handle.bytes).map(|byte| format!("{byte:02x}")).collect()
}

/// Returns how many names an object shows that the index holds: those of the upper's, and as many more or less as the
/// mark says. One that counts from the lower's is left by a crash alone, and says nothing here.
pub(super) fn count_links(own: u32, mark: &[u8]) -> u32 {
    let more = mark.strip_prefix(b"U").and_then(|more| std::str::from_utf8(more).ok()?.parse::<i32>().ok());
    more.and_then(|more| own.checked_add_signed(more)).filter(|links| *links > 0).unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_counted_from_the_uppers() {
        let cases =
            [(2, "U+1", 3), (2, "U+0", 2), (3, "U-1", 2), (1, "U-1", 1), (2, "L-1", 2), (2, "", 2), (2, "Ux", 2)];
        cases.iter().for_each(|(own, mark, links)| assert_eq!(count_links(*own, mark.as_bytes()), *links, "{mark}"));
    }

    #[test]
    fn marks_that_are_no_handles_say_nothing() {
        let mut mark = [vec![0, 0xfb, 29, 0, 1], vec![7; UUID], vec![9; 8]].concat();
        assert_eq!(Origin::parse(&mark).unwrap().uuid, [7; UUID]);
        mark.pop();
        assert!(Origin::parse(&mark).is_none() && Origin::parse(b"").is_none());
    }
}
