//! What the services promise beside the figures: pages, freshness, tenants, and who is listed.

#[allow(dead_code)] // every test takes what it needs
#[path = "support/scorecard.rs"]
mod scorecard;
#[path = "support/sidecar.rs"]
mod sidecar;
#[allow(dead_code)]
#[path = "support/worked_example.rs"]
mod worked_example;

use channel_kpi::proto::channelkpi::v1::consistency::Requirement;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::record_key::Key;
use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::{
    ConfigureTenantRequest, Consistency, CreateTenantRequest, CreditRole, Deal, DeleteTenantRequest,
    Employee, ExchangeRate, ExchangeRateKey, GetRecordRequest, GetScorecardRequest, GetTenantRequest,
    ListRecordsRequest, ListRecordsResponse, ListScorecardsRequest, ListScorecardsResponse, OrgUnit, Partner,
    PartnerCredit, PartnerSubject, Record, RecordKey, RecordKind, Subject, SubjectKind, Tenant,
    TenantSettings, Window, window,
};
use channel_kpi::proto::google::r#type::{Decimal, Money};
use scorecard::{ask, dates, march, partner, row, table};
use sidecar::{Caller, Sidecar};
use tonic::Code;
use worked_example::{date, deal, lost, noon, records, settings, usd, version, won};

async fn example(sidecar: &Sidecar) -> Caller {
    let mut caller = sidecar.tenant("example", settings()).await;
    caller.write(records()).await;
    caller
}

async fn card(caller: &mut Caller, question: GetScorecardRequest) -> String {
    let answer = caller.kpis.get_scorecard(question).await.expect("the question is valid").into_inner();
    row(&answer.scorecard.expect("always set"))
}

// === lists of records ===

async fn records_page(caller: &mut Caller, page_size: i32, page_token: &str) -> ListRecordsResponse {
    let request = ListRecordsRequest {
        record_kind: RecordKind::Deal.into(),
        page_size,
        page_token: page_token.into(),
        ..ListRecordsRequest::default()
    };
    caller.records.list_records(request).await.expect("the request is valid").into_inner()
}

fn deal_ids(page: &ListRecordsResponse) -> Vec<String> {
    let records = page.versions.iter().map(|version| version.record.as_ref().expect("always set"));
    let ids = records.map(|record| match &record.record {
        Some(Kind::Deal(deal)) => deal.deal_id.clone(),
        other => panic!("deals were asked for: {other:?}"),
    });
    ids.collect()
}

const DEALS: [&str; 9] = ["d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9"];

#[tokio::test]
async fn every_record_is_on_one_page_whatever_its_size() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    for (page_size, expected_pages) in [(0, 1), (1, 9), (2, 5), (3, 3), (9, 1), (1_000, 1), (i32::MAX, 1)] {
        let (mut found, mut pages, mut token) = (Vec::new(), 0, String::new());
        loop {
            let page = records_page(&mut caller, page_size, &token).await;
            pages += 1;
            assert!(!page.revision_changed);
            found.extend(deal_ids(&page));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!((found, pages), (DEALS.map(str::to_owned).to_vec(), expected_pages), "size {page_size}");
    }
    sidecar.stop().await;
}

#[tokio::test]
async fn a_page_has_50_rows_unless_asked_and_1000_at_most() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("example", settings()).await;
    let deals = |range: std::ops::Range<usize>| {
        let deal = |place| deal(&format!("d{place:04}"), "A", "e1", "03-01", 100);
        range.map(|place| version(noon("03-01"), Kind::Deal(deal(place)))).collect()
    };
    caller.write(deals(0..1_000)).await;
    caller.write(deals(1_000..1_001)).await;
    for (page_size, expected) in [(0, 50), (999, 999), (1_000, 1_000), (1_001, 1_000), (i32::MAX, 1_000)] {
        let page = records_page(&mut caller, page_size, "").await;
        assert_eq!(page.versions.len(), expected);
        let rest = records_page(&mut caller, i32::MAX, &page.next_page_token).await;
        assert_eq!(rest.versions.len(), 1_001 - expected, "a later page may have another size");
        assert_eq!(rest.next_page_token, "");
    }
    sidecar.stop().await;
}

