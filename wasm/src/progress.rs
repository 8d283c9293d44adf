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

use crate::fail::{Failure, Result};

/// The caller hears each time that so many bytes more are done.
const STEP: u64 = 256 * 1024;

thread_local! {
    static WORK: RefCell<Work> = RefCell::default();
}

/// Work at hand.
#[derive(Default)]
pub(crate) struct Work {
    listener: Option<Function>,
    /// Why the work is to end, once it is.
    end: Option<Failure>,
}

/// Begins long work, of which `listener` hears; returns the work around it.
pub(crate) fn begin(listener: Option<Function>) -> Work {
    WORK.replace(Work { listener, end: None })
}

/// Goes back to the work around; returns why the work that ends here was to end, where it was.
pub(crate) fn end(outer: Work) -> Option<Failure> {
    WORK.replace(outer).end
}

/// Says how far the work is. Fails when it is not to go on.
pub(crate) fn tell(done: u64, total: Option<u64>) -> CoreResult<()> {
    let Some(listener) = WORK.with_borrow(|work| work.listener.clone()) else { return Ok(()) };
    let total = total.map_or(JsValue::UNDEFINED, |total| (total as f64).into());
    go_on(listener.call2(&JsValue::UNDEFINED, &(done as f64).into(), &total))
}

/// Judges what a function of the caller's answered: `true` ends the work, and so does what it throws.
pub(crate) fn go_on(answer: Result<JsValue, JsValue>) -> CoreResult<()> {
    let end = match answer {
        Ok(answer) if answer != JsValue::TRUE => return Ok(()),
        Ok(_) => Failure::new("cancelled", "cancelled; nothing was changed"),
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
