//! Deal velocity with its factors, cycles, stage days, and the amounts of single deals won.

use std::collections::BTreeMap;

use rusqlite::named_params;

use super::rows::{subjects, tenant};
use crate::book::histories::{days, scope};
use crate::domain::calendar::date;
use crate::domain::premises::RatesOn;
use crate::domain::window::WindowSpec;
use crate::kpi::deal_velocity::{cycle_days, deal_velocity, deals_in_work, mean_cycle_days, win_rate};
use crate::kpi::figure::{Figure, Quantity};

/// Each with the last day that counts: some windows aren't over.
const WINDOWS: [(&str, &str); 5] = [
    ("2023-01-01..2026-01-01", "2025-12-31"),
    ("2024-01-01..2024-02-01", "2024-03-10"),
    ("2024-02-01..2024-03-01", "2024-02-17"),
    ("2023-12-11..2024-03-05", "2024-03-04"),
    ("2024-04-01..2024-07-01", "2024-05-30"),
];

/// Of each subject: work days; deals ended, won, won and priced; won amount, that of the whole deals; cycle
/// days, the same where none is below one; the cycle in the middle and that of the ninetieth percent; and
/// the sum of the two amounts in the middle.
const FACTORS: &str = "
    WITH worked AS (
        SELECT kind, subject,
            sum(max(0, min(max(ended_on, opened_on + 1), :to) - max(opened_on, :from))) AS days
        FROM has_deal JOIN life ON life.id = deal GROUP BY kind, subject
    ), ended AS (
        SELECT worth.*, told.cycle_days, told.whole_e4, row_number() OVER (
            PARTITION BY kind, subject, worth.what ORDER BY cycle_days
        ) AS nth_cycle, row_number() OVER (
            PARTITION BY kind, subject, worth.what ORDER BY part_e4 IS NULL, part_e4
        ) AS nth_amount
        FROM told JOIN worth ON worth.what = told.what AND worth.deal = told.id
        WHERE told.what <> 'opened' AND happened_on >= :from AND happened_on < :to
    ), counted AS (
        SELECT kind, subject, count(*) AS ended_count, count(*) FILTER (WHERE what = 'won') AS won_count,
            count(part_e4) FILTER (WHERE what = 'won') AS priced_count,
            coalesce(sum(part_e4) FILTER (WHERE what = 'won'), 0) AS won_e4,
            coalesce(sum(whole_e4) FILTER (WHERE what = 'won'), 0) AS whole_e4,
            coalesce(sum(cycle_days) FILTER (WHERE what = 'won'), 0) AS cycle_days,
            coalesce(sum(max(1, cycle_days)) FILTER (WHERE what = 'won'), 0) AS counted_days
        FROM ended GROUP BY kind, subject
    )
    SELECT kind, subject, worked.days, ended_count, won_count, priced_count, won_e4, counted.whole_e4,
        counted.cycle_days, counted_days,
        max(ended.cycle_days) FILTER (WHERE what = 'won' AND nth_cycle = (won_count + 1) / 2),
        max(ended.cycle_days) FILTER (WHERE what = 'won' AND nth_cycle = (9 * won_count + 9) / 10),
        sum(part_e4) FILTER (WHERE what = 'won' AND nth_amount = (priced_count + 1) / 2)
            + sum(part_e4) FILTER (WHERE what = 'won' AND nth_amount = priced_count / 2 + 1)
    FROM worked JOIN counted USING (kind, subject) JOIN ended USING (kind, subject)
    GROUP BY kind, subject
";

/// From the opening on a deal was in the stage of the first open version; what was told after the closing
/// changes nothing any more.
const STAGES: &str = "
    WITH open_version AS (
        SELECT life.id, nth, told_on, stage, opened_on, ended_on,
            row_number() OVER (PARTITION BY deal ORDER BY nth) AS place
        FROM life JOIN version ON deal = life.id AND NOT deleted AND version.status = 'open'
        WHERE outcome = 'won' AND ended_on >= :from AND ended_on < :to
    ), span AS (
        SELECT id, stage, lead(max(told_on, opened_on), 1, ended_on) OVER (PARTITION BY id ORDER BY nth)
            - CASE place WHEN 1 THEN opened_on ELSE max(told_on, opened_on) END AS days
        FROM open_version WHERE place = 1 OR told_on <= ended_on
    ), spent AS (SELECT id, stage, sum(days) AS days FROM span GROUP BY id, stage)
    SELECT kind, subject, coalesce(stage, '-'), sum(days), count(*)
    FROM spent JOIN has_deal ON deal = id GROUP BY kind, subject, stage
";

type Factors = [Option<i64>; 11];

