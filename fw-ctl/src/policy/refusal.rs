//! Why a change is refused.

use fw_common::Prefix;

use super::{entry::ListName, guard::GuardSource, rule::RuleId, rules::Rules};

/// Why a change, or one of its items, is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The block would cut a guarded address.
    #[error("blocking {prefix} would cut {guarded}, which is guarded ({})", because.name())]
    Guarded {
        /// As asked for.
        prefix: Prefix,
        /// The guarded prefix.
        guarded: Prefix,
        /// Why it is.
        because: GuardSource,
    },
    /// Strict, and there already.
    #[error("{prefix} is in list {list} already")]
    Exists {
        /// As asked for.
        prefix: Prefix,
        /// The list.
        list: ListName,
    },
    /// No such list.
    #[error("there is no list {0}")]
    NoList(ListName),
    /// The numbers of lists are 16 bits wide.
    #[error("there are 65,535 lists already")]
    TooManyLists,
    /// Only the detector writes its list; anybody may remove from it.
    #[error("list {} is the scan detector's own", ListName::AUTO)]
    Detectors,
    /// They follow from files and from what is selected; nobody writes into them.
    #[error("list {0} is made of the countries that are selected")]
    Countries(ListName),
    /// Another rule says something else of the same.
    #[error("rule {rule} says something else of {service} for the same sources")]
    Contradicts {
        /// As asked for.
        service: String,
        /// The other.
        rule: RuleId,
    },
    /// Netfilter walks rules one after the other.
    #[error("there would be too many rules: at most {max} with {sources} sources each, 4,096 in all", max = Rules::MAX, sources = Rules::MAX_SOURCES)]
    TooManyRules,
}
