//! The opportunity pipeline and its movement, from the versions of deals.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::rows::{divide, subjects, tenant};
use crate::book::Book;
use crate::book::histories::scope;
use crate::domain::calendar::{Date, date};
use crate::domain::ids::Term;
use crate::kpi::measures::Tally;
use crate::kpi::pipeline::{Movement, PipelineFold, Worth};

const EXPIRING_DAYS: i32 = 20;

/// Dates, each with the date whose rates convert.
const ASKED: [(&str, &str); 8] = [
    ("2023-06-20", "2023-06-20"),
    ("2023-09-15", "2023-09-15"),
    ("2023-12-31", "2023-12-31"),
    ("2024-01-31", "2024-01-31"),
    ("2024-02-29", "2024-02-29"),
    ("2024-05-10", "2024-05-10"),
    ("2024-05-10", "2024-01-15"),
    ("2024-12-20", "2024-12-20"),
];

/// From, to; both at the later date's rates.
const MOVEMENTS: [(&str, &str); 3] =
    [("2023-12-31", "2024-01-31"), ("2023-09-15", "2024-05-10"), ("2024-06-30", "2024-12-20")];

/// What each deal was at the end of the dates asked for, as `what` at the rates of another: by the last
/// version told until then, else by the first that there is; stage and probability by the last one until
/// then in which it was open.
const STOOD: &str = "
    CREATE TABLE :stood AS
    WITH in_force AS (
        SELECT life.id, day, rates_day, what, coalesce(
            (SELECT max(nth) FROM version WHERE deal = life.id AND NOT deleted AND told_on <= day),
            (SELECT min(nth) FROM version WHERE deal = life.id AND NOT deleted)
        ) AS nth
        FROM :stood_asked JOIN life ON opened_on <= opened_until AND ended_on > ended_after
    ), said AS (
        SELECT in_force.*, (
            SELECT max(nth) FROM version
            WHERE deal = in_force.id AND NOT deleted AND status = 'open' AND nth <= in_force.nth
        ) AS open_nth
        FROM in_force
    ), exact AS (
        SELECT said.id, day, rates_day, what, opened.stage,
            coalesce(opened.probability_bps, stage.probability_bps) AS p_bps, version.currency,
            version.amount_e4, version.amount_e4 * (
                SELECT rate_e4 FROM rate WHERE rate.currency = version.currency AND in_force_on <= rates_day
                ORDER BY in_force_on DESC LIMIT 1
            ) AS product
        FROM said JOIN version ON version.deal = said.id AND version.nth = said.nth
            LEFT JOIN version AS opened ON opened.deal = said.id AND opened.nth = open_nth
            LEFT JOIN stage ON stage.name = opened.stage
    )
    SELECT id, day, rates_day, what, stage, p_bps,
        CASE currency WHEN 'USD' THEN amount_e4 ELSE product / 10000 + (
            2 * (product % 10000) > 10000 OR 2 * (product % 10000) = 10000 AND product / 10000 % 2 = 1
        ) END AS whole_e4
    FROM exact;
";

const OPEN: &str = "
    CREATE TABLE open AS
    SELECT kind, subject, what, day, part_e4, stage, p_bps, day - opened_on AS age_days,
        expires_on - day AS days_left, expires_on > 1000000 AS is_unlimited, expected_on < day AS is_overdue,
        expires_on > day AND expires_on < expected_on AS expires_first
    FROM stood JOIN life USING (id) JOIN stood_worth USING (what)
    WHERE stood_worth.deal = life.id AND opened_on <= day AND ended_on > day
";

