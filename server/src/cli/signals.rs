//! Signals: the first asks the server to stop, the second ends it at once.

use super::{exit::code, service};

/// Hears signals from now on, and waits for the first; from then on, a second one ends the process, after `last`.
#[cfg(unix)]
pub(super) fn stop(quiet: bool, last: impl Fn() + Send + 'static) -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};

    let heard = signal(SignalKind::interrupt()).and_then(|one| Ok((one, signal(SignalKind::terminate())?)));
    async move {
        let Ok((mut interrupt, mut terminate)) = heard else {
            tracing::error!("signals cannot be heard; only SIGKILL ends this server");
            return std::future::pending().await;
        };
        tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
        tell(quiet);
        tokio::spawn(async move {
            let code = tokio::select! {
                _ = interrupt.recv() => code::INTERRUPTED,
                _ = terminate.recv() => code::TERMINATED,
            };
            last();
            std::process::exit(code.into());
        });
    }
}

/// Waits for the first Ctrl-C; from then on, a second one ends the process, after `last`.
#[cfg(not(unix))]
pub(super) async fn stop(quiet: bool, last: impl Fn() + Send + 'static) {
    if tokio::signal::ctrl_c().await.is_err() {
        return std::future::pending().await;
    }
    tell(quiet);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            last();
            std::process::exit(code::INTERRUPTED.into());
        }
    });
}

fn tell(quiet: bool) {
    if !quiet {
        eprintln!("Stopping: requests under way may finish; once more ends at once.");
    }
    service::stopping();
}
