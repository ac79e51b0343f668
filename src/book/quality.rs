//! Data quality: what is odd or missing in the records that figures rest on (docs/kpis.md §10).
//!
//! Everything is told of current versions, in one pass over the ends of deals from the window's first day
//! on: a deal that ended before it wasn't open in it.

use std::collections::BTreeSet;

use super::Book;
use super::circles::Circles;
use super::contribute::{Ground, value_on};
use super::entry::{Event, Value};
use super::names::{Names, Ref};
use super::packed::{DealRef, LeadRef, PackedDeal};
use super::page::Row;
use super::patience::{IsAwaited, while_awaited};
use super::scope::Scope;
use crate::domain::calendar::{Date, DateRange};
use crate::domain::ids::Id;
use crate::domain::premises::RatesOn;
use crate::domain::record::{DealStatus, Expiry, Settings};

/// What may be odd or missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    // Of deals open on a day of the window or ended in it.
    NoAmount,
    /// An amount that can't be converted on a day on which it counts.
    NoRate,
    /// In the roles asked for.
    NoCredit,
    // References to what was never sent.
    UnknownPartner,
    UnknownOwner,
    UnknownUnit,
    UnknownLead,
    UnknownChannel,
    ClosedBeforeOpened,
    ExpiredBeforeOpened,
    /// Closed after `as_of` and after the day on which the host said so.
    ClosedInFuture,
    OneVersion,
    // Of deals open at the end of `as_of`.
    ExpectedClosePassed,
    Stale,
    // Of leads converted in the window.
    ConvertedWithoutDeal,
    // Of all subjects of the tenant.
    PartnerParentCircle,
    UnitParentCircle,
    PartnerMergerCircle,
    EmployeeMergerCircle,
}

/// A question about data quality.
#[derive(Clone, Copy, Debug)]
pub struct QualityQuestion {
    /// The days of the window that count.
    pub dates: DateRange,
    pub as_of: Date,
    /// Of what was opened or ended in the window.
    pub rates: RatesOn,
    /// Of what is open on `as_of`.
    pub rates_of_stock: Date,
    pub stale_days: i32,
    /// How many ids of each finding are listed.
    pub ids_max: usize,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quality<'a> {
    /// Deals open on a day of the window or ended in it.
    pub deal_count: i64,
    /// Deals open at the end of `as_of`.
    pub open_deal_count: i64,
    /// Leads converted in the window.
    pub converted_lead_count: i64,
    /// One of each kind, in their order.
    pub findings: Vec<Finding<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding<'a> {
    pub kind: FindingKind,
    pub count: i64,
    /// Of deals or leads: the least.
    pub ids: Least<'a>,
    /// Of references: the least of those that were never sent.
    pub missing: Least<'a>,
    /// As far as the ids go.
    pub circles: Circles<'a>,
}

/// The least of many ids by their bytes, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Least<'a> {
    pub ids: BTreeSet<&'a str>,
    max: usize,
}

/// Which ones of a kind the host sent, by their numbers.
struct Sent(Vec<bool>);

/// Of whom a deal may speak.
struct Known {
    partners: Sent,
    employees: Sent,
    units: Sent,
    channels: Sent,
}

// === impl FindingKind ===

impl FindingKind {
    pub const ALL: [Self; 19] = [
        Self::NoAmount,
        Self::NoRate,
        Self::NoCredit,
        Self::UnknownPartner,
        Self::UnknownOwner,
        Self::UnknownUnit,
        Self::UnknownLead,
        Self::UnknownChannel,
        Self::ClosedBeforeOpened,
        Self::ExpiredBeforeOpened,
        Self::ClosedInFuture,
        Self::OneVersion,
        Self::ExpectedClosePassed,
        Self::Stale,
        Self::ConvertedWithoutDeal,
        Self::PartnerParentCircle,
        Self::UnitParentCircle,
        Self::PartnerMergerCircle,
        Self::EmployeeMergerCircle,
    ];
}

// === impl Least ===

impl<'a> Least<'a> {
    fn of(max: usize) -> Self {
        Self { ids: BTreeSet::new(), max }
    }

    fn add(&mut self, id: &'a str) {
        let in_reach = self.ids.len() < self.max || self.ids.last().is_some_and(|greatest| id < *greatest);
        if in_reach && self.ids.insert(id) && self.ids.len() > self.max {
            self.ids.pop_last();
        }
    }
}

