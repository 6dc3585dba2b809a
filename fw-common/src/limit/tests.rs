extern crate std;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::{collections::BTreeSet, vec::Vec};

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

const fn limit(interval_ns: u64, burst: u16) -> Limit {
    Limit {
        interval_ns,
        rule: 7,
        burst,
        shared: 0,
    }
}

/// A bucket as it is drawn: tokens come in, as many as it holds, and each connection takes one.
/// Tokens are counted in nanoseconds that it takes to earn them, so no fraction is rounded.
struct Model {
    tokens: u128,
    at: u64,
}

impl Model {
    fn take(&mut self, now: u64, limit: &Limit) -> bool {
        let full = u128::from(limit.interval_ns) * u128::from(limit.burst);
        self.tokens = full.min(self.tokens + u128::from(now - self.at));
        self.at = now;
        let token = u128::from(limit.interval_ns);
        let enough = self.tokens >= token;
        if enough {
            self.tokens -= token;
        }
        enough
    }
}

fn any_limit() -> impl Strategy<Value = Limit> {
    let interval = prop_oneof![
        100_000..SECOND,
        Just(SECOND / 3),
        Just(6 * SECOND),
        Just(86_400 * SECOND),
    ];
    let burst = prop_oneof![1_u16..4, Just(10_000)];
    (interval, burst).prop_map(|(interval, burst)| limit(interval, burst))
}

/// Pauses between connections: of nothing, of about an interval, and of hours.
fn pauses(interval: u64) -> impl Strategy<Value = Vec<u64>> {
    let pause = prop_oneof![
        3 => Just(0),
        3 => interval - 2..interval + 3,
        2 => 0..interval * 3,
        1 => 0..4_000 * SECOND,
    ];
    prop::collection::vec(pause, 1..200)
}

proptest! {
    #[test]
    fn a_step_grants_what_a_bucket_of_tokens_grants(
        start in 0..u64::MAX / 4,
        (limit, pauses) in any_limit().prop_flat_map(|limit| (Just(limit), pauses(limit.interval_ns))),
    ) {
        let mut model = Model { tokens: u128::MAX / 2, at: start };
        let (mut full_at, mut now) = (0, start);
        for pause in pauses {
            now += pause;
            let within;
            (within, full_at) = step(full_at, now, &limit);
            prop_assert_eq!(within, model.take(now, &limit), "at {}", now);
        }
    }

    #[test]
    fn no_bucket_is_emptier_than_empty(limit in any_limit(), full_at: u64, now in 0..u64::MAX / 4) {
        // Whatever stands there, of a limit that was: one interval later one more is granted.
        let (_, next) = step(full_at, now, &limit);
        prop_assert!(next - now <= limit.interval_ns * u64::from(limit.burst));
        let (within, _) = step(next, now + limit.interval_ns, &limit);
        prop_assert!(within);
    }
}

#[test]
fn a_burst_passes_at_once_and_then_one_an_interval() {
    let limit = limit(SECOND / 3, 4);
    let mut full_at = 0;
    let mut grant = |now| {
        let within;
        (within, full_at) = step(full_at, now, &limit);
        within
    };
    let start = 5 * SECOND;
    assert!((0..4).all(|_| grant(start)));
    assert!(!grant(start) && !grant(start + SECOND / 3 - 1));
    assert!(grant(start + SECOND / 3) && !grant(start + SECOND / 3));
}

#[test]
fn in_a_year_of_pressure_not_one_connection_is_lost_or_gained() {
    const YEAR: u64 = 365 * 86_400 * SECOND;
    // 7 a minute, whose interval is no whole number of what the pressure comes in.
    let limit = limit(60 * SECOND / 7, 20);
    let (mut full_at, mut now, mut granted) = (0, SECOND, 0);
    while now <= SECOND + YEAR {
        let within;
        (within, full_at) = step(full_at, now, &limit);
        match within {
            true => granted += 1,
            // Too many: again when a token is whole, and not before.
            false => now = full_at - limit.interval_ns * 19,
        }
    }
    assert_eq!(granted, 20 + YEAR / limit.interval_ns);
}

#[test]
fn at_the_end_of_time_a_bucket_stays_where_it_is() {
    let limit = limit(SECOND, 2);
    assert_eq!(step(0, u64::MAX, &limit), (true, u64::MAX));
    assert_eq!(step(u64::MAX, u64::MAX - 1, &limit), (true, u64::MAX));
    let empty = u64::MAX - 2 * SECOND;
    assert_eq!(step(u64::MAX, empty, &limit), (false, u64::MAX));
}

