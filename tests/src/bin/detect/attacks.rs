//! The scans: every one by a real scanner, from a source that nobody has seen before.

use std::{
    net::IpAddr,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use fw_tests::lab::{
    Lab,
    scanners::{self, Scan, capture::Passage},
};

/// nmap's scans; all but the last are to be found.
const KINDS: [&str; 8] = ["-sS", "-sT", "-sF", "-sN", "-sX", "-sM", "-sU", "-sA"];
/// Longer than any scan takes to be found; what it sends then still must not get through.
const LIMIT: Duration = Duration::from_secs(6);
/// The lab's numbers of addresses: a /24 and a /48 for each scan.
const NETWORK: u16 = 256;

/// One row: a scanner and its speed, from one source of each family that it speaks.
pub struct Attack {
    tool: Tool,
    arguments: Vec<&'static str>,
    sources: &'static [fn(u16) -> IpAddr],
    limit: Duration,
    /// Other sources at the same time, whose packets the scanner forges.
    decoys: u16,
    /// What its arguments do not say.
    note: &'static str,
    /// A plain ACK never counts: it may belong to a connection that the server has forgotten.
    to_be_found: bool,
}

#[derive(Clone, Copy)]
enum Tool {
    Nmap,
    Masscan { rate: u32 },
    Zmap { rate: u32 },
}

/// What became of one source's scan.
#[derive(Clone)]
pub struct Shot {
    /// What it was.
    pub attack: String,
    /// Whether it counts.
    pub to_be_found: bool,
    /// Who scanned.
    pub source: IpAddr,
    /// Its packets.
    pub passage: Passage,
}

/// Both families.
const BOTH: &[fn(u16) -> IpAddr] = &[scanners::source_v4, scanners::source_v6];
/// IPv4 only, where the scanner has no other.
const V4: &[fn(u16) -> IpAddr] = &[scanners::source_v4];

/// All but the patient one, or those of one speed.
pub fn all(quick: bool) -> Vec<Attack> {
    let speeds: &[_] = if quick {
        &["-T4"]
    } else {
        &["-T3", "-T4", "-T5"]
    };
    let kinds = KINDS
        .into_iter()
        .flat_map(|kind| speeds.iter().map(move |speed| [kind, speed]));
    let mut attacks = Vec::new();
    if !quick {
        attacks.push(Attack::nmap(&["-sS", "-T2"]).within(10));
        attacks.push(Attack::nmap(&["-sS", "-T4", "--scan-delay", "1s"]).within(15));
    }
    attacks.extend(kinds.map(|arguments| Attack::of_kind(&arguments)));
    attacks.push(Attack::nmap(&["-sS", "-T4", "-f"]).only_v4());
    attacks.push(Attack {
        tool: Tool::Masscan { rate: 1000 },
        ..Attack::nmap(&["1-200"])
    });
    attacks.push(Attack {
        tool: Tool::Zmap { rate: 1000 },
        ..Attack::nmap(&[]).only_v4()
    });
    attacks.push(Attack {
        decoys: 3,
        note: ", 3 decoys",
        ..Attack::nmap(&["-sS", "-T4", "-D"])
    });
    attacks
}

/// A probe in 15 seconds and more, which no window of a minute can hold.
pub fn patient(long: bool) -> Attack {
    let (seconds, note) = if long {
        (900, "")
    } else {
        (240, ", threshold 8")
    };
    Attack {
        note,
        ..Attack::nmap(&["-sS", "-T1"]).within(seconds)
    }
}

impl Attack {
    fn nmap(arguments: &[&'static str]) -> Self {
        Self {
            tool: Tool::Nmap,
            arguments: arguments.to_vec(),
            sources: BOTH,
            limit: LIMIT,
            decoys: 0,
            note: "",
            to_be_found: !arguments.contains(&"-sA"),
        }
    }

    /// A stack answers for closed UDP ports once a second, and nmap slows down to that.
    fn of_kind(arguments: &[&'static str]) -> Self {
        match arguments.contains(&"-sU") {
            true => Self::nmap(arguments).within(60),
            false => Self::nmap(arguments),
        }
    }

    fn within(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    fn only_v4(mut self) -> Self {
        self.sources = V4;
        self
    }

    /// Whether others need not wait for it.
    pub fn is_slow(&self) -> bool {
        self.limit > Duration::from_secs(20)
    }

    /// As it would be typed, without what belongs to the lab.
    fn name(&self) -> String {
        let arguments = self.arguments.join(" ");
        match self.tool {
            Tool::Nmap => format!("nmap {arguments}{}", self.note),
            Tool::Masscan { rate } => format!("masscan -p {arguments} --rate {rate}"),
            Tool::Zmap { rate } => format!("zmap -p 81 -r {rate}, 64 addresses"),
        }
    }

    /// Scans from all its sources at once. The number decides on the sources.
    pub fn run(&self, lab: &Lab, number: u16) -> Result<Vec<Shot>> {
        let sources: Vec<IpAddr> = self
            .sources
            .iter()
            .map(|of| of(number * NETWORK + 1))
            .collect();
        let capture = lab.capture();
        let mut children = Vec::new();
        for &source in &sources {
            let mut command = self.command(lab.scan_from(source).within(self.limit), number);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let child = command.spawn();
            children.push(child.with_context(|| format!("cannot start {}", self.name()))?);
        }
        for mut child in children {
            // A scan that found nothing in its time is ended: no failure.
            let _ended = child.wait()?;
        }
        let traffic = capture.end();
        let shots = sources.into_iter().map(|source| {
            let passage = traffic.of(source);
            ensure!(passage.sent > 0, "{} sent nothing", self.name());
            Ok(Shot {
                attack: self.name(),
                to_be_found: self.to_be_found,
                source,
                passage,
            })
        });
        shots.collect()
    }

    fn command(&self, scan: Scan<'_>, number: u16) -> Command {
        match self.tool {
            Tool::Nmap => {
                let decoys = self.decoys(scan.source(), number);
                let mut arguments = vec!["-F"];
                arguments.extend(&self.arguments);
                arguments.extend(decoys.as_deref());
                scan.nmap(&arguments)
            }
            Tool::Masscan { rate } => scan.masscan(self.arguments[0], rate),
            // A port that the server has not.
            Tool::Zmap { rate } => scan.zmap(81, rate),
        }
    }

    /// The scanner's own packets are the third of four.
    fn decoys(&self, source: IpAddr, number: u16) -> Option<String> {
        let of = self.sources[usize::from(source.is_ipv6())];
        let decoy = |index| of(number * NETWORK + 1 + index).to_string();
        let mut decoys: Vec<String> = (1..=self.decoys).map(decoy).collect();
        if decoys.is_empty() {
            return None;
        }
        decoys.insert(2, "ME".to_owned());
        Some(decoys.join(","))
    }
}
