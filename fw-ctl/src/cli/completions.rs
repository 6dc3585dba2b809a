//! `completions`: what a shell needs to complete our arguments.

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Context;

/// What `completions` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// `fw-ctl completions`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut super::Args::command(),
        "fw-ctl",
        &mut script,
    );
    context.output.data(&String::from_utf8(script)?)?;
    Ok(0)
}
