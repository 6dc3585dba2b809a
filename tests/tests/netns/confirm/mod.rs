//! A net under the operator: a policy that locks him out goes back by itself, whoever dies
//! meanwhile; and one that cannot be taken changes nothing.

mod end;
mod hostile;
mod policies;
mod refused;
mod window;

use std::{
    fs,
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use fw_tests::lab::{
    Lab,
    address::{Addresses, FAMILIES},
    daemon::eventually,
    hostile::{PolicyFile, Service},
};
use serde_json::Value;

/// What clients want of the server.
const PORT: u16 = 7000;

/// What a rollback may take beyond its time, on a machine that is busy with other labs. A daemon that
/// lives takes a second; where none does, it is given one, and then a whole start.
const SLACK: Duration = Duration::from_secs(10);

/// Where a lab's mirror is, and whom its configuration guards.
fn configure(lab: &Lab, backend: &str) {
    let guarded = FAMILIES
        .map(|net| format!("\"{}\"", net.guarded))
        .join(", ");
    let config = format!(
        "[guard]\nprefixes = [{guarded}]\n[scan]\nmode = \"off\"\n[mirror]\nbackend = \"{backend}\"\n"
    );
    fs::write(lab.config(), config).expect("the configuration can be written");
}

/// A service for each family.
fn services(lab: &Lab) -> [Service; 2] {
    FAMILIES.map(|net| Service::open(lab, net.server, PORT))
}

/// What was in force before: everybody is let in, but for one who is blocked.
fn before() -> PolicyFile {
    PolicyFile {
        default: Some("drop"),
        guard: Some(prefixes(|net| net.first)),
        allows: Some(prefixes(|net| net.allowed)),
        blocks: Some(prefixes(|net| net.below)),
        rules: Some(vec![
            format!("service = \"tcp/{PORT}\"\naction = \"accept\"\ncomment = \"everybody\""),
            "service = \"udp/53\"\naction = \"drop\"\nttl = \"1h\"".to_owned(),
        ]),
        ..PolicyFile::default()
    }
}

/// Nobody is let in any more but whom the configuration guards.
fn lock_out() -> PolicyFile {
    PolicyFile {
        default: Some("drop"),
        guard: Some(Vec::new()),
        allows: Some(Vec::new()),
        blocks: Some(prefixes(|net| net.free)),
        rules: Some(Vec::new()),
        ..PolicyFile::default()
    }
}

/// An address of each family.
fn prefixes(of: fn(&Addresses) -> IpAddr) -> Vec<String> {
    FAMILIES.map(|net| of(&net).to_string()).to_vec()
}

/// Clients that are let in by the policy of [`before`], and by none of [`lock_out`].
fn depending(net: &Addresses) -> [IpAddr; 4] {
    [net.free, net.above, net.allowed, net.first]
}

/// Nobody but whom the configuration guards is let in.
#[track_caller]
fn assert_locked_out(lab: &Lab, services: &[Service; 2]) {
    for (net, service) in FAMILIES.iter().zip(services) {
        for client in depending(net) {
            assert!(!service.answers(lab, client), "{client} is let in");
        }
        assert!(service.answers(lab, net.guarded), "{} is not", net.guarded);
    }
}

/// Who was let in before is let in again, and who was not is not.
#[track_caller]
fn assert_let_in(lab: &Lab, services: &[Service; 2]) {
    for (net, service) in FAMILIES.iter().zip(services) {
        for client in depending(net).into_iter().chain([net.guarded]) {
            assert!(service.answers(lab, client), "{client} is not let in");
        }
        assert!(!service.answers(lab, net.below), "{} is let in", net.below);
    }
}

/// Waits until everybody is let in who was before, and says when that was, or who is not in time.
/// Whom the configuration guards is let in all the while.
#[track_caller]
fn let_in(lab: &Lab, services: &[Service; 2], limit: Instant) -> Result<Instant, IpAddr> {
    for (net, service) in FAMILIES.iter().zip(services) {
        for client in depending(net) {
            while !service.answers(lab, client) {
                let guarded = net.guarded;
                assert!(service.answers(lab, guarded), "{guarded} is locked out");
                if Instant::now() > limit {
                    return Err(client);
                }
            }
        }
    }
    Ok(Instant::now())
}

/// Whoever waited to roll back has done it or seen that there is nothing to do.
#[track_caller]
fn assert_nobody_waits(lab: &Lab) {
    eventually("nobody waits to roll back", || lab.sentinels().is_empty());
}

/// What waits to be confirmed.
fn pending(lab: &Lab) -> Value {
    lab.json(&["status"])["pending"].take()
}

/// Until some time after a moment that is known.
fn sleep_until(moment: Instant) {
    thread::sleep(moment.saturating_duration_since(Instant::now()));
}
