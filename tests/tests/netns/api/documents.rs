//! What the API says of itself is what it does.

use std::{env, fs, path::Path};

use fw_tests::lab::{
    Lab,
    http::{API, Ask},
};

use super::listening;

#[test]
fn document_names_every_endpoint_and_each_of_them_is_there() {
    let lab = Lab::new();
    let _daemon = listening(&lab);
    let document = lab.ask_locally(&Ask::new("GET /openapi.json")).json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() > 20);
    for (path, methods) in paths {
        for method in methods.as_object().expect("methods").keys() {
            let method = method.to_uppercase();
            // Streams have no end, and what ends the daemon is tested elsewhere.
            if ["/api/v1/events", "/api/v1/detach"].contains(&path.as_str()) {
                continue;
            }
            let asked = path.replace("{id}", "9").replace("{prefix}", "192.0.2.1");
            let asked = asked.replace("{name}", "nothing");
            let answer = lab.ask_locally(&Ask::new(&format!("{method} {asked}")));
            let is_missing = answer.body.contains("no such endpoint");
            assert!(
                answer.status != 405 && !is_missing,
                "{method} {path}: {answer:?}"
            );
        }
    }
    let wrong = lab.ask_locally(&Ask::new("PATCH /api/v1/status"));
    assert_eq!((wrong.status, &*wrong.code()), (405, "not_allowed"));
    assert!(
        wrong
            .header("Allow")
            .is_some_and(|methods| methods.contains("GET"))
    );
}

/// Requests that fit the document and requests that do not, made up by schemathesis from PyPI. What
/// streams, ends the daemon, or takes a second of a processor is left out.
#[test]
fn schemathesis_finds_nothing() {
    let tool = env::var_os("FW_SCHEMATHESIS");
    let tool = tool.expect("`cargo xtask test netns` installs schemathesis and says where it is");
    // The ordinary run makes the same requests each time; the long one makes up others.
    let how: &[&str] = match env::var_os("FW_TEST_LONG") {
        Some(_) => &["--max-examples", "200"],
        None => &["--max-examples", "10", "--seed", "1"],
    };
    let lab = Lab::new();
    let _daemon = listening(&lab);
    let token = lab.token("w", "write");
    let document = lab.directory().join("openapi.json");
    let said = lab.ask_locally(&Ask::new("GET /openapi.json"));
    fs::write(&document, said.body).expect("it can be written");
    let mut asking = lab.server.command(tool);
    asking
        .arg("--config-file")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis.toml"))
        .arg("run")
        .arg(&document)
        .args(["--url", &format!("http://{API}"), "--no-color"])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        // A token has its rate.
        .args(["--rate-limit", "90/s"])
        .args(how)
        .current_dir(lab.directory());
    for path in ["events", "detach", "bench"] {
        asking.args(["--exclude-path", &format!("/api/v1/{path}")]);
    }
    let asked = asking.output().expect("schemathesis starts");
    let found = String::from_utf8_lossy(&asked.stdout);
    assert!(asked.status.success(), "{found}\n{}", lab.logged());
    assert_eq!(lab.json(&["status"])["state"], "ok");
}
