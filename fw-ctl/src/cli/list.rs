//! `list`: entries and guarded prefixes.

use std::{io, net::IpAddr};

use anyhow::Result;
use fw_common::Prefix;

use crate::{
    api::wire::{Entry, Guarded, Items, Rule},
    cli::{
        Context, address,
        client::{Client, with_query},
        geo, guard,
        output::{Growing, escape, table, unless_reader_left},
        rules,
    },
    duration::Ttl,
};

/// Rows that a terminal shows without `--all`.
const ROWS: usize = 50;

/// Rows that are asked for at a time.
const PAGE: usize = 20_000;

/// What `list` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// `blocks`, `allows`, `rules`, `guard`, or the name of a list; without it, allows and blocks
    #[arg(value_name = "LIST")]
    what: Option<String>,
    /// Show every row on a terminal, too
    #[arg(long)]
    all: bool,
    /// Only what covers this address; of rules, those for everybody do
    #[arg(long, value_name = "ADDR")]
    contains: Option<String>,
}

/// `fw-ctl list`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    let contains = args.contains.as_deref().map(address::host).transpose()?;
    let rows = (context.output.is_for_terminal() && !args.all).then_some(ROWS);
    const ALLOWS: &str = "/allows";
    const BLOCKS: &str = "/blocks";
    let (paths, list) = match args.what.as_deref() {
        Some("guard") => return guard(contains, rows, context),
        Some("rules") => return rules(contains, rows, context),
        Some("blocks") => (&[BLOCKS][..], None),
        Some("allows") => (&[ALLOWS][..], None),
        name => (&[ALLOWS, BLOCKS][..], name.map(str::to_owned)),
    };
    let asked = Asked {
        client: &context.client,
        paths,
        query: [
            ("list", list),
            ("contains", contains.map(|address| address.to_string())),
        ],
    };
    match (rows, context.output.is_json()) {
        (None, false) => {
            let print = |text: &str| context.output.stream(text);
            unless_reader_left(asked.pages(PAGE, &mut Growing::new(HEADER), print))?;
        }
        (rows, _) => {
            let found = asked.first(rows)?;
            context
                .output
                .either(&found, |found| entry_rows(found, rows))?;
        }
    }
    Ok(0)
}

/// Which entries are asked for.
struct Asked<'a> {
    client: &'a Client,
    paths: &'a [&'static str],
    query: [(&'static str, Option<String>); 2],
}

impl Asked<'_> {
    fn page(
        &self,
        path: &str,
        limit: Option<usize>,
        after: Option<String>,
    ) -> Result<Items<Entry>> {
        let path = with_query(path, &self.query);
        let limit = limit.map(|limit| limit.to_string());
        self.client
            .get(&with_query(&path, &[("limit", limit), ("after", after)]))
    }

    /// The first ones of each path.
    fn first(&self, limit: Option<usize>) -> Result<Items<Entry>> {
        let mut found = Items::all(Vec::new());
        for path in self.paths {
            let part = self.page(path, limit, None)?;
            found.items.extend(part.items);
            found.total += part.total;
        }
        Ok(found)
    }

    /// All of them, never more than a page at a time. What changes meanwhile is seen or not, as it
    /// comes; nothing is seen twice.
    fn pages(
        &self,
        size: usize,
        table: &mut Growing<{ HEADER.len() }>,
        mut print: impl FnMut(&str) -> io::Result<()>,
    ) -> Result<()> {
        for path in self.paths {
            let mut after = None;
            loop {
                let page = self.page(path, Some(size), after)?;
                let Some(last) = page.items.last() else { break };
                after = Some(last.prefix.clone());
                print(&table.rows(page.items.iter().map(entry_row)))?;
                if page.items.len() >= page.total {
                    break;
                }
            }
        }
        print(&table.end())?;
        Ok(())
    }
}

/// The guarded prefixes, of those that cover an address if one is given.
pub fn guard(contains: Option<IpAddr>, rows: Option<usize>, context: &Context) -> Result<u8> {
    let mut found = guard::fetch(context)?;
    if let Some(address) = contains {
        let covers = |prefix: Prefix| prefix.contains(address);
        found
            .items
            .retain(|item| item.prefix.parse().is_ok_and(covers));
        found.total = found.items.len();
    }
    context
        .output
        .either(&found, |found| guard_rows(found, rows))?;
    Ok(0)
}

/// All rules, or those that are about an address.
fn rules(contains: Option<IpAddr>, rows: Option<usize>, context: &Context) -> Result<u8> {
    let mut found = rules::fetch(context)?;
    if let Some(address) = contains {
        found.items.retain(|rule| is_about(rule, address));
        found.total = found.items.len();
    }
    context
        .output
        .either(&found, |found| first_of(found, rows, rules::table))?;
    Ok(0)
}

