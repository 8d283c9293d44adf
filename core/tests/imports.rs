//! Imports: an exported upper comes back as it was, another archive becomes changes, a hostile one neither.

use std::sync::Arc;

use ovl_core::{
    Blob, Device, ErrorKind, Kind, Layer, Name, Node, Overlay, Time, VPath, WritableLayer, Xattr,
    export::{Format, Whiteouts, export},
    import::{Imported, OnConflict, Options, import},
    layers::memory::Memory,
    overlay::{Ctx, Follow, Policy},
    testing::{
        drawing::{Item, draw, draw_layer, fill, memory, parse, read_all, stack},
        failing::Failing,
        source::Source,
        zip_builder::{Archive, Member, archive},
    },
    tree::Tree,
};

const OCI: Format = Format::Tar { whiteouts: Whiteouts::Oci };
const KERNEL: Format = Format::Tar { whiteouts: Whiteouts::Kernel };

fn path(text: &str) -> VPath {
    VPath::parse(text.as_bytes()).unwrap()
}

fn ctx() -> Ctx {
    Ctx { now: Time { secs: 2_000_000_000, nanos: 7 }, ..Ctx::default() }
}

fn exported(overlay: &Arc<Overlay>, tree: Tree, format: Format) -> Vec<u8> {
    let mut bytes = Vec::new();
    export(overlay, tree, format, &VPath::root(), &mut bytes).unwrap();
    bytes
}

fn imported(overlay: &Arc<Overlay>, bytes: Vec<u8>, on_conflict: OnConflict) -> ovl_core::Result<Imported> {
    import(overlay, &ctx(), Source::new(bytes), &VPath::root(), &Options { on_conflict, ..Options::default() })
}

fn over(upper: Arc<dyn WritableLayer>, lowers: &[&str]) -> Arc<Overlay> {
    let lowers = lowers.iter().map(|text| memory("lower", text) as Arc<dyn Layer>).collect();
    Overlay::new(Some(upper), lowers, Policy::default(), None).unwrap()
}

/// Lists all that an upper holds: drawing, attributes, times of content, attributes, which names are one object.
fn portrait(layer: &dyn Layer) -> Vec<String> {
    let mut lines = vec![draw_layer(layer)];
    let mut left = vec![(VPath::root(), layer.root())];
    let mut numbers: Vec<u64> = Vec::new();
    while let Some((dir, node)) = left.pop() {
        for entry in layer.list(&node, None, usize::MAX, true).unwrap() {
            let at = dir.join(entry.name.as_name());
            let Some(stat) = entry.stat else { continue };
            let node = layer.lookup(&node, entry.name.as_name()).unwrap().unwrap();
            let first = numbers.iter().position(|ino| *ino == stat.ino);
            let number = first.unwrap_or_else(|| {
                numbers.push(stat.ino);
                numbers.len() - 1
            });
            let (a, marks, xattrs) = (stat.attrs, layer.marks(&node).unwrap(), layer.xattrs(&node).unwrap());
            lines.push(format!(
                "{at} {:o} {}:{} {:?} {:?} {marks:?} {xattrs:?} object {number} of {} names",
                a.mode, a.uid, a.gid, a.mtime, stat.rdev, stat.nlink
            ));
            if entry.kind == Kind::Dir {
                left.push((at, node));
            }
        }
    }
    lines
}

