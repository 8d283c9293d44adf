//! Exports: a tree as a zip or tar, streamed, the same bytes for the same tree.
//!
//! Members come in order of their paths, parents before children, relative to the exported directory, which has no
//! member itself. Nothing is taken from a clock, and times of access are no part of an export: reading would change
//! them. What a format cannot hold is counted and told, never dropped in silence.
//!
//! An upper's zip ends with a manifest (`manifest`) that holds all that the zip itself cannot; its tar carries
//! everything in PAX records. Either can be imported again without a loss, but for content that stood below metadata
//! alone, which becomes a whole file.

mod links;
mod loss;
pub(crate) mod manifest;
mod tar;
pub(crate) mod tar_format;
mod zip;
mod zip_records;

use std::{io::Write, sync::Arc};

use crate::{
    Blob, Error, ErrorKind, Facts, Kind, Marks, Result, Stat, VPath, Xattr,
    overlay::{Follow, Overlay},
    tree::{Object, Tree},
};

use links::Links;
pub use loss::{Loss, Losses, Lost};

/// The archive to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A zip; members that still lie in a zip are copied as they are stored, encrypted ones too.
    Zip,
    /// A tar with PAX records.
    Tar {
        /// How whiteouts and opaque directories are written.
        whiteouts: Whiteouts,
    },
}

/// The dialect of whiteouts and opaque directories in a tar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whiteouts {
    /// Files `.wh.NAME` and `.wh..wh..opq`, as OCI layers have them. Redirects and names that begin with `.wh.` have
    /// no place there.
    Oci,
    /// Character devices 0/0 and attributes `trusted.overlay.*`, as the kernel has them.
    Kernel,
}

/// What an export did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Members written, the manifest aside.
    pub entries: u64,
    /// Bytes written.
    pub bytes: u64,
    /// What the format could not hold.
    pub lossy: Losses,
}

/// Writes the tree beneath a directory as an archive.
///
/// Refuses what is no directory (`NotADirectory`) and, for a tar, members that cannot be read, such as encrypted ones
/// (`UnsupportedEntry`): those before the first byte is written.
pub fn export(overlay: &Arc<Overlay>, tree: Tree, format: Format, path: &VPath, out: &mut dyn Write) -> Result<Report> {
    let op = "export";
    let start = Object::find(overlay, tree, path, op)?;
    if start.kind() != Kind::Dir {
        return Err(Error::new(ErrorKind::NotADirectory, op).at(path));
    }
    let is_upper = overlay.has_upper() && matches!(tree, Tree::Upper | Tree::Layer(0));
    let mut job = Job { start, links: Links::default(), losses: Losses::default() };
    let out = Out { inner: out, at: 0 };
    let (entries, bytes) = match format {
        Format::Zip => job.run(&mut zip::Zip::new(out, is_upper))?,
        Format::Tar { whiteouts } => {
            job.must_be_readable()?;
            job.run(&mut tar::Tar::new(out, whiteouts, is_upper))?
        }
    };
    Ok(Report { entries, bytes, lossy: job.losses })
}

/// An object on its way into an archive.
struct Member<'a> {
    object: &'a Object,
    /// The path from the exported directory.
    name: VPath,
    /// The attributes of all but a whiteout.
    stat: Option<Stat>,
    xattrs: Vec<Xattr>,
    marks: Marks,
    /// The member of which this is another name.
    link: Option<VPath>,
}

/// One format's writer.
trait Sink {
    /// Writes a member, and counts what is lost of it. Returns whether it was written at all.
    fn add(&mut self, member: &Member<'_>, losses: &mut Losses) -> Result<bool>;

    /// Writes what comes behind the members, and returns the bytes in all.
    fn finish(&mut self) -> Result<u64>;
}

struct Job {
    start: Object,
    links: Links,
    losses: Losses,
}

impl Job {
    fn run(&mut self, sink: &mut dyn Sink) -> Result<(u64, u64)> {
        let mut entries = 0;
        let mut objects = self.start.beneath();
        while let Some(object) = objects.advance()? {
            let member = self.member(&object)?;
            let written = sink.add(&member, &mut self.losses).map_err(|e| object.explain(e))?;
            entries += u64::from(written);
        }
        Ok((entries, sink.finish()?))
    }

    fn member<'a>(&mut self, object: &'a Object) -> Result<Member<'a>> {
        let name = self.relative(&object.path)?;
        if object.kind() == Kind::Whiteout {
            let (xattrs, marks) = Default::default();
            return Ok(Member { object, name, stat: None, xattrs, marks, link: None });
        }
        let Facts { stat, marks, xattrs, .. } = object.facts()?;
        let link = self.links.seen(object.layer_index(), &stat, &name);
        if marks.metacopy {
            self.losses.note(Loss::Metacopy, &name);
        }
        Ok(Member { object, name, stat: Some(stat), xattrs, marks, link })
    }

    fn relative(&self, path: &VPath) -> Result<VPath> {
        let rest = &path.as_bytes()[self.start.path.as_bytes().len()..];
        VPath::parse(rest.strip_prefix(b"/").unwrap_or(rest))
    }

    /// Refuses members that can only be copied as they are stored, as long as nothing is written yet.
    fn must_be_readable(&self) -> Result<()> {
        if self.start.overlay().layers().iter().all(|layer| layer.caps().kind != "zip") {
            return Ok(());
        }
        let mut objects = self.start.beneath();
        while let Some(object) = objects.advance()? {
            if object.kind() == Kind::File && object.layer().caps().kind == "zip" {
                check_readable(&*object.open()?).map_err(|e| object.explain(e))?;
            }
        }
        Ok(())
    }
}

fn check_readable(blob: &dyn Blob) -> Result<()> {
    match blob.stored() {
        Some(stored) if stored.flags & 1 != 0 || !matches!(stored.method, 0 | 8 | 9) => {
            blob.read_at(&mut [0], 0).map(drop)
        }
        _ => Ok(()),
    }
}

impl Member<'_> {
    fn kind(&self) -> Kind {
        self.object.kind()
    }

    /// Opens the content; of an upper's metadata alone that is what shows at the path.
    ///
    /// Refuses metadata alone in another layer (`UnsupportedEntry`): only a whole stack has the content.
    fn open(&self, is_upper: bool) -> Result<Arc<dyn Blob>> {
        if !self.marks.metacopy {
            return self.object.open();
        }
        if !is_upper {
            let error = Error::new(ErrorKind::UnsupportedEntry, "export");
            return Err(error.because("it holds metadata alone; its content is in another layer"));
        }
        self.object.overlay().open(&self.object.path, Follow::No).map(|(_, blob)| blob)
    }
}

/// Where the archive goes, and how far it is.
struct Out<'a> {
    inner: &'a mut dyn Write,
    at: u64,
}

impl Out<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.inner.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

/// Content is read in pieces of this size, short content in one.
const PIECE: usize = 128 * 1024;

/// Hands all bytes of a content to `take`, in order, and returns how many there were; `size` is how many are expected.
fn each_piece(blob: &dyn Blob, size: u64, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<u64> {
    let mut piece = vec![0; size.clamp(1, PIECE as u64) as usize];
    let mut at = 0;
    loop {
        let got = blob.read_at(&mut piece, at)?;
        if got == 0 {
            return Ok(at);
        }
        take(&piece[..got])?;
        at += got as u64;
    }
}