#[tokio::test]
async fn a_walk_goes_on_under_writes() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let first = records_page(&mut caller, 3, "").await;
    assert_eq!(
        (deal_ids(&first), first.revision_changed),
        (vec!["d1".into(), "d2".into(), "d3".into()], false)
    );

    let open = |id: &str| Kind::Deal(deal(id, "A", "e1", "03-01", 1));
    let deleted = |id: &str| Kind::Deal(Deal { deal_id: id.into(), ..Deal::default() });
    caller
        .write(vec![
            version(noon("05-01"), open("d0")), // before the place where the walk stands
            version(noon("05-01"), open("d33")),
            version(noon("05-01"), open("d4")), // one that it has not reached
            Record { deleted: true, ..version(noon("05-01"), deleted("d3")) }, // the last row that it gave
            Record { deleted: true, ..version(noon("05-01"), deleted("d5")) },
        ])
        .await;

    let (mut found, mut token) = (Vec::new(), first.next_page_token);
    while !token.is_empty() {
        let page = records_page(&mut caller, 2, &token).await;
        assert!(page.revision_changed);
        found.extend(deal_ids(&page));
        token = page.next_page_token;
    }
    assert_eq!(found, ["d33", "d4", "d6", "d7", "d8", "d9"]);

    let request = |include_deleted| ListRecordsRequest {
        record_kind: RecordKind::Deal.into(),
        include_deleted,
        ..ListRecordsRequest::default()
    };
    for (include_deleted, expected) in [(false, 9), (true, 11)] {
        let answer = caller.records.list_records(request(include_deleted)).await.expect("it is valid");
        assert_eq!(answer.into_inner().versions.len(), expected, "d0 to d9 with d33, of which 2 are deleted");
    }
    sidecar.stop().await;
}

// === lists of scorecards ===

async fn cards_page(caller: &mut Caller, request: ListScorecardsRequest) -> ListScorecardsResponse {
    caller.kpis.list_scorecards(request).await.expect("the request is valid").into_inner()
}

fn rows(page: &ListScorecardsResponse) -> Vec<String> {
    page.scorecards.iter().map(row).collect()
}

fn units_in_march() -> ListScorecardsRequest {
    ListScorecardsRequest {
        subject_kind: SubjectKind::Unit.into(),
        window: Some(dates("2024-03-01", "2024-04-01")),
        as_of: date("2024-03-31"),
        ..ListScorecardsRequest::default()
    }
}

#[tokio::test]
async fn every_scorecard_is_on_one_page_whatever_its_size() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let expected = table(
        "unit      average deal size     deal count     success  missed
         north     550.00 (1100.00/2)    2 (1100.00)    2/3      1 (300.00)
         sales     500.00 (1500.00/3)    3 (1500.00)    3/5      2 (800.00)
         south     400.00 (400.00/1)     1 (400.00)     1/2      1 (500.00)",
    );
    for (page_size, expected_pages) in [(0, 1), (1, 3), (2, 2), (3, 1), (1_000, 1), (i32::MAX, 1)] {
        let mut request = ListScorecardsRequest { page_size, ..units_in_march() };
        let (mut found, mut pages) = (Vec::new(), 0);
        loop {
            let page = cards_page(&mut caller, request.clone()).await;
            pages += 1;
            assert!(!page.revision_changed);
            found.extend(rows(&page));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        assert_eq!((&found, pages), (&expected, expected_pages), "size {page_size}");
    }

    // Written between two pages: later rows are of the later revision, and say so.
    let first = cards_page(&mut caller, ListScorecardsRequest { page_size: 1, ..units_in_march() }).await;
    let late = won("03-30", deal("d10", "B", "e2", "03-02", 100));
    caller.write(vec![version(noon("05-01"), Kind::Deal(late))]).await;
    let page_token = first.next_page_token.clone();
    let second = cards_page(&mut caller, ListScorecardsRequest { page_token, ..units_in_march() }).await;
    assert_eq!((rows(&first), first.revision_changed), (expected[..1].to_vec(), false));
    let expected = table(
        "unit      average deal size     deal count     success  missed
         sales     400.00 (1600.00/4)    4 (1600.00)    4/6      2 (800.00)
         south     250.00 (500.00/2)     2 (500.00)     2/3      1 (500.00)",
    );
    assert_eq!((rows(&second), second.revision_changed), (expected, true));
    sidecar.stop().await;
}

