//! The buffer that a worker reads a file's content into.

use std::cell::RefCell;

/// The most bytes of one write, and what is read ahead.
pub(super) const PIECE: u32 = 1024 * 1024;

/// A page of memory, or a part of one.
const PAGE: usize = 4096;

thread_local! {
    /// What was read last: a buffer of a mebibyte costs more to get from the system than to fill.
    static PIECES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Calls `work` with a buffer of `size` bytes, whatever is in it.
///
/// It begins with a page, wherever the allocator lets the buffer begin: at one place of 256, 16 bytes behind the beginning
/// of a page, some processors copy pages at a fifth of the speed, and a worker would keep that place as long as it lives.
pub(super) fn with_piece<T>(size: usize, work: impl FnOnce(&mut [u8]) -> T) -> T {
    PIECES.with_borrow_mut(|buf| {
        buf.resize(buf.len().max(size + PAGE), 0);
        let start = buf.as_ptr().align_offset(PAGE).min(PAGE);
        work(&mut buf[start..start + size])
    })
}
