//! Reading members: any place, any order, verified at the end, out of an archive that may change.

use std::sync::Arc;

use ovl_core::{
    Blob, ErrorKind, Layer,
    layers::zip::{self, Options, Zip, sniff},
    testing::{
        drawing::read_all,
        source::Source,
        suite::at,
        zip_builder::{Archive, Member, archive, deflate},
    },
};

use crate::{assert_refused, content, open};

/// Bytes that deflate to about half and repeat nowhere.
fn noise(len: u32) -> Vec<u8> {
    (0..len).map(|i| (i.wrapping_mul(2_654_435_761) >> 28) as u8 ^ (i >> 12) as u8).collect()
}

/// Writes a deflate64 stream of one byte and a match so long that deflate could not say it.
fn long_match(byte: u8, len: usize) -> Vec<u8> {
    let (mut bits, mut count) = (0_u64, 0);
    let mut put = |value: u64, width: u32, reversed: bool| {
        let value = if reversed { value.reverse_bits() >> (64 - width) } else { value };
        bits |= value << count;
        count += width;
    };
    put(1, 1, false); // the last block
    put(1, 2, false); // with fixed codes
    put(u64::from(byte) + 0x30, 8, true);
    put(0b1100_0101, 8, true); // length code 285: in deflate64, 3 and 16 bits more
    put(len as u64 - 1 - 3, 16, false);
    put(0, 5, true); // distance 1
    put(0, 7, true); // the end
    bits.to_le_bytes()[..count.div_ceil(8) as usize].to_vec()
}

fn blob(layer: &Zip, path: &str) -> Arc<dyn Blob> {
    layer.open(&at(layer, path)).expect("open works")
}

fn is_verified(blob: &dyn Blob) -> bool {
    blob.stored().expect("a member is stored somehow").verified
}

#[test]
fn members_read_equal_in_any_order() {
    let bytes = noise(300_000);
    let layer = open(archive([Member::stored("s", &bytes), Member::deflated("d", &bytes)])).expect("sound");
    for path in ["s", "d"] {
        let blob = blob(&layer, path);
        for offset in [0, 250_000, 10, 100_000, 100_777, 299_999, 5] {
            let mut buf = [0; 777];
            let got = blob.read_at(&mut buf, offset as u64).expect("read works");
            assert!(got > 0 && buf[..got] == bytes[offset..offset + got], "{path} at {offset}");
        }
        assert_eq!(read_all(&*blob).expect("read works"), bytes);
    }
}

/// Returns a member of `bytes`, deflated at a level.
fn deflated_at(level: u32, bytes: &[u8]) -> Member {
    let mut stored = Vec::new();
    let mut coder = flate2::read::DeflateEncoder::new(bytes, flate2::Compression::new(level));
    std::io::Read::read_to_end(&mut coder, &mut stored).expect("memory reads");
    Member::new(b"big", 8, bytes, stored)
}

#[test]
fn a_big_member_reads_equal_wherever_it_is_read_from() {
    let bytes = noise(9_000_000);
    // Level 0 stores blocks as they are, 1 uses fixed and few codes, 9 refers far back.
    for level in [0, 1, 6, 9] {
        let layer = open(archive([deflated_at(level, &bytes)])).expect("sound");
        let one = blob(&layer, "big");
        let mut place = 1_u32;
        for round in 0..60 {
            place = place.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let offset = (place >> 8) as usize % bytes.len();
            let mut buf = vec![0; [1, 5000, 70_000][round % 3]];
            // Some with a handle of their own, some with one that has read elsewhere.
            let other = (round % 2 == 0).then(|| blob(&layer, "big"));
            let got = other.as_ref().unwrap_or(&one).read_at(&mut buf, offset as u64).expect("read works");
            assert!(got > 0 && buf[..got] == bytes[offset..offset + got], "level {level} at {offset}");
        }
        assert!(!is_verified(&*one), "nobody has read all of it");
        assert_eq!(read_all(&*one).expect("read works"), bytes, "level {level}");
        assert_eq!(content(&layer, "big").expect("read works"), bytes, "level {level}");
        assert!(is_verified(&*blob(&layer, "big")));
    }
}

