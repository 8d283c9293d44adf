//! The table of mounts, and the kernel's overlays in it (Linux).

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use super::{failed, sys, sys::Handle};
use crate::Result;

/// A line of the table of mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// The numbers of its device, which no other mounted file system has.
    pub device: (u32, u32),
    /// The type of the file system: `overlay`, `fuse.ovl`.
    pub kind: String,
    /// What it was called when it was mounted.
    pub source: PathBuf,
    /// Whether it takes no changes.
    pub read_only: bool,
    /// The options of the mount, as the table writes them.
    flags: Vec<u8>,
    /// The options of the file system, as the table writes them.
    options: Vec<u8>,
}

/// An overlay that the kernel has mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverlayMount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// Whether the mount takes no changes.
    pub read_only: bool,
    /// The lowers, topmost first.
    pub lowers: Vec<PathBuf>,
    /// Layers whose files are reached by redirects alone, below the lowers (semantics Y04).
    pub data: Vec<PathBuf>,
    /// Where changes go.
    pub upper: Option<PathBuf>,
    /// The work directory.
    pub work: Option<PathBuf>,
    /// What else was asked of the kernel: `redirect_dir=on`, `userxattr`.
    pub options: Vec<String>,
}

/// Returns what this process sees mounted, in the order of the table: a later mount may cover an earlier.
pub fn mounts() -> Result<Vec<Mount>> {
    let table = sys::mount_table().map_err(failed("read mounts"))?;
    Ok(table.split(|b| *b == b'\n').filter_map(Mount::parse).collect())
}

/// Returns the kernel's overlays among [`mounts`].
pub fn overlay_mounts() -> Result<Vec<OverlayMount>> {
    Ok(mounts()?.iter().filter_map(OverlayMount::of).collect())
}

/// Returns where the kernel has mounted an overlay whose upper is `upper`, known to us as `path`.
pub(super) fn mounted_at(upper: &Handle, path: &Path) -> Result<Option<PathBuf>> {
    Ok(overlay_mounts()?.into_iter().find(|mount| mount.holds(upper, path)).map(|mount| mount.point))
}

impl Mount {
    /// Reads a line: fields up to ` - `, then type, source and options.
    fn parse(line: &[u8]) -> Option<Self> {
        let at = line.windows(3).position(|w| w == b" - ")?;
        let mut rest = line[at + 3..].splitn(3, |b| *b == b' ');
        let (kind, source, options) = (rest.next()?, rest.next()?, rest.next()?);
        let mut fields = line[..at].split(|b| *b == b' ').skip(2);
        let (device, _root, point, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let (major, minor) = std::str::from_utf8(device).ok()?.split_once(':')?;
        let is_ro = |flags: &[u8]| flags.split(|b| *b == b',').any(|flag| flag == b"ro");
        Some(Self {
            point: path(unescape(point)),
            device: (major.parse().ok()?, minor.parse().ok()?),
            kind: String::from_utf8_lossy(kind).into_owned(),
            source: path(unescape(source)),
            read_only: is_ro(flags) || is_ro(options),
            flags: flags.to_vec(),
            options: options.to_vec(),
        })
    }

    /// Returns the options of the mount one by one, as the table writes them: `nosuid`, `relatime`.
    pub fn flags(&self) -> impl Iterator<Item = &[u8]> {
        self.flags.split(|b| *b == b',')
    }

    /// Returns the options of the file system one by one, as the table writes them.
    pub fn options(&self) -> impl Iterator<Item = &[u8]> {
        self.options.split(|b| *b == b',')
    }
}

impl OverlayMount {
    /// Returns what a line of the table says of an overlay; `None` for other mounts.
    pub fn of(mount: &Mount) -> Option<Self> {
        (mount.kind == "overlay").then(|| {
            let mut found = Self { point: mount.point.clone(), read_only: mount.read_only, ..Self::default() };
            mount.options().for_each(|option| found.option(option));
            found
        })
    }

