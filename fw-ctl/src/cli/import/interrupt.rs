//! Ctrl-C while a file is imported.

use std::{
    io, process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use indicatif::ProgressBar;

use crate::cli::{client, output::say};

/// What a shell says of a program that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

/// Ends the program when Ctrl-C is pressed, whatever it waits for, and says what that means.
pub struct Interrupt {
    sent: Arc<AtomicBool>,
}

impl Interrupt {
    /// From now on. The bar is taken off the terminal first.
    pub fn watch(bar: ProgressBar) -> io::Result<Self> {
        let sent = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&sent);
        let runtime = client::runtime()?;
        thread::Builder::new().spawn(move || {
            if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
                bar.finish_and_clear();
                say(format_args!(
                    "fw-ctl: interrupted, {}\n",
                    meaning(watched.load(Ordering::SeqCst))
                ));
                process::exit(INTERRUPTED);
            }
        })?;
        Ok(Self { sent })
    }

    /// From now on the daemon may have the request.
    pub fn sending(&self) {
        self.sent.store(true, Ordering::SeqCst);
    }
}

/// The daemon carries out what it has in full, and nothing else.
fn meaning(sent: bool) -> &'static str {
    match sent {
        false => "nothing was changed",
        true => {
            "the change may still be made, whole or not at all\nhelp: `fw-ctl status` shows how many entries each list has"
        }
    }
}
