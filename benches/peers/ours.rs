//! Our side of the side-by-side with databases: writes the generated rows as CSV, asks a sidecar that holds the
//! same rows, and writes its answers and what they took. `benches/peers/run` does the rest.
//!
//! The rows are what a CRM has: nothing is worked out here but local dates. Answers are whole numbers and ids,
//! so that equality is to the last digit: amounts in ten-thousandths, ratios as what is divided by what.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use channel_kpi::proto::channelkpi::v1::quantity::Quantity as Which;
use channel_kpi::proto::channelkpi::v1::{
    DealStatus, DealTally, Figure, Filter, GetPipelineResponse, GetScorecardRequest, GetSeriesResponse, Kpi,
    LeaderboardRow, ListScorecardsRequest, Quantity, RankedBy, Ratio, Scorecard, View, figure,
};
use channel_kpi::proto::google::r#type::{Date, Money};
use prost_types::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::ask::{
    Asker, OF_SERIES, WINDOW_DAYS, days, every_partner, in_region, monthly, of_product_and_channel, partner,
    pipeline, scorecard, top_100_alone,
};
use crate::tenant::{
    CHANNEL_COUNT, DAY_COUNT, FIRST_DAY_SECONDS, Filled, REGIONS, Tenant, channel_id, median, partner_id,
};

/// Where the rows and the answers go.
const FOLDER: &str = "BENCH_PEERS_DIR";
/// 2023-07-01, from 1970-01-01.
const FIRST_DAY: i64 = FIRST_DAY_SECONDS / 86_400;
/// The first days of the windows that are asked about, from the tenant's first: of the last 90 days first.
const STARTS: [i64; 5] = [DAY_COUNT - WINDOW_DAYS, 700, 431, 950, 123];
/// The same for questions that must not find each other's boards kept.
const APART_DAYS: i64 = 3;
/// Of questions that keep nothing.
const REPEATED: usize = 25;

/// All that a scorecard tells of a partner without regard to the others.
const OF_CARD: [Kpi; 6] = [
    Kpi::AverageDealSize,
    Kpi::DealCount,
    Kpi::OpportunityPipeline,
    Kpi::CloseRate,
    Kpi::DealVelocity,
    Kpi::DealSuccess,
];

type Row = Vec<Value>;

pub fn answer(runtime: &Runtime) {
    let folder = std::env::var_os(FOLDER).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| panic!("{FOLDER} isn't set: benches/peers/run sets it"));
    let tenant = Tenant::from_env();
    write_rows(&tenant, &folder).expect("the rows can be written");
    let Filled { sidecar, data_dir: _data_dir, tenant, hands: _hands } =
        runtime.block_on(Filled::fill_with(tenant));
    let asker = Asker::new(sidecar.channel());
    let questions = runtime.block_on(questions(&asker, &tenant));
    let told = json!({
        "deals": tenant.deal_count,
        "partners": tenant.partner_count,
        "as_of": FIRST_DAY + DAY_COUNT - 1,
        "first_day": FIRST_DAY,
        "questions": questions,
    });
    std::fs::write(folder.join("ours.json"), told.to_string()).expect("the answers can be written");
    drop(asker);
    runtime.block_on(sidecar.close());
}

// === the rows ===

