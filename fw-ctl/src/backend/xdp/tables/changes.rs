//! A plan as what it changes in each family.

use fw_common::abi::{self, Entry};

use super::{
    super::flat::{
        address::Address,
        family::{Changes, Entered, Family},
        sweep::Kind,
    },
    Place, place,
};
use crate::plan::{Op, Plan};

/// A plan as changes of the rows of each family.
pub fn split(plan: &Plan, v4: &Family<u32>, v6: &Family<u128>) -> (Changes<u32>, Changes<u128>) {
    let (mut for_v4, mut for_v6) = (Changes::default(), Changes::default());
    let mut add = |kind: Kind, op: Op<Entry>| match place(op.prefix) {
        Place::V4(first) => for_v4.add((first, op.prefix.length(), kind), op, v4),
        Place::V6(first) => for_v6.add((first, op.prefix.length(), kind), op, v6),
    };
    for op in &plan.guard {
        let entry = |source: u32| Entry::new(op.prefix, source as u16, abi::NEVER);
        let op = Op {
            prefix: op.prefix,
            before: op.before.map(entry),
            after: op.after.map(entry),
        };
        add(Kind::Guard, op);
    }
    plan.allow.iter().for_each(|op| add(Kind::Allow, *op));
    plan.block.iter().for_each(|op| add(Kind::Block, *op));
    (for_v4, for_v6)
}

/// A plan in pieces: what protects and what lifts blocks, then what blocks, then what protects no
/// more.
pub fn pieces(plan: &Plan) -> Vec<Plan> {
    /// Operations of a piece.
    const PIECE: usize = 4096;
    let (lifts, blocks): (Vec<_>, Vec<_>) = plan.block.iter().partition(|op| op.after.is_none());
    let (guards, bares): (Vec<_>, Vec<_>) = plan.guard.iter().partition(|op| op.after.is_some());
    let (allows, lowers): (Vec<_>, Vec<_>) = plan.allow.iter().partition(|op| op.after.is_some());
    let blocking = |ops: Vec<Op<Entry>>| {
        let pieces = ops.chunks(PIECE).map(|ops| Plan {
            block: ops.to_vec(),
            ..Plan::default()
        });
        pieces.collect::<Vec<_>>()
    };
    let protecting = |guard, allow| Plan {
        guard,
        allow,
        ..Plan::default()
    };
    let mut pieces = blocking(lifts);
    pieces.push(protecting(guards, allows));
    pieces.extend(blocking(blocks));
    pieces.push(protecting(bares, lowers));
    pieces
}

/// What a change touches, as runs of numbers that ascend.
pub fn touched<A: Address, N: Copy + Ord>(
    entered: &Entered<A>,
    number: impl Fn(A) -> N,
) -> Vec<(N, N)> {
    let rows = entered.added.iter().chain(&entered.removed);
    let runs = rows.map(|((first, length, _), _)| (number(*first), number(first.last(*length))));
    merged(runs.collect())
}

/// Runs in order; those that lie in another one are left out, those that overlap are one.
pub fn merged<N: Copy + Ord>(mut runs: Vec<(N, N)>) -> Vec<(N, N)> {
    runs.sort_unstable();
    runs.dedup_by(|(first, last), (_, before)| {
        let overlap = *first <= *before;
        if overlap {
            *before = (*before).max(*last);
        }
        overlap
    });
    runs
}
