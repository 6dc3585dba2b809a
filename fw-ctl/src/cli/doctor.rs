//! `doctor`: what this host can do, and how to mend what it cannot. Works without the daemon.

mod interfaces;
mod kernel;
mod netfilter;
mod places;
mod tables;

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::{
    api::wire::Items,
    cli::{
        Context, Places,
        output::{Output, escape},
    },
    host,
};

/// What `doctor` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this interface, instead of all; may be repeated
    #[arg(short, long = "iface", value_name = "IFACE")]
    interfaces: Vec<String>,
    /// The daemon's configuration file, for the sizes of its tables
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    places: Places,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// As it should be.
    Ok,
    /// Filtering works, but not as well as it could.
    Warn,
    /// Filtering does not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Check {
    /// What was looked at.
    check: String,
    state: State,
    /// What was found.
    found: String,
    /// What to do about it.
    mend: Option<String>,
}

impl Check {
    fn ok(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            check: check.into(),
            state: State::Ok,
            found: found.into(),
            mend: None,
        }
    }

    fn warn(check: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            state: State::Warn,
            mend: Some(mend.into()),
            ..Self::ok(check, found)
        }
    }

    fn fail(check: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            state: State::Fail,
            ..Self::warn(check, found, mend)
        }
    }
}

/// `fw-ctl doctor`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    let mut checks = kernel::checks();
    checks.extend(places::checks(&args.places, &context.global.socket));
    checks.push(tables::check(args.config.as_deref()));
    checks.push(guard(&host::look()));
    checks.extend(netfilter::checks());
    checks.extend(interfaces::checks(&args.interfaces, &args.places.pin_dir));
    let failed = checks.iter().any(|check| check.state == State::Fail);
    let items = Items::all(checks);
    let output = &context.output;
    output.either(&items, |items| lines(&items.items, output))?;
    Ok(u8::from(failed))
}

/// Whether the addresses that must stay reachable are known.
fn guard(found: &host::Discovered) -> Check {
    let counts = format!(
        "own addresses: {}, gateways: {}, resolvers: {}, SSH peers: {}",
        found.own.len(),
        found.gateways.len(),
        found.resolvers.len(),
        found.ssh_peers.len()
    );
    match &*found.problems {
        [] => Check::ok("guard", counts),
        problems => Check::warn(
            "guard",
            format!("{counts}, but {}", problems.join("; ")),
            "fw-ctl guard add PREFIX, for what is missing",
        ),
    }
}

fn lines(checks: &[Check], output: &Output) -> String {
    let width = checks.iter().map(|check| check.check.chars().count()).max();
    let width = width.unwrap_or_default();
    let line = |check: &Check| {
        let state = match check.state {
            State::Ok => output.good("ok  "),
            State::Warn => "warn".to_owned(),
            State::Fail => output.bad("fail"),
        };
        let mend = check
            .mend
            .as_ref()
            .map(|mend| format!(" -> {}", escape(mend)));
        format!(
            "{state}  {:width$}  {}{}\n",
            escape(&check.check),
            escape(&check.found),
            mend.unwrap_or_default()
        )
    };
    checks.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use clap::ColorChoice;

    use super::*;
    use crate::cli::output::Format;

    #[test]
    fn a_check_is_one_line_with_its_mend() {
        let output = Output::new(Format::Human, false, ColorChoice::Never);
        let checks = [
            Check::ok("kernel", "Linux 6.18.5"),
            Check::warn("jit", "off", "sysctl -w net.core.bpf_jit_enable=1"),
            Check::fail("interface x\x1b", "no\nsuch interface", "ip link"),
        ];
        assert_eq!(
            lines(&checks, &output),
            "ok    kernel        Linux 6.18.5\n\
             warn  jit           off -> sysctl -w net.core.bpf_jit_enable=1\n\
             fail  interface x\\u{1b}  no\\nsuch interface -> ip link\n"
        );
    }

    #[test]
    fn a_check_in_json_has_four_fields() {
        let checks = Items::all(vec![
            Check::ok("kernel", "x"),
            Check::fail("bpffs", "y", "z"),
        ]);
        assert_eq!(
            serde_json::to_value(checks).expect("plain data"),
            serde_json::json!({"schema": 1, "total": 2, "items": [
                {"check": "kernel", "state": "ok", "found": "x", "mend": null},
                {"check": "bpffs", "state": "fail", "found": "y", "mend": "z"},
            ]})
        );
    }

    #[test]
    fn an_incomplete_guard_is_a_warning() {
        let mut found = host::Discovered::default();
        assert_eq!(guard(&found).state, State::Ok);
        found
            .problems
            .push("cannot read routes from the kernel".into());
        let check = guard(&found);
        assert_eq!(check.state, State::Warn);
        assert!(
            check
                .found
                .ends_with("SSH peers: 0, but cannot read routes from the kernel")
        );
    }
}
