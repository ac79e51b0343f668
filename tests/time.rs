//! Time through gRPC on a real socket (docs/kpis.md §2, §7): every named window by hand on days where calendars
//! are odd, with both comparisons; and the midnights of zones with summer time, odd offsets and a day that never was.

#[path = "support/named_windows.rs"]
mod named_windows;
#[path = "support/scorecard.rs"]
#[allow(dead_code)] // every test takes what it needs
mod scorecard;
#[path = "support/sidecar.rs"]
mod sidecar;
#[path = "support/worked_example.rs"]
#[allow(dead_code)]
mod worked_example;

use channel_kpi::proto::channelkpi::v1::comparison::Comparison as With;
use channel_kpi::proto::channelkpi::v1::figure::Result as Told;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::window::Window as Asked;
use channel_kpi::proto::channelkpi::v1::{
    Comparison, ConfigureTenantRequest, DateRange, Deal, DealStatus, Definition, Figure, GetScorecardRequest,
    Kpi, Lead, LeadOutcome, Period, Record, Scorecard, Subject, TenantSettings, View, Window,
};
use channel_kpi::proto::google::r#type::{Date, DayOfWeek};
use chrono::{Days, NaiveDate, TimeDelta, Utc};
use named_windows::{NAMED, WEEKS};
use prost_types::Timestamp;
use scorecard::{ask, dates, table};
use sidecar::{Caller, Sidecar};
use tonic::Code;
use worked_example::{at, date, settings, version};

async fn get(caller: &mut Caller, question: GetScorecardRequest) -> (Scorecard, Definition) {
    let answer = caller.kpis.get_scorecard(question).await.expect("the question is valid").into_inner();
    (answer.scorecard.expect("always set"), answer.definition.expect("always set"))
}

/// A window by its name in the tables: `month-to-date`, or `last-15` for so many days.
fn window(name: &str) -> Window {
    let asked = match name.strip_prefix("last-") {
        Some(days) => Asked::LastDays(days.parse().expect("a number")),
        None => {
            let name = format!("PERIOD_{}", name.to_uppercase().replace('-', "_"));
            Asked::Period(Period::from_str_name(&name).expect("a period of this API").into())
        }
    };
    Window { window: Some(asked) }
}

fn day(date: Option<Date>) -> NaiveDate {
    let Date { year, month, day } = date.expect("it is set");
    NaiveDate::from_ymd_opt(year, month as u32, day as u32).expect("a date")
}

fn on(text: &str) -> NaiveDate {
    text.parse().expect("the tests write dates")
}

fn days_of(range: &DateRange) -> [NaiveDate; 2] {
    [day(range.start_on), day(range.end_on)]
}

fn told(range: Option<&DateRange>) -> String {
    range.map(days_of).map_or("none".into(), |[from, to]| format!("{from}..{to}"))
}

fn ratio(figure: Option<&Figure>) -> Option<f64> {
    match figure?.result.as_ref()? {
        Told::Value(ratio) => Some(ratio.quotient),
        Told::AbsentReason(_) => None,
    }
}

fn won(deal_id: &str, closed_at: Option<Timestamp>) -> Record {
    let deal = Deal {
        deal_id: deal_id.into(),
        opened_at: at("2001-01-01T12:00:00Z"),
        status: DealStatus::Won.into(),
        closed_at,
        ..Deal::default()
    };
    version(closed_at, Kind::Deal(deal))
}

// === windows ===

/// From 2021 to 2025 two deals a day are won: on the first second of each day in Dhaka, and on its last.
async fn two_a_day(sidecar: &Sidecar) -> Caller {
    let mut caller = sidecar.tenant("daily", settings()).await;
    let first = at("2021-01-01T00:00:00+06:00").expect("it is set").seconds;
    let deals = (0..1_826).flat_map(|day| {
        [0, 86_399].map(|second| {
            let seconds = first + day * 86_400 + second;
            won(&format!("{day}-{second}"), Some(Timestamp { seconds, nanos: 0 }))
        })
    });
    for records in deals.collect::<Vec<_>>().chunks(1_000) {
        caller.write(records.to_vec()).await;
    }
    caller
}

