//! An ordinary archive comes in whole or not at all, and only where it may.

use std::sync::{Arc, Mutex};

use ovl_core::{
    ErrorKind, Layer, Overlay, Time, VPath, WritableLayer,
    import::{Imported, OnConflict, Options, import},
    layers::{
        memory::Memory,
        quota::{Quota, Usage},
    },
    overlay::{Ctx, Deed, Follow, Policy, Removal},
    testing::{
        drawing::{draw, draw_layer, memory},
        failing::Failing,
        source::Source,
        zip_builder::{Member, archive},
    },
};

const NOW: Time = Time { secs: 2_000_000_000, nanos: 7 };

fn path(text: &str) -> VPath {
    VPath::parse(text.as_bytes()).unwrap()
}

fn ctx() -> Ctx {
    Ctx { now: NOW, umask: 0o022, ..Ctx::default() }
}

fn over(upper: Arc<dyn WritableLayer>, lower: &str) -> Arc<Overlay> {
    let lowers = vec![memory("lower", lower) as Arc<dyn Layer>];
    Overlay::new(Some(upper), lowers, Policy::default(), None).unwrap()
}

fn imported(overlay: &Arc<Overlay>, bytes: Vec<u8>, into: &str, how: OnConflict) -> ovl_core::Result<Imported> {
    let options = Options { on_conflict: how, ..Options::default() };
    import(overlay, &ctx(), Source::new(bytes), &path(into), &options)
}

#[test]
fn an_archive_past_the_quota_leaves_the_upper_as_it_was() {
    let members = vec![Member::stored("new/a", "12345"), Member::stored("in/b", "12345")];
    for limit in [Usage { bytes: 9, ..Usage::MAX }, Usage { entries: 2, ..Usage::MAX }] {
        let inner = memory("upper", "");
        let overlay = over(Quota::new(inner.clone(), limit).unwrap(), "in/there=1");
        let error = imported(&overlay, archive(members.clone()), "to/here", OnConflict::Error).unwrap_err();
        assert_eq!((error.kind(), draw_layer(&*inner).as_str()), (ErrorKind::NoSpace, ""), "{limit:?}");
    }
}

#[test]
fn a_failure_at_any_call_shows_nothing_or_all() {
    let bytes = archive(vec![
        Member::directory("new/"),
        Member::stored("new/a", "1"),
        Member::stored("in/side", "2"),
        Member::symlink("gone/l", "a"),
    ]);
    for nth in 1..400 {
        let upper = memory("upper", "there=1 -gone");
        let lower = "in/there=1 gone/x=1";
        let failing = Failing::new(upper.clone(), nth, ErrorKind::NoSpace);
        let result = imported(&over(failing.clone(), lower), bytes.clone(), "", OnConflict::Error);
        let shown = draw(&over(upper, lower));
        let (before, after) =
            ("in/ in/there=1 there=1", "gone/ gone/l->a in/ in/side=2 in/there=1 new/ new/a=1 there=1");
        if !failing.has_failed() {
            assert_eq!((result.is_ok(), shown.as_str()), (true, after));
            return;
        }
        assert!(shown == before || shown == after, "at call {nth}: {shown:?}");
        assert!(result.is_err() || shown == after, "at call {nth}: acknowledged, but not done");
    }
    panic!("four hundred calls were not enough");
}

