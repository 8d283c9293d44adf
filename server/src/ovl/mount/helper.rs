//! `mount -t fuse.ovl`: fstab and mount(8), with the kernel's own names of options.
//!
//! mount(8) calls `/sbin/mount.fuse.ovl SOURCE MOUNTPOINT [-sfnv] -o OPTIONS`, which is a symbolic link to `ovl`, or
//! `mount.fuse3` calls `ovl SOURCE MOUNTPOINT -o OPTIONS`. Here that becomes an `ovl mount`. As every mount of root's,
//! it lets all users in, and setuid programs and devices have their effect, unless the options say otherwise.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
};

use rustix::process::geteuid;

use crate::cli::exit::Failure;

/// What makes a layer data-only.
const DATA_ONLY: &str = ",data-only";

/// What mount(8) means for itself, and what is so in any case.
const IGNORED: &str = "rw defaults auto noauto nofail _netdev user users owner group exec async atime noatime diratime \
                       nodiratime relatime norelatime strictatime nostrictatime lazytime nolazytime loud silent \
                       default_permissions subtype=ovl index=off metacopy=off nfs_export=off xino=off xino=auto \
                       uuid=off uuid=null uuid=auto verity=off";

/// Options that stand for flags of `ovl mount`.
const FLAGS: [(&str, &[&str]); 9] = [
    ("ro", &["--read-only"]),
    ("noexec", &["--noexec"]),
    ("allow_other", &["--allow-other"]),
    ("userxattr", &["--userxattr"]),
    ("volatile", &["--durability", "none"]),
    ("redirect_dir=on", &["--redirect-dir", "on"]),
    ("redirect_dir=off", &["--redirect-dir", "off"]),
    ("redirect_dir=follow", &["--redirect-dir", "off"]),
    ("sync", &["--durability", "full"]),
];

/// Returns whether mount(8) calls, under whatever name; `is_command` tells the commands of `ovl`.
pub(in crate::ovl) fn is_called(args: &[OsString], is_command: impl Fn(&str) -> bool) -> bool {
    let name = args.first().and_then(|program| Path::new(program).file_name());
    let by_name = name.is_some_and(|name| name.as_bytes().starts_with(b"mount."));
    let has_options = args.len() == 5 && args[3] == "-o";
    by_name || (has_options && !args[1].to_str().is_some_and(is_command))
}

/// Returns the arguments of the `ovl mount` that is meant, none where nothing is to be done (`-f`).
///
/// # Errors
/// Options that FUSE does not have, layers that are not said well (2).
pub(in crate::ovl) fn translated(args: &[OsString]) -> Result<Vec<OsString>, Failure> {
    let call = Call::read(args.get(1..).unwrap_or_default())?;
    if call.fake {
        return Ok(Vec::new());
    }
    let mut words = Words(["ovl", "mount", "--driver", "fuse", "--config", "/dev/null"].map(Into::into).into());
    if !call.verbose {
        words.flag("--quiet");
    }
    words.value("--source", call.source.into_vec());
    let options: Vec<&[u8]> = split(call.options.as_bytes(), b',');
    for option in &options {
        words.option(option, call.sloppy)?;
    }
    let all = |name: &[u8]| !options.contains(&name) && geteuid().is_root();
    for (opposite, flag) in [(&b"nosuid"[..], "--suid"), (b"nodev", "--dev"), (b"allow_other", "--allow-other")] {
        if all(opposite) {
            words.flag(flag);
        }
    }
    words.flag("--");
    words.0.push(call.point);
    Ok(words.0)
}

/// What mount(8) has said.
#[derive(Default)]
struct Call {
    source: OsString,
    point: OsString,
    options: OsString,
    fake: bool,
    verbose: bool,
    sloppy: bool,
}