// === impl Sent ===

impl Sent {
    fn of<'a, K: 'a>(names: &Names<K>, sent: impl Iterator<Item = &'a Id<K>>) -> Self {
        let mut is_sent = vec![false; names.len()];
        for number in sent.filter_map(|id| names.get(id.as_str())) {
            is_sent[number.index()] = true;
        }
        Self(is_sent)
    }

    fn lacks<K>(&self, number: Ref<K>) -> bool {
        !self.0[number.index()]
    }
}

// === impl QualityQuestion ===

impl QualityQuestion {
    /// Where the tenant's settings say nothing (docs/kpis.md §10).
    pub const STALE_DAYS_DEFAULT: u32 = 60;

    /// Whether a deal was open on a day of the window or ended in it.
    fn is_of_window(&self, end: &Row) -> bool {
        self.dates.days() > 0 && end.on >= self.dates.from && end.other_on < self.dates.to
    }

    fn is_open(&self, end: &Row) -> bool {
        end.on > self.as_of && end.other_on <= self.as_of
    }

    /// Whether the amount can't be converted on a day on which it counts.
    fn lacks_rate(&self, end: &Row, deal: &PackedDeal, settings: &Settings, ground: &Ground) -> bool {
        if deal.amount.is_none_or(|money| money.currency == settings.reporting_currency) {
            return false;
        }
        let own_days = [end.other_on, end.on].into_iter().filter(|&on| self.dates.contains(on));
        let days = own_days.map(|on| self.rates.day().unwrap_or(on));
        let mut days = days.chain(self.is_open(end).then_some(self.rates_of_stock));
        let lacks = |on| matches!(value_on(deal.amount, on, settings, &ground.rates), Value::Unconverted(_));
        days.any(lacks)
    }
}

// === impl Book ===

