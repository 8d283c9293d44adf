//! Archives that are odd but well meant, as the tools of the world write them: all are served.

use ovl_core::testing::zip_builder::{Archive, Built, Header, Member, archive, field};

use crate::{draw, open, reports};

fn one() -> Archive {
    Archive::of([Member::stored("a", "1"), Member::deflated("d/b", "two")])
}

/// Puts bytes between the members and the directory, as a signature block of Android stands there.
fn with_gap(archive: &Archive, gap: &[u8]) -> Vec<u8> {
    let Built { mut bytes, directory, plain_end, .. } = archive.build();
    let moved = (directory + gap.len()) as u32;
    bytes[plain_end + 16..plain_end + 20].copy_from_slice(&moved.to_le_bytes());
    bytes.splice(directory..directory, gap.iter().copied());
    bytes
}

/// Returns a member whose sizes stand in zip64 fields, small as they are.
fn wide(name: &str, content: &str) -> Member {
    let size = (content.len() as u64).to_le_bytes();
    let silent = |header: &mut Header| (header.packed, header.size) = (u32::MAX, u32::MAX);
    Member::stored(name, content).extra(1, [size, size].concat()).central(silent).local(silent)
}

fn odd() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let both = "a=1 d/ d/b=two";
    let members = |members: Vec<Member>| archive(members);
    let file = |name: &str| Member::stored(name, "1");
    let nested = one().build().bytes;
    let rest = |archive: Archive| archive.build().bytes;
    vec![
        ("nothing in it", archive([]), ""),
        ("nothing in it, in zip64", rest(Archive { zip64: true, ..Archive::default() }), ""),
        ("a prefix, offsets not adjusted", rest(Archive { prefix: b"#!/bin/sh\n".to_vec(), ..one() }), both),
        ("a prefix, offsets adjusted", rest(Archive { prefix: b"MZ".repeat(900), adjusted: true, ..one() }), both),
        (
            "the marker of a split archive in one piece",
            rest(Archive { prefix: b"PK00".to_vec(), adjusted: true, ..one() }),
            both,
        ),
        ("a zip64 end record without need", rest(Archive { zip64: true, ..one() }), both),
        ("a zip64 end record behind a prefix", rest(Archive { zip64: true, prefix: b"stub".to_vec(), ..one() }), both),
        ("a comment", rest(Archive { comment: b"made by hand".to_vec(), ..one() }), both),
        (
            "a comment with an end signature",
            rest(Archive { comment: b"PK\x05\x06 and more of it, up to here".to_vec(), ..one() }),
            both,
        ),
        ("bytes after the end", [&nested[..], b"\r\n"].concat(), both),
        ("a block before the directory", with_gap(&one(), b"APK Sig Block 42"), both),
        ("listed in another order", rest(Archive { order: Some(vec![1, 0]), ..one() }), both),
        ("an entry deleted from the directory alone", rest(Archive { order: Some(vec![1]), ..one() }), "d/ d/b=two"),
        ("the first entry left", rest(Archive { order: Some(vec![0]), ..one() }), "a=1"),
        ("zip64 sizes without need", members(vec![wide("a", "1"), wide("b", "22")]), "a=1 b=22"),
        ("a zip64 field that nothing refers to", members(vec![file("a").extra(1, [1; 16])]), "a=1"),
        ("a Java marker", members(vec![file("a").extra(0xcafe, "")]), "a=1"),
        ("extra fields that end within one", members(vec![file("a").central(|h| h.extra = vec![9, 9, 9])]), "a=1"),
        ("padding in the local header", members(vec![file("a").local(|h| h.extra = vec![0; 37])]), "a=1"),
        ("descriptors", members(vec![file("a").streamed(), Member::deflated("b", "two").streamed()]), "a=1 b=two"),
        ("a descriptor, sizes known all the same", members(vec![file("a").flags(8), file("b")]), "a=1 b=1"),
        ("a descriptor flag in the local header alone", members(vec![file("a").local(|h| h.flags = 8)]), "a=1"),
        ("a directory with a descriptor", members(vec![Member::directory("d/").streamed()]), "d/"),
        ("a deflated directory", members(vec![Member::new(b"d/", 8, b"", vec![3, 0])]), "d/"),
        ("another level of compression in one header", members(vec![file("a").local(|h| h.flags = 2)]), "a=1"),
        ("UTF-8 marked in one header, plain ASCII", members(vec![file("a").central(|h| h.flags = 1 << 11)]), "a=1"),
        ("another version and time in the local header", members(vec![file("a").local(|h| h.time = 77)]), "a=1"),
        ("a CRC-32 for a directory", members(vec![Member::directory("d/").central(|h| h.crc = 5)]), "d/"),
        ("a comment at an entry", members(vec![Member { comment: b"note".to_vec(), ..file("a") }]), "a=1"),
        ("a leading dot", members(vec![Member::directory("./"), file("./a"), file("././d/b")]), "a=1 d/ d/b=1"),
        ("directories that are only implied", members(vec![file("x/y/z")]), "x/ x/y/ x/y/z=1"),
        ("a directory listed after what is in it", members(vec![file("d/a"), Member::directory("d/")]), "d/ d/a=1"),
        ("a directory by its mode alone", members(vec![Member::stored("d", "").mode(0o040_755)]), "d/"),
        (
            "a directory by its DOS attribute alone",
            members(vec![Member { host: 0, external: 0x10, ..Member::stored("d", "") }]),
            "d/",
        ),
        ("a mode of a directory, with content", members(vec![file("d").mode(0o040_755)]), "d=1"),
        ("a mode without a type", members(vec![file("a").mode(0o600)]), "a=1"),
        ("a stored archive as last member", members(vec![Member::stored("in.zip", &nested)]), "in.zip"),
        (
            "a stored archive behind long local extra fields",
            members(vec![Member::stored("in.zip", &nested).local(|h| h.extra = field(9, &[0; 60]))]),
            "in.zip",
        ),
        ("a stored empty archive as last member", members(vec![Member::stored("in.zip", archive([]))]), "in.zip"),
        (
            "an empty stored and an empty deflated file",
            members(vec![Member::stored("a", ""), Member::deflated("b", "")]),
            "a= b=",
        ),
        ("a socket and a fifo", members(vec![file("p").mode(0o010_644), file("s").mode(0o140_644)]), "p?Fifo s?Socket"),
        ("a block device without a number", members(vec![file("b").mode(0o060_600)]), "b?Block"),
    ]
}

