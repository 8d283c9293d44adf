//! A layer written as a plain directory (Linux), for the kernel, which stacks directories alone.
//!
//! What is made is what any program would make: no mark, no record, no attribute, so that nothing in it means more than it
//! says. What an archive may not tell an inode (trust T10) is left away: owners, setuid, setgid and sticky bits; and fifos,
//! sockets and devices, which are counted.

use std::{io, os::fd::BorrowedFd, sync::Arc};

use super::{
    failed,
    stage::remove_all,
    sys::{self, Handle},
};
use crate::{
    Error, ErrorKind, Kind, Layer, Node, Result, Stat, VPath,
    descent::{Descent, Found},
};

const OP: &str = "unpack";
/// Content is copied in pieces of this size.
const PIECE: usize = 128 * 1024;

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plain {
    /// Files, directories and other entries.
    pub entries: u64,
    /// Content bytes in them.
    pub bytes: u64,
    /// Fifos, sockets and devices that were left out.
    pub special: u64,
}

/// Writes all that a layer shows into the empty directory `into`, and returns when it is on the disk. Every content is
/// read to its end, which verifies an archive's members.
///
/// With `privileged`, owners, special bits, fifos, sockets and devices are made, too.
///
/// Refuses content that cannot be read (`Corrupt`, `UnsupportedEntry`), links without a target that the host can hold
/// (`Corrupt`), and more content than there is room for (`NoSpace`), before anything is written. What a failure leaves is
/// for the caller to remove.
pub fn write_plain(layer: &Arc<dyn Layer>, into: BorrowedFd<'_>, privileged: bool) -> Result<Plain> {
    let root = Handle::at(into).map_err(failed(OP))?;
    let own = sys::own_ids();
    must_fit(layer, &root)?;
    let mut writer = Writer { layer, privileged, own, piece: vec![0; PIECE], done: Plain::default() };
    // The directories above the next object, and what they get when they are whole.
    let mut dirs = vec![(Handle::at(into).map_err(failed(OP))?, layer.stat(&layer.root())?)];
    let mut objects = objects(layer, false);
    while let Some(found) = objects.advance()? {
        while dirs.len() > found.depth {
            dirs.pop().map_or(Ok(()), |(dir, stat)| writer.finish(&dir, &stat))?;
        }
        let (dir, _) = dirs.last().expect("nothing stands above the root");
        dirs.extend(writer.make(&found, dir).map_err(|e| e.or_at(&found.path))?);
    }
    while let Some((dir, stat)) = dirs.pop() {
        writer.finish(&dir, &stat)?;
    }
    root.sync_file_system().map_err(failed(OP))?;
    Ok(writer.done)
}

/// Removes what stands at `name` in a directory with everything beneath it, following nothing.
pub fn remove_plain(dir: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    remove_all(&Handle::at(dir)?, name.as_bytes())
}

fn objects(layer: &Arc<dyn Layer>, stats: bool) -> Descent {
    Descent::new(layer.clone(), layer.root(), VPath::root(), stats)
}

fn must_fit(layer: &Arc<dyn Layer>, root: &Handle) -> Result<()> {
    let free = root.free().map_err(failed(OP))?;
    let (mut objects, mut needed) = (objects(layer, true), 0_u64);
    while let Some(found) = objects.advance()? {
        needed = needed.saturating_add(found.entry.stat.map_or(0, |stat| stat.size));
    }
    if needed <= free {
        return Ok(());
    }
    Err(Error::new(ErrorKind::NoSpace, OP).because(format!("it needs {needed} bytes, and there is room for {free}")))
}

struct Writer<'a> {
    layer: &'a Arc<dyn Layer>,
    privileged: bool,
    own: (u32, u32),
    piece: Vec<u8>,
    done: Plain,
}

impl Writer<'_> {
    /// Makes an object. Returns a directory, which gets its attributes when it is whole.
    fn make(&mut self, found: &Found, dir: &Handle) -> Result<Option<(Handle, Stat)>> {
        let Some(node) = found.node(&**self.layer)? else { return Ok(None) };
        let (name, stat) = (found.entry.name.as_bytes(), self.layer.stat(&node)?);
        let made = match node.kind {
            Kind::File => self.file(&node, dir, name)?,
            Kind::Dir => {
                dir.make_dir(name).map_err(failed(OP))?;
                self.done.entries += 1;
                return Ok(Some((dir.child(name).map_err(failed(OP))?, stat)));
            }
            Kind::Symlink => self.symlink(&node, dir, name)?,
            Kind::Whiteout => {
                return Err(Error::new(ErrorKind::Unsupported, OP).because("a plain directory has no whiteouts"));
            }
            _ if !self.privileged => {
                self.done.special += 1;
                return Ok(None);
            }
            special => {
                dir.make_special(name, special, stat.rdev).map_err(failed(OP))?;
                dir.child(name).map_err(failed(OP))?
            }
        };
        self.done.entries += 1;
        self.finish(&made, &stat)?;
        Ok(None)
    }

    fn file(&mut self, node: &Node, dir: &Handle, name: &[u8]) -> Result<Handle> {
        let content = self.layer.open(node)?;
        let made = dir.make_file(name).map_err(failed(OP))?;
        let file = made.write().map_err(failed(OP))?;
        // An empty member is read, too: that is what verifies it.
        let mut at = 0;
        loop {
            let got = content.read_at(&mut self.piece, at)?;
            if got == 0 {
                break;
            }
            sys::write_at(&file, &self.piece[..got], at).map_err(failed(OP))?;
            at += got as u64;
        }
        self.done.bytes += at;
        Ok(made)
    }

    fn symlink(&self, node: &Node, dir: &Handle, name: &[u8]) -> Result<Handle> {
        let target = self.layer.target(node)?;
        if !(1..crate::PATH_MAX).contains(&target.len()) {
            return Err(Error::new(ErrorKind::Corrupt, OP).because("the link has no valid target"));
        }
        dir.make_symlink(name, &target).map_err(failed(OP))?;
        dir.child(name).map_err(failed(OP))
    }

    /// Gives an object its attributes: owner, mode, and the times last.
    fn finish(&self, made: &Handle, stat: &Stat) -> Result<()> {
        let attrs = &stat.attrs;
        if self.privileged && (attrs.uid, attrs.gid) != self.own {
            made.set_owner(Some(attrs.uid), Some(attrs.gid)).map_err(failed(OP))?;
        }
        if stat.kind != Kind::Symlink {
            let bits = if self.privileged { 0o7777 } else { 0o777 };
            made.set_mode(attrs.mode & bits).map_err(failed(OP))?;
        }
        made.set_times(Some(attrs.atime), Some(attrs.mtime)).map_err(failed(OP))
    }
}
