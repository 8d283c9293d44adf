//! Every layer passes the same suite.

use std::sync::Arc;

use ovl_core::{
    layer_suite,
    layers::{
        memory::Memory,
        quota::{Quota, Usage},
        zip,
    },
    testing::{
        drawing::{Item, fill},
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

layer_suite!(memory_lower, memory);
layer_suite!(zip_lower, zip);
upper_suite!(memory_upper, || Held::new(Memory::new("memory", 0) as Arc<dyn ovl_core::WritableLayer>));
upper_suite!(quota_upper, || {
    let limited = Quota::new(Memory::new("memory", 0), Usage::MAX).expect("memory can be counted");
    Held::new(limited as Arc<dyn ovl_core::WritableLayer>)
});
