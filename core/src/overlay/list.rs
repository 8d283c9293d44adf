//! Listing: the layers' sorted pages, merged by name; the topmost wins, whiteouts drop out at the end.

use std::collections::VecDeque;

use crate::{
    Entry, Kind, Marks, Name, NameBuf, Opaque, Result, Stat,
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
    /// The layer that gives the line, 0 on top.
    pub layer: usize,
    /// The layers of this directory below it that hold objects of the same kind by the same name, topmost first.
    pub below: Vec<usize>,
    /// Whether an opaque directory above hides it, so that nothing shows at this name; only when such were asked for.
    pub hidden: bool,
}

impl Shown {
    /// Returns whether a layer may contribute to the line.
    pub(crate) fn is_in(&self, layer: usize) -> bool {
        layer == self.layer || self.below.contains(&layer)
    }
}

/// What a listing returns beside names and kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// Fill in the attributes.
    pub stats: bool,
    /// Show the whiteouts too, where nothing shows over them.
    pub whiteouts: bool,
    /// Tell the names, too, that an opaque directory hides, where nothing shows over them; only a listing of one
    /// directory can.
    pub hidden: bool,
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
        let mut lines = self.lines(place, after, max, detail)?;
        lines.iter_mut().try_for_each(|line| self.count_links(place, line))?;
        Ok(lines)
    }

    /// Returns the same with directories' links as their topmost layer counts them.
    pub(crate) fn lines(
        &self,
        place: &Place,
        after: Option<Name<'_>>,
        max: usize,
        detail: Detail,
    ) -> Result<Vec<Shown>> {
        let size = max.clamp(1, FIRST_PAGE);
        // A place that is looked up with what does not show has hidden directories too, below those that do.
        let hits = place.hits.iter().filter(|hit| hit.hidden.is_none() || hit.node.kind == Kind::Dir);
        let mut pages: Vec<Pages<'_>> = hits.map(|hit| Pages::new(hit, after, size)).collect();
        let mut lines = Vec::new();
        while lines.len() < max {
            let Some(line) = self.next_line(&mut pages, detail.stats)? else { break };
            match line.kind {
                Kind::Whiteout if line.hidden || !detail.whiteouts => {}
                Kind::Whiteout => lines.push(line),
                _ if detail.stats => lines.extend(self.with_stat(place, line)?),
                _ => lines.push(line),
            }
        }
        Ok(lines)
    }

    /// Takes the smallest name that any layer has next, from all that have it.
    fn next_line(&self, pages: &mut [Pages<'_>], stats: bool) -> Result<Option<Shown>> {
        for (above, page) in pages.iter_mut().enumerate() {
            // What the topmost layer has always shows; what is below may be covered, and is not asked for more than names.
            page.refill(self, stats && above == 0)?;
        }
        let heads = pages.iter().enumerate().filter_map(|(i, page)| Some((&page.page.front()?.name, i)));
        let Some((_, first)) = heads.min() else { return Ok(None) };
        let Some(top) = pages[first].page.pop_front() else { return Ok(None) };
        let (hit, mut below) = (pages[first].hit, Vec::new());
        let mut continues = true;
        for page in &mut pages[first + 1..] {
            let Some(entry) = page.page.pop_front_if(|entry| entry.name == top.name) else { continue };
            continues &= entry.kind == top.kind && page.hit.hidden.is_none();
            if continues {
                below.push(page.hit.layer);
            }
        }
        let (layer, hidden) = (hit.layer, hit.hidden.is_some());
        Ok(Some(Shown { name: top.name, kind: top.kind, stat: top.stat, layer, below, hidden }))
    }

    /// Fills in the attributes of a line, or returns `None` when what it tells of has gone.
    fn with_stat(&self, place: &Place, line: Shown) -> Result<Option<Shown>> {
        let hit = place.hits.iter().find(|hit| hit.layer == line.layer && line.stat.is_none());
        let Some(hit) = hit else { return self.with_links(place, line).map(Some) };
        let stat = self.layers[hit.layer].stat_at(&hit.node, line.name.as_name())?;
        let line = stat.map(|stat| Shown { kind: stat.kind, stat: Some(stat), ..line });
        line.map(|line| self.with_links(place, line)).transpose()
    }

    /// Tells of a lower's hard link what the upper has for it, where another of its names was changed.
    fn with_links(&self, place: &Place, line: Shown) -> Result<Shown> {
        let linked =
            !line.hidden && line.layer > 0 && line.kind != Kind::Dir && line.stat.is_some_and(|stat| stat.nlink > 1);
        if !linked || self.links().is_none() {
            return Ok(line);
        }
        let found = self.step(place, line.name.as_name(), Look { only: Some(&line), ..Look::default() })?;
        let Some(hit) = found.top().filter(|hit| self.is_upper(hit.layer)) else { return Ok(line) };
        Ok(Shown { stat: Some(self.layers[hit.layer].stat(&hit.node)?), layer: hit.layer, ..line })
    }

    /// Gives a merged directory the one link that it shows (semantics R06). What is below its topmost part is looked up
    /// only where a redirect leads.
    pub(crate) fn count_links(&self, parent: &Place, line: &mut Shown) -> Result<()> {
        let counts = line.stat.is_some() && line.kind == Kind::Dir && line.layer + 1 < self.layers.len();
        if counts && self.is_merged(parent, line)? {
            line.stat = line.stat.map(|stat| Stat { nlink: 1, ..stat });
        }
        Ok(())
    }

    fn is_merged(&self, parent: &Place, line: &Shown) -> Result<bool> {
        let (layer, name) = (&self.layers[line.layer], line.name.as_name());
        let Some(hit) = parent.visible().find(|hit| hit.layer == line.layer) else { return Ok(false) };
        let Some(top) = layer.lookup(&hit.node, name)? else { return Ok(false) };
        match self.marks(line.layer, &top)? {
            Marks { redirect: Some(_), .. } => Ok(self.step(parent, name, Look::default())?.is_merged()),
            marks => Ok(marks.opaque != Opaque::Yes && !line.below.is_empty()),
        }
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