#[test]
fn what_stands_before_is_decoded_once() {
    let bytes = noise(9_000_000);
    let source = Source::new(archive([deflated_at(6, &bytes)]));
    let layer = zip::open(source.clone(), &Options::default()).expect("sound");
    let read = |offset: usize| {
        let (mut buf, before) = ([0; 4096], source.given());
        let got = blob(&layer, "big").read_at(&mut buf, offset as u64).expect("read works");
        assert!(buf[..got] == bytes[offset..offset + got], "at {offset}");
        source.given() - before
    };
    let whole = source.size().expect("memory has a size");
    assert!(read(8_500_000) > whole * 8 / 10, "the first looks for the place");
    for offset in [8_500_000, 4_000_000, 7_999_999, 2_500_000] {
        let again = read(offset);
        assert!(again < whole / 4, "{again} of {whole} bytes read again for {offset}");
    }
}

#[test]
fn a_big_member_that_is_cut_or_damaged_is_told_where_it_is_read() {
    let bytes = noise(4_000_000);
    let sound = deflated_at(6, &bytes);
    let mut cut = deflated_at(6, &bytes);
    cut.stored.truncate(sound.stored.len() / 2);
    (cut.local.packed, cut.central.packed) = (cut.stored.len() as u32, cut.stored.len() as u32);
    let layer = open(archive([cut])).expect("the directory is sound");
    let error = blob(&layer, "big").read_at(&mut [0; 9], 3_900_000).expect_err("it is cut");
    assert_refused(&error, ErrorKind::Corrupt, "cut short", "read behind the cut");
    let mut longer = deflated_at(6, &bytes);
    (longer.local.size, longer.central.size) = (5_000_000, 5_000_000);
    let layer = open(archive([longer])).expect("the directory is sound");
    let error = blob(&layer, "big").read_at(&mut [0; 9], 4_500_000).expect_err("there is less");
    assert_refused(&error, ErrorKind::Corrupt, "less than it declares", "read behind the end");
    let damaged = sound.central(|header| header.crc ^= 1).local(|header| header.crc ^= 1);
    let layer = open(archive([damaged])).expect("the directory is sound");
    let one = blob(&layer, "big");
    one.read_at(&mut [0; 9], 3_000_000).expect("the middle reads");
    let error = blob(&layer, "big").read_at(&mut vec![0; 4_000_000], 0).expect_err("it is not what it declares");
    assert_refused(&error, ErrorKind::Corrupt, "CRC-32", "read whole");
    let error = blob(&layer, "big").read_at(&mut [0; 4096], 3_999_000).expect_err("the last bytes are withheld");
    assert_refused(&error, ErrorKind::Corrupt, "CRC-32", "the end alone");
    let two = blob(&layer, "big");
    let mut at = 2_500_000;
    let error = loop {
        match two.read_at(&mut [0; 70_000], at) {
            Ok(got) => at += got as u64,
            Err(error) => break error,
        }
        assert!(at < 4_000_000, "a damaged member read to its end");
    };
    assert_refused(&error, ErrorKind::Corrupt, "CRC-32", "from the middle to the end");
}

#[test]
fn deflate64_is_read() {
    let expected = vec![b'x'; 60_000];
    let member = Member::new(b"a", 9, &expected, long_match(b'x', 60_000));
    let plain = Member::new(b"b", 9, b"as in deflate", deflate(b"as in deflate"));
    let layer = open(archive([member, plain])).expect("sound");
    assert_eq!(content(&layer, "a").expect("read works"), expected);
    assert_eq!(content(&layer, "b").expect("read works"), b"as in deflate");
    let mut buf = [0; 5];
    assert_eq!(blob(&layer, "a").read_at(&mut buf, 59_998).expect("read works"), 2);
}

