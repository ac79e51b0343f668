//! Marketing against plain records: every row of every question over random histories equals a slow count
//! of the same leads, deals and spends; rows add up; the order in which records came changes nothing.
//!
//! Partners, employees and rates stay the same here: trees and conversions have tests of their own.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;

use super::MarketingQuestion;
use crate::book::Book;
use crate::book::histories::{apply, currency, days, id, noon, plain_deal, plain_settings};
use crate::book::pages::older;
use crate::domain::amount::{Amount, BasisPoints, Money};
use crate::domain::calendar::{Date, DateRange, Instant, date};
use crate::domain::exchange::{Rate, RateKey};
use crate::domain::filter::Filter;
use crate::domain::ids::Term;
use crate::domain::premises::{RatesOn, Roles};
use crate::domain::record::{
    Channel, Credit, Credits, Deal, DealStatus, Employee, Expiry, Labels, Lead, LeadOutcome, Media, Partner,
    Record, Role, Spend, State, Version, VersionKey, canonical,
};
use crate::domain::subject::Subject;
use crate::domain::window::{PeriodStarts, Window, WindowSpec};
use crate::kpi::marketing_channel::{AllChannels, Basis, MarketingFold, Performance};
use crate::kpi::measures::Measures;

const DAYS: [&str; 7] =
    ["2024-01-01", "2024-01-10", "2024-01-31", "2024-02-01", "2024-02-10", "2024-02-29", "2024-03-01"];

/// With the last day that counts: whole and partial, later than the window, none of it yet.
const WINDOWS: [(&str, &str); 7] = [
    ("2024-01-01..2024-04-01", "2024-03-31"),
    ("2024-01-01..2024-02-01", "2024-01-31"),
    ("2024-01-01..2024-02-01", "2024-02-10"),
    ("2024-01-10..2024-02-11", "2024-02-01"),
    ("2024-02-01..2024-03-01", "2024-03-01"),
    ("2024-01-31..2024-02-01", "2024-03-31"),
    ("2024-02-01..2024-03-01", "2024-01-10"),
];

/// p2 is p1, p3 stands below it.
const PARTNERS: [&str; 3] = ["p1", "p2", "p3"];

/// From which day on a euro is how many ten-thousandths of a dollar. A yen is nothing.
const RATES: [(&str, &str, i128); 2] = [("2024-01-10", "1.0847", 10_847), ("2024-02-10", "0.5", 5_000)];

fn term(text: &str) -> Term {
    Term::try_new(text).unwrap()
}

// === Random histories ===

fn day() -> impl Strategy<Value = Instant> {
    select(&DAYS[..]).prop_map(noon)
}

fn one_of<K: 'static>(
    texts: &'static [&'static str],
) -> impl Strategy<Value = Option<crate::domain::ids::Id<K>>> {
    proptest::option::weighted(0.6, select(texts).prop_map(id))
}

fn region() -> impl Strategy<Value = Option<Term>> {
    proptest::option::weighted(0.3, select(&["north", "south"][..]).prop_map(term))
}

fn money() -> impl Strategy<Value = Money> {
    let code = select(&["USD", "USD", "EUR", "JPY"][..]);
    (select(&[0, 1, 3, 10, 33_333, 1_234_567][..]), code)
        .prop_map(|(e4, code)| Money { amount: Amount::try_from_e4(e4).unwrap(), currency: currency(code) })
}

fn credits() -> impl Strategy<Value = Credits> {
    let all: [&[(&str, i64)]; 6] = [
        &[],
        &[("p1", 10_000)],
        &[("p3", 10_000)],
        &[("p2", 5_000), ("p3", 5_000)],
        &[("p3", 2_500)],
        &[("p1", 3_333), ("p2", 3_333)],
    ];
    select(all.to_vec()).prop_map(|shares| {
        let credit = |&(partner, bps): &(&str, i64)| Credit {
            role: Role::Sourced,
            partner: id(partner),
            share: Some(BasisPoints::try_new(bps).unwrap()),
        };
        Credits::try_new(shares.iter().map(credit).collect()).unwrap()
    })
}

