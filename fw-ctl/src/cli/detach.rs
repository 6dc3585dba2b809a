//! `detach`: everything of ours is taken off the host, by the daemon or, where none runs, here.

use std::io::{self, BufRead, IsTerminal};

use anyhow::Result;
use serde_json::json;

use crate::{
    api::wire::{Changed, Code, ProblemBody, Status},
    backend::{
        iptables, nftables,
        xdp::{detach::detach, pins},
    },
    cli::{Context, Places, failure::bad_input, output::say},
    host::{capabilities, tool::ToolError},
};

/// What `detach` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this interface
    #[arg(short, long = "iface", value_name = "IFACE")]
    interface: Option<String>,
    #[command(flatten)]
    places: Places,
}

/// `fw-ctl detach`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    if !context.global.dry_run && !context.global.yes && !confirmed(args)? {
        context.output.note("nothing was detached");
        return Ok(1);
    }
    let asked = match context.global.dry_run {
        true => attached(args, context),
        false => ask(args, context),
    };
    let changed = match asked {
        Err(error) if is_not_running(&error) => directly(args, context)?,
        asked => asked?,
    };
    if context.global.dry_run && args.interface.is_none() {
        context
            .output
            .note("dry run: the mirror in netfilter would be cleared, too");
    }
    context.changed(&changed)
}

/// Lets the daemon do it.
fn ask(args: &Args, context: &Context) -> Result<Changed> {
    let body = json!({ "interface": args.interface });
    let changed = context.client.post("/detach", &body)?;
    if args.interface.is_none() {
        context.client.wait_until_gone()?;
    }
    Ok(changed)
}

/// Asks on the terminal.
fn confirmed(args: &Args) -> Result<bool> {
    if !io::stdin().is_terminal() {
        let message = "detach asks first, and there is no terminal to ask on";
        return Err(bad_input(message).with_hint("add --yes").into());
    }
    let what = match &args.interface {
        Some(interface) => format!("filtering on {interface}"),
        None => "all filtering on this host, and the daemon".to_owned(),
    };
    say(format_args!("This ends {what}. Go on? [y/N] "));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn is_not_running(error: &anyhow::Error) -> bool {
    let problem = error.downcast_ref::<ProblemBody>();
    problem.is_some_and(|problem| problem.code == Code::NotRunning)
}

/// What the daemon would detach.
fn attached(args: &Args, context: &Context) -> Result<Changed> {
    let status: Status = context.client.get("/status")?;
    let wanted = |name: &str| args.interface.as_ref().is_none_or(|wanted| wanted == name);
    let interfaces = status.interfaces.iter();
    Ok(Changed {
        removed: interfaces
            .filter(|interface| interface.attached && wanted(&interface.name))
            .count(),
        ..Changed::default()
    })
}

/// Takes everything of ours out of netfilter, whichever backend has put it there. Where a tool is
/// not installed, there is nothing of it.
fn clear_mirrors() -> Result<(), ProblemBody> {
    let cleared = [iptables::clear_all(), nftables::clear()];
    let failed = cleared.into_iter().filter_map(Result::err);
    let failed = failed.filter(|error| !matches!(error, ToolError::Missing { .. }));
    let reasons = failed.map(|error| format!("{:#}", anyhow::Error::new(error)));
    let reasons: Vec<String> = reasons.collect();
    match reasons.is_empty() {
        true => Ok(()),
        false => {
            let message = format!("cannot clear the mirror: {}", reasons.join("; "));
            Err(ProblemBody::new(Code::Kernel, message))
        }
    }
}

/// Without a daemon the pins and what stands in netfilter are all there is.
fn directly(args: &Args, context: &Context) -> Result<Changed> {
    let missing = capabilities::missing();
    if !missing.is_empty() {
        // Without them the pins cannot be seen, which is not the same as that there are none.
        let message = format!(
            "no daemon runs, and this process lacks {}",
            missing.join(" and ")
        );
        return Err(ProblemBody::new(Code::Permission, message)
            .with_hint("run it as root")
            .into());
    }
    let pin_dir = &args.places.pin_dir;
    let interface = args.interface.as_deref();
    // A daemon that answers elsewhere, or whose socket is lost, goes on with its maps.
    let _lock = match pin_dir.exists() {
        true => Some(pins::Pins::new(pin_dir).lock().map_err(ProblemBody::from)?),
        false => None,
    };
    let note = format!("no daemon runs: {} is cleared directly", pin_dir.display());
    context.output.note(note);
    let mut interfaces = match context.global.dry_run {
        true => pins::Pins::new(pin_dir).links(),
        false => detach(pin_dir, interface)?.interfaces,
    };
    if interface.is_none() && !context.global.dry_run {
        clear_mirrors()?;
    }
    interfaces.retain(|name| interface.is_none_or(|wanted| wanted == name));
    Ok(Changed {
        removed: interfaces.len(),
        ..Changed::default()
    })
}
