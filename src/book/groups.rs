//! Groups: the values of a dimension that a scope's rows have, for lists by it (docs/kpis.md §4).
//!
//! Invariant: a value asks for no more than the question's filter does, so that a row's filter may take its
//! place.

use std::collections::BTreeSet;

use super::Book;
use super::entry::Share;
use super::marketing::MarketingQuestion;
use super::packed::{LeadRef, PackedDeal, PartnerRef, TermRef};
use super::page::{Parts, Row};
use super::regions::PartnerRegions;
use super::scope::Scope;
use crate::domain::calendar::Date;
use crate::domain::filter::{CreditFilter, Dimension, Filter, GroupValue};
use crate::domain::ids::Term;
use crate::domain::subject::Subject;
use crate::domain::window::Window;

/// A value of a row, if it has one.
type Value<'a> = Option<&'a str>;

// === impl Book ===

impl Book {
    /// The values of a dimension among the deals that were opened, open or ended in a window or are open on
    /// its `as_of`, among the leads of those days, and among the channels that something was spent on.
    pub fn group_values(
        &self,
        asked: &MarketingQuestion<'_>,
        dimension: &Dimension,
        window: &Window,
    ) -> BTreeSet<GroupValue> {
        let &MarketingQuestion { subject, filter, scope, .. } = asked;
        let dates = window.counted();
        let last = dates.to.plus_days(-1);
        let as_of = window.as_of;
        let is_in_work = |row: &Row| dates.days() > 0 && row.on >= dates.from && row.other_on <= last;
        let is_open = |row: &Row| row.on > as_of && row.other_on <= as_of;
        // Of a window that hasn't begun, those that are open now may end before it does.
        let deals = self.pages.entries(
            &self.pools,
            |page| &page.ended,
            scope,
            dates.from.min(as_of.next()),
            Date::NEVER,
        );
        let deals = deals.filter(|(row, _)| is_in_work(row) || is_open(row));
        let leads = self.pages.entries(&self.pools, |page| &page.leads, scope, dates.from, last);
        let rows = deals.chain(leads);

        if dimension.is_of_partners() {
            return self.values_of_partners(rows, scope, dimension);
        }
        let regions = self.rosters.regions_of_partners();
        let passes = self.by_product_and_labels(filter);
        let mut found: BTreeSet<Value<'_>> = BTreeSet::new();
        for (row, parts) in rows {
            match dimension {
                Dimension::Unit => found.extend(self.units_above(row)),
                Dimension::Credit => {
                    let credit =
                        if is_credited(scope, parts) { CreditFilter::Credited } else { CreditFilter::Direct };
                    found.insert(Some(credit.name()));
                }
                // A lead has none of its own: as a prospect it is where its deals are.
                Dimension::Product | Dimension::DealLabel(_) if !row.event.is_of_deal() => {
                    let deals = self.deals_of_leads.get(&LeadRef::new(row.of)).into_iter().flatten();
                    let deals = deals.filter_map(|&deal| self.records.deals.current(deal));
                    found.extend(deals.filter(&passes).map(|deal| self.value_of_deal(&deal, dimension)));
                }
                _ => parts.with_shares(|shares| {
                    found.insert(self.value_of_row(row, shares, dimension, regions));
                }),
            }
        }
        match dimension {
            Dimension::Unit => found.retain(|unit| self.is_within(*unit, subject, filter)),
            Dimension::Channel | Dimension::Media => {
                let marketing = self.marketing(asked, window).found;
                let paid =
                    marketing.channels.into_iter().filter(|(_, channel)| channel.performance.is_paid());
                found.extend(paid.map(|(id, channel)| match dimension {
                    Dimension::Channel => Some(id),
                    _ => channel.media.map(|media| media.name()),
                }));
            }
            _ => {}
        }
        let value =
            |value: Value<'_>| value.map_or(GroupValue::None, |value| GroupValue::Value(value.into()));
        found.into_iter().map(value).collect()
    }

