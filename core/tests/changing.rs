//! What a change leaves in the upper: one operation on drawn layers, and the upper drawn afterwards.

use std::sync::{Arc, Mutex};

use ovl_core::{
    Change, ErrorKind, Layer, Overlay, Time, VPath,
    overlay::{At, Ctx, Done, Follow, Policy, PutOptions, Removal, RenameHow, When},
    testing::{
        drawing::{draw, draw_layer, memory, stack},
        history::{Op, run},
    },
};

const NOW: Time = Time { secs: 1_700_000_000, nanos: 1 };

fn at(path: &str) -> VPath {
    VPath::parse(path.as_bytes()).unwrap()
}

fn put(path: &str, text: &str) -> Op {
    Op::Put(at(path), text.into())
}

fn rename(from: &str, to: &str) -> Op {
    Op::Rename(at(from), at(to), RenameHow::Replace)
}

/// The row of semantics.md, the upper, the lowers, the operation, the upper afterwards, the tree.
type Row<'a> = (&'a str, &'a str, &'a [&'a str], Op, &'a str, &'a str);

#[test]
fn each_change_leaves_what_the_kernel_leaves() {
    let unlink = |path| Op::Unlink(at(path));
    let rmdir = |path| Op::Rmdir(at(path));
    let mkdir = |path| Op::Mkdir(at(path));
    let cases: &[Row] = &[
        ("C10", "", &["d/e/f=1 d/g=1"], put("d/e/f", "2"), "d/ d/e/ d/e/f=2", "d/ d/e/ d/e/f=2 d/g=1"),
        ("C01", "", &["f=1"], Op::Append(at("f"), b"2".to_vec()), "f=12", "f=12"),
        ("C16", "", &["f=123"], Op::Truncate(at("f"), 2), "f=12", "f=12"),
        ("C04", "", &["f=123"], Op::Truncate(at("f"), 3), "f=123", "f=123"),
        ("C06", "", &["f=1 d/"], Op::Link(at("f"), at("d/g")), "d/ d/g=1 f=1", "d/ d/g=1 f=1"),
        ("W01", "", &["f=1"], unlink("f"), "-f", ""),
        ("W03", "f=1", &["g=1"], unlink("f"), "", "g=1"),
        ("W04", "f=2", &["f=1"], unlink("f"), "-f", ""),
        ("W05", "d/! d/f=2", &["d/f=1"], unlink("d/f"), "d/!", "d/"),
        ("W06", "-f", &["f=1"], put("f", "2"), "f=2", "f=2"),
        ("W07", "-d", &["d/x=1"], mkdir("d"), "d/!", "d/"),
        ("W09", "", &["f=2", "f=1"], unlink("f"), "-f", ""),
        ("W10", "f=3", &["-f", "f=1"], unlink("f"), "", ""),
        ("W11", "", &["-d", "d/x=1"], mkdir("d"), "d/!", "d/"),
        ("O02", "d/ -d/x", &["d/x=1"], rmdir("d"), "-d", ""),
        ("O03", "", &["d/"], rmdir("d"), "-d", ""),
        ("O03", "d/", &["e/"], rmdir("d"), "", "e/"),
        ("O05", "", &["d/"], mkdir("d/e"), "d/ d/e/!", "d/ d/e/"),
        ("O06", "d/ d/x=1", &[""], rename("d", "e"), "e/! e/x=1", "e/ e/x=1"),
        ("O07", "d/ d/x=1 e/ -e/y", &["e/y=1"], rename("d", "e"), "e/! e/x=1", "e/ e/x=1"),
        ("N01", "", &["f=1"], rename("f", "g"), "-f g=1", "g=1"),
        ("N02", "f=1", &["x=1"], rename("f", "g"), "g=1", "g=1 x=1"),
        ("N03", "f=2", &["g=1"], rename("f", "g"), "g=2", "g=2"),
        ("N04", "-g", &["f=1 g=1"], rename("f", "g"), "-f g=1", "g=1"),
        ("N05", "f=2 -g", &["g=1"], rename("f", "g"), "g=2", "g=2"),
        ("N07", "d/! d/x=2", &["d/y=1"], rename("d", "e"), "-d e/! e/x=2", "e/ e/x=2"),
        ("N08", "", &["d/x=1"], rename("d", "e"), "-d e/@d", "e/ e/x=1"),
        ("N09", "", &["d/s/x=1 e/"], rename("d/s", "e/t"), "-d/s d/ e/ e/t/@/d/s", "d/ e/ e/t/ e/t/x=1"),
        ("N16", "d/ d/x=2 -e", &["e/y=1"], rename("d", "e"), "e/! e/x=2", "e/ e/x=2"),
        ("H04", "f=1", &["g=2"], rename("f", "f"), "f=1", "f=1 g=2"),
    ];
    for (row, upper, lowers, op, after, shown) in cases {
        let overlay = stack(upper, lowers);
        run(&overlay, op, NOW).unwrap_or_else(|e| panic!("{row} {op:?}: {e}"));
        assert_eq!(draw_layer(&*overlay.layers()[0]), *after, "{row} {op:?} on {upper:?} over {lowers:?}");
        assert_eq!(draw(&overlay), *shown, "{row} {op:?}");
    }
}

#[test]
fn a_refused_change_leaves_the_upper_as_it_was() {
    let lowers = ["f=1 d/x=1 e/ l->f"];
    let cases = [
        (Op::Mkdir(at("f")), ErrorKind::AlreadyExists),
        (Op::Mkdir(at("none/x")), ErrorKind::NotFound),
        (Op::Mkdir(at("f/x")), ErrorKind::NotADirectory),
        (Op::Unlink(at("d")), ErrorKind::IsADirectory),
        (Op::Unlink(at("none")), ErrorKind::NotFound),
        (Op::Rmdir(at("d")), ErrorKind::NotEmpty),
        (Op::Rmdir(at("f")), ErrorKind::NotADirectory),
        (Op::Link(at("d"), at("g")), ErrorKind::PermissionDenied),
        (Op::Link(at("f"), at("l")), ErrorKind::AlreadyExists),
        (rename("d", "d/x/y"), ErrorKind::NotADirectory),
        (rename("d", "d/y"), ErrorKind::InvalidInput),
        (rename("d/x", "d"), ErrorKind::NotEmpty),
        (rename("d", "f"), ErrorKind::NotADirectory),
        (rename("f", "d"), ErrorKind::IsADirectory),
        (rename("e", "d"), ErrorKind::NotEmpty),
        (Op::Rename(at("f"), at("l"), RenameHow::NoReplace), ErrorKind::AlreadyExists),
        (Op::Rename(at("f"), at("none"), RenameHow::Exchange), ErrorKind::NotFound),
        (Op::RemoveXattr(at("f")), ErrorKind::NoAttribute),
        (Op::SetXattr(at("l"), b"1".to_vec()), ErrorKind::PermissionDenied),
        (Op::Chmod(at("none"), 0o600), ErrorKind::NotFound),
        (put("d", "1"), ErrorKind::IsADirectory),
    ];
    for (op, kind) in cases {
        let overlay = stack("", &lowers);
        let error = run(&overlay, &op, NOW).expect_err(&format!("{op:?} is refused"));
        assert_eq!(error.kind(), kind, "{op:?}: {error}");
        assert_eq!(draw_layer(&*overlay.layers()[0]), "", "{op:?}");
    }
}

#[test]
fn without_redirects_a_merged_directory_stays() {
    let overlay = |upper: &str| {
        let lowers = vec![memory("lower", "d/x=1 e/") as Arc<dyn Layer>];
        Overlay::new(Some(memory("upper", upper)), lowers, Policy { redirect_dir: false }, None).unwrap()
    };
    let error = run(&overlay(""), &rename("d", "f"), NOW).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CrossLayerRename);
    let moved = overlay("d/! d/y=1");
    run(&moved, &rename("d", "f"), NOW).unwrap();
    assert_eq!(draw_layer(&*moved.layers()[0]), "-d f/! f/y=1");
    // O04: no mark on a plain new directory
    let made = overlay("");
    run(&made, &Op::Mkdir(at("e/n")), NOW).unwrap();
    assert_eq!(draw_layer(&*made.layers()[0]), "e/ e/n/");
}

