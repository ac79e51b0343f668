//! Random histories of a small tenant, and random questions about it.
//!
//! Ids, dates and amounts are few on purpose, so that everything collides: versions share keys, deals and
//! leads change hands, partners stand in circles, rates arrive late, amounts leave remainders.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::oracle::Question;
use crate::domain::amount::{Amount, BasisPoints, Currency, Money};
use crate::domain::calendar::{DateRange, Instant, Zone, date};
use crate::domain::exchange::{Rate, RateKey};
use crate::domain::filter::{CreditFilter, Filter};
use crate::domain::ids::{Id, Term};
use crate::domain::record::{
    Channel, Credit, Credits, Deal, DealStatus, Employee, Expiry, Labels, Lead, LeadOutcome, Media, Partner,
    Record, Role, Settings, Spend, State, Strategy as Plan, Target, TargetValue, Thresholds, Unit, Version,
    VersionKey, WeekStart,
};
use crate::domain::subject::Subject;

// The last of each is named by others, and never sent.
pub const PARTNERS: [&str; 5] = ["p1", "p2", "p3", "p4", "p-unsent"];
const EMPLOYEES: [&str; 4] = ["e1", "e2", "e3", "e-unsent"];
const UNITS: [&str; 4] = ["u1", "u2", "u3", "u-unsent"];
const LEADS: [&str; 4] = ["l1", "l2", "l3", "l-unsent"];
const CHANNELS: [&str; 4] = ["c1", "c2", "c3", "c-unsent"];
const DEALS: [&str; 6] = ["d1", "d2", "d3", "d4", "d5", "d6"];

/// Regions of partners, leads and deals; the last is one that nothing names.
pub const REGIONS: [&str; 4] = ["north", "south", "x", "nowhere"];
const TYPES: [&str; 3] = ["reseller", "x", "none-such"];
const TIERS: [&str; 3] = ["gold", "x", "none-such"];
const PRODUCTS: [&str; 3] = ["boots", "x", "none-such"];
/// Keys of labels, and values.
const KEYS: [&str; 3] = ["a", "b", "none-such"];
const VALUES: [&str; 3] = ["a", "x", "none-such"];

const DAYS: [&str; 8] = [
    "2023-12-31",
    "2024-01-01",
    "2024-01-10",
    "2024-01-31",
    "2024-02-01",
    "2024-02-29",
    "2024-03-01",
    "2025-01-31",
];

/// Whole months, edges, single days, across years, everything, nothing.
pub const WINDOWS: [&str; 12] = [
    "1970-01-01..2200-01-01",
    "2024-01-01..2024-02-01",
    "2024-02-01..2024-03-01",
    "2024-01-01..2024-03-01",
    "2023-12-15..2024-01-16",
    "2024-01-05..2024-01-20",
    "2024-01-31..2024-03-02",
    "2023-12-31..2024-01-01",
    "2024-01-31..2024-02-01",
    "2024-02-29..2024-03-01",
    "2023-01-01..2025-02-10",
    "2024-02-01..2024-02-01",
];

pub fn days(text: &str) -> DateRange {
    let (from, to) = text.split_once("..").expect("two dates");
    DateRange { from: date(from), to: date(to) }
}

pub fn windows() -> Vec<DateRange> {
    WINDOWS.into_iter().map(days).collect()
}

/// Every subject that a history may name, and some that it never does.
pub fn subjects() -> Vec<Subject> {
    let partners = PARTNERS.into_iter().chain(["nobody"]).flat_map(|partner| {
        [false, true]
            .map(|include_sub_partners| Subject::Partner { partner: id(partner), include_sub_partners })
    });
    let employees = EMPLOYEES.into_iter().chain(["nobody"]).map(|employee| Subject::Employee(id(employee)));
    let units = UNITS.into_iter().chain(["nobody"]).map(|unit| Subject::Unit(id(unit)));
    [Subject::Tenant].into_iter().chain(partners).chain(employees).chain(units).collect()
}

pub fn id<K>(text: &str) -> Id<K> {
    Id::try_new(text).expect("a plain id")
}

fn ids<K: 'static>(texts: &'static [&'static str]) -> impl Strategy<Value = Id<K>> {
    select(texts).prop_map(id)
}

/// One that was sent or, seldom, one that never was; often none.
fn maybe<K: 'static>(texts: &'static [&'static str]) -> impl Strategy<Value = Option<Id<K>>> {
    proptest::option::weighted(0.6, ids(texts))
}

fn sent_ids<K: 'static>(texts: &'static [&'static str]) -> impl Strategy<Value = Id<K>> {
    ids(&texts[..texts.len() - 1])
}

