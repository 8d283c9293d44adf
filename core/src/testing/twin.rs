//! The twin: operations on an overlay and on one plain tree with the same content.

use std::sync::Arc;

use crate::{
    ErrorKind, Kind, Layer, Overlay, Time, VPath, WritableLayer,
    layers::memory::Memory,
    overlay::{Follow, Policy, WalkOptions},
    testing::{
        drawing::{Item, content, draw, draw_layer, fill, memory},
        history::{Choose, Op, XATTR, layer, op, run},
    },
};

/// Returns a plain tree with what an overlay shows.
fn flattened(overlay: &Arc<Overlay>) -> Arc<Overlay> {
    let walk = overlay.walk(&VPath::root(), WalkOptions::default()).expect("the twin works");
    let items: Vec<Item> = walk
        .map(|line| {
            let (path, shown) = line.expect("the twin works");
            let mut item = Item::new(path.clone(), shown.kind);
            item.attrs = overlay.entry(&path, Follow::No).expect("the twin works").stat.attrs;
            match shown.kind {
                Kind::File => item.content = content(overlay, &path).expect("the twin works"),
                Kind::Symlink => item.target = overlay.target(&path).expect("the twin works"),
                _ => {}
            }
            item
        })
        .collect();
    let plain = Memory::new("plain", 0);
    fill(&*plain, &items).expect("the twin works");
    Overlay::new(Some(plain), Vec::new(), Policy::default(), None).expect("the twin works")
}

/// Draws content, modes and attributes.
fn portrait(overlay: &Arc<Overlay>) -> String {
    let mut text = draw(overlay);
    for line in overlay.walk(&VPath::root(), WalkOptions::default()).expect("the twin works") {
        let (path, _) = line.expect("the twin works");
        let info = overlay.entry(&path, Follow::No).expect("the twin works");
        let told = overlay.stat(&path).expect("the twin works");
        assert_eq!(told, Some((info.stat, info.layers[0])), "{path}");
        let mode = info.stat.attrs.mode;
        let value = overlay.xattrs(&path, Follow::No).expect("the twin works").into_iter().find(|x| &*x.name == XATTR);
        text += &format!("\n{path} {mode:o} {:?}", value.map(|x| x.value));
    }
    text
}

/// Draws lowers for `upper`, an empty one, and runs `steps` operations as `choose` has it: after each, overlay and plain
/// tree answer and show the same, and at the end the lowers are as they were. Panics with the whole history where they
/// differ. A rename that the upper cannot record is none on the plain tree.
///
/// Lower hard links do not exist in drawings, so a link's both names are upper objects in both trees.
pub fn check(choose: &mut impl Choose, steps: usize, upper: Arc<dyn WritableLayer>) {
    let lowers: Vec<String> = (0..1 + choose.below(3)).map(|_| layer(choose, true)).collect();
    let drawn: Vec<Arc<dyn Layer>> = lowers.iter().map(|text| memory("lower", text) as Arc<dyn Layer>).collect();
    let before: Vec<String> = drawn.iter().map(|lower| draw_layer(&**lower)).collect();
    let overlay = Overlay::new(Some(upper), drawn.clone(), Policy::default(), None).expect("the twin works");
    let plain = flattened(&overlay);
    let mut done: Vec<Op> = Vec::new();
    for step in 0..steps {
        if step % 8 == 0 {
            // Few enough that some have to go.
            overlay.remember_dirs(step % 16 * 3);
        }
        let op = op(choose);
        done.push(op.clone());
        let now = Time { secs: 2_000_000_000 + step as i64, nanos: 0 };
        let here = run(&overlay, &op, now).map_err(|e| e.kind());
        let context = || format!("lowers {lowers:?}, history {done:?}");
        if here != Err(ErrorKind::CrossLayerRename) {
            let there = run(&plain, &op, now).map_err(|e| e.kind());
            assert_eq!(here, there, "{}", context());
        }
        assert_eq!(portrait(&overlay), portrait(&plain), "{}", context());
    }
    let after: Vec<String> = drawn.iter().map(|lower| draw_layer(&**lower)).collect();
    assert_eq!(before, after, "a lower was changed");
}
