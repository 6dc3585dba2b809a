//! The command line: one file a verb, and what they share. Every verb but `run`, `detach` and
//! `doctor` is a client of the daemon and nothing else.

pub mod address;
pub mod apply;
pub mod bench;
pub mod block;
pub mod changed;
pub mod check;
pub mod client;
pub mod completions;
pub mod confirm;
pub mod dashboard;
pub mod default;
pub mod detach;
pub mod diff;
pub mod doctor;
pub mod export;
pub mod failure;
pub mod feed;
pub mod flush;
pub mod geo;
pub mod guard;
pub mod import;
pub mod init;
pub mod limit;
pub mod list;
pub mod man;
pub mod note;
pub mod output;
pub mod port;
pub mod rules;
pub mod run;
pub mod scan;
pub mod schedule;
pub mod status;
pub mod tail;
pub mod token;
pub mod top;
pub mod webhook;
pub mod why;

use std::{ffi::OsString, path::PathBuf};

use anyhow::Result;
use clap::{
    ArgAction, ColorChoice, CommandFactory, Parser, Subcommand,
    builder::StyledStr,
    error::{ContextKind, ContextValue},
};

use self::{
    client::Client,
    output::{Format, Output},
};

/// Blocks addresses in XDP, before the kernel spends anything on them.
#[derive(Debug, Parser)]
#[command(
    name = "fw-ctl",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub struct Args {
    /// What every verb takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What every verb takes, before or after its name.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Print one JSON object (for `tail`, one a line); the same as `-o json`
    #[arg(short, long, global = true, conflicts_with = "output")]
    json: bool,
    /// How to print data: human or json
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        hide_possible_values = true
    )]
    output: Option<Format>,
    /// Say nothing on stderr but errors, and not what a change did
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Log more; twice, even more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Check and say what would change, change nothing
    #[arg(short = 'n', long, global = true)]
    dry_run: bool,
    /// Ask nothing
    #[arg(short, long, global = true)]
    yes: bool,
    /// The daemon's socket
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "FW_CTL_SOCKET",
        default_value = "/run/fw-ctl/fw-ctl.sock"
    )]
    socket: PathBuf,
    /// When to print colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
}

