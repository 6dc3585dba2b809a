//! `cargo xtask demo`: the firewall at work, between two network namespaces of this machine.
//!
//! Each step checks what it shows. Whatever happens, Ctrl-C included, nothing is left behind.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a demonstration talks"
)]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{IpAddr, TcpListener, TcpStream},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use fw_tests::lab::{
    INTERFACE, Lab,
    address::{V4, V6},
    daemon::Daemon,
    scanners::capture::Passage,
};
use nix::{
    sys::signal::{SigSet, Signal},
    unistd::geteuid,
};

/// The attacker's, while it streams.
const PACKETS_A_SECOND: u32 = 1000;
/// Long enough to see that nothing comes.
const SILENCE: Duration = Duration::from_millis(500);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    match demonstrate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn demonstrate() -> Result<()> {
    ensure!(
        geteuid().is_root(),
        "the demonstration makes network namespaces and loads a program: run it as root"
    );
    end_on_interrupt()?;
    let start = Instant::now();
    // Dropped, the lab takes everything down and sees to it that nothing is left.
    show(&Lab::named("demo"))?;
    say("nothing is left: no process, no program, no pin, no namespace");
    println!(
        "\nThe demonstration took {:.1} s.",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Between two steps, so that everything is taken down in order.
fn end_on_interrupt() -> Result<()> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.thread_block().context("cannot block Ctrl-C")?;
    thread::spawn(move || {
        let interrupted = signals.wait().is_ok();
        INTERRUPTED.store(interrupted, Ordering::Relaxed);
    });
    Ok(())
}

fn show(lab: &Lab) -> Result<()> {
    step("Two hosts, each in a network namespace, joined by a veth")?;
    say(&format!("attacker  {} and {}", V4.blocked, V6.blocked));
    say(&format!(
        "server    {} and {} on {INTERFACE}",
        V4.server, V6.server
    ));

    step("The daemon protects the server")?;
    // Served before anybody asks, as it is elsewhere: a port that is not would count as a probe.
    let web = lab.listen(V4.server, 80);
    let daemon = lab.daemon().start();
    fw(lab, &["status"])?;

    step("Nothing is blocked: real traffic passes")?;
    let connection = traffic_passes(lab, &web)?;
    drop(web);

    step("The attacker is blocked while it is sending")?;
    block_while_sending(lab)?;
    nothing_gets_through(lab, connection)?;

    step("What was dropped, and why")?;
    fw(lab, &["list"])?;
    fw(lab, &["why", &V4.blocked.to_string(), "--port", "80"])?;

    step("The daemon is killed with -9, and the block holds")?;
    kill_holds(lab, daemon)?;

    step("A new daemon takes over what it finds")?;
    let daemon = lab.daemon().start();
    let entry = lab.entry("blocks", V4.block).context("the entry is gone")?;
    ensure!(entry["comment"] == "demo", "the entry lost its comment");
    ensure!(!lab.arrives(V4.blocked), "the block was lost");
    fw(lab, &["list"])?;

    step("The attacker is unblocked")?;
    fw(lab, &["unblock", V4.block, V6.block])?;
    traffic_passes(lab, &lab.listen(V4.server, 80))?;

    step("A scan is seen, and nothing is dropped: a new installation only observes")?;
    scan_observed(lab)?;

    step("The same scan, enforced: blocked in the kernel, on the packet that is one too many")?;
    fw(lab, &["scan", "set", "--mode", "enforce", "--ttl", "8s"])?;
    scan_blocked(lab)?;

    step("Everything is taken down")?;
    daemon.term();
    Ok(())
}

/// Begins a step, unless Ctrl-C was pressed.
fn step(title: &str) -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!("interrupted; everything was taken down");
    }
    println!("\n=== {title}");
    Ok(())
}

fn say(line: &str) {
    println!("    {line}");
}

