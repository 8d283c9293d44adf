//! What programs may expect of a file system: a plain directory stands beside the mount and says what is right.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use ovl_core::{Overlay, layers::memory::Memory, overlay::Policy};
use rustix::{
    fs::{FallocateFlags, FlockOperation, Mode, OFlags, SeekFrom, XattrFlags, fallocate, seek},
    io::Errno,
    process::{Gid, Uid},
    thread::{set_thread_res_gid, set_thread_res_uid},
};

use crate::{
    in_private,
    place::{Mount, Place},
};

/// The same lower, mounted and as a plain directory.
struct Beside {
    place: Place,
    mount: Mount,
}

impl Beside {
    fn new(prepare: impl Fn(&Path)) -> Self {
        let place = Place::new();
        [place.dir("l"), place.dir("plain")].iter().for_each(|root| prepare(root));
        let mount = place.mounted();
        Self { place, mount }
    }

    /// Does the same in both, and compares what comes of it.
    fn same<T: PartialEq + std::fmt::Debug>(&self, act: impl Fn(&Path) -> T) {
        let (mine, theirs) = (act(&self.mount.path("")), act(&self.place.path("plain")));
        assert_eq!(mine, theirs, "the mount, and the plain directory");
    }
}

fn open(path: PathBuf) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

#[test]
fn room_is_set_aside_given_back_and_zeroed() {
    in_private!();
    let beside = Beside::new(|root| fs::write(root.join("f"), "0123456789".repeat(2000)).unwrap());
    let calls = [
        (FallocateFlags::empty(), 0, 30_000),
        (FallocateFlags::KEEP_SIZE, 30_000, 50_000),
        (FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 4_000, 9_000),
        (FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 90_000, 10),
        (FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE, 29_990, 100),
        (FallocateFlags::ZERO_RANGE, 29_990, 100),
        (FallocateFlags::PUNCH_HOLE, 0, 10),
        (FallocateFlags::empty(), 0, 0),
        (FallocateFlags::empty(), i64::MAX as u64, 10),
    ];
    for (flags, from, len) in calls {
        beside.same(|root| {
            let file = open(root.join("f"));
            let done = fallocate(&file, flags, from, len);
            (done, file.metadata().unwrap().len(), fs::read(root.join("f")).unwrap())
        });
    }
    assert_eq!(fs::metadata(beside.place.path("l/f")).unwrap().len(), 20_000);
}

#[test]
fn room_in_an_upper_in_memory_is_the_same() {
    in_private!();
    let place = Place::new();
    let overlay = Overlay::new(Some(Memory::new("upper", 0)), Vec::new(), Policy::default(), None).unwrap();
    let beside = Beside { mount: place.mount(overlay), place };
    beside.place.dir("plain");
    beside.same(|root| fs::write(root.join("f"), "0123456789".repeat(20_000)).unwrap());
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let zero = FallocateFlags::ZERO_RANGE;
    for (flags, from, len) in [(punch, 60_000, 80_000), (punch, 900_000, 9), (zero, 199_000, 9_000), (punch, 1, 1)] {
        beside.same(|root| {
            let file = open(root.join("f"));
            let done = fallocate(&file, flags, from, len);
            (done, file.metadata().unwrap().len(), fs::read(root.join("f")).unwrap())
        });
    }
}

#[test]
fn a_hole_that_is_punched_is_found() {
    in_private!();
    let beside = Beside::new(|root| fs::write(root.join("f"), vec![1; 1 << 20]).unwrap());
    beside.same(|root| {
        let file = open(root.join("f"));
        fallocate(&file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 1 << 16, 1 << 17).unwrap();
        let places = [0, 1 << 16, 100_000, 1 << 18, (1 << 20) - 1, 1 << 20, 1 << 21];
        places.map(|at| (seek(&file, SeekFrom::Data(at)), seek(&file, SeekFrom::Hole(at))))
    });
}

#[test]
fn content_is_copied_between_files_by_the_kernels_call() {
    in_private!();
    let beside = Beside::new(|root| fs::write(root.join("from"), "0123456789".repeat(30_000)).unwrap());
    beside.same(|root| {
        fs::write(root.join("to"), "x".repeat(100)).unwrap();
        let (from, to) = (File::open(root.join("from")).unwrap(), open(root.join("to")));
        let (mut read, mut write) = (5, 50);
        let mut left = 200_000;
        while left > 0 {
            left -= rustix::fs::copy_file_range(&from, Some(&mut read), &to, Some(&mut write), left).unwrap();
        }
        (read, write, fs::read(root.join("to")).unwrap())
    });
}

