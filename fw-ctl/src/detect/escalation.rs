//! How long a block lasts, and when an offence is forgotten.

use std::time::Duration;

use super::settings::Settings;

/// How long a source is blocked that has been proven guilty `before` this time. `random` is spread
/// evenly over all its values; it decides within a tenth of the time to both sides, so that nobody
/// can tell when to come back. The first block has no such spread: the kernel writes it.
pub fn ttl(settings: &Settings, before: u32, random: u32) -> Duration {
    let steps = &settings.escalation;
    let last = usize::try_from(before)
        .unwrap_or(usize::MAX)
        .min(steps.len());
    let Some(step) = last.checked_sub(1).and_then(|last| steps.get(last)) else {
        return settings.ttl;
    };
    let shorter = match last {
        1 => settings.ttl,
        _ => longest(steps[last - 2]),
    };
    // Never shorter than the longest of the step before: each is longer than the one before it.
    let from = (*step * 9 / 10).max(shorter).as_secs();
    let spread = longest(*step).as_secs().saturating_sub(from);
    Duration::from_secs(from + ((spread * u64::from(random)) >> 32))
}

fn longest(step: Duration) -> Duration {
    step * 11 / 10
}

/// How many of `offences` are still remembered, so many seconds after the last.
pub fn remembered(settings: &Settings, offences: u32, since: u64) -> u32 {
    let forgotten = since / settings.forget.as_secs().max(1);
    offences.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn minutes(settings: &Settings, before: u32, random: u32) -> u64 {
        ttl(settings, before, random).as_secs() / 60
    }

    #[test]
    fn ten_minutes_an_hour_a_day_a_week_and_not_longer() {
        let settings = Settings::default();
        let half = u32::MAX / 2;
        assert_eq!(ttl(&settings, 0, half), settings.ttl);
        let hour = 60;
        for (before, expected) in [(1, hour), (2, 24 * hour), (3, 168 * hour), (99, 168 * hour)] {
            let (low, high) = (expected * 9 / 10, expected * 11 / 10);
            assert_eq!(minutes(&settings, before, 0), low);
            assert!((low..=high).contains(&minutes(&settings, before, half)));
            assert!(minutes(&settings, before, u32::MAX).abs_diff(high) <= 1);
        }
    }

    #[test]
    fn the_first_block_is_what_the_kernel_wrote_whatever_the_dice_say() {
        let settings = Settings::default();
        assert_eq!(ttl(&settings, 0, 0), ttl(&settings, 0, u32::MAX));
        let without = Settings {
            escalation: Vec::new(),
            ..Settings::default()
        };
        assert_eq!(ttl(&without, 7, u32::MAX), without.ttl);
    }

    #[test]
    fn one_offence_is_forgotten_for_each_week() {
        let settings = Settings::default();
        let week = settings.forget.as_secs();
        for (since, left) in [
            (0, 3),
            (week - 1, 3),
            (week, 2),
            (2 * week, 1),
            (9 * week, 0),
        ] {
            assert_eq!(remembered(&settings, 3, since), left, "{since}");
        }
    }

    proptest! {
        /// For any settings that are good, and whatever the dice say.
        #[test]
        fn each_block_is_at_least_as_long_as_the_one_before(
            first in 1u64..90_000,
            growth in prop::collection::vec(1u64..500_000, 0..6),
            dice in prop::collection::vec(any::<u32>(), 10),
        ) {
            let mut settings = Settings { ttl: Duration::from_secs(first), ..Settings::default() };
            let steps = growth.iter().scan(first, |step, more| {
                *step += more;
                Some(Duration::from_secs(*step))
            });
            settings.escalation = steps.collect();
            prop_assume!(settings.validate().is_ok());
            let steps = settings.escalation.len() as u32;
            for before in 0..steps {
                let (this, next) = (dice[before as usize], dice[before as usize + 1]);
                let (this, next) = (ttl(&settings, before, this), ttl(&settings, before + 1, next));
                prop_assert!(this <= next, "{:?} then {:?}", this, next);
                let most = settings.escalation[before as usize] * 11 / 10;
                prop_assert!(next <= most, "{:?} beyond {:?}", next, most);
            }
        }
    }
}
