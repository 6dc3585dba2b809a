//! The control plane: what it takes to get a list into the kernel, to change it, to read it and to
//! start again with it, beside the tools that people use for that.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use fw_ctl::{
    api::wire::{Check, Status},
    cli::client::Client,
};
use fw_tests::{
    lab::{Lab, command},
    lists::{self, Lists},
};
use serde_json::{Value, json};

use crate::{
    idle, import, latency,
    memory::held::Held,
    mirror,
    samples::{Rounds, Samples, time},
};

/// Entries of IPv4, of which a fifth are prefixes; a fifth as many of IPv6 come on top.
const SIZES: [usize; 3] = [1_000, 100_000, MILLION];
/// The size that the promises are about.
const MILLION: usize = 1_000_000;

/// What was found at every size.
pub struct Report {
    /// Loading a list with a process for each entry: one of them.
    pub by_process: Vec<Row>,
    /// Ascending.
    pub sizes: Vec<Size>,
}

/// What was found at one size.
pub struct Size {
    /// IPv4 and IPv6 together.
    pub entries: usize,
    /// What was measured, in the order in which it is shown.
    pub rows: Vec<Row>,
    /// What it takes to hold the list.
    pub held: Held,
}

/// One thing, done by one tool.
pub struct Row {
    /// `import`, `block`, ...
    pub what: &'static str,
    /// Who did it.
    pub tool: &'static str,
    /// How long it took, or why it did not come to an end.
    pub times: Result<Samples, String>,
    /// What the median must stay below, where something was promised for this size.
    pub to_reach: Option<Duration>,
}

/// Where one size is measured.
pub struct Stand {
    /// With a daemon that has no mirror.
    pub lab: Lab,
    /// What is loaded.
    pub lists: Lists,
    /// How often.
    pub rounds: Rounds,
}

/// A way of doing something.
pub struct Way<'a> {
    /// See [`Row`].
    pub what: &'static str,
    /// See [`Row`].
    pub tool: &'static str,
    /// Does it once; the number is another in each round.
    pub once: Box<dyn FnMut(usize) -> Result<Duration> + 'a>,
}

/// At each size in turn; quickly, at one, and once with the million.
pub fn measure(quick: bool) -> Result<Report> {
    let by_process = latency::by_process(&Lab::named("bench"))?;
    let sizes: &[usize] = if quick { &SIZES[1..] } else { &SIZES };
    let sizes = sizes.iter().map(|size| {
        let rounds = match quick && *size == MILLION {
            true => Rounds { short: 1, long: 1 },
            false => Rounds { short: 7, long: 3 },
        };
        let stand = Stand {
            lab: Lab::named("bench"),
            lists: lists::sized(size / 5 * 4, size / 5, size / 5),
            rounds,
        };
        stand.measure(*size == MILLION)
    });
    let sizes = sizes.collect::<Result<_>>()?;
    Ok(Report { by_process, sizes })
}

impl Stand {
    fn measure(&self, is_promised: bool) -> Result<Size> {
        let Lists { v4, v6 } = &self.lists;
        println!(
            "\n{} entries: {} of IPv4, a fifth of them prefixes, and {} of IPv6; no mirror",
            self.lists.len(),
            v4.len(),
            v6.len()
        );
        mirror::keep_with(&self.lab, "none")?;
        let daemon = self.lab.daemon().start();
        let files = import::Files::write(self.lab.directory(), &self.lists)?;
        let mut rows = import::load(self, &files)?;
        let mut held = Held::after_import(&self.lab, &daemon)?;
        rows.extend(import::replace(self, &files)?);
        rows.extend(latency::single(self)?);
        rows.extend(latency::batches(self)?);
        rows.extend(latency::show(self)?);
        let (daemon, restart) = idle::restart(self, daemon)?;
        rows.push(restart);
        held.look_again(&daemon)?;
        if is_promised {
            rows.iter_mut().for_each(Row::promise);
        }
        print(&rows);
        if let Some(ratio) = ratio(&rows, "import", ["fw-ctl", "ipset restore"]) {
            let promise = if is_promised { " (to reach: 0.5)" } else { "" };
            println!("  fw-ctl import takes {ratio:.2} times as long as ipset restore{promise}");
        }
        held.print(is_promised);
        import::unload(self);
        Ok(Size {
            entries: self.lists.len(),
            rows,
            held,
        })
    }

    /// Runs a program of the server; `fw-ctl` is the one under test.
    pub fn time(&self, words: &[&str]) -> Result<Duration> {
        run(&self.lab, words)
    }

    /// An address that is listed in whichever list is loaded: the first entry is renewed.
    pub fn listed(&self) -> String {
        self.lists.v4[1].address().to_string()
    }

    /// The daemon must have put as many entries into the kernel as there are.
    pub fn check(&self) -> Result<()> {
        let status: Status = self.rest().get("/status")?;
        let tables = status.tables.iter();
        let blocks = tables.filter(|table| table.name.starts_with("block_"));
        let inside: usize = blocks.map(|table| table.used).sum();
        ensure!(inside == self.lists.len(), "{inside} entries in the kernel");
        Ok(())
    }