/// Kiritimati and Pago Pago are 25 hours apart: at no moment have they one date.
#[tokio::test]
async fn a_walk_keeps_the_day_of_its_first_page() {
    let sidecar = Sidecar::start().await;
    let kiritimati = TenantSettings { time_zone: "Pacific/Kiritimati".into(), ..settings() };
    let mut caller = sidecar.tenant("example", kiritimati).await;
    caller.write(records()).await;
    let request = ListScorecardsRequest {
        subject_kind: SubjectKind::Unit.into(),
        window: Some(Window { window: Some(window::Window::LastDays(1)) }),
        page_size: 1,
        ..ListScorecardsRequest::default()
    };
    let first = cards_page(&mut caller, request.clone()).await;
    let pago_pago = TenantSettings { time_zone: "Pacific/Pago_Pago".into(), ..settings() };
    configure(&mut caller, pago_pago).await;

    let as_of = |page: &ListScorecardsResponse| page.definition.clone().expect("always set").as_of;
    let second = ListScorecardsRequest { page_token: first.next_page_token.clone(), ..request.clone() };
    let second = cards_page(&mut caller, second).await;
    assert_eq!(as_of(&second), as_of(&first));
    assert!(second.revision_changed);
    let anew = cards_page(&mut caller, request).await;
    assert_ne!(as_of(&anew), as_of(&first), "in Pago Pago it is another day");
    sidecar.stop().await;
}

// === freshness ===

#[tokio::test]
async fn a_token_reads_ones_own_write() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let demand = |requirement| Some(Consistency { requirement: Some(requirement) });
    for units in 1..=5 {
        let late = won("03-30", deal("d10", "B", "e2", "03-02", units));
        let record = Record { sequence: Some(units), ..version(noon("05-01"), Kind::Deal(late)) };
        let token = caller.write(vec![record]).await;
        for consistency in [
            demand(Requirement::AtLeastAsFresh(token)),
            demand(Requirement::FullyConsistent(true)),
            demand(Requirement::MinimizeLatency(true)), // a write is answered when figures show it
            None,
        ] {
            let question = GetScorecardRequest { consistency: consistency.clone(), ..march(partner("B")) };
            let expected = format!("2 ({}.00)", 900 + units);
            let found = card(&mut caller, question).await;
            assert!(found.contains(&expected), "{found} after {expected} under {consistency:?}");

            let key = Some(RecordKey { key: Some(Key::DealId("d10".into())) });
            let request = GetRecordRequest { key, consistency };
            let answer = caller.records.get_record(request).await.expect("it was written").into_inner();
            assert_eq!(answer.versions.len() as i64, units, "a version for each write");
        }
    }
    sidecar.stop().await;
}

#[tokio::test]
async fn a_token_holds_over_a_restart() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let page = records_page(&mut caller, 5, "").await;
    let sidecar = Sidecar::start_on(sidecar.stop().await).await;
    let mut caller = sidecar.caller("example").await;
    let requirement = Some(Requirement::AtLeastAsFresh(page.revision_token));
    let question =
        GetScorecardRequest { consistency: Some(Consistency { requirement }), ..march(partner("B")) };
    assert_eq!(card(&mut caller, question).await, "B 900.00 (900.00/1) 1 (900.00) 1/2 1 (500.00)");
    let rest = records_page(&mut caller, 5, &page.next_page_token).await;
    assert_eq!(
        (deal_ids(&rest), rest.revision_changed),
        (DEALS[5..].iter().map(|&id| id.into()).collect(), false)
    );
    sidecar.stop().await;
}

// === tenants ===

async fn configure(caller: &mut Caller, settings: TenantSettings) -> Tenant {
    let request = ConfigureTenantRequest { tenant_id: "example".into(), settings: Some(settings) };
    let answer = caller.admin.configure_tenant(request).await.expect("the settings are valid").into_inner();
    answer.tenant.expect("always set")
}

#[tokio::test]
async fn a_tenant_is_created_once() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.caller("example").await;
    let create = |settings| CreateTenantRequest { tenant_id: "example".into(), settings: Some(settings) };
    let first = caller.admin.create_tenant(create(settings())).await.expect("valid").into_inner();
    let again =
        caller.admin.create_tenant(create(settings())).await.expect("it may be repeated").into_inner();
    assert_eq!(first, again);
    let other = TenantSettings { reporting_currency_code: "EUR".into(), ..settings() };
    let refused = caller.admin.create_tenant(create(other)).await.expect_err("other settings");
    assert_eq!(refused.code(), Code::AlreadyExists);

    let request = GetTenantRequest { tenant_id: "example".into() };
    let told = caller.admin.get_tenant(request).await.expect("it is there").into_inner().tenant;
    assert_eq!(
        (&told, told.as_ref().and_then(|tenant| tenant.settings.clone())),
        (&first.tenant, Some(settings()))
    );
    sidecar.stop().await;
}

