//! More extension headers than are read hide what stands behind them.

use std::net::IpAddr;

use anyhow::Result;
use fw_common::{
    parse::MAX_EXTENSIONS,
    reason::Reason,
    scan::{Kind, Trigger},
};
use fw_tests::{
    frames::{Frame, tcp},
    kernel::{Program, Table},
};

use super::{block, enforcing, reason, slot, syn, watching};
use crate::senders;

/// A SYN behind so many extension headers.
fn hidden(source: IpAddr, headers: usize) -> Vec<u8> {
    let frame = (0..headers).fold(Frame::new().ip(source), |frame, _| {
        frame.destination_options()
    });
    frame.tcp(40000, 1000, tcp::SYN).bytes()
}

#[test]
fn one_chain_too_long_is_a_scan_and_one_that_is_read_is_a_probe() -> Result<()> {
    let [_, sender] = senders();
    let source = sender.listed;
    for program in Program::ALL {
        let mut kernel = watching(enforcing())?;
        let read = hidden(source, MAX_EXTENSIONS);
        assert_eq!(reason(&kernel, program, &read)?, Reason::Default);
        let before = slot(&kernel, source)?.expect("counted");
        assert_eq!(before.kinds, Kind::Syn as u8);

        let unread = hidden(source, MAX_EXTENSIONS + 1);
        assert_eq!(reason(&kernel, program, &unread)?, Reason::Scan);
        kernel.entry(Table::Block, block(source))?;
        assert_eq!(reason(&kernel, program, &syn(source, 1))?, Reason::Block);
        let events = kernel.crossings()?;
        let [event] = events[..] else {
            panic!("{} events", events.len());
        };
        assert_eq!(event.kinds, Kind::Syn as u8 | Kind::Chain as u8);
        assert_eq!(event.trigger, Trigger::Window as u8);
        assert_eq!(event.port, 0);
    }
    Ok(())
}
