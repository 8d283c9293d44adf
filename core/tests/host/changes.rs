//! Changes of an upper on a host: the same in every form, whichever way each of them is found out.

use std::{fs, os::unix::fs::PermissionsExt};

use ovl_core::{
    Change, Kind,
    diff::What,
    layers::host::Form,
    overlay::{At, Follow, Removal, XattrHow},
};

use crate::place::{Place, ctx, form, is_root, path, put};

#[test]
fn changes_are_told_alike_in_every_form() {
    for form_ in [Form::KernelTrusted, Form::KernelUser, Form::Portable] {
        if form_ != Form::KernelTrusted || is_root() {
            assert_eq!(told(form_), expected(), "{form_}");
        }
    }
}

fn expected() -> Vec<String> {
    let lines = [
        "/added Added false",
        "/appended Modified false",
        "/closed Metadata true",
        "/clothed Modified true",
        "/d/added Added false",
        "/d/gone Deleted false",
        "/opened Modified true",
        "/pipe Added false",
        "/shift TypeChanged false",
    ];
    lines.map(str::to_owned).to_vec()
}

/// Makes one change of every sort, and returns what is told of them: path, what, and whether metadata differ.
fn told(form_: Form) -> Vec<String> {
    let place = Place::new();
    for file in ["appended", "clothed", "closed", "d/gone", "d/kept", "opened", "shift", "touched"] {
        let file = place.file(&format!("l/{file}"), "low");
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let (overlay, ctx) = (place.overlay(form(form_)), ctx());
    let mode = |mode| Change { mode: Some(mode), ..Change::default() };
    put(&overlay, "added", "");
    put(&overlay, "d/added", "new");
    overlay.write(&ctx, &path("appended"), At::End, &b"er".to_vec()).unwrap();
    put(&overlay, "clothed", "new");
    overlay.set_xattr(&ctx, &path("clothed"), Follow::No, b"user.note", b"x", XattrHow::Any).unwrap();
    overlay.set(&ctx, &path("closed"), Follow::No, &mode(0o600)).unwrap();
    overlay.set(&ctx, &path("touched"), Follow::No, &mode(0o600)).unwrap();
    overlay.set(&ctx, &path("touched"), Follow::No, &mode(0o644)).unwrap();
    put(&overlay, "opened", "another");
    overlay.set(&ctx, &path("opened"), Follow::No, &mode(0o666)).unwrap();
    overlay.remove(&ctx, &path("d/gone"), Removal::File).unwrap();
    overlay.remove(&ctx, &path("shift"), Removal::File).unwrap();
    overlay.symlink(&ctx, &path("shift"), b"elsewhere").unwrap();
    overlay.mknod(&ctx, &path("pipe"), Kind::Fifo, Default::default(), None).unwrap();
    let changes = overlay.changes(&path(""), None).unwrap().map(Result::unwrap);
    changes.map(|change| format!("{} {} {}", change.path, word(&change.what), change.metadata)).collect()
}

fn word(what: &What) -> String {
    format!("{what:?}")
}
