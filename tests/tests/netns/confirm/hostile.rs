//! Hundreds of policies that lock everybody out, applied with a time limit that nobody meets; in
//! half of the cases the daemon is killed in the window. Whoever was let in before must be let in
//! again, and everything must be as it was.

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    io::{self, Write as _},
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use fw_tests::lab::{
    Lab,
    address::FAMILIES,
    daemon::Daemon,
    hostile::{Chance, PolicyFile, Service},
};
use serde_json::Value;

use super::{
    SLACK, assert_nobody_waits, configure, depending, let_in, pending, policies, services,
};

/// Labs that run beside each other: nearly all the time is waiting.
const LABS: usize = 8;
/// Seconds in which nobody confirms.
const CONFIRM: u32 = 3;

/// What becomes of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Lives,
    /// In the window, and none is started.
    Stopped,
    Killed,
    /// In the window, and another is started in it.
    KilledAndRestarted,
    /// Before it has said that the policy is applied, and none is started.
    KilledWhileApplying,
}

impl Fate {
    /// Half of the daemons are killed.
    fn of(number: usize) -> Self {
        match number % 20 {
            0..=8 => Self::Lives,
            9 => Self::Stopped,
            10..=14 => Self::Killed,
            15..=17 => Self::KilledWhileApplying,
            _ => Self::KilledAndRestarted,
        }
    }
}

/// How a policy went.
struct Outcome {
    fate: Fate,
    /// The guard refused it.
    refused: bool,
    /// Clients it locked out.
    cut: usize,
    /// From the command to the moment in which the last client was let in again.
    back: Duration,
}

#[test]
fn whatever_the_policy_and_whoever_dies_everybody_is_let_in_again_in_time() {
    let policies = match env::var_os("FW_TEST_LONG") {
        Some(_) => 500,
        None => 40,
    };
    let began = Instant::now();
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let run = |number: usize| move || in_a_lab(number, (number..policies).step_by(LABS));
        let labs: Vec<_> = (0..LABS).map(|number| scope.spawn(run(number))).collect();
        let outcomes = labs.into_iter().map(|lab| lab.join());
        let outcomes = outcomes.flat_map(|outcomes| outcomes.expect("no lab fails"));
        outcomes.collect()
    });
    assert_eq!(outcomes.len(), policies);
    let in_force = outcomes.iter().filter(|outcome| !outcome.refused).count();
    let cut = outcomes.iter().filter(|outcome| outcome.cut > 0).count();
    report(&outcomes, began.elapsed());
    assert!(
        cut * 2 > policies,
        "only {cut} of {in_force} locked anybody out"
    );
}

/// One lab after the other's policies, each a step further.
fn in_a_lab(number: usize, policies: impl Iterator<Item = usize>) -> Vec<Outcome> {
    let lab = Lab::named(&format!("hostile policies {number}"));
    configure(&lab, ["nftables", "iptables"][number % 2]);
    let services = services(&lab);
    let mut daemon = Some(lab.daemon().start());
    let mut outcomes = Vec::new();
    for number in policies {
        let mut chance = Chance::new(number as u64);
        let outcome = one(&lab, &services, &mut daemon, Fate::of(number), &mut chance);
        outcomes.push(outcome);
    }
    outcomes
}