const PIPELINE: &str = "
    WITH line AS (
        SELECT *, 'all' AS line FROM open
        UNION ALL SELECT *, 'stage ' || coalesce(stage, '-') FROM open
        UNION ALL SELECT *, 'age ' || CASE WHEN age_days <= 30 THEN 0 WHEN age_days <= 60 THEN 1
            WHEN age_days <= 90 THEN 2 WHEN age_days <= 180 THEN 3 ELSE 4 END FROM open
        UNION ALL SELECT *, 'overdue' FROM open WHERE is_overdue
        UNION ALL SELECT *, 'unlimited' FROM open WHERE is_unlimited
        UNION ALL SELECT *, 'left ' || CASE WHEN days_left <= 7 THEN 0 WHEN days_left <= 14 THEN 1
            WHEN days_left <= 30 THEN 2 WHEN days_left <= 60 THEN 3 WHEN days_left <= 90 THEN 4 ELSE 5 END
            FROM open WHERE days_left > 0 AND NOT is_unlimited
        UNION ALL SELECT *, 'past' FROM open WHERE days_left <= 0
        UNION ALL SELECT *, 'expiring' FROM open WHERE days_left BETWEEN 1 AND 20
        UNION ALL SELECT *, 'expires first' FROM open WHERE expires_first
    )
    SELECT kind, subject, what, line, count(*), count(part_e4), coalesce(sum(part_e4), 0),
        coalesce(sum(part_e4 * p_bps), 0), count(*) FILTER (WHERE p_bps IS NULL),
        count(part_e4) FILTER (WHERE p_bps IS NULL), coalesce(sum(part_e4) FILTER (WHERE p_bps IS NULL), 0)
    FROM line GROUP BY kind, subject, what, line
";

const MOVED: &str = "
    WITH ends AS (
        SELECT then_.kind, then_.subject, movement.name, outcome, then_.part_e4 AS opening_e4,
            now.part_e4 AS closing_e4, opened_on <= since AND ended_on > since AS was_open,
            opened_on <= until AND ended_on > until AS is_open
        FROM movement CROSS JOIN stood_worth AS then_ ON then_.what = 'opening ' || name
            CROSS JOIN life ON life.id = then_.deal
            CROSS JOIN stood_worth AS now ON now.what = 'closing ' || name AND now.deal = then_.deal
                AND now.kind = then_.kind AND now.subject = then_.subject
    ), line AS (
        SELECT *, 'opening' AS line, opening_e4 AS part_e4 FROM ends WHERE was_open
        UNION ALL SELECT *, 'closing', closing_e4 FROM ends WHERE is_open
        UNION ALL SELECT *, 'created', closing_e4 FROM ends WHERE is_open AND NOT was_open
        UNION ALL SELECT *, outcome, opening_e4 FROM ends WHERE was_open AND NOT is_open
        UNION ALL SELECT *, 'between ' || outcome, closing_e4 FROM ends WHERE NOT was_open AND NOT is_open
        UNION ALL SELECT *, 'increased', coalesce(closing_e4, 0) - coalesce(opening_e4, 0) FROM ends
            WHERE was_open AND is_open AND coalesce(closing_e4, 0) > coalesce(opening_e4, 0)
        UNION ALL SELECT *, 'decreased', coalesce(opening_e4, 0) - coalesce(closing_e4, 0) FROM ends
            WHERE was_open AND is_open AND coalesce(closing_e4, 0) < coalesce(opening_e4, 0)
    )
    SELECT kind, subject, name, line, count(*), CASE WHEN line IN ('increased', 'decreased')
            THEN count(opening_e4 + closing_e4) ELSE count(part_e4) END,
        coalesce(sum(part_e4), 0), 0, 0, 0, 0
    FROM line GROUP BY kind, subject, name, line
";

/// What deals were at the end of a date, at another's rates; told of those opened and not ended by then.
pub struct Ask {
    on: &'static str,
    rates_on: &'static str,
    what: String,
    opened_until: &'static str,
    ended_after: &'static str,
}

// === impl Ask ===

impl Ask {
    /// Of the deals that were open then.
    pub fn open_on(on: &'static str, rates_on: &'static str) -> Self {
        Self { on, rates_on, what: what(on, rates_on), opened_until: on, ended_after: on }
    }
}

