//! Whose trees a mount shows: the tables of mounts of all processes that may be looked at, since each may have its own.

use std::{collections::HashSet, fs, path::PathBuf};

/// All tables of mounts that can be read, as one text.
pub(super) struct Tables(String);

impl Tables {
    pub(super) fn read() -> Self {
        let (mut text, mut seen) = (String::new(), HashSet::<PathBuf>::new());
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let path = process.path();
            // One that ends meanwhile shows nothing any more, and one of another user cannot use this cache.
            let Ok(namespace) = fs::read_link(path.join("ns/mnt")) else { continue };
            if seen.insert(namespace)
                && let Ok(table) = fs::read(path.join("mountinfo"))
            {
                text.push_str(&String::from_utf8_lossy(&table));
            }
        }
        Self(text)
    }

    /// Returns whether a mount shows the tree of this name, wherever the cache lies from there.
    pub(super) fn show(&self, key: &str) -> bool {
        self.0.contains(&format!("/{key}/"))
    }
}
