//! The worked example of docs/kpis.md §12, through gRPC on a real socket.
//!
//! Each table is asked of GetScorecard subject by subject, and of ListScorecards kind by kind: both say
//! the same. `support/worked_example.rs` has the records; a later KPI adds its column to `row`.

#[allow(dead_code)] // every test takes what it needs
#[path = "support/scorecard.rs"]
mod scorecard;
#[path = "support/sidecar.rs"]
mod sidecar;
#[path = "support/worked_example.rs"]
mod worked_example;

use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::record_key::Key;
use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::window::Window as Asked;
use channel_kpi::proto::channelkpi::v1::{
    CreditRole, DateRange, Definition, ExchangePolicy, GetRecordRequest, GetScorecardRequest,
    GetTenantRequest, ListRecordsRequest, ListScorecardsRequest, Period, Record, RecordKey, RecordKind,
    Scorecard, Subject, SubjectKind, TenantSettings, Trend, Window,
};
use channel_kpi::proto::google::r#type::Date;
use scorecard::{ask, dates, factors, march, partner, row, row_before, row_of_the_others, table};
use sidecar::{Caller, Sidecar};
use worked_example::{date, records, settings};

const TENANT: &str = "example";

fn employee(id: &str) -> Subject {
    Subject { subject: Some(Of::EmployeeId(id.into())) }
}

fn unit(id: &str) -> Subject {
    Subject { subject: Some(Of::UnitId(id.into())) }
}

/// The subjects of the example: the tenant, then each kind in the order of its ids.
fn subjects() -> [Subject; 8] {
    [
        Subject::default(),
        partner("A"),
        partner("B"),
        employee("e1"),
        employee("e2"),
        unit("north"),
        unit("sales"),
        unit("south"),
    ]
}

async fn example(sidecar: &Sidecar) -> Caller {
    let mut caller = sidecar.tenant(TENANT, settings()).await;
    caller.write(records()).await;
    caller
}

async fn get(caller: &mut Caller, question: GetScorecardRequest) -> (Scorecard, Definition) {
    let answer = caller.kpis.get_scorecard(question).await.expect("the question is valid").into_inner();
    (answer.scorecard.expect("always set"), answer.definition.expect("always set"))
}

/// The scorecards of all subjects, each asked for by itself and found again in the list of its kind.
async fn all(caller: &mut Caller, window: Window, as_of: &str) -> (Vec<Scorecard>, Definition) {
    let mut cards = Vec::new();
    let mut definitions = Vec::new();
    for subject in subjects() {
        let (card, definition) = get(caller, ask(subject, window, as_of)).await;
        cards.push(card);
        definitions.push(definition);
    }
    let mut listed = vec![cards[0].clone()]; // the tenant is in no list
    for kind in [SubjectKind::Partner, SubjectKind::Employee, SubjectKind::Unit] {
        let question = ListScorecardsRequest {
            subject_kind: kind.into(),
            window: Some(window),
            as_of: date(as_of),
            ..ListScorecardsRequest::default()
        };
        let answer = caller.kpis.list_scorecards(question).await.expect("the question is valid").into_inner();
        listed.extend(answer.scorecards);
        definitions.push(answer.definition.expect("always set"));
    }
    assert_eq!(listed, cards);
    let definition = definitions.pop().expect("the lists have one");
    assert!(definitions.iter().all(|other| *other == definition), "{definitions:?}");
    (cards, definition)
}

// === the tables ===

// March 2024 on its last day, by hand from the table of deals:
// A       won d1 200, d2 400; lost d3 300 to a competitor; d4 is open
// B       won d5 900; d6 500 expired; d7, d8 and d9 are open: d8 closes on 1 April in Dhaka
// e1      won d1 200, d5 900; lost d3 300
// e2      won d2 400; d6 500 expired
const MARCH: &str = "
    subject   average deal size     deal count     success  missed
    tenant    500.00 (1500.00/3)    3 (1500.00)    3/5      2 (800.00)
    A         300.00 (600.00/2)     2 (600.00)     2/3      1 (300.00)
    B         900.00 (900.00/1)     1 (900.00)     1/2      1 (500.00)
    e1        550.00 (1100.00/2)    2 (1100.00)    2/3      1 (300.00)
    e2        400.00 (400.00/1)     1 (400.00)     1/2      1 (500.00)
    north     550.00 (1100.00/2)    2 (1100.00)    2/3      1 (300.00)
    sales     500.00 (1500.00/3)    3 (1500.00)    3/5      2 (800.00)
    south     400.00 (400.00/1)     1 (400.00)     1/2      1 (500.00)";

