//! Ports that rules close to some and not to others.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use fw_common::{
    Prefix,
    abi::{Config, NEVER},
    reason::{Outcome, Reason},
};
use fw_ctl::{
    backend::xdp::rules::{Rules, RulesError},
    detect::ports::{PortSet, Protocol as PortProtocol},
    plan::{
        classes::TooMuch,
        ruleset::{PortRow, Pushdown, Ruleset},
    },
    policy::{
        rule::{RuleId, Verdict},
        rules::Base,
        service::Protocol,
    },
};
use fw_tests::{
    frames::{Frame, SERVER_V4, SERVER_V6, tcp},
    kernel::{Action, Answer, Kernel, Program, Table},
};

use crate::{
    decided, family, prefix, random,
    random::Rng,
    report,
    scan::{enforcing, without_sockets},
    senders,
};

/// A kernel that is the server.
pub fn server() -> Result<(Kernel, Rules)> {
    let mut kernel = Kernel::load()?;
    kernel.own([SERVER_V4.into(), SERVER_V6.into()])?;
    let rules = kernel.take_rules()?;
    Ok((kernel, rules))
}

pub fn row(id: u32, service: &str, source: Option<Prefix>, verdict: Verdict) -> PortRow {
    PortRow {
        id: RuleId(id),
        service: service.parse().expect("a service"),
        source,
        verdict,
    }
}

fn only(ports: Vec<PortRow>) -> Pushdown {
    Pushdown {
        ports,
        limits: Vec::new(),
    }
}

fn set(rules: &mut Rules, pushdown: &Pushdown) -> Result<()> {
    Ok(rules.set(pushdown, &PortSet::default())?)
}

fn syn(source: IpAddr, port: u16) -> Vec<u8> {
    Frame::new().ip(source).tcp(40000, port, tcp::SYN).bytes()
}

/// What both programs say of a SYN.
fn ask(kernel: &Kernel, source: IpAddr, port: u16) -> Result<Answer> {
    let [frags, linear] = Program::ALL.map(|program| kernel.ask(program, &syn(source, port)));
    let (frags, linear) = (frags?, linear?);
    assert_eq!(frags, linear, "{source} to port {port}");
    Ok(frags)
}

fn closed(source: IpAddr, rule: u32) -> Answer {
    Answer {
        rule,
        ..decided(Reason::Rule, family(source), (0, 0, 0))
    }
}

fn open(source: IpAddr) -> Answer {
    decided(Reason::Default, family(source), (0, 0, 0))
}

#[test]
fn a_port_is_closed_to_whom_the_rule_names_and_no_other_port_is() -> Result<()> {
    let (kernel, mut rules) = server()?;
    let rows =
        senders().map(|sender| row(7, "tcp/22,8000-8003", Some(sender.network), Verdict::Drop));
    set(&mut rules, &only(rows.to_vec()))?;
    for sender in senders() {
        for port in [22, 8000, 8001, 8002, 8003] {
            assert_eq!(ask(&kernel, sender.listed, port)?, closed(sender.listed, 7));
            assert_eq!(ask(&kernel, sender.free, port)?, open(sender.free));
        }
        for port in [0, 21, 23, 7999, 8004, 65535] {
            assert_eq!(ask(&kernel, sender.listed, port)?, open(sender.listed));
        }
    }
    set(&mut rules, &Pushdown::default())?;
    for sender in senders() {
        assert_eq!(ask(&kernel, sender.listed, 22)?, open(sender.listed));
    }
    Ok(())
}

#[test]
fn only_a_syn_to_this_host_meets_a_rule() -> Result<()> {
    let (kernel, mut rules) = server()?;
    set(&mut rules, &only(vec![row(1, "tcp", None, Verdict::Drop)]))?;
    for sender in senders() {
        let source = sender.free;
        let frame = || Frame::new().ip(source);
        for flags in 0..=255_u8 {
            let begins = flags & (tcp::SYN | tcp::ACK | tcp::RST | tcp::FIN) == tcp::SYN;
            let expected = if begins {
                Reason::Rule
            } else {
                Reason::Default
            };
            let answer = kernel.ask(Program::Frags, &frame().tcp(40000, 22, flags).bytes())?;
            assert_eq!(answer.outcome.reason, expected, "flags {flags:#x}");
        }
        for frame in [
            frame().udp(40000, 22).bytes(),
            frame().icmp(8, 0, &[0; 20]).bytes(),
            frame().sctp(40000, 22).bytes(),
        ] {
            let answer = kernel.ask(Program::Frags, &frame)?;
            assert_eq!(answer.outcome.reason, Reason::Default);
        }
        // To the next address, which somebody else has.
        let mut elsewhere = syn(source, 22);
        let last = match source {
            IpAddr::V4(_) => 14 + 19,
            IpAddr::V6(_) => 14 + 39,
        };
        elsewhere[last] ^= 2;
        let answer = kernel.ask(Program::Frags, &elsewhere)?;
        assert_eq!(answer.outcome.reason, Reason::Default);
    }
    Ok(())
}

