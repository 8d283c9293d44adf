//! gzip around a deflate member's stored bytes: sent as it lies in the archive, never inflated.

use bytes::Bytes;
use ovl_core::Stored;

/// The bytes before the stored ones: no name, no time, no flags (RFC 1952).
pub(crate) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// Bytes that are added in all.
pub(crate) const ADDED: u64 = 18;

/// Returns the bytes behind the stored ones: CRC and length modulo 2^32.
pub(crate) fn trailer(stored: &Stored) -> Bytes {
    let size = (stored.size & u64::from(u32::MAX)) as u32;
    [stored.crc32.to_le_bytes(), size.to_le_bytes()].concat().into()
}
