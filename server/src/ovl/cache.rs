//! `ovl cache`: zips that were unpacked for the kernel.

use std::os::unix::ffi::OsStrExt;

use clap::{Args, Subcommand};
use ovl_core::{printable, report::rfc3339};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    columns::{left, right},
    notes::Notes,
    print::{self, Format, List},
};
use crate::{
    cli::{exit::Failure, flags::StackArgs, spec::LayerSpec},
    mount::cache::{self, Kept, Lease},
    time,
};

const DAY: i64 = 24 * 60 * 60;

#[derive(Subcommand, Debug)]
pub(super) enum Cache {
    /// Lists what is there, with its size, when it was used last, and whether something uses it now.
    List(Show),
    /// Removes what has not been used for a while, and what stopped commands have left. What is in use stays.
    Prune(Prune),
    /// Removes everything that is not in use.
    Clear(Clear),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ovl cache list
  ovl cache list --json")]
pub(super) struct Show {
    #[command(flatten)]
    format: Format,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ovl cache prune
  ovl cache prune --unused-for 7 --dry-run")]
pub(super) struct Prune {
    /// How many days something was not used.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    unused_for: u32,
    /// Says what would be removed, and removes nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    format: Format,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ovl cache clear --dry-run
  ovl cache clear")]
pub(super) struct Clear {
    /// Says what would be removed, and removes nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    format: Format,
}

/// A tree as JSON.
#[derive(Serialize)]
struct Body<'a> {
    /// The archive's BLAKE3, and in which way it was read if not in the usual one.
    key: &'a str,
    /// Where the archive was; `null` while the tree is not whole.
    archive: Option<&'a str>,
    entries: Option<u64>,
    bytes: Option<u64>,
    used: Option<String>,
    in_use: bool,
}

impl Cache {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(list) => show(&kept(|_| true)?, list.format, "ovl.cache/1", "trees", Map::new()),
            Self::Prune(prune) => {
                let limit = time::now().secs - DAY * i64::from(prune.unused_for);
                remove(&|kept| kept.used.is_none_or(|used| used.secs <= limit), prune.dry_run, prune.format)
            }
            Self::Clear(clear) => remove(&|_| true, clear.dry_run, clear.format),
        }
    }
}

fn kept(which: impl Fn(&Kept) -> bool) -> Result<Vec<Kept>, Failure> {
    let mut kept = cache::Cache::existing()?.map_or(Ok(Vec::new()), |cache| cache.kept())?;
    kept.retain(which);
    Ok(kept)
}

fn remove(is_doomed: &dyn Fn(&Kept) -> bool, dry_run: bool, format: Format) -> Result<(), Failure> {
    let removed = match dry_run {
        true => kept(|kept| !kept.in_use && is_doomed(kept))?,
        false => cache::Cache::existing()?.map_or(Ok(Vec::new()), |cache| cache.evict(is_doomed))?,
    };
    let tail = Map::from_iter([("dry_run".to_owned(), Value::from(dry_run))]);
    show(&removed, format, "ovl.cache-removed/1", "removed", tail)
}

fn show(trees: &[Kept], format: Format, schema: &str, items: &str, tail: Map<String, Value>) -> Result<(), Failure> {
    let mut list = List::begin(format, schema, &[], items)?;
    for kept in trees {
        list.line(|out| text(out, kept), kept.key.as_bytes(), || body(kept))?;
    }
    list.end(tail)
}

fn text(out: &mut Vec<u8>, kept: &Kept) {
    left(out, if kept.in_use { "used" } else { "" }, 4);
    right(out, kept.about.as_ref().map_or(0, |about| about.bytes), 12);
    kept.used.and_then(|used| time::seconds(out, used));
    out.push(b' ');
    let archive = kept.about.as_ref().map_or("(not whole)", |about| &about.archive);
    out.extend_from_slice(printable(archive.as_bytes()).as_bytes());
}

fn body(kept: &Kept) -> Body<'_> {
    let about = kept.about.as_ref();
    Body {
        key: &kept.key,
        archive: about.map(|about| &*about.archive),
        entries: about.map(|about| about.entries),
        bytes: about.map(|about| about.bytes),
        used: kept.used.and_then(rfc3339),
        in_use: kept.in_use,
    }
}

/// Unpacks a zip for the kernel, and tells what that means.
pub(super) fn unpacked(spec: &LayerSpec, args: &StackArgs, notes: Notes) -> Result<Lease, Failure> {
    let progress = notes.progress("unpacking");
    let lease = cache::unpacked(spec, args)?;
    drop(progress);
    let (shown, tree) = (spec.path.display(), printable(lease.path.as_os_str().as_bytes()));
    let how = if lease.is_new { "unpacked for the kernel" } else { "was unpacked before" };
    notes.say(&format!("{shown} {how}, in {tree}"));
    let about = &lease.about;
    if about.left_out > 0 {
        let entries = print::entries(about.left_out);
        notes.say(&format!("{entries} of {shown} cannot be shown; `ovl inspect` tells why"));
    }
    if about.special > 0 {
        let what = "fifos, sockets and devices, made with --privileged-metadata alone";
        notes.say(&format!("left out of {shown}: {}, {what}", print::entries(about.special)));
    }
    Ok(lease)
}
