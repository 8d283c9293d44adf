//! Random layers and random histories of operations, the same for the same seed.

use crate::{
    Change, Kind, Result, Time, VPath,
    overlay::{At, Ctx, Follow, Overlay, PutOptions, Removal, RenameHow, XattrHow},
};

/// What makes the choices of a history: chance, or the bytes of a fuzzer.
pub trait Choose {
    /// Returns a number below `n`.
    fn below(&mut self, n: usize) -> usize;

    /// Returns one of several.
    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

/// A small generator of numbers (SplitMix64), enough to choose by.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Choose for Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

/// The bytes of a fuzzer, one a choice; behind their end every choice is the first.
#[derive(Clone, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Choose for Bytes<'_> {
    fn below(&mut self, n: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first as usize % n
    }
}

/// One operation of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Creates a file or replaces its content.
    Put(VPath, Vec<u8>),
    /// Writes at the end of a file.
    Append(VPath, Vec<u8>),
    /// Sets a file's length.
    Truncate(VPath, u64),
    /// Makes a directory.
    Mkdir(VPath),
    /// Makes a symbolic link.
    Symlink(VPath, Vec<u8>),
    /// Gives an object one more name.
    Link(VPath, VPath),
    /// Removes a non-directory.
    Unlink(VPath),
    /// Removes an empty directory.
    Rmdir(VPath),
    /// Moves.
    Rename(VPath, VPath, RenameHow),
    /// Sets the mode.
    Chmod(VPath, u32),
    /// Sets an extended attribute.
    SetXattr(VPath, Vec<u8>),
    /// Removes that attribute.
    RemoveXattr(VPath),
}

/// The attribute that histories set.
pub const XATTR: &[u8] = b"user.h";

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Returns a path of one to three of four names.
pub fn path(rng: &mut impl Choose) -> VPath {
    let depth = 1 + rng.below(3);
    let names: Vec<&str> = (0..depth).map(|_| rng.pick(&NAMES)).collect();
    VPath::parse(names.join("/").as_bytes()).expect("these names are valid")
}

/// Returns the next operation.
pub fn op(rng: &mut impl Choose) -> Op {
    let at = path(rng);
    let bytes = format!("{:x}", rng.below(4096)).into_bytes();
    match rng.below(18) {
        0 | 1 => Op::Put(at, bytes),
        2 => Op::Append(at, bytes),
        3 => Op::Truncate(at, rng.below(6) as u64),
        4..=6 => Op::Mkdir(at),
        7 => Op::Symlink(at, b"a/b".to_vec()),
        8 => Op::Link(at, path(rng)),
        9 | 10 => Op::Unlink(at),
        11 | 12 => Op::Rmdir(at),
        13 | 14 => Op::Rename(at, path(rng), RenameHow::Replace),
        15 => Op::Rename(at, path(rng), rng.pick(&[RenameHow::NoReplace, RenameHow::Exchange])),
        16 => Op::Chmod(at, rng.pick(&[0o600, 0o755, 0o4711])),
        _ if rng.below(2) == 0 => Op::SetXattr(at, bytes),
        _ => Op::RemoveXattr(at),
    }
}

/// Draws a random layer: a lower may hold whiteouts and opaque directories, as any layer of a stack may.
pub fn layer(rng: &mut impl Choose, marks: bool) -> String {
    let mut words: std::collections::BTreeMap<VPath, String> = Default::default();
    for _ in 0..rng.below(9) {
        let at = path(rng);
        let taken = words.keys().any(|old| old.is_within(&at) || (at.is_within(old) && !words[old].contains('/')));
        let name = &at.to_string()[1..];
        let word = match rng.below(if marks { 10 } else { 7 }) {
            0..=3 => format!("{name}={:x}", rng.below(4096)),
            4 | 5 => format!("{name}/"),
            6 => format!("{name}->a/b"),
            7 | 8 => format!("-{name}"),
            _ => format!("{name}/!"),
        };
        let blocked = words.iter().any(|(old, word)| at.is_within(old) && !word.ends_with(['/', '!']));
        if !taken && !blocked {
            words.insert(at, word);
        }
    }
    words.into_values().collect::<Vec<_>>().join(" ")
}

/// Runs an operation on an overlay, as root with umask 022, no symbolic link followed at the end.
///
/// # Panics
/// When the change reports something else than what shows afterwards.
pub fn run(overlay: &Overlay, op: &Op, now: Time) -> Result<()> {
    let ctx = Ctx { umask: 0o022, now, ..Ctx::default() };
    let no_link = |path: &VPath| match overlay.entry(path, Follow::No) {
        Ok(info) if info.stat.kind == Kind::Symlink => Err(crate::Error::new(crate::ErrorKind::Loop, "open").at(path)),
        _ => Ok(()),
    };
    let done = match op {
        Op::Put(path, bytes) => {
            no_link(path)?;
            let upload = overlay.upload(&ctx)?;
            upload.write_at(bytes, 0)?;
            overlay.put(&ctx, path, &upload, &PutOptions::default())
        }
        Op::Append(path, bytes) => {
            no_link(path)?;
            overlay.write(&ctx, path, At::End, bytes)
        }
        Op::Truncate(path, len) => {
            no_link(path)?;
            overlay.truncate(&ctx, path, *len)
        }
        Op::Mkdir(path) => overlay.mkdir(&ctx, path, None),
        Op::Symlink(path, target) => overlay.symlink(&ctx, path, target),
        Op::Link(from, to) => overlay.link(&ctx, from, to),
        Op::Unlink(path) => overlay.remove(&ctx, path, Removal::File),
        Op::Rmdir(path) => overlay.remove(&ctx, path, Removal::EmptyDir),
        Op::Rename(from, to, how) => overlay.rename(&ctx, from, to, *how),
        Op::Chmod(path, mode) => {
            no_link(path)?;
            overlay.set(&ctx, path, Follow::No, &Change { mode: Some(*mode), ..Change::default() })
        }
        Op::SetXattr(path, value) => overlay.set_xattr(&ctx, path, Follow::No, XATTR, value, XattrHow::Any),
        Op::RemoveXattr(path) => {
            let change = Change { xattrs: vec![(XATTR.into(), None)], ..Change::default() };
            overlay.set(&ctx, path, Follow::No, &change)
        }
    }?;
    if let Some(info) = &done.info {
        assert_eq!(&overlay.entry(&info.path, Follow::No)?, info, "what {op:?} reports is what shows");
    }
    Ok(())
}