fn deal() -> impl Strategy<Value = Deal> {
    let status = prop_oneof![
        2 => Just(DealStatus::Open),
        4 => day().prop_map(DealStatus::Won),
        1 => day().prop_map(DealStatus::Lost),
    ];
    let whose = (credits(), one_of(&["e1", "e2"]), region());
    let by = (one_of(&["l1", "l2", "l3", "l-unsent"]), one_of(&["c1", "c2", "c-unsent"]));
    let expiry = proptest::option::weighted(0.3, day().prop_map(Expiry::At));
    let product = proptest::option::weighted(0.4, Just(term("boots")));
    (day(), status, proptest::option::weighted(0.8, money()), expiry, whose, by, product).prop_map(
        |(opened_at, status, amount, expiry, (credits, owner, region), (lead, channel), product)| Deal {
            amount,
            expiry,
            credits,
            owner,
            region,
            lead,
            channel,
            product,
            ..plain_deal(opened_at, status)
        },
    )
}

fn lead() -> impl Strategy<Value = Lead> {
    let outcome = prop_oneof![
        2 => Just(LeadOutcome::Open),
        2 => day().prop_map(LeadOutcome::Converted),
        1 => day().prop_map(LeadOutcome::Disqualified),
    ];
    (day(), one_of(&PARTNERS), one_of(&["e1", "e2"]), one_of(&["c1", "c2", "c3"]), region(), outcome)
        .prop_map(|(created_at, partner, owner, channel, region, outcome)| Lead {
            created_at,
            partner,
            owner,
            channel,
            region,
            outcome,
        })
}

fn spend() -> impl Strategy<Value = Spend> {
    const DATES: [&str; 4] = [
        "2024-01-01..2024-02-01",
        "2024-01-05..2024-01-12",
        "2024-02-10..2024-02-11",
        "2023-12-30..2024-03-20",
    ];
    (select(&["c1", "c2", "c-spent"][..]), select(&DATES[..]), money(), one_of(&PARTNERS)).prop_map(
        |(channel, dates, amount, partner)| Spend {
            channel: id(channel),
            dates: days(dates),
            amount,
            partner,
        },
    )
}

fn state<T: Clone + std::fmt::Debug>(present: impl Strategy<Value = T>) -> impl Strategy<Value = State<T>> {
    prop_oneof![5 => present.prop_map(State::Present), 1 => Just(State::Deleted(()))]
}

fn record() -> impl Strategy<Value = Record> {
    let media = proptest::option::of(select(&[Media::Paid, Media::Earned, Media::Owned][..]));
    let channel = media.prop_map(|media| Channel { name: None, media });
    let deals = &["d1", "d2", "d3", "d4", "d5"][..];
    prop_oneof![
        6 => (select(deals), state(deal())).prop_map(|(of, state)| Record::Deal(id(of), state)),
        4 => (select(&["l1", "l2", "l3"][..]), state(lead()))
            .prop_map(|(of, state)| Record::Lead(id(of), state)),
        2 => (select(&["s1", "s2", "s3"][..]), state(spend()))
            .prop_map(|(of, state)| Record::Spend(id(of), state)),
        1 => (select(&["c1", "c2", "c3"][..]), state(channel))
            .prop_map(|(of, state)| Record::Channel(id(of), state)),
    ]
}

fn version() -> impl Strategy<Value = Version> {
    let key = |hour| VersionKey { update_time: Instant::FIRST.plus_hours(hour), sequence: 0 };
    (0..4i64, record()).prop_map(move |(hour, record)| Version { key: key(hour), record })
}

/// What every history begins with.
fn ground() -> Vec<Version> {
    let partner = |of: &str, parent: Option<&str>, merged_into: Option<&str>| {
        let partner = Partner {
            name: None,
            partner_type: None,
            tier: None,
            region: None,
            parent: parent.map(id),
            active: true,
            labels: Labels::new(),
            merged_into: merged_into.map(id),
        };
        Record::Partner(id(of), State::Present(partner))
    };
    let employee = Employee { name: None, unit: None, active: true, merged_into: None };
    let rate = |(on, rate, _): (&str, &str, i128)| {
        let key = RateKey { from: currency("EUR"), to: currency("USD"), on: date(on) };
        Record::Rate(key, State::Present(Rate::parse(rate).unwrap()))
    };
    let records = [
        Record::Settings(plain_settings()),
        partner("p1", None, None),
        partner("p2", None, Some("p1")),
        partner("p3", Some("p2"), None),
        Record::Employee(id("e1"), State::Present(employee)),
    ];
    let key = VersionKey { update_time: Instant::FIRST, sequence: 0 };
    records.into_iter().chain(RATES.map(rate)).map(|record| Version { key, record }).collect()
}

