//! Exports: what other programs read in them, and what they cannot hold.

use std::{collections::BTreeMap, io::Read, sync::Arc};

use ovl_core::{
    ErrorKind, Kind, Layer, Overlay, VPath,
    export::{Format, Report, Whiteouts, export},
    layers::zip as zip_layer,
    overlay::{Ctx, Policy},
    testing::{
        drawing::{Item, draw_layer, fill, memory, parse, stack},
        source::Source,
        zip_builder::{Member, archive},
    },
    tree::Tree,
};

const OCI: Format = Format::Tar { whiteouts: Whiteouts::Oci };
const KERNEL: Format = Format::Tar { whiteouts: Whiteouts::Kernel };

fn exported(overlay: &Arc<Overlay>, tree: Tree, format: Format) -> (Vec<u8>, Report) {
    let mut bytes = Vec::new();
    let report = export(overlay, tree, format, &VPath::root(), &mut bytes).unwrap();
    assert_eq!(report.bytes, bytes.len() as u64);
    (bytes, report)
}

fn over_zip(members: Vec<Member>) -> Arc<Overlay> {
    let zip = zip_layer::open(Source::new(archive(members)), &Default::default()).unwrap();
    Overlay::new(None, vec![zip], Policy::default(), None).unwrap()
}

/// Draws what another reader of zips finds: name, mode and content.
fn read_zip(bytes: &[u8]) -> String {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let mut words = Vec::new();
    for index in 0..zip.len() {
        let mut member = zip.by_index(index).unwrap();
        let mut content = Vec::new();
        member.read_to_end(&mut content).unwrap();
        let name = String::from_utf8_lossy(member.name_raw()).into_owned();
        words.push(format!("{name}:{:o}={}", member.unix_mode().unwrap(), ovl_core::printable(&content)));
    }
    words.join(" ")
}

/// Draws what another reader of tars finds: type, name, mode, and content or target.
fn read_tar(bytes: &[u8]) -> String {
    let mut words = Vec::new();
    for entry in tar::Archive::new(bytes).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let name = ovl_core::printable(&entry.path_bytes()).into_owned();
        let target = entry.link_name_bytes().map(|to| format!("->{}", ovl_core::printable(&to)));
        let header = entry.header();
        let kind = char::from(header.entry_type().as_byte());
        let data = target.unwrap_or_else(|| format!("={}", ovl_core::printable(&content)));
        words.push(format!("{kind}{name}:{:o}{data}", header.mode().unwrap()));
    }
    words.join(" ")
}

#[test]
fn the_merged_tree_is_what_other_programs_find() {
    let overlay = stack("a=2 -gone d/new=3:600", &["a=1 gone=1 d/old=1 l->d/old x=run:755 p|"]);
    let (zip, report) = exported(&overlay, Tree::Merged, Format::Zip);
    let want = "a:100644=2 d/:40755= d/new:100600=3 d/old:100644=1 l:120644=d/old p:10644= x:100755=run";
    assert_eq!((read_zip(&zip).as_str(), report.entries, report.lossy.is_empty()), (want, 7, true));
    let want = "0a:644=2 5d/:755= 0d/new:600=3 0d/old:644=1 2l:644->d/old 6p:644= 0x:755=run";
    assert_eq!(read_tar(&exported(&overlay, Tree::Merged, OCI).0), want);
}

#[test]
fn the_same_tree_gives_the_same_bytes_whatever_its_layers() {
    let one = stack("", &["a=1 d/b=2 l->a"]);
    let other = stack("d/ d/b=2 -c", &["a=1 c=3 d/", "a=0 l->a"]);
    for format in [Format::Zip, OCI, KERNEL] {
        let (first, _) = exported(&one, Tree::Merged, format);
        assert_eq!(first, exported(&one, Tree::Merged, format).0);
        assert_eq!(first, exported(&other, Tree::Merged, format).0);
    }
}

#[test]
fn a_part_of_a_tree_is_exported_alone() {
    let overlay = stack("d/e/f=1 d/g=2 h=3", &[]);
    let mut bytes = Vec::new();
    let d = VPath::parse(b"d").unwrap();
    export(&overlay, Tree::Merged, Format::Zip, &d, &mut bytes).unwrap();
    assert_eq!(read_zip(&bytes), "e/:40755= e/f:100644=1 g:100644=2");
    let file = VPath::parse(b"h").unwrap();
    let refused = export(&overlay, Tree::Merged, Format::Zip, &file, &mut bytes).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotADirectory);
}

