//! Real data, end to end: CSV files through the real `import` into a real server, and every figure that comes out
//! compared with SQL over the same rows, read by another reader. All ratios are equal to the last digit.
//!
//! The data lie beside the project (`../shared/data`), or where `CHANNEL_KPI_REAL_DATA` says. Without them these tests
//! say so and pass; where `CI` is set, they fail.

#[path = "support/beside.rs"]
mod beside;
mod program;

use std::collections::BTreeMap;
use std::path::Path;

use beside::real_data;
use channel_kpi::proto::channelkpi::v1::admin_service_client::AdminServiceClient;
use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    AbsentReason, DateRange, Figure, GetScorecardRequest, GetTenantRequest, ListScorecardsRequest,
    PartnerSubject, Period, Quantity, Ratio, Scorecard, Subject, SubjectKind, Tenant, View, Window, figure,
    quantity, subject, window,
};
use channel_kpi::proto::google::r#type::{Date, Money};
use program::{Sidecar, channel_kpi, text};
use rusqlite::{Connection, params};
use tonic::transport::Channel;

// === The question's windows, by hand ===

/// A window, the dates that it means, and those with which it is compared.
struct Case {
    window: Window,
    as_of: Date,
    dates: DateRange,
    before: DateRange,
    before_as_of: Date,
}

fn date(text: &str) -> Date {
    let parts: Vec<i32> = text.split('-').map(|part| part.parse().expect("a number")).collect();
    Date { year: parts[0], month: parts[1], day: parts[2] }
}

fn dates(text: &str) -> DateRange {
    let (start, end) = text.split_once("..").expect("FROM..TO");
    DateRange { start_on: Some(date(start)), end_on: Some(date(end)) }
}

fn cases() -> Vec<Case> {
    let given = |text: &str| window::Window::Dates(dates(text));
    let period = |period: Period| window::Window::Period(period.into());
    let end = "2017-12-31";
    #[rustfmt::skip]
    let table = [
        // The year, its quarters and its months.
        (given("2017-01-01..2018-01-01"), end, "2017-01-01..2018-01-01", "2016-01-01..2017-01-01", "2016-12-31"),
        (given("2017-01-01..2017-04-01"), end, "2017-01-01..2017-04-01", "2016-10-01..2017-01-01", "2017-10-02"),
        (given("2017-04-01..2017-07-01"), end, "2017-04-01..2017-07-01", "2017-01-01..2017-04-01", "2017-10-01"),
        (given("2017-07-01..2017-10-01"), end, "2017-07-01..2017-10-01", "2017-04-01..2017-07-01", "2017-09-30"),
        (given("2017-10-01..2018-01-01"), end, "2017-10-01..2018-01-01", "2017-07-01..2017-10-01", "2017-09-30"),
        (given("2017-03-01..2017-04-01"), end, "2017-03-01..2017-04-01", "2017-02-01..2017-03-01", "2017-11-30"),
        (given("2017-04-01..2017-05-01"), end, "2017-04-01..2017-05-01", "2017-03-01..2017-04-01", "2017-12-01"),
        (given("2017-05-01..2017-06-01"), end, "2017-05-01..2017-06-01", "2017-04-01..2017-05-01", "2017-11-30"),
        (given("2017-06-01..2017-07-01"), end, "2017-06-01..2017-07-01", "2017-05-01..2017-06-01", "2017-12-01"),
        (given("2017-12-01..2018-01-01"), end, "2017-12-01..2018-01-01", "2017-11-01..2017-12-01", "2017-11-30"),
        // Days without a meaning in the calendar: within a month, over the edges of months, one day, five months.
        (given("2017-05-03..2017-05-20"), end, "2017-05-03..2017-05-20", "2017-04-16..2017-05-03", "2017-12-14"),
        (given("2017-05-29..2017-06-02"), end, "2017-05-29..2017-06-02", "2017-05-25..2017-05-29", "2017-12-27"),
        (given("2017-09-15..2017-09-16"), end, "2017-09-15..2017-09-16", "2017-09-14..2017-09-15", "2017-12-30"),
        (given("2017-07-31..2017-12-31"), end, "2017-07-31..2017-12-31", "2017-02-28..2017-07-31", "2017-07-31"),
        // The last N days.
        (window::Window::LastDays(15), "2017-10-15", "2017-10-01..2017-10-16", "2017-09-16..2017-10-01", "2017-09-30"),
        (window::Window::LastDays(90), end, "2017-10-03..2018-01-01", "2017-07-05..2017-10-03", "2017-10-02"),
        (window::Window::LastDays(1), "2017-06-30", "2017-06-30..2017-07-01", "2017-06-29..2017-06-30", "2017-06-29"),
        // To date: what comes after as_of doesn't count, and the window before is cut alike.
        (given("2017-10-01..2018-01-01"), "2017-11-15", "2017-10-01..2018-01-01", "2017-07-01..2017-08-16", "2017-08-15"),
        (given("2017-05-03..2017-05-20"), "2017-05-10", "2017-05-03..2017-05-20", "2017-04-25..2017-05-03", "2017-05-02"),
        (period(Period::ThisQuarter), "2017-08-10", "2017-07-01..2017-10-01", "2017-04-01..2017-05-11", "2017-05-10"),
        (period(Period::PreviousMonth), "2017-08-10", "2017-07-01..2017-08-01", "2017-06-01..2017-07-01", "2017-07-10"),
        (period(Period::YearToDate), "2017-06-30", "2017-01-01..2017-07-01", "2016-01-01..2016-07-01", "2016-06-30"),
    ];
    let case = |(window, as_of, meant, before, before_as_of)| Case {
        window: Window { window: Some(window) },
        as_of: date(as_of),
        dates: dates(meant),
        before: dates(before),
        before_as_of: date(before_as_of),
    };
    table.into_iter().map(case).collect()
}

