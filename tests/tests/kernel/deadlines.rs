//! An entry ends by itself, to the second, and what it covered falls to the next table.

use std::{net::IpAddr, thread, time::Duration};

use anyhow::Result;
use fw_common::{Prefix, abi::NEVER, reason::Reason};
use fw_tests::kernel::{Answer, Kernel, Program, Table, boot_seconds};

use crate::{decided, family, plain, senders, syn};

fn ask(kernel: &Kernel, source: IpAddr) -> Result<Answer> {
    let frags = kernel.ask(Program::Frags, &syn(source))?;
    assert_eq!(frags, kernel.ask(Program::Linear, &syn(source))?);
    Ok(frags)
}

#[test]
fn an_entry_counts_until_its_deadline() -> Result<()> {
    let mut kernel = Kernel::load()?;
    for sender in senders() {
        let family = family(sender.listed);
        for prefix in [Prefix::host(sender.listed), sender.network] {
            for table in Table::ALL {
                let now = boot_seconds()?;
                for (deadline, live) in [
                    (0, false),
                    (1, false),
                    (now - 1, false),
                    (now, false),
                    (now + 60, true),
                    (NEVER - 1, true),
                    (NEVER, true),
                ] {
                    kernel.set(table, prefix, 4, deadline)?;
                    let expected = match live {
                        true => decided(table.reason(), family, (4, deadline, prefix.length())),
                        false => plain(Reason::Default, family),
                    };
                    let answer = ask(&kernel, sender.listed)?;
                    assert_eq!(answer, expected, "{prefix} until {deadline}, now {now}");
                }
                kernel.remove(table, prefix)?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_block_ends_by_itself() -> Result<()> {
    let mut kernel = Kernel::load()?;
    let deadline = boot_seconds()? + 2;
    for sender in senders() {
        kernel.set(Table::Block, Prefix::host(sender.listed), 1, deadline)?;
    }
    let mut dropped = false;
    loop {
        let before = boot_seconds()?;
        let reasons = senders().map(|sender| ask(&kernel, sender.listed));
        let after = boot_seconds()?;
        for answer in reasons {
            match answer?.outcome.reason {
                Reason::Block => {
                    dropped = true;
                    assert!(before < deadline, "drops at {before}");
                }
                reason => {
                    assert_eq!(reason, Reason::Default);
                    assert!(after >= deadline, "passes at {after}");
                }
            }
        }
        if before >= deadline {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    assert!(dropped);
    Ok(())
}

#[test]
fn an_expired_allow_protects_no_more() -> Result<()> {
    let mut kernel = Kernel::load()?;
    for sender in senders() {
        let now = boot_seconds()?;
        kernel.set(Table::Block, sender.network, 1, NEVER)?;
        for allowed in [Prefix::host(sender.listed), sender.network] {
            for (deadline, expected) in [(now + 60, Reason::Allow), (now, Reason::Block)] {
                kernel.set(Table::Allow, allowed, 2, deadline)?;
                let answer = ask(&kernel, sender.listed)?;
                assert_eq!(answer.outcome.reason, expected, "{allowed}");
            }
            kernel.remove(Table::Allow, allowed)?;
        }
    }
    Ok(())
}