#[test]
fn an_upper_is_exported_in_the_words_of_its_format() {
    let overlay = stack("-gone d/! d/n=1 m/@old", &["gone=1 d/o=1 old/x=1"]);
    let (tar, report) = exported(&overlay, Tree::Upper, OCI);
    assert_eq!(read_tar(&tar), "5d/:755= 0d/.wh..wh..opq:0= 0d/n:644=1 0.wh.gone:0= 5m/:755=");
    assert_eq!(report.lossy.to_string(), "marks=1");
    let (tar, report) = exported(&overlay, Tree::Upper, KERNEL);
    assert_eq!(read_tar(&tar), "5d/:755= 0d/n:644=1 3gone:0= 5m/:755=");
    assert!(report.lossy.is_empty());
    let (zip, report) = exported(&overlay, Tree::Upper, Format::Zip);
    let text = read_zip(&zip);
    assert!(text.starts_with("d/:40755= d/n:100644=1 gone:20000= m/:40755= .ovl/changes.json:100644="), "{text}");
    assert_eq!((report.entries, report.lossy.is_empty()), (4, true));
    let devices = zip_layer::Options { whiteouts: true, ..Default::default() };
    let read = zip_layer::open(Source::new(zip), &devices).unwrap();
    assert!(draw_layer(&*read).starts_with("-gone .ovl/"));
}

#[test]
fn the_manifest_tells_what_a_zip_cannot_hold() {
    let overlay = stack("-gone d/! m/@old ~.%=1:600 .ovl/changes.json=mine", &[]);
    let (zip, _) = exported(&overlay, Tree::Upper, Format::Zip);
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(zip)).unwrap();
    let mut text = String::new();
    archive.by_name(".ovl/changes.json").unwrap().read_to_string(&mut text).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&json["format"], &json["version"]), (&"ovl-upper".into(), &1.into()));
    let by_path: BTreeMap<&str, &serde_json::Value> =
        json["objects"].as_array().unwrap().iter().map(|o| (o["path"].as_str().unwrap(), o)).collect();
    assert_eq!(by_path["gone"]["kind"], "whiteout");
    assert_eq!(by_path["d"]["opaque"], "y");
    assert_eq!(by_path["m"]["redirect"], "old");
    assert_eq!(by_path["~.%25"]["mode"], 0o600);
    assert_eq!(by_path["~.%25"]["mtime"], serde_json::json!([1_000_000_000, 0]));
    // A client's own file of that name gives way, and is told under its own path.
    assert_eq!(by_path[".ovl/changes.json"]["kind"], "file");
    let mut mine = String::new();
    archive.by_name(".ovl~/changes.json").unwrap().read_to_string(&mut mine).unwrap();
    assert_eq!(mine, "mine");
}

#[test]
fn members_of_a_zip_are_copied_as_they_are_stored() {
    // Deflated by a level that ours is not: only a copy has these bytes.
    let text = b"the same words, the same words, the same words".repeat(9);
    let mut coder = flate2::Compress::new(flate2::Compression::new(1), false);
    let mut stored = Vec::with_capacity(1000);
    coder.compress_vec(&text, &mut stored, flate2::FlushCompress::Finish).unwrap();
    let overlay = over_zip(vec![Member::new(b"t", 8, &text, stored.clone()), Member::stored("s", b"stays stored")]);
    let (zip, _) = exported(&overlay, Tree::Merged, Format::Zip);
    let mut read = zip::ZipArchive::new(std::io::Cursor::new(&zip)).unwrap();
    let at = read.by_name("t").unwrap().data_start().unwrap() as usize;
    assert_eq!(zip[at..at + stored.len()], stored);
    assert_eq!(read.by_name("s").unwrap().compression(), zip::CompressionMethod::Stored);
}

#[test]
fn a_damaged_member_never_leaves_under_our_name() {
    let overlay = over_zip(vec![Member::stored("a", "fine"), Member::new(b"b", 0, b"what was", b"what is!".to_vec())]);
    for format in [Format::Zip, OCI] {
        let error = export(&overlay, Tree::Merged, format, &VPath::root(), &mut Vec::new()).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::Corrupt, Some(&b"b"[..])), "{error}");
    }
}