/// The tenants of one store don't see each other.
#[tokio::test]
async fn a_tenant_keeps_to_itself() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let mut other = sidecar.tenant("other", settings()).await;
    assert_eq!(deal_ids(&records_page(&mut other, 0, "").await), [""; 0]);
    let refused = other.kpis.get_scorecard(march(partner("A"))).await.expect_err("it was never sent there");
    assert_eq!(refused.code(), Code::NotFound);
    other.write(vec![version(noon("05-01"), Kind::Deal(deal("d1", "A", "e1", "03-01", 1)))]).await;
    assert_eq!(card(&mut caller, march(partner("A"))).await, "A 300.00 (600.00/2) 2 (600.00) 2/3 1 (300.00)");
    sidecar.stop().await;
}

#[tokio::test]
async fn another_zone_retells_the_past() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let (dhaka, utc) = (settings(), TenantSettings { time_zone: "UTC".into(), ..settings() });
    // d8, 700.00, closes on 31 March in UTC.
    for (settings, expected) in [
        (utc.clone(), "B 800.00 (1600.00/2) 2 (1600.00) 2/3 1 (500.00)"),
        (dhaka, "B 900.00 (900.00/1) 1 (900.00) 1/2 1 (500.00)"),
        (utc, "B 800.00 (1600.00/2) 2 (1600.00) 2/3 1 (500.00)"),
    ] {
        let told = configure(&mut caller, settings.clone()).await;
        assert_eq!(told.settings, Some(settings));
        assert_eq!(card(&mut caller, march(partner("B"))).await, expected);
    }
    sidecar.stop().await;
}

/// With a time limit of 30 days open deals expire: d9, opened on 5 February, on 6 March (a leap year),
/// d7, opened on 18 March, after the month. d6 and d4 say themselves when they expire; d8 is won.
#[tokio::test]
async fn a_time_limit_retells_the_past() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let limited = TenantSettings { opportunity_time_limit_days: Some(30), ..settings() };
    configure(&mut caller, limited).await;
    assert_eq!(
        card(&mut caller, march(partner("B"))).await,
        "B 900.00 (900.00/1) 1 (900.00) 1/3 2 (2000.00)"
    );
    configure(&mut caller, settings()).await;
    assert_eq!(card(&mut caller, march(partner("B"))).await, "B 900.00 (900.00/1) 1 (900.00) 1/2 1 (500.00)");
    sidecar.stop().await;
}

fn rate(from: &str, to: &str, on: &str, value: &str) -> Record {
    let key =
        ExchangeRateKey { from_currency_code: from.into(), to_currency_code: to.into(), rate_on: date(on) };
    let rate = ExchangeRate { key: Some(key), rate: Some(Decimal { value: value.into() }) };
    version(noon("05-01"), Kind::ExchangeRate(rate))
}

/// In euros without a rate nothing has an amount; each deal is converted at the rate of its own end.
#[tokio::test]
async fn another_currency_retells_the_past() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let euros = TenantSettings { reporting_currency_code: "EUR".into(), ..settings() };
    configure(&mut caller, euros).await;
    let mut found = vec![card(&mut caller, march(partner("A"))).await];
    for rate in [
        rate("EUR", "USD", "2024-03-10", "4"), // inverse, too late for d1: d2 400 on 03-12, d3 300 on 03-20
        rate("USD", "EUR", "2024-03-01", "0.5"), // direct goes before inverse, be it older: d1 200 too
        rate("USD", "EUR", "2024-03-20", "0.1"), // in force on d3's own day
    ] {
        caller.write(vec![rate]).await;
        found.push(card(&mut caller, march(partner("A"))).await);
    }
    configure(&mut caller, settings()).await;
    found.push(card(&mut caller, march(partner("A"))).await);
    let expected = table(
        "subject   average deal size               deal count       success   missed
         A         no-amount-known                 2 (0.00EUR)      2/3       1 (0.00EUR)
         A         100.00 (100.00EUR/1)            2 (100.00EUR)    2/3       1 (75.00EUR)
         A         150.00 (300.00EUR/2)            2 (300.00EUR)    2/3       1 (150.00EUR)
         A         150.00 (300.00EUR/2)            2 (300.00EUR)    2/3       1 (30.00EUR)
         A         300.00 (600.00/2)               2 (600.00)       2/3       1 (300.00)",
    );
    assert_eq!(found, expected);
    sidecar.stop().await;
}