fn is_about(rule: &Rule, address: IpAddr) -> bool {
    let covers = |prefix: Prefix| prefix.contains(address);
    let mut sources = rule.from.iter();
    rule.from.is_empty() || sources.any(|source| source.parse().is_ok_and(covers))
}

/// An entry in one line, as a reason.
pub fn describe(entry: &Entry) -> String {
    let mut text = format!(
        "{} {} in list {}, {}",
        entry.action,
        entry.prefix,
        escape(&entry.list),
        match Ttl::from_secs(entry.ttl_s) {
            Ttl::Never => "without end".to_owned(),
            left => format!("{left} left"),
        },
    );
    if !entry.comment.is_empty() {
        text += &format!(": {}", escape(&entry.comment));
    }
    text
}

const HEADER: [&str; 7] = [
    "PREFIX", "ACTION", "LIST", "ENDS IN", "PACKETS", "FROM", "COMMENT",
];

fn entry_rows(found: &Items<Entry>, rows: Option<usize>) -> String {
    first_of(found, rows, |items| {
        table(HEADER, items.iter().map(entry_row))
    })
}

fn entry_row(entry: &Entry) -> [String; HEADER.len()] {
    [
        entry.prefix.clone(),
        match entry.observed {
            true => "observe".to_owned(),
            false => entry.action.clone(),
        },
        escape(&entry.list).into_owned(),
        Ttl::from_secs(entry.ttl_s).to_string(),
        entry.packets.to_string(),
        geo::home::short(entry.geo.as_ref()),
        escape(&entry.comment).into_owned(),
    ]
}

fn guard_rows(found: &Items<Guarded>, rows: Option<usize>) -> String {
    let row = |item: &Guarded| [item.prefix.clone(), item.source.clone()];
    first_of(found, rows, |items| {
        table(["PREFIX", "SOURCE"], items.iter().map(row))
    })
}

/// At most as many rows as are wanted, and how many there are beyond.
fn first_of<T>(found: &Items<T>, rows: Option<usize>, show: impl FnOnce(&[T]) -> String) -> String {
    let shown = rows.unwrap_or(usize::MAX).min(found.items.len());
    let mut text = show(&found.items[..shown]);
    if let Some(more @ 1..) = found.total.checked_sub(shown) {
        text += &format!("... {more} more, --all shows them\n");
    }
    text
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;

    /// An entry of `local` that never ends.
    pub fn entry(prefix: &str, action: &str, comment: &str) -> Entry {
        Entry {
            prefix: prefix.into(),
            action: action.into(),
            observed: false,
            list: "local".into(),
            comment: comment.into(),
            created_at: jiff::Timestamp::UNIX_EPOCH,
            expires_at: None,
            ttl_s: None,
            packets: 7,
            bytes: 420,
            geo: None,
        }
    }

    #[test]
    fn a_terminal_sees_the_first_rows_and_how_many_more_there_are() {
        let mut found = Items::all(vec![entry("192.0.2.1", "block", "x"); 60]);
        found.total = 1000;
        let text = entry_rows(&found, Some(50));
        assert_eq!(text.lines().count(), 1 + 50 + 1);
        assert!(
            text.ends_with("\n... 950 more, --all shows them\n"),
            "{text}"
        );
        found.total = 60;
        assert_eq!(entry_rows(&found, None).lines().count(), 1 + 60);
    }

    #[test]
    fn a_rule_is_about_its_sources_or_about_everybody() {
        let mut rule = rules::examples::rule(1, "tcp/22", "accept");
        let is_about = |rule: &Rule, text: &str| is_about(rule, text.parse().expect("an address"));
        assert!(is_about(&rule, "192.0.2.7") && is_about(&rule, "::1"));
        rule.from = vec!["192.0.2.0/24".into(), "2001:db8::/32".into()];
        assert!(is_about(&rule, "192.0.2.7") && is_about(&rule, "2001:db8::1"));
        assert!(!is_about(&rule, "192.0.3.7") && !is_about(&rule, "::1"));
    }

    #[test]
    fn a_row_has_everything_and_nothing_that_drives_a_terminal() {
        let mut found = entry("2001:db8::/32", "block", "a\x1b[31m");
        found.ttl_s = Some(5_400);
        found.geo = Some(geo::home::tests::geo());
        assert_eq!(
            entry_rows(&Items::all(vec![found.clone()]), None)
                .lines()
                .nth(1),
            Some("2001:db8::/32  block   local  1h30m    7        DE AS64500  a\\u{1b}[31m")
        );
        assert_eq!(
            describe(&found),
            "block 2001:db8::/32 in list local, 1h30m left: a\\u{1b}[31m"
        );
        assert_eq!(
            describe(&entry("192.0.2.1", "allow", "")),
            "allow 192.0.2.1 in list local, without end"
        );
    }
}