#[test]
fn an_archive_is_one_change_and_tells_what_came() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = told.clone();
    let observe = move |event: &ovl_core::overlay::Event| {
        heard.lock().unwrap().push((event.generation, event.deed.clone(), event.path.to_string()));
    };
    let (upper, lower) = (memory("upper", ""), memory("lower", "in/there=1 f=old"));
    let lowers = vec![lower as Arc<dyn Layer>];
    let overlay = Overlay::new(Some(upper), lowers, Policy::default(), Some(Box::new(observe))).unwrap();
    let members = vec![Member::stored("new/deep/a", "1"), Member::stored("in/b", "2"), Member::stored("f", "new")];
    imported(&overlay, archive(members), "", OnConflict::Replace).unwrap();
    assert_eq!(overlay.generation(), 1);
    let mut told = told.lock().unwrap().clone();
    told.retain(|(_, deed, _)| !matches!(deed, Deed::CopiedUp(_)));
    told.sort_by(|one, other| one.2.cmp(&other.2));
    let want = [(1, Deed::Modified, "/f"), (1, Deed::Created, "/in/b"), (1, Deed::Created, "/new")];
    assert_eq!(told, want.map(|(generation, deed, path)| (generation, deed, path.to_owned())));
}

#[test]
fn what_comes_hides_what_it_takes_the_place_of() {
    // What stands, what comes, and what shows afterwards.
    let file = |name: &str| Member::stored(name, "new");
    let cases: &[(&str, &str, Vec<Member>, &str)] = &[
        ("", "d=file", vec![file("d/x")], "d/ d/x=new"),
        ("", "d/old=1", vec![file("d")], "d=new"),
        ("-d", "d/old=1", vec![file("d/x")], "d/ d/x=new"),
        ("-d", "d/old=1", vec![Member::directory("d/")], "d/"),
        ("d/! d/x=mine", "d/old=1", vec![file("d/y")], "d/ d/x=mine d/y=new"),
        ("m/@d -d", "d/old=1", vec![file("m/y"), file("d/y")], "d/ d/y=new m/ m/old=1 m/y=new"),
        ("", "a/b/c/d=1", vec![file("a/b/c/d"), file("a/b/e")], "a/ a/b/ a/b/c/ a/b/c/d=new a/b/e=new"),
        ("", "l->d d/x=1", vec![Member::directory("l/")], "d/ d/x=1 l/"),
    ];
    for (upper, lower, members, shown) in cases {
        let overlay = over(memory("upper", upper), lower);
        imported(&overlay, archive(members.clone()), "", OnConflict::Replace).unwrap();
        assert_eq!(draw(&overlay), *shown, "{upper:?} over {lower:?}");
    }
}

#[test]
fn what_is_kept_or_merged_is_not_counted_as_taken() {
    let overlay = over(memory("upper", ""), "d/x=old f=old l->d");
    let members = vec![
        Member::stored("d/x", "12345"),
        Member::stored("d/y", "12"),
        Member::stored("f/in/side", "1234"),
        Member::directory("l/"),
    ];
    let done = imported(&overlay, archive(members), "", OnConflict::Keep).unwrap();
    assert_eq!((done.entries, done.bytes, done.kept), (1, 2, 5));
    assert_eq!(draw(&overlay), "d/ d/x=old d/y=12 f=old l->d");
}

#[test]
fn attributes_are_the_archives_and_those_of_implied_directories_the_clients() {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, kind, mode| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(mode);
        header.set_mtime(7);
        header.set_uid(5);
        header.set_gid(6);
        tar.append_data(&mut header, name, &b""[..]).unwrap();
    };
    add("closed/", tar::EntryType::Directory, 0o500);
    add("closed/f", tar::EntryType::Regular, 0o4711);
    add("implied/f", tar::EntryType::Regular, 0o600);
    let overlay = over(memory("upper", ""), "");
    imported(&overlay, tar.into_inner().unwrap(), "to", OnConflict::Error).unwrap();
    let attrs = |at: &str| {
        let attrs = overlay.entry(&path(at), Follow::No).unwrap().stat.attrs;
        (attrs.mode, attrs.uid, attrs.mtime.secs, attrs.atime)
    };
    assert_eq!(attrs("to/closed"), (0o500, 5, 7, NOW));
    assert_eq!(attrs("to/closed/f"), (0o4711, 5, 7, NOW));
    assert_eq!(attrs("to/implied"), (0o755, 0, NOW.secs, NOW));
    assert_eq!(attrs("to"), (0o755, 0, NOW.secs, NOW));
}

