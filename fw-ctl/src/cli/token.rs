//! `token`: who may use the API over TCP.

use anyhow::{Context as _, Result};
use clap::{Subcommand, builder::NonEmptyStringValueParser};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    api::wire::{Code, Items, ProblemBody, Token, TokenMade, TokenPut},
    cli::{
        Context,
        client::encode,
        failure::bad_input,
        output::{escape, table},
    },
    daemon::tokens::Scope,
    duration::Ttl,
};

/// What `token` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Show whose tokens there are and what they may do
    #[command(after_help = "Example:\n  fw-ctl token list")]
    List,
    /// Make a token and print it, this once: only a hash of it is kept
    #[command(after_help = "Example:\n  fw-ctl token add grafana --scope read")]
    Add(Add),
    /// Revoke a token
    #[command(after_help = "Example:\n  fw-ctl token del grafana")]
    Del(Name),
}

#[derive(Debug, clap::Args)]
struct Add {
    /// Whose it is, or what for
    #[arg(value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    name: String,
    /// read: see everything; write: change the policy, too
    #[arg(long, value_name = "SCOPE")]
    scope: Scope,
    /// How long it holds
    #[arg(long, value_name = "DURATION", default_value = "never")]
    ttl: Ttl,
}

#[derive(Debug, clap::Args)]
struct Name {
    /// Its name
    #[arg(value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    name: String,
}

/// `fw-ctl token`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    match &args.verb {
        None | Some(Verb::List) => {
            let now = Timestamp::now();
            let tokens = fetch(context)?;
            context
                .output
                .either(&tokens, |tokens| human(tokens, now))?;
        }
        Some(Verb::Add(args)) => add(args, context)?,
        Some(Verb::Del(args)) => delete(&args.name, context)?,
    }
    Ok(0)
}

fn add(args: &Add, context: &Context) -> Result<()> {
    let put = TokenPut {
        name: args.name.clone(),
        scope: args.scope.name().to_owned(),
        ttl_s: args.ttl.secs(),
    };
    if context.global.dry_run {
        if fetch(context)?
            .items
            .iter()
            .any(|token| token.name == put.name)
        {
            let message = format!("there is a token {} already", escape(&put.name));
            return Err(ProblemBody::new(Code::Conflict, message).into());
        }
        context.output.note(format_args!(
            "a token {} would be made, it may {}",
            escape(&put.name),
            put.scope
        ));
        return Ok(());
    }
    let made: TokenMade = context.client.post("/tokens", &put)?;
    // The token alone, so that `TOKEN=$(fw-ctl token add ...)` has it.
    let printed = context.output.either(&made, |made| made.token.clone());
    if let Err(error) = printed {
        // Nobody knows it, and nobody ever will.
        revoke(&made.shown.name, context)?;
        return Err(error).context("the token was revoked again");
    }
    context.output.note(format_args!(
        "fw-ctl: this is the only time it is shown; `fw-ctl token del {}` revokes it",
        made.shown.name
    ));
    Ok(())
}

fn delete(name: &str, context: &Context) -> Result<()> {
    if context.global.dry_run {
        let tokens = fetch(context)?;
        return match tokens.items.iter().any(|token| token.name == name) {
            true => {
                let note = format!("token {} would be revoked", escape(name));
                context.output.note(note);
                Ok(())
            }
            false => Err(bad_input(format!("there is no token {name:?}")).into()),
        };
    }
    revoke(name, context)?;
    let done = json!({ "revoked": name });
    Ok(context
        .output
        .done(&done, |_| format!("token {} revoked", escape(name)))?)
}

fn revoke(name: &str, context: &Context) -> Result<()> {
    let path = format!("/tokens/{}", encode(name));
    context.client.delete(&path)
}

fn fetch(context: &Context) -> Result<Items<Token>> {
    context.client.get("/tokens")
}

fn human(tokens: &Items<Token>, now: Timestamp) -> String {
    table(
        ["NAME", "SCOPE", "MADE", "ENDS"],
        tokens.items.iter().map(|token| {
            let ends = token.expires_at.map(|end| match end <= now {
                true => format!("ended {end:.0}"),
                false => format!("{end:.0}"),
            });
            [
                escape(&token.name).into_owned(),
                escape(&token.scope).into_owned(),
                format!("{:.0}", token.created_at),
                ends.unwrap_or_else(|| "never".to_owned()),
            ]
        }),
    )
}
