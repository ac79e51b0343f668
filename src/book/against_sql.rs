//! The book against SQL: the same few thousand deals and leads as plain rows in SQLite, asked the same
//! questions.
//!
//! The SQL is what an analyst would write over the CRM's own tables: recursive queries for trees, window
//! functions for the division of shared deals. It is told nothing by the book; local dates alone are
//! worked out before the rows go in. Amounts are integers of ten-thousandths there as here, so equality is
//! to the last digit. Here are the sums that most KPIs are told from; the other KPIs have files of their own.

mod groups;
mod peers;
mod pipeline;
mod quality;
mod rows;
mod targets;
mod velocity;

use rusqlite::{Connection, named_params};

use self::rows::{EMPLOYEES, PARTNERS, UNITS, tenant};
use super::histories::{days, figures, id};
use super::oracle::{Figures, Question};
use crate::domain::calendar::{Date, DateRange};
use crate::domain::subject::Subject;
use crate::kpi::average_deal_size::average_deal_size;
use crate::kpi::deal_count::deal_count;
use crate::kpi::deal_success::{deal_success, missed};
use crate::kpi::figure::{Quantity, Ratio};
use crate::kpi::measures::{Measures, Tally};
use crate::kpi::standing::Cohort;

const OF_DEALS: &str = "
    SELECT what, count(*), count(whole_e4), coalesce(sum(part_e4), 0), sum(to_competitor), sum(cycle_days),
        sum(cycle_days = 0)
    FROM (SELECT *, whole_e4 AS part_e4 FROM told WHERE %)
    WHERE happened_on >= :from AND happened_on < :to GROUP BY what
";

/// Each deal once, with the parts of all partners in `members`.
const OF_PARTNERS: &str = "
    SELECT what, count(*), count(whole_e4), coalesce(sum(part_e4), 0), sum(to_competitor), sum(cycle_days),
        sum(cycle_days = 0)
    FROM (
        SELECT told.*, sum(part.part_e4) AS part_e4
        FROM told JOIN part ON part.deal = told.id AND part.what = told.what
        WHERE part.partner IN (SELECT id FROM members) GROUP BY told.id, told.what
    )
    WHERE happened_on >= :from AND happened_on < :to GROUP BY what
";

/// A deal that opened and ended on one day counts one.
const WORK_DAYS: &str = "
    SELECT coalesce(sum(max(0, min(max(ended_on, opened_on + 1), :to) - max(opened_on, :from))), 0)
    FROM life WHERE %
";

const OF_PROSPECTS: &str = "
    SELECT
        count(*) FILTER (WHERE is_lead AND came_on >= :from AND came_on < :to),
        count(*) FILTER (WHERE converted_on >= :from AND converted_on < :to),
        count(*) FILTER (WHERE disqualified_on >= :from AND disqualified_on < :to),
        count(*) FILTER (WHERE came_on >= :from AND came_on < :to),
        count(*) FILTER (WHERE purchased_on >= :from AND purchased_on < :to),
        count(*) FILTER (WHERE lost_on >= :from AND lost_on < :to),
        count(*) FILTER (WHERE came_on >= :from AND came_on < :to AND purchased_on <= :as_of),
        count(*) FILTER (WHERE came_on >= :from AND came_on < :to AND lost_on <= :as_of)
    FROM prospect WHERE %
";

const PARTNER_ALONE: &str = "
    WITH members AS (
        SELECT id FROM partner WHERE coalesce(merged_into, id) =
            (SELECT coalesce(merged_into, id) FROM partner WHERE id = :id)
    )
";

const PARTNER_WITH_SUBS: &str = "
    WITH RECURSIVE survivor AS (
        SELECT partner.id, coalesce(partner.merged_into, partner.id) AS counts_as,
            CASE WHEN partner.merged_into IS NULL THEN coalesce(parent.merged_into, parent.id) END AS parent
        FROM partner LEFT JOIN partner AS parent ON parent.id = partner.parent
    ), below (id) AS (
        SELECT counts_as FROM survivor WHERE id = :id
        UNION SELECT survivor.id FROM survivor JOIN below ON survivor.parent = below.id
    ), members AS (SELECT id FROM survivor WHERE counts_as IN (SELECT id FROM below))
";

const SOURCED_BY_MEMBERS: &str = "
    id IN (
        SELECT deal FROM credit WHERE role = 'sourced' AND partner IN (SELECT id FROM members)
    )
";

const PROSPECTS_OF_MEMBERS: &str = "
    partner IN (SELECT id FROM members) OR deal_of_partners IN (
        SELECT deal FROM credit WHERE role = 'sourced' AND partner IN (SELECT id FROM members)
    )
";

const IN_UNIT: &str = "
    unit IN (
        WITH RECURSIVE below (id) AS (
            SELECT :id UNION SELECT unit.id FROM unit JOIN below ON unit.parent = below.id
        )
        SELECT id FROM below
    )
";

/// How SQL finds the deals, the days and the prospects of a subject, and its id.
fn queries(subject: &Subject) -> ([String; 3], &str) {
    let of_desk =
        |condition: &str| [OF_DEALS, WORK_DAYS, OF_PROSPECTS].map(|query| query.replace('%', condition));
    match subject {
        Subject::Tenant => (of_desk(":id = ''"), ""),
        Subject::Partner { partner, include_sub_partners } => {
            let members = if *include_sub_partners { PARTNER_WITH_SUBS } else { PARTNER_ALONE };
            let queries = [
                OF_PARTNERS.to_owned(),
                WORK_DAYS.replace('%', SOURCED_BY_MEMBERS),
                OF_PROSPECTS.replace('%', PROSPECTS_OF_MEMBERS),
            ];
            (queries.map(|query| format!("{members} {query}")), partner.as_str())
        }
        Subject::Employee(employee) => (of_desk("owner = :id"), employee.as_str()),
        Subject::Unit(unit) => (of_desk(IN_UNIT), unit.as_str()),
    }
}

