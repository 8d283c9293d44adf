//! Digests: a tree has one, wherever it lies, and another as soon as anything in it differs.

use std::sync::Arc;

use ovl_core::{
    ErrorKind, Layer, Overlay, VPath,
    digest::{self, Digest},
    layers::zip,
    overlay::Policy,
    testing::{
        drawing::{memory, parse, stack},
        source::Source,
        zip_builder::{Member, archive},
    },
    tree::Tree,
};

fn alone(layer: Arc<dyn Layer>) -> Arc<Overlay> {
    Overlay::new(None, vec![layer], Policy::default(), None).unwrap()
}

fn whole(overlay: &Arc<Overlay>, tree: Tree) -> Digest {
    overlay.digest(tree, &VPath::root()).unwrap()
}

fn drawn(text: &str) -> Digest {
    whole(&alone(memory("drawn", text)), Tree::Layer(0))
}

#[test]
fn a_file_has_the_digest_that_any_tool_computes() {
    let overlay = stack("", &["big=1"]);
    let known = [
        (Vec::new(), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
        (b"abc".to_vec(), "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"),
    ];
    for (bytes, want) in known {
        assert_eq!(digest::content(&bytes).unwrap().to_string(), want);
    }
    let long: Vec<u8> = (0..1_000_003u32).map(|i| (i % 251) as u8).collect();
    assert_eq!(digest::content(&long).unwrap().0, *blake3::hash(&long).as_bytes());
    let file = overlay.digest(Tree::Merged, &VPath::parse(b"big").unwrap()).unwrap();
    assert_eq!(file.0, *blake3::hash(b"1").as_bytes());
}

#[test]
fn a_directory_has_the_digest_that_the_documents_describe() {
    let directory = |entries: &[u8]| {
        *blake3::Hasher::new_derive_key("ovl 2026-11-23 directory v1").update(entries).finalize().as_bytes()
    };
    let file =
        [&b"\x01\0\0\0f\x01\xa4\x01\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0"[..], blake3::hash(b"1").as_bytes()].concat();
    let link = b"\x01\0\0\0l\x03\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0f";
    let inner = [&b"\x01\0\0\0d\x02\xed\x01\0\0\0\0\0\0\0\0\0"[..], &directory(&file)].concat();
    assert_eq!(drawn("d/f=1 l->f").0, directory(&[&inner[..], link].concat()));
    assert_eq!(drawn("").0, directory(b""));
}

#[test]
fn a_tree_has_one_digest_wherever_it_lies() {
    let text = "a=1 d/ d/b=22:600 d/e/ d/e/f/g= l->d/b exec=x:755";
    let zipped = archive(parse(text).iter().map(Member::from_item).collect::<Vec<_>>());
    let zip = zip::open(Source::new(zipped), &zip::Options::default()).unwrap();
    let merged = stack("a=1 -gone d/ d/b=22:600", &["a=0 gone=1 d/e/f/g=", "l->d/b exec=x:755 d/"]);
    assert_eq!(drawn(text), whole(&alone(zip), Tree::Layer(0)));
    assert_eq!(drawn(text), whole(&merged, Tree::Merged));
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_has_the_digest_of_its_archive() {
    use std::{
        io::Write,
        os::unix::fs::{PermissionsExt, symlink},
    };
    let root = &std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("digest-{}", std::process::id()));
    std::fs::create_dir_all(root).unwrap();
    for (name, text, mode) in [("a", "1", 0o644), ("x", "run", 0o755)] {
        std::fs::File::create(root.join(name)).unwrap().write_all(text.as_bytes()).unwrap();
        std::fs::set_permissions(root.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    symlink("a", root.join("l")).unwrap();
    let layer = ovl_core::layers::host::lower(root, Default::default()).unwrap();
    assert_eq!(whole(&alone(layer), Tree::Layer(0)), drawn("a=1 x=run:755 l->a"));
    std::fs::remove_dir_all(root).unwrap();
}

#[test]
fn every_difference_shows() {
    let base = drawn("a=1 d/b=2 l->a");
    for other in [
        "a=2 d/b=2 l->a",
        "a=1:600 d/b=2 l->a",
        "b=1 d/b=2 l->a",
        "a=1 d/b=2 l->b",
        "a=1 d/b=2 d/c= l->a",
        "a=1 d/b=2",
        "a=1 d/:700 d/b=2 l->a",
        "a=1 d/b/ l->a",
        "a=1 d/b=2 l=a",
        "a=1 d/b=2 l|",
        "a=1 d/b=2 l->a -w",
        "a=1 d/! d/b=2 l->a",
        "a=1 d/@e d/b=2 l->a",
        "a+=1 d/b=2 l->a",
        "a=1 db=2 d/ l->a",
    ] {
        assert_ne!(drawn(other), base, "{other}");
    }
}

#[test]
fn a_subtree_has_the_digest_of_the_tree_that_it_is() {
    let overlay = stack("d/x=1", &["d/:700 d/y/z=2"]);
    let d = overlay.digest(Tree::Merged, &VPath::parse(b"d").unwrap()).unwrap();
    assert_eq!(d, drawn("x=1 y/z=2"));
    let upper = overlay.digest(Tree::Upper, &VPath::parse(b"d").unwrap()).unwrap();
    assert_eq!(upper, drawn("x=1"));
}

#[test]
fn what_has_no_digest_says_so() {
    let overlay = stack("l->a", &["p|"]);
    let kind = |tree, path: &[u8]| overlay.digest(tree, &VPath::parse(path).unwrap()).unwrap_err().kind();
    assert_eq!(kind(Tree::Merged, b"l"), ErrorKind::UnsupportedEntry);
    assert_eq!(kind(Tree::Merged, b"p"), ErrorKind::UnsupportedEntry);
    assert_eq!(kind(Tree::Merged, b"none"), ErrorKind::NotFound);
    assert_eq!(kind(Tree::Layer(2), b""), ErrorKind::NotFound);
    let read_only = alone(memory("lower", "a=1"));
    assert_eq!(read_only.digest(Tree::Upper, &VPath::root()).unwrap_err().kind(), ErrorKind::NoUpper);
}
