//! `geo`: countries and autonomous systems.

pub mod home;
pub mod show;

use std::io::{self, BufRead as _, IsTerminal as _};

use anyhow::Result;
use clap::Subcommand;

use crate::{
    api::wire::{GeoChange, GeoChanged, GeoFound, GeoStatus, Items},
    cli::{
        Context, address,
        client::with_query,
        failure::bad_input,
        output::{say, table},
    },
    geo::code::Code,
};

/// What `geo` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What to do with countries.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the files, what is selected, and the lists that follow
    #[command(after_help = "Example:\n  fw-ctl geo list")]
    List,
    /// Block countries or autonomous systems, until `geo unblock`, also across restarts
    #[command(after_help = "Example:\n  fw-ctl geo block KP AS64500 --dry-run")]
    Block(Codes),
    /// Block them no more
    #[command(after_help = "Example:\n  fw-ctl geo unblock KP AS64500")]
    Unblock(Codes),
    /// Block everything that is in none of these, until `geo only --off`
    #[command(after_help = "Example:\n  fw-ctl geo only DE AT --dry-run")]
    Only(Only),
    /// Go back to what the configuration selects
    #[command(after_help = "Example:\n  fw-ctl geo reset")]
    Reset,
    /// Say where addresses are at home
    #[command(after_help = "Example:\n  fw-ctl geo find 192.0.2.7 2001:db8::7")]
    Find(Find),
}

#[derive(Debug, clap::Args)]
struct Codes {
    /// Country by two letters (KP), or autonomous system (AS64500)
    #[arg(required = true, value_name = "CODE", value_parser = code)]
    codes: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Only {
    /// Country by two letters (DE), or autonomous system (AS64500)
    #[arg(
        required_unless_present = "off",
        value_name = "CODE",
        value_parser = code
    )]
    codes: Vec<String>,
    /// Let everybody pass again who is not blocked otherwise
    #[arg(long, conflicts_with = "codes")]
    off: bool,
}

#[derive(Debug, clap::Args)]
struct Find {
    /// The addresses
    #[arg(required = true, value_name = "ADDR")]
    addresses: Vec<String>,
}

/// A code as it is typed.
fn code(text: &str) -> Result<String, String> {
    let code: Code = text
        .parse()
        .map_err(|error: crate::geo::code::CodeError| error.to_string())?;
    Ok(code.to_string())
}

/// `fw-ctl geo`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    let change = match &args.verb {
        None | Some(Verb::List) => {
            let status: GeoStatus = context.client.get("/geo")?;
            context.output.either(&status, show::screen)?;
            return Ok(0);
        }
        Some(Verb::Find(args)) => return find(args, context),
        Some(Verb::Reset) => return reset(context),
        Some(Verb::Block(Codes { codes })) => GeoChange {
            block: codes.clone(),
            ..GeoChange::default()
        },
        Some(Verb::Unblock(Codes { codes })) => GeoChange {
            unblock: codes.clone(),
            ..GeoChange::default()
        },
        Some(Verb::Only(Only { codes, .. })) => GeoChange {
            only: Some(codes.clone()),
            ..GeoChange::default()
        },
    };
    let tried: GeoChanged = context.client.patch(
        "/geo",
        &GeoChange {
            dry_run: true,
            ..change.clone()
        },
    )?;
    if context.global.dry_run {
        return done(&tried, context);
    }
    // How much it takes is said before it is done.
    context.output.note(show::cost(&tried));
    let asks = change.only.as_ref().is_some_and(|codes| !codes.is_empty());
    if asks && !context.global.yes && !confirmed(&change)? {
        context.output.note("nothing was changed");
        return Ok(1);
    }
    done(&context.client.patch("/geo", &change)?, context)
}

fn reset(context: &Context) -> Result<u8> {
    let changed = context
        .client
        .delete(&with_query("/geo", &[context.dry_run()]))?;
    done(&changed, context)
}

fn done(changed: &GeoChanged, context: &Context) -> Result<u8> {
    context.warn_of(&changed.changed);
    context
        .output
        .done(changed, |changed| context.would(show::changed(changed)))?;
    Ok(0)
}

/// Asks on the terminal.
fn confirmed(change: &GeoChange) -> Result<bool> {
    if !io::stdin().is_terminal() {
        let message = "geo only asks first, and there is no terminal to ask on";
        return Err(bad_input(message).with_hint("add --yes").into());
    }
    let codes = change.only.iter().flatten().cloned().collect::<Vec<_>>();
    say(format_args!(
        "This drops what comes from anywhere but {}, answers to this host's own connections too. \
         Who is guarded or allowed passes. Go on? [y/N] ",
        codes.join(", ")
    ));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn find(args: &Find, context: &Context) -> Result<u8> {
    let mut found: Vec<GeoFound> = Vec::new();
    for text in &args.addresses {
        let address = Some(address::host(text)?.to_string());
        found.push(
            context
                .client
                .get(&with_query("/geo/find", &[("address", address)]))?,
        );
    }
    let found = Items::all(found);
    context.output.either(&found, |found| {
        let rows = found.items.iter().map(|found| {
            let geo = found.geo.as_ref();
            [
                found.address.to_string(),
                geo.and_then(|geo| geo.country.clone())
                    .map_or_else(|| "-".to_owned(), |code| home::safe(&code)),
                home::system(geo),
            ]
        });
        table(["ADDRESS", "COUNTRY", "SYSTEM"], rows)
    })?;
    Ok(u8::from(
        found.items.iter().all(|found| found.geo.is_none()),
    ))
}
