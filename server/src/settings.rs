//! What the operator chose for the server, the stack aside.

/// Limits and rules of the API.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The most bytes of an uploaded body.
    pub max_body: u64,
    /// Whether every write must carry a condition.
    pub require_preconditions: bool,
    /// How many events are kept for clients that come back.
    pub events_kept: usize,
    /// Owner of what clients create.
    pub uid: u32,
    /// Group of what clients create.
    pub gid: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_body: 16 << 30, require_preconditions: false, events_kept: 10_000, uid: 0, gid: 0 }
    }
}
