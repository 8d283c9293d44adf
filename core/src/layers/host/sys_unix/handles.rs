//! File handles: what a file system calls its objects, whatever their names.
//!
//! No safe call asks for them (`name_to_handle_at`), but the kernel tells them of what a descriptor of inotify watches.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsRawFd, OwnedFd},
    sync::{Mutex, PoisonError},
};

use rustix::fs::{Mode, OFlags, inotify};

use super::Handle;

/// A file handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct FileHandle {
    pub(in super::super) kind: u8,
    pub(in super::super) bytes: Vec<u8>,
}

/// Tells file handles.
#[derive(Debug)]
pub(in super::super) struct Handles(Mutex<OwnedFd>);

impl Handles {
    pub(in super::super) fn new() -> io::Result<Self> {
        Ok(Self(Mutex::new(inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?)))
    }

    /// Returns the handle of an object; `None` on a file system without.
    pub(in super::super) fn of(&self, object: &Handle) -> io::Result<Option<FileHandle>> {
        // It watches nothing between two calls.
        let watcher = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let watch = inotify::add_watch(&*watcher, object.proc_path(), inotify::WatchFlags::DELETE_SELF)?;
        let table = table(&watcher);
        inotify::remove_watch(&*watcher, watch)?;
        // The kernel says that it watches no more: unread, that would wait for ever.
        rustix::io::read(&*watcher, &mut [0_u8; 256])?;
        Ok(parse(&table?))
    }
}

fn table(watcher: &OwnedFd) -> io::Result<String> {
    let path = format!("/proc/self/fdinfo/{}", watcher.as_raw_fd());
    let mut table = String::new();
    let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    File::from(fd).read_to_string(&mut table)?;
    Ok(table)
}

/// Reads the handle of the one watched object: hexadecimal numbers, and the bytes.
fn parse(table: &str) -> Option<FileHandle> {
    let field = |name: &str| table.split_whitespace().find_map(|field| field.strip_prefix(name));
    let number = |name: &str| field(name).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let (length, kind, digits) = (number("fhandle-bytes:")?, number("fhandle-type:")?, field("f_handle:")?);
    let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let bytes = (0..digits.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()?;
    (bytes.len() == usize::from(length)).then_some(FileHandle { kind, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_in_the_watchers_queue() {
        let (handles, object) = (Handles::new().unwrap(), Handle::root(std::path::Path::new("/")).unwrap());
        (0..3).for_each(|_| drop(handles.of(&object).unwrap()));
        assert_eq!(rustix::io::ioctl_fionread(&*handles.0.lock().unwrap()).unwrap(), 0);
    }

    #[test]
    fn handles_are_read_from_the_table() {
        let line = "pos:\t0\nflags:\t00\ninotify wd:1 ino:99c346 sdev:fe00000 mask:400 ignored_mask:0 ";
        let told = parse(&format!("{line}fhandle-bytes:8 fhandle-type:4d f_handle:46c3990050eeda70\n")).unwrap();
        assert_eq!((told.kind, told.bytes.len(), told.bytes[1]), (0x4d, 8, 0xc3));
        let cut = parse(&format!("{line}fhandle-bytes:8 fhandle-type:1 f_handle:46c399\n"));
        assert!(cut.is_none() && parse(line).is_none());
    }
}
