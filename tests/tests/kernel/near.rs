//! Where nothing is listed near a source, no table is asked.

use anyhow::Result;
use fw_common::{Prefix, abi::NEVER, reason::Reason};
use fw_tests::kernel::{Kernel, Program, Table};

use crate::{senders, syn};

#[test]
fn a_table_is_asked_only_near_what_is_listed() -> Result<()> {
    for sender in senders() {
        for prefix in [Prefix::host(sender.listed), sender.network] {
            for listing in [Reason::Guard, Reason::Allow, Reason::Block] {
                let mut kernel = Kernel::load()?;
                let list = |kernel: &mut Kernel| match listing {
                    Reason::Guard => kernel.guard(prefix),
                    Reason::Allow => kernel.set(Table::Allow, prefix, 1, NEVER),
                    _ => kernel.set(Table::Block, prefix, 1, NEVER),
                };
                for program in Program::ALL {
                    let reason = |kernel: &Kernel| -> Result<Reason> {
                        Ok(kernel.ask(program, &syn(sender.listed))?.outcome.reason)
                    };
                    list(&mut kernel)?;
                    assert_eq!(reason(&kernel)?, listing);
                    kernel.unmark_all()?;
                    assert_eq!(reason(&kernel)?, Reason::Default, "{prefix}");
                }
            }
        }
    }
    Ok(())
}
