//! Where an address is at home, as the page shows it.

use fw_tests::lab::{
    Lab,
    address::{GLOBAL, V4},
};
use serde_json::json;

use super::{Dashboard, browser::Browser};
use crate::geo::World;

#[test]
fn page_shows_where_an_address_is_and_a_hostile_name_as_the_text_it_is() {
    let world = World::new(Lab::new());
    let _daemon = world.start("block = [\"KP\"]");
    world.until_well();
    let dashboard = Dashboard::start(&world.lab, &[]);
    let browser = Browser::open(&dashboard.url);
    browser.until_shown("#line", "live");
    let [v4, _] = GLOBAL;
    let free = v4.free.to_string();
    world.lab.fw(&["block", &free]).must(0);
    let home = "DE AS64500 (Example \\u{1b}[31m<b>)";
    browser.until_shown("#entries .home", home);
    browser.until_shown("#events li", &format!("{free} from {home}"));
    browser.write("#ask-address", &free);
    browser.click("#ask button");
    browser.until_shown("#answer-body", home);
    let made = browser.script("return document.querySelectorAll('.home *').length");
    assert_eq!(made, json!(0));

    // Who is dropped, and what nobody can take out by itself.
    assert!(!world.lab.arrives(v4.blocked) && world.lab.arrives(V4.free));
    browser.until_shown("#sources .home", "KP");
    browser.write("#show-contains", &v4.blocked.to_string());
    browser.click("#show button");
    browser.until_shown("#entries td", "selected");
}
