//! One directory of a layer, shown as a layer of its own.

use std::sync::Arc;

use ovl_core::{
    ErrorKind, Layer, Overlay, VPath,
    layers::subtree::Subtree,
    overlay::Policy,
    testing::drawing::{draw, memory},
};

fn path(text: &str) -> VPath {
    VPath::parse(text.as_bytes()).expect("a path")
}

#[test]
fn a_directory_of_a_layer_is_a_layer() {
    // upper, the layer, which of its directories is shown, what the stack then shows
    let cases: &[(&str, &str, &str, &str)] = &[
        ("", "a=1 d/b=2 d/e/c=3", "d", "b=2 e/ e/c=3"),
        ("", "a=1 d/b=2 d/e/c=3", "d/e", "c=3"),
        ("", "a=1 d/b=2", "", "a=1 d/ d/b=2"),
        ("b=9 -e", "d/b=2 d/e/c=3", "d", "b=9"),
        ("", "d/l->../a a=1", "d", "l->../a"),
        ("", "d/", "d", ""),
    ];
    for (upper, layer, root, shown) in cases {
        let lower = Subtree::new(memory("lower", layer), &path(root)).expect("it is a directory");
        let lowers = vec![lower as Arc<dyn Layer>];
        let overlay = Overlay::new(Some(memory("upper", upper)), lowers, Policy::default(), None).expect("a stack");
        assert_eq!(draw(&overlay), *shown, "{upper:?} over {root:?} of {layer:?}");
    }
}

#[test]
fn what_is_missing_or_no_directory_is_refused() {
    let layer = memory("a.zip", "d/file=1 l->d -gone");
    for (root, kind, said) in [
        ("e", ErrorKind::NotFound, "take as root /e in layer a.zip: no such file or directory"),
        ("d/e/f", ErrorKind::NotFound, "take as root /d/e/f in layer a.zip: no such file or directory"),
        ("gone", ErrorKind::NotFound, "take as root /gone in layer a.zip: no such file or directory"),
        ("d/file", ErrorKind::NotADirectory, "take as root /d/file in layer a.zip: not a directory"),
        ("d/file/x", ErrorKind::NotADirectory, "take as root /d/file/x in layer a.zip: not a directory"),
        ("l", ErrorKind::NotADirectory, "take as root /l in layer a.zip: not a directory"),
    ] {
        let error = Subtree::new(layer.clone(), &path(root)).expect_err("it is refused");
        assert_eq!((error.kind(), &*error.to_string()), (kind, said));
    }
}
