//! `ovl why`: the lookup of one path, layer by layer.

use std::ffi::OsString;

use clap::Args;
use ovl_core::{printable, report::WhyBody};

use super::{
    print,
    session::{Session, path},
};
use crate::cli::{exit::Failure, flags::StackArgs};

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  ovl why index.html --lower patch.zip --lower site.zip")]
pub(super) struct Why {
    /// The path; no symbolic link is followed.
    path: OsString,
    /// One JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    stack: StackArgs,
}

impl Why {
    pub(super) fn run(self) -> Result<(), Failure> {
        let session = Session::to_read(&self.stack)?;
        let why = session.overlay.why(&path(&self.path)?)?;
        let body = WhyBody::of(&why, &session.ids);
        print::object(self.json, "ovl.why/1", &body, &text(&body))
    }
}

fn text(body: &WhyBody) -> String {
    let path = printable(body.path.as_bytes());
    let mut text = match &body.shown {
        Some(layer) => format!("{path} shows from {layer}\n"),
        None => format!("{path} does not show\n"),
    };
    for line in &body.layers {
        text.push_str(&format!("  {:<9} {:<9} {}", line.layer, line.found.unwrap_or("-"), line.fate));
        if let (Some(by), Some(at), Some(reason)) = (&line.hidden_by, &line.hidden_at, line.reason) {
            text.push_str(&format!(" by {by} ({reason} at {})", printable(at.as_bytes())));
        }
        if line.opaque {
            text.push_str(", opaque");
        }
        if let Some(redirect) = &line.redirect {
            text.push_str(&format!(", redirected to {}", printable(redirect.as_bytes())));
        }
        text.push('\n');
    }
    text
}
