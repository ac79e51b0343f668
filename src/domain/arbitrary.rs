//! Arbitrary domain values, for property tests: every valid version of every kind of record.
//!
//! Ids, times and currencies are drawn from few, so that records meet, repeat and refer to each other;
//! now and then one lies at a limit.

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::amount::{Amount, BasisPoints, Currency, Money};
use super::calendar::{Date, DateRange, Instant, Zone};
use super::exchange::{Rate, RateKey};
use super::ids::{Id, Term};
use super::record::{
    Channel, Credit, Credits, Deal, DealStatus, Employee, Expiry, Labels, Lead, LeadOutcome, Media, Name,
    Partner, Record, Role, Settings, Spend, State, Strategy as Change, Target, TargetValue, Thresholds, Unit,
    Version, VersionKey, WeekStart,
};
use super::subject::Subject;

/// A version of a record of any kind, settings included.
pub fn version() -> impl Strategy<Value = Version> {
    (version_key(), record()).prop_map(|(key, record)| Version { key, record })
}

pub fn version_key() -> impl Strategy<Value = VersionKey> {
    let sequence = prop_oneof![4 => 0u64..3, 1 => 0..=i64::MAX.unsigned_abs()];
    (instant(), sequence).prop_map(|(update_time, sequence)| VersionKey { update_time, sequence })
}

pub fn record() -> impl Strategy<Value = Record> {
    prop_oneof![
        1 => (id(), state(partner(), of(id()))).prop_map(|(id, state)| Record::Partner(id, state)),
        1 => (id(), state(unit(), Just(()))).prop_map(|(id, state)| Record::Unit(id, state)),
        1 => (id(), state(employee(), of(id()))).prop_map(|(id, state)| Record::Employee(id, state)),
        1 => (id(), state(lead(), Just(()))).prop_map(|(id, state)| Record::Lead(id, state)),
        4 => (id(), state(deal(), Just(()))).prop_map(|(id, state)| Record::Deal(id, state)),
        1 => (id(), state(channel(), Just(()))).prop_map(|(id, state)| Record::Channel(id, state)),
        1 => (id(), state(spend(), Just(()))).prop_map(|(id, state)| Record::Spend(id, state)),
        1 => (id(), state(target(), Just(()))).prop_map(|(id, state)| Record::Target(id, state)),
        1 => (rate_key(), state(rate(), Just(()))).prop_map(|(key, state)| Record::Rate(key, state)),
        1 => (id(), state(strategy(), Just(()))).prop_map(|(id, state)| Record::Strategy(id, state)),
        1 => settings().prop_map(Record::Settings),
    ]
}

fn state<T: std::fmt::Debug, D: std::fmt::Debug>(
    present: impl Strategy<Value = T>,
    deleted: impl Strategy<Value = D>,
) -> impl Strategy<Value = State<T, D>> {
    prop_oneof![4 => present.prop_map(State::Present), 1 => deleted.prop_map(State::Deleted)]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        16 => select(vec!["A", "B", "C", "D"]).prop_map(str::to_owned),
        2 => select(vec!["O/pp 1", "অংশীদার", "\u{1f91d}", "a\"b]", " "]).prop_map(str::to_owned),
        1 => "[A-Z]{128}",
    ]
}

pub fn id<K>() -> impl Strategy<Value = Id<K>> {
    text().prop_map(|text| Id::try_new(&text).expect("1 to 128 bytes"))
}

pub fn term() -> impl Strategy<Value = Term> {
    text().prop_map(|text| Term::try_new(&text).expect("1 to 128 bytes"))
}

fn name() -> impl Strategy<Value = Name> {
    prop_oneof![8 => "[A-Za-z ক-হ]{1,9}", 1 => "[a-z]{512}"].prop_map(String::into_boxed_str)
}

fn labels() -> impl Strategy<Value = Labels> {
    btree_map(term(), term(), 0..3)
}

/// In spring 2024, or anywhere.
pub fn instant() -> impl Strategy<Value = Instant> {
    const SPRING_2024_S: i64 = 1_709_251_200;
    prop_oneof![
        8 => (SPRING_2024_S..SPRING_2024_S + 60 * 86_400).prop_map(|s| Instant::from_nanos(s * 1_000_000_000)),
        1 => (0..=Instant::LAST.as_nanos()).prop_map(Instant::from_nanos),
        1 => select(vec![Instant::FIRST, Instant::LAST]),
    ]
}

