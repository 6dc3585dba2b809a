//! Real scanners on the attacker's side, and what became of every packet of theirs.
//!
//! - [`Lab::open_range`]: addresses without end for the attacker, each a stranger to the detector
//! - [`Lab::scan_from`]: nmap, masscan or zmap from one of them, ready to be started
//! - [`capture`]: what was sent, what arrived, and which packet was the first that did not

pub mod capture;
mod socket;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    process::{Command, Stdio},
    time::Duration,
};

use nix::ifaddrs::getifaddrs;

use super::{
    ATTACKER_INTERFACE, INTERFACE, Lab,
    address::{V4, V6},
};

/// More addresses of the server, for scanners that sweep hosts: 64 of them.
pub const SWEPT: &str = "198.18.2.0/26";

/// An address of the attacker's range, in 198.19.0.0/16.
pub fn source_v4(number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(198, 19, high, low))
}

/// As [`source_v4`], in fd00:199::/32, each in a /48 of its own.
pub fn source_v6(number: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x199, number, 0, 0, 0, 0, 1))
}

/// The server's address of the same family.
pub fn target(source: IpAddr) -> IpAddr {
    if source.is_ipv4() {
        V4.server
    } else {
        V6.server
    }
}

/// A scanner to be: who scans, and for how long at most.
pub struct Scan<'lab> {
    lab: &'lab Lab,
    source: IpAddr,
    limit: Duration,
}

impl Lab {
    /// Gives the attacker the range that [`source_v4`] and [`source_v6`] are in, and the server
    /// the addresses [`SWEPT`]. The server's default route leads back already. Before the daemon
    /// starts, so that it knows the addresses.
    pub fn open_range(&self) {
        self.attacker.ip("route add local 198.19.0.0/16 dev lo\n\
             route add local fd00:199::/32 dev lo");
        let swept = (0..64).map(|host| format!("address add 198.18.2.{host}/32 dev {INTERFACE}\n"));
        self.server.ip(&swept.collect::<String>());
    }

    /// A scan of the server from an address of the attacker's, which ends after a minute.
    pub fn scan_from(&self, source: IpAddr) -> Scan<'_> {
        if source.is_ipv6() {
            // A route is enough to receive, but IPv6 lets nobody bind to what is not assigned.
            let assign = format!("address replace {source}/128 dev lo");
            self.attacker.ip(&assign);
        }
        Scan {
            lab: self,
            source,
            limit: Duration::from_secs(60),
        }
    }
}

impl Scan<'_> {
    /// Who scans.
    pub fn source(&self) -> IpAddr {
        self.source
    }

    /// Ends after this long instead.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// nmap: the kind of scan, its speed and its ports are the caller's.
    pub fn nmap(&self, arguments: &[&str]) -> Command {
        let mut nmap = self.limited("nmap");
        nmap.args(["-n", "-Pn", "-e", ATTACKER_INTERFACE, "-S"]);
        nmap.arg(self.source.to_string()).args(arguments);
        if self.source.is_ipv6() {
            nmap.arg("-6");
        }
        nmap.arg(target(self.source).to_string());
        nmap
    }

    /// masscan, at this many packets a second.
    pub fn masscan(&self, ports: &str, rate: u32) -> Command {
        // It has its own stack, which asks nobody for the way.
        let way = match self.source {
            IpAddr::V4(_) => "--router-mac",
            IpAddr::V6(_) => "--router-mac-ipv6",
        };
        let mut masscan = self.limited("masscan");
        masscan
            .args([way, &self.lab.server_mac()])
            .args(["--adapter", ATTACKER_INTERFACE])
            .args(["--adapter-ip", &self.source.to_string()])
            .args(["--ports", ports, "--rate", &rate.to_string()])
            .args(["--wait", "1"])
            .args(["--range", &target(self.source).to_string()]);
        masscan
    }

    /// zmap, which asks every address in [`SWEPT`] for one port. It speaks IPv4 only.
    pub fn zmap(&self, port: u16, rate: u32) -> Command {
        let mut zmap = self.limited("zmap");
        // Its own blacklist has the range that the lab is in.
        zmap.args(["--config=/dev/null", "--blacklist-file=/dev/null"])
            .args(["--interface", ATTACKER_INTERFACE])
            .args(["--source-ip", &self.source.to_string()])
            .args(["--gateway-mac", &self.lab.server_mac()])
            .args(["--target-port", &port.to_string()])
            .args(["--rate", &rate.to_string(), "--cooldown-time=1", SWEPT]);
        zmap
    }

    /// A program of the attacker's that ends in time, and without input.
    fn limited(&self, program: &str) -> Command {
        let mut command = self.lab.attacker.command("timeout");
        let limit = self.limit.as_secs_f64().to_string();
        command.args(["--kill-after=2", &limit, program]);
        command.stdin(Stdio::null());
        command
    }
}

impl Lab {
    fn server_mac(&self) -> String {
        self.server.enter(|| {
            let devices = getifaddrs().expect("the devices can be listed");
            let mut devices = devices.filter(|device| device.interface_name == INTERFACE);
            let mac = devices.find_map(|device| Some(device.address?.as_link_addr()?.to_string()));
            mac.expect("the server has its device")
        })
    }
}
