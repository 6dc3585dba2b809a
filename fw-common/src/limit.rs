//! How many new connections are too many: the step of a token bucket.
//!
//! A bucket is one number (GCRA, ITU-T I.371): the time at which it is full again. A connection
//! moves it on by the interval of its limit, and is too many where that would be more than a burst
//! of intervals ahead. There is no remainder that could be lost.
//!
//! Buckets stand in sets of [`WAYS`], one cache line each. One that is full again says no more than
//! none, so it is free for anybody, and nothing has to be cleared away.

use crate::{parse::Address, reason::Family, scan::mix};

/// A limit: one element of the array `LIMITS`. Whoever changes the rate writes one word.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Nanoseconds until one more connection is granted.
    pub interval_ns: u64,
    /// Number of the rule; 0 where there is no limit.
    pub rule: u32,
    /// Connections that a full bucket grants at once; at least 1.
    pub burst: u16,
    /// Not 0: everybody shares one bucket.
    pub shared: u16,
}

impl Limit {
    /// How far ahead a bucket may be.
    #[inline(always)]
    const fn span(&self) -> u64 {
        // An interval of days and a burst of thousands are 27 years; no product of these wraps.
        self.interval_ns.wrapping_mul(self.burst as u64)
    }
}

/// One more connection at `now`: whether it is within the limit, and when the bucket is full again.
#[inline(always)]
pub const fn step(full_at: u64, now: u64, limit: &Limit) -> (bool, u64) {
    let span = limit.span();
    // No bucket is emptier than empty, though the rate may have risen since.
    let ahead = match full_at.saturating_sub(now) {
        ahead if ahead < span => ahead,
        _ => span,
    };
    let within = limit.interval_ns <= span - ahead;
    let taken = if within { limit.interval_ns } else { 0 };
    (within, now.saturating_add(ahead).saturating_add(taken))
}

/// Buckets in a set.
pub const WAYS: usize = 5;

/// Buckets that share a lock: one cache line in the array `BUCKETS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Not 0 while a CPU works on the set.
    pub lock: u32,
    /// Whose each is: [`Key::tag`].
    pub tags: [u32; WAYS],
    /// Nanosecond of boot time at which each is full again.
    pub full_at: [u64; WAYS],
}

const _: () = {
    assert!(size_of::<Limit>() == 16);
    assert!(size_of::<Buckets>() == 64);
};

/// Bucket sets; a power of two.
pub const SETS: u32 = 1 << 14;

/// Where a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Number of the set.
    pub set: u32,
    /// Which of the set's it is.
    pub tag: u32,
}

/// The bucket of a source in a limit: each IPv4 address has one, each IPv6 /64, or everybody
/// together. Without the seed nobody can choose it.
#[inline(always)]
pub fn key(source: &Address, limit: &Limit, seed: u64) -> Key {
    let [high, _] = source.halves();
    let (source, family) = match limit.shared {
        0 => (high, source.family),
        _ => (0, Family::None),
    };
    let hash = mix(source, (limit.rule as u64) << 8 | family as u64, seed);
    Key {
        set: (hash >> (64 - SETS.trailing_zeros())) as u32,
        tag: (hash >> 16) as u32,
    }
}

/// What a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metered {
    /// Within the limit.
    Within,
    /// Too many.
    Exceeded,
    /// All buckets of the set are in use by others.
    Unmetered,
}

/// Meters a connection; `counts` says whether it is one or only a question.
#[inline(always)]
pub fn meter(buckets: &mut Buckets, tag: u32, now: u64, limit: &Limit, counts: bool) -> Metered {
    let mut found = None;
    for way in 0..WAYS {
        if buckets.full_at[way] <= now {
            found = Some(way);
        } else if buckets.tags[way] == tag {
            found = Some(way);
            break;
        }
    }
    let Some(way) = found else {
        return Metered::Unmetered;
    };
    let (within, full_at) = step(buckets.full_at[way], now, limit);
    if counts {
        buckets.tags[way] = tag;
        buckets.full_at[way] = full_at;
    }
    match within {
        true => Metered::Within,
        false => Metered::Exceeded,
    }
}

#[cfg(test)]
mod tests;
