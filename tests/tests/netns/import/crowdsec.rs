//! CrowdSec: the decisions of a real engine, as its own program lists them.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Instant,
};

use fw_tests::lab::{Lab, address::V4, daemon::eventually, debian::unpacked};

use super::{
    import,
    said::{Said, by_daemon, same},
    written,
};

/// Nothing but the local API, in a folder of its own; nobody elsewhere is told anything.
const CONFIG: &str = "common: {daemonize: false, log_media: stdout}
config_paths: {config_dir: $DIR, data_dir: $DIR, simulation_path: $DIR/simulation.yaml, hub_dir: $DIR/hub, index_path: $DIR/hub/.index.json}
crowdsec_service: {enable: false}
cscli: {output: human}
db_config: {type: sqlite, db_path: $DIR/crowdsec.db, use_wal: false}
api:
  client: {credentials_path: $DIR/credentials.yaml}
  server: {listen_uri: '127.0.0.1:8080', profiles_path: $DIR/profiles.yaml}
prometheus: {enabled: false}
";

/// An engine without agents.
struct Crowdsec<'lab> {
    lab: &'lab Lab,
    directory: PathBuf,
    engine: Child,
}

impl<'lab> Crowdsec<'lab> {
    fn start(lab: &'lab Lab) -> Self {
        let directory = lab.directory().join("crowdsec");
        let place = directory.display().to_string();
        fs::create_dir_all(directory.join("hub")).expect("a folder");
        for (file, text) in [
            ("config.yaml", &*CONFIG.replace("$DIR", &place)),
            ("simulation.yaml", ""),
            ("credentials.yaml", ""),
        ] {
            fs::write(directory.join(file), text).expect("the file can be written");
        }
        fs::copy(
            unpacked("etc/crowdsec/profiles.yaml"),
            directory.join("profiles.yaml"),
        )
        .expect("it can be copied");
        let config = directory.join("config.yaml");
        let credentials = directory.join("credentials.yaml");
        let mut machine = lab.attacker.command(unpacked("usr/bin/cscli"));
        machine.arg("-c").arg(&config).args([
            "machines",
            "add",
            "lab",
            "--password",
            "lab",
            "--force",
            "-f",
        ]);
        let machine = machine.arg(credentials).output().expect("cscli starts");
        assert!(machine.status.success(), "{machine:?}");
        let mut engine = lab.attacker.command(unpacked("usr/bin/crowdsec"));
        engine
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let engine = engine.spawn().expect("nsenter starts");
        let this = Self {
            lab,
            directory,
            engine,
        };
        eventually("crowdsec answers", || {
            let list = this.cscli().args(["decisions", "list"]).output();
            list.expect("it starts").status.success()
        });
        this
    }

    fn cscli(&self) -> Command {
        let mut command = self.lab.attacker.command(unpacked("usr/bin/cscli"));
        command.arg("-c").arg(self.directory.join("config.yaml"));
        command
    }

    /// Runs `cscli decisions`, which must succeed.
    #[track_caller]
    fn decisions(&self, arguments: &str) -> String {
        let mut cscli = self.cscli();
        cscli.arg("decisions").args(arguments.split(' '));
        let output = cscli.output().expect("it starts");
        assert!(output.status.success(), "{arguments}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }
}

impl Drop for Crowdsec<'_> {
    fn drop(&mut self) {
        self.engine.kill().expect("it can be ended");
        self.engine.wait().expect("it ends");
    }
}

#[test]
fn bans_of_crowdsec_are_imported_and_everything_else_is_named() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let crowdsec = Crowdsec::start(&lab);
    let listed = || written(&lab, crowdsec.decisions("list -o json"));
    let reply = import(&lab, &listed(), &[]).must(0);
    assert!(
        reply.stdout.starts_with("nothing to do"),
        "{}",
        reply.stdout
    );

    let (since, blocked) = (Instant::now(), V4.blocked);
    for add in [
        format!("--ip {blocked} --duration 4h --reason said-\"x\""),
        "--range 198.51.100.0/24 --duration 24h --reason net".into(),
        "--ip 2001:db8::2 --duration 100000h --reason six".into(),
        "--ip 2001:db8::1 --duration 90m --type captcha".into(),
        "--scope country --value CN --duration 1h".into(),
    ] {
        crowdsec.decisions(&format!("add {add}"));
    }
    let told = import(&lab, &listed(), &["--list", "crowdsec", "--json"]).must(0);
    assert_eq!(told.json()["left_out"], 2, "{}", told.stdout);
    let told = told.saying("captcha of Ip 2001:db8::1");
    told.saying("ban of Country CN");
    let expected = vec![
        Said::new(&blocked.to_string(), Some(4 * 3_600), "said-\"x\""),
        Said::new("198.51.100.0/24", Some(24 * 3_600), "net"),
        Said::new("2001:db8::2", Some(100_000 * 3_600), "six"),
    ];
    same(by_daemon(&lab, "crowdsec"), expected, since);
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
}
