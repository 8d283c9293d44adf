//! Exports and imports.

use std::{collections::BTreeMap, io};

use js_sys::{Function, Uint8Array};
use ovl_core::{
    export::{Format, Report, Whiteouts, export},
    import::{self, OnConflict, import},
    report::ImportBody,
    tree::Tree,
};
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{
    fail::{Failure, Result},
    progress::{self, Watched},
    source,
    stack::{Stack, State},
    value::{answer, ctx, function, options, path},
};

/// Pieces of this size are handed out.
const PIECE: usize = 256 * 1024;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ExportOptions {
    what: Option<String>,
    format: Option<String>,
    whiteouts: Option<String>,
    path: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ImportOptions {
    path: Option<String>,
    on_conflict: Option<String>,
}

#[derive(Serialize)]
struct Exported {
    entries: u64,
    bytes: u64,
    lossy: BTreeMap<&'static str, u64>,
}

fn refused(what: &str) -> Failure {
    Failure::new("invalid-query", what)
}

impl ExportOptions {
    fn format(&self) -> Result<Format> {
        let whiteouts = match self.whiteouts.as_deref() {
            None | Some("oci") => Whiteouts::Oci,
            Some("kernel") => Whiteouts::Kernel,
            Some(_) => return Err(refused("whiteouts is oci or kernel")),
        };
        match self.format.as_deref() {
            None | Some("zip") => Ok(Format::Zip),
            Some("tar") => Ok(Format::Tar { whiteouts }),
            Some(_) => Err(refused("format is zip or tar")),
        }
    }

    fn tree(&self, state: &State) -> Result<Tree> {
        match self.what.as_deref().unwrap_or("merged") {
            "merged" => Ok(Tree::Merged),
            "upper" => Ok(Tree::Upper),
            other => match other.strip_prefix("layer:") {
                Some(id) => Ok(Tree::Layer(state.index(id)?)),
                None => Err(refused("what is merged, upper or layer:ID")),
            },
        }
    }
}

impl ImportOptions {
    fn on_conflict(&self) -> Result<OnConflict> {
        match self.on_conflict.as_deref() {
            None | Some("error") => Ok(OnConflict::Error),
            Some("replace") => Ok(OnConflict::Replace),
            Some("keep") => Ok(OnConflict::Keep),
            Some(_) => Err(refused("on_conflict is error, replace or keep")),
        }
    }
}

/// Where an archive goes: whole pieces to a function of the caller's.
struct Out {
    write: Function,
    piece: Vec<u8>,
}

impl io::Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = Uint8Array::from(&self.piece[..]);
        self.piece.clear();
        progress::go_on(self.write.call1(&JsValue::UNDEFINED, &piece)).map_err(io::Error::other)
    }
}

impl Stack {
    fn write_out(&self, given: &JsValue, mut out: impl io::Write) -> Result<Report> {
        let given: ExportOptions = options(given)?;
        let (format, path) = (given.format()?, path(&given.path.as_deref().unwrap_or_default().into())?);
        self.run(|state| {
            let report = export(state.overlay(), given.tree(state)?, format, &path, &mut out)?;
            out.flush().map_err(ovl_core::Error::from)?;
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
        let report = self.write_out(&given, Out { write, piece: Vec::with_capacity(PIECE) })?;
        let lossy = report.lossy.0.iter().map(|(loss, lost)| (loss.word(), lost.count)).collect();
        answer(&Exported { entries: report.entries, bytes: report.bytes, lossy })
    }

    /// Returns an archive as a whole.
    #[wasm_bindgen(js_name = exportBytes)]
    pub fn export_bytes(
        &self,
        #[wasm_bindgen(unchecked_optional_param_type = "ExportOptions")] given: JsValue,
    ) -> Result<Uint8Array> {
        let mut bytes = Vec::new();
        self.write_out(&given, &mut bytes)?;
        Ok(Uint8Array::from(&bytes[..]))
    }

    /// Imports a zip or a tar. An exported upper brings its deletions and renames along.
    #[wasm_bindgen(unchecked_return_type = "Imported")]
    pub fn import(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Source")] from: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "ImportOptions")] given: JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "Progress")] progress: JsValue,
    ) -> Result<JsValue> {
        let given: ImportOptions = options(&given)?;
        let options = import::Options { on_conflict: given.on_conflict()?, ..import::Options::default() };
        let into = path(&given.path.as_deref().unwrap_or_default().into())?;
        let source = Watched::over(source::open(from)?);
        self.long(function(&progress)?, |state| {
            let imported = state.noted(|state| Ok(import(state.overlay(), &ctx(), source, &into, &options)?))?;
            answer(&ImportBody::of(&imported))
        })
    }
}
