use proptest::prelude::*;

use super::*;
use crate::policy::time::WallSecs;

const HALF: u32 = u32::MAX / 2;
const DAY: u64 = 86_400;

fn at(secs: u64) -> Now {
    Now {
        boot: Duration::from_secs(secs),
        wall: WallSecs(0),
    }
}

fn prefix(text: &str) -> Prefix {
    text.parse().expect("a prefix")
}

fn enforcing() -> Settings {
    Settings {
        mode: Mode::Enforce,
        ..Settings::default()
    }
}

/// At `secs`; the kernel wrote a block if it had room.
fn crossing(source: &str, secs: u64, has_room: bool) -> Crossing {
    Crossing {
        source: prefix(source),
        at: at(secs).boot_secs(),
        distinct_ports: 10,
        distinct_hosts: 1,
        ports: vec![21, 22, 23, 25, 110, 143],
        block: has_room.then(|| at(secs + 600).boot_secs()),
    }
}

/// A block that the kernel wrote.
fn judged(offenders: &mut Offenders, secs: u64, evidence: Evidence) -> Option<Sentence> {
    let crossing = crossing("192.0.2.7", secs, true);
    offenders.judge(&crossing, evidence, &enforcing(), at(secs), HALF)
}

/// Minutes of the block of each of several offences, a day and a half apart.
fn minutes(offenders: &mut Offenders, all: &[Evidence]) -> Vec<u64> {
    let one = |(index, evidence): (usize, &Evidence)| {
        let sentence = judged(offenders, index as u64 * 3 * DAY / 2, *evidence)?;
        Some(sentence.ttl.as_secs() / 60)
    };
    all.iter().enumerate().filter_map(one).collect()
}

#[test]
fn the_first_offence_is_what_the_kernel_did() {
    let mut offenders = Offenders::default();
    let sentence = judged(&mut offenders, 1000, Evidence::Unproven);
    let expected = Sentence {
        offence: 1,
        evidence: Evidence::Unproven,
        response: Response::Block,
        ttl: Duration::from_secs(600),
        until: Some(BootSecs(1600)),
    };
    assert_eq!(sentence, Some(expected));
    let blocked: Vec<_> = offenders.blocked(at(1599)).collect();
    assert_eq!(blocked.len(), 1);
    assert_eq!(blocked[0].1.seen, "10 ports (21, 22, 23, 25, 110, 143)");
    assert_eq!(offenders.blocked(at(1600)).count(), 0);
}

#[test]
fn a_proven_source_is_blocked_longer_each_time() {
    let times = minutes(&mut Offenders::default(), &[Evidence::Proven; 4]);
    assert_eq!(times[0], 10);
    assert!((54..=66).contains(&times[1]), "{times:?}");
    assert!((1296..=1584).contains(&times[2]), "{times:?}");
}

#[test]
fn forged_offences_make_no_block_longer_not_even_a_proven_one() {
    use Evidence::{Proven, Unproven};
    let mut offenders = Offenders::default();
    let all = [Unproven, Unproven, Unproven, Proven, Unproven];
    assert_eq!(minutes(&mut offenders, &all), [10; 5]);
    let sentence = judged(&mut offenders, 8 * DAY, Proven).expect("a new offence");
    assert_eq!(sentence.offence, 6);
    assert!(sentence.ttl > Duration::from_secs(3_000), "{sentence:?}");
}

#[test]
fn an_offence_is_forgotten_for_each_week_without_another() {
    let mut offenders = Offenders::default();
    assert_eq!(minutes(&mut offenders, &[Evidence::Proven; 2]).len(), 2);
    let later = 3 * DAY / 2 + 7 * DAY;
    let mut again = |secs| judged(&mut offenders, secs, Evidence::Proven).expect("an offence");
    assert_eq!(again(later).offence, 2);
    assert_eq!(again(later + 14 * DAY).offence, 1);
}

#[test]
fn a_report_on_its_way_is_no_second_offence() {
    let mut offenders = Offenders::default();
    judged(&mut offenders, 1000, Evidence::Unproven);
    assert_eq!(judged(&mut offenders, 1001, Evidence::Unproven), None);
    assert_eq!(offenders.in_force(at(1001)).unproven, 1);
    // But it may bring the proof.
    assert_eq!(judged(&mut offenders, 1002, Evidence::Proven), None);
    assert_eq!(
        offenders.in_force(at(1002)),
        InForce {
            total: 1,
            unproven: 0
        }
    );
    let next = judged(&mut offenders, 1600, Evidence::Proven).expect("the block is over");
    assert_eq!(next.offence, 2);
}

