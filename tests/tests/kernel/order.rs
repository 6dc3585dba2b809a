//! Guard beats allow, allow beats block, and each holds exactly its addresses.

use std::net::IpAddr;

use anyhow::Result;
use fw_common::{Prefix, abi::NEVER, reason::Reason};
use fw_tests::kernel::{Kernel, Program, Table};

use crate::{Sender, decided, family, plain, prefix, senders, syn};

/// Ways to list a source, from the strongest to the weakest.
#[derive(Clone, Copy, Debug)]
enum Listing {
    Guarded(Prefix),
    Listed(Table, Prefix),
}

impl Listing {
    fn all(sender: &Sender) -> [Self; 6] {
        let host = Prefix::host(sender.listed);
        [
            Self::Guarded(host),
            Self::Guarded(sender.network),
            Self::Listed(Table::Allow, host),
            Self::Listed(Table::Allow, sender.network),
            Self::Listed(Table::Block, host),
            Self::Listed(Table::Block, sender.network),
        ]
    }

    fn apply(self, kernel: &mut Kernel) -> Result<()> {
        match self {
            Self::Guarded(prefix) => kernel.guard(prefix),
            Self::Listed(table, prefix) => kernel.set(table, prefix, 3, NEVER),
        }
    }

    fn undo(self, kernel: &mut Kernel) -> Result<()> {
        match self {
            Self::Guarded(prefix) => kernel.unguard(prefix),
            Self::Listed(table, prefix) => kernel.remove(table, prefix),
        }
    }
}

#[test]
fn the_strongest_of_all_listings_of_a_source_decides() -> Result<()> {
    let mut kernel = Kernel::load()?;
    for sender in senders() {
        let listings = Listing::all(&sender);
        for chosen in 0..1 << listings.len() {
            let is_chosen = |(at, _): &(usize, Listing)| chosen & 1 << at != 0;
            let chosen = || listings.into_iter().enumerate().filter(is_chosen);
            for (_, listing) in chosen() {
                listing.apply(&mut kernel)?;
            }
            let family = family(sender.listed);
            let expected = match chosen().next() {
                Some((_, Listing::Guarded(_))) => plain(Reason::Guard, family),
                Some((_, Listing::Listed(table, prefix))) => {
                    decided(table.reason(), family, (3, NEVER, prefix.length()))
                }
                None => plain(Reason::Default, family),
            };
            for program in Program::ALL {
                let answer = kernel.ask(program, &syn(sender.listed))?;
                assert_eq!(answer, expected, "{:?}", chosen().collect::<Vec<_>>());
                let answer = kernel.ask(program, &syn(sender.free))?;
                assert_eq!(answer, plain(Reason::Default, family));
            }
            for (_, listing) in chosen() {
                listing.undo(&mut kernel)?;
            }
        }
    }
    Ok(())
}

#[test]
fn an_allow_inside_a_block_counts_from_the_next_packet_on() -> Result<()> {
    let mut kernel = Kernel::load()?;
    for sender in senders() {
        let host = Prefix::host(sender.listed);
        let neighbour = sender.network.last();
        kernel.set(Table::Block, sender.network, 1, NEVER)?;
        for _ in 0..3 {
            assert_eq!(reason(&kernel, sender.listed)?, Reason::Block);
            kernel.set(Table::Allow, host, 2, NEVER)?;
            assert_eq!(reason(&kernel, sender.listed)?, Reason::Allow);
            assert_eq!(reason(&kernel, neighbour)?, Reason::Block);
            kernel.remove(Table::Allow, host)?;
        }
    }
    Ok(())
}

#[test]
fn a_block_inside_an_allow_does_not_count() -> Result<()> {
    let mut kernel = Kernel::load()?;
    for sender in senders() {
        kernel.set(Table::Allow, sender.network, 1, NEVER)?;
        kernel.set(Table::Block, Prefix::host(sender.listed), 2, NEVER)?;
        assert_eq!(reason(&kernel, sender.listed)?, Reason::Allow);
        kernel.remove(Table::Allow, sender.network)?;
        assert_eq!(reason(&kernel, sender.listed)?, Reason::Block);
    }
    Ok(())
}

#[test]
fn a_prefix_of_any_length_holds_its_addresses_and_no_others() -> Result<()> {
    let mut kernel = Kernel::load()?;
    for address in [prefix("172.21.201.90"), prefix("2001:db8:5a5a::a5a5")] {
        for length in 0..=address.length() {
            let Some(listed) = Prefix::new(address.address(), length) else {
                continue;
            };
            for table in Table::ALL {
                kernel.set(table, listed, 1, NEVER)?;
                for inside in [listed.address(), listed.last()] {
                    let (found, expected) = (reason(&kernel, inside)?, table.reason());
                    assert_eq!(found, expected, "{inside} in {listed}");
                }
                for outside in neighbours(listed) {
                    let found = reason(&kernel, outside)?;
                    assert_eq!(found, Reason::Default, "{outside} beside {listed}");
                }
                kernel.remove(table, listed)?;
            }
            kernel.guard(listed)?;
            assert_eq!(reason(&kernel, listed.last())?, Reason::Guard);
            for outside in neighbours(listed) {
                let found = reason(&kernel, outside)?;
                assert_eq!(found, Reason::Default, "{outside} beside {listed}");
            }
            kernel.unguard(listed)?;
        }
    }
    Ok(())
}

/// The addresses directly before and after a prefix.
fn neighbours(prefix: Prefix) -> Vec<IpAddr> {
    let step = |address, by: i128| -> Option<IpAddr> {
        match address {
            IpAddr::V4(v4) => {
                let bits = i64::from(v4.to_bits()) + by as i64;
                Some(IpAddr::V4(u32::try_from(bits).ok()?.into()))
            }
            IpAddr::V6(v6) => {
                let bits = v6.to_bits().checked_add_signed(by)?;
                Some(IpAddr::V6(bits.into()))
            }
        }
    };
    let both = [step(prefix.address(), -1), step(prefix.last(), 1)];
    both.into_iter().flatten().collect()
}

/// Why both programs decide as they do about a packet of this source.
fn reason(kernel: &Kernel, source: IpAddr) -> Result<Reason> {
    let [frags, linear] = Program::ALL.map(|program| kernel.ask(program, &syn(source)));
    let (frags, linear) = (frags?, linear?);
    assert_eq!(frags, linear, "{source}");
    Ok(frags.outcome.reason)
}
