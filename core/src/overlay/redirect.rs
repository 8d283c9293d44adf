//! What a lookup seeks in the next layer: a name, until a redirect changes it (semantics 2.10).

use crate::{Error, ErrorKind, Kind, Marks, Name, NameBuf, Opaque, Result};

/// The state of one lookup as it goes down the layers.
#[derive(Debug)]
pub(crate) struct Sought {
    /// A name, or with a leading slash a path from the root of each layer below.
    what: Vec<u8>,
    redirected: bool,
    stopped: bool,
    is_dir: bool,
    metacopy: bool,
}

impl Sought {
    pub(crate) fn new(name: Name<'_>) -> Self {
        Self { what: name.as_bytes().to_vec(), redirected: false, stopped: false, is_dir: false, metacopy: false }
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

    /// Returns the names to walk in the next layer.
    pub(crate) fn parts(&self) -> Result<Vec<NameBuf>> {
        let what = self.what.strip_prefix(b"/").unwrap_or(&self.what);
        what.split(|b| *b == b'/').map(|part| NameBuf::new(part).map_err(|_| bad(&self.what))).collect()
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

    /// Takes in what was found as part `index` of `parts`: its kind, opaque mark and redirect.
    pub(crate) fn note(&mut self, kind: Kind, marks: &Marks, parts: &[NameBuf], index: usize) -> Result<()> {
        let ends = match kind {
            Kind::Dir => marks.opaque == Opaque::Yes,
            _ => !marks.metacopy,
        };
        self.is_dir |= kind == Kind::Dir && index + 1 == parts.len();
        self.metacopy = kind != Kind::Dir && marks.metacopy;
        if ends {
            self.stopped = true;
            return Ok(());
        }
        match &marks.redirect {
            Some(redirect) => self.redirect(redirect, parts, index),
            None => Ok(()),
        }
    }

    fn redirect(&mut self, redirect: &[u8], parts: &[NameBuf], index: usize) -> Result<()> {
        check(redirect)?;
        let absolute = redirect.starts_with(b"/");
        let mut what = Vec::new();
        if !absolute && self.is_absolute() {
            join(&mut what, &parts[..index]);
            what.push(b'/');
        }
        what.extend_from_slice(redirect);
        join(&mut what, &parts[index + 1..]);
        // An absolute redirect leads out of an opaque ancestor.
        self.stopped &= !absolute;
        self.what = what;
        self.redirected = true;
        Ok(())
    }
}

fn join(what: &mut Vec<u8>, parts: &[NameBuf]) {
    for part in parts {
        what.push(b'/');
        what.extend_from_slice(part.as_bytes());
    }
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
