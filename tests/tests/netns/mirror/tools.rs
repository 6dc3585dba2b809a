//! Programs that are not there, fail half-way, or hang: an error that names them, and nothing half.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use fw_tests::lab::{
    Lab,
    address::{FAMILIES, V4, V6},
    command,
    daemon::{Daemon, eventually},
    netfilter::Backend,
};
use serde_json::Value;

use super::{add, door::Door, is_kept_by, lab, with_each_backend};

/// The daemon's programs: those of this machine, some of which can be taken away or broken.
struct Programs(PathBuf);

impl Programs {
    /// All of them.
    fn new(lab: &Lab) -> Self {
        let programs = Self(lab.directory().join("bin"));
        fs::create_dir(&programs.0).expect("a directory");
        for folder in ["/usr/bin", "/usr/sbin"] {
            for program in fs::read_dir(folder).expect("programs").flatten() {
                // Of two that have one name, the first counts.
                let _second = symlink(program.path(), programs.0.join(program.file_name()));
            }
        }
        programs
    }

    fn path(&self, program: &str) -> PathBuf {
        self.0.join(program)
    }

    /// It is not installed any more.
    fn remove(&self, program: &str) {
        fs::remove_file(self.path(program)).expect("a program");
    }

    /// It is, as it was.
    fn restore(&self, program: &str) {
        // It may be away.
        let _away = fs::remove_file(self.path(program));
        symlink(real(program), self.path(program)).expect("a link");
    }

    /// It runs this instead; `$REAL` is the program itself.
    fn replace(&self, program: &str, script: &str) {
        let text = format!(
            "#!/bin/sh\n{}\n",
            script.replace("$REAL", &real(program).display().to_string())
        );
        let new = self.path("new");
        command::install_script(&new, &text);
        fs::rename(new, self.path(program)).expect("it takes its place");
    }
}

fn real(program: &str) -> PathBuf {
    let folders = ["/usr/sbin", "/usr/bin"].map(|folder| Path::new(folder).join(program));
    let mut folders = folders.into_iter();
    folders.find(|path| path.exists()).expect("it is installed")
}

/// A daemon on the first link, with these programs.
#[track_caller]
fn start<'lab>(lab: &'lab Lab, backend: Backend, programs: &Programs) -> Daemon<'lab> {
    let daemon = lab.daemon().env("PATH", programs.0.display().to_string());
    let daemon = daemon.start();
    is_kept_by(lab, backend);
    daemon
}

/// What the mirror is written with, last thing first.
fn writers(backend: Backend) -> Vec<String> {
    match backend {
        Backend::Nftables => vec!["nft".to_owned()],
        _ => ["ip6tables", "iptables"]
            .map(|program| backend.tool(program, "-restore"))
            .into(),
    }
}

/// Every change of rules is refused, with these words, and changes nothing.
#[track_caller]
fn rules_are_refused(lab: &Lab, backend: Backend, words: &[&str]) {
    let (rules, netfilter) = (lab.entries("rules"), lab.netfilter());
    let commands: [&[&str]; 3] = [
        &["port", "add", "tcp/2223", "--drop"],
        &["limit", "add", "tcp/2223", "--rate", "1/minute"],
        &["default", "drop"],
    ];
    for command in commands {
        let refused = lab.fw(command).must(8).saying(backend.name());
        words
            .iter()
            .fold(refused, |refused, word| refused.saying(word));
        assert_eq!(lab.entries("rules"), rules, "{command:?}");
        assert_eq!(lab.netfilter(), netfilter, "{command:?}");
    }
    assert_eq!(lab.json(&["default"])["default"], "accept");
}

/// A block is in force all the same, and the operator is told what of it is missing.
#[track_caller]
fn blocks_stand_in_the_program(lab: &Lab) {
    for net in FAMILIES {
        let reply = lab.fw(&["block", net.block]).must(0);
        reply.saying("mirror");
        assert_eq!(lab.arriving(&[net.blocked, net.free]), [net.free]);
    }
    assert_eq!(lab.mirror()["state"], "behind");
    let status = lab.json(&["status"]);
    let alarms = status["alarms"].as_array().expect("a list");
    assert!(
        alarms
            .iter()
            .any(|alarm| alarm.to_string().contains("mirror")),
        "{status}"
    );
}

/// The mirror takes what it missed, by itself.
#[track_caller]
fn mirror_comes_back(lab: &Lab, backend: Backend) {
    const LIMIT: Duration = Duration::from_secs(15);
    let mended = Instant::now();
    eventually("the mirror is in step", || {
        lab.mirror()["state"] == "in step"
    });
    assert!(mended.elapsed() < LIMIT, "{:?}", mended.elapsed());
    has_everything(lab, backend);
}

/// What the mirror missed is there, and nobody complains any more.
#[track_caller]
fn has_everything(lab: &Lab, backend: Backend) {
    let blocks = [V4.block, V6.block];
    let held = lab.mirrored(backend, "block");
    assert!(blocks.iter().all(|block| held.contains(*block)), "{held:?}");
    lab.fw(&["diff"]).must(0);
    assert_eq!(lab.json(&["status"])["alarms"], Value::Array(Vec::new()));
}

