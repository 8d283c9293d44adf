//! The tree as it is drawn, and a directory in all layers at once.

use std::sync::Arc;

use ovl_core::{
    Overlay, VPath,
    outline::Outline,
    overlay::{Ctx, Deed, Event, Fate, Removal},
    testing::{
        drawing::stack,
        history::{Choose, Rng},
    },
};

fn path(text: &str) -> VPath {
    VPath::parse(text.as_bytes()).unwrap()
}

/// Draws lines: their level, name, place of how many, and whether they are open.
fn drawn(outline: &mut Outline, overlay: &Arc<Overlay>, start: usize, count: usize) -> Vec<String> {
    let rows = outline.rows(overlay, start, count).unwrap();
    let line = |row: &ovl_core::outline::Row| {
        let open = if row.open { "-" } else { "" };
        format!("{}{open}{} {}/{}", " ".repeat(row.level - 1), row.path, row.position + 1, row.siblings)
    };
    rows.iter().map(line).collect()
}

#[test]
fn the_lines_of_open_directories_stand_beneath_them() {
    let overlay = stack("", &["a/x=1 a/y=2 b=3 c/d/e=4"]);
    let mut outline = Outline::new(false);
    assert_eq!(drawn(&mut outline, &overlay, 0, 9), ["/a 1/3", "/b 2/3", "/c 3/3"]);
    outline.expand(&overlay, &path("c/d")).unwrap();
    outline.expand(&overlay, &path("a")).unwrap();
    let all = ["-/a 1/3", " /a/x 1/2", " /a/y 2/2", "/b 2/3", "-/c 3/3", " -/c/d 1/1", "  /c/d/e 1/1"];
    assert_eq!(drawn(&mut outline, &overlay, 0, 9), all);
    assert_eq!(outline.total(&overlay).unwrap(), all.len());
    assert_eq!(outline.row_of(&overlay, &path("c/d/e")).unwrap(), Some(6));
    outline.collapse(&path("c"));
    assert_eq!(outline.row_of(&overlay, &path("c/d/e")).unwrap(), None);
    assert_eq!(outline.row_of(&overlay, &path("c")).unwrap(), Some(4));
    assert_eq!(outline.row_of(&overlay, &path("gone")).unwrap(), None);
}

#[test]
fn any_window_shows_the_lines_of_the_whole() {
    let mut rng = Rng(7);
    let mut names: Vec<String> = (0..1500).map(|i| format!("d/f{i}=1")).collect();
    names.extend((0..600).map(|i| format!("d/s{}/x{i}=1", i % 7)));
    names.extend((0..300).map(|i| format!("z{i}=1")));
    let overlay = stack("-d/f77", &[&names.join(" ")]);
    let mut outline = Outline::new(false);
    for dir in ["d", "d/s0", "d/s3", "d/s6"] {
        outline.expand(&overlay, &path(dir)).unwrap();
    }
    let whole = drawn(&mut outline, &overlay, 0, usize::MAX);
    assert_eq!(whole.len(), outline.total(&overlay).unwrap());
    for _ in 0..300 {
        let (start, count) = (rng.below(whole.len() + 3), rng.below(700));
        let wanted: Vec<String> = whole.iter().skip(start).take(count).cloned().collect();
        assert_eq!(drawn(&mut outline, &overlay, start, count), wanted, "{count} from {start}");
    }
    for (number, row) in outline.rows(&overlay, 0, usize::MAX).unwrap().iter().enumerate() {
        assert_eq!(outline.row_of(&overlay, &row.path).unwrap(), Some(number));
    }
}

#[test]
fn what_changes_is_counted_anew_when_it_is_told() {
    let overlay = stack("", &["a/x=1 b/y=2"]);
    let mut outline = Outline::new(false);
    outline.expand(&overlay, &path("a")).unwrap();
    outline.expand(&overlay, &path("b")).unwrap();
    assert_eq!(outline.total(&overlay).unwrap(), 4);
    overlay.remove(&Ctx::default(), &path("a"), Removal::Tree).unwrap();
    outline.follow(&Event { generation: 1, deed: Deed::Removed, path: path("a") });
    assert_eq!(drawn(&mut outline, &overlay, 0, 9), ["-/b 1/1", " /b/y 1/1"]);
    overlay.mkdir(&Ctx::default(), &path("b/c"), None).unwrap();
    outline.follow(&Event { generation: 2, deed: Deed::Created, path: path("b/c") });
    assert_eq!(drawn(&mut outline, &overlay, 0, 9), ["-/b 1/1", " /b/c 1/2", " /b/y 2/2"]);
}