#[test]
fn odd_but_well_meant_archives_are_served_without_a_word() {
    for (what, bytes, drawing) in odd() {
        let layer = open(bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
        let drawn = draw(&layer);
        assert!(drawn == drawing || (drawing == "in.zip" && drawn.starts_with("in.zip=PK")), "{what}: {drawn}");
        assert_eq!(reports(&layer), [] as [&str; 0], "{what}");
    }
}

#[test]
fn more_entries_than_a_plain_end_record_counts_are_served() {
    let members: Vec<Member> = (0..70_000).map(|i| Member::stored(format!("d{}/f{i}", i % 7), "")).collect();
    let layer = open(Archive { zip64: true, ..Archive::of(members) }.build().bytes).expect("zip64 counts them");
    let mut files = 0;
    crate::walk(&layer, &ovl_core::Layer::root(&*layer), &ovl_core::VPath::root(), &mut |_, _| files += 1);
    assert_eq!(files, 70_007);
}

#[test]
fn a_zip64_field_gives_the_offset_where_the_record_refers_to_it() {
    let far = Member { offset: Some(u32::MAX), ..Member::stored("b", "2") };
    let first = Member::stored("a", "1");
    let place = first.local_bytes().len() as u64;
    let far = far.central(|header| header.extra = field(1, &place.to_le_bytes()));
    assert_eq!(draw(&open(archive([first, far])).expect("zip64 offsets are read")), "a=1 b=2");
}
