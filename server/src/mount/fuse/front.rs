//! The requests of the kernel, each one call of the tree and an answer.

use std::{
    ffi::OsStr,
    io,
    os::{fd::BorrowedFd, unix::ffi::OsStrExt},
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::SystemTime,
};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use ovl_core::{
    Allocate, Change, Error, Kind, Name, Result,
    overlay::{Ctx, Removal},
};

use super::{
    TTL, attr, errno,
    files::How,
    names::{Make, how},
    pass::Way,
    piece::{PIECE, with_piece},
    tree::{Tree, ctx},
};

/// What the kernel asks of a tree.
pub(super) struct Front(pub(super) Arc<Tree>);

impl Front {
    fn tree(&self) -> &Tree {
        self.0.serve();
        &self.0
    }
}

/// Returns whether the kernel may keep what it has read: what others change it is told.
fn kept(keep: bool) -> FopenFlags {
    if keep { FopenFlags::FOPEN_KEEP_CACHE } else { FopenFlags::empty() }
}

/// Returns whether the kernel is to ask us for what is read and written, though it could do it itself.
fn asked(asks: bool) -> FopenFlags {
    if asks { FopenFlags::FOPEN_DIRECT_IO } else { FopenFlags::empty() }
}

/// Returns whether the kernel is to tell of each descriptor that is closed: of what was only read there is nothing to tell.
fn closed(tells: bool) -> FopenFlags {
    if tells { FopenFlags::empty() } else { FopenFlags::FOPEN_NOFLUSH }
}

/// Returns who asks, with the umask that counts where a directory has no default ACL.
fn masked(asker: &Request, umask: u32) -> Ctx {
    Ctx { umask, ..ctx(asker) }
}

fn name(bytes: &OsStr) -> Result<Name<'_>> {
    Name::new(bytes.as_bytes())
}

fn entry(reply: ReplyEntry, answer: Result<FileAttr>) {
    match answer {
        Ok(found) => reply.entry(&TTL, &found, Generation(0)),
        Err(error) => reply.error(told(&error)),
    }
}

fn empty(reply: ReplyEmpty, answer: Result<()>) {
    match answer {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(told(&error)),
    }
}

fn attributes(reply: ReplyAttr, answer: Result<FileAttr>) {
    match answer {
        Ok(found) => reply.attr(&TTL, &found),
        Err(error) => reply.error(told(&error)),
    }
}

fn data(reply: ReplyData, answer: Result<Vec<u8>>) {
    match answer {
        Ok(bytes) => reply.data(&bytes),
        Err(error) => reply.error(told(&error)),
    }
}

/// Answers a question that first asks for the length and then for the bytes.
fn sized(reply: ReplyXattr, size: u32, answer: Result<impl AsRef<[u8]>>) {
    match answer {
        Ok(bytes) if size == 0 => reply.size(bytes.as_ref().len() as u32),
        Ok(bytes) if bytes.as_ref().len() > size as usize => reply.error(Errno::ERANGE),
        Ok(bytes) => reply.data(bytes.as_ref()),
        Err(error) => reply.error(told(&error)),
    }
}

/// Returns the answer to a failure, after writing down what only the log can tell.
fn told(error: &Error) -> Errno {
    let errno = errno::of(error);
    if errno == Errno::EIO {
        tracing::warn!("{error}");
    }
    errno
}

