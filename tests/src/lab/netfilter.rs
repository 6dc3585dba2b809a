//! Netfilter of the server: what belongs to somebody else, what is ours, and who keeps it.

use std::{collections::BTreeSet, fs, io::Write as _, process::Stdio};

use serde_json::Value;

use super::{Lab, daemon::eventually};

/// What the mirror is kept with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `iptables` over nftables.
    IptablesNft,
    /// `iptables` of before.
    IptablesLegacy,
    /// `nft`
    Nftables,
}

/// `iptables` and `ip6tables`.
pub const PROGRAMS: [&str; 2] = ["iptables", "ip6tables"];

impl Backend {
    /// As `status` names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::IptablesNft => "iptables-nft",
            Self::IptablesLegacy => "iptables-legacy",
            Self::Nftables => "nftables",
        }
    }

    /// As the configuration names it. Which variant of iptables, the rules on the host tell.
    pub fn configured(self) -> &'static str {
        match self {
            Self::IptablesNft | Self::IptablesLegacy => "iptables",
            Self::Nftables => "nftables",
        }
    }

    /// The variant of iptables that this host uses.
    pub fn variant(self) -> &'static str {
        match self {
            Self::IptablesLegacy => "legacy",
            Self::IptablesNft | Self::Nftables => "nft",
        }
    }

    /// One of this host's programs: `ip6tables-legacy-restore` for `ip6tables` and `-restore`.
    pub fn tool(self, program: &str, verb: &str) -> String {
        format!("{program}-{}{verb}", self.variant())
    }
}

/// What somebody else filters, in every chain that packets of ours meet. `$NET` is one of his
/// networks.
const RULES: &str = r#"*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:NEIGHBOUR - [0:0]
-A INPUT -s $NET -m comment --comment "what's \"fw-ctl\"?" -j NEIGHBOUR
-A INPUT -p udp -m udp --dport 9 -j DROP
-A FORWARD -m set --match-set neighbour$FAMILY src -j NEIGHBOUR
-A OUTPUT -d $NET -j DROP
-A NEIGHBOUR -p tcp -m tcp --dport 9 -j RETURN
-A NEIGHBOUR -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -s $NET -p tcp -m tcp --dport 9 -j REDIRECT --to-ports 10
COMMIT
"#;

/// His sets.
const SETS: &str = "create neighbour4 hash:net family inet\n\
                    create neighbour6 hash:net family inet6\n\
                    add neighbour4 203.0.113.0/25\n\
                    add neighbour6 2001:db8:113::/48\n";

/// His own table.
const TABLE: &str = "table inet neighbour {
    set known { type ipv4_addr; flags interval; elements = { 203.0.113.0/24 } }
    chain output { type filter hook output priority 0; policy accept; ip daddr @known counter drop; }
}\n";

impl Lab {
    /// Gives the server what another firewall left there, by the tools of this backend; it tells
    /// which variant of iptables this host uses.
    pub fn settle_neighbour(&self, backend: Backend) {
        self.feed("ipset", &["restore"], SETS);
        let networks = ["203.0.113.0/24", "2001:db8:113::/48"];
        for (program, (net, family)) in PROGRAMS
            .into_iter()
            .zip(networks.into_iter().zip(["4", "6"]))
        {
            let rules = RULES.replace("$NET", net).replace("$FAMILY", family);
            self.feed(&backend.tool(program, "-restore"), &["-w"], &rules);
        }
        self.feed("nft", &["-f", "-"], TABLE);
    }

    /// Configures the backend, and whatever else.
    pub fn configure_mirror(&self, backend: Backend, more: &str) {
        let config = format!("[mirror]\nbackend = \"{}\"\n{more}", backend.configured());
        fs::write(self.config(), config).expect("the configuration can be written");
    }

    /// Runs a program on the server, which must succeed; gives what it prints.
    #[track_caller]
    pub fn tool(&self, program: &str, arguments: &[&str]) -> String {
        self.feed(program, arguments, "")
    }

    /// As [`Lab::tool`], with a shell between.
    #[track_caller]
    pub fn shell(&self, script: &str) -> String {
        self.tool("sh", &["-ec", script])
    }

    /// As [`Lab::tool`], with input.
    #[track_caller]
    pub fn feed(&self, program: &str, arguments: &[&str], input: &str) -> String {
        let mut child = self
            .server
            .command(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nsenter starts");
        let mut pipe = child.stdin.take().expect("an input");
        // It need not read it.
        let _closed_early = pipe.write_all(input.as_bytes());
        drop(pipe);
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {said}{input}"
        );
        String::from_utf8(output.stdout).expect("it prints UTF-8")
    }

    /// All of netfilter, ours too, as its programs print it: without counters, times, comments and
    /// what is chance.
    pub fn netfilter(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for variant in ["nft", "legacy"] {
            for program in PROGRAMS {
                let save = self.tool(&format!("{program}-{variant}-save"), &[]);
                lines.extend(save.lines().map(without_counters));
            }
        }
        let ruleset = self.tool("nft", &["-s", "list", "ruleset"]);
        lines.extend(ruleset.lines().map(str::to_owned));
        let sets = self.tool("ipset", &["save", "-sorted"]);
        lines.extend(sets.lines().map(without_chance));
        lines.retain(|line| !line.is_empty() && !line.starts_with('#'));
        lines
    }

