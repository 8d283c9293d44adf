//! Writing.

use std::sync::Arc;

use ovl_core::{
    Blob, Change, ErrorKind, Overlay, Result as CoreResult, VPath,
    layers::memory::Memory,
    overlay::{At, Ctx, Done, Follow, PutOptions, Removal, RenameHow},
    report::{EntryBody, readable_path},
};
use serde::Serialize;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{
    fail::{Failure, Result},
    source,
    stack::{Stack, State},
    value::{Options, answer, attributes, ctx, path, text, whole},
};

/// A change that is asked for.
type Asked<'a> = dyn Fn(&State, &Arc<Overlay>, &Ctx) -> CoreResult<Done> + 'a;

/// What a change did.
#[derive(Serialize)]
struct DoneBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<EntryBody>,
    created: bool,
    copied_up: u64,
    generation: u64,
}

fn patch(given: JsValue) -> Result<Change> {
    let given = Options::read(given, &["mode", "uid", "gid", "mtime", "atime", "xattrs"])?;
    let number = |name| {
        let number = given.count(name)?.map(u32::try_from).transpose();
        number.map_err(|_| Failure::input("an owner is a number from 0 to 4294967295"))
    };
    Ok(Change {
        mode: given.mode("mode")?,
        uid: number("uid")?,
        gid: number("gid")?,
        mtime: given.time("mtime")?,
        atime: given.time("atime")?,
        xattrs: given.get("xattrs").map_or(Ok(Vec::new()), |xattrs| attributes(&xattrs))?,
        ..Change::default()
    })
}

fn how(given: JsValue) -> Result<RenameHow> {
    let given = Options::read(given, &["overwrite", "exchange"])?;
    match (given.flag("overwrite", false)?, given.flag("exchange", false)?) {
        (true, true) => Err(Failure::input("overwrite or exchange, not both")),
        (true, false) => Ok(RenameHow::Replace),
        (false, true) => Ok(RenameHow::Exchange),
        (false, false) => Ok(RenameHow::NoReplace),
    }
}

/// Returns where in a file to write; `None` replaces it.
fn place(given: &Options) -> Result<Option<At>> {
    match (given.number("offset")?, given.flag("append", false)?) {
        (Some(_), true) => Err(Failure::input("offset or append, not both")),
        (None, true) => Ok(Some(At::End)),
        (Some(offset), false) => Ok(Some(At::Offset(whole(offset)?))),
        (None, false) => Ok(None),
    }
}

impl State {
    /// Makes the directories above a path that are missing.
    fn make_parents(&self, ctx: &Ctx, path: &VPath) -> CoreResult<()> {
        match path.split() {
            Some((parent, _)) => self.overlay().make_dirs(ctx, &parent),
            None => Ok(()),
        }
    }

    /// Makes a change that can be taken back as a whole, also what there is of one that failed.
    pub(crate) fn noted<T>(&self, change: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        let before = self.log.latest();
        let done = change(self);
        if let Some(upper) = &self.upper {
            upper.end_change(self.log.paths_after(before));
        }
        done
    }

    fn tell(&self, done: &Done) -> Result<JsValue> {
        let info = done.info.as_ref();
        let entry = info.map(|info| self.view.describe(&info.path)).transpose()?.map(|(_, entry)| entry);
        answer(&DoneBody { entry, created: done.created, copied_up: done.copied_up, generation: self.generation() })
    }
}

impl Stack {
    fn change(&self, change: &Asked<'_>) -> Result<JsValue> {
        self.run(|state| {
            let done = state.noted(|state| Ok(change(state, state.overlay(), &ctx())?))?;
            state.tell(&done)
        })
    }
}

impl Stack {
    fn restore(&self, restore: fn(&Memory) -> CoreResult<Option<Vec<VPath>>>) -> Result<JsValue> {
        self.run(|state| {
            let Some(upper) = &state.upper else { return Ok(JsValue::UNDEFINED) };
            let paths = state.overlay().restore(|| restore(upper))?;
            let paths = paths.map(|paths| paths.iter().map(|path| readable_path(path).0).collect::<Vec<_>>());
            paths.map_or(Ok(JsValue::UNDEFINED), |paths| answer(&paths))
        })
    }
}

fn put(overlay: &Overlay, ctx: &Ctx, path: &VPath, content: &dyn Blob, options: &PutOptions) -> CoreResult<Done> {
    let upload = overlay.upload(ctx).map_err(|error| error.or_at(path))?;
    upload.copy_from(content).map_err(|error| error.or_at(path))?;
    overlay.put(ctx, path, &upload, options)
}

