//! What is left in the work directory of an upper that nobody uses.

use std::path::Path;

use super::{Defect, Fault};
use crate::{
    Kind, Name, Result, VPath,
    layers::host::{failed, kept, sys::Handle, work},
};

/// Something wrong in the work directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkFault {
    /// Where, from the work directory.
    pub path: VPath,
    /// What.
    pub fault: Fault,
}

impl WorkFault {
    /// Returns whether it can be mended: not what lies in a work directory that is the kernel's alone.
    pub fn can_be_mended(&self) -> bool {
        self.fault.defect.can_be_mended() && self.path.names().next().map(Name::as_bytes) != Some(b"work")
    }
}

/// What was found in a work directory; nothing, where the upper is in use.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    faults: Vec<WorkFault>,
}

/// Where unfinished work lies: ours, the kernel's beneath ours, and the kernel's own.
const STAGES: [&[&[u8]]; 3] = [&[b"stage"], &[kept::KERNEL, b"work"], &[b"work"]];

impl Leftovers {
    /// Looks into the work directory `named`, or into that beside the upper, if there is one.
    pub(super) fn look(path: &Path, named: Option<&Path>, upper: &Handle) -> Result<Self> {
        let place = named.map_or_else(|| work::beside(path), |named| Ok(named.to_owned()))?;
        let Ok(dir) = Handle::root(&place) else { return Ok(Self::default()) };
        let mut found = Self::default();
        for parts in STAGES {
            found.note_unfinished(&dir, parts)?;
        }
        for beneath in [&[kept::KERNEL][..], &[]] {
            let at = |inner: &[&'static [u8]]| [beneath, inner].concat();
            found.note(&dir, &at(&[b"work", b"incompat", b"volatile", b"dirty"]), Defect::Volatile)?;
            if kept::find(&dir, &at(&[b"index"]))?.is_some_and(|index| !is_empty(&index)) {
                found.note(&dir, &at(&[b"index"]), Defect::Index)?;
            }
        }
        // Held for an instant, and only where something lies there that its user may be about to finish.
        let in_use = !found.faults.is_empty() && work::in_use(&dir, upper, path)?;
        Ok(if in_use { Self::default() } else { found })
    }

    pub(super) fn faults(&self) -> &[WorkFault] {
        &self.faults
    }

    fn note_unfinished(&mut self, dir: &Handle, parts: &[&[u8]]) -> Result<()> {
        let Some(stage) = kept::find(dir, parts)? else { return Ok(()) };
        let mut names: Vec<Vec<u8>> = Vec::new();
        let scanned = stage.scan(&mut |name, _| names.push(name.to_owned()));
        scanned.map_err(failed("read work directory"))?;
        names.sort_unstable();
        for name in names.iter().filter(|name| name.starts_with(b"#")) {
            // The device of which all whiteouts are links may stay (semantics W02).
            if stage.child_stat(name).is_ok_and(|raw| raw.stat.kind != Kind::Whiteout) {
                self.push(&[parts, &[name]].concat(), Defect::Leftover)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, dir: &Handle, parts: &[&[u8]], defect: Defect) -> Result<()> {
        match kept::find(dir, parts)? {
            Some(_) => self.push(parts, defect),
            None => Ok(()),
        }
    }

    fn push(&mut self, parts: &[&[u8]], defect: Defect) -> Result<()> {
        let path = VPath::parse(&parts.join(&b'/'))?;
        self.faults.push(WorkFault { path, fault: Fault { defect, detail: String::new() } });
        Ok(())
    }
}

/// Returns whether a directory has no entries; one that may not be read is taken to have none.
fn is_empty(dir: &Handle) -> bool {
    let mut is_empty = true;
    let scanned = dir.scan(&mut |_, _| is_empty = false);
    scanned.is_err() || is_empty
}
