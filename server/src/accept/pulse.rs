//! The pulse of a connection: what it waits for, since when, and when that is too long (trust T25).
//!
//! The connection only notes what happens; one task looks at all pulses now and then and ends what is
//! overdue. A request therefore costs no timer.

use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// How long a connection may wait for its client.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For the first byte of the first request.
    pub first_byte: Duration,
    /// For the whole head of a request, from its first byte on.
    pub head: Duration,
    /// For the next request.
    pub idle: Duration,
    /// For the client to take something of an answer.
    pub write: Duration,
    /// For a body, before it must have come at [`Timeouts::body_rate`] on average.
    pub body_grace: Duration,
    /// Bytes a second of a body, at least.
    pub body_rate: u64,
    /// For requests under way when the server stops.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            write: Duration::from_secs(30),
            body_grace: Duration::from_secs(10),
            body_rate: 1024,
            drain: Duration::from_secs(10),
        }
    }
}

impl Timeouts {
    /// Returns how often to look: a quarter of the shortest wait, a second at most.
    pub(super) fn tick(&self) -> Duration {
        let shortest = self.first_byte.min(self.head).min(self.idle).min(self.write);
        (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }
}

const FIRST: u8 = 0;
const IDLE: u8 = 1;
const HEAD: u8 = 2;
const BUSY: u8 = 3;

/// What one connection waits for.
#[derive(Debug)]
pub(crate) struct Pulse {
    origin: Instant,
    phase: AtomicU8,
    /// Milliseconds after `origin` at which the phase began.
    since: AtomicU64,
    stalled: AtomicBool,
    /// Milliseconds after `origin` at which the client stopped taking bytes.
    stalled_since: AtomicU64,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self {
            origin: Instant::now(),
            phase: AtomicU8::new(FIRST),
            since: AtomicU64::new(0),
            stalled: AtomicBool::new(false),
            stalled_since: AtomicU64::new(0),
        }
    }

    /// Notes that bytes came in: between requests they begin a head.
    pub(super) fn received(&self) {
        if self.phase.load(Relaxed) < HEAD {
            self.enter(HEAD);
        }
    }

    /// Notes that a request is being answered.
    pub(super) fn begin(&self) {
        self.enter(BUSY);
    }

    /// Notes that an answer has been handed over.
    pub(super) fn end(&self) {
        self.enter(IDLE);
    }

    /// Notes whether the client takes what is written.
    pub(super) fn writes(&self, pending: bool) {
        if self.stalled.load(Relaxed) != pending {
            self.stalled_since.store(self.now(), Relaxed);
            self.stalled.store(pending, Relaxed);
        }
    }

    /// Returns whether nothing is under way: the connection may be closed and nothing is lost.
    pub(super) fn is_idle(&self) -> bool {
        self.phase.load(Relaxed) < HEAD && !self.stalled.load(Relaxed)
    }

    /// Returns whether the client has let the connection wait too long.
    pub(super) fn is_overdue(&self, limits: &Timeouts) -> bool {
        let now = self.now();
        let waited = |since: &AtomicU64| Duration::from_millis(now.saturating_sub(since.load(Relaxed)));
        if self.stalled.load(Relaxed) {
            return waited(&self.stalled_since) > limits.write;
        }
        let limit = match self.phase.load(Relaxed) {
            FIRST => limits.first_byte,
            IDLE => limits.idle,
            HEAD => limits.head,
            _ => return false,
        };
        waited(&self.since) > limit
    }

    fn enter(&self, phase: u8) {
        self.since.store(self.now(), Relaxed);
        self.phase.store(phase, Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
