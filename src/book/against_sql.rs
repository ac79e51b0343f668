//! The book against SQL: the same few thousand deals and leads as plain rows in SQLite, asked the same
//! questions.
//!
//! The SQL is what an analyst would write over the CRM's own tables: recursive queries for trees, window
//! functions for the division of shared deals. It is told nothing by the book; local dates alone are
//! worked out before the rows go in. Amounts are integers of ten-thousandths there as here, so equality is
//! to the last digit.

use rusqlite::{Connection, named_params, params};

use super::Book;
use super::histories::figures;
use super::histories::{apply, currency, days, id, noon, plain_deal, plain_settings};
use super::oracle::{Figures, Question};
use crate::domain::amount::{Amount, BasisPoints, Money};
use crate::domain::calendar::{Date, DateRange, Instant, date};
use crate::domain::exchange::{Rate, RateKey};
use crate::domain::ids::Term;
use crate::domain::record::{
    Credit, Credits, Deal, DealStatus, Employee, Expiry, Labels, Lead, LeadOutcome, Partner, Record, Role,
    Settings, State, Unit, Version, VersionKey,
};
use crate::domain::subject::Subject;
use crate::kpi::average_deal_size::average_deal_size;
use crate::kpi::deal_count::deal_count;
use crate::kpi::deal_success::{deal_success, missed};
use crate::kpi::figure::{Quantity, Ratio};
use crate::kpi::measures::{Measures, Tally};
use crate::kpi::standing::Cohort;

const DEALS: u64 = 3_000;
const LEADS: u64 = 1_500;
const PARTNERS: u64 = 30;
const EMPLOYEES: u64 = 12;
const UNITS: u64 = 8;
const TIME_LIMIT_DAYS: u16 = 45;

const SCHEMA: &str = "
    CREATE TABLE partner (id TEXT PRIMARY KEY, parent TEXT, merged_into TEXT);
    CREATE TABLE employee (id TEXT PRIMARY KEY, unit TEXT);
    CREATE TABLE unit (id TEXT PRIMARY KEY, parent TEXT);
    CREATE TABLE rate (in_force_on INTEGER PRIMARY KEY, rate_e4 INTEGER);
    CREATE TABLE deal (
        id TEXT PRIMARY KEY, status TEXT, opened_on INTEGER, closed_on INTEGER, expires_on INTEGER,
        amount_e4 INTEGER, currency TEXT, competitor TEXT, owner TEXT, unit TEXT, lead TEXT
    );
    CREATE TABLE credit (deal TEXT, role TEXT, partner TEXT, share_bps INTEGER);
    CREATE TABLE lead (
        id TEXT PRIMARY KEY, created_on INTEGER, converted_on INTEGER, disqualified_on INTEGER,
        partner TEXT, owner TEXT
    );
";

/// When each deal began and how it ended, what it was worth in dollars then, and who sourced how much of it.
const TOLD: &str = "
    CREATE TABLE life AS
    SELECT deal.id, min(opened_on, coalesce(closed_on, opened_on)) AS opened_on,
        coalesce(closed_on, max(expires_on, opened_on), opened_on + :limit) AS ended_on,
        CASE status WHEN 'open' THEN 'expired' ELSE status END AS outcome,
        status = 'lost' AND competitor IS NOT NULL AS to_competitor,
        amount_e4, currency, owner, coalesce(deal.unit, employee.unit) AS unit, lead
    FROM deal LEFT JOIN employee ON employee.id = owner;

    CREATE TABLE told AS
    WITH happened AS (
        SELECT id, 'opened' AS what, opened_on AS happened_on, 0 AS to_competitor, 0 AS cycle_days,
            amount_e4, currency, owner, unit
        FROM life
        UNION ALL
        SELECT id, outcome, ended_on, to_competitor, ended_on - opened_on, amount_e4, currency, owner, unit
        FROM life
    ), exact AS (
        SELECT *, amount_e4 * (
            SELECT rate_e4 FROM rate WHERE in_force_on <= happened_on ORDER BY in_force_on DESC LIMIT 1
        ) AS product
        FROM happened
    )
    SELECT id, what, happened_on, to_competitor, cycle_days, owner, unit,
        CASE currency WHEN 'USD' THEN amount_e4 ELSE product / 10000 + (
            2 * (product % 10000) > 10000 OR 2 * (product % 10000) = 10000 AND product / 10000 % 2 = 1
        ) END AS whole_e4
    FROM exact;

    CREATE TABLE part AS
    WITH sourced AS (
        SELECT deal, partner, coalesce(
            share_bps, 10000 - coalesce(sum(share_bps) OVER (PARTITION BY deal), 0)
        ) AS bps
        FROM credit WHERE role = 'sourced'
    ), taker AS (
        SELECT deal, partner, bps, 0 AS is_rest FROM sourced
        UNION ALL SELECT deal, NULL, 10000 - sum(bps), 1 FROM sourced GROUP BY deal
    ), floored AS (
        SELECT deal, what, partner, whole_e4, whole_e4 * bps / 10000 AS floor_e4, row_number() OVER (
            PARTITION BY deal, what ORDER BY whole_e4 * bps % 10000 DESC, is_rest, partner
        ) AS place
        FROM taker JOIN told ON told.id = deal
    )
    SELECT deal, what, partner,
        floor_e4 + (place <= whole_e4 - sum(floor_e4) OVER (PARTITION BY deal, what)) AS part_e4
    FROM floored;

    CREATE INDEX part_by_deal ON part (deal, what);
