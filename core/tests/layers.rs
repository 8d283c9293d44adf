//! Every layer passes the same suite.

use std::sync::Arc;

use ovl_core::{
    layer_suite,
    layers::memory::Memory,
    testing::{
        drawing::{Item, fill},
        suite::Held,
    },
    upper_suite,
};

fn memory(items: &[Item]) -> Held<Arc<dyn ovl_core::Layer>> {
    let layer = Memory::new("memory", 0);
    fill(&*layer, items).expect("memory takes every tree");
    Held::new(layer)
}

layer_suite!(memory_lower, memory);
upper_suite!(memory_upper, || Held::new(Memory::new("memory", 0) as Arc<dyn ovl_core::WritableLayer>));
