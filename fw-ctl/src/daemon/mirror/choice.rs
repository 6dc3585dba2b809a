//! Which of netfilter's tools the mirror is kept with.

use crate::{
    backend::{
        iptables::{self, Variant},
        nftables,
    },
    config,
    host::{
        netfilter::{self, Choice, Live, Rules},
        tool::ToolError,
    },
};

/// Finds out which backend goes with this host, and why.
pub async fn choose(wanted: config::Backend) -> (Choice, String) {
    let configured = |choice| (choice, "as configured".to_owned());
    match wanted {
        config::Backend::None => configured(Choice::None),
        config::Backend::Nftables => configured(Choice::Nftables),
        config::Backend::Auto => on_this_host(netfilter::choose).await,
        config::Backend::Iptables => on_this_host(among_iptables).await,
    }
}

/// As if there were no nftables.
fn among_iptables(live: &Live) -> (Choice, String) {
    netfilter::choose(&Live {
        native: Rules::default(),
        has_nft: false,
        ..live.clone()
    })
}

async fn on_this_host(choose: fn(&Live) -> (Choice, String)) -> (Choice, String) {
    let found = tokio::task::spawn_blocking(move || choose(&netfilter::live())).await;
    found.unwrap_or_else(|error| {
        let why = format!("the look at the host broke off: {error}");
        (Choice::None, why)
    })
}

/// Takes away what an earlier daemon had put elsewhere. Blocks while programs run.
pub(super) fn clear_others(choice: Choice) -> Result<(), ToolError> {
    let nftables = || match nftables::clear() {
        Err(ToolError::Missing { .. }) => Ok(()),
        cleared => cleared,
    };
    match choice {
        Choice::None => iptables::clear_all().and(nftables()),
        Choice::Nftables => iptables::clear_all(),
        Choice::IptablesNft => iptables::clear_chains(Variant::Legacy).and(nftables()),
        Choice::IptablesLegacy => iptables::clear_chains(Variant::Nft).and(nftables()),
    }
}

/// Whether anything of ours stands in netfilter. Who cannot tell says yes. Blocks while programs
/// run.
pub fn stands() -> bool {
    let is_there = |found: Result<bool, ToolError>| match found {
        Err(ToolError::Missing { .. }) => false,
        found => found.unwrap_or(true),
    };
    is_there(iptables::stands()) || is_there(nftables::stands())
}
