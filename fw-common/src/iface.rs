//! Which packets are counted apart: those of each interface that has a slot.

/// Slots in `COUNTERS`. Packets of interfaces without one of their own are counted in slot 0.
pub const SLOTS: u32 = 32;

/// Words of `IFACES`; a power of two.
pub const WORDS: u32 = 256;

/// Longest name of an interface, with the zero behind it.
pub const NAME: usize = 16;

/// Which word of `IFACES` speaks of an interface.
#[inline(always)]
pub const fn place(index: u32) -> u32 {
    index & (WORDS - 1)
}

/// What the word of an interface says: its index, because others share the word, and its slot.
pub const fn word(index: u32, slot: u32) -> u64 {
    (index as u64) << 32 | slot as u64
}

/// The slot of an interface, by its word.
#[inline(always)]
pub const fn slot(word: u64, index: u32) -> u32 {
    if (word >> 32) as u32 == index {
        word as u32
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_names_the_slot_of_its_interface_and_of_no_other() {
        for (index, other) in [(2, 2 + WORDS), (u32::MAX, u32::MAX - WORDS), (7, 1)] {
            let word = word(index, 3);
            assert_eq!(slot(word, index), 3);
            assert_eq!(slot(word, other), 0);
            assert!(place(index) < WORDS);
        }
        assert_eq!(place(2), place(2 + WORDS), "they share a word");
        assert_eq!(slot(0, 5), 0, "nobody wrote the word yet");
    }
}
