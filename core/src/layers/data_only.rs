//! Another layer of which only the content of files counts, for metadata in the layers above (semantics Y04).

use std::sync::Arc;

use crate::{Caps, Layer, layer::forward_layer};

/// A layer that gives content alone.
#[derive(Debug)]
pub struct DataOnly {
    inner: Arc<dyn Layer>,
    caps: Caps,
}

impl DataOnly {
    /// Returns `inner` as a layer that gives content alone.
    pub fn new(inner: Arc<dyn Layer>) -> Arc<Self> {
        let caps = Caps { data_only: true, ..inner.caps().clone() };
        Arc::new(Self { inner, caps })
    }
}

#[deny(clippy::missing_trait_methods)]
impl Layer for DataOnly {
    forward_layer!(|this| this.inner; root lookup enter list stat_at stat marks xattrs facts facts_at target open links);

    fn caps(&self) -> &Caps {
        &self.caps
    }
}
