//! What a lab needs to be given hostile policies: policies as files, chance, what the daemon holds,
//! whether a client is let in, and who waits to roll back in a dead daemon's place.

use std::{
    collections::BTreeSet,
    env,
    fmt::{self, Display},
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::{IpAddr, SocketAddr, TcpListener},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use super::{
    Lab,
    command::{Fw, Reply},
};

/// A policy file. What is `None` is not in it, and stays as it is.
#[derive(Clone, Debug, Default)]
pub struct PolicyFile {
    /// `accept` or `drop`.
    pub default: Option<&'static str>,
    /// `drop_invalid`
    pub drop_invalid: Option<bool>,
    /// Prefixes.
    pub guard: Option<Vec<String>>,
    /// Prefixes, or tables in TOML.
    pub allows: Option<Vec<String>>,
    /// Prefixes, or tables in TOML.
    pub blocks: Option<Vec<String>>,
    /// The lines of each `[[rule]]`.
    pub rules: Option<Vec<String>>,
}

impl Display for PolicyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(default) = self.default {
            writeln!(f, "default = \"{default}\"")?;
        }
        if let Some(drop_invalid) = self.drop_invalid {
            writeln!(f, "drop_invalid = {drop_invalid}")?;
        }
        let lists = [
            ("guard", &self.guard),
            ("allows", &self.allows),
            ("blocks", &self.blocks),
        ];
        for (name, list) in lists {
            if let Some(items) = list {
                let items = items.iter().map(|item| match item.starts_with('{') {
                    true => item.clone(),
                    false => format!("\"{item}\""),
                });
                writeln!(f, "{name} = [{}]", items.collect::<Vec<_>>().join(", "))?;
            }
        }
        match self.rules.as_deref() {
            None => Ok(()),
            Some([]) => writeln!(f, "rule = []"),
            Some(rules) => rules
                .iter()
                .try_for_each(|rule| writeln!(f, "[[rule]]\n{rule}")),
        }
    }
}

/// Numbers that are the same in every run, unless `FW_TEST_SEED` says otherwise.
pub struct Chance {
    seed: u64,
    drawn: u64,
}

impl Chance {
    /// Streams differ.
    pub fn new(stream: u64) -> Self {
        let seed = env::var("FW_TEST_SEED").ok();
        let seed: u64 = seed.map_or(0, |text| text.parse().expect("FW_TEST_SEED is a number"));
        Self {
            seed: seed ^ stream.rotate_left(32),
            drawn: 0,
        }
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.drawn += 1;
        let mut hasher = DefaultHasher::new();
        (self.seed, self.drawn).hash(&mut hasher);
        hasher.finish()
    }

    /// A number under `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.draw() % end as u64) as usize
    }

    /// Once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A time under this one.
    pub fn within(&mut self, time: Duration) -> Duration {
        time.mul_f64(self.below(1_000) as f64 / 1_000.0)
    }
}

impl Lab {
    /// Runs `fw-ctl apply` on a policy.
    pub fn apply(&self, policy: &PolicyFile, arguments: &[&str]) -> Reply {
        let command = [&["apply", "-"], arguments].concat();
        Fw::new(self).input(policy.to_string()).run(&command)
    }

    /// Applies a policy and confirms it.
    #[track_caller]
    pub fn adopt(&self, policy: &PolicyFile) {
        self.apply(policy, &[]).must(0);
        self.fw(&["confirm"]).must(0);
    }

    /// All that the operator sees of the policy, one text an item, but for what time and traffic
    /// alone change.
    pub fn policy(&self) -> BTreeSet<String> {
        let lists = ["blocks", "allows", "rules", "guard"];
        let items = lists.into_iter().flat_map(|list| {
            let items = self.entries(list).into_iter();
            items.map(move |item| format!("{list} {}", settled(item)))
        });
        let default = format!("default {}", self.json(&["default"]));
        items.chain([default]).collect()
    }

    /// What is new in the policy, or gone.
    pub fn policy_changes(&self, before: &BTreeSet<String>) -> Vec<String> {
        let now = self.policy();
        now.symmetric_difference(before).cloned().collect()
    }

    /// Fails the test unless the policy is this one.
    #[track_caller]
    pub fn policy_must_be(&self, expected: &BTreeSet<String>) {
        let changes = self.policy_changes(expected);
        assert!(changes.is_empty(), "these are new or gone: {changes:#?}");
    }

    /// The processes that wait to roll back if this lab's daemon is dead by then.
    pub fn sentinels(&self) -> Vec<u32> {
        let state = format!("--state-dir={}", self.state().display());
        let is_ours = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words = line.split(|byte| *byte == 0);
            words.any(|word| word == b"recover") && words.any(|word| word == state.as_bytes())
        };
        let processes = fs::read_dir("/proc").expect("/proc is mounted").flatten();
        processes
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(is_ours)
            .collect()
    }

    /// Ends them, as a reboot does.
    pub fn end_sentinels(&self) {
        for pid in self.sentinels() {
            let pid = Pid::from_raw(i32::try_from(pid).expect("a process id"));
            // It may have ended by itself.
            let _gone = kill(pid, Signal::SIGKILL);
        }
    }
}

/// Without what changes by itself.
fn settled(mut item: Value) -> Value {
    let Value::Object(fields) = &mut item else {
        panic!("{item} is no object");
    };
    // The clocks are rounded each by itself, so the printed end may be a second off.
    let end = fields.remove("expires_at");
    fields.insert(
        "ends".to_owned(),
        end.is_some_and(|end| !end.is_null()).into(),
    );
    let passing = [
        "ttl_s",
        "packets",
        "bytes",
        "active",
        "next_change",
        "rate_now",
    ];
    for name in passing {
        fields.remove(name);
    }
    item
}

/// A TCP service of the server.
pub struct Service {
    listener: TcpListener,
    place: SocketAddr,
}

impl Service {
    /// How long a client waits for an answer; on this link it takes less than a millisecond.
    const PATIENCE: Duration = Duration::from_millis(100);

    /// Opens it.
    pub fn open(lab: &Lab, address: IpAddr, port: u16) -> Self {
        let listener = lab.listen(address, port);
        listener
            .set_nonblocking(true)
            .expect("it need not wait for clients");
        Self {
            listener,
            place: SocketAddr::new(address, port),
        }
    }

    /// Whether a client of the attacker's namespace is let in at the first try.
    pub fn answers(&self, lab: &Lab, client: IpAddr) -> bool {
        // Who came before makes room.
        while self.listener.accept().is_ok() {}
        lab.connect(client, self.place, Self::PATIENCE).is_some()
    }
}