// === The figures in SQL ===

/// What SQL says of one subject in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    won_count: i64,
    /// Whole dollars: the file has no cents.
    won_amount: i64,
    ended_count: i64,
    /// Of the deals won, from engagement to close; and the same with at least one day each.
    cycle_days: i64,
    cycle_days_from_one: i64,
    /// At the end of `as_of`.
    open_count: i64,
}

/// Of each subject, by its kind (as [`Kind::name`] has it) and id.
type Figures = BTreeMap<(String, String), Counted>;

/// A kind of subject, and whether it includes what is below it.
#[derive(Clone, Copy)]
enum Kind {
    Employee,
    Unit,
    Partner,
    PartnerTree,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Employee, Self::Unit, Self::Partner, Self::PartnerTree];

    fn name(self) -> &'static str {
        match self {
            Self::Employee => "employee",
            Self::Unit => "unit",
            Self::Partner => "partner",
            Self::PartnerTree => "partner tree",
        }
    }

    fn on_the_wire(self) -> SubjectKind {
        match self {
            Self::Employee => SubjectKind::Employee,
            Self::Unit => SubjectKind::Unit,
            Self::Partner | Self::PartnerTree => SubjectKind::Partner,
        }
    }

    fn subject(self, id: &str) -> Subject {
        let partner = |include_sub_partners| {
            subject::Subject::Partner(PartnerSubject { partner_id: id.to_owned(), include_sub_partners })
        };
        Subject {
            subject: Some(match self {
                Self::Employee => subject::Subject::EmployeeId(id.to_owned()),
                Self::Unit => subject::Subject::UnitId(id.to_owned()),
                Self::Partner => partner(false),
                Self::PartnerTree => partner(true),
            }),
        }
    }
}

/// The same rows in SQL.
struct Sql(Connection);