/// Makes a table of what deals were then, and one of what each subject has of it, named `{stood}_worth`.
pub fn stand(sql: &Connection, stood: &str, asked: impl IntoIterator<Item = Ask>) {
    sql.execute_batch(&format!(
        "CREATE TABLE {stood}_asked (
            day INTEGER, rates_day INTEGER, what TEXT, opened_until INTEGER, ended_after INTEGER
        )"
    ))
    .unwrap();
    for Ask { on, rates_on, what, opened_until, ended_after } in asked {
        let [on, rates_on, opened_until, ended_after] =
            [on, rates_on, opened_until, ended_after].map(|on| date(on).day_number());
        let row = (on, rates_on, what, opened_until, ended_after);
        sql.execute(&format!("INSERT INTO {stood}_asked VALUES (?, ?, ?, ?, ?)"), row).unwrap();
    }
    sql.execute_batch(&STOOD.replace(":stood", stood)).unwrap();
    divide(sql, stood, &format!("{stood}_part"), &format!("{stood}_worth"));
}

/// Count, priced count, amount, weighted amount, and the same three of those unweighted. None where nothing
/// is in a line.
type Line = [i128; 7];

/// By kind, subject, date or movement, and line.
type Lines = BTreeMap<(String, String, String), BTreeMap<String, Line>>;

fn lines(sql: &Connection, query: &str) -> Lines {
    let mut lines = Lines::new();
    let mut statement = sql.prepare(query).unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let text = |at| row.get::<_, String>(at).unwrap();
        let line = std::array::from_fn(|at| i128::from(row.get::<_, i64>(4 + at).unwrap()));
        lines.entry((text(0), text(1), text(2))).or_default().insert(text(3), line);
    }
    lines
}

fn what(on: &str, rates_on: &str) -> String {
    format!("{on} at {rates_on}")
}

fn of_tally(Tally { count, priced_count, amount_e4 }: Tally) -> Line {
    [count.into(), priced_count.into(), amount_e4, 0, 0, 0, 0]
}

fn of_worth(Worth { deals, weighted_e8, unweighted }: Worth) -> Line {
    let [count, priced_count, amount_e4, ..] = of_tally(deals);
    let [without, priced_without, without_e4, ..] = of_tally(unweighted);
    [count, priced_count, amount_e4, weighted_e8, without, priced_without, without_e4]
}

/// What a fold says, without what says nothing.
fn of_fold(fold: &PipelineFold<Option<&str>>) -> BTreeMap<String, Line> {
    let mut lines = BTreeMap::from([("all".to_owned(), of_worth(fold.open))]);
    let stages = fold.stages.iter();
    lines.extend(stages.map(|(stage, worth)| (format!("stage {}", stage.unwrap_or("-")), of_worth(*worth))));
    let numbered = |name: &'static str, tallies: &[Tally]| {
        let lines = tallies.iter().enumerate();
        lines.map(|(at, tally)| (format!("{name} {at}"), of_tally(*tally))).collect::<Vec<_>>()
    };
    let protection = &fold.protection;
    lines.extend(numbered("age", &fold.ages));
    lines.extend(numbered("left", &protection.days_left));
    for (name, tally) in [
        ("overdue", fold.overdue),
        ("unlimited", protection.unlimited),
        ("past", protection.past),
        ("expiring", protection.expiring),
        ("expires first", protection.before_expected_close),
    ] {
        lines.insert(name.to_owned(), of_tally(tally));
    }
    lines.retain(|_, line| line[0] != 0);
    lines
}

fn of_movement(moved: &Movement) -> BTreeMap<String, Line> {
    let named = [
        ("opening", moved.opening),
        ("created", moved.created),
        ("increased", moved.increased),
        ("decreased", moved.decreased),
        ("won", moved.left.won),
        ("lost", moved.left.lost),
        ("expired", moved.left.expired),
        ("closing", moved.closing),
        ("between won", moved.in_between.won),
        ("between lost", moved.in_between.lost),
        ("between expired", moved.in_between.expired),
    ];
    let lines = named.into_iter().filter(|(_, tally)| tally.count != 0);
    lines.map(|(name, tally)| (name.to_owned(), of_tally(tally))).collect()
}

