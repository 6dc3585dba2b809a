//! The rules that the program decides: which class each port is of, and the rows and limits of each
//! class.
//!
//! A change is made beside what is there. New classes get numbers that no old one has; when their
//! rows stand, the ports change over to them, four in one store; and when no packet can be on its
//! way with an old number, the old rows go. So each packet meets its port's old rules or its new
//! ones. What stands in the kernel is read with each change, and nothing of it is remembered.

mod limits;
mod rows;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::fd::AsFd as _,
    sync::atomic::{AtomicU64, Ordering},
};

use aya::{Ebpf, maps::MapError};
use fw_common::{
    Prefix,
    abi::{self, CLASS_LIMITS, LimitCount, MapSpec, RuleRow},
};

use self::{limits::Limits, rows::Rows};
use super::{
    load::{self, LoadError},
    sys::{self, Mapped},
};
use crate::{
    detect::ports::PortSet,
    plan::{
        classes::{Class, Classes, TooMuch},
        ruleset::{LimitRow, Pushdown},
    },
    policy::rule::{RuleId, Verdict},
};

/// Why the program decides no rules: none stand in it now.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// They are more than it takes.
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
    /// The kernel refused.
    #[error("the kernel refused to change the rules of the XDP program")]
    Refused(#[from] io::Error),
}

/// The maps of the rules.
pub struct Rules {
    /// The classes of four ports in a word.
    ports: Mapped,
    /// The limits of a class in a word.
    classes: Mapped,
    limits: Limits,
    rows: Rows,
}

/// What stands in the kernel of a class: the word of its limits, and its rows.
type Content = (u64, BTreeMap<Prefix, RuleRow>);

/// Classes to write, with their numbers.
type New = Vec<(u16, Content)>;

impl Rules {
    /// The maps out of a loaded object.
    ///
    /// # Errors
    /// [`LoadError`]
    pub fn take(object: &mut Ebpf) -> Result<Self, LoadError> {
        Ok(Self {
            ports: mapped(object, abi::PORT_CLASS)?,
            classes: mapped(object, abi::CLASSES)?,
            limits: Limits::new(
                mapped(object, abi::LIMITS)?,
                load::take(object, abi::LIMIT_COUNTS.name)?,
            ),
            rows: Rows {
                v4: load::take_map(object, abi::CLASS_V4.name)?,
                v6: load::take_map(object, abi::CLASS_V6.name)?,
            },
        })
    }

    /// What became of the connections that each limit names.
    ///
    /// # Errors
    /// What `bpf(2)` says.
    pub fn limit_counts(&self) -> io::Result<BTreeMap<RuleId, LimitCount>> {
        self.limits.counts()
    }

    /// Makes these the rules. Ports that address translation sends elsewhere (`published`) have
    /// none.
    ///
    /// # Errors
    /// [`RulesError`]
    pub fn set(&mut self, pushdown: &Pushdown, published: &PortSet) -> Result<(), RulesError> {
        let result = Classes::of(pushdown, published)
            .map_err(RulesError::from)
            .and_then(|classes| Ok(self.change(&classes, &pushdown.limits)?));
        if result.is_err() {
            // Rows that no port leads to are cleared away with the next change.
            let ports = self.ports.words().iter();
            ports.for_each(|word| word.store(0, Ordering::Release));
        }
        result
    }

    fn change(&mut self, wanted: &Classes, limits: &[LimitRow]) -> io::Result<()> {
        let before = self.held()?;
        let asked = wanted.classes.iter().flat_map(|class| &class.limits);
        let asked: BTreeSet<RuleId> = asked.copied().collect();
        let asked = limits.iter().filter(|limit| asked.contains(&limit.id));
        let slots = self.limits.place(asked)?;
        let contents = wanted.classes.iter().map(|class| content(class, &slots));
        let (numbers, new) = numbered(&before, contents)?;
        for (number, (limits, _)) in &new {
            self.classes.words()[usize::from(*number)].store(*limits, Ordering::Release);
        }
        let rows = new.iter().flat_map(|(number, (_, rows))| {
            let row = |(source, row): (&Prefix, &RuleRow)| (*number, *source, *row);
            rows.iter().map(row)
        });
        self.rows.write(rows)?;
        self.turn(wanted, &numbers);
        self.clear(&before, &numbers.into_iter().collect(), &slots)
    }

