//! A single block: the whole command, the daemon's share of it, and `ipset add`.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use fw_tests::lab::{Lab, command};
use serde_json::{Value, json};

use crate::{
    mirror,
    samples::{Samples, time},
};

/// Each blocks an address of its own.
pub fn measure(lab: &Lab, rounds: usize) -> Result<Value> {
    mirror::keep_with(lab, "none")?;
    let _daemon = lab.daemon().start();
    let mut ipset = lab.server.command("ipset");
    time(ipset.args(["create", "single", "hash:net"]))?;
    let (mut whole, mut start, mut daemon, mut set) =
        <(Samples, Samples, Samples, Samples)>::default();
    for round in 0..rounds {
        let mut block = Command::new(command::binary());
        block.args(["block", &format!("100.64.0.{round}")]);
        whole.add(time(block.env("FW_CTL_SOCKET", lab.socket()))?);
        start.add(time(Command::new(command::binary()).arg("--version"))?);
        daemon.add(post(lab, &format!("100.64.1.{round}"))?);
        let mut add = lab.server.command("ipset");
        set.add(time(add.args([
            "add",
            "single",
            &format!("100.64.0.{round}"),
        ]))?);
    }
    time(lab.server.command("ipset").arg("destroy"))?;
    println!("\none block, no mirror (to reach: under 10 ms)");
    println!("  fw-ctl block        {}", whole.line());
    println!("  fw-ctl --version    {}", start.line());
    println!("  request and answer  {}", daemon.line());
    println!("  ipset add           {}", set.line());
    Ok(json!({
        "fw_ctl_block": whole.json(),
        "fw_ctl_version": start.json(),
        "request": daemon.json(),
        "ipset_add": set.json(),
    }))
}

/// Blocks an address as the command does, without the process around it.
fn post(lab: &Lab, address: &str) -> Result<Duration> {
    let body = json!({ "items": [{ "prefix": address }] }).to_string();
    let request = format!(
        "POST /api/v1/blocks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let begin = Instant::now();
    let mut socket = UnixStream::connect(lab.socket()).context("the daemon does not listen")?;
    socket.write_all(request.as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let took = begin.elapsed();
    ensure!(
        answer.starts_with("HTTP/1.1 20"),
        "the daemon answered: {answer}"
    );
    Ok(took)
}
