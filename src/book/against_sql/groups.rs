//! Rows by a dimension: which there are, and what each has under the filter that it is.

use std::collections::BTreeMap;

use rusqlite::named_params;

use super::rows::{subjects, tenant};
use crate::book::MarketingQuestion;
use crate::book::histories::{days, figures, scope};
use crate::book::oracle::{Figures, Question};
use crate::domain::calendar::date;
use crate::domain::filter::{Dimension, Filter, GroupValue};
use crate::domain::premises::RatesOn;
use crate::domain::subject::Subject;
use crate::domain::window::WindowSpec;
use crate::kpi::marketing_channel::Basis;
use crate::kpi::measures::{Measures, Tally};

/// With a later day, on which deals of other values are open.
const WINDOWS: [(&str, &str); 3] = [
    ("2024-01-01..2024-02-01", "2024-01-31"),
    ("2023-12-11..2024-03-05", "2024-04-01"),
    ("2023-07-03..2023-07-04", "2024-06-15"),
];

const DIMENSIONS: [(&str, Dimension); 5] = [
    ("region", Dimension::Region),
    ("product", Dimension::Product),
    ("channel", Dimension::Channel),
    ("owner", Dimension::Employee),
    ("unit", Dimension::Unit),
];

/// What each deal and prospect has of each dimension; of units also those above its own.
const VALUES: &str = "
    CREATE TABLE deal_value AS
    SELECT 'region' AS dimension, id, region AS value FROM life
    UNION ALL SELECT 'product', id, product FROM life
    UNION ALL SELECT 'channel', id, channel FROM life
    UNION ALL SELECT 'owner', id, owner FROM life
    UNION ALL SELECT 'unit', life.id, coalesce(root, unit) FROM life LEFT JOIN below ON below.id = unit;
    CREATE INDEX deal_value_by_deal ON deal_value (id);

    CREATE TABLE prospect_value AS
    SELECT 'region' AS dimension, id, region AS value FROM prospect
    UNION ALL SELECT 'product', prospect, product FROM product_of
    UNION ALL SELECT 'channel', id, channel FROM prospect
    UNION ALL SELECT 'owner', id, owner FROM prospect
    UNION ALL SELECT 'unit', prospect.id, coalesce(root, unit)
    FROM prospect LEFT JOIN below ON below.id = unit;
    CREATE INDEX prospect_value_by_prospect ON prospect_value (id);

    ANALYZE;
";

/// What has a row: deals of the window or open on the day, and leads of which something is dated in it. Units
/// above the one asked about have none.
const ROWS: &str = "
    SELECT dimension, value FROM has_deal CROSS JOIN life ON life.id = deal JOIN deal_value USING (id)
    WHERE kind = :kind AND subject = :subject AND (
        opened_on < :to AND ended_on >= :from OR opened_on <= :as_of AND ended_on > :as_of
    ) AND (dimension <> 'unit' OR kind <> 'unit' OR value IN (SELECT id FROM below WHERE root = subject))
    UNION SELECT dimension, value
    FROM has_prospect CROSS JOIN prospect ON prospect.id = prospect JOIN prospect_value USING (id)
    WHERE kind = :kind AND subject = :subject AND is_lead AND (
        came_on >= :from AND came_on < :to OR converted_on >= :from AND converted_on < :to
        OR disqualified_on >= :from AND disqualified_on < :to
        OR coalesce(purchased_on, lost_on) >= :from AND coalesce(purchased_on, lost_on) < :to
    ) AND (dimension <> 'unit' OR kind <> 'unit' OR value IN (SELECT id FROM below WHERE root = subject))
    ORDER BY dimension, value
";

const OF_DEALS: &str = "
    SELECT dimension, value, told.what, count(*), count(part_e4), coalesce(sum(part_e4), 0),
        sum(to_competitor), sum(cycle_days), sum(cycle_days = 0)
    FROM has_deal CROSS JOIN told ON told.id = has_deal.deal
        CROSS JOIN worth ON worth.what = told.what AND worth.deal = told.id
            AND worth.kind = has_deal.kind AND worth.subject = has_deal.subject
        JOIN deal_value ON deal_value.id = told.id
    WHERE has_deal.kind = :kind AND has_deal.subject = :subject AND happened_on >= :from AND happened_on < :to
    GROUP BY dimension, value, told.what
";

const WORK_DAYS: &str = "
    SELECT dimension, value, sum(max(0, min(max(ended_on, opened_on + 1), :to) - max(opened_on, :from)))
    FROM has_deal CROSS JOIN life ON life.id = deal JOIN deal_value USING (id)
    WHERE kind = :kind AND subject = :subject GROUP BY dimension, value
";

const OF_PROSPECTS: &str = "
    SELECT dimension, value,
        count(*) FILTER (WHERE is_lead AND came_on >= :from AND came_on < :to AND dimension <> 'product'),
        count(*) FILTER (WHERE converted_on >= :from AND converted_on < :to AND dimension <> 'product'),
        count(*) FILTER (WHERE disqualified_on >= :from AND disqualified_on < :to AND dimension <> 'product'),
        count(*) FILTER (WHERE came_on >= :from AND came_on < :to),
        count(*) FILTER (WHERE purchased_on >= :from AND purchased_on < :to),
        count(*) FILTER (WHERE lost_on >= :from AND lost_on < :to),
        count(*) FILTER (WHERE came_on >= :from AND came_on < :to AND purchased_on <= :as_of),
        count(*) FILTER (WHERE came_on >= :from AND came_on < :to AND lost_on <= :as_of)
    FROM has_prospect CROSS JOIN prospect ON prospect.id = prospect JOIN prospect_value USING (id)
    WHERE kind = :kind AND subject = :subject GROUP BY dimension, value
