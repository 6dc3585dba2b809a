//! `fw-ctl tail`, as somebody who listens.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use serde_json::Value;

use super::Lab;

/// Long enough for everything that is told at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `fw-ctl tail --json`. Dropped, it ends.
pub struct Tail {
    child: Child,
    events: Receiver<Value>,
}

impl Lab {
    /// Listens, with these further arguments.
    pub fn tail(&self, arguments: &[&str]) -> Tail {
        let mut command = self.command();
        command.args(["tail", "--json"]).args(arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("fw-ctl starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (tell, events) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // The test may be over.
                let _ = tell.send(serde_json::from_str(&line).expect("JSON"));
            }
        });
        Tail { child, events }
    }
}

impl Tail {
    /// The next event.
    #[track_caller]
    pub fn next_event(&mut self) -> Value {
        let event = self.events.recv_timeout(PATIENCE);
        event.expect("tail tells something")
    }

    /// The next event of this kind, among others.
    #[track_caller]
    pub fn next_of(&mut self, kind: &str) -> Value {
        let event = self.hears(kind, PATIENCE);
        event.unwrap_or_else(|| panic!("tail tells no {kind}"))
    }

    /// The next event of this kind, if none takes longer than this.
    pub fn hears(&mut self, kind: &str, within: Duration) -> Option<Value> {
        let events = std::iter::from_fn(|| self.events.recv_timeout(within).ok());
        { events }.find(|event| event["event"] == kind)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}
