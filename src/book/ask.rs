//! Asking a book: whose rows a question folds, and what it finds.

use hashbrown::HashSet;

use super::Book;
use super::chain::Chain;
use super::contribute::value_on;
use super::entry::{Slot, Value};
use super::names::{Names, Ref};
use super::packed::{ChannelRef, DealRef, EmployeeRef, PackedDeal, PartnerRef, TermRef, UnitRef};
use super::page::Row;
use super::pages::Fold;
use super::pools::{Desk, LabelSet};
use super::records::Records;
use super::scope::{Desks, Regions, Scope, Test};
use super::trees::Trees;
use crate::domain::calendar::DateRange;
use crate::domain::filter::{CreditFilter, Dimension, Filter, GroupValue};
use crate::domain::ids::{Id, PartnerId, Term};
use crate::domain::premises::{RatesOn, Roles};
use crate::domain::record::{Media, Partner};
use crate::domain::subject::{Subject, SubjectKind};

impl Book {
    /// Whose rows a question folds. None for a subject that was never sent and that no partner, employee,
    /// unit, lead or deal names.
    pub fn scope(&self, subject: &Subject, filter: &Filter, roles: Roles) -> Option<Scope> {
        self.scope_reading(subject, filter, roles, true)
    }

    /// The same for a question that may read no rows of leads: which leads pass is then not found out, which
    /// takes a walk over the deals of all.
    pub(super) fn scope_reading(
        &self,
        subject: &Subject,
        filter: &Filter,
        roles: Roles,
        reads_leads: bool,
    ) -> Option<Scope> {
        let dictionary = &self.records.dictionary;
        let (mut partners, mut owners, mut units) = (None, None, None);
        match subject {
            Subject::Tenant => {}
            Subject::Partner { partner, include_sub_partners } => {
                let partner = dictionary.partners.get(partner.as_str())?;
                partners = Some(self.partner_trees.members(partner, *include_sub_partners));
            }
            Subject::Employee(employee) => {
                let employee = dictionary.employees.get(employee.as_str())?;
                owners = Some(self.employee_trees.members(employee, false));
            }
            Subject::Unit(unit) => {
                units = Some(self.unit_trees.members(dictionary.units.get(unit.as_str())?, true));
            }
        }
        let slots = match partners {
            Some(partners) if filter.asks_for_partners() => {
                let passing = self.passing_slots(filter);
                let is_passing = |slot: &Slot| passing.binary_search(slot).is_ok();
                Some(partners.into_iter().map(Some).filter(is_passing).collect())
            }
            Some(partners) => Some(partners.into_iter().map(Some).collect()),
            None if filter.asks_for_partners() => Some(self.passing_slots(filter)),
            None => None,
        };
        let asks_for_desks = !(filter.employees.is_empty() && filter.units.is_empty());
        let desks = (owners.is_some() || units.is_some() || asks_for_desks).then(|| {
            let asked_owners = self.asked_owners(filter);
            let asked_units = self.asked_units(filter);
            let those = self.pools.desks.those(|desk| {
                let unit = self.unit_of_desk(desk);
                let owner = desk.owner.map(|owner| self.employee_trees.survivor(owner));
                owners
                    .as_ref()
                    .is_none_or(|owners| desk.owner.is_some_and(|o| owners.binary_search(&o).is_ok()))
                    && units
                        .as_ref()
                        .is_none_or(|units| unit.is_some_and(|u| units.binary_search(&u).is_ok()))
                    && asked_owners.as_ref().is_none_or(|asked| asked.contains(&owner))
                    && asked_units.as_ref().is_none_or(|asked| asked.contains(&unit))
            });
            Desks::new(those, self.pools.desks.values().len())
        });
        Some(Scope { roles, slots, desks, test: self.test(filter, reads_leads) })
    }

    /// What of a scope came by any channel.
    pub fn attributed(&self, scope: Scope) -> Scope {
        scope.by_channels(self.records.dictionary.channels.refs())
    }

    /// Sums what happened within `dates`.
    pub fn fold(&self, scope: &Scope, dates: DateRange, rates: RatesOn) -> Fold {
        self.pages.fold(&self.pools, scope, dates, rates, &|row, rates| self.value_of(row, rates))
    }

