use std::fs;

use fw_common::Prefix;
use tempfile::TempDir;

use super::*;
use crate::geo::mmdb::{self, Shape, Tree};

/// Files of one test, and what was made of them last.
struct Bench {
    directory: TempDir,
    before: Before,
}

impl Bench {
    /// One file that is not there.
    fn new(block: &str, only: &str) -> Self {
        let directory = TempDir::new().expect("a directory");
        let before = Before {
            paths: vec![directory.path().join("country.mmdb")],
            files: Vec::new(),
            selection: Selection {
                block: codes(block),
                only: codes(only),
            },
            overrides: Overrides::default(),
            asked: BTreeSet::new(),
            standing: BTreeMap::new(),
            is_done: false,
            is_waiting: false,
        };
        Self { directory, before }
    }

    fn write(&self, networks: &[(&str, &str)]) {
        let mut tree = Tree::new(Shape::default());
        for (network, code) in networks {
            let record = tree.record(&mmdb::country(code));
            tree.insert(network.parse().expect("a network"), record);
        }
        self.put(&tree.bytes());
    }

    /// Puts a file in the place of the one that is there.
    fn put(&self, bytes: &[u8]) {
        let new = self.directory.path().join("new");
        fs::write(&new, bytes).expect("written");
        fs::rename(new, &self.before.paths[0]).expect("moved");
    }

    /// Works, and goes on from there as the daemon does.
    fn work(&mut self) -> Result<Worked, Failure> {
        let worked = Before {
            paths: self.before.paths.clone(),
            files: self.before.files.clone(),
            selection: self.before.selection.clone(),
            overrides: Overrides::default(),
            asked: self.before.asked.clone(),
            standing: self.before.standing.clone(),
            is_done: self.before.is_done,
            is_waiting: false,
        }
        .work_out()?;
        self.before.files = worked.files.clone();
        self.before.standing = worked.counts.clone();
        self.before.is_done = true;
        Ok(worked)
    }
}

fn codes(text: &str) -> BTreeSet<code::Code> {
    let codes = text.split_whitespace().map(str::parse);
    codes.collect::<Result<_, _>>().expect(text)
}

/// Lists with their prefixes, and `-` for those that stay as they are.
fn told(worked: &Worked) -> Vec<String> {
    let lists = worked.wanted.iter();
    lists
        .map(|(name, items)| match items {
            None => format!("{name} -"),
            Some(items) => {
                let prefixes = items.iter().map(|item: &Item| item.prefix);
                let texts = prefixes.map(|prefix: Prefix| prefix.to_string());
                format!("{name} {}", texts.collect::<Vec<_>>().join(" "))
            }
        })
        .collect()
}

#[test]
fn a_file_that_cannot_be_read_changes_nothing_but_is_told() {
    let mut bench = Bench::new("KP", "");
    let worked = bench.work().expect("nothing was asked for");
    assert_eq!(told(&worked), ["geo:KP -"]);
    let [file, code] = worked.problems.as_slice() else {
        panic!("{:?}", worked.problems);
    };
    assert!(file.contains("country.mmdb: No such file"), "{file}");
    assert_eq!(
        code,
        "no address of KP is in any file: their lists stay as they were"
    );

    bench.write(&[("5.0.0.0/8", "KP"), ("6.0.0.0/8", "DE")]);
    assert!(bench.before.is_stale());
    let worked = bench.work().expect("a good file");
    assert_eq!(told(&worked), ["geo:KP 5.0.0.0/8"]);
    assert!(worked.problems.is_empty() && worked.bytes() > 0);
    assert!(!bench.before.is_stale());

    let good = fs::read(&bench.before.paths[0]).expect("it is there");
    for broken in [&good[..good.len() / 2], b"", b"nonsense"] {
        bench.put(broken);
        assert!(bench.before.is_stale());
        let worked = bench.work().expect("the last good one");
        assert_eq!(told(&worked), ["geo:KP 5.0.0.0/8"], "it goes on");
        let [problem] = worked.problems.as_slice() else {
            panic!("{:?}", worked.problems);
        };
        assert!(
            problem.ends_with("; what it said before counts"),
            "{problem}"
        );
        assert!(!bench.before.is_stale(), "the same file is not read again");
    }
    bench.put(&good);
    assert!(bench.work().expect("a good file").problems.is_empty());
}

#[test]
fn after_a_failure_it_is_not_tried_again_at_once() {
    let mut bench = Bench::new("KP", "");
    assert!(bench.before.is_stale());
    bench.before.is_waiting = true;
    assert!(!bench.before.is_stale());
}

#[test]
fn a_selection_that_shrinks_to_nothing_stays_as_it_was() {
    let mut bench = Bench::new("KP", "DE");
    bench.write(&[("5.0.0.0/8", "KP"), ("6.0.0.0/8", "DE")]);
    let first = bench.work().expect("a good file");
    assert_eq!(first.wanted.len(), 2);
    bench.write(&[("5.0.0.0/8", "KP")]);
    let worked = bench.work().expect("a good file");
    assert_eq!(told(&worked), ["geo:KP 5.0.0.0/8", "geo:only -"]);
    assert_eq!(worked.lists(), first.lists(), "counted as it stands");
    assert_eq!(worked.problems.len(), 1);
}

#[test]
fn what_somebody_asks_for_must_be_known() {
    let mut bench = Bench::new("KP ZZ", "");
    bench.write(&[("5.0.0.0/8", "KP")]);
    bench.before.asked = codes("KP");
    assert!(bench.work().is_ok(), "of ZZ nobody asked now");
    bench.before.asked = codes("ZZ");
    let refused = bench.work().err().expect("unknown");
    assert_eq!(refused.code, Code::BadInput);
    assert_eq!(refused.message, "no address of ZZ is in any file");
    let hint = refused.hint.unwrap_or_default();
    assert!(hint.contains("geo find"), "{hint}");

    bench.before.paths.clear();
    let refused = bench.work().err().expect("no file");
    let hint = refused.hint.unwrap_or_default();
    assert!(hint.contains("[geo]"), "{hint}");
}

#[test]
fn who_selects_is_told_of_what_may_surprise() {
    let mut bench = Bench::new("DE", "DE");
    let mut tree = Tree::new(Shape {
        ipv6: false,
        ..Shape::default()
    });
    let record = tree.record(&mmdb::country("DE"));
    tree.insert("5.0.0.0/8".parse().expect("a network"), record);
    bench.put(&tree.bytes());
    let worked = bench.work().expect("a good file");
    assert_eq!(
        worked.warnings,
        [
            "DE is among those that may pass, and blocked: it is blocked",
            "a file knows no IPv6: all of IPv6 is outside of what may pass"
        ]
    );
}