";

/// By dimension and value.
type Rows = BTreeMap<(String, Option<String>), Figures>;

fn nothing() -> Figures {
    let (measures, cohort) = Default::default();
    Figures { measures, work_days: 0, cohort, oldest_rate_on: None }
}

/// Of which subjects all rows are told.
fn is_told(subject: &Subject) -> bool {
    match subject {
        Subject::Tenant => true,
        Subject::Partner { partner, .. } => ["p0", "p21"].contains(&partner.as_str()),
        Subject::Employee(employee) => employee.as_str() == "e2",
        Subject::Unit(unit) => unit.as_str() == "u0",
    }
}

#[test]
fn every_row_of_every_dimension_equals_sql() {
    let tenant = tenant();
    let (book, sql) = &*tenant;
    sql.execute_batch(VALUES).unwrap();
    let starts = book.settings().expect("they were sent").period_starts();
    let mut told_count = 0;
    for (dates, as_of) in WINDOWS {
        let window = WindowSpec::Dates(days(dates)).resolve(date(as_of), &starts).expect("in range");
        let dates = window.counted();
        let (from, to, day) = (dates.from.day_number(), dates.to.day_number(), date(as_of).day_number());
        for (subject, (kind, of)) in subjects() {
            let of_window = named_params! {":kind": kind, ":subject": of, ":from": from, ":to": to};
            let with_as_of =
                named_params! {":kind": kind, ":subject": of, ":from": from, ":to": to, ":as_of": day};
            let mut listed: BTreeMap<String, Vec<GroupValue>> = BTreeMap::new();
            let mut statement = sql.prepare_cached(ROWS).unwrap();
            let mut rows = statement.query(with_as_of).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let value = row.get::<_, Option<String>>(1).unwrap();
                let value = value.map_or(GroupValue::None, |value| GroupValue::Value(value.into()));
                listed.entry(row.get(0).unwrap()).or_default().push(value);
            }
            let scope = scope(book, &subject).expect("every subject was sent");
            for (name, dimension) in &DIMENSIONS {
                let asked = MarketingQuestion {
                    subject: &subject,
                    filter: &Filter::default(),
                    scope: &scope,
                    basis: Basis::Period,
                    rates: RatesOn::OwnDay,
                };
                let found: Vec<GroupValue> =
                    book.group_values(&asked, dimension, &window).into_iter().collect();
                let expected = listed.get(*name).cloned().unwrap_or_default();
                assert_eq!(found, expected, "{name} of {subject:?} in {dates:?} on {as_of}");
            }
            if !is_told(&subject) {
                continue;
            }

            let mut told = Rows::new();
            let mut statement = sql.prepare_cached(OF_DEALS).unwrap();
            let mut rows = statement.query(of_window).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let figures = told.entry((row.get(0).unwrap(), row.get(1).unwrap())).or_insert_with(nothing);
                let measures = &mut figures.measures;
                let amount_e4 = i128::from(row.get::<_, i64>(5).unwrap());
                let tally =
                    Tally { count: row.get(3).unwrap(), priced_count: row.get(4).unwrap(), amount_e4 };
                match row.get::<_, String>(2).unwrap().as_str() {
                    "opened" => measures.opened = tally,
                    "won" => {
                        measures.won = tally;
                        measures.cycle_days = row.get(7).unwrap();
                        measures.same_day_won_count = row.get(8).unwrap();
                    }
                    "lost" => {
                        measures.lost = tally;
                        measures.lost_to_competitor_count = row.get(6).unwrap();
                    }
                    _ => measures.expired = tally,
                }
            }
            let mut statement = sql.prepare_cached(WORK_DAYS).unwrap();
            let mut rows = statement.query(of_window).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let figures = told.entry((row.get(0).unwrap(), row.get(1).unwrap())).or_insert_with(nothing);
                figures.work_days = row.get(2).unwrap();
            }
            let mut statement = sql.prepare_cached(OF_PROSPECTS).unwrap();
            let mut rows = statement.query(with_as_of).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let figures = told.entry((row.get(0).unwrap(), row.get(1).unwrap())).or_insert_with(nothing);
                let number = |at| row.get::<_, i64>(at).unwrap();
                figures.measures = Measures {
                    lead_count: number(2),
                    converted_lead_count: number(3),
                    disqualified_lead_count: number(4),
                    prospect_count: number(5),
                    purchased_count: number(6),
                    lost_prospect_count: number(7),
                    ..figures.measures
                };
                figures.cohort.prospect_count = number(5);
                figures.cohort.purchased_count = number(8);
                figures.cohort.lost_count = number(9);
            }
            for ((name, value), expected) in told {
                let (_, dimension) =
                    DIMENSIONS.iter().find(|(known, _)| *known == name).expect("it is asked");
                let case = format!("{name} {value:?} of {subject:?} in {dates:?}");
                let value = value.map_or(GroupValue::None, |value| GroupValue::Value(value.into()));
                let filter = Filter::default().narrowed(dimension, &value).expect("it can have the value");
                let question = Question { filter, ..Question::of(subject.clone()) };
                let found = figures(book, &question, dates, date(as_of)).expect("every subject was sent");
                assert_eq!(Figures { oldest_rate_on: None, ..found }, expected, "{case}");
                told_count += 1;
            }
        }
    }
    assert!(told_count > 400, "{told_count} rows");
}
