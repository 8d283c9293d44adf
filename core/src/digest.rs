//! Identity: BLAKE3 of a file's content, and of a whole tree.
//!
//! A file's digest is the plain BLAKE3 of its bytes, as any tool computes it. A directory's is a Merkle digest
//! over what stands in it; its own name and attributes do not count, so that a tree has one digest wherever it
//! lies: in a folder, an archive or memory. Owners, times, inode numbers and link counts never count.
//!
//! A directory is hashed with BLAKE3 in its mode for deriving keys, with the context
//! `ovl 2026-11-23 directory v1`, which keeps it apart from every file. Its entries follow in order of their
//! names as bytes, each as below; all numbers are little-endian, `bytes(x)` is `x` after its length as `u32`.
//!
//! ```text
//! entry  = bytes(name) kind:u8 mode:u32 marks count:u32 { bytes(name) bytes(value) } body
//! kind   = 1 file, 2 directory, 3 symlink, 4 fifo, 5 socket, 6 character, 7 block device, 8 whiteout
//! mode   = permission bits; 0 for symlinks and whiteouts, whose mode means nothing
//! marks  = opaque:u8 (0 no, 1 y, 2 x) metacopy:u8 (0, 1) redirect:u8 (0, 1) [ bytes(redirect) ]
//! body   = file: size:u64 digest, 32 zeros instead of a digest for metadata alone (metacopy)
//!          directory: digest        symlink: bytes(target)
//!          device: major:u32 minor:u32        fifo, socket, whiteout: nothing
//! ```
//!
//! The braces are the extended attributes in order of their names. In the merged view there are neither
//! whiteouts nor marks; a layer as it is counts both.

use std::{fmt, sync::Arc};

use crate::{
    Blob, Error, ErrorKind, Facts, Kind, Marks, Opaque, Overlay, Result, VPath,
    tree::{Object, Tree},
};

const CONTEXT: &str = "ovl 2026-11-23 directory v1";
/// Content is read in pieces of this size: large enough for all of BLAKE3's lanes, small enough for a cache.
const PIECE: usize = 256 * 1024;

/// A BLAKE3 digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Returns the digest of a content, read from the front to the end.
///
/// ```
/// let digest = ovl_core::digest::content(&b"abc".to_vec()).unwrap();
/// assert!(digest.to_string().starts_with("6437b3ac38465133ffb63b75273a8db5"));
/// ```
pub fn content(blob: &dyn Blob) -> Result<Digest> {
    hash(blob, &mut vec![0; PIECE], &mut |_| Ok(()))
}

/// Hears of the bytes of each piece that was hashed; its error ends the work.
type Heard<'a> = dyn FnMut(u64) -> Result<()> + 'a;

fn hash(blob: &dyn Blob, piece: &mut [u8], heard: &mut Heard<'_>) -> Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    loop {
        match blob.read_at(piece, at)? {
            0 => return Ok(Digest(*hasher.finalize().as_bytes())),
            got => {
                hasher.update(&piece[..got]);
                heard(got as u64)?;
            }
        }
        at = hasher.count();
    }
}

impl Overlay {
    /// Returns the digest of what stands at a path of a tree: a file's content, or a directory's tree. The last
    /// symbolic link is not followed. Nothing is kept: every call reads all content.
    ///
    /// Refuses other kinds and content that cannot be read, such as encrypted members (`UnsupportedEntry`).
    pub fn digest(self: &Arc<Self>, tree: Tree, path: &VPath) -> Result<Digest> {
        self.digest_heard(tree, path, &mut |_| Ok(()))
    }

