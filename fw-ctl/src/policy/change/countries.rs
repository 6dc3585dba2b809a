//! All lists of countries at once.

use std::collections::BTreeMap;

use fw_common::Prefix;

use super::{Draft, How, in_order, removal};
use crate::policy::{
    Policy,
    entry::{Action, Item, ListId, ListName},
    refusal::Refusal,
    time::Now,
};

impl Policy {
    pub(super) fn countries(
        &self,
        wanted: BTreeMap<ListName, Option<Vec<Item>>>,
        now: Now,
    ) -> Result<Draft, Refusal> {
        let (mut draft, mut named) = (Draft::default(), BTreeMap::new());
        let unnamed = self.lists().filter(|(name, _)| name.is_geo());
        for (name, id) in unnamed {
            if !wanted.contains_key(name) {
                named.insert(id, Vec::new());
            }
        }
        let mut next = self.next_id()?;
        for (name, items) in wanted {
            let Some(items) = items else { continue };
            let id = match self.list_id(&name) {
                Some(id) => id,
                None => {
                    let id = next;
                    next = behind(next)?;
                    id
                }
            };
            let order = in_order(&items);
            let one = self.put(Action::Block, (&name, id), &items, &order, How::Exact, now);
            draft = draft.and(one);
            let prefixes = order.iter().map(|index| items[*index].prefix);
            named.insert(id, prefixes.collect());
        }
        let gone = self.beside(Action::Block, named);
        Ok(draft.and(gone))
    }

    /// The removal of what stands in these lists beside these prefixes, which ascend.
    fn beside(&self, action: Action, named: BTreeMap<ListId, Vec<Prefix>>) -> Draft {
        let named = named.into_iter();
        let mut ahead: BTreeMap<_, _> = named
            .map(|(list, prefixes)| (list, prefixes.into_iter().peekable()))
            .collect();
        let gone = self.table(action).iter().filter_map(|(place, entry)| {
            let named = ahead.get_mut(&place.list)?;
            while named.next_if(|named| *named < place.prefix).is_some() {}
            let is_gone = named.peek() != Some(&place.prefix);
            is_gone.then(|| removal(action, place, entry))
        });
        Draft::of(gone.collect())
    }
}

fn behind(ListId(id): ListId) -> Result<ListId, Refusal> {
    id.checked_add(1).map(ListId).ok_or(Refusal::TooManyLists)
}
