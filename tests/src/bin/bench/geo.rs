//! Countries: a file of 400,000 networks, from the disk to the kernel.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use fw_ctl::{
    api::wire::{GeoChange, GeoChanged, GeoList, GeoStatus, Status},
    cli::client::Client,
};
use fw_tests::{lab::Lab, world};
use serde_json::{Value, json};

use crate::{
    control::{Row, Way, in_turns, print, run, timed},
    memory,
    samples::{Rounds, Samples},
};

/// Networks of each family.
const NETWORKS: [usize; 2] = [300_000, 100_000];
/// What is promised of reading, working out and applying them.
const PROMISED: Duration = Duration::from_secs(3);
/// What is blocked, and who alone may pass.
const BLOCK: [&str; 4] = ["CN", "RU", "KP", "IR"];
const ONLY: [&str; 3] = ["DE", "AT", "CH"];

/// Each selection from nothing, with a file that was not read before.
pub fn measure(quick: bool) -> Result<Value> {
    let lab = Lab::named("bench");
    let file = lab.directory().join("country.mmdb");
    let config = format!("mirror.backend = \"none\"\n[tables]\n[geo]\ndatabases = [{file:?}]\n");
    fs::write(lab.config(), config).context("cannot configure the daemon")?;
    write(&file, 0)?;
    let daemon = lab.daemon().start();
    let rest = Client::new(lab.socket());
    let [v4, v6] = NETWORKS;
    println!("\ncountries: a file of {v4} networks of IPv4 and {v6} of IPv6; no mirror");

    let rounds = match quick {
        true => Rounds { short: 3, long: 3 },
        false => Rounds { short: 7, long: 7 },
    };
    let way = |what, change: GeoChange| {
        let (rest, lab, file) = (&rest, &lab, &file);
        Way::new(what, "REST", move |round| {
            rest.patch::<GeoChanged>("/geo", &none())?;
            write(file, 1 + round as u64)?;
            let took = timed(|| rest.patch::<GeoChanged>("/geo", &change))?;
            check(rest, lab)?;
            Ok(took)
        })
    };
    let mut ways = vec![
        way("new file, block 4", blocking()),
        way("new file, only 3", only()),
    ];
    ways.push(Way::new("block 4, all of it", "fw-ctl", |_| {
        rest.patch::<GeoChanged>("/geo", &none())?;
        run(&lab, &[&["fw-ctl", "geo", "block"][..], &BLOCK].concat())
    }));
    let mut rows = in_turns(rounds, ways)?;
    rows.iter_mut()
        .for_each(|row| row.to_reach = Some(PROMISED));
    print(&rows);
    let sizes = sizes(&rest)?;
    let [now, peak] = memory::now_and_peak(daemon.pid())?;
    let mb = |bytes: u64| bytes / 1_000_000;
    println!(
        "  memory of the daemon: {} MB, at most {} MB",
        mb(now),
        mb(peak)
    );
    drop(daemon);
    Ok(json!({
        "networks": NETWORKS,
        "rows": rows.iter().map(told).collect::<Vec<_>>(),
        "selections": sizes,
        "daemon_bytes": { "now": now, "peak": peak },
    }))
}

/// What the selections take.
fn sizes(rest: &Client) -> Result<Vec<Value>> {
    let mut sizes = Vec::new();
    for change in [blocking(), only()] {
        rest.patch::<GeoChanged>("/geo", &none())?;
        let changed: GeoChanged = rest.patch("/geo", &change)?;
        let sum = |of: fn(&_) -> usize| changed.lists.iter().map(of).sum::<usize>();
        let [v4, v6] = [sum(|list: &GeoList| list.ipv4), sum(|list| list.ipv6)];
        let names: Vec<&str> = changed.lists.iter().map(|list| &*list.list).collect();
        println!(
            "  {}: {v4} prefixes of IPv4, {v6} of IPv6, {} MB of the tables",
            names.join(", "),
            changed.bytes / 1_000_000
        );
        sizes.push(json!({ "lists": names, "ipv4": v4, "ipv6": v6, "bytes": changed.bytes }));
    }
    Ok(sizes)
}

/// All lists are in the kernel.
fn check(rest: &Client, lab: &Lab) -> Result<()> {
    let told: GeoStatus = rest.get("/geo")?;
    ensure!(told.problem.is_none(), "{:?}", told.problem);
    let wanted: usize = told.lists.iter().map(|list| list.ipv4 + list.ipv6).sum();
    let status: Status = rest.get("/status")?;
    let blocks = status.tables.iter();
    let blocks = blocks.filter(|table| table.name.starts_with("block_"));
    let inside: usize = blocks.map(|table| table.used).sum();
    ensure!(
        inside > wanted / 2,
        "{inside} of {wanted}: {}",
        lab.logged()
    );
    Ok(())
}

fn told(row: &Row) -> Value {
    json!({
        "what": row.what,
        "tool": row.tool,
        "times": row.times.as_ref().map_or(Value::Null, Samples::json),
        "to_reach_s": PROMISED.as_secs_f64(),
    })
}

/// Puts another file there.
fn write(file: &Path, seed: u64) -> Result<()> {
    let world = world::world(NETWORKS[0], NETWORKS[1], seed);
    let new = file.with_extension("new");
    fs::write(&new, world.bytes).context("cannot write the file")?;
    fs::rename(&new, file).context("cannot move the file")
}

fn blocking() -> GeoChange {
    GeoChange {
        block: BLOCK.map(str::to_owned).to_vec(),
        ..GeoChange::default()
    }
}

fn only() -> GeoChange {
    GeoChange {
        only: Some(ONLY.map(str::to_owned).to_vec()),
        ..GeoChange::default()
    }
}

fn none() -> GeoChange {
    GeoChange {
        unblock: blocking().block,
        only: Some(Vec::new()),
        ..GeoChange::default()
    }
}
