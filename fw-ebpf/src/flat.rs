//! The maps as the memory of [`fw_common::flat`], and the tries that say the same at another price.
//!
//! The functions with public names are walked by the verifier once, and not for every way that leads
//! to them.

use core::ptr;

use aya_ebpf::btf_maps::lpm_trie::Key;
use fw_common::{
    abi::{self, RowV4, RowV6, TrieV4},
    flat::{
        Answer,
        hosts::{Place, Row},
        presence::{self, HOSTS, RANGES},
        v4, v6,
    },
    parse::Address,
    reason::Family,
};

use crate::maps::{
    self, ALLOW_V4, ALLOW_V6, BLOCK_V4, BLOCK_V6, CHUNKS_V4, DIR_V4, FENCES_V6, GUARD_V4, GUARD_V6,
    LEAVES_V6, NEAR, ROOT, ROWS_V4, ROWS_V6,
};

/// Not 0: the tries are asked instead, to see what that costs.
#[unsafe(no_mangle)]
static TRIES_ONLY: u32 = 0;

/// The rows that speak of the source of the packet at hand.
#[inline(always)]
pub fn find(source: &Address) -> Answer {
    // SAFETY: a reference is valid. Set by the loader, so the compiler must not know it.
    if unsafe { ptr::read_volatile(&raw const TRIES_ONLY) } != 0 {
        return Answer::of_word(fwctl_find_in_tries());
    }
    let [a, b, c, d] = source.octets_v4();
    let high = u32::from_be_bytes([a, b, c, d]);
    match source.family {
        Family::V4 => match near_v4(high) {
            0 => Answer::NONE,
            near => Answer::of_word(fwctl_find_v4(high, near)),
        },
        Family::V6 if presence::v6(high).into_iter().any(is_set) => {
            Answer::of_word(fwctl_find_v6())
        }
        _ => Answer::NONE,
    }
}

/// `HOSTS` and `RANGES` of an address.
#[inline(always)]
fn near_v4(address: u32) -> u64 {
    let (word, shift) = presence::v4(address);
    load(NEAR.get(word)) >> shift & (HOSTS | RANGES)
}

#[inline(always)]
fn is_set((word, bit): (u32, u64)) -> bool {
    NEAR.get(word).is_none_or(|bits| bits & bit != 0)
}

/// The answer if a row in its bucket blocks the address.
#[inline(always)]
fn blocked_host<R: Row + 'static>(
    half: u32,
    address: R::Address,
    row: impl Fn(u32) -> Option<&'static R>,
) -> Option<Answer> {
    let place = Place {
        seed: load(ROOT.get(abi::ROOT_SEED as u32)),
        buckets: load(ROOT.get(R::BUCKETS as u32)) as u32,
    };
    let block = place.find::<R>(half, address, |number| {
        let row = row(number)?;
        Some((first_word(row), row.address()))
    });
    (block != 0).then_some(Answer { protect: 0, block })
}

/// The first word of a row: deadline, list, length and flags.
#[inline(always)]
fn first_word<R>(row: &R) -> u64 {
    // SAFETY: a row begins with an `Entry`, which is aligned to 8 bytes and larger than they are.
    unsafe { ptr::read_volatile(ptr::from_ref(row).cast()) }
}

struct Maps;

/// One load, which the compiler does not repeat: the controller may write a word at any time.
#[inline(always)]
fn load(word: Option<&u64>) -> u64 {
    // SAFETY: a reference is valid.
    word.map_or(0, |word| unsafe { ptr::read_volatile(word) })
}

impl v4::Memory for Maps {
    #[inline(always)]
    fn directory(&self, slot: u32) -> u64 {
        load(DIR_V4.get(slot))
    }

    #[inline(always)]
    fn range(&self, unit: u32, index: u32) -> u64 {
        load(CHUNKS_V4.get(unit * v4::UNIT as u32 + index))
    }
}

impl v6::Memory for Maps {
    #[inline(always)]
    fn fence(&self, number: u32) -> ([u64; 2], u64) {
        let Some([high, low, leaves]) = FENCES_V6.get(number) else {
            return ([u64::MAX; 2], 0);
        };
        ([*high, *low], load(Some(leaves)))
    }

    #[inline(always)]
    fn start(&self, leaf: u32, index: u32) -> [u64; 2] {
        const ROW: u32 = v6::LEAF as u32;
        let at = leaf * 3 * ROW + index;
        [load(LEAVES_V6.get(at)), load(LEAVES_V6.get(at + ROW))]
    }

    #[inline(always)]
    fn answer(&self, leaf: u32, index: u32) -> u64 {
        const ROW: u32 = v6::LEAF as u32;
        load(LEAVES_V6.get(leaf * 3 * ROW + 2 * ROW + index))
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fwctl_find_v4(address: u32, near: u64) -> u64 {
    let half = load(ROOT.get(0)) as u32;
    let needs_ranges = near & RANGES != 0;
    // Where something is guarded or allowed, ranges know whether it is this address.
    let may_be_protected = needs_ranges && is_set(presence::protected(Family::V4, address));
    if near & HOSTS != 0
        && !may_be_protected
        && let Some(answer) = blocked_host::<RowV4>(half, address, |number| ROWS_V4.get(number))
    {
        return answer.word();
    }
    match needs_ranges {
        true => v4::find(&Maps, half, address).word(),
        false => 0,
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fwctl_find_v6() -> u64 {
    let Some(packet) = maps::packet() else {
        return 0;
    };
    let address = packet.source.halves();
    let root = load(ROOT.get(1));
    let half = v6::Root::of(root).half;
    if !is_set(presence::protected(Family::V6, (address[0] >> 32) as u32))
        && let Some(answer) = blocked_host::<RowV6>(half, address, |number| ROWS_V6.get(number))
    {
        return answer.word();
    }
    v6::find(&Maps, root, address).word()
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fwctl_find_in_tries() -> u64 {
    let Some(packet) = maps::packet() else {
        return 0;
    };
    let source = &packet.source;
    let row = |number: Option<&u32>| number.copied().unwrap_or(0);
    let rows = match source.family {
        Family::V4 => {
            let key = trie_v4(source);
            [GUARD_V4.get(&key), ALLOW_V4.get(&key), BLOCK_V4.get(&key)]
        }
        Family::V6 => {
            let key = Key::new(128, source.bytes());
            [GUARD_V6.get(&key), ALLOW_V6.get(&key), BLOCK_V6.get(&key)]
        }
        Family::None => return 0,
    };
    let [guard, allow, block] = rows.map(row);
    let protect = if guard != 0 { guard } else { allow };
    Answer { protect, block }.word()
}

#[inline(always)]
fn trie_v4(address: &Address) -> Key<TrieV4> {
    let [a, b, c, d] = address.octets_v4();
    Key::new(32, [a, b, c, d, 0, 0, 0, 0])
}
