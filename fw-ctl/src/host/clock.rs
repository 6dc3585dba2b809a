//! The clocks.

use std::{fs, io, time::Duration};

use nix::time::{ClockId, clock_gettime};

use crate::policy::time::{Now, WallSecs};

/// Reads boot time and wall time.
pub fn now() -> Now {
    let read = |clock| clock_gettime(clock).expect("every kernel that runs XDP has this clock");
    Now {
        boot: Duration::from(read(ClockId::CLOCK_BOOTTIME)),
        wall: WallSecs(read(ClockId::CLOCK_REALTIME).tv_sec()),
    }
}

/// Second of `CLOCK_MONOTONIC`, which the kernel program counts windows in.
pub fn monotonic_secs() -> u32 {
    let read = clock_gettime(ClockId::CLOCK_MONOTONIC);
    let secs = read.expect("every kernel has this clock").tv_sec();
    u32::try_from(secs).unwrap_or(u32::MAX)
}

/// Name of this boot: deadlines in boot time mean nothing in another.
///
/// # Errors
/// When `/proc` is not mounted.
pub fn boot_id() -> io::Result<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn boot_time_is_what_the_kernel_prints_and_wall_time_what_everybody_has() {
        let uptime = fs::read_to_string("/proc/uptime").expect("/proc is mounted");
        let uptime: f64 = uptime
            .split(' ')
            .next()
            .expect("two numbers")
            .parse()
            .expect("a number");
        let now = now();
        assert!(
            (now.boot.as_secs_f64() - uptime).abs() < 5.0,
            "{now:?} {uptime}"
        );
        let wall = SystemTime::UNIX_EPOCH
            .elapsed()
            .expect("after 1970")
            .as_secs();
        assert!(now.wall.0.abs_diff(wall as i64) < 5, "{now:?} {wall}");
    }

    #[test]
    fn a_boot_has_one_name() {
        let id = boot_id().expect("/proc is mounted");
        assert_eq!(id.len(), 36);
        assert_eq!(id, boot_id().expect("/proc is mounted"));
    }
}
