//! `why`: what happens to packets from an address, layer by layer.

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    api::wire::{ProbePacket, ScanSource, Why},
    cli::{
        Context, address, check,
        client::with_query,
        geo,
        list::describe,
        output::{Output, escape},
    },
};

/// What `why` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The source of the packet
    #[arg(value_name = "ADDR")]
    address: String,
    /// Its destination port
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Its protocol
    #[arg(long)]
    proto: Option<Proto>,
    /// The interface it comes in on
    #[arg(long, value_name = "IFACE")]
    iface: Option<String>,
    /// Its VLAN tag
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u16).range(0..4095))]
    vlan: Option<u16>,
}

/// A protocol that a packet can be made of.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Proto {
    Tcp,
    Udp,
    Icmp,
}

impl Proto {
    const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        }
    }
}

/// `fw-ctl why`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    let query = [
        ("address", Some(address::host(&args.address)?.to_string())),
        ("port", args.port.map(|port| port.to_string())),
        ("proto", args.proto.map(|proto| proto.name().to_owned())),
        ("iface", args.iface.clone()),
        ("vlan", args.vlan.map(|vlan| vlan.to_string())),
    ];
    let why: Why = context.client.get(&with_query("/why", &query))?;
    context
        .output
        .either(&why, |why| text(why, &context.output))?;
    Ok(0)
}

/// The whole explanation.
pub fn text(why: &Why, output: &Output) -> String {
    headline(why, output) + &explain(why)
}

/// What becomes of the packet: a layer that comes after the program may drop what that passes.
fn headline(why: &Why, output: &Output) -> String {
    let mut layers = why.layers.iter();
    match layers.find(|layer| layer.verdict == "drop") {
        Some(layer) if why.check.verdict != "drop" => format!(
            "{}: {}, {} ({})\n",
            why.check.address,
            output.bad("drop"),
            escape(&layer.detail),
            escape(&layer.name)
        ),
        _ => check::headline(&why.check, output),
    }
}

fn explain(why: &Why) -> String {
    let mut lines = vec![("packet", packet(&why.packet))];
    for layer in &why.layers {
        let verdict = format!("{}: {}", layer.verdict, escape(&layer.detail));
        lines.push((&layer.name, verdict));
    }
    let home = geo::home::long(why.check.geo.as_ref());
    if !home.is_empty() {
        lines.push(("from", home));
    }
    if let Some(guard) = &why.guard {
        lines.push(("guard", format!("{} ({})", guard.prefix, guard.source)));
    }
    if let Some(scan) = &why.scan {
        lines.push(("scan", scan_so_far(scan)));
    }
    lines.extend(why.covering.iter().map(|entry| ("also", describe(entry))));
    let width = lines.iter().map(|(name, _)| name.chars().count() + 2).max();
    let width = width.unwrap_or_default();
    lines
        .into_iter()
        .map(|(name, text)| format!("  {:<width$}{text}\n", escape(name)))
        .collect()
}

/// `7 ports not served so far (21, 22, 23)`
fn scan_so_far(scan: &ScanSource) -> String {
    let ports: Vec<String> = scan.ports.iter().map(u16::to_string).collect();
    let score = scan.score.max(scan.slow_score);
    let plural = if score == 1.0 { "" } else { "s" };
    format!(
        "{score} port{plural} not served so far ({})",
        ports.join(", ")
    )
}

fn packet(packet: &ProbePacket) -> String {
    let port = packet
        .port
        .filter(|port| *port > 0)
        .map(|port| format!(" port {port}"))
        .unwrap_or_default();
    let vlan = packet
        .vlan
        .map(|vlan| format!(", vlan {vlan}"))
        .unwrap_or_default();
    let interface = match &packet.interface {
        Some(interface) => format!(", in on {}", escape(interface)),
        None => String::new(),
    };
    format!(
        "{} {} -> {}{port}{interface}{vlan}, {} bytes",
        packet.protocol, packet.source, packet.destination, packet.length
    )
}

#[cfg(test)]
mod tests {
    use clap::ColorChoice;

    use super::*;
    use crate::{
        api::wire::{Check, Guarded, Layer},
        cli::{list::tests::entry, output::Format},
    };

    fn guarded() -> Why {
        Why {
            check: Check {
                address: "192.0.2.7".parse().expect("an address"),
                verdict: "pass".into(),
                reason: "guard".into(),
                observe: false,
                entry: None,
                geo: Some(geo::home::tests::geo()),
            },
            packet: ProbePacket {
                source: "192.0.2.7".parse().expect("an address"),
                destination: "192.0.2.1".parse().expect("an address"),
                protocol: "tcp".into(),
                port: Some(22),
                vlan: Some(5),
                interface: Some("eth0".into()),
                length: 58,
            },
            layers: vec![Layer {
                name: "xdp".into(),
                verdict: "pass".into(),
                detail: "guarded".into(),
            }],
            covering: vec![entry("192.0.2.0/24", "block", "")],
            scan: Some(ScanSource {
                source: "192.0.2.7".into(),
                score: 2.5,
                slow_score: 3.0,
                distinct_ports: 3,
                ports: vec![21, 22, 23],
                last_s: 4,
            }),
            guard: Some(Guarded {
                prefix: "192.0.2.7".into(),
                source: "ssh-peer".into(),
            }),
        }
    }

    #[test]
    fn an_explanation_names_packet_layers_guard_and_what_else_covers() {
        assert_eq!(
            explain(&guarded()),
            "  packet  tcp 192.0.2.7 -> 192.0.2.1 port 22, in on eth0, vlan 5, 58 bytes\n  \
               xdp     pass: guarded\n  \
               from    DE AS64500 (Example \\u{1b}[31m)\n  \
               guard   192.0.2.7 (ssh-peer)\n  \
               scan    3 ports not served so far (21, 22, 23)\n  \
               also    block 192.0.2.0/24 in list local, without end\n"
        );
    }

    #[test]
    fn a_layer_behind_the_program_that_drops_is_the_headline() {
        let output = Output::new(Format::Human, false, ColorChoice::Never);
        let mut why = guarded();
        assert_eq!(
            headline(&why, &output),
            "192.0.2.7: pass, the source is guarded: nothing can drop it\n"
        );
        why.layers.push(Layer {
            name: "iptables-legacy".into(),
            verdict: "drop".into(),
            detail: "rule 3 drops new connections".into(),
        });
        assert_eq!(
            headline(&why, &output),
            "192.0.2.7: drop, rule 3 drops new connections (iptables-legacy)\n"
        );
        let text = explain(&why);
        let layer = "  iptables-legacy  drop: rule 3 drops new connections\n";
        assert!(text.contains(layer), "{text}");
        assert!(
            text.contains("  xdp              pass: guarded\n"),
            "{text}"
        );
    }
}
