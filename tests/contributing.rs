//! The records behind figures (docs/kpis.md §12 names them) through gRPC on a real socket: the worked
//! example, each figure beside its own total and beside the scorecard and the pipeline that tell it, and
//! walks over pages while records are written.

#[allow(dead_code)] // every test takes what it needs
#[path = "support/scorecard.rs"]
mod scorecard;
#[path = "support/sidecar.rs"]
mod sidecar;
#[path = "support/worked_example.rs"]
mod worked_example;

use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::record_key::Key;
use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::{
    ContributingRecord, ContributionOutcome, ContributionTotal, CreditRole, Deal, Exchange, ExchangePolicy,
    ExchangeRate, ExchangeRateKey, FigureKind, GetPipelineRequest, ListContributingRecordsRequest,
    ListContributingRecordsResponse, PartnerCredit, Premises, Subject,
};
use channel_kpi::proto::google::r#type::{Decimal, Money};
use scorecard::{dates, march, partner, row};
use sidecar::{Caller, Sidecar};
use worked_example::{at, date, deal, lost, noon, records, settings, version, won};

/// March 2024 as of its last day, or what is open then.
fn ask(subject: Subject, figure: FigureKind) -> ListContributingRecordsRequest {
    let window = (figure != FigureKind::Open).then(|| dates("2024-03-01", "2024-04-01"));
    ListContributingRecordsRequest {
        subject: Some(subject),
        figure_kind: figure.into(),
        window,
        as_of: date("2024-03-31"),
        ..ListContributingRecordsRequest::default()
    }
}

async fn list(
    caller: &mut Caller,
    request: ListContributingRecordsRequest,
) -> ListContributingRecordsResponse {
    caller.kpis.list_contributing_records(request).await.expect("the question is valid").into_inner()
}

fn money(money: Option<&Money>) -> String {
    money.map_or_else(|| "-".into(), |money| format!("{}.{:02}", money.units, money.nanos / 10_000_000))
}

fn id(record: &ContributingRecord) -> String {
    match record.key.as_ref().and_then(|key| key.key.as_ref()) {
        Some(Key::DealId(id) | Key::LeadId(id)) => id.clone(),
        other => panic!("{other:?} contributes to nothing"),
    }
}

/// `d1 03-05 200.00 WON`, with the days of work where there are any.
fn told(record: &ContributingRecord) -> String {
    let on = record.counted_on.as_ref().expect("always set");
    let outcome = ContributionOutcome::try_from(record.outcome).expect("one of ours").as_str_name();
    let outcome = outcome.trim_start_matches("CONTRIBUTION_OUTCOME_");
    let come = record.outcome_on.is_some();
    assert_eq!(come, !["OPEN", "UNRESOLVED"].contains(&outcome), "{record:?}");
    let days = record.work_days.map_or(String::new(), |days| format!(" {days} days"));
    format!("{} {:02}-{:02} {} {outcome}{days}", id(record), on.month, on.day, money(record.amount.as_ref()))
}

