//! Targets: what was attained, what remains, how much is covered and due, and where each will land.

use rusqlite::{Row, named_params};

use super::pipeline::{Ask, stand};
use super::rows::{subjects, tenant};
use crate::domain::calendar::date;
use crate::domain::premises::{ExchangePolicy, Roles};
use crate::kpi::figure::{Absent, Figure, Quantity};
use crate::kpi::measures::Tally;
use crate::kpi::target::Progress;

const AS_OF: [&str; 4] = ["2024-01-31", "2024-02-15", "2024-03-31", "2024-05-10"];

/// Every target that is under way on a day.
const TARGETS: &str = "
    CREATE TEMP TABLE told_target AS
    WITH asked AS (
        SELECT target.*, currency IS NULL AS is_count FROM target WHERE from_on <= :as_of AND to_on > :as_of
    ), won AS (
        SELECT asked.id, count(*) AS won_count, sum(part_e4) AS won_e4
        FROM asked CROSS JOIN worth USING (kind, subject) JOIN life ON life.id = deal
        WHERE what = 'won' AND ended_on >= from_on AND ended_on <= :as_of GROUP BY asked.id
    ), open AS (
        SELECT asked.id, expected_on, expected_on < to_on AS is_expected, part_e4, p_bps,
            CASE WHEN is_count THEN 1 ELSE coalesce(part_e4, 0) END AS size
        FROM asked CROSS JOIN targets_stood_worth AS mine USING (kind, subject)
            JOIN targets_stood AS then_ ON then_.id = deal AND then_.what = mine.what
            JOIN life ON life.id = deal
        WHERE mine.what = :open
    ), outlook AS (
        SELECT id, count(*) FILTER (WHERE is_expected) AS expected_count,
            count(part_e4) FILTER (WHERE is_expected) AS expected_priced_count,
            sum(part_e4) FILTER (WHERE is_expected) AS expected_e4,
            count(*) FILTER (WHERE is_expected AND expected_on < :as_of) AS overdue_count,
            count(part_e4) FILTER (WHERE is_expected AND expected_on < :as_of) AS overdue_priced_count,
            sum(part_e4) FILTER (WHERE is_expected AND expected_on < :as_of) AS overdue_e4,
            count(*) FILTER (WHERE is_expected AND p_bps IS NULL) AS unweighted_count,
            count(part_e4) FILTER (WHERE is_expected AND p_bps IS NULL) AS unweighted_priced_count,
            sum(part_e4) FILTER (WHERE is_expected AND p_bps IS NULL) AS unweighted_e4,
            count(*) FILTER (WHERE expected_on IS NULL) AS undated_count,
            count(part_e4) FILTER (WHERE expected_on IS NULL) AS undated_priced_count,
            sum(part_e4) FILTER (WHERE expected_on IS NULL) AS undated_e4,
            sum(size) FILTER (WHERE is_expected) AS expected_size,
            sum(size * p_bps) FILTER (WHERE is_expected) AS weighted,
            sum(size * p_bps) FILTER (WHERE is_expected AND expected_on < :as_of) AS overdue_weighted,
            sum(1.0 * size * size * p_bps / 10000.0 * (1 - p_bps / 10000.0)) FILTER (WHERE is_expected)
                AS variance
        FROM open GROUP BY id
    ), month AS (
        SELECT max(month_on, from_on) AS first_on, min(to_on, CAST(
                strftime('%s', month_on * 86400, 'unixepoch', '+1 month') AS INTEGER
            ) / 86400) AS next_on, weight, asked.id
        FROM asked JOIN month_weight ON target = asked.id
    ), current AS (
        SELECT id, max(from_on, CAST(
                strftime('%s', :as_of * 86400, 'unixepoch', 'start of month') AS INTEGER
            ) / 86400) AS first_on, min(to_on, CAST(
                strftime('%s', :as_of * 86400, 'unixepoch', 'start of month', '+1 month') AS INTEGER
            ) / 86400) AS next_on
        FROM asked
    ), due AS (
        SELECT asked.id,
            CASE WHEN count(weight) = 0 THEN :as_of + 1 - from_on ELSE
                coalesce(sum(weight) FILTER (WHERE month.first_on < current.first_on), 0)
                    * (current.next_on - current.first_on)
                + coalesce(sum(weight) FILTER (WHERE month.first_on = current.first_on), 0)
                    * (:as_of + 1 - current.first_on)
            END AS due,
            CASE WHEN count(weight) = 0 THEN to_on - from_on ELSE
                sum(weight) * (current.next_on - current.first_on)
            END AS of_all
        FROM asked JOIN current USING (id) LEFT JOIN month USING (id) GROUP BY asked.id
    )
    SELECT asked.id, is_count, currency = 'EUR' AS is_foreign, goal, coalesce(won_count, 0),
        coalesce(won_e4, 0),
        coalesce(expected_count, 0), coalesce(expected_priced_count, 0), coalesce(expected_e4, 0),
        coalesce(overdue_count, 0), coalesce(overdue_priced_count, 0), coalesce(overdue_e4, 0),
        coalesce(unweighted_count, 0), coalesce(unweighted_priced_count, 0), coalesce(unweighted_e4, 0),
        coalesce(undated_count, 0), coalesce(undated_priced_count, 0), coalesce(undated_e4, 0),
        coalesce(expected_size, 0), coalesce(weighted, 0), coalesce(overdue_weighted, 0), due, of_all,
        coalesce(variance, 0.0), kind, subject
    FROM asked LEFT JOIN won USING (id) LEFT JOIN outlook USING (id) JOIN due USING (id)