fn term(texts: &'static [&'static str]) -> impl Strategy<Value = Term> {
    select(texts).prop_map(|text| Term::try_new(text).expect("a plain text"))
}

/// All but the last, which nothing names.
fn seldom(texts: &'static [&'static str]) -> impl Strategy<Value = Option<Term>> {
    proptest::option::weighted(0.4, term(&texts[..texts.len() - 1]))
}

fn labels() -> impl Strategy<Value = Labels> {
    proptest::collection::btree_map(term(&KEYS[..2]), term(&VALUES[..2]), 0..3)
}

/// Around the midnights of the zones below.
fn instant() -> impl Strategy<Value = Instant> {
    const SECONDS: [i64; 5] = [0, 5 * 3_600 - 1, 5 * 3_600, 18 * 3_600 - 1, 18 * 3_600];
    (select(&DAYS[..]), select(&SECONDS[..])).prop_map(|(day, second)| {
        Instant::try_new(i64::from(date(day).day_number()) * 86_400 + second, 0).unwrap()
    })
}

pub fn currency(code: &str) -> Currency {
    Currency::try_new(code).expect("a currency")
}

fn money() -> impl Strategy<Value = Money> {
    // Odd ones leave remainders, those of halves make ties, the greatest leave the range.
    const AMOUNTS_E4: [i64; 10] =
        [0, 1, 2, 3, 5, 7, 33_333, 10_000, 1_234_567_891, 9_200_000_000_000_000_000];
    let code = prop_oneof![3 => Just("USD"), 2 => Just("EUR"), 2 => Just("BDT"), 1 => Just("JPY")];
    (select(&AMOUNTS_E4[..]), code).prop_map(|(amount_e4, code)| Money {
        amount: Amount::try_from_e4(amount_e4).unwrap(),
        currency: currency(code),
    })
}

fn credits() -> impl Strategy<Value = Credits> {
    const SHARES: [i64; 8] = [0, 1, 2_500, 3_333, 3_334, 5_000, 6_667, 10_000];
    let role = prop_oneof![4 => Just(Role::Sourced), 2 => Just(Role::Influenced), 1 => Just(Role::Fulfilled)];
    let share = select(&SHARES[..]).prop_map(|bps| BasisPoints::try_new(bps).unwrap());
    let credit = (role, ids(&PARTNERS), proptest::option::weighted(0.7, share));
    vec(credit.prop_map(|(role, partner, share)| Credit { role, partner, share }), 0..6).prop_map(|offered| {
        let mut fitting = Vec::new();
        for credit in offered {
            fitting.push(credit);
            if Credits::try_new(fitting.clone()).is_err() {
                fitting.pop();
            }
        }
        Credits::try_new(fitting).expect("each was tried")
    })
}

pub fn deal() -> impl Strategy<Value = Deal> {
    let status = prop_oneof![
        2 => Just(DealStatus::Open),
        4 => instant().prop_map(DealStatus::Won),
        2 => instant().prop_map(DealStatus::Lost),
    ];
    let expiry = prop_oneof![
        2 => Just(None),
        2 => instant().prop_map(|at| Some(Expiry::At(at))),
        1 => Just(Some(Expiry::Never)),
    ];
    let probability = (0i64..=10_000).prop_map(|bps| BasisPoints::try_new(bps).unwrap());
    let life = (
        instant(),
        proptest::option::weighted(0.8, money()),
        expiry,
        status,
        proptest::option::weighted(0.3, term(&["rival"])),
        maybe(&EMPLOYEES),
        proptest::option::weighted(0.3, ids(&UNITS)),
        credits(),
    );
    let traits = (
        proptest::option::weighted(0.3, term(&["negotiation", "a"])),
        proptest::option::weighted(0.2, probability),
        proptest::option::weighted(0.2, select(&DAYS[..]).prop_map(date)),
        proptest::option::weighted(0.1, Just("too dear".into())),
        maybe(&LEADS),
        proptest::option::weighted(0.3, ids(&CHANNELS)),
        seldom(&PRODUCTS),
        seldom(&REGIONS),
        labels(),
    );
    (life, traits).prop_map(|(life, traits)| {
        let (opened_at, amount, expiry, status, competitor, owner, unit, credits) = life;
        let (stage, probability, expected_close, lost_reason, lead, channel, product, region, labels) =
            traits;
        Deal {
            opened_at,
            amount,
            stage,
            probability,
            expected_close,
            expiry,
            status,
            lost_reason,
            competitor,
            owner,
            unit,
            credits,
            lead,
            channel,
            product,
            region,
            labels,
        }
    })
}

