//! The events of the overlay, kept for a while, so that a client that comes back misses nothing.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ovl_core::overlay::Event;
use tokio::sync::watch;

use crate::cli::stack::Observer;

/// A bounded memory of events, numbered from 1.
#[derive(Debug)]
pub struct Events {
    /// Tells the numbers of this start from those of another.
    nonce: u64,
    kept: usize,
    ring: Mutex<Ring>,
    /// The number of the latest event.
    latest: watch::Sender<u64>,
    /// Whether the server stops.
    closing: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Ring {
    latest: u64,
    events: VecDeque<Arc<Event>>,
}

/// Why events after a number cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl Events {
    /// Returns a memory for the last `kept` events.
    pub fn new(nonce: u64, kept: usize) -> Arc<Self> {
        let (latest, closing) = (watch::Sender::new(0), watch::Sender::new(false));
        Arc::new(Self { nonce, kept, ring: Mutex::default(), latest, closing })
    }

    /// Returns what the overlay tells its events.
    pub fn observer(self: &Arc<Self>) -> Observer {
        let events = self.clone();
        Box::new(move |event| events.push(event.clone()))
    }

    fn push(&self, event: Event) {
        let mut ring = self.ring();
        ring.latest += 1;
        ring.events.push_back(Arc::new(event));
        if ring.events.len() > self.kept {
            ring.events.pop_front();
        }
        self.latest.send_replace(ring.latest);
    }

    /// Returns the number of the latest event.
    pub fn latest(&self) -> u64 {
        self.ring().latest
    }

    /// Returns the events after a number, each with its own.
    ///
    /// # Errors
    /// [`Gone`] when some of them are no longer kept, or the number is of the future.
    pub fn after(&self, number: u64) -> Result<Vec<(u64, Arc<Event>)>, Gone> {
        let ring = self.ring();
        let first = ring.latest - ring.events.len() as u64 + 1;
        if number > ring.latest || number + 1 < first {
            return Err(Gone);
        }
        let skipped = usize::try_from(number + 1 - first).unwrap_or(usize::MAX);
        Ok((number + 1..).zip(ring.events.iter().skip(skipped).cloned()).collect())
    }

    /// Returns what changes when there are new events.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    /// Returns what becomes true when the server stops.
    pub fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// Tells those who follow that the server stops.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Writes a number so that it is recognised after a restart.
    pub fn cursor(&self, number: u64) -> String {
        format!("{:x}-{number}", self.nonce)
    }

    /// Reads what [`Events::cursor`] wrote. Another start's numbers are [`Gone`]; other text is `None`.
    pub fn read_cursor(&self, text: &str) -> Option<Result<u64, Gone>> {
        let (nonce, number) = text.split_once('-')?;
        let (nonce, number) = (u64::from_str_radix(nonce, 16).ok()?, number.parse().ok()?);
        Some(if nonce == self.nonce { Ok(number) } else { Err(Gone) })
    }

    // A push is whole before the lock is given back, so a poisoned lock holds whole data.
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
