//! The handlers: parse, one call of the engine, translate.

pub(crate) mod about;
pub(crate) mod change;
pub(crate) mod changes;
#[cfg(feature = "docs")]
pub(crate) mod docs;
pub(crate) mod edit;
pub(crate) mod entries;
pub(crate) mod events;
pub(crate) mod export;
pub(crate) mod files;
pub(crate) mod health;
pub(crate) mod imports;
pub(crate) mod layers;
pub(crate) mod listing;
pub(crate) mod mounts;
pub(crate) mod site;
pub(crate) mod why;

use ovl_core::{
    Overlay, VPath,
    overlay::{Ctx, When},
};

use crate::problem::{BACKEND_UNAVAILABLE, Problem};

/// The shared state as handlers take it.
pub(crate) type Shared = axum::extract::State<std::sync::Arc<crate::state::State>>;

/// Runs a call of the engine that may take long on a blocking thread. A panic there ends this request alone.
///
/// # Errors
/// What the call answers.
pub(crate) async fn run<T, F>(call: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: FnOnce() -> ovl_core::Result<T> + Send + 'static,
{
    match tokio::task::spawn_blocking(call).await {
        Ok(outcome) => Ok(outcome?),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Problem::new(&BACKEND_UNAVAILABLE, "the server is stopping")),
        },
    }
}

/// Makes the directories above a path that are missing. The request's condition concerns the path, not them.
///
/// # Errors
/// What the engine answers.
pub(crate) fn make_parents(overlay: &Overlay, ctx: &Ctx, path: &VPath) -> ovl_core::Result<()> {
    let Some((parent, _)) = path.split() else { return Ok(()) };
    let ctx = Ctx { when: When::Always, ..ctx.clone() };
    overlay.make_dirs(&ctx, &parent)
}