/// Deleted now and then.
fn state<T: std::fmt::Debug, D: std::fmt::Debug>(
    present: impl Strategy<Value = T>,
    deletion: impl Strategy<Value = D>,
) -> impl Strategy<Value = State<T, D>> {
    prop_oneof![5 => present.prop_map(State::Present), 1 => deletion.prop_map(State::Deleted)]
}

fn name() -> impl Strategy<Value = Option<Box<str>>> {
    proptest::option::of(select(&["Ada", "Bo"][..]).prop_map(Box::from))
}

fn partner() -> impl Strategy<Value = Record> {
    let place = (maybe(&PARTNERS), proptest::option::weighted(0.25, ids(&PARTNERS)));
    let traits = (seldom(&TYPES), seldom(&TIERS), proptest::option::of(term(&REGIONS[..3])), labels());
    let present = (name(), place, traits, any::<bool>()).prop_map(
        |(name, (parent, merged_into), (partner_type, tier, region, labels), active)| Partner {
            name,
            partner_type,
            tier,
            region,
            parent,
            active,
            labels,
            merged_into,
        },
    );
    let state = state(present, proptest::option::weighted(0.3, ids(&PARTNERS)));
    (sent_ids(&PARTNERS), state).prop_map(|(id, state)| Record::Partner(id, state))
}

fn lead() -> impl Strategy<Value = Record> {
    let outcome = prop_oneof![
        Just(LeadOutcome::Open),
        instant().prop_map(LeadOutcome::Converted),
        instant().prop_map(LeadOutcome::Disqualified),
    ];
    let present = (
        instant(),
        maybe(&PARTNERS),
        proptest::option::weighted(0.4, ids(&EMPLOYEES)),
        proptest::option::weighted(0.4, ids(&CHANNELS)),
        seldom(&REGIONS),
        outcome,
    );
    let present = present.prop_map(|(created_at, partner, owner, channel, region, outcome)| Lead {
        created_at,
        partner,
        owner,
        channel,
        region,
        outcome,
    });
    (sent_ids(&LEADS), state(present, Just(()))).prop_map(|(id, state)| Record::Lead(id, state))
}

fn channel() -> impl Strategy<Value = Record> {
    let media = proptest::option::of(select(&[Media::Paid, Media::Earned, Media::Owned][..]));
    let present = (name(), media).prop_map(|(name, media)| Channel { name, media });
    // Deleted often: a channel is what it was before.
    let state = prop_oneof![present.prop_map(State::Present), Just(State::Deleted(()))];
    (sent_ids(&CHANNELS), state).prop_map(|(id, state)| Record::Channel(id, state))
}

fn employee() -> impl Strategy<Value = Record> {
    let present = (name(), maybe(&UNITS), proptest::option::weighted(0.25, ids(&EMPLOYEES)), any::<bool>());
    let present =
        present.prop_map(|(name, unit, merged_into, active)| Employee { name, unit, active, merged_into });
    let state = state(present, proptest::option::weighted(0.3, ids(&EMPLOYEES)));
    (sent_ids(&EMPLOYEES), state).prop_map(|(id, state)| Record::Employee(id, state))
}

fn unit() -> impl Strategy<Value = Record> {
    let present = (name(), maybe(&UNITS)).prop_map(|(name, parent)| Unit { name, unit_kind: None, parent });
    (sent_ids(&UNITS), state(present, Just(()))).prop_map(|(id, state)| Record::Unit(id, state))
}

fn rate() -> impl Strategy<Value = Record> {
    // Two currencies between any other two, for crosses and their ties.
    let code = || select(&["USD", "EUR", "BDT", "GBP"][..]);
    let on = select(&["2023-12-01", "2024-01-01", "2024-01-31", "2024-02-29"][..]);
    let key = (code(), code(), on).prop_map(|(from, to, on)| RateKey {
        from: currency(from),
        to: currency(to),
        on: date(on),
    });
    let rate = select(&["1", "0.5", "3", "117.25", "0.3333333333", "0.0001", "99999999999999"][..]);
    (key, state(rate.prop_map(|rate| Rate::parse(rate).unwrap()), Just(())))
        .prop_map(|(key, state)| Record::Rate(key, state))
}

