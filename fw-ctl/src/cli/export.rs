//! `export`: entries as text that `import` reads back.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::{
    api::wire::{Entry, Items},
    cli::{Context, client::encode, import::action_parser, output::escape},
    duration::Ttl,
    listfile,
    policy::entry::{Action, ListName},
};

/// What `export` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this list; without it every list, each below a comment with its name
    #[arg(value_name = "LIST")]
    list: Option<ListName>,
    /// Which entries
    #[arg(long, default_value = "block", value_parser = action_parser())]
    action: Action,
}

/// `fw-ctl export`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    let path = match (&args.list, args.action) {
        (Some(list), _) => format!("/lists/{}", encode(list.as_str())),
        (None, Action::Block) => "/blocks".to_owned(),
        (None, Action::Allow) => "/allows".to_owned(),
    };
    let found: Items<Entry> = context.client.get(&path)?;
    let (items, others): (Vec<_>, Vec<_>) = found
        .items
        .into_iter()
        .partition(|entry| entry.action == args.action.name());
    if let Some(other) = others.first() {
        let (count, action) = (others.len(), &other.action);
        let note = format!("{count} {action} entries are left out: --action {action} exports them");
        context.output.note(note);
    }
    context
        .output
        .either(&Items::all(items), |found| sections(&found.items))?;
    Ok(0)
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