";

/// A target of a merged partner is the survivor's.
const OF_SUBJECT: &str = "
    SELECT * FROM told_target WHERE kind = :kind AND (subject = :subject OR kind IN ('partner', 'tree') AND (
        SELECT counts_as FROM survivor WHERE survivor.id = told_target.subject
    ) = (SELECT counts_as FROM survivor WHERE survivor.id = :subject))
    ORDER BY id
";

/// A target as SQL tells it.
#[derive(Debug)]
struct Told {
    id: String,
    is_count: bool,
    is_foreign: bool,
    goal: i64,
    won_count: i64,
    won_e4: i64,
    /// Expected, overdue, unweighted, undated.
    tallies: [Tally; 4],
    expected_size: i64,
    /// In basis points.
    weighted: i64,
    overdue_weighted: i64,
    due: i64,
    of_all: i64,
    variance: f64,
}

// === impl Told ===

impl Told {
    fn of(row: &Row<'_>) -> Self {
        let number = |at| row.get::<_, i64>(at).unwrap();
        let tally =
            |at| Tally { count: number(at), priced_count: number(at + 1), amount_e4: number(at + 2).into() };
        Self {
            id: row.get(0).unwrap(),
            is_count: row.get(1).unwrap(),
            is_foreign: row.get::<_, Option<bool>>(2).unwrap().unwrap_or(false),
            goal: number(3),
            won_count: number(4),
            won_e4: number(5),
            tallies: [6, 9, 12, 15].map(tally),
            expected_size: number(18),
            weighted: number(19),
            overdue_weighted: number(20),
            due: number(21),
            of_all: number(22),
            variance: row.get(23).unwrap(),
        }
    }

    fn quantity(&self, size: i64) -> Quantity {
        if self.is_count { Quantity::Count(size) } else { Quantity::AmountE4(size.into()) }
    }