/// Runs `fw-ctl`, which must succeed, and shows the command and its answer.
fn fw(lab: &Lab, arguments: &[&str]) -> Result<()> {
    let quoted = arguments.iter().map(|word| match word.contains(' ') {
        true => format!("'{word}'"),
        false => (*word).to_owned(),
    });
    println!("  $ fw-ctl {}", quoted.collect::<Vec<_>>().join(" "));
    let reply = lab.fw(arguments);
    reply
        .stdout
        .lines()
        .chain(reply.stderr.lines())
        .for_each(say);
    ensure!(reply.code() == Some(0), "fw-ctl failed: {:?}", reply.code());
    Ok(())
}

/// Pings, and has a conversation over TCP; gives both ends of the connection.
fn traffic_passes(lab: &Lab, web: &TcpListener) -> Result<[TcpStream; 2]> {
    for net in [V4, V6] {
        ensure!(lab.pings(net.blocked), "{} gets no answer", net.blocked);
        say(&format!("ping from {}: answered", net.blocked));
    }
    let client = lab.connect(V4.blocked, (V4.server, 80).into(), Duration::from_secs(5));
    let mut client = client.context("no TCP connection")?;
    let (mut server, _) = web.accept()?;
    server.write_all(b"hello")?;
    let mut word = [0; 5];
    client.read_exact(&mut word)?;
    ensure!(&word == b"hello", "the greeting was garbled");
    say(&format!(
        "TCP from {} to port 80: connected, the server says hello",
        V4.blocked
    ));
    Ok([client, server])
}

fn block_while_sending(lab: &Lab) -> Result<()> {
    let stream = lab.stream(V4, [V4.blocked, V4.above], PACKETS_A_SECOND);
    thread::sleep(SILENCE);
    fw(
        lab,
        &[
            "block",
            V4.block,
            V6.block,
            "--ttl",
            "10m",
            "--comment",
            "demo",
        ],
    )?;
    thread::sleep(SILENCE);
    let [blocked, neighbour] = stream.stop();
    say(&format!(
        "{} sent {} packets: {} arrived until the block, none after it",
        V4.blocked, blocked.sent, blocked.received
    ));
    ensure!(
        blocked.missing.first() == Some(&blocked.received),
        "packets arrived after the block: {blocked:?}"
    );
    say(&format!(
        "its neighbour {} sent {}: {} arrived",
        V4.above, neighbour.sent, neighbour.received
    ));
    ensure!(
        neighbour.missing.is_empty(),
        "its neighbour lost packets: {neighbour:?}"
    );
    Ok(())
}

fn nothing_gets_through(lab: &Lab, [mut client, mut server]: [TcpStream; 2]) -> Result<()> {
    for net in [V4, V6] {
        ensure!(!lab.pings(net.blocked), "{} gets an answer", net.blocked);
        say(&format!("ping from {}: no answer", net.blocked));
    }
    client.write_all(b"still there?")?;
    server.set_read_timeout(Some(SILENCE))?;
    ensure!(server.read(&mut [0; 1]).is_err(), "the connection goes on");
    say("the open TCP connection: silent");
    Ok(())
}

fn kill_holds(lab: &Lab, daemon: Daemon<'_>) -> Result<()> {
    say(&format!("kill -9 {}", daemon.pid()));
    daemon.kill_9();
    let stream = lab.stream(V4, [V4.blocked, V4.above], PACKETS_A_SECOND);
    thread::sleep(SILENCE);
    let [blocked, neighbour] = stream.stop();
    ensure!(blocked.received == 0, "packets arrived: {blocked:?}");
    ensure!(
        neighbour.missing.is_empty(),
        "its neighbour lost packets: {neighbour:?}"
    );
    say(&format!(
        "{} sent {} packets, 0 arrived; its neighbour's {} all did",
        V4.blocked, blocked.sent, neighbour.received
    ));
    Ok(())
}

/// What a scan saw.
struct Ports {
    open: usize,
    closed: usize,
    filtered: usize,
}

