//! `export`: entries as text that `import` reads back, or that other tools read.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    api::wire::{Entry, Items},
    cli::{Context, client::encode, failure::bad_input, import::action_parser, output::escape},
    duration::Ttl,
    listfile::{
        self,
        write::{self, Lists, Row, Written},
    },
    policy::entry::{Action, ListName},
};

/// How entries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// `prefix,ttl,comment`, for `fw-ctl import`
    Csv,
    /// With everything that is known of an entry, for `fw-ctl import` and programs
    Json,
    /// For `ipset restore`: sets v4-LIST and v6-LIST
    Ipset,
    /// For `nft -f`: sets v4-LIST and v6-LIST of table inet exported
    Nft,
    /// The allowlist.json of the tutorial: allows that never end
    Allowlist,
}

/// What `export` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this list; without it every list, each below a comment with its name or as sets of its
    /// own
    #[arg(value_name = "LIST")]
    list: Option<ListName>,
    /// Which entries; block, unless the format is allowlist
    #[arg(long, value_parser = action_parser())]
    action: Option<Action>,
    /// How they are written
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
}

/// `fw-ctl export`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    let format = match (args.format, context.output.is_json()) {
        (Format::Csv | Format::Json, true) => Format::Json,
        (_, true) => return Err(bad_input("--json is the format json, and no other").into()),
        (format, false) => format,
    };
    let action = match (format, args.action) {
        (Format::Allowlist, Some(Action::Block)) => {
            return Err(bad_input("an allowlist has no blocks").into());
        }
        (Format::Allowlist, _) => Action::Allow,
        (_, action) => action.unwrap_or(Action::Block),
    };
    let entries = entries(args, action, context)?;
    let Written { text, notes } = match format {
        Format::Csv => Written {
            text: sections(&entries),
            notes: Vec::new(),
        },
        Format::Json => {
            context.output.json(&Items::all(entries))?;
            return Ok(0);
        }
        Format::Ipset => {
            write::ipset(&lists(&entries)?).map_err(|error| bad_input(error.to_string()))?
        }
        Format::Nft => {
            write::nft(&lists(&entries)?).map_err(|error| bad_input(error.to_string()))?
        }
        Format::Allowlist => write::allowlist(&lists(&entries)?)?,
    };
    notes.iter().for_each(|note| context.output.note(note));
    context.output.data(&text)?;
    Ok(0)
}

/// The entries of this action, of one list or all.
fn entries(args: &Args, action: Action, context: &Context) -> Result<Vec<Entry>> {
    let path = match (&args.list, action) {
        (Some(list), _) => format!("/lists/{}", encode(list.as_str())),
        (None, Action::Block) => "/blocks".to_owned(),
        (None, Action::Allow) => "/allows".to_owned(),
    };
    let found: Items<Entry> = context.client.get(&path)?;
    let (items, others): (Vec<_>, Vec<_>) = found
        .items
        .into_iter()
        .partition(|entry| entry.action == action.name());
    if let Some(other) = others.first() {
        let (count, action) = (others.len(), &other.action);
        let note = format!("{count} {action} entries are left out: --action {action} exports them");
        context.output.note(note);
    }
    Ok(items)
}

/// What other tools take of entries.
fn lists(entries: &[Entry]) -> Result<Lists> {
    let mut lists = Lists::new();
    for entry in entries {
        let row = Row {
            prefix: entry.prefix.parse()?,
            ttl: Ttl::from_secs(entry.ttl_s),
            comment: entry.comment.parse()?,
            created: entry.created_at,
        };
        lists.entry(entry.list.clone()).or_default().push(row);
    }
    Ok(lists)
}

/// Lines as `prefix,ttl,comment`, list by list.
fn sections(entries: &[Entry]) -> String {
    let mut lists: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        lists.entry(&entry.list).or_default().push(entry);
    }
    let mut text = String::new();
    for (list, entries) in lists {
        // The text does not say what it is for: whoever imports it must.
        let action = &entries[0].action;
        text += &format!("# fw-ctl import FILE --list {list} --action {action}\n");
        for entry in entries {
            let ttl = Ttl::from_secs(entry.ttl_s);
            text += &listfile::row(&entry.prefix, ttl, &escape(&entry.comment));
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::list::tests::entry, listfile::Format};

    #[test]
    fn what_is_exported_reads_back() {
        let mut entries = vec![
            entry("192.0.2.0/24", "block", ""),
            entry("192.0.2.7", "block", "a, \"b\" # c ; d"),
            entry("2001:db8::/32", "block", " padded "),
            entry("2001:db8::1", "block", "# note"),
        ];
        entries[1].ttl_s = Some(5_400);
        entries[3].list = "feed:x".into();
        let text = sections(&entries);
        assert_eq!(
            text.lines()
                .filter(|line| line.starts_with("# fw-ctl import"))
                .count(),
            2
        );
        for format in [Format::Auto, Format::Csv] {
            let parsed = listfile::parse(&text, format);
            assert_eq!(parsed.errors, []);
            let read: Vec<_> = parsed
                .lines
                .iter()
                .map(|line| (line.prefix.to_string(), line.ttl, line.comment.as_str()))
                .collect();
            // Sections are in the order of their names.
            let order = [3, 0, 1, 2].map(|index| &entries[index]);
            let expected: Vec<_> = order
                .iter()
                .map(|entry| {
                    let ttl = Some(Ttl::from_secs(entry.ttl_s));
                    (entry.prefix.clone(), ttl, entry.comment.as_str())
                })
                .collect();
            assert_eq!(read, expected, "{format}");
        }
    }
}
