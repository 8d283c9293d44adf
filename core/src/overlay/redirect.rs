//! What a lookup seeks in the next layer: a name, until a redirect changes it (semantics 2.10).

use std::borrow::Cow;

use crate::{Error, ErrorKind, Kind, Marks, Name, Opaque, Result};

/// The state of one lookup as it goes down the layers.
#[derive(Debug)]
pub(crate) struct Sought<'a> {
    /// A name, or with a leading slash a path from the root of each layer below.
    what: Cow<'a, [u8]>,
    redirected: bool,
    stopped: bool,
    is_dir: bool,
    metacopy: bool,
}

/// One name on the way to what is sought, and what stands before and behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    pub(crate) name: Name<'a>,
    /// Up to the name; empty when a lone name is sought.
    above: &'a [u8],
    /// From the slash behind the name on; empty for the last one.
    beneath: &'a [u8],
}

impl Part<'_> {
    pub(crate) fn is_last(&self) -> bool {
        self.beneath.is_empty()
    }
}

impl<'a> Sought<'a> {
    pub(crate) fn new(name: Name<'a>) -> Self {
        let what = Cow::Borrowed(name.as_bytes());
        Self { what, redirected: false, stopped: false, is_dir: false, metacopy: false }
    }

    pub(crate) fn is_absolute(&self) -> bool {
        self.what.starts_with(b"/")
    }

    pub(crate) fn is_redirected(&self) -> bool {
        self.redirected
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stopped
    }

    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Returns where content may lie of which only metadata has been found: an absolute redirect leads there.
    pub(crate) fn data(&self) -> Option<Box<[u8]>> {
        (self.metacopy && self.is_absolute()).then(|| self.what.as_ref().into())
    }

    /// Returns what to look for in the next layer, for [`parts`].
    pub(crate) fn what(&self) -> Cow<'a, [u8]> {
        self.what.clone()
    }

    /// Returns whether an object of this kind continues what was found above it (L02, L04).
    pub(crate) fn takes(&self, kind: Kind, last: bool) -> bool {
        match kind {
            Kind::Whiteout => false,
            Kind::Dir => !(last && self.metacopy),
            Kind::File => last && !self.is_dir,
            _ => last && !self.is_dir && !self.metacopy,
        }
    }

    /// Takes in what was found at `part`: its kind, opaque mark and redirect.
    pub(crate) fn note(&mut self, kind: Kind, marks: &Marks, part: &Part<'_>) -> Result<()> {
        let ends = match kind {
            Kind::Dir => marks.opaque == Opaque::Yes,
            _ => !marks.metacopy,
        };
        self.is_dir |= kind == Kind::Dir && part.is_last();
        self.metacopy = kind != Kind::Dir && marks.metacopy;
        if ends {
            self.stopped = true;
            return Ok(());
        }
        match &marks.redirect {
            Some(redirect) => self.redirect(redirect, part),
            None => Ok(()),
        }
    }

    fn redirect(&mut self, redirect: &[u8], part: &Part<'_>) -> Result<()> {
        check(redirect)?;
        let absolute = redirect.starts_with(b"/");
        let above = if absolute { &[][..] } else { part.above };
        // An absolute redirect leads out of an opaque ancestor.
        self.stopped &= !absolute;
        self.what = Cow::Owned([above, redirect, part.beneath].concat());
        self.redirected = true;
        Ok(())
    }
}

/// Returns the names to walk in a layer to reach what is sought.
pub(crate) fn parts(what: &[u8]) -> impl Iterator<Item = Result<Part<'_>>> {
    let mut at = usize::from(what.starts_with(b"/"));
    std::iter::from_fn(move || {
        let rest = what.get(at..)?;
        let end = at + rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
        let (above, beneath) = (&what[..at], &what[end..]);
        let name = Name::new(&what[at..end]).map_err(|_| bad(what));
        at = end + 1;
        Some(name.map(|name| Part { name, above, beneath }))
    })
}

/// Refuses a redirect that is neither a name nor a clean absolute path (semantics N13).
fn check(redirect: &[u8]) -> Result<()> {
    let clean = match redirect.strip_prefix(b"/") {
        Some(path) => path.split(|b| *b == b'/').all(|part| Name::new(part).is_ok()),
        None => Name::new(redirect).is_ok(),
    };
    if clean { Ok(()) } else { Err(bad(redirect)) }
}

fn bad(redirect: &[u8]) -> Error {
    let value = redirect.escape_ascii();
    Error::new(ErrorKind::BadMark, "follow redirect").because(format!("the redirect reads \"{value}\""))
}