    fn option(&mut self, option: &[u8]) {
        let (key, value) = match option.iter().position(|b| *b == b'=') {
            Some(at) => (&option[..at], unescape(&option[at + 1..])),
            None => (option, Vec::new()),
        };
        match key {
            b"lowerdir" => self.joined(&value),
            b"lowerdir+" => self.lowers.push(path(value)),
            b"datadir+" => self.data.push(path(value)),
            b"upperdir" => self.upper = Some(standing(value)),
            b"workdir" => self.work = Some(standing(value)),
            b"rw" | b"ro" => {}
            _ => self.options.push(String::from_utf8_lossy(option).into_owned()),
        }
    }

    /// Reads a list with colons in it: two of them before a layer that has only data.
    fn joined(&mut self, list: &[u8]) {
        let mut is_data = false;
        for part in split_unescaped(list) {
            match part.is_empty() {
                true => is_data = true,
                false if is_data => self.data.push(path(part)),
                false => self.lowers.push(path(part)),
            }
        }
    }

    /// Returns whether this is the upper: the same directory, or for a path relative to a directory that
    /// nobody remembers, the same ending.
    fn holds(&self, upper: &Handle, path: &Path) -> bool {
        let Some(mounted) = &self.upper else { return false };
        if mounted.is_relative() {
            return path.ends_with(mounted);
        }
        let ids = Handle::root(mounted).and_then(|held| Ok((held.stat()?.id(), upper.stat()?.id())));
        ids.is_ok_and(|(held, ours)| held == ours)
    }
}

fn path(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}

/// Returns the path that is meant: where it was mounted by an option string, the table has that string's backslashes.
fn standing(bytes: Vec<u8>) -> PathBuf {
    let without_backslashes = path(split_unescaped(&bytes).join(&b':'));
    let literal = path(bytes);
    if literal.is_dir() { literal } else { without_backslashes }
}

/// Splits at the colons that no backslash precedes, and takes the backslashes away.
fn split_unescaped(list: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut bytes = list.iter();
    while let Some(byte) = bytes.next() {
        let last = parts.last_mut().expect("it never becomes empty");
        match byte {
            b'\\' => last.extend(bytes.next()),
            b':' => parts.push(Vec::new()),
            _ => last.push(*byte),
        }
    }
    parts
}

/// Reads the table's escapes: a backslash and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<OverlayMount> {
        OverlayMount::of(&Mount::parse(line.as_bytes()).unwrap())
    }

    fn parsed(options: &str) -> OverlayMount {
        let line = format!("36 35 0:40 / /mnt/a\\040b rw,nodev shared:1 - overlay overlay {options}");
        parse(&line).unwrap()
    }

    fn shown(paths: &[PathBuf]) -> Vec<&str> {
        paths.iter().map(|path| path.to_str().unwrap()).collect()
    }

    #[test]
    fn escaped_paths_of_the_mount_table_are_read() {
        let mount = parsed(r"rw,lowerdir=/l,upperdir=/u\054x,workdir=/w,userxattr");
        assert_eq!((mount.point.to_str(), mount.read_only), (Some("/mnt/a b"), false));
        assert_eq!((mount.upper.unwrap(), mount.work.unwrap()), ("/u,x".into(), "/w".into()));
        assert_eq!(mount.options, ["userxattr"]);
        assert!(parse("36 35 0:40 / /mnt rw - ext4 /dev/vda rw").is_none());
    }

    #[test]
    fn layers_are_read_one_by_one_and_joined() {
        let one_by_one = parsed(r"ro,lowerdir+=/a:b,lowerdir+=/c\134d,datadir+=/e");
        assert_eq!(shown(&one_by_one.lowers), ["/a:b", r"/c\d"]);
        assert_eq!(shown(&one_by_one.data), ["/e"]);
        assert!(one_by_one.read_only && one_by_one.upper.is_none());
        let joined = parsed(r"rw,lowerdir=/a\134:b:/c\134\134d::/e");
        assert_eq!(shown(&joined.lowers), ["/a:b", r"/c\d"]);
        assert_eq!(shown(&joined.data), ["/e"]);
    }

    #[test]
    fn an_upper_that_an_option_string_named_is_read_without_its_backslashes() {
        let place = std::env::temp_dir();
        let escaped = place.join(r"ovl\134:none");
        let mount = parsed(&format!("rw,upperdir={}", escaped.display()));
        assert_eq!(mount.upper.unwrap(), place.join("ovl:none"));
    }
}
