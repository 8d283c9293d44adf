//! What the server counts, for `/metrics`.

use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use http::StatusCode;

/// Counters since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Answers by the first digit of their status, from 1 on.
    by_class: [AtomicU64; 5],
    /// Requests whose handler panicked.
    panics: AtomicU64,
    /// Requests under way.
    busy: AtomicU64,
    /// Content bytes that were copied up.
    copied_up: AtomicU64,
}

impl Counters {
    pub(crate) fn begin(&self) {
        self.busy.fetch_add(1, Relaxed);
    }

    pub(crate) fn end(&self, status: StatusCode) {
        self.busy.fetch_sub(1, Relaxed);
        if let Some(count) = self.by_class.get(usize::from(status.as_u16() / 100) - 1) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn panicked(&self) {
        self.panics.fetch_add(1, Relaxed);
    }

    pub(crate) fn copied_up(&self, bytes: u64) {
        self.copied_up.fetch_add(bytes, Relaxed);
    }

    /// Writes the counters in the text format of Prometheus.
    pub(crate) fn write(&self, text: &mut String) {
        text.push_str("# HELP ovl_requests_total Requests by class of status.\n# TYPE ovl_requests_total counter\n");
        for (class, count) in (1..).zip(&self.by_class) {
            let count = count.load(Relaxed);
            writeln!(text, "ovl_requests_total{{status=\"{class}xx\"}} {count}").expect("writing to a string");
        }
        metric(text, "ovl_panics_total", "counter", "Requests whose handler panicked.", self.panics.load(Relaxed));
        metric(text, "ovl_requests_busy", "gauge", "Requests under way.", self.busy.load(Relaxed));
        let copied = self.copied_up.load(Relaxed);
        metric(text, "ovl_copied_up_bytes_total", "counter", "Content bytes that were copied up.", copied);
    }
}

/// Writes one number with its description.
pub(crate) fn metric(text: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}").expect("writing to a string");
}
