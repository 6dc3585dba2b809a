//! 100,000 mixed prefixes, from the file on disk to the kernel, beside `ipset restore`.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use fw_common::Prefix;
use fw_tests::lab::{Lab, command};
use serde_json::{Value, json};

use crate::{
    mirror,
    samples::{Samples, time},
};

/// Prefixes in the list.
pub const PREFIXES: usize = 100_000;
const LIST: &str = "bench";

/// Imports and restores in turn. The time of either is from the start of the process to its end.
pub fn measure(lab: &Lab, rounds: usize) -> Result<Value> {
    let prefixes = prefixes();
    let list = lab.directory().join("list");
    write_list(&list, &prefixes)?;
    let sets = lab.directory().join("sets");
    write_sets(&sets, &prefixes)?;

    mirror::keep_with(lab, "none")?;
    let _daemon = lab.daemon().start();
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        let mut import = Command::new(command::binary());
        import.args(["import", "--list", LIST]).arg(&list);
        ours.add(time(import.env("FW_CTL_SOCKET", lab.socket()))?);
        let inside = lab.blocks_in_kernel();
        ensure!(inside == prefixes.len(), "{inside} entries in the kernel");
        lab.fw(&["flush", LIST, "--yes"]).must(0);

        let mut restore = lab.server.command("ipset");
        theirs.add(time(restore.arg("restore").arg("-file").arg(&sets))?);
        time(lab.server.command("ipset").arg("destroy"))?;
    }
    let ratio = ours.median().as_secs_f64() / theirs.median().as_secs_f64();
    println!(
        "\nimport of {PREFIXES} mixed prefixes, no mirror, process start to exit (to reach: under 1 s)"
    );
    println!("  fw-ctl import   {}", ours.line());
    println!("  ipset restore   {}", theirs.line());
    println!("  fw-ctl import takes {ratio:.2} times as long");
    Ok(json!({
        "prefixes": PREFIXES,
        "fw_ctl_import": ours.json(),
        "ipset_restore": theirs.json(),
        "fw_ctl_to_ipset": ratio,
    }))
}

/// As lists of attackers look: mostly IPv4 hosts, some networks, some IPv6.
pub fn prefixes() -> Vec<Prefix> {
    let mut random = Random(1);
    let mut prefixes = BTreeSet::new();
    while prefixes.len() < PREFIXES {
        let kind = random.below(100);
        let length = match kind {
            0..70 => 32,
            70..85 => [16, 20, 22, 23, 24, 24, 24, 28, 29, 30][random.below(10)],
            85..95 => 128,
            _ => [32, 40, 44, 48, 48, 48, 56, 64, 64, 64][random.below(10)],
        };
        let address = match kind {
            // Away from what is reserved and from the lab's own 198.18.0.0/24.
            0..85 => IpAddr::V4(Ipv4Addr::from(0x1400_0000 + random.next() % 0x6000_0000)),
            _ => {
                let parts = [(); 4].map(|()| u128::from(random.next()));
                let low = parts[1] << 64 | parts[2] << 32 | parts[3];
                IpAddr::V6(Ipv6Addr::from(
                    0x2a << 120 | (parts[0] & 0xff_ffff) << 96 | low,
                ))
            }
        };
        prefixes.extend(Prefix::new(address, length));
    }
    // A list is in no order that would help.
    let mut prefixes: Vec<Prefix> = prefixes.into_iter().collect();
    for last in (1..prefixes.len()).rev() {
        prefixes.swap(last, random.below(last + 1));
    }
    prefixes
}

/// The same list in every run (PCG, O'Neill 2014).
pub struct Random(pub u64);

impl Random {
    /// The next one.
    pub fn next(&mut self) -> u32 {
        let old = self.0;
        self.0 = old
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mixed = ((old >> 18 ^ old) >> 27) as u32;
        mixed.rotate_right((old >> 59) as u32)
    }

    /// One below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }
}

/// One prefix a line.
pub fn write_list(file: &Path, prefixes: &[Prefix]) -> Result<()> {
    let lines: String = prefixes
        .iter()
        .map(|prefix| format!("{prefix}\n"))
        .collect();
    fs::write(file, lines).with_context(|| format!("cannot write {}", file.display()))
}

/// What `ipset save` would print of two sets large enough.
pub fn write_sets(file: &Path, prefixes: &[Prefix]) -> Result<()> {
    let mut lines = String::new();
    for (name, family) in [("bench4", "inet"), ("bench6", "inet6")] {
        lines +=
            &format!("create {name} hash:net family {family} hashsize 65536 maxelem 1000000\n");
    }
    for prefix in prefixes {
        let set = if prefix.address().is_ipv4() {
            "bench4"
        } else {
            "bench6"
        };
        lines += &format!("add {set} {prefix}\n");
    }
    fs::write(file, lines).with_context(|| format!("cannot write {}", file.display()))
}