#[test]
fn copy_up_keeps_what_the_lower_has() {
    let overlay = stack("", &["d/:2711 d/f=data:4640"]);
    let before = overlay.entry(&at("d/f"), Follow::No).unwrap().stat;
    let dir = overlay.entry(&at("d"), Follow::No).unwrap().stat;
    let ctx = Ctx { now: NOW, ..Ctx::default() };
    let change = Change { uid: Some(7), ..Change::default() };
    let done = overlay.set(&ctx, &at("d/f"), Follow::No, &change).unwrap();
    assert_eq!(done.copied_up, 4);
    let after = overlay.entry(&at("d/f"), Follow::No).unwrap();
    assert_eq!(after.layers, [0]);
    assert_eq!(after.stat.attrs, ovl_core::Attrs { uid: 7, ..before.attrs });
    // U04, C10: the parent came up with its own attributes, and is not changed by it
    assert_eq!(overlay.entry(&at("d"), Follow::No).unwrap().stat.attrs, dir.attrs);
}

#[test]
fn conditions_are_checked_at_the_instant_of_the_change() {
    let overlay = stack("", &["f=1"]);
    let ctx = |when: When| Ctx { now: NOW, when, ..Ctx::default() };
    let write = |when, path: &str, text: &[u8]| {
        let upload = overlay.upload(&ctx(When::Always)).unwrap();
        upload.write_at(text, 0).unwrap();
        overlay.put(&ctx(when), &at(path), &upload, &PutOptions::default()).map(|done| done.info.unwrap().tag)
    };
    let first = overlay.entry(&at("f"), Follow::No).unwrap().tag;
    let failed = |result: ovl_core::Result<_>| result.unwrap_err().kind() == ErrorKind::Precondition;
    assert!(failed(write(When::Absent, "f", b"x").map(drop)));
    assert!(failed(write(When::Exists, "new", b"x").map(drop)));
    let second = write(When::Is(vec![first]), "f", b"2").unwrap();
    assert_ne!(first, second);
    assert!(failed(write(When::Is(vec![first]), "f", b"3").map(drop)));
    assert!(failed(write(When::IsNot(vec![second]), "f", b"3").map(drop)));
    assert!(failed(overlay.remove(&ctx(When::Is(vec![first])), &at("f"), Removal::File).map(drop)));
    overlay.remove(&ctx(When::Is(vec![second])), &at("f"), Removal::File).unwrap();
    assert_eq!(draw(&overlay), "");
}

