//! The ports sshd listens on.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use crate::host::files::read_regular;

const FILE: &str = "/etc/ssh/sshd_config";
const DIRECTORY: &str = "/etc/ssh/sshd_config.d";

/// Where sshd listens unless told otherwise.
const DEFAULT: u16 = 22;

/// The ports that sshd's configuration names. What cannot be read is a problem.
pub(super) fn ports(problems: &mut Vec<String>) -> BTreeSet<u16> {
    let mut files = vec![PathBuf::from(FILE)];
    match fs::read_dir(DIRECTORY) {
        Ok(entries) => files.extend(
            entries
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|end| end == "conf")),
        ),
        Err(error) => note(problems, Path::new(DIRECTORY), &error),
    }
    let mut texts = Vec::new();
    for file in files {
        match read_regular(&file) {
            Ok(text) => texts.push(text),
            Err(error) => note(problems, &file, &error),
        }
    }
    configured(&texts)
}

fn note(problems: &mut Vec<String>, path: &Path, error: &io::Error) {
    if error.kind() != io::ErrorKind::NotFound {
        problems.push(format!("cannot read {}: {error}", path.display()));
    }
}

/// `Port` adds a port, so does `ListenAddress` where it has one; without any `Port` there is the
/// default.
fn configured(texts: &[String]) -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    let mut with_address = BTreeSet::new();
    for line in texts.iter().flat_map(|text| text.lines()) {
        let Some((keyword, value)) = setting(line) else {
            continue;
        };
        match keyword.to_ascii_lowercase().as_str() {
            "port" => ports.extend(value.parse::<u16>()),
            "listenaddress" => with_address.extend(port_of(value)),
            _ => (),
        }
    }
    if ports.is_empty() {
        ports.insert(DEFAULT);
    }
    &ports | &with_address
}

/// Keyword and first argument: `Port 22`, `Port=22`, `Port "22" # comment`.
fn setting(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let (keyword, rest) = line.split_once(|c: char| c.is_whitespace() || c == '=')?;
    let value = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '=');
    let value = value.split_whitespace().next()?;
    Some((keyword, value.trim_matches('"')))
}

/// The port of `host:port` or `[host]:port`; a bare IPv6 address has none.
fn port_of(address: &str) -> Option<u16> {
    let (host, port) = address.rsplit_once(':')?;
    let bare = host.contains(':') && !host.ends_with(']');
    match bare {
        true => None,
        false => port.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_name_a_port_is_understood_and_nothing_else() {
        let cases: [(&[&str], &[u16]); 9] = [
            (&[], &[22]),
            (&["# Port 2222\n#Port 2223\n"], &[22]),
            (&["Port 2222"], &[2222]),
            (
                &["Port 22\nport=2222\n  PORT \"2223\" # third\n"],
                &[22, 2222, 2223],
            ),
            (&["Include x\nPort 2222", "Port 2223\r\n"], &[2222, 2223]),
            (&["ListenAddress 192.0.2.1:2222"], &[22, 2222]),
            (
                &[
                    "ListenAddress [2001:db8::1]:2222\nListenAddress ssh.example.org:2223\nPort 2224",
                ],
                &[2222, 2223, 2224],
            ),
            (
                &["ListenAddress 2001:db8::2222\nListenAddress 0.0.0.0\nListenAddress [::1]"],
                &[22],
            ),
            (
                &["Port 70000\nPort ssh\nPort\nGatewayPorts 5\nPortX 6"],
                &[22],
            ),
        ];
        for (texts, expected) in cases {
            let owned: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            let ports: Vec<u16> = configured(&owned).into_iter().collect();
            assert_eq!(ports, expected, "{texts:?}");
        }
    }

    #[test]
    fn this_machine_has_at_least_one_port() {
        let mut problems = Vec::new();
        assert!(!ports(&mut problems).is_empty());
    }
}