    fn check(&self, progress: &Progress<'_>) {
        let case = &self.id;
        let won = if self.is_count { self.won_count } else { self.won_e4 };
        assert_eq!(progress.attained(), self.quantity(won), "{case}");
        let remaining = (self.goal - won).max(0);
        assert_eq!(progress.remaining(), self.quantity(remaining), "{case}");
        let outlook = &progress.outlook;
        let tallies = [outlook.expected, outlook.overdue, outlook.unweighted, outlook.undated];
        assert_eq!(tallies, self.tallies, "{case}");

        let coverage = progress.coverage().map(|ratio| ratio.terms().expect("few digits"));
        let expected = (self.quantity(self.expected_size), self.quantity(remaining));
        assert_eq!(coverage, if remaining > 0 { Ok(expected) } else { Err(Absent::TargetReached) }, "{case}");
        assert_quotient(progress.landing(), won * 10_000 + self.weighted, 10_000, case);
        assert_quotient(progress.overdue_weighted(), self.overdue_weighted, 10_000, case);
        assert_quotient(Ok(progress.due_share()), self.due, self.of_all, case);
        let due = i128::from(self.goal) * i128::from(self.due);
        assert_quotient(progress.due(), i64::try_from(due).expect("few digits"), self.of_all, case);

        let unit = if self.is_count { 1.0 } else { 10_000.0 };
        let landing = won as f64 + self.weighted as f64 / 10_000.0;
        let half = 1.2816 * self.variance.sqrt();
        let least = (landing - half).max(won as f64) / unit;
        let most = (landing + half).min((won + self.expected_size) as f64) / unit;
        let (lower, upper) = progress.landing_interval();
        let is_near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs().max(1.0);
        assert!(is_near(lower, least) && is_near(upper, most), "{case}: {lower} {least} {upper} {most}");
    }
}

/// Whether a figure is `a / b`, in whatever terms.
fn assert_quotient(figure: Figure, a: i64, b: i64, case: &str) {
    let terms = figure.expect("it is there").terms().expect("few digits");
    let (numerator, denominator) = match terms {
        (Quantity::Count(numerator), Quantity::Count(denominator)) => (numerator.into(), denominator),
        (Quantity::AmountE4(numerator), Quantity::Count(denominator)) => (numerator, denominator),
        other => panic!("{case}: {other:?}"),
    };
    assert_eq!(numerator * i128::from(b), i128::from(a) * i128::from(denominator), "{case}");
}

#[test]
fn every_target_equals_sql() {
    let tenant = tenant();
    let (book, sql) = &*tenant;
    stand(sql, "targets_stood", AS_OF.map(|as_of| Ask::open_on(as_of, as_of)));
    sql.execute_batch("CREATE INDEX targets_stood_by_deal ON targets_stood (id, what); ANALYZE").unwrap();
    let (mut target_count, mut foreign_count) = (0, 0);
    for as_of in AS_OF {
        let (open, day) = (format!("{as_of} at {as_of}"), date(as_of).day_number());
        sql.execute_batch("DROP TABLE IF EXISTS temp.told_target").unwrap();
        sql.execute(TARGETS, named_params! {":as_of": day, ":open": open}).unwrap();
        let mut statement = sql.prepare(OF_SUBJECT).unwrap();
        for (subject, (kind, of)) in subjects() {
            let asked = named_params! {":kind": kind, ":subject": of};
            let told = statement.query_map(asked, |row| Ok(Told::of(row))).unwrap();
            let told: Vec<Told> = told.map(Result::unwrap).collect();
            let found = book.targets(&subject, Roles::SOURCED, date(as_of), ExchangePolicy::AtClose).found;
            let ids: Vec<&str> = found.iter().map(|target| target.id.as_str()).collect();
            let expected: Vec<&str> = told.iter().map(|told| told.id.as_str()).collect();
            assert_eq!(ids, expected, "{subject:?} on {as_of}");
            for (found, told) in found.iter().zip(&told) {
                match &found.progress {
                    Ok(progress) if !told.is_foreign => told.check(progress),
                    Err(Absent::OtherCurrency) if told.is_foreign => foreign_count += 1,
                    other => panic!("{other:?} of {told:?}"),
                }
                target_count += 1;
            }
        }
    }
    assert!(target_count > 150, "{target_count} targets");
    assert!(foreign_count > 20, "{foreign_count} targets in euros");
}
