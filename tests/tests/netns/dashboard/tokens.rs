//! The page over TCP, where it asks for a token.

use std::fs;

use fw_tests::lab::{Lab, address::V4};
use serde_json::json;

use super::browser::Browser;

/// On the server's own loopback: the browser runs there, too.
const PLACE: &str = "127.0.0.1:8440";

fn enter(browser: &Browser, token: &str) {
    browser.until_shown("#login", "Token");
    browser.write("#login-token", token);
    browser.click("#login button");
}

fn block(browser: &Browser, prefix: &str) {
    browser.click("#new-block");
    browser.write("#change-prefix", prefix);
    browser.click("#change-do");
}

#[test]
fn read_token_shows_all_and_changes_nothing_and_a_write_token_blocks_real_packets() {
    let lab = Lab::new();
    let config = format!("[api]\nlisten = \"{PLACE}\"\n");
    fs::write(lab.config(), config).expect("the configuration can be written");
    let _daemon = lab.daemon().start();
    lab.fw(&["block", "203.0.113.1"]).must(0);
    let [read, write] = ["read", "write"].map(|scope| {
        let made = lab.fw(&["token", "add", scope, "--scope", scope]).must(0);
        made.stdout.trim().to_owned()
    });
    let victim = V4.blocked.to_string();

    lab.server.enter(|| {
        let browser = Browser::open(&format!("http://{PLACE}/"));
        enter(&browser, "guess");
        browser.until_shown("#login-problem", "the token is none of ours");
        enter(&browser, &read);
        browser.until_shown("#line", "live");
        browser.until_shown("#entries", "203.0.113.1");
        assert!(!browser.shows("body", &read), "the token is shown");
        block(&browser, &victim);
        browser.until_shown("#change-problem", "may only read");
        let kept = browser.script("return [localStorage.length, document.cookie]");
        assert_eq!(kept, json!([0, ""]), "the token outlives the tab");
    });
    assert!(lab.arrives(V4.blocked));

    lab.server.enter(|| {
        let browser = Browser::open(&format!("http://{PLACE}/"));
        enter(&browser, &write);
        browser.until_shown("#line", "live");
        block(&browser, &victim);
        browser.until_shown("#done", "1 entry added");
    });
    assert!(!lab.arrives(V4.blocked));
}
