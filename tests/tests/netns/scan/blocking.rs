//! Real scanners: blocked at the threshold, and nothing after the crossing packet gets through.

use std::{
    env,
    net::IpAddr,
    ops::RangeInclusive,
    process::{Child, Command, Stdio},
    time::Duration,
};

use fw_tests::lab::{
    Lab,
    scanners::{Scan, capture::Capture, source_v4, source_v6},
};
use serde_json::Value;

use super::{
    ENFORCE, blocked, crossing, lab,
    prober::{Prober, forged_v4},
    start_with_known_hashes,
};

/// Ports that nobody serves, and for which nmap has no payload of its own.
const PORTS: &str = "20000-20039";
/// How nmap asks for them: each once, from the first on.
const IN_ORDER: [&str; 5] = ["-r", "--max-retries", "0", "-p", PORTS];

/// A scan under way.
struct Running {
    /// Itself, and whoever it pretends to be.
    sources: Vec<IpAddr>,
    /// As it was started.
    name: String,
    child: Child,
    /// Which packet crosses the threshold.
    crossing: RangeInclusive<usize>,
}

/// Scans of one server, side by side.
struct Scans<'lab> {
    lab: &'lab Lab,
    capture: Capture<'lab>,
    running: Vec<Running>,
}

impl<'lab> Scans<'lab> {
    fn new(lab: &'lab Lab) -> Self {
        Self {
            lab,
            capture: lab.capture(),
            running: Vec::new(),
        }
    }

    /// Each source has a network of its own.
    fn next(&self, of: fn(u16) -> IpAddr) -> Scan<'lab> {
        let number = 256 * (1 + self.running.len() as u16);
        self.lab
            .scan_from(of(number))
            .within(Duration::from_secs(8))
    }

    fn run(&mut self, sources: &[IpAddr], crossing: RangeInclusive<usize>, mut command: Command) {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.running.push(Running {
            sources: sources.to_vec(),
            name: format!("{:?}", command.get_args()),
            child: child.expect("the scanner starts"),
            crossing,
        });
    }

    /// nmap, from an address of each family.
    fn nmap(&mut self, arguments: &[&str], crossing: usize) {
        for of in [source_v4, source_v6] {
            let scan = self.next(of);
            let command = scan.nmap(&[&IN_ORDER, arguments].concat());
            self.run(&[scan.source()], crossing..=crossing, command);
        }
    }

    /// Each must have crossed its threshold, be blocked and told. Gives what is told, in the order
    /// of the scans.
    #[track_caller]
    fn end(mut self) -> Vec<Value> {
        for scan in &mut self.running {
            // A scan that runs into nothing is ended: no failure.
            scan.child.wait().expect("the scanner ends");
        }
        let traffic = self.capture.end();
        let prober = Prober::new(self.lab);
        let judge = |scan: &Running, source: IpAddr| {
            let passage = traffic.of(source);
            let shown = format!("{source} of {}: {passage:?}", scan.name);
            let first = passage.crossing.as_ref().expect(&shown);
            assert!(scan.crossing.contains(&first.number), "{shown}");
            assert_eq!(first.got_through, 0, "{shown}");
            assert!(passage.sent > first.number, "it just ended: {shown}");
            assert!(!prober.passes(source), "it is not blocked: {shown}");
            assert!(
                prober.passes(neighbour(source)),
                "its neighbour is: {shown}"
            );
            let told = crossing(self.lab, source, 1);
            assert_eq!(told["action"], "block", "{shown}: {told}");
            told
        };
        let scans = self.running.iter();
        let sources = scans.flat_map(|scan| scan.sources.iter().map(move |source| (scan, *source)));
        let told: Vec<Value> = sources.map(|(scan, source)| judge(scan, source)).collect();
        assert_eq!(blocked(self.lab).len(), told.len(), "and nobody else");
        told
    }
}

/// Who has the next address, or of IPv6 the next network.
fn neighbour(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(address) => IpAddr::V4((u32::from(address) + 1).into()),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) + (1 << 64)).into()),
    }
}

/// What crosses a threshold of ten ports: so many packets of this weight.
#[track_caller]
fn crosses_with(told: &Value, packets: u64) {
    assert_eq!(told["score"], 10.0, "{told}");
    assert_eq!(told["distinct_ports"], packets, "{told}");
    assert_eq!(told["trigger"], "window", "{told}");
}

