//! A tree as it is drawn: the lines of those directories that are open, by their number.
//!
//! Lines are made when they are asked for. A directory that is open keeps how many lines it has and every 256th of
//! their names, so that a million of them cost little and none is read twice. What changes is counted anew.

use std::{mem, sync::Arc};

use crate::{
    Error, ErrorKind, Kind, NameBuf, Overlay, Result, VPath,
    overlay::{Deed, Detail, Event, Follow, Shown},
    sorted::Sorted,
};

/// Between two names that are kept.
const STRIDE: usize = 256;
/// Lines that are counted at once.
const PAGE: usize = 16 * 1024;

/// Which directories are open, and how long they are.
#[derive(Debug)]
pub struct Outline {
    unseen: bool,
    root: Branch,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where.
    pub path: VPath,
    /// How deep, 1 for what is in the root.
    pub level: usize,
    /// Its place among those in the same directory, from 0.
    pub position: usize,
    /// How many there are in the same directory.
    pub siblings: usize,
    /// Whether it is a directory that is open.
    pub open: bool,
    /// What shows there.
    pub shown: Shown,
}

/// A directory that is open.
#[derive(Debug, Default)]
struct Branch {
    /// Its place among its siblings.
    at: usize,
    /// How many lines it has itself; unknown at first and after a change.
    count: Option<usize>,
    /// The names of its lines 255, 511, …
    marks: Vec<NameBuf>,
    open: Sorted<NameBuf, Branch>,
}

/// A part of an outline being read.
struct Window<'a> {
    overlay: &'a Arc<Overlay>,
    detail: Detail,
    skip: usize,
    want: usize,
    rows: Vec<Row>,
}

impl Outline {
    /// Returns an outline of which the root alone is open; with `unseen`, whiteouts and hidden names have lines, too.
    pub fn new(unseen: bool) -> Self {
        Self { unseen, root: Branch::default() }
    }

    /// Gives whiteouts and hidden names lines, or takes them away.
    pub fn show_unseen(&mut self, show: bool) {
        if self.unseen != show {
            self.unseen = show;
            self.forget_all();
        }
    }

    /// Returns how many lines there are.
    pub fn total(&mut self, overlay: &Arc<Overlay>) -> Result<usize> {
        self.root.freshen(overlay, &VPath::root(), self.unseen)?;
        Ok(self.root.total())
    }

    /// Returns up to `count` lines from the line `start` on.
    pub fn rows(&mut self, overlay: &Arc<Overlay>, start: usize, count: usize) -> Result<Vec<Row>> {
        self.total(overlay)?;
        let detail = Detail { stats: true, ..unseen(self.unseen) };
        let mut window = Window { overlay, detail, skip: start, want: count, rows: Vec::new() };
        window.branch(&self.root, &VPath::root(), 1)?;
        Ok(window.rows)
    }

    /// Opens a directory, and those above it.
    ///
    /// Refuses what is no directory (`NotADirectory`).
    pub fn expand(&mut self, overlay: &Arc<Overlay>, path: &VPath) -> Result<()> {
        if overlay.entry(path, Follow::No)?.stat.kind != Kind::Dir {
            return Err(Error::new(ErrorKind::NotADirectory, "open").at(path));
        }
        let mut branch = &mut self.root;
        for name in path.names() {
            if branch.open.get(name.as_bytes()).is_none() {
                branch.count = None;
            }
            branch = branch.open.or_default(name.to_owned());
        }
        Ok(())
    }

    /// Closes a directory; what was open beneath is so no more. The root stays open.
    pub fn collapse(&mut self, path: &VPath) {
        let Some((parent, name)) = path.split() else { return self.root.open = Sorted::default() };
        if let Some(branch) = self.find(&parent) {
            branch.open.remove(name.as_bytes());
        }
    }

    /// Returns the number of a path's line, `None` when a directory above is closed.
    pub fn row_of(&mut self, overlay: &Arc<Overlay>, path: &VPath) -> Result<Option<usize>> {
        self.total(overlay)?;
        let (mut branch, mut dir, mut row) = (&self.root, VPath::root(), 0);
        let mut names = path.names().peekable();
        while let Some(name) = names.next() {
            let Some(at) = branch.position(overlay, &dir, name.as_bytes(), self.unseen)? else { return Ok(None) };
            row += at + branch.open_lines(at);
            if names.peek().is_none() {
                return Ok(Some(row));
            }
            let Some(open) = branch.open.get(name.as_bytes()) else { return Ok(None) };
            (branch, row) = (open, row + 1);
            dir.push(name);
        }
        Ok(None)
    }

    /// Takes notice of what the overlay did.
    pub fn follow(&mut self, event: &Event) {
        if let Deed::Moved(from) = &event.deed {
            self.forget(from);
        }
        self.forget(&event.path);
    }

    /// Counts everything anew.
    pub fn forget_all(&mut self) {
        self.root.forget();
    }

