//! Members: of each value of a dimension, of how many things a rate is told, in one pass over the rows.
//!
//! Invariant, a property test: a member's terms are those that a scope tells whose filter is narrowed to it.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use smallvec::{SmallVec, smallvec};

use super::Book;
use super::entry::{Event, Outcome, ProspectOutcome, Slot};
use super::packed::{ChannelRef, TermRef};
use super::page::{Parts, Row};
use super::regions::PartnerRegions;
use super::scope::Scope;
use super::standing::came;
use crate::domain::filter::{GroupValue, SplitBy};
use crate::domain::window::Window;
use crate::kpi::drivers::{Rate, RateTerms};

/// A value of a dimension, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Member {
    Region(Option<TermRef>),
    Channel(Option<ChannelRef>),
    Partner(Slot),
}

// === impl Book ===

impl Book {
    /// The terms of a rate of each value that the things have of which it is told. One that several partners
    /// share counts for each of them.
    pub fn rate_terms(
        &self,
        scope: &Scope,
        rate: Rate,
        by: SplitBy,
        window: &Window,
    ) -> BTreeMap<GroupValue, RateTerms> {
        let (dates, as_of) = (window.counted(), window.as_of);
        let last = dates.to.plus_days(-1);
        let regions = self.rosters.regions_of_partners();
        let mut told: HashMap<Member, RateTerms> = HashMap::new();
        let mut note = |row: &Row, parts: Parts<'_>, is_won: bool| {
            for member in self.members_of(row, parts, scope, by, regions) {
                let terms = told.entry(member).or_default();
                terms.numerator += i64::from(is_won);
                terms.denominator += 1;
            }
        };
        match rate {
            Rate::CloseRate => {
                let opened = self.pages.entries(&self.pools, |page| &page.opened, scope, dates.from, last);
                let leads = self.pages.entries(&self.pools, |page| &page.leads, scope, dates.from, last);
                for (row, parts) in opened.chain(leads) {
                    if let Some(outcome) = came(row, as_of) {
                        note(row, parts, outcome == ProspectOutcome::Purchased);
                    }
                }
            }
            Rate::DealSuccess => {
                let ended = self.pages.entries(&self.pools, |page| &page.ended, scope, dates.from, last);
                ended.for_each(|(row, parts)| note(row, parts, row.event == Event::DealEnded(Outcome::Won)));
            }
        }
        told.into_iter().map(|(member, terms)| (self.value_of_member(member), terms)).collect()
    }

    /// Whose an entry is: one of regions and channels, of partners those whose shares the scope asks for.
    fn members_of(
        &self,
        row: &Row,
        parts: Parts<'_>,
        scope: &Scope,
        by: SplitBy,
        regions: &PartnerRegions,
    ) -> SmallVec<[Member; 2]> {
        let traits = self.pools.traits.value(row.traits);
        match by {
            SplitBy::Region => {
                let region = parts.with_shares(|shares| regions.of_one(row.slot, &traits.region, shares));
                smallvec![Member::Region(region)]
            }
            SplitBy::Channel => smallvec![Member::Channel(traits.channel)],
            SplitBy::Partner => parts.with_shares(|shares| {
                let asked = shares.iter().filter(|share| parts.asks_for(share));
                let survivor = |slot: Slot| slot.map(|partner| self.partner_trees.survivor(partner));
                let mut slots: SmallVec<[Slot; 2]> = asked.map(|share| survivor(share.slot)).collect();
                if scope.has_uncredited(shares) {
                    slots.push(None);
                }
                slots.sort_unstable();
                slots.dedup();
                slots.into_iter().map(Member::Partner).collect()
            }),
        }
    }

    fn value_of_member(&self, member: Member) -> GroupValue {
        let names = &self.records.dictionary;
        let name = match member {
            Member::Partner(None) => return GroupValue::Uncredited,
            Member::Partner(Some(partner)) => Some(names.partners.name(partner)),
            Member::Region(region) => region.map(|region| names.terms.name(region)),
            Member::Channel(channel) => channel.map(|channel| names.channels.name(channel)),
        };
        name.map_or(GroupValue::None, |name| GroupValue::Value(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::book::MarketingQuestion;
    use crate::book::board::tests::{Asked, asked, config};
    use crate::book::histories::book_of;
    use crate::book::small_tenant::{history, subjects};
    use crate::domain::filter::Dimension;
    use crate::kpi::marketing_channel::Basis;

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn members_are_what_narrowed_scopes_tell(
            history in history(), questions in vec((asked(), select(subjects())), 6),
        ) {
            let book = book_of(history);
            for (Asked { premises, rates, window }, subject) in &questions {
                let (filter, roles) = (&premises.filter, premises.roles);
                let Some(scope) = book.scope(subject, filter, roles) else { continue };
                for by in SplitBy::ALL {
                    let dimension = Dimension::from(by);
                    let basis = Basis::Period;
                    let listed = MarketingQuestion { subject, filter, scope: &scope, basis, rates: *rates };
                    let values = book.group_values(&listed, &dimension, window);
                    for rate in [Rate::CloseRate, Rate::DealSuccess] {
                        let terms = |scope: &Scope| {
                            rate.terms(&book.standing(scope, window, *rates, true).standing)
                        };
                        let narrowed = values.iter().map(|value| {
                            let filter = filter.narrowed(&dimension, value).expect("a value that it has");
                            let scope = book.scope(subject, &filter, roles).expect("it is known");
                            (value.clone(), terms(&scope))
                        });
                        // Lists have rows for more than what a rate is told of.
                        let expected: BTreeMap<GroupValue, RateTerms> =
                            narrowed.filter(|(_, terms)| *terms != RateTerms::default()).collect();
                        let found = book.rate_terms(&scope, rate, by, window);
                        prop_assert_eq!(&found, &expected, "{:?} by {:?} of {:?} {:?}", rate, by, subject, premises);
                        if by != SplitBy::Partner {
                            let sum = found.values().fold((0, 0), |(numerator, denominator), terms| {
                                (numerator + terms.numerator, denominator + terms.denominator)
                            });
                            let whole = terms(&scope);
                            prop_assert_eq!(sum, (whole.numerator, whole.denominator));
                        }
                    }
                }
            }
        }
    }
}