impl Sql {
    fn read(directory: &Path) -> Self {
        let db = Connection::open_in_memory().expect("SQLite is built in");
        db.execute_batch(
            "CREATE TABLE opportunity (
                 id TEXT PRIMARY KEY, agent, account, stage, engaged_on, closed_on, value,
                 days AS (CAST(julianday(closed_on) - julianday(engaged_on) AS INTEGER))
             );
             CREATE TABLE team (agent TEXT PRIMARY KEY, manager, office);
             CREATE TABLE account (id TEXT PRIMARY KEY, parent);
             CREATE TABLE subject (kind, id, PRIMARY KEY (kind, id));
             CREATE TABLE counts_for (kind, id, opportunity_id, PRIMARY KEY (kind, id, opportunity_id));",
        )
        .expect("the tables are new");
        let load = |file: &str, columns: &[&str], insert: &str| {
            let mut reader = csv::Reader::from_path(directory.join(file)).expect("the file is there");
            let headers = reader.headers().expect("it has a header").clone();
            let at =
                |name: &&str| headers.iter().position(|header| header == *name).expect("the column is there");
            let places: Vec<usize> = columns.iter().map(at).collect();
            let mut insert = db.prepare(insert).expect("it is SQL");
            for row in reader.records() {
                let row = row.expect("the file is CSV");
                insert
                    .execute(rusqlite::params_from_iter(places.iter().map(|place| &row[*place])))
                    .expect("a new row");
            }
        };
        load(
            "sales_pipeline.csv",
            &[
                "opportunity_id",
                "sales_agent",
                "account",
                "deal_stage",
                "engage_date",
                "close_date",
                "close_value",
            ],
            "INSERT INTO opportunity VALUES (?, ?, ?, ?, ?, ?, CAST(? AS INTEGER))",
        );
        load(
            "sales_teams.csv",
            &["sales_agent", "manager", "regional_office"],
            "INSERT INTO team VALUES (?, ?, ?)",
        );
        load("accounts.csv", &["account", "subsidiary_of"], "INSERT INTO account VALUES (?, ?)");
        db.execute_batch(
            "INSERT INTO subject SELECT 'employee', agent FROM team
             UNION SELECT 'unit', manager FROM team UNION SELECT 'unit', office FROM team
             UNION SELECT 'partner', id FROM account UNION SELECT 'partner tree', id FROM account;
             INSERT INTO counts_for
             SELECT 'employee', agent, id FROM opportunity
             UNION SELECT 'unit', manager, id FROM opportunity JOIN team USING (agent)
             UNION SELECT 'unit', office, id FROM opportunity JOIN team USING (agent)
             UNION SELECT 'partner', account, id FROM opportunity WHERE account <> '';
             WITH RECURSIVE above (account, ancestor) AS (
                 SELECT id, id FROM account
                 UNION SELECT above.account, parent FROM above JOIN account ON id = ancestor WHERE parent <> ''
             )
             INSERT INTO counts_for
             SELECT 'partner tree', ancestor, opportunity.id FROM above JOIN opportunity USING (account);",
        )
        .expect("it is SQL");
        Self(db)
    }

    fn ids(&self, kind: Kind) -> Vec<String> {
        let mut ids = self.0.prepare("SELECT id FROM subject WHERE kind = ? ORDER BY id").expect("it is SQL");
        ids.query_map([kind.name()], |row| row.get(0))
            .expect("it is asked")
            .collect::<Result<_, _>>()
            .expect("text")
    }

    /// What ended within the dates, up to `as_of`: of each subject, and of all under the kind "" and the id "".
    fn figures(&self, dates: &DateRange, as_of: &Date) -> Figures {
        let iso = |date: &Date| format!("{:04}-{:02}-{:02}", date.year, date.month, date.day);
        let bound = |date: &Option<Date>| iso(date.as_ref().expect("a range has both ends"));
        let sums = "count(*) FILTER (WHERE stage = 'Won'), coalesce(sum(value) FILTER (WHERE stage = 'Won'), 0), count(*),
                    coalesce(sum(days) FILTER (WHERE stage = 'Won'), 0),
                    coalesce(sum(max(days, 1)) FILTER (WHERE stage = 'Won'), 0)
                    FROM opportunity";
        let ended =
            "WHERE stage IN ('Won', 'Lost') AND closed_on >= ?1 AND closed_on < ?2 AND closed_on <= ?3";
        let question = format!(
            "SELECT '', '', {sums} {ended}
             UNION ALL
             SELECT kind, counts_for.id, {sums} JOIN counts_for ON opportunity_id = opportunity.id {ended}
             GROUP BY kind, counts_for.id"
        );
        let mut question = self.0.prepare_cached(&question).expect("it is SQL");
        let rows = question
            .query_map(params![bound(&dates.start_on), bound(&dates.end_on), iso(as_of)], |row| {
                let counted = Counted {
                    won_count: row.get(2)?,
                    won_amount: row.get(3)?,
                    ended_count: row.get(4)?,
                    cycle_days: row.get(5)?,
                    cycle_days_from_one: row.get(6)?,
                    open_count: 0,
                };
                Ok(((row.get(0)?, row.get(1)?), counted))
            })
            .expect("it is asked");
        let mut figures: Figures = rows.collect::<Result<_, _>>().expect("numbers are numbers");
        for ((kind, id), open_count) in self.open_counts(&iso(as_of)) {
            figures.entry((kind, id)).or_default().open_count = open_count;
        }
        figures
    }

    /// What is open at the end of a date. A row without a date of engagement isn't.
    fn open_counts(&self, as_of: &str) -> Vec<((String, String), i64)> {
        let open = "WHERE engaged_on <> '' AND engaged_on <= ?1 AND (closed_on = '' OR closed_on > ?1)";
        let question = format!(
            "SELECT '', '', count(*) FROM opportunity {open}
             UNION ALL
             SELECT kind, counts_for.id, count(*) FROM opportunity
             JOIN counts_for ON opportunity_id = opportunity.id {open} GROUP BY kind, counts_for.id"
        );
        let mut question = self.0.prepare_cached(&question).expect("it is SQL");
        let rows = question.query_map([as_of], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)));
        rows.expect("it is asked").collect::<Result<_, _>>().expect("numbers are numbers")
    }

    /// The cycle days of all deals won, of each subject in order.
    fn cycles(&self) -> BTreeMap<(String, String), Vec<i32>> {
        let question = "SELECT '', '', days FROM opportunity WHERE stage = 'Won'
             UNION ALL
             SELECT kind, counts_for.id, days FROM opportunity
             JOIN counts_for ON opportunity_id = opportunity.id WHERE stage = 'Won'
             ORDER BY 3";
        let mut question = self.0.prepare(question).expect("it is SQL");
        let mut cycles: BTreeMap<(String, String), Vec<i32>> = BTreeMap::new();
        let mut rows = question.query([]).expect("it is asked");
        while let Some(row) = rows.next().expect("it is told") {
            let of = (row.get(0).expect("text"), row.get(1).expect("text"));
            cycles.entry(of).or_default().push(row.get(2).expect("a number"));
        }
        cycles
    }

    /// Dates the rows that have no date of engagement.
    fn date_the_undated(&self, on: &str) {
        let dated = self.0.execute("UPDATE opportunity SET engaged_on = ? WHERE engaged_on = ''", [on]);
        assert_eq!(dated, Ok(500));
    }
}