#[test]
fn every_change_can_ask_for_a_generation_of_the_overlay() {
    let text = "f=1 d/ d/x=1";
    let at_one = |when| Ctx { now: NOW, when, ..Ctx::default() };
    type Act = fn(&Overlay, &Ctx) -> ovl_core::Result<Done>;
    let acts: &[Act] = &[
        |o, ctx| o.put(ctx, &at("f"), &o.upload(ctx)?, &PutOptions::default()),
        |o, ctx| o.write(ctx, &at("f"), At::End, &b"2".to_vec()),
        |o, ctx| o.mkdir(ctx, &at("n"), None),
        |o, ctx| o.remove(ctx, &at("f"), Removal::File),
        |o, ctx| o.rename(ctx, &at("f"), &at("g"), RenameHow::Replace),
        |o, ctx| o.copy(ctx, &at("d"), &at("e"), RenameHow::Replace),
        |o, ctx| o.link(ctx, &at("f"), &at("h")),
        |o, ctx| o.set(ctx, &at("f"), Follow::No, &Change { mode: Some(0o600), ..Change::default() }),
        |o, ctx| o.discard(ctx, &at("later")),
        |o, ctx| o.discard_all(ctx),
    ];
    for (number, act) in acts.iter().enumerate() {
        let overlay = stack("", &[text]);
        overlay.mkdir(&at_one(When::Generation(vec![0])), &at("later"), None).unwrap();
        let before = draw(&overlay);
        let refused = act(&overlay, &at_one(When::Generation(vec![0, 2]))).unwrap_err();
        assert_eq!((refused.kind(), draw(&overlay)), (ErrorKind::Precondition, before), "change {number}: {refused}");
        act(&overlay, &at_one(When::Generation(vec![1]))).unwrap_or_else(|e| panic!("change {number}: {e}"));
    }
}

#[test]
fn an_attribute_that_no_system_knows_is_refused() {
    let overlay = stack("", &["f=1"]);
    let long = "user.".to_owned() + &"n".repeat(251);
    for name in ["", "x", "user", "user.", "other.x", "user.a\0b", &long] {
        for value in [None, Some(b"1"[..].into())] {
            let change = Change { xattrs: vec![(name.as_bytes().into(), value)], ..Change::default() };
            let error = overlay.set(&Ctx::default(), &at("f"), Follow::No, &change).unwrap_err();
            assert_eq!((error.kind(), overlay.generation()), (ErrorKind::InvalidInput, 0), "{name:?}");
        }
    }
    let known = ["user.x", "trusted.x", "security.x", "system.x"];
    let xattrs = known.map(|name| (name.as_bytes().into(), Some(b"1"[..].into()))).into();
    overlay.set(&Ctx::default(), &at("f"), Follow::No, &Change { xattrs, ..Change::default() }).unwrap();
}