/// A tar of regular files (`name`), symbolic links (`name->target`) and hard links (`name=target`).
fn tar_of(words: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for word in words.split(' ') {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o644);
        let (kind, name, target) = match (word.split_once("->"), word.split_once('=')) {
            (Some((name, target)), _) => (tar::EntryType::Symlink, name, target),
            (_, Some((name, target))) => (tar::EntryType::Link, name, target),
            _ => (tar::EntryType::Regular, word, ""),
        };
        header.set_entry_type(kind);
        match target {
            "" => tar.append_data(&mut header, name, &b""[..]).unwrap(),
            target => tar.append_link(&mut header, name, target).unwrap(),
        }
    }
    tar.into_inner().unwrap()
}

#[test]
fn nothing_goes_through_a_link_or_a_file_whether_it_stands_there_or_comes_along() {
    let lower = "etc/passwd=theirs l->etc f=1";
    let refused =
        ["k->etc k/passwd", "l/passwd", "g g/x", "l/deep/x", "h=etc/passwd", "h=k/passwd k->etc", "k->etc h=k/passwd"];
    for (words, how) in refused
        .iter()
        .flat_map(|words| [OnConflict::Error, OnConflict::Replace, OnConflict::Keep].map(|how| (*words, how)))
    {
        let upper = memory("upper", "");
        let error = imported(&over(upper.clone(), lower), tar_of(words), "", how).unwrap_err();
        assert_eq!((error.kind(), draw_layer(&*upper).as_str()), (ErrorKind::Corrupt, ""), "{words} {how:?}: {error}");
    }
    let into = |at: &str| imported(&over(memory("upper", ""), lower), tar_of("x"), at, OnConflict::Replace);
    assert_eq!(into("f/deep").unwrap_err().kind(), ErrorKind::NotADirectory);
    assert_eq!(into("f").unwrap_err().kind(), ErrorKind::NotADirectory);
    // The place that the client names may lead through links, like any other path of a client.
    let overlay = over(memory("upper", ""), lower);
    imported(&overlay, tar_of("x"), "l/new", OnConflict::Error).unwrap();
    assert!(overlay.entry(&path("etc/new/x"), Follow::No).is_ok());
    let dangling = over(memory("upper", ""), "l->nowhere");
    assert_eq!(imported(&dangling, tar_of("x"), "l", OnConflict::Replace).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_member_that_comes_twice_meets_the_first_like_anything_else() {
    let twice = || {
        let (one, other) = (tar_of("a b"), tar_of("a->b"));
        [&one[..one.len() - 1024], &other].concat()
    };
    let overlay = over(memory("upper", ""), "");
    assert_eq!(imported(&overlay, twice(), "", OnConflict::Error).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!((draw(&overlay).as_str(), overlay.generation()), ("", 0));
    assert_eq!(imported(&overlay, twice(), "", OnConflict::Keep).unwrap().kept, 1);
    assert_eq!(draw(&overlay), "a= b=");
    overlay.remove(&ctx(), &path("a"), Removal::File).unwrap();
    imported(&overlay, twice(), "", OnConflict::Replace).unwrap();
    assert_eq!(draw(&overlay), "a->b b=");
}

#[test]
fn a_device_that_would_be_a_whiteout_is_left_out_and_told() {
    let overlay = over(Memory::new("upper", 1), "b=1");
    let members = vec![Member::stored("b", "").mode(0o020_600), Member::stored("c", "")];
    let done = imported(&overlay, archive(members), "", OnConflict::Replace).unwrap();
    assert_eq!(draw(&overlay), "b=1 c=");
    let told: Vec<_> = done.omitted.iter().map(|omitted| (&*omitted.name, omitted.shown)).collect();
    assert_eq!(told, [(&b"b"[..], false)]);
}
