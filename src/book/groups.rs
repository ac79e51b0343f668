//! Groups: the values of a dimension that a scope's rows have, for lists by it (docs/kpis.md §4).

use std::collections::BTreeSet;

use super::Book;
use super::packed::PartnerRef;
use super::page::{Parts, Row};
use super::scope::{Regions, Scope};
use crate::domain::calendar::Date;
use crate::domain::filter::{CreditFilter, Dimension, GroupValue};
use crate::domain::window::Window;

/// A value of a row, if it has one.
type Value<'a> = Option<&'a str>;

// === impl Book ===

impl Book {
    /// The values of a dimension among the deals of a scope that were opened, open or ended in a window or
    /// are open on its `as_of`, and among its leads of those days, in order.
    pub fn group_values(&self, scope: &Scope, dimension: &Dimension, window: &Window) -> Vec<GroupValue> {
        let dates = window.counted();
        let last = dates.to.plus_days(-1);
        let deals = self.pages.entries(|page| &page.ended, scope, dates.from, Date::NEVER);
        let is_of_window = |row: &Row| row.other_on <= last;
        let is_open = |row: &Row| row.other_on <= window.as_of && row.on > window.as_of;
        let deals = deals.filter(|(row, _)| is_of_window(row) || is_open(row));
        let leads = self.pages.entries(|page| &page.leads, scope, dates.from, last);
        let rows = deals.chain(leads);

        if dimension.is_of_partners() {
            return self.values_of_partners(rows, scope, dimension);
        }
        let regions = Regions { asked: Default::default(), of_partners: self.regions_of_partners() };
        let mut found: BTreeSet<Value<'_>> = BTreeSet::new();
        for (row, parts) in rows {
            match dimension {
                Dimension::Unit => found.extend(self.units_above(row)),
                Dimension::Credit => {
                    let credit =
                        if is_credited(scope, parts) { CreditFilter::Credited } else { CreditFilter::Direct };
                    found.insert(Some(credit.name()));
                }
                _ => drop(found.insert(self.value_of_row(row, dimension, &regions))),
            }
        }
        let value =
            |value: Value<'_>| value.map_or(GroupValue::None, |value| GroupValue::Value(value.into()));
        found.into_iter().map(value).collect()
    }

    /// What a deal or lead itself has of a dimension.
    fn value_of_row(&self, row: &Row, dimension: &Dimension, regions: &Regions) -> Value<'_> {
        let dictionary = &self.records.dictionary;
        match dimension {
            Dimension::Product => row.product.map(|product| dictionary.terms.name(product)),
            Dimension::Region => regions.of(row).map(|region| dictionary.terms.name(region)),
            Dimension::Channel => row.channel.map(|channel| dictionary.channels.name(channel)),
            Dimension::Media => self.media_of(row.channel?).map(|media| media.name()),
            Dimension::DealLabel(key) => {
                let key = dictionary.terms.get(key.as_str())?;
                let labels = &self.pools.label_sets.values()[row.labels.index()];
                let label = labels.iter().find(|(known, _)| *known == key);
                label.map(|&(_, value)| dictionary.terms.name(value))
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
    ) -> Vec<GroupValue> {
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
        let values: BTreeSet<GroupValue> = slots.into_iter().map(value).collect();
        values.into_iter().collect()
    }
}

fn is_credited(scope: &Scope, parts: Parts<'_>) -> bool {
    parts.with_shares(|shares| {
        shares.iter().any(|share| share.slot.is_some() && scope.roles.contains(share.role))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::histories::{apply, days, id, noon, plain_deal, plain_settings, scope};
    use crate::domain::calendar::{Instant, date};
    use crate::domain::ids::Term;
    use crate::domain::record::{Deal, DealStatus, Record, State, Version, VersionKey};
    use crate::domain::subject::Subject;
    use crate::domain::window::WindowSpec;

    /// A row for what came and went between the window and its `as_of` would have nothing in it.
    #[test]
    fn what_came_after_the_window_has_a_row_while_it_is_open() {
        let deal = |product: &str, opened: &str, status| {
            let product = Some(Term::try_new(product).unwrap());
            Deal { product, ..plain_deal(noon(opened), status) }
        };
        let deals = [
            deal("before", "2024-01-10", DealStatus::Lost(noon("2024-02-29"))),
            deal("first day", "2024-01-10", DealStatus::Lost(noon("2024-03-01"))),
            deal("last day", "2024-03-31", DealStatus::Open),
            deal("came and went", "2024-04-01", DealStatus::Won(noon("2024-04-15"))),
            deal("open", "2024-04-15", DealStatus::Won(noon("2024-04-16"))),
            deal("after", "2024-04-16", DealStatus::Open),
        ];
        let key = VersionKey { update_time: Instant::FIRST, sequence: 0 };
        let mut versions = vec![Version { key, record: Record::Settings(plain_settings()) }];
        versions.extend((0..).zip(deals).map(|(n, deal)| {
            let record = Record::Deal(id(&format!("d{n}")), State::Present(deal));
            Version { key, record }
        }));
        let mut book = Book::default();
        apply(&mut book, versions);

        let scope = scope(&book, &Subject::Tenant).expect("the tenant is known");
        let listed = |as_of| {
            let starts = plain_settings().period_starts();
            let window = WindowSpec::Dates(days("2024-03-01..2024-04-01")).resolve(date(as_of), &starts);
            book.group_values(&scope, &Dimension::Product, &window.expect("in range"))
        };
        let values =
            |texts: &[&str]| -> Vec<_> { texts.iter().map(|&text| GroupValue::Value(text.into())).collect() };
        assert_eq!(listed("2024-04-15"), values(&["first day", "last day", "open"]));
        assert_eq!(listed("2024-03-30"), values(&["first day"]));
    }
}
