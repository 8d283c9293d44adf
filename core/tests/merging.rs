//! What merging means: layers are drawn, the table is the specification (semantics 2.2, 2.10, 2.11).

use ovl_core::{
    ErrorKind, VPath,
    overlay::{Detail, Fate, Follow, Reason, Shown, WalkOptions},
    testing::drawing::{content, draw, stack},
};

#[test]
fn layers_merge() {
    // upper, lowers from the top, and the one tree that they show
    let cases: &[(&str, &[&str], &str)] = &[
        ("a=2", &["a=1"], "a=2"),
        ("", &["a=2", "a=1 b=1"], "a=2 b=1"),
        ("-a", &["a=1 b=1"], "b=1"),
        ("d/new=2", &["d/old=1"], "d/ d/new=2 d/old=1"),
        ("d/! d/new=2", &["d/ d/old=1"], "d/ d/new=2"),
        ("", &["-d", "d/ d/deep=0"], ""),
        // L01, L02: a non-directory hides everything, a directory over a file is not merged
        ("d=1", &["d/x=1"], "d=1"),
        ("d/x=1", &["d=1", "d/y=1"], "d/ d/x=1"),
        // L04: a file in a middle layer ends the merge
        ("d/x=1", &["d=1", "d/z=1"], "d/ d/x=1"),
        // L05, L06: so does a whiteout
        ("d/x=1", &["-d", "d/z=1"], "d/ d/x=1"),
        // L07: opaque in any layer
        ("d/x=1", &["d/! d/y=1", "d/z=1"], "d/ d/x=1 d/y=1"),
        ("", &["d/! d/y=1", "d/z=1"], "d/ d/y=1"),
        // L13: a lower symlink is not followed while merging
        ("d/x=1", &["d->e e/y=1"], "d/ d/x=1 e/ e/y=1"),
        // L15: a .wh. name is a name
        (".wh.a=1", &["a=1 .wh..wh..opq=1"], ".wh..wh..opq=1 .wh.a=1 a=1"),
        // L18: a whiteout inside an opaque directory shows nothing
        ("d/! -d/x", &["d/x=1"], "d/"),
        // N08, N09: redirects, by name and by path
        ("new/@old -old", &["old/x=1"], "new/ new/x=1"),
        ("new/@/a/old", &["a/old/x=1 new/y=1"], "a/ a/old/ a/old/x=1 new/ new/x=1"),
        (
            "new/@/a/old new/w=2",
            &["a/old/x=1", "a/old/y=1"],
            "a/ a/old/ a/old/x=1 a/old/y=1 new/ new/w=2 new/x=1 new/y=1",
        ),
        // N12: from the redirecting layer downwards
        ("n/u=1", &["n/@old n/m=1", "old/x=1 n/y=1"], "n/ n/m=1 n/u=1 n/x=1 old/ old/x=1"),
        (
            "a/@/p a/sub/@s",
            &["p/s/deep=1 p/sub/no=1"],
            "a/ a/s/ a/s/deep=1 a/sub/ a/sub/deep=1 p/ p/s/ p/s/deep=1 p/sub/ p/sub/no=1",
        ),
        // an absolute redirect leads out of an opaque ancestor
        ("o/! o/d/@/r", &["r/x=1 o/d/y=1"], "o/ o/d/ o/d/x=1 r/ r/x=1"),
        // N13: what is no redirect is an error of that path alone
        ("n/@a//b ok=1", &["a/b/x=1"], "?list /n"),
        // Y01, Y03: metadata above, content below
        ("m+=", &["m=data"], "m=data"),
        ("m+=", &["m+=", "m=deep"], "m=deep"),
        ("m+=", &["x=1"], "/m?Corrupt x=1"),
        ("", &["m+="], "/m?Corrupt"),
    ];
    for (upper, lowers, shown) in cases {
        let drawn = draw(&stack(upper, lowers));
        let fits = if shown.starts_with('?') {
            drawn.contains("BadMark") || drawn.contains("invalid overlay mark")
        } else {
            drawn == *shown
        };
        assert!(fits, "{upper:?} over {lowers:?} shows {drawn:?}, not {shown:?}");
    }
}

