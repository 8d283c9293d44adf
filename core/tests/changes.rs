//! Changes and discarding: what is told of an upper, and what shows after a change is thrown away.

use std::sync::{Arc, Mutex};

use ovl_core::{
    Change, Error, ErrorKind, Kind, Overlay, Time, VPath,
    diff::{Changed, What},
    overlay::{Ctx, Deed, Follow, Policy, PutOptions, Removal, RenameHow, When},
    testing::{
        drawing::{draw, draw_layer, memory, stack},
        failing::Failing,
    },
};

fn path(text: &str) -> VPath {
    VPath::parse(text.as_bytes()).unwrap()
}

fn ctx() -> Ctx {
    Ctx { now: Time { secs: 2_000_000_000, nanos: 7 }, ..Ctx::default() }
}

fn told(change: &Changed) -> String {
    let name = &change.path.to_string()[1..];
    match &change.what {
        What::Added => format!("+{name}"),
        What::Modified => format!("~{name}"),
        What::Metadata => format!("m{name}"),
        What::Deleted => format!("-{name}"),
        What::Opaque => format!("!{name}"),
        What::Renamed { from } => format!("{}>{name}", &from.to_string()[1..]),
        What::TypeChanged => format!("t{name}"),
    }
}

fn changes(overlay: &Arc<Overlay>) -> String {
    let all: Vec<String> = overlay.changes(&VPath::root(), None).unwrap().map(|c| told(&c.unwrap())).collect();
    all.join(" ")
}

#[test]
fn changes_are_the_upper_held_against_the_lowers() {
    let cases: &[(&str, &[&str], &str)] = &[
        ("", &["a=1"], ""),
        ("a=1", &[], "+a"),
        ("d/x=1", &[], "+d +d/x"),
        ("d/", &["d/a=1"], ""),
        ("d/b=1", &["d/a=1"], "+d/b"),
        ("a=1", &["a=1"], ""),
        ("a=2", &["a=1"], "~a"),
        ("a=22", &["a=1"], "~a"),
        ("a=1:600", &["a=1"], "ma"),
        ("a=2:600", &["a=1"], "~a"),
        ("a+=:600", &["a=1"], "ma"),
        ("d/:700", &["d/a=1"], "md"),
        ("-a", &["a=1"], "-a"),
        ("-a", &["b=1"], ""),
        ("-a", &["-a", "a=1"], ""),
        ("-d", &["d/a=1"], "-d"),
        ("d/ -d/a", &["d/a=1 d/b=1"], "-d/a"),
        ("d/!", &["d/a=1"], "!d"),
        ("d/! d/a=1", &["d/a=1 d/b=1"], "!d +d/a"),
        ("d/! -d/a", &["d/a=1"], "!d"),
        ("d/!", &["d/"], ""),
        ("d/!:700", &["d/"], "md"),
        ("d/!", &["a=1"], "+d"),
        ("d/!", &["d/ -d/a", "d/a=1"], ""),
        ("a/", &["a=1"], "ta"),
        ("a->b", &["a=1"], "ta"),
        ("a|", &["a/b=1"], "ta"),
        ("l->b", &["l->a"], "~l"),
        ("l->a", &["l->a"], ""),
        ("-a b/@a", &["a/x=1"], "a>b"),
        ("-a b/@/a b/x=2 b/y=1 -b/z", &["a/x=1 a/z=1"], "a>b ~b/x +b/y -b/z"),
        ("a/! a/n=1 b/@a", &["a/x=1"], "!a +a/n a>b"),
        ("a/@b b/@a", &["a/x=1 b/y=1"], "b>a a>b"),
        ("a/@a a/x=2", &["a/x=1"], "~a/x"),
        ("-a -c b/@/a -b/x b/y/@x", &["a/x/f=1 c/d=1"], "a>b a/x>b/y -c"),
        ("-a b/@gone", &["a/x=1"], "-a +b"),
        ("d/e/f/g=2", &["d/e/f/g=1 d/e/h=1"], "~d/e/f/g"),
        ("a=1 a.b=1 a-b=1", &[], "+a +a-b +a.b"),
    ];
    for (upper, lowers, want) in cases {
        assert_eq!(changes(&stack(upper, lowers)), *want, "{upper:?} over {lowers:?}");
    }
}

#[test]
fn a_change_tells_what_was_there_and_what_is_now() {
    let overlay = stack("a->b f=2:600 d/!", &["a/b=1 f=1 d/x=1"]);
    let all: Vec<Changed> = overlay.changes(&VPath::root(), None).unwrap().map(Result::unwrap).collect();
    let kinds: Vec<_> = all.iter().map(|c| (c.before, c.now.map(|stat| stat.kind), c.metadata)).collect();
    assert_eq!(
        kinds,
        [
            (Some(Kind::Dir), Some(Kind::Symlink), false),
            (Some(Kind::Dir), Some(Kind::Dir), false),
            (Some(Kind::File), Some(Kind::File), true),
        ]
    );
}