    /// The loaded program must drop packets from there, or let them pass.
    pub fn ask(&self, source: &str, drops: bool) -> Result<()> {
        let check: Check = self.rest().get(&format!("/check?address={source}"))?;
        let dropped = check.verdict == "drop";
        ensure!(dropped == drops, "packets from {source}: {}", check.verdict);
        Ok(())
    }

    /// To the daemon, without the command line.
    pub fn rest(&self) -> Client {
        Client::new(self.lab.socket())
    }
}

/// See [`Stand::time`].
pub fn run(lab: &Lab, words: &[&str]) -> Result<Duration> {
    let (program, arguments) = words.split_first().context("no program")?;
    let mut command = match *program {
        "fw-ctl" => Command::new(command::binary()),
        other => Command::new(other),
    };
    command.args(arguments).env("FW_CTL_SOCKET", lab.socket());
    lab.server.enter(|| time(&mut command))
}

/// Does something and gives the time it took.
pub fn timed<T>(call: impl FnOnce() -> Result<T>) -> Result<Duration> {
    let begin = Instant::now();
    call()?;
    Ok(begin.elapsed())
}

/// All ways once, and again, until each has its rounds. One that fails is done with, unless it is
/// ours.
pub fn in_turns(rounds: Rounds, mut ways: Vec<Way<'_>>) -> Result<Vec<Row>> {
    let row = |way: &Way<'_>| Row {
        what: way.what,
        tool: way.tool,
        times: Ok(Samples::default()),
        to_reach: None,
    };
    let mut rows: Vec<Row> = ways.iter().map(row).collect();
    for round in 0.. {
        let mut is_done = true;
        for (way, row) in ways.iter_mut().zip(&mut rows) {
            let Ok(times) = &mut row.times else { continue };
            if !rounds.want(times) {
                continue;
            }
            is_done = false;
            match (way.once)(round) {
                Ok(took) => times.add(took),
                Err(error) if way.is_ours() => return Err(error),
                Err(error) => row.times = Err(format!("{error:#}")),
            }
        }
        if is_done {
            break;
        }
    }
    Ok(rows)
}

impl<'a> Way<'a> {
    /// A new one.
    pub fn new(
        what: &'static str,
        tool: &'static str,
        once: impl FnMut(usize) -> Result<Duration> + 'a,
    ) -> Self {
        Self {
            what,
            tool,
            once: Box::new(once),
        }
    }

    fn is_ours(&self) -> bool {
        self.tool.starts_with("fw-ctl") || self.tool.starts_with("REST")
    }
}

impl Row {
    /// What is promised with a million entries.
    fn promise(&mut self) {
        let ms = match (self.what, self.tool) {
            ("import", "fw-ctl") => 2_000,
            ("replace, 1 % changed", "fw-ctl") => 500,
            ("block", "fw-ctl") => 5,
            ("block 10,000", "REST, 1,000 at once") => 1_000,
            _ => return,
        };
        self.to_reach = Some(Duration::from_millis(ms));
    }

    fn json(&self) -> Value {
        json!({
            "what": self.what,
            "tool": self.tool,
            "times": self.times.as_ref().map_or(Value::Null, Samples::json),
            "failed": self.times.as_ref().err(),
            "to_reach_s": self.to_reach.map(|time| time.as_secs_f64()),
        })
    }
}

impl Report {
    /// For programs.
    pub fn json(&self) -> Value {
        let rows = |rows: &[Row]| rows.iter().map(Row::json).collect::<Vec<_>>();
        let size = |size: &Size| {
            json!({
                "entries": size.entries,
                "rows": rows(&size.rows),
                "import_to_ipset": ratio(&size.rows, "import", ["fw-ctl", "ipset restore"]),
                "memory": size.held.json(),
            })
        };
        json!({
            "one_process_an_entry": rows(&self.by_process),
            "sizes": self.sizes.iter().map(size).collect::<Vec<_>>(),
        })
    }
}

/// How the medians of two tools compare.
fn ratio(rows: &[Row], what: &str, tools: [&str; 2]) -> Option<f64> {
    let [one, other] = tools.map(|tool| {
        let row = rows
            .iter()
            .find(|row| row.what == what && row.tool == tool)?;
        Some(row.times.as_ref().ok()?.median().as_secs_f64())
    });
    Some(one? / other?)
}

/// One line each.
pub fn print(rows: &[Row]) {
    for row in rows {
        let times = match &row.times {
            Ok(samples) => samples.line(),
            Err(why) => why.clone(),
        };
        let promise = row.to_reach.map(|most| {
            let most = most.as_millis();
            format!("   to reach: {most} ms")
        });
        let promise = promise.unwrap_or_default();
        println!("  {:<22}{:<21}{times}{promise}", row.what, row.tool);
    }
}
