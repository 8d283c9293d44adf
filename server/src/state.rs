//! What every handler shares.

use std::sync::Arc;

use ovl_core::{Layer, Overlay, layers::quota::Quota, overlay::Policy, report::View};

use tokio::sync::Semaphore;

use crate::{
    cli::stack::{Opened, Sheet},
    counters::Counters,
    events::Events,
    handlers::export::AT_ONCE,
    mounts::Mount,
    settings::Settings,
};

/// Ends the validator of an overlay whose mount is gone: what is told of it has changed.
pub(crate) const GONE: &str = "-gone";

/// The overlay and what belongs to it.
pub struct State {
    /// The merged tree.
    pub(crate) overlay: Arc<Overlay>,
    /// What limits the upper, if anything does.
    pub(crate) quota: Option<Arc<Quota>>,
    /// The merged tree, with the names of its layers.
    pub(crate) merged: View,
    /// The layers one by one, topmost first.
    pub(crate) layers: Vec<Single>,
    pub(crate) settings: Settings,
    pub(crate) events: Arc<Events>,
    pub(crate) counters: Counters,
    /// Room for exports.
    pub(crate) exports: Arc<Semaphore>,
    /// The mount, if it is mounted as well.
    pub(crate) mount: Option<Arc<Mount>>,
}

/// One layer, and its tree alone: whiteouts show in it.
pub(crate) struct Single {
    /// Its name in addresses: `upper`, `lower-1`, `lower-2` from the top.
    pub(crate) id: String,
    pub(crate) view: View,
    pub(crate) upper: bool,
    pub(crate) form: Option<String>,
}

impl State {
    /// Returns the shared state of a server for an opened stack.
    pub fn new(opened: &Opened, settings: Settings, events: Arc<Events>) -> Arc<Self> {
        let overlay = opened.overlay.clone();
        let above = usize::from(overlay.has_upper());
        let sheets = opened.layers.iter().zip(overlay.layers()).enumerate();
        let layers = sheets.map(|(index, (sheet, layer))| Single::new(index + 1 - above, sheet, layer));
        let layers: Vec<_> = layers.collect();
        let ids = layers.iter().map(|layer| layer.id.clone()).collect();
        let merged = View { tree: overlay.clone(), ids };
        let exports = Arc::new(Semaphore::new(AT_ONCE));
        let (quota, counters, mount) = (opened.quota.clone(), Counters::default(), opened.mount.clone());
        Arc::new(Self { overlay, quota, merged, layers, settings, events, counters, exports, mount })
    }

    /// Returns the mount by which alone the upper can be changed, if there is one.
    pub(crate) fn owner(&self) -> Option<&Mount> {
        self.mount.as_deref().filter(|mount| mount.owns_upper)
    }

    /// Returns whether clients can change anything.
    pub(crate) fn is_writable(&self) -> bool {
        self.overlay.has_upper() && self.owner().is_none()
    }

    /// Returns the validator of the whole overlay: this start and its number of changes. `None` where the kernel makes
    /// changes, which tells of none.
    pub(crate) fn generation_tag(&self) -> Option<String> {
        self.owner().is_none().then(|| self.events.cursor(self.overlay.generation()))
    }

    /// Reads back what [`State::generation_tag`] wrote; `None` for any other text, and for a tag of another start.
    pub(crate) fn read_generation_tag(&self, tag: &str) -> Option<u64> {
        self.events.read_cursor(tag.strip_suffix(GONE).unwrap_or(tag))?.ok()
    }
}

impl Single {
    fn new(number: usize, sheet: &Sheet, layer: &Arc<dyn Layer>) -> Self {
        let tree = Overlay::new(None, vec![layer.clone()], Policy::default(), None);
        let tree = tree.expect("one lower is a valid stack");
        let id = if sheet.upper { "upper".to_owned() } else { format!("lower-{number}") };
        Self {
            view: View { tree, ids: [id.clone()].into() },
            id,
            upper: sheet.upper,
            form: sheet.form.as_ref().map(|(form, _)| form.clone()),
        }
    }
}