/// Stages and their sums are what all open deals have; of other lines SQL also says how likely they are.
fn without_weights(mut lines: BTreeMap<String, Line>) -> BTreeMap<String, Line> {
    for (name, line) in &mut lines {
        if name != "all" && !name.starts_with("stage ") {
            line[3..].fill(0);
        }
    }
    lines
}

/// Of every subject on every date.
fn pipelines(book: &Book, sql: &Connection) {
    sql.execute_batch(OPEN).unwrap();
    let mut expected = lines(sql, PIPELINE);
    let mut open_count = 0;
    for (subject, (kind, of)) in subjects() {
        let scope = scope(book, &subject).expect("every subject was sent");
        for (on, rates_on) in ASKED {
            let asked = |stages: &[Option<Term>]| {
                book.pipeline(&scope, stages, date(on), date(rates_on), EXPIRING_DAYS).found
            };
            let key = (kind.to_owned(), of.clone(), what(on, rates_on));
            let expected = without_weights(expected.remove(&key).unwrap_or_default());
            assert_eq!(of_fold(&asked(&[])), expected, "{subject:?} on {on}");
            open_count += expected.get("all").map_or(0, |line| line[0]);

            let offers = [Some(Term::try_new("offer").unwrap())];
            let of_stage = of_fold(&asked(&offers));
            assert_eq!(of_stage.get("all"), expected.get("stage offer"), "{subject:?} on {on}");
        }
    }
    assert!(open_count > 10_000, "deals are open: {open_count} all in all");
}

/// Of every subject, each in balance.
fn movements(book: &Book, sql: &Connection) {
    sql.execute_batch("CREATE TABLE movement (name TEXT, since INTEGER, until INTEGER)").unwrap();
    for (since, until) in MOVEMENTS {
        let days = (date(since).day_number(), date(until).day_number());
        sql.execute("INSERT INTO movement VALUES (?, ?, ?)", (until, days.0, days.1)).unwrap();
    }
    let mut expected = lines(sql, MOVED);
    let mut changed_count = 0;
    for (subject, (kind, of)) in subjects() {
        let scope = scope(book, &subject).expect("every subject was sent");
        for (since, until) in MOVEMENTS {
            let (since, until_on): (Date, Date) = (date(since), date(until));
            let moved = book.movement(&scope, since, until_on, until_on).found;
            let expected = expected.remove(&(kind.to_owned(), of.clone(), until.to_owned()));
            let expected = expected.unwrap_or_default();
            assert_eq!(of_movement(&moved), expected, "{subject:?} from {since:?} to {until}");

            let line = |name| expected.get(name).copied().unwrap_or_default();
            let left = |at: usize| line("won")[at] + line("lost")[at] + line("expired")[at];
            assert_eq!(line("opening")[0] + line("created")[0] - left(0), line("closing")[0]);
            let difference_e4 = line("increased")[2] - line("decreased")[2];
            let closing_e4 = line("opening")[2] + line("created")[2] + difference_e4 - left(2);
            assert_eq!(closing_e4, line("closing")[2], "{subject:?} from {since:?} to {until}");
            changed_count += line("increased")[0] + line("decreased")[0];
        }
    }
    assert!(changed_count > 500, "deals change: {changed_count} all in all");
}

#[test]
fn every_pipeline_and_movement_of_every_subject_equals_sql() {
    let tenant = tenant();
    let (book, sql) = &*tenant;
    let on_dates = ASKED.map(|(on, rates_on)| Ask::open_on(on, rates_on));
    let at_ends = MOVEMENTS.iter().flat_map(|&(since, until)| {
        [("opening", since), ("closing", until)].map(|(end, on)| Ask {
            on,
            rates_on: until,
            what: format!("{end} {until}"),
            opened_until: until,
            ended_after: since,
        })
    });
    stand(sql, "stood", on_dates.into_iter().chain(at_ends));
    pipelines(book, sql);
    movements(book, sql);
}