#[test]
fn encrypted_members_are_copied_into_a_zip_and_refused_for_a_tar() {
    let secret = Member::new(b"secret", 0, b"whatever", b"0123456789abwhatever".to_vec()).flags(1);
    let streamed = Member::new(b"streamed", 0, b"whatever", b"abcdefghijklwhatever".to_vec()).flags(1).streamed();
    let aes = Member::new(b"strong", 99, b"", b"salt and bytes".to_vec()).flags(1).extra(0x9901, b"\x02\0AE\x03\x08\0");
    let overlay = over_zip(vec![Member::stored("a", "1"), secret, streamed, aes]);
    let (zip, report) = exported(&overlay, Tree::Merged, Format::Zip);
    assert_eq!(report.entries, 4);
    let again = zip_layer::open(Source::new(zip), &Default::default()).unwrap();
    for (name, bytes, flags) in [
        ("secret", &b"0123456789abwhatever"[..], 1),
        ("streamed", b"abcdefghijklwhatever", 9),
        ("strong", b"salt and bytes", 1),
    ] {
        let node = again.lookup(&again.root(), ovl_core::Name::new(name.as_bytes()).unwrap()).unwrap().unwrap();
        let stored = again.open(&node).unwrap().stored().unwrap();
        assert_eq!(ovl_core::testing::drawing::read_all(&*stored.bytes).unwrap(), bytes);
        assert_eq!((stored.flags & 9, stored.lock.is_empty()), (flags, name != "strong"), "{name}");
    }
    let mut nothing = Vec::new();
    let error = export(&overlay, Tree::Merged, KERNEL, &VPath::root(), &mut nothing).unwrap_err();
    assert_eq!((error.kind(), nothing.len()), (ErrorKind::UnsupportedEntry, 0));
    assert!(error.to_string().contains("/secret in layer") || error.to_string().contains("/secret"), "{error}");
}

/// An upper with one object of every trouble.
fn troubled() -> Arc<Overlay> {
    let path = |text: &[u8]| VPath::parse(text).unwrap();
    let mut items = parse("-w d/! d/n=1 s->n");
    let mut odd = Item::new(path(b"caf\xe9 \x01"), Kind::File);
    odd.content = b"odd".to_vec();
    odd.attrs.mtime = ovl_core::Time { secs: -3, nanos: 250_000_001 };
    (odd.attrs.uid, odd.attrs.gid, odd.attrs.mode) = (3_000_000_000, 7, 0o4755);
    odd.xattrs = vec![ovl_core::Xattr { name: b"user.x"[..].into(), value: b"\0="[..].into() }];
    let long = Item::new(path(&[&b"l/".repeat(120)[..], &[b'n'; 200]].concat()), Kind::Fifo);
    items.extend([odd, long]);
    let upper = ovl_core::layers::memory::Memory::new("upper", 1);
    fill(&*upper, &items).unwrap();
    let overlay = Overlay::new(Some(upper), Vec::new(), Policy::default(), None).unwrap();
    overlay.link(&Ctx::default(), &path(b"d/n"), &path(b"second")).unwrap();
    overlay.mknod(&Ctx::default(), &path(b"sock"), Kind::Socket, Default::default(), None).unwrap();
    let device = ovl_core::Device { major: 8, minor: 300 };
    overlay.mknod(&Ctx::default(), &path(b"blk"), Kind::Block, device, Some(0o600)).unwrap();
    overlay
}

