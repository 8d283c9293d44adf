//! Every layer passes the same suite.

use std::sync::Arc;

use ovl_core::{
    VPath, layer_suite,
    layers::{
        memory::Memory,
        quota::{Quota, Usage},
        subtree::Subtree,
        zip,
    },
    testing::{
        drawing::{Item, fill, parse},
        source::Source,
        suite::Held,
        zip_builder::{Member, archive},
    },
    upper_suite,
};

fn memory(items: &[Item]) -> Held<Arc<dyn ovl_core::Layer>> {
    let layer = Memory::new("memory", 0);
    fill(&*layer, items).expect("memory takes every tree");
    Held::new(layer)
}

fn zip(items: &[Item]) -> Held<Arc<dyn ovl_core::Layer>> {
    let members: Vec<Member> = items.iter().map(Member::from_item).collect();
    let options = zip::Options { name: "a.zip".into(), ..zip::Options::default() };
    Held::new(zip::open(Source::new(archive(members)), &options).expect("a well-made archive is taken"))
}

/// Holds the items beneath `deep/sub`, and others beside it.
fn subtree(items: &[Item]) -> Held<Arc<dyn ovl_core::Layer>> {
    let root = VPath::parse(b"deep/sub").expect("a path");
    let beneath = |path: &VPath| path.names().fold(root.clone(), |at, name| at.join(name));
    let mut all: Vec<Item> = items.iter().map(|item| Item { path: beneath(&item.path), ..item.clone() }).collect();
    all.extend(parse("deep/sub/ a=beside b/c=beside deep/d/a=beside"));
    Held::new(Subtree::new(memory(&all).layer, &root).expect("it is a directory"))
}

layer_suite!(memory_lower, memory);
layer_suite!(zip_lower, zip);
layer_suite!(subtree_lower, subtree);
upper_suite!(memory_upper, || Held::new(Memory::new("memory", 0) as Arc<dyn ovl_core::WritableLayer>));
upper_suite!(quota_upper, || {
    let limited = Quota::new(Memory::new("memory", 0), Usage::MAX).expect("memory can be counted");
    Held::new(limited as Arc<dyn ovl_core::WritableLayer>)
});