/// Of two deals in takas one has a rate, when it comes: rates dated after a deal's end don't count for it.
#[tokio::test]
async fn a_late_rate_prices_a_deal() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let takas = |id: &str, closed| {
        let amount = Some(Money { currency_code: "BDT".into(), units: 11_000, nanos: 0 });
        version(noon(closed), Kind::Deal(Deal { amount, ..won(closed, deal(id, "A", "e1", "02-20", 0)) }))
    };
    caller.write(vec![takas("t1", "03-07"), takas("t2", "03-14")]).await;
    let mut found = Vec::new();
    for record in [
        None,
        Some(rate("USD", "BDT", "2024-03-15", "110")),
        Some(rate("USD", "BDT", "2024-03-14", "110")), // 100 dollars for t2
        Some(rate("BDT", "USD", "2024-01-01", "0.01")), // 110 dollars for both: direct before inverse
    ] {
        if let Some(record) = record {
            caller.write(vec![record]).await;
        }
        let answer = caller.kpis.get_scorecard(march(partner("A"))).await.expect("valid").into_inner();
        let definition = answer.definition.expect("always set");
        let told = answer.scorecard.expect("always set");
        let unpriced = told.average_deal_size.as_ref().map(|kpi| kpi.unpriced_won_count);
        found.push((row(&told), unpriced, definition.oldest_rate_on));
    }
    let expected = [
        ("A 300.00 (600.00/2) 4 (600.00) 4/5 1 (300.00)", 2, None),
        ("A 300.00 (600.00/2) 4 (600.00) 4/5 1 (300.00)", 2, None),
        ("A 233.33 (700.00/3) 4 (700.00) 4/5 1 (300.00)", 1, date("2024-03-14")),
        ("A 205.00 (820.00/4) 4 (820.00) 4/5 1 (300.00)", 0, date("2024-01-01")),
    ];
    assert_eq!(found, expected.map(|(row, unpriced, oldest)| (row.to_owned(), Some(unpriced), oldest)));
    sidecar.stop().await;
}

#[tokio::test]
async fn a_deleted_tenant_is_gone_and_begins_anew() {
    let mut sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let old_token = records_page(&mut caller, 0, "").await.revision_token;
    let delete = DeleteTenantRequest { tenant_id: "example".into() };
    caller.admin.delete_tenant(delete.clone()).await.expect("it is there");
    caller.admin.delete_tenant(delete).await.expect("it may be repeated");

    let get = GetTenantRequest { tenant_id: "example".into() };
    let denied = [
        caller.admin.get_tenant(get.clone()).await.map(drop),
        caller.kpis.get_scorecard(march(partner("A"))).await.map(drop),
        caller.records.list_records(ListRecordsRequest::default()).await.map(drop),
    ];
    for denied in denied {
        assert_eq!(denied.expect_err("it was deleted").code(), Code::PermissionDenied);
    }

    // Other settings than before: nothing of the old tenant is left, over a restart too.
    let euros = TenantSettings { reporting_currency_code: "EUR".into(), ..settings() };
    let mut caller = sidecar.tenant("example", euros.clone()).await;
    for restarted in [false, true] {
        if restarted {
            sidecar = Sidecar::start_on(sidecar.stop().await).await;
            caller = sidecar.caller("example").await;
        }
        let told = caller.admin.get_tenant(get.clone()).await.expect("it is there").into_inner().tenant;
        let told = told.expect("always set");
        assert_eq!((told.deal_count, told.version_count), (0, 1), "restarted: {restarted}");
        assert_eq!(told.settings, Some(euros.clone()));
        assert_eq!(deal_ids(&records_page(&mut caller, 0, "").await), [""; 0]);
        let gone = caller.kpis.get_scorecard(march(partner("A"))).await.expect_err("its records are gone");
        assert_eq!(gone.code(), Code::NotFound);
        assert_eq!(
            card(&mut caller, march(Subject::default())).await,
            "tenant no-deal-won 0 (0.00EUR) no-deal-ended 0 (0.00EUR)"
        );
    }
    assert_ne!(old_token, records_page(&mut caller, 0, "").await.revision_token);
    sidecar.stop().await;
}

// === who is listed, and for whom a deal counts ===

