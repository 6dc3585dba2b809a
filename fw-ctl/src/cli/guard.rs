//! `guard`: who can never be dropped.

use anyhow::Result;
use clap::Subcommand;
use fw_common::Prefix;

use crate::{
    api::wire::{Changed, GuardPut, Guarded, Items},
    cli::{Context, address, client::encode, list},
};

/// What `guard` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What to do with the guard.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Show every guarded prefix and why it is
    #[command(after_help = "Example:\n  fw-ctl guard list")]
    List,
    /// Guard addresses from now on
    #[command(after_help = "Example:\n  fw-ctl guard add 198.51.100.9")]
    Add(Prefixes),
    /// Take back what `guard add` did; what is discovered or configured stays
    #[command(after_help = "Example:\n  fw-ctl guard del 198.51.100.9")]
    Del(Prefixes),
}

#[derive(Debug, clap::Args)]
struct Prefixes {
    /// Host, network, or range `a-b`
    #[arg(required = true, value_name = "PREFIX")]
    prefixes: Vec<String>,
}

/// `fw-ctl guard`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    match &args.verb {
        None | Some(Verb::List) => list::guard(None, None, context),
        Some(Verb::Add(args)) => {
            let prefixes = address::all_prefixes(&args.prefixes)?;
            match context.global.dry_run {
                true => {
                    let added = prefixes.len() - known(&prefixes, context)?;
                    context.changed(&Changed {
                        added,
                        unchanged: prefixes.len() - added,
                        ..Changed::default()
                    })
                }
                false => context.changed(&context.client.post("/guard", &GuardPut { prefixes })?),
            }
        }
        Some(Verb::Del(args)) => {
            let prefixes = address::all_prefixes(&args.prefixes)?;
            let mut total = Changed::default();
            if context.global.dry_run {
                total.removed = known(&prefixes, context)?;
                total.unchanged = prefixes.len() - total.removed;
                return context.changed(&total);
            }
            for prefix in prefixes {
                let path = format!("/guard/{}", encode(&prefix));
                let changed: Changed = context.client.delete(&path)?;
                total.removed += changed.removed;
                total.unchanged += changed.unchanged;
                total.warnings.extend(changed.warnings);
            }
            context.changed(&total)
        }
    }
}

/// Every guarded prefix.
pub fn fetch(context: &Context) -> Result<Items<Guarded>> {
    context.client.get("/guard")
}

/// How many of the prefixes were added before.
fn known(prefixes: &[String], context: &Context) -> Result<usize> {
    let found = fetch(context)?;
    let added = |prefix: &str| {
        let prefix = prefix.parse::<Prefix>().ok();
        let mut items = found.items.iter();
        items.any(|item| item.source == "added" && item.prefix.parse().ok() == prefix)
    };
    Ok(prefixes.iter().filter(|prefix| added(prefix)).count())
}