// Nothing ended in February: d1, d3, d6 and d9 were only opened, or open.
const FEBRUARY: &str = "
    subject   average deal size   deal count   success
    tenant    no-deal-won         0 (0.00)     no-deal-ended
    A         no-deal-won         0 (0.00)     no-deal-ended
    B         no-deal-won         0 (0.00)     no-deal-ended
    e1        no-deal-won         0 (0.00)     no-deal-ended
    e2        no-deal-won         0 (0.00)     no-deal-ended
    north     no-deal-won         0 (0.00)     no-deal-ended
    sales     no-deal-won         0 (0.00)     no-deal-ended
    south     no-deal-won         0 (0.00)     no-deal-ended";

// April 2024 on its last day: won d8 700 (B, e2); d4 1,000 (A, e1) expired on the 10th.
const APRIL: &str = "
    subject   average deal size   deal count    success   missed
    tenant    700.00 (700.00/1)   1 (700.00)    1/2       1 (1000.00)
    A         no-deal-won         0 (0.00)      0/1       1 (1000.00)
    B         700.00 (700.00/1)   1 (700.00)    1/1       0 (0.00)
    e1        no-deal-won         0 (0.00)      0/1       1 (1000.00)
    e2        700.00 (700.00/1)   1 (700.00)    1/1       0 (0.00)
    north     no-deal-won         0 (0.00)      0/1       1 (1000.00)
    sales     700.00 (700.00/1)   1 (700.00)    1/2       1 (1000.00)
    south     700.00 (700.00/1)   1 (700.00)    1/1       0 (0.00)";

// The other four in March, by hand. Days in work: d1 4, d2 11, d3 19, d4 22, d5 24, d6 14, d7 14, d8 30, d9 31.
// Cohort: L1 (A, e2) purchased, L2 (A, e1) lost, L3 (B, e2), d4 (A, e1), d7 and d8 (B, e2) unresolved.
// Resolved: d1, L1, L4 (B, e1) purchased; d3, L2, d6 lost. Units below sales are peers; sales is alone.
const MARCH_OTHERS: &str = "
    subject  pipeline     weighted  unweighted  close    resolved  velocity                     value score
    tenant   4 (5200.00)  1300.00   1 (700.00)  1/6 (4)  3/6       100.13 (152100.00/1519)      no-peer (-)
    A        1 (1000.00)  500.00    0 (0.00)    1/3 (1)  2/4       28.90 (896.00/31)            80.00 (120000.00/1500.00) (2)
    B        3 (4200.00)  800.00    1 (700.00)  0/3 (3)  1/2       68.35 (2118.75/31)           120.00 (180000.00/1500.00) (1)
    e1       1 (1000.00)  500.00    0 (0.00)    0/2 (1)  2/4       42.95 (25300.00/589)         146.67 (220000.00/1500.00) (1)
    e2       3 (4200.00)  800.00    1 (700.00)  1/4 (3)  1/2       58.65 (20000.00/341)         53.33 (80000.00/1500.00) (2)
    north    1 (1000.00)  500.00    0 (0.00)    0/2 (1)  2/4       42.95 (25300.00/589)         146.67 (220000.00/1500.00) (1)
    sales    4 (5200.00)  1300.00   1 (700.00)  1/6 (4)  3/6       100.13 (152100.00/1519)      100.00 (150000.00/1500.00) (1)
    south    3 (4200.00)  800.00    1 (700.00)  1/4 (3)  1/2       58.65 (20000.00/341)         53.33 (80000.00/1500.00) (2)";

// N, w, s, c.
const MARCH_FACTORS: &str = "
    subject  deals in work  win rate  average deal size    cycle
    tenant   169/31         3/5       500.00 (1500.00/3)   49/3
    A        56/31          2/3       300.00 (600.00/2)    25/2
    B        113/31         1/2       900.00 (900.00/1)    24/1
    e1       69/31          2/3       550.00 (1100.00/2)   38/2
    e2       100/31         1/2       400.00 (400.00/1)    11/1
    north    69/31          2/3       550.00 (1100.00/2)   38/2
    sales    169/31         3/5       500.00 (1500.00/3)   49/3
    south    100/31         1/2       400.00 (400.00/1)    11/1";