/// Where the daemon keeps its things, for the verbs that work without one.
#[derive(Debug, clap::Args)]
pub struct Places {
    /// Where the policy is kept
    #[arg(long, value_name = "DIR", default_value = "/var/lib/fw-ctl")]
    pub state_dir: PathBuf,
    /// Where programs, links and maps are pinned
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/bpf/fw-ctl")]
    pub pin_dir: PathBuf,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run the daemon in the foreground
    #[command(after_help = "Example:\n  fw-ctl run -i lo --observe")]
    Run(run::Args),
    /// Wait, and roll back what was not confirmed, unless a daemon does
    #[command(hide = true)]
    Recover(run::RecoverArgs),
    /// Ask five questions, write a configuration, and try it out
    #[command(after_help = "Example:\n  fw-ctl init --confirm 60")]
    Init(init::Args),
    /// Show interfaces, program, lists, tables, totals and alarms; exits 1 when nothing is attached
    #[command(after_help = "Example:\n  fw-ctl status --json")]
    Status,
    /// Drop everything that comes from these addresses
    #[command(
        visible_aliases = ["ban", "deny"],
        after_help = "Example:\n  fw-ctl block 192.0.2.7 2001:db8::/32 --ttl 4h --comment 'ssh brute force'"
    )]
    Block(block::PutArgs),
    /// Take blocks back, from every list
    #[command(
        visible_aliases = ["unban", "del"],
        after_help = "Example:\n  fw-ctl unblock 192.0.2.7"
    )]
    Unblock(block::RemoveArgs),
    /// Let these addresses pass, whatever blocks them
    #[command(after_help = "Example:\n  fw-ctl allow 198.51.100.0/24 --comment office")]
    Allow(block::PutArgs),
    /// Take allows back, from every list
    #[command(after_help = "Example:\n  fw-ctl unallow 198.51.100.0/24")]
    Unallow(block::RemoveArgs),
    /// Show entries: of one list, all blocks, all allows, or everything
    #[command(after_help = "Example:\n  fw-ctl list blocks --contains 192.0.2.7")]
    List(list::Args),
    /// Ask whether packets from an address would pass: exits 0 when they would, 1 when not
    #[command(after_help = "Example:\n  fw-ctl check 192.0.2.7 || echo dropped")]
    Check(check::Args),
    /// Explain what happens to packets from an address: one is sent through the loaded program
    #[command(after_help = "Example:\n  fw-ctl why 192.0.2.7 --proto tcp --port 22")]
    Why(why::Args),
    /// Add a file of prefixes to a list, as a whole or not at all
    #[command(
        after_help = "Example:\n  printf '192.0.2.0/24 # test net\\n' | fw-ctl import - --list partners --action allow"
    )]
    Import(import::Args),
    /// Print entries in a form that `import` reads
    #[command(
        after_help = "Example:\n  fw-ctl export local > local.txt && fw-ctl import local.txt --list local --replace"
    )]
    Export(export::Args),
    /// Remove every entry of a list
    #[command(after_help = "Example:\n  fw-ctl flush local --dry-run")]
    Flush(flush::Args),
    /// Show or change who can never be dropped
    #[command(after_help = "Example:\n  fw-ctl guard add 198.51.100.9")]
    Guard(guard::Args),
    /// Show or change the scan detector
    #[command(after_help = "Example:\n  fw-ctl scan --json")]
    Scan(scan::Args),
    /// Show or change which countries and autonomous systems are blocked, or alone may pass
    #[command(after_help = "Example:\n  fw-ctl geo block KP --dry-run")]
    Geo(geo::Args),
    /// Accept or drop new connections to ports
    #[command(after_help = "Example:\n  fw-ctl port add tcp/22 --accept")]
    Port(port::Args),
    /// Drop new connections that come too fast
    #[command(after_help = "Example:\n  fw-ctl limit add tcp/443 --rate 10/minute")]
    Limit(limit::Args),
    /// Accept or drop new connections at hours of the week
    #[command(after_help = "Example:\n  fw-ctl schedule add tcp/8080 --hours 09:00-17:00")]
    Schedule(schedule::Args),
    /// Show or change what becomes of new connections that no rule names
    #[command(after_help = "Example:\n  fw-ctl default drop --dry-run")]
    Default(default::Args),
    /// Make a file the policy, as a whole or not at all; what it does not name stays as it is
    #[command(after_help = "Example:\n  fw-ctl apply policy.toml --confirm 60")]
    Apply(apply::Args),
    /// Keep the policy that was applied; exits 9 when it was taken back already
    #[command(after_help = "Example:\n  fw-ctl confirm")]
    Confirm,
    /// Go back to the last confirmed policy
    #[command(after_help = "Example:\n  fw-ctl rollback --dry-run")]
    Rollback,
    /// Show what differs between the policy and the layers: exits 1 when something does
    #[command(after_help = "Example:\n  fw-ctl diff && echo in step")]
    Diff,
    /// Make the layers equal to the policy now
    #[command(after_help = "Example:\n  fw-ctl repair --dry-run")]
    Repair,
    /// Measure what a packet costs in the loaded program, on this machine; disturbs no traffic
    #[command(after_help = "Example:\n  fw-ctl bench --json")]
    Bench,
    /// Print drops, scans and changes as they happen, until Ctrl-C
    #[command(after_help = "Example:\n  fw-ctl tail --scans --json")]
    Tail(tail::Args),
    /// Show, make or revoke tokens: who may use the API over TCP
    #[command(after_help = "Example:\n  fw-ctl token add grafana --scope read")]
    Token(token::Args),
    /// Show rates, sources, scans and events on a live screen, and act on them
    #[command(after_help = "Example:\n  fw-ctl top")]
    Top,
    /// Open the daemon's page for a browser of this machine, until Ctrl-C
    #[command(after_help = "Example:\n  fw-ctl dashboard --read-only")]
    Dashboard(dashboard::Args),
    /// Keep lists from URLs and files
    #[command(after_help = "Example:\n  fw-ctl feed list")]
    Feed(feed::Args),
    /// Tell receivers elsewhere what happens
    #[command(visible_alias = "hook", after_help = "Example:\n  fw-ctl webhook list")]
    Webhook(webhook::Args),
    /// Take everything of ours off this host; works without the daemon
    #[command(after_help = "Example:\n  fw-ctl detach --yes")]
    Detach(detach::Args),
    /// Say what this host can do, and how to mend what it cannot
    #[command(after_help = "Example:\n  fw-ctl doctor -i lo")]
    Doctor(doctor::Args),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  fw-ctl completions bash > /etc/bash_completion.d/fw-ctl")]
    Completions(completions::Args),
    /// Print the manual page of a verb, or of all of them
    #[command(after_help = "Example:\n  fw-ctl man block | man -l -")]
    Man(man::Args),
}

/// What a verb works with.
pub struct Context {
    /// The way to the daemon.
    pub client: Client,
    /// The way to the user.
    pub output: Output,
    /// What every verb takes.
    pub global: Global,
}

