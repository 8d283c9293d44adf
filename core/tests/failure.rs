//! An upper that fails at its Nth call: afterwards the tree is as before or as after, never between.

use std::sync::Arc;

use ovl_core::{
    ErrorKind, Layer, Overlay, Time, VPath, WritableLayer,
    overlay::{Policy, RenameHow},
    testing::{
        drawing::{draw, memory},
        failing::Failing,
        history::{Op, run},
    },
};

const NOW: Time = Time { secs: 1_700_000_000, nanos: 0 };
const UPPER: &str = "up=1 dir/ dir/x=1 -gone old/! old/y=1";
const LOWER: &str = "low=22 gone/z=1 deep/er/f=333 deep/er/g=4 old/hidden=1 sub/ sub/k=1";

fn at(path: &str) -> VPath {
    VPath::parse(path.as_bytes()).unwrap()
}

fn stack(upper: Arc<dyn WritableLayer>) -> Arc<Overlay> {
    Overlay::new(Some(upper), vec![memory("lower", LOWER) as Arc<dyn Layer>], Policy::default(), None).unwrap()
}

fn operations() -> Vec<Op> {
    let rename = |from, to| Op::Rename(at(from), at(to), RenameHow::Replace);
    vec![
        Op::Put(at("up"), b"2".to_vec()),
        Op::Put(at("low"), b"2".to_vec()),
        Op::Put(at("deep/er/new"), b"2".to_vec()),
        Op::Append(at("deep/er/f"), b"4".to_vec()),
        Op::Truncate(at("low"), 1),
        Op::Mkdir(at("gone")),
        Op::Symlink(at("deep/er/l"), b"x".to_vec()),
        Op::Link(at("deep/er/f"), at("sub/linked")),
        Op::Unlink(at("deep/er/g")),
        Op::Unlink(at("up")),
        Op::Chmod(at("deep/er/f"), 0o600),
        Op::SetXattr(at("sub"), b"1".to_vec()),
        rename("low", "sub/moved"),
        rename("sub", "deep/er/sub"),
        rename("dir", "gone"),
        rename("old", "dir/old"),
        Op::Rename(at("low"), at("sub"), RenameHow::Exchange),
    ]
}

#[test]
fn a_failure_at_any_call_leaves_the_tree_as_before_or_as_after() {
    let fresh = || memory("upper", UPPER) as Arc<dyn WritableLayer>;
    let before = draw(&stack(fresh()));
    let mut failures = 0;
    for op in operations() {
        let whole = stack(fresh());
        run(&whole, &op, NOW).unwrap_or_else(|e| panic!("{op:?}: {e}"));
        let after = draw(&whole);
        for nth in 1.. {
            let upper = fresh();
            let failing = Failing::new(upper.clone(), nth, ErrorKind::NoSpace);
            let result = run(&stack(failing.clone()), &op, NOW);
            let shown = draw(&stack(upper));
            assert!(shown == before || shown == after, "{op:?}, call {nth}: {shown}");
            if !failing.has_failed() {
                result.unwrap_or_else(|e| panic!("{op:?} failed by itself: {e}"));
                assert_eq!(shown, after, "{op:?}");
                break;
            }
            // A lower that cannot be asked counts as one that has the name, so not every failure is an error (W12).
            if result.is_ok() {
                assert_eq!(shown, after, "{op:?}, call {nth}: acknowledged, but not done");
            }
            failures += 1;
        }
    }
    assert!(failures > 150, "only {failures} calls were made to fail");
}