impl Book {
    /// What is odd or missing in the records of a scope.
    pub fn quality<'a>(
        &'a self,
        scope: &Scope,
        asked: &QualityQuestion,
        is_awaited: IsAwaited<'_>,
    ) -> Quality<'a> {
        let (least, circles) = (Least::of(asked.ids_max), Circles::new());
        let finding = |kind| Finding {
            kind,
            count: 0,
            ids: least.clone(),
            missing: least.clone(),
            circles: circles.clone(),
        };
        let mut quality = Quality {
            deal_count: 0,
            open_deal_count: 0,
            converted_lead_count: 0,
            findings: FindingKind::ALL.map(finding).into(),
        };
        let Some(settings) = self.settings() else { return quality };
        let known = self.known();
        let from = asked.dates.from.min(asked.as_of.next());
        let ended = self.pages.entries(&self.pools, |page| &page.ended, scope, from, Date::NEVER);
        for (row, _) in while_awaited(ended, is_awaited) {
            let number = DealRef::new(row.of);
            if asked.is_of_window(row) {
                quality.deal_count += 1;
                self.inspect_deal(&mut quality, row, scope, asked, settings, &known);
            }
            if asked.is_open(row) {
                quality.open_deal_count += 1;
                self.inspect_open_deal(&mut quality, number, asked, settings);
            }
        }
        let last = asked.dates.to.plus_days(-1);
        let leads = self.pages.entries(&self.pools, |page| &page.leads, scope, asked.dates.from, last);
        for (row, _) in while_awaited(leads, is_awaited) {
            if row.event != Event::LeadConverted {
                continue;
            }
            quality.converted_lead_count += 1;
            let lead = LeadRef::new(row.of);
            if self.deals_of_leads.get(&lead).is_none_or(|deals| deals.is_empty()) {
                let id = self.records.dictionary.leads.name(lead);
                quality.note(FindingKind::ConvertedWithoutDeal, id);
            }
        }
        quality.note_circles(FindingKind::PartnerParentCircle, self.partner_parent_circles());
        quality.note_circles(FindingKind::UnitParentCircle, self.unit_parent_circles());
        quality.note_circles(FindingKind::PartnerMergerCircle, self.partner_merger_circles());
        quality.note_circles(FindingKind::EmployeeMergerCircle, self.employee_merger_circles());
        quality
    }

    fn known(&self) -> Known {
        let dictionary = &self.records.dictionary;
        Known {
            partners: Sent::of(&dictionary.partners, self.records.partners.chains().map(|(id, _)| id)),
            employees: Sent::of(&dictionary.employees, self.records.employees.chains().map(|(id, _)| id)),
            units: Sent::of(&dictionary.units, self.records.units.chains().map(|(id, _)| id)),
            channels: Sent::of(&dictionary.channels, self.records.channels.chains().map(|(id, _)| id)),
        }
    }

    /// A deal of the window.
    fn inspect_deal<'a>(
        &'a self,
        quality: &mut Quality<'a>,
        end: &Row,
        scope: &Scope,
        asked: &QualityQuestion,
        settings: &Settings,
        known: &Known,
    ) {
        let number = DealRef::new(end.of);
        let dictionary = &self.records.dictionary;
        let id = dictionary.deals.name(number);
        let versions = self.records.deals.versions(number);
        let Some((deal, newest)) = self.records.deals.current(number).zip(versions.last()) else { return };

        let mut note = |kind, is_so: bool| {
            if is_so {
                quality.note(kind, id);
            }
        };
        let date = |at| settings.zone.local_date(at);
        let opened_on = date(deal.opened_at);
        let closed_on = match deal.status {
            DealStatus::Won(at) | DealStatus::Lost(at) => Some(date(at)),
            DealStatus::Open => None,
        };
        let expired_on = match deal.expiry {
            Some(Expiry::At(at)) => Some(date(at)),
            Some(Expiry::Never) | None => None,
        };
        let told_on = date(newest.key.update_time);
        note(FindingKind::NoAmount, deal.amount.is_none());
        note(FindingKind::NoRate, asked.lacks_rate(end, &deal, settings, &self.ground));
        note(FindingKind::NoCredit, !deal.credits.iter().any(|credit| scope.roles.contains(credit.role)));
        note(FindingKind::ClosedBeforeOpened, closed_on.is_some_and(|on| on < opened_on));
        note(FindingKind::ExpiredBeforeOpened, expired_on.is_some_and(|on| on < opened_on));
        note(FindingKind::ClosedInFuture, closed_on.is_some_and(|on| on > asked.as_of && on > told_on));
        note(FindingKind::OneVersion, versions.len() == 1);

        let unknown = deal.credits.iter().map(|credit| credit.partner).filter(|&it| known.partners.lacks(it));
        let unknown: BTreeSet<&str> = unknown.map(|partner| dictionary.partners.name(partner)).collect();
        if !unknown.is_empty() {
            quality.note(FindingKind::UnknownPartner, id);
            unknown.into_iter().for_each(|it| quality.note_missing(FindingKind::UnknownPartner, it));
        }
        let owner = deal.owner.filter(|&owner| known.employees.lacks(owner));
        let unit = deal.unit.filter(|&unit| known.units.lacks(unit));
        let lead = deal.lead.filter(|&lead| !self.records.leads.has(lead));
        let channel = deal.channel.filter(|&channel| known.channels.lacks(channel));
        for (kind, missing) in [
            (FindingKind::UnknownOwner, owner.map(|owner| dictionary.employees.name(owner))),
            (FindingKind::UnknownUnit, unit.map(|unit| dictionary.units.name(unit))),
            (FindingKind::UnknownLead, lead.map(|lead| dictionary.leads.name(lead))),
            (FindingKind::UnknownChannel, channel.map(|channel| dictionary.channels.name(channel))),
        ] {
            if let Some(missing) = missing {
                quality.note(kind, id);
                quality.note_missing(kind, missing);
            }
        }
    }

    /// A deal open at the end of `as_of`.
    fn inspect_open_deal<'a>(
        &'a self,
        quality: &mut Quality<'a>,
        number: DealRef,
        asked: &QualityQuestion,
        settings: &Settings,
    ) {
        let id = self.records.dictionary.deals.name(number);
        let Some(deal) = self.records.deals.current(number) else { return };
        if deal.expected_close.is_some_and(|on| on < asked.as_of) {
            quality.note(FindingKind::ExpectedClosePassed, id);
        }
        let dates = self.records.deals.versions(number).into_iter().rev();
        let mut dates = dates.map(|version| settings.zone.local_date(version.key.update_time));
        // Before its first version nothing could be heard of it.
        let heard_on = dates.find(|&on| on <= asked.as_of);
        if heard_on.is_some_and(|on| asked.as_of.days_since(on) > asked.stale_days) {
            quality.note(FindingKind::Stale, id);
        }
    }
}

// === impl Quality ===

