//! The objects of a portable tree: what a node pins, and where its record is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use super::super::{object::Object, record::Record};
use crate::{Error, ErrorKind, Kind, Name, NameBuf, Node, Result};

/// One object, the same for every node of it: its record is found by where it stands now.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) object: Arc<Object>,
    /// The number by which records are bound to it.
    pub(super) id: u64,
    standing: Mutex<Standing>,
}

/// Where an object stands.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// It is the root.
    Root,
    /// At a name.
    At(Arc<Item>, NameBuf),
    /// Nowhere, yet or any more: the record is here.
    Nowhere(Record),
}

impl Item {
    pub(super) fn new(object: Object, id: u64, standing: Standing) -> Self {
        Self { object: Arc::new(object), id, standing: Mutex::new(standing) }
    }

    pub(super) fn standing(&self) -> Standing {
        self.lock().clone()
    }

    pub(super) fn stand(&self, standing: Standing) {
        *self.lock() = standing;
    }

    /// Returns the node of this object.
    pub(super) fn node(self: &Arc<Self>, kind: Kind) -> Node {
        Node { id: self.id, kind, pin: Some(self.clone()) }
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns what `node` pins; `InvalidInput` for a node of another layer.
pub(super) fn of(node: &Node) -> Result<Arc<Item>> {
    let pin = node.pin.clone().and_then(|pin| pin.downcast().ok());
    pin.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "use node").because("it is another layer's"))
}

/// The objects in use, so that all nodes of one object share it.
#[derive(Debug, Default)]
pub(super) struct Items(Mutex<HashMap<u64, Weak<Item>>>);

impl Items {
    /// Returns the object found at a name: the one in use, which then stands there, or a new one.
    pub(super) fn found(&self, object: Object, id: u64, dir: &Arc<Item>, name: Name<'_>) -> Arc<Item> {
        let standing = Standing::At(dir.clone(), name.to_owned());
        let mut items = self.lock();
        if let Some(item) = items.get(&id).and_then(Weak::upgrade) {
            item.stand(standing);
            return item;
        }
        let item = Arc::new(Item::new(object, id, standing));
        Self::keep(&mut items, &item);
        item
    }

    /// Notes a new object.
    pub(super) fn add(&self, item: &Arc<Item>) {
        Self::keep(&mut self.lock(), item);
    }

    /// Returns the object with this number, if it is in use.
    pub(super) fn get(&self, id: u64) -> Option<Arc<Item>> {
        self.lock().get(&id).and_then(Weak::upgrade)
    }

    fn keep(items: &mut HashMap<u64, Weak<Item>>, item: &Arc<Item>) {
        // Dropped objects are swept out when the table would grow.
        if items.len() == items.capacity() {
            items.retain(|_, item| item.strong_count() > 0);
        }
        items.insert(item.id, Arc::downgrade(item));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Weak<Item>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