#[test]
fn locks_exclude_and_outlive_a_copy_up() {
    in_private!();
    let beside = Beside::new(|root| fs::write(root.join("f"), "x").unwrap());
    beside.same(|root| {
        let (one, other) = (File::open(root.join("f")).unwrap(), File::open(root.join("f")).unwrap());
        rustix::fs::flock(&one, FlockOperation::LockExclusive).unwrap();
        let before = rustix::fs::flock(&other, FlockOperation::NonBlockingLockShared);
        fs::write(root.join("f"), "copied up").unwrap();
        let new = File::open(root.join("f")).unwrap();
        let after = rustix::fs::flock(&new, FlockOperation::NonBlockingLockShared);
        drop(one);
        (before, after, rustix::fs::flock(&new, FlockOperation::NonBlockingLockExclusive))
    });
    // A process's own locks, and those of an open file, asked for by a program that has both.
    let program = "import fcntl,os,struct,sys\n\
                   f=open(sys.argv[1],'r+'); g=open(sys.argv[1],'r+')\n\
                   lock=struct.pack('hhqqi4x',fcntl.F_WRLCK,0,2,3,0)\n\
                   fcntl.fcntl(f,37,lock)\n\
                   try: fcntl.fcntl(g,37,lock); print('both')\n\
                   except OSError as e: print(e.errno)\n\
                   fcntl.lockf(f,fcntl.LOCK_EX,4,10)\n\
                   if os.fork()==0:\n\
                   \x20try: fcntl.lockf(g,fcntl.LOCK_EX|fcntl.LOCK_NB,1,11); print('both',flush=True)\n\
                   \x20except OSError as e: print(e.errno,flush=True)\n\
                   \x20fcntl.lockf(g,fcntl.LOCK_EX|fcntl.LOCK_NB,1,20); print('apart',flush=True); os._exit(0)\n\
                   os.wait()";
    let ask = |root: &Path| Command::new("python3").args(["-c", program]).arg(root.join("f")).output();
    match ask(&beside.mount.path("")) {
        Ok(told) => assert_eq!(String::from_utf8_lossy(&told.stdout), "11\n11\napart\n", "{told:?}"),
        Err(_) => println!("skipped: needs python3"),
    }
}

#[test]
fn nameless_files_are_refused_with_a_clear_errno() {
    in_private!();
    let place = Place::new();
    place.dir("l");
    let mount = place.mounted();
    let made = rustix::fs::open(mount.path(""), OFlags::TMPFILE | OFlags::RDWR, Mode::RUSR);
    assert_eq!(made.err(), Some(Errno::OPNOTSUPP));
    // What it is asked of again, and everything else, goes on.
    fs::write(mount.path("f"), "x").unwrap();
    rustix::fs::syncfs(File::open(mount.path("f")).unwrap()).unwrap();
}

#[test]
fn writers_that_append_do_not_write_over_each_other() {
    in_private!();
    let beside = Beside::new(|root| fs::write(root.join("f"), "lower\n").unwrap());
    beside.same(|root| {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut file = OpenOptions::new().append(true).open(root.join("f")).unwrap();
                    (0..50).for_each(|_| file.write_all(b"line\n").unwrap());
                });
            }
        });
        let text = fs::read_to_string(root.join("f")).unwrap();
        (text.len(), text.lines().filter(|line| *line == "line").count())
    });
}

/// Runs a shell as another user, and returns what it tells of success and failure.
fn as_user(root: &Path, command: &str) -> String {
    let program = format!("cd {} && {{ {command}; }} 2>/dev/null; echo $?", root.display());
    let mut shell = Command::new("setpriv");
    let done = shell.args(["--reuid=4242", "--regid=4243", "--clear-groups", "sh", "-c", &program]).output();
    String::from_utf8(done.expect("setpriv").stdout).unwrap()
}

