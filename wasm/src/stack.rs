//! The layers: adding, arranging, freezing; and who may call when.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use js_sys::Function;
use ovl_core::{
    Layer, Overlay, Result as CoreResult, WritableLayer,
    layers::{memory::Memory, zip},
    overlay::Policy,
    printable,
    report::{View, omission},
};
use serde::Serialize;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{
    fail::{Failure, Result},
    outline::Drawn,
    progress::{self, Watched, Work},
    source,
    tell::Log,
    tree,
    value::{Options, answer, nonce},
};

/// How many changes can be taken back, by default.
const ROOM: usize = 100;

/// Layers shown as one tree, changes kept in the topmost.
#[wasm_bindgen]
pub struct Stack {
    busy: Cell<bool>,
    pub(crate) state: RefCell<State>,
    pub(crate) listener: RefCell<Option<Function>>,
}

/// A stack as it is arranged.
pub(crate) struct State {
    policy: Policy,
    /// How many changes can be taken back.
    room: usize,
    pub(crate) upper: Option<Arc<Memory>>,
    lowers: Vec<Lower>,
    /// How many lowers there have ever been.
    named: usize,
    pub(crate) log: Arc<Log>,
    pub(crate) view: View,
    /// Counts the changes before this arrangement, each arranging among them.
    base: u64,
    pub(crate) drawn: Drawn,
}

struct Lower {
    id: String,
    layer: Arc<dyn Layer>,
    shown: bool,
}

#[derive(Serialize)]
struct OverlayBody<'a> {
    generation: u64,
    read_only: bool,
    layers: Vec<LayerBody<'a>>,
    policy: PolicyBody,
}

#[derive(Serialize)]
struct PolicyBody {
    redirect_dir: bool,
}

#[derive(Serialize)]
struct LayerBody<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    role: &'static str,
    kind: &'static str,
    name: &'a str,
    read_only: bool,
    omitted: usize,
}

impl Stack {
    /// Does something with the stack while nobody else does; `heard` says who hears how far it is, and what ends it.
    pub(crate) fn long<T>(&self, heard: Work, work: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let outer = self.begin(heard)?;
        let done = work(&mut self.state.borrow_mut());
        let end = self.end(outer);
        // The engine only says that something could not be read or written.
        done.map_err(|error| end.unwrap_or(error))
    }

    // Once in the module, not once a method.
    #[inline(never)]
    fn begin(&self, work: Work) -> Result<Work> {
        if self.busy.replace(true) {
            return Err(Failure::new(
                "busy",
                "the stack is at work: it cannot be called from a function that it calls",
            ));
        }
        let outer = progress::begin(work);
        match progress::check() {
            Ok(()) => Ok(outer),
            Err(error) => Err(self.end(outer).unwrap_or_else(|| error.into())),
        }
    }

    #[inline(never)]
    fn end(&self, outer: Work) -> Option<Failure> {
        let end = progress::end(outer);
        self.busy.set(false);
        self.hand_on();
        end
    }

    /// Does something short.
    pub(crate) fn run<T>(&self, work: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        self.long(Work::default(), work)
    }
}

impl State {
    fn new(given: &Options) -> Result<Self> {
        let policy = Policy { redirect_dir: given.flag("redirect_dir", true)? };
        let room = given.count("undo")?.unwrap_or(ROOM);
        let upper = given.flag("upper", true)?.then(|| Memory::with_undo("upper", nonce(), room));
        let log = Arc::new(Log::default());
        let view = arranged(upper.as_ref(), &[], policy, &log, 0)?;
        let (lowers, drawn) = (Vec::new(), Drawn::default());
        Ok(Self { policy, room, upper, lowers, named: 0, log, view, base: 0, drawn })
    }

    pub(crate) fn overlay(&self) -> &Arc<Overlay> {
        &self.view.tree
    }

    pub(crate) fn generation(&self) -> u64 {
        self.base + self.overlay().generation()
    }

