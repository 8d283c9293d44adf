//! The tree as it is drawn: which directories are open is kept here, rows are made when they are asked for.

use ovl_core::{
    Kind, Result as CoreResult, VPath,
    outline::{Outline, Row},
    report::{EntryBody, View},
};
use serde::Serialize;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{
    fail::Result,
    stack::{Stack, State},
    value::{Options, answer, path, whole},
};

/// The most rows of one answer.
const ROWS_MAX: usize = 10_000;

/// What is drawn, and the last event that it has taken notice of.
pub(crate) struct Drawn {
    outline: Outline,
    seen: u64,
}

#[derive(Serialize)]
struct Rows {
    total: usize,
    start: usize,
    rows: Vec<RowBody>,
}

#[derive(Serialize)]
struct RowBody {
    level: usize,
    position: usize,
    siblings: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    open: Option<bool>,
    entry: EntryBody,
}

impl Default for Drawn {
    fn default() -> Self {
        Self { outline: Outline::new(false), seen: 0 }
    }
}

impl Drawn {
    /// Counts everything anew.
    pub(crate) fn forget(&mut self) {
        self.outline.forget_all();
    }
}

impl RowBody {
    fn of(view: &View, row: &Row, shadowed: bool) -> Self {
        Self {
            level: row.level,
            position: row.position + 1,
            siblings: row.siblings,
            open: (row.shown.kind == Kind::Dir && !row.shown.hidden).then_some(row.open),
            entry: view.line(&row.path, &row.shown, shadowed),
        }
    }
}

impl State {
    /// Returns the outline with all that has happened taken notice of.
    fn outline(&mut self) -> &mut Outline {
        let Drawn { outline, seen } = &mut self.drawn;
        match self.log.after(*seen) {
            Some(events) => events.iter().for_each(|event| outline.follow(event)),
            None => outline.forget_all(),
        }
        *seen = self.log.latest();
        outline
    }

    fn total(&mut self) -> Result<f64> {
        let tree = self.view.tree.clone();
        Ok(self.outline().total(&tree)? as f64)
    }

    fn rows(&mut self, start: usize, count: usize, whiteouts: bool, shadowed: bool) -> CoreResult<Rows> {
        let view = self.view.clone();
        let outline = self.outline();
        outline.show_unseen(whiteouts);
        let total = outline.total(&view.tree)?;
        let rows = outline.rows(&view.tree, start, count.min(ROWS_MAX))?;
        Ok(Rows { total, start, rows: rows.iter().map(|row| RowBody::of(&view, row, shadowed)).collect() })
    }
}

#[wasm_bindgen]
impl Stack {
    /// Returns a part of the tree as it is drawn.
    #[wasm_bindgen(unchecked_return_type = "Rows")]
    pub fn rows(
        &self,
        start: f64,
        count: f64,
        #[wasm_bindgen(unchecked_optional_param_type = "RowsOptions")] given: JsValue,
    ) -> Result<JsValue> {
        let given = Options::read(given, &["whiteouts", "shadowed"])?;
        let (whiteouts, shadowed) = (given.flag("whiteouts", false)?, given.flag("shadowed", false)?);
        let (start, count) = (whole(start)? as usize, whole(count)? as usize);
        self.run(|state| answer(&state.rows(start, count, whiteouts, shadowed)?))
    }

    /// Opens a directory, and those above it. Returns how many rows there are then.
    pub fn expand(&self, #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue) -> Result<f64> {
        let path = path(at)?;
        self.run(|state| {
            let tree = state.view.tree.clone();
            state.outline().expand(&tree, &path)?;
            state.total()
        })
    }

    /// Closes a directory. Returns how many rows there are then.
    pub fn collapse(&self, #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue) -> Result<f64> {
        let path = path(at)?;
        self.run(|state| {
            state.outline().collapse(&path);
            state.total()
        })
    }

    /// Closes all directories. Returns how many rows there are then.
    #[wasm_bindgen(js_name = collapseAll)]
    pub fn collapse_all(&self) -> Result<f64> {
        self.run(|state| {
            state.outline().collapse(&VPath::root());
            state.total()
        })
    }

    /// Returns the number of a path's row, `undefined` when a directory above is closed.
    #[wasm_bindgen(js_name = rowOf)]
    pub fn row_of(&self, #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue) -> Result<Option<f64>> {
        let path = path(at)?;
        self.run(|state| {
            let tree = state.view.tree.clone();
            Ok(state.outline().row_of(&tree, &path)?.map(|row| row as f64))
        })
    }
}
