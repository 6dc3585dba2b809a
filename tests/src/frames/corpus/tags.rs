//! VLAN tags: none of them carries a source past the filter.

use super::{Fate, Seed};
use crate::frames::{
    Frame,
    ethertype::{QINQ, QINQ_OLD, VLAN},
    tcp::SYN,
};

pub const SEEDS: &[Seed] = &[
    Seed::new("one tag", |s| {
        Frame::new().vlan(5).ip(s).tcp(40000, 22, SYN).bytes()
    }),
    Seed::new("one tag with priority and drop bits", |s| {
        Frame::new().vlan(0xf005).ip(s).udp(40000, 53).bytes()
    }),
    Seed::new("vlan 4095", |s| {
        Frame::new().vlan(4095).ip(s).udp(40000, 53).bytes()
    }),
    Seed::new("priority tag", |s| {
        Frame::new().vlan(0).ip(s).udp(40000, 53).bytes()
    }),
    Seed::new("priority tag with a priority", |s| {
        Frame::new().vlan(0xe000).ip(s).udp(40000, 53).bytes()
    }),
    Seed::new("service tag alone", |s| {
        Frame::new().tag(QINQ, 5).ip(s).udp(40000, 53).bytes()
    }),
    Seed::new("old service tag alone", |s| {
        Frame::new().tag(QINQ_OLD, 5).ip(s).udp(40000, 53).bytes()
    }),
    Seed::new("two tags", |s| {
        let frame = Frame::new().vlan(5).vlan(6);
        frame.ip(s).tcp(40000, 22, SYN).bytes()
    }),
    Seed::new("two priority tags", |s| {
        let frame = Frame::new().vlan(0).vlan(0);
        frame.ip(s).tcp(40000, 22, SYN).bytes()
    }),
    Seed::new("service and customer tag", |s| {
        let frame = Frame::new().tag(QINQ, 5).vlan(6);
        frame.ip(s).tcp(40000, 22, SYN).bytes()
    }),
    Seed::new("old service and customer tag", |s| {
        let frame = Frame::new().tag(QINQ_OLD, 5).vlan(6);
        frame.ip(s).udp(40000, 53).bytes()
    }),
    Seed::new("two service tags", |s| {
        let frame = Frame::new().tag(QINQ, 5).tag(QINQ, 6);
        frame.ip(s).udp(40000, 53).bytes()
    }),
    Seed::new("three tags", |s| {
        let frame = Frame::new().tag(QINQ, 5).vlan(6).vlan(7);
        frame.ip(s).udp(40000, 53).bytes()
    })
    .fate(Fate::Tags),
    Seed::new("three priority tags", |s| {
        let frame = Frame::new().vlan(0).vlan(0).vlan(0);
        frame.ip(s).udp(40000, 53).bytes()
    })
    .fate(Fate::Tags),
    Seed::new("ten tags", |s| {
        let frame = (0..10).fold(Frame::new(), |frame, _| frame.tag(VLAN, 1));
        frame.ip(s).udp(40000, 53).bytes()
    })
    .fate(Fate::Tags),
];