";

/// The prospects with their homes: leads, and deals whose lead isn't known.
const PROSPECTS: &str = "
    CREATE TABLE prospect AS
    WITH first AS (
        SELECT * FROM (
            SELECT *, row_number() OVER (PARTITION BY lead ORDER BY opened_on, id) AS place
            FROM life WHERE lead IS NOT NULL
        )
        WHERE place = 1
    ), outcome AS (
        SELECT lead, min(CASE outcome WHEN 'won' THEN ended_on END) AS purchased_on,
            max(ended_on) AS last_ended_on
        FROM life GROUP BY lead
    )
    SELECT lead.id, created_on AS came_on, converted_on, disqualified_on, 1 AS is_lead, purchased_on,
        CASE WHEN purchased_on IS NULL THEN
            max(coalesce(last_ended_on, disqualified_on), coalesce(disqualified_on, last_ended_on))
        END AS lost_on,
        coalesce(lead.owner, first.owner) AS owner,
        CASE WHEN lead.owner IS NULL THEN first.unit ELSE employee.unit END AS unit,
        lead.partner, CASE WHEN lead.partner IS NULL THEN first.id END AS deal_of_partners
    FROM lead
        LEFT JOIN first ON first.lead = lead.id
        LEFT JOIN outcome ON outcome.lead = lead.id
        LEFT JOIN employee ON employee.id = lead.owner
    UNION ALL
    SELECT id, opened_on, NULL, NULL, 0, CASE outcome WHEN 'won' THEN ended_on END,
        CASE outcome WHEN 'won' THEN NULL ELSE ended_on END, owner, unit, NULL, id
    FROM life WHERE lead IS NULL OR lead NOT IN (SELECT id FROM lead);
";

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

/// Numbers as from dice, the same at every run: splitmix64.
struct Dice(u64);