async fn listed(caller: &mut Caller, kind: SubjectKind, include_sub_partners: bool) -> Vec<String> {
    let request =
        ListScorecardsRequest { subject_kind: kind.into(), include_sub_partners, ..units_in_march() };
    rows(&cards_page(caller, request).await)
}

fn gone(record: Kind) -> Record {
    Record { deleted: true, ..version(noon("05-01"), record) }
}

#[tokio::test]
async fn a_deleted_subject_keeps_its_figures_and_isn_t_listed() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let before = card(&mut caller, march(Subject::default())).await;
    caller
        .write(vec![
            gone(Kind::Partner(Partner { partner_id: "A".into(), ..Partner::default() })),
            gone(Kind::Employee(Employee { employee_id: "e1".into(), ..Employee::default() })),
            gone(Kind::OrgUnit(OrgUnit { org_unit_id: "north".into(), ..OrgUnit::default() })),
        ])
        .await;
    let mut found = listed(&mut caller, SubjectKind::Partner, false).await;
    found.extend(listed(&mut caller, SubjectKind::Employee, false).await);
    found.extend(listed(&mut caller, SubjectKind::Unit, false).await);
    let expected = table(
        "subject   average deal size     deal count     success  missed
         B         900.00 (900.00/1)     1 (900.00)     1/2      1 (500.00)
         e2        400.00 (400.00/1)     1 (400.00)     1/2      1 (500.00)
         sales     500.00 (1500.00/3)    3 (1500.00)    3/5      2 (800.00)
         south     400.00 (400.00/1)     1 (400.00)     1/2      1 (500.00)",
    );
    assert_eq!(found, expected);
    let of = |subject| Subject { subject: Some(subject) };
    for (subject, expected) in [
        (partner("A"), "A 300.00 (600.00/2) 2 (600.00) 2/3 1 (300.00)"),
        (of(Of::EmployeeId("e1".into())), "e1 550.00 (1100.00/2) 2 (1100.00) 2/3 1 (300.00)"),
        (of(Of::UnitId("north".into())), "north 550.00 (1100.00/2) 2 (1100.00) 2/3 1 (300.00)"),
        (Subject::default(), before.as_str()),
    ] {
        assert_eq!(card(&mut caller, march(subject)).await, expected);
    }
    sidecar.stop().await;
}

/// A and e1 are merged into B and e2: by an update in one case, with the deletion in the other.
#[tokio::test]
async fn a_merged_subject_counts_for_its_survivor() {
    let partner_record = Partner {
        partner_id: "A".into(),
        merged_into_partner_id: "B".into(),
        active: Some(true),
        ..Partner::default()
    };
    let employee_record = Employee {
        employee_id: "e1".into(),
        unit_id: "north".into(),
        merged_into_employee_id: "e2".into(),
        ..Employee::default()
    };
    let kinds = [Kind::Partner(partner_record), Kind::Employee(employee_record)];
    let sidecar = Sidecar::start().await;
    for deleted in [false, true] {
        let mut caller = sidecar.tenant(&format!("deleted-{deleted}"), settings()).await;
        caller.write(records()).await;
        let merge = kinds.clone().map(|kind| Record { deleted, ..version(noon("05-01"), kind) });
        caller.write(merge.into()).await;

        let mut found = listed(&mut caller, SubjectKind::Partner, false).await;
        found.extend(listed(&mut caller, SubjectKind::Employee, false).await);
        found.extend(listed(&mut caller, SubjectKind::Unit, false).await);
        // e2 has all deals, and so has its unit.
        let expected = table(
            "subject   average deal size     deal count     success         missed
             B         500.00 (1500.00/3)    3 (1500.00)    3/5             2 (800.00)
             e2        500.00 (1500.00/3)    3 (1500.00)    3/5             2 (800.00)
             north     no-deal-won           0 (0.00)       no-deal-ended   0 (0.00)
             sales     500.00 (1500.00/3)    3 (1500.00)    3/5             2 (800.00)
             south     500.00 (1500.00/3)    3 (1500.00)    3/5             2 (800.00)",
        );
        assert_eq!(found, expected, "deleted: {deleted}");

        let answer = caller.kpis.get_scorecard(march(partner("A"))).await.expect("valid").into_inner();
        let told = answer.scorecard.expect("always set");
        assert_eq!((told.name.as_str(), row(&told).as_str()), ("Partner B", expected[0].as_str()));
    }
    sidecar.stop().await;
}