/// Whose, under which filter, in which window, on which basis, at which rates.
#[derive(Clone, Debug)]
struct Asked {
    subject: Subject,
    filter: Filter,
    window: Window,
    basis: Basis,
    rates: RatesOn,
}

fn asked() -> impl Strategy<Value = Asked> {
    let partner = |of: &str, include_sub_partners| Subject::Partner { partner: id(of), include_sub_partners };
    let subjects = vec![
        Subject::Tenant,
        Subject::Tenant,
        partner("p1", false),
        partner("p1", true),
        partner("p2", false),
        partner("p3", false),
        Subject::Employee(id("e1")),
    ];
    let none = Filter::default;
    let filters = vec![
        none(),
        none(),
        Filter { channels: vec![Some(id("c1"))], ..none() },
        Filter { channels: vec![None, Some(id("c-spent"))], ..none() },
        Filter { media: vec![Some(Media::Paid)], ..none() },
        Filter { media: vec![None, Some(Media::Earned)], ..none() },
        Filter { products: vec![Some(term("boots"))], ..none() },
        Filter { regions: vec![Some(term("north"))], ..none() },
    ];
    let basis = select(&[Basis::Period, Basis::Cohort][..]);
    let rates = select(vec![RatesOn::OwnDay, RatesOn::Day(date("2024-02-29"))]);
    (select(subjects), select(filters), select(&WINDOWS[..]), basis, rates).prop_map(
        |(subject, filter, (dates, as_of), basis, rates)| {
            let starts = PeriodStarts { week_start: chrono::Weekday::Mon, fiscal_year_start_month: 1 };
            let window = WindowSpec::Dates(days(dates)).resolve(date(as_of), &starts).unwrap();
            Asked { subject, filter, window, basis, rates }
        },
    )
}

// === The slow truth ===

/// What counts of a row.
#[derive(Clone, Debug, Default, PartialEq)]
struct Plain {
    leads: i64,
    converted: i64,
    opened: i64,
    won: i64,
    priced: i64,
    won_e4: i128,
    purchased: i64,
    lost: i64,
    prospects: i64,
    spent_e4: i128,
    unconverted_days: i64,
}

/// Current records, those that are there.
struct Truth {
    leads: BTreeMap<String, Lead>,
    deals: BTreeMap<String, Deal>,
    spends: Vec<Spend>,
    /// Whether it is deleted, and its medium.
    channels: BTreeMap<String, (bool, Option<Media>)>,
}

/// How a deal or prospect ended: on which day, and whether well.
type End = Option<(Date, bool)>;

/// In whose row something counts, and how much of it is the subject's.
struct Home {
    channel: Option<String>,
    region: Option<Term>,
    owner: Option<String>,
    credits: Vec<(String, i128)>,
}

fn local(at: Instant) -> Date {
    plain_settings().zone.local_date(at)
}

/// The one who counts in a partner's place.
fn survivor(partner: &str) -> &str {
    if partner == "p2" { "p1" } else { partner }
}

// === impl Truth ===

impl Truth {
    fn new(sent: &[Version]) -> Self {
        let mut sent: Vec<&Version> = sent.iter().collect();
        let is_deleted = |record: &Record| match record {
            Record::Deal(_, state) => state.is_deleted(),
            Record::Lead(_, state) => state.is_deleted(),
            Record::Spend(_, state) => state.is_deleted(),
            Record::Channel(_, state) => state.is_deleted(),
            _ => false,
        };
        sent.sort_by_key(|version| (version.key, is_deleted(&version.record), canonical(&version.record)));
        let mut truth = Self {
            leads: BTreeMap::new(),
            deals: BTreeMap::new(),
            spends: vec![],
            channels: BTreeMap::new(),
        };
        let mut spends = BTreeMap::new();
        for version in sent {
            match &version.record {
                Record::Deal(of, state) => put(&mut truth.deals, of.as_str(), state),
                Record::Lead(of, state) => put(&mut truth.leads, of.as_str(), state),
                Record::Spend(of, state) => put(&mut spends, of.as_str(), state),
                Record::Channel(of, state) => {
                    let known = truth.channels.entry(of.to_string()).or_default();
                    *known = match state {
                        State::Present(channel) => (false, channel.media),
                        State::Deleted(()) => (true, known.1),
                    };
                }
                _ => {}
            }
        }
        truth.spends = spends.into_values().collect();
        truth
    }