#[test]
fn a_path_has_the_change_that_the_list_tells_of_it() {
    let overlay = stack("-a b/@a b/x=2 d/n=1 -d/o", &["a/x=1 d/o=1 d/p=1"]);
    for change in overlay.changes(&VPath::root(), None).unwrap() {
        let change = change.unwrap();
        assert_eq!(overlay.change_at(&change.path).unwrap(), Some(change));
    }
    for unchanged in ["", "a", "d", "d/p", "nowhere", "d/o/under"] {
        assert_eq!(overlay.change_at(&path(unchanged)).unwrap(), None, "{unchanged}");
    }
}

#[test]
fn a_list_can_be_taken_up_behind_any_path() {
    let overlay = stack("a=1 d/ d/b=1 d/e/f=1 d/g=1 -h z=1", &["d/e/x=1 h=1"]);
    let all: Vec<Changed> = overlay.changes(&VPath::root(), None).unwrap().map(Result::unwrap).collect();
    for (index, change) in all.iter().enumerate() {
        let rest: Vec<Changed> =
            overlay.changes(&VPath::root(), Some(&change.path)).unwrap().map(Result::unwrap).collect();
        assert_eq!(rest, all[index + 1..], "behind {}", change.path);
    }
    let beneath: Vec<String> = overlay.changes(&path("d"), None).unwrap().map(|c| told(&c.unwrap())).collect();
    assert_eq!(beneath, ["+d/b", "+d/e/f", "+d/g"]);
}

#[test]
fn what_the_overlay_does_is_what_changes_tell() {
    let overlay = stack("", &["a=1 b=1 d/x=1 d/y=1 e/deep/f=1 k=1"]);
    let ctx = ctx();
    overlay.remove(&ctx, &path("a"), Removal::File).unwrap();
    let upload = overlay.upload(&ctx).unwrap();
    upload.write_at(b"2", 0).unwrap();
    overlay.put(&ctx, &path("b"), &upload, &PutOptions::default()).unwrap();
    overlay.rename(&ctx, &path("d"), &path("e/moved"), RenameHow::NoReplace).unwrap();
    overlay.remove(&ctx, &path("e/moved/x"), Removal::File).unwrap();
    let chmod = Change { mode: Some(0o600), ..Change::default() };
    overlay.set(&ctx, &path("k"), Follow::No, &chmod).unwrap();
    overlay.set(&ctx, &path("e/deep"), Follow::No, &chmod).unwrap();
    overlay.mkdir(&ctx, &path("new"), None).unwrap();
    assert_eq!(changes(&overlay), "-a ~b me/deep d>e/moved -e/moved/x mk +new");
}

#[test]
fn an_overlay_without_upper_has_no_changes() {
    let overlay = Overlay::new(None, vec![memory("lower", "a=1")], Policy::default(), None).unwrap();
    assert_eq!(changes(&overlay), "");
    let refused = overlay.discard(&ctx(), &path("a")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NoUpper);
}

#[test]
fn discarding_shows_the_lowers_again() {
    // upper, lowers, what is discarded, what shows then, what the upper holds then
    let cases: &[(&str, &[&str], &str, &str, &str)] = &[
        ("a=2", &["a=1"], "a", "a=1", ""),
        ("-a", &["a=1"], "a", "a=1", ""),
        ("new=1", &["a=1"], "new", "a=1", ""),
        ("d/! d/n=1", &["d/a=1"], "d", "d/ d/a=1", ""),
        ("d/! d/n=1 d/m=1", &["d/n=0"], "d/n", "d/ d/m=1", "d/! d/m=1"),
        ("d/a/b=1 d/c=1", &[], "d/a", "d/ d/c=1", "d/ d/c=1"),
        ("d/ d/x=2 -d/y d/z=1", &["d/x=1 d/y=1"], "d", "d/ d/x=1 d/y=1", ""),
        ("-a b/@a b/x=2", &["a/x=1"], "b", "a/ a/x=1", ""),
        ("-a b/@a b/x=2", &["a/x=1"], "a", "a/ a/x=1", ""),
        ("-a d/ d/b/@/a", &["a/x=1 d/"], "d", "a/ a/x=1 d/", ""),
        ("a/! a/n=1 b/@a", &["a/x=1"], "b", "a/ a/n=1", "a/! a/n=1"),
        ("d/ -d/a d/b/@a", &["d/a/x=1"], "d", "d/ d/a/ d/a/x=1", ""),
        ("-a -b c/@a", &["a/x=1 b/y=1"], "b", "b/ b/y=1 c/ c/x=1", "-a c/@a"),
        // What stands where a renamed directory was goes alone: the directory still shows at one place.
        ("a=2 b/@a", &["a/x=1"], "a", "b/ b/x=1", "-a b/@a"),
        ("a/! a/n=1 b/@a", &["a/x=1"], "a", "b/ b/x=1", "-a b/@a"),
        ("a/! a/b/@/a", &["a/x=1"], "a", "a/ a/x=1", ""),
    ];
    for (upper, lowers, at, shown, left) in cases {
        let top = memory("upper", upper);
        let lowers_: Vec<Arc<dyn ovl_core::Layer>> = lowers.iter().map(|text| memory("lower", text) as _).collect();
        let overlay = Overlay::new(Some(top.clone()), lowers_, Policy::default(), None).unwrap();
        let done = overlay.discard(&ctx(), &path(at)).unwrap();
        assert_eq!(done.info, None);
        assert_eq!(draw(&overlay), *shown, "discard {at} in {upper:?} over {lowers:?}");
        assert_eq!(draw_layer(&*top), *left, "discard {at} in {upper:?} over {lowers:?}");
    }
}

