//! `ovl export` and `ovl import`: trees as archives, and back.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use ovl_core::{
    Error, VPath,
    export::{self, Report, Whiteouts},
    import::{self, Imported, OnConflict},
    layers::{host, zip::Names},
    printable,
    report::{Omission, omission},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    ask::{Consent, ask},
    notes::Notes,
    print,
    session::{Session, ctx, path},
};
use crate::cli::{
    exit::{Failure, code, of_kind},
    flags::{StackArgs, ZipNames},
    spec::LayerSpec,
};

const EXPORT: &str = "ovl.export/1";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ovl export -o result.zip --lower site.zip --upper ./changes
  ovl export --what upper --whiteouts oci -o layer.tar --lower site.zip --upper ./changes")]
pub(super) struct Export {
    /// The directory to export; everything by default.
    #[arg(default_value = "/")]
    path: OsString,
    /// The format; by default told by the name of the output, else zip.
    #[arg(long, value_enum)]
    format: Option<Archive>,
    /// Which tree: merged, upper, or a layer (lower-1, ...).
    #[arg(long, default_value = "merged")]
    what: String,
    /// How a tar keeps whiteouts.
    #[arg(long, value_enum, default_value = "kernel")]
    whiteouts: Dialect,
    /// Where the archive goes; the standard output by default.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Reports as JSON what was written: to the standard output when the archive goes elsewhere.
    #[arg(long)]
    json: bool,
    /// Replaces an output that is there, without asking.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    notes: Notes,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Archive {
    Zip,
    Tar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Dialect {
    /// Files named .wh.NAME, as container images have them.
    Oci,
    /// Devices and attributes, as the kernel has them.
    Kernel,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ovl import --dry-run more.zip --lower site.zip --upper ./changes
  ovl import --into docs --on-conflict keep more.zip --lower site.zip --upper ./changes")]
pub(super) struct Import {
    /// The archive: a zip or tar.
    file: PathBuf,
    /// The directory that takes the entries; not for an exported upper.
    #[arg(long, value_name = "PATH", default_value = "/")]
    into: OsString,
    /// What becomes of an entry whose place is taken.
    #[arg(long, value_enum, default_value = "error")]
    on_conflict: Conflict,
    /// One JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    notes: Notes,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Conflict {
    /// Nothing is imported.
    Error,
    /// It replaces what is there.
    Replace,
    /// What is there stays.
    Keep,
}

impl Export {
    /// Returns the export of what an upper changes into a new file, from which `ovl import` makes that upper again.
    #[cfg(target_os = "linux")]
    pub(super) fn of_changes(output: PathBuf, notes: Notes, stack: StackArgs) -> Self {
        Self {
            path: "/".into(),
            format: None,
            what: "upper".into(),
            whiteouts: Dialect::Kernel,
            output: Some(output),
            json: false,
            yes: false,
            notes,
            stack,
        }
    }

    pub(super) fn run(self) -> Result<(), Failure> {
        let session = Session::to_read(&self.stack)?;
        let (tree, at) = (session.tree(&self.what)?, path(&self.path)?);
        let format = self.format();
        let write = |out: &mut dyn Write| {
            // Not earlier: someone may be asked first.
            let progress = self.notes.progress("exporting");
            Ok(export::export(&session.overlay, tree, format, &at, &mut progress.counting(out))?)
        };
        let report = match &self.output {
            Some(file) => to_file(file, self.yes, write)?,
            None => to_stdout(write)?,
        };
        self.tell(&report)
    }

    fn format(&self) -> export::Format {
        let is_tar = self.output.as_ref().is_some_and(|file| file.extension().is_some_and(|end| end == "tar"));
        let whiteouts = match self.whiteouts {
            Dialect::Oci => Whiteouts::Oci,
            Dialect::Kernel => Whiteouts::Kernel,
        };
        match self.format {
            Some(Archive::Tar) => export::Format::Tar { whiteouts },
            None if is_tar => export::Format::Tar { whiteouts },
            _ => export::Format::Zip,
        }
    }

    fn tell(&self, report: &Report) -> Result<(), Failure> {
        let lossy: Value = report
            .lossy
            .0
            .iter()
            .map(|(loss, lost)| (loss.word().to_owned(), json!({"count": lost.count, "first": lost.first.to_string()})))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let body = json!({"entries": report.entries, "bytes": report.bytes, "lossy": lossy});
        if self.json && self.output.is_some() {
            return print::object(true, EXPORT, &body, "");
        }
        if self.json {
            eprintln!("{}", print::with_schema(EXPORT, &body));
            return Ok(());
        }
        self.notes.say(&format!("{}, {} bytes", print::entries(report.entries), report.bytes));
        for (loss, lost) in &report.lossy.0 {
            let (count, word, first) = (lost.count, loss.word(), &lost.first);
            self.notes.say(&format!("the format cannot hold {count} {word} (the first: {first})"));
        }
        Ok(())
    }
}

/// Writes beside the file and then takes its place, so that it is there whole or not at all.
fn to_file(
    file: &Path,
    replace: bool,
    write: impl FnOnce(&mut dyn Write) -> Result<Report, Failure>,
) -> Result<Report, Failure> {
    let shown = file.display();
    if file.exists() && !replace {
        let unasked = || Failure::new(code::CONFLICT, format!("{shown} is there already; say --yes to replace it"));
        ask(&format!("{shown} is there already and will be replaced."), unasked)?;
    }
    let failed = |error: io::Error| Failure::io(&format!("cannot write {shown}"), error, "choose another --output");
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let mut out = BufWriter::with_capacity(1 << 20, File::create_new(&part).map_err(failed)?);
    let done = write(&mut out).and_then(|report| {
        out.into_inner().map_err(io::IntoInnerError::into_error).and_then(|out| out.sync_all()).map_err(failed)?;
        fs::rename(&part, file).map_err(failed)?;
        Ok(report)
    });
    if done.is_err() {
        // What failed is told; a leftover beside it adds nothing.
        drop(fs::remove_file(&part));
    }
    done
}

fn to_stdout(write: impl FnOnce(&mut dyn Write) -> Result<Report, Failure>) -> Result<Report, Failure> {
    let out = io::stdout();
    if out.is_terminal() {
        return Err(Failure::usage("an archive is nothing for a terminal: name a file with --output"));
    }
    let mut out = BufWriter::with_capacity(1 << 20, out.lock());
    let report = write(&mut out)?;
    out.flush().map_err(print::failed)?;
    Ok(report)
}

fn unreadable(file: &Path, error: &Error) -> Failure {
    let (shown, reason) = (file.display(), error.kind().reason());
    Failure::new(of_kind(error.kind()), format!("cannot read {shown}: {reason}; import takes a zip or tar"))
}

#[derive(Serialize)]
struct Summary {
    entries: u64,
    bytes: u64,
    kept: u64,
    is_upper: bool,
    omissions: Vec<Omission>,
    dry_run: bool,
}

impl Import {
    pub(super) fn run(mut self) -> Result<(), Failure> {
        let into = path(&self.into)?;
        if self.consent.dry_run {
            self.on_conflict = Conflict::Replace;
            self.stack.lower = Vec::new();
            self.stack.upper = Some(LayerSpec::memory());
        } else if self.on_conflict == Conflict::Replace {
            self.consent.ask("What stands where an entry goes will be replaced.")?;
        }
        let session = Session::open(&self.stack)?;
        let done = self.import(&session, &into)?;
        self.tell(&done)
    }

    fn import(&self, session: &Session, into: &VPath) -> Result<Imported, Failure> {
        let source = host::file(&self.file).map_err(|error| unreadable(&self.file, &error))?;
        let names = match self.stack.zip_names {
            ZipNames::Cp437 => Names::Cp437,
            ZipNames::Windows1252 => Names::Windows1252,
            ZipNames::Bytes => Names::Bytes,
        };
        let on_conflict = match self.on_conflict {
            Conflict::Error => OnConflict::Error,
            Conflict::Replace => OnConflict::Replace,
            Conflict::Keep => OnConflict::Keep,
        };
        let _progress = self.notes.progress("importing");
        Ok(import::import(&session.overlay, &ctx(), source, into, &import::Options { on_conflict, names })?)
    }

    fn tell(&self, done: &Imported) -> Result<(), Failure> {
        for omitted in done.omitted.iter().filter(|_| !self.json) {
            self.notes.say(&format!("left out: {}: {}", printable(&omitted.name), omitted.reason));
        }
        let body = Summary {
            entries: done.entries,
            bytes: done.bytes,
            kept: done.kept,
            is_upper: done.is_upper,
            omissions: done.omitted.iter().map(omission).collect(),
            dry_run: self.consent.dry_run,
        };
        let what = if done.is_upper { "an exported upper" } else { "an archive" };
        let verb = if self.consent.dry_run { "would be imported" } else { "imported" };
        let entries = print::entries(done.entries);
        let text = format!("{verb}: {what}, {entries}, {} bytes, {} kept\n", done.bytes, done.kept);
        print::object(self.json, "ovl.import/1", &body, &text)
    }
}
