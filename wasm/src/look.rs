//! Reading: entries, pages, content, why, digests.

use js_sys::Uint8Array;
use ovl_core::{
    Error, ErrorKind, Kind, VPath,
    overlay::{Detail, Follow},
    report::{EntryBody, View, WhyBody, cursor, readable_path},
    tree::Tree,
};
use serde::Serialize;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{
    fail::Result,
    progress::{self, Work},
    stack::Stack,
    value::{Options, answer, path, whole},
};

/// How to list.
struct Order {
    limit: usize,
    after: Option<VPath>,
    whiteouts: bool,
    shadowed: bool,
}

impl Order {
    fn read(given: JsValue) -> Result<Self> {
        let given = Options::read(given, &["limit", "cursor", "whiteouts", "shadowed"])?;
        let (limit, after) = (given.limit()?, given.cursor()?);
        let (whiteouts, shadowed) = (given.flag("whiteouts", false)?, given.flag("shadowed", false)?);
        Ok(Self { limit, after, whiteouts, shadowed })
    }
}

/// The names of a directory in all layers.
#[derive(Serialize)]
struct Xray {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
    rows: Vec<WhyBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A page of a directory.
#[derive(Serialize)]
struct Page {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
    entries: Vec<EntryBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

fn list(view: &View, at: &VPath, order: &Order) -> Result<JsValue> {
    let limit = order.limit;
    if view.tree.entry(at, Follow::No)?.stat.kind != Kind::Dir {
        return Err(Error::new(ErrorKind::NotADirectory, "list").at(at).into());
    }
    let detail = Detail { stats: true, whiteouts: order.whiteouts, hidden: false };
    let last = order.after.as_ref().and_then(VPath::last);
    let mut lines = view.tree.list(at, last, limit + 1, detail)?;
    let more = lines.len() > limit;
    lines.truncate(limit);
    let next = lines.last().filter(|_| more).map(|line| cursor(&VPath::root().join(line.name.as_name())));
    let entries = lines.iter().map(|line| view.line(&at.join(line.name.as_name()), line, order.shadowed)).collect();
    let (path, path_b64) = readable_path(at);
    answer(&Page { path, path_b64, entries, next_cursor: next })
}

fn xray(view: &View, at: &VPath, after: Option<&VPath>, limit: usize) -> Result<JsValue> {
    let mut rows = view.tree.xray(at, after.and_then(VPath::last), limit + 1)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().filter(|_| more).and_then(|row| row.path.last());
    let next_cursor = last.map(|name| cursor(&VPath::root().join(name)));
    let rows = rows.iter().map(|row| WhyBody::of(row, &view.ids)).collect();
    let (path, path_b64) = readable_path(at);
    answer(&Xray { path, path_b64, rows, next_cursor })
}

/// Reads a part of a file, by default all of it.
fn read(view: &View, at: &VPath, offset: Option<f64>, length: Option<f64>) -> Result<Uint8Array> {
    let (_, blob) = view.tree.open(at, Follow::Yes)?;
    let offset = whole(offset.unwrap_or(0.0))?;
    let rest = blob.size()?.saturating_sub(offset);
    let length = length.map_or(Ok(rest), whole)?.min(rest);
    let too_large = || Error::new(ErrorKind::TooLarge, "read").at(at).because("read a part of it");
    let length = usize::try_from(length).ok().filter(|length| *length <= ROOM).ok_or_else(too_large)?;
    let mut bytes = vec![0; length];
    let mut done = 0;
    while done < length {
        match blob.read_at(&mut bytes[done..], offset + done as u64).map_err(|error| error.or_at(at))? {
            0 => break,
            got => done += got,
        }
    }
    Ok(Uint8Array::from(&bytes[..done]))
}

/// The most that is read at once: memory is 4 GiB at most, and what is read is there twice for a moment.
const ROOM: usize = 1 << 30;

#[wasm_bindgen]
impl Stack {
    /// Describes what stands at a path; no symbolic link is followed.
    #[wasm_bindgen(unchecked_return_type = "Entry")]
    pub fn stat(&self, #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue) -> Result<JsValue> {
        let path = path(at)?;
        self.run(|state| answer(&state.view.describe(&path)?.1))
    }

    /// Lists a directory.
    #[wasm_bindgen(unchecked_return_type = "Page")]
    pub fn list(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "ListOptions")] given: JsValue,
    ) -> Result<JsValue> {
        let (path, order) = (path(at)?, Order::read(given)?);
        self.run(|state| list(&state.view, &path, &order))
    }

    /// Reads a file, or a part of it. A symbolic link at the end is followed.
    pub fn read(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue,
        offset: Option<f64>,
        length: Option<f64>,
    ) -> Result<Uint8Array> {
        let path = path(at)?;
        self.run(|state| read(&state.view, &path, offset, length))
    }

    /// Describes what one layer has at a path.
    #[wasm_bindgen(js_name = statIn, unchecked_return_type = "Entry")]
    pub fn stat_in(&self, id: &str, #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue) -> Result<JsValue> {
        let path = path(at)?;
        self.run(|state| answer(&state.single(id)?.describe(&path)?.1))
    }

    /// Lists a directory of one layer, whiteouts among its entries.
    #[wasm_bindgen(js_name = listIn, unchecked_return_type = "Page")]
    pub fn list_in(
        &self,
        id: &str,
        #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "ListOptions")] given: JsValue,
    ) -> Result<JsValue> {
        let (path, order) = (path(at)?, Order::read(given)?);
        self.run(|state| list(&state.single(id)?, &path, &Order { whiteouts: true, ..order }))
    }

    /// Reads a file of one layer, or a part of it.
    #[wasm_bindgen(js_name = readIn)]
    pub fn read_in(
        &self,
        id: &str,
        #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue,
        offset: Option<f64>,
        length: Option<f64>,
    ) -> Result<Uint8Array> {
        let path = path(at)?;
        self.run(|state| read(&state.single(id)?, &path, offset, length))
    }

    /// Tells what every layer says about a path, which one shows, and what hides the rest.
    #[wasm_bindgen(unchecked_return_type = "Why")]
    pub fn why(&self, #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue) -> Result<JsValue> {
        let path = path(at)?;
        self.run(|state| answer(&WhyBody::of(&state.overlay().why(&path)?, &state.view.ids)))
    }

    /// Tells the same of every name that any layer has in a directory, hidden ones too.
    #[wasm_bindgen(unchecked_return_type = "Xray")]
    pub fn xray(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "PageOptions")] given: JsValue,
    ) -> Result<JsValue> {
        let (path, given) = (path(at)?, Options::read(given, &["limit", "cursor"])?);
        let (limit, after) = (given.limit()?, given.cursor()?);
        self.run(|state| xray(&state.view, &path, after.as_ref(), limit))
    }

    /// Returns BLAKE3 of a file's content, or of everything in a directory.
    pub fn digest(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "DigestOptions")] given: JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "Progress")] listener: JsValue,
    ) -> Result<String> {
        let (path, given) = (path(at)?, Options::read(given, &["layer", "signal"])?);
        let layer = given.text("layer")?;
        self.long(Work::new(&listener, &given)?, |state| {
            let tree = layer.map_or(Ok(Tree::Merged), |id| state.index(&id).map(Tree::Layer))?;
            let mut done = 0;
            let digest = state.overlay().digest_heard(tree, &path, &mut |bytes| {
                done += bytes;
                progress::tell(done, None)
            });
            Ok(digest?.to_string())
        })
    }
}
