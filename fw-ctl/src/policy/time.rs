//! Times as the policy knows them. Boot time and wall time are different types: a deadline lives
//! in boot time, which no clock change moves; wall time is for people and for reboots.

use std::time::Duration;

use fw_common::abi;

/// The longest that something with an end may last: a century. What the kernel counts in, seconds of
/// 32 bits, ends after 136 years.
pub const LONGEST: Duration = Duration::from_secs(36_525 * 86_400);

/// A second of `CLOCK_BOOTTIME`, the unit the kernel program compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootSecs(pub u32);

/// A second since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallSecs(pub i64);

/// Why something cannot last so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifeError {
    /// 0 seconds.
    #[error("what lasts 0 seconds would end before it begins")]
    None,
    /// Longer than [`LONGEST`].
    #[error("what ends has to end within 100 years, leave the end away for never")]
    TooLong,
}

/// Both clocks, read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since boot, suspend included.
    pub boot: Duration,
    /// Wall time.
    pub wall: WallSecs,
}

impl Now {
    /// The current second of boot time, rounded down as the kernel program does.
    pub fn boot_secs(self) -> BootSecs {
        BootSecs(saturate(self.boot.as_secs()))
    }

    /// The second nearest to `ttl` from now.
    pub fn after(self, ttl: Duration) -> BootSecs {
        let end = self
            .boot
            .saturating_add(ttl)
            .saturating_add(Duration::from_millis(500));
        BootSecs(saturate(end.as_secs()))
    }

    /// When something ends that lasts so many seconds; `None`: never.
    ///
    /// # Errors
    /// [`LifeError`]
    pub fn end_of(self, ttl_s: Option<u64>) -> Result<Option<BootSecs>, LifeError> {
        let ttl = ttl_s.map(Duration::from_secs);
        match ttl {
            Some(Duration::ZERO) => Err(LifeError::None),
            Some(ttl) if ttl > LONGEST => Err(LifeError::TooLong),
            _ => Ok(ttl.map(|ttl| self.after(ttl))),
        }
    }

    /// The deadline on the wall clock as it stands now.
    pub fn wall_of(self, deadline: BootSecs) -> WallSecs {
        let nearest = i64::from(self.after(Duration::ZERO).0);
        WallSecs(self.wall.0.saturating_add(i64::from(deadline.0) - nearest))
    }

    /// The deadline in this boot's time of a moment noted on the wall clock in an earlier boot.
    pub fn boot_of(self, wall: WallSecs) -> BootSecs {
        let ahead = u64::try_from(wall.0.saturating_sub(self.wall.0)).unwrap_or(0);
        self.after(Duration::from_secs(ahead))
    }

    /// Seconds left until the deadline, to the nearest; 0 when it has passed.
    pub fn left(self, deadline: BootSecs) -> u64 {
        u64::from(deadline.0.saturating_sub(self.after(Duration::ZERO).0))
    }
}

/// [`abi::NEVER`] is no second; centuries are close enough to it.
fn saturate(secs: u64) -> u32 {
    u32::try_from(secs).unwrap_or(u32::MAX).min(abi::NEVER - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(boot_ms: u64, wall: i64) -> Now {
        Now {
            boot: Duration::from_millis(boot_ms),
            wall: WallSecs(wall),
        }
    }

    #[test]
    fn a_deadline_is_within_half_a_second_of_what_was_asked() {
        for boot_ms in 100_000..102_000 {
            let BootSecs(deadline) = now(boot_ms, 0).after(Duration::from_secs(5));
            let off = i64::from(deadline) * 1000 - (boot_ms as i64 + 5000);
            assert!((-500..=500).contains(&off), "{boot_ms}: {off} ms off");
            assert_eq!(now(boot_ms, 0).left(BootSecs(deadline)), 5, "{boot_ms}");
        }
    }

    #[test]
    fn a_jump_of_the_wall_clock_moves_the_printed_end_and_not_the_deadline() {
        let deadline = now(10_000, 1_000).after(Duration::from_secs(60));
        assert_eq!(now(10_000, 1_000).wall_of(deadline), WallSecs(1_060));
        assert_eq!(now(10_000, 9_000).wall_of(deadline), WallSecs(9_060));
        assert_eq!(now(10_000, 9_000).left(deadline), 60);
        assert_eq!(now(99_000, 1_000).left(deadline), 0);
    }

    #[test]
    fn after_a_reboot_the_wall_clock_says_what_is_left() {
        assert_eq!(now(5_000, 1_000).boot_of(WallSecs(1_060)), BootSecs(65));
        assert_eq!(now(5_000, 1_000).boot_of(WallSecs(900)), BootSecs(5));
    }

    #[test]
    fn what_lasts_a_second_to_a_century_ends_then_and_nothing_else_is_cut_to_it() {
        let now = now(5_000, 0);
        let century = LONGEST.as_secs();
        assert_eq!(now.end_of(None), Ok(None));
        assert_eq!(now.end_of(Some(1)), Ok(Some(BootSecs(6))));
        let last = u32::try_from(century + 5).expect("32 bits");
        assert_eq!(now.end_of(Some(century)), Ok(Some(BootSecs(last))));
        assert_eq!(now.end_of(Some(0)), Err(LifeError::None));
        for ttl_s in [century + 1, 1 << 32, u64::MAX] {
            assert_eq!(now.end_of(Some(ttl_s)), Err(LifeError::TooLong));
        }
    }

    #[test]
    fn no_duration_is_long_enough_to_become_never() {
        assert!(now(5_000, 0).after(Duration::MAX).0 < abi::NEVER);
    }
}