/// An upper with one object of every trouble, redirects aside.
fn troubled() -> Arc<Memory> {
    let mut items = parse("-w d/! d/n=1 s->n d/in/ner/deep=22 empty/ .ovl/changes.json=mine .ovl~=too p| -d/in/gone");
    let mut odd = Item::new(VPath::parse(b"caf\xe9 %\x01").unwrap(), Kind::File);
    odd.content = b"odd".to_vec();
    odd.attrs.mtime = Time { secs: -3, nanos: 250_000_001 };
    (odd.attrs.uid, odd.attrs.gid, odd.attrs.mode) = (3_000_000_000, 7, 0o4755);
    odd.xattrs = vec![
        Xattr { name: b"trusted.overlay.opaque"[..].into(), value: b"y"[..].into() },
        Xattr { name: b"user.x"[..].into(), value: b"\0=\n"[..].into() },
    ];
    let mut closed = Item::new(path("closed"), Kind::Dir);
    closed.attrs.mode = 0;
    closed.attrs.mtime.nanos = 1;
    let inside = Item::new(path("closed/x"), Kind::File);
    let long = Item::new(VPath::parse(&[&b"l/".repeat(120)[..], &[b'n'; 200]].concat()).unwrap(), Kind::Fifo);
    items.extend([odd, long, closed, inside]);
    let upper = Memory::new("upper", 1);
    fill(&*upper, &items).unwrap();
    let overlay = over(upper.clone(), &[]);
    overlay.link(&ctx(), &path("d/n"), &path("second")).unwrap();
    overlay.link(&ctx(), &path("d/n"), &path("a-first")).unwrap();
    let device = Device { major: 8, minor: 300 };
    overlay.mknod(&ctx(), &path("blk"), Kind::Block, device, Some(0o600)).unwrap();
    upper
}

fn comes_back(upper: Arc<Memory>, format: Format) {
    let before = over(upper.clone(), &["d/o=1 old/x=1 w=1"]);
    let bytes = exported(&before, Tree::Upper, format);
    let fresh = Memory::new("fresh", 2);
    let after = over(fresh.clone(), &["d/o=1 old/x=1 w=1"]);
    let done = imported(&after, bytes.clone(), OnConflict::Error).unwrap();
    // A tar without members has none to say that it was an upper.
    assert_eq!(done.is_upper, done.entries > 0 || format == Format::Zip);
    assert!(done.omitted.is_empty() && done.kept == 0);
    assert_eq!(portrait(&*fresh), portrait(&*upper), "{format:?}");
    let whole = |overlay: &Arc<Overlay>| overlay.digest(Tree::Upper, &VPath::root()).unwrap();
    assert_eq!(whole(&after), whole(&before));
    assert_eq!(draw(&after), draw(&before));
    assert_eq!(exported(&after, Tree::Upper, format), bytes, "{format:?}: the second export differs");
}

#[test]
fn an_exported_upper_comes_back_as_it_was() {
    for format in [Format::Zip, KERNEL, OCI] {
        comes_back(troubled(), format);
        comes_back(memory("upper", ""), format);
    }
}

#[test]
fn redirects_and_sockets_come_back_where_the_format_holds_them() {
    for format in [Format::Zip, KERNEL] {
        comes_back(memory("upper", "-old m/@old m/y=1 n/@/old/x"), format);
    }
    let upper = memory("upper", "");
    over(upper.clone(), &[]).mknod(&ctx(), &path("sock"), Kind::Socket, Device::default(), None).unwrap();
    comes_back(upper, Format::Zip);
}

#[cfg(target_os = "linux")]
#[test]
fn an_exported_upper_comes_back_into_a_folder_of_every_form() {
    use ovl_core::layers::host::{Form, UpperOptions, upper};
    let bytes = exported(&over(troubled(), &[]), Tree::Upper, KERNEL);
    for form in [Form::KernelTrusted, Form::KernelUser, Form::Portable] {
        let place = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{form:?}-{}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        let opened = upper(&place.join("u"), UpperOptions { form: Some(form), ..UpperOptions::default() });
        // Without rights for the kernel's trusted attributes there is nothing to try.
        if let Ok(folder) = opened {
            let overlay = over(folder, &[]);
            let done = imported(&overlay, bytes.clone(), OnConflict::Error);
            assert!(done.is_ok(), "{form:?}: {done:?}");
            assert!(exported(&overlay, Tree::Upper, KERNEL) == bytes, "{form:?}");
        } else {
            assert_eq!(form, Form::KernelTrusted);
        }
        std::fs::remove_dir_all(&place).unwrap();
    }
}