async fn configure(caller: &mut Caller, week_start: DayOfWeek, fiscal_year_start_month: i32) {
    let settings = TenantSettings {
        week_start: week_start.into(),
        fiscal_year_start_month: Some(fiscal_year_start_month),
        ..settings()
    };
    let request = ConfigureTenantRequest { tenant_id: "daily".into(), settings: Some(settings) };
    caller.admin.configure_tenant(request).await.expect("the settings are valid");
}

/// A row of the tables; and the deals counted are those of the days told.
async fn row(caller: &mut Caller, name: &str, window: Window, as_of: &str) -> String {
    let mut found = vec![name.to_owned()];
    for (place, with) in [With::Previous(true), With::YearBefore(true)].into_iter().enumerate() {
        let question = GetScorecardRequest {
            kpis: vec![Kpi::DealCount.into()],
            comparison: Some(Comparison { comparison: Some(with) }),
            ..ask(Subject::default(), window, as_of)
        };
        let (card, definition) = get(caller, question).await;
        assert_eq!(definition.as_of, date(as_of));
        let range = definition.window.expect("always set");
        let [from, to] = days_of(&range);
        let end = to.min(on(as_of) + Days::new(1));
        assert_eq!(definition.partial, end < to, "{name} on {as_of}");
        let count = card.deal_count.expect("it was asked for");
        let two_a_day = |from: NaiveDate, to: NaiveDate| Some(2.0 * (to - from).num_days().max(0) as f64);
        assert_eq!(ratio(count.figure.as_ref()), two_a_day(from, end), "{name} on {as_of}");
        let before = definition.comparison_window.as_ref();
        let expected = before.map(days_of).and_then(|[from, to]| two_a_day(from, to));
        assert_eq!(ratio(count.comparison.as_ref()), expected, "what {name} on {as_of} is compared with");
        if place == 0 {
            found.extend([told(Some(&range)), if definition.partial { "partial" } else { "whole" }.into()]);
        }
        found.push(told(before));
        found.push(definition.comparison_as_of.map_or("none".into(), |as_of| day(Some(as_of)).to_string()));
    }
    found.join(" ")
}

