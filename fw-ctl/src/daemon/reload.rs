//! Reading the configuration, at the start and on SIGHUP.

use std::{io, path::Path};

use jiff::Timestamp;

use super::{
    Options,
    feeds::{read_file, reading},
    geo,
    owner::Owner,
    problem::{Failure, bad_input},
    rules::read_rule,
    start,
};
use crate::{
    api::server::tcp,
    backend::xdp::load::chain,
    config::{Config, ConfigError, DEFAULT_PATH},
    feed::{Feed, Source, Taken, Validators, copy::About, judge},
    host::{
        clock,
        files::{read_regular, replace},
        links,
    },
    listfile,
    policy::{guard::GuardSource, rule::Origin, time::Now},
};

/// Lines of a list file that are named when it is refused.
const MAX_LINES: usize = 10;

/// The configuration file that was last taken, in the state directory.
const LAST_GOOD: &str = "last-good.toml";

/// The file with the command line on top of it.
///
/// # Errors
/// What is wrong, with line and column.
pub fn configuration(options: &Options) -> Result<Config, Failure> {
    over(Config::read(options.config.as_deref())?, options)
}

/// The configuration of a start: if the file is broken, the last good one, and what is wrong.
///
/// # Errors
/// As [`configuration`], when there was never a good one.
pub(super) fn last_good(options: &Options) -> Result<(Config, Result<(), Failure>), Failure> {
    let failure = match configuration(options) {
        Ok(config) => return Ok((config, Ok(()))),
        Err(failure) => failure,
    };
    let kept = options.state_dir.join(LAST_GOOD);
    let last = Config::read(Some(&kept)).ok();
    match last.and_then(|config| over(config, options).ok()) {
        Some(config) => {
            let text = "the last good configuration is used: ";
            Ok((config, Err(failure.prefixed(text))))
        }
        None => Err(failure),
    }
}

