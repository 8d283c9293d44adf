//! Layers that give content alone (semantics Y04 to Y06, Y10), the kernel's mount of the same layers as judge.

use std::{
    fs::{self, File},
    io,
    path::Path,
    sync::Arc,
};

use ovl_core::{
    ErrorKind, Layer, Overlay, WritableLayer,
    export::{self, Format, Whiteouts},
    layers::{
        data_only::DataOnly,
        host::{self, LowerOptions, UpperOptions},
    },
    overlay::{Fate, Follow, Policy, Removal},
    tree::Tree,
};
use rustix::{
    fs::{XattrFlags, setxattr},
    io::Errno,
};

use crate::place::{Mount, Place, ctx, is_root, on_host, path, put, read};

/// Makes a file that holds metadata alone, and where its content is.
fn metadata(place: &Place, name: &str, mark: &[u8], redirect: Option<&str>) {
    let at = place.file(name, "");
    File::options().write(true).open(&at).unwrap().set_len(5).unwrap();
    setxattr(&at, "trusted.overlay.metacopy", mark, XattrFlags::empty()).unwrap();
    if let Some(redirect) = redirect {
        setxattr(&at, "trusted.overlay.redirect", redirect.as_bytes(), XattrFlags::empty()).unwrap();
    }
}

fn layers(place: &Place) {
    for (name, redirect) in [
        ("one", "/x/one"),
        ("two", "/x/two"),
        ("shown", "/plain"),
        ("missing", "/x/none"),
        ("directory", "/x"),
        ("beneath-a-file", "/x/one/more"),
        ("through-a-link", "/x/link/one"),
        ("to-a-link", "/x/link"),
        ("sub/deep", "/x/one"),
    ] {
        metadata(place, &format!("top/{name}"), b"", Some(redirect));
    }
    metadata(place, "top/digest", &[0, 4, 0, 0], Some("/x/one"));
    metadata(place, "top/relative", b"", Some("one"));
    metadata(place, "top/no-redirect", b"", None);
    metadata(place, "top/odd-redirect", b"", Some("/x//one"));
    metadata(place, "top/odd-mark", &[1, 2], Some("/x/one"));
    metadata(place, "low/lowest", b"", Some("/x/two"));
    metadata(place, "u/of-the-upper", b"", Some("/x/one"));
    place.file("low/plain", "plain");
    place.file("data1/x/one", "ONE-1");
    place.dir("data1/x/two");
    place.file("data2/x/one", "ONE-2");
    place.file("data2/x/two", "TWO-2");
    place.file("data2/only-here", "never shows");
    std::os::unix::fs::symlink(".", place.path("data2/x/link")).unwrap();
}

fn overlay(place: &Place) -> Arc<Overlay> {
    let lower = |name: &str| host::lower(&place.path(name), LowerOptions::default()).unwrap() as Arc<dyn Layer>;
    let data = |name: &str| DataOnly::new(lower(name)) as Arc<dyn Layer>;
    let lowers = vec![lower("top"), lower("low"), data("data1"), data("data2")];
    let upper: Arc<dyn WritableLayer> = place.upper(UpperOptions::default()).unwrap();
    Overlay::new(Some(upper), lowers, Policy::default(), None).unwrap()
}

fn mount(place: &Place) -> Mount {
    let at = |name: &str| place.dir(name).display().to_string();
    let options = format!(
        "lowerdir={}:{}::{}::{},upperdir={},workdir={},metacopy=on,redirect_dir=on",
        at("top"),
        at("low"),
        at("data1"),
        at("data2"),
        at("u"),
        at("kernel-work")
    );
    Mount::new("overlay", &options, place.path("merged"))
}

/// Returns a file's size and content, or the errno of each, as the kernel has them.
fn theirs(root: &Path, name: &str) -> (Result<u64, Errno>, Result<String, Errno>) {
    let errno = |error: io::Error| Errno::from_io_error(&error).unwrap();
    let size = fs::symlink_metadata(root.join(name)).map(|meta| meta.len());
    (size.map_err(errno), fs::read_to_string(root.join(name)).map_err(errno))
}

fn ours(overlay: &Overlay, name: &str) -> (Result<u64, Errno>, Result<String, Errno>) {
    let errno = |error: ovl_core::Error| match error.kind() {
        ErrorKind::NotFound => Errno::NOENT,
        ErrorKind::NotADirectory => Errno::NOTDIR,
        ErrorKind::Loop => Errno::LOOP,
        ErrorKind::BadMark => Errno::INVAL,
        ErrorKind::Corrupt => Errno::IO,
        kind => panic!("{kind:?}: {error}"),
    };
    let size = overlay.entry(&path(name), Follow::No).map(|info| info.stat.size).map_err(errno);
    (size, overlay.open(&path(name), Follow::No).map(|_| read(overlay, name)).map_err(errno))
}