/// In spring 2024, or anywhere.
pub fn date() -> impl Strategy<Value = Date> {
    let days = |range: std::ops::RangeInclusive<i32>| range.prop_map(Date::from_day_number);
    prop_oneof![
        8 => days(19_783..=19_843),
        1 => days(Date::FIRST.day_number()..=Date::LAST.day_number()),
        1 => select(vec![Date::FIRST, Date::LAST]),
    ]
}

pub fn dates() -> impl Strategy<Value = DateRange> {
    (date(), 1..100i32).prop_map(|(from, days)| {
        let to = from.plus_days(days).min(Date::LAST.next());
        DateRange { from, to }
    })
}

pub fn currency() -> impl Strategy<Value = Currency> {
    select(vec!["BDT", "EUR", "KWD", "USD"]).prop_map(|code| Currency::try_new(code).expect("of ISO 4217"))
}

pub fn amount() -> impl Strategy<Value = Amount> {
    let e4 = prop_oneof![8 => 0..100_000_000i64, 1 => 0..=Amount::MAX.e4(), 1 => Just(Amount::MAX.e4())];
    e4.prop_map(|e4| Amount::try_from_e4(e4).expect("in range"))
}

pub fn money() -> impl Strategy<Value = Money> {
    (amount(), currency()).prop_map(|(amount, currency)| Money { amount, currency })
}

pub fn basis_points() -> impl Strategy<Value = BasisPoints> {
    (0..=10_000i64).prop_map(|bps| BasisPoints::try_new(bps).expect("in range"))
}

pub fn partner() -> impl Strategy<Value = Partner> {
    let names = (of(name()), of(term()), of(term()), of(term()));
    (names, of(id()), any::<bool>(), labels(), of(id())).prop_map(
        |((name, partner_type, tier, region), parent, active, labels, merged_into)| Partner {
            name,
            partner_type,
            tier,
            region,
            parent,
            active,
            labels,
            merged_into,
        },
    )
}

pub fn unit() -> impl Strategy<Value = Unit> {
    (of(name()), of(term()), of(id())).prop_map(|(name, unit_kind, parent)| Unit { name, unit_kind, parent })
}

pub fn employee() -> impl Strategy<Value = Employee> {
    (of(name()), of(id()), any::<bool>(), of(id())).prop_map(|(name, unit, active, merged_into)| Employee {
        name,
        unit,
        active,
        merged_into,
    })
}

pub fn lead() -> impl Strategy<Value = Lead> {
    let outcome = prop_oneof![
        Just(LeadOutcome::Open),
        instant().prop_map(LeadOutcome::Converted),
        instant().prop_map(LeadOutcome::Disqualified),
    ];
    (instant(), of(id()), of(id()), of(id()), of(term()), outcome).prop_map(
        |(created_at, partner, owner, channel, region, outcome)| Lead {
            created_at,
            partner,
            owner,
            channel,
            region,
            outcome,
        },
    )
}

pub fn deal() -> impl Strategy<Value = Deal> {
    let status = prop_oneof![
        Just(DealStatus::Open),
        instant().prop_map(DealStatus::Won),
        instant().prop_map(DealStatus::Lost),
    ];
    let expiry = prop_oneof![4 => instant().prop_map(Expiry::At), 1 => Just(Expiry::Never)];
    let course = (instant(), of(date()), of(expiry), status, of(term()), of(basis_points()));
    let people = (of(id()), of(id()), credits(), of(id()), of(id()));
    let words = (of(name()), of(term()), of(term()), of(term()), labels());
    (of(money()), course, people, words).prop_map(
        |(
            amount,
            (opened_at, expected_close, expiry, status, stage, probability),
            (owner, unit, credits, lead, channel),
            (lost_reason, competitor, product, region, labels),
        )| Deal {
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
        },
    )
}

pub fn credits() -> impl Strategy<Value = Credits> {
    let role = select(vec![Role::Sourced, Role::Sourced, Role::Influenced, Role::Fulfilled]);
    let credit = (role, id(), of(basis_points()));
    vec(credit.prop_map(|(role, partner, share)| Credit { role, partner, share }), 0..6).prop_map(|drawn| {
        // Of those drawn, each that fits beside those before it.
        let mut fitting: Vec<Credit> = Vec::new();
        for credit in drawn {
            fitting.push(credit);
            if Credits::try_new(fitting.clone()).is_err() {
                fitting.pop();
            }
        }
        Credits::try_new(fitting).expect("tried one by one")
    })
}