#[test]
fn a_write_by_another_user_takes_setuid_and_setgid_away() {
    in_private!();
    let beside = Beside::new(|root| {
        for (name, mode) in [("suid", 0o4777), ("sgid", 0o2777), ("cut", 0o6777), ("own", 0o4755)] {
            fs::write(root.join(name), "x").unwrap();
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        std::os::unix::fs::chown(root.join("own"), Some(4242), Some(4243)).unwrap();
        fs::set_permissions(root.join("own"), fs::Permissions::from_mode(0o4755)).unwrap();
    });
    beside.same(|root| {
        let told = as_user(root, "echo >>suid && echo >>sgid && : >cut && chmod 4755 own && chmod 600 own && echo y");
        let mode = |name: &str| fs::metadata(root.join(name)).unwrap().mode();
        (told, ["suid", "sgid", "cut", "own"].map(mode))
    });
    // Root's own writes leave them.
    beside.same(|root| {
        fs::set_permissions(root.join("suid"), fs::Permissions::from_mode(0o4777)).unwrap();
        fs::write(root.join("suid"), "root").unwrap();
        fs::metadata(root.join("suid")).unwrap().mode()
    });
}

#[test]
fn a_new_file_has_the_rights_that_it_is_made_with() {
    in_private!();
    let beside = Beside::new(|root| {
        fs::create_dir(root.join("d")).unwrap();
        fs::set_permissions(root.join("d"), fs::Permissions::from_mode(0o777)).unwrap();
    });
    beside.same(|root| {
        let path = root.join("d/new");
        let make = || {
            set_thread_res_gid(Gid::from_raw(4243), Gid::from_raw(4243), Gid::from_raw(4243)).unwrap();
            set_thread_res_uid(Uid::from_raw(4242), Uid::from_raw(4242), Uid::from_raw(4242)).unwrap();
            // Nothing is emptied that was not there.
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o6711).open(&path).unwrap();
        };
        thread::scope(|scope| scope.spawn(make).join()).unwrap();
        let meta = fs::metadata(&path).unwrap();
        (meta.mode(), meta.uid(), meta.gid(), meta.len())
    });
}

/// An ACL as an attribute: tag, permissions, id of each entry.
fn acl(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let entry =
        |(tag, perm, id): &(u16, u16, u32)| [&tag.to_le_bytes()[..], &perm.to_le_bytes(), &id.to_le_bytes()].concat();
    2_u32.to_le_bytes().into_iter().chain(entries.iter().flat_map(entry)).collect()
}

const NOBODY: u32 = u32::MAX;
const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

fn attribute(path: &Path, name: &str) -> Result<Vec<u8>, Errno> {
    let mut value = vec![0; 256];
    let len = rustix::fs::lgetxattr(path, name, &mut value)?;
    value.truncate(len);
    Ok(value)
}

