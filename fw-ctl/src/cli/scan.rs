//! `scan`: the scan detector.

pub mod event;

use anyhow::Result;
use clap::Subcommand;

use crate::{
    api::wire::{ScanChange, ScanSource, ScanStatus},
    cli::{
        Context,
        client::with_query,
        output::{Output, escape, table},
    },
    detect::settings::Mode,
    duration::Ttl,
};

/// What `scan` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What to do with the detector.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Show its mode, its thresholds, its blocks, and who is near a threshold
    #[command(after_help = "Example:\n  fw-ctl scan status")]
    Status,
    /// Change it until `scan reset`, also across restarts
    #[command(after_help = "Example:\n  fw-ctl scan set --mode enforce --ports 5 --ttl 1h")]
    Set(SetArgs),
    /// Go back to what the configuration says
    #[command(after_help = "Example:\n  fw-ctl scan reset")]
    Reset,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct SetArgs {
    /// off: count nothing; observe: report, drop nothing; enforce: block
    #[arg(long, value_parser = Mode::ALL.map(Mode::name), hide_possible_values = true)]
    mode: Option<String>,
    /// Distinct ports not served ...
    #[arg(long, value_name = "N")]
    ports: Option<u32>,
    /// ... within so long: 60s, 5m, 1h
    #[arg(long, value_name = "DUR", value_parser = secs)]
    window: Option<u64>,
    /// The first block of a source
    #[arg(long, value_name = "DUR", value_parser = secs)]
    ttl: Option<u64>,
}

impl SetArgs {
    fn change(&self, dry_run: bool) -> ScanChange {
        ScanChange {
            mode: self.mode.clone(),
            ports: self.ports,
            window_s: self.window,
            ttl_s: self.ttl,
            dry_run,
        }
    }
}

/// Seconds of a duration that ends.
fn secs(text: &str) -> Result<u64, String> {
    let ttl: Ttl = text.parse().map_err(|error| format!("{error}"))?;
    ttl.secs()
        .ok_or_else(|| "the detector blocks nobody for ever, and has no window without end".into())
}

/// `fw-ctl scan`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    let dry_run = context.global.dry_run;
    let status: ScanStatus = match &args.verb {
        None | Some(Verb::Status) => {
            let status = context.client.get("/scan")?;
            context
                .output
                .either(&status, |status| screen(status, &context.output))?;
            return Ok(0);
        }
        Some(Verb::Set(args)) => context.client.patch("/scan", &args.change(dry_run))?,
        Some(Verb::Reset) => {
            let asked = dry_run.then(|| "true".to_owned());
            context
                .client
                .delete(&with_query("/scan", &[("dry_run", asked)]))?
        }
    };
    context.output.done(&status, |status| match dry_run {
        true => format!("dry run: {}", summary(status)),
        false => summary(status),
    })?;
    Ok(0)
}

/// What can be set, in one line.
fn summary(status: &ScanStatus) -> String {
    let mut text = format!(
        "{}, {} ports in {}, first block {}",
        escape(&status.mode),
        status.ports,
        time(status.window_s),
        time(status.ttl_s)
    );
    if !status.changed.is_empty() {
        text += &format!(" (not as configured: {})", joined(&status.changed));
    }
    text
}

fn screen(status: &ScanStatus, output: &Output) -> String {
    match status.sources.is_empty() {
        true => head(status, output),
        false => head(status, output) + "\n" + &nearest(&status.sources),
    }
}

fn head(status: &ScanStatus, output: &Output) -> String {
    let mut rows = vec![
        ("scan", thresholds(status)),
        ("block", durations(status)),
        ("blocks", bounds(status)),
        ("roll-up", roll_up(status)),
        ("served", served(status)),
        ("sources", sources(status)),
        ("seen", totals(status)),
    ];
    if !status.changed.is_empty() {
        let changed = joined(&status.changed);
        rows.insert(
            0,
            ("changed", format!("{changed}, until `fw-ctl scan reset`")),
        );
    }
    let lines = rows
        .iter()
        .map(|(name, text)| format!("{name:<8} {text}\n"));
    format!(
        "{}\n{}",
        mode(&status.mode, output),
        lines.collect::<String>()
    )
}

/// The mode, and what it means.
fn mode(name: &str, output: &Output) -> String {
    match name {
        "off" => format!("{}: nothing is counted", output.bad(name)),
        "observe" => "observe: nothing is dropped, crossings are reported".to_owned(),
        "enforce" => format!(
            "{}: whoever crosses a threshold is blocked",
            output.good(name)
        ),
        other => escape(other).into_owned(),
    }
}

fn thresholds(status: &ScanStatus) -> String {
    let mut text = format!(
        "{} ports not served in {}, or {} in {}",
        status.ports,
        time(status.window_s),
        status.slow_ports,
        time(status.slow_window_s)
    );
    if !status.bait.is_empty() {
        let bait = joined(&status.bait);
        text += &format!("; {bait} count as {} each", status.bait_weight);
    }
    text
}

fn durations(status: &ScanStatus) -> String {
    let mut text = time(status.ttl_s);
    if !status.escalation_s.is_empty() {
        let longer: Vec<String> = status.escalation_s.iter().map(|secs| time(*secs)).collect();
        text += &format!(", then {} for proven sources", joined(&longer));
    }
    text + &format!("; one offence is forgotten every {}", time(status.forget_s))
}

fn bounds(status: &ScanStatus) -> String {
    let blocks = &status.blocks;
    format!(
        "{} of {}; unproven {} of {}, {} a minute, room for {} now",
        blocks.in_force,
        blocks.max,
        blocks.unproven,
        blocks.max_unproven,
        blocks.per_minute,
        blocks.room
    )
}

fn roll_up(status: &ScanStatus) -> String {
    match status.roll_up {
        0 => "never".to_owned(),
        sources => format!("{sources} blocked sources of a /24 or /48 become one block"),
    }
}

fn served(status: &ScanStatus) -> String {
    let ports = |ports: &[String]| match ports.is_empty() {
        true => "none".to_owned(),
        false => joined(ports),
    };
    format!(
        "tcp {}; udp {}; and for {} after",
        ports(&status.served.tcp),
        ports(&status.served.udp),
        time(status.grace_s)
    )
}

fn sources(status: &ScanStatus) -> String {
    format!(
        "{} watched, {} at once; {} remembered; an IPv6 /{} is one",
        status.watched, status.slots, status.offenders, status.v6_prefix
    )
}

fn totals(status: &ScanStatus) -> String {
    let totals = &status.totals;
    format!(
        "{} crossings, {} without room for a block; reports: {} held back, {} lost",
        totals.crossings, totals.capped, totals.limited, totals.lost
    )
}

/// Who is near a threshold.
fn nearest(sources: &[ScanSource]) -> String {
    let row = |source: &ScanSource| {
        [
            escape(&source.source).into_owned(),
            format!("{:.1}", source.score),
            format!("{:.1}", source.slow_score),
            source.distinct_ports.to_string(),
            format!("{}s ago", source.last_s),
            joined(&source.ports),
        ]
    };
    let header = [
        "SOURCE",
        "SCORE",
        "SLOW SCORE",
        "PORTS",
        "LAST",
        "LAST PORTS",
    ];
    table(header, sources.iter().map(row))
}

pub(super) fn time(secs: u64) -> String {
    Ttl::from_secs(Some(secs)).to_string()
}

/// `21, 22`
pub(super) fn joined<T: ToString>(items: &[T]) -> String {
    let texts: Vec<String> = items.iter().map(ToString::to_string).collect();
    escape(&texts.join(", ")).into_owned()
}

#[cfg(test)]
mod tests;