#[test]
fn a_source_that_is_proven_later_is_blocked_as_long_as_if_it_had_been() {
    let settings = enforcing();
    let mut offenders = Offenders::default();
    let source = prefix("192.0.2.7");
    judged(&mut offenders, 1000, Evidence::Proven);
    judged(&mut offenders, 5000, Evidence::Unproven);
    assert_eq!(offenders.unproven(at(5001)).collect::<Vec<_>>(), [source]);
    assert!(offenders.prove(source, &settings, at(5001), HALF));
    assert_eq!(offenders.unproven(at(5001)).count(), 0);
    let (_, record) = offenders.blocked(at(5001)).next().expect("blocked");
    assert!((8_000..=9_000).contains(&record.until.0), "{record:?}");
    assert_eq!(record.proven, 2);
    assert!(
        !offenders.prove(source, &settings, at(5001), HALF),
        "once is enough"
    );
    assert!(!offenders.prove(prefix("192.0.2.8"), &settings, at(5001), HALF));
    assert!(
        !offenders.prove(source, &settings, at(99_999), HALF),
        "it is over"
    );
}

#[test]
fn where_the_kernel_had_no_room_only_a_proven_source_is_blocked() {
    let settings = Settings {
        max_blocks: 2,
        max_unproven: 2,
        ..enforcing()
    };
    let mut offenders = Offenders::default();
    let mut judge = |source, evidence| {
        let crossing = crossing(source, 1000, false);
        let sentence = offenders.judge(&crossing, evidence, &settings, at(1000), HALF);
        sentence.map(|sentence| (sentence.response, sentence.until))
    };
    let (capped, blocked) = (
        Some((Response::Capped, None)),
        Some((Response::Block, Some(BootSecs(1600)))),
    );
    assert_eq!(judge("192.0.2.1", Evidence::Unproven), capped);
    assert_eq!(judge("192.0.2.2", Evidence::Proven), blocked);
    assert_eq!(judge("192.0.2.3", Evidence::Proven), blocked);
    assert_eq!(judge("192.0.2.4", Evidence::Proven), capped);
    assert_eq!(offenders.len(), 2, "who is capped is not remembered");
}

#[test]
fn what_the_kernel_was_promised_is_given_away_once() {
    let settings = Settings {
        max_blocks: 3,
        max_unproven: 1,
        ..enforcing()
    };
    let responses = |rooms: &[bool]| -> Vec<Response> {
        let mut offenders = Offenders::default();
        assert_eq!(offenders.refill(Taken::default(), &settings, at(1000)), 1);
        let mut judge = |(index, has_room): (usize, &bool)| {
            let crossing = crossing(&format!("192.0.2.{index}"), 1000, *has_room);
            let sentence = offenders.judge(&crossing, Evidence::Proven, &settings, at(1000), HALF);
            sentence.map(|sentence| sentence.response)
        };
        rooms.iter().enumerate().filter_map(&mut judge).collect()
    };
    use Response::{Block, Capped};
    // One of the three is kept for the kernel, until it is heard of.
    assert_eq!(responses(&[false, false, false]), [Block, Block, Capped]);
    assert_eq!(responses(&[true, false, false]), [Block, Block, Block]);
    assert_eq!(
        responses(&[false, false, true, false]),
        [Block, Block, Block, Capped]
    );
}

#[test]
fn observing_says_what_enforcing_would_do_and_off_says_nothing() {
    let crossing = crossing("192.0.2.7", 1000, true);
    let sentence = |mode| {
        let settings = Settings {
            mode,
            ..Settings::default()
        };
        let mut offenders = Offenders::default();
        let sentence = offenders.judge(&crossing, Evidence::Proven, &settings, at(1000), HALF);
        (sentence, offenders.len())
    };
    let (enforced, _) = sentence(Mode::Enforce);
    let (observed, _) = sentence(Mode::Observe);
    let observed = observed.expect("a sentence");
    assert_eq!(observed.response, Response::Observe);
    assert_eq!(
        Some(Sentence {
            response: Response::Block,
            ..observed
        }),
        enforced
    );
    assert_eq!(sentence(Mode::Off), (None, 0));
}

#[test]
fn a_pardon_forgets_all_that_is_below_it_and_nothing_else() {
    let mut offenders = Offenders::default();
    for source in ["192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"] {
        let crossing = crossing(source, 1000, true);
        offenders.judge(&crossing, Evidence::Unproven, &enforcing(), at(1000), HALF);
    }
    let freed = offenders.pardon(prefix("192.0.2.0/24"), at(1001));
    assert_eq!(freed, ["192.0.2.0", "192.0.2.255"].map(prefix));
    assert_eq!(
        (offenders.len(), offenders.in_force(at(1001)).total),
        (2, 2)
    );
    assert_eq!(offenders.pardon(prefix("192.0.2.0/24"), at(1001)), []);
    // One whose block is over has nothing to be freed from, and is forgotten all the same.
    assert_eq!(offenders.pardon(prefix("192.0.3.0"), at(1600)), []);
    assert_eq!(offenders.len(), 1);
}

#[test]
fn what_is_all_forgotten_is_let_go() {
    let mut offenders = Offenders::default();
    judged(&mut offenders, 1000, Evidence::Unproven);
    offenders.saved();
    offenders.forget(&enforcing(), at(1000 + 7 * DAY - 1));
    assert_eq!((offenders.len(), offenders.unsaved().count()), (1, 0));
    offenders.forget(&enforcing(), at(1000 + 7 * DAY));
    assert!(offenders.is_empty());
    assert_eq!(
        offenders.unsaved().collect::<Vec<_>>(),
        [(prefix("192.0.2.7"), None)]
    );
}

