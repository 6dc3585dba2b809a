//! Every recipe of the project: `cargo xtask setup | build-ebpf | test | demo | bench | detect`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a recipe says what it runs and what it found"
)]

mod apt;
mod borders;
mod build_ebpf;
mod debian;
mod linker;
mod programs;
mod python;
mod setup;
mod sh;
mod test;
mod toolchain;

use std::process::ExitCode;

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
        /// The only section to measure; all but `adaptive` when left out.
        section: Option<String>,
        #[command(flatten)]
        report: programs::Report,
    },
    /// Scan the firewall with real scanners, beside psad, scanlogd and portsentry.
    Detect {
        /// Let the patient scan meet the thresholds as installed: a quarter of an hour.
        #[arg(long, conflicts_with = "quick")]
        long: bool,
        #[command(flatten)]
        report: programs::Report,
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
        Recipe::Bench { section, report } => programs::bench(&report, section.as_deref()),
        Recipe::Detect { long, report } => programs::detect(&report, long),
    }
}
