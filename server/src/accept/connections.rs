//! The open connections: how many, from where, and which of them must end (trust T25).

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::task::AbortHandle;

use super::pulse::{Pulse, Timeouts};

/// How many connections are served.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// At once.
    pub connections: usize,
    /// At once from one address.
    pub per_address: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 12_000, per_address: 512 }
    }
}

/// The open connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    all: HashMap<u64, Connection>,
    by_address: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Connection {
    pulse: Arc<Pulse>,
    task: Option<AbortHandle>,
}

/// A place among the open connections, given back when it is dropped.
pub(super) struct Ticket {
    connections: Arc<Connections>,
    id: u64,
    address: Option<IpAddr>,
    pub(super) pulse: Arc<Pulse>,
}

impl Connections {
    /// Takes a place for a connection from `address`, or returns `None` when there are too many.
    pub(super) fn admit(self: &Arc<Self>, address: Option<IpAddr>, limits: &Limits) -> Option<Ticket> {
        let mut open = self.open();
        if open.all.len() >= limits.connections {
            return None;
        }
        if let Some(address) = address {
            let count = open.by_address.entry(address).or_default();
            if *count >= limits.per_address {
                return None;
            }
            *count += 1;
        }
        let (id, pulse) = (open.next, Arc::new(Pulse::new()));
        open.next += 1;
        open.all.insert(id, Connection { pulse: pulse.clone(), task: None });
        Some(Ticket { connections: self.clone(), id, address, pulse })
    }

    /// Notes the task of a connection, by which it can be ended.
    pub(super) fn runs(&self, id: u64, task: AbortHandle) {
        if let Some(connection) = self.open().all.get_mut(&id) {
            connection.task = Some(task);
        }
    }

    /// Returns how many there are.
    pub(super) fn count(&self) -> usize {
        self.open().all.len()
    }

    /// Ends those whose clients let them wait too long.
    pub(super) fn end_overdue(&self, limits: &Timeouts) {
        self.end(|pulse| pulse.is_overdue(limits));
    }

    /// Ends those that have nothing under way.
    pub(super) fn end_idle(&self) {
        self.end(Pulse::is_idle);
    }

    /// Ends all.
    pub(super) fn end_all(&self) {
        self.end(|_| true);
    }

    fn end(&self, chosen: impl Fn(&Pulse) -> bool) {
        let open = self.open();
        let tasks = open.all.values().filter(|connection| chosen(&connection.pulse));
        tasks.filter_map(|connection| connection.task.as_ref()).for_each(AbortHandle::abort);
    }

    // Nothing in here panics halfway through a change, so a poisoned lock holds whole data.
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    pub(super) fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        open.all.remove(&self.id);
        let Some(address) = self.address else { return };
        if let Some(count) = open.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&address);
            }
        }
    }
}
