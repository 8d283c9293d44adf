//! What an archive holds that is not shown as it stands.

use crate::Omitted;

/// How many lines are kept; what is beyond is counted.
const LINES: usize = 10_000;
/// How many bytes of a name are kept: names may have 65,535, and none of a sound path's has more than this.
const NAME: usize = 4096;
/// How many bytes of names are kept in all.
const NAMES: usize = 8 << 20;

#[derive(Default)]
pub(super) struct Report {
    lines: Vec<Omitted>,
    more: u64,
    kept: usize,
    first_left_out: Option<(Box<[u8]>, String)>,
}

impl Report {
    /// Notes an entry that is left out.
    pub(super) fn leave_out(&mut self, name: &[u8], reason: &str) {
        self.first_left_out.get_or_insert_with(|| (name[..name.len().min(NAME)].into(), reason.to_owned()));
        self.push(name, reason, false);
    }

    /// Notes an entry that is served, though not as a user may expect.
    pub(super) fn shown(&mut self, name: &[u8], reason: &str) {
        self.push(name, reason, true);
    }

    /// Returns the name and the reason of the first entry that was left out.
    pub(super) fn first_left_out(&self) -> Option<(&[u8], &str)> {
        self.first_left_out.as_ref().map(|(name, reason)| (&**name, &**reason))
    }

    /// Returns the lines, and one that counts the rest.
    pub(super) fn into_lines(mut self) -> Vec<Omitted> {
        if self.more > 0 {
            let reason = format!("{} more entries are reported but not listed", self.more);
            self.lines.push(Omitted { name: Box::default(), reason, shown: false });
        }
        self.lines
    }

    fn push(&mut self, name: &[u8], reason: &str, shown: bool) {
        let name = &name[..name.len().min(NAME)];
        if self.lines.len() < LINES && self.kept + name.len() <= NAMES {
            self.kept += name.len();
            self.lines.push(Omitted { name: name.into(), reason: reason.to_owned(), shown });
        } else {
            self.more += 1;
        }
    }
}
