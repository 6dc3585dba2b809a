//! How often somebody may ask.

use std::{hash::Hash, num::NonZero, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::HashMapStateStore,
};

use crate::api::wire::{Code, ProblemBody};

/// Those whose rates are kept, before those that are at rest are forgotten.
const KEPT: usize = 4096;

/// A rate for each of those who ask.
pub struct Rates<K: Hash + Eq + Clone>(RateLimiter<K, HashMapStateStore<K>, DefaultClock>);

impl<K: Hash + Eq + Clone> Rates<K> {
    /// So many at once, and one more after each pause.
    pub fn new((burst, pause): (u32, Duration)) -> Self {
        let burst = NonZero::new(burst).expect("one at least");
        let quota = Quota::with_period(pause).expect("longer than nothing");
        Self(RateLimiter::hashmap(quota.allow_burst(burst)))
    }

    /// Counts one.
    ///
    /// # Errors
    /// It is one too many; says when the next one may come.
    pub fn ask(&self, key: &K) -> Result<(), ProblemBody> {
        if self.0.len() > KEPT {
            self.0.retain_recent();
            self.0.shrink_to_fit();
        }
        self.0.check_key(key).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            let secs = wait.as_secs() + 1;
            let message = format!("too many requests, the next one in {secs} s");
            ProblemBody {
                retry_after_s: Some(secs),
                ..ProblemBody::new(Code::TooMany, message)
            }
        })
    }
}