impl Filesystem for Front {
    fn init(&mut self, _asker: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let acls = if self.0.acls { InitFlags::FUSE_POSIX_ACL } else { InitFlags::empty() };
        let wanted = InitFlags::FUSE_ATOMIC_O_TRUNC
            | InitFlags::FUSE_DONT_MASK
            | acls
            | InitFlags::FUSE_DO_READDIRPLUS
            | InitFlags::FUSE_READDIRPLUS_AUTO
            | InitFlags::FUSE_PARALLEL_DIROPS
            | InitFlags::FUSE_CACHE_SYMLINKS;
        let offered = config.capabilities();
        // Without it O_TRUNC would come as a change of length, for which a lower's content is not copied either.
        let _all_offered = config.add_capabilities(wanted & offered);
        let _fits = config.set_max_write(PIECE);
        if offered.contains(InitFlags::FUSE_NO_OPEN_SUPPORT) {
            self.0.unasked.allow(&self.0.overlay);
        }
        if offered.contains(InitFlags::FUSE_PASSTHROUGH) && config.set_max_stack_depth(1).is_ok() {
            let _offered = config.add_capabilities(InitFlags::FUSE_PASSTHROUGH);
            self.0.passes.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn lookup(&self, _asker: &Request, parent: INodeNo, called: &OsStr, reply: ReplyEntry) {
        let found = name(called).and_then(|name| self.tree().look_up(parent.0, name));
        match found {
            Ok(Some(found)) => reply.entry(&TTL, &found, Generation(0)),
            // The kernel remembers number 0 as nothing.
            Ok(None) => reply.entry(&TTL, &attr::nothing(), Generation(0)),
            Err(error) => reply.error(told(&error)),
        }
    }

    fn forget(&self, _asker: &Request, ino: INodeNo, answers: u64) {
        self.tree().table().forget(ino.0, answers);
        self.0.unasked.forget(ino.0);
    }

    fn getattr(&self, _asker: &Request, ino: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        attributes(reply, self.tree().attributes(ino.0));
    }

    fn setattr(
        &self,
        asker: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let ctx = ctx(asker);
        let time = |asked: Option<TimeOrNow>| asked.map(|asked| attr::time(asked, ctx.now));
        let (mode, atime, mtime) = (mode.map(|mode| mode & 0o7777), time(atime), time(mtime));
        let change = Change { mode, uid, gid, atime, mtime, faithful: true, ..Change::default() };
        attributes(reply, self.tree().set(&ctx, ino.0, handle.map(|handle| handle.0), size, &change));
    }

    fn readlink(&self, _asker: &Request, ino: INodeNo, reply: ReplyData) {
        data(reply, self.tree().target(ino.0));
    }

    fn mknod(
        &self,
        asker: &Request,
        parent: INodeNo,
        called: &OsStr,
        mode: u32,
        umask: u32,
        rdev: u32,
        reply: ReplyEntry,
    ) {
        let Some(kind) = attr::kind(mode) else { return reply.error(Errno::EINVAL) };
        let (mode, rdev) = (mode & 0o7777, attr::device(rdev));
        let what = if kind == Kind::File { Make::File { mode } } else { Make::Special { kind, rdev, mode } };
        entry(reply, name(called).and_then(|name| self.tree().make(&masked(asker, umask), parent.0, name, &what)));
    }

    fn mkdir(&self, asker: &Request, parent: INodeNo, called: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let what = Make::Dir { mode: mode & 0o7777 };
        entry(reply, name(called).and_then(|name| self.tree().make(&masked(asker, umask), parent.0, name, &what)));
    }

    fn unlink(&self, asker: &Request, parent: INodeNo, called: &OsStr, reply: ReplyEmpty) {
        let done = name(called).and_then(|name| self.tree().remove(&ctx(asker), parent.0, name, Removal::File));
        empty(reply, done);
    }

    fn rmdir(&self, asker: &Request, parent: INodeNo, called: &OsStr, reply: ReplyEmpty) {
        let done = name(called).and_then(|name| self.tree().remove(&ctx(asker), parent.0, name, Removal::EmptyDir));
        empty(reply, done);
    }

    fn symlink(&self, asker: &Request, parent: INodeNo, called: &OsStr, target: &Path, reply: ReplyEntry) {
        let what = Make::Symlink { target: target.as_os_str().as_bytes() };
        entry(reply, name(called).and_then(|name| self.tree().make(&ctx(asker), parent.0, name, &what)));
    }

    fn rename(
        &self,
        asker: &Request,
        parent: INodeNo,
        called: &OsStr,
        new_parent: INodeNo,
        new_called: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let done = || {
            let (from, to) = ((parent.0, name(called)?), (new_parent.0, name(new_called)?));
            self.tree().rename(&ctx(asker), from, to, how(flags)?)
        };
        empty(reply, done());
    }

    fn link(&self, asker: &Request, ino: INodeNo, new_parent: INodeNo, new_called: &OsStr, reply: ReplyEntry) {
        let done = name(new_called).and_then(|name| self.tree().link(&ctx(asker), ino.0, new_parent.0, name));
        entry(reply, done);
    }

    fn open(&self, asker: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        if self.0.unasked.is_allowed() {
            // It opens this one and all others by itself.
            return reply.error(Errno::ENOSYS);
        }
        let how = How::of(flags.0);
        if how.truncates && !how.writes {
            // Whether it is in execution the kernel asks only behind this: too late to leave it as it is.
            return reply.error(Errno::ETXTBSY);
        }
        let back = |file: BorrowedFd<'_>| reply.open_backing(file);
        match self.tree().open(&ctx(asker), ino.0, how, None, Some(&back)) {
            Ok((handle, Way::Asks { keep })) => reply.opened(FileHandle(handle), kept(keep) | closed(how.writes)),
            Ok((handle, Way::Passes { backing, asks })) => {
                let flags = asked(asks) | closed(how.writes);
                reply.opened_passthrough(FileHandle(handle), flags, &backing);
            }
            Err(error) => reply.error(told(&error)),
        }
    }

    fn read(
        &self,
        asker: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        with_piece(size as usize, |buf| match self.tree().read(&ctx(asker), ino.0, handle.0, offset, buf) {
            Ok(got) => reply.data(&buf[..got]),
            Err(error) => reply.error(told(&error)),
        });
    }

    fn write(
        &self,
        asker: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        piece: &[u8],
        how: WriteFlags,
        flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let from_cache = how.contains(WriteFlags::FUSE_WRITE_CACHE);
        let append = rustix::fs::OFlags::from_bits_retain(flags.0 as u32).contains(rustix::fs::OFlags::APPEND);
        match self.tree().write(&ctx(asker), handle.0, offset, piece, append && !from_cache) {
            Ok(()) => reply.written(piece.len() as u32),
            Err(error) => reply.error(told(&error)),
        }
    }

    fn flush(&self, _asker: &Request, _ino: INodeNo, handle: FileHandle, _owner: LockOwner, reply: ReplyEmpty) {
        if self.0.unasked.is_allowed() {
            // Nothing is ever written: it is not to ask again.
            return reply.error(Errno::ENOSYS);
        }
        empty(reply, self.tree().flush(handle.0));
    }

    fn release(
        &self,
        _asker: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.tree().release(handle.0);
        reply.ok();
    }

    fn fsync(&self, asker: &Request, _ino: INodeNo, handle: FileHandle, _data_only: bool, reply: ReplyEmpty) {
        empty(reply, self.tree().sync(&ctx(asker), handle.0));
    }

    fn opendir(&self, _asker: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(self.tree().open_dir(ino.0)), FopenFlags::empty());
    }

    fn readdir(&self, _asker: &Request, _ino: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        match self.tree().read_dir(handle.0, offset, &mut reply) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(told(&error)),
        }
    }

