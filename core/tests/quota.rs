//! An upper that holds at most so many bytes under so many names.

use std::sync::Arc;

use ovl_core::{
    Error, ErrorKind, Layer, Overlay, Result, VPath,
    export::{Format, export},
    import::{OnConflict, Options, import},
    layers::{
        memory::Memory,
        quota::{Quota, Usage},
    },
    overlay::{At, Ctx, Follow, Policy, PutOptions, Removal, RenameHow},
    testing::{
        drawing::{draw, memory, stack},
        source::Source,
        zip_builder::{Member, archive},
    },
    tree::Tree,
};

fn overlay(bytes: u64) -> Arc<Overlay> {
    limited(Usage { bytes, ..Usage::MAX }).0
}

fn limited(limit: Usage) -> (Arc<Overlay>, Arc<Quota>) {
    let lower = memory("lower", "big=1234567890 deep/er/x=1 deep/er/y=1");
    let upper = Quota::new(Memory::new("upper", 1), limit).expect("memory can be counted");
    let lowers = vec![lower as Arc<dyn Layer>];
    (Overlay::new(Some(upper.clone()), lowers, Policy::default(), None).expect("a stack"), upper)
}

fn put(overlay: &Overlay, name: &str, content: &[u8]) -> Result<()> {
    let upload = overlay.upload(&Ctx::default())?;
    upload.write_at(content, 0)?;
    overlay.put(&Ctx::default(), &path(name), &upload, &PutOptions::default()).map(drop)
}

fn path(name: &str) -> VPath {
    VPath::parse(name.as_bytes()).expect("a path")
}

fn kind<T: std::fmt::Debug>(outcome: Result<T>) -> ErrorKind {
    outcome.map_err(|error: Error| error.kind()).expect_err("refused")
}

#[test]
fn what_goes_beyond_is_refused_and_changes_nothing() {
    let overlay = overlay(10);
    put(&overlay, "a", b"12345").expect("it fits");
    put(&overlay, "b", b"12345").expect("it just fits");
    assert_eq!(kind(put(&overlay, "c", b"1")), ErrorKind::NoSpace);
    assert_eq!(kind(overlay.entry(&path("c"), Follow::No)), ErrorKind::NotFound);
    put(&overlay, "empty", b"").expect("nothing needs no room");
}

#[test]
fn what_is_removed_makes_room() {
    let overlay = overlay(10);
    put(&overlay, "a", b"1234567890").expect("it fits");
    overlay.remove(&Ctx::default(), &path("a"), Removal::File).expect("removing always works");
    put(&overlay, "b", b"1234567890").expect("there is room again");
    assert_eq!(kind(put(&overlay, "b", b"12345678901")), ErrorKind::NoSpace);
}

#[test]
fn copies_and_copy_up_count_too() {
    let overlay = overlay(12);
    overlay.copy(&Ctx::default(), &path("big"), &path("copy"), RenameHow::NoReplace).expect("it fits");
    let more = overlay.write(&Ctx::default(), &path("big"), At::End, &b"x".to_vec());
    assert_eq!(kind(more), ErrorKind::NoSpace);
    overlay.remove(&Ctx::default(), &path("copy"), Removal::File).expect("removing always works");
    overlay.write(&Ctx::default(), &path("big"), At::End, &b"x".to_vec()).expect("now it fits");
}

#[test]
fn names_count_and_one_too_many_is_refused() {
    let (overlay, quota) = limited(Usage { entries: 3, ..Usage::MAX });
    let ctx = Ctx::default();
    put(&overlay, "a", b"1").expect("one");
    overlay.mkdir(&ctx, &path("d"), None).expect("two");
    overlay.link(&ctx, &path("a"), &path("b")).expect("three");
    let before = draw(&overlay);
    let refused = [
        kind(put(&overlay, "c", b"")),
        kind(overlay.mkdir(&ctx, &path("d/e"), None).map(drop)),
        kind(overlay.link(&ctx, &path("a"), &path("d/a")).map(drop)),
        kind(overlay.symlink(&ctx, &path("l"), b"a").map(drop)),
        kind(overlay.copy(&ctx, &path("big"), &path("d/big"), RenameHow::NoReplace).map(drop)),
    ];
    assert_eq!(refused, [ErrorKind::NoSpace; 5]);
    assert_eq!(draw(&overlay), before);
    assert_eq!(quota.usage().expect("a count"), Usage { bytes: 1, entries: 3 });
    put(&overlay, "a", b"22").expect("no new name");
    overlay.rename(&ctx, &path("b"), &path("d/b"), RenameHow::NoReplace).expect("no new name");
    overlay.remove(&ctx, &path("d"), Removal::Tree).expect("removing always works");
    assert_eq!(quota.usage().expect("a count"), Usage { bytes: 2, entries: 1 });
    put(&overlay, "c", b"").expect("there is room again");
}