fn of(figures: &Figures, kind: &str, id: &str) -> Counted {
    figures.get(&(kind.to_owned(), id.to_owned())).copied().unwrap_or_default()
}

// === What the server must say then ===

fn usd(units: i64) -> Money {
    Money { currency_code: "USD".to_owned(), units, nanos: 0 }
}

fn figure(numerator: quantity::Quantity, quotient: f64, denominator: i64, absent: AbsentReason) -> Figure {
    let quantity = |quantity| Some(Quantity { quantity: Some(quantity) });
    let value = || Ratio {
        quotient,
        numerator: quantity(numerator),
        denominator: quantity(quantity::Quantity::Count(denominator)),
    };
    let result = match denominator {
        0 => figure::Result::AbsentReason(absent.into()),
        _ => figure::Result::Value(value()),
    };
    Figure { result: Some(result) }
}

/// Average deal size, deal count, deal success, resolved close rate, mean cycle, and the cycle that velocity divides
/// by. Without leads each deal is a prospect. Dollars and counts are whole and small, so that a division of
/// doubles is the ratio, rounded once.
fn expected_figures(counted: Counted) -> [Figure; 6] {
    let Counted { won_count, won_amount, ended_count, cycle_days, cycle_days_from_one, open_count: _ } =
        counted;
    let quotient = |numerator: i64, denominator: i64| numerator as f64 / denominator as f64;
    let (amount, count) = (quantity::Quantity::Amount(usd(won_amount)), quantity::Quantity::Count(won_count));
    let days = |days: i64| {
        let sum = quantity::Quantity::Count(days);
        figure(sum, quotient(days, won_count), won_count, AbsentReason::NoDealWon)
    };
    [
        figure(amount, quotient(won_amount, won_count), won_count, AbsentReason::NoDealWon),
        figure(count.clone(), won_count as f64, 1, AbsentReason::Unspecified),
        figure(count.clone(), quotient(won_count, ended_count), ended_count, AbsentReason::NoDealEnded),
        figure(count, quotient(won_count, ended_count), ended_count, AbsentReason::NoProspect),
        days(cycle_days),
        days(cycle_days_from_one),
    ]
}