/// What SQL says of a subject in a window.
fn by_sql(sql: &Connection, subject: &Subject, dates: DateRange, as_of: Date) -> Figures {
    let ([of_deals, work_days, of_prospects], id) = queries(subject);
    let (from, to, as_of) = (dates.from.day_number(), dates.to.day_number(), as_of.day_number());
    let mut measures = Measures::default();
    let mut statement = sql.prepare_cached(&of_deals).unwrap();
    let mut rows = statement.query(named_params! {":id": id, ":from": from, ":to": to}).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let amount_e4 = i128::from(row.get::<_, i64>(3).unwrap());
        let tally = Tally { count: row.get(1).unwrap(), priced_count: row.get(2).unwrap(), amount_e4 };
        match row.get::<_, String>(0).unwrap().as_str() {
            "opened" => measures.opened = tally,
            "won" => {
                measures.won = tally;
                measures.cycle_days = row.get(5).unwrap();
                measures.same_day_won_count = row.get(6).unwrap();
            }
            "lost" => {
                measures.lost = tally;
                measures.lost_to_competitor_count = row.get(4).unwrap();
            }
            _ => measures.expired = tally,
        }
    }
    let mut statement = sql.prepare_cached(&work_days).unwrap();
    let window = named_params! {":id": id, ":from": from, ":to": to};
    let work_days = statement.query_row(window, |row| row.get(0)).unwrap();
    let mut statement = sql.prepare_cached(&of_prospects).unwrap();
    let window = named_params! {":id": id, ":from": from, ":to": to, ":as_of": as_of};
    let cohort = statement
        .query_row(window, |row| {
            measures.lead_count = row.get(0)?;
            measures.converted_lead_count = row.get(1)?;
            measures.disqualified_lead_count = row.get(2)?;
            measures.prospect_count = row.get(3)?;
            measures.purchased_count = row.get(4)?;
            measures.lost_prospect_count = row.get(5)?;
            let (purchased_count, lost_count) = (row.get(6)?, row.get(7)?);
            Ok(Cohort { prospect_count: measures.prospect_count, purchased_count, lost_count })
        })
        .unwrap();
    Figures { measures, work_days, cohort, oldest_rate_on: None }
}

#[test]
fn every_kpi_of_every_subject_and_window_equals_sql() {
    let tenant = tenant();
    let (book, sql) = &*tenant;
    let partners = (0..PARTNERS).flat_map(|n| {
        [false, true].map(|include_sub_partners| Subject::Partner {
            partner: id(&format!("p{n}")),
            include_sub_partners,
        })
    });
    let employees = (0..EMPLOYEES).map(|n| Subject::Employee(id(&format!("e{n}"))));
    let units = (0..UNITS).map(|n| Subject::Unit(id(&format!("u{n}"))));
    let subjects = [Subject::Tenant].into_iter().chain(partners).chain(employees).chain(units);
    let (mut ended_count, mut purchased_count, mut lead_count) = (0, 0, 0);
    for subject in subjects {
        let question = Question::of(subject);
        for window in [
            "2023-01-01..2026-01-01",
            "2024-01-01..2024-02-01",
            "2024-01-01..2024-04-01",
            "2023-12-11..2024-03-05",
            "2024-02-29..2024-03-01",
            "2023-10-01..2024-01-17",
            "2024-04-01..2024-07-01",
            "2024-04-11..2024-08-20",
        ] {
            let case = format!("{:?} in {window}", question.subject);
            let dates = days(window);
            let as_of = dates.to.plus_days(20);
            let found = figures(book, &question, dates, as_of).expect("every subject was sent");
            let expected = by_sql(sql, &question.subject, dates, as_of);
            assert_eq!(Figures { oldest_rate_on: None, ..found }, expected, "{case}");

            let terms = |ratio: Ratio| ratio.terms().expect("few digits");
            let (found, Measures { won, lost, expired, .. }) = (found.measures, expected.measures);
            let size = (won.priced_count > 0)
                .then_some((Quantity::AmountE4(won.amount_e4), Quantity::Count(won.priced_count)));
            assert_eq!(average_deal_size(&found).ok().map(terms), size, "{case}");
            assert_eq!(
                deal_count(&found).map(terms),
                Ok((Quantity::Count(won.count), Quantity::Count(1))),
                "{case}"
            );
            let missed_count = lost.count + expired.count;
            let all_count = won.count + missed_count;
            let success = (all_count > 0).then_some((Quantity::Count(won.count), Quantity::Count(all_count)));
            assert_eq!(deal_success(&found).ok().map(terms), success, "{case}");
            assert_eq!(missed(&found).count, missed_count, "{case}");
            assert_eq!(missed(&found).amount_e4, lost.amount_e4 + expired.amount_e4, "{case}");
            ended_count += all_count;
            purchased_count += expected.cohort.purchased_count;
            lead_count += found.lead_count;
        }
    }
    assert!(ended_count > 30_000, "the questions touch deals: {ended_count} all in all");
    assert!(purchased_count > 10_000, "and prospects: {purchased_count}");
    assert!(lead_count > 5_000, "and leads: {lead_count}");
}