    fn media(&self, channel: Option<&String>) -> Option<Media> {
        self.channels.get(channel?)?.1
    }

    fn deals_of(&self, lead: &str) -> Vec<(&String, &Deal)> {
        let names = |deal: &Deal| deal.lead.as_ref().is_some_and(|named| named.as_str() == lead);
        let mut deals: Vec<_> = self.deals.iter().filter(|(_, deal)| names(deal)).collect();
        deals.sort_by_key(|(of, deal)| (opened_on(deal), (*of).clone()));
        deals
    }

    fn lead_of(&self, deal: &Deal) -> Option<&Lead> {
        self.leads.get(deal.lead.as_ref()?.as_str())
    }

    fn home_of_deal(&self, deal: &Deal) -> Home {
        let channel = deal.channel.clone().or_else(|| self.lead_of(deal)?.channel.clone());
        let credit = |credit: &Credit| {
            let bps = i128::from(credit.share.expect("all have one here").get());
            (credit.partner.to_string(), bps)
        };
        Home {
            channel: channel.map(|channel| channel.to_string()),
            region: deal.region.clone(),
            owner: deal.owner.as_ref().map(|owner| owner.to_string()),
            credits: deal.credits.iter().map(credit).collect(),
        }
    }

    fn home_of_lead(&self, of: &str, lead: &Lead) -> Home {
        let first = self.deals_of(of).first().map(|(_, deal)| *deal);
        let channel = lead.channel.as_ref().or_else(|| first?.channel.as_ref());
        let owner = lead.owner.as_ref().or_else(|| first?.owner.as_ref());
        Home {
            channel: channel.map(|channel| channel.to_string()),
            region: lead.region.clone().or_else(|| first?.region.clone()),
            owner: owner.map(|owner| owner.to_string()),
            credits: match (&lead.partner, first) {
                (Some(partner), _) => vec![(partner.to_string(), 10_000)],
                (None, Some(deal)) => self.home_of_deal(deal).credits,
                (None, None) => vec![],
            },
        }
    }

    fn end_of_prospect(&self, of: &str, lead: &Lead) -> End {
        let ends: Vec<End> = self.deals_of(of).into_iter().map(|(_, deal)| end_of(deal)).collect();
        let won = ends.iter().flatten().filter(|(_, won)| *won).map(|(on, _)| *on).min();
        if let Some(on) = won {
            return Some((on, true));
        }
        let mut lost: Vec<Date> = ends.iter().flatten().map(|(on, _)| *on).collect();
        if let LeadOutcome::Disqualified(at) = lead.outcome {
            lost.push(local(at));
        }
        let all_ended = ends.iter().all(Option::is_some);
        lost.into_iter().max().filter(|_| all_ended).map(|on| (on, false))
    }

    /// Each channel's row, unattributed under None.
    fn rows(&self, asked: &Asked) -> BTreeMap<Option<String>, Plain> {
        let Asked { window, basis, .. } = asked;
        let dates = DateRange { from: window.dates.from, to: window.dates.to.min(window.as_of.next()) };
        let mut rows: BTreeMap<Option<String>, Plain> = BTreeMap::new();
        let boots_only = !asked.filter.products.is_empty();
        let is_boots = |deal: &Deal| deal.product.is_some();
        for (of, lead) in &self.leads {
            let home = self.home_of_lead(of, lead);
            let sells_boots = self.deals_of(of).iter().any(|(_, deal)| is_boots(deal));
            if !self.passes(&home, asked) || (boots_only && !sells_boots) {
                continue;
            }
            let is_of_cohort = dates.contains(local(lead.created_at));
            let counts = |on: Date| match basis {
                Basis::Period => dates.contains(on),
                Basis::Cohort => is_of_cohort && on <= window.as_of,
            };
            let mut row = Plain::default();
            row.leads += i64::from(is_of_cohort);
            row.prospects += i64::from(is_of_cohort);
            if let LeadOutcome::Converted(at) = lead.outcome {
                row.converted += i64::from(counts(local(at)));
            }
            if let Some((on, won)) = self.end_of_prospect(of, lead) {
                row.purchased += i64::from(won && counts(on));
                row.lost += i64::from(!won && counts(on));
            }
            if *basis == Basis::Cohort {
                for (_, deal) in self.deals_of(of) {
                    self.add_deal(&mut row, deal, asked, &counts);
                }
            }
            add(&mut rows, home.channel, row);
        }
        if *basis == Basis::Period {
            for deal in self.deals.values() {
                let mut row = Plain::default();
                self.add_deal(&mut row, deal, asked, &|on| dates.contains(on));
                add(&mut rows, self.home_of_deal(deal).channel, row);
            }
        }
        for (channel, spent) in self.spent(asked, dates) {
            add(&mut rows, Some(channel), spent);
        }
        rows
    }

