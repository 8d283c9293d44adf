//! Exports and imports.

use std::io;

use js_sys::{Function, Uint8Array};
use ovl_core::{
    export::{Format, Losses, Report, Whiteouts, export},
    import::{self, OnConflict, import},
    report::ImportBody,
    tree::Tree,
};
use serde::{Serialize, Serializer};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{
    fail::{Failure, Result},
    progress::{self, Watched, Work},
    source,
    stack::{Stack, State},
    value::{Options, answer, ctx, function, refused},
};

/// Pieces of this size are handed out.
const PIECE: usize = 256 * 1024;

#[derive(Serialize)]
struct Exported {
    entries: u64,
    bytes: u64,
    #[serde(serialize_with = "by_kind")]
    lossy: Losses,
}

/// Writes what was lost as an object: how often, by kind.
fn by_kind<S: Serializer>(losses: &Losses, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_map(losses.0.iter().map(|(loss, lost)| (loss.word(), lost.count)))
}

fn format(given: &Options) -> Result<Format> {
    let whiteouts = given.word("whiteouts", &[("oci", Whiteouts::Oci), ("kernel", Whiteouts::Kernel)])?;
    given.word("format", &[("zip", Format::Zip), ("tar", Format::Tar { whiteouts })])
}

fn tree(what: Option<&str>, state: &State) -> Result<Tree> {
    match what.unwrap_or("merged") {
        "merged" => Ok(Tree::Merged),
        "upper" => Ok(Tree::Upper),
        other => match other.strip_prefix("layer:") {
            Some(id) => Ok(Tree::Layer(state.index(id)?)),
            None => Err(refused("what is merged, upper or layer:ID")),
        },
    }
}

/// Where an archive goes: whole pieces to a function of the caller's, or all of it into memory.
struct Out {
    write: Option<Function>,
    piece: Vec<u8>,
    /// How much of the piece is done with.
    done: usize,
}

impl io::Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() - self.done >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(write) = &self.write else {
            self.done = self.piece.len();
            return progress::check().map_err(io::Error::other);
        };
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = Uint8Array::from(&self.piece[..]);
        self.piece.clear();
        progress::go_on(write.call1(&JsValue::UNDEFINED, &piece)).map_err(io::Error::other)
    }
}

impl Stack {
    fn write_out(&self, given: JsValue, out: &mut Out) -> Result<Report> {
        let given = Options::read(given, &["what", "format", "whiteouts", "path", "signal"])?;
        let (what, format, path) = (given.text("what")?, format(&given)?, given.path("path")?);
        self.long(Work::new(&JsValue::UNDEFINED, &given)?, |state| {
            let report = export(state.overlay(), tree(what.as_deref(), state)?, format, &path, out)?;
            io::Write::flush(out).map_err(ovl_core::Error::from)?;
            Ok(report)
        })
    }
}

#[wasm_bindgen]
impl Stack {
    /// Writes an archive, piece by piece.
    #[wasm_bindgen(unchecked_return_type = "Exported")]
    pub fn export(
        &self,
        #[wasm_bindgen(unchecked_param_type = "(piece: Uint8Array) => boolean | void")] write: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "ExportOptions")] given: JsValue,
    ) -> Result<JsValue> {
        let write = function(write)?.ok_or_else(|| Failure::input("a function is needed that takes the pieces"))?;
        let mut out = Out { write: Some(write), piece: Vec::with_capacity(PIECE), done: 0 };
        let report = self.write_out(given, &mut out)?;
        answer(&Exported { entries: report.entries, bytes: report.bytes, lossy: report.lossy })
    }

    /// Returns an archive as a whole.
    #[wasm_bindgen(js_name = exportBytes)]
    pub fn export_bytes(
        &self,
        #[wasm_bindgen(unchecked_optional_param_type = "ExportOptions")] given: JsValue,
    ) -> Result<Uint8Array> {
        let mut out = Out { write: None, piece: Vec::new(), done: 0 };
        self.write_out(given, &mut out)?;
        Ok(Uint8Array::from(&out.piece[..]))
    }

    /// Imports a zip or a tar. An exported upper brings its deletions and renames along.
    #[wasm_bindgen(unchecked_return_type = "Imported")]
    pub fn import(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Source")] from: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "ImportOptions")] given: JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "Progress")] progress: JsValue,
    ) -> Result<JsValue> {
        let given = Options::read(given, &["path", "on_conflict", "signal"])?;
        let words = [("error", OnConflict::Error), ("replace", OnConflict::Replace), ("keep", OnConflict::Keep)];
        let on_conflict = given.word("on_conflict", &words)?;
        let (into, options) = (given.path("path")?, import::Options { on_conflict, ..import::Options::default() });
        let source = Watched::over(source::open_in_place(from)?);
        self.long(Work::new(&progress, &given)?, |state| {
            let imported = state.noted(|state| Ok(import(state.overlay(), &ctx(), source, &into, &options)?))?;
            answer(&ImportBody::of(&imported))
        })
    }
}