#[test]
fn who_is_guarded_or_allowed_meets_no_rule_and_who_is_blocked_is_blocked() -> Result<()> {
    let (mut kernel, mut rules) = server()?;
    set(&mut rules, &only(vec![row(1, "tcp", None, Verdict::Drop)]))?;
    for sender in senders() {
        let reason = |kernel: &Kernel| anyhow::Ok(ask(kernel, sender.listed, 22)?.outcome.reason);
        kernel.set(Table::Block, sender.network, 1, NEVER)?;
        assert_eq!(reason(&kernel)?, Reason::Block);
        kernel.set(Table::Allow, sender.network, 1, NEVER)?;
        assert_eq!(reason(&kernel)?, Reason::Allow);
        kernel.guard(sender.network)?;
        assert_eq!(reason(&kernel)?, Reason::Guard);
        assert_eq!(ask(&kernel, sender.free, 22)?, closed(sender.free, 1));
    }
    Ok(())
}

#[test]
fn the_narrowest_rule_decides_as_the_ruleset_says() -> Result<()> {
    const RULESETS: usize = 3_000;
    let (mut kernel, mut rules) = server()?;
    kernel.configure(Config::default())?;
    let mut rng = Rng::new(random::seed(), 0x52);
    let mut dropped = 0;
    for _ in 0..RULESETS {
        let policy = random::policy(&mut rng, 10);
        let pushdown = only(policy.rules.ports.clone());
        set(&mut rules, &pushdown)?;
        let ruleset = Ruleset {
            observe: false,
            forward: false,
            base: Base::default(),
            limits: Vec::new(),
            ports: pushdown.ports,
        };
        for _ in 0..20 {
            let source = random::source(&mut rng, &policy);
            let port = random::port(&mut rng);
            // Mapped and unroutable sources too: nothing else stands in these tables.
            let source = source.to_canonical();
            let decided = ruleset.decide(source, Protocol::Tcp, port);
            let expected = match (decided.verdict, decided.rule) {
                (Verdict::Drop, Some(rule)) => closed(source, rule.0),
                _ => open(source),
            };
            dropped += usize::from(decided.verdict == Verdict::Drop);
            let answer = kernel.ask(Program::Frags, &syn(source, port))?;
            assert_eq!(answer, expected, "{source} to port {port}: {ruleset:?}");
        }
    }
    assert!(
        dropped > RULESETS,
        "only {dropped} of {} dropped",
        20 * RULESETS
    );
    Ok(())
}

#[test]
fn while_rules_change_every_packet_meets_the_old_ones_or_the_new() -> Result<()> {
    let (kernel, mut rules) = server()?;
    let [v4, v6] = senders();
    let some = |sender: &crate::Sender| Some(sender.network);
    // Both close the port to everybody but the listed, by other rows, in other classes.
    let one = only(vec![
        row(1, "tcp/80", some(&v4), Verdict::Accept),
        row(1, "tcp/80", some(&v6), Verdict::Accept),
        row(2, "tcp/80", None, Verdict::Drop),
    ]);
    let other = only(vec![
        row(3, "tcp/79-82", some(&v4), Verdict::Accept),
        row(3, "tcp/79-82", some(&v6), Verdict::Accept),
        row(4, "tcp", None, Verdict::Drop),
    ]);
    set(&mut rules, &one)?;
    let done = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let (kernel, done) = (&kernel, &done);
        let worker = scope.spawn(move || -> Result<[u64; 5]> {
            let mut seen = [0; 5];
            while !done.load(Ordering::Relaxed) {
                for sender in senders() {
                    let listed = kernel.ask(Program::Frags, &syn(sender.listed, 80))?;
                    assert_eq!(listed, open(sender.listed));
                    let free = kernel.ask(Program::Frags, &syn(sender.free, 80))?;
                    assert!([2, 4].contains(&free.rule), "{free:?}");
                    assert_eq!(free, closed(sender.free, free.rule));
                    seen[free.rule as usize] += 1;
                }
            }
            Ok(seen)
        });
        let start = Instant::now();
        let mut changes = 0;
        while start.elapsed() < Duration::from_secs(4) && !worker.is_finished() {
            for pushdown in [&other, &one] {
                set(&mut rules, pushdown)?;
                changes += 1;
            }
        }
        done.store(true, Ordering::Relaxed);
        let seen = worker.join().expect("no panic")?;
        report(format_args!(
            "rules: {changes} changes in {:.1} s, {} packets met one set, {} the other",
            start.elapsed().as_secs_f64(),
            seen[2],
            seen[4]
        ));
        anyhow::Ok(seen)
    })?;
    assert!(seen[2] > 100 && seen[4] > 100, "{seen:?}");
    Ok(())
}