    fn add_deal(&self, row: &mut Plain, deal: &Deal, asked: &Asked, counts: &dyn Fn(Date) -> bool) {
        let home = self.home_of_deal(deal);
        let is_asked_product = asked.filter.products.is_empty() || deal.product.is_some();
        if !self.passes(&home, asked) || !is_asked_product {
            return;
        }
        row.opened += i64::from(counts(opened_on(deal)));
        let is_prospect = self.lead_of(deal).is_none();
        row.prospects += i64::from(is_prospect && counts(opened_on(deal)));
        let Some((on, won)) = end_of(deal).filter(|(on, _)| counts(*on)) else { return };
        row.purchased += i64::from(is_prospect && won);
        row.lost += i64::from(is_prospect && !won);
        if won {
            row.won += 1;
            let rates_on = asked.rates.day().unwrap_or(on);
            if let Some(whole_e4) = deal.amount.and_then(|money| dollars_e4(money, rates_on)) {
                row.priced += 1;
                row.won_e4 += part_of(whole_e4, &home.credits, &asked.subject);
            }
        }
    }

    fn passes(&self, home: &Home, asked: &Asked) -> bool {
        let Filter { channels, media, regions, .. } = &asked.filter;
        let channel = home.channel.as_deref();
        let is_asked =
            |id: &Option<crate::domain::ids::ChannelId>| id.as_ref().map(|id| id.as_str()) == channel;
        let is_subjects = match &asked.subject {
            Subject::Employee(employee) => home.owner.as_deref() == Some(employee.as_str()),
            Subject::Partner { .. } => {
                home.credits.iter().any(|(partner, _)| is_inside(partner, &asked.subject))
            }
            Subject::Tenant | Subject::Unit(_) => true,
        };
        is_subjects
            && (channels.is_empty() || channels.iter().any(is_asked))
            && (media.is_empty() || media.contains(&self.media(home.channel.as_ref())))
            && (regions.is_empty() || regions.contains(&home.region))
    }

    /// What was spent on each channel, day by day.
    fn spent(&self, asked: &Asked, dates: DateRange) -> Vec<(String, Plain)> {
        let Filter { regions, products, .. } = &asked.filter;
        let is_told = regions.is_empty() && products.is_empty();
        let mut spent = vec![];
        for spend in self.spends.iter().filter(|_| is_told) {
            let is_subjects = match &asked.subject {
                Subject::Tenant => true,
                Subject::Partner { .. } => {
                    spend.partner.as_ref().is_some_and(|partner| is_inside(partner.as_str(), &asked.subject))
                }
                _ => false,
            };
            let home =
                Home { channel: Some(spend.channel.to_string()), region: None, owner: None, credits: vec![] };
            let of_tenant = Asked { subject: Subject::Tenant, ..asked.clone() };
            if !is_subjects || !self.passes(&home, &of_tenant) {
                continue;
            }
            // Coin by coin to the days in turn.
            let day_count = spend.dates.days();
            let mut parts = vec![0i64; day_count as usize];
            let e4 = spend.amount.amount.e4();
            parts.iter_mut().for_each(|part| *part = e4 / i64::from(day_count));
            (0..e4 % i64::from(day_count)).for_each(|nth| parts[nth as usize] += 1);
            for (nth, part) in parts.into_iter().enumerate() {
                let on = spend.dates.from.plus_days(nth as i32);
                if dates.contains(on) {
                    let amount = Amount::try_from_e4(part).unwrap();
                    let money = Money { amount, ..spend.amount };
                    let e4 = dollars_e4(money, asked.rates.day().unwrap_or(on));
                    let unconverted_days = i64::from(e4.is_none());
                    let spent_e4 = e4.unwrap_or(0);
                    let row = Plain { spent_e4, unconverted_days, ..Plain::default() };
                    spent.push((spend.channel.to_string(), row));
                }
            }
        }
        spent
    }
}

