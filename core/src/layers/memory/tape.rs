//! Taking changes back: what each change replaced is kept, and put back in reverse.
//!
//! Objects that are replaced live on as long as they can come back; content in pages is shared, not copied.

use std::{
    collections::VecDeque,
    sync::{Arc, MutexGuard, PoisonError},
};

use super::{Inode, Memory, content::Pages, inode};
use crate::{Attrs, Marks, Name, NameBuf, Node, Result, VPath, sorted::Sorted};

/// What there was before a part of a change.
enum Was {
    /// What stood at a name.
    Name { dir: Node, name: NameBuf, node: Option<Node> },
    /// What an object's attributes were.
    State { node: Node, attrs: Attrs, nlink: u32, marks: Marks, xattrs: Sorted<Box<[u8]>, Box<[u8]>> },
    /// What a file's content was.
    Content { node: Node, pages: Pages },
}

/// All that one change replaced, and the paths that it concerned.
#[derive(Default)]
struct Group {
    parts: Vec<Was>,
    paths: Vec<VPath>,
}

/// The changes that can be taken back, and those that can be made again.
#[derive(Default)]
pub(super) struct Tape {
    room: usize,
    open: Group,
    past: VecDeque<Group>,
    future: Vec<Group>,
}

impl Tape {
    pub(super) fn new(room: usize) -> Self {
        Self { room, ..Self::default() }
    }

    pub(super) fn note_name(&mut self, dir: &Node, name: Name<'_>, node: Option<&Node>) {
        if self.room > 0 {
            let (dir, name, node) = (dir.clone(), name.to_owned(), node.cloned());
            self.open.parts.push(Was::Name { dir, name, node });
        }
    }

    pub(super) fn note_state(&mut self, node: &Node) -> Result<()> {
        if self.room > 0 {
            self.open.parts.push(state(node)?);
        }
        Ok(())
    }

    pub(super) fn note_content(&mut self, node: &Node, inode: &Inode) {
        if self.room > 0 {
            self.open.parts.push(Was::Content { node: node.clone(), pages: inode.content.pages() });
        }
    }
}

fn state(node: &Node) -> Result<Was> {
    let state = inode(node)?.read();
    let (attrs, nlink, marks, xattrs) = (state.attrs, state.nlink, state.marks.clone(), state.xattrs.clone());
    Ok(Was::State { node: node.clone(), attrs, nlink, marks, xattrs })
}

impl Was {
    /// Puts it back, and returns what there was instead. Versions go on: a validator never comes back.
    fn restore(self) -> Result<Self> {
        match self {
            Self::Name { dir, name, node } => {
                let mut state = inode(&dir)?.write();
                let was = match node {
                    Some(node) => state.children.insert(name.clone(), node),
                    None => state.children.remove(name.as_bytes()),
                };
                state.version += 1;
                drop(state);
                Ok(Self::Name { dir, name, node: was })
            }
            Self::State { node, attrs, nlink, marks, xattrs } => {
                let was = state(&node)?;
                let mut state = inode(&node)?.write();
                (state.attrs, state.nlink, state.marks, state.xattrs) = (attrs, nlink, marks, xattrs);
                state.version += 1;
                drop(state);
                Ok(was)
            }
            Self::Content { node, pages } => {
                let pages = inode(&node)?.content.exchange(pages);
                Ok(Self::Content { node, pages })
            }
        }
    }
}

impl Group {
    fn restore(self) -> Result<Self> {
        let parts = self.parts.into_iter().rev().map(Was::restore).collect::<Result<_>>()?;
        Ok(Self { parts, paths: self.paths })
    }
}

impl Memory {
    /// Ends a change that concerned some paths: from here on, it can be taken back as a whole.
    pub fn end_change(&self, paths: Vec<VPath>) {
        let mut tape = self.tape();
        let parts = std::mem::take(&mut tape.open.parts);
        if parts.is_empty() {
            return;
        }
        tape.future.clear();
        tape.past.push_back(Group { parts, paths });
        if tape.past.len() > tape.room {
            tape.past.pop_front();
        }
    }

    /// Takes back the last change, and returns the paths that it concerned, or `None` when there is none.
    /// No other change may be under way: [`crate::Overlay::restore`] sees to that.
    pub fn undo(&self) -> Result<Option<Vec<VPath>>> {
        let _tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        let mut tape = self.tape();
        let Some(group) = tape.past.pop_back() else { return Ok(None) };
        let undone = group.restore()?;
        let paths = undone.paths.clone();
        tape.future.push(undone);
        Ok(Some(paths))
    }

    /// Makes the change again that was taken back last.
    pub fn redo(&self) -> Result<Option<Vec<VPath>>> {
        let _tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        let mut tape = self.tape();
        let Some(group) = tape.future.pop() else { return Ok(None) };
        let done = group.restore()?;
        let paths = done.paths.clone();
        tape.past.push_back(done);
        Ok(Some(paths))
    }

    /// Returns how many changes can be taken back, and how many made again.
    pub fn changes_kept(&self) -> (usize, usize) {
        let tape = self.tape();
        (tape.past.len(), tape.future.len())
    }

    // What is noted is whole before the lock is given back.
    pub(super) fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns an empty tree that keeps what the last `room` changes replaced.
    pub fn with_undo(name: &str, nonce: u64, room: usize) -> Arc<Self> {
        Self::build(name, nonce, Tape::new(room))
    }
}
