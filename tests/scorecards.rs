//! Scorecards (docs/kpis.md §6, §7) through gRPC on a real socket: batches, comparisons at equal age, what
//! the value score is told from, and the marketing channels' sum. What fuller views tell is in
//! scorecard_views.rs.

#[allow(dead_code)] // every test takes what it needs
#[path = "support/scorecard.rs"]
mod scorecard;
#[path = "support/sidecar.rs"]
mod sidecar;
#[path = "support/worked_example.rs"]
mod worked_example;

use channel_kpi::proto::channelkpi::v1::comparison::Comparison as Against;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::window::Window as Asked;
use channel_kpi::proto::channelkpi::v1::{
    AbsentReason, BatchGetScorecardsRequest, Change, ChannelPerformance, ComparedFigure, Comparison,
    DateRange, Deal, Exchange, ExchangePolicy, ExchangeRate, ExchangeRateKey, Filter,
    GetMarketingPerformanceRequest, GetScorecardRequest, Kpi, LabelTerms, MarketingFigures, Partner, Period,
    Premises, Record, Scorecard, ScorecardQuestion, Subject, Terms, Trend, View, Window,
};
use channel_kpi::proto::google::r#type::{Decimal, Money};
use scorecard::{ask, dates, march, outcome, partner, row, terms};
use sidecar::{Caller, Sidecar};
use tonic::Code;
use tonic_types::StatusExt;
use worked_example::{at, date, deal, lost, noon, records, settings, usd, version, won};

fn employee(id: &str) -> Subject {
    Subject { subject: Some(Of::EmployeeId(id.into())) }
}

fn unit(id: &str) -> Subject {
    Subject { subject: Some(Of::UnitId(id.into())) }
}

async fn example(sidecar: &Sidecar) -> Caller {
    let mut caller = sidecar.tenant("example", settings()).await;
    caller.write(records()).await;
    caller
}

async fn get(caller: &mut Caller, question: GetScorecardRequest) -> Scorecard {
    let answer = caller.kpis.get_scorecard(question).await.expect("the question is valid").into_inner();
    answer.scorecard.expect("always set")
}

fn deals(all: Vec<Deal>) -> Vec<Record> {
    all.into_iter().map(|deal| version(noon("01-01"), Kind::Deal(deal))).collect()
}

/// A deal with dates of any year, as `2024-03-15`.
fn on(opened: &str, ended: Option<&str>, deal: Deal) -> Deal {
    let noon = |on: &str| at(&format!("{on}T06:00:00Z"));
    Deal { opened_at: noon(opened), closed_at: ended.and_then(noon), ..deal }
}

// === batches ===

/// Each answer is that of its question asked alone, in the questions' order, also where one comes twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_answers_as_its_questions_do_one_by_one() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let question = |subject: Subject, window: Window, as_of: &str| ScorecardQuestion {
        subject: Some(subject),
        window: Some(window),
        as_of: date(as_of),
        ..ScorecardQuestion::default()
    };
    let (in_march, last_days) =
        (dates("2024-03-01", "2024-04-01"), Window { window: Some(Asked::LastDays(15)) });
    let year_before = Comparison { comparison: Some(Against::YearBefore(true)) };
    let questions = vec![
        question(partner("B"), in_march, "2024-03-31"),
        question(Subject::default(), in_march, "2024-03-31"),
        question(partner("A"), last_days, "2024-03-15"),
        question(unit("sales"), in_march, "2024-03-10"),
        ScorecardQuestion {
            kpis: vec![Kpi::DealCount.into(), Kpi::ValueScore.into()],
            comparison: Some(year_before),
            ..question(employee("e2"), in_march, "2024-04-30")
        },
        question(partner("B"), in_march, "2024-03-31"),
    ];
    let premises = Premises {
        filter: Some(Filter { employee_ids: values(&["e1", "e2"]), ..Filter::default() }),
        ..Premises::default()
    };
    for view in [View::Basic, View::Full, View::WithEvidence] {
        let batch = BatchGetScorecardsRequest {
            questions: questions.clone(),
            premises: Some(premises.clone()),
            view: view.into(),
            ..BatchGetScorecardsRequest::default()
        };
        let answer = caller.kpis.batch_get_scorecards(batch).await.expect("it is valid").into_inner();
        assert_eq!(answer.answers.len(), questions.len());
        for (asked, answered) in questions.iter().zip(&answer.answers) {
            let ScorecardQuestion { subject, window, as_of, kpis, comparison } = asked.clone();
            let premises = Some(premises.clone());
            let view = view.into();
            let alone = GetScorecardRequest {
                subject,
                window,
                as_of,
                kpis,
                comparison,
                premises,
                view,
                consistency: None,
            };
            let alone = caller.kpis.get_scorecard(alone).await.expect("it is valid").into_inner();
            assert_eq!(answered.scorecard, alone.scorecard, "{asked:?} in {view:?}");
            assert_eq!(answered.definition, alone.definition, "{asked:?} in {view:?}");
            assert_eq!(answer.revision_token, alone.revision_token);
        }
    }
    sidecar.stop().await;
}