    /// Counts anew what a change at a path may have changed.
    fn forget(&mut self, path: &VPath) {
        if let Some((parent, _)) = path.split()
            && let Some(branch) = self.find(&parent)
        {
            branch.count = None;
        }
        if let Some(branch) = self.find(path) {
            branch.forget();
        }
    }

    fn find(&mut self, path: &VPath) -> Option<&mut Branch> {
        path.names().try_fold(&mut self.root, |branch, name| branch.open.get_mut(name.as_bytes()))
    }
}

impl Branch {
    fn total(&self) -> usize {
        self.count.unwrap_or_default() + self.open_lines(usize::MAX)
    }

    /// Returns how many lines the open directories before the line `end` have.
    fn open_lines(&self, end: usize) -> usize {
        self.open.pairs().iter().filter(|(_, open)| open.at < end).map(|(_, open)| open.total()).sum()
    }

    fn forget(&mut self) {
        self.count = None;
        self.open.pairs_mut().for_each(|(_, open)| open.forget());
    }

    /// Counts what is not counted; what is no directory any more is closed.
    fn freshen(&mut self, overlay: &Arc<Overlay>, path: &VPath, hidden: bool) -> Result<()> {
        if self.count.is_none() {
            self.count(overlay, path, hidden)?;
        }
        let mut gone = Vec::new();
        for (name, branch) in self.open.pairs_mut() {
            match branch.freshen(overlay, &path.join(name.as_name()), hidden) {
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => gone.push(name.clone()),
                done => done?,
            }
        }
        gone.iter().for_each(|name| self.open.remove(name));
        Ok(())
    }

    fn count(&mut self, overlay: &Arc<Overlay>, path: &VPath, hidden: bool) -> Result<()> {
        let detail = unseen(hidden);
        let (mut count, mut after, mut open) = (0, None::<NameBuf>, Sorted::default());
        self.marks.clear();
        loop {
            let page = overlay.list(path, after.as_ref().map(NameBuf::as_name), PAGE, detail)?;
            for line in &page {
                if line.kind == Kind::Dir
                    && let Some(branch) = self.open.get_mut(line.name.as_bytes())
                {
                    open.set(line.name.clone(), Branch { at: count, ..mem::take(branch) });
                }
                count += 1;
                if count % STRIDE == 0 {
                    self.marks.push(line.name.clone());
                }
            }
            after = page.last().map(|line| line.name.clone());
            if page.len() < PAGE {
                break;
            }
        }
        (self.count, self.open) = (Some(count), open);
        Ok(())
    }

    /// Returns the place of a name among the lines.
    fn position(&self, overlay: &Overlay, dir: &VPath, name: &[u8], hidden: bool) -> Result<Option<usize>> {
        let mark = self.marks.partition_point(|mark| mark.as_bytes() < name);
        let after = mark.checked_sub(1).map(|at| self.marks[at].as_name());
        let lines = overlay.list(dir, after, STRIDE, unseen(hidden))?;
        let found = lines.iter().position(|line| line.name.as_bytes() == name);
        Ok(found.map(|at| mark * STRIDE + at))
    }
}

/// Says what beside names is listed.
fn unseen(show: bool) -> Detail {
    Detail { stats: false, whiteouts: show, hidden: show }
}

impl Window<'_> {
    fn branch(&mut self, branch: &Branch, path: &VPath, level: usize) -> Result<()> {
        let mut from = 0;
        for (name, inner) in branch.open.pairs().iter().filter(|(_, inner)| inner.count.is_some()) {
            self.lines(branch, path, level, from..inner.at + 1)?;
            from = inner.at + 1;
            if self.want == 0 {
                return Ok(());
            }
            match self.skip.checked_sub(inner.total()) {
                Some(rest) => self.skip = rest,
                None => self.branch(inner, &path.join(name.as_name()), level + 1)?,
            }
        }
        self.lines(branch, path, level, from..branch.count.unwrap_or_default())
    }

    /// Takes those of a directory's lines that are wanted.
    fn lines(&mut self, branch: &Branch, path: &VPath, level: usize, range: std::ops::Range<usize>) -> Result<()> {
        let skipped = self.skip.min(range.len());
        self.skip -= skipped;
        let (first, want) = (range.start + skipped, self.want.min(range.len() - skipped));
        if want == 0 {
            return Ok(());
        }
        let mark = first / STRIDE;
        let after = mark.checked_sub(1).and_then(|at| branch.marks.get(at)).map(NameBuf::as_name);
        let lines = self.overlay.list(path, after, first - mark * STRIDE + want, self.detail)?;
        for (position, shown) in (mark * STRIDE..).zip(lines).skip(first - mark * STRIDE) {
            let open = branch.open.get(shown.name.as_bytes()).is_some();
            let (path, siblings) = (path.join(shown.name.as_name()), branch.count.unwrap_or_default());
            self.rows.push(Row { path, level, position, siblings, open, shown });
        }
        self.want -= want;
        Ok(())
    }
}
