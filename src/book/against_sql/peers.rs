//! The value score with its share and its own past, and the positions among peers for each KPI.

use std::collections::BTreeMap;

use rusqlite::{Connection, named_params};

use super::pipeline::{Ask, stand};
use super::rows::{subjects, tenant};
use crate::book::BoardQuestion;
use crate::book::histories::{days, id};
use crate::domain::calendar::{DateRange, date};
use crate::domain::filter::Filter;
use crate::domain::ids::Term;
use crate::domain::premises::{Premises, RatesOn, Roles};
use crate::domain::subject::SubjectKind;
use crate::domain::window::{Comparison, WindowSpec};
use crate::kpi::Kpi;
use crate::kpi::figure::{Figure, Quantity};
use crate::kpi::value_score::{own_past, tenant_share};

/// A window, its `as_of`, the region asked for, and the four windows before.
const CASES: [(&str, &str, Option<&str>, [&str; 4]); 4] = [
    (
        "2024-03-01..2024-04-01",
        "2024-04-20",
        None,
        [
            "2024-02-01..2024-03-01",
            "2024-01-01..2024-02-01",
            "2023-12-01..2024-01-01",
            "2023-11-01..2023-12-01",
        ],
    ),
    (
        "2024-02-10..2024-03-01",
        "2024-02-29",
        Some("north"),
        [
            "2024-01-21..2024-02-10",
            "2024-01-01..2024-01-21",
            "2023-12-12..2024-01-01",
            "2023-11-22..2023-12-12",
        ],
    ),
    (
        "2024-05-01..2024-06-01",
        "2024-05-20",
        None,
        [
            "2024-04-01..2024-04-21",
            "2024-03-01..2024-03-21",
            "2024-02-01..2024-02-21",
            "2024-01-01..2024-01-21",
        ],
    ),
    (
        "2024-01-09..2024-01-10",
        "2024-12-31",
        None,
        [
            "2024-01-08..2024-01-09",
            "2024-01-07..2024-01-08",
            "2024-01-06..2024-01-07",
            "2024-01-05..2024-01-06",
        ],
    ),
];

/// The active subjects that had a deal in work, with what their KPIs are told from. Those of one place are
/// peers.
const PEERS: &str = "
    CREATE TEMP TABLE peer AS
    WITH active AS (
        SELECT 'partner' AS kind, id AS subject, '' AS place FROM partner
        WHERE merged_into IS NULL AND active AND NOT deleted
        UNION ALL SELECT 'tree', partner.id, coalesce(nullif(survivor.parent, survivor.id), '')
        FROM partner JOIN survivor USING (id) WHERE merged_into IS NULL AND active AND NOT deleted
        UNION ALL SELECT 'employee', id, '' FROM employee WHERE active AND NOT deleted
        UNION ALL SELECT 'unit', id, coalesce(nullif(parent, id), '') FROM unit WHERE NOT deleted
    ), passing AS (SELECT * FROM life WHERE region = :region OR :region = ''
    ), dealt AS (
        SELECT kind, subject,
            sum(max(0, min(max(ended_on, opened_on + 1), :to) - max(opened_on, :from))) AS work_days
        FROM passing CROSS JOIN has_deal ON deal = id WHERE opened_on < :to AND ended_on >= :from
        GROUP BY kind, subject
    ), ended AS (
        SELECT kind, subject, count(*) AS ended_count, count(*) FILTER (WHERE what = 'won') AS won_count,
            count(part_e4) FILTER (WHERE what = 'won') AS priced_count,
            sum(part_e4) FILTER (WHERE what = 'won') AS won_e4,
            sum(max(1, ended_on - opened_on)) FILTER (WHERE what = 'won') AS cycle_days
        FROM passing CROSS JOIN worth ON what = outcome AND deal = id
        WHERE ended_on >= :from AND ended_on < :to
        GROUP BY kind, subject
    ), cohort AS (
        SELECT kind, subject, count(*) AS prospect_count,
            count(*) FILTER (WHERE purchased_on <= :as_of) AS purchased_count
        FROM prospect CROSS JOIN has_prospect ON prospect = id
        WHERE came_on >= :from AND came_on < :to AND (region = :region OR :region = '')
        GROUP BY kind, subject
    ), open AS (
        SELECT kind, subject, sum(part_e4) AS open_e4
        FROM passing CROSS JOIN peers_stood_worth ON deal = id WHERE what = :open GROUP BY kind, subject
    )
    SELECT kind, subject, place, work_days, coalesce(ended_count, 0) AS ended_count,
        coalesce(won_count, 0) AS won_count, coalesce(priced_count, 0) AS priced_count,
        coalesce(won_e4, 0) AS won_e4, coalesce(cycle_days, 0) AS cycle_days,
        coalesce(prospect_count, 0) AS prospect_count, coalesce(purchased_count, 0) AS purchased_count,
        coalesce(open_e4, 0) AS open_e4
    FROM active JOIN dealt USING (kind, subject) LEFT JOIN ended USING (kind, subject)
        LEFT JOIN cohort USING (kind, subject) LEFT JOIN open USING (kind, subject);

    CREATE TEMP TABLE score AS
    SELECT *, count(*) OVER (PARTITION BY kind, place) AS peer_count,
        sum(won_e4) OVER (PARTITION BY kind, place) AS peers_e4
    FROM peer;