// === impl Dice ===

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    /// From the middle of 2023 over a year and a half, at any second.
    fn instant(&mut self) -> Instant {
        let first = i64::from(date("2023-06-15").day_number()) * 86_400;
        Instant::try_new(first + self.below(550 * 86_400) as i64, 0).unwrap()
    }

    fn deal(&mut self) -> Deal {
        let opened_at = self.instant();
        let later = opened_at.plus_hours(self.below(100 * 24) as i64);
        let status = match self.below(5) {
            0 => DealStatus::Open,
            1 => DealStatus::Lost(later),
            _ => DealStatus::Won(later),
        };
        let amount_e4 = match self.below(4) {
            0 => self.below(20),
            1 => self.below(100) * 50_000,
            _ => self.below(5_000_000_000),
        };
        // Months with foreign amounts are told from rows, others from sums: from April on there are none.
        let is_early = status != DealStatus::Open && later < noon("2024-03-20");
        let amount = Money {
            amount: Amount::try_from_e4(amount_e4 as i64).unwrap(),
            currency: currency(if is_early && self.one_in(3) { "EUR" } else { "USD" }),
        };
        Deal {
            amount: (!self.one_in(10)).then_some(amount),
            expiry: match self.below(4) {
                0 => Some(Expiry::At(self.instant())),
                1 => Some(Expiry::Never),
                _ => None,
            },
            competitor: self.one_in(2).then(|| Term::try_new("rival").unwrap()),
            owner: (!self.one_in(8)).then(|| id(&format!("e{}", self.below(EMPLOYEES)))),
            unit: self.one_in(4).then(|| id(&format!("u{}", self.below(UNITS)))),
            credits: self.credits(),
            // Some name a lead that was never sent, or that was deleted.
            lead: self.one_in(2).then(|| id(&format!("l{}", self.below(LEADS + 20)))),
            ..plain_deal(opened_at, status)
        }
    }

    fn lead(&mut self) -> Lead {
        let created_at = self.instant();
        let later = created_at.plus_hours(self.below(60 * 24) as i64);
        Lead {
            created_at,
            partner: self.one_in(2).then(|| id(&format!("p{}", self.below(PARTNERS)))),
            owner: self.one_in(2).then(|| id(&format!("e{}", self.below(EMPLOYEES)))),
            channel: None,
            region: None,
            outcome: match self.below(3) {
                0 => LeadOutcome::Open,
                1 => LeadOutcome::Converted(later),
                _ => LeadOutcome::Disqualified(later),
            },
        }
    }

    fn credits(&mut self) -> Credits {
        let mut credits = Vec::new();
        for role in [Role::Sourced, Role::Influenced] {
            let (mut left, mut with_remainder) = (10_000, self.one_in(2));
            for _ in 0..self.below(4) {
                // The first partners have most of the deals.
                let partner = id(&format!("p{}", self.below(PARTNERS).min(self.below(PARTNERS))));
                if credits.iter().any(|credit: &Credit| credit.role == role && credit.partner == partner) {
                    continue;
                }
                let share = self.below(left + 1);
                left -= share;
                let share = BasisPoints::try_new(share as i64).unwrap();
                let share = if std::mem::take(&mut with_remainder) { None } else { Some(share) };
                credits.push(Credit { role, partner, share });
            }
        }
        Credits::try_new(credits).expect("each partner once, no more than is left")
    }
}

/// The day in Dhaka, six hours before London's.
fn day_number(at: Instant) -> i64 {
    (at.seconds() + 6 * 3_600).div_euclid(86_400)
}

/// A tenant in both: the book, which has met each deal more than once, and the tables with its last state.
fn tenant() -> (Book, Connection) {
    let (mut book, sql, mut dice) = (Book::default(), Connection::open_in_memory().unwrap(), Dice(3));
    sql.execute_batch(SCHEMA).unwrap();
    let time_limit_days = Some(TIME_LIMIT_DAYS);
    let mut versions = vec![Record::Settings(Settings { time_limit_days, ..plain_settings() })];
    for (on, rate, rate_e4) in
        [("2020-01-01", "1.25", 12_500), ("2024-01-01", "0.5", 5_000), ("2024-02-29", "1.0847", 10_847)]
    {
        let key = RateKey { from: currency("EUR"), to: currency("USD"), on: date(on) };
        versions.push(Record::Rate(key, State::Present(Rate::parse(rate).unwrap())));
        sql.execute("INSERT INTO rate VALUES (?, ?)", params![date(on).day_number(), rate_e4]).unwrap();
    }
    for n in 0..PARTNERS {
        // Circles are frequent; every seventh counts as the one before it, which isn't merged.
        let parent = (!dice.one_in(3)).then(|| format!("p{}", dice.below(PARTNERS)));
        let merged_into = (n % 7 == 6).then(|| format!("p{}", n - 1));
        sql.execute("INSERT INTO partner VALUES (?, ?, ?)", params![format!("p{n}"), parent, merged_into])
            .unwrap();
        let partner = Partner {
            name: None,
            partner_type: None,
            tier: None,
            region: None,
            parent: parent.as_deref().map(id),
            active: true,
            labels: Labels::new(),
            merged_into: merged_into.as_deref().map(id),
        };
        versions.push(Record::Partner(id(&format!("p{n}")), State::Present(partner)));
    }
    for n in 0..EMPLOYEES {
        let unit = (!dice.one_in(6)).then(|| format!("u{}", dice.below(UNITS)));
        sql.execute("INSERT INTO employee VALUES (?, ?)", params![format!("e{n}"), unit]).unwrap();
        let unit = unit.as_deref().map(id);
        let employee = Employee { name: None, unit, active: true, merged_into: None };
        versions.push(Record::Employee(id(&format!("e{n}")), State::Present(employee)));
    }
    for n in 0..UNITS {
        let parent = (n > 0).then(|| format!("u{}", dice.below(UNITS)));
        sql.execute("INSERT INTO unit VALUES (?, ?)", params![format!("u{n}"), parent]).unwrap();
        let unit = Unit { name: None, unit_kind: None, parent: parent.as_deref().map(id) };
        versions.push(Record::Unit(id(&format!("u{n}")), State::Present(unit)));
    }
    for n in 0..LEADS {
        let lead = dice.lead();
        if n % 9 == 0 {
            versions.push(Record::Lead(id(&format!("l{n}")), State::Deleted(())));
            continue;
        }
        insert_lead(&sql, &format!("l{n}"), &lead);
        versions.push(Record::Lead(id(&format!("l{n}")), State::Present(lead)));
    }
    for n in 0..DEALS {
        let deal = dice.deal();
        insert_deal(&sql, &format!("d{n}"), &deal);
        versions.push(Record::Deal(id(&format!("d{n}")), State::Present(deal)));
    }
    sql.execute_batch(&TOLD.replace(":limit", &TIME_LIMIT_DAYS.to_string())).unwrap();
    sql.execute_batch(PROSPECTS).unwrap();

    // Half of the deals, and many leads, come as something else first, and are corrected: rows move between
    // pages and homes.
    let mut first = Vec::new();
    for n in (0..DEALS).step_by(2) {
        first.push(Record::Deal(id(&format!("d{n}")), State::Present(dice.deal())));
    }
    for n in (0..LEADS).step_by(3) {
        first.push(Record::Lead(id(&format!("l{n}")), State::Present(dice.lead())));
    }
    for (hour, records) in [(0, first), (1, versions)] {
        let key = VersionKey { update_time: Instant::FIRST.plus_hours(hour), sequence: 0 };
        let versions: Vec<Version> = records.into_iter().map(|record| Version { key, record }).collect();
        versions.chunks(500).for_each(|batch| apply(&mut book, batch.to_vec()));
    }
    (book, sql)
}

