//! A lab with the Internet behind its gateway.
//!
//! - [`receiver`]: an HTTP server that does what it is told, [`names`]: a name server

pub mod names;
pub mod receiver;

use std::fs;

use fw_tests::lab::{Lab, command::binary, daemon::Daemon};

use self::{names::Names, receiver::Certificates};

/// An address of the Internet, which the attacker has here.
pub const GLOBAL: &str = "45.79.0.1";
/// Its name.
pub const NAME: &str = "hooks.example.com";
/// The name server's.
const RESOLVER: &str = "45.79.0.53";

/// A lab with the Internet behind its gateway, and names.
pub struct Outside {
    /// Server and attacker.
    pub lab: Lab,
    /// What the daemon asks for names.
    pub names: Names,
    /// What servers show.
    pub certificates: Certificates,
}

impl Outside {
    /// With this configuration.
    pub fn with(config: &str) -> Self {
        let lab = Lab::new();
        for address in [GLOBAL, RESOLVER] {
            lab.attacker
                .ip(&format!("address add {address}/32 dev attacker0"));
        }
        fs::write(lab.config(), config).expect("the configuration can be written");
        let resolvers = format!("nameserver {RESOLVER}\noptions timeout:1\n");
        fs::write(lab.directory().join("resolv.conf"), resolvers).expect("it can be written");
        let names = Names::serve(&lab.attacker, RESOLVER);
        names.answer(NAME, &[GLOBAL]);
        Self {
            certificates: Certificates::make(lab.directory(), NAME),
            names,
            lab,
        }
    }

    /// A daemon that asks the name server and trusts the certificates.
    pub fn daemon(&self) -> Daemon<'_> {
        let resolvers = self.lab.directory().join("resolv.conf");
        let script = format!(
            "mount --bind {} /etc/resolv.conf && exec {} \"$@\"",
            resolvers.display(),
            binary().display()
        );
        let shell = ["unshare", "--mount", "sh", "-c", &script, "fw-ctl"];
        let launch = self.lab.daemon().program(&shell);
        let trusted = self.certificates.authority.display().to_string();
        launch.env("SSL_CERT_FILE", trusted).start()
    }
}
