//! `ovl changes` and `ovl discard`: what the upper changes, and away with it.

use std::{ffi::OsString, sync::Arc};

use clap::Args;
use ovl_core::{
    Kind, Overlay, VPath,
    diff::{Changed, What},
    printable,
    report::{ChangeBody, readable_path, word},
};
use serde_json::{Map, Value};

use super::{
    ask::Consent,
    columns::left,
    print::{Format, List},
    session::{Session, ctx, path},
};
use crate::cli::{
    exit::{Failure, code},
    flags::StackArgs,
};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ovl changes --lower site.zip --upper ./changes
  ovl changes --ndjson docs --lower site.zip --upper ./changes")]
pub(super) struct Changes {
    /// The directory to look beneath; everything by default.
    #[arg(default_value = "/")]
    path: OsString,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ovl discard --dry-run docs --lower site.zip --upper ./changes
  ovl discard --yes index.html --lower site.zip --upper ./changes")]
pub(super) struct Discard {
    /// What to discard, each with everything beneath it.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    paths: Vec<OsString>,
    /// Discards every change.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    stack: StackArgs,
}

impl Changes {
    pub(super) fn run(self) -> Result<(), Failure> {
        let session = Session::to_read(&self.stack)?;
        let at = path(&self.path)?;
        let head = [("path", readable_path(&at).0.into())];
        let mut list = List::begin(self.format, "ovl.changes/1", &head, "changes")?;
        for change in session.overlay.changes(&at, None)? {
            print(&mut list, &change?)?;
        }
        list.end(Map::new())
    }
}

impl Discard {
    pub(super) fn run(self) -> Result<(), Failure> {
        let open = if self.consent.dry_run { Session::to_read } else { Session::open };
        let session = open(&self.stack)?;
        let paths = match self.all {
            true => vec![VPath::root()],
            false => self.paths.iter().map(|text| path(text)).collect::<Result<_, _>>()?,
        };
        if !session.overlay.has_upper() {
            return Err(Failure::new(
                code::PERMISSION,
                "there is no upper, so nothing is changed (name it with --upper)",
            ));
        }
        let doomed = doomed(&session.overlay, &paths)?;
        if !self.consent.dry_run && !doomed.is_empty() {
            self.consent.ask(&format!("{} changes will be thrown away.", doomed.len()))?;
        }
        if !self.consent.dry_run {
            paths.iter().try_for_each(|path| session.overlay.discard(&ctx(), path).map(drop))?;
        }
        let mut list = List::begin(self.format, "ovl.discard/1", &[], "discarded")?;
        doomed.iter().try_for_each(|change| print(&mut list, change))?;
        list.end(Map::from_iter([("dry_run".to_owned(), Value::from(self.consent.dry_run))]))
    }
}

/// Returns the changes at and beneath some paths.
fn doomed(overlay: &Arc<Overlay>, paths: &[VPath]) -> Result<Vec<Changed>, Failure> {
    let mut doomed = Vec::new();
    for path in paths {
        let at = overlay.change_at(path)?;
        let is_dir = |change: &Changed| change.now.is_some_and(|now| now.kind == Kind::Dir);
        let has_more = at.as_ref().is_none_or(is_dir);
        doomed.extend(at);
        if has_more {
            doomed.extend(overlay.changes(path, None)?.collect::<ovl_core::Result<Vec<_>>>()?);
        }
    }
    Ok(doomed)
}

fn print(list: &mut List, change: &Changed) -> Result<(), Failure> {
    list.line(|out| text(out, change), change.path.as_bytes(), || ChangeBody::of(change))
}

/// Writes a change as people read it.
pub(super) fn text(out: &mut Vec<u8>, change: &Changed) {
    left(out, word(&change.what), 12);
    if let What::Renamed { from } = &change.what {
        out.extend(format!("{from} -> ").bytes());
    }
    out.push(b'/');
    out.extend_from_slice(printable(change.path.as_bytes()).as_bytes());
}