fn settings() -> impl Strategy<Value = Record> {
    let code = prop_oneof![3 => Just("USD"), 1 => Just("BDT"), 1 => Just("EUR")];
    let zone = select(&["Asia/Dhaka", "America/New_York", "UTC"][..]);
    let limit = proptest::option::of(select(&[0, 1, 30, u16::MAX][..]));
    let chance = proptest::option::of(select(&[0, 2_500, 10_000][..]));
    let settings = (code, zone, limit, 1u8..=2, chance);
    settings.prop_map(|(code, zone, time_limit_days, fiscal_year_start_month, chance)| {
        let stage = |bps| (Term::try_new("negotiation").unwrap(), BasisPoints::try_new(bps).unwrap());
        Record::Settings(Settings {
            reporting_currency: currency(code),
            zone: Zone::try_new(zone).unwrap(),
            fiscal_year_start_month,
            time_limit_days,
            stage_probabilities: chance.map(stage).into_iter().collect(),
            ..plain_settings()
        })
    })
}

/// Records that no measure is told by.
fn untold() -> impl Strategy<Value = Record> {
    let spend = (money(), maybe(&PARTNERS)).prop_map(|(amount, partner)| Spend {
        channel: id("c1"),
        dates: days("2024-01-01..2024-02-01"),
        amount,
        partner,
    });
    let target = (0..5u64).prop_map(|count| Target {
        subject: Subject::Tenant,
        dates: days("2024-01-01..2024-02-01"),
        value: TargetValue::WonCount(count),
        month_weights: BTreeMap::new(),
    });
    let plan = name().prop_map(|name| Plan { name, start_on: date("2024-01-10"), subjects: Vec::new() });
    prop_oneof![
        (ids(&["s1"]), state(spend, Just(()))).prop_map(|(id, spend)| Record::Spend(id, spend)),
        (ids(&["t1"]), state(target, Just(()))).prop_map(|(id, target)| Record::Target(id, target)),
        (ids(&["y1"]), state(plan, Just(()))).prop_map(|(id, plan)| Record::Strategy(id, plan)),
    ]
}

/// Boxed, as the strategies of all kinds together are too large for a test's stack.
fn record() -> BoxedStrategy<Record> {
    let deal = (ids(&DEALS), state(deal(), Just(()))).prop_map(|(id, state)| Record::Deal(id, state));
    prop_oneof![
        14 => deal.boxed(),
        6 => lead().boxed(),
        5 => partner().boxed(),
        3 => employee().boxed(),
        2 => unit().boxed(),
        4 => channel().boxed(),
        4 => rate().boxed(),
        1 => settings().boxed(),
        1 => untold().boxed(),
    ]
    .boxed()
}

pub fn key(hour: u8, sequence: u64) -> VersionKey {
    VersionKey { update_time: Instant::FIRST.plus_hours(i64::from(hour)), sequence }
}

/// Keys are few: versions of one record often have the same.
pub fn version() -> impl Strategy<Value = Version> {
    (0..5u8, 0..2u64, record())
        .prop_map(|(hour, sequence, record)| Version { key: key(hour, sequence), record })
}

/// A tenant's batches, some versions sent again.
pub fn history() -> impl Strategy<Value = Vec<Vec<Version>>> {
    #[derive(Clone, Debug)]
    enum Step {
        New(Box<Version>),
        Again(Index),
    }
    let step = prop_oneof![
        8 => version().prop_map(|version| Step::New(Box::new(version))),
        1 => any::<Index>().prop_map(Step::Again),
    ];
    let configured = proptest::option::weighted(0.9, settings());
    (configured, vec(vec(step, 0..10), 1..9)).prop_map(|(configured, batches)| {
        let mut sent: Vec<Version> =
            configured.into_iter().map(|record| Version { key: key(0, 0), record }).collect();
        let mut history = vec![sent.clone()];
        for steps in batches {
            let mut batch = Vec::new();
            for step in steps {
                let version = match step {
                    Step::New(version) => *version,
                    Step::Again(_) if sent.is_empty() => continue,
                    Step::Again(index) => index.get(&sent).clone(),
                };
                sent.push(version.clone());
                batch.push(version);
            }
            history.push(batch);
        }
        history
    })
}

/// The same versions in another order, some of them more often, in other batches.
pub fn history_and_another_of_the_same_set() -> impl Strategy<Value = (Vec<Vec<Version>>, Vec<Vec<Version>>)>
{
    let shuffled = history().prop_flat_map(|history| {
        let mut all: Vec<Version> = history.concat();
        all.extend_from_within(..all.len() / 3);
        (Just(history), Just(all).prop_shuffle(), vec(any::<Index>(), 0..6))
    });
    shuffled.prop_map(|(history, all, cuts)| {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.index(all.len() + 1)).collect();
        cuts.extend([0, all.len()]);
        cuts.sort_unstable();
        let batches = cuts.windows(2).map(|cut| all[cut[0]..cut[1]].to_vec()).collect();
        (history, batches)
    })
}