fn values(values: &[&str]) -> Option<Terms> {
    Some(Terms { values: values.iter().map(|&value| value.into()).collect(), include_none: false })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_answered_wholly_or_not_at_all() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let question = |subject: Subject| ScorecardQuestion {
        subject: Some(subject),
        window: Some(dates("2024-03-01", "2024-04-01")),
        as_of: date("2024-03-31"),
        kpis: vec![Kpi::DealCount.into()],
        ..ScorecardQuestion::default()
    };
    let batch = |questions| BatchGetScorecardsRequest { questions, ..BatchGetScorecardsRequest::default() };
    let unknown = batch(vec![question(partner("A")), question(partner("nobody")), question(partner("B"))]);
    let many = |count| batch(vec![question(partner("A")); count]);
    for (request, code, reason) in [
        (unknown, Code::NotFound, "SUBJECT_NOT_FOUND"),
        (many(1_001), Code::InvalidArgument, "TOO_MANY_ITEMS"),
        (many(0), Code::InvalidArgument, "INVALID_FIELD"),
    ] {
        let status = caller.kpis.batch_get_scorecards(request).await.expect_err("it is refused");
        let info = status.get_details_error_info().expect("each error has one");
        assert_eq!((status.code(), info.reason.as_str()), (code, reason));
        if reason == "TOO_MANY_ITEMS" {
            let metadata = |key: &str| info.metadata.get(key).map(String::as_str);
            assert_eq!((metadata("given"), metadata("allowed")), (Some("1001"), Some("1000")));
        }
    }
    let all = caller.kpis.batch_get_scorecards(many(1_000)).await.expect("so many are allowed").into_inner();
    assert_eq!(all.answers.len(), 1_000);
    sidecar.stop().await;
}

// === comparisons ===

