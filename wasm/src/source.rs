//! Bytes that lie in JavaScript, read where they lie and piece by piece: an array, a `Blob` by slices, or whatever a
//! function gives.
//!
//! Sources of the engine may be used by any thread, values of JavaScript's by one alone. So the engine holds a number,
//! and the value is kept under it in the one thread that there is.

use std::{any::Any, cell::RefCell, ops::Range, rc::Rc, sync::Arc};

use js_sys::{Function, Reflect, Uint8Array};
use ovl_core::{Blob, Error, ErrorKind, Result as CoreResult, Stored};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::FileReaderSync;

use crate::{
    fail::{Failure, Result},
    progress,
};

/// So much is read at once: a slice of a file costs more than half a millisecond, however short it is.
const BLOCK: u64 = 256 * 1024;
/// Whole numbers beyond are not exact in JavaScript.
const LARGEST: f64 = 9_007_199_254_740_991.0;

thread_local! {
    static SOURCES: RefCell<Sources> = RefCell::default();
}

#[derive(Default)]
struct Sources {
    last: u64,
    open: Vec<(u64, Rc<Source>)>,
}

impl Sources {
    fn find(&self, id: u64) -> Option<usize> {
        self.open.iter().position(|(known, _)| *known == id)
    }
}

enum Source {
    Bytes(Uint8Array),
    Blocks(Blocks),
}

/// What is read block by block, since each call costs much.
struct Blocks {
    from: From,
    /// The block that was read last, and where it begins.
    last: RefCell<(u64, Vec<u8>)>,
}

enum From {
    Blob(web_sys::Blob, FileReaderSync),
    Call(JsValue, Function),
}

/// A source by its number.
struct Given {
    id: u64,
    size: u64,
}

/// Returns what a caller gives to be read: bytes are copied, all else is read when it is needed.
///
/// # Errors
/// `invalid-body` for what is no source, `not-implemented` for a `Blob` where there are no synchronous slices.
pub(crate) fn open(value: &JsValue) -> Result<Arc<dyn Blob>> {
    match value.dyn_ref::<Uint8Array>() {
        Some(bytes) => Ok(Arc::new(bytes.to_vec())),
        None => open_in_place(value),
    }
}

/// Returns what a caller gives to be read when it is needed, bytes too: an archive is not copied.
///
/// # Errors
/// Those of [`open`].
pub(crate) fn open_in_place(value: &JsValue) -> Result<Arc<dyn Blob>> {
    let (size, source) = if let Some(bytes) = value.dyn_ref::<Uint8Array>() {
        // `length()` has 32 bits.
        let size = Reflect::get(value, &"length".into()).ok().and_then(|size| size.as_f64());
        let size = size.filter(|size| *size <= u32::MAX.into());
        (size.ok_or_else(|| Failure::input("bytes of 4 GiB or more go in as a Blob"))?, Source::Bytes(bytes.clone()))
    } else if let Some(blob) = value.dyn_ref::<web_sys::Blob>() {
        let needed = "a Blob can be read in a Worker alone; elsewhere hand over a Uint8Array, or { size, read }";
        let reader = FileReaderSync::new().map_err(|_| Failure::new("not-implemented", needed))?;
        (blob.size(), Source::of(From::Blob(blob.clone(), reader)))
    } else {
        callback(value)?
    };
    if !(0.0..=LARGEST).contains(&size) || size.fract() != 0.0 {
        return Err(Failure::input("the size of a source is a whole number of bytes"));
    }
    let id = SOURCES.with_borrow_mut(|sources| {
        sources.last += 1;
        sources.open.push((sources.last, Rc::new(source)));
        sources.last
    });
    Ok(Arc::new(Given { id, size: size as u64 }))
}

fn callback(value: &JsValue) -> Result<(f64, Source)> {
    let field = |name: &str| Reflect::get(value, &name.into()).unwrap_or_default();
    match (field("size").as_f64(), field("read").dyn_into::<Function>()) {
        (Some(size), Ok(read)) => Ok((size, Source::of(From::Call(value.clone(), read)))),
        _ => Err(Failure::input("a source is a Uint8Array, a Blob, or { size, read(offset, length) }")),
    }
}

