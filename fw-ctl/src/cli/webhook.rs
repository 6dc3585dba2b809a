//! `webhook`: receivers elsewhere that are told what happens.

mod show;

use std::{
    fs,
    io::{self, BufRead as _, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{Subcommand, builder::NonEmptyStringValueParser};

use self::show::{added, table, tested};
use super::{
    Context,
    client::{encode, with_query},
    failure::bad_input,
};
use crate::{
    api::wire::{
        Changed, Code, Hidden, Items, Kinds, ProblemBody, Webhook, WebhookAdded, WebhookFormat,
        WebhookPut, WebhookTested,
    },
    duration::Ttl,
    policy::entry::ListName,
};

/// What `webhook` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What to do with webhooks.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Tell a receiver what happens from now on; prints the secret that signs it, once
    #[command(
        after_help = "Example:\n  fw-ctl webhook add pager https://hooks.example.com/fw --events block,scan --min-ttl 1h"
    )]
    Add(Add),
    /// Show every webhook, what waits for it, and how the last try went
    #[command(after_help = "Example:\n  fw-ctl webhook list")]
    List,
    /// Remove a webhook, with what waits for it
    #[command(after_help = "Example:\n  fw-ctl webhook del pager")]
    Del(Named),
    /// Send a webhook an event now: exits 0 when the receiver takes it, 1 when not
    #[command(after_help = "Example:\n  fw-ctl webhook test pager")]
    Test(Named),
}

#[derive(Debug, clap::Args)]
struct Named {
    /// Name of the webhook
    #[arg(value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    name: String,
}

#[derive(Debug, clap::Args)]
struct Add {
    #[command(flatten)]
    named: Named,
    /// Where it is sent; `-` reads it from stdin, where nobody sees a secret that is in it
    #[arg(value_name = "URL")]
    url: String,
    /// What is sent: block, unblock, allow, unallow, expire, changed, interface, drift, alarm, scan,
    /// roll_up, unroll; all of it by default
    #[arg(long, value_name = "KINDS")]
    events: Option<Kinds>,
    /// Entries of these lists only: auto,local
    #[arg(long, value_name = "LISTS", value_delimiter = ',')]
    lists: Vec<ListName>,
    /// Blocks of this time at least: 90s, 10m, 4h, 1d
    #[arg(long, value_name = "DUR", value_parser = secs)]
    min_ttl: Option<u64>,
    /// How it is written: fw-ctl, slack, template
    #[arg(long, value_name = "FORMAT", default_value = "fw-ctl")]
    format: WebhookFormat,
    /// JSON with placeholders in its texts: {"text": "{{host}}: {{event}} {{prefix}}"}
    #[arg(long, value_name = "FILE")]
    template_file: Option<PathBuf>,
    /// File with the secret, `whsec_` and base64, or `-` for stdin; one is made by default
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

/// Seconds of a duration that ends.
fn secs(text: &str) -> Result<u64, String> {
    let ttl: Ttl = text.parse().map_err(|error| format!("{error}"))?;
    ttl.secs()
        .ok_or_else(|| "blocks without end are always sent".to_owned())
}

/// `fw-ctl webhook`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    match &args.verb {
        None | Some(Verb::List) => {
            let found: Items<Webhook> = context.client.get("/webhooks")?;
            context.output.either(&found, |found| table(&found.items))?;
            Ok(0)
        }
        Some(Verb::Add(add)) => add.run(context),
        Some(Verb::Del(Named { name })) => context.changed(&delete(name, context)?),
        Some(Verb::Test(Named { name })) => test(name, context),
    }
}

fn delete(name: &str, context: &Context) -> Result<Changed> {
    let path = format!("/webhooks/{}", encode(name));
    context
        .client
        .delete(&with_query(&path, &[context.dry_run()]))
}

fn test(name: &str, context: &Context) -> Result<u8> {
    if context.global.dry_run {
        return Err(bad_input("a test sends something: leave --dry-run away").into());
    }
    let path = format!("/webhooks/{}/test", encode(name));
    let told: WebhookTested = context.client.post(&path, &())?;
    context.output.either(&told, tested)?;
    Ok(u8::from(!told.delivered))
}

impl Add {
    fn run(&self, context: &Context) -> Result<u8> {
        let path = with_query("/webhooks", &[context.dry_run()]);
        let told: WebhookAdded = context.client.post(&path, &self.put()?)?;
        let human = |told: &WebhookAdded| added(told, context.global.dry_run);
        match told.secret {
            // It is shown once, also under `--quiet`.
            Some(_) => {
                if let Err(error) = context.output.either(&told, human) {
                    // Nobody knows its secret, and nobody ever will.
                    delete(&told.webhook.name, context)?;
                    return Err(error).context("the webhook was removed again");
                }
            }
            None => context.output.done(&told, human)?,
        }
        Ok(0)
    }

    fn put(&self) -> Result<WebhookPut, ProblemBody> {
        if self.url == "-" && self.secret_file.as_deref() == Some(Path::new("-")) {
            return Err(bad_input("URL and --secret-file cannot both be stdin"));
        }
        let url = match self.url.as_str() {
            "-" => first_line(Path::new("-"))?,
            url => url.to_owned(),
        };
        let template = self.template_file.as_deref().map(read);
        let secret = self.secret_file.as_deref().map(first_line);
        Ok(WebhookPut {
            name: self.named.name.clone(),
            url: Hidden(url),
            format: self.format,
            template: template.transpose()?,
            events: self.events.clone().unwrap_or_default(),
            lists: self.lists.iter().map(ToString::to_string).collect(),
            min_ttl_s: self.min_ttl,
            secret: secret.transpose()?.map(Hidden),
        })
    }
}

/// The one line of a file, or of stdin.
fn first_line(path: &Path) -> Result<String, ProblemBody> {
    let text = read(path)?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// Bytes of a secret or a template; a device has no end.
const MAX_BYTES: u64 = 64 << 10;

fn bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let mut file = fs::File::open(path)?.take(MAX_BYTES + 1);
    file.read_to_string(&mut text)?;
    match text.len() as u64 > MAX_BYTES {
        true => Err(io::Error::other("larger than 64 KiB")),
        false => Ok(text),
    }
}

/// A file, or a line of stdin.
fn read(path: &Path) -> Result<String, ProblemBody> {
    let text = match path.to_str() {
        Some("-") => {
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line).map(|_| line)
        }
        _ => bounded(path),
    };
    text.map_err(|error| {
        let code = match error.kind() {
            io::ErrorKind::PermissionDenied => Code::Permission,
            _ => Code::BadInput,
        };
        ProblemBody::new(code, format!("cannot read {}: {error}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_end_is_refused_and_a_pipe_is_read() {
        let refused = bounded(Path::new("/dev/zero")).expect_err("it has no end");
        assert_eq!(refused.to_string(), "larger than 64 KiB");
        assert_eq!(bounded(Path::new("/dev/null")).ok().as_deref(), Some(""));
    }
}
