//! gzip around a deflate member's stored bytes: sent as it lies in the archive, never inflated.

use bytes::Bytes;
use http::{HeaderMap, header};
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

/// Returns whether a client takes gzip (RFC 9110 section 12.5.3).
pub(crate) fn accepted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut any = false;
    for item in values.flat_map(|value| value.split(',')) {
        let mut parts = item.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let refused =
            parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.trim_end_matches(['0', '.']).is_empty()));
        match coding {
            "gzip" | "x-gzip" => return !refused,
            "*" => any = !refused,
            _ => (),
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let cases = [
            ("gzip, deflate, br", true),
            ("br;q=1, gzip;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000, *", false),
            ("*;q=0", false),
            ("identity", false),
            ("", false),
        ];
        for (value, expected) in cases {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, value.parse().unwrap())]);
            assert_eq!(accepted(&headers), expected, "{value}");
        }
    }
}
