//! Floods of forged sources: the detector goes on seeing, blocks no more than it may, and nobody
//! who is known loses a packet.

mod protected;

use std::{
    collections::BTreeMap,
    env, fs,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, TcpStream},
    ops::RangeInclusive,
    thread,
    time::{Duration, Instant},
};

use fw_common::Prefix;
use fw_tests::{
    frames::{Frame, tcp},
    lab::{
        Lab,
        address::V4,
        daemon::Daemon,
        flood::{Flood, Flooding, Traffic, to},
    },
};
use serde_json::Value;

/// Ports that nobody serves, and below those that the kernel lends to clients.
const CLOSED: RangeInclusive<u16> = 1024..=32_000;
/// Where forged sources are: in no guarded range.
const FORGED: &str = "16.0.0.0/4";
/// What a flood asks for that is none of a scan: fewer ports than make one.
const ASKED: RangeInclusive<u16> = 8080..=8084;
/// So few sources that each of them comes again and again.
const FEW: u64 = 1 << 15;
/// Frames a second that leave the machine time for everything else.
const BEARABLE: u32 = 50_000;

const SCANNER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
/// One new port each, as nmap -T2 does.
const PACE: Duration = Duration::from_millis(400);
/// How long he may take.
const LIMIT: Duration = Duration::from_secs(60);

/// How long a flood lasts at least.
fn duration() -> Duration {
    match env::var_os("FW_TEST_LONG") {
        Some(_) => Duration::from_secs(60),
        None => Duration::from_secs(4),
    }
}

/// A lab for itself, in which the detector blocks, with more in its table `[scan]`.
fn lab(table: &str) -> Lab {
    let lab = Lab::alone();
    let guarded = V4.guarded;
    let config =
        format!("[guard]\nprefixes = [\"{guarded}\"]\n[scan]\nmode = \"enforce\"\n{table}\n");
    fs::write(lab.config(), config).expect("the configuration can be written");
    lab
}

/// A daemon that knows its host.
#[track_caller]
fn start(lab: &Lab) -> Daemon<'_> {
    let daemon = lab.daemon().start();
    lab.fw(&["allow", &V4.allowed.to_string()]).must(0);
    lab.wait_for_detector();
    daemon
}

