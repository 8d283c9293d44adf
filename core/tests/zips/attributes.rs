//! Names, modes, owners and times, out of whatever an archive's maker wrote.

use ovl_core::{
    Kind, Layer, Stat, Time,
    layers::zip::{Names, Options, Zip},
    testing::{
        suite::at,
        zip_builder::{Member, archive, crc32},
    },
};

use crate::{draw, open, open_with};

fn stat(layer: &Zip, path: &str) -> Stat {
    layer.stat(&at(layer, path)).expect("stat works")
}

fn only(member: Member) -> Stat {
    stat(&open(archive([member])).expect("a sound archive"), "a")
}

fn secs(secs: i64) -> Time {
    Time { secs, nanos: 0 }
}

fn file() -> Member {
    Member::stored("a", "1")
}

#[test]
fn names_are_read_by_flag_then_unicode_path_then_utf8_then_the_fallback() {
    let unicode = |raw: &[u8], crc: u32, name: &[u8]| {
        Member::stored(raw, "").extra(0x7075, [&[1][..], &crc.to_le_bytes(), name].concat())
    };
    let cases: Vec<(&str, Member, Names, &[u8])> = vec![
        ("marked as UTF-8", Member::stored("grün", "").flags(1 << 11), Names::Cp437, "grün".as_bytes()),
        (
            "marked, yet no UTF-8: the bytes stay",
            Member::stored(b"gr\x81n", "").flags(1 << 11),
            Names::Cp437,
            b"gr\x81n",
        ),
        ("a Unicode path", unicode(b"gr?n", crc32(b"gr?n"), "grün".as_bytes()), Names::Cp437, "grün".as_bytes()),
        ("the Unicode path of another name", unicode(b"b", crc32(b"c"), b"d"), Names::Cp437, b"b"),
        ("a Unicode path that is none", unicode(b"b", crc32(b"b"), b"\xff"), Names::Cp437, b"b"),
        ("UTF-8 unmarked", Member::stored("grün", ""), Names::Cp437, "grün".as_bytes()),
        ("code page 437", Member::stored(b"gr\x81n\xe1\xff", ""), Names::Cp437, "grünß\u{a0}".as_bytes()),
        ("Windows-1252", Member::stored(b"gr\xfcn \x80", ""), Names::Windows1252, "grün €".as_bytes()),
        ("bytes", Member::stored(b"gr\x81n", ""), Names::Bytes, b"gr\x81n"),
    ];
    for (what, member, names, expected) in cases {
        let options = Options { names, ..Options::default() };
        let layer = open_with(archive([member]), options).expect(what);
        let entries = layer.list(&layer.root(), None, 9, false).expect(what);
        assert_eq!(entries[0].name.as_bytes(), expected, "{what}");
        let node = layer.lookup(&layer.root(), entries[0].name.as_name()).expect(what).expect(what);
        assert!(layer.open(&node).is_ok(), "{what}: the local header still has the name as written");
    }
}

#[test]
fn modes_are_kept_with_their_setuid_bits() {
    let dos = |external| Member { host: 0, external, ..file() };
    let cases: Vec<(&str, Member, Kind, u32)> = vec![
        ("setuid and sticky", file().mode(0o105_755), Kind::File, 0o5755),
        ("no rights at all", file().mode(0o100_000), Kind::File, 0),
        ("no type bits", file().mode(0o640), Kind::File, 0o640),
        ("nothing", file().mode(0), Kind::File, 0o644),
        ("read-only in DOS", dos(1), Kind::File, 0o444),
        ("an archive bit of DOS", dos(0x20), Kind::File, 0o644),
        ("a Unix mode written under DOS", dos(0o100_600 << 16), Kind::File, 0o600),
        ("a maker whose attributes are unknown", Member { host: 7, external: u32::MAX, ..file() }, Kind::File, 0o644),
        ("a directory", Member::stored("a/", "").mode(0o042_775), Kind::Dir, 0o2775),
        ("a directory without a mode", Member::stored("a/", "").mode(0), Kind::Dir, 0o755),
        ("a directory by name, a file by mode", Member::stored("a/", "").mode(0o100_644), Kind::Dir, 0o755),
    ];
    for (what, member, kind, mode) in cases {
        let stat = only(member);
        assert_eq!((stat.kind, stat.attrs.mode), (kind, mode), "{what}");
    }
}