    /// Shows the layers as they are arranged now.
    fn arrange(&mut self) -> CoreResult<()> {
        let base = self.generation() + 1;
        self.view = arranged(self.upper.as_ref(), &self.lowers, self.policy, &self.log, base)?;
        self.base = base;
        self.drawn.forget();
        Ok(())
    }

    /// Takes a layer among the lowers: at a place among those that show, or beneath all.
    fn add(&mut self, layer: Arc<dyn Layer>, at: Option<usize>) -> Result<String> {
        self.named += 1;
        let id = format!("lower-{}", self.named);
        let shown = self.lowers.iter().filter(|lower| lower.shown).count();
        let at = at.unwrap_or(shown).min(shown);
        self.lowers.insert(at, Lower { id: id.clone(), layer, shown: true });
        if let Err(error) = self.arrange() {
            self.lowers.remove(at);
            return Err(error.into());
        }
        Ok(id)
    }

    fn find(&self, id: &str) -> Result<usize> {
        let found = self.lowers.iter().position(|lower| lower.id == id);
        found.ok_or_else(|| no_layer(id))
    }

    /// Returns a layer by its id.
    pub(crate) fn layer(&self, id: &str) -> Result<Arc<dyn Layer>> {
        match (&self.upper, id) {
            (Some(upper), "upper") => Ok(upper.clone()),
            _ => Ok(self.lowers[self.find(id)?].layer.clone()),
        }
    }

    /// Returns one layer as a tree of its own.
    pub(crate) fn single(&self, id: &str) -> Result<View> {
        let tree = Overlay::new(None, vec![self.layer(id)?], Policy::default(), None)?;
        Ok(View { tree, ids: [id.to_owned()].into() })
    }

    /// Returns the place of a layer that shows.
    pub(crate) fn index(&self, id: &str) -> Result<usize> {
        self.view.ids.iter().position(|known| known == id).ok_or_else(|| no_layer(id))
    }

    fn describe(&self) -> OverlayBody<'_> {
        let upper = self.upper.iter().map(|upper| ("upper", "upper", upper.caps()));
        let lowers = self.lowers.iter().map(|lower| (&*lower.id, "lower", lower.layer.caps()));
        let layers = upper.chain(lowers).map(|(id, role, caps)| LayerBody {
            id,
            index: self.index(id).ok(),
            role,
            kind: caps.kind,
            name: &caps.name,
            read_only: role == "lower",
            omitted: caps.omitted.len(),
        });
        OverlayBody {
            generation: self.generation(),
            read_only: self.upper.is_none(),
            layers: layers.collect(),
            policy: PolicyBody { redirect_dir: self.overlay().redirects() },
        }
    }
}

fn no_layer(id: &str) -> Failure {
    Failure::new("not-found", &format!("no layer \"{}\"; overlay() lists them", printable(id.as_bytes())))
}

/// Builds the overlay of what shows. Without any layer it is an empty tree that cannot be changed.
fn arranged(
    upper: Option<&Arc<Memory>>,
    lowers: &[Lower],
    policy: Policy,
    log: &Arc<Log>,
    base: u64,
) -> CoreResult<View> {
    let shown = || lowers.iter().filter(|lower| lower.shown);
    let mut layers: Vec<Arc<dyn Layer>> = shown().map(|lower| lower.layer.clone()).collect();
    if layers.is_empty() && upper.is_none() {
        layers.push(Memory::new("nothing", 0));
    }
    let ids = upper.map(|_| "upper".to_owned()).into_iter().chain(shown().map(|lower| lower.id.clone()));
    let ids = ids.chain(["nothing".to_owned()]).take(layers.len() + usize::from(upper.is_some())).collect();
    let upper = upper.map(|upper| upper.clone() as Arc<dyn WritableLayer>);
    Ok(View { tree: Overlay::new(upper, layers, policy, Some(log.observer(base)))?, ids })
}