#[test]
fn when_memory_is_full_the_forged_and_the_oldest_go_first() {
    let record = |until, proven, last| Record {
        offences: 1,
        proven,
        last,
        evidence: Evidence::Unproven,
        until: BootSecs(until),
        seen: String::new(),
    };
    let many = (3..MAX_RECORDS as u32).map(|number| {
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number);
        (Prefix::host(address.into()), record(5_000, 0, 900))
    });
    let special = [
        ("192.0.2.1", record(500, 0, 500)),
        ("192.0.2.2", record(500, 1, 400)),
        ("192.0.2.3", record(5_000, 0, 300)),
    ];
    let all = special
        .into_iter()
        .map(|(source, record)| (prefix(source), record));
    let mut offenders = Offenders::restore(all.chain(many), Grants::default());
    assert_eq!(offenders.len(), MAX_RECORDS);
    for (newcomer, gone) in [("203.0.113.1", "192.0.2.1"), ("203.0.113.2", "192.0.2.2")] {
        let crossing = crossing(newcomer, 1000, true);
        offenders.judge(&crossing, Evidence::Unproven, &enforcing(), at(1000), HALF);
        assert_eq!(offenders.len(), MAX_RECORDS);
        assert!(
            !offenders.records.contains_key(&prefix(gone)),
            "{gone} is still there"
        );
    }
    assert!(
        offenders.records.contains_key(&prefix("192.0.2.3")),
        "it is blocked"
    );
}

#[derive(Clone, Debug)]
enum Step {
    /// A source crosses; the kernel blocks it if it may. Its report may be lost.
    Cross(u8, bool, bool),
    Prove(u8),
    Pardon(u8),
    Wait(u64),
    Refill,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0u8..60, prop::bool::weighted(0.3), prop::bool::weighted(0.1))
            .prop_map(|(source, proven, lost)| Step::Cross(source, proven, lost)),
        1 => (0u8..60).prop_map(Step::Prove),
        1 => (0u8..60).prop_map(Step::Pardon),
        3 => prop_oneof![1u64..20, 20u64..300].prop_map(Step::Wait),
        4 => Just(Step::Refill),
        1 => Just(Step::Restart),
    ]
}

fn source(number: u8) -> Prefix {
    prefix(&format!("192.0.2.{number}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// The kernel and the daemon together, with the daemon's memory saved and read back at every
    /// restart: the caps hold, a block of an unproven source is never longer than the first, and
    /// what the indices say is what the records say.
    #[test]
    fn no_sequence_of_crossings_exceeds_a_cap(steps in prop::collection::vec(step(), 1..120)) {
        let settings = Settings {
            max_blocks: 12,
            max_unproven: 6,
            unproven_per_minute: 4,
            ..enforcing()
        };
        let mut offenders = Offenders::default();
        let (mut taken, mut granted) = (Taken::default(), 0);
        let mut stored: BTreeMap<Prefix, Record> = BTreeMap::new();
        let mut secs = 1000;
        for step in steps {
            let now = at(secs);
            match step {
                Step::Cross(number, proven, lost) => {
                    let known = offenders.blocked(now).any(|(blocked, _)| blocked == source(number));
                    let has_room = !known && taken.blocks < granted;
                    taken.blocks += u64::from(has_room);
                    taken.lost += u64::from(has_room && lost);
                    let crossing = crossing(&format!("192.0.2.{number}"), secs, has_room);
                    let evidence = if proven { Evidence::Proven } else { Evidence::Unproven };
                    if !lost {
                        let sentence = offenders.judge(&crossing, evidence, &settings, now, HALF);
                        let ttl = sentence.map(|sentence| sentence.ttl).filter(|_| !proven);
                        prop_assert!(ttl.is_none_or(|ttl| ttl <= settings.ttl));
                    }
                }
                Step::Prove(number) => drop(offenders.prove(source(number), &settings, now, HALF)),
                Step::Pardon(number) => drop(offenders.pardon(source(number), now)),
                Step::Wait(time) => secs += time,
                Step::Refill => granted = offenders.refill(taken, &settings, now),
                Step::Restart => {
                    let grants = Grants::resume(taken.blocks, granted, &settings, now);
                    offenders = Offenders::restore(stored.clone(), grants);
                }
            }
            for (source, record) in offenders.unsaved() {
                match record {
                    Some(record) => stored.insert(source, record.clone()),
                    None => stored.remove(&source),
                };
            }
            offenders.saved();
            prop_assert_eq!(&stored, &offenders.records);
            let now = at(secs);
            let alive = |record: &&Record| record.until > now.boot_secs();
            let alive: Vec<&Record> = stored.values().filter(alive).collect();
            let own = InForce {
                total: alive.len() as u64,
                unproven: alive.iter().filter(|r| r.evidence == Evidence::Unproven).count() as u64,
            };
            prop_assert_eq!(offenders.in_force(now), own);
            prop_assert_eq!(offenders.ends.len(), stored.len());
            prop_assert!(own.total <= 12 && own.unproven <= 6, "{:?}", own);
        }
    }
}
