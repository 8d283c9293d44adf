//! Which bytes of the archive each member takes, and that no two take the same (trust T13).
//!
//! Seen from the central directory alone: a member begins at its local header, which repeats the name, and ends
//! with its content. Extra fields of local headers are unseen here; what is left for them is each member's room.

use super::end::corrupt;
use crate::Result;

const LOCAL_HEADER: u64 = 30;

/// The bytes of one member, from the start of the archive proper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Span {
    /// Returns the bytes that a member takes at least. Refuses (`Corrupt`) one that ends behind `limit`.
    pub(super) fn new(start: u64, name: usize, packed: u64, limit: u64) -> Result<Self> {
        let end = start.checked_add(LOCAL_HEADER + name as u64).and_then(|data| data.checked_add(packed));
        match end.filter(|end| *end <= limit) {
            Some(end) => Ok(Self { start, end }),
            None => Err(corrupt("a member reaches into the directory or beyond it")),
        }
    }
}

/// Follows members in the order of the directory, which is mostly that of the archive.
pub(super) struct Order {
    last: Option<(Span, Option<u32>)>,
    ascending: bool,
}

impl Order {
    pub(super) fn new() -> Self {
        Self { last: None, ascending: true }
    }

    /// Takes the next member and returns which one stood before it, with the room between the two.
    pub(super) fn next(&mut self, span: Span, id: Option<u32>) -> Option<(u32, u64)> {
        let (before, before_id) = self.last.replace((span, id))?;
        match span.start.checked_sub(before.end) {
            Some(room) => before_id.map(|id| (id, room)),
            None => {
                self.ascending = false;
                None
            }
        }
    }

    /// Returns whether every member began where the one before had ended, or later.
    pub(super) fn is_ascending(&self) -> bool {
        self.ascending
    }

    /// Returns the last member, with its room before `end`.
    pub(super) fn last(&self, end: u64) -> Option<(u32, u64)> {
        self.last.and_then(|(span, id)| Some((id?, end - span.end)))
    }
}

/// Sorts the spans. Refuses (`Corrupt`) two that overlap.
pub(super) fn sort(spans: &mut [Span]) -> Result<()> {
    let mut pairs: Vec<u128> = spans.iter().map(|span| pair(span.start, span.end)).collect();
    sort_pairs(&mut pairs);
    for (span, pair) in spans.iter_mut().zip(pairs) {
        *span = Span { start: (pair >> 64) as u64, end: pair as u64 };
    }
    if spans.windows(2).any(|pair| pair[1].start < pair[0].end) {
        return Err(corrupt("two members overlap"));
    }
    Ok(())
}

/// Returns two numbers as one, ordered by the first.
pub(super) fn pair(one: u64, other: u64) -> u128 {
    u128::from(one) << 64 | u128::from(other)
}

/// Sorts pairs of numbers. There is one such sort: each type that is sorted costs 3 KiB of wasm.
pub(super) fn sort_pairs(pairs: &mut [u128]) {
    pairs.sort_unstable();
}

/// Returns where each of some sorted spans begins, and the room behind it; the last has room up to `end`.
pub(super) fn rooms(spans: &[Span], end: u64) -> impl Iterator<Item = (u64, u64)> {
    let nexts = spans.iter().skip(1).map(|span| span.start).chain([end]);
    spans.iter().zip(nexts).map(|(span, next)| (span.start, next - span.end))
}