fn program_that_is_missing_is_named_and_nothing_is_half_done(backend: Backend) {
    let lab = lab(backend);
    let doors = [2222, 2223].map(|port| Door::tcp(&lab, port));
    let programs = Programs::new(&lab);
    let _daemon = start(&lab, backend, &programs);
    add(&lab, "port add tcp/2222 --drop");
    for tool in writers(backend) {
        programs.remove(&tool);
        rules_are_refused(&lab, backend, &[&tool, "not installed"]);
        programs.restore(&tool);
    }
    lab.fw(&["repair"]).must(0);
    let sets = if backend == Backend::Nftables {
        "nft"
    } else {
        "ipset"
    };
    programs.remove(sets);
    blocks_stand_in_the_program(&lab);
    for net in FAMILIES {
        assert!(!doors[0].admits(net.free) && doors[1].admits(net.free));
    }
    programs.restore(sets);
    mirror_comes_back(&lab, backend);
    add(&lab, "port add tcp/2223 --drop");
    assert!(FAMILIES.iter().all(|net| !doors[1].admits(net.free)));
}

/// One that was asked to check or to show does so; one that was asked to write does this.
fn breaking(script: &str) -> String {
    format!("case \"$*\" in *--test*|*list*|*save*) exec $REAL \"$@\";; esac\n{script}")
}

/// The tool is as it was, and so is everything else.
#[track_caller]
fn everything_is_as_it_was(lab: &Lab, before: &[String]) {
    lab.fw(&["repair"]).must(0);
    assert_eq!(lab.mirror()["state"], "in step");
    assert_eq!(lab.netfilter(), before);
    lab.fw(&["diff"]).must(0);
}

fn program_that_fails_half_way_leaves_everything_as_it_was(backend: Backend) {
    let lab = lab(backend);
    let programs = Programs::new(&lab);
    let _daemon = start(&lab, backend, &programs);
    add(&lab, "port add tcp/2222 --drop");
    let before = lab.netfilter();
    let mut fails = vec![
        // Before it did anything, and while it reads.
        "echo 'out of luck' >&2; exit 1",
        "head -c 100 >/dev/null; kill -9 $$",
    ];
    if backend != Backend::Nftables {
        // Without the line that says that this is all.
        fails.push("head -n 5 | $REAL \"$@\"; echo 'out of luck' >&2; exit 1");
    }
    for script in fails {
        for tool in writers(backend) {
            programs.replace(&tool, &breaking(script));
            rules_are_refused(&lab, backend, &[&tool]);
            programs.restore(&tool);
            everything_is_as_it_was(&lab, &before);
        }
    }
}

/// It did what it was asked, and died before it could say so.
fn program_that_fails_after_the_fact_is_undone_when_it_works_again(backend: Backend) {
    let lab = lab(backend);
    let door = Door::tcp(&lab, 2223);
    let programs = Programs::new(&lab);
    let _daemon = start(&lab, backend, &programs);
    add(&lab, "port add tcp/2222 --drop");
    let (rules, before) = (lab.entries("rules"), lab.netfilter());
    for tool in writers(backend) {
        programs.replace(&tool, &breaking("$REAL \"$@\"; kill -9 $$"));
        let refused = lab.fw(&["port", "add", "tcp/2223", "--drop"]).must(8);
        refused.saying(backend.name()).saying(&tool);
        assert_eq!(lab.entries("rules"), rules);
        programs.restore(&tool);
        everything_is_as_it_was(&lab, &before);
        assert!(FAMILIES.iter().all(|net| door.admits(net.free)));
    }
}

fn sets_that_break_off_half_way_are_made_whole(backend: Backend) {
    let lab = lab(backend);
    let programs = Programs::new(&lab);
    let _daemon = start(&lab, backend, &programs);
    let hosts: String = (0..2_000)
        .map(|host| format!("100.64.{}.{}\n", host / 250, host % 250))
        .collect();
    let file = lab.directory().join("hosts");
    fs::write(&file, hosts).expect("the list can be written");
    let tool = if backend == Backend::Nftables {
        "nft"
    } else {
        "ipset"
    };
    programs.replace(tool, &breaking("head -n 1000 | $REAL \"$@\"; kill -9 $$"));
    let import = lab.fw(&["import", &file.display().to_string()]).must(0);
    import.saying(tool);
    blocks_stand_in_the_program(&lab);
    programs.restore(tool);
    lab.fw(&["repair"]).must(0);
    has_everything(&lab, backend);
    assert_eq!(lab.mirrored(backend, "block").len(), 2_002);
}

fn start_without_programs_filters_and_says_what_is_missing(backend: Backend) {
    let lab = lab(backend);
    let programs = Programs::new(&lab);
    let tool = writers(backend).remove(0);
    programs.remove(&tool);
    let path = programs.0.display().to_string();
    let _daemon = lab.daemon().env("PATH", path).start();
    blocks_stand_in_the_program(&lab);
    let mirror = lab.mirror();
    assert!(mirror["detail"].to_string().contains(&tool), "{mirror}");
    programs.restore(&tool);
    lab.fw(&["repair"]).must(0);
    has_everything(&lab, backend);
}

with_each_backend! {
    program_that_is_missing_is_named_and_nothing_is_half_done
    program_that_fails_half_way_leaves_everything_as_it_was
    program_that_fails_after_the_fact_is_undone_when_it_works_again
    sets_that_break_off_half_way_are_made_whole
    start_without_programs_filters_and_says_what_is_missing
}