/// Partners, deals and credits, a file each. No value is known where there is none between the commas.
fn write_rows(tenant: &Tenant, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let file = |name: &str| File::create(folder.join(name)).map(BufWriter::new);
    let mut partners = file("partner.csv")?;
    writeln!(partners, "partner,id,region")?;
    let mut ranks = HashMap::new();
    for rank in 0..tenant.partner_count {
        let region = number_of(&REGIONS, &tenant.partner_region(rank));
        writeln!(partners, "{rank},{},{region}", partner_id(rank))?;
        ranks.insert(partner_id(rank), rank);
    }
    let channels: Vec<String> = (0..CHANNEL_COUNT).map(channel_id).collect();
    let channels: Vec<&str> = channels.iter().map(String::as_str).collect();

    let mut deals = file("deal.csv")?;
    let mut credits = file("credit.csv")?;
    writeln!(
        deals,
        "deal,opened_on,closed_on,expires_on,is_won,amount_e4,probability_bps,region,product,channel,lead_created_on"
    )?;
    writeln!(credits, "deal,partner,share_bps")?;
    for number in 0..tenant.deal_count {
        let deal = tenant.current_deal(number);
        let lead_created_on = tenant.lead_created_at(&deal).map(local_day);
        let product: &str = deal.product.strip_prefix("product ").expect("all are called so");
        writeln!(
            deals,
            "{number},{},{},{},{},{},{},{},{product},{},{}",
            local_day(deal.opened_at.expect("every deal has it")),
            shown(deal.closed_at.map(local_day)),
            shown(deal.expire_time.map(local_day)),
            u8::from(deal.status() == DealStatus::Won),
            shown(deal.amount.as_ref().map(e4)),
            shown(deal.probability_bps),
            number_of(&REGIONS, &deal.region),
            number_of(&channels, &deal.marketing_channel_id),
            shown(lead_created_on),
        )?;
        for credit in &deal.partner_credits {
            let share_bps = credit.share_bps.expect("every credit has it");
            writeln!(credits, "{number},{},{share_bps}", ranks[&credit.partner_id])?;
        }
    }
    partners.flush()?;
    deals.flush()?;
    credits.flush()
}

fn shown<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// Which of them it is, or nothing for an empty text.
fn number_of(names: &[&str], name: &str) -> String {
    shown(names.iter().position(|known| *known == name))
}

/// Days from 1970-01-01 of an instant's date in the tenant's time zone.
fn local_day(instant: Timestamp) -> i64 {
    let utc = chrono::DateTime::from_timestamp(instant.seconds, 0).expect("of three years");
    let local = utc.with_timezone(&chrono_tz::Asia::Dhaka).date_naive();
    local.signed_duration_since(chrono::NaiveDate::default()).num_days()
}

// === the questions ===

async fn questions(asker: &Asker, tenant: &Tenant) -> Vec<Value> {
    let mut asked = Vec::new();
    for (name, rank) in [("typical", tenant.typical_rank()), ("heaviest", 0)] {
        let ask = |first| {
            asker.scorecard(GetScorecardRequest {
                window: Some(days(first, first + WINDOW_DAYS)),
                ..scorecard(partner(partner_id(rank)), &OF_CARD, View::Basic)
            })
        };
        let name = format!("scorecard_{name}");
        asked.push(
            windows(&name, 0, REPEATED, json!({"partner": rank}), ask, |card| vec![card_row(&card)]).await,
        );
    }

    let filters: [(&str, i64, Option<Filter>, Value); 3] = [
        ("top_100", 1, None, json!({})),
        ("top_100_region", 2, Some(in_region()), json!({"region": 0})),
        ("top_100_product_channel", 3, Some(of_product_and_channel()), json!({"product": 1, "channel": 1})),
    ];
    for (name, apart, filter, params) in filters {
        let ask = |first| asker.board(top_100_alone(first, RankedBy::WonAmount, filter.clone()));
        let rows = |board: channel_kpi::proto::channelkpi::v1::GetLeaderboardResponse| {
            board.rows.iter().map(board_row).collect()
        };
        asked.push(windows(name, apart, 1, params.clone(), ask, rows).await);
        if name == "top_100" {
            asked.push(windows("top_100_again", apart, REPEATED, params, ask, rows).await);
        }
    }

    for (name, filter, params) in
        [("series_tenant", None, json!({})), ("series_region", Some(in_region()), json!({"region": 0}))]
    {
        let ask = |_| asker.series(monthly(&OF_SERIES, filter.clone()));
        asked.push(once(name, params, ask, |series| series_rows(&series)).await);
    }

    let every = |kpis: &'static [Kpi], view| {
        move |first| {
            asker.list(ListScorecardsRequest {
                window: Some(days(first, first + WINDOW_DAYS)),
                ..every_partner(kpis, view)
            })
        }
    };
    let rows = |cards: Vec<Scorecard>| {
        let row = |card: &Scorecard| [vec![id_of(card)], card_row(card), standing(card)].concat();
        cards.iter().map(row).collect()
    };
    asked.push(windows("every_partner", 4, 1, json!({}), every(&[], View::Basic), rows).await);
    let rows = |cards: Vec<Scorecard>| {
        let median = |card: &Scorecard| card.deal_velocity.as_ref()?.median_cycle_days;
        cards.iter().filter_map(|card| Some(vec![id_of(card), json!(median(card)?)])).collect()
    };
    asked
        .push(windows("median_cycles", 5, 1, json!({}), every(&[Kpi::DealVelocity], View::Full), rows).await);

    for (name, day) in [("pipeline_today", DAY_COUNT - 1), ("pipeline_year_ago", DAY_COUNT - 366)] {
        let ask = |_| asker.pipeline(pipeline(None, day));
        let is_today = day == DAY_COUNT - 1;
        let params = json!({"on": FIRST_DAY + day});
        asked.push(once(name, params, ask, |answer| vec![pipeline_row(&answer, is_today)]).await);
    }
    asked
}