/// The deals won in the window and in that which it is compared with, and which that is.
#[tokio::test(flavor = "multi_thread")]
async fn each_comparison_is_told_from_its_own_window() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("compared", settings()).await;
    let won = |id: &str, on_day: &str, units| {
        let deal = won("03-05", deal(id, "A", "e1", "03-01", units));
        on(on_day, Some(on_day), deal)
    };
    caller
        .write(deals(vec![
            won("a", "2023-02-28", 1),
            won("b", "2023-03-01", 2),
            won("c", "2023-11-10", 4),
            won("d", "2024-01-31", 8),
            won("e", "2024-02-28", 16),
            won("f", "2024-02-29", 32),
            won("g", "2024-03-01", 64),
        ]))
        .await;
    let previous = Some(Against::Previous(true));
    let year_before = Some(Against::YearBefore(true));
    let given = |from, to| {
        let (start_on, end_on) = (date(from), date(to));
        Some(Against::Dates(DateRange { start_on, end_on }))
    };
    let february = Period::PreviousMonth;
    let period = |period: Period| Window { window: Some(Asked::Period(period.into())) };
    for (window, as_of, comparison, now, before, compared, compared_as_of) in [
        (
            dates("2024-02-01", "2024-03-01"),
            "2024-02-29",
            None,
            48,
            8,
            ("2024-01-01", "2024-02-01"),
            "2024-01-31",
        ),
        (
            dates("2024-02-01", "2024-03-01"),
            "2024-02-29",
            previous,
            48,
            8,
            ("2024-01-01", "2024-02-01"),
            "2024-01-31",
        ),
        // A whole February is compared with a whole one, though that is a day shorter.
        (period(february), "2024-03-10", year_before, 48, 1, ("2023-02-01", "2023-03-01"), "2023-03-10"),
        // 29 February as first day becomes the 28th, as exclusive end 1 March.
        (
            dates("2024-02-29", "2024-03-02"),
            "2024-03-10",
            year_before,
            96,
            3,
            ("2023-02-28", "2023-03-02"),
            "2023-03-10",
        ),
        (
            dates("2024-02-20", "2024-02-29"),
            "2024-03-10",
            year_before,
            16,
            1,
            ("2023-02-20", "2023-03-01"),
            "2023-03-11",
        ),
        (
            period(Period::YearToDate),
            "2024-02-29",
            year_before,
            56,
            1,
            ("2023-01-01", "2023-03-01"),
            "2023-02-28",
        ),
        // To date: the last day goes back by the month, cut to its end.
        (
            period(Period::MonthToDate),
            "2024-02-29",
            previous,
            48,
            0,
            ("2024-01-01", "2024-01-30"),
            "2024-01-29",
        ),
        (
            dates("2024-03-01", "2024-04-01"),
            "2024-04-10",
            given("2023-11-05", "2023-11-20"),
            64,
            4,
            ("2023-11-05", "2023-11-20"),
            "2023-11-29",
        ),
        // Given dates may also be later.
        (
            dates("2024-01-01", "2024-02-01"),
            "2024-01-31",
            given("2024-02-01", "2024-03-01"),
            8,
            48,
            ("2024-02-01", "2024-03-01"),
            "2024-02-29",
        ),
    ] {
        let comparison = comparison.map(|comparison| Comparison { comparison: Some(comparison) });
        let question = GetScorecardRequest { comparison, ..ask(Subject::default(), window, as_of) };
        let answer = caller.kpis.get_scorecard(question).await.expect("it is valid").into_inner();
        let count = answer.scorecard.and_then(|card| card.deal_count).expect("asked for");
        let units = |money: Option<Money>| money.map(|money| money.units);
        assert_eq!((units(count.won_amount), units(count.comparison_won_amount)), (Some(now), Some(before)));
        let definition = answer.definition.expect("always set");
        let (start_on, end_on) = (date(compared.0), date(compared.1));
        assert_eq!(definition.comparison_window, Some(DateRange { start_on, end_on }), "{as_of}");
        assert_eq!(definition.comparison_as_of, date(compared_as_of), "{as_of}");
    }
    sidecar.stop().await;
}

