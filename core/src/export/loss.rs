//! What a format could not hold, counted.

use std::fmt;

use crate::VPath;

/// A kind of loss, in the order of their words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// A further name of a file became a copy.
    HardLinks,
    /// An opaque mark or a redirect: what lies below shows otherwise.
    Marks,
    /// A file of metadata alone became a whole one.
    Metacopy,
    /// A name that the format reads as something else; the object was left out.
    Names,
    /// A socket was left out.
    Sockets,
    /// A time finer than the format's, or out of its range.
    Times,
    /// Extended attributes of an object.
    Xattrs,
}

impl Loss {
    /// Returns the word for it, as the header `Ovl-Export-Lossy` has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Xattrs => "xattrs",
            Self::Times => "times",
            Self::HardLinks => "hard-links",
            Self::Sockets => "sockets",
            Self::Names => "names",
            Self::Marks => "marks",
            Self::Metacopy => "metacopy",
        }
    }
}

/// How often something was lost, and where first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// How many objects it concerns.
    pub count: u64,
    /// The first of them, from the exported directory.
    pub first: VPath,
}

/// All that was lost, in the order of the words. Displayed, it is the value of the header: `times=3, xattrs=1`; empty when nothing was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses(pub Vec<(Loss, Lost)>);

impl Losses {
    pub(super) fn note(&mut self, loss: Loss, path: &VPath) {
        let at = self.0.binary_search_by_key(&loss, |(loss, _)| *loss).unwrap_or_else(|at| {
            self.0.insert(at, (loss, Lost { count: 0, first: path.clone() }));
            at
        });
        self.0[at].1.count += 1;
    }

    /// Returns whether the archive holds everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(|(loss, lost)| format!("{}={}", loss.word(), lost.count)).collect();
        f.write_str(&words.join(", "))
    }
}