/// By hand. What is to date goes back to the same days of the period before, its last day cut to the month's end;
/// what is over goes back whole. A year before, weeks lie 364 days back. Each `as_of` goes back as far as the end.
#[tokio::test(flavor = "multi_thread")]
async fn every_named_window() {
    let sidecar = Sidecar::start().await;
    let mut caller = two_a_day(&sidecar).await;
    for (as_of, week_start, fiscal_year_start_month, expected) in NAMED {
        configure(&mut caller, *week_start, *fiscal_year_start_month).await;
        let expected = table(expected);
        let names: Vec<&str> = expected.iter().filter_map(|row| row.split(' ').next()).collect();
        let periods = names.iter().filter(|name| !name.starts_with("last-"));
        assert_eq!(periods.collect::<std::collections::BTreeSet<_>>().len(), 18, "{as_of}: all periods");
        for (name, expected) in names.iter().zip(&expected) {
            let found = row(&mut caller, name, window(name), as_of).await;
            assert_eq!(found, *expected, "on {as_of}");
        }
    }
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn weeks_that_begin_on_each_of_the_seven_days() {
    let sidecar = Sidecar::start().await;
    let mut caller = two_a_day(&sidecar).await;
    for (as_of, expected) in WEEKS {
        for rows in table(expected).chunks(3) {
            for expected in rows {
                let (week_start, expected) = expected.split_once(' ').expect("the day is first");
                let day = DayOfWeek::from_str_name(&week_start.to_uppercase()).expect("a day of the week");
                configure(&mut caller, day, 1).await;
                let name = expected.split(' ').next().expect("then the name");
                let found = row(&mut caller, name, window(name), as_of).await;
                assert_eq!(found, expected, "on {as_of}, weeks from {week_start} on");
            }
        }
    }
    sidecar.stop().await;
}

/// Given dates: months where they begin and end on a first, else days; before, within and after.
#[tokio::test(flavor = "multi_thread")]
async fn given_dates() {
    let sidecar = Sidecar::start().await;
    let mut caller = two_a_day(&sidecar).await;
    let mut found = Vec::new();
    for (start_on, end_on, as_of) in [
        ("2024-03-01", "2024-04-01", "2024-04-20"), // a month that is over
        ("2024-03-01", "2024-04-01", "2024-03-30"), // one that is not: the 30th is cut
        ("2024-03-01", "2024-04-01", "2024-03-31"),
        ("2024-02-01", "2024-05-01", "2024-03-31"), // three months
        ("2024-02-29", "2024-03-01", "2024-03-01"), // the leap day alone
        ("2024-02-29", "2024-03-10", "2024-03-31"),
        ("2024-02-10", "2024-02-29", "2024-03-31"), // up to it
        ("2024-02-20", "2024-03-20", "2024-02-28"), // days, partial
        ("2024-02-20", "2024-03-20", "2024-02-29"),
        ("2024-12-25", "2025-01-08", "2024-12-31"),
        ("2024-05-01", "2024-06-01", "2024-04-30"), // no day of it has come
    ] {
        found.push(row(&mut caller, "dates", dates(start_on, end_on), as_of).await);
    }
    let expected = table(
        "window  dates                  whole?   the one before         as_of then   a year before          as_of then
         dates 2024-03-01..2024-04-01   whole    2024-02-01..2024-03-01 2024-03-20   2023-03-01..2023-04-01 2023-04-20
         dates 2024-03-01..2024-04-01   partial  2024-02-01..2024-03-01 2024-02-29   2023-03-01..2023-03-31 2023-03-30
         dates 2024-03-01..2024-04-01   whole    2024-02-01..2024-03-01 2024-02-29   2023-03-01..2023-04-01 2023-03-31
         dates 2024-02-01..2024-05-01   partial  2023-11-01..2024-01-01 2023-12-31   2023-02-01..2023-04-01 2023-03-31
         dates 2024-02-29..2024-03-01   whole    2024-02-28..2024-02-29 2024-02-29   2023-02-28..2023-03-01 2023-03-01
         dates 2024-02-29..2024-03-10   whole    2024-02-19..2024-02-29 2024-03-21   2023-02-28..2023-03-10 2023-03-31
         dates 2024-02-10..2024-02-29   whole    2024-01-22..2024-02-10 2024-03-12   2023-02-10..2023-03-01 2023-04-01
         dates 2024-02-20..2024-03-20   partial  2024-02-11..2024-02-20 2024-02-19   2023-02-20..2023-03-01 2023-02-28
         dates 2024-02-20..2024-03-20   partial  2024-02-10..2024-02-20 2024-02-19   2023-02-20..2023-03-01 2023-02-28
         dates 2024-12-25..2025-01-08   partial  2024-12-18..2024-12-25 2024-12-24   2023-12-25..2024-01-01 2023-12-31
         dates 2024-05-01..2024-06-01   partial  none                   none         none                   none",
    );
    assert_eq!(found, expected);
    sidecar.stop().await;
}

/// Windows lie in 1970 to 2199; what they are compared with is left out where it doesn't.
#[tokio::test]
async fn the_edges_of_time() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("edges", settings()).await;
    let mut found = Vec::new();
    for (name, as_of) in [
        ("this-month", "1970-01-20"),
        ("last-10", "1970-01-20"),
        ("last-20", "1970-01-20"),
        ("this-year", "2199-12-31"),
        ("this-month", "2199-12-30"),
    ] {
        let asked = GetScorecardRequest {
            kpis: vec![Kpi::DealCount.into()],
            ..ask(Subject::default(), window(name), as_of)
        };
        let (_, definition) = get(&mut caller, asked).await;
        let before = told(definition.comparison_window.as_ref());
        found.push(format!("{name} {as_of} {} {before}", told(definition.window.as_ref())));
    }
    let expected = table(
        "window      as_of        dates                    the one before
         this-month  1970-01-20   1970-01-01..1970-02-01   none
         last-10     1970-01-20   1970-01-11..1970-01-21   1970-01-01..1970-01-11
         last-20     1970-01-20   1970-01-01..1970-01-21   none
         this-year   2199-12-31   2199-01-01..2200-01-01   2198-01-01..2199-01-01
         this-month  2199-12-30   2199-12-01..2200-01-01   2199-11-01..2199-12-01",
    );
    assert_eq!(found, expected);
    // 1 January 1970 was a Thursday, 31 December 2199 a Tuesday; weeks begin on Monday.
    for (name, as_of) in [
        ("this-week", "1970-01-02"),
        ("previous-month", "1970-01-31"),
        ("last-21", "1970-01-20"),
        ("this-week", "2199-12-31"),
    ] {
        let refused = caller.kpis.get_scorecard(ask(Subject::default(), window(name), as_of)).await;
        assert_eq!(refused.expect_err("it leaves the range").code(), Code::InvalidArgument, "{name}");
    }
    sidecar.stop().await;
}