/// Which way each figure is good: fewer cycle days are better, more open deals are neither.
#[tokio::test(flavor = "multi_thread")]
async fn changes_say_whether_they_are_good() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("changes", settings()).await;
    caller
        .write(deals(vec![
            // January: 100 in 10 days, one lost. Open at its end: 1,000.
            won("01-20", deal("d1", "A", "e1", "01-10", 100)),
            lost("01-20", deal("d2", "A", "e1", "01-15", 100)),
            deal("d3", "A", "e1", "01-05", 1_000),
            // February: 150 in 20 days, the same w and N almost the same. Open: 3,000.
            won("02-25", deal("d4", "A", "e1", "02-05", 150)),
            lost("02-26", deal("d5", "A", "e1", "02-20", 100)),
            deal("d6", "A", "e1", "02-05", 2_000),
        ]))
        .await;
    let card = get(&mut caller, ask(partner("A"), dates("2024-02-01", "2024-03-01"), "2024-02-29")).await;
    let told = |change: Option<Change>| {
        let change = change.expect("both are there");
        (change.absolute, change.relative, Trend::try_from(change.trend).expect("one of ours"))
    };
    let of = |compared: Option<ComparedFigure>| told(compared.expect("always set").change);
    let size = card.average_deal_size.expect("asked for");
    assert_eq!(told(size.change), (Some(50.0), Some(0.5), Trend::Better));
    let count = card.deal_count.expect("asked for");
    assert_eq!(told(count.change), (Some(0.0), Some(0.0), Trend::Same));
    let success = card.deal_success.expect("asked for");
    assert_eq!(told(success.change).2, Trend::Same);
    let pipeline = card.opportunity_pipeline.expect("asked for");
    assert_eq!(told(pipeline.change), (Some(2_000.0), Some(2.0), Trend::Unspecified));
    let velocity = card.deal_velocity.expect("asked for");
    assert_eq!(of(velocity.cycle_days), (Some(10.0), Some(1.0), Trend::Worse));
    assert_eq!(of(velocity.mean_cycle_days), (Some(10.0), Some(1.0), Trend::Worse));
    assert_eq!(of(velocity.deals_in_work).2, Trend::Unspecified);
    assert_eq!(of(velocity.average_deal_size).2, Trend::Better);
    // From March, in which nothing was won, there is no change to tell, and no growth from nothing.
    let april = ask(partner("A"), dates("2024-04-01", "2024-05-01"), "2024-04-30");
    caller.write(deals(vec![won("04-02", deal("d7", "A", "e1", "04-01", 5))])).await;
    let card = get(&mut caller, april).await;
    assert_eq!(card.average_deal_size.expect("asked for").change, None);
    assert_eq!(told(card.deal_count.expect("asked for").change), (Some(1.0), None, Trend::Better));
    // The other way round a shorter cycle is better.
    let given = Against::Dates(DateRange { start_on: date("2024-02-01"), end_on: date("2024-03-01") });
    let january = GetScorecardRequest {
        comparison: Some(Comparison { comparison: Some(given) }),
        ..ask(partner("A"), dates("2024-01-01", "2024-02-01"), "2024-01-31")
    };
    let velocity = get(&mut caller, january).await.deal_velocity.expect("asked for");
    assert_eq!(of(velocity.cycle_days), (Some(-10.0), Some(-0.5), Trend::Better));
    sidecar.stop().await;
}

/// Two months with the same history: each four prospects, of which two buy after ten days and one after
/// fifty. On the last day of February the naive answer compares 2 of 4 with 3 of 4 and sees a fall.
#[tokio::test(flavor = "multi_thread")]
async fn cohorts_are_compared_at_equal_age() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("cohort", settings()).await;
    let month = |month: &str, last: &str| {
        let deal = |n: u8| deal(&format!("{month}-{n}"), "A", "e1", &format!("{month}-0{n}"), 10);
        let early = |n: u8| won(&format!("{month}-1{n}"), deal(n));
        vec![early(1), early(2), won(last, deal(3)), deal(4)]
    };
    // Won on 24 February of January's, on 25 March of February's.
    caller.write(deals([month("01", "02-24"), month("02", "03-25")].concat())).await;
    let february = |as_of| GetScorecardRequest {
        view: View::Full.into(),
        ..ask(partner("A"), dates("2024-02-01", "2024-03-01"), as_of)
    };
    for (as_of, now, before, trend) in [
        ("2024-02-29", (2, 4), (2, 4), Trend::Same), // January's as of 31 January
        ("2024-03-23", (2, 4), (2, 4), Trend::Same),
        ("2024-03-24", (2, 4), (3, 4), Trend::Worse), // of 24 February: its last came a day younger
        ("2024-03-25", (3, 4), (3, 4), Trend::Same),
    ] {
        let close = get(&mut caller, february(as_of)).await.close_rate.expect("asked for");
        assert_eq!(
            (terms(close.figure.as_ref()), terms(close.comparison.as_ref())),
            (now, before),
            "{as_of}"
        );
        assert_eq!(close.change.expect("both are there").trend(), trend, "{as_of}");
        assert_eq!((close.lost_count, close.unresolved_count), (0, 4 - now.0));
    }
    // Naively, on the same day, January had one more.
    let january = ask(partner("A"), dates("2024-01-01", "2024-02-01"), "2024-02-29");
    let naive = get(&mut caller, january).await.close_rate.expect("asked for");
    assert_eq!(terms(naive.figure.as_ref()), (3, 4));
    sidecar.stop().await;
}

// === value score ===