fn assert_card(card: &Scorecard, now: Counted, before: Counted, what: &str) {
    let average = card.average_deal_size.as_ref().expect("all KPIs were asked for");
    let count = card.deal_count.as_ref().expect("all KPIs were asked for");
    let success = card.deal_success.as_ref().expect("all KPIs were asked for");
    let resolved = card.close_rate.as_ref().and_then(|kpi| kpi.resolved.as_ref()).expect("always set");
    let velocity = card.deal_velocity.as_ref().expect("all KPIs were asked for");
    let mean_cycle = velocity.mean_cycle_days.as_ref().expect("always set");
    let cycle = velocity.cycle_days.as_ref().expect("always set");
    let told = [
        &average.figure,
        &count.figure,
        &success.figure,
        &resolved.figure,
        &mean_cycle.figure,
        &cycle.figure,
    ];
    assert_eq!(told.map(|figure| figure.clone().expect("always set")), expected_figures(now), "{what}");
    let told = [
        &average.comparison,
        &count.comparison,
        &success.comparison,
        &resolved.comparison,
        &mean_cycle.comparison,
        &cycle.comparison,
    ];
    assert_eq!(
        told.map(|figure| figure.clone().expect("1970 is far")),
        expected_figures(before),
        "{what}, before"
    );

    let amounts = (count.won_amount.clone(), count.comparison_won_amount.clone());
    assert_eq!(amounts, (Some(usd(now.won_amount)), Some(usd(before.won_amount))), "{what}");
    let pipeline = card.opportunity_pipeline.as_ref().expect("all KPIs were asked for");
    let open =
        [&pipeline.open, &pipeline.comparison_open].map(|open| open.as_ref().expect("always set").count);
    assert_eq!(open, [now.open_count, before.open_count], "{what}");
    let missed_count = now.ended_count - now.won_count;
    // The file says 0 of lost deals, which isn't what they were worth.
    let missed = (success.missed_count, success.unpriced_missed_count, success.missed_amount.clone());
    assert_eq!(missed, (missed_count, missed_count, Some(usd(0))), "{what}");
    assert_eq!(
        (success.expired_count, success.lost_to_competitor_count, average.unpriced_won_count),
        (0, 0, 0)
    );
}

async fn all_of_a_kind(
    kpis: &mut KpiServiceClient<Channel>,
    kind: Kind,
    case: &Case,
    view: View,
) -> Vec<Scorecard> {
    let mut request = ListScorecardsRequest {
        subject_kind: kind.on_the_wire().into(),
        include_sub_partners: matches!(kind, Kind::PartnerTree),
        window: Some(case.window),
        as_of: Some(case.as_of),
        page_size: 30, // so that there are several pages
        view: view.into(),
        ..ListScorecardsRequest::default()
    };
    let mut cards = Vec::new();
    loop {
        let page = kpis.list_scorecards(request.clone()).await.expect("it is answered").into_inner();
        cards.extend(page.scorecards);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return cards;
        }
    }
}