#[test]
fn nmap_is_blocked_with_every_kind_of_packet() {
    let lab = lab(ENFORCE);
    let _daemon = start_with_known_hashes(&lab);
    let mut scans = Scans::new(&lab);
    let kinds = [
        ("-sS", 10),
        ("-sT", 10),
        ("-sM", 10),
        ("-sF", 5),
        ("-sN", 5),
        ("-sX", 5),
        ("-sU", 20),
    ];
    for (kind, crossing) in kinds {
        scans.nmap(&[kind, "-T4"], crossing);
    }
    let packets = kinds.iter().flat_map(|(_, packets)| [packets, packets]);
    for (told, packets) in scans.end().iter().zip(packets) {
        crosses_with(told, *packets as u64);
    }
}

#[test]
fn nmap_is_blocked_at_any_speed_that_a_window_holds() {
    let lab = lab(ENFORCE);
    let _daemon = start_with_known_hashes(&lab);
    let mut scans = Scans::new(&lab);
    // A probe in 0.4 s.
    scans.nmap(&["-sS", "-T2"], 10);
    scans.nmap(&["-sS", "-T3"], 10);
    scans.nmap(&["-sS", "-T5"], 10);
    scans.nmap(&["-sS", "-T4", "--scan-delay", "300ms"], 10);
    for told in scans.end() {
        crosses_with(&told, 10);
    }
}

#[test]
fn nmap_is_blocked_behind_decoys_with_them_and_in_fragments() {
    let lab = lab(ENFORCE);
    let _daemon = start_with_known_hashes(&lab);
    let mut scans = Scans::new(&lab);
    // Decoys scan as far as anybody can see.
    let decoys = [forged_v4(1, 1), forged_v4(9, 1)];
    let scan = scans.next(source_v4);
    let list = format!("{},ME,{}", decoys[0], decoys[1]);
    let command = scan.nmap(&[&IN_ORDER[..], &["-sS", "-T4", "-D", &list]].concat());
    scans.run(&[decoys[0], scan.source(), decoys[1]], 10..=10, command);
    // Three fragments a probe, and the first ends before the flags: the first of the fifth.
    let scan = scans.next(source_v4);
    let command = scan.nmap(&[&IN_ORDER[..], &["-sS", "-T4", "-f"]].concat());
    scans.run(&[scan.source()], 13..=13, command);
    for told in scans.end() {
        assert_eq!(told["score"], 10.0, "{told}");
    }
}

#[test]
fn masscan_and_zmap_are_blocked() {
    let lab = lab(ENFORCE);
    let _daemon = start_with_known_hashes(&lab);
    let mut scans = Scans::new(&lab);
    // In no order, so that two ports may share a bit; and it answers the server's resets.
    for of in [source_v4, source_v6] {
        let scan = scans.next(of);
        let command = scan.masscan(PORTS, 1000);
        scans.run(&[scan.source()], 10..=30, command);
    }
    // One port of 64 hosts, which have 32 bits.
    let scan = scans.next(source_v4);
    let command = scan.zmap(81, 1000);
    scans.run(&[scan.source()], 19..=63, command);
    let told = scans.end();
    crosses_with(&told[0], 10);
    crosses_with(&told[1], 10);
    assert_eq!(told[2]["score"], 10.0, "{}", told[2]);
    assert_eq!(told[2]["distinct_hosts"], 19, "{}", told[2]);
    assert_eq!(told[2]["distinct_ports"], 1, "{}", told[2]);
}

/// nmap -T1 probes a port in 15 seconds.
#[track_caller]
fn patient_scanner(table: &str, ports: usize, limit: Duration) {
    let lab = lab(&format!("{ENFORCE}\n{table}"));
    let _daemon = start_with_known_hashes(&lab);
    let mut scans = Scans::new(&lab);
    let scan = lab.scan_from(source_v4(1)).within(limit);
    // Without asking first whether the server is there, at the same pace.
    let patient = ["--disable-arp-ping", "-sS", "-T1"];
    let command = scan.nmap(&[&IN_ORDER[..], &patient].concat());
    scans.run(&[scan.source()], ports..=ports, command);
    let told = &scans.end()[0];
    assert_eq!(told["trigger"], "slow", "{told}");
    assert_eq!(told["slow_score"], ports as f64, "{told}");
}

#[test]
fn patient_scanner_is_found_by_the_slow_score() {
    let table = "window = \"10s\"\nports = 2\nslow_ports = 2";
    patient_scanner(table, 2, Duration::from_secs(48));
}

#[test]
fn patient_scanner_is_found_with_the_settings_as_installed() {
    if env::var_os("FW_TEST_LONG").is_none() {
        return;
    }
    patient_scanner("", 20, Duration::from_secs(360));
}
