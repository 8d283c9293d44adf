//! Kernel overlay mounts that hold an upper, found in the table of mounts (Linux).

use std::path::{Path, PathBuf};

use super::sys::Handle;

/// Returns where the kernel has mounted an overlay whose upper is `upper`, known to us as `path`.
///
/// `table` is the text of `/proc/self/mountinfo`.
pub(super) fn mounted_at(table: &[u8], upper: &Handle, path: &Path) -> Option<PathBuf> {
    table.split(|b| *b == b'\n').find_map(|line| {
        let mount = Mount::parse(line)?;
        mount.holds(upper, path).then_some(mount.point)
    })
}

struct Mount {
    point: PathBuf,
    upper: PathBuf,
}

impl Mount {
    /// Reads a line: fields up to ` - `, then type, source and options. `None` for other mounts.
    fn parse(line: &[u8]) -> Option<Self> {
        let at = line.windows(3).position(|w| w == b" - ")?;
        let mut rest = line[at + 3..].splitn(3, |b| *b == b' ');
        let (kind, _source, options) = (rest.next()?, rest.next()?, rest.next()?);
        let upper = options.split(|b| *b == b',').find_map(|option| option.strip_prefix(b"upperdir="))?;
        let point = line.split(|b| *b == b' ').nth(4)?;
        (kind == b"overlay").then(|| Self { point: unescape(point), upper: unescape(upper) })
    }

    /// Returns whether this is the upper: the same directory, or for a path relative to a directory that
    /// nobody remembers, the same ending.
    fn holds(&self, upper: &Handle, path: &Path) -> bool {
        if self.upper.is_relative() {
            return path.ends_with(&self.upper);
        }
        let ids = Handle::root(&self.upper).and_then(|held| Ok((held.stat()?.id(), upper.stat()?.id())));
        ids.is_ok_and(|(held, ours)| held == ours)
    }
}

/// Reads the table's escapes: a backslash and three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
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
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_paths_of_the_mount_table_are_read() {
        let line =
            br"36 35 0:40 / /mnt/a\040b rw shared:1 - overlay overlay rw,lowerdir=/l,upperdir=/u\054\134x,workdir=/w";
        let mount = Mount::parse(line).unwrap();
        assert_eq!((mount.point.to_str(), mount.upper.to_str()), (Some("/mnt/a b"), Some(r"/u,\x")));
        assert!(Mount::parse(b"36 35 0:40 / /mnt rw - ext4 /dev/vda rw").is_none());
    }
}
