//! What a service manager (systemd) hears from us. Without one (`NOTIFY_SOCKET`), nothing is said.

/// Says that requests are answered from now on, and then, if that is asked for, that we still live.
///
/// Must be called within the runtime that answers them.
#[cfg(unix)]
pub(crate) fn ready() {
    say(sd_notify::NotifyState::Ready);
    let Some(patience) = sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero()) else { return };
    tokio::spawn(async move {
        let mut beat = tokio::time::interval(patience / 2);
        loop {
            beat.tick().await;
            say(sd_notify::NotifyState::Watchdog);
        }
    });
}

/// Says that no more requests are taken.
#[cfg(unix)]
pub(crate) fn stopping() {
    say(sd_notify::NotifyState::Stopping);
}

#[cfg(unix)]
fn say(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!("the service manager does not hear us: {error}");
    }
}

/// Says nothing: there is no such service manager.
#[cfg(not(unix))]
pub(crate) fn ready() {}

/// Says nothing: there is no such service manager.
#[cfg(not(unix))]
pub(crate) fn stopping() {}
