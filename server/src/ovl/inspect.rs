//! `ovl inspect`: what an archive holds as it would be served, and what was left out and why.

use clap::{Args, ValueHint};
use ovl_core::{
    ErrorKind, Kind, Omitted, Overlay, Result as CoreResult, VPath,
    overlay::{Detail, Follow, Shown, WalkOptions},
    printable,
    report::{EntryBody, Omission, kind_name, omission, readable_path},
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    mounts,
    notes::Notes,
    print::{Format, List},
    session::Session,
};
use crate::cli::{exit::Failure, flags::StackArgs, spec::LayerSpec};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ovl inspect site.zip
  ovl inspect --json type=zip,path=site.zip,root=/docs
  ovl inspect --graphdriver /mnt/work")]
pub(super) struct Inspect {
    /// The archive, or a directory.
    #[arg(value_hint = ValueHint::AnyPath)]
    file: LayerSpec,
    /// Takes FILE for a mount point, and prints the directories of the overlay there as `docker inspect` does: one JSON
    /// object (Linux).
    #[arg(long, conflicts_with_all = ["json", "ndjson", "null"])]
    graphdriver: bool,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    notes: Notes,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Serialize)]
struct Body {
    #[serde(flatten)]
    entry: EntryBody,
    #[serde(flatten)]
    stored: Stored,
}

/// How a member is stored.
#[derive(Default, Serialize)]
struct Stored {
    /// Stored bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    packed: Option<u64>,
    /// The zip's number for the compression: 0 none, 8 deflate.
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypted: Option<bool>,
    /// Why the content cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
}

impl Inspect {
    pub(super) fn run(mut self) -> Result<(), Failure> {
        if self.graphdriver {
            return mounts::graphdriver(&self.file.path);
        }
        let root = self.file.root.clone();
        self.stack.lower = vec![self.file];
        self.stack.upper = None;
        let session = Session::to_read(&self.stack)?;
        let (view, overlay) = (session.view(), &session.overlay);
        let caps = overlay.layers()[0].caps();
        let mut head = vec![("archive", Value::from(&*caps.name)), ("kind", caps.kind.into())];
        if !root.is_root() {
            head.push(("root", readable_path(&root).0.into()));
        }
        let mut list = List::begin(self.format, "ovl.inspect/1", &head, "entries")?;
        let detail = Detail { stats: true, whiteouts: true, hidden: false };
        for line in overlay.walk(&VPath::root(), WalkOptions { detail, ..WalkOptions::default() })? {
            let (path, shown) = line?;
            let stored = stored(overlay, &path, &shown)?;
            let text = text(&path, &shown, &stored);
            list.line(
                |out| out.extend(text.bytes()),
                path.as_bytes(),
                || Body { entry: view.line(&path, &shown, false), stored },
            )?;
        }
        let omissions: Vec<Omission> = caps.omitted.iter().map(omission).collect();
        let omissions = serde_json::to_value(omissions).expect("a report holds nothing that JSON cannot");
        list.end(Map::from_iter([("omissions".to_owned(), omissions)]))?;
        if !self.format.json {
            tell(self.notes, &root, &caps.omitted);
        }
        Ok(())
    }
}

/// Returns how a file is stored, and why it cannot be read if so; nothing of its content is read that can be.
fn stored(overlay: &Overlay, path: &VPath, shown: &Shown) -> CoreResult<Stored> {
    if shown.kind != Kind::File {
        return Ok(Stored::default());
    }
    let unreadable = |error: ovl_core::Error| match error.kind() {
        ErrorKind::UnsupportedEntry | ErrorKind::Corrupt => {
            Ok(Some(error.cause().unwrap_or_else(|| error.kind().reason().to_owned())))
        }
        _ => Err(error),
    };
    let blob = match overlay.open(path, Follow::No) {
        Ok((_, blob)) => blob,
        Err(error) => return Ok(Stored { unreadable: unreadable(error)?, ..Stored::default() }),
    };
    let Some(stored) = blob.stored() else { return Ok(Stored::default()) };
    let encrypted = stored.flags & 1 != 0;
    let is_odd = encrypted || !matches!(stored.method, 0 | 8 | 9);
    let why = if is_odd { blob.read_at(&mut [0], 0).map_or_else(unreadable, |_| Ok(None))? } else { None };
    Ok(Stored {
        packed: Some(stored.bytes.size()?),
        method: Some(stored.method),
        encrypted: Some(encrypted),
        unreadable: why,
    })
}

fn text(path: &VPath, shown: &Shown, stored: &Stored) -> String {
    let size = shown.stat.filter(|stat| stat.kind == Kind::File).map(|stat| stat.size.to_string()).unwrap_or_default();
    let why = stored.unreadable.as_ref().map(|why| format!("  (cannot be read: {why})")).unwrap_or_default();
    format!("{:<8} {size:>12} {path}{why}", kind_name(shown.kind))
}

fn tell(notes: Notes, root: &VPath, omitted: &[Omitted]) {
    if !root.is_root() {
        notes.say(&format!("only what lies beneath {root} is shown"));
    }
    for omitted in omitted {
        let what = if omitted.shown { "note" } else { "left out" };
        notes.say(&format!("{what}: {}: {}", printable(&omitted.name), omitted.reason));
    }
}
