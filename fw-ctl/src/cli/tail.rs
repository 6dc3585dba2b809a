//! `tail`: drops, scans and changes as they happen.

use std::net::{IpAddr, SocketAddr};

use anyhow::Result;

use crate::{
    api::wire::{DropSample, EntryEvent, Event, EventKind, Kinds},
    cli::{
        Context,
        client::with_query,
        geo::home,
        output::{Output, escape, unless_reader_left},
        scan::{event, time},
    },
    policy::service::Protocol,
};

/// What `tail` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only what the scan detector does, as it stands in its log
    #[arg(long)]
    scans: bool,
}

/// `fw-ctl tail`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    let kinds = EventKind::ALL.into_iter();
    let kinds = Kinds::of(kinds.filter(|kind| !args.scans || kind.is_scan()));
    let path = with_query("/events", &[("kinds", Some(kinds.to_string()))]);
    let print = |data: &str| {
        let text = match context.output.is_json() {
            true => data.to_owned(),
            false => line(&serde_json::from_str(data)?, &context.output),
        };
        Ok(context.output.stream(&text)?)
    };
    unless_reader_left(context.client.events(&path, print))?;
    Ok(0)
}

/// An event in one line.
pub fn line(event: &Event, output: &Output) -> String {
    match event {
        Event::Drop(sample) => {
            let verdict = match sample.observed {
                true => "observe".to_owned(),
                false => output.bad("drop"),
            };
            format!("{:.0} {verdict} {}", sample.time, packet(sample))
        }
        Event::Changed { time, detail, by } => {
            format!("{time:.0} changed {} by {}", escape(detail), escape(by))
        }
        Event::Block(entry)
        | Event::Unblock(entry)
        | Event::Allow(entry)
        | Event::Unallow(entry)
        | Event::Expire(entry) => self::entry(event.kind(), entry),
        Event::Drift {
            time,
            layer,
            detail,
        } => format!("{time:.0} drift in {layer} repaired: {}", escape(detail)),
        Event::Alarm {
            time,
            subject,
            message,
        } => match message {
            Some(message) => format!("{time:.0} {} {}", output.bad("alarm"), escape(message)),
            None => format!(
                "{time:.0} {} {}",
                output.good("well again"),
                escape(subject)
            ),
        },
        Event::Lost { time, count } => match count {
            Some(count) => format!("{time:.0} {count} events lost"),
            None => format!("{time:.0} events lost, nobody knows how many"),
        },
        Event::Interface {
            time,
            interface,
            detail,
            ..
        } => format!(
            "{time:.0} interface {} {}",
            escape(interface),
            escape(detail)
        ),
        Event::Scan(event) => event::scan(event, output),
        Event::RollUp(event) => event::roll_up(event),
        Event::Unroll(event) => event::unroll(event),
    }
}

/// `2026-11-22T10:00:00Z block 192.0.2.7 in local for 10m by uid 0: ssh brute force`
fn entry(kind: EventKind, entry: &EntryEvent) -> String {
    let what = match (kind, entry.updated) {
        (EventKind::Expire, _) => format!("expire {}", escape(&entry.action)),
        (kind, true) => format!("{} again", kind.name()),
        (kind, false) => kind.name().to_owned(),
    };
    let what = match entry.observed {
        true => format!("observe {what}"),
        false => what,
    };
    let mut text = format!(
        "{:.0} {what} {} in {}",
        entry.time,
        escape(&entry.prefix),
        escape(&entry.list)
    );
    if let (Some(ttl), EventKind::Block | EventKind::Allow) = (entry.ttl_s, kind) {
        text += &format!(" for {}", time(ttl));
    }
    text += &home::from(entry.geo.as_ref());
    text += &format!(" by {}", escape(&entry.by));
    match entry.comment.as_str() {
        "" => text,
        comment => text + ": " + &escape(comment),
    }
}

/// `192.0.2.7:4242 -> 198.51.100.2:22 tcp block local eth0 60 bytes`
fn packet(sample: &DropSample) -> String {
    let ports = has_ports(sample.protocol);
    let mut text = format!(
        "{} -> {} {} {}",
        end(sample.source, ports.then_some(sample.source_port)),
        end(sample.destination, ports.then_some(sample.destination_port)),
        protocol(sample),
        sample.reason,
    );
    if let Some(list) = &sample.list {
        text += &format!(" {}", escape(list));
    }
    text += &format!(" {}", escape(&sample.interface));
    for vlan in &sample.vlans {
        text += &format!(" vlan {vlan}");
    }
    text + &format!(
        " {} bytes{}",
        sample.length,
        home::from(sample.geo.as_ref())
    )
}

/// An address, with its port where one was read.
fn end(address: Option<IpAddr>, port: Option<u16>) -> String {
    match (address, port) {
        (None, _) => "?".to_owned(),
        (Some(address), Some(port @ 1..)) => SocketAddr::new(address, port).to_string(),
        (Some(address), _) => address.to_string(),
    }
}

const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, 6 | 17)
}

fn protocol(sample: &DropSample) -> String {
    let [kind, code] = sample.destination_port.to_be_bytes();
    match (sample.protocol, Protocol::name_of(sample.protocol)) {
        (1 | 58, Some(name)) => format!("{name} {kind}/{code}"),
        (_, Some(name)) => name.to_owned(),
        (number, None) => format!("protocol {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> DropSample {
        DropSample {
            time: jiff::Timestamp::UNIX_EPOCH,
            interface: "eth0".into(),
            source: "192.0.2.7".parse().ok(),
            destination: "198.51.100.2".parse().ok(),
            protocol: 6,
            source_port: 4242,
            destination_port: 22,
            vlans: Vec::new(),
            length: 60,
            reason: "block".into(),
            list: Some("local".into()),
            observed: false,
            geo: None,
        }
    }

    #[test]
    fn a_drop_is_one_line() {
        assert_eq!(
            packet(&sample()),
            "192.0.2.7:4242 -> 198.51.100.2:22 tcp block local eth0 60 bytes"
        );
        let known = DropSample {
            geo: Some(home::tests::geo()),
            ..sample()
        };
        assert!(
            packet(&known).ends_with(" 60 bytes from DE AS64500 (Example \\u{1b}[31m)"),
            "{}",
            packet(&known)
        );
        let v6 = DropSample {
            source: "2001:db8::7".parse().ok(),
            destination: "2001:db8::1".parse().ok(),
            vlans: vec![5, 6],
            ..sample()
        };
        assert_eq!(
            packet(&v6),
            "[2001:db8::7]:4242 -> [2001:db8::1]:22 tcp block local eth0 vlan 5 vlan 6 60 bytes"
        );
    }

    #[test]
    fn what_has_no_ports_shows_none() {
        let icmp = DropSample {
            protocol: 1,
            source_port: 0,
            destination_port: 0x0800,
            ..sample()
        };
        assert_eq!(
            packet(&icmp),
            "192.0.2.7 -> 198.51.100.2 icmp 8/0 block local eth0 60 bytes"
        );
        let fragment = DropSample {
            source_port: 0,
            destination_port: 0,
            list: None,
            reason: "tags".into(),
            ..sample()
        };
        assert_eq!(
            packet(&fragment),
            "192.0.2.7 -> 198.51.100.2 tcp tags eth0 60 bytes"
        );
        let unread = DropSample {
            source: None,
            destination: None,
            protocol: 99,
            ..sample()
        };
        assert_eq!(
            packet(&unread),
            "? -> ? protocol 99 block local eth0 60 bytes"
        );
    }
}