fn put<T: Clone>(all: &mut BTreeMap<String, T>, of: &str, state: &State<T>) {
    match state {
        State::Present(content) => all.insert(of.to_owned(), content.clone()),
        State::Deleted(()) => all.remove(of),
    };
}

fn add(rows: &mut BTreeMap<Option<String>, Plain>, channel: Option<String>, row: Plain) {
    let sum = rows.entry(channel).or_default();
    sum.leads += row.leads;
    sum.converted += row.converted;
    sum.opened += row.opened;
    sum.won += row.won;
    sum.priced += row.priced;
    sum.won_e4 += row.won_e4;
    sum.purchased += row.purchased;
    sum.lost += row.lost;
    sum.prospects += row.prospects;
    sum.spent_e4 += row.spent_e4;
    sum.unconverted_days += row.unconverted_days;
}

fn opened_on(deal: &Deal) -> Date {
    let opened_on = local(deal.opened_at);
    match deal.status {
        DealStatus::Open => opened_on,
        DealStatus::Won(at) | DealStatus::Lost(at) => opened_on.min(local(at)),
    }
}

fn end_of(deal: &Deal) -> End {
    match (deal.status, deal.expiry) {
        (DealStatus::Won(at), _) => Some((local(at), true)),
        (DealStatus::Lost(at), _) => Some((local(at), false)),
        (DealStatus::Open, Some(Expiry::At(at))) => Some((local(at).max(opened_on(deal)), false)),
        (DealStatus::Open, _) => None,
    }
}

fn is_inside(partner: &str, subject: &Subject) -> bool {
    let Subject::Partner { partner: asked, include_sub_partners } = subject else { return false };
    let (partner, asked) = (survivor(partner), survivor(asked.as_str()));
    partner == asked || (*include_sub_partners && asked == "p1" && partner == "p3")
}

/// By largest remainder: what is left over goes, one each, to those to whom most is owed, then by id.
fn part_of(whole_e4: i128, credits: &[(String, i128)], subject: &Subject) -> i128 {
    if !matches!(subject, Subject::Partner { .. }) {
        return whole_e4;
    }
    let rest = 10_000 - credits.iter().map(|(_, bps)| bps).sum::<i128>();
    let mut takers: Vec<(&str, i128)> = credits.iter().map(|(of, bps)| (of.as_str(), *bps)).collect();
    takers.push(("~", rest)); // after every id
    let floor = |bps: i128| whole_e4 * bps / 10_000;
    let left = whole_e4 - takers.iter().map(|(_, bps)| floor(*bps)).sum::<i128>();
    takers.sort_by_key(|(of, bps)| (-(whole_e4 * bps % 10_000), of.to_string()));
    let parts = takers.iter().zip(0i128..).map(|((of, bps), nth)| (of, floor(*bps) + i128::from(nth < left)));
    parts.filter(|(of, _)| is_inside(of, subject)).map(|(_, part)| part).sum()
}

fn dollars_e4(money: Money, on: Date) -> Option<i128> {
    let e4 = i128::from(money.amount.e4());
    if money.currency == currency("USD") {
        return Some(e4);
    }
    if money.currency != currency("EUR") {
        return None;
    }
    let (_, _, rate_e4) = RATES.into_iter().rfind(|(from, ..)| date(from) <= on)?;
    let (whole, rest) = (e4 * rate_e4 / 10_000, e4 * rate_e4 % 10_000);
    let is_up = rest > 5_000 || (rest == 5_000 && whole % 2 == 1);
    Some(whole + i128::from(is_up))
}

// === The book's answer ===

fn plain(row: &Performance) -> Plain {
    let measures = row.measures;
    let spend = row.spend.unwrap_or_default();
    Plain {
        leads: measures.lead_count,
        converted: measures.converted_lead_count,
        opened: measures.opened.count,
        won: measures.won.count,
        priced: measures.won.priced_count,
        won_e4: measures.won.amount_e4,
        purchased: measures.purchased_count,
        lost: measures.lost_prospect_count,
        prospects: measures.prospect_count,
        spent_e4: spend.amount_e4,
        unconverted_days: spend.unconverted_day_count,
    }
}