/// Exact terms in lowest terms.
fn reduced(factors: &[i64], divisors: &[i64]) -> (Quantity, Quantity) {
    let product = |terms: &[i64]| terms.iter().map(|&term| i128::from(term)).product::<i128>();
    let (a, b) = (product(factors), product(divisors));
    let (mut greater, mut less) = (a, b);
    while less != 0 {
        (greater, less) = (less, greater % less);
    }
    (Quantity::AmountE4(a / greater), Quantity::Count((b / greater).try_into().expect("few digits")))
}

fn terms(figure: Figure) -> Option<(Quantity, Quantity)> {
    figure.ok().map(|ratio| ratio.terms().expect("few digits"))
}

#[test]
fn every_velocity_and_distribution_equals_sql() {
    let tenant = tenant();
    let (book, sql) = &*tenant;
    let (mut velocity_count, mut stage_count) = (0, 0);
    for (window, as_of) in WINDOWS {
        let as_of = date(as_of);
        let starts = book.settings().expect("they were sent").period_starts();
        let window = WindowSpec::Dates(days(window)).resolve(as_of, &starts).expect("in range");
        let dates = window.counted();
        let (from, to) = (dates.from.day_number(), dates.to.day_number());
        let asked = named_params! {":from": from, ":to": to};

        let mut factors: BTreeMap<(String, String), Factors> = BTreeMap::new();
        let mut statement = sql.prepare(FACTORS).unwrap();
        let mut rows = statement.query(asked).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let of = (row.get(0).unwrap(), row.get(1).unwrap());
            factors.insert(of, std::array::from_fn(|at| row.get(2 + at).unwrap()));
        }
        let mut stages: BTreeMap<(String, String), BTreeMap<String, (i64, i64)>> = BTreeMap::new();
        let mut statement = sql.prepare(STAGES).unwrap();
        let mut rows = statement.query(asked).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let of = (row.get(0).unwrap(), row.get(1).unwrap());
            let spent = (row.get(3).unwrap(), row.get(4).unwrap());
            stages.entry(of).or_default().insert(row.get(2).unwrap(), spent);
        }

        for (subject, (kind, of)) in subjects() {
            let case = format!("{subject:?} in {dates:?}");
            let scope = scope(book, &subject).expect("every subject was sent");
            let standing = book.standing(&scope, &window, RatesOn::OwnDay, false).standing;
            let deals = book.won_deals(&scope, dates, RatesOn::OwnDay);
            let key = (kind.to_owned(), of);
            let factors = factors.remove(&key);
            let [work, ended, won, priced, won_e4, whole_e4, cycle, counted, middle, ninetieth, middles_e4] =
                factors.unwrap_or_default();
            let [work, ended, won, priced, won_e4, whole_e4, cycle, counted] =
                [work, ended, won, priced, won_e4, whole_e4, cycle, counted].map(Option::unwrap_or_default);

            if factors.is_some() {
                let in_work = (Quantity::Count(work), Quantity::Count(dates.days().into()));
                assert_eq!(terms(deals_in_work(&standing)), Some(in_work), "{case}");
            }
            let counts = |a, b| (b > 0).then_some((Quantity::Count(a), Quantity::Count(b)));
            let money = |a: i64, b| (b > 0).then_some((Quantity::AmountE4(a.into()), Quantity::Count(b)));
            assert_eq!(terms(win_rate(&standing)), counts(won, ended), "{case}");
            assert_eq!(terms(cycle_days(&standing.measures)), counts(counted, won), "{case}");
            assert_eq!(terms(mean_cycle_days(&standing.measures)), counts(cycle, won), "{case}");
            let velocity = (priced > 0)
                .then(|| reduced(&[work, won, won_e4, won], &[dates.days().into(), ended, priced, counted]));
            assert_eq!(terms(deal_velocity(&standing)), velocity, "{case}");
            velocity_count += i32::from(velocity.is_some());

            let percentile = |percent| deals.cycle_days_percentile(percent).map(i64::from);
            assert_eq!((percentile(50), percentile(90)), (middle, ninetieth), "{case}");
            assert_eq!(terms(deals.mean_whole_deal()), money(whole_e4, priced), "{case}");
            // The two in the middle, or the one twice.
            let median_e4 = terms(deals.median_amount()).map(|median| match median {
                (Quantity::AmountE4(e4), Quantity::Count(parts)) => 2 * e4 / i128::from(parts),
                other => panic!("{other:?} is no amount"),
            });
            assert_eq!(median_e4, middles_e4.map(i128::from), "{case}");

            let spent = deals
                .stages
                .iter()
                .map(|(stage, spent)| (stage.unwrap_or("-").to_owned(), (spent.days, spent.deal_count)));
            let spent: BTreeMap<String, (i64, i64)> = spent.collect();
            stage_count += spent.len();
            assert_eq!(spent, stages.remove(&key).unwrap_or_default(), "{case}");
        }
    }
    assert!(velocity_count > 250, "{velocity_count} velocities");
    assert!(stage_count > 800, "{stage_count} stages");
}