#[test]
fn numbers_and_rows_of_rules_that_are_gone_are_given_back() -> Result<()> {
    let (kernel, mut rules) = server()?;
    let source = senders()[1].free;
    let one = |first: u32| {
        let rule = move |port: u32| {
            let service = format!("tcp/{port}");
            row(port + first, &service, None, Verdict::Drop)
        };
        only((1..1500).map(rule).collect())
    };
    // Four times as many classes as there are numbers.
    for first in 0..12 {
        set(&mut rules, &one(first))?;
        assert_eq!(ask(&kernel, source, 1499)?, closed(source, 1499 + first));
    }
    Ok(())
}

#[test]
fn what_is_too_much_closes_nothing() -> Result<()> {
    let (kernel, mut rules) = server()?;
    let source = senders()[0].free;
    let one = |port: u32| row(port, &format!("tcp/{port}"), None, Verdict::Drop);
    set(&mut rules, &only((1..2000).map(one).collect()))?;
    assert_eq!(ask(&kernel, source, 1999)?, closed(source, 1999));
    let refused = rules.set(&only((1..3000).map(one).collect()), &PortSet::default());
    assert!(
        matches!(refused, Err(RulesError::TooMuch(TooMuch::Classes))),
        "{refused:?}"
    );
    assert_eq!(ask(&kernel, source, 1999)?, open(source));
    // And what fits afterwards counts.
    set(&mut rules, &only((1000..3000).map(one).collect()))?;
    assert_eq!(ask(&kernel, source, 2999)?, closed(source, 2999));
    assert_eq!(ask(&kernel, source, 999)?, open(source));
    Ok(())
}

#[test]
fn a_port_that_goes_elsewhere_is_left_alone() -> Result<()> {
    let (kernel, mut rules) = server()?;
    let mut published = PortSet::default();
    published.insert(PortProtocol::Tcp, 8080);
    rules.set(&only(vec![row(1, "tcp", None, Verdict::Drop)]), &published)?;
    let source = senders()[0].free;
    assert_eq!(ask(&kernel, source, 8080)?, open(source));
    assert_eq!(ask(&kernel, source, 8081)?, closed(source, 1));
    Ok(())
}

#[test]
fn observed_a_closed_port_passes_and_is_counted() -> Result<()> {
    let (mut kernel, mut rules) = server()?;
    kernel.configure(Config {
        observe: 1,
        ..Config::default()
    })?;
    set(
        &mut rules,
        &only(vec![row(1, "tcp/22", None, Verdict::Drop)]),
    )?;
    for sender in senders() {
        let before = kernel.counters()?;
        let action = kernel.receive(Program::Frags, &syn(sender.free, 22), 3)?;
        assert_eq!(action, Action::Pass);
        let outcome = Outcome {
            reason: Reason::Rule,
            family: family(sender.free),
            observed: true,
        };
        let at = outcome.index() as usize;
        assert_eq!(kernel.counters()?[at].packets, before[at].packets + 3);
    }
    Ok(())
}

#[test]
fn a_scan_of_closed_ports_is_found_all_the_same() -> Result<()> {
    without_sockets()?;
    let (mut kernel, mut rules) = server()?;
    kernel.configure(enforcing())?;
    set(
        &mut rules,
        &only(vec![row(1, "tcp/1000-1999", None, Verdict::Drop)]),
    )?;
    let source = Ipv4Addr::new(203, 0, 113, 77).into();
    let ports = crate::scan::ports();
    let mut reasons = Vec::new();
    for port in &ports[..11] {
        reasons.push(crate::scan::outcome(&kernel, Program::Frags, &syn(source, *port))?.reason);
    }
    let mut expected = vec![Reason::Rule; 9];
    expected.extend([Reason::Scan, Reason::Block]);
    assert_eq!(reasons, expected);
    assert!(kernel.entry(Table::Block, prefix("203.0.113.77")).is_ok());
    Ok(())
}
