//! Archives that were made to mislead (trust T1, T4, T8, T11, T13 to T15).

use ovl_core::{
    ErrorKind, Layer,
    layers::zip::{Backslash, Limits, Options},
    testing::{
        suite::at,
        zip_builder::{Archive, Built, Header, Member, archive, deflate, field},
    },
};

use crate::{assert_refused, content, draw, open, open_with, reports};

fn two() -> Built {
    Archive::of([Member::stored("a", "one"), Member::deflated("b", "two")]).build()
}

/// Returns a zip64 archive of two members: the zip64 end record has 56 bytes, its locator 20.
fn wide() -> Built {
    Archive { zip64: true, ..Archive::of([Member::stored("a", "one"), Member::stored("b", "two")]) }.build()
}

/// Rewrites one byte of the plain end record.
fn end_byte(built: Built, at: usize, value: u8) -> Vec<u8> {
    let at = built.plain_end + at;
    built.patch(at, &[value]).bytes
}

fn commented(comment: &[u8]) -> Vec<u8> {
    Archive { comment: comment.to_vec(), ..Archive::of([Member::stored("a", "one")]) }.build().bytes
}

fn glued(adjusted: bool) -> Vec<u8> {
    let before = archive([Member::stored("old", "hidden")]);
    Archive { prefix: before, adjusted, ..Archive::of([Member::stored("new", "shown")]) }.build().bytes
}

/// Returns two members of which the first claims the second's bytes too.
fn overlapping(order: Option<Vec<usize>>) -> Vec<u8> {
    let longer = |header: &mut Header| (header.packed, header.size) = (20, 20);
    let first = Member::stored("a", "one").central(longer).local(longer);
    Archive { order, ..Archive::of([first, Member::stored("b", "two"), Member::stored("c", "three")]) }.build().bytes
}

fn one_local_twice() -> Vec<u8> {
    let second = Member { offset: Some(0), ..Member::stored("a", "one") };
    archive([Member::stored("a", "one"), second])
}

/// Returns a member whose stored bytes quote the header of the next one, so that both inflate the same bytes.
fn quoted() -> Vec<u8> {
    let kernel = Member::deflated("b", "bomb");
    let quote = [&[0, kernel.local_bytes().len() as u8, 0][..], &kernel.local_bytes()].concat();
    let first = Member::new(b"a", 8, b"bomb", quote[..3].to_vec());
    let longer = quote.len() as u32;
    let first = first.central(|header| header.packed = longer).local(|header| header.packed = longer);
    archive([first, kernel])
}

fn far_away() -> Vec<u8> {
    let far = Member { offset: Some(u32::MAX), ..Member::stored("a", "one") };
    archive([far.central(|header| header.extra = field(1, &u64::MAX.to_le_bytes()))])
}

fn central_byte(at: usize, value: u8) -> Vec<u8> {
    let built = two();
    let at = built.directory + at;
    built.patch(at, &[value]).bytes
}

fn surrounded() -> Vec<u8> {
    let inner = Archive { prefix: b"stub".to_vec(), ..Archive::of([Member::stored("a", "one")]) };
    [&inner.build().bytes[..], b"more"].concat()
}

fn end_in_directory() -> Vec<u8> {
    let empty = archive([]);
    let hidden = Member { comment: empty, ..Member::stored("a", "one") };
    archive([hidden])
}