    /// What a row's whole deal is worth at the rates of a day.
    pub fn value_of(&self, row: &Row, rates: RatesOn) -> Value {
        let value = row.value();
        match (rates, value.foreign_currency()) {
            (RatesOn::OwnDay, _) | (_, None) => value,
            (RatesOn::Day(on), Some(_)) => {
                let deal = self.records.deals.current(DealRef::new(row.of));
                let Some((deal, settings)) = deal.zip(self.settings()) else { return Value::Unknown };
                value_on(deal.amount, on, settings, &self.ground.rates)
            }
        }
    }

    /// The partners that a filter on partners picks, and whether the uncredited rest is among them.
    fn passing_slots(&self, filter: &Filter) -> Vec<Slot> {
        let names = &self.records.dictionary.partners;
        let survivor = |partner: &Id<_>| names.get(partner.as_str()).map(|p| self.partner_trees.survivor(p));
        let asked: HashSet<Option<PartnerRef>> = filter
            .partners
            .iter()
            .filter_map(|asked| match asked {
                None => Some(None),
                Some(partner) => survivor(partner).map(Some),
            })
            .collect();
        let is_asked = |slot: Slot| filter.partners.is_empty() || asked.contains(&slot);
        let passes = |partner: Option<&Partner>| {
            one_of(&filter.partner_types, partner.and_then(|partner| partner.partner_type.as_ref()))
                && one_of(&filter.tiers, partner.and_then(|partner| partner.tier.as_ref()))
                && filter
                    .partner_labels
                    .iter()
                    .all(|(key, values)| one_of(values, partner.and_then(|partner| partner.labels.get(key))))
        };
        // The uncredited rest is no partner: it passes only where it is asked for as such.
        let rest_passes = filter.partners.contains(&None)
            && filter.partner_types.is_empty()
            && filter.tiers.is_empty()
            && filter.partner_labels.is_empty();
        let partners = names.refs().filter(|&partner| {
            let survivor = self.partner_trees.survivor(partner);
            is_asked(Some(survivor)) && passes(self.partner(survivor))
        });
        rest_passes.then_some(None).into_iter().chain(partners.map(Some)).collect()
    }

    /// A partner's fields that count, if it was sent.
    pub fn partner(&self, partner: PartnerRef) -> Option<&Partner> {
        let id = Id::try_new(self.records.dictionary.partners.name(partner)).expect("ids went in as ids");
        self.records.partners.chain(&id)?.last_present()
    }

    pub(super) fn asked_owners(&self, filter: &Filter) -> Option<HashSet<Option<EmployeeRef>>> {
        let names = &self.records.dictionary.employees;
        let number = |employee: &Id<_>| names.get(employee.as_str()).map(|e| self.employee_trees.survivor(e));
        (!filter.employees.is_empty()).then(|| known(&filter.employees, number))
    }

    pub(super) fn asked_units(&self, filter: &Filter) -> Option<HashSet<Option<UnitRef>>> {
        (!filter.units.is_empty()).then(|| {
            let names = &self.records.dictionary.units;
            let asked = known(&filter.units, |unit: &Id<_>| names.get(unit.as_str()));
            let with_descendants = |unit: Option<UnitRef>| match unit {
                None => vec![None],
                Some(unit) => self.unit_trees.members(unit, true).into_iter().map(Some).collect(),
            };
            asked.into_iter().flat_map(with_descendants).collect()
        })
    }

    /// What a filter asks of deals and leads themselves.
    fn test(&self, filter: &Filter, reads_leads: bool) -> Option<Test> {
        let Records { dictionary, .. } = &self.records;
        let term = |term: &Term| dictionary.terms.get(term.as_str());
        let asks_for_terms = |asked: &Vec<Option<Term>>| (!asked.is_empty()).then(|| known(asked, term));
        let test = Test {
            products: asks_for_terms(&filter.products),
            channels: self.asked_channels(filter),
            regions: asks_for_terms(&filter.regions)
                .map(|asked| Regions { asked, of_partners: self.rosters.regions_of_partners().clone() }),
            label_sets: (!filter.deal_labels.is_empty()).then(|| {
                let passes = |set: &LabelSet| self.labels_pass(filter, set);
                self.pools.label_sets.those(passes).into_iter().collect()
            }),
            credited: filter.credit.map(|credit| credit == CreditFilter::Credited),
            leads: (reads_leads && filter.asks_for_deals_only()).then(|| self.leads_of_passing_deals(filter)),
            ..Test::default()
        };
        (!test.asks_for_nothing()).then(|| test.about(&self.pools))
    }