/// Scans the server, and shows what nmap saw and what became of its packets.
fn scan(lab: &Lab, source: IpAddr) -> Result<(Ports, Passage)> {
    const ARGUMENTS: [&str; 6] = ["-sS", "-p", "1-200", "--max-retries", "0", "-T4"];
    let capture = lab.capture();
    println!("  $ nmap -S {source} {} {}", ARGUMENTS.join(" "), V4.server);
    let mut nmap = lab.scan_from(source).nmap(&ARGUMENTS);
    let output = nmap.args(["-oX", "-"]).output();
    let output = output.context("nmap does not start")?;
    ensure!(output.status.success(), "nmap failed: {}", output.status);
    let passage = capture.end().of(source);
    let report = String::from_utf8(output.stdout)?;
    let ports = Ports {
        open: count(&report, "open"),
        closed: count(&report, "closed"),
        filtered: count(&report, "filtered"),
    };
    say(&format!(
        "of 200 ports: {} open, {} closed, {} silent",
        ports.open, ports.closed, ports.filtered
    ));
    Ok((ports, passage))
}

fn scan_observed(lab: &Lab) -> Result<()> {
    let _service = lab.listen(V4.server, 80);
    let (ports, passage) = scan(lab, V4.below)?;
    ensure!(ports.filtered == 0, "the scan was disturbed");
    ensure!(passage.crossing.is_none(), "packets were lost: {passage:?}");
    fw(lab, &["list", "auto"])?;
    fw(lab, &["check", &V4.below.to_string()])
}

fn scan_blocked(lab: &Lab) -> Result<()> {
    let service = lab.listen(V4.server, 80);
    // A client of the service, from before the scan until after it.
    let client = lab.connect(V4.above, (V4.server, 80).into(), Duration::from_secs(5));
    let mut client = client.context("no TCP connection")?;
    let (mut server, _) = service.accept()?;
    let stream = lab.stream(V4, [V4.allowed], PACKETS_A_SECOND);
    let (_, passage) = scan(lab, V4.free)?;
    let crossing = passage.crossing.context("the scan was not blocked")?;
    say(&format!(
        "packet {} of the scanner was one too many, {} ms after its first: it was dropped",
        crossing.number,
        crossing.time.as_millis()
    ));
    say(&format!(
        "it sent {} more: {} got through",
        passage.sent - crossing.number,
        crossing.got_through
    ));
    ensure!(crossing.got_through == 0, "the scan went on: {crossing:?}");
    fw(lab, &["list", "auto"])?;
    say("security.jsonl, in the state directory:");
    let log = fs::read_to_string(lab.state().join("security.jsonl"))?;
    say(log.lines().last().context("the security log is empty")?);

    client.write_all(b"still there?")?;
    let mut words = [0; 12];
    server.read_exact(&mut words)?;
    ensure!(&words == b"still there?", "the conversation was garbled");
    let [neighbour] = stream.stop();
    ensure!(
        neighbour.missing.is_empty(),
        "innocent packets were lost: {neighbour:?}"
    );
    say(&format!(
        "meanwhile {} talked to port 80, and all {} packets of {} arrived",
        V4.above, neighbour.received, V4.allowed
    ));
    expires(lab)
}

fn expires(lab: &Lab) -> Result<()> {
    let start = Instant::now();
    ensure!(!lab.pings(V4.free), "the block is not in force");
    while !lab.pings(V4.free) {
        ensure!(
            start.elapsed() < Duration::from_secs(12),
            "the block does not end"
        );
    }
    say(&format!(
        "{} is answered again: the block has ended",
        V4.free
    ));
    Ok(())
}

/// Ports in a state, by nmap's XML: one element each, or one with a count for many.
fn count(report: &str, state: &str) -> usize {
    let single = report.matches(&format!("<state state=\"{state}\"")).count();
    let many = report.split("<extraports ").skip(1).filter_map(|element| {
        let element = element.split('>').next()?;
        let number = element.split("count=\"").nth(1)?.split('"').next()?;
        element
            .contains(&format!("state=\"{state}\""))
            .then(|| number.parse::<usize>().ok())?
    });
    single + many.sum::<usize>()
}
