//! Verifying an upper: what in it is not as ovl and the kernel leave it, and mending what changes nothing that shows.
//!
//! Some of it only the lowers tell: without them, whiteouts and redirects are judged by the upper alone. A mended
//! upper shows the same over these lowers; over others a whiteout that is gone may have hidden something.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::{
    Kind, Layer, Marks, Name, Opaque, Result, VPath,
    descent::{Descent, Found},
    diff::origin,
    layers::host::Suspect,
    overlay::{Follow, Look, Overlay, Place},
};

pub use crate::layers::host::{Defect, Effect, Fault};

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where, from the root of the upper or of its work directory.
    pub path: VPath,
    /// Whether it is the work directory that it lies in.
    pub in_work: bool,
    /// What.
    pub fault: Fault,
    /// Whether it was mended, or could be.
    pub mend: Mend,
}

/// What becomes of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mend {
    /// It stays: mending it would change what shows.
    No,
    /// It can be mended without a change of what shows.
    Could,
    /// It was.
    Done,
}

/// A directory of the upper on the way down.
struct Dir {
    /// All that merges there.
    place: Place,
    /// What of it the lowers have.
    below: Place,
    /// The path by which the lowers know it.
    origin: Option<VPath>,
    /// Whether nothing of the lowers can show in it, whatever they are.
    is_closed: bool,
    /// Whether it is known what the lowers have there.
    is_known: bool,
}

/// The findings as they are asked for: the work directory's first, then the upper's, parents before children.
///
/// Memory is bounded by depth and page size, and by the number of redirects.
pub struct Verify {
    suspect: Suspect,
    overlay: Arc<Overlay>,
    has_lowers: bool,
    descent: Option<Descent>,
    dirs: Vec<Dir>,
    found: VecDeque<Finding>,
    /// Where the lowers have a directory that is redirected to, and where it is now.
    redirected: BTreeMap<VPath, VPath>,
    whiteouts: bool,
    marks: bool,
}

/// Returns what is wrong with an upper, over these lowers if there are any. What can be mended is, if the upper is held.
pub fn verify(suspect: Suspect, lowers: Vec<Arc<dyn Layer>>) -> Result<Verify> {
    let (layer, has_lowers) = (suspect.layer().clone(), !lowers.is_empty());
    let overlay = Overlay::to_read(layer.clone(), lowers)?;
    let place = overlay.stack.root()?;
    let root = Dir { below: below(&place), place, origin: Some(VPath::root()), is_closed: false, is_known: true };
    let descent = Some(Descent::new(layer.clone(), layer.root(), VPath::root(), false));
    let (found, redirected, dirs) = (VecDeque::new(), BTreeMap::new(), vec![root]);
    let mut verify =
        Verify { suspect, overlay, has_lowers, descent, dirs, found, redirected, whiteouts: false, marks: false };
    verify.begin()?;
    Ok(verify)
}

fn below(place: &Place) -> Place {
    Place { hits: place.hits.iter().skip(1).cloned().collect(), ..Place::default() }
}

impl Verify {
    fn begin(&mut self) -> Result<()> {
        for fault in self.suspect.work_faults() {
            let mend = match (self.suspect.mend_work(fault), fault.can_be_mended()) {
                (true, _) => Mend::Done,
                (false, true) => Mend::Could,
                _ => Mend::No,
            };
            let (path, fault) = (fault.path.clone(), fault.fault.clone());
            self.found.push_back(Finding { path, in_work: true, fault, mend });
        }
        if let Some(why) = self.suspect.mixed().map(str::to_owned) {
            self.note(&VPath::root(), Defect::MixedForms, why);
        }
        let root = self.suspect.layer().root();
        let (faults, marks) = self.suspect.faults(&root, true)?;
        self.marks = marks;
        faults.into_iter().for_each(|fault| self.note(&VPath::root(), fault.defect, fault.detail));
        Ok(())
    }

    fn note(&mut self, path: &VPath, defect: Defect, detail: impl Into<String>) {
        let fault = Fault { defect, detail: detail.into() };
        self.found.push_back(Finding { path: path.clone(), in_work: false, fault, mend: Mend::No });
    }

    /// Judges one more object. Returns whether there was one.
    fn advance(&mut self) -> Result<bool> {
        let Some(found) = self.descent.as_mut().map_or(Ok(None), Descent::advance)? else {
            self.end();
            return Ok(false);
        };
        self.dirs.truncate(found.depth);
        self.judge(&found).map_err(|e| e.or_at(&found.path))?;
        Ok(true)
    }

    fn end(&mut self) {
        self.descent = None;
        if std::mem::take(&mut self.whiteouts) && !self.marks {
            self.note(&VPath::root(), Defect::NoMarks, "");
        }
    }