/// A question about each of the windows. The median of all times; before them one window more is asked about,
/// so that the program is warm.
async fn windows<A, F: Future<Output = A>>(
    name: &str,
    apart: i64,
    times: usize,
    params: Value,
    ask: impl Fn(i64) -> F,
    rows: impl Fn(A) -> Vec<Row>,
) -> Value {
    ask(300 - apart * APART_DAYS).await;
    let mut seconds = Vec::new();
    let mut cases = Vec::new();
    for start in STARTS {
        let first = start - apart * APART_DAYS;
        let mut answer = None;
        for _ in 0..times {
            let began_at = Instant::now();
            answer = Some(ask(first).await);
            seconds.push(began_at.elapsed().as_secs_f64());
        }
        let rows = rows(answer.expect("it was asked at least once"));
        let mut case =
            json!({"from": FIRST_DAY + first, "to": FIRST_DAY + first + WINDOW_DAYS, "rows": rows});
        add(&mut case, &params);
        cases.push(case);
    }
    json!({"name": name, "seconds": median(seconds), "cases": cases})
}

/// A question that is always the same.
async fn once<A, F: Future<Output = A>>(
    name: &str,
    params: Value,
    ask: impl Fn(usize) -> F,
    rows: impl Fn(A) -> Vec<Row>,
) -> Value {
    let answer = ask(0).await;
    let mut seconds = Vec::new();
    for asked in 1..=5 {
        let began_at = Instant::now();
        ask(asked).await;
        seconds.push(began_at.elapsed().as_secs_f64());
    }
    let mut case = json!({"rows": rows(answer)});
    add(&mut case, &params);
    json!({"name": name, "seconds": median(seconds), "cases": [case]})
}

fn add(case: &mut Value, params: &Value) {
    let (Value::Object(case), Value::Object(params)) = (case, params) else { panic!("both are objects") };
    case.extend(params.clone());
}

// === answers as numbers ===

fn e4(money: &Money) -> i64 {
    money.units * 10_000 + i64::from(money.nanos / 100_000)
}

fn amount(money: &Option<Money>) -> Value {
    json!(money.as_ref().map(e4))
}

fn of_quantity(quantity: &Option<Quantity>) -> Option<i64> {
    match quantity.as_ref()?.quantity.as_ref()? {
        Which::Count(count) => Some(*count),
        Which::Amount(money) => Some(e4(money)),
    }
}

/// What is divided by what, as the sums are: where the figure is absent nothing divides by 0.
fn terms(figure: &Option<Figure>) -> [Value; 2] {
    match figure.as_ref().and_then(|figure| figure.result.as_ref()) {
        Some(figure::Result::Value(Ratio { numerator, denominator, .. })) => {
            [json!(of_quantity(numerator)), json!(of_quantity(denominator))]
        }
        _ => [json!(0), json!(0)],
    }
}

fn id_of(card: &Scorecard) -> Value {
    use channel_kpi::proto::channelkpi::v1::subject::Subject::Partner;
    match card.subject.as_ref().and_then(|subject| subject.subject.as_ref()) {
        Some(Partner(partner)) => json!(partner.partner_id),
        other => panic!("a partner was asked for, not {other:?}"),
    }
}

