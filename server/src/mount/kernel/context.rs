//! A mount that is being made, on the kernel's side.

use std::{
    cell::Cell,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
};

use rustix::{
    io::{Errno, read},
    mount::{
        FsMountFlags, FsOpenFlags, MoveMountFlags, fsconfig_create, fsconfig_set_fd, fsconfig_set_flag,
        fsconfig_set_string, fsmount, fsopen, move_mount,
    },
};

use super::{
    Request,
    explain::{self, Step},
    layers::{escaped, known_as},
};
use crate::cli::exit::Failure;

/// The kernel's answers fit into this many bytes; a longer one is cut.
const ANSWER_MAX: usize = 4096;

/// An overlay that is not mounted yet.
#[derive(Debug)]
pub(super) struct Context {
    fs: OwnedFd,
    /// Whether the kernel takes paths alone, as before 6.13.
    by_path: Cell<bool>,
}

impl Context {
    /// Asks for an overlay; `None` where the kernel is older than 5.2 and has not the calls for it. Refuses a process
    /// without the right to mount (5), and a kernel without overlays (1).
    pub(super) fn open() -> Result<Option<Self>, Failure> {
        match fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC) {
            Ok(fs) => Ok(Some(Self { fs, by_path: Cell::new(false) })),
            Err(Errno::NOSYS) => Ok(None),
            Err(errno) => Err(explain::step(&Step::Begin, errno, "")),
        }
    }

    /// Mounts the layers. Returns whether that was possible: some kernels do not take layers one by one, or no path of
    /// that length; then nothing was done.
    pub(super) fn mount(&self, request: &Request<'_>) -> Result<bool, Failure> {
        for lower in request.lowers {
            let key = if lower.data_only { "datadir+" } else { "lowerdir+" };
            match self.layer(key, lower.fd.as_fd()) {
                Err(Errno::INVAL | Errno::NAMETOOLONG) if self.by_path.get() => return Ok(false),
                taken => taken.map_err(|errno| self.failure(&Step::Lower(lower), errno))?,
            }
        }
        if let Some(upper) = request.upper {
            match self.layer("upperdir", upper.upper()).and_then(|()| self.layer("workdir", upper.work())) {
                Err(Errno::NAMETOOLONG) => return Ok(false),
                taken => taken.map_err(|errno| self.failure(&Step::Upper, errno))?,
            }
        }
        for (name, value) in request.settings {
            self.set(name, *value).map_err(|errno| self.failure(&Step::Option(name), errno))?;
        }
        fsconfig_create(&self.fs).map_err(|errno| self.failure(&Step::Create(request.lowers), errno))?;
        let attached = fsmount(&self.fs, FsMountFlags::FSMOUNT_CLOEXEC, request.attributes).and_then(|mount| {
            let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
            move_mount(mount, "", &request.point.fd, "", flags)
        });
        attached.map_err(|errno| self.failure(&Step::Attach(request.point), errno))?;
        Ok(true)
    }

    /// Adds a layer by its descriptor, or by its path where the kernel refuses the first descriptor.
    fn layer(&self, key: &str, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        if !self.by_path.get() {
            match fsconfig_set_fd(&self.fs, key, fd) {
                Err(Errno::INVAL) => self.by_path.set(true),
                done => return done,
            }
        }
        let path = known_as(fd).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?.into_os_string();
        let value = if key.ends_with('+') { path.into_vec() } else { escaped(&path) };
        fsconfig_set_string(&self.fs, key, value)
    }

    fn set(&self, name: &str, value: Option<&str>) -> Result<(), Errno> {
        match value {
            Some(value) => fsconfig_set_string(&self.fs, name, value),
            None => fsconfig_set_flag(&self.fs, name),
        }
    }

    fn failure(&self, step: &Step<'_>, errno: Errno) -> Failure {
        explain::step(step, errno, &self.answers())
    }

    /// Returns what the kernel has to say, one line after the other without the letter of its weight.
    fn answers(&self) -> String {
        let mut said = Vec::new();
        let mut line = [0; ANSWER_MAX];
        while let Ok(count @ 1..) = read(&self.fs, &mut line) {
            let text = String::from_utf8_lossy(&line[..count]).trim().to_owned();
            said.push(text.split_once(' ').map_or_else(|| text.clone(), |(_, rest)| rest.to_owned()));
        }
        said.join("; ")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{fs, io, path::Path};

    use ovl_core::layers::host::{UpperOptions, upper_for_kernel};
    use rustix::{
        mount::{MountAttrFlags, MountFlags, MountPropagationFlags, mount, mount_change},
        thread::UnshareFlags,
    };

    use super::{
        super::layers::{lower, mount_point},
        *,
    };

    /// Goes into a mount namespace of its own, with an empty file system.
    pub(in super::super) fn private(at: &Path) -> io::Result<()> {
        #[expect(deprecated, reason = "what is unsafe is to part with the table of descriptors, which this does not")]
        rustix::thread::unshare(UnshareFlags::NEWNS)?;
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        Ok(mount("tmpfs", at, "tmpfs", MountFlags::empty(), None)?)
    }

    #[test]
    fn a_kernel_that_takes_no_descriptors_gets_paths() {
        let place = tempfile::tempdir().unwrap();
        if let Err(error) = private(place.path()) {
            eprintln!("skipped: no mount namespace of its own: {error}");
            return;
        }
        let at = |name: &str| place.path().join(name);
        let odd = "a:b,c\\d e\nf";
        for name in ["l1", "l2", "u", "m"] {
            fs::create_dir_all(at(odd).join(name)).unwrap();
        }
        fs::write(at(odd).join("l2/x"), "lower").unwrap();
        let spec = |name: &str| format!("path={}", at(odd).join(name).to_str().unwrap().replace(',', ",,"));
        let lowers = ["l1", "l2"].map(|name| lower(&spec(name).parse().unwrap(), None).unwrap());
        let upper = upper_for_kernel(&at(odd).join("u"), &UpperOptions::default(), false).unwrap();
        let (point, context) = (mount_point(&at(odd).join("m")).unwrap(), Context::open().unwrap().unwrap());
        context.by_path.set(true);
        let (upper, attributes) = (Some(&upper), MountAttrFlags::empty());
        let request = Request { lowers: &lowers, upper, settings: &[], attributes, point: &point };
        assert!(context.mount(&request).unwrap());
        fs::write(at(odd).join("m/y"), "upper").unwrap();
        assert_eq!(fs::read(at(odd).join("m/x")).unwrap(), b"lower");
        assert_eq!(fs::read(at(odd).join("u/y")).unwrap(), b"upper");
    }

    #[test]
    fn a_path_that_is_too_long_for_one_option_is_for_another_way() {
        let place = tempfile::tempdir().unwrap();
        if let Err(error) = private(place.path()) {
            eprintln!("skipped: no mount namespace of its own: {error}");
            return;
        }
        let (long, short) = (place.path().join("x".repeat(250)).join("l"), place.path().join("m"));
        fs::create_dir_all(&long).unwrap();
        fs::create_dir(&short).unwrap();
        let (lowers, point) =
            ([lower(&long.to_str().unwrap().parse().unwrap(), None).unwrap()], mount_point(&short).unwrap());
        let context = Context::open().unwrap().unwrap();
        context.by_path.set(true);
        let attributes = MountAttrFlags::empty();
        let request = Request { lowers: &lowers, upper: None, settings: &[], attributes, point: &point };
        assert!(!context.mount(&request).unwrap());
    }
}
