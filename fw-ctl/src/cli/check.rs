//! `check`: whether an address would pass, for scripts.

use anyhow::Result;
use fw_common::reason::Reason;

use crate::{
    api::wire::Check,
    cli::{
        Context, address,
        client::with_query,
        list::describe,
        output::{Output, escape},
    },
};

/// What `check` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The source of the packets
    #[arg(value_name = "ADDR")]
    address: String,
}

/// `fw-ctl check`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    let address = address::host(&args.address)?.to_string();
    let check: Check = context
        .client
        .get(&with_query("/check", &[("address", Some(address))]))?;
    context
        .output
        .either(&check, |check| headline(check, &context.output))?;
    Ok(u8::from(check.verdict == "drop"))
}

/// The verdict and what it comes from, in one line.
pub fn headline(check: &Check, output: &Output) -> String {
    let verdict = match check.verdict.as_str() {
        "drop" => output.bad("drop"),
        other => output.good(other),
    };
    let reason = Reason::ALL
        .into_iter()
        .find(|reason| reason.name() == check.reason);
    let because = match (&check.entry, reason) {
        (Some(entry), _) => describe(entry),
        (None, Some(reason)) => in_words(reason).to_owned(),
        (None, None) => escape(&check.reason).into_owned(),
    };
    let observed = match check.observe && reason.is_some_and(Reason::drops) {
        true => " (observe mode: only counted)",
        false => "",
    };
    format!("{}: {verdict}, {because}{observed}\n", check.address)
}

/// What a reason means for a packet.
pub const fn in_words(reason: Reason) -> &'static str {
    match reason {
        Reason::NotIp => "the frame is neither IPv4 nor IPv6",
        Reason::Unreadable => "the headers end before the source: the kernel discards the packet",
        Reason::Link => "discovery and DHCP keep the link alive and are never dropped",
        Reason::Guard => "the source is guarded: nothing can drop it",
        Reason::Allow => "the source is allowed, which beats every block",
        Reason::Block => "the source is blocked, and neither guarded nor allowed",
        Reason::Tags => "the frame has more VLAN tags than are read",
        Reason::Default => "nothing names the source",
        Reason::Scan => "the source crossed the threshold of the scan detector",
        Reason::Limit => "the source makes more new connections than a rule allows",
        Reason::Rule => "a rule closes this port to the source",
    }
}

#[cfg(test)]
mod tests {
    use clap::ColorChoice;

    use super::*;
    use crate::{
        api::wire::Entry,
        cli::{list::tests::entry, output::Format},
    };

    fn line(verdict: &str, reason: &str, observe: bool, entry: Option<Entry>) -> String {
        let check = Check {
            address: "192.0.2.7".parse().expect("an address"),
            verdict: verdict.into(),
            reason: reason.into(),
            observe,
            entry,
            geo: None,
        };
        headline(
            &check,
            &Output::new(Format::Human, false, ColorChoice::Never),
        )
    }

    #[test]
    fn a_verdict_comes_with_its_entry_or_its_reason() {
        let block = || Some(entry("192.0.2.0/24", "block", "scanner"));
        assert_eq!(
            line("drop", "block", false, block()),
            "192.0.2.7: drop, block 192.0.2.0/24 in list local, without end: scanner\n"
        );
        assert_eq!(
            line("pass", "default", true, None),
            "192.0.2.7: pass, nothing names the source\n"
        );
        assert_eq!(
            line("pass", "new-reason", false, None),
            "192.0.2.7: pass, new-reason\n"
        );
        assert!(line("pass", "block", true, block()).ends_with(" (observe mode: only counted)\n"));
    }
}