/// Won by A: 100 in November, 200 in December, none in January, 100 in February, 300 in March; by B 100 in March.
#[tokio::test(flavor = "multi_thread")]
async fn the_value_score_beside_ones_own_past_and_the_tenant() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("past", settings()).await;
    let won = |id: &str, partner: &str, on_day: &str, units| {
        on(on_day, Some(on_day), won("03-05", deal(id, partner, "e1", "03-01", units)))
    };
    let partners = ["A", "B"].map(|id| {
        version(noon("01-01"), Kind::Partner(Partner { partner_id: id.into(), ..Partner::default() }))
    });
    let sold = deals(vec![
        won("a", "A", "2023-11-10", 100),
        won("b", "A", "2023-12-10", 200),
        won("c", "A", "2024-02-10", 100),
        won("d", "A", "2024-03-10", 300),
        won("e", "B", "2024-03-10", 100),
        won("f", "A", "2023-03-10", 150),
        won("g", "A", "2021-03-10", 450),
    ]);
    caller.write([partners.into(), sold].concat()).await;
    let score =
        async |caller: &mut Caller, question| get(caller, question).await.value_score.expect("asked for");

    let told = score(&mut caller, march(partner("A"))).await;
    assert_eq!(outcome(told.figure.as_ref()), Ok(150.0)); // of a mean of 200
    assert_eq!(outcome(told.comparison.as_ref()), Ok(100.0)); // alone in February
    assert_eq!(outcome(told.tenant_share.as_ref()), Ok(0.75));
    assert_eq!(outcome(told.own_past.as_ref()), Ok(300.0)); // of a mean of 400/4
    assert_eq!((told.won_count, told.won_amount), (1, usd(300)));
    // The same Marches of the four years before: 150, 0, 450, 0.
    let year_before = Some(Comparison { comparison: Some(Against::YearBefore(true)) });
    let told =
        score(&mut caller, GetScorecardRequest { comparison: year_before, ..march(partner("A")) }).await;
    assert_eq!(outcome(told.own_past.as_ref()), Ok(200.0));
    // B had nothing before; in July nobody had anything.
    let told = score(&mut caller, march(partner("B"))).await;
    assert_eq!(outcome(told.own_past.as_ref()), Err(AbsentReason::MeanIsZero));
    let july = ask(partner("B"), dates("2025-07-01", "2025-08-01"), "2025-07-31");
    let told = score(&mut caller, july).await;
    assert_eq!(outcome(told.figure.as_ref()), Err(AbsentReason::NoPeer));
    assert_eq!(outcome(told.tenant_share.as_ref()), Err(AbsentReason::TotalIsZero));
    // The fourth window before April 1970 would begin in December 1969.
    for (from, to, as_of, absent) in [
        ("1970-04-01", "1970-05-01", "1970-04-30", AbsentReason::NoPast),
        ("1970-05-01", "1970-06-01", "1970-05-31", AbsentReason::MeanIsZero),
    ] {
        let told = score(&mut caller, ask(partner("A"), dates(from, to), as_of)).await;
        assert_eq!(outcome(told.own_past.as_ref()), Err(absent));
    }
    sidecar.stop().await;
}

