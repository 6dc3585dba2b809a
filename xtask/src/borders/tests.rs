use super::*;

/// What is found in a file with this text: the path, or the rule.
fn found(file: &str, text: &str) -> Vec<String> {
    inspect(file, text)
        .into_iter()
        .map(|breach| breach.what)
        .collect()
}

#[test]
fn a_forbidden_import_is_found_with_its_line_and_reason() {
    let breaches = inspect(
        "fw-ctl/src/policy/set.rs",
        "//! Sets.\nuse std::{fs, net::IpAddr};\n",
    );
    assert_eq!(breaches.len(), 1);
    let said = breaches[0].to_string();
    assert!(
        said.starts_with("fw-ctl/src/policy/set.rs:2: std::fs: pure"),
        "{said}"
    );
}

#[test]
fn the_pure_modules_know_nothing_of_the_world() {
    for file in [
        "fw-ctl/src/policy.rs",
        "fw-ctl/src/detect/caps.rs",
        "fw-ctl/src/plan/mod.rs",
    ] {
        assert_eq!(
            found(file, "fn f() { tokio::spawn(g()); }"),
            ["tokio::spawn"]
        );
        assert_eq!(
            found(file, "use crate::{plan::Plan, store::Db};"),
            ["crate::store::Db"]
        );
        assert_eq!(
            found(file, "use std::time::SystemTime;"),
            ["std::time::SystemTime"]
        );
        let allowed = "use std::{collections::BTreeMap, net::IpAddr, time::Duration};";
        assert!(found(file, allowed).is_empty());
    }
    assert!(found("fw-ctl/src/policy_store.rs", "use tokio::fs;").is_empty());
    assert!(found("fw-ctl/src/daemon/mod.rs", "use tokio::fs;").is_empty());
}

#[test]
fn the_contract_imports_core_only() {
    assert_eq!(
        found("fw-common/src/prefix.rs", "use std::fmt;"),
        ["std::fmt"]
    );
    assert_eq!(
        found("fw-common/src/prefix.rs", "use aya::Pod;"),
        ["aya::Pod"]
    );
    assert!(found("fw-common/src/prefix.rs", "use core::fmt;").is_empty());
    assert!(
        found(
            "fw-common/src/pod.rs",
            "use aya::Pod;\nunsafe impl Pod for Key {}"
        )
        .is_empty()
    );
    let optional = "[dependencies]\naya = { workspace = true, optional = true }\n\n[lints]\n";
    assert!(found("fw-common/Cargo.toml", optional).is_empty());
    assert_eq!(
        found("fw-common/Cargo.toml", "[dependencies]\nserde = \"1\"\n").len(),
        1
    );
}

#[test]
fn backends_know_neither_each_other_nor_what_is_above() {
    let file = "fw-ctl/src/backend/xdp/load.rs";
    assert_eq!(
        found(file, "use crate::daemon::Event;"),
        ["crate::daemon::Event"]
    );
    assert_eq!(
        found(file, "use super::super::fake::Fake;"),
        ["crate::backend::fake::Fake"]
    );
    assert!(
        found(
            file,
            "use super::maps::Maps;\nuse crate::backend::{Backend, xdp::maps};"
        )
        .is_empty()
    );
    assert!(found(file, "use crate::plan::CheckedPlan;").is_empty());
}

#[test]
fn verbs_are_clients_but_for_the_three_that_are_not() {
    let text = "use crate::backend::xdp;";
    assert_eq!(
        found("fw-ctl/src/cli/block.rs", text),
        ["crate::backend::xdp"]
    );
    assert_eq!(
        found("fw-ctl/src/api/mod.rs", text),
        ["crate::backend::xdp"]
    );
    for verb in ["detach", "doctor", "run"] {
        assert!(found(&format!("fw-ctl/src/cli/{verb}.rs"), text).is_empty());
    }
}

#[test]
fn comments_strings_and_tests_cross_no_border() {
    let file = "fw-ctl/src/plan/diff.rs";
    assert!(
        found(
            file,
            "// use std::fs;\n/* tokio::spawn */\nconst A: &str = \"std::fs\";"
        )
        .is_empty()
    );
    assert!(found(file, "#[cfg(test)]\nmod tests {\n    use std::fs;\n}").is_empty());
    for file in ["fw-ctl/src/plan/tests.rs", "fw-ctl/src/plan/tests/model.rs"] {
        assert!(found(file, "use std::fs;").is_empty());
    }
}

#[test]
fn unsafe_lives_in_its_places_only() {
    let text = "fn f() { unsafe { g() } }";
    assert_eq!(found("fw-ctl/src/daemon/mod.rs", text), ["unsafe"]);
    assert!(found("fw-ctl/src/backend/xdp/sys.rs", text).is_empty());
    assert!(found("fw-ebpf/src/main.rs", text).is_empty());
    assert!(found("fw-ctl/src/lib.rs", "#![forbid(unsafe_code)] // unsafe").is_empty());
}

#[test]
fn long_files_unfinished_work_and_machine_paths_are_found() {
    assert_eq!(found("fw-ctl/src/lib.rs", &"\n".repeat(401)), ["401 lines"]);
    assert!(found("fw-ctl/src/lib.rs", &"\n".repeat(400)).is_empty());
    let mark = table::UNFINISHED[0];
    assert_eq!(found("README.md", &format!("{mark}: more")), [mark]);
    assert!(found("README.md", &format!("MAS{mark}NT")).is_empty());
    let place = table::MACHINE_PATHS[0];
    assert_eq!(found("README.md", &format!("cd {place}x")), [place]);
}