#[test]
fn times_come_from_the_best_field() {
    let extended = |flags: u8, times: &[i32]| {
        let times: Vec<u8> = times.iter().flat_map(|time| time.to_le_bytes()).collect();
        [&[flags][..], &times].concat()
    };
    let ntfs = |times: [u64; 3]| {
        let times: Vec<u8> = times.iter().flat_map(|time| time.to_le_bytes()).collect();
        [&[0, 0, 0, 0, 1, 0, 24, 0][..], &times].concat()
    };
    // 2009-02-13 23:31:30 UTC and a tenth of a microsecond, as Windows counts.
    let windows = (1_234_567_890 + 11_644_473_600) * 10_000_000 + 1;
    let fine = Time { secs: 1_234_567_890, nanos: 100 };
    let dos = |date: u16, time: u16| file().central(|h| (h.date, h.time) = (date, time));
    let leap = (2000 - 1980) << 9 | 2 << 5 | 29;
    let cases: Vec<(&str, Member, Time, Time)> = vec![
        ("DOS, its first day", dos(0x21, 0), secs(315_532_800), secs(315_532_800)),
        ("DOS, a leap day at 23:59:58", dos(leap, 0xbf7d), secs(951_868_798), secs(951_868_798)),
        ("DOS, its last second", dos(0xff9f, 0xbf7d), secs(4_354_819_198), secs(4_354_819_198)),
        ("DOS, no date at all", dos(0, 0), secs(315_532_800), secs(315_532_800)),
        ("extended", file().extra(0x5455, extended(1, &[1_000])), secs(1_000), secs(1_000)),
        ("extended, before 1970", file().extra(0x5455, extended(1, &[-5])), secs(-5), secs(-5)),
        ("extended, with access", file().extra(0x5455, extended(3, &[1_000, 2_000])), secs(1_000), secs(2_000)),
        (
            "extended, flags of times that are not there",
            file().extra(0x5455, extended(7, &[1_000])),
            secs(1_000),
            secs(1_000),
        ),
        (
            "NTFS",
            file().extra(10, ntfs([windows, windows + 10_000_000, 1])),
            fine,
            Time { secs: 1_234_567_891, ..fine },
        ),
        (
            "the old Unix field",
            file().extra(0x5855, [7_u32.to_le_bytes(), 8_u32.to_le_bytes()].concat()),
            secs(8),
            secs(7),
        ),
        (
            "extended goes before NTFS",
            file().extra(0x5455, extended(1, &[1_000])).extra(10, ntfs([windows, windows, 1])),
            secs(1_000),
            secs(1_000),
        ),
    ];
    for (what, member, mtime, atime) in cases {
        let attrs = only(member).attrs;
        assert_eq!((attrs.mtime, attrs.atime), (mtime, atime), "{what}");
    }
}

#[test]
fn implied_directories_have_the_time_of_the_newest_thing_in_them() {
    let aged = |name: &str, secs: i32| Member::stored(name, "").extra(0x5455, [&[1][..], &secs.to_le_bytes()].concat());
    let layer = open(archive([aged("d/e/old", 1_000), aged("d/e/new", 3_000), aged("d/f", 2_000)])).expect("sound");
    let seen = ["d/e", "d", ""].map(|path| stat(&layer, path).attrs);
    assert_eq!(seen.map(|attrs| (attrs.mode, attrs.mtime)), [(0o755, secs(3_000)); 3]);
    let empty = open(archive([])).expect("sound");
    assert_eq!(stat(&empty, "").attrs.mtime, secs(0));
}

#[test]
fn owners_and_devices_are_kept() {
    let ids = |widths: &[u8]| file().extra(0x7875, widths);
    let owner = |member| {
        let attrs = only(member).attrs;
        (attrs.uid, attrs.gid)
    };
    assert_eq!(owner(file()), (0, 0));
    assert_eq!(owner(ids(&[1, 4, 0xe8, 3, 0, 0, 4, 0x64, 0, 0, 0])), (1000, 100));
    assert_eq!(owner(ids(&[1, 2, 0xe8, 3, 1, 7])), (1000, 7));
    assert_eq!(owner(ids(&[1, 8, 1, 0, 0, 0, 1, 0, 0, 0, 1, 7])), (0, 0), "an id over 32 bits is none");
    let body = [[0; 4], [0; 4], [5, 0, 6, 0], [8, 0, 0, 0], [1, 0, 0, 0]].concat();
    let stat = only(file().mode(0o020_600).extra(0x000d, body));
    assert_eq!((stat.kind, stat.rdev.major, stat.rdev.minor), (Kind::Char, 8, 1));
    assert_eq!((stat.attrs.uid, stat.attrs.gid), (5, 6));
}

#[test]
fn whiteouts_are_read_where_they_are_asked_for() {
    let members = [Member::stored("gone", "").mode(0o020_000), Member::stored("kept", "1")];
    let layer = open_with(archive(members), Options { whiteouts: true, ..Options::default() }).expect("sound");
    assert_eq!(draw(&layer), "gone?Whiteout kept=1");
    let entries = layer.list(&layer.root(), None, 9, true).expect("list works");
    assert_eq!(entries[0].stat, None);
}

#[test]
fn every_object_has_a_number_of_its_own_and_one_name() {
    let layer = open(archive([Member::stored("d/a", ""), Member::stored("d/b", ""), Member::stored("c", "")]));
    let layer = layer.expect("sound");
    let mut numbers: Vec<u64> = ["", "d", "d/a", "d/b", "c"].map(|path| stat(&layer, path).ino).to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 5);
    assert_eq!(stat(&layer, "d/a").nlink, 1);
}
