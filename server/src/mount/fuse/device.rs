//! The device by which the kernel asks, and the mount that leads to it.
//!
//! fuser could mount, too; but at its end it unmounts whatever stands at the place by then.

use std::{
    ffi::CString,
    fs::OpenOptions,
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    process::{Command, Stdio},
};

use rustix::{
    io::Errno,
    mount::MountFlags,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType, recvmsg,
        socketpair,
    },
    process::{getgid, getuid},
};

use super::Options;

/// What `fusermount3` says of what this user may not do.
const REFUSALS: [&str; 3] = ["no write access", "not permitted", "user_allow_other"];

/// Mounts at a directory, and returns the device; without the right to mount through `fusermount3`.
///
/// # Errors
/// A missing device or `fusermount3` (`NotFound`), a place that this user may not mount at (`PermissionDenied`), and
/// what else the kernel refuses.
pub(super) fn mount(at: &Path, options: &Options, read_only: bool) -> io::Result<OwnedFd> {
    match by_kernel(at, options, read_only) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => by_fusermount(at, options, read_only),
        done => done,
    }
}

fn by_kernel(at: &Path, options: &Options, read_only: bool) -> io::Result<OwnedFd> {
    let device = OpenOptions::new().read(true).write(true).open("/dev/fuse");
    let device = device.map_err(|error| io::Error::new(error.kind(), format!("/dev/fuse: {error}")))?;
    let others = if options.others { ",allow_other" } else { "" };
    let (fd, user, group) = (device.as_raw_fd(), getuid(), getgid());
    let data = format!("fd={fd},rootmode=40000,user_id={user},group_id={group},default_permissions{others}");
    let data = CString::new(data).expect("numbers and words have no NUL");
    let mut flags = MountFlags::empty();
    flags.set(MountFlags::NOSUID, !options.suid);
    flags.set(MountFlags::NODEV, !options.dev);
    flags.set(MountFlags::NOEXEC, options.noexec);
    flags.set(MountFlags::RDONLY, read_only);
    rustix::mount::mount(source(options), at, "fuse.ovl", flags, Some(&*data))?;
    Ok(device.into())
}

fn source(options: &Options) -> &str {
    options.source.as_deref().unwrap_or("ovl")
}

/// Asks `fusermount3`, which sends the device through a socket: its standard input.
fn by_fusermount(at: &Path, options: &Options, read_only: bool) -> io::Result<OwnedFd> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let mut command = Command::new("fusermount3");
    command.arg("-o").arg(words(options, read_only)).arg("--").arg(at).env("_FUSE_COMMFD", "0").env("LC_ALL", "C");
    command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::piped());
    let asked = command.spawn().map_err(|error| io::Error::new(error.kind(), format!("fusermount3: {error}")))?;
    // Its end of the socket is now open there alone.
    drop(command);
    let device = received(&ours);
    let said = String::from_utf8_lossy(&asked.wait_with_output()?.stderr).trim().to_owned();
    let refused = REFUSALS.iter().any(|words| said.contains(words));
    let kind = if refused { io::ErrorKind::PermissionDenied } else { io::ErrorKind::Other };
    device?.ok_or_else(|| io::Error::new(kind, said))
}

/// Returns the options for `fusermount3`, in a list with commas. It gives no user setuid programs and devices.
fn words(options: &Options, read_only: bool) -> String {
    let name = source(options).replace('\\', "\\\\").replace(',', "\\,");
    let flags = [(options.others, ",allow_other"), (options.noexec, ",noexec"), (read_only, ",ro")];
    let flags: String = flags.iter().filter_map(|(set, word)| set.then_some(*word)).collect();
    format!("fsname={name},subtype=ovl,default_permissions{flags}")
}

/// Returns the descriptor that comes through a socket, `None` where none does.
fn received(socket: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut extra = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    loop {
        match recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut extra, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            // The socket is reset where nobody has read what was in it.
            Err(Errno::CONNRESET) => return Ok(None),
            Err(errno) => return Err(errno.into()),
            Ok(_) => break,
        }
    }
    let fds = extra.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    Ok(fds.flatten().next())
}
