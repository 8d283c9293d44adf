//! Writing.

use std::{collections::BTreeMap, sync::Arc};

use ovl_core::{
    Blob, Change, ErrorKind, Overlay, Result as CoreResult, VPath,
    layers::memory::Memory,
    overlay::{At, Ctx, Done, Follow, PutOptions, Removal, RenameHow},
    report::{AttrValue, EntryBody, readable_path},
};
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{
    fail::{Failure, Result},
    source,
    stack::{Stack, State},
    value::{Instant, Mode, answer, attribute, bits, ctx, options, path, text, time, whole},
};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WriteOptions {
    mode: Option<Mode>,
    mtime: Option<Instant>,
    parents: bool,
    offset: Option<f64>,
    append: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MkdirOptions {
    mode: Option<Mode>,
    parents: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MoveOptions {
    overwrite: bool,
    exchange: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RemoveOptions {
    recursive: bool,
}

/// What is changed of an entry.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Patch {
    mode: Option<Mode>,
    uid: Option<u32>,
    gid: Option<u32>,
    mtime: Option<Instant>,
    atime: Option<Instant>,
    xattrs: BTreeMap<String, Option<AttrValue>>,
}

/// What a change did.
#[derive(Serialize)]
struct DoneBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<EntryBody>,
    created: bool,
    copied_up: u64,
    generation: u64,
}

impl Patch {
    fn change(self) -> Result<Change> {
        let value = |(name, value): (String, Option<AttrValue>)| {
            Ok((name.into_bytes().into_boxed_slice(), value.map(attribute).transpose()?))
        };
        Ok(Change {
            mode: bits(self.mode.as_ref())?,
            uid: self.uid,
            gid: self.gid,
            mtime: time(self.mtime.as_ref())?,
            atime: time(self.atime.as_ref())?,
            xattrs: self.xattrs.into_iter().map(value).collect::<Result<_>>()?,
            ..Change::default()
        })
    }
}

impl MoveOptions {
    fn how(&self) -> Result<RenameHow> {
        match (self.overwrite, self.exchange) {
            (true, true) => Err(Failure::input("overwrite or exchange, not both")),
            (true, false) => Ok(RenameHow::Replace),
            (false, true) => Ok(RenameHow::Exchange),
            (false, false) => Ok(RenameHow::NoReplace),
        }
    }
}

impl WriteOptions {
    /// Returns where in the file to write; `None` replaces it.
    fn at(&self) -> Result<Option<At>> {
        match (self.offset, self.append) {
            (Some(_), true) => Err(Failure::input("offset or append, not both")),
            (None, true) => Ok(Some(At::End)),
            (Some(offset), false) => Ok(Some(At::Offset(whole(offset)?))),
            (None, false) => Ok(None),
        }
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
    fn change(&self, change: impl FnOnce(&State, &Arc<Overlay>, &Ctx) -> CoreResult<Done>) -> Result<JsValue> {
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
        let (path, given): (_, WriteOptions) = (path(at)?, options(&given)?);
        let place = given.at()?;
        let put_options = PutOptions { mode: bits(given.mode.as_ref())?, mtime: time(given.mtime.as_ref())? };
        let content: Arc<dyn Blob> = match text(content) {
            Some(text) => Arc::new(text),
            None => source::open(content)?,
        };
        self.change(|state, overlay, ctx| {
            if given.parents {
                state.make_parents(ctx, &path)?;
            }
            match place {
                None => put(overlay, ctx, &path, &*content, &put_options),
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
        self.change(|_, overlay, ctx| overlay.truncate(ctx, &path, length))
    }

    /// Makes a directory.
    #[wasm_bindgen(unchecked_return_type = "Done")]
    pub fn mkdir(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "MkdirOptions")] given: JsValue,
    ) -> Result<JsValue> {
        let (path, given): (_, MkdirOptions) = (path(at)?, options(&given)?);
        let mode = bits(given.mode.as_ref())?;
        self.change(|state, overlay, ctx| {
            if given.parents {
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
        self.change(|_, overlay, ctx| overlay.symlink(ctx, &path, &target))
    }

    /// Gives a file one more name.
    #[wasm_bindgen(unchecked_return_type = "Done")]
    pub fn link(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] from: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Path")] to: &JsValue,
    ) -> Result<JsValue> {
        let (from, to) = (path(from)?, path(to)?);
        self.change(|_, overlay, ctx| overlay.link(ctx, &from, &to))
    }

    /// Copies what stands at a path, with everything beneath it.
    #[wasm_bindgen(unchecked_return_type = "Done")]
    pub fn copy(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] from: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Path")] to: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "{ overwrite?: boolean }")] given: JsValue,
    ) -> Result<JsValue> {
        let (from, to, how) = (path(from)?, path(to)?, options::<MoveOptions>(&given)?.how()?);
        self.change(|_, overlay, ctx| overlay.copy(ctx, &from, &to, how))
    }

    /// Moves what stands at a path.
    #[wasm_bindgen(unchecked_return_type = "Done")]
    pub fn rename(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] from: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Path")] to: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "{ overwrite?: boolean; exchange?: boolean }")] given: JsValue,
    ) -> Result<JsValue> {
        let (from, to, how) = (path(from)?, path(to)?, options::<MoveOptions>(&given)?.how()?);
        self.change(|_, overlay, ctx| overlay.rename(ctx, &from, &to, how))
    }

    /// Removes what stands at a path; a directory must be empty, or go with everything beneath it.
    #[wasm_bindgen(unchecked_return_type = "Done")]
    pub fn remove(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "{ recursive?: boolean }")] given: JsValue,
    ) -> Result<JsValue> {
        let (path, RemoveOptions { recursive }) = (path(at)?, options(&given)?);
        self.change(|_, overlay, ctx| {
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
        let mode = mode.as_string().map(Mode::Text).or_else(|| mode.as_f64().map(|bits| Mode::Number(bits as u32)));
        let mode = mode.ok_or_else(|| Failure::input("a mode is octal, from 0 to 7777"))?.bits()?;
        let (path, change) = (path(at)?, Change { mode: Some(mode), ..Change::default() });
        self.change(|_, overlay, ctx| overlay.set(ctx, &path, Follow::Yes, &change))
    }

    /// Changes mode, owner, times and extended attributes; what is missing stays as it is.
    #[wasm_bindgen(unchecked_return_type = "Done")]
    pub fn set(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Patch")] patch: &JsValue,
    ) -> Result<JsValue> {
        let (path, change) = (path(at)?, options::<Patch>(patch)?.change()?);
        self.change(|_, overlay, ctx| overlay.set(ctx, &path, Follow::No, &change))
    }

    /// Discards what the upper holds at a path: what the lowers have there shows again. The root stands for all.
    #[wasm_bindgen(unchecked_return_type = "Done")]
    pub fn discard(&self, #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue) -> Result<JsValue> {
        let path = path(at)?;
        self.change(|_, overlay, ctx| overlay.discard(ctx, &path))
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
