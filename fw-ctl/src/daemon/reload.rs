//! Reading the configuration, at the start and on SIGHUP.

use std::{fs, io, path::Path, time::Duration};

use super::{
    Options, geo,
    owner::Owner,
    problem::{Failure, bad_input},
    rules::read_rule,
    start,
};
use crate::{
    api::server::tcp,
    backend::xdp::load::chain,
    config::{Config, ConfigError, DEFAULT_PATH, ListFile},
    duration::Ttl,
    host::{clock, files::read_regular, links},
    listfile::{self, Format},
    policy::{
        change::{Change, Draft},
        entry::Item,
        guard::GuardSource,
        rule::Origin,
        time::Now,
    },
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
        // As a whole or not at all.
        Ok(text) => {
            let new = kept.with_extension("new");
            fs::write(&new, text)?;
            fs::rename(new, kept)
        }
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
    let mut lists = config.lists.iter();
    lists.try_for_each(|list| read_list(list, now).map(drop))?;
    for path in &config.geo.databases {
        let loaded = geo::work::load(path);
        loaded.map_err(|error| bad_input(format!("{}: {error}", path.display())))?;
    }
    tcp::acceptor(&config.api)?;
    Ok(())
}

/// The entries of a list file: all of them, or none.
fn read_list(list: &ListFile, now: Now) -> Result<Vec<Item>, Failure> {
    let path = list.path.display();
    let text = read_regular(&list.path).map_err(|error| {
        bad_input(format!(
            "cannot read list {} from {path}: {error}",
            list.name
        ))
    })?;
    let parsed = listfile::parse(&text, Format::Auto);
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
    let other = |line: &&listfile::Line| line.action.is_some_and(|action| action != list.action);
    if let Some(line) = parsed.lines.iter().find(other) {
        let wanted = list.action.name();
        return Err(bad_input(format!(
            "{path}:{}: not an entry to {wanted}",
            line.line
        )));
    }
    let item = |line: listfile::Line| Item {
        prefix: line.prefix,
        deadline: line
            .ttl
            .and_then(Ttl::secs)
            .map(|secs| now.after(Duration::from_secs(secs))),
        comment: line.comment,
    };
    Ok(parsed.lines.into_iter().map(item).collect())
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
        for list in self.config.lists.clone() {
            result = result.and(self.load_list(&list));
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

    fn load_list(&mut self, list: &ListFile) -> Result<(), Failure> {
        let now = clock::now();
        let change = Change::Replace {
            action: list.action,
            list: list.name.clone(),
            items: read_list(list, now)?,
        };
        let draft: Draft = self.policy.prepare(change, now)?;
        self.commit(&draft, now, "configuration")?;
        self.revised();
        for (_, prefix, refusal) in &draft.refused {
            tracing::warn!(list = %list.name, %prefix, "left out: {refusal}");
        }
        match draft.refused.as_slice() {
            [] => Ok(()),
            [(_, _, first), ..] => Err(Failure::from(first).prefixed(&format!(
                "{} entries of list {} are left out, the first: ",
                draft.refused.len(),
                list.name
            ))),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        bad_input(chain(&error))
    }
}
