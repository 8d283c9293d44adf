//! Archives that come into a folder of the host.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::SystemTime,
};

use ovl_core::{
    Blob, ErrorKind, Overlay, VPath,
    import::{Imported, OnConflict, Options, import},
    layers::host::{Form, UpperOptions},
    testing::{
        source::Source,
        zip_builder::{Member, archive},
    },
};

use crate::place::{Place, ctx, form, path, stack};

fn imported(overlay: &Arc<Overlay>, source: Arc<dyn Blob>, into: &str, how: OnConflict) -> ovl_core::Result<Imported> {
    import(overlay, &ctx(), source, &path(into), &Options { on_conflict: how, ..Options::default() })
}

/// Lists everything in a folder, byte by byte.
fn bytes_of(at: &Path) -> Vec<(PathBuf, Vec<u8>, SystemTime)> {
    let (mut left, mut all) = (vec![at.to_owned()], Vec::new());
    while let Some(place) = left.pop() {
        let meta = fs::symlink_metadata(&place).unwrap();
        let content = if meta.is_file() { fs::read(&place).unwrap() } else { Vec::new() };
        if meta.is_dir() {
            left.extend(fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()));
        }
        all.push((place, content, meta.modified().unwrap()));
    }
    all.sort();
    all
}

fn with_a_damaged_last_member() -> Arc<dyn Blob> {
    let mut last = Member::deflated("z", "content whose checksum is another");
    last.central.crc ^= 1;
    last.local.crc ^= 1;
    Source::new(archive(vec![Member::stored("new/a", "first"), Member::stored("in/b", "second"), last]))
}

#[test]
fn a_damaged_last_member_leaves_the_upper_as_it_was_to_the_byte() {
    for one in [Form::KernelUser, Form::Portable] {
        let place = Place::new();
        place.file("l/in/there", "1");
        let overlay = stack(place.upper(form(one)).unwrap(), &[place.path("l")]);
        let mine = Source::new(archive(vec![Member::stored("mine", "1")]));
        imported(&overlay, mine, "", OnConflict::Error).unwrap();
        let before = bytes_of(&place.path("u"));
        for (into, how) in [("", OnConflict::Error), ("far/away", OnConflict::Replace), ("in", OnConflict::Keep)] {
            let error = imported(&overlay, with_a_damaged_last_member(), into, how).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{one:?} into {into:?}: {error}");
            assert!(bytes_of(&place.path("u")) == before, "{one:?} into {into:?}");
        }
        assert_eq!(bytes_of(&place.path("u.ovl-work/stage")).len(), 1, "{one:?}: nothing stays on the stage");
    }
}

/// An archive that looks around at each read.
struct Watching(Arc<dyn Blob>, Box<dyn Fn() + Send + Sync>);

#[deny(clippy::missing_trait_methods)]
impl Blob for Watching {
    fn size(&self) -> ovl_core::Result<u64> {
        self.0.size()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> ovl_core::Result<usize> {
        (self.1)();
        self.0.read_at(buf, offset)
    }

    fn next_data(&self, offset: u64) -> ovl_core::Result<Option<std::ops::Range<u64>>> {
        self.0.next_data(offset)
    }

    fn stored(&self) -> Option<ovl_core::Stored> {
        self.0.stored()
    }

    fn stamp(&self) -> ovl_core::Result<u128> {
        self.0.stamp()
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[test]
fn an_archive_of_many_objects_needs_few_descriptors() {
    let place = Place::new();
    let members: Vec<_> = (0..200).map(|n| Member::stored(format!("d{n}/f"), "x")).collect();
    let overlay = place.overlay(UpperOptions::default());
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    let (before, most) = (open(), Arc::new(Mutex::new(0)));
    let seen = most.clone();
    let look = move || {
        let mut most = seen.lock().unwrap();
        *most = open().max(*most);
    };
    let source = Arc::new(Watching(Source::new(archive(members)), Box::new(look)));
    imported(&overlay, source, "to", OnConflict::Error).unwrap();
    assert!(overlay.entry(&VPath::parse(b"to/d199/f").unwrap(), ovl_core::overlay::Follow::No).is_ok());
    let most = *most.lock().unwrap();
    assert!(most < before + 200, "{most} descriptors, {before} before");
}
