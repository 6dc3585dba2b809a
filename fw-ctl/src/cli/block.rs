//! `block`, `unblock`, `allow` and `unallow`: single entries, all of them or none.

use anyhow::Result;

use crate::{
    api::wire::{Batch, Put, PutItem},
    cli::{Context, address, note::Note},
    policy::entry::ListName,
};

/// What `block` and `allow` take.
#[derive(Debug, clap::Args)]
pub struct PutArgs {
    /// Host, network, or range `a-b`
    #[arg(required = true, value_name = "PREFIX")]
    prefixes: Vec<String>,
    #[command(flatten)]
    note: Note,
    /// The list to add to
    #[arg(long, value_name = "NAME", default_value = ListName::LOCAL)]
    list: ListName,
    /// Exit 10 and change nothing when an entry is there already
    #[arg(long)]
    strict: bool,
    /// Leave out what is refused instead of refusing everything; exits 6 then
    #[arg(long)]
    keep_going: bool,
}

/// What `unblock` and `unallow` take.
#[derive(Debug, clap::Args)]
pub struct RemoveArgs {
    /// Host, network, or range `a-b`, exactly as it was added
    #[arg(required = true, value_name = "PREFIX")]
    prefixes: Vec<String>,
}

/// `fw-ctl block`
pub fn block(args: &PutArgs, context: &Context) -> Result<u8> {
    put("/blocks", args, context)
}

/// `fw-ctl allow`
pub fn allow(args: &PutArgs, context: &Context) -> Result<u8> {
    put("/allows", args, context)
}

/// `fw-ctl unblock`
pub fn unblock(args: &RemoveArgs, context: &Context) -> Result<u8> {
    let batch = Batch {
        unblock: address::all_prefixes(&args.prefixes)?,
        ..Batch::default()
    };
    remove(batch, context)
}

/// `fw-ctl unallow`
pub fn unallow(args: &RemoveArgs, context: &Context) -> Result<u8> {
    let batch = Batch {
        unallow: address::all_prefixes(&args.prefixes)?,
        ..Batch::default()
    };
    remove(batch, context)
}

fn put(path: &str, args: &PutArgs, context: &Context) -> Result<u8> {
    let comment = args.note.comment()?;
    let item = |prefix| PutItem {
        prefix,
        ttl_s: args.note.ttl_s(),
        comment: comment.clone(),
        created_at: None,
    };
    let prefixes = address::all_prefixes(&args.prefixes)?;
    let body = Put {
        items: prefixes.into_iter().map(item).collect(),
        list: Some(args.list.to_string()),
        keep_going: args.keep_going,
        strict: args.strict,
        dry_run: context.global.dry_run,
    };
    context.changed(&context.client.post(path, &body)?)
}

fn remove(mut batch: Batch, context: &Context) -> Result<u8> {
    batch.dry_run = context.global.dry_run;
    context.changed(&context.client.post("/batch", &batch)?)
}