/// `2 600.00`.
fn total(total: Option<&ContributionTotal>) -> String {
    let total = total.expect("always set");
    assert_eq!(total.unpriced_count, 0);
    let days = total.work_days.map_or(String::new(), |days| format!(" {days} days"));
    format!("{} {}{days}", total.count, money(total.amount.as_ref()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worked_example() {
    use FigureKind::{
        Expired, InWork, LeadsConverted, LeadsCreated, LeadsDisqualified, Lost, LostProspects, Missed, Open,
        Opened, Prospects, Purchased, Won,
    };
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("example", settings()).await;
    caller.write(records()).await;
    let (a, b, all) = (partner("A"), partner("B"), Subject::default());
    let employee = |id: &str| Subject { subject: Some(Of::EmployeeId(id.into())) };
    for (subject, figure, expected_total, expected) in [
        (&a, Won, "2 600.00", &["d1 03-05 200.00 WON", "d2 03-12 400.00 WON"][..]),
        (&b, Won, "1 900.00", &["d5 03-25 900.00 WON"]),
        (&employee("e1"), Won, "2 1100.00", &["d1 03-05 200.00 WON", "d5 03-25 900.00 WON"]),
        (&a, Lost, "1 300.00", &["d3 03-20 300.00 LOST_TO_COMPETITOR"]),
        (&a, Expired, "0 0.00", &[]),
        (&b, Expired, "1 500.00", &["d6 03-15 500.00 EXPIRED"]),
        (&all, Missed, "2 800.00", &["d6 03-15 500.00 EXPIRED", "d3 03-20 300.00 LOST_TO_COMPETITOR"]),
        (&a, Opened, "2 1400.00", &["d2 03-01 400.00 WON", "d4 03-10 1000.00 OPEN"]),
        (&a, Open, "1 1000.00", &["d4 03-10 1000.00 OPEN"]),
        // d8 is won the day after.
        (&b, Open, "3 4200.00", &["d9 02-05 1500.00 OPEN", "d8 03-02 700.00 OPEN", "d7 03-18 2000.00 OPEN"]),
        (
            &a,
            InWork,
            "4 - 56 days",
            &[
                "d3 01-15 - LOST_TO_COMPETITOR 19 days",
                "d1 02-20 - WON 4 days",
                "d2 03-01 - WON 11 days",
                "d4 03-10 - OPEN 22 days",
            ],
        ),
        (
            &b,
            InWork,
            "5 - 113 days",
            &[
                "d9 02-05 - OPEN 31 days",
                "d6 02-10 - EXPIRED 14 days",
                "d5 03-01 - WON 24 days",
                "d8 03-02 - OPEN 30 days",
                "d7 03-18 - OPEN 14 days",
            ],
        ),
        (
            &all,
            LeadsCreated,
            "3 -",
            &["L1 03-01 - PURCHASED", "L2 03-03 - LOST_PROSPECT", "L3 03-05 - UNRESOLVED"],
        ),
        (&all, LeadsConverted, "2 -", &["L1 03-01 - PURCHASED", "L4 03-01 - PURCHASED"]),
        (&all, LeadsDisqualified, "1 -", &["L2 03-20 - LOST_PROSPECT"]),
        (
            &a,
            Prospects,
            "3 -",
            &["L1 03-01 - PURCHASED", "L2 03-03 - LOST_PROSPECT", "d4 03-10 - UNRESOLVED"],
        ),
        (&b, Prospects, "3 -", &["d8 03-02 - UNRESOLVED", "L3 03-05 - UNRESOLVED", "d7 03-18 - UNRESOLVED"]),
        (&a, Purchased, "2 -", &["d1 03-05 - PURCHASED", "L1 03-12 - PURCHASED"]),
        (&a, LostProspects, "2 -", &["L2 03-20 - LOST_PROSPECT", "d3 03-20 - LOST_PROSPECT"]),
        (&b, Purchased, "1 -", &["L4 03-25 - PURCHASED"]),
        (&b, LostProspects, "1 -", &["d6 03-15 - LOST_PROSPECT"]),
    ] {
        let answer = list(&mut caller, ask(subject.clone(), figure)).await;
        let found: Vec<String> = answer.records.iter().map(told).collect();
        assert_eq!(found, expected, "{figure:?} of {subject:?}");
        assert_eq!(total(answer.total.as_ref()), expected_total, "{figure:?} of {subject:?}");
        assert!(answer.next_page_token.is_empty() && !answer.revision_changed);

        let definition = answer.definition.expect("always set");
        assert_eq!(definition.figure_kind(), figure);
        assert_eq!(definition.subject.as_ref(), Some(subject));
        assert_eq!((definition.as_of, definition.partial), (date("2024-03-31"), false));
        assert_eq!(definition.window.is_none(), figure == Open);

        // One row to a page says the same, in the same order.
        let (mut walked, mut token) = (Vec::new(), String::new());
        loop {
            let page = ListContributingRecordsRequest {
                page_size: 1,
                page_token: token,
                ..ask(subject.clone(), figure)
            };
            let page = list(&mut caller, page).await;
            assert_eq!(total(page.total.as_ref()), expected_total, "of all pages");
            walked.extend(page.records.iter().map(told));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(walked, expected, "{figure:?} of {subject:?}");
    }
    sidecar.stop().await;
}

/// The figures that other answers tell are those that the rows add up to.
#[tokio::test(flavor = "multi_thread")]
async fn rows_add_up_to_scorecard_and_pipeline() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("example", settings()).await;
    caller.write(records()).await;
    let sum = |answer: &ListContributingRecordsResponse| {
        let amounts = answer.records.iter().filter_map(|record| record.amount.as_ref());
        (answer.records.len() as i64, amounts.map(|amount| amount.units).sum::<i64>())
    };
    let unit = Subject { subject: Some(Of::UnitId("sales".into())) };
    for subject in [partner("A"), partner("B"), Subject::default(), unit] {
        let card = caller.kpis.get_scorecard(march(subject.clone())).await.expect("it is valid").into_inner();
        let card = card.scorecard.expect("always set");
        let won = sum(&list(&mut caller, ask(subject.clone(), FigureKind::Won)).await);
        let missed = sum(&list(&mut caller, ask(subject.clone(), FigureKind::Missed)).await);
        let row = row(&card);
        assert!(row.contains(&format!(" {} ({}.00) ", won.0, won.1)), "{row} {won:?}");
        assert!(row.ends_with(&format!(" {} ({}.00)", missed.0, missed.1)), "{row} {missed:?}");
        let question = GetPipelineRequest {
            subject: Some(subject.clone()),
            as_of: date("2024-03-31"),
            ..GetPipelineRequest::default()
        };
        let pipeline = caller.kpis.get_pipeline(question).await.expect("it is valid").into_inner();
        let open = pipeline.pipeline.and_then(|pipeline| pipeline.open).expect("always set");
        let found = sum(&list(&mut caller, ask(subject, FigureKind::Open)).await);
        assert_eq!(found, (open.count, open.amount.expect("in range").units));
    }
    sidecar.stop().await;
}

/// A partner's part of a converted amount, beside what the host sent.
#[tokio::test(flavor = "multi_thread")]
async fn parts_and_rates() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("parts", settings()).await;
    let credit = |partner_id: &str, share| PartnerCredit {
        partner_id: partner_id.into(),
        role: CreditRole::Sourced.into(),
        share_bps: Some(share),
    };
    let euros = |units| Some(Money { currency_code: "EUR".into(), units, nanos: 0 });
    let shared = Deal {
        amount: euros(100),
        partner_credits: vec![credit("A", 6_000), credit("B", 4_000)],
        ..deal("shared", "A", "e1", "03-01", 0)
    };
    let yen = Some(Money { currency_code: "JPY".into(), units: 9, nanos: 0 });
    let deals = [
        won("03-10", shared),
        won("03-11", Deal { amount: None, ..deal("unpriced", "A", "e1", "03-01", 0) }),
        won("03-12", Deal { amount: yen, ..deal("unrated", "A", "e1", "03-01", 0) }),
    ];
    let mut records: Vec<_> =
        deals.into_iter().map(|deal| version(noon("03-15"), Kind::Deal(deal))).collect();
    for (on, rate) in [("2024-03-05", "1.1"), ("2024-03-31", "1.2")] {
        let (from_currency_code, to_currency_code) = ("EUR".into(), "USD".into());
        let key = ExchangeRateKey { from_currency_code, to_currency_code, rate_on: date(on) };
        let rate = Some(Decimal { value: rate.into() });
        records.push(version(noon("03-01"), Kind::ExchangeRate(ExchangeRate { key: Some(key), rate })));
    }
    caller.write(records).await;
    let under = |policy: ExchangePolicy, fixed_on| Premises {
        exchange: Some(Exchange { policy: policy.into(), fixed_on }),
        ..Premises::default()
    };
    for (premises, amount, rate_on, rates_on) in [
        (Premises::default(), "66.00", "2024-03-05", None),
        (under(ExchangePolicy::WindowEnd, None), "72.00", "2024-03-31", date("2024-03-31")),
        (under(ExchangePolicy::Fixed, date("2024-03-06")), "66.00", "2024-03-05", date("2024-03-06")),
    ] {
        let question =
            ListContributingRecordsRequest { premises: Some(premises), ..ask(partner("A"), FigureKind::Won) };
        let answer = list(&mut caller, question).await;
        let [shared, unpriced, unrated] = &answer.records[..] else { panic!("{answer:?}") };
        assert_eq!(money(shared.amount.as_ref()), amount);
        assert_eq!(shared.original_amount, euros(100));
        assert_eq!(shared.oldest_rate_on, date(rate_on));
        assert_eq!((&unpriced.amount, &unpriced.original_amount), (&None, &None));
        assert_eq!((&unrated.amount, unrated.original_amount.as_ref().unwrap().units), (&None, 9));
        let total = answer.total.expect("always set");
        assert_eq!((total.count, total.unpriced_count), (3, 2));
        assert_eq!(money(total.amount.as_ref()), amount);
        assert_eq!(answer.definition.expect("always set").rates_on, rates_on);
    }
    sidecar.stop().await;
}

/// What was known then has the records of then.
#[tokio::test(flavor = "multi_thread")]
async fn as_it_was_known_then() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("known", settings()).await;
    let open = deal("d1", "A", "e1", "03-01", 100);
    let versions = [
        version(noon("03-01"), Kind::Deal(open.clone())),
        version(noon("03-10"), Kind::Deal(won("03-10", open.clone()))),
        version(noon("04-20"), Kind::Deal(lost("03-11", open))),
    ];
    caller.write(versions.into()).await;
    for (known_at, figure, expected) in [
        (None, FigureKind::Lost, &["d1 03-11 100.00 LOST"][..]),
        (None, FigureKind::Won, &[]),
        (at("2024-04-01T00:00:00Z"), FigureKind::Won, &["d1 03-10 100.00 WON"]),
        (at("2024-03-09T00:00:00Z"), FigureKind::Won, &[]),
        (at("2024-03-09T00:00:00Z"), FigureKind::Open, &["d1 03-01 100.00 OPEN"]),
    ] {
        let premises = Some(Premises { known_at, ..Premises::default() });
        let question = ListContributingRecordsRequest { premises, ..ask(partner("A"), figure) };
        let answer = list(&mut caller, question).await;
        assert_eq!(answer.records.iter().map(told).collect::<Vec<_>>(), expected, "{figure:?} {known_at:?}");
    }
    sidecar.stop().await;
}

/// Many share a date, so that pages end among them; between the pages records come before and behind, move
/// and change. What doesn't change comes once.
#[tokio::test(flavor = "multi_thread")]
async fn a_walk_among_writes_neither_skips_nor_doubles() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("walk", settings()).await;
    let ended = |id: &str, on: &str, units| {
        version(noon("03-31"), Kind::Deal(won(on, deal(id, "A", "e1", "03-01", units))))
    };
    let day = |n: usize| ["03-05", "03-06", "03-07"][n / 7];
    // Ids whose order as bytes isn't that of their numbers.
    let ids: Vec<String> = (0..21).map(|n| format!("d{}", (n * 5) % 21)).collect();
    let first: Vec<_> = (0..21).map(|n| ended(&ids[n], day(n), 1)).collect();
    caller.write(first).await;
    let mut expected: Vec<(&str, &str)> = (0..21).map(|n| (day(n), ids[n].as_str())).collect();
    expected.sort_unstable();
    let expected: Vec<&str> = expected.into_iter().map(|(_, id)| id).collect();

    let question = ListContributingRecordsRequest {
        page_size: 3,
        as_of: None,
        window: Some(dates("2024-03-01", "2024-04-01")),
        ..ask(partner("A"), FigureKind::Won)
    };
    let mut token = String::new();
    let (mut walked, mut page_count) = (Vec::new(), 0);
    loop {
        let page = ListContributingRecordsRequest { page_token: token, ..question.clone() };
        let page = list(&mut caller, page).await;
        assert!(page.records.len() <= 3);
        assert_eq!(page.revision_changed, page_count > 0, "it is written between the pages");
        walked.extend(page.records.iter().map(id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        // One comes before all, one among the others' dates, one behind all; one that was there changes in
        // amount.
        let update_time = at(&format!("2024-04-01T{page_count:02}:00:00Z"));
        let written = |id: String, on| {
            version(update_time, Kind::Deal(won(on, deal(&id, "A", "e1", "03-01", 7 + page_count))))
        };
        caller
            .write(vec![
                written(format!("before-{page_count}"), "03-02"),
                written(format!("e-{page_count}"), "03-06"),
                written(format!("behind-{page_count}"), "03-08"),
                written("d3".into(), day(ids.iter().position(|id| id == "d3").expect("it is one"))),
            ])
            .await;
        page_count += 1;
    }
    let (kept, came): (Vec<&str>, Vec<&str>) =
        walked.iter().map(String::as_str).partition(|id| !id.contains('-'));
    assert_eq!(kept, expected);
    assert!(page_count > 6 && came.iter().any(|id| id.starts_with("behind")), "{came:?}");
    assert!(!came.iter().any(|id| id.starts_with("before")), "what comes before isn't gone back for");
    let once: std::collections::BTreeSet<&&str> = came.iter().collect();
    assert_eq!(once.len(), came.len());
    sidecar.stop().await;
}

/// Without a day a walk is one of its first page's day; without a window nothing but what is open is told.
#[tokio::test(flavor = "multi_thread")]
async fn to_date_and_without_days() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("today", settings()).await;
    caller.write(records()).await;
    let today = ListContributingRecordsRequest { as_of: None, ..ask(partner("A"), FigureKind::Won) };
    let answer = list(&mut caller, today).await;
    assert_eq!(answer.records.len(), 2);
    assert!(answer.definition.expect("always set").as_of.is_some());
    // To date: the window ends later than the day.
    let to_date = ListContributingRecordsRequest {
        as_of: date("2024-03-12"),
        ..ask(Subject::default(), FigureKind::Won)
    };
    let answer = list(&mut caller, to_date).await;
    assert_eq!(
        answer.records.iter().map(told).collect::<Vec<_>>(),
        ["d1 03-05 200.00 WON", "d2 03-12 400.00 WON"]
    );
    assert!(answer.definition.expect("always set").partial);
    // No day of it has come.
    let to_come = ListContributingRecordsRequest {
        window: Some(dates("2024-05-01", "2024-06-01")),
        ..ask(Subject::default(), FigureKind::InWork)
    };
    let answer = list(&mut caller, to_come).await;
    assert_eq!((answer.records, total(answer.total.as_ref())), (vec![], "0 - 0 days".into()));
    sidecar.stop().await;
}