    /// Every class that has anything.
    fn held(&self) -> io::Result<BTreeMap<u16, Content>> {
        let mut held: BTreeMap<u16, Content> = BTreeMap::new();
        for (number, word) in (0..).zip(self.classes.words()) {
            match word.load(Ordering::Relaxed) {
                0 => {}
                limits => held.entry(number).or_default().0 = limits,
            }
        }
        for (number, source, row) in self.rows.read()? {
            held.entry(number).or_default().1.insert(source, row);
        }
        Ok(held)
    }

    /// Tells each port its class.
    fn turn(&self, wanted: &Classes, numbers: &[u16]) {
        let number = |place: &Option<u16>| place.map_or(0, |place| numbers[usize::from(place)]);
        for (word, ports) in self.ports.words().iter().zip(wanted.ports.chunks_exact(4)) {
            set(word, packed(ports.iter().map(number)));
        }
    }

    /// Takes away what no port leads to any more.
    fn clear(
        &mut self,
        before: &BTreeMap<u16, Content>,
        kept: &BTreeSet<u16>,
        slots: &BTreeMap<RuleId, u16>,
    ) -> io::Result<()> {
        let gone = before.iter().filter(|(number, _)| !kept.contains(number));
        let gone: Vec<(u16, &Content)> = gone.map(|(number, held)| (*number, held)).collect();
        if gone.is_empty() && self.limits.are_all(slots) {
            return Ok(());
        }
        sys::wait_for_programs();
        for (number, _) in &gone {
            self.classes.words()[usize::from(*number)].store(0, Ordering::Relaxed);
        }
        self.limits.retain(slots);
        let rows = gone.iter().flat_map(|(number, (_, rows))| {
            let place = |source: &Prefix| (*number, *source);
            rows.keys().map(place)
        });
        self.rows.delete(rows)
    }
}

fn mapped(object: &mut Ebpf, spec: MapSpec) -> Result<Mapped, LoadError> {
    let map = load::take_map(object, spec.name)?;
    let words = (spec.capacity * spec.value_size) as usize / size_of::<u64>();
    Mapped::new(map.fd().as_fd(), words).map_err(|error| LoadError::Map {
        name: spec.name,
        source: MapError::IoError(error),
    })
}

/// A store, where one is needed: the processors that read the line keep it otherwise.
fn set(word: &AtomicU64, value: u64) {
    if word.load(Ordering::Relaxed) != value {
        word.store(value, Ordering::Release);
    }
}

/// At most four numbers in a word, the first one lowest.
fn packed(numbers: impl Iterator<Item = u16>) -> u64 {
    const { assert!(CLASS_LIMITS == 4) };
    (0..4).zip(numbers).fold(0, |word, (at, number)| {
        word | u64::from(number) << (16 * at)
    })
}

fn content(class: &Class, slots: &BTreeMap<RuleId, u16>) -> Content {
    let limits = class.limits.iter().filter_map(|rule| slots.get(rule));
    let rows = class.rows.iter().map(|(source, row)| {
        let drops = u32::from(row.verdict == Verdict::Drop);
        let rule = row.rule.0;
        (*source, RuleRow { rule, drops })
    });
    (packed(limits.copied()), rows.collect())
}

/// The number of each class, and those that are new. One that is there already keeps its own.
fn numbered(
    before: &BTreeMap<u16, Content>,
    wanted: impl Iterator<Item = Content>,
) -> io::Result<(Vec<u16>, New)> {
    let known = before.iter().map(|(number, held)| (held, *number));
    let mut known: BTreeMap<&Content, u16> = known.collect();
    let mut free = (1..abi::CLASS_COUNT as u16).filter(|number| !before.contains_key(number));
    let (mut numbers, mut new) = (Vec::new(), New::new());
    for content in wanted {
        numbers.push(match known.remove(&content) {
            Some(number) => number,
            None => {
                let number = free.next().ok_or(io::ErrorKind::StorageFull)?;
                new.push((number, content));
                number
            }
        });
    }
    Ok((numbers, new))
}
