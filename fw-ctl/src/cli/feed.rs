//! `feed`: lists that are kept from URLs and files.

mod show;

use std::{env, path::Path};

use anyhow::Result;
use clap::{Subcommand, builder::NonEmptyStringValueParser};

use self::show::done;
pub use self::show::table;
use super::{
    Context,
    client::{encode, with_query},
    failure::bad_input,
    output::escape,
};
use crate::{
    api::wire::{Changed, Feed, FeedDone, FeedPut, Hidden, Items, ProblemBody},
    duration::Ttl,
    listfile,
    policy::entry::{Action, ListName},
};

/// What `feed` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What to do with feeds.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Keep a list from a URL or a file from now on; it is fetched first
    #[command(
        after_help = "Example:\n  fw-ctl feed add drop https://www.spamhaus.org/drop/drop.txt --interval 12h"
    )]
    Add(Add),
    /// Show every feed, how old it is, and what is wrong with it
    #[command(after_help = "Example:\n  fw-ctl feed list")]
    List,
    /// Look now whether there is something new: at these feeds, or at all
    #[command(after_help = "Example:\n  fw-ctl feed refresh drop --force")]
    Refresh(Refresh),
    /// Keep a list no longer, and remove its entries
    #[command(after_help = "Example:\n  fw-ctl feed del drop")]
    Del(Named),
}

#[derive(Debug, clap::Args)]
struct Named {
    /// Name of the feed
    #[arg(value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    name: String,
}

#[derive(Debug, clap::Args)]
struct Refresh {
    /// Names of feeds
    #[arg(value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    names: Vec<String>,
    /// Believe a list that has changed by more than half
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
struct Add {
    /// The list is feed:NAME
    #[arg(value_name = "NAME")]
    name: ListName,
    /// https://..., or a path on the daemon's host, which only root may name
    #[arg(value_name = "SOURCE", value_parser = NonEmptyStringValueParser::new())]
    source: String,
    /// What its entries do: block or allow
    #[arg(long, value_name = "ACTION", default_value = "block")]
    action: Action,
    /// How long after a look the next one is: 10s to 30d; an hour for a URL, never for a file
    #[arg(long, value_name = "DUR", value_parser = secs)]
    interval: Option<u64>,
    /// How it is written, as for `import`
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    format: listfile::Format,
    /// Bytes it may have; 33554432 by default, of a file 268435456
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<u64>,
    /// Entries it may have; 1000000 by default, of a file 16777216
    #[arg(long, value_name = "NUMBER")]
    max_entries: Option<u64>,
    /// Length of the widest prefix of IPv4 it may have; 8 by default, of a file 0
    #[arg(long, value_name = "LENGTH")]
    widest_ipv4: Option<u8>,
    /// Length of the widest prefix of IPv6 it may have; 16 by default, of a file 0
    #[arg(long, value_name = "LENGTH")]
    widest_ipv6: Option<u8>,
    /// How long its server may take for an answer; 60s by default
    #[arg(long, value_name = "DUR", value_parser = secs)]
    time_limit: Option<u64>,
}

/// Seconds of a duration that ends.
fn secs(text: &str) -> Result<u64, String> {
    let ttl: Ttl = text.parse().map_err(|error| format!("{error}"))?;
    ttl.secs().ok_or_else(|| "never is too long".to_owned())
}

/// `fw-ctl feed`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    match &args.verb {
        None | Some(Verb::List) => {
            let found = feeds(context)?;
            context.output.either(&found, |found| table(&found.items))?;
            Ok(0)
        }
        Some(Verb::Add(add)) => {
            let path = with_query("/feeds", &[context.dry_run()]);
            let told: FeedDone = context.client.post(&path, &add.put()?)?;
            context.warn_of_all(&told.changed.warnings);
            context
                .output
                .done(&told, |told| context.would(done(told)))?;
            Ok(0)
        }
        Some(Verb::Refresh(refresh)) => refresh.run(context),
        Some(Verb::Del(Named { name })) => {
            let path = format!("/feeds/{}", encode(name));
            let removed: Changed = context
                .client
                .delete(&with_query(&path, &[context.dry_run()]))?;
            context.changed(&removed)
        }
    }
}

fn feeds(context: &Context) -> Result<Items<Feed>> {
    context.client.get("/feeds")
}

impl Refresh {
    /// One after the other; those behind one that fails are looked at all the same.
    fn run(&self, context: &Context) -> Result<u8> {
        if context.global.dry_run {
            return Err(bad_input("a look changes the list: leave --dry-run away").into());
        }
        let names = match self.names.is_empty() {
            true => feeds(context)?
                .items
                .into_iter()
                .map(|feed| feed.name)
                .collect(),
            false => self.names.clone(),
        };
        let (mut told, mut code) = (Vec::new(), 0);
        for name in &names {
            let force = self.force.then(|| "true".to_owned());
            let path = format!("/feeds/{}/refresh", encode(name));
            let path = with_query(&path, &[("force", force)]);
            match context.client.post::<FeedDone>(&path, &()) {
                Ok(done) => told.push(done),
                Err(error) if names.len() == 1 => return Err(error),
                Err(error) => {
                    let text = format!("{name}: {error}");
                    context.output.warn(escape(&text));
                    code = error
                        .downcast_ref()
                        .map_or(1, |problem: &ProblemBody| problem.code.exit());
                }
            }
        }
        for done in &told {
            context.warn_of_all(&done.changed.warnings);
        }
        let told = Items::all(told);
        context.output.done(&told, |told: &Items<FeedDone>| {
            let lines: Vec<String> = told.items.iter().map(done).collect();
            lines.join("\n")
        })?;
        Ok(code)
    }
}

impl Add {
    fn put(&self) -> Result<FeedPut, ProblemBody> {
        let name = self.name.as_str();
        let name = match name.starts_with(PREFIX) {
            true => name.to_owned(),
            false => format!("{PREFIX}{name}"),
        };
        Ok(FeedPut {
            name,
            action: self.action.name().to_owned(),
            source: Hidden(absolute(&self.source)?),
            format: self.format.name().to_owned(),
            interval_s: self.interval,
            max_bytes: self.max_bytes,
            max_entries: self.max_entries,
            widest_ipv4: self.widest_ipv4,
            widest_ipv6: self.widest_ipv6,
            time_limit_s: self.time_limit,
        })
    }
}

/// How the names of lists begin that are kept by command.
const PREFIX: &str = "feed:";

/// The daemon stands in another directory.
fn absolute(source: &str) -> Result<String, ProblemBody> {
    if source.contains("://") || Path::new(source).is_absolute() {
        return Ok(source.to_owned());
    }
    let path = env::current_dir().map(|directory| directory.join(source));
    let path = path.map_err(|error| bad_input(format!("cannot find {source}: {error}")))?;
    let path = path.into_os_string().into_string();
    path.map_err(|_| bad_input("the path of a feed is UTF-8"))
}
