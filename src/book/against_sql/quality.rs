//! Data quality: how many deals and leads of each finding that one record, or its references, show.

use std::collections::BTreeMap;

use rusqlite::named_params;

use super::rows::{subjects, tenant};
use crate::book::histories::{days, scope};
use crate::book::{FindingKind, QualityQuestion};
use crate::domain::calendar::date;
use crate::domain::premises::RatesOn;

/// The days that count, the last of them or a later one, and how many days without news make a deal stale.
const CASES: [(&str, &str, i32); 5] = [
    ("2024-01-01..2024-02-01", "2024-01-31", 60),
    ("2023-08-01..2023-09-10", "2023-09-20", 30),
    ("2024-02-01..2024-04-01", "2024-09-01", 1),
    ("2023-06-01..2025-06-01", "2025-05-31", 60),
    ("2024-01-15..2024-01-15", "2024-01-14", 10),
];

const FINDINGS: &str = "
    WITH first_rate AS (SELECT currency, min(in_force_on) AS first_on FROM rate GROUP BY currency
    ), seen AS (
        SELECT life.id, amount_e4, life.currency, life.opened_on, ended_on,
            coalesce(first_on, 1000000) AS rate_from, opened_on <= :as_of AND ended_on > :as_of AS is_open,
            ended_on >= :from AND opened_on < :to AS is_seen
        FROM life LEFT JOIN first_rate USING (currency)
    ), counted AS (
        SELECT deal.*, seen.opened_on AS began_on, ended_on, rate_from, is_open
        FROM seen JOIN deal USING (id) WHERE is_seen AND :from < :to
    ), note (name, id) AS (
        SELECT 'deals', id FROM counted
        UNION ALL SELECT 'open', id FROM seen WHERE is_open
        UNION ALL SELECT 'NoAmount', id FROM counted WHERE amount_e4 IS NULL
        UNION ALL SELECT 'NoRate', id FROM counted WHERE amount_e4 IS NOT NULL AND currency <> 'USD' AND (
            began_on >= :from AND began_on < :to AND began_on < rate_from
            OR ended_on >= :from AND ended_on < :to AND ended_on < rate_from
            OR is_open AND :as_of < rate_from)
        UNION ALL SELECT 'NoCredit', id FROM counted
            WHERE NOT EXISTS (SELECT 1 FROM credit WHERE deal = counted.id AND role = 'sourced')
        UNION ALL SELECT DISTINCT 'UnknownPartner', counted.id FROM counted JOIN credit ON deal = counted.id
            WHERE partner NOT IN (SELECT id FROM partner)
        UNION ALL SELECT 'UnknownOwner', id FROM counted WHERE owner NOT IN (SELECT id FROM employee)
        UNION ALL SELECT 'UnknownUnit', id FROM counted WHERE unit NOT IN (SELECT id FROM unit)
        UNION ALL SELECT 'UnknownLead', id FROM counted
            WHERE lead NOT IN (SELECT id FROM lead UNION SELECT id FROM deleted_lead)
        UNION ALL SELECT 'UnknownChannel', id FROM counted WHERE channel NOT IN (SELECT id FROM channel)
        UNION ALL SELECT 'ClosedBeforeOpened', id FROM counted WHERE closed_on < opened_on
        UNION ALL SELECT 'ExpiredBeforeOpened', id FROM counted WHERE expires_on < opened_on
        UNION ALL SELECT 'ClosedInFuture', id FROM counted
            WHERE closed_on > :as_of
                AND closed_on > (SELECT max(told_on) FROM version WHERE deal = counted.id)
        UNION ALL SELECT 'OneVersion', id FROM counted
            WHERE (SELECT count(*) FROM version WHERE deal = counted.id) = 1
        UNION ALL SELECT 'ExpectedClosePassed', id FROM seen JOIN deal USING (id)
            WHERE is_open AND expected_on < :as_of
        UNION ALL SELECT 'Stale', id FROM seen WHERE is_open AND :as_of - :stale_days >
            (SELECT max(told_on) FROM version WHERE deal = seen.id AND told_on <= :as_of)
    ), lead_note (name, id) AS (
        SELECT 'converted', id FROM lead WHERE converted_on >= :from AND converted_on < :to
        UNION ALL SELECT 'ConvertedWithoutDeal', id FROM lead
            WHERE converted_on >= :from AND converted_on < :to
                AND id NOT IN (SELECT lead FROM life WHERE lead IS NOT NULL)
    )
    SELECT kind, subject, name, count(*), min(id) FROM note JOIN has_deal ON deal = id
    GROUP BY kind, subject, name
    UNION ALL SELECT kind, subject, name, count(*), min(id) FROM lead_note JOIN has_prospect ON prospect = id
    GROUP BY kind, subject, name
";

/// By name: how many, and the first of them.
type Findings = BTreeMap<String, (i64, Option<String>)>;

#[test]
fn every_simple_finding_of_every_subject_equals_sql() {
    let tenant = tenant();
    let (book, sql) = &*tenant;
    let mut found_of: BTreeMap<String, i64> = BTreeMap::new();
    for (dates, as_of, stale_days) in CASES {
        let (dates, as_of) = (days(dates), date(as_of));
        let asked = named_params! {
            ":from": dates.from.day_number(),
            ":to": dates.to.day_number(),
            ":as_of": as_of.day_number(),
            ":stale_days": stale_days,
        };
        let mut expected: BTreeMap<(String, String), Findings> = BTreeMap::new();
        let mut statement = sql.prepare(FINDINGS).unwrap();
        let mut rows = statement.query(asked).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let of = (row.get(0).unwrap(), row.get(1).unwrap());
            let finding = (row.get(3).unwrap(), row.get(4).unwrap());
            expected.entry(of).or_default().insert(row.get(2).unwrap(), finding);
        }
        let asked = QualityQuestion {
            dates,
            as_of,
            rates: RatesOn::OwnDay,
            rates_of_stock: as_of,
            stale_days,
            ids_max: 1,
        };
        for (subject, (kind, of)) in subjects() {
            let scope = scope(book, &subject).expect("every subject was sent");
            let quality = book.quality(&scope, &asked, &|| true);
            let mut expected = expected.remove(&(kind.to_owned(), of)).unwrap_or_default();
            let mut count = |name: &str| expected.remove(name).map_or(0, |(count, _)| count);
            assert_eq!(quality.deal_count, count("deals"), "{subject:?} in {dates:?}");
            assert_eq!(quality.open_deal_count, count("open"), "{subject:?} in {dates:?}");
            assert_eq!(quality.converted_lead_count, count("converted"), "{subject:?} in {dates:?}");

            let of_records = quality.findings.iter().filter(|finding| {
                finding.count > 0 && (finding.kind as usize) < FindingKind::PartnerParentCircle as usize
            });
            let found = of_records.map(|finding| {
                let first = finding.ids.ids.first().map(|id| (*id).to_owned());
                (format!("{:?}", finding.kind), (finding.count, first))
            });
            let found: Findings = found.collect();
            assert_eq!(found, expected, "{subject:?} in {dates:?} on {as_of:?}");
            for (name, (count, _)) in found {
                *found_of.entry(name).or_default() += count;
            }
        }
    }
    let simple = FindingKind::PartnerParentCircle as usize;
    assert_eq!(found_of.len(), simple, "each is found somewhere: {found_of:?}");
}
