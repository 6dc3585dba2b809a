//! What the API says of itself is what it does.

use fw_tests::lab::{Lab, http::Ask};

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