// === midnights ===

/// The first and the last second of local days, as UTC, with the date on the wall.
const MIDNIGHTS: &[(&str, &[(&str, &str)])] = &[
    (
        "Asia/Dhaka",
        &[
            ("2023-12-31T17:59:59Z", "2023-12-31"),
            ("2023-12-31T18:00:00Z", "2024-01-01"),
            ("2024-02-28T18:00:00Z", "2024-02-29"), // the leap day
            ("2024-02-29T17:59:59.999999999Z", "2024-02-29"),
            ("2024-02-29T18:00:00Z", "2024-03-01"),
        ],
    ),
    (
        "America/New_York",
        &[
            ("2024-03-10T04:59:59Z", "2024-03-09"),
            ("2024-03-10T05:00:00Z", "2024-03-10"), // it lacks an hour
            ("2024-03-11T03:59:59Z", "2024-03-10"),
            ("2024-03-11T04:00:00Z", "2024-03-11"), // in summer time
            ("2024-11-03T03:59:59Z", "2024-11-02"),
            ("2024-11-03T04:00:00Z", "2024-11-03"), // it has an hour twice
            ("2024-11-03T05:30:00Z", "2024-11-03"), // 01:30
            ("2024-11-03T06:30:00Z", "2024-11-03"), // 01:30 again
            ("2024-11-04T04:59:59Z", "2024-11-03"),
            ("2024-11-04T05:00:00Z", "2024-11-04"),
        ],
    ),
    (
        "Europe/London",
        &[
            ("2024-03-30T23:59:59Z", "2024-03-30"),
            ("2024-03-31T00:00:00Z", "2024-03-31"), // summer time begins at one, and March ends
            ("2024-03-31T22:59:59Z", "2024-03-31"),
            ("2024-03-31T23:00:00Z", "2024-04-01"),
            ("2024-10-26T22:59:59Z", "2024-10-26"),
            ("2024-10-26T23:00:00Z", "2024-10-27"),
            ("2024-10-27T23:59:59Z", "2024-10-27"),
            ("2024-10-28T00:00:00Z", "2024-10-28"),
        ],
    ),
    (
        "Asia/Kathmandu", // UTC+5:45
        &[
            ("2024-02-28T18:14:59Z", "2024-02-28"),
            ("2024-02-28T18:15:00Z", "2024-02-29"),
            ("2024-02-29T18:14:59Z", "2024-02-29"),
            ("2024-02-29T18:15:00Z", "2024-03-01"),
        ],
    ),
    (
        "Pacific/Apia", // from UTC-10 to UTC+14: there never was a 30th of December 2011
        &[
            ("2011-12-29T10:00:00Z", "2011-12-29"),
            ("2011-12-30T09:59:59Z", "2011-12-29"),
            ("2011-12-30T10:00:00Z", "2011-12-31"),
            ("2011-12-31T09:59:59Z", "2011-12-31"),
            ("2011-12-31T10:00:00Z", "2012-01-01"),
        ],
    ),
];