// In April: days in work: d4 9, d7 30, d9 30. No prospect came; d8 purchased, d4 was lost.
const APRIL_OTHERS: &str = "
    subject  pipeline     weighted  unweighted  close            resolved  velocity             value score
    tenant   2 (3500.00)  800.00    0 (0.00)    no-prospect (0)  1/2       26.83 (80.50/3)      no-peer (-)
    A        0 (0.00)     0.00      0 (0.00)    no-prospect (0)  0/1       no-deal-won          0.00 (0.00/700.00) (2)
    B        2 (3500.00)  800.00    0 (0.00)    no-prospect (0)  1/1       46.67 (140.00/3)     200.00 (140000.00/700.00) (1)
    e1       0 (0.00)     0.00      0 (0.00)    no-prospect (0)  0/1       no-deal-won          0.00 (0.00/700.00) (2)
    e2       2 (3500.00)  800.00    0 (0.00)    no-prospect (0)  1/1       46.67 (140.00/3)     200.00 (140000.00/700.00) (1)
    north    0 (0.00)     0.00      0 (0.00)    no-prospect (0)  0/1       no-deal-won          0.00 (0.00/700.00) (2)
    sales    2 (3500.00)  800.00    0 (0.00)    no-prospect (0)  1/2       26.83 (80.50/3)      100.00 (70000.00/700.00) (1)
    south    2 (3500.00)  800.00    0 (0.00)    no-prospect (0)  1/1       46.67 (140.00/3)     200.00 (140000.00/700.00) (1)";

fn march_window() -> Window {
    dates("2024-03-01", "2024-04-01")
}

fn april_window() -> Window {
    dates("2024-04-01", "2024-05-01")
}

async fn shows_the_tables(caller: &mut Caller) {
    let (cards, _) = all(caller, march_window(), "2024-03-31").await;
    assert_eq!(cards.iter().map(row).collect::<Vec<_>>(), table(MARCH));
    assert_eq!(cards.iter().map(row_of_the_others).collect::<Vec<_>>(), table(MARCH_OTHERS));
    assert_eq!(cards.iter().map(factors).collect::<Vec<_>>(), table(MARCH_FACTORS));
    assert_eq!(cards.iter().map(row_before).collect::<Vec<_>>(), table(FEBRUARY));
    let (cards, _) = all(caller, april_window(), "2024-04-30").await;
    assert_eq!(cards.iter().map(row).collect::<Vec<_>>(), table(APRIL));
    assert_eq!(cards.iter().map(row_of_the_others).collect::<Vec<_>>(), table(APRIL_OTHERS));
}

#[tokio::test]
async fn every_row_of_every_kpi() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    shows_the_tables(&mut caller).await;
    sidecar.stop().await;
}

#[tokio::test]
async fn whatever_the_order_and_however_often() {
    let sidecar = Sidecar::start().await;
    let mut callers = Vec::new();
    for (place, batch) in [1, 2, 5, 27].into_iter().enumerate() {
        let mut caller = sidecar.tenant(&format!("{TENANT}-{place}"), settings()).await;
        let mut shuffled = records();
        match place {
            0 => shuffled.reverse(), // deals before all that they name, new versions before old ones
            seed => shuffle(&mut shuffled, seed as u64),
        }
        for records in shuffled.chunks(batch) {
            caller.write(records.to_vec()).await;
        }
        shows_the_tables(&mut caller).await;
        let before = versions(&mut caller).await;
        caller.write(records()).await;
        shows_the_tables(&mut caller).await;
        assert_eq!(versions(&mut caller).await, before, "a repeated write changes nothing");
        callers.push(format!("{TENANT}-{place}"));
    }
    let sidecar = Sidecar::start_on(sidecar.stop().await).await;
    for tenant_id in callers {
        shows_the_tables(&mut sidecar.caller(&tenant_id).await).await;
    }
    sidecar.stop().await;
}

/// Fisher and Yates's shuffle over a generator of Knuth's: the same on every machine.
fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for last in (1..items.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(last, (seed >> 33) as usize % (last + 1));
    }
}

async fn versions(caller: &mut Caller) -> Vec<(Record, bool)> {
    let mut versions = Vec::new();
    for record in records() {
        let request = GetRecordRequest { key: Some(key_of(&record)), consistency: None };
        let answer = caller.records.get_record(request).await.expect("it was written").into_inner();
        versions.extend(answer.versions.into_iter().map(|version| {
            assert!(version.received_time.is_some());
            (version.record.expect("always set"), version.current)
        }));
    }
    versions
}

