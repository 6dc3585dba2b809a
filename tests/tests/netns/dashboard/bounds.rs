//! A page that is left open: it does not grow, and does not work while nobody looks.

use std::{thread, time::Duration};

use fw_ctl::{
    api::wire::{Batch, Changed, PutItem},
    cli::client::Client,
};
use fw_tests::lab::Lab;
use serde_json::json;

use super::{Dashboard, browser::Browser};

/// Entries of one change, each of which is told.
const AT_ONCE: u8 = 250;
/// Changes; each is taken back.
const ROUNDS: usize = 20;
/// What garbage that is not collected yet may make of it.
const SLACK_BYTES: f64 = 3e6;

/// Bytes that scripts hold, and nodes of the page.
fn held(browser: &Browser) -> (f64, f64) {
    browser.devtools("HeapProfiler.collectGarbage", json!({}));
    let heap = browser.devtools("Runtime.getHeapUsage", json!({}));
    let nodes = browser.devtools("Memory.getDOMCounters", json!({}));
    let number = |value: &serde_json::Value| value.as_f64().expect("a number");
    (number(&heap["usedSize"]), number(&nodes["nodes"]))
}

/// Adds entries and takes them back.
fn churn(client: &Client, round: usize) {
    let prefixes: Vec<String> = (0..AT_ONCE)
        .map(|host| format!("198.51.100.{host}"))
        .collect();
    let item = |prefix: &String| PutItem {
        prefix: prefix.clone(),
        comment: format!("round {round}"),
        ..PutItem::default()
    };
    let add = Batch {
        block: prefixes.iter().map(item).collect(),
        ..Batch::default()
    };
    let remove = Batch {
        unblock: prefixes,
        ..Batch::default()
    };
    for batch in [add, remove] {
        let _changed: Changed = client.post("/batch", &batch).expect("a change");
    }
}

#[test]
fn ten_thousand_events_leave_two_hundred_rows_and_no_memory_behind() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let dashboard = Dashboard::start(&lab, &[]);
    let browser = Browser::open(&dashboard.url);
    browser.until_shown("#line", "live");
    let client = Client::new(lab.socket());
    let told = |number: usize| {
        let text = format!("{},{:03} events", number / 1000, number % 1000);
        browser.until_shown("#events-count", &text);
    };
    let events = |rounds: usize| rounds * 2 * usize::from(AT_ONCE);
    // The first thousand fill what is bounded.
    (0..2).for_each(|round| churn(&client, round));
    told(events(2));
    let (heap_before, nodes_before) = held(&browser);
    for round in 2..2 + ROUNDS {
        churn(&client, round);
    }
    told(events(2 + ROUNDS));
    assert_eq!(
        browser.script("return document.getElementById('events').children.length"),
        200
    );
    let (heap, nodes) = held(&browser);
    assert!(
        heap < heap_before + SLACK_BYTES,
        "{heap_before} bytes grew to {heap}"
    );
    assert!(
        nodes < nodes_before + 500.0,
        "{nodes_before} nodes grew to {nodes}"
    );
}

#[test]
fn daemon_that_is_started_anew_is_found_again_and_what_was_lost_is_said() {
    let lab = Lab::new();
    let daemon = lab.daemon().start();
    let dashboard = Dashboard::start(&lab, &[]);
    let browser = Browser::open(&dashboard.url);
    browser.until_shown("#line", "live");
    lab.fw(&["block", "203.0.113.1"]).must(0);
    browser.until_shown("#events", "203.0.113.1");
    daemon.kill_9();
    browser.until_shown("#line", "no answer");
    let daemon = lab.daemon().start();
    lab.fw(&["block", "203.0.113.2"]).must(0);
    browser.until_shown("#line", "live");
    browser.until_shown("#events", "nobody knows how many");
    browser.until_shown("#entries", "203.0.113.2");
    browser.until_shown("#program", &format!("daemon {}", daemon.pid()));
}

#[test]
fn hidden_page_asks_nothing_and_catches_up_when_it_is_seen_again() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let dashboard = Dashboard::start(&lab, &[]);
    let browser = Browser::open(&dashboard.url);
    browser.until_shown("#line", "live");
    lab.fw(&["block", "203.0.113.1"]).must(0);
    browser.until_shown("#events", "203.0.113.1");
    browser.script(
        "window.asked = []; const fetch = window.fetch; \
         window.fetch = (...all) => { window.asked.push(document.hidden); return fetch(...all); }",
    );
    browser.in_another_tab(|| {
        lab.fw(&["block", "203.0.113.2"]).must(0);
        thread::sleep(Duration::from_secs(4));
    });
    // What came meanwhile is told, because the stream goes on where it broke off.
    browser.until_shown("#events", "203.0.113.2");
    browser.until_shown("#entries", "203.0.113.2");
    let while_hidden = browser.script("return window.asked.filter(Boolean).length");
    assert_eq!(while_hidden, 0);
    browser.until("it goes on asking", "return window.asked.length > 5");
}
