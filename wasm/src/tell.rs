//! What changed, and what the overlay did.

use std::{
    collections::VecDeque,
    sync::Arc,
    sync::{Mutex, MutexGuard, PoisonError},
};

use ovl_core::{
    VPath,
    overlay::{Deed, Event},
    report::{ChangeBody, ChangesPage, EventBody},
};
use serde::Serialize;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{
    fail::Result,
    stack::Stack,
    value::{Options, answer, function, path, whole},
};

/// How many events are kept.
const KEPT: usize = 10_000;

/// The last events, numbered from 1.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    latest: u64,
    /// The number of the last event that the listener has heard.
    heard: u64,
    events: VecDeque<Event>,
}

#[derive(Serialize)]
struct EventsBody {
    events: Vec<EventBody>,
    next: u64,
}

impl Log {
    /// Returns what keeps the events of an overlay before which there were `base` generations.
    pub(crate) fn observer(self: &Arc<Self>, base: u64) -> Box<dyn Fn(&Event) + Send + Sync> {
        let log = self.clone();
        Box::new(move |event| log.push(Event { generation: base + event.generation, ..event.clone() }))
    }

    fn push(&self, event: Event) {
        let mut kept = self.kept();
        kept.latest += 1;
        kept.events.push_back(event);
        if kept.events.len() > KEPT {
            kept.events.pop_front();
        }
    }

    /// Returns the events after a number, `None` when some of them are no longer kept.
    pub(crate) fn after(&self, number: u64) -> Option<Vec<Event>> {
        let kept = self.kept();
        let first = kept.latest - kept.events.len() as u64;
        let skipped = usize::try_from(number.checked_sub(first)?).unwrap_or(usize::MAX);
        Some(kept.events.iter().skip(skipped).cloned().collect())
    }

    /// Returns the paths of the events after a number, each once.
    pub(crate) fn paths_after(&self, number: u64) -> Vec<VPath> {
        let mut paths = Vec::new();
        for event in self.after(number).unwrap_or_default() {
            let from = if let Deed::Moved(from) = event.deed { Some(from) } else { None };
            for path in [event.path].into_iter().chain(from) {
                if paths.last() != Some(&path) {
                    paths.push(path);
                }
            }
        }
        paths
    }

    /// Returns the number of the last event.
    pub(crate) fn latest(&self) -> u64 {
        self.kept().latest
    }

    // A push is whole before the lock is given back.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn since(&self, number: u64) -> Vec<EventBody> {
        let first = self.latest - self.events.len() as u64;
        let lost = number < first;
        let overflow = lost.then(|| EventBody::new("overflow", &VPath::root(), self.events[0].generation));
        let skipped = usize::try_from(number.saturating_sub(first)).unwrap_or(usize::MAX);
        overflow.into_iter().chain(self.events.iter().skip(skipped).map(EventBody::of)).collect()
    }
}

impl Stack {
    /// Lets the listener hear of what has happened. What it throws is its own affair.
    pub(crate) fn hand_on(&self) {
        let Some(listener) = self.listener.borrow().clone() else { return };
        let log = self.state.borrow().log.clone();
        let events = {
            let mut kept = log.kept();
            let (heard, latest) = (kept.heard, kept.latest);
            kept.heard = latest;
            if heard == latest {
                return;
            }
            kept.since(heard)
        };
        for event in events {
            if let Ok(event) = answer(&event) {
                drop(listener.call1(&JsValue::UNDEFINED, &event));
            }
        }
    }
}

#[wasm_bindgen]
impl Stack {
    /// Lists what the upper changes.
    #[wasm_bindgen(unchecked_return_type = "Changes")]
    pub fn changes(
        &self,
        #[wasm_bindgen(unchecked_optional_param_type = "ChangesOptions")] given: JsValue,
    ) -> Result<JsValue> {
        let given = Options::read(given, &["path", "limit", "cursor"])?;
        let (beneath, after, limit) = (given.path("path")?, given.cursor()?, given.limit()?);
        self.run(|state| answer(&ChangesPage::take(state.overlay().changes(&beneath, after.as_ref())?, limit)?))
    }

    /// Describes the change of one path, `undefined` where the upper leaves it as it is below.
    #[wasm_bindgen(js_name = changeAt, unchecked_return_type = "Change | undefined")]
    pub fn change_at(&self, #[wasm_bindgen(unchecked_param_type = "Path")] at: &JsValue) -> Result<JsValue> {
        let path = path(at)?;
        self.run(|state| match state.overlay().change_at(&path)? {
            Some(change) => answer(&ChangeBody::of(&change)),
            None => Ok(JsValue::UNDEFINED),
        })
    }

    /// Tells what the overlay did since.
    #[wasm_bindgen(unchecked_return_type = "Events")]
    pub fn events(&self, since: Option<f64>) -> Result<JsValue> {
        let since = whole(since.unwrap_or(0.0))?;
        self.run(|state| {
            let kept = state.log.kept();
            answer(&EventsBody { events: kept.since(since), next: kept.latest })
        })
    }

    /// Lets a function hear of each event, after the change that it belongs to; none ends it.
    #[wasm_bindgen(js_name = onEvent)]
    pub fn on_event(
        &self,
        #[wasm_bindgen(unchecked_optional_param_type = "(event: OvlEvent) => void")] listener: JsValue,
    ) -> Result<()> {
        let listener = function(&listener)?;
        self.run(|state| {
            let mut kept = state.log.kept();
            kept.heard = kept.latest;
            Ok(())
        })?;
        *self.listener.borrow_mut() = listener;
        Ok(())
    }
}