/// A filter by partners would leave A no peer; one by tier leaves those of the tier, by label those of the label.
#[tokio::test(flavor = "multi_thread")]
async fn peers_are_told_without_the_filter_that_names_their_own_kind() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("peers", settings()).await;
    let sent = |id: &str, tier: &str, segment: &str| {
        let labels = [("segment".to_owned(), segment.to_owned())].into();
        let (partner_id, tier) = (id.into(), tier.into());
        version(noon("01-01"), Kind::Partner(Partner { partner_id, tier, labels, ..Partner::default() }))
    };
    let partners = vec![sent("A", "gold", "x"), sent("B", "gold", "y"), sent("C", "tin", "x")];
    let sold = [("a", "A", "e1", 100), ("b", "B", "e1", 300), ("c", "C", "e2", 800)]
        .map(|(id, partner, owner, units)| won("03-05", deal(id, partner, owner, "03-01", units)));
    caller.write([partners, deals(sold.into())].concat()).await;
    let label = |value| LabelTerms { key: "segment".into(), terms: values(&[value]) };
    for (filter, expected, rank, peer_count) in [
        (Filter::default(), 25.0, 3, 3), // of a mean of 400
        (Filter { partner_ids: values(&["A"]), ..Filter::default() }, 25.0, 3, 3),
        (Filter { tiers: values(&["gold"]), ..Filter::default() }, 50.0, 2, 2),
        (Filter { partner_labels: vec![label("x")], ..Filter::default() }, 100.0 / 4.5, 2, 2),
        (Filter { employee_ids: values(&["e1"]), ..Filter::default() }, 50.0, 2, 2),
    ] {
        let premises = Some(Premises { filter: Some(filter.clone()), ..Premises::default() });
        let card = get(&mut caller, GetScorecardRequest { premises, ..march(partner("A")) }).await;
        let score = card.value_score.expect("asked for");
        let found = outcome(score.figure.as_ref()).expect("it has peers");
        assert!((found - expected).abs() < 1e-9, "{found} under {filter:?}");
        let position = score.position.expect("it has peers");
        assert_eq!((position.rank, position.peer_count), (rank, peer_count), "{filter:?}");
    }
    // Under a filter that names another partner it has nothing, but its score all the same.
    let other = Filter { partner_ids: values(&["B"]), ..Filter::default() };
    let premises = Some(Premises { filter: Some(other), ..Premises::default() });
    let card = get(&mut caller, GetScorecardRequest { premises, ..march(partner("A")) }).await;
    assert_eq!(row(&card), "A no-deal-won 0 (0.00) no-deal-ended 0 (0.00)");
    let score = card.value_score.expect("asked for");
    assert_eq!((outcome(score.figure.as_ref()), score.won_count), (Ok(25.0), 1));
    sidecar.stop().await;
}

/// Also the mean of the windows before rests on exchange rates: the oldest is told.
#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_rate_is_that_of_all_that_is_told() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("rates", settings()).await;
    let rate = |from: &str, on: &str, rate: &str| {
        let (from_currency_code, to_currency_code) = (from.into(), "USD".into());
        let key = ExchangeRateKey { from_currency_code, to_currency_code, rate_on: date(on) };
        let rate = Some(Decimal { value: rate.into() });
        version(noon("01-01"), Kind::ExchangeRate(ExchangeRate { key: Some(key), rate }))
    };
    let euros = |id: &str, on_day: &str| {
        let amount = Some(Money { currency_code: "EUR".into(), units: 100, nanos: 0 });
        on(on_day, Some(on_day), Deal { amount, ..won("03-05", deal(id, "A", "e1", "03-01", 0)) })
    };
    let rates = ["2023-10-01", "2024-02-01", "2024-03-01"].map(|on| rate("EUR", on, "1.1"));
    let pounds = Some(Money { currency_code: "GBP".into(), units: 100, nanos: 0 });
    let open = Deal { amount: pounds, ..deal("d", "B", "e1", "03-01", 0) };
    let partner_b = Partner { partner_id: "B".into(), ..Partner::default() };
    let peer = vec![
        rate("GBP", "2022-01-01", "1.2"),
        version(noon("01-01"), Kind::Deal(open)),
        version(noon("01-01"), Kind::Partner(partner_b)),
    ];
    let sold = deals(vec![euros("a", "2023-11-10"), euros("b", "2024-02-10"), euros("c", "2024-03-10")]);
    caller.write([rates.into(), sold, peer].concat()).await;
    for (kpi, view, policy, expected) in [
        (Kpi::DealCount, View::Basic, ExchangePolicy::AtClose, "2024-02-01"), // of the comparison
        (Kpi::ValueScore, View::Basic, ExchangePolicy::AtClose, "2023-10-01"), // of the own past
        (Kpi::ValueScore, View::Basic, ExchangePolicy::WindowEnd, "2024-03-01"),
        (Kpi::OpportunityPipeline, View::Full, ExchangePolicy::AtClose, "2022-01-01"), // of a peer
    ] {
        let exchange = Some(Exchange { policy: policy.into(), ..Exchange::default() });
        let question = GetScorecardRequest {
            kpis: vec![kpi.into()],
            view: view.into(),
            premises: Some(Premises { exchange, ..Premises::default() }),
            ..march(partner("A"))
        };
        let answer = caller.kpis.get_scorecard(question).await.expect("it is valid").into_inner();
        let definition = answer.definition.expect("always set");
        assert_eq!(definition.oldest_rate_on, date(expected), "{kpi:?} {view:?} {policy:?}");
    }
    sidecar.stop().await;
}

