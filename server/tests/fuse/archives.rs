//! Archives without an upper, whose files the kernel opens without asking.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::FileExt,
    process::Command,
    sync::Arc,
};

use ovl_core::{
    Layer, Overlay,
    layers::zip,
    overlay::Policy,
    testing::zip_builder::{Member, archive},
};
use rustix::{fs::SeekFrom, io::Errno};

use crate::{
    in_private,
    place::{Mount, Place, errno, watched},
};

/// More than the kernel asks for at once, and than is kept of what was read in part.
const BIG: usize = 3 << 20;
const MANY: usize = 300;

fn big(seed: usize) -> Vec<u8> {
    (0..BIG).map(|at| ((at / 7 * (seed + 3)) >> 3) as u8).collect()
}

fn mounted(place: &Place, members: impl IntoIterator<Item = Member>) -> Mount {
    fs::write(place.path("a.zip"), archive(members.into_iter().collect::<Vec<_>>())).unwrap();
    let source = ovl_core::layers::host::file(&place.path("a.zip")).unwrap();
    let lower: Arc<dyn Layer> = zip::open(source, &zip::Options::default()).unwrap();
    place.mount(Overlay::new(None, vec![lower], Policy::default(), None).unwrap())
}

#[test]
fn an_open_file_does_what_it_does_elsewhere() {
    in_private!();
    let place = Place::new();
    let text = big(1);
    let mount = mounted(&place, [Member::deflated("big", &text), Member::stored("small", "small")]);
    let open = File::open(mount.path("big")).unwrap();
    assert_eq!(rustix::fs::seek(&open, SeekFrom::Data(5)), Ok(5));
    assert_eq!(rustix::fs::seek(&open, SeekFrom::Hole(5)), Ok(BIG as u64));
    open.sync_all().unwrap();
    rustix::fs::flock(&open, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut piece = [0; 1000];
    for at in [BIG - 1000, 0, BIG / 2] {
        open.read_exact_at(&mut piece, at as u64).unwrap();
        assert_eq!(piece, text[at..at + 1000]);
    }
    assert!(fs::read(mount.path("big")).unwrap() == text);
    let program = "import mmap,sys\nwith open(sys.argv[1],'rb') as f: sys.stdout.write(mmap.mmap(f.fileno(),0,prot=1)[:].decode())";
    if let Ok(done) = Command::new("python3").args(["-c", program]).arg(mount.path("small")).output() {
        assert_eq!(done.stdout, b"small");
    }
    assert_eq!(errno(File::options().write(true).open(mount.path("small"))), Some(Errno::ROFS.raw_os_error()));
    assert_eq!(errno(File::open(mount.path("none"))), Some(Errno::NOENT.raw_os_error()));
}

#[test]
fn many_files_read_by_turns_keep_their_places() {
    in_private!();
    let place = Place::new();
    let texts: Vec<Vec<u8>> = (0..4).map(big).collect();
    let small = (0..MANY).map(|i| Member::deflated(format!("s{i}"), format!("text {i}").repeat(i)));
    let members = texts.iter().enumerate().map(|(i, text)| Member::deflated(format!("b{i}"), text));
    let mount = mounted(&place, members.chain(small));
    watched(&[&mount], || {
        std::thread::scope(|scope| {
            for (i, text) in texts.iter().enumerate() {
                let open = File::open(mount.path(&format!("b{i}"))).unwrap();
                scope.spawn(move || {
                    let mut piece = vec![0; 100_000];
                    for (at, text) in text.chunks(piece.len()).enumerate() {
                        open.read_exact_at(&mut piece[..text.len()], at as u64 * 100_000).unwrap();
                        assert!(&piece[..text.len()] == text);
                    }
                });
            }
            for i in 0..MANY {
                assert_eq!(mount.read(&format!("s{i}")), format!("text {i}").repeat(i));
            }
        });
    });
}

#[test]
fn what_cannot_be_read_fails_alone_and_as_it_is_read() {
    in_private!();
    let place = Place::new();
    let text = "what stands here".repeat(100);
    let lying = Member::deflated("lying", &text).local(|header| header.method = 0);
    let members = [Member::deflated("good", &text), lying, Member::deflated("locked", &text).flags(1)];
    let mount = mounted(&place, members);
    let fails = |name: &str| errno(File::open(mount.path(name)).unwrap().read_to_end(&mut Vec::new()));
    assert_eq!(fails("lying"), Some(Errno::IO.raw_os_error()));
    assert_eq!(fails("locked"), Some(Errno::OPNOTSUPP.raw_os_error()));
    assert_eq!(mount.read("good"), text);
}

#[test]
fn an_archive_that_changes_is_not_read_on() {
    in_private!();
    let place = Place::new();
    let mount = mounted(&place, ["a", "b"].map(|name| Member::stored(name, "text")));
    assert_eq!(mount.read("a"), "text");
    let mut open = File::open(mount.path("b")).unwrap();
    fs::write(place.path("a.zip"), archive([Member::stored("b", "else")])).unwrap();
    assert_eq!(errno(open.read_to_string(&mut String::new())), Some(Errno::STALE.raw_os_error()));
}