#[wasm_bindgen]
impl Stack {
    /// Writes a file: as a whole, or from an offset on.
    #[wasm_bindgen(unchecked_return_type = "Done")]
    pub fn write(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "string | Source")] content: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "WriteOptions")] given: JsValue,
    ) -> Result<JsValue> {
        let (path, given) = (path(at)?, Options::read(given, &["mode", "mtime", "parents", "offset", "append"])?);
        let (place, parents) = (place(&given)?, given.flag("parents", false)?);
        let options = PutOptions { mode: given.mode("mode")?, mtime: given.time("mtime")? };
        let content: Arc<dyn Blob> = match text(content) {
            Some(text) => Arc::new(text),
            None => source::open(content)?,
        };
        self.change(&|state, overlay, ctx| {
            if parents {
                state.make_parents(ctx, &path)?;
            }
            match place {
                None => put(overlay, ctx, &path, &*content, &options),
                Some(place) => overlay.write(ctx, &path, place, &*content),
            }
        })
    }

    /// Sets the length of a file.
    #[wasm_bindgen(unchecked_return_type = "Done")]
    pub fn truncate(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue,
        length: f64,
    ) -> Result<JsValue> {
        let (path, length) = (path(at)?, whole(length)?);
        self.change(&|_, overlay, ctx| overlay.truncate(ctx, &path, length))
    }

    /// Makes a directory.
    #[wasm_bindgen(unchecked_return_type = "Done")]
    pub fn mkdir(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "MkdirOptions")] given: JsValue,
    ) -> Result<JsValue> {
        let (path, given) = (path(at)?, Options::read(given, &["mode", "parents"])?);
        let (mode, parents) = (given.mode("mode")?, given.flag("parents", false)?);
        self.change(&|state, overlay, ctx| {
            if parents {
                state.make_parents(ctx, &path)?;
            }
            overlay.mkdir(ctx, &path, mode)
        })
    }

    /// Makes a symbolic link. The target is data, never looked at.
    #[wasm_bindgen(unchecked_return_type = "Done")]
    pub fn symlink(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Path")] target: &JsValue,
    ) -> Result<JsValue> {
        let path = path(at)?;
        let target = crate::value::bytes(target).ok_or_else(|| Failure::input("a target is a text or a Uint8Array"))?;
        self.change(&|_, overlay, ctx| overlay.symlink(ctx, &path, &target))
    }

    /// Gives a file one more name.
    #[wasm_bindgen(unchecked_return_type = "Done")]
    pub fn link(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] from: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Path")] to: &JsValue,
    ) -> Result<JsValue> {
        let (from, to) = (path(from)?, path(to)?);
        self.change(&|_, overlay, ctx| overlay.link(ctx, &from, &to))
    }

    /// Copies what stands at a path, with everything beneath it.
    #[wasm_bindgen(unchecked_return_type = "Done")]
    pub fn copy(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] from: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Path")] to: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "{ overwrite?: boolean }")] given: JsValue,
    ) -> Result<JsValue> {
        let (from, to, how) = (path(from)?, path(to)?, how(given)?);
        self.change(&|_, overlay, ctx| overlay.copy(ctx, &from, &to, how))
    }

    /// Moves what stands at a path.
    #[wasm_bindgen(unchecked_return_type = "Done")]
    pub fn rename(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] from: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Path")] to: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "{ overwrite?: boolean; exchange?: boolean }")] given: JsValue,
    ) -> Result<JsValue> {
        let (from, to, how) = (path(from)?, path(to)?, how(given)?);
        self.change(&|_, overlay, ctx| overlay.rename(ctx, &from, &to, how))
    }

    /// Removes what stands at a path; a directory must be empty, or go with everything beneath it.
    #[wasm_bindgen(unchecked_return_type = "Done")]
    pub fn remove(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "{ recursive?: boolean }")] given: JsValue,
    ) -> Result<JsValue> {
        let recursive = Options::read(given, &["recursive"])?.flag("recursive", false)?;
        let path = path(at)?;
        self.change(&|_, overlay, ctx| {
            if recursive {
                return overlay.remove(ctx, &path, Removal::Tree);
            }
            // A directory by itself must be empty; anything else is removed as it is.
            match overlay.remove(ctx, &path, Removal::File) {
                Err(error) if error.kind() == ErrorKind::IsADirectory => overlay.remove(ctx, &path, Removal::EmptyDir),
                done => done,
            }
        })
    }

    /// Sets the permission bits.
    #[wasm_bindgen(unchecked_return_type = "Done")]
    pub fn chmod(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "string | number")] mode: &JsValue,
    ) -> Result<JsValue> {
        let (path, change) = (path(at)?, Change { mode: Some(crate::value::mode(mode)?), ..Change::default() });
        self.change(&|_, overlay, ctx| overlay.set(ctx, &path, Follow::Yes, &change))
    }

    /// Changes mode, owner, times and extended attributes; what is missing stays as it is.
    #[wasm_bindgen(unchecked_return_type = "Done")]
    pub fn set(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Patch")] given: JsValue,
    ) -> Result<JsValue> {
        let (path, change) = (path(at)?, patch(given)?);
        self.change(&|_, overlay, ctx| overlay.set(ctx, &path, Follow::No, &change))
    }

    /// Discards what the upper holds at a path: what the lowers have there shows again. The root stands for all.
    #[wasm_bindgen(unchecked_return_type = "Done")]
    pub fn discard(&self, #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue) -> Result<JsValue> {
        let path = path(at)?;
        self.change(&|_, overlay, ctx| overlay.discard(ctx, &path))
    }

    /// Takes the last change back. Returns the paths that it concerned, `undefined` when there is none.
    #[wasm_bindgen(unchecked_return_type = "string[] | undefined")]
    pub fn undo(&self) -> Result<JsValue> {
        self.restore(Memory::undo)
    }

    /// Makes the change again that was taken back last.
    #[wasm_bindgen(unchecked_return_type = "string[] | undefined")]
    pub fn redo(&self) -> Result<JsValue> {
        self.restore(Memory::redo)
    }

    /// Returns how many changes can be taken back.
    #[wasm_bindgen(js_name = canUndo)]
    pub fn can_undo(&self) -> Result<usize> {
        self.run(|state| Ok(state.upper.as_ref().map_or(0, |upper| upper.changes_kept().0)))
    }

    /// Returns how many changes can be made again.
    #[wasm_bindgen(js_name = canRedo)]
    pub fn can_redo(&self) -> Result<usize> {
        self.run(|state| Ok(state.upper.as_ref().map_or(0, |upper| upper.changes_kept().1)))
    }
}
