//! Chooses what builds the kernel program: a rustup nightly, or else the system's own compiler,
//! which on Debian comes with its library sources and with the very LLVM it was built against.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{apt::Apt, linker, sh};

/// Debian's recent compiler; it does not disturb rustup's, which stays first on PATH.
const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// A compiler that can build `core` for eBPF, and the linker that reads what it writes.
pub struct Toolchain {
    compiler: Compiler,
    linker: PathBuf,
}

struct Compiler {
    rustc: PathBuf,
    version: Version,
}

#[derive(Debug, PartialEq)]
struct Version {
    release: String,
    /// The major version of the LLVM that writes the bitcode.
    llvm: u32,
}

/// Finds a toolchain, installing what is missing, and says which it took.
pub fn ensure(apt: &mut Apt) -> Result<Toolchain> {
    let compiler = match nightly() {
        Some(nightly) => nightly,
        None => system(apt).context(
            "no compiler for the kernel program \
             (with rustup: `rustup toolchain install nightly --component rust-src`)",
        )?,
    };
    let linker = linker::ensure(compiler.version.llvm, apt)?;
    let toolchain = Toolchain { compiler, linker };
    println!("setup: the kernel program is built by {toolchain}");
    Ok(toolchain)
}

impl Toolchain {
    /// A cargo that builds for the kernel.
    pub fn cargo(&self) -> Command {
        let rustc = &self.compiler.rustc;
        let mut cargo = sh::foreign(&rustc.with_file_name("cargo"));
        cargo
            .env("RUSTC", rustc)
            // The system's compiler is a stable one, and `-Z build-std` is not.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &self.linker);
        cargo
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Version { release, llvm } = &self.compiler.version;
        let rustc = self.compiler.rustc.display();
        let linker = self.linker.display();
        write!(f, "{rustc} {release} (LLVM {llvm}), {linker}")
    }
}

/// The rustup nightly, if it has the library sources and a linker can be had for its LLVM.
fn nightly() -> Option<Compiler> {
    let mut which = Command::new("rustup");
    which
        .args(["which", "--toolchain", "nightly", "rustc"])
        .env("RUSTUP_AUTO_INSTALL", "0");
    let rustc = sh::ask(&mut which)?;
    usable(Path::new(rustc.trim())).filter(|nightly| linker::can_be_had(nightly.version.llvm))
}

fn system(apt: &mut Apt) -> Result<Compiler> {
    let rustc = Path::new("/usr/bin/rustc");
    if let Some(compiler) = usable(rustc) {
        return Ok(compiler);
    }
    apt.install(&PACKAGES.map(str::to_owned))?;
    usable(rustc).with_context(|| {
        let wanted = env!("CARGO_PKG_RUST_VERSION");
        format!(
            "{} is older than {wanted} or lacks its sources",
            rustc.display()
        )
    })
}

/// The compiler, if it is new enough for the workspace and can build `core`.
fn usable(rustc: &Path) -> Option<Compiler> {
    let version = Version::parse(&sh::ask(sh::foreign(rustc).arg("-vV"))?)?;
    let sysroot = sh::ask(sh::foreign(rustc).args(["--print", "sysroot"]))?;
    let core = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core");
    let usable = core.is_dir() && version.is_at_least(env!("CARGO_PKG_RUST_VERSION"));
    usable.then(|| Compiler {
        rustc: rustc.to_owned(),
        version,
    })
}

impl Version {
    /// Reads what `rustc -vV` prints.
    fn parse(text: &str) -> Option<Self> {
        let field = |name| text.lines().find_map(|line| line.strip_prefix(name));
        Some(Self {
            release: field("release: ")?.to_owned(),
            llvm: field("LLVM version: ")?.split('.').next()?.parse().ok()?,
        })
    }

    fn is_at_least(&self, wanted: &str) -> bool {
        let numbers = |text: &str| -> Vec<u32> {
            let parts = text.split(['.', '-']);
            parts.map_while(|part| part.parse().ok()).collect()
        };
        numbers(&self.release) >= numbers(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(release: &str) -> Version {
        Version {
            release: release.to_owned(),
            llvm: 22,
        }
    }

    #[test]
    fn the_compiler_names_its_release_and_its_llvm() {
        let text = "rustc 1.97.0-nightly (abc 2026-04-14)\nrelease: 1.97.0-nightly\nLLVM version: 22.1.4\n";
        assert_eq!(Version::parse(text), Some(release("1.97.0-nightly")));
        assert_eq!(Version::parse("release: 1.97.0\n"), None);
    }

    #[test]
    fn releases_are_compared_by_number() {
        assert!(release("1.96.0").is_at_least("1.95"));
        assert!(release("1.95.0-nightly").is_at_least("1.95"));
        assert!(release("1.100.0").is_at_least("1.95"));
        assert!(!release("1.63.0").is_at_least("1.95"));
    }
}