impl Source {
    fn of(from: From) -> Self {
        Self::Blocks(Blocks { from, last: RefCell::default() })
    }
}

/// Fills `buf` from bytes that lie in JavaScript.
fn copy(bytes: &Uint8Array, buf: &mut [u8], offset: u64) -> CoreResult<usize> {
    let rest = u64::from(bytes.length()).saturating_sub(offset);
    // Their buffer was handed to another thread, or made shorter.
    if rest == 0 {
        return Err(Error::new(ErrorKind::Io, "read").because("the bytes are gone"));
    }
    let count = rest.min(buf.len() as u64) as usize;
    let piece = bytes.subarray(offset as u32, offset as u32 + count as u32);
    piece.copy_to(&mut buf[..count]);
    Ok(count)
}

impl Blocks {
    /// Fills `buf` from a source of `size` bytes, which goes on behind `offset`.
    fn read_at(&self, buf: &mut [u8], offset: u64, size: u64) -> CoreResult<usize> {
        let is_held = |(start, bytes): &(u64, Vec<u8>)| offset >= *start && offset - start < bytes.len() as u64;
        if !is_held(&self.last.borrow()) {
            let length = (buf.len() as u64).max(BLOCK).min(size - offset);
            let bytes = self.fetch(offset, length)?;
            *self.last.borrow_mut() = (offset, bytes);
        }
        let last = self.last.borrow();
        let held = &last.1[(offset - last.0) as usize..];
        let count = held.len().min(buf.len());
        buf[..count].copy_from_slice(&held[..count]);
        Ok(count)
    }

    fn fetch(&self, offset: u64, length: u64) -> CoreResult<Vec<u8>> {
        let (start, length) = (offset as f64, length as f64);
        let answer = match &self.from {
            From::Blob(blob, reader) => blob
                .slice_with_f64_and_f64(start, start + length)
                .and_then(|slice| reader.read_as_array_buffer(&slice))
                .map(|buffer| Uint8Array::new(&buffer)),
            From::Call(this, read) => {
                read.call2(this, &start.into(), &length.into()).and_then(|bytes| bytes.dyn_into::<Uint8Array>())
            }
        };
        let failed = || Error::new(ErrorKind::Io, "read");
        let bytes = answer.map_err(|thrown| match thrown.is_instance_of::<js_sys::Error>() {
            true => progress::stop(Failure::thrown(thrown)),
            false => failed().because("the source gave no Uint8Array"),
        })?;
        if bytes.length() == 0 || f64::from(bytes.length()) > length {
            return Err(failed().because("the source gave no bytes, or more than it was asked for"));
        }
        Ok(bytes.to_vec())
    }
}

impl Blob for Given {
    fn size(&self) -> CoreResult<u64> {
        Ok(self.size)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> CoreResult<usize> {
        if offset >= self.size || buf.is_empty() {
            return Ok(0);
        }
        let gone = || Error::new(ErrorKind::Io, "read").because("the source is closed");
        let source = SOURCES
            .with_borrow(|sources| sources.find(self.id).map(|at| sources.open[at].1.clone()))
            .ok_or_else(gone)?;
        match &*source {
            Source::Bytes(bytes) => copy(bytes, buf, offset),
            Source::Blocks(blocks) => blocks.read_at(buf, offset, self.size),
        }
    }

    fn next_data(&self, offset: u64) -> CoreResult<Option<Range<u64>>> {
        Ok((offset < self.size).then_some(offset..self.size))
    }

    fn stored(&self) -> Option<Stored> {
        None
    }

    fn stamp(&self) -> CoreResult<u128> {
        Ok(0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        // What is dropped is dropped outside the borrow: it may be the last use of another source.
        let source = SOURCES.with_borrow_mut(|sources| sources.find(self.id).map(|at| sources.open.remove(at)));
        drop(source);
    }
}