#[test]
fn no_member_is_decoded_by_what_is_left_of_another() {
    // The last block, with fixed codes: three bytes from one byte before the front, and the end.
    let before_the_front = vec![0b0000_0011, 0b0000_0010, 0, 0];
    let texts = ["first", "second, and longer", "third"];
    let mut members: Vec<Member> = texts.iter().map(|text| Member::deflated(text, text.repeat(3000))).collect();
    members.push(Member::new(b"bad", 8, b"ttt", before_the_front));
    let layer = open(archive(members)).expect("sound");
    for _ in 0..3 {
        for text in texts {
            assert_eq!(content(&layer, text).expect("read works"), text.repeat(3000).as_bytes());
            let mut half = vec![0; text.len()];
            blob(&layer, text).read_at(&mut half, 0).expect("the front reads");
            assert_eq!(half, text.as_bytes());
            let error = blob(&layer, "bad").read_at(&mut [0; 3], 0).expect_err("nothing stands before the front");
            assert_refused(&error, ErrorKind::Corrupt, "no deflate stream", "before the front");
        }
    }
}

#[test]
fn the_last_bytes_of_a_damaged_member_are_withheld_in_pieces_and_in_one() {
    let bytes = noise(100_000);
    for member in [Member::stored("a", &bytes), Member::deflated("a", &bytes)] {
        let member = member.central(|header| header.crc ^= 1).local(|header| header.crc ^= 1);
        let layer = open(archive([member])).expect("the directory is sound");
        let blob = blob(&layer, "a");
        let mut buf = vec![0; 60_000];
        assert!(blob.read_at(&mut buf, 0).expect("the first bytes are given") > 0);
        let mut at = 0;
        let error = loop {
            match blob.read_at(&mut buf, at) {
                Ok(0) => panic!("a damaged member read to its end"),
                Ok(got) => at += got as u64,
                Err(error) => break error,
            }
        };
        assert!(at < 100_000, "the last bytes are not given");
        assert_refused(&error, ErrorKind::Corrupt, "CRC-32", "in pieces");
        let mut whole = vec![0; 200_000];
        let error = self::blob(&layer, "a").read_at(&mut whole, 0).expect_err("all in one");
        assert_refused(&error, ErrorKind::Corrupt, "CRC-32", "in one");
        assert!(!is_verified(&*blob));
    }
}

#[test]
fn a_full_read_verifies_a_member_once_for_all_who_open_it() {
    let bytes = noise(100_000);
    let layer = open(archive([Member::stored("s", &bytes), Member::deflated("d", &bytes)])).expect("sound");
    for path in ["s", "d"] {
        let one = blob(&layer, path);
        one.read_at(&mut [0; 100], 99_950).expect("the end reads");
        if path == "s" {
            assert!(!is_verified(&*one), "the end alone verifies nothing");
        }
        read_all(&*one).expect("read works");
        assert!(is_verified(&*blob(&layer, path)), "{path}");
    }
}

#[test]
fn two_readers_of_one_stored_member_verify_it_together() {
    let bytes = noise(10_000);
    let layer = open(archive([Member::stored("s", &bytes)])).expect("sound");
    let blob = blob(&layer, "s");
    let mut buf = [0; 4_000];
    for offset in [0, 0, 4_000, 3_000, 8_000] {
        blob.read_at(&mut buf, offset).expect("read works");
    }
    assert!(is_verified(&*blob));
}

#[test]
fn stored_bytes_come_as_the_archive_has_them_encrypted_ones_too() {
    let locked =
        Member::new(b"locked", 99, b"", b"secret".to_vec()).flags(1).extra(0x9901, [2, 0, b'A', b'E', 3, 8, 0]);
    let locked = locked.extra(0x5455, [0]).local(|header| header.time = 0x1234).central(|header| header.size = 6);
    let locked = locked.local(|header| header.size = 6);
    let layer = open(archive([locked, Member::deflated("d", "hello hello hello")])).expect("sound");
    let deflated = blob(&layer, "d").stored().expect("it is stored");
    assert_eq!((deflated.method, deflated.flags, deflated.size), (8, 0, 17));
    assert_eq!(read_all(&*deflated.bytes).expect("raw bytes read"), deflate(b"hello hello hello"));
    assert_eq!(&*deflated.lock, b"");
    let blob = blob(&layer, "locked");
    assert_eq!(blob.read_at(&mut [0; 9], 0).expect_err("unreadable").kind(), ErrorKind::UnsupportedEntry);
    let stored = blob.stored().expect("it is stored");
    assert_eq!((stored.method, stored.flags, stored.time), (99, 1, 0x21 << 16 | 0x1234));
    assert_eq!(read_all(&*stored.bytes).expect("raw bytes read"), b"secret");
    assert_eq!(&*stored.lock, [1, 0x99, 7, 0, 2, 0, b'A', b'E', 3, 8, 0]);
}

