//! Extended attributes by descriptor, of symlinks and devices too (Linux).

use std::io;

use rustix::{
    fs::{
        XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr, getxattr, lgetxattr, listxattr, llistxattr,
        removexattr, setxattr,
    },
    io::Errno,
};

use super::Handle;

impl Handle {
    /// Returns an attribute's value, or `None` when it is not there or the host keeps none.
    pub(in super::super) fn xattr(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.xattr_bytes(name.as_bytes())
    }

    /// Returns the value of an attribute named by bytes, or `None` when it is not there.
    pub(in super::super) fn xattr_bytes(&self, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        if let Some(fd) = self.opened() {
            return absent(grow(|buf| fgetxattr(fd, name, buf)));
        }
        let path = self.proc_path();
        absent(grow(|buf| getxattr(&*path, name, buf)))
    }

    /// Returns the value of an attribute of the object at `child`, or `None` when it is not there.
    pub(in super::super) fn child_xattr(&self, child: &[u8], name: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.child_path(child);
        absent(grow(|buf| lgetxattr(&*path, name, buf)))
    }

    /// Returns the names of all attributes of the object at `child`.
    pub(in super::super) fn child_xattr_names(&self, child: &[u8]) -> io::Result<Vec<Box<[u8]>>> {
        let path = self.child_path(child);
        Ok(split(&absent(grow(|buf| llistxattr(&*path, buf)))?.unwrap_or_default()))
    }

    fn child_path(&self, child: &[u8]) -> Vec<u8> {
        let mut path = self.proc_path().into_bytes();
        path.push(b'/');
        path.extend_from_slice(child);
        path
    }

    /// Returns the names of all attributes.
    pub(in super::super) fn xattr_names(&self) -> io::Result<Vec<Box<[u8]>>> {
        let list = match self.opened() {
            Some(fd) => grow(|buf| flistxattr(fd, buf)),
            None => {
                let path = self.proc_path();
                grow(|buf| listxattr(&*path, buf))
            }
        };
        Ok(split(&absent(list)?.unwrap_or_default()))
    }

    /// Sets an attribute.
    pub(in super::super) fn set_xattr(&self, name: &[u8], value: &[u8]) -> io::Result<()> {
        match self.opened() {
            Some(fd) => Ok(fsetxattr(fd, name, value, XattrFlags::empty())?),
            None => Ok(setxattr(self.proc_path(), name, value, XattrFlags::empty())?),
        }
    }

    /// Removes an attribute if it is there.
    pub(in super::super) fn remove_xattr(&self, name: &[u8]) -> io::Result<()> {
        let removed = match self.opened() {
            Some(fd) => fremovexattr(fd, name),
            None => removexattr(self.proc_path(), name),
        };
        match removed {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn split(names: &[u8]) -> Vec<Box<[u8]>> {
    names.split(|b| *b == 0).filter(|name| !name.is_empty()).map(Box::from).collect()
}

/// Reads with a buffer on the stack, and with a greater one when the answer asks for it.
fn grow(mut read: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut small = [0; 512];
    match read(&mut small) {
        Ok(len) => return Ok(small[..len].to_vec()),
        Err(Errno::RANGE) => {}
        Err(error) => return Err(error),
    }
    let mut buf = vec![0; 4096];
    loop {
        match read(&mut buf) {
            Err(Errno::RANGE) if buf.len() < 1 << 24 => buf.resize(buf.len() * 4, 0),
            read => {
                buf.truncate(read?);
                return Ok(buf);
            }
        }
    }
}

fn absent(read: Result<Vec<u8>, Errno>) -> io::Result<Option<Vec<u8>>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