/// Applies one hostile policy over one that is none.
fn one<'lab>(
    lab: &'lab Lab,
    services: &[Service; 2],
    daemon: &mut Option<Daemon<'lab>>,
    fate: Fate,
    chance: &mut Chance,
) -> Outcome {
    lab.adopt(&policies::usual(chance));
    assert_eq!(locked_out(lab, services), [] as [IpAddr; 0], "by the usual");
    let before = lab.policy();
    let hostile = policies::hostile(chance, &lab.entries("guard"));

    let began = Instant::now();
    let refused = match fate {
        Fate::KilledWhileApplying => {
            let moment = chance.within(Duration::from_millis(300));
            apply_and_kill(lab, &hostile, daemon, moment);
            false
        }
        _ => {
            let reply = lab.apply(&hostile, &[&format!("--confirm={CONFIRM}")]);
            let refused = reply.code() == Some(5);
            reply.must(if refused { 5 } else { 0 });
            refused
        }
    };
    let cut = locked_out(lab, services).len();
    thread::sleep(chance.within(Duration::from_millis(500)));
    match fate {
        Fate::Lives | Fate::KilledWhileApplying => {}
        Fate::Stopped => daemon.take().expect("it lives").term(),
        Fate::Killed => daemon.take().expect("it lives").kill_9(),
        Fate::KilledAndRestarted => {
            daemon.take().expect("it lives").kill_9();
            *daemon = Some(lab.daemon().start());
        }
    }
    let limit = began + Duration::from_secs(CONFIRM.into()) + SLACK;
    let back = let_in(lab, services, limit).unwrap_or_else(|client| {
        panic!("{client} is locked out, {fate:?}:\n{hostile}");
    });

    // Also where the policy locked nobody out.
    assert_nobody_waits(lab);
    let _daemon = daemon.get_or_insert_with(|| lab.daemon().start());
    assert_eq!(pending(lab), Value::Null);
    let changes = lab.policy_changes(&before);
    assert!(changes.is_empty(), "{changes:#?}, {fate:?}:\n{hostile}");
    lab.fw(&["diff"]).must(0);
    for (net, service) in FAMILIES.iter().zip(services) {
        assert!(!service.answers(lab, net.below), "{} is let in", net.below);
    }
    Outcome {
        fate,
        refused,
        cut,
        back: back - began,
    }
}

/// Kills the daemon while the command waits for it.
fn apply_and_kill(
    lab: &Lab,
    policy: &PolicyFile,
    daemon: &mut Option<Daemon<'_>>,
    moment: Duration,
) {
    thread::scope(|scope| {
        let apply = scope.spawn(|| lab.apply(policy, &[&format!("--confirm={CONFIRM}")]));
        thread::sleep(moment);
        daemon.take().expect("it lives").kill_9();
        // It may have been too late, or too early.
        let _reply = apply.join().expect("the command ends");
    });
}

/// The clients that are not let in, of those that were before. Whom the configuration guards always
/// is.
fn locked_out(lab: &Lab, services: &[Service; 2]) -> Vec<IpAddr> {
    let mut out = Vec::new();
    for (net, service) in FAMILIES.iter().zip(services) {
        let guarded = net.guarded;
        assert!(service.answers(lab, guarded), "{guarded} is locked out");
        let clients = depending(net).into_iter();
        out.extend(clients.filter(|client| !service.answers(lab, *client)));
    }
    out
}

/// What was measured, by fate.
fn report(outcomes: &[Outcome], took: Duration) {
    let mut by_fate: BTreeMap<Fate, Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        by_fate.entry(outcome.fate).or_default().push(outcome);
    }
    let mut text = format!(
        "hostile policies: {} in {:.0} s, {} refused by the guard, {} locked clients out; {} of {} back in time\n",
        outcomes.len(),
        took.as_secs_f64(),
        outcomes.iter().filter(|outcome| outcome.refused).count(),
        outcomes.iter().filter(|outcome| outcome.cut > 0).count(),
        outcomes.len(),
        outcomes.len(),
    );
    for (fate, outcomes) in by_fate {
        let cut = outcomes.iter().filter(|outcome| outcome.cut > 0);
        let mut back: Vec<f64> = cut.map(|outcome| outcome.back.as_secs_f64()).collect();
        back.sort_by(f64::total_cmp);
        let (middle, last) = (back.get(back.len() / 2), back.last());
        let [middle, last] = [middle, last].map(|secs| secs.copied().unwrap_or_default());
        // Writing to a text does not fail.
        let _ = writeln!(
            text,
            "  {fate:?}: {}, everybody back after {middle:.2} s in the middle, {last:.2} s at the latest",
            outcomes.len(),
        );
    }
    // Not captured, so that a run of all tests shows it.
    let _ = io::stderr().write_all(text.as_bytes());
}
