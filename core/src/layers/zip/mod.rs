//! Zip archives as layers: the central directory becomes a tree, members are read where they lie.
//!
//! An archive is a stranger's text. What cannot be shown safely is left out and told in [`Caps::omitted`]; an
//! archive that contradicts itself is refused, because two programs would see two different trees in it (trust
//! T1 to T16). Nothing is extracted, and archives within archives are files like others.
//!
//! DOS times are taken as UTC; directories that entries imply without being listed have mode 0755 and the time
//! of the newest thing in them; whoever is not named as owner is 0.

mod attrs;
mod build;
mod end;
mod extra;
mod index;
mod inflate;
mod le;
mod load;
mod local;
mod member;
mod names;
mod report;
#[cfg(feature = "seek")]
mod seek;
mod shared;
mod spans;
mod times;
mod view;

use std::{fmt, sync::Arc};

use crate::{
    Blob, Caps, Entry, Error, ErrorKind, Kind, Layer, Marks, Name, NameBuf, NameRules, Node, Result, Stat, Xattr,
};
use end::corrupt;
pub use end::sniff;
use index::ROOT;
use load::Loaded;
use member::Member;
pub use names::{Backslash, Names};
use shared::Shared;

/// How an archive is to be read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What to call the layer: a short name without host paths.
    pub name: String,
    /// How a name is read that is neither marked nor valid as UTF-8.
    pub names: Names,
    /// What a backslash in a name is.
    pub backslash: Backslash,
    /// Refuses an archive of which something had to be left out.
    pub strict: bool,
    /// Reads character devices 0/0 as whiteouts, as an exported upper has them. Elsewhere they are left out (trust T8).
    pub whiteouts: bool,
    /// The most that is read.
    pub limits: Limits,
}

/// The most that is read of an archive; beyond, it is `TooLarge` (trust T15).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Entries, and directories that they imply.
    pub entries: usize,
    /// Bytes of the central directory.
    pub directory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 2_000_000, directory: 512 << 20 }
    }
}

/// An archive as a layer.
pub struct Zip {
    caps: Caps,
    shared: Arc<Shared>,
}

/// Opens an archive: reads its central directory, and no member.
///
/// Refuses what is no zip or contradicts itself (`Corrupt`), what is over the limits (`TooLarge`), and a source
/// that changes meanwhile (`LayerChanged`).
pub fn open(source: Arc<dyn Blob>, options: &Options) -> Result<Arc<Zip>> {
    read(source, options).map(Arc::new).map_err(|error| error.in_layer(&options.name))
}

fn read(source: Arc<dyn Blob>, options: &Options) -> Result<Zip> {
    let stamp = source.stamp()?;
    let found = end::find(&*source)?;
    let Loaded { index, report, digest } = load::load(&*source, &found, options)?;
    let caps = Caps {
        name: options.name.clone(),
        kind: "zip",
        fingerprint: fingerprint(stamp, digest, options),
        names: NameRules::Bytes,
        fold: None,
        redirects: false,
        stamps: false,
        acls: false,
        data_only: false,
        omitted: report.into_lines(),
    };
    let shared = Arc::new(Shared::new(source, found.base, stamp, options.name.clone(), index));
    shared.unchanged()?;
    Ok(Zip { caps, shared })
}

/// Hashes all that makes the tree what it is: source, directory and the options that change what is shown.
fn fingerprint(stamp: u128, digest: blake3::Hash, options: &Options) -> [u8; 16] {
    let shown = [options.names as u8, options.backslash as u8, options.whiteouts.into()];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&stamp.to_le_bytes()).update(digest.as_bytes()).update(&shown);
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    fingerprint
}

impl Zip {
    fn id(&self, node: &Node) -> Result<u32> {
        match self.shared.index.get(node.id) {
            Some(_) => Ok(node.id as u32),
            None => Err(self.error(ErrorKind::InvalidInput, "use node").because("it is of another layer")),
        }
    }

    fn directory(&self, node: &Node, op: &'static str) -> Result<u32> {
        let id = self.id(node)?;
        match self.shared.index.kind(id) {
            Kind::Dir => Ok(id),
            _ => Err(self.error(ErrorKind::NotADirectory, op)),
        }
    }

    fn node(&self, id: u32) -> Node {
        Node { id: id.into(), kind: self.shared.index.kind(id), pin: None }
    }

    fn entry(&self, id: u32, stats: bool) -> Result<Entry> {
        let index = &self.shared.index;
        let name = NameBuf::new(index.name(self.shared.record(id)))?;
        let kind = index.kind(id);
        let stat = (stats && kind != Kind::Whiteout).then(|| index.stat(id));
        Ok(Entry { name, kind, stat })
    }

    /// Opens a member of an archive that is still the one whose directory was read.
    fn member(&self, id: u32) -> Result<Member> {
        let open = || {
            self.shared.unchanged()?;
            Member::open(&self.shared, id)
        };
        open().map_err(|error| self.shared.explain(error))
    }

    fn error(&self, kind: ErrorKind, op: &'static str) -> Error {
        Error::new(kind, op).in_layer(&self.caps.name)
    }
}

impl fmt::Debug for Zip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zip").field("name", &self.caps.name).field("records", &self.shared.index.records.len()).finish()
    }
}

impl Layer for Zip {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn root(&self) -> Node {
        self.node(ROOT)
    }

    fn lookup(&self, dir: &Node, name: Name<'_>) -> Result<Option<Node>> {
        let dir = self.directory(dir, "look up")?;
        Ok(self.shared.index.child(dir, name.as_bytes()).map(|id| self.node(id)))
    }

    fn list(&self, dir: &Node, after: Option<Name<'_>>, max: usize, stats: bool) -> Result<Vec<Entry>> {
        let dir = self.directory(dir, "list")?;
        let children = self.shared.index.children_after(dir, after.map(Name::as_bytes));
        children.iter().take(max).map(|id| self.entry(*id, stats)).collect()
    }

    fn stat(&self, node: &Node) -> Result<Stat> {
        Ok(self.shared.index.stat(self.id(node)?))
    }

    fn marks(&self, node: &Node) -> Result<Marks> {
        self.id(node)?;
        Ok(Marks::default())
    }

    fn xattrs(&self, node: &Node) -> Result<Vec<Xattr>> {
        self.id(node)?;
        Ok(Vec::new())
    }

    fn target(&self, link: &Node) -> Result<Vec<u8>> {
        let id = self.id(link)?;
        if self.shared.index.kind(id) != Kind::Symlink {
            return Err(self.error(ErrorKind::InvalidInput, "read link").because("it is no symbolic link"));
        }
        let member = self.member(id)?;
        let mut target = vec![0; member.size()? as usize];
        let mut got = 0;
        while got < target.len() {
            got += member.read_at(&mut target[got..], got as u64)?;
        }
        if target.contains(&0) {
            return Err(corrupt("the target of a symbolic link has a NUL byte").in_layer(&self.caps.name));
        }
        Ok(target)
    }

    /// Opens a member. One that is encrypted or of an unknown method opens too: its reads are refused
    /// (`UnsupportedEntry`), its stored bytes can be copied.
    fn open(&self, file: &Node) -> Result<Arc<dyn Blob>> {
        let id = self.id(file)?;
        match self.shared.index.kind(id) {
            Kind::File => Ok(Arc::new(self.member(id)?)),
            Kind::Dir => Err(self.error(ErrorKind::IsADirectory, "open")),
            _ => Err(self.error(ErrorKind::UnsupportedEntry, "open")),
        }
    }
}