#[test]
fn whiteouts_have_lines_when_they_are_asked_for() {
    let overlay = stack("-a", &["a=1 b=2"]);
    assert_eq!(drawn(&mut Outline::new(true), &overlay, 0, 9), ["/a 1/2", "/b 2/2"]);
    assert_eq!(drawn(&mut Outline::new(false), &overlay, 0, 9), ["/b 1/1"]);
}

#[test]
fn what_an_opaque_directory_hides_has_lines_when_it_is_asked_for() {
    // What lies under a name that shows, or under a whiteout, has no line of its own; nor has a whiteout that is hidden.
    let overlay = stack("d/! d/b=2 -d/gone", &["d/a=1 d/b=3 d/gone=4 -d/none", "d/c/x=5 d/a/y=6"]);
    let mut outline = Outline::new(true);
    outline.expand(&overlay, &path("d")).unwrap();
    let rows = outline.rows(&overlay, 0, 9).unwrap();
    let lines: Vec<_> = rows.iter().map(|row| (row.path.to_string(), row.shown.layer, row.shown.hidden)).collect();
    let line = |path: &str, layer, hidden| (path.to_owned(), layer, hidden);
    let (a, b, c) = (line("/d/a", 1, true), line("/d/b", 0, false), line("/d/c", 2, true));
    assert_eq!(lines, [line("/d", 0, false), a, b, c, line("/d/gone", 0, false)]);
    assert_eq!(rows[1].shown.stat.map(|stat| stat.size), Some(1));
    assert!(rows[2].shown.below.is_empty(), "what is hidden adds nothing");
    assert_eq!(outline.row_of(&overlay, &path("d/c")).unwrap(), Some(3));
    assert!(outline.expand(&overlay, &path("d/c")).is_err());
    outline.show_unseen(false);
    assert_eq!(drawn(&mut outline, &overlay, 0, 9), ["-/d 1/1", " /d/b 1/1"]);
}

#[test]
fn an_xray_tells_of_every_name_in_any_layer() {
    // upper, lowers, directory; a name and the fates from the top
    let cases: &[(&str, &[&str], &str, &[&str])] = &[
        ("d/a=1", &["d/b=2"], "d", &["a: shows absent", "b: absent shows"]),
        ("-d", &["d/b=2"], "d", &["b: absent hidden"]),
        ("d/! d/a=1", &["d/a=2 d/b=3"], "d", &["a: shows hidden", "b: absent hidden"]),
        ("d/ -d/b", &["d/b=3"], "d", &["b: hides hidden"]),
        ("d=1", &["d/b=3"], "d", &["b: absent hidden"]),
        ("", &["e/x=1", "e/x=2"], "", &["e: absent shows merges"]),
    ];
    for (upper, lowers, dir, rows) in cases {
        let xray = stack(upper, lowers).xray(&path(dir), None, 10).unwrap();
        let fate = |fate: &Fate| match fate {
            Fate::Absent => "absent",
            Fate::Shows => "shows",
            Fate::Merges => "merges",
            Fate::GivesContent => "gives",
            Fate::Hides => "hides",
            Fate::Hidden { .. } => "hidden",
        };
        let drawn = xray.iter().map(|why| {
            let fates: Vec<&str> = why.layers.iter().map(|verdict| fate(&verdict.fate)).collect();
            let name = String::from_utf8_lossy(why.path.last().unwrap().as_bytes()).into_owned();
            format!("{name}: {}", fates.join(" "))
        });
        assert_eq!(drawn.collect::<Vec<_>>(), *rows, "{upper:?} over {lowers:?}");
    }
}

#[test]
fn the_pages_of_an_xray_join_and_agree_with_why() {
    let overlay = stack("d/a=1 -d/c d/e=2", &["d/b=1 d/c=1", "d/a=1 d/d=1 d/e=1"]);
    let dir = path("d");
    let all = overlay.xray(&dir, None, 100).unwrap();
    let mut joined = Vec::new();
    while let page @ [_, ..] =
        &*overlay.xray(&dir, joined.last().and_then(|why: &ovl_core::overlay::Why| why.path.last()), 2).unwrap()
    {
        let page = page.to_vec();
        joined.extend(page);
    }
    assert_eq!(joined, all);
    assert!(all.iter().all(|why| overlay.why(&why.path).unwrap() == *why));
    assert!(overlay.xray(&path("d/a"), None, 1).is_err() && overlay.xray(&path("no"), None, 1).is_err());
}