async fn assert_equal_to_sql(channel: &Channel, sql: &Sql) {
    let mut kpis = KpiServiceClient::new(channel.clone());
    for (turn, case) in cases().into_iter().enumerate() {
        let question = |subject| GetScorecardRequest {
            subject,
            window: Some(case.window),
            as_of: Some(case.as_of),
            ..GetScorecardRequest::default()
        };
        let what = format!("{:?} as of {:?}", case.window.window, case.as_of);
        let answer = kpis.get_scorecard(question(None)).await.expect("it is answered").into_inner();
        let definition = answer.definition.expect("an answer says how it is defined");
        assert_eq!(
            (definition.window, definition.comparison_window, definition.comparison_as_of),
            (Some(case.dates), Some(case.before), Some(case.before_as_of)),
            "{what}"
        );

        let now = sql.figures(&case.dates, &case.as_of);
        let before = sql.figures(&case.before, &case.before_as_of);
        let card = answer.scorecard.expect("an answer has a card");
        assert_card(&card, of(&now, "", ""), of(&before, "", ""), &what);
        for kind in Kind::ALL {
            let cards = all_of_a_kind(&mut kpis, kind, &case, View::Basic).await;
            let ids = sql.ids(kind);
            let subjects: Vec<Option<Subject>> = cards.iter().map(|card| card.subject.clone()).collect();
            let expected: Vec<Option<Subject>> = ids.iter().map(|id| Some(kind.subject(id))).collect();
            assert_eq!(subjects, expected, "{what}: every {}, in the order of ids", kind.name());
            for (place, (card, id)) in cards.iter().zip(&ids).enumerate() {
                let what = format!("{} {id:?}, {what}", kind.name());
                assert_card(card, of(&now, kind.name(), id), of(&before, kind.name(), id), &what);
                // In some of the windows: each call tells all peers anew.
                if (place + turn) % 5 != 0 {
                    continue;
                }
                let alone = kpis.get_scorecard(question(card.subject.clone())).await.expect("it is answered");
                assert_eq!(alone.into_inner().scorecard.as_ref(), Some(card), "asked for alone: {what}");
            }
        }
    }
}

/// Median and 90th percentile of the days from engagement to close, by nearest rank, of every subject.
async fn assert_cycles_equal_to_sql(channel: &Channel, sql: &Sql) {
    let mut kpis = KpiServiceClient::new(channel.clone());
    let cycles = sql.cycles();
    let year = &cases()[0];
    let told = |card: &Scorecard| {
        let velocity = card.deal_velocity.as_ref().expect("all KPIs were asked for");
        (velocity.median_cycle_days, velocity.p90_cycle_days)
    };
    let expected = |kind: &str, id: &str| {
        let sorted = cycles.get(&(kind.to_owned(), id.to_owned()));
        let ranked = |percent: usize| sorted.map(|sorted| sorted[(sorted.len() * percent).div_ceil(100) - 1]);
        (ranked(50), ranked(90))
    };
    let question = GetScorecardRequest {
        window: Some(year.window),
        as_of: Some(year.as_of),
        view: View::Full.into(),
        ..GetScorecardRequest::default()
    };
    let answer = kpis.get_scorecard(question).await.expect("it is answered").into_inner();
    let card = answer.scorecard.expect("an answer has a card");
    assert_eq!(told(&card), expected("", ""));
    assert_eq!(told(&card).0, Some(57));
    let quotient = |figure: Option<Figure>| match figure.and_then(|figure| figure.result) {
        Some(figure::Result::Value(ratio)) => ratio.quotient,
        absent => panic!("there are deals won: {absent:?}"),
    };
    let mean = card.deal_velocity.and_then(|kpi| kpi.mean_cycle_days).and_then(|mean| mean.figure);
    let success = card.deal_success.and_then(|kpi| kpi.figure);
    assert_eq!((quotient(mean) * 100.0).round(), 5_178.0);
    assert_eq!((quotient(success) * 1e6).round(), 631_501.0);
    for kind in Kind::ALL {
        let cards = all_of_a_kind(&mut kpis, kind, year, View::Full).await;
        for (card, id) in cards.iter().zip(sql.ids(kind)) {
            assert_eq!(told(card), expected(kind.name(), &id), "{} {id:?}", kind.name());
        }
    }
}

async fn tenant(channel: &Channel) -> Tenant {
    let asked = GetTenantRequest { tenant_id: "default".to_owned() };
    let answer = AdminServiceClient::new(channel.clone()).get_tenant(asked).await.expect("it is there");
    answer.into_inner().tenant.expect("an answer has a tenant")
}

/// Where the rows lie that can't be told a date, as a rejection names the cell.
fn undated_cells(directory: &Path) -> Vec<String> {
    let mut reader = csv::Reader::from_path(directory.join("sales_pipeline.csv")).expect("the file is there");
    let headers = reader.headers().expect("it has a header").clone();
    let column = headers.iter().position(|header| header == "engage_date").expect("it is there");
    let rows = reader.records().map(|row| row.expect("the file is CSV"));
    let undated = rows.filter(|row| row[column].is_empty());
    let cell = |row: csv::StringRecord| {
        format!("sales_pipeline.csv:{}:{}", row.position().expect("it was read").line(), column + 1)
    };
    undated.map(cell).collect()
}