#[test]
fn a_tree_is_copied_whole() {
    let overlay = stack("-old", &["d/sub/x=1 d/l->x old/hidden=1", "d/sub/y=2:600"]);
    let ctx = Ctx { now: NOW, ..Ctx::default() };
    let copy = |from: &str, to: &str, how| overlay.copy(&ctx, &at(from), &at(to), how);
    let done = copy("d", "old", RenameHow::NoReplace).unwrap();
    assert_eq!((done.created, done.copied_up), (true, 2));
    let shown = "d/ d/l->x d/sub/ d/sub/x=1 d/sub/y=2 old/ old/l->x old/sub/ old/sub/x=1 old/sub/y=2";
    assert_eq!(draw(&overlay), shown);
    assert_eq!(overlay.entry(&at("old/sub/y"), Follow::No).unwrap().stat.attrs.mode, 0o600);
    let refused = |from, to, how| copy(from, to, how).unwrap_err().kind();
    assert_eq!(refused("d", "d/sub/again", RenameHow::NoReplace), ErrorKind::InvalidInput);
    assert_eq!(refused("d", "old", RenameHow::NoReplace), ErrorKind::AlreadyExists);
    assert_eq!(refused("d", "old", RenameHow::Replace), ErrorKind::NotEmpty);
    assert_eq!(refused("d/l", "old", RenameHow::Replace), ErrorKind::IsADirectory);
    copy("d/sub/x", "d/sub/y", RenameHow::Replace).unwrap();
    assert_eq!(draw(&overlay).matches("d/sub/y=1").count(), 1);
}

#[test]
fn a_reader_keeps_what_it_opened() {
    let overlay = stack("f=old", &["g=low"]);
    let (_, f) = overlay.open(&at("f"), Follow::No).unwrap();
    let (_, g) = overlay.open(&at("g"), Follow::No).unwrap();
    run(&overlay, &put("f", "new"), NOW).unwrap();
    run(&overlay, &Op::Unlink(at("g")), NOW).unwrap();
    let read = |blob: &dyn ovl_core::Blob| ovl_core::testing::drawing::read_all(blob).unwrap();
    assert_eq!((read(&*f), read(&*g)), (b"old".to_vec(), b"low".to_vec()));
}

#[test]
fn links_in_the_upper_share_what_is_written() {
    let overlay = stack("", &["f=1"]);
    run(&overlay, &Op::Link(at("f"), at("g")), NOW).unwrap();
    run(&overlay, &put("g", "22"), NOW).unwrap();
    run(&overlay, &Op::Append(at("f"), b"3".to_vec()), NOW).unwrap();
    assert_eq!(draw(&overlay), "f=223 g=223");
}

#[test]
fn an_overlay_without_an_upper_refuses_every_change() {
    let overlay = Overlay::new(None, vec![memory("lower", "f=1")], Policy::default(), None).unwrap();
    for op in [put("f", "2"), Op::Unlink(at("f")), Op::Mkdir(at("d")), rename("f", "g"), Op::Append(at("f"), vec![1])] {
        assert_eq!(run(&overlay, &op, NOW).unwrap_err().kind(), ErrorKind::NoUpper, "{op:?}");
    }
}

#[test]
fn events_tell_what_was_done_in_order() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = heard.clone();
    let observer = Box::new(move |event: &ovl_core::overlay::Event| {
        told.lock().unwrap().push(format!("{:?} {}", event.deed, event.path));
    });
    let lower = memory("lower", "d/f=123");
    let overlay = Overlay::new(Some(memory("upper", "")), vec![lower], Policy::default(), Some(observer)).unwrap();
    run(&overlay, &Op::Append(at("d/f"), b"4".to_vec()), NOW).unwrap();
    run(&overlay, &rename("d/f", "g"), NOW).unwrap();
    run(&overlay, &Op::Rmdir(at("d")), NOW).unwrap();
    run(&overlay, &Op::Mkdir(at("d")), NOW).unwrap();
    let removed: Vec<String> = heard.lock().unwrap().drain(..).collect();
    let expected = [
        "CopiedUp(0) /d",
        "Modified /d/f",
        "CopiedUp(3) /d/f",
        "Moved(/d/f) /g",
        "Whiteout /d/f",
        "Removed /d",
        "Whiteout /d",
        "Created /d",
        "Opaque /d",
    ];
    assert_eq!(removed, expected);
}
