//! Files that the kernel reads by itself, and what must hold all the same. Where it does not offer that, the same holds.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    process::Command,
};

use ovl_core::{
    VPath,
    overlay::{Ctx, PutOptions},
};

use crate::{
    in_private,
    place::{Mount, Place, errno, watched},
};

fn text(mut file: &File) -> String {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

fn put(mount: &Mount, path: &str, text: &str) {
    let upload = mount.overlay.upload(&Ctx::default()).unwrap();
    upload.write_at(text.as_bytes(), 0).unwrap();
    let path = VPath::parse(path.as_bytes()).unwrap();
    mount.overlay.put(&Ctx::default(), &path, &upload, &PutOptions::default()).unwrap();
}

/// Returns whether the kernel reads an upper's file itself: then it sees at once what is written beneath it.
fn passes(place: &Place, mount: &Mount) -> bool {
    let path = place.file("u/probe", "before");
    let open = File::open(mount.path("probe")).unwrap();
    assert_eq!(text(&open), "before");
    fs::write(path, "behind").unwrap();
    text(&open) == "behind"
}

#[test]
fn an_uppers_file_is_read_by_the_kernel_itself_where_it_offers_that() {
    in_private!();
    let place = Place::new();
    place.dir("l");
    let mount = place.mounted();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let version: Vec<u32> = release.split('.').take(2).filter_map(|part| part.parse().ok()).collect();
    if version < vec![6, 9] {
        return println!("skipped: the kernel {release} has no FUSE_PASSTHROUGH");
    }
    assert!(passes(&place, &mount));
}

#[test]
fn who_reads_by_the_kernel_sees_what_is_written_cut_and_mapped() {
    in_private!();
    let place = Place::new();
    place.dir("l");
    place.file("u/f", "0123456789");
    let mount = place.mounted();
    for _ in 0..2 {
        fs::write(mount.path("f"), "0123456789").unwrap();
        let reader = File::open(mount.path("f")).unwrap();
        let before = mount.overlay.generation();
        let writer = OpenOptions::new().read(true).write(true).open(mount.path("f")).unwrap();
        writer.write_all_at(b"ab", 2).unwrap();
        assert_eq!((text(&reader).as_str(), text(&writer).as_str()), ("01ab456789", "01ab456789"));
        assert!(mount.overlay.generation() > before, "others are told");
        OpenOptions::new().append(true).open(mount.path("f")).unwrap().write_all(b"+").unwrap();
        writer.set_len(12).unwrap();
        assert_eq!((text(&reader).as_str(), reader.metadata().unwrap().len()), ("01ab456789+\0", 12));
        let program = "import mmap,sys\nwith open(sys.argv[1],'r+b') as f:\n m=mmap.mmap(f.fileno(),0)\n m[4:6]=b'XY'\n m.flush()";
        if Command::new("python3").args(["-c", program]).arg(mount.path("f")).status().is_ok_and(|done| done.success())
        {
            assert_eq!(text(&reader), "01abXY6789+\0");
        }
        drop((reader, writer));
        // Whoever opens it to write first has it by way of us: what was mapped must show there, too.
        let again = OpenOptions::new().read(true).write(true).open(mount.path("f")).unwrap();
        assert_eq!(text(&again), fs::read_to_string(place.path("u/f")).unwrap());
    }
}

#[test]
fn every_order_of_opening_works() {
    in_private!();
    let place = Place::new();
    place.file("l/lower", "text");
    place.file("u/upper", "text");
    let mount = place.mounted();
    for name in ["upper", "lower"] {
        for order in 0..6 {
            let open = |writes: bool| OpenOptions::new().read(true).write(writes).open(mount.path(name)).unwrap();
            let mut held: Vec<File> = [order & 1 > 0, order & 2 > 0, order & 4 > 0].map(open).into();
            for round in 0..6 {
                held.remove((round + order) % 3);
                held.push(open(round % 2 == 0));
                let now = format!("{order}{round}xx");
                OpenOptions::new().write(true).open(mount.path(name)).unwrap().write_all(now.as_bytes()).unwrap();
                held.iter().for_each(|file| assert_eq!(text(file), now));
            }
        }
    }
}

#[test]
fn many_who_open_read_and_write_at_once_meet_no_error() {
    in_private!();
    let place = Place::new();
    place.file("u/f", "0000000000");
    place.dir("l");
    let mount = place.mounted();
    watched(&[&mount], || {
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let path = mount.path("f");
                scope.spawn(move || {
                    for round in 0..300 {
                        let writes = (round + worker) % 3 == 0;
                        let file = OpenOptions::new().read(true).write(writes).open(&path).unwrap();
                        if writes {
                            file.write_all_at(b"1", worker as u64).unwrap();
                        }
                        assert_eq!(text(&file).len(), 10);
                    }
                });
            }
        });
    });
    assert_eq!(mount.read("f"), "1111000000");
}

#[test]
fn what_others_put_shows_to_who_opens_it_anew() {
    in_private!();
    let place = Place::new();
    place.dir("l");
    place.file("u/f", "first");
    let mount = place.mounted();
    let reader = File::open(mount.path("f")).unwrap();
    assert_eq!(text(&reader), "first");
    for round in 0..20 {
        let now = format!("round {round}");
        put(&mount, "f", &now);
        let open = File::open(mount.path("f")).unwrap();
        assert_eq!((text(&open), mount.read("f")), (now.clone(), now));
    }
    // Whoever had it open keeps one whole content.
    assert!(["first", "round 19"].contains(&text(&reader).as_str()));
    put(&mount, "f", "last");
    fs::rename(mount.path("f"), mount.path("g")).unwrap();
    let open = File::open(mount.path("g")).unwrap();
    fs::remove_file(mount.path("g")).unwrap();
    assert_eq!(text(&open), "last");
    fs::write(mount.path("g"), "another").unwrap();
    assert_eq!((text(&open).as_str(), mount.read("g").as_str()), ("last", "another"));
}

#[test]
fn a_time_that_nobody_can_count_ends_the_mount_and_no_caller_waits() {
    in_private!();
    let place = Place::new();
    place.file("l/f", "x");
    let mount = place.mounted();
    watched(&[&mount], || {
        let ancient = rustix::fs::Timespec { tv_sec: i64::MIN, tv_nsec: 1 };
        let times = rustix::fs::Timestamps { last_access: ancient, last_modification: ancient };
        let path = mount.path("f");
        let set = rustix::fs::utimensat(rustix::fs::CWD, &path, &times, rustix::fs::AtFlags::empty());
        assert!(set.is_err());
        // Gone from its place: the directory beneath shows.
        assert_eq!(errno(fs::metadata(&path)), Some(rustix::io::Errno::NOENT.raw_os_error()));
    });
    let Mount { mounted, .. } = mount;
    assert!(mounted.wait().is_err(), "who answers for it is told");
}
