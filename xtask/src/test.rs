//! The tests, in four rings from the cheapest outwards; the first that fails ends the run.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::{
    apt::Apt,
    borders, build_ebpf, debian,
    programs::{Build, with_fw_ctl},
    python, setup, sh,
};

/// The same packages for every ring: each selection has its own features, and would build its
/// dependencies anew.
const PACKAGES: &str = "--locked -p fw-common -p fw-ctl -p fw-tests -p xtask";

/// A ring of the tests.
#[derive(Clone, Copy, ValueEnum)]
pub enum Ring {
    /// Format, lints, borders between the modules, licences.
    Gate,
    /// Everything that runs without the kernel's help.
    Host,
    /// The kernel program, run on made-up frames.
    Kernel,
    /// The whole firewall between network namespaces.
    Netns,
}

/// Runs one ring, or all of them.
pub fn run(only: Option<Ring>, long: bool) -> Result<()> {
    let rings = only.map_or_else(|| Ring::value_variants().to_vec(), |ring| vec![ring]);
    prepare(&rings)?;

    let mut took = Vec::new();
    let outcome = rings.iter().try_for_each(|ring| {
        let start = Instant::now();
        let outcome = ring.run(long);
        took.push((ring, outcome.is_ok(), start.elapsed()));
        outcome.with_context(|| format!("ring {}", ring.name()))
    });
    for (ring, passed, time) in took {
        println!("{}", ring.summary(passed, time));
    }
    outcome
}

fn prepare(rings: &[Ring]) -> Result<()> {
    let toolchain = if rings.iter().any(|ring| ring.needs_kernel()) {
        ensure!(
            sh::is_root(),
            "the rings kernel and netns load programs: run them as root, \
             or only `cargo xtask test gate` and `cargo xtask test host`"
        );
        setup::all()?
    } else {
        setup::toolchain()?
    };
    build_ebpf::run(&toolchain)
}

impl Ring {
    fn needs_kernel(self) -> bool {
        matches!(self, Self::Kernel | Self::Netns)
    }

    fn run(self, long: bool) -> Result<()> {
        let test = |targets| {
            let mut command = sh::cargo(&format!("test {PACKAGES} {targets}"));
            if long {
                command.env("FW_TEST_LONG", "1");
            }
            command
        };
        match self {
            Self::Gate => gate(),
            Self::Host => sh::run(&mut test("--lib --bins")),
            Self::Kernel => sh::run(&mut test("--test kernel")),
            Self::Netns => {
                sh::run(&mut sh::cargo(&format!("build {PACKAGES} --bins")))?;
                // Two at a time: each lab has its own namespaces, but they share the processors.
                let mut netns = test("--test netns -- --test-threads=2");
                let mut apt = Apt::default();
                python::ensure(&mut apt)?;
                debian::ensure(&mut apt)?;
                netns.env("FW_SCHEMATHESIS", python::schemathesis());
                sh::run(with_fw_ctl(&mut netns, Build::Debug))
            }
        }
    }

    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn summary(self, passed: bool, time: Duration) -> String {
        let outcome = if passed { "passed" } else { "FAILED" };
        format!(
            "ring {:<7}{outcome} in {:.1} s",
            self.name(),
            time.as_secs_f64()
        )
    }
}

/// What needs no test to run, the quickest first.
fn gate() -> Result<()> {
    sh::run(&mut sh::cargo("fmt --all --check"))?;
    borders::check(sh::root())?;
    sh::run(&mut sh::cargo(
        "clippy --workspace --all-targets --locked -- -D warnings",
    ))?;
    if sh::find("cargo-deny").is_none() {
        println!("skipped: cargo deny (`cargo install --locked cargo-deny` brings it)");
        return Ok(());
    }
    // Advisories need a database from the network, and would turn an unchanged tree red.
    sh::run(&mut sh::cargo("deny --locked check bans licenses sources"))
}
