//! The machine stops at any call of any workload of up to two operations: each tree afterwards is the last
//! acknowledged one or that of the one request after it, whatever the disk has lost of the rest (trust 3).

use std::sync::Arc;

use ovl_core::{
    Layer, Overlay, Time, VPath, WritableLayer,
    layers::memory::Memory,
    overlay::{Policy, RenameHow},
    testing::{
        crash::Crashing,
        drawing::{draw, memory},
        history::{Op, run},
    },
};

const UPPER: &str = "up=1 dir/x=1 -gone";
const LOWER: &str = "low=22 gone/z=1 sub/k=1";

fn at(path: &str) -> VPath {
    VPath::parse(path.as_bytes()).unwrap()
}

fn stack(upper: Arc<dyn WritableLayer>) -> Arc<Overlay> {
    Overlay::new(Some(upper), vec![memory("lower", LOWER) as Arc<dyn Layer>], Policy::default(), None).unwrap()
}

fn fresh() -> Arc<Memory> {
    memory("upper", UPPER)
}

/// PUT, PUT over a lower, DELETE, MKCOL, MOVE of files and directories, PATCH: on upper, lower and merged objects.
fn operations() -> Vec<Op> {
    let rename = |from, to| Op::Rename(at(from), at(to), RenameHow::Replace);
    vec![
        Op::Put(at("up"), b"2".to_vec()),
        Op::Put(at("sub/k"), b"3".to_vec()),
        Op::Put(at("sub/new"), b"4".to_vec()),
        Op::Append(at("low"), b"5".to_vec()),
        Op::Unlink(at("low")),
        Op::Unlink(at("sub/k")),
        Op::Mkdir(at("gone")),
        rename("low", "dir/low"),
        rename("sub", "dir/sub"),
        rename("dir", "gone"),
    ]
}

/// Returns the tree before the first and after each operation that succeeds.
fn states(workload: &[&Op]) -> Vec<String> {
    let overlay = stack(fresh());
    let mut states = vec![draw(&overlay)];
    for op in workload {
        if run(&overlay, op, Time::default()).is_ok() {
            states.push(draw(&overlay));
        }
    }
    states
}

/// Returns how many images were looked at.
fn survives(workload: &[&Op]) -> usize {
    let states = states(workload);
    let mut images = 0;
    for nth in 1.. {
        let upper = Crashing::new(fresh(), nth);
        let overlay = stack(upper.clone());
        let acknowledged = workload.iter().filter(|op| run(&overlay, op, Time::default()).is_ok()).count();
        for choice in 0.. {
            let Some(image) = upper.after_the_stop(fresh(), choice) else { break };
            let shown = draw(&stack(image));
            let promised = &states[acknowledged..states.len().min(acknowledged + 2)];
            assert!(
                promised.contains(&shown),
                "{workload:?}, stopped at call {nth}, loss {choice}: shows {shown:?}, promised {promised:?}"
            );
            images += 1;
        }
        if !upper.has_stopped() {
            break;
        }
    }
    images
}

#[test]
fn every_stop_of_every_workload_of_one_or_two_operations_keeps_the_promise() {
    let operations = operations();
    let mut images: usize = operations.iter().map(|op| survives(&[op])).sum();
    for first in &operations {
        for second in &operations {
            images += survives(&[first, second]);
        }
    }
    assert!(images > 2000, "only {images} images");
}