/// Reads the arguments and does what they say; gives the exit code.
pub fn main(arguments: impl Iterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.collect();
    let args = match Args::try_parse_from(&arguments) {
        Ok(args) => args,
        Err(error) => {
            let error = with_example(error, &arguments);
            return failure::report_usage(&error, wants_json(&arguments));
        }
    };
    let Args { global, verb } = args;
    let context = Context {
        client: Client::new(&global.socket),
        output: Output::new(global.format(), global.quiet, global.color),
        global,
    };
    match verb.run(&context) {
        Ok(code) => code,
        Err(error) => failure::report(&error, context.output.is_json()),
    }
}

impl Context {
    /// `--dry-run`, as a value of a query.
    fn dry_run(&self) -> (&'static str, Option<String>) {
        ("dry_run", self.global.dry_run.then(|| "true".to_owned()))
    }

    /// Tells what the daemon warns of.
    fn warn_of_all(&self, warnings: &[String]) {
        for warning in warnings {
            self.output.warn(output::escape(warning));
        }
    }
}

impl Global {
    fn format(&self) -> Format {
        match (self.json, self.output) {
            (true, _) => Format::Json,
            (false, output) => output.unwrap_or(Format::Human),
        }
    }
}

impl Verb {
    fn run(self, context: &Context) -> Result<u8> {
        match self {
            Self::Run(args) => run::run(&args, context),
            Self::Recover(args) => run::recover(&args, context),
            Self::Init(args) => init::run(&args, context),
            Self::Status => status::run(context),
            Self::Block(args) => block::block(&args, context),
            Self::Unblock(args) => block::unblock(&args, context),
            Self::Allow(args) => block::allow(&args, context),
            Self::Unallow(args) => block::unallow(&args, context),
            Self::List(args) => list::run(&args, context),
            Self::Check(args) => check::run(&args, context),
            Self::Why(args) => why::run(&args, context),
            Self::Import(args) => import::run(&args, context),
            Self::Export(args) => export::run(&args, context),
            Self::Flush(args) => flush::run(&args, context),
            Self::Guard(args) => guard::run(&args, context),
            Self::Scan(args) => scan::run(&args, context),
            Self::Geo(args) => geo::run(&args, context),
            Self::Port(args) => port::run(&args, context),
            Self::Limit(args) => limit::run(&args, context),
            Self::Schedule(args) => schedule::run(&args, context),
            Self::Default(args) => default::run(&args, context),
            Self::Apply(args) => apply::run(&args, context),
            Self::Confirm => confirm::run(context),
            Self::Rollback => confirm::rollback(context),
            Self::Diff => diff::run(context),
            Self::Repair => diff::repair(context),
            Self::Bench => bench::run(context),
            Self::Tail(args) => tail::run(&args, context),
            Self::Token(args) => token::run(&args, context),
            Self::Top => top::run(context),
            Self::Dashboard(args) => dashboard::run(&args, context),
            Self::Feed(args) => feed::run(&args, context),
            Self::Webhook(args) => webhook::run(&args, context),
            Self::Detach(args) => detach::run(&args, context),
            Self::Doctor(args) => doctor::run(&args, context),
            Self::Completions(args) => completions::run(&args, context),
            Self::Man(args) => man::run(&args, context),
        }
    }
}

/// Whether arguments that make no sense still ask for JSON: clap gives up at the first mistake.
fn wants_json(arguments: &[OsString]) -> bool {
    let texts: Vec<&str> = arguments.iter().filter_map(|text| text.to_str()).collect();
    let flag = |text: &&str| match text.strip_prefix('-') {
        Some("-json" | "-output=json") => true,
        Some(letters) => !letters.starts_with('-') && letters.contains('j'),
        None => false,
    };
    texts.iter().any(flag)
        || texts
            .windows(2)
            .any(|pair| matches!(pair, ["-o" | "--output", "json"]))
}

/// Most mistakes are of order or form: shows the right ones, by the example of the verb.
fn with_example(mut error: clap::Error, arguments: &[OsString]) -> clap::Error {
    let mut verb = &Args::command();
    for argument in arguments.iter().skip(1) {
        verb = verb.find_subcommand(argument).unwrap_or(verb);
    }
    let help = verb.get_after_help().map(ToString::to_string);
    let Some(example) = help
        .as_deref()
        .and_then(|help| help.strip_prefix("Example:\n  "))
    else {
        return error;
    };
    let tip = StyledStr::from(format!("it is written like: {example}"));
    let tips = match error.remove(ContextKind::Suggested) {
        Some(ContextValue::StyledStrs(tips)) => [tips, vec![tip]].concat(),
        _ => vec![tip],
    };
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    error
}

#[cfg(test)]
mod tests;
