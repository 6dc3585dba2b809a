//! `run`: the daemon, in the foreground.

use std::path::PathBuf;

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::{
    backend::xdp::links::Mode,
    cli::{Context, Places},
    daemon,
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

/// `fw-ctl run`
pub fn run(args: Args, context: &Context) -> Result<u8> {
    let options = daemon::Options {
        config: args.config,
        interfaces: args.interfaces,
        mode: args.mode,
        observe: args.observe,
        socket: context.global.socket.clone(),
        state_dir: args.places.state_dir,
        pin_dir: args.places.pin_dir,
    };
    if args.test_config || context.global.dry_run {
        daemon::reload::configuration(&options)?;
        context.output.note("the configuration is good");
        return Ok(0);
    }
    daemon::logging::init(context.global.quiet, context.global.verbose);
    daemon::run(&options)?;
    Ok(0)
}
