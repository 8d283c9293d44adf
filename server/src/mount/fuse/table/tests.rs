use super::*;

fn path(text: &str) -> VPath {
    VPath::parse(text.as_bytes()).unwrap()
}

fn see(table: &mut Table, dir: u64, text: &str, number: u64) -> u64 {
    let kind = if text.ends_with('/') { Kind::Dir } else { Kind::File };
    let name = Name::new(text.trim_end_matches('/').as_bytes()).unwrap();
    table.learn(dir, name, Sight { kind, layer: 0, number, upper: true, links: false })
}

/// Sees a file that has other names, too.
fn see_link(table: &mut Table, text: &str, number: u64) -> u64 {
    let sight = Sight { kind: Kind::File, layer: 0, number, upper: true, links: true };
    table.learn(ROOT, Name::new(text.as_bytes()).unwrap(), sight)
}

fn event(deed: Deed, at: &str) -> Event {
    Event { generation: 1, deed, path: path(at) }
}

fn shown(table: &Table, ino: u64) -> Option<String> {
    table.path(ino).map(|path| path.to_string())
}

#[test]
fn a_number_follows_its_object_through_renames_of_what_is_above() {
    let mut table = Table::new();
    let dir = see(&mut table, ROOT, "d/", 1);
    let file = see(&mut table, dir, "f", 2);
    table.follow(&event(Deed::Moved(path("d")), "e"), true);
    assert_eq!(shown(&table, file).as_deref(), Some("/e/f"));
    // Into a directory that the kernel has not met.
    table.follow(&event(Deed::Moved(path("e")), "x/y/e"), false);
    assert_eq!(shown(&table, file).as_deref(), Some("/x/y/e/f"));
}

#[test]
fn an_exchange_gives_both_the_others_name() {
    let mut table = Table::new();
    let (one, other) = (see(&mut table, ROOT, "a", 1), see(&mut table, ROOT, "b", 2));
    table.follow(&event(Deed::Moved(path("a")), "b"), true);
    table.follow(&event(Deed::Moved(path("b")), "a"), true);
    assert_eq!((shown(&table, one).as_deref(), shown(&table, other).as_deref()), (Some("/b"), Some("/a")));
}

#[test]
fn what_is_renamed_over_or_removed_has_no_name() {
    let mut table = Table::new();
    let (one, other) = (see(&mut table, ROOT, "a", 1), see(&mut table, ROOT, "b", 2));
    table.follow(&event(Deed::Moved(path("a")), "b"), true);
    assert_eq!((shown(&table, one).as_deref(), shown(&table, other)), (Some("/b"), None));
    assert_eq!(table.follow(&event(Deed::Removed, "b"), false)[0], Notice::Name(ROOT, name("b")));
    assert_eq!(shown(&table, one), None);
}

fn name(text: &str) -> NameBuf {
    NameBuf::new(text.as_bytes()).unwrap()
}

#[test]
fn two_links_are_one_inode_and_two_objects_are_two() {
    let mut table = Table::new();
    let one = see_link(&mut table, "a", 7);
    assert_eq!(see_link(&mut table, "b", 7), one);
    table.follow(&event(Deed::Removed, "a"), true);
    assert_eq!(shown(&table, one).as_deref(), Some("/b"));
    assert_ne!(see(&mut table, ROOT, "c", 8), one);
}

#[test]
fn the_last_name_of_an_open_file_is_found_though_the_other_is_gone() {
    let mut table = Table::new();
    let one = see_link(&mut table, "a", 7);
    table.open(one);
    table.follow(&event(Deed::Removed, "a"), true);
    assert_eq!(see(&mut table, ROOT, "b", 7), one);
}

#[test]
fn what_gets_the_number_of_something_removed_is_not_that() {
    let mut table = Table::new();
    let one = see(&mut table, ROOT, "a", 7);
    table.follow(&event(Deed::Removed, "a"), true);
    assert_ne!(see(&mut table, ROOT, "b", 7), one);
}

#[test]
fn what_gets_the_number_of_something_replaced_is_not_that() {
    let mut table = Table::new();
    let one = see(&mut table, ROOT, "a", 7);
    table.follow(&event(Deed::Modified, "a"), false);
    assert_eq!([7, 8].map(|number| see(&mut table, ROOT, "a", number)), [one, one]);
    assert_ne!(see(&mut table, ROOT, "b", 7), one);
    assert_ne!(see_link(&mut table, "c", 7), one);
}

#[test]
fn a_copied_up_file_keeps_its_number_even_when_it_is_forgotten() {
    let mut table = Table::new();
    let sight = Sight { kind: Kind::File, layer: 1, number: 5, upper: false, links: false };
    let file = table.learn(ROOT, name("f").as_name(), sight);
    table.follow(&event(Deed::CopiedUp(3), "f"), true);
    assert_eq!(see(&mut table, ROOT, "f", 9), file);
    table.forget(file, 2);
    assert_eq!(shown(&table, file), None);
    assert_eq!(see(&mut table, ROOT, "f", 9), file);
}

#[test]
fn what_is_forgotten_leaves_nothing_behind() {
    let mut table = Table::new();
    let dir = see(&mut table, ROOT, "d/", 1);
    let file = see(&mut table, dir, "f", 2);
    table.forget(dir, 1);
    assert_eq!(shown(&table, file).as_deref(), Some("/d/f"), "what is beneath it is still known");
    table.forget(file, 1);
    assert_eq!((table.known.len(), table.links.len()), (1, 0));
}

#[test]
fn an_open_file_outlives_its_name_and_the_kernels_memory() {
    let mut table = Table::new();
    let file = see(&mut table, ROOT, "f", 2);
    table.open(file);
    table.follow(&event(Deed::Removed, "f"), true);
    table.forget(file, 1);
    assert!(table.is_open(file) && table.path(file).is_none());
    table.close(file);
    assert!(!table.is_open(file));
}
