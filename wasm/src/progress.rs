//! How far long work is, and whether it goes on.
//!
//! Sources and sinks of the engine may be used by any thread, functions of JavaScript's by one alone: so the function
//! of the work at hand is kept beside them, in the one thread that there is.

use std::{
    any::Any,
    cell::RefCell,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use js_sys::Function;
use ovl_core::{Blob, Error, ErrorKind, Result as CoreResult, Stored};
use wasm_bindgen::JsValue;

use crate::{
    fail::{Failure, Result},
    value::{Options, field, function, refused},
};

/// The caller hears each time that so many bytes more are done.
const STEP: u64 = 256 * 1024;

thread_local! {
    static WORK: RefCell<Work> = RefCell::default();
}

/// Work at hand.
#[derive(Default)]
pub(crate) struct Work {
    listener: Option<Function>,
    /// What says by its field `aborted` that the work is to end: an `AbortSignal`, or what stands for one.
    signal: Option<JsValue>,
    /// Why the work is to end, once it is.
    end: Option<Failure>,
}

impl Work {
    /// Returns work of which a function hears, and that an option `signal` ends.
    ///
    /// # Errors
    /// `invalid-query` for a signal that is none, `invalid-body` for a listener that is no function.
    pub(crate) fn new(listener: &JsValue, given: &Options) -> Result<Self> {
        let signal = given.get("signal");
        match signal.as_ref().is_some_and(|signal| field(signal, "aborted").as_bool().is_none()) {
            true => Err(refused("signal is an AbortSignal")),
            false => Ok(Self { listener: function(listener)?, signal, end: None }),
        }
    }
}

/// Begins long work; returns the work around it.
pub(crate) fn begin(work: Work) -> Work {
    WORK.replace(work)
}

/// Fails when the work at hand is to end by its signal.
pub(crate) fn check() -> CoreResult<()> {
    let signal = WORK.with_borrow(|work| work.signal.clone());
    match signal.is_some_and(|signal| field(&signal, "aborted").is_truthy()) {
        true => Err(stop(cancelled())),
        false => Ok(()),
    }
}

fn cancelled() -> Failure {
    Failure::new("cancelled", "cancelled; nothing was changed")
}

/// Goes back to the work around; returns why the work that ends here was to end, where it was.
pub(crate) fn end(outer: Work) -> Option<Failure> {
    WORK.replace(outer).end
}

/// Says how far the work is. Fails when it is not to go on.
pub(crate) fn tell(done: u64, total: Option<u64>) -> CoreResult<()> {
    let Some(listener) = WORK.with_borrow(|work| work.listener.clone()) else { return check() };
    let total = total.map_or(JsValue::UNDEFINED, |total| (total as f64).into());
    go_on(listener.call2(&JsValue::UNDEFINED, &(done as f64).into(), &total))
}

/// Judges what a function of the caller's answered: `true` ends the work, and so does what it throws. The signal may.
pub(crate) fn go_on(answer: Result<JsValue, JsValue>) -> CoreResult<()> {
    let end = match answer {
        Ok(answer) if answer != JsValue::TRUE => return check(),
        Ok(_) => cancelled(),
        Err(thrown) => Failure::thrown(thrown),
    };
    Err(stop(end))
}

/// Ends the work at hand for a reason of JavaScript's.
pub(crate) fn stop(end: Failure) -> Error {
    WORK.with_borrow_mut(|work| {
        work.end.get_or_insert(end);
    });
    Error::new(ErrorKind::Io, "read")
}

/// A source of which the caller hears how much has been read.
pub(crate) struct Watched {
    inner: Arc<dyn Blob>,
    read: AtomicU64,
    told: AtomicU64,
}

impl Watched {
    pub(crate) fn over(inner: Arc<dyn Blob>) -> Arc<dyn Blob> {
        Arc::new(Self { inner, read: AtomicU64::new(0), told: AtomicU64::new(0) })
    }
}

impl Blob for Watched {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> CoreResult<usize> {
        let got = self.inner.read_at(buf, offset)?;
        let read = self.read.fetch_add(got as u64, Ordering::Relaxed) + got as u64;
        if read >= self.told.load(Ordering::Relaxed) + STEP {
            self.told.store(read, Ordering::Relaxed);
            let size = self.inner.size()?;
            tell(read.min(size), Some(size))?;
        }
        Ok(got)
    }

    fn size(&self) -> CoreResult<u64> {
        self.inner.size()
    }

    fn next_data(&self, offset: u64) -> CoreResult<Option<Range<u64>>> {
        self.inner.next_data(offset)
    }

    fn stored(&self) -> Option<Stored> {
        self.inner.stored()
    }

    fn stamp(&self) -> CoreResult<u128> {
        self.inner.stamp()
    }

    fn as_any(&self) -> &dyn Any {
        self.inner.as_any()
    }
}
