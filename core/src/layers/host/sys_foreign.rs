//! What only Linux has, answered on other hosts: no attributes to read, and no kernel form to write.

use std::{fs::File, io, ops::Range};

use super::sys::Handle;
use crate::{Allocate, Device, Kind};

/// A file handle, which only Linux tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileHandle {
    pub(super) kind: u8,
    pub(super) bytes: Vec<u8>,
}

/// Tells file handles: none.
#[derive(Debug)]
pub(super) struct Handles;

impl Handles {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) fn of(&self, _object: &Handle) -> io::Result<Option<FileHandle>> {
        Ok(None)
    }
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Attributes of these hosts are not shown, and are never a layer's marks.
impl Handle {
    pub(super) fn xattr(&self, _name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    pub(super) fn xattr_bytes(&self, _name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    pub(super) fn child_xattr(&self, _child: &[u8], _name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    pub(super) fn child_xattr_names(&self, _child: &[u8]) -> io::Result<Vec<Box<[u8]>>> {
        Ok(Vec::new())
    }

    pub(super) fn xattr_names(&self) -> io::Result<Vec<Box<[u8]>>> {
        Ok(Vec::new())
    }

    pub(super) fn set_xattr(&self, _name: &[u8], _value: &[u8]) -> io::Result<()> {
        unsupported()
    }

    pub(super) fn remove_xattr(&self, _name: &[u8]) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn set_owner(&self, _uid: Option<u32>, _gid: Option<u32>) -> io::Result<()> {
        unsupported()
    }

    pub(super) fn make_special(&self, _name: &[u8], _kind: Kind, _rdev: Device) -> io::Result<()> {
        unsupported()
    }

    pub(super) fn link_into(&self, _dir: &Handle, _name: &[u8]) -> io::Result<()> {
        unsupported()
    }

    pub(super) fn rename_whiteout(&self, _name: &[u8], _to: &Handle, _to_name: &[u8]) -> io::Result<()> {
        unsupported()
    }

    /// Objects that cannot be opened are durable with their directories.
    pub(super) fn sync_file_system(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Permission bits are taken to stop this process; the portable form keeps its objects open to their owner.
pub(super) fn bound_by_modes(_dir: &Handle) -> io::Result<bool> {
    Ok(true)
}

/// Sets no space aside.
pub(super) fn allocate(_file: &File, _how: Allocate, _range: Range<u64>) -> io::Result<()> {
    unsupported()
}

pub(super) fn copy_range(_from: &File, _to: &File, _offset: u64, _len: u64) -> io::Result<u64> {
    unsupported()
}

pub(super) fn clone_content(_from: &File, _to: &File) -> io::Result<()> {
    unsupported()
}
