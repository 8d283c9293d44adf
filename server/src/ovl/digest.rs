//! `ovl digest`: BLAKE3 of files and trees.

use std::ffi::OsString;

use clap::Args;
use ovl_core::report::readable_path;
use serde::Serialize;
use serde_json::Map;

use super::{
    notes::Notes,
    print::{Format, List},
    session::{Session, path},
};
use crate::cli::{exit::Failure, flags::StackArgs};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ovl digest --lower site.zip --upper ./changes
  ovl digest index.html docs --what lower-1 --lower site.zip")]
pub(super) struct Digest {
    /// Files, or directories with everything beneath them; the whole tree by default.
    #[arg(default_value = "/")]
    paths: Vec<OsString>,
    /// Which tree: merged, upper, or a layer (lower-1, ...).
    #[arg(long, default_value = "merged")]
    what: String,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    notes: Notes,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Serialize)]
struct Body {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
    blake3: String,
}

impl Digest {
    pub(super) fn run(self) -> Result<(), Failure> {
        let session = Session::to_read(&self.stack)?;
        let tree = session.tree(&self.what)?;
        let mut list = List::begin(self.format, "ovl.digest/1", &[("what", self.what.clone().into())], "digests")?;
        for text in &self.paths {
            let at = path(text)?;
            let progress = self.notes.progress("digesting");
            let blake3 = session.overlay.digest(tree, &at)?.to_string();
            drop(progress);
            let (path, path_b64) = readable_path(&at);
            let line = format!("{blake3}  {at}");
            list.line(|out| out.extend(line.bytes()), at.as_bytes(), || Body { path, path_b64, blake3 })?;
        }
        list.end(Map::new())
    }
}
