//! What a packet costs: one of a connection, and one of a flood of forged SYNs, with the scan
//! detector off and on.
//!
//! Frames are made in the kernel (`BPF_PROG_TEST_RUN`): there is no card, no DMA and no cold packet
//! line, so these are no line rates.

mod lanes;

use anyhow::{Context as _, Result};
use aya::programs::{ProgramFd, ProgramInfo, XdpMode};
use fw_common::Prefix;
use fw_ctl::backend::xdp::pins::Pins;
use fw_tests::{
    frames::tcp,
    lab::{
        ATTACKER_INTERFACE, Lab,
        address::V4,
        daemon::eventually,
        flood::{self, Bare, Generator, Traffic},
    },
};
use nix::net::if_::if_nametoindex;
use serde_json::{Value, json};

use self::lanes::{FRAMES, Lane, Measured, in_turns};
use crate::import;

/// A port of the server where somebody listens.
const SERVED: u16 = 443;

const DROP: &str = "bare XDP_DROP";
const PASS: &str = "bare XDP_PASS";
const OFF: &str = "fw-ctl, detector off";
const OBSERVE: &str = "fw-ctl, detector observes";
const ENFORCE: &str = "fw-ctl, detector enforces";

/// Established packets, and forged SYNs with and without a link and a list of blocks. In a lab of
/// its own: tables that were full once are not as fast as new ones.
pub fn measure(rounds: usize) -> Result<Value> {
    let lab = &Lab::named("bench-packets");
    let _service = lab.listen(V4.server, SERVED);
    let links = [1, 2];
    links.iter().for_each(|number| lab.link(*number, &[]));
    let _daemon = lab.daemon().start();
    eventually("the service is known", || {
        let served = &lab.json(&["scan"])["served"]["tcp"];
        served.to_string().contains(&format!("\"{SERVED}\""))
    });
    let program = ProgramInfo::from_pin(Pins::new(lab.pins()).program())?.fd()?;
    println!(
        "\npackets, ns of one processor each, generator included ({rounds} rounds of {FRAMES} in turns)"
    );

    let mut report = json!({ "frames": FRAMES, "rounds": rounds });
    for (name, title, sources) in [
        ("established", "ACK to a served port, one source", 1),
        (
            "established_many",
            "ACK to a served port, 65,536 sources",
            1 << 16,
        ),
    ] {
        let measured = feed(lab, &program, &ack(sources)?, rounds)?;
        measured.print(title);
        report[name] = measured.json(measured.difference(ENFORCE, OFF, Some(5)));
    }
    let measured = feed(lab, &program, &forged()?, rounds)?;
    measured.print("forged SYN to a closed port, 16 million sources");
    report["flood"] = measured.json(measured.difference(ENFORCE, DROP, Some(90)));
    let measured = send(lab, links, rounds)?;
    measured.print("the same over a veth, to a stack that it is not for");
    report["flood_over_link"] = measured.json(measured.difference(ENFORCE, PASS, Some(90)));

    let list = lab.directory().join("list");
    import::write_list(&list, &import::prefixes())?;
    lab.fw(&["import", &list.display().to_string()]).must(0);
    let measured = feed(lab, &program, &forged()?, rounds)?;
    measured.print("forged SYN beside 100,000 blocked prefixes");
    report["flood_beside_list"] = measured.json(measured.difference(ENFORCE, OFF, None));
    Ok(report)
}

/// From the generator into the program, without a link between them and without a stack behind.
fn feed(lab: &Lab, program: &ProgramFd, traffic: &Traffic, rounds: usize) -> Result<Measured> {
    let mut bare = Generator::load(traffic.clone())?;
    let drop = bare.bare(Bare::Drop)?.fd()?.try_clone()?;
    bare.aim(&drop)?;
    let mut ours = Generator::load(traffic.clone())?;
    ours.aim(program)?;
    let bare = |frames| bare.feed(frames);
    let ours = |frames| ours.feed(frames);
    let lanes = [
        lane(DROP, None, &bare),
        lane(OFF, Some("off"), &ours),
        lane(OBSERVE, Some("observe"), &ours),
        lane(ENFORCE, Some("enforce"), &ours),
    ];
    lab.attacker.enter(|| in_turns(lab, &lanes, rounds))
}

/// Over links of which each has another program at its end.
fn send(lab: &Lab, [drop, pass]: [u8; 2], rounds: usize) -> Result<Measured> {
    let mut generators = Vec::new();
    for (number, program) in [(drop, Bare::Drop), (pass, Bare::Pass)] {
        let mut generator = Generator::load(forged()?)?;
        let end = format!("server{number}");
        let program = generator.bare(program)?;
        let attached = lab.server.enter(|| program.attach(&end, XdpMode::Driver));
        attached.with_context(|| format!("cannot attach to {end}"))?;
        generators.push((generator, format!("attacker{number}")));
    }
    generators.push((Generator::load(forged()?)?, ATTACKER_INTERFACE.to_owned()));
    let over = |index: usize| {
        let (generator, interface): &(Generator, String) = &generators[index];
        move |frames| generator.send(if_nametoindex(interface.as_str())?, frames)
    };
    let (drop, pass, ours) = (over(0), over(1), over(2));
    let nowhere = |frames| generators[0].0.discard(frames);
    let lanes = [
        lane(DROP, None, &drop),
        lane("generator alone", None, &nowhere),
        lane(PASS, None, &pass),
        lane(OFF, Some("off"), &ours),
        lane(OBSERVE, Some("observe"), &ours),
        lane(ENFORCE, Some("enforce"), &ours),
    ];
    lab.attacker.enter(|| in_turns(lab, &lanes, rounds))
}

fn lane<'a>(
    name: &'static str,
    mode: Option<&'static str>,
    run: &'a (dyn Fn(u32) -> Result<()> + Sync),
) -> Lane<'a> {
    Lane { name, mode, run }
}

/// Packets of connections.
fn ack(sources: u64) -> Result<Traffic> {
    Ok(Traffic {
        frame: frame(tcp::ACK),
        from: forged()?.from,
        sources,
        ports: None,
        rate: None,
    })
}

/// Each source once in a run, each time at another port.
fn forged() -> Result<Traffic> {
    let (from, _) = Prefix::parse("16.0.0.0/4")?;
    Ok(Traffic {
        frame: frame(tcp::SYN),
        from,
        sources: 1 << 24,
        ports: Some(1024..=32_000),
        rate: None,
    })
}

/// To the address of the server, but not to the hardware address of its link.
fn frame(flags: u8) -> Vec<u8> {
    flood::to(V4.server).tcp(40_000, SERVED, flags).bytes()
}
