//! What a feed is: read from what was asked for, and checked. Pure.

use std::{path::PathBuf, time::Duration};

use url::Url;

use crate::{
    api::wire::{Code, FeedPut, Hidden, ProblemBody},
    duration::Ttl,
    listfile::Format,
    outbound,
    policy::entry::{Action, ListName},
};

/// A list that is kept from somewhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// The list that is exactly this, and nothing else.
    pub name: ListName,
    /// What its entries do.
    pub action: Action,
    /// Where it comes from.
    pub source: Source,
    /// How it is written.
    pub format: Format,
    /// How long after a look the next one is; `None`: when it is asked for.
    pub interval: Option<Duration>,
    /// What it may be.
    pub bounds: Bounds,
}

/// Where a feed comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file of this host.
    File(PathBuf),
    /// Somewhere else. Path and query may be secrets.
    Url(Url),
}

impl Source {
    /// As shown: of a URL scheme, host and port alone.
    pub fn shown(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Url(url) => outbound::shown(url),
        }
    }
}

/// What a feed may be; beyond it, it is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes.
    pub bytes: usize,
    /// Prefixes.
    pub entries: usize,
    /// Bits of its widest prefix of IPv4.
    pub widest_ipv4: u8,
    /// Bits of its widest prefix of IPv6.
    pub widest_ipv6: u8,
    /// From the first packet to the end of the answer.
    pub time: Duration,
}

impl Bounds {
    /// Unless it is said. A file is the operator's own.
    fn usual(source: &Source) -> Self {
        let (bytes, entries, widest_ipv4, widest_ipv6) = match source {
            Source::File(_) => (256 << 20, 1 << 24, 0, 0),
            Source::Url(_) => (32 << 20, 1_000_000, 8, 16),
        };
        Self {
            bytes,
            entries,
            widest_ipv4,
            widest_ipv6,
            time: Duration::from_secs(60),
        }
    }
}

/// How often a URL is asked, unless it is said.
const INTERVAL: u64 = 3600;

/// How often anything is asked at most, and at least: who keeps lists for everybody bars those who
/// come every second.
const INTERVALS: (u64, u64) = (10, 30 * 86_400);

/// Bytes at most, whatever is asked for: so much is held in memory.
const MAX_BYTES: u64 = 256 << 20;

/// Prefixes at most, whatever is asked for.
const MAX_ENTRIES: u64 = 1 << 24;

/// Seconds at most for an answer.
const MAX_SECS: u64 = 600;

impl Feed {
    /// From what was asked for.
    ///
    /// # Errors
    /// What is wrong with it. The source is not repeated.
    pub fn read(put: &FeedPut) -> Result<Self, ProblemBody> {
        Self::of(put, source(&put.source)?)
    }

    /// From what was asked for, but for its source.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of(put: &FeedPut, source: Source) -> Result<Self, ProblemBody> {
        let name: ListName = put.name.parse().map_err(|error| {
            let shown: String = put.name.chars().take(64).collect();
            bad(format!("{shown:?}: {error}"))
        })?;
        let is_own = [ListName::local(), ListName::auto()].contains(&name) || name.is_geo();
        if is_own || name.as_str().ends_with(':') {
            return Err(bad(format!("list {name} is not kept from elsewhere"))
                .with_hint("give the feed a name of its own"));
        }
        let usual = Bounds::usual(&source);
        let interval = match (&source, put.interval_s) {
            (Source::File(_), None) => None,
            (_, asked) => {
                let (least, most) = INTERVALS;
                Some(within("interval", asked.unwrap_or(INTERVAL), least, most)?)
            }
        };
        let text = |error: &dyn ToString| bad(error.to_string());
        let bounds = Bounds {
            bytes: size("max_bytes", put.max_bytes, usual.bytes, MAX_BYTES)?,
            entries: size("max_entries", put.max_entries, usual.entries, MAX_ENTRIES)?,
            widest_ipv4: bits("widest_ipv4", put.widest_ipv4, usual.widest_ipv4, 32)?,
            widest_ipv6: bits("widest_ipv6", put.widest_ipv6, usual.widest_ipv6, 128)?,
            time: Duration::from_secs(within(
                "time_limit",
                put.time_limit_s.unwrap_or(usual.time.as_secs()),
                1,
                MAX_SECS,
            )?),
        };
        Ok(Self {
            name,
            action: put.action.parse().map_err(|error| text(&error))?,
            format: put.format.parse().map_err(|error| text(&error))?,
            source,
            interval: interval.map(Duration::from_secs),
            bounds,
        })
    }
}

