//! Name servers this machine asks.

use std::{io, net::IpAddr, path::Path};

use resolv_conf::Config;

use super::{Found, files::read_regular};

/// The second one names the servers behind systemd's stub, which the first one points to.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// Name servers of every file; those on this machine need no guard.
pub fn find() -> Found {
    let mut found = Found::default();
    for file in FILES {
        match read_regular(Path::new(file)) {
            Ok(text) => found.add_servers(file, text.as_bytes()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (),
            Err(error) => found.problems.push(format!("cannot read {file}: {error}")),
        }
    }
    found
}

impl Found {
    fn add_servers(&mut self, file: &str, bytes: &[u8]) {
        let (config, errors) = Config::parse_with_errors(bytes);
        for error in errors {
            self.problems
                .push(format!("cannot read all of {file}: {error}"));
        }
        for server in config.nameservers {
            let address = IpAddr::from(server).to_canonical();
            if !address.is_loopback() {
                self.add(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_elsewhere_are_found_and_a_bad_line_hides_none() {
        let mut found = Found::default();
        found.add_servers(
            "resolv.conf",
            b"# stub\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 192.0.2.53\n\
              nameserver nonsense\nnameserver fe80::53%eth0\nsearch example.org\noptions edns0\n",
        );
        let addresses: Vec<_> = found.addresses.iter().map(IpAddr::to_string).collect();
        assert_eq!(addresses, ["192.0.2.53", "fe80::53"]);
        assert_eq!(found.problems.len(), 1, "{:?}", found.problems);
        assert!(found.problems[0].starts_with("cannot read all of resolv.conf: "));
    }
}
