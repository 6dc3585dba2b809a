//! Who may fill how much of the tables.

use fw_common::abi::{self, MapSpec};

use super::{
    super::{
        flat::{
            address::Address,
            family::{Changes, Family, Used},
        },
        shape::Shape,
    },
    ApplyError, Tables,
    changes::split,
    error::full,
};
use crate::plan::Plan;

/// How full a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Whose room it is, or the name of a map.
    pub name: &'static str,
    /// What is in it.
    pub used: usize,
    /// What can be in it.
    pub capacity: usize,
}

/// Whose room it is, as messages name it.
pub struct Names {
    block: &'static str,
    allow: &'static str,
    guard: &'static str,
    auto: &'static str,
}

/// Of IPv4.
pub const NAMES_V4: Names = Names {
    block: "block_v4",
    allow: "allow_v4",
    guard: "guard_v4",
    auto: "auto_v4",
};
/// Of IPv6.
pub const NAMES_V6: Names = Names {
    block: "block_v6",
    allow: "allow_v6",
    guard: "guard_v6",
    auto: "auto_v6",
};

/// Whether each finds room for what it adds. The scan detector has a share of its own, and so never
/// takes an operator's; nor do blocks take that of allows.
pub fn check<A: Address>(
    names: &Names,
    changes: &Changes<A>,
    family: &Family<A>,
    shape: &Shape,
    blocks: u32,
) -> Result<(), ApplyError> {
    let (used, after) = (family.used(), changes.count(family));
    for (table, before, needed, capacity) in [
        (names.block, used.block, after.block, blocks),
        (names.allow, used.allow, after.allow, shape.allows),
        (names.guard, used.guard, after.guard, Shape::GUARD_ROOM),
        (names.auto, used.auto, after.auto, Shape::AUTO_ROOM),
    ] {
        let capacity = capacity as usize;
        if needed > before && needed > capacity {
            return Err(ApplyError::Full {
                table,
                capacity,
                needed,
            });
        }
    }
    Ok(())
}

impl Tables {
    /// Whether a plan has room beside all that is there, so that it becomes true at one moment and
    /// not in pieces. Ranges always do.
    ///
    /// # Errors
    /// [`ApplyError::Full`]
    pub fn has_room(&self, plan: &Plan) -> Result<(), ApplyError> {
        let (v4, v6) = split(plan, &self.v4, &self.v6);
        check(&NAMES_V4, &v4, &self.v4, &self.shape, self.shape.ipv4)?;
        check(&NAMES_V6, &v6, &self.v6, &self.shape, self.shape.ipv6)?;
        beside(&abi::ROWS_V4, &v4, &self.v4)?;
        beside(&abi::ROWS_V6, &v6, &self.v6)
    }
}

fn beside<A: Address>(
    spec: &MapSpec,
    changes: &Changes<A>,
    family: &Family<A>,
) -> Result<(), ApplyError> {
    let needed = family.index().len() + changes.added.len();
    match needed > family.capacity() {
        true => Err(full(spec, family.capacity(), needed)),
        false => Ok(()),
    }
}

/// How full the room of each is.
pub fn fill(shape: &Shape, v4: Used, v6: Used) -> Vec<Fill> {
    let fill = |name, used, capacity: u32| Fill {
        name,
        used,
        capacity: capacity as usize,
    };
    let of = |names: &Names, used: Used, blocks| {
        [
            fill(names.block, used.block, blocks),
            fill(names.allow, used.allow, shape.allows),
            fill(names.guard, used.guard, Shape::GUARD_ROOM),
            fill(names.auto, used.auto, Shape::AUTO_ROOM),
        ]
    };
    [of(&NAMES_V4, v4, shape.ipv4), of(&NAMES_V6, v6, shape.ipv6)].concat()
}
