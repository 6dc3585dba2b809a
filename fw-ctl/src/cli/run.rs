//! `run`: the daemon, in the foreground.

use std::path::PathBuf;

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::{
    backend::xdp::links::Mode,
    cli::{Context, Places},
    daemon,
    policy::time::BootSecs,
};

/// What `run` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// An interface to protect, instead of those in the file; may be repeated
    #[arg(short, long = "iface", value_name = "IFACE")]
    interfaces: Vec<String>,
    /// Where the program runs: in the driver, in the stack, or on the card
    #[arg(short, long, value_parser = mode_parser())]
    mode: Option<Mode>,
    /// Count what would be dropped, drop nothing
    #[arg(long)]
    observe: bool,
    /// Check the configuration and exit
    #[arg(short = 't', long)]
    test_config: bool,
    #[command(flatten)]
    places: Places,
}

fn mode_parser() -> impl TypedValueParser<Value = Mode> {
    PossibleValuesParser::new(["auto", "native", "skb", "hw"]).try_map(|name| name.parse::<Mode>())
}

/// What `recover` takes.
#[derive(Debug, clap::Args)]
pub struct RecoverArgs {
    /// Second of boot time at which an unconfirmed policy goes back
    #[arg(long, value_name = "SECS")]
    due: u32,
    #[command(flatten)]
    run: Args,
}

impl Args {
    fn options(&self, context: &Context) -> daemon::Options {
        daemon::Options {
            config: self.config.clone(),
            interfaces: self.interfaces.clone(),
            mode: self.mode,
            observe: self.observe,
            socket: context.global.socket.clone(),
            state_dir: self.places.state_dir.clone(),
            pin_dir: self.places.pin_dir.clone(),
        }
    }
}

/// `fw-ctl recover`
pub fn recover(args: &RecoverArgs, context: &Context) -> Result<u8> {
    daemon::logging::init(context.global.quiet, context.global.verbose);
    let options = args.run.options(context);
    daemon::sentinel::wait_and_recover(&options, BootSecs(args.due))?;
    Ok(0)
}

/// `fw-ctl run`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    let options = args.options(context);
    if args.test_config || context.global.dry_run {
        let config = daemon::reload::configuration(&options)?;
        daemon::reload::check_files(&config)?;
        context.output.note("the configuration is good");
        return Ok(0);
    }
    daemon::logging::init(context.global.quiet, context.global.verbose);
    daemon::run(&options)?;
    Ok(0)
}