#[test]
fn symbolic_links_are_followed_within_the_merged_root() {
    let overlay = stack("up->../../d/x abs->/d/x loop->loop dir->d", &["d/x=1 d/back->../d/x file=1"]);
    for path in ["up", "abs", "dir/x", "d/back", "dir/back"] {
        let (info, _) = overlay.open(&VPath::parse(path.as_bytes()).unwrap(), Follow::Yes).unwrap();
        assert_eq!(info.path.to_string(), "/d/x", "{path}");
    }
    let kind = |path: &str| overlay.entry(&VPath::parse(path.as_bytes()).unwrap(), Follow::Yes).unwrap_err().kind();
    assert_eq!(kind("loop"), ErrorKind::Loop);
    assert_eq!(kind("file/x"), ErrorKind::NotADirectory);
    assert_eq!(kind("none/x"), ErrorKind::NotFound);
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let chain = |n: usize| (0..n).map(|i| format!("l{i}->l{}", i + 1)).collect::<Vec<_>>().join(" ");
    for (links, works) in [(40, true), (41, false)] {
        let overlay = stack(&format!("{} l{links}=end", chain(links)), &[]);
        let found = overlay.entry(&VPath::parse(b"l0").unwrap(), Follow::Yes);
        assert_eq!(found.map_err(|e| e.kind()).is_ok(), works, "{links} links");
    }
}

#[test]
fn five_hundred_lowers_merge() {
    let lowers: Vec<String> = (0..500).map(|i| format!("d/f{i}={i} all={i}")).collect();
    let lowers: Vec<&str> = lowers.iter().map(String::as_str).collect();
    let overlay = stack("", &lowers);
    assert_eq!(overlay.list(&VPath::parse(b"d").unwrap(), None, 1000, Default::default()).unwrap().len(), 500);
    assert_eq!(content(&overlay, &VPath::parse(b"all").unwrap()).unwrap(), b"0");
}

#[test]
fn listings_and_walks_tell_what_entries_tell() {
    let overlay = stack("d/x=new m/@old -gone o/! o/y=1", &["d/x=mid d/z=12 f=1", "d/x=old old/a=1 gone=1 o/z=1 d/s/"]);
    let detail = Detail { stats: true, ..Detail::default() };
    let check = |path: &VPath, shown: &Shown| {
        let entry = overlay.entry(path, Follow::No).unwrap();
        assert_eq!((shown.stat, shown.layer), (Some(entry.stat), entry.layers[0]), "{path}");
    };
    let walk = overlay.walk(&VPath::root(), WalkOptions { detail, ..WalkOptions::default() }).unwrap();
    let lines: Vec<(VPath, Shown)> = walk.map(Result::unwrap).collect();
    assert_eq!(lines.len(), 11);
    lines.iter().for_each(|(path, shown)| check(path, shown));
    for shown in overlay.list(&VPath::root(), None, 100, detail).unwrap() {
        check(&VPath::root().join(shown.name.as_name()), &shown);
    }
}

#[test]
fn why_names_what_each_layer_does() {
    let overlay = stack("-gone d/! d/x=3", &["gone=12 d/x=2", "gone=1 d/x=1 d/y=1"]);
    let fates = |path: &str| {
        let why = overlay.why(&VPath::parse(path.as_bytes()).unwrap()).unwrap();
        (why.shown, why.layers.into_iter().map(|verdict| verdict.fate).collect::<Vec<_>>())
    };
    let at = |path: &str| VPath::parse(path.as_bytes()).unwrap();
    let hidden = |by, path, reason| Fate::Hidden { by, at: at(path), reason };
    let whited = hidden(0, "gone", Reason::Whiteout);
    assert_eq!(fates("gone"), (None, vec![Fate::Hides, whited.clone(), whited]));
    let opaque = hidden(0, "d", Reason::Opaque);
    assert_eq!(fates("d/x"), (Some(0), vec![Fate::Shows, opaque.clone(), opaque.clone()]));
    assert_eq!(fates("d/y"), (None, vec![Fate::Absent, Fate::Absent, opaque]));
    let covered = hidden(0, "f", Reason::Covered);
    let overlay = stack("f=1", &["f/x=1"]);
    let why = overlay.why(&at("f")).unwrap();
    assert_eq!(why.layers[1].fate, covered);
    assert_eq!(why.layers[0].size, Some(1));
}

#[test]
fn linuxs_own_demo() {
    let overlay = stack("file1=upper", &["file1=lower file2=lower"]);
    assert_eq!(draw(&overlay), "file1=upper file2=lower");
}