/// At each instant a deal is won, one is lost, one expires, one is opened and ends long after, and a lead comes.
fn all_at_once(instants: &[(&str, &str)]) -> Vec<Record> {
    let records = instants.iter().enumerate().flat_map(|(n, (instant, _))| {
        let early = at("2001-01-01T12:00:00Z");
        let deal = |kind: &str| Deal {
            deal_id: format!("{kind}-{n}"),
            opened_at: early,
            status: DealStatus::Open.into(),
            ..Deal::default()
        };
        let lost = DealStatus::Lost.into();
        let deals = [
            Deal { status: DealStatus::Won.into(), closed_at: at(instant), ..deal("won") },
            Deal { status: lost, closed_at: at(instant), ..deal("lost") },
            Deal { expire_time: at(instant), ..deal("expired") },
            Deal { opened_at: at(instant), ..deal("opened") },
        ];
        let lead = Lead {
            lead_id: format!("lead-{n}"),
            created_at: at(instant),
            outcome: LeadOutcome::Open.into(),
            ..Lead::default()
        };
        deals.map(Kind::Deal).into_iter().chain([Kind::Lead(lead)]).map(move |kind| version(early, kind))
    });
    records.collect()
}

/// What a scorecard says of days: won, missed, prospects that came (a deal without a lead, and a lead), and what is
/// open on `as_of`.
async fn counted(caller: &mut Caller, from: NaiveDate, to: NaiveDate, as_of: NaiveDate) -> [i64; 4] {
    let question = ask(Subject::default(), dates(&from.to_string(), &to.to_string()), &as_of.to_string());
    let (card, _) = get(caller, question).await;
    let success = card.deal_success.expect("all were asked for");
    let open = card.opportunity_pipeline.and_then(|kpi| kpi.open).expect("all were asked for");
    let close = card.close_rate.expect("all were asked for");
    let won = ratio(card.deal_count.expect("all were asked for").figure.as_ref()).expect("never absent");
    [won as i64, success.missed_count, close.unresolved_count, open.count]
}

/// What happens on one side of midnight counts in the window that ends there, what happens on the other in the
/// next; nothing in both, nothing in none.
#[tokio::test(flavor = "multi_thread")]
async fn midnight_divides_neighbouring_windows() {
    let sidecar = Sidecar::start().await;
    for &(zone, instants) in MIDNIGHTS {
        let settings = TenantSettings { time_zone: zone.into(), ..settings() };
        let mut caller = sidecar.tenant(&zone.to_lowercase().replace(['/', '_'], "-"), settings).await;
        caller.write(all_at_once(instants)).await;
        let local: Vec<NaiveDate> = instants.iter().map(|(_, local)| on(local)).collect();
        let within = |from: NaiveDate, to: NaiveDate| {
            local.iter().filter(|&&date| from <= date && date < to).count() as i64
        };
        let first = *local.iter().min().expect("there are some") - Days::new(3);
        let end = *local.iter().max().expect("there are some") + Days::new(3);
        let mut tried: Vec<NaiveDate> = local.iter().flat_map(|&day| [day, day + Days::new(1)]).collect();
        tried.sort_unstable();
        tried.dedup();
        for &cut in &tried {
            for (from, to) in [(first, cut), (cut, end), (cut - Days::new(1), cut), (cut, cut + Days::new(1))]
            {
                let n = within(from, to);
                // Open at the end of the day before `to`: what was opened earlier, and what ends later.
                let open = within(first, to) + 3 * within(to, end);
                let found = counted(&mut caller, from, to, to - Days::new(1)).await;
                // Of the deals opened on these days none has an end; those won, lost, expired came in 2001.
                assert_eq!(found, [n, 2 * n, 2 * n, open], "{zone}: {from}..{to}");
            }
        }
    }
    sidecar.stop().await;
}

