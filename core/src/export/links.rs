//! Hard links: which member was the first name of an object.

use std::collections::BTreeMap;

use crate::{Kind, Stat, VPath};

/// The first names of objects with several; memory grows with their number alone.
#[derive(Default)]
pub(super) struct Links(BTreeMap<(usize, u64), VPath>);

impl Links {
    /// Returns the first name of an object that has been met before, and keeps the name of any other.
    pub(super) fn seen(&mut self, layer: usize, stat: &Stat, name: &VPath) -> Option<VPath> {
        if stat.nlink < 2 || stat.kind == Kind::Dir {
            return None;
        }
        let first = self.0.entry((layer, stat.ino)).or_insert_with(|| name.clone());
        (first != name).then(|| first.clone())
    }
}