fn key_of(record: &Record) -> RecordKey {
    let key = match record.record.clone().expect("the example's records are whole") {
        Kind::Partner(partner) => Key::PartnerId(partner.partner_id),
        Kind::OrgUnit(unit) => Key::OrgUnitId(unit.org_unit_id),
        Kind::Employee(employee) => Key::EmployeeId(employee.employee_id),
        Kind::Lead(lead) => Key::LeadId(lead.lead_id),
        Kind::Deal(deal) => Key::DealId(deal.deal_id),
        Kind::MarketingChannel(channel) => Key::MarketingChannelId(channel.marketing_channel_id),
        Kind::MarketingSpend(spend) => Key::MarketingSpendId(spend.marketing_spend_id),
        other => panic!("the example has no {other:?}"),
    };
    RecordKey { key: Some(key) }
}

// === what else an answer says ===

/// "Partner A with as_of 2024-03-15: two deals closed in the last 15 days, 200 and 400."
#[tokio::test]
async fn the_seed_of_the_idea() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let last_15_days = Window { window: Some(Asked::LastDays(15)) };
    let (card, _) = get(&mut caller, ask(partner("A"), last_15_days, "2024-03-15")).await;
    let expected = table(
        "subject   average deal size    deal count    success   missed
         A         300.00 (600.00/2)    2 (600.00)    2/2       0 (0.00)",
    );
    assert_eq!([row(&card)], expected.as_slice());
    sidecar.stop().await;
}

#[tokio::test]
async fn subjects_have_the_names_that_the_host_sent() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let (cards, _) = all(&mut caller, march_window(), "2024-03-31").await;
    let names: Vec<_> = cards.iter().map(|card| card.name.as_str()).collect();
    let expected = [
        "",
        "Partner A",
        "Partner B",
        "Employee e1",
        "Employee e2",
        "Unit north",
        "Unit sales",
        "Unit south",
    ];
    assert_eq!(names, expected);
    sidecar.stop().await;
}

/// Beside the tables: who lost to a competitor, what expired, what had no amount, Wilson's interval.
#[tokio::test]
async fn success_says_how_deals_were_missed() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    // The interval by the textbook form (p + z²/2n ± z·√(p(1 − p)/n + z²/4n²)) / (1 + z²/n), z = 1.959964.
    for (subject, to_competitor, expired, lower, upper) in [
        (partner("A"), 1, 0, 0.207660, 0.938508),       // 2/3
        (partner("B"), 0, 1, 0.094531, 0.905469),       // 1/2
        (Subject::default(), 1, 1, 0.230724, 0.882379), // 3/5
    ] {
        let (card, _) = get(&mut caller, march(subject)).await;
        let success = card.deal_success.expect("asked for");
        assert_eq!((success.lost_to_competitor_count, success.expired_count), (to_competitor, expired));
        assert_eq!(success.unpriced_missed_count, 0);
        assert_eq!(card.average_deal_size.expect("asked for").unpriced_won_count, 0);
        let interval = success.interval.expect("deals ended");
        let off = (interval.lower - lower).abs().max((interval.upper - upper).abs());
        assert!(off < 1e-6, "{interval:?}");
    }
    sidecar.stop().await;
}

#[tokio::test]
async fn changes_are_told_from_april_to_march() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let kpis = |card: Scorecard| {
        [
            card.average_deal_size.and_then(|kpi| kpi.change),
            card.deal_count.and_then(|kpi| kpi.change),
            card.deal_success.and_then(|kpi| kpi.change),
        ]
    };
    let (better, worse, same) = (Trend::Better, Trend::Worse, Trend::Same);
    for (subject, expected) in [
        // no deal won in April; 0 against 2 deals; 0/1 against 2/3
        (partner("A"), [None, Some((-2.0, Some(-1.0), worse)), Some((-2.0 / 3.0, Some(-1.0), worse))]),
        // 700 against 900; 1 against 1; 1/1 against 1/2
        (
            partner("B"),
            [
                Some((-200.0, Some(-2.0 / 9.0), worse)),
                Some((0.0, Some(0.0), same)),
                Some((0.5, Some(1.0), better)),
            ],
        ),
    ] {
        let (card, _) = get(&mut caller, ask(subject, april_window(), "2024-04-30")).await;
        for (change, expected) in kpis(card).into_iter().zip(expected) {
            assert_eq!(change.is_some(), expected.is_some(), "{change:?} for {expected:?}");
            let Some((change, (absolute, relative, trend))) = change.zip(expected) else { continue };
            assert_eq!(change.trend(), trend);
            assert!((change.absolute.expect("both are there") - absolute).abs() < 1e-12, "{change:?}");
            let off = change.relative.zip(relative).map(|(found, expected)| (found - expected).abs());
            assert!(off.is_some_and(|off| off < 1e-12), "{change:?}");
        }
    }
    // Nothing was won in February: there is no growth from nothing.
    let (card, _) = get(&mut caller, march(partner("A"))).await;
    let [average, count, success] = kpis(card);
    assert_eq!((average, success), (None, None));
    let count = count.expect("a count is never absent");
    assert_eq!((count.absolute, count.relative, count.trend()), (Some(2.0), None, better));
    sidecar.stop().await;
}

