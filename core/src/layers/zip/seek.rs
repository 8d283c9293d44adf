//! Reading a big deflated member where it is asked for, without what stands before.
//!
//! Who skips a long way notes points on it: where a block of the stream begins, and the 32 KiB of content before, to
//! which it may refer. Another reader goes on from there. No more than [`MOST`] points are kept of a member, and of
//! [`MEMBERS`] members: 64 MiB for an archive, however big it is and however many read it.
//!
//! Who begins at a point cannot tell whether the member is as declared (trust 3.7): it is for those who do not read its
//! last bytes, or where another has read all of it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use miniz_oxide::inflate::{
    TINFLStatus,
    core::{
        BlockBoundaryState, DecompressorOxide, decompress_with_limit,
        inflate_flags::{TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY},
    },
};

use super::{end::corrupt, inflate::Step};
use crate::Result;

/// Points are at least so many bytes of content apart, and so many are skipped without looking for one.
const APART: u64 = 1024 * 1024;

/// The most points of one member.
const MOST: u64 = 1024;

/// Of how many members of an archive points are kept.
const MEMBERS: usize = 2;

/// How far back a stream may refer.
const WINDOW: usize = 32 * 1024;

/// What comes out is kept in a ring: twice the window, so that a window can be taken from it at any place.
const RING: usize = 2 * WINDOW;

/// Returns whether it is quick enough to decode all from one offset to another.
pub(super) fn is_near(from: u64, to: u64) -> bool {
    to - from < APART
}

/// A place in a member from which it can be decoded.
pub(super) struct Point {
    /// The offset in the content.
    pub(super) at: u64,
    /// The offset in the stored bytes.
    pub(super) packed: u64,
    state: BlockBoundaryState,
    window: Box<[u8]>,
}

/// The points of one member, in the order of its content.
pub(super) struct Points {
    apart: u64,
    known: Mutex<Vec<Arc<Point>>>,
}

impl Points {
    fn new(size: u64) -> Self {
        Self { apart: APART.max(size / MOST), known: Mutex::default() }
    }

    // A point is whole before it is known.
    fn known(&self) -> MutexGuard<'_, Vec<Arc<Point>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the last point at or before an offset.
    pub(super) fn before(&self, offset: u64) -> Option<Arc<Point>> {
        let known = self.known();
        let after = known.partition_point(|point| point.at <= offset);
        known[..after].last().cloned()
    }

    fn note(&self, point: impl FnOnce() -> Point, at: u64) {
        let mut known = self.known();
        let last = known.last().map_or(0, |point| point.at);
        if at >= last + self.apart {
            known.push(Arc::new(point()));
        }
    }
}

/// The points of an archive's members that were read last.
#[derive(Default)]
pub(super) struct Sought(Mutex<VecDeque<(u32, Arc<Points>)>>);

impl Sought {
    /// Returns the points of a member of `size` bytes.
    pub(super) fn of(&self, id: u32, size: u64) -> Arc<Points> {
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = members.iter().position(|(known, _)| *known == id).and_then(|at| members.remove(at));
        let (_, points) = known.unwrap_or_else(|| (id, Arc::new(Points::new(size))));
        members.push_front((id, points.clone()));
        members.truncate(MEMBERS);
        points
    }
}

/// A decoder for deflate that begins at the front or at a point, and notes others on its way.
pub(super) struct Seeker {
    /// Of a member that is no longer among the last, nothing is noted.
    points: Weak<Points>,
    coder: Box<DecompressorOxide>,
    ring: Box<[u8]>,
    next: usize,
    at: u64,
}

impl Seeker {
    pub(super) fn new(points: &Arc<Points>, from: Option<&Point>) -> Self {
        let points = Arc::downgrade(points);
        let mut ring = vec![0; RING].into_boxed_slice();
        let Some(point) = from else { return Self { points, coder: Box::default(), ring, next: 0, at: 0 } };
        let next = point.window.len();
        ring[..next].copy_from_slice(&point.window);
        let coder = Box::new(DecompressorOxide::from_block_boundary_state(&point.state));
        Self { points, coder, ring, next, at: point.at }
    }

    /// Decodes a step, of which a block of the stream may be the end: then `boundary` is set.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step> {
        let flags = TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;
        let most = output.len().min(RING - self.next);
        let (status, took, gave) =
            decompress_with_limit(&mut self.coder, input, &mut self.ring, self.next, most, flags);
        if (status as i32) < TINFLStatus::Done as i32 {
            return Err(corrupt("the stored bytes of a member are no deflate stream"));
        }
        output[..gave].copy_from_slice(&self.ring[self.next..self.next + gave]);
        self.next = (self.next + gave) % RING;
        self.at += gave as u64;
        let (ended, boundary) = (status == TINFLStatus::Done, status == TINFLStatus::BlockBoundary);
        Ok(Step { took, gave, ended, boundary })
    }

    /// Notes the beginning of a block, whose stored bytes go on at `packed`.
    pub(super) fn note(&self, packed: u64) {
        let (Some(points), Some(state)) = (self.points.upgrade(), self.coder.block_boundary_state()) else { return };
        points.note(|| Point { at: self.at, packed, state, window: self.window() }, self.at);
    }

    /// Returns what came out last.
    fn window(&self) -> Box<[u8]> {
        let len = usize::try_from(self.at).map_or(WINDOW, |at| at.min(WINDOW));
        let from = (self.next + RING - len) % RING;
        let (end, rest) = (RING.min(from + len), (from + len).saturating_sub(RING));
        [&self.ring[from..end], &self.ring[..rest]].concat().into_boxed_slice()
    }
}