    /// Does the same; `heard` hears of the bytes of each piece, and ends the work by an error.
    pub fn digest_heard(
        self: &Arc<Self>,
        tree: Tree,
        path: &VPath,
        heard: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Digest> {
        let op = "digest";
        let object = Object::find(self, tree, path, op)?;
        match object.kind() {
            Kind::File => {
                let digest = object.open().and_then(|blob| hash(&*blob, &mut vec![0; PIECE], heard));
                digest.map_err(|e| object.explain(e))
            }
            Kind::Dir => directory(&object, heard),
            _ => Err(object.explain(Error::new(ErrorKind::UnsupportedEntry, op))),
        }
    }
}

/// A directory whose entries are being hashed, and what its own entry says in front of its digest.
struct Frame {
    hasher: blake3::Hasher,
    head: Vec<u8>,
}

impl Frame {
    fn new(head: Vec<u8>) -> Self {
        Self { hasher: blake3::Hasher::new_derive_key(CONTEXT), head }
    }
}

fn directory(start: &Object, heard: &mut Heard<'_>) -> Result<Digest> {
    let mut frames = vec![Frame::new(Vec::new())];
    let mut piece = vec![0; PIECE];
    let mut objects = start.beneath();
    while let Some(object) = objects.advance()? {
        close(&mut frames, object.depth);
        let mut entry = Vec::new();
        let facts = head(&object, &mut entry)?;
        if object.kind() == Kind::Dir {
            frames.push(Frame::new(entry));
            continue;
        }
        body(&object, facts, &mut piece, &mut entry, heard).map_err(|e| object.explain(e))?;
        frames.last_mut().map(|frame| frame.hasher.update(&entry));
    }
    Ok(close(&mut frames, 0))
}

/// Finishes the directories that are more than `depth` deep, each within the one above, and returns the last.
fn close(frames: &mut Vec<Frame>, depth: usize) -> Digest {
    let mut digest = Digest([0; 32]);
    while frames.len() > depth {
        let Some(frame) = frames.pop() else { break };
        digest = Digest(*frame.hasher.finalize().as_bytes());
        frames.last_mut().map(|above| above.hasher.update(&frame.head).update(&digest.0));
    }
    digest
}

/// Writes what an entry says in front of its body, and returns all that is known of it, unless it is a whiteout.
fn head(object: &Object, entry: &mut Vec<u8>) -> Result<Option<Facts>> {
    let kind = object.kind();
    let facts = (kind != Kind::Whiteout).then(|| object.facts()).transpose()?;
    let stat = facts.as_ref().map(|facts| facts.stat).filter(|_| kind != Kind::Symlink);
    let mode = stat.map_or(0, |stat| stat.attrs.mode & 0o7777);
    bytes(entry, object.path.last().map_or(b"", |name| name.as_bytes()));
    entry.push(kind_number(kind));
    entry.extend(mode.to_le_bytes());
    write_marks(entry, facts.as_ref().map_or(&Marks::default(), |facts| &facts.marks));
    let xattrs = facts.as_ref().map_or(&[][..], |facts| &facts.xattrs);
    entry.extend((xattrs.len() as u32).to_le_bytes());
    for xattr in xattrs {
        bytes(entry, &xattr.name);
        bytes(entry, &xattr.value);
    }
    Ok(facts)
}

fn write_marks(entry: &mut Vec<u8>, marks: &Marks) {
    let opaque = match marks.opaque {
        Opaque::No => 0,
        Opaque::Yes => 1,
        Opaque::Xwhiteouts => 2,
    };
    entry.extend([opaque, marks.metacopy.into(), marks.redirect.is_some().into()]);
    if let Some(redirect) = &marks.redirect {
        bytes(entry, redirect);
    }
}

fn body(
    object: &Object,
    facts: Option<Facts>,
    piece: &mut [u8],
    entry: &mut Vec<u8>,
    heard: &mut Heard<'_>,
) -> Result<()> {
    let Some(Facts { stat, marks, .. }) = facts else { return Ok(()) };
    match object.kind() {
        Kind::File => {
            entry.extend(stat.size.to_le_bytes());
            let digest = if marks.metacopy { [0; 32] } else { hash(&*object.open()?, piece, heard)?.0 };
            entry.extend(digest);
        }
        Kind::Symlink => bytes(entry, &object.target()?),
        Kind::Char | Kind::Block => {
            entry.extend(stat.rdev.major.to_le_bytes());
            entry.extend(stat.rdev.minor.to_le_bytes());
        }
        Kind::Dir | Kind::Fifo | Kind::Socket | Kind::Whiteout => {}
    }
    Ok(())
}

fn bytes(entry: &mut Vec<u8>, bytes: &[u8]) {
    entry.extend((bytes.len() as u32).to_le_bytes());
    entry.extend(bytes);
}

fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::File => 1,
        Kind::Dir => 2,
        Kind::Symlink => 3,
        Kind::Fifo => 4,
        Kind::Socket => 5,
        Kind::Char => 6,
        Kind::Block => 7,
        Kind::Whiteout => 8,
    }
}
