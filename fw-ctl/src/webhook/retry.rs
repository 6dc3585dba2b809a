//! What an answer means, and how long to wait before the next try. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::outbound::asked_for;

/// The first pause at most.
const FIRST: Duration = Duration::from_secs(1);
/// Every pause at most, also one that a receiver asks for.
const LONGEST: Duration = Duration::from_secs(300);

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Delivered,
    /// The receiver does not want it, and would not later either.
    Refused,
    /// Later perhaps, after so long at least.
    Later(Duration),
}

/// What the status of an answer means; with its header `Retry-After`.
pub fn judge(status: u16, retry_after: Option<&str>, now: Timestamp) -> Outcome {
    match status {
        200..=299 => Outcome::Delivered,
        408 | 425 | 429 | 500.. => {
            let asked = retry_after.and_then(|text| asked_for(text, now));
            Outcome::Later(asked.unwrap_or_default().min(LONGEST))
        }
        _ => Outcome::Refused,
    }
}

/// The pause after so many tries that failed: any between none and a bound that doubles each time,
/// so that many senders do not come back at once.
pub fn pause(tries: u32, at_least: Duration, random: u64) -> Duration {
    let bound = FIRST.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1)));
    let part = random as f64 / u64::MAX as f64;
    bound.min(LONGEST).mul_f64(part).max(at_least)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T10:00:00Z".parse().expect("a time")
    }

    #[test]
    fn a_status_is_taken_refused_or_for_later() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(judge(status, None, now()), Outcome::Delivered, "{status}");
        }
        for status in [
            300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 410, 413, 422, 101,
        ] {
            assert_eq!(
                judge(status, Some("5"), now()),
                Outcome::Refused,
                "{status}"
            );
        }
        for status in [408, 425, 429, 500, 502, 503, 504, 599, 999] {
            let later = judge(status, None, now());
            assert_eq!(later, Outcome::Later(Duration::ZERO), "{status}");
        }
    }

    #[test]
    fn a_receiver_may_ask_for_time_within_bounds() {
        for (text, seconds) in [
            ("0", 0),
            (" 17 ", 17),
            ("86400", 300),
            ("18446744073709551615", 300),
            ("Sun, 22 Nov 2026 10:00:20 GMT", 20),
            ("Mon, 23 Nov 2026 10:00:00 GMT", 300),
            ("Sun, 22 Nov 2026 09:00:00 GMT", 0),
            ("-5", 0),
            ("soon", 0),
        ] {
            let expected = Outcome::Later(Duration::from_secs(seconds));
            assert_eq!(judge(429, Some(text), now()), expected, "{text}");
        }
    }

    #[test]
    fn pauses_grow_to_a_bound_and_are_spread_over_all_of_it() {
        for (tries, bound) in [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (u32::MAX, 300)] {
            let pause = |random| pause(tries, Duration::ZERO, random);
            assert_eq!(pause(u64::MAX), Duration::from_secs(bound), "{tries}");
            assert_eq!(pause(0), Duration::ZERO);
            let half = pause(u64::MAX / 2).as_secs_f64() * 2.0;
            assert!((half - bound as f64).abs() < 0.01, "{half}");
        }
        let asked = Duration::from_secs(42);
        assert_eq!(pause(1, asked, u64::MAX), asked);
        assert_eq!(pause(10, asked, u64::MAX), LONGEST);
    }
}