// === marketing channel ===

/// The scorecard tells all channels in one: the sum of their rows, in both windows, without what came by none.
#[tokio::test(flavor = "multi_thread")]
async fn marketing_channel_is_the_sum_of_the_channels_rows() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let filters = [
        Filter::default(),
        Filter { marketing_channel_ids: values(&["search", "newsletter"]), ..Filter::default() },
        Filter { employee_ids: values(&["e1"]), ..Filter::default() },
        Filter { products: values(&["box"]), ..Filter::default() },
    ];
    for (subject, filter) in [Subject::default(), partner("A"), employee("e2"), unit("sales")]
        .into_iter()
        .flat_map(|subject| filters.clone().map(|filter| (subject.clone(), filter)))
    {
        for (from, to, as_of) in
            [("2024-03-01", "2024-04-01", "2024-03-31"), ("2024-04-01", "2024-05-01", "2024-04-10")]
        {
            let premises = Some(Premises { filter: Some(filter.clone()), ..Premises::default() });
            let question = ask(subject.clone(), dates(from, to), as_of);
            let channels = GetMarketingPerformanceRequest {
                subject: question.subject.clone(),
                window: question.window,
                as_of: question.as_of,
                premises: premises.clone(),
                ..GetMarketingPerformanceRequest::default()
            };
            let channels = caller.kpis.get_marketing_performance(channels).await.expect("it is valid");
            let channels = channels.into_inner().performance.expect("always set").channels;
            let card = get(&mut caller, GetScorecardRequest { premises, ..question }).await;
            let told = card.marketing_channel.expect("asked for");
            let figures = |row: &ChannelPerformance| row.figures.clone().expect("always set");
            let case = format!("{subject:?} under {filter:?} on {as_of}");
            let is_told = |of: &ComparedFigure| outcome(of.figure.as_ref());
            let sums = |of: &ComparedFigure, rows: Vec<ComparedFigure>| {
                for (whole, parts) in [
                    (&of.figure, rows.iter().map(|row| &row.figure).collect::<Vec<_>>()),
                    (&of.comparison, rows.iter().map(|row| &row.comparison).collect()),
                ] {
                    let parts: Result<f64, _> = parts.iter().map(|part| outcome(part.as_ref())).sum();
                    assert_eq!(outcome(whole.as_ref()), parts, "{case}");
                }
            };
            let of = |figure: &dyn Fn(MarketingFigures) -> Option<ComparedFigure>| {
                channels.iter().map(|row| figure(figures(row)).expect("always set")).collect::<Vec<_>>()
            };
            let [lead_count, won_count, won_amount, spend] =
                [told.lead_count, told.won_count, told.won_amount, told.spend]
                    .map(|it| it.expect("always set"));
            sums(&lead_count, of(&|row| row.lead_count));
            sums(&won_count, of(&|row| row.won_count));
            sums(&won_amount, of(&|row| row.won_amount));
            sums(&spend, of(&|row| row.spend));
            let expected = match (is_told(&won_amount), is_told(&spend)) {
                (_, Err(absent)) => Err(absent),
                (_, Ok(0.0)) => Err(AbsentReason::NoSpend),
                (Ok(won), Ok(spent)) => Ok((won - spent) / spent),
                (Err(absent), _) => Err(absent),
            };
            assert_eq!(outcome(told.figure.as_ref()), expected, "{case}");
        }
    }
    // By hand: 1,300 won by L1's and L4's deals, d1 came by no channel; 310 and 50 were spent.
    let told = get(&mut caller, march(Subject::default())).await.marketing_channel.expect("asked for");
    assert_eq!(outcome(told.won_amount.and_then(|it| it.figure).as_ref()), Ok(1_300.0));
    assert_eq!(outcome(told.spend.and_then(|it| it.figure).as_ref()), Ok(360.0));
    assert_eq!(outcome(told.figure.as_ref()), Ok(940.0 / 360.0));
    sidecar.stop().await;
}