";

/// Rank, number, and how many share the rank. Averages are told in whole ten-thousandths and the rest.
const POSITIONS: &str = "
    WITH figure AS (
        SELECT kind, subject, place, 'AverageDealSize' AS kpi, won_e4 / priced_count AS whole,
            won_e4 % priced_count * 1.0 / priced_count AS rest
        FROM score WHERE priced_count > 0
        UNION ALL SELECT kind, subject, place, 'DealCount', won_count, 0.0 FROM score
        UNION ALL SELECT kind, subject, place, 'OpportunityPipeline', open_e4, 0.0 FROM score
        UNION ALL SELECT kind, subject, place, 'CloseRate', 0, purchased_count * 1.0 / prospect_count
            FROM score WHERE prospect_count > 0
        UNION ALL SELECT kind, subject, place, 'DealVelocity', 0,
            work_days * 1.0 * won_count / ended_count * won_e4 / priced_count * won_count / cycle_days
            FROM score WHERE priced_count > 0
        UNION ALL SELECT kind, subject, place, 'ValueScore', won_e4, 0.0 FROM score WHERE peers_e4 > 0
        UNION ALL SELECT kind, subject, place, 'DealSuccess', 0, won_count * 1.0 / ended_count
            FROM score WHERE ended_count > 0
    ), ranked AS (
        SELECT kind, subject, kpi,
            rank() OVER (PARTITION BY kind, place, kpi ORDER BY whole DESC, rest DESC) AS rank,
            count(*) OVER (PARTITION BY kind, place, kpi) AS number,
            count(*) OVER (PARTITION BY kind, place, kpi, whole, rest) AS equal_count
        FROM figure
    )
    SELECT kind, coalesce(survivor.id, subject), kpi, rank, number, equal_count
    FROM ranked LEFT JOIN survivor ON kind IN ('partner', 'tree') AND counts_as = subject
";

const SCORES: &str = "
    SELECT kind, coalesce(survivor.id, subject), won_e4, peer_count, peers_e4
    FROM score LEFT JOIN survivor ON kind IN ('partner', 'tree') AND counts_as = subject
";

const WON: &str = "
    SELECT kind, subject, coalesce(sum(part_e4), 0) FROM life CROSS JOIN worth ON id = deal
    WHERE what = 'won' AND ended_on >= :from AND ended_on < :to AND (region = :region OR :region = '')
    GROUP BY kind, subject
";

const KPIS: [Kpi; 7] = [
    Kpi::AverageDealSize,
    Kpi::DealCount,
    Kpi::OpportunityPipeline,
    Kpi::CloseRate,
    Kpi::DealVelocity,
    Kpi::ValueScore,
    Kpi::DealSuccess,
];

const KINDS: [(&str, SubjectKind, bool); 4] = [
    ("partner", SubjectKind::Partner, false),
    ("tree", SubjectKind::Partner, true),
    ("employee", SubjectKind::Employee, false),
    ("unit", SubjectKind::Unit, false),
];

/// By kind and id.
type Rows<T> = BTreeMap<(String, String), T>;

/// What each subject won in a window, in ten-thousandths.
fn won(sql: &Connection, dates: DateRange, region: &str) -> Rows<i64> {
    let (from, to) = (dates.from.day_number(), dates.to.day_number());
    let mut statement = sql.prepare_cached(WON).unwrap();
    let won = statement
        .query_map(named_params! {":from": from, ":to": to, ":region": region}, |row| {
            Ok(((row.get(0)?, row.get(1)?), row.get(2)?))
        })
        .unwrap();
    won.map(Result::unwrap).collect()
}

fn terms(figure: Figure) -> Option<(Quantity, Quantity)> {
    figure.ok().map(|ratio| ratio.terms().expect("few digits"))
}

/// So many ten-thousandths over others, if those are any.
fn ratio(a_e4: i128, b_e4: i128) -> Option<(Quantity, Quantity)> {
    (b_e4 > 0).then_some((Quantity::AmountE4(a_e4), Quantity::AmountE4(b_e4)))
}

