//! Listing: the layers' sorted pages, merged by name; the topmost wins, whiteouts drop out at the end.

use std::collections::VecDeque;

use crate::{
    Entry, Kind, Name, NameBuf, Opaque, Result, Stat,
    overlay::resolve::{Hit, Look, Place, Stack},
};

/// One line of a merged directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The name.
    pub name: NameBuf,
    /// What shows there; [`Kind::Whiteout`] only when whiteouts were asked for.
    pub kind: Kind,
    /// The attributes, when they were asked for.
    pub stat: Option<Stat>,
    /// The layers of this directory that may contribute, topmost first: the first one gives the line, the others
    /// hold objects of the same kind by the same name.
    pub layers: Vec<usize>,
}

impl Shown {
    /// Returns the index of the layer that gives the line, 0 on top.
    pub fn layer(&self) -> usize {
        self.layers[0]
    }
}

/// What a listing returns beside names and kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// Fill in the attributes.
    pub stats: bool,
    /// Show the whiteouts too, where nothing shows over them.
    pub whiteouts: bool,
}

/// One layer's directory, read page by page.
struct Pages<'a> {
    hit: &'a Hit,
    page: VecDeque<Entry>,
    size: usize,
    after: Option<NameBuf>,
    ended: bool,
}

// Pages grow, since a host reads the whole directory for each of them.
const FIRST_PAGE: usize = 4096;
const LAST_PAGE: usize = 256 * 1024;

impl Stack {
    /// Returns up to `max` lines after `after`; fewer mean the end.
    pub(crate) fn list(
        &self,
        place: &Place,
        after: Option<Name<'_>>,
        max: usize,
        detail: Detail,
    ) -> Result<Vec<Shown>> {
        let size = max.clamp(1, FIRST_PAGE);
        let mut pages: Vec<Pages<'_>> = place.visible().map(|hit| Pages::new(hit, after, size)).collect();
        let mut lines = Vec::new();
        while lines.len() < max {
            let Some(mut line) = self.next_line(&mut pages, detail.stats)? else { break };
            if line.kind == Kind::Whiteout && !detail.whiteouts {
                continue;
            }
            self.count_links(place, &mut line)?;
            lines.push(line);
        }
        Ok(lines)
    }

    /// Takes the smallest name that any layer has next, from all that have it.
    fn next_line(&self, pages: &mut [Pages<'_>], stats: bool) -> Result<Option<Shown>> {
        for page in pages.iter_mut() {
            page.refill(self, stats)?;
        }
        let heads = pages.iter().enumerate().filter_map(|(i, page)| Some((&page.page.front()?.name, i)));
        let Some((_, first)) = heads.min() else { return Ok(None) };
        let Some(top) = pages[first].page.pop_front() else { return Ok(None) };
        let mut layers = vec![pages[first].hit.layer];
        let mut continues = true;
        for page in &mut pages[first + 1..] {
            let Some(entry) = page.page.pop_front_if(|entry| entry.name == top.name) else { continue };
            continues &= entry.kind == top.kind;
            if continues {
                layers.push(page.hit.layer);
            }
        }
        Ok(Some(Shown { name: top.name, kind: top.kind, stat: top.stat, layers }))
    }

    /// Gives a merged directory the one link that it shows (semantics R06); only its topmost part is looked up.
    fn count_links(&self, parent: &Place, line: &mut Shown) -> Result<()> {
        let Some(stat) = line.stat.as_mut().filter(|stat| stat.kind == Kind::Dir && line.layers.len() > 1) else {
            return Ok(());
        };
        let look = Look { only: Some(&line.layers[..1]), ..Look::default() };
        let top = self.step(parent, line.name.as_name(), look)?;
        if top.top().is_some_and(|hit| hit.marks.opaque != Opaque::Yes) {
            stat.nlink = 1;
        }
        Ok(())
    }
}

impl<'a> Pages<'a> {
    fn new(hit: &'a Hit, after: Option<Name<'_>>, size: usize) -> Self {
        Self { hit, page: VecDeque::new(), size, after: after.map(Name::to_owned), ended: false }
    }

    fn refill(&mut self, stack: &Stack, stats: bool) -> Result<()> {
        if self.ended || !self.page.is_empty() {
            return Ok(());
        }
        let after = self.after.as_ref().map(NameBuf::as_name);
        let entries = stack.layers[self.hit.layer].list(&self.hit.node, after, self.size, stats)?;
        self.ended = entries.len() < self.size;
        self.size = (self.size * 4).min(LAST_PAGE);
        self.after = entries.last().map(|last| last.name.clone()).or(self.after.take());
        self.page = entries.into();
        Ok(())
    }
}
