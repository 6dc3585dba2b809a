//! How the page looks, under a scan and a flood: `target/reports/dashboard-*.png`.

use std::{fs, path::Path, thread, time::Duration};

use fw_tests::{
    frames::tcp,
    lab::{
        Lab,
        address::V4,
        flood::{self, Flood, Flooding, Traffic},
        scanners,
    },
};
use serde_json::json;

use super::{Dashboard, browser::Browser};

/// After a change of width.
const SETTLED: Duration = Duration::from_millis(1500);

/// Name, width, height, scale, dark.
const PICTURES: [(&str, u32, u64, u32, bool); 3] = [
    ("light", 1440, 1480, 1, false),
    ("dark", 1440, 1480, 1, true),
    ("phone", 360, 1400, 2, false),
];

#[test]
fn page_is_drawn_under_a_scan_and_a_flood_in_every_dress_and_width() {
    let lab = Lab::alone();
    lab.open_range();
    fs::write(lab.config(), "[scan]\nmode = \"enforce\"\n").expect("it can be written");
    let _daemon = lab.daemon().start();
    furnish(&lab);
    let dashboard = Dashboard::start(&lab, &[]);
    let browser = Browser::open(&dashboard.url);
    browser.until_shown("#line", "live");
    let _floods = attack(&lab);
    browser.until_shown("#scanned", "blocked for");
    browser.until_shown("#reasons", "blocked");
    browser.write("#ask-address", &V4.blocked.to_string());
    browser.click("#ask button");
    browser.until_shown("#answer-title", "dropped");

    for (name, width, height, scale, dark) in PICTURES {
        let scheme = if dark { "dark" } else { "light" };
        browser.devtools(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        );
        let resize = |height: u64| {
            browser.devtools(
                "Emulation.setDeviceMetricsOverride",
                json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": name == "phone"}),
            );
            browser.script("window.scrollTo(0, 0)");
            thread::sleep(SETTLED);
        };
        resize(height);
        let fits = format!("return document.documentElement.scrollWidth <= {width}");
        assert_eq!(
            browser.script(&fits),
            true,
            "{name} is to be scrolled sideways"
        );
        save(&browser, name);
        let whole = browser.script("return document.documentElement.scrollHeight");
        resize(whole.as_u64().expect("a height"));
        save(&browser, &format!("{name}-whole"));
    }
}

/// Policy such as a server has.
fn furnish(lab: &Lab) {
    for words in [
        &["block", V4.block, "--comment", "test range"][..],
        &[
            "block",
            "203.0.113.0/24",
            "--ttl",
            "4h",
            "--comment",
            "ssh brute force",
        ],
        &[
            "block",
            "198.51.100.23",
            "--ttl",
            "1d",
            "--list",
            "partners",
            "--comment",
            "asked for by a partner",
        ],
        &["block", "2001:db8:bad::/48", "--comment", "spam"],
        &["allow", "192.0.2.0/28", "--comment", "office"],
        &[
            "port",
            "add",
            "tcp/9100",
            "--drop",
            "--comment",
            "metrics are for the inside",
        ],
        &[
            "limit",
            "add",
            "tcp/443",
            "--rate",
            "5/second",
            "--comment",
            "shop",
        ],
        &[
            "schedule",
            "add",
            "tcp/8080",
            "--hours",
            "09:00-17:00",
            "--days",
            "mon-fri",
            "--zone",
            "Europe/Berlin",
        ],
    ] {
        lab.fw(words).must(0);
    }
}

/// Scans, and floods of all that is dropped, until they are stopped.
fn attack(lab: &Lab) -> Vec<Flooding> {
    let syn = |port| {
        let frame = flood::to(V4.server).tcp(40_000, port, tcp::SYN);
        lab.for_server(frame.payload(&[0; 16]))
    };
    let flood = |from: &str, sources, port, ports, rate| {
        let traffic = Traffic {
            frame: syn(port),
            from: from.parse().expect("a prefix"),
            sources,
            ports,
            rate: Some(rate),
        };
        lab.flood(&Flood {
            traffic,
            frames: u64::MAX,
            time: Duration::from_secs(180),
        })
    };
    let mut floods = vec![flood(V4.block, 7, 22, Some(22..=23), 900)];
    for round in 0..12_u16 {
        match round {
            1 => floods.push(flood("203.0.113.0/24", 5, 443, None, 500)),
            3 => floods.push(flood("198.51.100.64/26", 9, 443, None, 400)),
            4 => floods.push(flood("198.51.100.128/26", 6, 9100, None, 300)),
            6 => drop(floods.remove(1)),
            _ => {}
        }
        for (number, ports) in [(round, "20000-20039"), (100 + round, "20000-20005")] {
            let scan = lab.scan_from(scanners::source_v4(256 * (number % 90) + number));
            let mut nmap = scan.nmap(&["-sS", "--max-retries", "0", "-p", ports]);
            assert!(nmap.output().expect("nmap starts").status.success());
        }
        thread::sleep(SETTLED);
    }
    floods
}

/// Writes what is seen.
fn save(browser: &Browser, name: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("reports");
    fs::create_dir_all(&folder).expect("the folder of the reports");
    let file = folder.join(format!("dashboard-{name}.png"));
    fs::write(file, browser.picture()).expect("it can be written");
}
