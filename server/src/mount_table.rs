//! The table of mounts as this process sees it (Linux; elsewhere it is empty).

use std::fs;

/// Options of a mount that are paths of the host.
const PATHS: &[&str] = &["lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir"];

/// A line of the table. A path that is no UTF-8 is as readable as it can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What tells it from all others.
    pub key: Key,
    /// Where it is mounted.
    pub point: String,
    /// The type of the file system: `overlay`, `fuse.ovl`.
    pub fstype: String,
    /// What is mounted.
    pub source: String,
    /// The options of the mount and of the file system, each once.
    pub options: Vec<String>,
}

/// What stays the same of a mount, wherever it is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    id: String,
    device: String,
}

impl Line {
    /// Returns the mount that is on top at a place.
    pub fn at(point: &str) -> Option<Self> {
        table().into_iter().rfind(|line| line.point == point)
    }

    /// Returns a mount again, `None` when it is gone.
    pub fn of(key: &Key) -> Option<Self> {
        table().into_iter().find(|line| line.key == *key)
    }

    /// Returns whether nothing can be changed.
    pub fn is_read_only(&self) -> bool {
        self.options.iter().any(|option| option == "ro")
    }

    /// Returns the options that name no path of the host.
    pub fn options_without_paths(&self) -> Vec<String> {
        let is_path = |option: &str| option.split_once('=').is_some_and(|(key, _)| PATHS.contains(&key));
        self.options.iter().filter(|option| !is_path(option)).cloned().collect()
    }

    /// Reads a line: fields up to ` - `, then type, source and options.
    fn parse(line: &str) -> Option<Self> {
        let (mount, fs) = line.split_once(" - ")?;
        let (mount, fs) = (mount.split(' ').collect::<Vec<_>>(), fs.split(' ').collect::<Vec<_>>());
        let (&[id, _parent, device, _root, point, flags, ..], &[fstype, source, ref rest @ ..]) = (&*mount, &*fs)
        else {
            return None;
        };
        let mut options: Vec<String> = Vec::new();
        for option in flags.split(',').chain(rest.iter().flat_map(|rest| rest.split(','))).map(unescape) {
            if option.contains('=') || !options.contains(&option) {
                options.push(option);
            }
        }
        // A mount that is read-only shows nothing else, whatever its file system could do.
        if options.iter().any(|option| option == "ro") {
            options.retain(|option| option != "rw");
        }
        Some(Self {
            key: Key { id: id.into(), device: device.into() },
            point: unescape(point),
            fstype: unescape(fstype),
            source: unescape(source),
            options,
        })
    }
}

fn table() -> Vec<Line> {
    // Where there is no such table, nothing is mounted that it could tell of.
    let text = fs::read("/proc/self/mountinfo").unwrap_or_default();
    String::from_utf8_lossy(&text).lines().filter_map(Line::parse).collect()
}

/// Undoes `\040` and the like, by which the table writes what would end a field.
fn unescape(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(u8::is_ascii) {
            Some(byte) => text.extend([byte as char].into_iter().chain(part[3..].chars())),
            None => text.extend(['\\'].into_iter().chain(part.chars())),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_with_odd_names_and_without_host_paths() {
        let line = Line::parse(
            "40 29 0:33 / /a\\040b\\134c rw,nosuid shared:1 - overlay none \
             rw,lowerdir+=/x\\054y,lowerdir+=/z,upperdir=/u,redirect_dir=on",
        )
        .unwrap();
        assert_eq!((&*line.point, &*line.fstype, &*line.source), ("/a b\\c", "overlay", "none"));
        assert_eq!(line.options[..4], ["rw", "nosuid", "lowerdir+=/x,y", "lowerdir+=/z"]);
        assert_eq!(line.options_without_paths(), ["rw", "nosuid", "redirect_dir=on"]);
        assert_eq!(Line::parse("no table"), None);
    }

    #[test]
    fn a_mount_is_read_only_where_its_file_system_is_not() {
        let line = Line::parse("40 29 0:33 / /m ro,nodev - fuse.ovl ovl rw,user_id=0").unwrap();
        assert!(line.is_read_only());
        assert_eq!(line.options, ["ro", "nodev", "user_id=0"]);
    }
}