#[test]
fn an_archive_that_contradicts_itself_is_refused_with_a_sentence() {
    let cut = |bytes: &[u8], by: usize| bytes[..bytes.len() - by].to_vec();
    let zip64_at = |at: usize, value: u8| {
        let built = wide();
        let at = built.end + at;
        built.patch(at, &[value]).bytes
    };
    let silent_plain = [two().bytes, Vec::new()].concat();
    let size_at = two().plain_end + 12;
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("no bytes", vec![], "no end record"),
        ("a text", b"hello, this is no archive at all".to_vec(), "no end record"),
        ("one byte short", cut(&two().bytes, 1), "no end record"),
        ("only a member", cut(&two().bytes, 100), "no end record"),
        ("an end record alone in a text", b"text PK\x05\x06".to_vec(), "no end record"),
        ("one entry too few", end_byte(two(), 10, 1), "several disks"),
        ("both counts too few", two_counts(1), "counts 1 entries, the directory has 2"),
        ("both counts too many", two_counts(3), "more entries than the directory has room for"),
        ("this is disk 1", end_byte(two(), 4, 1), "several disks"),
        ("the directory is on disk 1", end_byte(two(), 6, 1), "several disks"),
        ("the directory is a byte longer", end_byte(two(), 12, 95), "does not end where the end record begins"),
        ("the directory is a byte shorter", end_byte(two(), 12, 93), "does not end where the end record begins"),
        ("the directory begins later", end_byte(two(), 16, 0xff), "does not end where the end record begins"),
        ("the directory begins earlier", end_byte(two(), 16, 1), "another archive stands before"),
        ("the directory is longer than all", end_byte(two(), 14, 9), "longer than the archive"),
        ("no zip64 record where one is named", patched(silent_plain, size_at, &[0xff; 4]), "is not there"),
        ("a comment that holds an archive", commented(&two().bytes), "two end records"),
        ("a comment that holds an empty archive", commented(&archive([])), "two end records"),
        ("two end records in a row", [two().bytes.clone(), archive([])].concat(), "another archive stands before"),
        ("an end record within the directory", end_in_directory(), "two end records"),
        ("two archives glued", glued(false), "another archive stands before"),
        ("two archives glued, offsets adjusted", glued(true), "two end records"),
        ("bytes before and after", surrounded(), "before and after"),
        ("the zip64 locator points elsewhere", zip64_at(56 + 8, 1), "shifted differently"),
        ("the zip64 locator points behind", zip64_at(56 + 15, 1), "points to no zip64 end record"),
        ("the zip64 record has another length", zip64_at(4, 45), "does not end at its locator"),
        ("the zip64 record counts one too many", zip64_at(32, 3), "several disks"),
        ("the zip64 record is of disk 1", zip64_at(16, 1), "disagree"),
        ("the zip64 directory is longer than all", zip64_at(46, 1), "longer than the archive"),
        ("the zip64 directory begins elsewhere", zip64_at(48, 1), "shifted differently"),
        ("plain and zip64 counts differ", plain_and_wide(), "disagree"),
        ("one local header for two entries", one_local_twice(), "overlap"),
        ("two members overlap", overlapping(None), "overlap"),
        ("two members overlap, listed backwards", overlapping(Some(vec![2, 1, 0])), "overlap"),
        ("a quoted header", quoted(), "overlap"),
        ("a member reaches into the directory", too_long(), "reaches into the directory"),
        ("a member lies beyond all archives", far_away(), "reaches into the directory"),
        ("a member lies in the directory", central_byte(42, 0x50), "reaches into the directory"),
        ("garbage between two records", central_byte(47, 0), "no entry"),
        ("a name that runs past the end", central_byte(47 + 28, 9), "within an entry"),
        ("extra fields that run past the end", central_byte(47 + 31, 1), "within an entry"),
        ("a comment that runs past the end", central_byte(47 + 32, 1), "within an entry"),
        ("a comment that hides the second record", central_byte(32, 47), "the directory has 1"),
    ];
    for (what, bytes, reason) in cases {
        let error = open(bytes).err().unwrap_or_else(|| panic!("{what} was taken"));
        assert_refused(&error, ErrorKind::Corrupt, reason, what);
    }
}

fn two_counts(count: u8) -> Vec<u8> {
    let built = two();
    let at = built.plain_end;
    built.patch(at + 8, &[count, 0, count, 0]).bytes
}

fn plain_and_wide() -> Vec<u8> {
    let built = wide();
    let at = built.plain_end;
    built.patch(at + 8, &[7, 0, 7, 0]).bytes
}