// === Tests ===

#[tokio::test]
async fn every_figure_equals_sql_over_the_same_rows() {
    let Some(directory) = real_data("crm_sales_opportunities") else { return };
    let data_dir = tempfile::tempdir().expect("a directory for the test");
    let sidecar = Sidecar::start(data_dir.path(), &[]);
    let files = directory.to_str().expect("its path is UTF-8");
    let import = ["import", "--preset", "maven", files, "--to", sidecar.url(), "--show-rejected", "1000"];

    let imported = channel_kpi(&import);
    assert_eq!(imported.status.code(), Some(3), "in but for some rows: {}", text(&imported.stderr));
    let expected_lines: Vec<String> = undated_cells(&directory)
        .iter()
        .map(|cell| {
            format!("{cell}: engage_date is empty: a deal needs its `opened_at` (--undated-on DATE dates such rows)")
        })
        .collect();
    assert_eq!(expected_lines.len(), 500);
    let stderr = text(&imported.stderr);
    let (rejections, notes): (Vec<&str>, Vec<&str>) =
        stderr.lines().partition(|line| !line.starts_with("note: "));
    assert_eq!(rejections, expected_lines, "exactly the undated rows are rejected, each with its place");
    assert!(
        notes.iter().any(|note| note.contains("1480 values") && note.ends_with("GTXPro became GTX Pro")),
        "{notes:?}"
    );

    let channel = sidecar.channel().await;
    let first = tenant(&channel).await;
    // 8,300 deals, 85 partners, 35 employees, 6 teams in 3 offices, and the settings.
    assert_eq!((first.deal_count, first.version_count), (8_300, 8_300 + 85 + 35 + 9 + 1));
    let sql = Sql::read(&directory);
    let year = &cases()[0];
    let company = of(&sql.figures(&year.dates, &year.as_of), "", "");
    let expected = Counted {
        won_count: 4_238,
        won_amount: 10_005_534,
        ended_count: 6_711,
        cycle_days: 219_452,
        cycle_days_from_one: 219_452,
        open_count: 1_589, // engaging; the 500 that are prospecting have no date
    };
    assert_eq!(company, expected);
    assert_equal_to_sql(&channel, &sql).await;
    assert_cycles_equal_to_sql(&channel, &sql).await;

    let again = channel_kpi(&import);
    assert_eq!(again.status.code(), Some(3));
    assert_eq!(text(&again.stderr), stderr, "the same is told");
    let stdout = text(&again.stdout);
    assert!(stdout.contains("Nothing of it was new"), "{stdout}");
    assert_eq!(tenant(&channel).await, first, "not one version more");
    assert_equal_to_sql(&channel, &sql).await;
}

/// The undated rows, dated: they count as known deals, in the pipeline of that day, and in no other figure.
#[tokio::test]
async fn dated_by_hand_all_rows_go_in() {
    let Some(directory) = real_data("crm_sales_opportunities") else { return };
    let data_dir = tempfile::tempdir().expect("a directory for the test");
    let files = directory.to_str().expect("its path is UTF-8");
    let path = data_dir.path().to_str().expect("its path is UTF-8");
    let imported = channel_kpi(&[
        "import",
        "--preset",
        "maven",
        files,
        "--undated-on",
        "2017-12-31",
        "--data-dir",
        path,
    ]);
    assert_eq!(imported.status.code(), Some(0), "{}", text(&imported.stderr));
    let sidecar = Sidecar::start(data_dir.path(), &[]);
    let channel = sidecar.channel().await;
    assert_eq!(tenant(&channel).await.deal_count, 8_800);
    let sql = Sql::read(&directory);
    sql.date_the_undated("2017-12-31");
    let year = &cases()[0];
    assert_eq!(of(&sql.figures(&year.dates, &year.as_of), "", "").open_count, 1_589 + 500);
    assert_equal_to_sql(&channel, &sql).await;
    assert_cycles_equal_to_sql(&channel, &sql).await;
}
