//! Items as they were asked for, read where the body is, so that the owner's loop has them as it
//! needs them.

use std::fmt;

use fw_common::Prefix;
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};

use crate::{
    api::wire::{Code, MAX_ITEMS, PutItem, ReadItem, Refused},
    daemon::problem::{Failure, bad_input},
    host::clock,
    policy::{
        entry::Item,
        time::{Now, WallSecs},
    },
};

/// Warnings of one request that are kept.
const MAX_WARNINGS: usize = 1000;

/// The items of a request. Ends are counted from when they were read.
#[derive(Debug, Default)]
pub struct Requested {
    /// Those that make sense, in their order.
    pub(super) items: Vec<Item>,
    /// Those that do not.
    pub(super) refused: Vec<Refused>,
    /// What the user should know: host bits that were cleared.
    pub(super) warnings: Vec<String>,
    /// How many there are, with those that are not kept.
    pub(super) total: usize,
}

impl Requested {
    /// Of items that have been read already.
    pub(in crate::daemon) fn of(items: &[PutItem], now: Now) -> Self {
        let mut requested = Self::default();
        for item in items {
            let item = PutItem {
                prefix: &*item.prefix,
                ttl_s: item.ttl_s,
                comment: &*item.comment,
                created_at: item.created_at,
            };
            requested.take(&item, now);
        }
        requested
    }

    /// # Errors
    /// There are more than one request may have.
    pub(super) fn check(self) -> Result<Self, Failure> {
        let total = self.total;
        match total > MAX_ITEMS {
            true => Err(Failure::new(
                Code::TooLarge,
                format!("{total} prefixes are too many: one request has at most {MAX_ITEMS}"),
            )),
            false => Ok(self),
        }
    }

    /// Where the item stands among all that were asked for.
    pub(super) fn positions(refused: &[Refused]) -> impl Fn(usize) -> usize + use<> {
        // How many that make sense stand before each that does not.
        let before: Vec<usize> = (refused.iter().enumerate())
            .map(|(earlier, refused)| refused.index - earlier)
            .collect();
        move |index| index + before.partition_point(|before| *before <= index)
    }

    fn take(&mut self, asked: &PutItem<&str>, now: Now) {
        let index = self.total;
        self.total += 1;
        if self.total > MAX_ITEMS {
            return;
        }
        match read_item(asked, now) {
            Ok((item, warning)) => {
                self.items.push(item);
                if self.warnings.len() < MAX_WARNINGS {
                    self.warnings.extend(warning);
                }
            }
            Err(failure) => self.refused.push(Refused {
                prefix: asked.prefix.to_owned(),
                index,
                code: failure.code,
                message: failure.message,
            }),
        }
    }
}

impl<'de> Deserialize<'de> for Requested {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Each(Now);
        impl<'de> Visitor<'de> for Each {
            type Value = Requested;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of items")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Requested, S::Error> {
                let mut requested = Requested::default();
                let mut more = true;
                while more {
                    let item = ReadItem(|item: PutItem<&str>| requested.take(&item, self.0));
                    more = items.next_element_seed(item)?.is_some();
                }
                Ok(requested)
            }
        }
        from.deserialize_seq(Each(clock::now()))
    }
}

fn read_item(asked: &PutItem<&str>, now: Now) -> Result<(Item, Option<String>), Failure> {
    let (prefix, warning) = read_prefix(asked.prefix)?;
    let deadline = now
        .end_of(asked.ttl_s)
        .map_err(|error| bad_input(format!("{prefix}: ttl_s: {error}")))?;
    let comment = asked
        .comment
        .parse()
        .map_err(|error| bad_input(format!("{prefix}: {error}")))?;
    let item = Item {
        prefix,
        deadline,
        comment,
        // Nothing was added in the future.
        created: asked
            .created_at
            .map(|time| WallSecs(time.as_second()).min(now.wall)),
    };
    Ok((item, warning))
}

/// A prefix, and a warning when host bits were cleared.
pub(in crate::daemon) fn read_prefix(text: &str) -> Result<(Prefix, Option<String>), Failure> {
    let (prefix, cleared) = Prefix::parse(text).map_err(|error| {
        let shown: String = text.chars().take(64).collect();
        bad_input(format!("{shown:?}: {error}"))
    })?;
    let warning = cleared.then(|| format!("{text} has host bits, {prefix} is taken"));
    Ok((prefix, warning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requested(text: &str) -> Requested {
        serde_json::from_str(text).expect("an array of items")
    }

    #[test]
    fn items_that_make_sense_are_kept_and_the_others_named_by_position() {
        let requested = requested(
            r#"["192.0.2.1","x",{"prefix":"192.0.2.2","ttl_s":0},{"prefix":"192.0.2.3","ttl_s":60,"comment":"c"},
                {"prefix":"192.0.2.4","comment":"\u001b"},"192.0.2.5/24",{"prefix":"192.0.2.6","ttl_s":4294967296}]"#,
        );
        let items: Vec<_> = requested
            .items
            .iter()
            .map(|item| item.prefix.to_string())
            .collect();
        assert_eq!(items, ["192.0.2.1", "192.0.2.3", "192.0.2.0/24"]);
        assert!(requested.items[0].deadline.is_none() && requested.items[1].deadline.is_some());
        let refused: Vec<_> = requested
            .refused
            .iter()
            .map(|refused| refused.index)
            .collect();
        assert_eq!((refused, requested.total), (vec![1, 2, 4, 6], 7));
        assert_eq!(requested.warnings.len(), 1);

        let position = Requested::positions(&requested.refused);
        assert_eq!([0, 1, 2].map(position), [0, 3, 5]);
    }

    #[test]
    fn nothing_was_added_in_the_future() {
        let requested = requested(
            r#"["::1",{"prefix":"::2","created_at":"2024-03-01T09:30:00Z"},{"prefix":"::3","created_at":"2124-03-01T09:30:00Z"}]"#,
        );
        let now = clock::now().wall;
        let created = |item: &Item| item.created.map(|wall| wall.0);
        assert_eq!(
            requested
                .items
                .iter()
                .map(created)
                .take(2)
                .collect::<Vec<_>>(),
            [None, Some(1_709_285_400)]
        );
        assert!(requested.items[2].created.is_some_and(|wall| wall <= now));
    }

    #[test]
    fn more_items_than_one_request_may_have_are_counted_and_not_kept() {
        let text = format!("[{}\"::1\"]", "\"\",".repeat(MAX_ITEMS));
        let requested = requested(&text);
        assert_eq!((requested.total, requested.items.len()), (MAX_ITEMS + 1, 0));
        let failure = requested.check().expect_err("too many");
        assert_eq!(failure.code, Code::TooLarge);
        assert!(self::requested("[\"::1\"]").check().is_ok());
    }
}