#[test]
fn an_archive_that_changes_underneath_gives_neither_old_nor_mixed_content() {
    let bytes = noise(100_000);
    let before = archive([Member::stored("s", &bytes), Member::deflated("d", &bytes)]);
    let mut after = before.clone();
    after[1_000..90_000].fill(0);
    for changed in [after, before[..50_000].to_vec(), Vec::new()] {
        let source = Source::new(before.clone());
        let layer = zip::open(source.clone(), &Options::default()).expect("sound");
        for path in ["s", "d"] {
            read_all(&*blob(&layer, path)).expect("it is sound, and verified");
        }
        let opened = ["s", "d"].map(|path| blob(&layer, path));
        for blob in &opened {
            blob.read_at(&mut [0; 10], 0).expect("the first bytes read");
        }
        let stamps = opened.each_ref().map(|blob| blob.stamp().expect("a stamp"));
        source.replace(changed);
        for (blob, stamp) in opened.iter().zip(stamps) {
            assert_ne!(blob.stamp().expect("a stamp"), stamp);
            let error = read_all(&**blob).expect_err("the archive is another");
            assert_eq!(error.kind(), ErrorKind::LayerChanged, "{error}");
        }
        let error = layer.open(&at(&*layer, "s")).err().expect("the archive is another");
        assert_eq!(error.kind(), ErrorKind::LayerChanged, "{error}");
    }
}

#[test]
fn an_archive_within_an_archive_is_a_file_and_can_be_a_source() {
    let inner = archive([Member::deflated("d/a", noise(50_000)), Member::stored("b", "2")]);
    let outer = open(archive([Member::deflated("in.zip", &inner), Member::stored("again.zip", &inner)]));
    let outer = outer.expect("an archive is content like other");
    for path in ["in.zip", "again.zip"] {
        let nested = zip::open(blob(&outer, path), &Options::default()).expect("sound");
        assert_eq!(content(&nested, "d/a").expect("read works"), noise(50_000));
        assert_eq!(content(&nested, "b").expect("read works"), b"2");
    }
}

#[test]
fn the_fingerprint_tells_states_and_readings_apart() {
    let source = Source::new(archive([Member::stored("a", "1")]));
    let print =
        |source: &Arc<Source>, options: &Options| zip::open(source.clone(), options).expect("sound").caps().fingerprint;
    let first = print(&source, &Options::default());
    assert_eq!(print(&source, &Options::default()), first);
    assert_ne!(print(&source, &Options { backslash: zip::Backslash::Separator, ..Options::default() }), first);
    source.replace(archive([Member::stored("b", "1")]));
    assert_ne!(print(&source, &Options::default()), first);
}

#[test]
fn an_archive_is_recognised_by_its_content() {
    let looks = |bytes: &[u8]| sniff(&*Source::new(bytes.to_vec())).expect("memory reads");
    let sound = archive([Member::stored("a", "1")]);
    assert!(looks(&sound));
    assert!(looks(&Archive { prefix: b"#!/bin/sh\n".to_vec(), ..Archive::default() }.build().bytes));
    assert!(looks(&sound[..40]), "a zip that was cut short is still told from a text");
    assert!(!looks(b"a text"));
    assert!(!looks(b""));
}

#[test]
fn a_layer_refuses_what_is_no_directory_and_nodes_of_other_layers() {
    let layer = open(archive([Member::stored("a", "1"), Member::directory("d/")])).expect("sound");
    let file = at(&*layer, "a");
    assert_eq!(layer.list(&file, None, 1, false).expect_err("a file").kind(), ErrorKind::NotADirectory);
    assert_eq!(layer.open(&at(&*layer, "d")).err().expect("a directory").kind(), ErrorKind::IsADirectory);
    assert_eq!(layer.target(&file).expect_err("no link").kind(), ErrorKind::InvalidInput);
    let stranger = ovl_core::Node { id: 99, ..file };
    assert_eq!(layer.stat(&stranger).expect_err("a stranger").kind(), ErrorKind::InvalidInput);
}
