//! Names and comments that want to be more than text, and what the page may reach.

use fw_tests::lab::{Lab, daemon::eventually};
use serde_json::json;

use super::{Dashboard, browser::Browser};

const COMMENTS: [&str; 4] = [
    "<script>window.owned = 1</script>",
    "<img src=x onerror='window.owned = 1'>",
    "\"><svg onload=window.owned=1>&lt;b&gt;",
    "javascript:window.owned=1 {{7*7}} \u{5d0}\u{5d1}\u{5d2} \u{200f}",
];

#[test]
fn hostile_comments_are_shown_as_the_text_they_are() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let dashboard = Dashboard::start(&lab, &[]);
    let browser = Browser::open(&dashboard.url);
    browser.until_shown("#line", "live");
    for (number, comment) in COMMENTS.iter().enumerate() {
        let prefix = format!("203.0.113.{number}");
        lab.fw(&["block", &prefix, "--comment", comment]).must(0);
        let shown = comment.replace('\u{200f}', "\\u{200f}");
        browser.until_shown("#entries td", &shown);
        browser.until_shown("#events li", &shown);
        browser.write("#ask-address", &prefix);
        browser.click("#ask button");
        browser.until_shown("#answer-body", &shown);
    }
    assert_eq!(browser.script("return window.owned ?? null"), json!(null));
    let made = browser.script(
        "return document.querySelectorAll('main :is(script, img, svg svg, iframe)').length",
    );
    assert_eq!(made, 0);
}

#[test]
fn what_the_api_refuses_in_a_comment_could_not_move_a_row_either() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let dashboard = Dashboard::start(&lab, &[]);
    let browser = Browser::open(&dashboard.url);
    let shown = browser.promise(
        "import('/dashboard/dom.js').then(({ safe, el }) => \
         [safe('a\\u202eb\\u0007c\\u001b[2J\\nd\\u2067'), el('b', {}, '<i>\\u202e').outerHTML])",
    );
    let expected = json!([
        "a\\u{202e}b\\u{7}c\\u{1b}[2J\\u{a}d\\u{2067}",
        "<b>&lt;i&gt;\\u{202e}</b>"
    ]);
    assert_eq!(shown, expected);
}

#[test]
fn page_runs_nothing_inline_and_reaches_nothing_but_its_daemon() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let dashboard = Dashboard::start(&lab, &[]);
    let browser = Browser::open(&dashboard.url);
    browser.until_shown("#line", "live");
    browser.script(
        "window.violations = []; \
         document.addEventListener('securitypolicyviolation', (event) => \
             window.violations.push(event.effectiveDirective)); \
         const inline = document.createElement('script'); \
         inline.textContent = 'window.owned = 1'; document.body.append(inline); \
         const image = new Image(); image.src = 'http://127.0.0.2:9/x.png'; document.body.append(image); \
         const styled = document.createElement('p'); styled.setAttribute('style', 'color: red'); \
         document.body.append(styled); \
         fetch('http://127.0.0.2:9/').catch(() => undefined);",
    );
    for directive in [
        "script-src-elem",
        "img-src",
        "style-src-attr",
        "connect-src",
    ] {
        eventually(directive, || {
            let seen = browser.script("return window.violations");
            seen.as_array()
                .is_some_and(|seen| seen.contains(&json!(directive)))
        });
    }
    assert_eq!(browser.script("return window.owned ?? null"), json!(null));
    let names = browser.script(
        "return performance.getEntriesByType('resource').filter((entry) => entry.responseStatus > 0)\
         .map((entry) => new URL(entry.name).origin)",
    );
    let names = names.as_array().expect("a list");
    assert!(names.len() > 15, "{names:?}");
    assert!(
        names.iter().all(|name| *name == dashboard.origin),
        "{names:?}"
    );
    assert_eq!(
        browser.script("return location.search"),
        "",
        "the token is gone from the address"
    );
    assert_eq!(
        browser.script("return document.cookie"),
        "",
        "scripts cannot read the cookie"
    );
}
