//! The twin: random operations on an overlay and on one plain tree with the same content.
//!
//! After each step both show the same, and the lowers are as they were. A failure prints its seed.

use std::sync::Arc;

use ovl_core::{
    Kind, Layer, Overlay, Time, VPath,
    layers::memory::Memory,
    overlay::{Follow, Policy, WalkOptions},
    testing::{
        drawing::{Item, content, draw, draw_layer, fill, memory},
        history::{Op, Rng, XATTR, layer, op, run},
    },
};

const HISTORIES: u64 = 150;
const STEPS: usize = 40;

/// Returns a plain tree with what an overlay shows.
fn flattened(overlay: &Arc<Overlay>) -> Arc<Overlay> {
    let walk = overlay.walk(&VPath::root(), WalkOptions::default()).unwrap();
    let items: Vec<Item> = walk
        .map(|line| {
            let (path, shown) = line.unwrap();
            let mut item = Item::new(path.clone(), shown.kind);
            item.attrs = overlay.entry(&path, Follow::No).unwrap().stat.attrs;
            match shown.kind {
                Kind::File => item.content = content(overlay, &path).unwrap(),
                Kind::Symlink => item.target = overlay.target(&path).unwrap(),
                _ => {}
            }
            item
        })
        .collect();
    let plain = Memory::new("plain", 0);
    fill(&*plain, &items).unwrap();
    Overlay::new(Some(plain), Vec::new(), Policy::default(), None).unwrap()
}

/// Draws content, modes and attributes.
fn portrait(overlay: &Arc<Overlay>) -> String {
    let mut text = draw(overlay);
    for line in overlay.walk(&VPath::root(), WalkOptions::default()).unwrap() {
        let (path, _) = line.unwrap();
        let mode = overlay.entry(&path, Follow::No).unwrap().stat.attrs.mode;
        let value = overlay.xattrs(&path, Follow::No).unwrap().into_iter().find(|x| &*x.name == XATTR);
        text += &format!("\n{path} {mode:o} {:?}", value.map(|x| x.value));
    }
    text
}

/// Lower hard links do not exist in drawings, so a link's both names are upper objects in both trees.
fn history(seed: u64) {
    let mut rng = Rng(seed);
    let lowers: Vec<String> = (0..1 + rng.below(3)).map(|_| layer(&mut rng, true)).collect();
    let drawn: Vec<Arc<dyn Layer>> = lowers.iter().map(|text| memory("lower", text) as Arc<dyn Layer>).collect();
    let before: Vec<String> = drawn.iter().map(|lower| draw_layer(&**lower)).collect();
    let overlay = Overlay::new(Some(memory("upper", "")), drawn.clone(), Policy::default(), None).unwrap();
    let plain = flattened(&overlay);
    let mut done: Vec<Op> = Vec::new();
    for step in 0..STEPS {
        let op = op(&mut rng);
        done.push(op.clone());
        let now = Time { secs: 2_000_000_000 + step as i64, nanos: 0 };
        let here = run(&overlay, &op, now).map_err(|e| e.kind());
        let there = run(&plain, &op, now).map_err(|e| e.kind());
        let context = || format!("seed {seed}, lowers {lowers:?}, history {done:?}");
        assert_eq!(here, there, "{}", context());
        assert_eq!(portrait(&overlay), portrait(&plain), "{}", context());
    }
    let after: Vec<String> = drawn.iter().map(|lower| draw_layer(&**lower)).collect();
    assert_eq!(before, after, "seed {seed}: a lower was changed");
}

#[test]
fn an_overlay_behaves_like_a_plain_tree() {
    let first: u64 = option_env!("OVL_SEED").and_then(|seed| seed.parse().ok()).unwrap_or(1);
    (first..first + HISTORIES).for_each(history);
}
