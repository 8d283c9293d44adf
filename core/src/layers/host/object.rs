//! What a node of a host layer pins: a descriptor, and for a staged object its temporary name.

use std::sync::{
    Arc, Mutex, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use super::{beside::Beside, stage::Temp, sys::Handle};
use crate::{Error, ErrorKind, Kind, Marks, Node, Result};

/// One object of the host.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) handle: Handle,
    /// Its name in the work directory while it is staged; removed with it when it never gets another.
    pub(super) temp: Option<Temp>,
    /// Whether it changed since it was last made durable.
    pub(super) dirty: AtomicBool,
    /// Its record, where the object itself cannot carry one.
    pub(super) beside: Option<Mutex<Beside>>,
    /// Its marks as first read, in a layer that nobody changes.
    pub(super) marks: OnceLock<Marks>,
}

impl Object {
    /// Pins what was looked up.
    pub(super) fn found(handle: Handle) -> Self {
        Self { handle, temp: None, dirty: AtomicBool::new(false), beside: None, marks: OnceLock::new() }
    }

    /// Pins what was staged.
    pub(super) fn staged(handle: Handle, temp: Temp) -> Self {
        Self { handle, temp: Some(temp), dirty: AtomicBool::new(true), beside: None, marks: OnceLock::new() }
    }

    /// Adds the record that the object cannot carry itself.
    pub(super) fn with(mut self, beside: Option<Beside>) -> Self {
        self.beside = beside.map(Mutex::new);
        self
    }

    /// Returns the node of this object.
    pub(super) fn node(self, id: u64, kind: Kind) -> Node {
        Node { id, kind, pin: Some(Arc::new(self)) }
    }

    /// Returns whether something changed since it was last made durable.
    pub(super) fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Acquire)
    }

    /// Notes a change that is not durable yet.
    pub(super) fn touch(&self) {
        self.dirty.store(true, Ordering::Release);
    }
}

/// Returns what `node` pins; `InvalidInput` for a node of another layer.
pub(super) fn of(node: &Node) -> Result<&Object> {
    node.pinned().ok_or_else(|| Error::new(ErrorKind::InvalidInput, "use node").because("it is another layer's"))
}

/// Returns what `node` pins, to keep; `InvalidInput` for a node of another layer.
pub(super) fn shared(node: &Node) -> Result<Arc<Object>> {
    let pin = node.pin.clone().and_then(|pin| pin.downcast().ok());
    pin.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "use node").because("it is another layer's"))
}
