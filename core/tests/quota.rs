//! An upper that holds at most so many bytes.

use std::sync::Arc;

use ovl_core::{
    Error, ErrorKind, Layer, Overlay, Result, VPath,
    layers::{memory::Memory, quota::Quota},
    overlay::{At, Ctx, Follow, Policy, PutOptions, Removal, RenameHow},
    testing::drawing::memory,
};

fn overlay(limit: u64) -> Arc<Overlay> {
    let lower = memory("lower", "big=1234567890");
    let upper = Quota::new(Memory::new("upper", 1), limit).expect("memory can be counted");
    Overlay::new(Some(upper), vec![lower as Arc<dyn Layer>], Policy::default(), None).expect("a stack")
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