fn patched(mut bytes: Vec<u8>, at: usize, with: &[u8]) -> Vec<u8> {
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

fn too_long() -> Vec<u8> {
    let longer = |header: &mut Header| (header.packed, header.size) = (4, 4);
    archive([Member::stored("a", "one").central(longer).local(longer)])
}

/// Archives of which a part cannot be shown: what is drawn of them, and what is said of the rest.
fn partial() -> Vec<(&'static str, Vec<Member>, &'static str, &'static [&'static str])> {
    let file = |name: &str| Member::stored(name, "1");
    let unicode = |name: &str| {
        let crc = ovl_core::testing::zip_builder::crc32(b"plain").to_le_bytes();
        file("plain").extra(0x7075, [&[1][..], &crc, name.as_bytes()].concat())
    };
    let deep = vec!["d"; 256].join("/");
    let long = vec!["n".repeat(240); 18].join("/");
    let link = |target: &str| Member::symlink("l", target);
    vec![
        ("upwards", vec![file("../x")], "", &["../x: its name has a part `..`"]),
        ("down and up", vec![file("a/../../x")], "", &["a/../../x: its name has a part `..`"]),
        ("up within", vec![file("a/../x")], "", &["a/../x: its name has a part `..`"]),
        ("up at the end", vec![Member::directory("a/../")], "", &["a/../: its name has a part `..`"]),
        ("the parent itself", vec![file("..")], "", &["..: its name has a part `..`"]),
        ("the place itself", vec![file(".")], "", &[".: its name has a part `.`"]),
        ("a dot within", vec![file("a/./b")], "", &["a/./b: its name has a part `.`"]),
        ("absolute, in the root", vec![file("/x")], "", &["/x: its name begins with `/`"]),
        ("absolute", vec![file("/etc/passwd")], "", &["/etc/passwd: its name begins with `/`"]),
        ("two slashes first", vec![file("//host/x")], "", &["//host/x: its name begins with `/`"]),
        ("two slashes within", vec![file("a//b")], "", &["a//b: its name has an empty part"]),
        ("a root as directory", vec![Member::directory("/")], "", &["/: its name has an empty part"]),
        ("no name", vec![file("")], "", &[": its name has an empty part"]),
        ("a NUL", vec![file("a.txt\0.exe")], "", &["a.txt\\u{0}.exe: its name has a NUL byte"]),
        ("a NUL in a directory", vec![file("d\0/a")], "", &["d\\u{0}/a: its name has a NUL byte"]),
        (
            "sound beside unsound",
            vec![file("d/a"), file("d/../b"), file("d/c")],
            "d/ d/a=1 d/c=1",
            &["d/../b: its name has a part `..`"],
        ),
        ("two of one name", vec![file("a"), Member::stored("a", "2")], "a=2", &["a: a later entry has the same name"]),
        (
            "two directories of one name",
            vec![Member::directory("d/"), Member::directory("d/")],
            "d/",
            &["d/: a later entry has the same name"],
        ),
        ("a file that others lie in", vec![file("a"), file("a/b")], "a/ a/b=1", &["a: a directory has the same name"]),
        (
            "a directory, then a file of its name",
            vec![Member::directory("a/"), file("a")],
            "a/",
            &["a: a directory has the same name"],
        ),
        (
            "a link that others lie in",
            vec![Member::symlink("a", "/etc"), file("a/passwd")],
            "a/ a/passwd=1",
            &["a: a directory has the same name"],
        ),
        (
            "three of one name and a directory",
            vec![file("a"), file("a"), file("a/b"), file("a")],
            "a/ a/b=1",
            &[
                "a: a later entry has the same name",
                "a: a directory has the same name",
                "a: a directory has the same name",
            ],
        ),
        ("a link to nothing", vec![link("")], "", &["l: it is a symbolic link without a target"]),
        ("a link to too much", vec![link(&"t".repeat(4097))], "", &["l: its target is longer than 4,096 bytes"]),
        (
            "a forged whiteout",
            vec![file("w").mode(0o020_000)],
            "",
            &["w: a character device 0/0 would hide what lies below"],
        ),
        ("a Unicode path upwards", vec![unicode("../../x")], "", &["plain: its name has a part `..`"]),
        ("an absolute Unicode path", vec![unicode("/x")], "", &["plain: its name begins with `/`"]),
        ("a deep path", vec![file(&deep)], "", DEEP),
        ("a long path", vec![file(&long)], "", LONG),
    ]
}

const DEEP: &[&str] = &[": its name is deeper than 255 levels"];
const LONG: &[&str] = &[": its name is longer than 4,096 bytes"];

#[test]
fn what_cannot_be_shown_is_left_out_and_told_and_strictness_refuses_it() {
    for (what, members, drawing, told) in partial() {
        let bytes = archive(members);
        let layer = open(bytes.clone()).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(draw(&layer), drawing, "{what}");
        let reports = reports(&layer);
        assert_eq!(reports.len(), told.len(), "{what}: {reports:?}");
        assert!(reports.iter().zip(told).all(|(is, end)| is.ends_with(end)), "{what}: {reports:?}");
        let strict = open_with(bytes, Options { strict: true, ..Options::default() });
        let error = strict.err().unwrap_or_else(|| panic!("{what} was taken strictly"));
        assert_refused(&error, ErrorKind::Corrupt, "strict", what);
    }
}

#[test]
fn a_long_name_is_left_out() {
    let layer = open(archive([Member::stored("n".repeat(256), "1"), Member::stored("n".repeat(255), "2")]));
    let layer = layer.expect("a long name refuses itself only");
    assert_eq!(draw(&layer), format!("{}=2", "n".repeat(255)));
    assert!(reports(&layer)[0].ends_with(": its name has a part longer than 255 bytes"));
}

