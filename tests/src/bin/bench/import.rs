//! A whole list: from the file on disk into the kernel, and another in its place.

use std::{
    fs,
    net::IpAddr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use fw_common::Prefix;
use fw_tests::lists::{self, Lists};

use crate::control::{Row, Stand, Way, in_turns};

/// Prefixes in the list of [`prefixes`].
pub const PREFIXES: usize = 100_000;
/// The list that is imported.
const LIST: &str = "bench";
/// A tool that is at it for so many seconds is ended.
const LIMIT: u64 = 120;
/// The set of IPv4.
pub const SET: &str = "bench4";
/// Entries that a set can hold.
const MOST: usize = 1 << 21;
const DESTROY: [&str; 2] = ["ipset", "destroy"];
const DELETE: [&str; 5] = ["nft", "delete", "table", "inet", "bench"];

/// The list of the sections that are about other things than lists.
pub fn prefixes() -> Vec<Prefix> {
    let mut prefixes: Vec<Prefix> = lists::sized(70_000, 15_000, 15_000).all().collect();
    lists::Random(1).shuffle(&mut prefixes);
    prefixes
}

/// The same list in the language of each tool.
pub struct Files {
    list: String,
    /// With one entry in a hundred changed.
    renewed: String,
    sets: String,
    table: String,
    /// An address that only the first is about, and one that only the other is about.
    differ: [String; 2],
}

impl Files {
    /// Writes them.
    pub fn write(directory: &Path, lists: &Lists) -> Result<Self> {
        let [list, renewed, sets, table] =
            ["list", "renewed", "sets", "table"].map(|name| directory.join(name));
        lists.write(&list)?;
        let other = lists.renewed(100);
        other.write(&renewed)?;
        let differ = differ(&lists.v4, &other.v4).context("the lists are equal")?;
        write_sets(&sets, &lists.all().collect::<Vec<_>>())?;
        write_table(&table, lists)?;
        let [list, renewed, sets, table] =
            [list, renewed, sets, table].map(|file| file.display().to_string());
        Ok(Self {
            list,
            renewed,
            sets,
            table,
            differ: differ.map(|address| address.to_string()),
        })
    }
}

/// An address of each list that the other does not cover.
fn differ(one: &[Prefix], other: &[Prefix]) -> Option<[IpAddr; 2]> {
    let only = |of: Prefix, in_none_of: &[Prefix]| {
        let address = of.address();
        (!in_none_of.iter().any(|prefix| prefix.contains(address))).then_some(address)
    };
    let mut changed = one.iter().zip(other).filter(|(one, other)| one != other);
    changed.find_map(|(a, b)| Some([only(*a, other)?, only(*b, one)?]))
}

/// Loads the list with each tool; in the end each has it, unless it could not.
pub fn load(stand: &Stand, files: &Files) -> Result<Vec<Row>> {
    let import = |round| {
        // That of the round before.
        if round > 0 {
            stand.time(&["fw-ctl", "flush", LIST, "--yes"])?;
        }
        let took = stand.time(&["fw-ctl", "import", "--list", LIST, &files.list])?;
        stand.check().map(|()| took)
    };
    let restore = |round| {
        if round > 0 {
            stand.time(&DESTROY)?;
        }
        limited(stand, &["ipset", "restore", "-file", &files.sets])
    };
    let nft = |round| {
        if round > 0 {
            stand.time(&DELETE)?;
        }
        limited(stand, &["nft", "-f", &files.table])
    };
    let ways = vec![
        Way::new("import", "fw-ctl", import),
        Way::new("import", "ipset restore", restore),
        Way::new("import", "nft -f", nft),
    ];
    in_turns(stand.rounds, ways)
}

/// Takes away what [`load`] left with the other tools. One that failed left nothing.
pub fn unload(stand: &Stand) {
    let _nothing_there = stand.time(&DESTROY);
    let _nothing_there = stand.time(&DELETE);
}

fn limited(stand: &Stand, words: &[&str]) -> Result<Duration> {
    let begin = Instant::now();
    let took = stand.time(&[&["timeout", "--kill-after=5", &LIMIT.to_string()], words].concat());
    ensure!(
        took.is_ok() || begin.elapsed() < Duration::from_secs(LIMIT),
        "not done after {LIMIT} s"
    );
    took
}

/// Puts a list in the place of another that differs in one entry of a hundred.
pub fn replace(stand: &Stand, files: &Files) -> Result<Vec<Row>> {
    let replace = |round| {
        let file = [&*files.renewed, &files.list][round % 2];
        let took = stand.time(&["fw-ctl", "import", "--list", LIST, "--replace", file])?;
        let [first, other] = &files.differ;
        stand.ask(first, round % 2 == 1)?;
        stand.ask(other, round % 2 == 0)?;
        stand.check().map(|()| took)
    };
    let way = Way::new("replace, 1 % changed", "fw-ctl", replace);
    in_turns(stand.rounds, vec![way])
}

/// One prefix a line.
pub fn write_list(file: &Path, prefixes: &[Prefix]) -> Result<()> {
    let lines: String = prefixes
        .iter()
        .map(|prefix| format!("{prefix}\n"))
        .collect();
    fs::write(file, lines).with_context(|| format!("cannot write {}", file.display()))
}

/// What `ipset save` would print of two sets that need not grow.
pub fn write_sets(file: &Path, prefixes: &[Prefix]) -> Result<()> {
    let buckets = (prefixes.len() / 4).next_power_of_two();
    let mut lines = String::new();
    for (name, family) in [(SET, "inet"), ("bench6", "inet6")] {
        lines +=
            &format!("create {name} hash:net family {family} hashsize {buckets} maxelem {MOST}\n");
    }
    for prefix in prefixes {
        let set = if prefix.address().is_ipv4() {
            SET
        } else {
            "bench6"
        };
        lines += &format!("add {set} {prefix}\n");
    }
    fs::write(file, lines).with_context(|| format!("cannot write {}", file.display()))
}

/// As one writes a long list for nftables: hosts in hashes, prefixes, which may overlap, in
/// intervals.
fn write_table(file: &Path, lists: &Lists) -> Result<()> {
    let set = |name: &str, flags: &str, prefixes: &[Prefix], hosts: bool| {
        let kind = if name.ends_with('4') { "ipv4" } else { "ipv6" };
        let prefixes = prefixes.iter().filter(|prefix| prefix.is_host() == hosts);
        let elements: Vec<String> = prefixes.map(ToString::to_string).collect();
        let elements = elements.join(",\n");
        format!("set {name} {{ type {kind}_addr; {flags} elements = {{\n{elements}\n}} }}\n")
    };
    let intervals = "flags interval; auto-merge;";
    let sets = [
        set("hosts4", "", &lists.v4, true),
        set("nets4", intervals, &lists.v4, false),
        set("hosts6", "", &lists.v6, true),
        set("nets6", intervals, &lists.v6, false),
    ];
    let table = format!("table inet bench {{\n{}}}\n", sets.concat());
    fs::write(file, table).with_context(|| format!("cannot write {}", file.display()))
}
