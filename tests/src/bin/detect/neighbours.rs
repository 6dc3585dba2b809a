//! psad, scanlogd and portsentry as Debian installs them, on the same scans.
//!
//! They run on a server of their own, without fw-ctl: three programs in one namespace of
//! processes and mounts, so that they write to no log and no state of this machine and end with
//! it. Their syslog is a socket of ours, which notes when each line came. psad reads what netfilter
//! logs, which a namespace hands to `ulogd`: every packet that belongs to no connection.

use std::{
    fs,
    net::IpAddr,
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    path::PathBuf,
    process::{Child, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use fw_tests::lab::{Lab, namespace};
use serde_json::{Map, Value, json};

use crate::attacks::Shot;

/// The names, and what each says of a source that it found.
pub const NAMES: [&str; 3] = ["psad", "scanlogd", "portsentry"];
const SAYINGS: [&str; 3] = [
    "scan detected",
    "scanlogd: ",
    "attackalert: Connect from host: ",
];

/// psad reads the log in steps of this length.
pub const PSAD_STEP: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(20);

/// Run where only they see it.
const SCRIPT: &str = r#"set -e
mkdir dev etc
mount -t tmpfs -o mode=755 tmpfs dev
for node in null random urandom zero; do
    touch dev/$node
    mount --bind /dev/$node dev/$node
done
touch dev/log
mount --bind syslog dev/log
mount --rbind dev /dev
# As its init script does.
cp -r /etc/portsentry/. etc
cp etc/portsentry.ignore.static etc/portsentry.ignore
mount --bind etc /etc/portsentry
for place in /run /var/lib/portsentry /var/lib/psad /var/log/psad; do
    mount -t tmpfs tmpfs $place
done
mkdir -p /run/scanlogd/empty
mkfifo packets
# In the form that the kernel itself logs in, the only one that psad reads: IPv6 addresses in full,
# no sequence numbers, the reserved flags.
perl -MSocket=inet_pton,AF_INET6 -pe 'BEGIN { $| = 1 }
    s/(SRC|DST)=([0-9a-f]*:[0-9a-f:]+)/"$1=" . join ":", unpack "(H4)8", inet_pton AF_INET6, $2/ge;
    s/ SEQ=\d+ ACK=\d+ (WINDOW=\d+)/ $1 RES=0x00/' packets >messages &
ulogd --daemon --configfile "$PWD/ulogd.conf"
scanlogd
portsentry -tcp
portsentry -udp
psad --config "$PWD/psad.conf" --no-whois --no-rdns
exec sleep infinity
"#;

/// What differs from the installed psad.conf: where the log is, and that there is no mail.
const PSAD: [(&str, &str); 4] = [
    ("ALERTING_METHODS", "noemail"),
    ("AUTO_DETECT_JOURNALCTL", "N"),
    ("HOSTNAME", "server"),
    ("IPT_SYSLOG_FILE", "messages"),
];

/// What they made of a scan.
pub struct Watched {
    /// Who scanned and what became of the packets.
    pub shot: Shot,
    /// From the first packet to the first line about the source, in the order of [`NAMES`].
    pub found_after: [Option<Duration>; 3],
}

/// The three, at work.
pub struct Neighbours {
    child: Child,
    syslog: PathBuf,
    listener: Option<JoinHandle<()>>,
    lines: Arc<Mutex<Vec<Line>>>,
}

struct Line {
    /// Since the epoch.
    time: Duration,
    text: String,
}

impl Neighbours {
    /// Starts them on the server, and waits until they watch.
    pub fn start(lab: &Lab) -> Result<Self> {
        log_packets(lab);
        configure(lab)?;
        let syslog = lab.directory().join("syslog");
        let lines = Arc::default();
        let listener = listen(&syslog, Arc::clone(&lines))?;
        // The first process of their namespace dies with this one, and they with it.
        let mut command = lab.server.command("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--", "unshare", "--mount", "--pid"])
            .args(["--mount-proc", "--fork", "--kill-child=KILL", "--", "sh"])
            .args(["-c", SCRIPT])
            .current_dir(lab.directory())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let mut started = Self {
            child: command.spawn().context("cannot start the neighbours")?,
            syslog,
            listener: Some(listener),
            lines,
        };
        started.wait_until_ready()?;
        Ok(started)
    }

    /// What they said of the source of this scan.
    pub fn judge(&self, shot: Shot) -> Watched {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let found_after = SAYINGS.map(|saying| {
            let mut about = lines.iter().filter(|line| {
                let rest = line.text.split_once(saying);
                rest.is_some_and(|(_, rest)| names(rest, shot.source))
            });
            Some(about.next()?.time.saturating_sub(shot.passage.began))
        });
        Watched { shot, found_after }
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let start = Instant::now();
        while !self.has_said("psad: starting up psad version") {
            let ended = self.child.try_wait()?;
            ensure!(ended.is_none(), "the neighbours do not start: {ended:?}");
            ensure!(start.elapsed() < PATIENCE, "psad does not come up");
            thread::sleep(Duration::from_millis(20));
        }
        // It opens the log after it has said so.
        thread::sleep(PSAD_STEP);
        Ok(())
    }

    fn has_said(&self, text: &str) -> bool {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().any(|line| line.text.contains(text))
    }
}

impl Watched {
    /// For programs.
    pub fn json(&self) -> Value {
        let seconds = self
            .found_after
            .map(|time| time.map(|time| time.as_secs_f64()));
        let seconds: Map<String, Value> = NAMES
            .into_iter()
            .zip(seconds)
            .map(|(name, seconds)| (name.to_owned(), json!(seconds)))
            .collect();
        json!({
            "scan": self.shot.attack,
            "source": self.shot.source,
            "sent": self.shot.passage.sent,
            "arrived": self.shot.passage.arrived,
            "seconds_until_logged": seconds,
        })
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
        // An empty line ends the listener.
        let end = UnixDatagram::unbound().and_then(|socket| socket.send_to(&[], &self.syslog));
        if let (Ok(_), Some(listener)) = (end, self.listener.take()) {
            let _listened = listener.join();
        }
    }
}

/// Whether the text has this address, short or in full, and not a longer one that begins like it.
fn names(text: &str, source: IpAddr) -> bool {
    let full = match source {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => Some(
            address
                .segments()
                .map(|part| format!("{part:04x}"))
                .join(":"),
        ),
    };
    [Some(source.to_string()), full]
        .iter()
        .flatten()
        .any(|address| {
            text.match_indices(address).any(|(at, _)| {
                let next = text[at + address.len()..].chars().next();
                !next.is_some_and(|next| next.is_ascii_hexdigit())
            })
        })
}

/// What belongs to no connection, and in IPv6 to no neighbourhood, is logged and let in.
fn log_packets(lab: &Lab) {
    const KNOWN: &str = "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT";
    const NEIGHBOURS: &str = "-p icmpv6 -j ACCEPT";
    const LOG: &str = "-j NFLOG --nflog-group 1 --nflog-prefix kernel:";
    for (program, rules) in [
        ("iptables", &[KNOWN, LOG][..]),
        ("ip6tables", &[KNOWN, NEIGHBOURS, LOG]),
    ] {
        for rule in rules {
            let mut command = lab.server.command(program);
            command.args(["-w", "-A", "INPUT"]);
            namespace::run(command.args(rule.split_whitespace()));
        }
    }
}

fn configure(lab: &Lab) -> Result<()> {
    let inside = |name: &str| lab.directory().join(name);
    let log = inside("messages");
    let ulogd = format!(
        "[global]\nlogfile=\"{}\"\n\
         stack=log1:NFLOG,base1:BASE,ifi1:IFINDEX,ip2str1:IP2STR,print1:PRINTPKT,emu1:LOGEMU\n\
         [log1]\ngroup=1\n[emu1]\nfile=\"{}\"\nsync=1\n",
        inside("ulogd.log").display(),
        inside("packets").display()
    );
    fs::write(&log, "")?;
    fs::write(inside("ulogd.conf"), ulogd)?;
    let installed = "/etc/psad/psad.conf";
    let psad = fs::read_to_string(installed).with_context(|| format!("cannot read {installed}"))?;
    let psad = psad.lines().map(|line| {
        let name = line.split_whitespace().next();
        match PSAD.iter().find(|(changed, _)| name == Some(changed)) {
            Some((name, "messages")) => format!("{name} {};\n", log.display()),
            Some((name, value)) => format!("{name} {value};\n"),
            None => format!("{line}\n"),
        }
    });
    Ok(fs::write(inside("psad.conf"), psad.collect::<String>())?)
}

/// Takes their lines, each with its time, until an empty one comes.
fn listen(place: &PathBuf, lines: Arc<Mutex<Vec<Line>>>) -> Result<JoinHandle<()>> {
    let socket = UnixDatagram::bind(place).context("cannot listen for syslog")?;
    // scanlogd is not root.
    fs::set_permissions(place, fs::Permissions::from_mode(0o666))?;
    Ok(thread::spawn(move || {
        let mut message = [0; 8192];
        while let Ok(length @ 1..) = socket.recv(&mut message) {
            let time = SystemTime::now().duration_since(UNIX_EPOCH);
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push(Line {
                time: time.unwrap_or_default(),
                text,
            });
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_an_address_in_every_form_but_not_a_longer_one() {
        let v4 = "198.19.1.1".parse().expect("an address");
        assert!(names("198.19.1.1:4711 to 198.18.0.1 ports 110, 22", v4));
        assert!(names("198.19.1.1/198.19.1.1 to TCP port: 119", v4));
        assert!(!names("198.19.1.10 -> 198.18.0.1 tcp: [7-49157]", v4));
        let v6 = "fd00:199:100::1".parse().expect("an address");
        assert!(names(
            ": fd00:0199:0100:0000:0000:0000:0000:0001 -> fd00:",
            v6
        ));
        assert!(!names(
            ": fd00:0199:0100:0000:0000:0000:0000:0002 -> fd00:",
            v6
        ));
    }
}
