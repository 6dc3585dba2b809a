//! Parts of the page, each by itself, in the engine that runs them.

use fw_tests::lab::Lab;
use serde_json::{Value, json};

use super::{Dashboard, browser::Browser};

/// What a function of these modules gives.
fn call(modules: &str, body: &str) -> Value {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let dashboard = Dashboard::start(&lab, &[]);
    let browser = Browser::open(&dashboard.url);
    browser.promise(&format!(
        "import('/dashboard/{modules}.js').then((page) => {{ {body} }})"
    ))
}

#[test]
fn stream_of_events_is_read_however_it_is_cut() {
    let found = call(
        "events",
        r#"const text = ": hello\n\nid: 1-2\ndata: {\"a\":\"é: ü\"}\n\nid:1-3\r\ndata:b\r\ndata: c\r\n\r\nevent: x\n\nid: 1-4\ndata";
           const results = new Set();
           for (let cut = 0; cut <= text.length; cut += 1) {
             const parser = new page.Parser();
             results.add(JSON.stringify([...parser.push(text.slice(0, cut)), ...parser.push(text.slice(cut))]));
           }
           return [...results].map(JSON.parse);"#,
    );
    let messages = json!([
        { "id": "1-2", "data": "{\"a\":\"é: ü\"}" },
        { "id": "1-3", "data": "b\nc" },
    ]);
    assert_eq!(found, json!([messages]));
}

#[test]
fn times_are_read_and_written_as_on_the_command_line() {
    let found = call(
        "format",
        r#"const read = ["90", "90s", "10m", "4h", "1d", "1w", "1h30m", " NEVER ", "0", "0s", "", "1y", "m", "-1", "1.5h", "1h 30m"];
           const written = [0, 59, 60, 5400, 86399, 86400, 694861];
           return [read.map((text) => page.seconds(text) ?? String(page.seconds(text))), written.map(page.duration)];"#,
    );
    let none = "undefined";
    let read = json!([
        90, 90, 600, 14_400, 86_400, 604_800, 5400, "null", none, none, none, none, none, none,
        none, none
    ]);
    let written = json!(["0s", "59s", "1m", "1h 30m", "23h 59m", "1d", "1w 1d"]);
    assert_eq!(found, json!([read, written]));
}

#[test]
fn rows_that_stay_keep_their_focus_whatever_comes_and_goes_around_them() {
    let found = call(
        "dom",
        r#"const list = page.el("ul");
           document.body.append(list);
           const make = (name) => page.el("li", {}, page.el("button", {}, name));
           const draw = (names) => page.keyed(list, names, (name) => name, make);
           draw(["a", "b", "c"]);
           list.children[1].firstElementChild.focus();
           return [["x", "a", "b", "c"], ["b", "c"], ["c", "b", "d"], ["b"]].map((names) => {
             draw(names);
             return [list.textContent, document.activeElement.textContent];
           });"#,
    );
    let expected = ["xabc", "bc", "cbd", "b"].map(|text| json!([text, "b"]));
    assert_eq!(found, json!(expected));
}