#[test]
fn what_the_lowers_show_can_be_removed_whatever_the_limit() {
    let (overlay, quota) = limited(Usage { bytes: 0, entries: 0 });
    let ctx = Ctx::default();
    overlay.remove(&ctx, &path("deep/er/x"), Removal::File).expect("removing always works");
    overlay.remove(&ctx, &path("big"), Removal::File).expect("removing always works");
    assert_eq!(draw(&overlay), "deep/ deep/er/ deep/er/y=1");
    // The directories that came up count; the whiteouts do not.
    assert_eq!(quota.usage().expect("a count"), Usage { bytes: 0, entries: 2 });
    assert_eq!(kind(overlay.mkdir(&ctx, &path("n"), None).map(drop)), ErrorKind::NoSpace);
    overlay.remove(&ctx, &path("deep"), Removal::Tree).expect("removing always works");
    assert_eq!((draw(&overlay).as_str(), quota.usage().expect("a count")), ("", Usage::default()));
}

#[test]
fn an_upload_that_is_given_up_gives_its_room_back() {
    let (overlay, quota) = limited(Usage { bytes: 10, entries: 1 });
    let upload = overlay.upload(&Ctx::default()).expect("it is staged");
    upload.write_at(b"1234567890", 0).expect("it fits");
    assert_eq!(quota.usage().expect("a count"), Usage { bytes: 10, entries: 0 });
    assert_eq!(kind(put(&overlay, "a", b"1")), ErrorKind::NoSpace);
    drop(upload);
    put(&overlay, "a", b"1").expect("there is room again");
    assert_eq!(quota.usage().expect("a count"), Usage { bytes: 1, entries: 1 });
}

#[test]
fn a_tree_on_its_way_counts_before_it_shows() {
    let members = || archive(vec![Member::stored("d/a", "123456"), Member::stored("d/b", "123456")]);
    let whole = || {
        let other = stack("d/ d/a=123456 d/b=123456", &[]);
        let mut zip = Vec::new();
        export(&other, Tree::Upper, Format::Zip, &VPath::root(), &mut zip).expect("an export");
        zip
    };
    for bytes in [members(), whole()] {
        for limit in [Usage { bytes: 11, ..Usage::MAX }, Usage { entries: 2, ..Usage::MAX }] {
            let (overlay, quota) = limited(limit);
            let before = draw(&overlay);
            let options = Options { on_conflict: OnConflict::Error, ..Options::default() };
            let go = || import(&overlay, &Ctx::default(), Source::new(bytes.clone()), &VPath::root(), &options);
            assert_eq!(kind(go()), ErrorKind::NoSpace, "{limit:?}");
            assert_eq!((draw(&overlay), quota.usage().expect("a count")), (before, Usage::default()), "{limit:?}");
            put(&overlay, "a", b"12345678901").expect("the room is free");
        }
        let (overlay, quota) = limited(Usage { bytes: 12, entries: 3 });
        import(&overlay, &Ctx::default(), Source::new(bytes), &VPath::root(), &Options::default())
            .expect("it just fits");
        assert_eq!(quota.usage().expect("a count"), Usage { bytes: 12, entries: 3 });
    }
}

#[test]
fn what_is_staged_stays_in_the_account_when_it_is_counted_anew() {
    let (overlay, _) = limited(Usage { bytes: 12, ..Usage::MAX });
    put(&overlay, "gone", b"1").expect("it fits");
    let upload = overlay.upload(&Ctx::default()).expect("it is staged");
    upload.write_at(b"123456", 0).expect("it fits");
    overlay.remove(&Ctx::default(), &path("gone"), Removal::File).expect("removing always works");
    assert_eq!(kind(put(&overlay, "a", b"1234567")), ErrorKind::NoSpace);
    drop(upload);
    // In a tree on its way, the second `x` takes the place of the first.
    let tar = |sizes: &[(&str, usize)]| {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, size) in sizes {
            let mut header = tar::Header::new_gnu();
            header.set_size(*size as u64);
            tar.append_data(&mut header, name, &vec![7; *size][..]).expect("in memory");
        }
        tar.into_inner().expect("in memory")
    };
    let options = Options { on_conflict: OnConflict::Replace, ..Options::default() };
    let go = |bytes| import(&overlay, &Ctx::default(), Source::new(bytes), &VPath::root(), &options);
    assert_eq!(kind(go(tar(&[("x", 6), ("x", 6), ("y", 6), ("z", 1)]))), ErrorKind::NoSpace);
    go(tar(&[("x", 6), ("x", 6), ("y", 6)])).expect("it just fits");
}