    /// What of it is somebody else's.
    pub fn foreign(&self) -> Vec<String> {
        let mut foreign = Vec::new();
        // The line that ends a block of ours.
        let mut end = None;
        for line in self.netfilter() {
            let is_end = end.as_deref() == Some(line.as_str());
            match end {
                Some(_) if is_end => end = None,
                Some(_) => {}
                None if is_ours(&line) && line.ends_with('{') => {
                    let indent = line.len() - line.trim_start().len();
                    end = Some(format!("{}}}", &line[..indent]));
                }
                None if is_ours(&line) => {}
                None => foreign.push(line),
            }
        }
        foreign
    }

    /// Lines in which something of ours is named.
    pub fn ours(&self) -> Vec<String> {
        let mut lines = self.netfilter();
        lines.retain(|line| is_ours(line));
        lines
    }

    /// What a set of ours (`guard`, `allow`, `block`) holds.
    pub fn mirrored(&self, backend: Backend, set: &str) -> BTreeSet<String> {
        match backend {
            Backend::Nftables => self.mirrored_in_nft(set),
            _ => self.mirrored_in_ipset(set),
        }
    }

    fn mirrored_in_ipset(&self, set: &str) -> BTreeSet<String> {
        let names = ["4", "6"].map(|family| format!("fwctl-{set}{family}"));
        let text = self.tool("ipset", &["save"]);
        let element = |line: &str| {
            let mut words = line.strip_prefix("add ")?.split(' ');
            let set = words.next()?;
            let element = words.next()?;
            names
                .iter()
                .any(|name| name == set)
                .then(|| element.to_owned())
        };
        text.lines().filter_map(element).collect()
    }

    fn mirrored_in_nft(&self, set: &str) -> BTreeSet<String> {
        let text = self.tool("nft", &["-j", "list", "ruleset"]);
        let listing: Value = serde_json::from_str(&text).expect("nft prints JSON");
        let objects = listing["nftables"].as_array().expect("a list");
        let sets = objects.iter().map(|object| &object["set"]);
        let mut held = BTreeSet::new();
        for of_ours in sets.filter(|set| set["table"] == "fwctl") {
            let name = of_ours["name"]
                .as_str()
                .and_then(|name| name.strip_prefix(set));
            let Some((family, length)) = name.and_then(|name| name.split_once('_')) else {
                continue;
            };
            let whole = if family == "6" { "128" } else { "32" };
            for element in of_ours["elem"].as_array().into_iter().flatten() {
                let address = element["elem"]["val"].as_str().or(element.as_str());
                let address = address.expect("an address");
                held.insert(match length == whole {
                    true => address.to_owned(),
                    false => format!("{address}/{length}"),
                });
            }
        }
        held
    }

    /// Numbers of the rules that stand in the chains of each family.
    pub fn ruled(&self, backend: Backend) -> [BTreeSet<u64>; 2] {
        let numbers = |text: String, mark: &str| -> BTreeSet<u64> {
            let parts = text.split(mark).skip(1);
            let number = |part: &str| {
                let end = part.find(|letter: char| !letter.is_ascii_digit());
                part[..end.unwrap_or(part.len())].parse().ok()
            };
            parts.filter_map(number).collect()
        };
        match backend {
            Backend::Nftables => {
                let text = self.tool("nft", &["list", "table", "inet", "fwctl"]);
                let both = numbers(text, "comment \"rule ");
                [both.clone(), both]
            }
            _ => PROGRAMS.map(|program| {
                let text = self.tool(&backend.tool(program, "-save"), &["-t", "filter"]);
                numbers(text, "fwctl rule ")
            }),
        }
    }

    /// `status.mirror`
    pub fn mirror(&self) -> Value {
        self.fw(&["status", "--json"]).json()["mirror"].take()
    }

    /// Waits until the mirror is as it should be.
    #[track_caller]
    pub fn mirror_in_step(&self) {
        eventually("the mirror is in step", || {
            self.mirror()["state"] == "in step"
        });
    }
}

fn is_ours(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.contains("fwctl")
}

/// `:INPUT ACCEPT [12:3456]`
fn without_counters(line: &str) -> String {
    let is_chain = line.starts_with(':') && line.ends_with(']');
    let kept = line.rsplit_once(" [").filter(|_| is_chain);
    kept.map_or(line, |(kept, _)| kept).to_owned()
}

/// Without the options of a set that are chance or follow from what was in it.
fn without_chance(line: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut words = line.split(' ');
    while let Some(word) = words.next() {
        match word {
            "initval" | "hashsize" => drop(words.next()),
            "timeout" if kept.first() == Some(&"add") => drop(words.next()),
            _ => kept.push(word),
        }
    }
    kept.join(" ")
}