#[wasm_bindgen]
impl Stack {
    /// Returns a stack without lowers.
    #[wasm_bindgen(constructor)]
    pub fn new(#[wasm_bindgen(unchecked_optional_param_type = "StackOptions")] given: JsValue) -> Result<Self> {
        let given = Options::read(given, &["upper", "redirect_dir", "undo"])?;
        let state = RefCell::new(State::new(&given)?);
        Ok(Self { busy: Cell::new(false), state, listener: RefCell::new(None) })
    }

    /// Adds an archive as a lower, and returns its id.
    #[wasm_bindgen(js_name = addZip)]
    pub fn add_zip(
        &self,
        name: String,
        #[wasm_bindgen(unchecked_param_type = "Source")] from: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "ZipOptions")] given: JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "Progress")] progress: JsValue,
    ) -> Result<String> {
        let given = Options::read(given, &["at", "strict", "signal"])?;
        let (at, strict) = (given.count("at")?, given.flag("strict", false)?);
        let source = Watched::over(source::open_in_place(from)?);
        self.long(Work::new(&progress, &given)?, |state| {
            let layer = zip::open(source, &zip::Options { name, strict, ..zip::Options::default() })?;
            state.add(layer, at)
        })
    }

    /// Adds a tree of files, directories and links as a lower, and returns its id.
    #[wasm_bindgen(js_name = addTree)]
    pub fn add_tree(
        &self,
        name: &str,
        #[wasm_bindgen(unchecked_param_type = "Item[]")] items: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "LowerOptions")] given: JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "Progress")] progress: JsValue,
    ) -> Result<String> {
        let given = Options::read(given, &["at", "signal"])?;
        let at = given.count("at")?;
        self.long(Work::new(&progress, &given)?, |state| state.add(tree::build(name, items)?, at))
    }

    /// Arranges the lowers, the topmost first. Those that are not named are left out, and can come back.
    pub fn arrange(&self, ids: Vec<String>) -> Result<()> {
        self.run(|state| {
            let places: Vec<usize> = ids.iter().map(|id| state.find(id)).collect::<Result<_>>()?;
            if (1..places.len()).any(|at| places[..at].contains(&places[at])) {
                return Err(Failure::input("a layer is named twice"));
            }
            for (to, id) in ids.iter().enumerate() {
                let from = state.find(id)?;
                let lower = state.lowers.remove(from);
                state.lowers.insert(to, lower);
            }
            state.lowers.iter_mut().for_each(|lower| lower.shown = ids.contains(&lower.id));
            Ok(state.arrange()?)
        })
    }

    /// Forgets a lower.
    #[wasm_bindgen(js_name = dropLayer)]
    pub fn drop_layer(&self, id: &str) -> Result<()> {
        self.run(|state| {
            let at = state.find(id)?;
            state.lowers.remove(at);
            Ok(state.arrange()?)
        })
    }

    /// Makes the upper the topmost lower, under a new, empty upper. Returns its id.
    pub fn freeze(&self) -> Result<String> {
        self.run(|state| {
            let refused = || Failure::from(ovl_core::Error::new(ovl_core::ErrorKind::NoUpper, "freeze"));
            let frozen = state.upper.take().ok_or_else(refused)?;
            state.upper = Some(Memory::with_undo("upper", nonce(), state.room));
            state.add(frozen, Some(0))
        })
    }

    /// Describes the stack.
    #[wasm_bindgen(unchecked_return_type = "Overlay")]
    pub fn overlay(&self) -> Result<JsValue> {
        self.run(|state| answer(&state.describe()))
    }

    /// Tells what of an archive is not shown, or not as it stands.
    #[wasm_bindgen(unchecked_return_type = "Omission[]")]
    pub fn omissions(&self, id: &str) -> Result<JsValue> {
        self.run(|state| {
            let layer = state.layer(id)?;
            answer(&layer.caps().omitted.iter().map(omission).collect::<Vec<_>>())
        })
    }
}
