//! Files that are held open: written in place, and used after their names are gone.

use std::sync::{Arc, Mutex};

use ovl_core::{
    Blob, Change, ErrorKind, Overlay, Time, VPath,
    overlay::{Begin, Ctx, Deed, Event, Follow, PutOptions, Removal, RenameHow, Watch},
    testing::drawing::{draw, draw_layer, read_all, stack},
};

const NOW: Time = Time { secs: 1_700_000_000, nanos: 1 };

fn at(path: &str) -> VPath {
    VPath::parse(path.as_bytes()).unwrap()
}

fn ctx() -> Ctx {
    Ctx { now: NOW, umask: 0o022, ..Ctx::default() }
}

fn text(blob: &dyn Blob) -> String {
    String::from_utf8(read_all(blob).unwrap()).unwrap()
}

#[test]
fn opening_for_writing_copies_up_and_each_piece_shows_at_once() {
    let overlay = stack("", &["d/f=abc"]);
    let (_, writer) = overlay.open_mut(&ctx(), &at("d/f"), Begin::Kept).unwrap();
    // C01: copied up though nothing has been written.
    assert_eq!(draw_layer(&*overlay.layers()[0]), "d/ d/f=abc");
    let before = overlay.entry(&at("d/f"), Follow::No).unwrap();
    overlay.steady().write_at(&writer, b"XY", 1, NOW).unwrap();
    assert_eq!(draw(&overlay), "d/ d/f=aXY");
    overlay.steady().set_len(&writer, 2, NOW).unwrap();
    let after = overlay.entry(&at("d/f"), Follow::No).unwrap();
    assert_eq!((after.stat.size, after.stat.attrs.mtime), (2, NOW));
    assert_eq!(after.stat.ino, before.stat.ino, "it is still the same object");
}

#[test]
fn opening_empty_copies_no_content() {
    for (upper, lower) in [("", "f=abc"), ("f=abc", "")] {
        let overlay = stack(upper, &[lower]);
        let generation = overlay.generation();
        let (object, _) = overlay.open_mut(&ctx(), &at("f"), Begin::Empty).unwrap();
        assert_eq!(draw_layer(&*overlay.layers()[0]), "f=");
        let stat = overlay.stat_of(&object).unwrap();
        assert_eq!((stat.size, stat.attrs.mtime), (0, NOW));
        assert_eq!(overlay.generation(), generation + 1);
    }
}

#[test]
fn what_cannot_be_written_in_place_is_refused_and_nothing_comes_up() {
    let overlay = stack("", &["d/f=1 s->f"]);
    for (path, kind) in
        [("d", ErrorKind::IsADirectory), ("s", ErrorKind::UnsupportedEntry), ("none", ErrorKind::NotFound)]
    {
        let refused = overlay.open_mut(&ctx(), &at(path), Begin::Empty).map(drop).unwrap_err();
        assert_eq!(refused.kind(), kind, "{path}");
    }
    assert_eq!(draw_layer(&*overlay.layers()[0]), "");
}

#[test]
fn a_removed_file_is_read_written_and_changed_by_who_holds_it() {
    let overlay = stack("", &["f=abc"]);
    let mut held = overlay.object(&at("f")).unwrap();
    overlay.remove(&ctx(), &at("f"), Removal::File).unwrap();
    assert_eq!(text(&*overlay.content_of(&held).unwrap()), "abc");
    let writer = overlay.write_object(&ctx(), &mut held, Begin::Kept).unwrap();
    overlay.steady().write_at(&writer, b"Z", 0, NOW).unwrap();
    overlay.set_nameless(&ctx(), &mut held, &Change { mode: Some(0o600), ..Change::default() }).unwrap();
    assert_eq!(text(&*overlay.content_of(&held).unwrap()), "Zbc");
    assert_eq!(overlay.stat_of(&held).unwrap().attrs.mode, 0o600);
    // Nobody else sees it, and it leaves nothing behind.
    assert_eq!((draw(&overlay).as_str(), draw_layer(&*overlay.layers()[0]).as_str()), ("", "-f"));
}

#[test]
fn a_new_file_takes_group_and_bit_of_a_setgid_directory() {
    let overlay = stack("", &["d/:2755"]);
    let give = Change { gid: Some(42), ..Change::default() };
    overlay.set(&ctx(), &at("d"), Follow::No, &give).unwrap();
    overlay.make_file(&ctx(), &at("d/f"), Some(0o640)).unwrap();
    overlay.mkdir(&ctx(), &at("d/e"), Some(0o750)).unwrap();
    let upload = overlay.upload(&ctx()).unwrap();
    overlay.put(&ctx(), &at("d/put"), &upload, &PutOptions::default()).unwrap();
    let shown = |path| overlay.entry(&at(path), Follow::No).unwrap().stat.attrs;
    assert_eq!((shown("d/f").gid, shown("d/f").mode), (42, 0o640));
    assert_eq!(shown("d/put").gid, 42);
    assert_eq!((shown("d/e").gid, shown("d/e").mode), (42, 0o2750));
}

#[derive(Default)]
struct Heard(Mutex<Vec<(Deed, String)>>, Mutex<usize>);

impl Watch for Heard {
    fn changed(&self, event: &Event) {
        self.0.lock().unwrap().push((event.deed.clone(), event.path.to_string()));
    }
    fn catch_up(&self) {
        *self.1.lock().unwrap() += 1;
    }
}

#[test]
fn a_watch_hears_of_changes_in_order_and_is_waited_for() {
    let overlay: Arc<Overlay> = stack("", &["f=abc"]);
    let heard = Arc::new(Heard::default());
    let watch: Arc<dyn Watch> = heard.clone();
    overlay.watch(&watch);
    let (_, writer) = overlay.open_mut(&ctx(), &at("f"), Begin::Kept).unwrap();
    overlay.steady().write_at(&writer, b"Z", 0, NOW).unwrap();
    overlay.wrote(&at("f"));
    overlay.rename(&ctx(), &at("f"), &at("g"), RenameHow::Replace).unwrap();
    let told: Vec<_> = std::mem::take(&mut *heard.0.lock().unwrap());
    let expected =
        [(Deed::CopiedUp(3), "/f"), (Deed::Modified, "/f"), (Deed::Moved(at("f")), "/g"), (Deed::Whiteout, "/f")];
    assert_eq!(told, expected.map(|(deed, path)| (deed, path.to_owned())));
    assert_eq!(*heard.1.lock().unwrap(), 3, "once for each change");
}