impl<'a> Quality<'a> {
    fn note(&mut self, kind: FindingKind, id: &'a str) {
        let finding = &mut self.findings[kind as usize];
        finding.count += 1;
        finding.ids.add(id);
    }

    fn note_missing(&mut self, kind: FindingKind, id: &'a str) {
        self.findings[kind as usize].missing.add(id);
    }

    fn note_circles(&mut self, kind: FindingKind, found: Circles<'a>) {
        let finding = &mut self.findings[kind as usize];
        finding.count = found.len() as i64;
        let mut left = finding.ids.max;
        for mut circle in found {
            circle.truncate(left);
            left -= circle.len();
            if !circle.is_empty() {
                finding.circles.push(circle);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::book::histories::book_of;
    use crate::book::records::StoredVersion;
    use crate::book::small_tenant::{history, id, subjects, windows};
    use crate::domain::calendar::date;
    use crate::domain::filter::{CreditFilter, Filter};
    use crate::domain::premises::Roles;
    use crate::domain::record::{Deal, Lead, LeadOutcome, Record, RecordKey, RecordKind, Role, State};
    use crate::domain::subject::Subject;

    /// What is found slowly: of each kind the ids, and the ids that are missing.
    type Slow = BTreeMap<usize, (BTreeSet<String>, BTreeSet<String>)>;

    fn current_deal(versions: &[StoredVersion]) -> Option<&Deal> {
        match &versions.last()?.version.record {
            Record::Deal(_, State::Present(deal)) => Some(deal),
            _ => None,
        }
    }

    /// The ids of a kind that were ever sent.
    fn sent(book: &Book, kind: RecordKind) -> BTreeSet<String> {
        let all = book.records().list(kind, None, 1_000, true).into_iter();
        all.map(|stored| match stored.version.record.key() {
            RecordKey::Partner(id) => id.to_string(),
            RecordKey::Employee(id) => id.to_string(),
            RecordKey::Unit(id) => id.to_string(),
            RecordKey::Lead(id) => id.to_string(),
            RecordKey::Channel(id) => id.to_string(),
            other => panic!("{other:?} isn't asked for"),
        })
        .collect()
    }

    /// From and to which day, as docs/kpis.md §2 has it.
    fn life(deal: &Deal, settings: &Settings) -> (Date, Date) {
        let date = |at| settings.zone.local_date(at);
        let opened_on = date(deal.opened_at);
        match (deal.status, deal.expiry, settings.time_limit_days) {
            (DealStatus::Won(at) | DealStatus::Lost(at), ..) => (opened_on.min(date(at)), date(at)),
            (DealStatus::Open, Some(Expiry::Never), _) | (DealStatus::Open, None, None) => {
                (opened_on, Date::NEVER)
            }
            (DealStatus::Open, Some(Expiry::At(at)), _) => (opened_on, opened_on.max(date(at))),
            (DealStatus::Open, None, Some(limit)) => {
                let on = opened_on.plus_days(limit.into());
                (opened_on, if on > Date::LAST { Date::NEVER } else { on })
            }
        }
    }

    /// All by the records themselves; the book only says whose they are.
    fn slow(book: &Book, scope: &Scope, asked: &QualityQuestion) -> (i64, i64, Slow) {
        let settings = book.settings().expect("a scope of nothing is not asked for");
        let mut found: Slow = (0..FindingKind::ALL.len()).map(|kind| (kind, Default::default())).collect();
        let (mut deal_count, mut open_deal_count) = (0, 0);
        let [partners, employees, units, leads, channels] = [
            RecordKind::Partner,
            RecordKind::Employee,
            RecordKind::Unit,
            RecordKind::Lead,
            RecordKind::Channel,
        ]
        .map(|kind| sent(book, kind));

        let of_scope = book.pages.entries(&book.pools, |page| &page.opened, scope, Date::FIRST, Date::NEVER);
        let deals: Vec<String> = of_scope
            .map(|(row, _)| book.records.dictionary.deals.name(DealRef::new(row.of)).to_owned())
            .collect();
        for name in &deals {
            let mut note = |kind: FindingKind, is_so: bool, missing: Option<String>| {
                if is_so {
                    let (ids, unknown) = found.get_mut(&(kind as usize)).expect("one for each");
                    ids.insert(name.clone());
                    unknown.extend(missing);
                }
            };
            let versions = book.records().versions(&RecordKey::Deal(id(name)));
            let deal = current_deal(&versions).expect("it has entries");
            let date = |at| settings.zone.local_date(at);
            let told: Vec<Date> = versions.iter().map(|v| date(v.version.key.update_time)).collect();
            let (opened_on, ended_on) = life(deal, settings);
            let is_open_on = |on: Date| opened_on <= on && on < ended_on;
            if is_open_on(asked.as_of) {
                open_deal_count += 1;
                let overdue = deal.expected_close.is_some_and(|on| on < asked.as_of);
                note(FindingKind::ExpectedClosePassed, overdue, None);
                let heard = told.iter().filter(|on| **on <= asked.as_of).max();
                let limit = asked.as_of.plus_days(-asked.stale_days);
                note(FindingKind::Stale, heard.is_some_and(|on| *on < limit), None);
            }
            // Day by day would take long: at its ends a span touches a window or not.
            let DateRange { from, to } = asked.dates;
            let is_of_window = from < to
                && (asked.dates.contains(ended_on)
                    || is_open_on(from)
                    || (asked.dates.contains(opened_on) && opened_on <= ended_on));
            if !is_of_window {
                continue;
            }
            deal_count += 1;
            let closed_on = match deal.status {
                DealStatus::Won(at) | DealStatus::Lost(at) => Some(date(at)),
                DealStatus::Open => None,
            };
            let future = closed_on.is_some_and(|on| on > asked.as_of && on > *told.last().unwrap());
            let early = matches!(deal.expiry, Some(Expiry::At(at)) if date(at) < date(deal.opened_at));
            note(FindingKind::NoAmount, deal.amount.is_none(), None);
            note(
                FindingKind::ClosedBeforeOpened,
                closed_on.is_some_and(|on| on < date(deal.opened_at)),
                None,
            );
            note(FindingKind::ExpiredBeforeOpened, early, None);
            note(FindingKind::ClosedInFuture, future, None);
            note(FindingKind::OneVersion, versions.len() == 1, None);
            let has_credit = deal.credits.iter().any(|credit| scope.roles.contains(credit.role));
            note(FindingKind::NoCredit, !has_credit, None);

            let mut days = Vec::new();
            days.extend(asked.dates.contains(opened_on).then(|| asked.rates.day().unwrap_or(opened_on)));
            days.extend(asked.dates.contains(ended_on).then(|| asked.rates.day().unwrap_or(ended_on)));
            days.extend(is_open_on(asked.as_of).then_some(asked.rates_of_stock));
            let lacks = deal.amount.is_some_and(|money| {
                days.iter().any(|&on| {
                    let (from, to) = (money.currency, settings.reporting_currency);
                    let converted = book.ground.rates.conversion(from, to, on);
                    from != to && converted.is_none_or(|rate| rate.convert(money.amount).is_none())
                })
            });
            note(FindingKind::NoRate, lacks, None);

            for credit in deal.credits.iter() {
                let partner = credit.partner.to_string();
                note(FindingKind::UnknownPartner, !partners.contains(&partner), Some(partner));
            }
            for (kind, named, known) in [
                (FindingKind::UnknownOwner, deal.owner.as_ref().map(Id::to_string), &employees),
                (FindingKind::UnknownUnit, deal.unit.as_ref().map(Id::to_string), &units),
                (FindingKind::UnknownLead, deal.lead.as_ref().map(Id::to_string), &leads),
                (FindingKind::UnknownChannel, deal.channel.as_ref().map(Id::to_string), &channels),
            ] {
                note(kind, named.as_ref().is_some_and(|named| !known.contains(named)), named);
            }
        }

        let of_scope = book.pages.entries(&book.pools, |page| &page.leads, scope, Date::FIRST, Date::NEVER);
        let leads: BTreeSet<String> = of_scope
            .map(|(row, _)| book.records.dictionary.leads.name(LeadRef::new(row.of)).to_owned())
            .collect();
        let all_deals = book.records().list(RecordKind::Deal, None, 1_000, false);
        for lead in leads {
            let stored = book.records().versions(&RecordKey::Lead(id(&lead))).pop().expect("it has entries");
            let Record::Lead(_, State::Present(Lead { outcome: LeadOutcome::Converted(at), .. })) =
                stored.version.record
            else {
                continue;
            };
            let is_named = all_deals.iter().any(|stored| match &stored.version.record {
                Record::Deal(_, State::Present(deal)) => {
                    deal.lead.as_ref().is_some_and(|named| named.as_str() == lead)
                }
                _ => false,
            });
            if asked.dates.contains(settings.zone.local_date(at)) && !is_named {
                let kind = FindingKind::ConvertedWithoutDeal as usize;
                found.get_mut(&kind).expect("one for each").0.insert(lead);
            }
        }
        (deal_count, open_deal_count, found)
    }

    /// Those who come back to themselves by asking again and again who stands above.
    fn on_partner_circles(book: &Book) -> BTreeSet<String> {
        let survivor = |partner: &str| {
            let subject = Subject::Partner { partner: id(partner), include_sub_partners: false };
            match book.identify(&subject).0 {
                Subject::Partner { partner, .. } => partner.to_string(),
                other => panic!("{other:?} is no partner"),
            }
        };
        let parent = |partner: &str| {
            let versions = book.records().versions(&RecordKey::Partner(id(partner)));
            let present = versions.iter().rev().find_map(|stored| match &stored.version.record {
                Record::Partner(_, State::Present(partner)) => Some(partner.clone()),
                _ => None,
            });
            Some(survivor(present?.parent?.as_str()))
        };
        let all = sent(book, RecordKind::Partner);
        let comes_back = |start: &String| {
            let mut at = parent(start);
            for _ in 0..all.len() {
                match at {
                    Some(here) if here == *start => return true,
                    here => at = here.and_then(|here| parent(&here)),
                }
            }
            false
        };
        all.iter().filter(|start| survivor(start) == **start && comes_back(start)).cloned().collect()
    }

    fn roles() -> impl Strategy<Value = Roles> {
        select(vec![Roles::SOURCED, Roles::of(&[Role::Influenced, Role::Fulfilled])])
    }

    fn filters() -> impl Strategy<Value = Filter> {
        let direct = Filter { credit: Some(CreditFilter::Direct), ..Filter::default() };
        select(vec![Filter::default(), direct])
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(512), ..Default::default() })]

        #[test]
        fn every_finding_equals_a_slow_look_at_the_records(
            history in history(), subject in select(subjects()), filter in filters(), roles in roles(),
            fixed in proptest::option::of(select(vec![date("2023-11-30"), date("2024-01-31")])),
            later in select(vec![0, 1, 40, 400]), stale_days in select(vec![1, 30, 20_000]),
            ids_max in select(vec![0, 1, 1_000]),
        ) {
            let book = book_of(history);
            let scope = book.scope(&subject, &filter, roles).filter(|_| book.settings().is_some());
            let Some(scope) = scope else { return Ok(()) };
            for window in windows() {
                let as_of = window.to.plus_days(later - 1).min(date("2026-01-01"));
                let dates = DateRange { from: window.from, to: window.to.min(as_of.next()) };
                let rates = fixed.map_or(RatesOn::OwnDay, RatesOn::Day);
                let rates_of_stock = fixed.unwrap_or(as_of);
                let asked = QualityQuestion { dates, as_of, rates, rates_of_stock, stale_days, ids_max };
                let quality = book.quality(&scope, &asked, &|| true);
                let (deal_count, open_deal_count, expected) = slow(&book, &scope, &asked);
                prop_assert_eq!((quality.deal_count, quality.open_deal_count), (deal_count, open_deal_count));
                for (at, kind) in FindingKind::ALL.into_iter().enumerate() {
                    let found = &quality.findings[at];
                    prop_assert_eq!((found.kind, kind as usize), (kind, at));
                    if kind as usize >= FindingKind::PartnerParentCircle as usize {
                        continue;
                    }
                    let (ids, missing) = &expected[&at];
                    prop_assert_eq!(found.count, ids.len() as i64, "{:?} {:?}", kind, asked);
                    let first = |ids: &BTreeSet<String>| ids.iter().take(ids_max).cloned().collect::<Vec<_>>();
                    let listed = |least: &Least<'_>| least.ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
                    prop_assert_eq!(listed(&found.ids), first(ids), "{:?}", kind);
                    prop_assert_eq!(listed(&found.missing), first(missing), "{:?}", kind);
                }
            }
            let circles = book.partner_parent_circles();
            let on_circles: BTreeSet<String> = circles.concat().into_iter().map(str::to_owned).collect();
            prop_assert_eq!(circles.concat().len(), on_circles.len(), "each lies on one circle");
            prop_assert_eq!(on_circles, on_partner_circles(&book));
        }
    }
}
