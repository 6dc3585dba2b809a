//! What the limit says of its changes, as an operator sees it.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    thread::{self, JoinHandle},
    time::Instant,
};

use anyhow::{Context as _, Result};
use fw_tests::lab::Lab;
use serde_json::Value;

/// `fw-ctl tail`, running.
pub struct Reasons {
    tail: Child,
    reader: JoinHandle<Result<Vec<(Instant, String)>>>,
}

impl Reasons {
    /// Begins.
    pub fn follow(lab: &Lab) -> Result<Self> {
        let mut tail = lab
            .command()
            .args(["tail", "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("fw-ctl does not start")?;
        let printed = tail.stdout.take().context("no pipe")?;
        let reader = thread::spawn(move || {
            let mut reasons = Vec::new();
            for line in BufReader::new(printed).lines() {
                let event: Value = serde_json::from_str(&line?)?;
                let reason = event["detail"]
                    .as_str()
                    .filter(|_| event["by"] == "adaptive");
                reasons.extend(reason.map(|reason| (Instant::now(), reason.to_owned())));
            }
            Ok(reasons)
        });
        Ok(Self { tail, reader })
    }

    /// Ends; gives each reason with its second.
    pub fn stop(mut self, start: Instant) -> Result<Vec<(f64, String)>> {
        self.tail.kill()?;
        self.tail.wait()?;
        let reasons = self.reader.join().expect("the reader reads")?;
        let since = |(at, reason): (Instant, String)| ((at - start).as_secs_f64(), reason);
        Ok(reasons.into_iter().map(since).collect())
    }
}
