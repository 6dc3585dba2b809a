//! The buckets of limits.

use anyhow::Result;
use aya::maps::Array;
use fw_common::{
    abi,
    limit::{Buckets, SETS},
};

use super::Kernel;

/// Errors are the kernel's.
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
impl Kernel {
    /// When the bucket that fills last is full, in nanoseconds of boot time.
    pub fn last_full(&self) -> Result<u64> {
        let map = Array::<_, Buckets>::try_from(self.map(&abi::BUCKETS)?)?;
        let mut last = 0;
        for set in 0..SETS {
            last = last.max(map.get(&set, 0)?.full_at.into_iter().fold(0, u64::max));
        }
        Ok(last)
    }

    /// Lets so many nanoseconds pass for all buckets.
    pub fn fill_buckets(&mut self, nanoseconds: u64) -> Result<()> {
        let mut map = Array::<_, Buckets>::try_from(self.map_mut(&abi::BUCKETS)?)?;
        for set in 0..SETS {
            let mut buckets = map.get(&set, 0)?;
            if buckets.full_at.iter().any(|full_at| *full_at != 0) {
                let earlier = |full_at: u64| full_at.saturating_sub(nanoseconds);
                buckets.full_at = buckets.full_at.map(earlier);
                map.set(set, buckets, 0)?;
            }
        }
        Ok(())
    }
}