    fn asked_channels(&self, filter: &Filter) -> Option<HashSet<Option<ChannelRef>>> {
        if filter.channels.is_empty() && filter.media.is_empty() {
            return None;
        }
        let names = &self.records.dictionary.channels;
        let asked = known(&filter.channels, |channel: &Id<_>| names.get(channel.as_str()));
        let all = names.refs().map(Some).chain([None]);
        let passing = all.filter(|channel| {
            (filter.channels.is_empty() || asked.contains(channel))
                && (filter.media.is_empty() || filter.media.contains(&channel.and_then(|c| self.media_of(c))))
        });
        Some(passing.collect())
    }

    /// The medium of a channel, where it is known.
    pub fn media_of(&self, channel: ChannelRef) -> Option<Media> {
        let id = Id::try_new(self.records.dictionary.channels.name(channel)).expect("ids went in as ids");
        self.records.channels.chain(&id)?.last_present()?.media
    }

    fn labels_pass(&self, filter: &Filter, labels: &[(TermRef, TermRef)]) -> bool {
        let terms = &self.records.dictionary.terms;
        filter.deal_labels.iter().all(|(key, values)| {
            let key = terms.get(key.as_str());
            let value = labels.iter().find(|(known, _)| Some(*known) == key).map(|(_, value)| *value);
            known(values, |value: &Term| terms.get(value.as_str())).contains(&value)
        })
    }

    /// The leads of which a deal passes a filter's products and labels.
    fn leads_of_passing_deals(&self, filter: &Filter) -> HashSet<u32> {
        let passes = self.by_product_and_labels(filter);
        let a_deal_passes = |deals: &[DealRef]| {
            deals.iter().filter_map(|&deal| self.records.deals.current(deal)).any(|deal| passes(&deal))
        };
        let passing = self.deals_of_leads.iter().filter(|(_, deals)| a_deal_passes(deals));
        passing.map(|(lead, _)| lead.number()).collect()
    }

