//! When to look again. Pure.

use std::time::Duration;

/// The first pause after a failure; each further one doubles it.
const FIRST: Duration = Duration::from_secs(30);

/// What a server may ask for at most.
const LONGEST: Duration = Duration::from_secs(86_400);

/// The pause after a look that went well: the interval, a tenth more or less, so that many hosts do
/// not come at once. `random` is spread over all its values.
pub fn after_success(interval: Duration, random: u64) -> Duration {
    let part = random as f64 / u64::MAX as f64;
    interval.mul_f64(0.9 + 0.2 * part)
}

/// The pause after so many failures in a row: short at first, never longer than the interval, unless
/// the server asked for more time.
pub fn after_failure(
    interval: Duration,
    failures: u32,
    asked: Option<Duration>,
    random: u64,
) -> Duration {
    let bound = FIRST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    let pause = after_success(bound.min(interval), random);
    pause.max(asked.unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn an_interval_is_kept_up_to_a_tenth_and_hosts_are_spread_over_all_of_it() {
        let near = |pause: Duration, secs: f64| (pause.as_secs_f64() - secs).abs() < 0.01;
        assert!(near(after_success(HOUR, 0), 3240.0));
        assert!(near(after_success(HOUR, u64::MAX / 2), 3600.0));
        assert!(near(after_success(HOUR, u64::MAX), 3960.0));
    }

    #[test]
    fn failures_are_tried_again_soon_and_ever_less_often_up_to_the_interval() {
        let pause = |failures| after_failure(HOUR, failures, None, u64::MAX / 2).as_secs_f64();
        for (failures, secs) in [
            (1, 30.0),
            (2, 60.0),
            (3, 120.0),
            (9, 3600.0),
            (u32::MAX, 3600.0),
        ] {
            assert!((pause(failures) - secs).abs() < 0.01, "{failures}");
        }
        let short = Duration::from_secs(10);
        assert!(after_failure(short, 5, None, u64::MAX) <= Duration::from_secs(11));
    }

    #[test]
    fn a_server_may_ask_for_a_day_at_most() {
        let asked = |secs| after_failure(HOUR, 1, Some(Duration::from_secs(secs)), 0).as_secs();
        assert_eq!(asked(7200), 7200);
        assert_eq!(asked(u64::MAX), 86_400);
        assert_eq!(asked(1), 27);
    }
}
