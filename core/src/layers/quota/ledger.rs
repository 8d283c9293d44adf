//! The account of an upper: what it holds, added up as it changes, and counted anew when that may help.

use std::{
    any::Any,
    collections::HashSet,
    ops::AddAssign,
    sync::{Arc, Weak},
};

use crate::{Kind, Layer, New, Node, Result, Stat, VPath, WritableLayer, descent::Descent};

/// So much content under so many names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Content bytes; a file with several names counts once.
    pub bytes: u64,
    /// Names of files, directories and other objects; whiteouts do not count.
    pub entries: u64,
}

impl Usage {
    /// More than any upper holds.
    pub const MAX: Self = Self { bytes: u64::MAX, entries: u64::MAX };

    /// Returns whether `more` goes on top without passing `limit`; nothing needs no room.
    fn has_room(self, more: Self, limit: Self) -> bool {
        let fits = |used: u64, more: u64, limit: u64| more == 0 || used.saturating_add(more) <= limit;
        fits(self.bytes, more.bytes, limit.bytes) && fits(self.entries, more.entries, limit.entries)
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, more: Self) {
        self.bytes = self.bytes.saturating_add(more.bytes);
        self.entries = self.entries.saturating_add(more.entries);
    }
}

/// What an upper holds, never less than there is.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    used: Usage,
    /// What of it belongs to calls that are still under way.
    pending: Usage,
    staged: Vec<Staged>,
    /// Whether something went that is still in the account.
    stale: bool,
}

/// An object without a name in the tree, with what is beneath it.
#[derive(Debug)]
struct Staged {
    id: u64,
    kind: Kind,
    /// Whether it is a copy of a lower's directory, without which nothing in that could be removed.
    copied_dir: bool,
    pin: Weak<dyn Any + Send + Sync>,
}

impl Ledger {
    /// Opens the account of a layer.
    pub(super) fn of(layer: &Arc<dyn WritableLayer>) -> Result<Self> {
        let mut ledger = Self { stale: true, ..Self::default() };
        ledger.count(layer)?;
        Ok(ledger)
    }

    /// Returns what there is, counted anew where that may be less than the account says.
    pub(super) fn usage(&mut self, layer: &Arc<dyn WritableLayer>) -> Result<Usage> {
        self.count(layer)?;
        Ok(self.used)
    }

    /// Takes `more` from what is left and returns true, or false when it is not there.
    pub(super) fn admit(&mut self, layer: &Arc<dyn WritableLayer>, more: Usage, limit: Usage) -> Result<bool> {
        if !self.used.has_room(more, limit) {
            self.count(layer)?;
        }
        let admitted = self.used.has_room(more, limit);
        if admitted {
            self.owe(more);
        }
        Ok(admitted)
    }

    /// Takes `more` whatever is left.
    pub(super) fn owe(&mut self, more: Usage) {
        self.used += more;
        self.pending += more;
    }

    /// Notes that the call for which `more` was taken has returned.
    pub(super) fn done(&mut self, more: Usage) {
        self.pending.bytes -= more.bytes;
        self.pending.entries -= more.entries;
    }

    /// Notes that names went, and what else went with them.
    pub(super) fn release(&mut self, names: u64) {
        self.used.entries = self.used.entries.saturating_sub(names);
        self.stale = true;
    }

    /// Notes a staged object.
    pub(super) fn stage(&mut self, node: &Node, new: &New<'_>) {
        self.forget_dropped();
        let Some(pin) = &node.pin else { return };
        let copied_dir = new.copied_up && new.kind == Kind::Dir;
        self.staged.push(Staged { id: node.id, kind: node.kind, copied_dir, pin: Arc::downgrade(pin) });
    }

    /// Notes that a staged object has got a name.
    pub(super) fn place(&mut self, node: &Node) {
        self.staged.retain(|staged| staged.id != node.id);
    }

    /// Returns whether a staged object is a copy of a lower's directory.
    pub(super) fn is_copied_dir(&self, node: &Node) -> bool {
        self.staged.iter().any(|staged| staged.id == node.id && staged.copied_dir)
    }

    fn forget_dropped(&mut self) {
        let before = self.staged.len();
        self.staged.retain(|staged| staged.pin.strong_count() > 0);
        self.stale |= self.staged.len() < before;
    }

    fn count(&mut self, layer: &Arc<dyn WritableLayer>) -> Result<()> {
        self.forget_dropped();
        if !self.stale {
            return Ok(());
        }
        let mut tally = Tally::default();
        tally.add_tree(layer, layer.root())?;
        for staged in &self.staged {
            let Some(pin) = staged.pin.upgrade() else { continue };
            let node = Node { id: staged.id, kind: staged.kind, pin: Some(pin) };
            tally.add_staged(layer, node)?;
        }
        tally.usage += self.pending;
        (self.used, self.stale) = (tally.usage, false);
        Ok(())
    }
}

#[derive(Default)]
struct Tally {
    usage: Usage,
    /// The numbers of files with several names that were met.
    linked: HashSet<u64>,
}

impl Tally {
    fn add_tree(&mut self, layer: &Arc<dyn WritableLayer>, dir: Node) -> Result<()> {
        let mut objects = Descent::new(layer.clone() as Arc<dyn Layer>, dir, VPath::root(), true);
        while let Some(found) = objects.advance()? {
            self.usage.entries += u64::from(found.entry.kind != Kind::Whiteout);
            found.entry.stat.iter().for_each(|stat| self.add_content(stat));
        }
        Ok(())
    }

    fn add_staged(&mut self, layer: &Arc<dyn WritableLayer>, node: Node) -> Result<()> {
        match node.kind {
            Kind::Dir => self.add_tree(layer, node),
            _ => layer.stat(&node).map(|stat| self.add_content(&stat)),
        }
    }

    fn add_content(&mut self, stat: &Stat) {
        if stat.kind == Kind::File && (stat.nlink < 2 || self.linked.insert(stat.ino)) {
            self.usage.bytes += stat.size;
        }
    }
}