impl Call {
    fn read(args: &[OsString]) -> Result<Self, Failure> {
        let mut call = Self::default();
        let mut named = Vec::new();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.to_str() {
                Some("-o") => call.options = args.next().cloned().unwrap_or_default(),
                Some("-t") => drop(args.next()),
                Some("-f") => call.fake = true,
                Some("-v") => call.verbose = true,
                Some("-s") => call.sloppy = true,
                Some("-n") => {}
                Some(flag) if flag.starts_with('-') => {
                    return Err(Failure::usage(format!("{flag} is nothing that mount(8) says to fuse.ovl")));
                }
                _ => named.push(arg.clone()),
            }
        }
        let usage = "mount -t fuse.ovl SOURCE MOUNTPOINT -o lowerdir=A:B,upperdir=U,workdir=W";
        let [source, point] =
            named.try_into().map_err(|_| Failure::usage(format!("expected a source and a mount point: {usage}")))?;
        Ok(Self { source, point, ..call })
    }
}

/// The arguments of an `ovl mount`.
struct Words(Vec<OsString>);

impl Words {
    fn flag(&mut self, name: &str) {
        self.0.push(name.into());
    }

    /// Adds a flag and its value in one word: a value may look like a flag.
    fn value(&mut self, name: &str, value: Vec<u8>) {
        self.0.push(OsString::from_vec([name.as_bytes(), b"=", &value].concat()));
    }

    fn option(&mut self, option: &[u8], sloppy: bool) -> Result<(), Failure> {
        let shown = String::from_utf8_lossy(option);
        let value_of = |name: &str| option.strip_prefix(name.as_bytes());
        let flags = FLAGS.iter().find(|(name, _)| *name == shown);
        if let Some(value) = value_of("lowerdir=") {
            return self.lowers(&split(value, b':'));
        } else if let Some(value) = value_of("lowerdir+=") {
            return self.lower(unescaped(value), "");
        } else if let Some(value) = value_of("datadir+=") {
            return self.lower(unescaped(value), DATA_ONLY);
        } else if let Some(value) = value_of("upperdir=") {
            self.value("--upper", spec(unescaped(value)));
        } else if let Some(value) = value_of("workdir=") {
            self.value("--work", unescaped(value));
        } else if let Some((_, flags)) = flags {
            self.0.extend(flags.iter().map(Into::into));
        } else if !is_ignored(&shown) && !sloppy {
            let why = "fuse.ovl has no such mount option; `ovl mount --help` tells what there is";
            return Err(Failure::usage(format!("{shown}: {why}")));
        }
        Ok(())
    }

    /// Adds lowers from the top. Two colons precede one that is data-only, which leave an empty part before it.
    fn lowers(&mut self, parts: &[&[u8]]) -> Result<(), Failure> {
        let mut parts = parts.iter().enumerate();
        while let Some((at, part)) = parts.next() {
            match (at, part.is_empty(), parts.clone().next()) {
                (1.., true, Some((_, data))) => {
                    parts.next();
                    self.lower(unescaped(data), DATA_ONLY)?;
                }
                _ => self.lower(unescaped(part), "")?,
            }
        }
        Ok(())
    }

    fn lower(&mut self, path: Vec<u8>, more: &str) -> Result<(), Failure> {
        if path.is_empty() {
            return Err(Failure::usage(
                "lowerdir has an empty layer; write LOWER:LOWER, and LOWER::DATA for a data-only one",
            ));
        }
        self.value("--lower", [&spec(path), more.as_bytes()].concat());
        Ok(())
    }
}

fn is_ignored(option: &str) -> bool {
    let for_others = ["x-", "X-", "comment="].iter().any(|prefix| option.starts_with(prefix));
    let said_otherwise = ["suid", "nosuid", "dev", "nodev", ""].contains(&option);
    for_others || said_otherwise || IGNORED.split_ascii_whitespace().any(|word| word == option)
}

/// Returns a layer in the long form, in which nothing of the path has a meaning.
fn spec(path: Vec<u8>) -> Vec<u8> {
    let commas = |byte: u8| std::iter::repeat_n(byte, if byte == b',' { 2 } else { 1 });
    b"path=".iter().copied().chain(path.into_iter().flat_map(commas)).collect()
}

/// Splits at a separator that no backslash precedes.
fn split(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let mut escaped = false;
    let ends = |byte: &u8| {
        let ends = *byte == separator && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    };
    text.split(ends).collect()
}

/// Takes the backslashes away: what follows one stands for itself.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = text.iter();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(*if *byte == b'\\' { bytes.next().unwrap_or(byte) } else { byte });
    }
    plain
}
