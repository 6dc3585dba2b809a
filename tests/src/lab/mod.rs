//! The lab: a protected host and an attacker, each in a network namespace of its own, joined by a
//! real link, with a real daemon and real packets.
//!
//! - [`Lab`]: the two namespaces and everything else that belongs to one test
//! - [`address`]: who is who on the link
//! - [`namespace`]: network namespaces
//! - [`command`]: running `fw-ctl`
//! - [`daemon`]: starting and killing `fw-ctl run`
//! - [`debian`]: programs that are not installed
//! - [`netfilter`]: the mirror in netfilter, and the rules of others beside it
//! - [`probe`]: does a packet of this source arrive
//! - [`scanners`]: real scanners, and what became of their packets
//! - [`scrape`]: metrics, as a foreign parser reads them
//! - [`screen`]: `fw-ctl` on a terminal
//! - [`wire`]: frames as they are, sent and seen
//! - [`flood`]: frames of many forged sources, as fast as a core can
//! - [`hostile`]: policies that lock everybody out
//! - [`http`]: the API, as it goes over the wire
//! - [`stream`]: many packets, each accounted for
//! - [`objects`]: what is loaded in the kernel
//! - [`tail`]: `fw-ctl tail`, as somebody who listens
//! - [`tables`]: what stands in the pinned tables
//!
//! Labs run beside each other, also those of several processes: namespaces, pins, state and socket
//! carry the name of the test. What a killed run left behind is removed by the next.

pub mod address;
pub mod command;
pub mod daemon;
pub mod debian;
pub mod flood;
pub mod hostile;
pub mod http;
pub mod namespace;
pub mod netfilter;
pub mod objects;
pub mod probe;
pub mod scanners;
pub mod scrape;
pub mod screen;
pub mod stream;
pub mod tables;
pub mod tail;
pub mod wire;

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::ErrorKind,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            fs::PermissionsExt as _,
            net::{SocketAddr, UnixListener},
        },
    },
    path::{Path, PathBuf},
    process::Command,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread,
    time::Duration,
};

use tempfile::TempDir;

use self::{
    address::{Addresses, FAMILIES},
    command::Fw,
    namespace::Namespace,
};

/// The protected end of the first link.
pub const INTERFACE: &str = "server0";
/// The protected end of the second link.
pub const SECOND_INTERFACE: &str = "server1";
/// The attacker's end of the first link.
pub const ATTACKER_INTERFACE: &str = "attacker0";

const BPFFS: &str = "/sys/fs/bpf";

/// Labs share the processors; one that measures takes the machine for itself.
static MACHINE: RwLock<()> = RwLock::new(());

enum Turn {
    Shared(#[expect(dead_code, reason = "held")] RwLockReadGuard<'static, ()>),
    Alone(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>),
}

/// An attacker, a server, the link between them, and the places of one daemon.
///
/// Dropped, it takes everything off the host again and fails the test if that does not work.
pub struct Lab {
    /// Where the packets come from.
    pub attacker: Namespace,
    /// Where the daemon runs.
    pub server: Namespace,
    directory: TempDir,
    pins: PathBuf,
    _claim: UnixListener,
    _turn: Turn,
}

impl Lab {
    /// A lab for the test that calls it.
    pub fn new() -> Self {
        Self::named(&test_name())
    }

    /// A lab for a program that is no test.
    pub fn named(name: &str) -> Self {
        let turn = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
        Self::build(name, Turn::Shared(turn))
    }

    /// A lab beside which no other runs in this process: for streams of packets and for times.
    pub fn alone() -> Self {
        let turn = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
        Self::build(&test_name(), Turn::Alone(turn))
    }

    fn build(test: &str, turn: Turn) -> Self {
        let mut hasher = DefaultHasher::new();
        test.hash(&mut hasher);
        let name = format!("{:08x}", hasher.finish() as u32);

        let claim = claim(&name);
        mount_bpffs();
        let pins = Path::new(BPFFS).join(format!("fw-ctl-test-{name}"));
        remove_pins(&pins);
        let lab = Self {
            attacker: Namespace::create(format!("fw-{name}-attacker")),
            server: Namespace::create(format!("fw-{name}-server")),
            directory: TempDir::with_prefix("fw-ctl-test-").expect("a directory for the lab"),
            pins,
            _claim: claim,
            _turn: turn,
        };
        lab.link(0, &FAMILIES);
        // A gateway as any server has one.
        let [v4, v6] = FAMILIES.map(|family| family.gateway);
        lab.server.ip(&format!(
            "route add default via {v4}\nroute add default via {v6}"
        ));
        lab
    }