fn status(lab: &Lab) -> Value {
    lab.json(&["scan"])
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

/// SYNs of so many sources to these ports, until it is stopped.
fn flood(lab: &Lab, sources: u64, ports: RangeInclusive<u16>, rate: Option<u32>) -> Flooding {
    let (from, _) = Prefix::parse(FORGED).expect("a prefix");
    lab.flood(&Flood {
        traffic: Traffic {
            frame: lab.for_server(to(V4.server).tcp(40_000, 9, tcp::SYN)),
            from,
            sources,
            ports: Some(ports),
            rate,
        },
        frames: u64::MAX,
        time: duration() + LIMIT,
    })
}

/// Guarded, allowed and connected sources send all through a flood. Whatever is missing must have
/// been refused by the queue of the link, which is before the program and full when the machine
/// is.
#[track_caller]
fn nobody_known_loses_a_packet(lab: &Lab, sources: u64, rate: Option<u32>) {
    let flooding = flood(lab, sources, ASKED, rate);
    let stream = lab.stream(V4, [V4.guarded, V4.allowed, V4.free], 1_000);
    let turns = converse(lab);
    let tallies: [_; 3] = stream.stop();
    let flooded = flooding.stop();

    assert!(turns > 10, "{turns} turns under {flooded:?}");
    assert!(flooded.made > 50_000, "no flood: {flooded:?}");
    let missing: u64 = tallies
        .iter()
        .map(|tally| tally.sent - tally.received)
        .sum();
    assert!(missing <= flooded.refused, "{tallies:?} under {flooded:?}");
    for tally in &tallies {
        assert!(tally.received > tally.sent / 2, "{tally:?}");
    }
}

/// A connection on which a word goes there and back, again and again. Says how often.
fn converse(lab: &Lab) -> u64 {
    const PATIENCE: Duration = Duration::from_secs(10);
    let listener = lab.listen(V4.server, 0);
    let port = listener.local_addr().expect("a port");
    let client = lab.connect(V4.free, port, PATIENCE);
    let mut client = client.expect("a connection");
    let (mut server, _) = listener.accept().expect("a client");
    for end in [&client, &server] {
        end.set_nodelay(true).expect("it is TCP");
        end.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    }
    let start = Instant::now();
    let mut turns: u64 = 0;
    while start.elapsed() < duration() {
        let mut word = turns.to_be_bytes();
        exchange(&mut client, &mut server, &mut word);
        exchange(&mut server, &mut client, &mut word);
        assert_eq!(u64::from_be_bytes(word), turns);
        turns += 1;
    }
    turns
}

fn exchange(from: &mut TcpStream, to: &mut TcpStream, word: &mut [u8; 8]) {
    from.write_all(word).expect("the connection stands");
    to.read_exact(word).expect("the connection carries");
}

/// Somebody tries one port after the other, slowly, inside of a flood as fast as it can be, and is
/// blocked.
#[track_caller]
fn patient_scanner_is_found(lab: &Lab, sources: u64) {
    let flooding = flood(lab, sources, ASKED, None);
    let wire = lab.wire();
    let start = Instant::now();
    for (mark, port) in (0..).zip(CLOSED) {
        wire.send(mark, &syn_of_the_scanner(port));
        thread::sleep(PACE);
        if start.elapsed() > duration() && lab.prefixes("auto").contains(&SCANNER.to_string()) {
            flooding.stop();
            return;
        }
        let sofar = start.elapsed();
        assert!(sofar < LIMIT, "not found: {}", status(lab));
    }
}

fn syn_of_the_scanner(port: u16) -> Vec<u8> {
    let IpAddr::V4(server) = V4.server else {
        unreachable!("it is of IPv4");
    };
    let frame = Frame::new().ipv4(SCANNER, server);
    frame.tcp(40_000, port, tcp::SYN).bytes()
}

/// No more automatic blocks than this, in the list and in the kernel.
#[track_caller]
fn stays_within(lab: &Lab, most: u64) -> Value {
    let status = status(lab);
    let in_force = number(&status["blocks"]["in_force"]);
    assert!(in_force <= most, "{status}");
    assert!(lab.blocks_in_kernel() as u64 <= most, "{status}");
    status
}

/// Bytes of a daemon's memory, and of its maps in the kernel.
fn memory(daemon: &Daemon<'_>) -> [u64; 2] {
    let folder = format!("/proc/{}", daemon.pid());
    let resident = field(&format!("{folder}/status"), "VmRSS").expect("the daemon lives");
    let descriptors = fs::read_dir(format!("{folder}/fdinfo")).expect("the daemon lives");
    // A map may be open twice.
    let maps: BTreeMap<u64, u64> = descriptors
        .flatten()
        .map(|entry| entry.path().display().to_string())
        .filter_map(|file| Some((field(&file, "map_id")?, field(&file, "memlock")?)))
        .collect();
    [resident * 1024, maps.values().sum()]
}

/// The number behind a name in a file of /proc.
fn field(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    values.next()?.split_whitespace().next()?.parse().ok()
}

fn is_weathered(sources: u64) {
    const MOST_RESIDENT: u64 = 200_000_000;
    const MORE_RESIDENT: u64 = 20_000_000;
    const MORE_IN_KERNEL: u64 = 100_000;
    let lab = lab("");
    let daemon = start(&lab);
    nobody_known_loses_a_packet(&lab, sources, Some(BEARABLE));
    let [resident, in_kernel] = memory(&daemon);
    nobody_known_loses_a_packet(&lab, sources, None);
    patient_scanner_is_found(&lab, sources);
    stays_within(&lab, 1);
    let after = memory(&daemon);
    assert!(
        after[0] < MOST_RESIDENT.min(resident + MORE_RESIDENT),
        "{after:?} after {resident}"
    );
    // What it grew by are blocks.
    assert!(
        after[1] <= in_kernel + MORE_IN_KERNEL,
        "{after:?} after {in_kernel}"
    );
}

#[test]
fn million_forged_sources_harm_nobody_and_hide_no_scanner() {
    is_weathered(1_000_000);
}

#[test]
fn sixteen_million_forged_sources_harm_nobody_and_hide_no_scanner() {
    is_weathered(16_000_000);
}

/// Forged sources that really scan are blocked up to the cap; all others are counted, told or not.
fn cap_holds(table: &str, most: u64) {
    let lab = lab(table);
    let daemon = start(&lab);
    let before = memory(&daemon);
    let flooding = flood(&lab, FEW, CLOSED, None);
    thread::sleep(duration());
    flooding.stop();

    let status = stays_within(&lab, most);
    let totals = &status["totals"];
    let [crossings, capped, limited, lost] =
        ["crossings", "capped", "limited", "lost"].map(|name| number(&totals[name]));
    assert_eq!(crossings, capped + most, "{totals}");
    assert!(limited > 0 && limited + lost < capped, "{totals}");
    let after = memory(&daemon);
    assert!(
        after[0] < before[0] + 50_000_000,
        "{after:?} after {before:?}"
    );
}

#[test]
fn forged_scanners_are_blocked_up_to_the_cap_and_the_rest_is_counted() {
    cap_holds("", 100);
}

#[test]
fn forged_scanners_are_blocked_up_to_a_small_cap_too() {
    cap_holds("unproven_per_minute = 7", 7);
    cap_holds("max_unproven = 5", 5);
}
