//! `ovl ls`, `ovl cat`, `ovl stat`: what shows.

use std::{ffi::OsString, io::Write};

use clap::Args;
use ovl_core::{
    Kind, VPath,
    overlay::{Detail, Follow, Shown, WalkOptions},
    printable,
    report::{EntryBody, View, kind_name, readable_path},
};
use serde_json::{Map, Value};

use super::{
    columns::{left, octal, right},
    print::{self, Format, List},
    session::{Session, path},
};
use crate::{
    cli::{exit::Failure, flags::StackArgs},
    time,
};

/// Content is written in pieces of this size.
const PIECE: usize = 256 * 1024;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ovl ls -l docs --lower site.zip --upper ./changes
  ovl ls -R -0 --lower site.zip | xargs -0 -n 1 echo")]
pub(super) struct Ls {
    /// The directory; the root by default.
    #[arg(default_value = "/")]
    path: OsString,
    /// Lists everything beneath it.
    #[arg(long, short = 'R')]
    recursive: bool,
    /// Tells mode, owner, size, time and layer.
    #[arg(long, short)]
    long: bool,
    /// Lists the whiteouts too.
    #[arg(long)]
    whiteouts: bool,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    stack: StackArgs,
}

impl Ls {
    pub(super) fn run(self) -> Result<(), Failure> {
        let session = Session::to_read(&self.stack)?;
        let (view, at) = (session.view(), path(&self.path)?);
        let stats = self.long || self.format.json || self.format.ndjson;
        let detail = Detail { stats, whiteouts: self.whiteouts, hidden: false };
        let depth = if self.recursive { usize::MAX } else { 1 };
        let walk = session.overlay.walk(&at, WalkOptions { depth, detail })?;
        let mut list = List::begin(self.format, "ovl.ls/1", &[("path", readable_path(&at).0.into())], "entries")?;
        for line in walk {
            let (path, shown) = line?;
            let name = if self.recursive { path.as_bytes() } else { shown.name.as_bytes() };
            let text =
                |out: &mut Vec<u8>| if self.long { long(out, &view, &shown, name) } else { short(out, &shown, name) };
            list.line(text, name, || view.line(&path, &shown, true))?;
        }
        list.end(Map::new())
    }
}

fn short(out: &mut Vec<u8>, shown: &Shown, name: &[u8]) {
    let mark = match shown.kind {
        Kind::Dir => "/",
        Kind::Symlink => "@",
        Kind::Fifo => "|",
        Kind::Socket => "=",
        Kind::Whiteout => " (whiteout)",
        _ => "",
    };
    out.extend_from_slice(printable(name).as_bytes());
    out.extend_from_slice(mark.as_bytes());
}

fn long(out: &mut Vec<u8>, view: &View, shown: &Shown, name: &[u8]) {
    match &shown.stat {
        Some(stat) => attributes(out, stat),
        None => left(out, "-", 8),
    }
    left(out, &view.ids[shown.layer], 9);
    short(out, shown, name);
}

fn attributes(out: &mut Vec<u8>, stat: &ovl_core::Stat) {
    left(out, kind_name(stat.kind), 8);
    octal(out, stat.attrs.mode);
    right(out, stat.attrs.uid.into(), 5);
    right(out, stat.attrs.gid.into(), 5);
    right(out, stat.size, 12);
    match time::seconds(out, stat.attrs.mtime) {
        Some(()) => out.push(b' '),
        None => left(out, "-", 19),
    }
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  ovl cat index.html --lower site.zip --upper ./changes")]
pub(super) struct Cat {
    /// The files; symbolic links are followed within the tree.
    #[arg(required = true)]
    paths: Vec<OsString>,
    #[command(flatten)]
    stack: StackArgs,
}

impl Cat {
    pub(super) fn run(self) -> Result<(), Failure> {
        let session = Session::to_read(&self.stack)?;
        let mut out = std::io::stdout().lock();
        let mut piece = vec![0; PIECE];
        for text in &self.paths {
            let path = path(text)?;
            let (_, blob) = session.overlay.open(&path, Follow::Yes)?;
            let mut at = 0;
            loop {
                let got = blob.read_at(&mut piece, at).map_err(|error| error.or_at(&path))?;
                if got == 0 {
                    break;
                }
                out.write_all(&piece[..got]).map_err(print::failed)?;
                at += got as u64;
            }
        }
        out.flush().map_err(print::failed)
    }
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  ovl stat --json index.html --lower site.zip")]
pub(super) struct Stat {
    /// The entries; a symbolic link at the end is not followed.
    #[arg(required = true)]
    paths: Vec<OsString>,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    stack: StackArgs,
}

impl Stat {
    pub(super) fn run(self) -> Result<(), Failure> {
        let session = Session::to_read(&self.stack)?;
        let view = session.view();
        let paths: Vec<VPath> = self.paths.iter().map(|text| path(text)).collect::<Result<_, _>>()?;
        let mut list = List::begin(self.format, "ovl.stat/1", &[], "entries")?;
        for path in paths {
            let (_, body) = view.describe(&path)?;
            list.line(|out| out.extend(told(&body).bytes()), path.as_bytes(), || &body)?;
        }
        list.end(Map::new())
    }
}

/// Writes one line a member of the entry's JSON form, those that nobody reads aside.
fn told(body: &EntryBody) -> String {
    let value = serde_json::to_value(body).expect("an entry holds nothing that JSON cannot");
    let members = value.as_object().into_iter().flatten().filter(|(key, _)| *key != "name");
    let lines = members.map(|(key, value)| match value {
        Value::String(text) => format!("{key:<8} {}", printable(text.as_bytes())),
        value => format!("{key:<8} {value}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}