fn insert_deal(sql: &Connection, deal_id: &str, deal: &Deal) {
    let (status, closed_at) = match deal.status {
        DealStatus::Open => ("open", None),
        DealStatus::Won(at) => ("won", Some(at)),
        DealStatus::Lost(at) => ("lost", Some(at)),
    };
    // A deal that never expires does so after all that is asked about.
    let expires_on = deal.expiry.map(|expiry| match expiry {
        Expiry::At(at) => day_number(at),
        Expiry::Never => i64::from(i32::MAX),
    });
    sql.prepare_cached("INSERT INTO deal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .unwrap()
        .execute(params![
            deal_id,
            status,
            day_number(deal.opened_at),
            closed_at.map(day_number),
            expires_on,
            deal.amount.map(|money| money.amount.e4()),
            deal.amount.map(|money| money.currency.code().to_owned()),
            deal.competitor.as_ref().map(Term::as_str),
            deal.owner.as_ref().map(|owner| owner.as_str()),
            deal.unit.as_ref().map(|unit| unit.as_str()),
            deal.lead.as_ref().map(|lead| lead.as_str()),
        ])
        .unwrap();
    for credit in deal.credits.iter() {
        let role = if credit.role == Role::Sourced { "sourced" } else { "influenced" };
        let share_bps = credit.share.map(BasisPoints::get);
        sql.prepare_cached("INSERT INTO credit VALUES (?, ?, ?, ?)")
            .unwrap()
            .execute(params![deal_id, role, credit.partner.as_str(), share_bps])
            .unwrap();
    }
}

fn insert_lead(sql: &Connection, lead_id: &str, lead: &Lead) {
    let (converted_at, disqualified_at) = match lead.outcome {
        LeadOutcome::Open => (None, None),
        LeadOutcome::Converted(at) => (Some(at), None),
        LeadOutcome::Disqualified(at) => (None, Some(at)),
    };
    sql.prepare_cached("INSERT INTO lead VALUES (?, ?, ?, ?, ?, ?)")
        .unwrap()
        .execute(params![
            lead_id,
            day_number(lead.created_at),
            converted_at.map(day_number),
            disqualified_at.map(day_number),
            lead.partner.as_ref().map(|partner| partner.as_str()),
            lead.owner.as_ref().map(|owner| owner.as_str()),
        ])
        .unwrap();
}

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
    let (book, sql) = tenant();
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
            let found = figures(&book, &question, dates, as_of).expect("every subject was sent");
            let expected = by_sql(&sql, &question.subject, dates, as_of);
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