#[test]
fn names_that_trouble_other_systems_are_served_as_they_are() {
    let names = [
        ".wh..wh..opq",
        ".wh.a",
        "A",
        "CON",
        "NUL.txt",
        "a",
        "a:b",
        "a\u{202e}txt.exe",
        "bell\u{7}",
        "c:",
        "cafe\u{301}",
        "caf\u{e9}",
        "dot.",
        "line\nline",
        "space ",
        "~",
        "…",
    ];
    let layer = open(archive(names.map(|name| Member::stored(name, "1")))).expect("names are bytes");
    let listed = layer.list(&layer.root(), None, 100, false).expect("list works");
    let listed: Vec<&[u8]> = listed.iter().map(|entry| entry.name.as_bytes()).collect();
    assert_eq!(listed, names.map(str::as_bytes));
    assert_eq!(reports(&layer), [] as [&str; 0]);
}

#[test]
fn a_backslash_is_kept_and_told_or_separates_when_asked() {
    let members = [Member::stored(r"d\a", "1"), Member::stored(r"..\x", "2"), Member::stored(r"C:\y", "3")];
    let layer = open(archive(members.clone())).expect("backslashes are bytes");
    assert_eq!(draw(&layer), r"..\x=2 C:\y=3 d\a=1");
    let kept = "the backslash in its name is kept: it is no separator here (shown)";
    assert_eq!(reports(&layer), [r"d\a", r"..\x", r"C:\y"].map(|name| format!("{name}: {kept}")));
    let options = Options { backslash: Backslash::Separator, ..Options::default() };
    let layer = open_with(archive(members), options).expect("backslashes separate");
    assert_eq!(draw(&layer), "C:/ C:/y=3 d/ d/a=1");
    assert_eq!(reports(&layer), [r"..\x: its name has a part `..`"]);
}

#[test]
fn reports_are_kept_short_and_the_rest_is_counted() {
    let members: Vec<Member> = (0..10_050).map(|i| Member::stored(format!("../{i}"), "")).collect();
    let layer = open(archive(members)).expect("bad names refuse themselves only");
    let reports = reports(&layer);
    assert_eq!(reports.len(), 10_001);
    assert_eq!(reports[10_000], ": 50 more entries are reported but not listed");
}

/// Members that contradict themselves or cannot be read: the archive is served, they are not.
fn damaged() -> Vec<(&'static str, Member, ErrorKind, &'static str)> {
    use ErrorKind::{Corrupt, UnsupportedEntry};
    let text = "a text that repeats, a text that repeats";
    let plain = || Member::stored("a", text);
    let coded = || Member::deflated("a", text);
    let method = |method| Member::new(b"a", method, text.as_bytes(), vec![7; 9]);
    let both = |member: Member, lie: fn(&mut Header)| member.central(lie).local(lie);
    let inflates_to = |content: &str, stored: Vec<u8>| Member::new(b"a", 8, content.as_bytes(), stored);
    let unfinished = deflate(text.as_bytes());
    let unfinished = unfinished[..unfinished.len() - 4].to_vec();
    vec![
        ("another local name", plain().local(|h| h.name = b"b".to_vec()), Corrupt, "another name"),
        ("a longer local name", plain().local(|h| h.name = b"aa".to_vec()), Corrupt, "another name"),
        ("another local method", plain().local(|h| h.method = 8), Corrupt, "another method"),
        ("encrypted in the local header alone", plain().local(|h| h.flags = 1), Corrupt, "another flags"),
        ("another local CRC-32", plain().local(|h| h.crc ^= 1), Corrupt, "another CRC-32"),
        ("no local CRC-32 and no descriptor", plain().local(|h| h.crc = 0), Corrupt, "another CRC-32"),
        ("another local size", coded().local(|h| h.size += 1), Corrupt, "another size"),
        ("another local packed size", coded().local(|h| h.packed -= 1), Corrupt, "another size"),
        ("streamed, with another local size", coded().streamed().local(|h| h.size = 5), Corrupt, "another size"),
        ("a wrong CRC-32, stored", both(plain(), |h| h.crc ^= 1), Corrupt, "does not fit its CRC-32"),
        ("a wrong CRC-32, deflated", both(coded(), |h| h.crc ^= 1), Corrupt, "does not fit its CRC-32"),
        ("more than it declares", inflates_to("a text", deflate(text.as_bytes())), Corrupt, "more than it declares"),
        ("a bomb of declared size 0", inflates_to("", deflate(&[0; 100_000])), Corrupt, "more than it declares"),
        ("less than it declares", both(coded(), |h| h.size += 1), Corrupt, "less than it declares"),
        ("a size of 4 GiB", both(coded(), |h| h.size = u32::MAX - 1), Corrupt, "less than it declares"),
        ("a stream without an end", inflates_to(text, unfinished), Corrupt, "cut short"),
        ("no stored bytes at all", inflates_to(text, vec![]), Corrupt, "cut short"),
        ("no deflate stream", inflates_to(text, vec![0xff; 40]), Corrupt, "no deflate stream"),
        ("a far reference", inflates_to(text, vec![0x4b, 0x04, 0x7e, 0x7f]), Corrupt, "member"),
        ("two lengths of a stored member", both(plain(), |h| h.size += 1), Corrupt, "two lengths"),
        ("no deflate64 stream", Member::new(b"a", 9, b"text", vec![0xff; 40]), Corrupt, "no deflate64 stream"),
        ("a deflate64 stream without an end", Member::new(b"a", 9, b"text", vec![]), Corrupt, "cut short"),
        ("encrypted", plain().flags(1), UnsupportedEntry, "the member is encrypted"),
        ("strongly encrypted", plain().flags(1 | 1 << 6), UnsupportedEntry, "the member is encrypted"),
        ("encrypted with AES", method(99).flags(1), UnsupportedEntry, "the member is encrypted"),
        ("bzip2", method(12), UnsupportedEntry, "compression method 12 (BZIP2) is not supported"),
        ("zstandard", method(93), UnsupportedEntry, "compression method 93 (ZSTD) is not supported"),
        ("an unknown method", method(4242), UnsupportedEntry, "compression method 4242 (UNKNOWN) is not supported"),
    ]
}

