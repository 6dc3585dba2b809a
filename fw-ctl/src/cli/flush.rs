//! `flush`: an empty list.

use anyhow::Result;

use crate::{
    api::wire::{Changed, Entry, Items},
    cli::{
        Context,
        client::{encode, with_query},
    },
    policy::entry::ListName,
};

/// What `flush` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The list
    #[arg(value_name = "LIST")]
    list: ListName,
}

/// `fw-ctl flush`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    let path = format!("/lists/{}", encode(args.list.as_str()));
    if context.global.dry_run {
        let none = [("limit", Some("0".to_owned()))];
        let found: Items<Entry> = context.client.get(&with_query(&path, &none))?;
        return context.changed(&Changed {
            removed: found.total,
            ..Changed::default()
        });
    }
    context.changed(&context.client.delete(&path)?)
}
