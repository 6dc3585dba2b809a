//! TLS, without which nothing listens off loopback.

use std::{fs, path::PathBuf, process::Command};

use fw_tests::lab::{Lab, address::V4, daemon::eventually, namespace::run};

/// Where the API answers, for others.
const PORT: u16 = 9444;

/// A certificate for the server's address, and its key.
fn certificate(lab: &Lab, name: &str) -> [PathBuf; 2] {
    let [cert, key] = ["crt", "key"].map(|kind| lab.directory().join(format!("{name}.{kind}")));
    let mut openssl = Command::new("openssl");
    openssl
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args(["-nodes", "-days", "2", "-subj", &format!("/CN={name}")])
        .args(["-addext", &format!("subjectAltName=IP:{}", V4.server)])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert);
    run(&mut openssl);
    [cert, key]
}

fn config(lab: &Lab, [cert, key]: &[PathBuf; 2]) {
    let (cert, key) = (cert.display(), key.display());
    let text = format!(
        "[api]\nlisten = \"{}:{PORT}\"\ntls_cert = \"{cert}\"\ntls_key = \"{key}\"\n",
        V4.server
    );
    fs::write(lab.config(), text).expect("it can be written");
}

/// Asks from the attacker's side; the status, or nothing.
fn ask(lab: &Lab, scheme: &str, cert: &PathBuf, token: &str) -> String {
    let mut curl = lab.attacker.command("curl");
    let url = format!("{scheme}://{}:{PORT}/api/v1/version", V4.server);
    curl.args([
        "-s",
        "-m",
        "5",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "--noproxy",
        "*",
    ])
    .args(["-H", &format!("Authorization: Bearer {token}"), "--cacert"])
    .arg(cert)
    .arg(url);
    let output = curl.output().expect("curl starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn off_loopback_there_is_tls_and_a_token_or_no_daemon() {
    let lab = Lab::new();
    let files = certificate(&lab, "one");
    let open = format!("[api]\nlisten = \"{}:{PORT}\"\n", V4.server);
    fs::write(lab.config(), open).expect("it can be written");
    lab.daemon().refused().must(2).saying("not loopback");
    config(&lab, &files);
    lab.daemon().refused().must(2).saying("there is no token");
    fs::write(lab.config(), "").expect("it can be written");
    let daemon = lab.daemon().start();
    let token = lab.token("r", "read");
    daemon.term();

    config(&lab, &files);
    let _daemon = lab.daemon().start();
    assert_eq!(ask(&lab, "https", &files[0], &token), "200");
    assert_eq!(ask(&lab, "https", &files[0], "wrong"), "401");
    assert_eq!(
        ask(&lab, "http", &files[0], &token),
        "000",
        "nothing in the clear"
    );
}

#[test]
fn certificate_is_read_again_on_reload_and_a_broken_one_changes_nothing() {
    let lab = Lab::new();
    let daemon = lab.daemon().start();
    let token = lab.token("r", "read");
    daemon.term();
    let [one, other] = ["one", "other"].map(|name| certificate(&lab, name));
    config(&lab, &one);
    let daemon = lab.daemon().start();
    assert_eq!(ask(&lab, "https", &one[0], &token), "200");

    config(&lab, &other);
    daemon.hup();
    eventually("the new one is shown", || {
        ask(&lab, "https", &other[0], &token) == "200"
    });
    assert_eq!(ask(&lab, "https", &one[0], &token), "000");

    let kept = fs::read(&other[0]).expect("it can be read");
    fs::write(&other[0], "none").expect("it can be written");
    daemon.hup();
    eventually("an alarm", || {
        let status = lab.json(&["status"]);
        status["alarms"]
            .to_string()
            .contains("cannot read a certificate in")
    });
    fs::write(&other[0], kept).expect("it can be written");
    assert_eq!(
        ask(&lab, "https", &other[0], &token),
        "200",
        "the last good one"
    );
}

#[test]
fn certificate_that_cannot_be_used_is_named() {
    let lab = Lab::new();
    let [one, other] = ["one", "other"].map(|name| certificate(&lab, name));
    let daemon = lab.daemon().start();
    lab.token("r", "read");
    daemon.term();
    config(&lab, &[one[0].clone(), other[1].clone()]);
    lab.daemon()
        .refused()
        .must(2)
        .saying("cannot use the certificate");
    config(&lab, &[one[0].clone(), lab.directory().join("nothing")]);
    lab.daemon()
        .refused()
        .must(2)
        .saying("cannot read a key in");
    config(&lab, &[one[1].clone(), one[1].clone()]);
    lab.daemon().refused().must(2);
}
