//! Log lines: to the journal with their fields under systemd, to stderr elsewhere.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::{
    EnvFilter, Layer, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Starts logging. Each level of verbosity adds one; `RUST_LOG` says it in detail.
pub fn init(quiet: bool, verbose: u8) {
    let default = match (quiet, verbose) {
        (true, _) => "warn",
        (false, 0) => "info",
        (false, 1) => "debug",
        (false, _) => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    // systemd sets it when stderr goes to the journal (systemd.exec(5)).
    let journal = std::env::var_os("JOURNAL_STREAM")
        .and_then(|_| tracing_journald::layer().ok())
        .map(Layer::boxed);
    let plain = || {
        tracing_subscriber::fmt::layer()
            .with_writer(stderr)
            .with_ansi(stderr().is_terminal())
            .with_target(false)
            .boxed()
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(journal.unwrap_or_else(plain))
        .init();
}