/// Kiritimati and Pago Pago are 25 hours apart: at no moment have they one date.
#[tokio::test]
async fn today_is_the_tenant_s_date() {
    let sidecar = Sidecar::start().await;
    let mut found = Vec::new();
    for (zone, hours) in [("Pacific/Kiritimati", 14), ("Asia/Dhaka", 6), ("Pacific/Pago_Pago", -11)] {
        let settings = TenantSettings { time_zone: zone.into(), ..settings() };
        let mut caller = sidecar.tenant(&format!("hours-{}", hours + 12), settings).await;
        let wall = || Utc::now() + TimeDelta::hours(hours);
        let now = wall() - TimeDelta::hours(hours);
        let instant = |hours| {
            let seconds = (now + TimeDelta::hours(hours)).timestamp();
            Some(Timestamp { seconds, nanos: 0 })
        };
        let early = at("2001-01-01T12:00:00Z");
        let deals = [won("now", instant(0)), won("in-two-days", instant(48))];
        let deals = deals.map(|record| Record { update_time: early, ..record });
        caller.write(deals.to_vec()).await;

        let before = wall().date_naive();
        // Two days, so that the deal counts even where the day ends while this test runs.
        let asked =
            GetScorecardRequest { as_of: None, ..ask(Subject::default(), window("last-2"), "2024-01-01") };
        let (card, definition) = get(&mut caller, asked).await;
        let after = wall().date_naive();
        let today = day(definition.as_of);
        assert!(before <= today && today <= after, "{zone}: {before} {today} {after}");
        let range = definition.window.expect("always set");
        assert_eq!(days_of(&range), [today - Days::new(1), today + Days::new(1)]);
        assert!(!definition.partial);
        let count = card.deal_count.expect("all were asked for");
        assert_eq!(
            ratio(count.figure.as_ref()),
            Some(1.0),
            "{zone}: what closes in two days doesn't count yet"
        );
        found.push(today);
    }
    assert!(found[0] != found[2], "{found:?}");
    sidecar.stop().await;
}

// === age ===

/// Of two leads of each month one purchases within ten days after the month's end, the other weeks later. On 10 April
/// the late one of March has not; those of the months before have, and had not when they were as old as March is.
#[tokio::test]
async fn a_cohort_is_compared_with_one_of_its_age() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("cohorts", settings()).await;
    let mut records = Vec::new();
    for (month, soon, late) in [
        ("2023-03", "2023-04-08", "2023-04-20"),
        ("2024-02", "2024-03-08", "2024-04-05"),
        ("2024-03", "2024-04-08", "2024-05-05"),
    ] {
        for (n, purchased) in [soon, late].into_iter().enumerate() {
            let created_at = at(&format!("{month}-1{n}T06:00:00Z"));
            let lead_id = format!("{month}-{n}");
            let outcome = LeadOutcome::Open.into();
            let lead = Lead { lead_id: lead_id.clone(), created_at, outcome, ..Lead::default() };
            let deal = Deal {
                deal_id: lead_id.clone(),
                lead_id,
                opened_at: created_at,
                status: DealStatus::Won.into(),
                closed_at: at(&format!("{purchased}T06:00:00Z")),
                ..Deal::default()
            };
            records.extend([Kind::Lead(lead), Kind::Deal(deal)].map(|kind| version(created_at, kind)));
        }
    }
    caller.write(records).await;
    for (with, as_of_then) in [(With::Previous(true), "2024-03-10"), (With::YearBefore(true), "2023-04-10")] {
        let question = GetScorecardRequest {
            comparison: Some(Comparison { comparison: Some(with) }),
            view: View::Full.into(),
            ..ask(Subject::default(), dates("2024-03-01", "2024-04-01"), "2024-04-10")
        };
        let (card, definition) = get(&mut caller, question).await;
        assert_eq!(definition.comparison_as_of, date(as_of_then));
        let close = card.close_rate.expect("all were asked for");
        let year_before = close.context.and_then(|context| context.year_before).expect("in this view");
        let rates = [&close.figure, &close.comparison, &year_before.comparison];
        assert_eq!(rates.map(|rate| ratio(rate.as_ref())), [Some(0.5); 3], "{with:?}");
        assert_eq!(close.change.and_then(|change| change.absolute), Some(0.0));
    }
    // As of today February is at 2 of 2.
    let today = ask(Subject::default(), dates("2024-02-01", "2024-03-01"), "2024-04-10");
    let (card, _) = get(&mut caller, today).await;
    assert_eq!(ratio(card.close_rate.expect("all were asked for").figure.as_ref()), Some(1.0));
    sidecar.stop().await;
}