    /// Joins the namespaces by the veth pair `attackerN`-`serverN`.
    pub fn link(&self, number: u8, families: &[Addresses]) {
        let (ours, theirs) = (format!("attacker{number}"), format!("server{number}"));
        let server = self.server.name();
        self.attacker.ip(&format!(
            "link add {ours} type veth peer name {theirs} netns {server}\n\
             link set {ours} up"
        ));
        self.server.ip(&format!("link set {theirs} up"));
        let add = |address, length, device: &str| {
            format!("address add {address}/{length} dev {device}\n")
        };
        for family in families {
            let length = family.length();
            let attacker = family
                .of_attacker()
                .map(|address| add(address, length, &ours));
            self.attacker.ip(&attacker.concat());
            self.server.ip(&add(family.server, length, &theirs));
        }
    }

    /// Takes the first link away, as a driver does that is unloaded.
    pub fn unlink(&self) {
        self.attacker
            .ip(&format!("link delete {ATTACKER_INTERFACE}"));
    }

    /// Lets every user into this lab's directory, and gives them a copy of `fw-ctl` there: the
    /// checkout may be closed to them.
    pub fn open_to_all(&self) -> PathBuf {
        let program = self.directory().join("fw-ctl");
        let ours = fs::File::open(command::binary()).expect("fw-ctl can be read");
        command::install(&program, ours);
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.directory(), open).expect("it can be opened");
        program
    }

    /// Where this lab may write.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The state directory of its daemon.
    pub fn state(&self) -> PathBuf {
        self.directory().join("state")
    }

    /// The socket of its daemon.
    pub fn socket(&self) -> PathBuf {
        self.directory().join("socket")
    }

    /// The pin directory of its daemon.
    pub fn pins(&self) -> &Path {
        &self.pins
    }

    /// The configuration file of its daemon; empty unless written to.
    pub fn config(&self) -> PathBuf {
        self.directory().join("fw-ctl.toml")
    }

    /// Where its daemons log.
    pub fn log(&self) -> PathBuf {
        self.directory().join("daemon.log")
    }

    /// What its daemons said until now.
    pub fn logged(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if thread::panicking() {
            self.end_sentinels();
            show(&self.logged());
            remove_pins(&self.pins);
            return;
        }
        let detached = Fw::new(self).inside(&["detach", "--yes"]);
        let left = self.pins.exists();
        remove_pins(&self.pins);
        detached.must(0);
        assert!(!left, "{} was left", self.pins.display());
    }
}

/// The end of the log of a failed test.
#[expect(clippy::print_stderr, reason = "libtest shows it with the failure")]
fn show(log: &str) {
    const LINES: usize = 100;
    let lines: Vec<&str> = log.lines().collect();
    let end = &lines[lines.len().saturating_sub(LINES)..];
    eprintln!("--- log of the daemon\n{}\n---", end.join("\n"));
}

/// Waits until no other process has a lab of this name. The name of an abstract socket goes with
/// the process, and leaves no file.
fn claim(name: &str) -> UnixListener {
    let address = SocketAddr::from_abstract_name(format!("fw-ctl-test-{name}"));
    let address = address.expect("a short name");
    loop {
        match UnixListener::bind_addr(&address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                thread::sleep(Duration::from_millis(50));
            }
            claimed => return claimed.expect("the name of the lab can be claimed"),
        }
    }
}

/// libtest names a test's thread after it.
fn test_name() -> String {
    thread::current().name().unwrap_or("main").to_owned()
}

fn mount_bpffs() {
    let mounts = fs::read_to_string("/proc/mounts").expect("/proc is mounted");
    if !mounts.contains(&format!(" {BPFFS} bpf ")) {
        namespace::run(Command::new("mount").args(["-t", "bpf", "bpf", BPFFS]));
    }
}

/// Without asking `fw-ctl`, which may be what failed.
fn remove_pins(pins: &Path) {
    if pins.exists() {
        fs::remove_dir_all(pins).expect("the pins of an earlier run can be removed");
    }
}
