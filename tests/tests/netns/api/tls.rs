//! TLS, without which nothing listens off loopback.

use std::{fs, net::TcpStream, path::PathBuf, process::Command};

use fw_tests::lab::{Lab, address::V4, daemon::eventually, http::API, namespace::run};

use super::{listening, status};

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

fn alarms(lab: &Lab) -> String {
    lab.json(&["status"])["alarms"].to_string()
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
fn off_loopback_there_is_tls_and_a_token_or_no_way_in() {
    let lab = Lab::new();
    let files = certificate(&lab, "one");
    let open = format!("[api]\nlisten = \"{}:{PORT}\"\n", V4.server);
    fs::write(lab.config(), open).expect("it can be written");
    lab.daemon().refused().must(2).saying("not loopback");
    config(&lab, &files);
    let _daemon = lab.daemon().start();
    assert!(alarms(&lab).contains("there is no token"));
    assert_eq!(ask(&lab, "https", &files[0], "none"), "000", "closed");
    let token = lab.token("r", "read");
    assert!(!alarms(&lab).contains("token"), "it opens with the first");
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
        alarms(&lab).contains("cannot read a certificate in")
    });
    fs::write(&other[0], kept).expect("it can be written");
    assert_eq!(
        ask(&lab, "https", &other[0], &token),
        "200",
        "the last good one"
    );
}

#[test]
fn certificate_that_cannot_be_used_is_named_and_keeps_nobody_from_being_protected() {
    let lab = Lab::new();
    let [one, other] = ["one", "other"].map(|name| certificate(&lab, name));
    let pipe = lab.directory().join("pipe");
    run(Command::new("mkfifo").arg(&pipe));
    let daemon = lab.daemon().start();
    let token = lab.token("r", "read");
    lab.fw(&["block", V4.block]).must(0);
    daemon.term();
    let file = lab.config().display().to_string();
    for (files, said) in [
        ([&one[0], &other[1]], "cannot use the certificate"),
        (
            [&one[0], &lab.directory().join("nothing")],
            "cannot read a key in",
        ),
        ([&one[0], &pipe], "not a regular file"),
        ([&one[1], &one[1]], "cannot read a certificate in"),
    ] {
        config(&lab, &files.map(Clone::clone));
        lab.fw(&["run", "-t", "-i", "lo", "-c", &file])
            .must(2)
            .saying(said);
        let daemon = lab.daemon().start();
        assert!(alarms(&lab).contains(said), "{said}");
        assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free), "{said}");
        config(&lab, &one);
        daemon.hup();
        eventually("it is mended", || {
            ask(&lab, "https", &one[0], &token) == "200"
        });
        assert!(!alarms(&lab).contains("API"), "{said}");
        daemon.term();
    }
}

#[test]
fn reload_moves_to_where_the_configuration_says_and_tls_with_it() {
    let lab = Lab::new();
    let files = certificate(&lab, "one");
    let daemon = listening(&lab);
    let token = lab.token("r", "read");
    let local = || lab.ask(&status().token(&token)).status;
    assert_eq!(local(), 200);
    config(&lab, &files);
    daemon.hup();
    eventually("others reach it", || {
        ask(&lab, "https", &files[0], &token) == "200"
    });
    assert_eq!(ask(&lab, "http", &files[0], &token), "000");
    let connect = || TcpStream::connect(API).map(drop);
    assert!(lab.server.enter(connect).is_err(), "it is there no more");
    // In the clear, where only this host reaches it.
    fs::write(lab.config(), format!("[api]\nlisten = \"{API}\"\n")).expect("it can be written");
    daemon.hup();
    eventually("it is back", || lab.server.enter(connect).is_ok());
    assert_eq!(local(), 200);
    assert_eq!(ask(&lab, "https", &files[0], &token), "000");
    fs::write(lab.config(), "").expect("it can be written");
    daemon.hup();
    eventually("it is nowhere", || lab.server.enter(connect).is_err());
    lab.fw(&["status"]).must(0);
}
