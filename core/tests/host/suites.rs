//! The suites that every layer passes, on folders.

use std::sync::Arc;

use ovl_core::{
    Layer, WritableLayer, layer_suite,
    layers::host::{self, Form, LowerOptions, UpperOptions},
    testing::{
        drawing::{Item, fill},
        history::Rng,
        suite::Held,
        twin,
    },
    upper_suite,
};

use crate::place::{Place, form};

fn lower(wanted: Form) -> impl Fn(&[Item]) -> Held<Arc<dyn Layer>> {
    move |items| {
        let place = Place::new();
        fill(&*place.upper(form(wanted)).unwrap(), items).unwrap();
        let layer = host::lower(&place.path("u"), LowerOptions::default()).unwrap();
        Held::new(layer as Arc<dyn Layer>).with(place)
    }
}

fn upper(options: UpperOptions) -> impl Fn() -> Held<Arc<dyn WritableLayer>> {
    move || {
        let place = Place::new();
        let layer: Arc<dyn WritableLayer> = place.upper(options.clone()).unwrap();
        Held::new(layer).with(place)
    }
}

layer_suite!(trusted_lower, lower(Form::KernelTrusted));
upper_suite!(trusted_upper, upper(form(Form::KernelTrusted)));
upper_suite!(privileged_upper, upper(UpperOptions { privileged_metadata: true, ..form(Form::KernelTrusted) }));
layer_suite!(portable_lower, lower(Form::Portable));
upper_suite!(portable_upper, upper(form(Form::Portable)));
layer_suite!(user_lower, lower(Form::KernelUser));
upper_suite!(user_upper, upper(form(Form::KernelUser)));

/// Few histories: each step draws a tree on the disk.
fn twins(wanted: Form) {
    for seed in 1..=20 {
        let place = Place::new();
        twin::check(&mut Rng(seed), 40, place.upper(form(wanted)).unwrap());
    }
}

#[test]
fn a_portable_upper_behaves_like_a_plain_tree() {
    twins(Form::Portable);
}

#[test]
fn a_user_upper_behaves_like_a_plain_tree() {
    twins(Form::KernelUser);
}