/// s1 is A's and B's, 60 to 40; s2 is A's with a share of 30 %, the rest no one's; s3, which A only
/// influenced, is the tenant's alone. P is above both, and sold nothing itself.
#[tokio::test]
async fn a_shared_deal_counts_once_for_each_partner_above_it() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("example", settings()).await;
    let known = |partner_id: &str, parent_partner_id: &str| {
        let (partner_id, parent_partner_id) = (partner_id.into(), parent_partner_id.into());
        Kind::Partner(Partner { partner_id, parent_partner_id, ..Partner::default() })
    };
    let credit = |partner_id: &str, role: CreditRole, share_bps| PartnerCredit {
        partner_id: partner_id.into(),
        role: role.into(),
        share_bps: Some(share_bps),
    };
    use CreditRole::{Influenced, Sourced};
    let shared = |id: &str, units, partner_credits| {
        let open = deal(id, "A", "e1", "03-01", units);
        Kind::Deal(Deal { partner_credits, ..won("03-10", open) })
    };
    let kinds = [
        known("P", ""),
        known("A", "P"),
        known("B", "P"),
        shared("s1", 1_000, vec![credit("A", Sourced, 6_000), credit("B", Sourced, 4_000)]),
        shared("s2", 100, vec![credit("A", Sourced, 3_000)]),
        shared("s3", 10, vec![credit("A", Influenced, 10_000)]),
        Kind::Deal(lost("03-20", deal("s4", "B", "e1", "03-01", 7))),
    ];
    caller.write(kinds.map(|kind| version(noon("03-10"), kind)).into()).await;

    let mut found = listed(&mut caller, SubjectKind::Partner, false).await;
    found.extend(listed(&mut caller, SubjectKind::Partner, true).await);
    found.push(card(&mut caller, march(Subject::default())).await);
    let expected = table(
        "subject   average deal size     deal count     success         missed
         A         315.00 (630.00/2)     2 (630.00)     2/2             0 (0.00)
         B         400.00 (400.00/1)     1 (400.00)     1/2             1 (7.00)
         P         no-deal-won           0 (0.00)       no-deal-ended   0 (0.00)
         A         315.00 (630.00/2)     2 (630.00)     2/2             0 (0.00)
         B         400.00 (400.00/1)     1 (400.00)     1/2             1 (7.00)
         P         515.00 (1030.00/2)    2 (1030.00)    2/3             1 (7.00)
         tenant    370.00 (1110.00/3)    3 (1110.00)    3/4             1 (7.00)",
    );
    assert_eq!(found, expected);
    let with_sub_partners = PartnerSubject { partner_id: "P".into(), include_sub_partners: true };
    let subject = Subject { subject: Some(Of::Partner(with_sub_partners)) };
    let question = ask(subject, dates("2024-03-01", "2024-04-01"), "2024-03-31");
    assert_eq!(card(&mut caller, question).await, expected[5]);
    sidecar.stop().await;
}

/// Half of 100.0001 is no ten-thousandth: the odd one goes to the first of equal remainders, by id.
#[tokio::test]
async fn shares_add_up_to_the_last_ten_thousandth() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("example", settings()).await;
    let half = |partner_id: &str| PartnerCredit {
        partner_id: partner_id.into(),
        share_bps: Some(5_000),
        ..PartnerCredit::default()
    };
    let known = |id: &str| Kind::Partner(Partner { partner_id: id.into(), ..Partner::default() });
    let odd = Deal {
        amount: Some(Money { nanos: 100_000, ..usd(100).expect("always set") }),
        partner_credits: vec![half("B"), half("A")],
        ..won("03-10", deal("odd", "A", "e1", "03-01", 100))
    };
    let kinds = [known("A"), known("B"), Kind::Deal(odd)];
    caller.write(kinds.map(|kind| version(noon("03-10"), kind)).into()).await;
    let mut found = listed(&mut caller, SubjectKind::Partner, false).await;
    found.push(card(&mut caller, march(Subject::default())).await);
    let expected = table(
        "subject   average deal size        deal count       success   missed
         A         50.00 (50.0001/1)        1 (50.0001)      1/1       0 (0.00)
         B         50.00 (50.00/1)          1 (50.00)        1/1       0 (0.00)
         tenant    100.00 (100.0001/1)      1 (100.0001)     1/1       0 (0.00)",
    );
    assert_eq!(found, expected);
    sidecar.stop().await;
}
