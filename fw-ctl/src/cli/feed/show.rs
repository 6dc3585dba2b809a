//! Feeds, as they are told.

use crate::{
    api::wire::{Feed, FeedDone},
    cli::{
        changed::{counts, numbers},
        output::{self, escape},
        scan::time,
    },
};

/// One line a feed.
pub fn table(feeds: &[Feed]) -> String {
    let header = [
        "LIST", "ACTION", "SOURCE", "ENTRIES", "LEFT OUT", "AGE", "EVERY", "ORIGIN", "PROBLEM",
    ];
    output::table(header, feeds.iter().map(row))
}

fn row(feed: &Feed) -> [String; 9] {
    let dash = || "-".to_owned();
    [
        escape(&feed.name).into_owned(),
        escape(&feed.action).into_owned(),
        escape(&feed.source).into_owned(),
        feed.entries
            .map_or_else(dash, |entries| entries.to_string()),
        (feed.unread + feed.left_out).to_string(),
        feed.age_s.map_or_else(dash, time),
        feed.interval_s.map_or_else(dash, time),
        escape(&feed.origin).into_owned(),
        feed.problem
            .as_ref()
            .map_or_else(dash, |problem| escape(problem).into_owned()),
    ]
}

/// What became of a list: `feed:drop: 1302 entries (12 added, 3 removed)`
pub fn done(told: &FeedDone) -> String {
    let FeedDone { feed, changed } = told;
    let entries = feed.entries.unwrap_or_default();
    let mut text = format!(
        "{}: {entries} entries ({})",
        escape(&feed.name),
        numbers(counts(changed))
    );
    if feed.unread > 0 {
        text += &format!(", {} lines cannot be read", feed.unread);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::Changed;

    fn feed() -> Feed {
        Feed {
            name: "feed:drop".into(),
            action: "block".into(),
            source: "https://lists.example/...".into(),
            format: "auto".into(),
            origin: "local".into(),
            interval_s: Some(3600),
            entries: Some(1302),
            unread: 1,
            left_out: 2,
            fetched_at: None,
            checked_at: None,
            age_s: Some(61),
            next_at: None,
            failures: 0,
            problem: None,
        }
    }

    #[test]
    fn a_line_says_how_old_a_feed_is_and_what_is_wrong_with_it() {
        let bad = Feed {
            name: "partners".into(),
            entries: None,
            age_s: None,
            interval_s: None,
            problem: Some("the server answered 500\u{1b}".into()),
            ..feed()
        };
        let text = table(&[feed(), bad]);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[1][3..], ["1302", "3", "1m1s", "1h", "local", "-"]);
        assert_eq!(lines[2][3..6], ["-", "3", "-"]);
        assert!(text.contains("answered 500\\u{1b}"), "{text}");
    }

    #[test]
    fn a_look_says_what_it_changed() {
        let mut told = FeedDone {
            feed: feed(),
            changed: Changed::default(),
        };
        assert_eq!(
            done(&told),
            "feed:drop: 1302 entries (nothing to do), 1 lines cannot be read"
        );
        told.changed.added = 12;
        told.feed.unread = 0;
        assert_eq!(done(&told), "feed:drop: 1302 entries (12 added)");
    }
}