#[tokio::test]
async fn the_definition_says_which_days_count() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let last_days = |days| Window { window: Some(Asked::LastDays(days)) };
    let period = |period: Period| Window { window: Some(Asked::Period(period.into())) };
    let told = |dates: &Option<DateRange>| match dates {
        Some(range) => format!("{}..{}", day(&range.start_on), day(&range.end_on)),
        None => "none".into(),
    };
    let mut found = Vec::new();
    for (window, as_of) in [
        (march_window(), "2024-03-31"),
        (last_days(15), "2024-03-15"),
        (period(Period::ThisMonth), "2024-03-15"),
        (period(Period::MonthToDate), "2024-03-15"),
        (period(Period::PreviousMonth), "2024-04-10"),
        (period(Period::QuarterToDate), "2024-03-31"),
        (period(Period::ThisWeek), "2024-03-15"), // a Friday; weeks begin on Monday
        (dates("2024-03-10", "2024-03-20"), "2024-03-14"),
        (april_window(), "2024-03-31"), // no day of it has come
    ] {
        let (card, definition) = get(&mut caller, ask(partner("A"), window, as_of)).await;
        let Definition {
            window,
            partial,
            as_of,
            comparison_window,
            comparison_as_of,
            reporting_currency_code,
            premises,
            rates_on,
            oldest_rate_on,
            time_zone,
            time_zone_rules_version,
        } = definition;
        assert_eq!((reporting_currency_code.as_str(), time_zone.as_str()), ("USD", "Asia/Dhaka"));
        let premises = premises.expect("always set");
        assert_eq!(premises.exchange.expect("filled in").policy(), ExchangePolicy::AtClose);
        assert_eq!(premises.credit_roles, [i32::from(CreditRole::Sourced)]);
        assert_eq!(rates_on, None, "each amount at its own date's rate");
        assert_eq!(oldest_rate_on, None, "nothing was converted");
        assert!(time_zone_rules_version.starts_with("20"), "{time_zone_rules_version}");
        let count = card.deal_count.expect("asked for");
        assert_eq!(count.comparison.is_some(), comparison_window.is_some());
        assert_eq!(count.comparison_won_amount.is_some(), comparison_window.is_some());
        found.push(format!(
            "{} {} {} {} {}",
            day(&as_of),
            told(&window),
            if partial { "partial" } else { "whole" },
            told(&comparison_window),
            day(&comparison_as_of),
        ));
    }
    // Each as_of of a comparison lies as many days back as the window's end, cut after as_of, is moved.
    let expected = table(
        "as_of        window                             comparison window        as_of then
         2024-03-31   2024-03-01..2024-04-01   whole     2024-02-01..2024-03-01   2024-02-29
         2024-03-15   2024-03-01..2024-03-16   whole     2024-02-15..2024-03-01   2024-02-29
         2024-03-15   2024-03-01..2024-04-01   partial   2024-02-01..2024-02-16   2024-02-15
         2024-03-15   2024-03-01..2024-03-16   whole     2024-02-01..2024-02-16   2024-02-15
         2024-04-10   2024-03-01..2024-04-01   whole     2024-02-01..2024-03-01   2024-03-10
         2024-03-31   2024-01-01..2024-04-01   whole     2023-10-01..2024-01-01   2023-12-31
         2024-03-15   2024-03-11..2024-03-18   partial   2024-03-04..2024-03-09   2024-03-08
         2024-03-14   2024-03-10..2024-03-20   partial   2024-03-05..2024-03-10   2024-03-09
         2024-03-31   2024-04-01..2024-05-01   partial   none                     none",
    );
    assert_eq!(found, expected);
    sidecar.stop().await;
}