/// Won: count, amount, priced. Missed: lost, expired, amount. Prospects and those who purchased. Days in work,
/// days of cycles. Open today: count, amount, weighted, without a probability.
fn card_row(card: &Scorecard) -> Row {
    const ASKED: &str = "it was asked for";
    let size = card.average_deal_size.as_ref().expect(ASKED);
    let won = card.deal_count.as_ref().expect(ASKED);
    let open = card.opportunity_pipeline.as_ref().expect(ASKED);
    let close = card.close_rate.as_ref().expect(ASKED);
    let velocity = card.deal_velocity.as_ref().expect(ASKED);
    let success = card.deal_success.as_ref().expect(ASKED);
    let compared = |figure: &Option<channel_kpi::proto::channelkpi::v1::ComparedFigure>| {
        terms(&figure.as_ref().expect(ASKED).figure)
    };
    let [won_count, _] = terms(&won.figure);
    let [_, priced_count] = terms(&size.figure);
    let [purchased, prospects] = terms(&close.figure);
    let [work_days, _] = compared(&velocity.deals_in_work);
    let [cycle_days, _] = compared(&velocity.mean_cycle_days);
    let tally = |tally: &Option<DealTally>| tally.clone().expect(ASKED);
    vec![
        won_count,
        amount(&won.won_amount),
        priced_count,
        json!(success.missed_count - success.expired_count),
        json!(success.expired_count),
        amount(&success.missed_amount),
        prospects,
        purchased,
        work_days,
        cycle_days,
        json!(tally(&open.open).count),
        amount(&tally(&open.open).amount),
        amount(&open.weighted_amount),
        json!(tally(&open.unweighted).count),
    ]
}

/// The rank of the value score, and among how many. Nothing for those that have none.
fn standing(card: &Scorecard) -> Row {
    let position = card.value_score.as_ref().and_then(|score| score.position.as_ref());
    vec![json!(position.map(|position| position.rank)), json!(position.map(|position| position.peer_count))]
}

fn board_row(row: &LeaderboardRow) -> Row {
    vec![json!(row.rank), json!(row.subject_id), amount(&row.won_amount), json!(row.won_count)]
}

/// Month by month from the tenant's first: won count, amount and priced, lost, expired.
fn series_rows(series: &GetSeriesResponse) -> Vec<Row> {
    let of_month = |(month, point): (usize, &channel_kpi::proto::channelkpi::v1::SeriesPoint)| {
        const ASKED: &str = "it was asked for";
        let card = point.scorecard.as_ref().expect(ASKED);
        let success = card.deal_success.as_ref().expect(ASKED);
        let won = card.deal_count.as_ref().expect(ASKED);
        let [won_count, _] = terms(&won.figure);
        let [_, priced_count] = terms(&card.average_deal_size.as_ref().expect(ASKED).figure);
        let start_on = point.dates.as_ref().and_then(|dates| dates.start_on).expect(ASKED);
        assert_eq!(months_from_first(start_on), month as i32, "the months follow on each other");
        vec![
            json!(month),
            won_count,
            amount(&won.won_amount),
            priced_count,
            json!(success.missed_count - success.expired_count),
            json!(success.expired_count),
        ]
    };
    series.points.iter().enumerate().map(of_month).collect()
}

fn months_from_first(date: Date) -> i32 {
    date.year * 12 + date.month - (2023 * 12 + 7)
}

/// Count, amount, unpriced; of today also weighted and without a probability: what a database that keeps no
/// versions can't tell of the past.
fn pipeline_row(answer: &GetPipelineResponse, with_weights: bool) -> Row {
    let pipeline = answer.pipeline.as_ref().expect("an answer has it");
    let open = pipeline.open.as_ref().expect("an answer has it");
    let mut row = vec![json!(open.count), amount(&open.amount), json!(open.unpriced_count)];
    if with_weights {
        let unweighted = pipeline.unweighted.as_ref().expect("an answer has it");
        row.extend([amount(&pipeline.weighted_amount), json!(unweighted.count)]);
    }
    row
}
