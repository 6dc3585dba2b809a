//! Files, selections and their lists, as shown to people.

use super::home::safe;
use crate::{
    api::wire::{GeoChanged, GeoFile, GeoList, GeoStatus},
    cli::{
        changed::{counts, numbers},
        output::{escape, table},
        scan::joined,
        status::mib,
    },
    duration::Ttl,
};

/// Everything.
pub fn screen(status: &GeoStatus) -> String {
    let mut text = String::new();
    for (name, line) in head(status) {
        text += &format!("{name:<8} {line}\n");
    }
    text += "\n";
    text += &files(&status.files);
    if !status.lists.is_empty() {
        text += "\n";
        text += &lists(&status.lists);
    }
    text
}

fn head(status: &GeoStatus) -> Vec<(&'static str, String)> {
    let mut rows = vec![("block", all(&status.block)), ("only", only(&status.only))];
    rows.push(("takes", format!("{}, about", mib(status.bytes))));
    if !status.changed.is_empty() {
        let changed = joined(&status.changed);
        rows.push(("changed", format!("{changed}; until `fw-ctl geo reset`")));
    }
    if let Some(problem) = &status.problem {
        rows.push(("problem", escape(problem).into_owned()));
    }
    rows
}

/// In one line, for `status`; nothing where there is nothing to say.
pub fn line(status: &GeoStatus) -> Option<String> {
    if status.files.is_empty() && status.block.is_empty() && status.only.is_empty() {
        return None;
    }
    let mut parts = vec![format!("block {}", all(&status.block))];
    parts.push(format!("only {}", only(&status.only)));
    let ages = status.files.iter().map(|file| match file.age_s {
        Some(age) => format!("{} of {} ago", named(file), days(age)),
        None => format!("{} not read", escape(&file.path)),
    });
    parts.extend(ages);
    Some(parts.join("; "))
}

fn named(file: &GeoFile) -> String {
    safe(file.kind.as_deref().unwrap_or("?"))
}

/// Hours are of no interest.
fn days(secs: u64) -> String {
    const DAY: u64 = 86_400;
    match secs / DAY {
        0 => Ttl::from_secs(Some(secs.max(1))).to_string(),
        days => format!("{days}d"),
    }
}

fn all(codes: &[String]) -> String {
    match codes.is_empty() {
        true => "none".to_owned(),
        false => joined(codes),
    }
}

fn only(codes: &[String]) -> String {
    match codes.is_empty() {
        true => "off".to_owned(),
        false => joined(codes),
    }
}

fn files(files: &[GeoFile]) -> String {
    let row = |file: &GeoFile| {
        let says = [(file.countries, "countries"), (file.systems, "systems")];
        let says: Vec<&str> = says
            .iter()
            .filter(|(is, _)| *is)
            .map(|(_, what)| *what)
            .collect();
        let state = match &file.problem {
            Some(problem) => safe(problem),
            None => says.join(", "),
        };
        [
            safe(&file.path),
            named(file),
            file.built_at
                .map_or_else(|| "-".to_owned(), |built| format!("{built:.0}")),
            file.age_s.map_or_else(|| "-".to_owned(), days),
            file.networks
                .map_or_else(|| "-".to_owned(), |networks| networks.to_string()),
            state,
        ]
    };
    table(
        ["FILE", "TYPE", "BUILT", "AGE", "NETWORKS", "SAYS"],
        files.iter().map(row),
    )
}

fn lists(lists: &[GeoList]) -> String {
    let row = |list: &GeoList| {
        [
            safe(&list.list),
            list.ipv4.to_string(),
            list.ipv6.to_string(),
        ]
    };
    table(["LIST", "IPV4", "IPV6"], lists.iter().map(row))
}

/// What all of it takes afterwards.
pub fn cost(changed: &GeoChanged) -> String {
    let sum = |of: fn(&GeoList) -> usize| changed.lists.iter().map(of).sum::<usize>();
    format!(
        "countries take {} prefixes of IPv4 and {} of IPv6, about {} of the kernel's tables",
        sum(|list| list.ipv4),
        sum(|list| list.ipv6),
        mib(changed.bytes)
    )
}

/// What a change did, and what is in force then.
pub fn changed(changed: &GeoChanged) -> String {
    let entries = numbers(counts(&changed.changed));
    let mut text = format!("{entries}; {}\n", cost(changed));
    if !changed.lists.is_empty() {
        text += &lists(&changed.lists);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::Changed;

    fn status() -> GeoStatus {
        GeoStatus {
            schema: 1,
            files: vec![
                GeoFile {
                    path: "/var/lib/GeoIP/GeoLite2-Country.mmdb".into(),
                    kind: Some("GeoLite2-Country\x1b[2J".into()),
                    built_at: Some(jiff::Timestamp::UNIX_EPOCH),
                    age_s: Some(200_000),
                    networks: Some(400_000),
                    countries: true,
                    ..GeoFile::default()
                },
                GeoFile {
                    path: "/var/lib/GeoIP/ASN.mmdb".into(),
                    problem: Some("not a regular file".into()),
                    ..GeoFile::default()
                },
            ],
            block: vec!["KP".into(), "AS64500".into()],
            only: vec!["DE".into()],
            changed: vec!["block KP".into()],
            lists: vec![GeoList {
                list: "geo:KP".into(),
                ipv4: 12,
                ipv6: 3,
            }],
            bytes: 3 << 20,
            problem: Some("/var/lib/GeoIP/ASN.mmdb: not a regular file".into()),
        }
    }

    #[test]
    fn a_screen_shows_files_selection_and_lists() {
        assert_eq!(
            screen(&status()),
            "\
block    KP, AS64500
only     DE
takes    3.0 MiB, about
changed  block KP; until `fw-ctl geo reset`
problem  /var/lib/GeoIP/ASN.mmdb: not a regular file

FILE                                  TYPE                       BUILT                 AGE  NETWORKS  SAYS
/var/lib/GeoIP/GeoLite2-Country.mmdb  GeoLite2-Country\\u{1b}[2J  1970-01-01T00:00:00Z  2d   400000    countries
/var/lib/GeoIP/ASN.mmdb               ?                          -                     -    -         not a regular file

LIST    IPV4  IPV6
geo:KP  12    3
"
        );
        assert_eq!(
            line(&status()).as_deref(),
            Some(
                "block KP, AS64500; only DE; GeoLite2-Country\\u{1b}[2J of 2d ago; /var/lib/GeoIP/ASN.mmdb not read"
            )
        );
        assert_eq!(line(&GeoStatus::default()), None);
    }

    #[test]
    fn a_change_says_what_it_takes() {
        let changed = GeoChanged {
            changed: Changed {
                added: 15,
                ..Changed::default()
            },
            lists: status().lists,
            bytes: 1 << 20,
        };
        assert_eq!(
            super::changed(&changed),
            "15 added; countries take 12 prefixes of IPv4 and 3 of IPv6, about 1.0 MiB of the kernel's tables\n\
             LIST    IPV4  IPV6\ngeo:KP  12    3\n"
        );
    }
}
