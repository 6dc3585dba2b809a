//! xdp-filter of Debian's xdp-tools, loaded and filled by its own program.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::IpAddr,
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use anyhow::{Context as _, Result, bail};
use aya::programs::{ProgramFd, loaded_programs};
use fw_ctl::host::links;
use fw_tests::lab::namespace::Namespace;

use super::ends::Seen;

/// Addresses it is given; its limit is 10,000.
pub const MOST: usize = 8_000;

/// Its pins and its lock have one place on a host, where the lists of all interfaces stand. Here a
/// shell keeps a mount namespace with file systems of its own for them, so that nothing of the host's
/// is touched and nothing is left when the shell ends.
pub struct XdpFilter {
    shell: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    program: u32,
}

impl XdpFilter {
    /// Loads it on an interface, for IPv4 and IPv6, to drop what comes from these.
    pub fn load(namespace: &Namespace, interface: &str, blocked: &[IpAddr]) -> Result<Self> {
        let mut shell = namespace
            .command("unshare")
            .args(["--mount", "sh", "-e"])
            // By itself it is attached as fast as it can be, without libxdp's dispatcher in front.
            .env("LIBXDP_SKIP_DISPATCHER", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("no shell")?;
        let mut xdp_filter = Self {
            input: shell.stdin.take(),
            output: BufReader::new(shell.stdout.take().context("a shell without output")?),
            shell,
            program: 0,
        };
        let mut script = format!(
            "mount -t bpf bpf /sys/fs/bpf\n\
             mount -t tmpfs tmpfs /run\n\
             xdp-filter load --mode native --features ipv4,ipv6 {interface}\n"
        );
        for address in blocked {
            script += &format!("xdp-filter ip --mode src {address}\n");
        }
        let loaded = xdp_filter.ask(&script);
        loaded.context("cannot load xdp-filter (Debian: xdp-tools)")?;
        let links = namespace.enter(links::interfaces)?;
        let mut programs = links.iter().filter(|link| link.name == interface);
        let program = programs.next().and_then(|link| link.xdp);
        xdp_filter.program = program.context("xdp-filter is not attached")?.program_id;
        Ok(xdp_filter)
    }

    /// The program, which does not know multi-buffer packets.
    pub fn program(&self) -> Result<ProgramFd> {
        let mut programs = loaded_programs().flatten();
        let program = programs.find(|program| program.id() == self.program);
        Ok(program.context("xdp-filter is gone")?.fd()?)
    }

    /// What became of the packets until now.
    pub fn seen(&mut self) -> Result<Seen> {
        let status = self.ask("xdp-filter status\n")?;
        let count = |action: &str| -> Result<u64> {
            let mut lines = status
                .lines()
                .filter_map(|line| line.trim().strip_prefix(action));
            let line = lines
                .next()
                .with_context(|| format!("no {action} in its status"))?;
            let count = line.split_whitespace().next().unwrap_or_default();
            Ok(count.replace(',', "").parse()?)
        };
        Ok(Seen {
            listed: count("XDP_DROP")?,
            other: count("XDP_PASS")?,
        })
    }

    /// Gives the shell commands, and waits for what they print.
    fn ask(&mut self, script: &str) -> Result<String> {
        const END: &str = "--- end";
        let input = self.input.as_mut().context("the shell has ended")?;
        writeln!(input, "{script}echo '{END}'")?;
        input.flush()?;
        let mut printed = String::new();
        loop {
            let start = printed.len();
            if self.output.read_line(&mut printed)? == 0 {
                bail!("the shell ended: {printed}");
            }
            if printed[start..].trim_end() == END {
                printed.truncate(start);
                return Ok(printed);
            }
        }
    }
}

impl Drop for XdpFilter {
    fn drop(&mut self) {
        // The shell reads its end.
        drop(self.input.take());
        drop(self.shell.wait());
    }
}