fn source(Hidden(text): &Hidden) -> Result<Source, ProblemBody> {
    if text.starts_with('/') {
        return Ok(Source::File(PathBuf::from(text)));
    }
    let url = outbound::url(text).map_err(|why| {
        bad(format!("the source of the feed {why}")).with_hint(
            "it is written like https://lists.example.com/drop.txt, or like /etc/fw-ctl/drop.txt",
        )
    })?;
    Ok(Source::Url(url))
}

/// A number of seconds within these bounds.
fn within(what: &str, asked: u64, least: u64, most: u64) -> Result<u64, ProblemBody> {
    match (least..=most).contains(&asked) {
        true => Ok(asked),
        false => {
            let [least, most, asked] = [least, most, asked].map(|secs| Ttl::from_secs(Some(secs)));
            Err(bad(format!("{what} is {least} to {most}, not {asked}")))
        }
    }
}

fn size(what: &str, asked: Option<u64>, usual: usize, most: u64) -> Result<usize, ProblemBody> {
    match asked {
        None => Ok(usual),
        Some(asked) if (1..=most).contains(&asked) => {
            Ok(usize::try_from(asked).unwrap_or(usize::MAX))
        }
        Some(asked) => Err(bad(format!("{what} is 1 to {most}, not {asked}"))),
    }
}

fn bits(what: &str, asked: Option<u8>, usual: u8, most: u8) -> Result<u8, ProblemBody> {
    match asked {
        None => Ok(usual),
        Some(asked) if asked <= most => Ok(asked),
        Some(asked) => Err(bad(format!(
            "{what} is a length of 0 to {most}, not {asked}"
        ))),
    }
}

fn bad(message: impl Into<String>) -> ProblemBody {
    ProblemBody::new(Code::BadInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(source: &str) -> FeedPut {
        FeedPut {
            name: "feed:drop".into(),
            source: Hidden(source.into()),
            ..FeedPut::default()
        }
    }

    #[test]
    fn what_is_not_said_is_as_usual() {
        let feed = Feed::read(&put("https://lists.example/drop.txt?key=secret")).expect("a feed");
        assert_eq!(feed.action, Action::Block);
        assert_eq!(feed.format, Format::Auto);
        assert_eq!(feed.interval, Some(Duration::from_secs(3600)));
        assert_eq!((feed.bounds.widest_ipv4, feed.bounds.widest_ipv6), (8, 16));
        assert_eq!(feed.source.shown(), "https://lists.example/...");
        let file = Feed::read(&put("/etc/fw-ctl/drop.txt")).expect("a feed");
        assert_eq!(file.interval, None, "a file is read when it is asked for");
        assert_eq!((file.bounds.widest_ipv4, file.bounds.widest_ipv6), (0, 0));
        assert_eq!(file.source.shown(), "/etc/fw-ctl/drop.txt");
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_the_source_is_not_repeated() {
        for (change, reason) in [
            (
                Box::new(|put: &mut FeedPut| put.name = "local".into())
                    as Box<dyn Fn(&mut FeedPut)>,
                "not kept from elsewhere",
            ),
            (
                Box::new(|put| put.name = "auto".into()),
                "not kept from elsewhere",
            ),
            (Box::new(|put| put.name = "a b".into()), "a list name has"),
            (
                Box::new(|put| put.name = "feed:".into()),
                "not kept from elsewhere",
            ),
            (
                Box::new(|put| put.action = "drop".into()),
                "neither block nor allow",
            ),
            (
                Box::new(|put| put.format = "xml".into()),
                "a list format is",
            ),
            (
                Box::new(|put| put.interval_s = Some(9)),
                "interval is 10s to",
            ),
            (
                Box::new(|put| put.interval_s = Some(u64::MAX)),
                "interval is 10s to",
            ),
            (
                Box::new(|put| put.time_limit_s = Some(0)),
                "time_limit is 1s to",
            ),
            (
                Box::new(|put| put.max_bytes = Some(1 << 40)),
                "max_bytes is 1 to",
            ),
            (
                Box::new(|put| put.max_entries = Some(0)),
                "max_entries is 1 to",
            ),
            (
                Box::new(|put| put.widest_ipv4 = Some(33)),
                "widest_ipv4 is a length",
            ),
            (
                Box::new(|put| put.widest_ipv6 = Some(129)),
                "widest_ipv6 is a length",
            ),
            (
                Box::new(|put| put.source = Hidden("secret".into())),
                "is no URL",
            ),
            (
                Box::new(|put| put.source = Hidden("ftp://secret/".into())),
                "neither https nor http",
            ),
            (
                Box::new(|put| put.source = Hidden(String::new())),
                "is no URL",
            ),
        ] {
            let mut put = put("https://lists.example/secret");
            change(&mut put);
            let error = Feed::read(&put).expect_err(reason).to_string();
            assert!(
                error.contains(reason) && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
