//! A folder as an upper: opening, forms, metadata as data, failures.

use std::fs;

use ovl_core::{
    ErrorKind,
    layers::host::{Form, UpperOptions},
};

use crate::place::{Place, ctx, form, path, put, read, stack};

#[test]
fn a_missing_upper_is_made_and_its_work_directory_beside_it() {
    let place = Place::new();
    let upper = place.upper(UpperOptions::default()).unwrap();
    assert!(place.path("u").is_dir() && place.path("u.ovl-work/stage").is_dir());
    assert!(!upper.form_reason().is_empty());
}

#[test]
fn a_second_opener_is_told_that_it_is_in_use() {
    let place = Place::new();
    let first = place.upper(UpperOptions::default()).unwrap();
    let error = place.upper(UpperOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    // Another work directory does not get around it.
    let elsewhere = UpperOptions { work: Some(place.path("w")), ..UpperOptions::default() };
    assert_eq!(place.upper(elsewhere).unwrap_err().kind(), ErrorKind::Busy);
    drop(first);
    assert!(place.upper(UpperOptions::default()).is_ok());
}

#[test]
fn the_story_of_the_upper_file() {
    let place = Place::new();
    place.file("l/file1", "lower 1");
    place.file("l/file2", "lower 2");
    place.file("u/file1", "upper 1");
    let overlay = place.overlay(UpperOptions::default());
    assert_eq!((read(&overlay, "file1"), read(&overlay, "file2")), ("upper 1".into(), "lower 2".into()));
    put(&overlay, "file3", "new");
    assert_eq!(fs::read_to_string(place.path("u/file3")).unwrap(), "new");
    assert!(!place.path("l/file3").exists());
    drop(overlay);
    let again = stack(place.upper(UpperOptions::default()).unwrap(), &[place.path("l")]);
    assert_eq!(read(&again, "file3"), "new");
}

#[test]
fn another_form_is_refused_and_both_are_named() {
    let place = Place::new();
    drop(place.upper(form(Form::KernelUser)).unwrap());
    let error = place.upper(form(Form::Portable)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongForm);
    assert!(error.to_string().contains("kernel-user") && error.to_string().contains("portable"), "{error}");
    assert_eq!(place.upper(UpperOptions::default()).unwrap().form(), Form::KernelUser);
}

#[test]
fn a_work_directory_inside_the_upper_or_above_it_is_refused() {
    let place = Place::new();
    for work in ["u/work", "."] {
        let options = UpperOptions { work: Some(place.path(work)), ..UpperOptions::default() };
        let error = place.upper(options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{work}");
        assert!(error.to_string().contains("--work"), "{error}");
    }
}

#[test]
fn an_upload_that_is_dropped_leaves_nothing() {
    let place = Place::new();
    let overlay = place.overlay(UpperOptions::default());
    let upload = overlay.upload(&ctx()).unwrap();
    upload.write_at(b"lost", 0).unwrap();
    let staged = || fs::read_dir(place.path("u.ovl-work/stage")).unwrap().count();
    assert_eq!(staged(), 1);
    drop(upload);
    assert_eq!(staged(), 0);
    assert_eq!(overlay.entry(&path("lost"), ovl_core::overlay::Follow::No).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn leftovers_of_a_crash_are_removed_at_the_next_start() {
    let place = Place::new();
    drop(place.upper(UpperOptions::default()).unwrap());
    for i in 0..1000 {
        place.file(&format!("u.ovl-work/stage/#{i}/deep/file"), "stale");
    }
    let _upper = place.upper(UpperOptions::default()).unwrap();
    assert_eq!(fs::read_dir(place.path("u.ovl-work/stage")).unwrap().count(), 0);
}

#[test]
fn a_missing_parent_is_not_made() {
    let place = Place::new();
    let missing = place.path("none/u");
    let error = ovl_core::layers::host::upper(&missing, UpperOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("none"), "{error}");
}