#[test]
fn discarding_a_tree_out_of_which_a_directory_was_moved_is_refused_whatever_stands_there_now() {
    for upper in ["d/ d/a=2 m/@/d/a", "d/! d/a=2 m/@/d/a", "-d m/@/d/a", "d=2 m/@/d/a", "-d d2/@d d2/a=2 m/@/d/a"] {
        let overlay = stack(upper, &["d/a/x=1"]);
        let (before, at) = (draw(&overlay), if upper.contains("d2") { "d2" } else { "d" });
        let refused = overlay.discard(&ctx(), &path(at)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Busy, "{upper}: {refused}");
        assert_eq!(draw(&overlay), before);
    }
}

#[test]
fn discarding_everything_leaves_the_lowers_alone_to_show() {
    let overlay = stack("-a b/@a b/x=2 d/! d/n=1 f->g", &["a/x=1 d/o=1"]);
    overlay.discard_all(&ctx()).unwrap();
    assert_eq!(draw(&overlay), "a/ a/x=1 d/ d/o=1");
    assert_eq!(changes(&overlay), "");
}

#[test]
fn discarding_refuses_what_would_lose_or_mislead() {
    let overlay = stack("d/ -d/a e/ e/b/@/d/a e/b/new=1 k=2", &["d/a/x=1 e/f=1 k=1"]);
    let kind = |result: Result<_, Error>| result.map(drop).unwrap_err().kind();
    assert_eq!(kind(overlay.discard(&ctx(), &path("e/f"))), ErrorKind::NotFound);
    assert_eq!(kind(overlay.discard(&ctx(), &path("nowhere/at/all"))), ErrorKind::NotFound);
    let moved_out = overlay.discard(&ctx(), &path("d")).unwrap_err();
    assert_eq!(moved_out.kind(), ErrorKind::Busy);
    assert!(moved_out.to_string().contains("/e/b was moved out of it"), "{moved_out}");
    let absent = Ctx { when: When::Absent, ..ctx() };
    assert_eq!(kind(overlay.discard(&absent, &path("k"))), ErrorKind::Precondition);
    assert_eq!(changes(&overlay), "d/a>e/b +e/b/new ~k");
    overlay.discard(&ctx(), &path("e/b")).unwrap();
    overlay.discard(&ctx(), &path("d")).unwrap();
    assert_eq!(changes(&overlay), "~k");
}

#[test]
fn discarding_is_told_to_observers_under_one_generation() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = events.clone();
    let observer = Box::new(move |event: &ovl_core::overlay::Event| heard.lock().unwrap().push(event.clone()));
    let lowers: Vec<Arc<dyn ovl_core::Layer>> = vec![memory("lower", "a/x=1")];
    let overlay = Overlay::new(Some(memory("upper", "-a b/@a")), lowers, Policy::default(), Some(observer)).unwrap();
    let done = overlay.discard(&ctx(), &path("b")).unwrap();
    let events = events.lock().unwrap();
    let told: Vec<_> = events.iter().map(|e| (e.generation, e.deed.clone(), e.path.to_string())).collect();
    assert_eq!(
        told,
        [(done.generation, Deed::Discarded, "/a".to_owned()), (done.generation, Deed::Discarded, "/b".to_owned())]
    );
}

#[test]
fn a_failure_while_discarding_loses_nothing_from_view() {
    for nth in 1..40 {
        let whole = memory("upper", "-a b/@a b/x=2");
        let lowers: Vec<Arc<dyn ovl_core::Layer>> = vec![memory("lower", "a/x=1")];
        let failing = Failing::new(whole.clone(), nth, ErrorKind::Io);
        let overlay = Overlay::new(Some(failing.clone()), lowers.clone(), Policy::default(), None).unwrap();
        let result = overlay.discard(&ctx(), &path("b"));
        let shown = draw(&Overlay::new(Some(whole), lowers, Policy::default(), None).unwrap());
        let (before, between, after) = ("b/ b/x=2", "a/ a/x=1 b/ b/x=2", "a/ a/x=1");
        if !failing.has_failed() {
            assert_eq!((result.is_ok(), shown.as_str()), (true, after));
            return;
        }
        assert!(result.is_err() && [before, between, after].contains(&&*shown), "at call {nth}: {shown:?}");
    }
    panic!("forty calls were not enough");
}
