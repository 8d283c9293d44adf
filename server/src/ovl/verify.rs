//! `ovl verify`: what is wrong with an upper, and mending what is safe to mend.

use clap::Args;
use ovl_core::{
    layers::host::Suspect,
    printable,
    report::readable_path,
    verify::{self, Effect, Finding, Mend},
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    columns::left,
    notes::Notes,
    print::{Format, List},
};
use crate::{
    cli::{
        exit::{Failure, code},
        flags::StackArgs,
        spec::LayerSpec,
        stack,
    },
    time,
};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ovl verify ./changes
  ovl verify ./changes --lower ./patch --lower ./base
  ovl verify ./changes --lower ./base --repair")]
pub(super) struct Verify {
    /// The upper [default: that of --upper].
    #[arg(value_hint = clap::ValueHint::DirPath)]
    directory: Option<LayerSpec>,
    /// Removes what changes nothing that shows: whiteouts that hide nothing of these lowers, and what was not finished.
    ///
    /// Name all the lowers: over others, such a whiteout may hide something.
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    notes: Notes,
    #[command(flatten)]
    stack: StackArgs,
}

/// A finding as JSON.
#[derive(Serialize)]
struct Body {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
    /// `upper` or `work`: from which directory the path goes.
    within: &'static str,
    defect: &'static str,
    /// `harmless`, `ghost`, `hidden`, `resurrected`, `fails` or `refused`.
    effect: &'static str,
    /// With which error the kernel fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<&'static str>,
    meaning: &'static str,
    /// The mark or the place that it is about.
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: String,
    /// The rows of the table of semantics that tell of it.
    rows: &'static str,
    can_be_mended: bool,
    mended: bool,
}

impl Verify {
    pub(super) fn run(mut self) -> Result<(), Failure> {
        self.stack.upper = self.directory.take().or(self.stack.upper.take());
        let suspect = self.open()?;
        let head = [("form", Value::from(suspect.form().to_string())), ("repair", self.repair.into())];
        let lowers = stack::lowers(&self.stack, time::nonce())?;
        let mut list = List::begin(self.format, "ovl.verify/1", &head, "findings")?;
        let (mut found, mut mended, mut could) = (0_u64, 0_u64, false);
        for finding in verify::verify(suspect, lowers)? {
            let finding = finding?;
            found += 1;
            mended += u64::from(finding.mend == Mend::Done);
            could |= finding.mend == Mend::Could;
            list.line(|out| text(out, &finding), finding.path.as_bytes(), || Body::of(&finding))?;
        }
        list.end(Map::from_iter([("found".to_owned(), found.into()), ("mended".to_owned(), mended.into())]))?;
        self.conclude(found, mended, could)
    }

    fn open(&self) -> Result<Suspect, Failure> {
        let none = || Failure::usage("no upper: name the directory that is to be verified");
        let spec = self.stack.upper.as_ref().ok_or_else(none)?;
        let path = stack::directory_of(spec, &self.stack)?
            .ok_or_else(|| Failure::usage("an upper in memory is always whole; name a directory"))?;
        if !path.is_dir() {
            return Err(Failure::new(code::NOT_FOUND, format!("no such upper: {}; check the path", path.display())));
        }
        let options = stack::upper_options(spec, &self.stack);
        let opened = if self.repair { Suspect::hold(path, &options) } else { Suspect::open(path, &options) };
        opened.map_err(|error| stack::upper_failure(path, &error))
    }

    fn conclude(&self, found: u64, mended: u64, could: bool) -> Result<(), Failure> {
        let left = found - mended;
        if left == 0 {
            self.notes.say(&if found == 0 {
                "nothing is wrong".into()
            } else {
                format!("all {found} findings mended")
            });
            return Ok(());
        }
        let advice = match could {
            true => "--repair mends those that are marked for it",
            false => "to mend the rest would change what shows, or is another's to do",
        };
        Err(Failure::new(code::DEFECTS, format!("{found} findings, {mended} mended; {advice}")))
    }
}

impl Body {
    fn of(finding: &Finding) -> Self {
        let (path, path_b64) = readable_path(&finding.path);
        let defect = finding.fault.defect;
        let (effect, errno) = effect(defect.effect());
        Self {
            path,
            path_b64,
            within: if finding.in_work { "work" } else { "upper" },
            defect: defect.word(),
            effect,
            errno,
            meaning: defect.meaning(),
            detail: finding.fault.detail.clone(),
            rows: defect.rows(),
            can_be_mended: finding.mend != Mend::No,
            mended: finding.mend == Mend::Done,
        }
    }
}

fn effect(effect: Effect) -> (&'static str, Option<&'static str>) {
    match effect {
        Effect::Harmless => ("harmless", None),
        Effect::Ghost => ("ghost", None),
        Effect::Hidden => ("hidden", None),
        Effect::Resurrected => ("resurrected", None),
        Effect::Fails(errno) => ("fails", Some(errno)),
        Effect::Refused => ("refused", None),
    }
}

/// Writes a finding as people read it.
fn text(out: &mut Vec<u8>, finding: &Finding) {
    let defect = finding.fault.defect;
    left(out, defect.word(), 17);
    let within = if finding.in_work { "(work directory) " } else { "" };
    out.extend(format!("{within}/{}: {}", printable(finding.path.as_bytes()), defect.meaning()).bytes());
    let errno = effect(defect.effect()).1.map(|errno| format!(" ({errno} in the kernel)"));
    out.extend(errno.unwrap_or_default().bytes());
    if !finding.fault.detail.is_empty() {
        out.extend(format!(" [{}]", finding.fault.detail).bytes());
    }
    out.extend_from_slice(match finding.mend {
        Mend::Done => b" - mended",
        Mend::Could => b" - --repair mends it",
        Mend::No => b"",
    });
}
