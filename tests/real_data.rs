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
    AbsentReason, DateRange, Figure, GetScorecardRequest, GetTenantRequest, Kpi, ListScorecardsRequest,
    PartnerSubject, Period, Quantity, Ratio, Scorecard, Subject, SubjectKind, Tenant, Window, figure,
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
            "CREATE TABLE opportunity (id TEXT PRIMARY KEY, agent, account, stage, engaged_on, closed_on, value);
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
        let sums = "count(*) FILTER (WHERE stage = 'Won'), coalesce(sum(value) FILTER (WHERE stage = 'Won'), 0), count(*)
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
                let counted =
                    Counted { won_count: row.get(2)?, won_amount: row.get(3)?, ended_count: row.get(4)? };
                Ok(((row.get(0)?, row.get(1)?), counted))
            })
            .expect("it is asked");
        rows.collect::<Result<_, _>>().expect("numbers are numbers")
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

/// Average deal size, deal count and deal success: dollars and counts are whole and small, so that a division of
/// doubles is the ratio, rounded once.
fn expected_figures(counted: Counted) -> [Figure; 3] {
    let Counted { won_count, won_amount, ended_count } = counted;
    let quotient = |numerator: i64, denominator: i64| numerator as f64 / denominator as f64;
    let (amount, count) = (quantity::Quantity::Amount(usd(won_amount)), quantity::Quantity::Count(won_count));
    [
        figure(amount, quotient(won_amount, won_count), won_count, AbsentReason::NoDealWon),
        figure(count.clone(), won_count as f64, 1, AbsentReason::Unspecified),
        figure(count, quotient(won_count, ended_count), ended_count, AbsentReason::NoDealEnded),
    ]
}

fn assert_card(card: &Scorecard, now: Counted, before: Counted, what: &str) {
    let average = card.average_deal_size.as_ref().expect("all KPIs were asked for");
    let count = card.deal_count.as_ref().expect("all KPIs were asked for");
    let success = card.deal_success.as_ref().expect("all KPIs were asked for");
    let told =
        [&average.figure, &count.figure, &success.figure].map(|figure| figure.clone().expect("always set"));
    assert_eq!(told, expected_figures(now), "{what}");
    let told = [&average.comparison, &count.comparison, &success.comparison];
    assert_eq!(
        told.map(|figure| figure.clone().expect("1970 is far")),
        expected_figures(before),
        "{what}, before"
    );

    let amounts = (count.won_amount.clone(), count.comparison_won_amount.clone());
    assert_eq!(amounts, (Some(usd(now.won_amount)), Some(usd(before.won_amount))), "{what}");
    let missed_count = now.ended_count - now.won_count;
    // The file says 0 of lost deals, which isn't what they were worth.
    let missed = (success.missed_count, success.unpriced_missed_count, success.missed_amount.clone());
    assert_eq!(missed, (missed_count, missed_count, Some(usd(0))), "{what}");
    assert_eq!(
        (success.expired_count, success.lost_to_competitor_count, average.unpriced_won_count),
        (0, 0, 0)
    );
}

/// Those that SQL tells here: no peers are told for them, many thousand times.
fn asked_kpis() -> Vec<i32> {
    [Kpi::AverageDealSize, Kpi::DealCount, Kpi::DealSuccess].map(i32::from).to_vec()
}

async fn all_of_a_kind(kpis: &mut KpiServiceClient<Channel>, kind: Kind, case: &Case) -> Vec<Scorecard> {
    let mut request = ListScorecardsRequest {
        subject_kind: kind.on_the_wire().into(),
        include_sub_partners: matches!(kind, Kind::PartnerTree),
        window: Some(case.window),
        as_of: Some(case.as_of),
        kpis: asked_kpis(),
        page_size: 30, // so that there are several pages
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
    for case in cases() {
        let question = |subject| GetScorecardRequest {
            subject,
            window: Some(case.window),
            as_of: Some(case.as_of),
            kpis: asked_kpis(),
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
            let cards = all_of_a_kind(&mut kpis, kind, &case).await;
            let ids = sql.ids(kind);
            let subjects: Vec<Option<Subject>> = cards.iter().map(|card| card.subject.clone()).collect();
            let expected: Vec<Option<Subject>> = ids.iter().map(|id| Some(kind.subject(id))).collect();
            assert_eq!(subjects, expected, "{what}: every {}, in the order of ids", kind.name());
            for (card, id) in cards.iter().zip(&ids) {
                let what = format!("{} {id:?}, {what}", kind.name());
                assert_card(card, of(&now, kind.name(), id), of(&before, kind.name(), id), &what);
                let alone = kpis.get_scorecard(question(card.subject.clone())).await.expect("it is answered");
                assert_eq!(alone.into_inner().scorecard.as_ref(), Some(card), "asked for alone: {what}");
            }
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
    assert_eq!(company, Counted { won_count: 4_238, won_amount: 10_005_534, ended_count: 6_711 });
    assert_equal_to_sql(&channel, &sql).await;

    let again = channel_kpi(&import);
    assert_eq!(again.status.code(), Some(3));
    assert_eq!(text(&again.stderr), stderr, "the same is told");
    let stdout = text(&again.stdout);
    assert!(stdout.contains("Nothing of it was new"), "{stdout}");
    assert_eq!(tenant(&channel).await, first, "not one version more");
    assert_equal_to_sql(&channel, &sql).await;
}

/// The undated rows, dated: they count as known deals and in no figure, since they are open.
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
    assert_equal_to_sql(&channel, &Sql::read(&directory)).await;
}