#[test]
fn a_rate_that_rises_is_not_held_back_by_the_old_one() {
    let (slow, fast) = (limit(86_400 * SECOND, 3), limit(SECOND, 3));
    let empty = (0..3).fold(0, |full_at, _| step(full_at, SECOND, &slow).1);
    assert_eq!(step(empty, SECOND, &slow), (false, empty));
    // Full in three days by the old rate, in three seconds by the new one.
    let (within, empty) = step(empty, SECOND, &fast);
    assert_eq!((within, empty), (false, 4 * SECOND));
    assert_eq!(step(empty, 2 * SECOND - 1, &fast), (false, 4 * SECOND));
    assert_eq!(step(empty, 2 * SECOND, &fast), (true, 5 * SECOND));
}

#[test]
fn buckets_are_kept_apart_and_shared_as_the_limit_says() {
    let seed = 0x5bd1_e995;
    let of = |address: IpAddr, limit: &Limit| key(&address.into(), limit, seed);
    let limit = limit(SECOND, 1);
    let v6 = |network: u16, host: u16| {
        IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host))
    };
    assert_eq!(of(v6(1, 2), &limit), of(v6(1, 0xffff), &limit));
    assert_ne!(of(v6(1, 2), &limit), of(v6(2, 2), &limit));
    let others = Limit { rule: 8, ..limit };
    assert_ne!(of(v6(1, 2), &limit), of(v6(1, 2), &others));
    // The first half of this is the IPv4 address.
    let v4 = Ipv4Addr::new(0x20, 1, 0xd, 0xb8).into();
    let like_v4 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0).into();
    assert_ne!(of(v4, &limit), of(like_v4, &limit));
    let shared = Limit { shared: 1, ..limit };
    assert_eq!(of(v4, &shared), of(v6(1, 2), &shared));
    assert_ne!(of(v4, &limit), of(v4, &shared));
    assert_ne!(of(v4, &limit), key(&v4.into(), &limit, seed + 1));
}

#[test]
fn addresses_in_a_row_are_spread_over_all_sets_and_have_tags_of_their_own() {
    let limit = limit(SECOND, 1);
    let keys: Vec<Key> = (0..4 * SETS)
        .map(|number| {
            key(
                &IpAddr::from(Ipv4Addr::from_bits(number)).into(),
                &limit,
                99,
            )
        })
        .collect();
    assert!(keys.iter().all(|key| key.set < SETS));
    let sets: BTreeSet<u32> = keys.iter().map(|key| key.set).collect();
    // Of four in a set on average, e^-4 of the sets have none.
    assert!(sets.len() > SETS as usize * 97 / 100, "{}", sets.len());
    let different: BTreeSet<(u32, u32)> = keys.iter().map(|key| (key.set, key.tag)).collect();
    assert_eq!(different.len(), keys.len());
}

#[test]
fn a_set_has_room_for_five_and_who_is_done_makes_room() {
    let limit = limit(10 * SECOND, 1);
    let mut set = Buckets::default();
    let mut meter = |tag, now, counts| meter(&mut set, tag, now, &limit, counts);
    for tag in 1..=WAYS as u32 {
        // A question takes nothing, however often it is asked.
        assert_eq!(meter(tag, tag.into(), false), Metered::Within);
        assert_eq!(meter(tag, tag.into(), false), Metered::Within);
        assert_eq!(meter(tag, tag.into(), true), Metered::Within);
        assert_eq!(meter(tag, tag.into(), true), Metered::Exceeded);
        assert_eq!(meter(tag, tag.into(), false), Metered::Exceeded);
    }
    assert_eq!(meter(6, 6, true), Metered::Unmetered);
    // The first one is full again, and its place is anybody's; the others stay.
    let later = 10 * SECOND + 1;
    assert_eq!(meter(6, later, true), Metered::Within);
    assert_eq!(meter(6, later, true), Metered::Exceeded);
    assert_eq!(meter(1, later, true), Metered::Unmetered);
    for tag in 2..=5 {
        assert_eq!(meter(tag, later, true), Metered::Exceeded, "{tag}");
    }
}

#[test]
fn a_source_keeps_its_bucket_though_one_before_it_becomes_free() {
    let limit = limit(10 * SECOND, 2);
    let mut set = Buckets::default();
    assert_eq!(meter(&mut set, 1, 1, &limit, true), Metered::Within);
    for now in [SECOND, SECOND] {
        assert_eq!(meter(&mut set, 2, now, &limit, true), Metered::Within);
    }
    // The bucket of 1 is free by now, that of 2 is empty still.
    let now = 10 * SECOND + 2;
    assert_eq!(meter(&mut set, 2, now, &limit, true), Metered::Exceeded);
}
