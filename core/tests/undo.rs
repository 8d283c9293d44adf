//! Taking changes back: whatever was done, the upper is again what it was, and then what it became.

#![allow(clippy::disallowed_macros, reason = "a failing seed is printed")]

use std::sync::Arc;

use ovl_core::{
    Layer, Overlay, Time, VPath, WritableLayer,
    layers::memory::Memory,
    overlay::{Ctx, Deed, Policy, Removal},
    testing::{
        drawing::{draw, draw_layer, memory},
        history::{self, Rng, op},
    },
};

fn over(upper: &Arc<Memory>, lower: &str) -> Arc<Overlay> {
    let (upper, lower) = (upper.clone() as Arc<dyn WritableLayer>, memory("lower", lower) as Arc<dyn Layer>);
    Overlay::new(Some(upper), vec![lower], Policy::default(), None).unwrap()
}

#[test]
fn every_change_of_a_random_history_can_be_taken_back_and_made_again() {
    for seed in 1..=100 {
        println!("seed {seed}");
        let mut rng = Rng(seed);
        let upper = Memory::with_undo("upper", 1, 1000);
        let overlay = over(&upper, &history::layer(&mut rng, false));
        let picture = || (draw_layer(&*upper), draw(&overlay));
        let mut pictures = vec![picture()];
        for step in 0..30 {
            drop(history::run(&overlay, &op(&mut rng), Time { secs: step, nanos: 0 }));
            let before = upper.changes_kept().0;
            upper.end_change(Vec::new());
            if upper.changes_kept().0 > before {
                pictures.push(picture());
            }
        }
        for was in pictures[..pictures.len() - 1].iter().rev() {
            assert!(overlay.restore(|| upper.undo()).unwrap().is_some());
            assert_eq!(picture(), *was);
        }
        assert_eq!(overlay.restore(|| upper.undo()).unwrap(), None);
        for now in &pictures[1..] {
            assert!(overlay.restore(|| upper.redo()).unwrap().is_some());
            assert_eq!(picture(), *now);
        }
        assert_eq!(overlay.restore(|| upper.redo()).unwrap(), None);
    }
}

#[test]
fn a_change_after_one_taken_back_forgets_what_could_be_made_again() {
    let upper = Memory::with_undo("upper", 1, 2);
    let overlay = over(&upper, "a=1 b=2");
    let remove = |name: &str| {
        let path = VPath::parse(name.as_bytes()).unwrap();
        overlay.remove(&Ctx::default(), &path, Removal::File).unwrap();
        upper.end_change(vec![path]);
    };
    remove("a");
    assert_eq!(overlay.restore(|| upper.undo()).unwrap(), Some(vec![VPath::parse(b"a").unwrap()]));
    remove("b");
    assert_eq!((draw(&overlay), upper.changes_kept()), ("a=1".to_owned(), (1, 0)));
}

#[test]
fn only_so_many_changes_are_kept_as_there_is_room_for() {
    let upper = Memory::with_undo("upper", 1, 2);
    let overlay = over(&upper, "");
    for name in ["a", "b", "c"] {
        overlay.mkdir(&Ctx::default(), &VPath::parse(name.as_bytes()).unwrap(), None).unwrap();
        upper.end_change(Vec::new());
    }
    while overlay.restore(|| upper.undo()).unwrap().is_some() {}
    assert_eq!(draw(&overlay), "a/");
}

#[test]
fn who_watches_hears_what_is_restored_and_validators_do_not_come_back() {
    let (told, heard) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let upper = Memory::with_undo("upper", 1, 10);
    let tell = Box::new(move |event: &ovl_core::overlay::Event| told.lock().unwrap().send(event.clone()).unwrap());
    let overlay = Overlay::new(Some(upper.clone()), vec![], Policy::default(), Some(tell)).unwrap();
    let path = VPath::parse(b"d").unwrap();
    let tag = |overlay: &Overlay| overlay.entry(&path, ovl_core::overlay::Follow::No).unwrap().tag;
    overlay.mkdir(&Ctx::default(), &path, None).unwrap();
    upper.end_change(vec![path.clone()]);
    let first = tag(&overlay);
    let change = ovl_core::Change { mode: Some(0o700), ..Default::default() };
    overlay.set(&Ctx::default(), &path, ovl_core::overlay::Follow::No, &change).unwrap();
    upper.end_change(vec![path.clone()]);
    overlay.restore(|| upper.undo()).unwrap();
    assert_ne!(tag(&overlay), first);
    let last = heard.try_iter().last().unwrap();
    assert_eq!((last.deed, last.path, last.generation), (Deed::Restored, path, 3));
}