#[test]
fn a_tar_holds_odd_names_times_owners_links_and_devices() {
    let (tar, report) = exported(&troubled(), Tree::Upper, KERNEL);
    assert_eq!(report.lossy.to_string(), "sockets=1");
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(&tar[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let records: BTreeMap<String, Vec<u8>> = entry
            .pax_extensions()
            .unwrap()
            .into_iter()
            .flatten()
            .map(|r| r.unwrap())
            .map(|r| (r.key().unwrap().to_owned(), r.value_bytes().to_vec()))
            .collect();
        let link = entry.link_name_bytes().map(|name| name.into_owned());
        found.insert(entry.path_bytes().into_owned(), (entry.header().clone(), records, link));
    }
    let (header, records, _) = &found[&b"caf\xe9 \x01"[..]];
    assert_eq!(header.mode().unwrap(), 0o4755);
    assert_eq!(records["mtime"], b"-2.749999999");
    assert_eq!(records["uid"], b"3000000000");
    assert_eq!(records["SCHILY.xattr.user.x"], b"\0=");
    assert_eq!(found[&b"second"[..]].2.as_deref(), Some(&b"d/n"[..]));
    assert_eq!(found[&b"d/"[..]].1["SCHILY.xattr.trusted.overlay.opaque"], b"y");
    let block = &found[&b"blk"[..]].0;
    assert_eq!((block.device_major().unwrap(), block.device_minor().unwrap()), (Some(8), Some(300)));
    assert!(found.keys().any(|name| name.len() == 440));
}

#[test]
fn what_a_format_cannot_hold_is_counted() {
    let overlay = troubled();
    let (_, report) = exported(&overlay, Tree::Merged, Format::Zip);
    assert_eq!(report.lossy.to_string(), "hard-links=1, times=1, xattrs=1");
    let odd = stack(".wh.real=1 d/.wh.x/y=1 a=1", &[]);
    let (tar, report) = exported(&odd, Tree::Merged, OCI);
    assert_eq!(report.lossy.to_string(), "names=3");
    assert_eq!(read_tar(&tar), "0a:644=1 5d/:755=");
    assert!(exported(&odd, Tree::Merged, KERNEL).1.lossy.is_empty());
}

#[test]
fn one_layer_is_exported_with_its_whiteouts() {
    let overlay = stack("a=1", &["-b c=3", "b=2"]);
    let (tar, _) = exported(&overlay, Tree::Layer(1), OCI);
    assert_eq!(read_tar(&tar), "0.wh.b:0= 0c:644=3");
    let (zip, _) = exported(&overlay, Tree::Layer(1), Format::Zip);
    assert_eq!(read_zip(&zip), "b:20000= c:100644=3");
}

#[test]
fn metadata_alone_is_exported_with_its_content() {
    let overlay = stack("a+=:600", &["a=content"]);
    let (tar, report) = exported(&overlay, Tree::Upper, KERNEL);
    assert_eq!((read_tar(&tar).as_str(), report.lossy.to_string().as_str()), ("0a:600=content", "metacopy=1"));
}

#[test]
fn seventy_thousand_members_need_the_wide_records() {
    let upper = memory("upper", "");
    let items: Vec<Item> = (0..70_000)
        .map(|n| Item::new(VPath::parse(format!("d{}/f{n}", n % 100).as_bytes()).unwrap(), Kind::Fifo))
        .collect();
    fill(&*upper, &items).unwrap();
    let overlay = Overlay::new(None, vec![upper], Policy::default(), None).unwrap();
    let (zip, report) = exported(&overlay, Tree::Merged, Format::Zip);
    assert_eq!(report.entries, 70_100);
    let read = zip_layer::open(Source::new(zip.clone()), &Default::default()).unwrap();
    assert_eq!(read.caps().omitted, []);
    assert_eq!(zip::ZipArchive::new(std::io::Cursor::new(zip)).unwrap().len(), 70_100);
}

#[test]
fn long_files_are_deflated_as_they_stream() {
    let upper = memory("upper", "");
    let long: Vec<u8> = (0..3_000_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
    let item = Item { content: long.clone(), ..Item::new(VPath::parse(b"long").unwrap(), Kind::File) };
    fill(&*upper, &[item]).unwrap();
    let overlay = Overlay::new(None, vec![upper], Policy::default(), None).unwrap();
    let (zip, _) = exported(&overlay, Tree::Merged, Format::Zip);
    assert!(zip.len() < long.len() / 2);
    let mut content = Vec::new();
    zip::ZipArchive::new(std::io::Cursor::new(zip)).unwrap().by_index(0).unwrap().read_to_end(&mut content).unwrap();
    assert!(content == long);
    let (tar, _) = exported(&overlay, Tree::Merged, OCI);
    let mut archive = tar::Archive::new(&tar[..]);
    let entry = archive.entries().unwrap().next().unwrap().unwrap();
    let start = entry.raw_file_position() as usize;
    assert!(tar[start..start + long.len()] == long[..]);
}