fn ask<T>(book: &Book, asked: &Asked, ask: impl FnOnce(&MarketingQuestion<'_>) -> T) -> T {
    let scope = book.scope(&asked.subject, &asked.filter, Roles::SOURCED).expect("every subject was sent");
    let Asked { subject, filter, basis, rates, .. } = asked;
    ask(&MarketingQuestion { subject, filter, scope: &scope, basis: *basis, rates: *rates })
}

fn answer<'a>(book: &'a Book, asked: &Asked) -> MarketingFold<'a> {
    ask(book, asked, |question| book.marketing(question, &asked.window).found)
}

fn book_of(batches: Vec<Vec<Version>>) -> Book {
    let mut book = Book::default();
    for batch in batches {
        apply(&mut book, batch);
    }
    book
}

fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(512), ..config }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_row_equals_a_slow_count_and_rows_add_up(
        batches in proptest::collection::vec(proptest::collection::vec(version(), 1..8), 1..5),
        questions in proptest::collection::vec(asked(), 8),
    ) {
        let mut history = vec![ground()];
        history.extend(batches);
        let sent = history.concat();
        let (book, truth) = (book_of(history), Truth::new(&sent));
        let backwards = book_of(vec![sent.into_iter().rev().collect()]);
        for asked in questions {
            let found = answer(&book, &asked);
            let mut expected = truth.rows(&asked);
            let unattributed = expected.remove(&None).unwrap_or_default();
            prop_assert_eq!(plain(&found.unattributed), unattributed, "unattributed, {:?}", asked);
            for (of, channel) in &found.channels {
                let row = expected.remove(&Some((*of).to_owned())).unwrap_or_default();
                prop_assert_eq!(plain(&channel.performance), row, "{}, {:?}", of, asked);
                prop_assert_eq!(channel.media, truth.media(Some(&(*of).to_owned())));
                let is_named = channel.performance != channel.performance.nothing_alike()
                    || truth.spends.iter().any(|spend| spend.channel.as_str() == *of);
                let is_sent = truth.channels.get(*of).is_some_and(|(is_deleted, _)| !is_deleted);
                prop_assert!(is_named || is_sent, "{} has a row for nothing", of);
            }
            expected.retain(|_, row| *row != Plain::default());
            prop_assert_eq!(expected, BTreeMap::new(), "no row is missing, {:?}", asked);
            let is_listed = |channel: &&String| found.channels.contains_key(channel.as_str());
            for (channel, (is_deleted, _)) in &truth.channels {
                let home =
                    Home { channel: Some(channel.clone()), region: None, owner: None, credits: vec![] };
                let Filter { channels, media, .. } = asked.filter.clone();
                let by_channel = Filter { channels, media, ..Filter::default() };
                let of_tenant = Asked { subject: Subject::Tenant, filter: by_channel, ..asked.clone() };
                prop_assert!(is_listed(&channel) || *is_deleted || !truth.passes(&home, &of_tenant));
            }

            let (mut by_channel, mut by_medium) = (found.unattributed, found.unattributed.nothing_alike());
            found.channels.values().for_each(|channel| by_channel += channel.performance);
            for media in [Some(Media::Paid), Some(Media::Earned), Some(Media::Owned), None] {
                by_medium += found.of_medium(media);
            }
            prop_assert_eq!(by_channel, found.total());
            prop_assert_eq!(by_medium, found.total());
            prop_assert_eq!(answer(&backwards, &asked), found, "in another order, {:?}", asked);

            let by_period = Asked { basis: Basis::Period, ..asked.clone() };
            let rows = ask(&book, &by_period, |question| book.marketing(question, &asked.window));
            let (of_cards, folded_rate_on) = ask(&book, &by_period, |question| {
                let fold = book.fold(question.scope, asked.window.counted(), asked.rates);
                (book.by_all_channels(question, &fold.measures, &asked.window), fold.oldest_rate_on)
            });
            let row = rows.found.attributed();
            let expected = AllChannels::new(
                &Measures { channel_won: row.measures.won, channel_lead_count: row.measures.lead_count, ..Measures::default() },
                row.are_leads_counted,
                row.spend,
            );
            prop_assert_eq!(of_cards.found, expected, "as cards tell it, {:?}", asked);
            let rests_on = older(of_cards.oldest_rate_on, folded_rate_on);
            prop_assert_eq!(rests_on, older(rows.oldest_rate_on, folded_rate_on), "{:?}", asked);
        }
    }
}