/// Keeps the file for a start at which it is broken.
fn keep(options: &Options) -> io::Result<()> {
    let kept = options.state_dir.join(LAST_GOOD);
    let file = options.config.as_deref();
    match read_regular(file.unwrap_or(Path::new(DEFAULT_PATH))) {
        Ok(text) => replace(&kept, text.as_bytes()),
        Err(error) if file.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn over(mut config: Config, options: &Options) -> Result<Config, Failure> {
    if !options.interfaces.is_empty() {
        config.interfaces.clone_from(&options.interfaces);
    }
    config.mode = options.mode.unwrap_or(config.mode);
    config.observe |= options.observe;
    if config.interfaces.is_empty() {
        return Err(bad_input("no interface to protect")
            .with_hint("name one with `-i eth0`, or with `interfaces` in the configuration"));
    }
    for name in &config.interfaces {
        links::validate_name(name).map_err(|error| bad_input(chain(&error)))?;
    }
    Ok(config)
}

/// Whether every file that the configuration names can be taken, as `fw-ctl run -t` asks. A start
/// does not ask: a server must not come up unprotected because of a bad line; the list stays as it
/// was, with an alarm.
///
/// # Errors
/// The bad lines of the first list that has any, or what is wrong with a file of countries, with
/// certificate or key.
pub fn check_files(config: &Config) -> Result<(), Failure> {
    let now = clock::now();
    let mut files = config.lists.iter().filter(|list| is_file(list));
    files.try_for_each(|list| read_list(list, now).map(drop))?;
    for path in &config.geo.databases {
        let loaded = geo::work::load(path);
        loaded.map_err(|error| bad_input(format!("{}: {error}", path.display())))?;
    }
    tcp::acceptor(&config.api)?;
    Ok(())
}

/// What comes from elsewhere is not read with the configuration: it would have to wait for it.
fn is_file(list: &Feed) -> bool {
    matches!(list.source, Source::File(_))
}

/// The entries of a list file: all of them, or none.
fn read_list(list: &Feed, now: Now) -> Result<Taken, Failure> {
    let Source::File(path) = &list.source else {
        return Err(bad_input(format!("list {} is no file", list.name)));
    };
    let text = read_file(list, path)?;
    let parsed = listfile::parse(&text, reading(list, now));
    let path = path.display();
    if !parsed.errors.is_empty() {
        let lines: Vec<String> = parsed
            .errors
            .iter()
            .take(MAX_LINES)
            .map(|error| format!("{path}:{}: {}", error.line, error.reason))
            .collect();
        return Err(bad_input(format!(
            "list {} has lines that cannot be read, {} in all: {}",
            list.name,
            parsed.errors.len(),
            lines.join("; ")
        )));
    }
    for left_out in parsed.left_out.iter().take(MAX_LINES) {
        tracing::warn!("list {} leaves out {path}:{left_out}", list.name);
    }
    let taken = judge(list, parsed, None, now.wall, now);
    taken.map_err(|refused| refused.of(list).prefixed(&format!("{path}: ")))
}

impl Owner {
    /// Reads the configuration again. A broken one changes nothing and is an alarm.
    pub fn reload(&mut self) {
        self.countries.try_again();
        let result = configuration(&self.options).and_then(|config| self.adopt(config));
        self.note("configuration", result);
    }

    fn adopt(&mut self, config: Config) -> Result<(), Failure> {
        start::is_any_there(&config, &start::interfaces()?)?;
        if config.tables != self.config.tables {
            tracing::warn!("table sizes change with the next start");
        }
        if config.mirror.backend != self.config.mirror.backend {
            tracing::warn!("the backend of the mirror changes with the next start");
        }
        let (now, next) = (&self.config.api, &config.api);
        if (&next.group, &next.hosts) != (&now.group, &now.hosts) {
            tracing::warn!("group and names of the API change with the next start");
        }
        self.config = config;
        self.open_api();
        let gone: Vec<String> = self
            .interfaces
            .keys()
            .filter(|name| !self.config.interfaces.contains(name))
            .cloned()
            .collect();
        for name in gone {
            self.detach(Some(&name))?;
        }
        for name in &self.config.interfaces {
            self.interfaces.entry(name.clone()).or_default();
        }
        let settings = self.scan.overrides.over(&self.config.scan);
        self.adopt_settings(settings)?;
        self.xdp.announce()?;
        self.take_configured();
        self.push_guard()?;
        self.keep_configuration();
        let result = self.configured();
        self.mirror_rules();
        result
    }

    /// Keeps the file for a start at which it is broken.
    pub(super) fn keep_configuration(&self) {
        if let Err(error) = keep(&self.options) {
            tracing::warn!(%error, "cannot keep a copy of the configuration");
        }
    }

    /// Takes into the policy whom the configuration guards, without telling the kernel yet.
    pub(super) fn take_configured(&mut self) {
        let prefixes = self.config.guard.prefixes.clone();
        self.policy.guard.set(GuardSource::Configured, prefixes);
    }

    /// Makes true what the configuration says of lists.
    ///
    /// # Errors
    /// The first list that is refused; the others are done.
    pub(super) fn configured(&mut self) -> Result<(), Failure> {
        self.forget_lists()?;
        let mut result = self.configured_rules();
        for list in self
            .config
            .lists
            .clone()
            .iter()
            .filter(|list| is_file(list))
        {
            result = result.and(self.load_list(list));
        }
        result
    }

    /// Gives the configuration the rules it names, and the base where the operator said nothing.
    fn configured_rules(&mut self) -> Result<(), Failure> {
        let now = clock::now();
        let read = |put| read_rule(put, Origin::Configuration, now);
        let rules = self.config.rules.iter().map(read);
        let wanted = rules
            .map(|read| read.map(|(rule, _)| rule))
            .collect::<Result<Vec<_>, _>>()?;
        let mut next = self.policy.rules.clone();
        next.base = self.base.over(self.config.mirror.base);
        next.replace(Origin::Configuration, wanted)?;
        match next == self.policy.rules {
            true => Ok(()),
            false => self.commit_rules(next, self.base, "configuration", "rules of the file"),
        }
    }

    /// Lists that were files until the configuration stopped naming them are emptied: nobody would
    /// look after their entries any more.
    fn forget_lists(&mut self) -> Result<(), Failure> {
        let mut names: Vec<String> = self
            .config
            .lists
            .iter()
            .map(|list| list.name.to_string())
            .collect();
        let mut before = self.store.file_lists()?;
        for gone in before.iter().filter(|name| !names.contains(name)) {
            // A list that never had an entry does not exist.
            if gone
                .parse()
                .is_ok_and(|name| self.policy.list_id(&name).is_some())
            {
                self.flush(gone, "configuration")?;
            }
        }
        names.sort_unstable();
        before.sort_unstable();
        if names == before {
            return Ok(());
        }
        let change = self.store.begin()?;
        change.write_file_lists(&names)?;
        change.commit()?;
        Ok(())
    }

    fn load_list(&mut self, list: &Feed) -> Result<(), Failure> {
        let read = read_list(list, clock::now()).and_then(|mut taken| {
            let about = About::new(list, &[], Validators::default(), Timestamp::now());
            let changed = self.take_feed(list, std::mem::take(&mut taken.items), &about)?;
            Ok((taken, changed))
        });
        self.feeds.note_file(list, &read);
        let (_, changed) = read?;
        match changed.refused.first() {
            None => Ok(()),
            Some(first) => Err(Failure::new(first.code, changed.warnings.join("; "))),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        bad_input(chain(&error))
    }
}
