//! Bans of other tools, as they print them.

use super::{
    foreign::{reading, said},
    *,
};

pub(super) const BANIP: &str = "192.0.2.1 \t2026-11-23 14:53:27 + 600 = 2026-11-23 15:03:27\n\
                     2001:db8::1 \t2026-11-23 14:53:27 + 60 = 2026-11-23 14:54:27\n\
                     198.51.100.0/24 \t2026-11-23 14:53:28 + -1 = 9999-12-31 23:59:59\n";

#[test]
fn fail2ban_says_when_bans_end_in_local_time() {
    let expected = [
        "1 192.0.2.1 3m27s block fail2ban",
        "3 198.51.100.0/24 never block fail2ban",
        "1 ended",
    ];
    assert_eq!(said(BANIP, Format::Fail2ban), expected);
}

#[test]
fn fail2ban_says_who_is_banned_without_an_end() {
    let text = "[{'sshd': ['192.0.2.1', '2001:db8::1', 'root']}, {\"o'web\": ['198.51.100.0/24']}, {'x': []}]\n";
    let expected = [
        "1 192.0.2.1 - block fail2ban sshd",
        "1 2001:db8::1 - block fail2ban sshd",
        "1 198.51.100.0/24 - block fail2ban o'web",
        "1: what is banned is no address",
    ];
    assert_eq!(said(text, Format::Fail2ban), expected);
    let one_jail = "['192.0.2.1', '2001:db8::1']\n";
    let expected = [
        "1 192.0.2.1 - block fail2ban",
        "1 2001:db8::1 - block fail2ban",
    ];
    assert_eq!(said(one_jail, Format::Fail2ban), expected);
    for broken in ["[{'sshd': ['192.0.2.1", "[{'sshd': [7]}]"] {
        assert_eq!(
            errors(broken, Format::Auto),
            ["1 not what `fail2ban-client banned` prints"]
        );
    }
}

#[test]
fn the_database_of_fail2ban_is_read_as_of_now() {
    let Reading { now, .. } = reading(Format::Auto);
    let since_secs = now.timestamp().as_second() - 100;
    let ban = |id: &str, lasts_secs| fail2ban::Ban {
        id: id.into(),
        jail: "sshd".into(),
        since_secs,
        lasts_secs,
    };
    let rows = [
        ban("192.0.2.1", 600),
        ban("192.0.2.2", 100),
        ban("192.0.2.3", -1),
        ban("192.0.2.4", -2),
        ban("root", 600),
        ban("2001:db8::/32", i64::MAX),
    ];
    let parsed = fail2ban::bans(rows, &now);
    let expected = [
        "1 192.0.2.1 8m20s block fail2ban sshd",
        "3 192.0.2.3 never block fail2ban sshd",
        "6 2001:db8::/32 never block fail2ban sshd",
    ];
    assert_eq!(parsed.lines.iter().map(shown).collect::<Vec<_>>(), expected);
    let left_out: Vec<_> = parsed
        .left_out
        .iter()
        .map(|error| (error.line, &*error.text))
        .collect();
    assert_eq!(left_out, [(4, "192.0.2.4 in sshd"), (5, "root in sshd")]);
    assert_eq!((parsed.ended, parsed.errors.len()), (1, 0));
}

/// As cscli 1.4.6 prints it, shortened.
pub(super) const CROWDSEC: &str = r#"[
 {
  "capacity": 0,
  "created_at": "2026-11-23T13:53:40Z",
  "decisions": [
   {
    "duration": "99999h59m56.45458122s",
    "id": 5,
    "origin": "cscli",
    "scenario": "crowdsecurity/ssh-bf",
    "scope": "Ip",
    "simulated": false,
    "type": "ban",
    "value": "2001:db8::2"
   },
   {
    "duration": "1m25.454574895s",
    "id": 3,
    "origin": "cscli",
    "scenario": "manual 'captcha' from 'me'",
    "scope": "Ip",
    "simulated": false,
    "type": "captcha",
    "value": "2001:db8::1"
   }
  ],
  "events": null,
  "source": { "ip": "2001:db8::2", "scope": "Ip", "value": "2001:db8::2" }
 },
 {
  "decisions": [
   { "duration": "59m56.4s", "scenario": "m", "scope": "Country", "type": "ban", "value": "CN" },
   { "duration": "23h59m55.454572313s", "scenario": "said \"x\"", "scope": "Range", "type": "ban", "value": "198.51.100.0/24" },
   { "duration": "-5s", "scope": "Ip", "type": "ban", "value": "192.0.2.1" },
   { "duration": "5s", "scope": "Ip", "simulated": true, "type": "ban", "value": "192.0.2.2" }
  ]
 }
]
"#;

#[test]
fn bans_of_crowdsec_are_taken_and_everything_else_is_named() {
    let only = "only bans of addresses and ranges are taken";
    let expected = [
        "6 2001:db8::2 595w1d15h59m56s block crowdsecurity/ssh-bf",
        "33 198.51.100.0/24 23h59m55s block said \"x\"",
        &format!("16: {only}"),
        &format!("32: {only}"),
        &format!("35: {only}"),
        "1 ended",
    ];
    assert_eq!(said(CROWDSEC, Format::Crowdsec), expected);
    let flat = r#"[{"duration":"1h","scope":"ip","type":"ban","value":"192.0.2.1"},
{"duration":"1h","until":"2026-11-23T14:00:09Z","scope":"Ip","type":"ban","value":"192.0.2.2","scenario":"s"}]"#;
    assert_eq!(
        said(flat, Format::Crowdsec),
        ["1 192.0.2.1 1h block ", "2 192.0.2.2 9s block s"]
    );
    assert_eq!(said("null\n", Format::Crowdsec), [""; 0]);
}

#[test]
fn when_something_was_added_is_read_as_the_tutorial_and_an_export_say_it() {
    for (text, expected) in [
        (
            r#"{"ip":"192.0.2.1","added":"2024-03-01T09:30:00.123456"}"#,
            "2024-03-01T08:30:00.123456Z",
        ),
        (
            r#"{"ip":"192.0.2.1","added":"2024-03-01T09:30:00+00:00"}"#,
            "2024-03-01T09:30:00Z",
        ),
        (
            r#"{"prefix":"192.0.2.1","created_at":"2024-03-01T09:30:00Z"}"#,
            "2024-03-01T09:30:00Z",
        ),
        (r#"{"ip":"192.0.2.1","added":"in spring"}"#, ""),
    ] {
        let parsed = parse(&format!("[{text}]"), reading(Format::Auto));
        let created = parsed.lines[0].created.map(|time| time.to_string());
        assert_eq!(created.unwrap_or_default(), expected, "{text}");
    }
}

#[test]
fn an_export_that_has_grown_old_has_ended_where_its_entries_have() {
    let text = r#"{"schema":1,"items":[
{"prefix":"192.0.2.1","action":"block","ttl_s":3600,"expires_at":"2026-11-23T13:59:59Z"},
{"prefix":"192.0.2.2","action":"block","ttl_s":3600,"expires_at":"2026-11-23T14:00:30Z"},
{"prefix":"192.0.2.3","action":"block","ttl_s":null,"expires_at":null}]}"#;
    assert_eq!(
        said(text, Format::Json),
        [
            "3 192.0.2.2 30s block ",
            "4 192.0.2.3 never block ",
            "1 ended"
        ]
    );
}
