//! Files of prefixes.

use std::fs;

use fw_tests::lab::{Lab, address::V4, command::Fw};

use super::{NOTHING, lines};

const BAD_LINES: &str = "\
# a list\r
198.51.100.1\r

198.51.100.2 # fine
198.51.100.300
; also a comment
2001:db8::/129
198.51.100.3,soon,no duration
198.51.100.4
fe80::1%eth0
";

#[test]
fn list_with_bad_lines_is_refused_with_their_numbers_and_nothing_is_applied() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let file = lab.directory().join("list");
    fs::write(&file, BAD_LINES).expect("the list can be written");
    let file = file.display().to_string();
    let reply = lab.fw(&["import", &file]).must(2);
    assert_eq!(lines(&reply), [5, 7, 8, 10]);
    assert_eq!(lab.entries("blocks"), NOTHING);
    assert_eq!(lab.blocks_in_kernel(), 0);

    let reply = lab.fw(&["import", &file, "--keep-going"]).must(6);
    assert_eq!(lines(&reply), [5, 7, 8, 10]);
    let blocked = lab.entries("blocks");
    let mut blocked: Vec<_> = blocked
        .iter()
        .map(|entry| entry["prefix"].as_str())
        .collect();
    blocked.sort();
    let good = [1, 2, 4].map(|host| format!("198.51.100.{host}"));
    assert_eq!(blocked, good.each_ref().map(|prefix| Some(prefix.as_str())));
}

#[test]
fn list_with_a_guarded_line_is_refused_with_its_number_and_nothing_is_applied() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let list = format!("198.51.100.1\n# comment\n{}\n198.51.100.2\n", V4.gateway);
    let import = |arguments: &[&str]| Fw::new(&lab).input(&list).run(arguments);
    let reply = import(&["import", "-"])
        .must(5)
        .saying(&V4.gateway.to_string());
    assert_eq!(lines(&reply), [3]);
    assert_eq!(lab.entries("blocks"), NOTHING);
    let reply = import(&["import", "-", "--keep-going"]).must(6);
    assert_eq!(lines(&reply), [3]);
    assert_eq!(lab.entries("blocks").len(), 2);
}

#[test]
fn list_that_is_no_text_or_not_there_is_refused() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let file = lab.directory().join("noise");
    let noise: Vec<u8> = (0..4096_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    fs::write(&file, noise).expect("the file can be written");
    lab.fw(&["import", &file.display().to_string()]).must(2);
    let missing = lab.directory().join("missing").display().to_string();
    lab.fw(&["import", &missing]).must(2).saying(&missing);
    lab.fw(&["import", &lab.directory().display().to_string()])
        .must(2);
    assert_eq!(lab.entries("blocks"), NOTHING);
}

#[test]
fn file_without_a_list_takes_no_lists_place() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let import = |text: &str| {
        let fw = Fw::new(&lab).input(text.to_owned());
        fw.run(&["import", "-", "--list", "feed", "--replace", "--keep-going"])
    };
    import("203.0.113.7\n203.0.113.8\n").must(0);
    for text in [
        "",
        "# nothing\n",
        "<html>404 Not Found</html>\n",
        "203.0.113.9\n<p>\n</p>\n",
    ] {
        import(text).must(2).saying("feed");
        assert_eq!(lab.prefixes("feed").len(), 2, "{text:?}");
    }
    import("203.0.113.9\n<p>\n203.0.113.10\n").must(6);
    assert!(lab.prefixes("feed").contains("203.0.113.9"));
}