#[test]
fn a_member_that_is_not_what_it_says_never_reads_to_its_end_and_harms_no_other() {
    for (what, member, kind, reason) in damaged() {
        let layer = open(archive([member, Member::deflated("b", "sound")])).expect(what);
        let error = content(&layer, "a").expect_err(what);
        assert_refused(&error, kind, reason, what);
        assert_eq!(content(&layer, "b").expect(what), b"sound", "{what}");
    }
}

#[test]
fn a_member_without_a_local_header_is_damaged() {
    let built = two();
    let layer = open(built.patch(0, b"XX").bytes).expect("the directory is sound");
    let error = content(&layer, "a").expect_err("no header");
    assert_refused(&error, ErrorKind::Corrupt, "no local header", "no header");
}

#[test]
fn local_extra_fields_cannot_push_a_member_onto_the_next() {
    let layer = open(two().patch(28, &[33, 0]).bytes).expect("the directory is sound");
    let error = content(&layer, "a").expect_err("its content would be the next header");
    assert_refused(&error, ErrorKind::Corrupt, "overlaps the next", "extra fields");
}

#[test]
fn links_are_data_and_those_that_cannot_be_read_say_so() {
    let nul = Member::symlink("nul", "a\0b");
    let locked = Member::symlink("locked", "target").flags(1);
    let wild = [Member::symlink("up", "../../../etc/passwd"), Member::symlink("ring", "ring"), nul, locked];
    let layer = open(archive(wild)).expect("links are data");
    assert_eq!(draw(&layer), "locked?UnsupportedEntry nul?Corrupt ring->ring up->../../../etc/passwd");
    assert!(layer.open(&at(&*layer, "up")).is_err(), "a link has no content");
}

#[test]
fn a_short_directory_that_implies_a_forest_is_refused() {
    let deep = |tree: usize| format!("{tree}/{}", vec!["d"; 250].join("/"));
    let members: Vec<Member> = (0..300).map(|tree| Member::stored(deep(tree), "")).collect();
    let error = open(archive(members)).expect_err("75,300 directories out of 170 KB");
    assert_refused(&error, ErrorKind::TooLarge, "implies more directories", "a forest");
}

#[test]
fn limits_are_kept() {
    let limits = |entries, directory| Options { limits: Limits { entries, directory }, ..Options::default() };
    let members: Vec<Member> = (0..10).map(|i| Member::stored(format!("d{i}/f"), "")).collect();
    let cases = [
        (limits(9, 1 << 20), "10 entries, allowed are 9"),
        (limits(10, 1 << 20), "more directories and entries than are allowed"),
        (limits(100, 400), "a directory of 500 bytes, allowed are 400"),
    ];
    for (options, reason) in cases {
        let error = open_with(archive(members.clone()), options).expect_err(reason);
        assert_refused(&error, ErrorKind::TooLarge, reason, reason);
    }
    assert!(open_with(archive(members), limits(20, 500)).is_ok(), "ten directories, ten files");
}