fn day(date: &Option<Date>) -> String {
    date.map_or("none".into(), |date| format!("{}-{:02}-{:02}", date.year, date.month, date.day))
}

/// d8 is won at 2024-03-31T20:00Z: on 1 April in Dhaka, and on 31 March in UTC.
#[tokio::test]
async fn a_deal_closes_on_the_date_of_its_tenant_s_zone() {
    let sidecar = Sidecar::start().await;
    let mut dhaka = example(&sidecar).await;
    let mut utc = sidecar.tenant("utc", TenantSettings { time_zone: "UTC".into(), ..settings() }).await;
    utc.write(records()).await;

    let mut found = Vec::new();
    for caller in [&mut dhaka, &mut utc] {
        for subject in [partner("B"), Subject::default()] {
            let (march, _) = get(caller, march(subject.clone())).await;
            let (april, _) = get(caller, ask(subject, april_window(), "2024-04-30")).await;
            found.extend([row(&march), row(&april)]);
        }
    }
    let expected = table(
        "subject   average deal size    deal count    success   missed
         B         900.00 (900.00/1)    1 (900.00)    1/2       1 (500.00)
         B         700.00 (700.00/1)    1 (700.00)    1/1       0 (0.00)
         tenant    500.00 (1500.00/3)   3 (1500.00)   3/5       2 (800.00)
         tenant    700.00 (700.00/1)    1 (700.00)    1/2       1 (1000.00)
         B         800.00 (1600.00/2)   2 (1600.00)   2/3       1 (500.00)
         B         no-deal-won          0 (0.00)      no-deal-ended   0 (0.00)
         tenant    550.00 (2200.00/4)   4 (2200.00)   4/6       2 (800.00)
         tenant    no-deal-won          0 (0.00)      0/1       1 (1000.00)",
    );
    assert_eq!(found, expected);
    sidecar.stop().await;
}

// === the records ===

#[tokio::test]
async fn all_records_are_read_back_as_they_were_sent() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    for record in records() {
        let key = key_of(&record);
        let request = GetRecordRequest { key: Some(key.clone()), consistency: None };
        let answer = caller.records.get_record(request).await.expect("it was written").into_inner();
        let found: Vec<_> = answer.versions.iter().filter_map(|version| version.record.clone()).collect();
        let mut sent: Vec<_> = records().into_iter().filter(|other| key_of(other) == key).collect();
        sent.sort_by_key(|record| record.update_time.map(|time| time.seconds));
        assert_eq!(found, sent, "oldest first");
        let current: Vec<_> = answer.versions.iter().map(|version| version.current).collect();
        assert_eq!(current.iter().rposition(|current| *current), Some(sent.len() - 1));
        assert_eq!(current.iter().filter(|current| **current).count(), 1);
    }
    let mut found = Vec::new();
    for kind in (1..=11).map(|number| RecordKind::try_from(number).expect("there are 11 kinds")) {
        let request = ListRecordsRequest { record_kind: kind.into(), ..ListRecordsRequest::default() };
        let answer = caller.records.list_records(request).await.expect("it is valid").into_inner();
        assert!(answer.versions.iter().all(|version| version.current));
        found.push((kind, answer.versions.len()));
    }
    let expected = [
        (RecordKind::Partner, 2),
        (RecordKind::OrgUnit, 3),
        (RecordKind::Employee, 2),
        (RecordKind::Lead, 4),
        (RecordKind::Deal, 9),
        (RecordKind::MarketingChannel, 3),
        (RecordKind::MarketingSpend, 2),
        (RecordKind::Target, 0),
        (RecordKind::ExchangeRate, 0),
        (RecordKind::Strategy, 0),
        (RecordKind::TenantSettings, 1),
    ];
    assert_eq!(found, expected);

    let request = GetTenantRequest { tenant_id: TENANT.into() };
    let told = caller.admin.get_tenant(request).await.expect("it is there").into_inner().tenant;
    let told = told.expect("always set");
    assert_eq!(told.settings, Some(settings()));
    assert_eq!((told.deal_count, told.version_count), (9, 28), "27 versions of records, 1 of settings");
    sidecar.stop().await;
}