/// What a filter asks of one dimension.
fn asked<T: Clone + std::fmt::Debug>(
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = Vec<Option<T>>> {
    vec(proptest::option::weighted(0.8, value), 1..3)
}

fn asked_labels() -> impl Strategy<Value = BTreeMap<Term, Vec<Option<Term>>>> {
    proptest::collection::btree_map(term(&KEYS), asked(term(&VALUES)), 1..3)
}

/// A filter that asks of up to three dimensions, now and then of one twice.
fn filter() -> impl Strategy<Value = Filter> {
    let media = || select(&[Media::Paid, Media::Earned, Media::Owned][..]);
    let none = Filter::default;
    let dimension = prop_oneof![
        1 => asked(term(&TYPES)).prop_map(move |partner_types| Filter { partner_types, ..none() }),
        1 => asked(term(&TIERS)).prop_map(move |tiers| Filter { tiers, ..none() }),
        1 => asked_labels().prop_map(move |partner_labels| Filter { partner_labels, ..none() }),
        2 => asked(ids(&PARTNERS)).prop_map(move |partners| Filter { partners, ..none() }),
        1 => asked(ids(&EMPLOYEES)).prop_map(move |employees| Filter { employees, ..none() }),
        1 => asked(ids(&UNITS)).prop_map(move |units| Filter { units, ..none() }),
        2 => asked(term(&REGIONS)).prop_map(move |regions| Filter { regions, ..none() }),
        1 => asked(term(&PRODUCTS)).prop_map(move |products| Filter { products, ..none() }),
        1 => asked(ids(&CHANNELS)).prop_map(move |channels| Filter { channels, ..none() }),
        1 => asked(media()).prop_map(move |media| Filter { media, ..none() }),
        1 => asked_labels().prop_map(move |deal_labels| Filter { deal_labels, ..none() }),
        1 => select(&[CreditFilter::Credited, CreditFilter::Direct][..])
            .prop_map(move |credit| Filter { credit: Some(credit), ..none() }),
    ]
    .boxed();
    vec(dimension, 0..4).prop_map(|dimensions| {
        let mut filter = Filter::default();
        for of_one in dimensions {
            filter.partner_types.extend(of_one.partner_types);
            filter.tiers.extend(of_one.tiers);
            filter.partner_labels.extend(of_one.partner_labels);
            filter.partners.extend(of_one.partners);
            filter.employees.extend(of_one.employees);
            filter.units.extend(of_one.units);
            filter.regions.extend(of_one.regions);
            filter.products.extend(of_one.products);
            filter.channels.extend(of_one.channels);
            filter.media.extend(of_one.media);
            filter.deal_labels.extend(of_one.deal_labels);
            filter.credit = filter.credit.or(of_one.credit);
        }
        filter
    })
}

pub fn question() -> impl Strategy<Value = Question> {
    const ROLES: [Role; 3] = [Role::Sourced, Role::Influenced, Role::Fulfilled];
    let subject = prop_oneof![1 => Just(Subject::Tenant), 2 => select(subjects())];
    let roles = prop_oneof![
        1 => Just(vec![Role::Sourced]),
        2 => proptest::sample::subsequence(&ROLES[..], 1..=3),
    ];
    let rates_on = proptest::option::weighted(0.4, select(&DAYS[..]).prop_map(date));
    (subject, filter(), roles, rates_on).prop_map(|(subject, filter, roles, rates_on)| Question {
        subject,
        filter,
        roles,
        rates_on,
    })
}

/// Dollars, Dhaka, no time limit.
pub fn plain_settings() -> Settings {
    Settings {
        reporting_currency: currency("USD"),
        zone: Zone::try_new("Asia/Dhaka").unwrap(),
        fiscal_year_start_month: 1,
        week_start: WeekStart(chrono::Weekday::Mon),
        time_limit_days: None,
        stage_probabilities: BTreeMap::new(),
        thresholds: Thresholds::default(),
    }
}

/// A deal of which nothing else is known.
pub fn plain_deal(opened_at: Instant, status: DealStatus) -> Deal {
    Deal {
        opened_at,
        amount: None,
        stage: None,
        probability: None,
        expected_close: None,
        expiry: None,
        status,
        lost_reason: None,
        competitor: None,
        owner: None,
        unit: None,
        credits: Credits::default(),
        lead: None,
        channel: None,
        product: None,
        region: None,
        labels: Labels::new(),
    }
}

/// Noon in Dhaka.
pub fn noon(on: &str) -> Instant {
    Instant::try_new(i64::from(date(on).day_number()) * 86_400 + 6 * 3_600, 0).unwrap()
}