pub fn channel() -> impl Strategy<Value = Channel> {
    let media = select(vec![Media::Paid, Media::Earned, Media::Owned]);
    (of(name()), of(media)).prop_map(|(name, media)| Channel { name, media })
}

pub fn spend() -> impl Strategy<Value = Spend> {
    (id(), dates(), money(), of(id())).prop_map(|(channel, dates, amount, partner)| Spend {
        channel,
        dates,
        amount,
        partner,
    })
}

pub fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        Just(Subject::Tenant),
        (id(), any::<bool>())
            .prop_map(|(partner, include_sub_partners)| Subject::Partner { partner, include_sub_partners }),
        id().prop_map(Subject::Employee),
        id().prop_map(Subject::Unit),
    ]
}

pub fn target() -> impl Strategy<Value = Target> {
    let value = prop_oneof![
        money().prop_map(TargetValue::WonAmount),
        (0..=i64::MAX.unsigned_abs()).prop_map(TargetValue::WonCount),
    ];
    // For the first months of the target; the first of them has a weight above 0.
    let weights = vec(0..=1_000_000_000u32, 0..4);
    (subject(), dates(), value, weights).prop_map(|(subject, dates, value, weights)| {
        let months = std::iter::successors(Some(dates.from.month()), |month| Some(month.next()))
            .map(|month| month.first_day())
            .take_while(|first| *first < dates.to);
        let mut month_weights: std::collections::BTreeMap<_, _> = months.zip(weights).collect();
        if let Some(mut first) = month_weights.first_entry() {
            *first.get_mut() = (*first.get()).max(1);
        }
        Target { subject, dates, value, month_weights }
    })
}

pub fn rate_key() -> impl Strategy<Value = RateKey> {
    (currency(), currency(), date())
        .prop_filter("another currency", |(from, to, _)| from != to)
        .prop_map(|(from, to, on)| RateKey { from, to, on })
}

pub fn rate() -> impl Strategy<Value = Rate> {
    prop_oneof![
        (1..1_000_000_000_000_000u64, 0..=27u32),
        (1..1_000_000_000_000_000_000u64, 3..=27u32), // 18 digits, at most 15 of them whole
    ]
    .prop_map(|(mantissa, places)| {
        Rate::parse(&format!("{mantissa}e-{places}")).expect("digits and places in range")
    })
}

pub fn strategy() -> impl Strategy<Value = Change> {
    (of(name()), date(), vec(subject(), 1..5)).prop_map(|(name, start_on, drawn)| {
        let mut subjects: Vec<Subject> = Vec::new();
        for subject in drawn {
            if !subjects.contains(&subject) {
                subjects.push(subject);
            }
        }
        Change { name, start_on, subjects }
    })
}

pub fn settings() -> impl Strategy<Value = Settings> {
    let zone = select(vec!["Asia/Dhaka", "America/New_York", "Asia/Kathmandu", "UTC"])
        .prop_map(|name| Zone::try_new(name).expect("of IANA"));
    let week_start = (0..7u8).prop_map(|day| WeekStart(day.try_into().expect("days are 0 to 6")));
    let stages = btree_map(term(), basis_points(), 0..4);
    (currency(), zone, 1..=12u8, week_start, of(1..=36_500u16), stages, thresholds()).prop_map(
        |(
            reporting_currency,
            zone,
            fiscal_year_start_month,
            week_start,
            time_limit_days,
            stage_probabilities,
            thresholds,
        )| Settings {
            reporting_currency,
            zone,
            fiscal_year_start_month,
            week_start,
            time_limit_days,
            stage_probabilities,
            thresholds,
        },
    )
}

fn thresholds() -> impl Strategy<Value = Thresholds> {
    let percents = (of(1..=10_000u32), of(101..=10_000u32), of(1..=100u32), of(1..=5_000u32));
    let days = (of(1..=3_650u32), of(1..=3_650u32));
    let samples = (of(1..=1_000_000u32), of(1..=1_000_000u32), of(1..=1_000_000u32), of(2..=1_000_000u32));
    (percents, days, samples).prop_map(
        |(
            (coverage_percent, slow_stage_percent, replace_percent, significance_bps),
            (expiring_days, stale_days),
            (replace_sample_min, sample_min, channel_leads_min, peers_min),
        )| Thresholds {
            coverage_percent,
            expiring_days,
            slow_stage_percent,
            replace_percent,
            replace_sample_min,
            sample_min,
            channel_leads_min,
            peers_min,
            significance_bps,
            stale_days,
        },
    )
}