    fn readdirplus(
        &self,
        _asker: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        match self.tree().read_dir_plus(handle.0, offset, &mut reply) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(told(&error)),
        }
    }

    fn releasedir(&self, _asker: &Request, _ino: INodeNo, handle: FileHandle, _flags: OpenFlags, reply: ReplyEmpty) {
        self.tree().close_dir(handle.0);
        reply.ok();
    }

    fn fsyncdir(&self, _asker: &Request, ino: INodeNo, _handle: FileHandle, _data_only: bool, reply: ReplyEmpty) {
        empty(reply, self.tree().sync_dir(ino.0));
    }

    fn statfs(&self, _asker: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        let longest = ovl_core::NAME_MAX as u32;
        match self.tree().room() {
            Ok(Some(room)) => {
                let (size, fragment) = (room.f_bsize as u32, room.f_frsize as u32);
                reply.statfs(
                    room.f_blocks,
                    room.f_bfree,
                    room.f_bavail,
                    room.f_files,
                    room.f_ffree,
                    size,
                    longest,
                    fragment,
                );
            }
            Ok(None) => reply.statfs(0, 0, 0, 0, 0, 4096, longest, 4096),
            Err(error) => reply.error(told(&error)),
        }
    }

    fn setxattr(
        &self,
        asker: &Request,
        ino: INodeNo,
        called: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        empty(reply, self.tree().set_attribute(&ctx(asker), ino.0, called.as_bytes(), value, flags));
    }

    fn getxattr(&self, _asker: &Request, ino: INodeNo, called: &OsStr, size: u32, reply: ReplyXattr) {
        sized(reply, size, self.tree().attribute(ino.0, called.as_bytes()));
    }

    fn listxattr(&self, asker: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        sized(reply, size, self.tree().attribute_names(ino.0, asker.uid()));
    }

    fn removexattr(&self, asker: &Request, ino: INodeNo, called: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.tree().remove_attribute(&ctx(asker), ino.0, called.as_bytes()));
    }

    fn create(
        &self,
        asker: &Request,
        parent: INodeNo,
        called: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let made = name(called)
            .and_then(|name| self.tree().create(&masked(asker, umask), parent.0, name, mode & 0o7777, flags));
        match made {
            Ok((found, handle, Way::Asks { keep })) => {
                reply.created(&TTL, &found, Generation(0), FileHandle(handle), kept(keep));
            }
            Ok((found, handle, Way::Passes { backing, asks })) => {
                let (handle, flags) = (FileHandle(handle), asked(asks));
                reply.created_passthrough(&TTL, &found, Generation(0), handle, flags, &backing);
            }
            Err(error) => reply.error(told(&error)),
        }
    }

    fn lseek(&self, asker: &Request, ino: INodeNo, handle: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        const DATA: i32 = 3;
        const HOLE: i32 = 4;
        let (Ok(from), DATA | HOLE) = (u64::try_from(offset), whence) else { return reply.error(Errno::EINVAL) };
        match self.tree().seek(&ctx(asker), ino.0, handle.0, from, whence == HOLE) {
            Ok(Some(at)) => reply.offset(at as i64),
            Ok(None) => reply.error(Errno::ENXIO),
            Err(error) => reply.error(told(&error)),
        }
    }

    fn fallocate(
        &self,
        asker: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let how = match mode {
            0 => Allocate::Extend,
            1 => Allocate::Keep,
            3 => Allocate::Punch,
            0x10 => Allocate::Zero,
            0x11 => Allocate::ZeroKeep,
            _ => return reply.error(Errno::EOPNOTSUPP),
        };
        let Some(end) = offset.checked_add(length) else { return reply.error(Errno::EFBIG) };
        empty(reply, self.tree().allocate(&ctx(asker), handle.0, how, offset..end));
    }
}