    /// What a deal or lead itself has of a dimension.
    fn value_of_row(
        &self,
        row: &Row,
        shares: &[Share],
        dimension: &Dimension,
        regions: &PartnerRegions,
    ) -> Value<'_> {
        let dictionary = &self.records.dictionary;
        let traits = self.pools.traits.value(row.traits);
        match dimension {
            Dimension::Product => traits.product.map(|product| dictionary.terms.name(product)),
            Dimension::Region => {
                regions.of_one(row.slot, &traits.region, shares).map(|region| dictionary.terms.name(region))
            }
            Dimension::Channel => traits.channel.map(|channel| dictionary.channels.name(channel)),
            Dimension::Media => self.media_of(traits.channel?).map(|media| media.name()),
            Dimension::DealLabel(key) => {
                self.value_of_label(&self.pools.label_sets.values()[traits.labels.index()], key)
            }
            Dimension::Employee => {
                let owner = self.pools.desks.values()[row.desk.index()].owner?;
                Some(dictionary.employees.name(self.employee_trees.survivor(owner)))
            }
            // These have several values, or aren't the deal's own.
            Dimension::Unit
            | Dimension::Credit
            | Dimension::Partner
            | Dimension::PartnerType
            | Dimension::Tier
            | Dimension::PartnerLabel(_) => None,
        }
    }

    fn value_of_label(&self, labels: &[(TermRef, TermRef)], key: &Term) -> Value<'_> {
        let key = self.records.dictionary.terms.get(key.as_str())?;
        let label = labels.iter().find(|(known, _)| *known == key);
        label.map(|&(_, value)| self.records.dictionary.terms.name(value))
    }

    /// A deal's product, or its label.
    fn value_of_deal(&self, deal: &PackedDeal, dimension: &Dimension) -> Value<'_> {
        match dimension {
            Dimension::DealLabel(key) => self.value_of_label(&deal.labels, key),
            _ => deal.product.map(|product| self.records.dictionary.terms.name(product)),
        }
    }

    /// Whether a unit is one of those asked for or below one: those above have no part in the question.
    fn is_within(&self, unit: Value<'_>, subject: &Subject, filter: &Filter) -> bool {
        let names = &self.records.dictionary.units;
        let unit = unit.and_then(|unit| names.get(unit));
        let of_subject = match subject {
            Subject::Unit(above) => unit
                .zip(names.get(above.as_str()))
                .is_some_and(|(unit, above)| self.unit_trees.line(unit).contains(&above)),
            _ => true,
        };
        of_subject && self.asked_units(filter).is_none_or(|asked| asked.contains(&unit))
    }

    /// The unit of a row and those above it.
    fn units_above(&self, row: &Row) -> Vec<Value<'_>> {
        match self.unit_of_desk(&self.pools.desks.values()[row.desk.index()]) {
            None => vec![None],
            Some(unit) => {
                let names = &self.records.dictionary.units;
                self.unit_trees.line(unit).into_iter().map(|unit| Some(names.name(unit))).collect()
            }
        }
    }

    /// The values of the credited partners whose shares the scope asks for, and whether there are uncredited
    /// ones.
    fn values_of_partners<'a>(
        &'a self,
        rows: impl Iterator<Item = (&'a Row, Parts<'a>)>,
        scope: &Scope,
        dimension: &Dimension,
    ) -> BTreeSet<GroupValue> {
        // Partners are few beside rows: each is looked up once.
        let mut slots: BTreeSet<Option<PartnerRef>> = BTreeSet::new();
        for (_, parts) in rows {
            parts.with_shares(|shares| {
                slots.extend(shares.iter().filter(|share| parts.asks_for(share)).map(|share| share.slot));
                if scope.has_uncredited(shares) {
                    slots.insert(None);
                }
            });
        }
        let value = |slot: Option<PartnerRef>| {
            let Some(partner) = slot.map(|partner| self.partner_trees.survivor(partner)) else {
                return GroupValue::Uncredited;
            };
            let fields = || self.partner(partner);
            let value = match dimension {
                Dimension::Partner => Some(self.records.dictionary.partners.name(partner)),
                Dimension::PartnerType => fields().and_then(|p| p.partner_type.as_ref()).map(|t| t.as_str()),
                Dimension::Tier => fields().and_then(|p| p.tier.as_ref()).map(|tier| tier.as_str()),
                Dimension::PartnerLabel(key) => fields().and_then(|p| p.labels.get(key)).map(|l| l.as_str()),
                _ => None,
            };
            value.map_or(GroupValue::None, |value| GroupValue::Value(value.into()))
        };
        slots.into_iter().map(value).collect()
    }
}

fn is_credited(scope: &Scope, parts: Parts<'_>) -> bool {
    parts.with_shares(|shares| {
        shares.iter().any(|share| share.slot.is_some() && scope.roles.contains(share.role))
    })
}
