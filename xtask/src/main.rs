//! Every recipe of the project: `cargo xtask setup | build-ebpf | test | demo | bench`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a recipe says what it runs and what it found"
)]

mod apt;
mod borders;
mod build_ebpf;
mod linker;
mod programs;
mod setup;
mod sh;
mod test;
mod toolchain;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Sets up, builds, tests, shows and measures fw-ctl.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    recipe: Recipe,
}

#[derive(Subcommand)]
enum Recipe {
    /// Make this machine ready: the eBPF toolchain, the programs the tests call, bpffs.
    Setup,
    /// Build the kernel program into target/fw-ebpf.o.
    BuildEbpf,
    /// Run one ring of the tests, or all of them in order.
    #[command(visible_alias = "ci")]
    Test {
        /// Run the long versions of the tests (sets FW_TEST_LONG=1).
        #[arg(long)]
        long: bool,
        /// The only ring to run.
        ring: Option<test::Ring>,
    },
    /// Show the firewall at work between network namespaces of this machine.
    Demo,
    /// Measure the firewall on this machine.
    Bench {
        /// Fewer and shorter runs.
        #[arg(long)]
        quick: bool,
        /// Write the figures to this file as well.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let outcome = follow(Cli::parse().recipe);
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    eprintln!("error: {error:#}");
    ExitCode::from(error.downcast_ref().map_or(1, sh::Failed::code))
}

fn follow(recipe: Recipe) -> Result<()> {
    match recipe {
        Recipe::Setup => setup::all().map(drop),
        Recipe::BuildEbpf => build_ebpf::run(&setup::toolchain()?),
        Recipe::Test { long, ring } => test::run(ring, long),
        Recipe::Demo => programs::demo(),
        Recipe::Bench { quick, json } => programs::bench(quick, json.as_deref()),
    }
}