    fn judge(&mut self, found: &Found) -> Result<()> {
        if found.entry.kind == Kind::Whiteout {
            self.whiteouts = true;
            return self.judge_whiteout(found);
        }
        if self.suspect.is_foreign(found.entry.name.as_name()) {
            self.note(&found.path, Defect::ForeignName, "");
        }
        let Some(node) = found.node(&**self.suspect.layer())? else { return Ok(()) };
        let (faults, has_marks) = self.suspect.faults(&node, false)?;
        self.marks |= has_marks;
        faults.into_iter().for_each(|fault| self.note(&found.path, fault.defect, fault.detail));
        match found.entry.kind {
            Kind::Dir => self.judge_dir(found),
            Kind::File if has_marks => self.judge_file(found),
            _ => Ok(()),
        }
    }

    fn judge_whiteout(&mut self, found: &Found) -> Result<()> {
        let Some(dir) = self.dirs.last() else { return Ok(()) };
        let name = found.entry.name.as_name();
        let defect = match self.has_lowers && dir.is_known {
            _ if dir.is_closed => Defect::NeedlessWhiteout,
            true if dir.below.hits.is_empty() => Defect::NeedlessWhiteout,
            true if !self.hides(dir, name) => Defect::OrphanWhiteout,
            _ => return Ok(()),
        };
        let mend = if self.suspect.remove_whiteout(&found.dir, name)? { Mend::Done } else { Mend::Could };
        let (path, fault) = (found.path.clone(), Fault { defect, detail: String::new() });
        self.found.push_back(Finding { path, in_work: false, fault, mend });
        Ok(())
    }

    /// Returns whether the lowers show something at a name; what cannot be looked at may (semantics W12).
    fn hides(&self, dir: &Dir, name: Name<'_>) -> bool {
        self.overlay.stack.step(&dir.below, name, Look::default()).map_or(true, |place| place.top().is_some())
    }

    fn judge_dir(&mut self, found: &Found) -> Result<()> {
        let Some(dir) = self.dirs.last() else { return Ok(()) };
        let name = found.entry.name.as_name();
        let stepped = self.overlay.stack.step(&dir.place, name, Look::default());
        let (is_closed, is_known, parent) = (dir.is_closed, dir.is_known, dir.origin.clone());
        // What is wrong with its marks, or below, is told elsewhere; nothing is known of what merges there.
        let Ok(place) = stepped else {
            let (place, below) = Default::default();
            self.dirs.push(Dir { place, below, origin: None, is_closed, is_known: false });
            return Ok(());
        };
        let marks = place.hits.first().map_or_else(Marks::default, |hit| hit.marks.clone());
        let leads_out = marks.redirect.as_ref().is_some_and(|redirect| redirect.starts_with(b"/"));
        let inner = Dir {
            below: below(&place),
            place,
            origin: origin(parent.as_ref(), name, &marks),
            is_closed: marks.opaque == Opaque::Yes || (is_closed && !leads_out),
            is_known,
        };
        if marks.redirect.is_some() && marks.opaque != Opaque::Yes && is_known {
            self.judge_redirect(&found.path, &inner, &marks);
        }
        self.dirs.push(inner);
        Ok(())
    }

    fn judge_redirect(&mut self, path: &VPath, dir: &Dir, marks: &Marks) {
        if self.has_lowers && dir.below.hits.is_empty() {
            let redirect = marks.redirect.as_deref().unwrap_or_default();
            return self.note(path, Defect::DanglingRedirect, crate::printable(redirect));
        }
        let Some(from) = dir.origin.clone().filter(|from| from != path) else { return };
        let other = self.redirected.insert(from.clone(), path.clone());
        if let Some(other) = other.or_else(|| self.shows(dir, &from).then_some(from)) {
            self.note(path, Defect::SharedRedirect, other.to_string());
        }
    }

    /// Returns whether the directory of the lowers at `from`, which shows in `dir`, shows there, too.
    fn shows(&self, dir: &Dir, from: &VPath) -> bool {
        let Some(theirs) = dir.below.top() else { return false };
        let there = self.overlay.resolve(from, Follow::No, "verify");
        let same =
            |place: &Place| place.visible().any(|hit| hit.layer == theirs.layer && hit.node.id == theirs.node.id);
        there.is_ok_and(|spot| spot.path == *from && same(&spot.place))
    }

    fn judge_file(&mut self, found: &Found) -> Result<()> {
        let Some(dir) = self.dirs.last().filter(|dir| self.has_lowers && dir.is_known) else { return Ok(()) };
        let name = found.entry.name.as_name();
        // A mark that cannot be read has been told already.
        let Ok(place) = self.overlay.stack.step(&dir.place, name, Look::default()) else { return Ok(()) };
        let is_metacopy = place.hits.first().is_some_and(|hit| hit.layer == 0 && hit.marks.metacopy);
        if let (true, Err(error)) = (is_metacopy, self.overlay.stack.source(&place)) {
            self.note(&found.path, Defect::MissingContent, error.cause().unwrap_or_default());
        }
        Ok(())
    }
}

impl Iterator for Verify {
    type Item = Result<Finding>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(finding) = self.found.pop_front() {
                return Some(Ok(finding));
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) if self.found.is_empty() => return self.suspect.settle().err().map(Err),
                Ok(false) => {}
                Err(error) => {
                    self.descent = None;
                    self.whiteouts = false;
                    return Some(Err(error));
                }
            }
        }
    }
}