#[test]
fn content_comes_from_data_only_layers_as_in_the_kernel() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    layers(&place);
    let overlay = overlay(&place);
    let shown = overlay.list(&path(""), None, 100, Default::default()).unwrap();
    let names: Vec<String> =
        shown.iter().map(|line| String::from_utf8(line.name.as_bytes().to_vec()).unwrap()).collect();
    let files = names.iter().map(|name| if name == "sub" { "sub/deep" } else { name });
    let found: Vec<_> = files.map(|name| (name.to_owned(), ours(&overlay, name))).collect();
    drop(overlay);
    let mount = mount(&place);
    let mut listed: Vec<_> =
        fs::read_dir(mount.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    // Beside copied-up files the kernel does not list what it cannot look up.
    listed.push("of-the-upper".to_owned());
    listed.sort();
    assert_eq!(names, listed);
    for (name, (size, content)) in &found {
        let (their_size, their_content) = theirs(mount.path(), name);
        assert_eq!(*content, their_content, "{name}");
        // Where the kernel knows at once that there is no content, it does not show the metadata either.
        if !(size.is_ok() && their_size == Err(Errno::IO)) {
            assert_eq!(*size, their_size, "{name}");
        }
    }
    let of = |name: &str| &found.iter().find(|(found, _)| found == name).unwrap().1;
    assert_eq!(*of("one"), (Ok(5), Ok("ONE-1".into())));
    assert_eq!(*of("two"), (Ok(5), Ok("TWO-2".into())));
    assert_eq!(*of("missing"), (Ok(5), Err(Errno::NOENT)));
    assert_eq!(*of("through-a-link"), (Ok(5), Err(Errno::LOOP)));
}

#[test]
fn a_file_whose_content_is_elsewhere_is_explained_changed_and_exported_whole() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    layers(&place);
    let overlay = overlay(&place);
    let why = overlay.why(&path("two")).unwrap();
    let fates: Vec<&Fate> = why.layers.iter().map(|verdict| &verdict.fate).collect();
    assert_eq!(why.shown, Some(1));
    assert_eq!(fates, [&Fate::Absent, &Fate::Shows, &Fate::Absent, &Fate::Absent, &Fate::GivesContent]);
    for name in ["missing", "beneath-a-file", "directory", "through-a-link", "to-a-link", "relative", "no-redirect"] {
        overlay.remove(&ctx(), &path(name), Removal::File).unwrap();
    }
    overlay.remove(&ctx(), &path("of-the-upper"), Removal::File).unwrap();
    overlay.write(&ctx(), &path("one"), ovl_core::overlay::At::Offset(0), &b"Up".to_vec()).unwrap();
    put(&overlay, "two", "replaced");
    assert_eq!(read(&overlay, "one"), "UpE-1");
    assert_eq!(fs::read_to_string(place.path("u/one")).unwrap(), "UpE-1");
    assert_eq!(fs::read_to_string(place.path("data1/x/one")).unwrap(), "ONE-1");
    let mut tar = Vec::new();
    export::export(&overlay, Tree::Merged, Format::Tar { whiteouts: Whiteouts::Kernel }, &path("sub"), &mut tar)
        .unwrap();
    assert!(tar.windows(5).any(|bytes| bytes == b"ONE-1"));
    drop(overlay);
    let mount = mount(&place);
    assert_eq!(theirs(mount.path(), "one").1.as_deref(), Ok("UpE-1"));
    assert_eq!(theirs(mount.path(), "two").1.as_deref(), Ok("replaced"));
    assert!(!on_host(&place.path("u")).contains_key("/missing/"));
}

#[test]
fn data_only_layers_stand_behind_all_others() {
    let place = Place::new();
    let lower = |name: &str| host::lower(&place.dir(name), LowerOptions::default()).unwrap() as Arc<dyn Layer>;
    let data = |name: &str| DataOnly::new(lower(name)) as Arc<dyn Layer>;
    let stack = |upper: bool, lowers| {
        let upper = upper.then(|| place.upper(UpperOptions::default()).unwrap() as Arc<dyn WritableLayer>);
        Overlay::new(upper, lowers, Policy::default(), None).map(drop).map_err(|e| e.kind())
    };
    assert_eq!(stack(false, vec![data("d"), lower("l")]), Err(ErrorKind::InvalidInput));
    assert_eq!(stack(false, vec![lower("l"), data("d"), lower("m")]), Err(ErrorKind::InvalidInput));
    assert_eq!(stack(true, vec![data("d")]), Err(ErrorKind::InvalidInput));
    assert_eq!(stack(false, vec![data("d"), data("e")]), Err(ErrorKind::InvalidInput));
    assert_eq!(stack(true, vec![lower("l"), data("d")]), Ok(()));
    // Looked at alone, it is a layer as any other.
    assert_eq!(stack(false, vec![data("d")]), Ok(()));
}