#[test]
fn an_upper_that_cannot_hold_it_refuses_a_redirect() {
    let bytes = exported(&stack("m/@old", &["old/x=1"]), Tree::Upper, Format::Zip);
    #[derive(Debug)]
    struct Plain(Arc<Memory>, ovl_core::Caps);
    #[deny(clippy::missing_trait_methods)]
    impl Layer for Plain {
        fn caps(&self) -> &ovl_core::Caps {
            &self.1
        }
        fn root(&self) -> Node {
            self.0.root()
        }
        fn lookup(&self, dir: &Node, name: Name<'_>) -> ovl_core::Result<Option<Node>> {
            self.0.lookup(dir, name)
        }
        fn enter(&self, dir: &Node, name: Name<'_>) -> ovl_core::Result<Option<Node>> {
            self.0.enter(dir, name)
        }
        fn list(
            &self,
            dir: &Node,
            after: Option<Name<'_>>,
            max: usize,
            stats: bool,
        ) -> ovl_core::Result<Vec<ovl_core::Entry>> {
            self.0.list(dir, after, max, stats)
        }
        fn stat_at(&self, dir: &Node, name: Name<'_>) -> ovl_core::Result<Option<ovl_core::Stat>> {
            self.0.stat_at(dir, name)
        }
        fn stat(&self, node: &Node) -> ovl_core::Result<ovl_core::Stat> {
            self.0.stat(node)
        }
        fn marks(&self, node: &Node) -> ovl_core::Result<ovl_core::Marks> {
            self.0.marks(node)
        }
        fn xattrs(&self, node: &Node) -> ovl_core::Result<Vec<Xattr>> {
            self.0.xattrs(node)
        }
        fn facts(&self, node: &Node) -> ovl_core::Result<ovl_core::Facts> {
            self.0.facts(node)
        }
        fn facts_at(&self, dir: &Node, name: Name<'_>) -> ovl_core::Result<Option<ovl_core::Facts>> {
            self.0.facts_at(dir, name)
        }
        fn target(&self, link: &Node) -> ovl_core::Result<Vec<u8>> {
            self.0.target(link)
        }
        fn open(&self, file: &Node) -> ovl_core::Result<Arc<dyn Blob>> {
            self.0.open(file)
        }
        fn links(&self) -> Option<&dyn ovl_core::Links> {
            self.0.links()
        }
    }
    #[deny(clippy::missing_trait_methods)]
    impl WritableLayer for Plain {
        fn stage(&self, new: &ovl_core::New<'_>) -> ovl_core::Result<Node> {
            self.0.stage(new)
        }
        fn open_mut(&self, file: &Node) -> ovl_core::Result<Arc<dyn ovl_core::BlobMut>> {
            self.0.open_mut(file)
        }
        fn sync(&self, node: &Node) -> ovl_core::Result<()> {
            self.0.sync(node)
        }
        fn commit(&self, steps: &[ovl_core::Step<'_>], now: Time) -> ovl_core::Result<()> {
            self.0.commit(steps, now)
        }
        fn settle(&self) -> ovl_core::Result<()> {
            self.0.settle()
        }
    }
    let inner = Memory::new("plain", 3);
    let caps = ovl_core::Caps { redirects: false, ..inner.caps().clone() };
    let overlay = over(Arc::new(Plain(inner.clone(), caps)), &[]);
    assert_eq!(imported(&overlay, bytes, OnConflict::Error).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(draw_layer(&*inner), "");
}

#[test]
fn onto_what_is_there_it_replaces_keeps_or_refuses() {
    let bytes = exported(&stack("a=new d/ d/x=new d/y=1 -gone o/! o/n=1", &[]), Tree::Upper, Format::Zip);
    let there = "a=old d/ d/x=old d/z=1 gone=1 o/m=1";
    let cases = [
        (OnConflict::Replace, 0, "-gone a=new d/ d/x=new d/y=1 d/z=1 o/! o/n=1"),
        (OnConflict::Keep, 4, "a=old d/ d/x=old d/y=1 d/z=1 gone=1 o/ o/m=1"),
    ];
    for (on_conflict, kept, want) in cases {
        let upper = memory("upper", there);
        let done = imported(&over(upper.clone(), &[]), bytes.clone(), on_conflict).unwrap();
        assert_eq!((done.kept, draw_layer(&*upper).as_str()), (kept, want));
    }
    let upper = memory("upper", there);
    let refused = imported(&over(upper.clone(), &[]), bytes, OnConflict::Error).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    assert_eq!(draw_layer(&*upper), draw_layer(&*memory("again", there)));
}

#[test]
fn a_failure_on_the_way_leaves_the_upper_as_it_was() {
    let bytes = exported(&stack("a=1 -b d/! d/e/f=2", &["b=1"]), Tree::Upper, KERNEL);
    for nth in 1..200 {
        let whole = memory("upper", "there=1");
        let failing = Failing::new(whole.clone(), nth, ErrorKind::NoSpace);
        let result = imported(&over(failing.clone(), &["b=1"]), bytes.clone(), OnConflict::Error);
        let (before, after) = ("there=1", "-b a=1 d/! d/e/ d/e/f=2 there=1");
        if !failing.has_failed() {
            assert_eq!((result.is_ok(), draw_layer(&*whole).as_str()), (true, after));
            return;
        }
        let now = draw_layer(&*whole);
        assert!(result.is_err() && (now == before || now == after), "at call {nth}: {now:?}");
    }
    panic!("two hundred calls were not enough");
}

#[test]
fn a_damaged_manifest_is_refused_and_a_foreign_one_is_a_file() {
    let bytes = exported(&stack("a=1 -b", &["b=1"]), Tree::Upper, Format::Zip);
    let at = bytes.windows(8).position(|w| w == b"whiteout").map(|_| ());
    assert_eq!(at, None, "a short manifest is deflated");
    let comment = b"ovl upper export, version 1";
    let manifest = |text: &str| Member::stored(".ovl/changes.json", text);
    let ours = |members: Vec<Member>| Archive { comment: comment.to_vec(), ..Archive::of(members) }.build().bytes;
    let head = r#"{"format":"ovl-upper","version":1,"objects":["#;
    let refused = [
        ours(vec![Member::stored("a", "1")]),
        ours(vec![manifest("nonsense")]),
        ours(vec![manifest(r#"{"format":"ovl-upper","version":2,"objects":[]}"#)]),
        ours(vec![manifest(r#"{"format":"ovl-upper","version":1,"objects":[],"more":1}"#)]),
        ours(vec![Member::stored("a", "1"), manifest(&format!("{head}]}}"))]),
        ours(vec![manifest(&format!(r#"{head}{{"path":"a","kind":"file"}}]}}"#))]),
        ours(vec![Member::stored("a", "1"), manifest(&format!(r#"{head}{{"path":"a","kind":"dir"}}]}}"#))]),
        ours(vec![Member::stored("a", "1"), manifest(&format!(r#"{head}{{"path":"a%2","kind":"file"}}]}}"#))]),
        ours(vec![Member::stored("a", ""), manifest(&format!(r#"{head}{{"path":"a","kind":"file","link":"b"}}]}}"#))]),
        ours(vec![Member::stored("a", "1"), manifest(&format!(r#"{head}{{"path":"a"}}]}}"#))]),
        ours(vec![Member::stored("a", "1"), manifest(&format!(r#"{head}{{"path":"a","kind":"file","new":1}}]}}"#))]),
        ours(vec![Member::stored("a", "1"), manifest(&format!(r#"{head}{{"path":"a","kind":"file","path":"a"}}]}}"#))]),
        ours(vec![Member::stored("a", "1"), manifest(&format!(r#"{head}{{"path":"a","kind":"file","uid":-1}}]}}"#))]),
        ours(vec![Member::stored("a", "1"), manifest(&format!(r#"{head}{{"path":"a","kind":"file","uid":07}}]}}"#))]),
        ours(vec![Member::stored("a", "1"), manifest(&format!(r#"{head}{{"path":"\ud800","kind":"file"}}]}}"#))]),
        ours(vec![Member::stored("a", "1"), manifest(&format!(r#"{head}{{"path":"a","kind":"file"}}]}} more"#))]),
        ours(vec![Member::stored("a", "1"), manifest(&format!(r#"{head}{{"path":"a","kind":"file"#))]),
    ];
    for bytes in refused {
        let upper = memory("upper", "");
        let error = imported(&over(upper.clone(), &[]), bytes, OnConflict::Error).unwrap_err();
        assert_eq!((error.kind(), draw_layer(&*upper).as_str()), (ErrorKind::Corrupt, ""), "{error}");
    }
    let upper = memory("upper", "");
    let overlay = over(upper.clone(), &["b=1"]);
    let done = imported(&overlay, archive(vec![manifest("[]")]), OnConflict::Error).unwrap();
    assert_eq!((done.is_upper, draw(&overlay).as_str()), (false, ".ovl/ .ovl/changes.json=[] b=1"));
}

#[test]
fn a_manifest_may_be_written_anew_by_other_programs() {
    let text = r#"
        { "version": 1, "format": "ovl-upper", "objects": [
            { "kind": "file", "path": "\u0061\ud83d\ude00\"\/b", "xattrs": [ ["user.a", "\t"], [ "user.b", "" ] ], "mtime": [-7, 5] },
            { "kind": "dir", "path": "a\ud83d\ude00\"", "mode": 448, "opaque": "y", "xattrs": [] }
        ] }"#;
    let members = vec![Member::stored("a😀\"/b", "1"), Member::stored(".ovl/changes.json", text)];
    let zip = Archive { comment: b"ovl upper export, version 1".to_vec(), ..Archive::of(members) }.build().bytes;
    let upper = memory("upper", "");
    let overlay = over(upper.clone(), &[]);
    imported(&overlay, zip, OnConflict::Error).unwrap();
    assert_eq!(draw_layer(&*upper), "a😀\"/! a😀\"/b=1");
    let info = overlay.entry(&path("a😀\"/b"), Follow::No).unwrap();
    assert_eq!(info.stat.attrs.mtime, Time { secs: -7, nanos: 5 });
    assert_eq!(overlay.xattrs(&path("a😀\"/b"), Follow::No).unwrap().len(), 2);
}

#[test]
fn any_other_archive_becomes_changes() {
    let members = vec![
        Member::directory("new/").mode(0o040_700),
        Member::stored("new/a", "1").mode(0o100_600).extra(0x5455, [&[1][..], &7u32.to_le_bytes()].concat()),
        Member::symlink("new/l", "a"),
        Member::stored("in/side", "2"),
        Member::stored("../out", "3"),
        Member::stored(".wh.b", "plain"),
    ];
    let overlay = stack("", &["b=1 in/there=1"]);
    let done = imported(&overlay, archive(members), OnConflict::Error).unwrap();
    assert_eq!((done.entries, done.bytes, done.is_upper), (5, 7, false));
    assert_eq!(done.omitted.len(), 1);
    assert_eq!(draw(&overlay), ".wh.b=plain b=1 in/ in/side=2 in/there=1 new/ new/a=1 new/l->a");
    let info = overlay.entry(&path("new/a"), Follow::No).unwrap();
    assert_eq!((info.stat.attrs.mode, info.stat.attrs.mtime), (0o600, Time { secs: 7, nanos: 0 }));
    assert_eq!(overlay.entry(&path("new"), Follow::No).unwrap().stat.attrs.mode, 0o700);
}

#[test]
fn a_merged_tar_comes_in_beneath_a_directory() {
    let tar = exported(&stack("a=1 d/b=2:755 l->a second=1", &["p|"]), Tree::Merged, OCI);
    let overlay = stack("", &["x=1"]);
    let done = import(&overlay, &ctx(), Source::new(tar), &path("to/here"), &Options::default()).unwrap();
    assert_eq!((done.entries, done.bytes), (6, 3));
    let want = "to/ to/here/ to/here/a=1 to/here/d/ to/here/d/b=2 to/here/l->a to/here/p| to/here/second=1 x=1";
    assert_eq!(draw(&overlay), want);
    let upper = exported(&stack("a=1", &[]), Tree::Upper, KERNEL);
    let refused = import(&overlay, &ctx(), Source::new(upper), &path("to"), &Options::default()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
}

#[test]
fn changes_from_an_archive_replace_keep_or_refuse() {
    let zip = || archive(vec![Member::stored("a", "new"), Member::stored("d", "file now"), Member::stored("n", "1")]);
    let lowers = &["a=old d/x=1"];
    let error = imported(&stack("", lowers), zip(), OnConflict::Error).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::AlreadyExists, Some(&b"a"[..])));
    let overlay = stack("", lowers);
    assert_eq!(imported(&overlay, zip(), OnConflict::Keep).unwrap().kept, 2);
    assert_eq!(draw(&overlay), "a=old d/ d/x=1 n=1");
    imported(&overlay, zip(), OnConflict::Replace).unwrap();
    assert_eq!(draw(&overlay), "a=new d=file now n=1");
}

#[test]
fn an_archive_writes_through_no_link() {
    let through = || archive(vec![Member::symlink("l", "etc"), Member::stored("l/passwd", "mine")]);
    for on_conflict in [OnConflict::Error, OnConflict::Replace, OnConflict::Keep] {
        let overlay = stack("", &["etc/passwd=theirs l->etc"]);
        let result = imported(&overlay, through(), on_conflict);
        assert!(draw(&overlay).contains("etc/passwd=theirs"), "{on_conflict:?}: {result:?}");
    }
    let overlay = stack("", &["etc/passwd=theirs l->etc"]);
    let only = archive(vec![Member::stored("l/passwd", "mine")]);
    let error = imported(&overlay, only, OnConflict::Replace).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Corrupt, Some(&b"l/passwd"[..])), "{error}");
}

#[test]
fn what_is_no_archive_is_not_imported() {
    for bytes in [b"".to_vec(), b"hello".to_vec(), vec![7; 5000]] {
        let error = imported(&stack("", &[]), bytes, OnConflict::Error).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
    let read_only = Overlay::new(None, vec![memory("lower", "a=1")], Policy::default(), None).unwrap();
    let error = imported(&read_only, archive(vec![]), OnConflict::Error).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoUpper);
}

/// A tar written by another program's library.
fn built(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    build(&mut builder);
    builder.into_inner().unwrap()
}

fn header(kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

#[test]
fn tars_of_other_programs_are_read() {
    let long = "long/".repeat(40) + "name";
    let bytes = built(|tar| {
        tar.append_data(&mut header(tar::EntryType::Regular, 5), "./plain", &b"bytes"[..]).unwrap();
        tar.append_data(&mut header(tar::EntryType::Regular, 1), &long, &b"x"[..]).unwrap();
        tar.append_link(&mut header(tar::EntryType::Symlink, 0), "l", "plain").unwrap();
        tar.append_link(&mut header(tar::EntryType::Link, 0), "hard", "plain").unwrap();
        tar.append_data(&mut header(tar::EntryType::Directory, 0), "d/", &b""[..]).unwrap();
        tar.append_pax_extensions([("size", &b"3"[..]), ("path", b"pax name"), ("mtime", b"12.5")]).unwrap();
        tar.append_data(&mut header(tar::EntryType::Regular, 3), "short", &b"pax"[..]).unwrap();
        tar.append_data(&mut header(tar::EntryType::Char, 0), "null", &b""[..]).unwrap();
    });
    let overlay = stack("", &[]);
    let done = imported(&overlay, bytes, OnConflict::Error).unwrap();
    let shown = draw(&overlay);
    for word in ["plain=bytes", "l->plain", "hard=bytes", "d/", "pax name=pax", &format!("{long}=x")] {
        assert!(shown.contains(word), "{word} in {shown}");
    }
    assert_eq!(overlay.entry(&path("hard"), Follow::No).unwrap().stat.nlink, 2);
    let time = overlay.entry(&path("pax name"), Follow::No).unwrap().stat.attrs.mtime;
    assert_eq!(time, Time { secs: 12, nanos: 500_000_000 });
    assert_eq!(&*done.omitted[0].name, b"null");
}

#[test]
fn tars_that_can_be_read_in_two_ways_are_refused() {
    let file = |name: &str, content: &[u8]| {
        built(|tar| {
            let mut header = header(tar::EntryType::Regular, content.len() as u64);
            tar.append_data(&mut header, name, content).unwrap();
        })
    };
    let pax = |records: &[(&str, &[u8])]| {
        let mut bytes = built(|tar| tar.append_pax_extensions(records.iter().copied()).unwrap());
        bytes.truncate(bytes.len() - 1024);
        bytes
    };
    let fine = file("a", b"content");
    let patched = |at: usize, byte: u8| {
        let mut bytes = fine.clone();
        bytes[at] = byte;
        bytes
    };
    let sized = |kind, size| built(|tar| tar.append_data(&mut header(kind, size), "a", &[0; 512][..]).unwrap());
    let refused = [
        ("a wrong checksum behind a good one", [&fine[..1024], &patched(0, b'b')].concat()),
        ("cut content", fine[..512 + 3].to_vec()),
        ("a cut header", [&fine[..1024], &fine[..100]].concat()),
        ("data behind one block of zeros", [&fine[..1024], &[0; 512], &fine[..]].concat()),
        ("two sizes", [&pax(&[("size", b"3")])[..], &fine].concat()),
        ("two PAX headers", [&pax(&[("path", b"x")])[..], &pax(&[("path", b"y")]), &fine].concat()),
        ("one record twice", [&pax(&[("path", b"x"), ("path", b"y")])[..], &fine].concat()),
        ("NUL in a name", [&pax(&[("path", b"x\0y")])[..], &fine].concat()),
        ("records for nothing", pax(&[("path", b"x")])),
        ("a link with content", sized(tar::EntryType::Link, 512)),
        ("a directory with content", sized(tar::EntryType::Directory, 512)),
        ("a huge size", [&pax(&[("size", b"18446744073709551615")])[..], &file("a", b"")].concat()),
        ("a negative size", [&pax(&[("size", b"-1")])[..], &file("a", b"")].concat()),
    ];
    for (what, bytes) in refused {
        let overlay = stack("", &[]);
        let error = imported(&overlay, bytes, OnConflict::Error).expect_err(what);
        assert_eq!((error.kind(), draw(&overlay).as_str()), (ErrorKind::Corrupt, ""), "{what}: {error}");
    }
    assert!(imported(&stack("", &[]), fine[..1024].to_vec(), OnConflict::Error).is_ok(), "end blocks may be missing");
    let garbage = [&fine[..], b"garbage behind the end"].concat();
    assert!(imported(&stack("", &[]), garbage, OnConflict::Error).is_ok());
}

#[test]
fn names_that_no_tree_holds_are_left_out_and_told() {
    let mut bytes = Vec::new();
    for name in ["/etc/passwd", "../up", "a/../b", "a//b", "fine"] {
        let mut header = header(tar::EntryType::Regular, 1);
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        bytes.extend(header.as_bytes());
        bytes.extend([&b"1"[..], &[0; 511]].concat());
    }
    let overlay = stack("", &[]);
    let done = imported(&overlay, bytes, OnConflict::Error).unwrap();
    assert_eq!(draw(&overlay), "fine=1");
    let left_out: Vec<_> = done.omitted.iter().map(|o| String::from_utf8_lossy(&o.name).into_owned()).collect();
    assert_eq!(left_out, ["/etc/passwd", "../up", "a/../b", "a//b"]);
}

#[test]
fn whiteouts_that_would_hide_too_much_are_refused() {
    let ours = |name: &str| {
        built(|tar| {
            tar.append_pax_extensions([("comment", &b"ovl upper export, version 1, oci"[..])]).unwrap();
            tar.append_data(&mut header(tar::EntryType::Regular, 0), name, &b""[..]).unwrap();
        })
    };
    for name in [".wh.", ".wh..", ".wh...", ".wh..wh.aufs", ".wh..wh..opq"] {
        let overlay = stack("", &["a=1"]);
        let error = imported(&overlay, ours(name), OnConflict::Error).unwrap_err();
        assert_eq!((error.kind(), draw(&overlay).as_str()), (ErrorKind::Corrupt, "a=1"), "{name}");
    }
    let overlay = stack("", &["a=1"]);
    imported(&overlay, ours(".wh.a"), OnConflict::Error).unwrap();
    assert_eq!(draw(&overlay), "");
}

#[test]
fn content_comes_through_whole() {
    let upper = memory("upper", "");
    let content: Vec<u8> = (0..700_000u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
    fill(&*upper, &[Item { content: content.clone(), ..Item::new(path("big"), Kind::File) }]).unwrap();
    for format in [Format::Zip, KERNEL] {
        let fresh = memory("fresh", "");
        let overlay = over(fresh, &[]);
        imported(&overlay, exported(&over(upper.clone(), &[]), Tree::Upper, format), OnConflict::Error).unwrap();
        let (_, blob) = overlay.open(&path("big"), Follow::No).unwrap();
        assert!(read_all(&*blob).unwrap() == content);
    }
}
