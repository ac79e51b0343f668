//! Which deals name a lead.

use hashbrown::HashMap;

use super::packed::{DealRef, LeadRef};

/// The deals whose current version names a lead, by lead. Most leads have one at most: it costs four bytes.
#[derive(Default)]
pub struct DealsOfLeads {
    /// By the lead's number. None where there is no deal, or several.
    alone: Vec<Option<DealRef>>,
    several: HashMap<LeadRef, Vec<DealRef>>,
}

// === impl DealsOfLeads ===

impl DealsOfLeads {
    /// None where there is none.
    pub fn get(&self, lead: &LeadRef) -> Option<&[DealRef]> {
        match self.alone.get(lead.index())? {
            alone @ Some(_) => Some(alone.as_slice()),
            None => self.several.get(lead).map(Vec::as_slice),
        }
    }

    /// All leads that have one.
    pub fn iter(&self) -> impl Iterator<Item = (LeadRef, &[DealRef])> {
        let leads = (0..self.alone.len() as u32).map(LeadRef::new);
        leads.filter_map(|lead| Some((lead, self.get(&lead)?)))
    }

    pub fn add(&mut self, lead: LeadRef, deal: DealRef) {
        if self.alone.len() <= lead.index() {
            self.alone.resize(lead.index() + 1, None);
        }
        if let Some(deals) = self.several.get_mut(&lead) {
            deals.push(deal);
            return;
        }
        let alone = &mut self.alone[lead.index()];
        match alone.take() {
            None => *alone = Some(deal),
            Some(other) => drop(self.several.insert(lead, vec![other, deal])),
        }
    }

    pub fn remove(&mut self, lead: LeadRef, deal: DealRef) {
        if let Some(deals) = self.several.get_mut(&lead) {
            deals.retain(|known| *known != deal);
            if let [last] = deals[..] {
                self.several.remove(&lead);
                self.alone[lead.index()] = Some(last);
            }
        } else if let Some(alone) = self.alone.get_mut(lead.index())
            && *alone == Some(deal)
        {
            *alone = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_are_those_added_and_not_removed(steps in vec((any::<bool>(), 0..4u32, 0..5u32), 0..60)) {
            let (mut deals_of_leads, mut model) = (DealsOfLeads::default(), BTreeMap::new());
            for (is_added, lead, deal) in steps {
                let deals: &mut BTreeSet<u32> = model.entry(lead).or_default();
                let (lead, number) = (LeadRef::new(lead), DealRef::new(deal));
                if is_added && deals.insert(deal) {
                    deals_of_leads.add(lead, number);
                } else if !is_added {
                    deals.remove(&deal);
                    deals_of_leads.remove(lead, number);
                }
            }
            let all = |deals: &[DealRef]| deals.iter().map(|deal| deal.number()).collect::<BTreeSet<u32>>();
            for (&lead, deals) in &model {
                let found = deals_of_leads.get(&LeadRef::new(lead));
                prop_assert_eq!(&found.map(all).unwrap_or_default(), deals);
                prop_assert_eq!(found.map_or(0, <[DealRef]>::len), deals.len());
            }
            let found: BTreeMap<u32, BTreeSet<u32>> =
                deals_of_leads.iter().map(|(lead, deals)| (lead.number(), all(deals))).collect();
            model.retain(|_, deals| !deals.is_empty());
            prop_assert_eq!(found, model);
        }
    }
}