    /// Whether a deal passes a filter's products and labels.
    pub(super) fn by_product_and_labels<'a>(
        &'a self,
        filter: &'a Filter,
    ) -> impl Fn(&PackedDeal) -> bool + 'a {
        let terms = &self.records.dictionary.terms;
        let products = known(&filter.products, |product: &Term| terms.get(product.as_str()));
        move |deal| {
            (filter.products.is_empty() || products.contains(&deal.product))
                && self.labels_pass(filter, &deal.labels)
        }
    }

    /// The unit to which a desk belongs.
    pub(super) fn unit_of_desk(&self, desk: &Desk) -> Option<UnitRef> {
        let owners_unit = || {
            let owner = self.employee_trees.survivor(desk.owner?);
            *self.unit_of.get(owner.index())?
        };
        desk.unit.or_else(owners_unit)
    }

    /// The region of a partner, where it was sent with one.
    pub fn region_of(&self, partner: &PartnerId) -> Option<Term> {
        self.records.partners.chain(partner)?.last_present()?.region.clone()
    }

    /// The name of what a row of a list by a dimension is of, where the host sent one.
    pub fn name_of(&self, dimension: &Dimension, value: &GroupValue) -> Option<&str> {
        let GroupValue::Value(value) = value else { return None };
        match dimension {
            Dimension::Partner => self.name_of_one(SubjectKind::Partner, value),
            Dimension::Employee => self.name_of_one(SubjectKind::Employee, value),
            Dimension::Unit => self.name_of_one(SubjectKind::Unit, value),
            Dimension::Channel => {
                self.records.channels.chain(&Id::try_new(value).ok()?)?.last_present()?.name.as_deref()
            }
            _ => None,
        }
    }

    /// The name of one of a kind, where the host sent one.
    pub fn name_of_one(&self, kind: SubjectKind, id: &str) -> Option<&str> {
        let Records { partners, employees, units, .. } = &self.records;
        match kind {
            SubjectKind::Partner => partners.chain(&Id::try_new(id).ok()?)?.last_present()?.name.as_deref(),
            SubjectKind::Employee => employees.chain(&Id::try_new(id).ok()?)?.last_present()?.name.as_deref(),
            SubjectKind::Unit => units.chain(&Id::try_new(id).ok()?)?.last_present()?.name.as_deref(),
        }
    }

    /// The subject that counts in its place, with its name: itself, or what it was merged into.
    pub fn identify(&self, subject: &Subject) -> (Subject, Option<&str>) {
        let Records { dictionary, partners, employees, units, .. } = &self.records;
        match subject {
            Subject::Tenant => (Subject::Tenant, None),
            Subject::Partner { partner, include_sub_partners } => {
                let partner = survivor(&dictionary.partners, &self.partner_trees, partner);
                let name = partners.chain(&partner).and_then(Chain::last_present);
                let name = name.and_then(|partner| partner.name.as_deref());
                (Subject::Partner { partner, include_sub_partners: *include_sub_partners }, name)
            }
            Subject::Employee(employee) => {
                let employee = survivor(&dictionary.employees, &self.employee_trees, employee);
                let name = employees.chain(&employee).and_then(Chain::last_present);
                let name = name.and_then(|employee| employee.name.as_deref());
                (Subject::Employee(employee), name)
            }
            Subject::Unit(unit) => {
                let name = units.chain(unit).and_then(Chain::last_present);
                (subject.clone(), name.and_then(|unit| unit.name.as_deref()))
            }
        }
    }

    /// Up to `count` subjects of a kind, by the bytes of their ids, after the id given: those that are listed.
    pub fn subjects(
        &self,
        kind: SubjectKind,
        include_sub_partners: bool,
        after: Option<&str>,
        count: usize,
    ) -> Vec<Subject> {
        fn id<K>(listed: &str) -> Id<K> {
            Id::try_new(listed).expect("ids went in as ids")
        }
        let subject = |listed: &str| match kind {
            SubjectKind::Partner => Subject::Partner { partner: id(listed), include_sub_partners },
            SubjectKind::Employee => Subject::Employee(id(listed)),
            SubjectKind::Unit => Subject::Unit(id(listed)),
        };
        self.listed(kind, after).map(subject).take(count).collect()
    }

    /// The ids of the subjects of a kind that lists and boards hold, by their bytes, after the id given. Those
    /// that the host deleted or merged, or never sent, are not among them.
    fn listed(&self, kind: SubjectKind, after: Option<&str>) -> impl Iterator<Item = &str> {
        let all = self.rosters.of(kind).listed();
        let is_before = |&number: &u32| {
            after.is_some_and(|after| self.id_by_number(kind, number).as_bytes() <= after.as_bytes())
        };
        let following = &all[all.partition_point(is_before)..];
        following.iter().map(move |&number| self.id_by_number(kind, number))
    }

    /// The id of the subject that has a number.
    pub(super) fn id_by_number(&self, kind: SubjectKind, number: u32) -> &str {
        let dictionary = &self.records.dictionary;
        match kind {
            SubjectKind::Partner => dictionary.partners.name(Ref::new(number)),
            SubjectKind::Employee => dictionary.employees.name(Ref::new(number)),
            SubjectKind::Unit => dictionary.units.name(Ref::new(number)),
        }
    }
}

/// The numbers of what is asked for. What has none matches nothing.
pub(super) fn known<T, R: Eq + std::hash::Hash>(
    asked: &[Option<T>],
    number: impl Fn(&T) -> Option<R>,
) -> HashSet<Option<R>> {
    let numbered = asked.iter().filter_map(|asked| match asked {
        None => Some(None),
        Some(asked) => number(asked).map(Some),
    });
    numbered.collect()
}

/// Whether a value is among those asked for; everything is where none is.
fn one_of(asked: &[Option<Term>], value: Option<&Term>) -> bool {
    asked.is_empty() || asked.iter().any(|asked| asked.as_ref() == value)
}

fn survivor<K>(names: &Names<K>, trees: &Trees<K>, id: &Id<K>) -> Id<K> {
    let survivor = names.get(id.as_str()).map(|known| names.name(trees.survivor(known)));
    survivor.map_or(id.clone(), |name| Id::try_new(name).expect("ids went in as ids"))
}