#[test]
fn acls_are_kept_heeded_and_inherited() {
    in_private!();
    let list = acl(&[(1, 7, NOBODY), (2, 6, 4242), (4, 5, NOBODY), (0x10, 7, NOBODY), (0x20, 0, NOBODY)]);
    let beside = Beside::new(|root| {
        fs::create_dir(root.join("d")).unwrap();
        fs::write(root.join("secret"), "x").unwrap();
        fs::set_permissions(root.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
        rustix::fs::setxattr(root.join("d"), DEFAULT, &list, XattrFlags::empty()).unwrap();
    });
    let facts = |root: &Path, names: &[&str]| -> Vec<_> {
        let of = |name: &&str| {
            let path = root.join(name);
            (
                name.to_string(),
                fs::symlink_metadata(&path).unwrap().mode(),
                attribute(&path, ACCESS),
                attribute(&path, DEFAULT),
            )
        };
        names.iter().map(of).collect()
    };
    // In the place of the umask stands the default ACL.
    beside.same(|root| {
        let program =
            format!("cd {} && umask 077 && touch d/f && mkdir d/e && mkfifo d/p && ln -s f d/l", root.display());
        assert!(Command::new("sh").args(["-c", &program]).status().unwrap().success());
        facts(root, &["d", "d/f", "d/e", "d/p", "d/l"])
    });
    // One that is set is heeded, changes the mode and is changed by it.
    beside.same(|root| {
        let before = as_user(root, "cat secret >/dev/null");
        rustix::fs::setxattr(root.join("secret"), ACCESS, &list, XattrFlags::empty()).unwrap();
        let (with, mode) = (as_user(root, "cat secret"), facts(root, &["secret"]));
        fs::set_permissions(root.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
        (before, with, mode, as_user(root, "cat secret"), facts(root, &["secret"]))
    });
    beside.same(|root| {
        let bad = rustix::fs::setxattr(root.join("secret"), ACCESS, b"nonsense", XattrFlags::empty());
        let removed = rustix::fs::removexattr(root.join("secret"), ACCESS);
        let on_file = rustix::fs::setxattr(root.join("secret"), DEFAULT, &list, XattrFlags::empty());
        (bad, removed, on_file, facts(root, &["secret"]))
    });
    assert_eq!(attribute(&beside.place.path("u/d/f"), ACCESS), attribute(&beside.place.path("plain/d/f"), ACCESS));
}

#[test]
fn acls_that_an_upper_cannot_keep_are_refused() {
    in_private!();
    let place = Place::new();
    let overlay = Overlay::new(Some(Memory::new("upper", 0)), Vec::new(), Policy::default(), None).unwrap();
    let mount = place.mount(overlay);
    fs::write(mount.path("f"), "x").unwrap();
    let list = acl(&[(1, 7, NOBODY), (2, 6, 4242), (4, 5, NOBODY), (0x10, 7, NOBODY), (0x20, 0, NOBODY)]);
    let set = rustix::fs::setxattr(mount.path("f"), ACCESS, &list, XattrFlags::empty());
    assert_eq!(set, Err(Errno::OPNOTSUPP));
}

/// Runs a program of the mount that sleeps, while something is done.
fn while_running<T>(program: &Path, act: impl FnOnce() -> T) -> T {
    let mut child = Command::new(program).arg("60").spawn().unwrap();
    let done = act();
    child.kill().unwrap();
    child.wait().unwrap();
    done
}

#[test]
fn a_file_in_execution_cannot_be_opened_for_writing() {
    in_private!();
    let beside = Beside::new(|root| assert!(fs::copy("/bin/sleep", root.join("sleep")).is_ok()));
    beside.same(|root| {
        let program = root.join("sleep");
        while_running(&program, || {
            let open = OpenOptions::new().write(true).open(&program);
            let cut = OpenOptions::new().write(true).truncate(true).open(&program);
            [open, cut].map(|opened| opened.err().and_then(|error| error.raw_os_error()))
        })
    });
    assert!(!beside.place.path("u/sleep").exists(), "nothing is copied up by a call that fails");
}

#[test]
fn a_file_in_execution_is_not_emptied_by_opening_it_to_read() {
    in_private!();
    let beside = Beside::new(|root| assert!(fs::copy("/bin/sleep", root.join("sleep")).is_ok()));
    beside.same(|root| {
        let program = root.join("sleep");
        let flags = OFlags::TRUNC.bits() as i32;
        let opened = while_running(&program, || OpenOptions::new().read(true).custom_flags(flags).open(&program));
        (opened.err().and_then(|error| error.raw_os_error()), fs::read(&program).unwrap().len())
    });
}

#[test]
fn numbers_stay_what_they_are_when_a_file_is_written_linked_and_moved() {
    in_private!();
    let place = Place::new();
    place.file("l/d/f", "x");
    let mount = place.mounted();
    let ino = |name: &str| fs::metadata(mount.path(name)).unwrap().ino();
    let (dir, file) = (ino("d"), ino("d/f"));
    fs::write(mount.path("d/f"), "changed").unwrap();
    fs::hard_link(mount.path("d/f"), mount.path("g")).unwrap();
    assert_eq!((ino("d"), ino("d/f"), ino("g")), (dir, file, file));
    fs::rename(mount.path("d"), mount.path("e")).unwrap();
    assert_eq!((ino("e"), ino("e/f")), (dir, file));
}

#[test]
fn an_empty_change_of_length_or_times_answers_as_a_plain_directory_does() {
    in_private!();
    let beside = Beside::new(|root| fs::write(root.join("f"), "0123456789").unwrap());
    beside.same(|root| {
        let file = open(root.join("f"));
        let cut = [3, 3, 20, 0].map(|len| file.set_len(len).map(|()| fs::read(root.join("f")).unwrap()).unwrap());
        file.write_all_at(b"end", 8).unwrap();
        (cut, fs::read(root.join("f")).unwrap())
    });
}
