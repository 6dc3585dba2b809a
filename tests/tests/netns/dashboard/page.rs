//! What the page shows and does.

use std::fs;

use fw_tests::lab::{Lab, address::V4, daemon::eventually, scanners};

use super::{Dashboard, browser::Browser};

/// A detector that says what it would do, and a network of scanners.
fn observing() -> Lab {
    let lab = Lab::new();
    lab.open_range();
    let config = "[scan]\nmode = \"observe\"\n";
    fs::write(lab.config(), config).expect("the configuration can be written");
    lab
}

#[test]
fn scan_appears_and_a_block_from_the_page_stops_real_packets_until_it_is_taken_back() {
    let lab = observing();
    let _daemon = lab.daemon().start();
    let dashboard = Dashboard::start(&lab, &[]);
    let browser = Browser::open(&dashboard.url);
    browser.until_shown("#line", "live");
    browser.until_shown("#interfaces", "server0");

    // A slow beginning is in progress, the rest crosses the threshold.
    let source = scanners::source_v4(7);
    let text = source.to_string();
    let scan = |ports: &str| {
        let mut nmap = lab
            .scan_from(source)
            .nmap(&["-sS", "--max-retries", "0", "-p", ports]);
        assert!(nmap.output().expect("nmap starts").status.success());
    };
    eventually("the detector counts", || {
        scan("20000-20004");
        browser.shows("#scanning", &text)
    });
    scan("20000-20039");
    browser.until_shown("#scanned", &text);
    browser.until_shown("#scanned", "would be blocked");
    browser.until_shown("#events", &format!("{text} tried"));

    let victim = V4.blocked.to_string();
    assert!(lab.arrives(V4.blocked));
    browser.write("#ask-address", &victim);
    browser.click("#ask button");
    browser.until_shown("#answer-title", "passes");
    browser.press("answer", &format!("block {victim}"));
    browser.write("#change-comment", "by hand");
    browser.click("#change-do");
    browser.until_shown("#answer-title", "dropped");
    assert!(!lab.arrives(V4.blocked), "the block does nothing");
    browser.until_shown("#entries", "by hand");
    browser.until_shown("#reasons", "blocked");
    browser.until_shown("#sources", &victim);

    browser.press("answer", &format!("unblock {victim}"));
    browser.click("#change-do");
    browser.until_shown("#answer-title", "passes");
    assert!(lab.arrives(V4.blocked), "the block is still there");
    browser.until(
        "the entry goes",
        "return !document.getElementById('entries').innerText.includes('by hand')",
    );
}

#[test]
fn what_others_change_appears_by_itself() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let dashboard = Dashboard::start(&lab, &[]);
    let browser = Browser::open(&dashboard.url);
    browser.until_shown("#line", "live");
    lab.fw(&[
        "block",
        "203.0.113.7",
        "--list",
        "partners",
        "--comment",
        "told",
    ])
    .must(0);
    browser.until_shown("#events", "203.0.113.7 in partners");
    browser.until_shown("#entries", "told");
    browser.until_shown("#lists", "partners");
    lab.fw(&["port", "add", "tcp/2222", "--drop"]).must(0);
    browser.until_shown("#rules", "tcp/2222");
    lab.fw(&["guard", "add", "203.0.113.200"]).must(0);
    browser.until_shown("#guard", "203.0.113.200");
    lab.fw(&["unblock", "203.0.113.7"]).must(0);
    browser.until_shown("#entries + .empty", "None");
}

#[test]
fn whole_page_can_be_driven_by_the_keyboard() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let dashboard = Dashboard::start(&lab, &[]);
    let browser = Browser::open(&dashboard.url);
    browser.until_shown("#line", "live");
    let victim = V4.blocked.to_string();

    browser.tab_to("node.id === 'ask-address'");
    browser.keys(&format!("{victim}\u{e007}"));
    browser.until_shown("#answer-title", "passes");
    browser.tab_to(&format!("node.textContent === 'block {victim}…'"));
    browser.keys("\u{e007}");
    browser.until(
        "the dialog",
        "return document.getElementById('change').open",
    );
    browser.tab_to("node.id === 'change-ttl'");
    // Everything in the field is selected by the way that leads there.
    browser.keys("2h");
    browser.tab_to("node.id === 'change-do'");
    browser.keys(" ");
    browser.until_shown("#answer-title", "dropped");
    let entry = lab.entry("blocks", &victim).expect("it is blocked");
    let left = entry["ttl_s"].as_u64().expect("an end");
    assert!((7000..=7200).contains(&left), "{entry}");

    // The focus went back to where the dialog was opened from, or to what took its place.
    browser.tab_to(&format!("node.textContent === 'unblock {victim}…'"));
    browser.keys("\u{e007}");
    browser.until(
        "the dialog",
        "return document.getElementById('change').open",
    );
    browser.keys("\u{e00c}");
    browser.until(
        "no dialog",
        "return !document.getElementById('change').open",
    );
    assert!(!lab.arrives(V4.blocked), "Escape confirms nothing");
    eventually("an arrow key says a second of the chart", || {
        browser.tab_to("node.id === 'chart'");
        browser.keys("\u{e012}");
        browser.shows("#chart .tip", ":")
    });
}

#[test]
fn what_is_refused_is_said_plainly_and_a_browser_that_is_not_known_is_asked_for_a_token() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let dashboard = Dashboard::start(&lab, &["--read-only"]);
    let browser = Browser::open(&dashboard.url);
    browser.until_shown("#line", "live");
    browser.click("#new-block");
    browser.write("#change-prefix", "203.0.113.7");
    browser.write("#change-ttl", "soon");
    browser.click("#change-do");
    browser.until_shown("#change-problem", "10m, 4h or never");
    browser.write("#change-ttl", "10m");
    browser.click("#change-do");
    browser.until_shown("#change-problem", "this dashboard is read-only");
    browser.click("#change-cancel");
    assert!(lab.prefixes("blocks").is_empty());

    browser.forget();
    browser.until_shown("#login", "Token");
    browser.write("#login-token", "guess");
    browser.click("#login button");
    browser.until_shown("#login-problem", "this browser was not let in");
}