#[test]
fn every_score_and_position_equals_sql() {
    let tenant = tenant();
    let (book, sql) = &*tenant;
    stand(sql, "peers_stood", CASES.map(|(_, as_of, ..)| Ask::open_on(as_of, as_of)));
    let starts = book.settings().expect("they were sent").period_starts();
    let (mut position_count, mut shared_count, mut score_count) = (0, 0, 0);
    for (dates, as_of, region, past) in CASES {
        let window = WindowSpec::Dates(days(dates)).resolve(date(as_of), &starts).expect("in range");
        let counted = window.counted();
        let asked_region = region.unwrap_or_default();
        let asked = named_params! {
            ":from": counted.from.day_number(),
            ":to": counted.to.day_number(),
            ":as_of": date(as_of).day_number(),
            ":region": asked_region,
            ":open": format!("{as_of} at {as_of}"),
        };
        sql.execute_batch("DROP TABLE IF EXISTS temp.peer; DROP TABLE IF EXISTS temp.score").unwrap();
        let (peers, scores) = PEERS.split_once(";").expect("two statements");
        sql.execute(peers, asked).unwrap();
        sql.execute_batch(scores).unwrap();
        let mut statement = sql.prepare(POSITIONS).unwrap();
        let positions = statement.query_map([], |row| {
            let position: (i64, i64, i64) = (row.get(3)?, row.get(4)?, row.get(5)?);
            Ok(((row.get(0)?, row.get(1)?, row.get(2)?), position))
        });
        let mut positions: BTreeMap<(String, String, String), (i64, i64, i64)> =
            positions.unwrap().map(Result::unwrap).collect();
        let mut statement = sql.prepare(SCORES).unwrap();
        let scores = statement.query_map([], |row| {
            let score: (i64, i64, i64) = (row.get(2)?, row.get(3)?, row.get(4)?);
            Ok(((row.get(0)?, row.get(1)?), score))
        });
        let scores: Rows<(i64, i64, i64)> = scores.unwrap().map(Result::unwrap).collect();
        let won_now = won(sql, counted, asked_region);
        let won_before = past.map(|dates| won(sql, days(dates), asked_region));

        let regions = region.map(|region| Some(Term::try_new(region).unwrap())).into_iter().collect();
        let peer_filter = Filter { regions, ..Filter::default() };
        let boards = KINDS.map(|(kind, subject_kind, include_sub_partners)| {
            // What names the question's own kind is left out.
            let mut filter = peer_filter.clone();
            match subject_kind {
                SubjectKind::Partner => filter.partners.push(Some(id("p1"))),
                SubjectKind::Employee => filter.employees.push(Some(id("e1"))),
                SubjectKind::Unit => filter.units.push(Some(id("u1"))),
            }
            let premises = Premises { filter, ..Premises::default() };
            let rates = RatesOn::OwnDay;
            let asked = BoardQuestion::new(subject_kind, include_sub_partners, &premises, &window, rates);
            let board = book.board(&asked.of_peers().with_open(&premises));
            (kind, board)
        });
        let measures = |subject: &_, dates| {
            let scope = book.scope(subject, &peer_filter, Roles::SOURCED).expect("every subject was sent");
            book.fold(&scope, dates, RatesOn::OwnDay).measures
        };
        for (subject, (kind, of)) in subjects() {
            let Some((_, board)) = boards.iter().find(|(name, _)| *name == kind) else { continue };
            let key = (kind.to_owned(), of.clone());
            let case = format!("{subject:?} in {dates} on {as_of} of {region:?}");
            let found = book.peer(board, &subject);
            for kpi in KPIS {
                let position = found.and_then(|(peer, group)| group.position(kpi, peer).ok());
                let position = position.map(|it| (it.rank, it.peer_count, it.percentile));
                let expected = positions.remove(&(kind.to_owned(), of.clone(), format!("{kpi:?}")));
                shared_count += i32::from(expected.is_some_and(|(.., equal_count)| equal_count > 1));
                let expected = expected.map(|(rank, number, equal_count)| {
                    let beaten_twice = 2 * (number - rank + 1 - equal_count) + equal_count - 1;
                    let percentile = (number > 1).then(|| beaten_twice as f64 / (2 * (number - 1)) as f64);
                    (rank, number, percentile)
                });
                assert_eq!(position, expected, "{kpi:?} of {case}");
                position_count += i32::from(position.is_some());
            }
            let score = found.and_then(|(peer, group)| terms(group.figure(Kpi::ValueScore, peer)));
            let expected = scores.get(&key).and_then(|&(won_e4, peer_count, peers_e4)| {
                ratio(i128::from(won_e4) * 100 * i128::from(peer_count), peers_e4.into())
            });
            assert_eq!(score, expected, "{case}");
            score_count += i32::from(score.is_some());

            let won_of = |rows: &Rows<i64>| i128::from(rows.get(&key).copied().unwrap_or_default());
            let own = measures(&subject, counted);
            let all = measures(&crate::domain::subject::Subject::Tenant, counted);
            let tenant_e4 = won_now.get(&("tenant".to_owned(), String::new())).copied().unwrap_or_default();
            assert_eq!(terms(tenant_share(&own, &all)), ratio(won_of(&won_now), tenant_e4.into()), "{case}");
            let earlier = (1..=4).map(|steps| window.earlier(Comparison::Previous, steps).expect("in range"));
            let earlier: Vec<i128> =
                earlier.map(|window| measures(&subject, window.counted()).won.amount_e4).collect();
            let past_e4 = won_before.iter().map(won_of).sum();
            assert_eq!(
                terms(own_past(&own, Some(&earlier))),
                ratio(won_of(&won_now) * 100 * 4, past_e4),
                "{case}"
            );
        }
        assert_eq!(positions, BTreeMap::new(), "no one else has a position");
    }
    assert!(position_count > 800, "{position_count} positions");
    assert!(shared_count > 50, "{shared_count} ranks are shared");
    assert!(score_count > 120, "{score_count} scores");
}
