//! Changes and questions: one entry, many in batches, and what is there.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use fw_ctl::api::wire::{Batch, Changed, Put, PutItem};
use fw_tests::lab::Lab;

use crate::{
    control::{Row, Stand, Way, in_turns, print, run, timed},
    import::SET,
    mirror,
    samples::Rounds,
};

/// Rounds of what takes milliseconds.
const MANY: Rounds = Rounds { short: 31, long: 3 };
/// Processes that are started one after the other, each for an entry of its own.
const PROCESSES: usize = 200;
/// Changes of one round of batches.
const CHANGES: usize = 10_000;

/// An address that is in no list of the benchmarks.
fn address(number: usize) -> String {
    Ipv4Addr::from(0x6440_0000 + number as u32).to_string()
}

/// One entry, with the list loaded: the whole command, the daemon's share of it, and the tools.
pub fn single(stand: &Stand) -> Result<Vec<Row>> {
    let rest = &stand.rest();
    let element = |round| format!("{{ {} }}", address(round));
    let ways = vec![
        Way::new("start of a process", "fw-ctl --version", |_| {
            stand.time(&["fw-ctl", "--version"])
        }),
        Way::new("block", "fw-ctl", |round| {
            stand.time(&["fw-ctl", "block", &address(round)])
        }),
        Way::new("block", "ipset add", |round| {
            stand.time(&["ipset", "add", SET, &address(round)])
        }),
        Way::new("block", "nft add element", move |round| {
            let nft = ["nft", "add", "element", "inet", "bench", "hosts4"];
            stand.time(&[&nft[..], &[&element(round)]].concat())
        }),
        Way::new("unblock", "fw-ctl", |round| {
            stand.time(&["fw-ctl", "unblock", &address(round)])
        }),
        Way::new("block", "REST", |round| {
            let put = Put {
                items: vec![item(round)],
                ..Put::default()
            };
            timed(|| rest.post::<Changed>("/blocks", &put))
        }),
        Way::new("unblock", "REST", |round| {
            timed(|| rest.delete::<Changed>(&format!("/blocks/{}", address(round))))
        }),
    ];
    in_turns(MANY, ways)
}

fn item(number: usize) -> PutItem {
    PutItem {
        prefix: address(number),
        ..PutItem::default()
    }
}

/// Many entries over REST, a batch after the other, in and out again.
pub fn batches(stand: &Stand) -> Result<Vec<Row>> {
    let rest = &stand.rest();
    let send = |of: usize, batch: &dyn Fn(usize) -> Batch| {
        let batches: Vec<Batch> = (0..CHANGES).step_by(of).map(batch).collect();
        timed(|| {
            batches.iter().try_for_each(|batch| {
                let changed: Changed = rest.post("/batch", batch)?;
                let number = changed.added + changed.removed;
                ensure!(number == of, "{number} of {of} changes were made");
                Ok(())
            })
        })
    };
    let block = move |of: usize| {
        send(of, &|first| Batch {
            block: (first..first + of).map(item).collect(),
            ..Batch::default()
        })
    };
    let unblock = move |of: usize| {
        send(of, &|first| Batch {
            unblock: (first..first + of).map(address).collect(),
            ..Batch::default()
        })
    };
    let ways = vec![
        Way::new("block 10,000", "REST, 1,000 at once", move |_| block(1_000)),
        Way::new("unblock 10,000", "REST, 1,000 at once", move |_| {
            unblock(1_000)
        }),
        Way::new("block 10,000", "REST, 100 at once", move |_| block(100)),
        Way::new("unblock 10,000", "REST, 100 at once", move |_| unblock(100)),
    ];
    in_turns(stand.rounds, ways)
}

/// What the list is, and what of it covers an address.
pub fn show(stand: &Stand) -> Result<Vec<Row>> {
    let listed = stand.listed();
    let ways = vec![
        Way::new("list --all", "fw-ctl", |_| {
            stand.time(&["fw-ctl", "list", "--all"])
        }),
        Way::new("list --contains", "fw-ctl", move |_| {
            stand.time(&["fw-ctl", "list", "--contains", &listed])
        }),
        Way::new("status", "fw-ctl", |_| stand.time(&["fw-ctl", "status"])),
    ];
    in_turns(stand.rounds, ways)
}

/// A process for each entry, into an empty list, set, table or chain.
pub fn by_process(lab: &Lab) -> Result<Vec<Row>> {
    mirror::keep_with(lab, "none")?;
    let _daemon = lab.daemon().start();
    run(lab, &["ipset", "create", "bench", "hash:net"])?;
    let set = "{ type ipv4_addr; }";
    run(lab, &["nft", "add", "table", "inet", "bench"])?;
    run(lab, &["nft", "add", "set", "inet", "bench", "hosts", set])?;
    let once = |words: Vec<&'static str>, round| {
        let address = match words[0] {
            "nft" => format!("{{ {} }}", address(round)),
            _ => address(round),
        };
        run(lab, &[&*words, &[&address]].concat())
    };
    let way = |tool, words: &[&'static str]| {
        let words = words.to_vec();
        Way::new("one process an entry", tool, move |round| {
            once(words.clone(), round)
        })
    };
    let ways = vec![
        way("fw-ctl block", &["fw-ctl", "block"]),
        way("ipset add", &["ipset", "add", "bench"]),
        way(
            "nft add element",
            &["nft", "add", "element", "inet", "bench", "hosts"],
        ),
        way(
            "iptables -A",
            &["iptables", "-A", "INPUT", "-j", "DROP", "-s"],
        ),
    ];
    let rounds = Rounds {
        short: PROCESSES,
        long: PROCESSES,
    };
    println!("\none process an entry, {PROCESSES} entries each, into nothing");
    let rows = in_turns(rounds, ways)?;
    print(&rows);
    for row in &rows {
        if let Ok(times) = &row.times {
            let million = times.sum() * 1_000_000 / PROCESSES as u32;
            println!(
                "  {:<22}a million that way: {:.0} s, reckoned from these, not measured",
                row.tool,
                million.as_secs_f64()
            );
        }
    }
    for words in [
        &["ipset", "destroy"][..],
        &["nft", "delete", "table", "inet", "bench"],
        &["iptables", "-F", "INPUT"],
    ] {
        run(lab, words)?;
    }
    Ok(rows)
}
