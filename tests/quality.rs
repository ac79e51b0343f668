//! Data quality (docs/kpis.md §10) through gRPC on a real socket: every finding by hand, what of it depends
//! on the question, and the worked example, whose records are in order.

#[path = "support/sidecar.rs"]
mod sidecar;
#[path = "support/worked_example.rs"]
mod worked_example;

use std::collections::BTreeMap;

use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::window::Window as Asked;
use channel_kpi::proto::channelkpi::v1::{
    CreditRole, DataQuality, DataQualityDefinition, DataQualityFinding, DateRange, Deal, Employee, Exchange,
    ExchangePolicy, ExchangeRate, ExchangeRateKey, Filter, FindingKind, GetDataQualityRequest, Lead,
    LeadOutcome, OrgUnit, Partner, PartnerCredit, PartnerSubject, Premises, Record, Subject, TenantSettings,
    Terms, Thresholds, Window,
};
use channel_kpi::proto::google::r#type::{Decimal, Money};
use sidecar::{Caller, Sidecar};
use worked_example::{at, date, deal, lost, noon, records, settings, sourced, version, won};

/// March 2024 as of its last day, with ids.
fn ask(subject: Subject) -> GetDataQualityRequest {
    let dates = DateRange { start_on: date("2024-03-01"), end_on: date("2024-04-01") };
    GetDataQualityRequest {
        subject: Some(subject),
        window: Some(Window { window: Some(Asked::Dates(dates)) }),
        as_of: date("2024-03-31"),
        include_ids: true,
        ..GetDataQualityRequest::default()
    }
}

fn company() -> Subject {
    Subject::default()
}

fn partner(partner_id: &str) -> Subject {
    let partner = PartnerSubject { partner_id: partner_id.into(), include_sub_partners: false };
    Subject { subject: Some(Of::Partner(partner)) }
}

async fn get(caller: &mut Caller, question: GetDataQualityRequest) -> (DataQuality, DataQualityDefinition) {
    let answer = caller.kpis.get_data_quality(question).await.expect("the question is valid").into_inner();
    (answer.data_quality.expect("always set"), answer.definition.expect("always set"))
}

fn finding(quality: &DataQuality, kind: FindingKind) -> &DataQualityFinding {
    quality.findings.iter().find(|finding| finding.kind() == kind).expect("each kind has one")
}

/// `NO_AMOUNT d1 d2`, `UNKNOWN_PARTNER d1 lack Z`: what was found, without what wasn't.
fn told(quality: &DataQuality) -> Vec<String> {
    let kinds: Vec<i32> = quality.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, (1..=19).collect::<Vec<_>>(), "one of each kind, in order");
    let found = quality.findings.iter().filter(|finding| finding.count > 0);
    found
        .map(|finding| {
            let mut told = vec![finding.kind().as_str_name().trim_start_matches("FINDING_KIND_").to_owned()];
            if finding.circles.is_empty() {
                assert_eq!(finding.count, finding.record_ids.len() as i64, "{finding:?}");
            } else {
                assert_eq!(finding.count, finding.circles.len() as i64, "{finding:?}");
            }
            told.extend(finding.record_ids.clone());
            if !finding.missing_ids.is_empty() {
                told.push("lack".into());
                told.extend(finding.missing_ids.clone());
            }
            told.extend(finding.circles.iter().map(|circle| circle.ids.join(">")));
            told.join(" ")
        })
        .collect()
}

/// Who is there, so that nothing is missing but what a test leaves out.
fn people() -> Vec<Record> {
    let partner = |id: &str| Kind::Partner(Partner { partner_id: id.into(), ..Partner::default() });
    let employee = |id: &str| Kind::Employee(Employee { employee_id: id.into(), ..Employee::default() });
    [partner("A"), partner("B"), employee("e1")].map(|kind| version(noon("01-02"), kind)).into()
}

/// A deal told twice, on the day of its opening and on 30 March, so that it has a history and is fresh.
fn twice(deal: Deal) -> [Record; 2] {
    [deal.opened_at, noon("03-30")].map(|time| version(time, Kind::Deal(deal.clone())))
}

/// A tenant with `people` and these records beside them.
async fn caller(sidecar: &Sidecar, tenant_id: &str, records: Vec<Record>) -> Caller {
    let mut caller = sidecar.tenant(tenant_id, settings()).await;
    caller.write(people().into_iter().chain(records).collect()).await;
    caller
}

#[tokio::test(flavor = "multi_thread")]
async fn every_finding_of_deals_by_hand() {
    let sidecar = Sidecar::start().await;
    let fine = |id: &str| deal(id, "A", "e1", "03-01", 100);
    let euros = Some(Money { currency_code: "EUR".into(), units: 100, nanos: 0 });
    let influenced = |id: &str| PartnerCredit {
        partner_id: id.into(),
        role: CreditRole::Influenced.into(),
        share_bps: Some(10_000),
    };
    let two_unknown =
        vec![PartnerCredit { share_bps: Some(5_000), ..sourced("Y").remove(0) }, influenced("X")];
    // What of a deal is odd, and what is told of it.
    let cases: Vec<(Deal, &[&str])> = vec![
        (fine("fine"), &[]),
        (won("03-05", fine("won")), &[]),
        (Deal { amount: None, ..fine("d1") }, &["NO_AMOUNT d1"]),
        (Deal { amount: euros, ..fine("d1") }, &["NO_RATE d1"]),
        (Deal { partner_credits: vec![], ..fine("d1") }, &["NO_CREDIT d1"]),
        (Deal { partner_credits: vec![influenced("A")], ..fine("d1") }, &["NO_CREDIT d1"]),
        (Deal { partner_credits: two_unknown, ..fine("d1") }, &["UNKNOWN_PARTNER d1 lack X Y"]),
        (Deal { owner_employee_id: "e9".into(), ..fine("d1") }, &["UNKNOWN_OWNER d1 lack e9"]),
        (Deal { owner_employee_id: String::new(), ..fine("d1") }, &[]),
        (Deal { unit_id: "u9".into(), ..fine("d1") }, &["UNKNOWN_UNIT d1 lack u9"]),
        (Deal { lead_id: "L9".into(), ..fine("d1") }, &["UNKNOWN_LEAD d1 lack L9"]),
        (Deal { marketing_channel_id: "c9".into(), ..fine("d1") }, &["UNKNOWN_CHANNEL d1 lack c9"]),
        // Days decide: within one day nothing is odd.
        (Deal { closed_at: at("2024-03-01T05:59:59Z"), ..won("03-01", fine("d1")) }, &[]),
        (Deal { opened_at: noon("03-10"), ..won("03-09", fine("d1")) }, &["CLOSED_BEFORE_OPENED d1"]),
        (Deal { opened_at: noon("03-10"), ..lost("03-09", fine("d1")) }, &["CLOSED_BEFORE_OPENED d1"]),
        (Deal { expire_time: noon("03-01"), ..fine("d1") }, &[]),
        (
            Deal { opened_at: noon("03-10"), expire_time: noon("03-09"), ..fine("d1") },
            &["EXPIRED_BEFORE_OPENED d1"],
        ),
        (won("04-02", fine("d1")), &["CLOSED_IN_FUTURE d1"]),
        (lost("04-02", fine("d1")), &["CLOSED_IN_FUTURE d1"]),
        (Deal { expire_time: noon("04-02"), ..fine("d1") }, &[]),
        (won("03-31", fine("d1")), &[]),
        (Deal { expected_close: date("2024-03-30"), ..fine("d1") }, &["EXPECTED_CLOSE_PASSED d1"]),
        (Deal { expected_close: date("2024-03-31"), ..fine("d1") }, &[]),
        (Deal { expected_close: date("2024-03-30"), ..won("03-31", fine("d1")) }, &[]),
        // Not of the window: ended before it, or opened after it.
        (Deal { amount: None, opened_at: noon("02-01"), ..won("02-29", fine("d1")) }, &[]),
        (Deal { amount: None, ..fine("d1") }, &["NO_AMOUNT d1"]),
        // On its edges.
        (Deal { amount: None, opened_at: noon("02-01"), ..won("03-01", fine("d1")) }, &["NO_AMOUNT d1"]),
        (Deal { amount: None, opened_at: noon("03-31"), ..fine("d1") }, &["NO_AMOUNT d1"]),
        (Deal { amount: None, opened_at: noon("04-01"), ..fine("d1") }, &[]),
    ];
    for (n, (deal, expected)) in cases.into_iter().enumerate() {
        let mut caller = caller(&sidecar, &format!("t{n}"), twice(deal.clone()).into()).await;
        let (quality, definition) = get(&mut caller, ask(company())).await;
        assert_eq!(told(&quality), expected, "{deal:?}");
        assert_eq!((definition.stale_days, definition.as_of), (60, date("2024-03-31")));
        // Counts are the same without ids.
        let (counts, _) =
            get(&mut caller, GetDataQualityRequest { include_ids: false, ..ask(company()) }).await;
        for (with, without) in quality.findings.iter().zip(&counts.findings) {
            let DataQualityFinding { kind, count, record_ids, missing_ids, circles } = without;
            assert_eq!((*kind, *count), (with.kind, with.count));
            assert!(record_ids.is_empty() && missing_ids.is_empty() && circles.is_empty());
        }
    }
    sidecar.stop().await;
}

/// What has one version, and what was not heard of for long: by the last version up to the day.
#[tokio::test(flavor = "multi_thread")]
async fn versions_and_silence() {
    let sidecar = Sidecar::start().await;
    let of = |id: &str, on| version(noon(on), Kind::Deal(deal(id, "A", "e1", "01-02", 1)));
    let records = vec![
        of("once", "03-30"),
        of("sixty", "01-02"),
        of("sixty", "01-31"),
        of("sixty-one", "01-02"),
        of("sixty-one", "01-30"),
        of("later", "01-02"),
        of("later", "04-20"), // not heard by then
        of("unborn", "04-20"),
        of("unborn", "04-21"), // told of afterwards only
    ];
    let mut caller = caller(&sidecar, "silence", records).await;
    let (quality, _) = get(&mut caller, ask(company())).await;
    assert_eq!((quality.deal_count, quality.open_deal_count), (5, 5));
    assert_eq!(told(&quality), ["ONE_VERSION once", "STALE later sixty-one"]);

    let thresholds = Some(Thresholds { stale_days: Some(1), ..Thresholds::default() });
    let settings = TenantSettings { thresholds, ..settings() };
    let tenant_id = "silence".to_owned();
    let configure =
        channel_kpi::proto::channelkpi::v1::ConfigureTenantRequest { tenant_id, settings: Some(settings) };
    caller.admin.configure_tenant(configure).await.expect("the settings are valid");
    let (quality, definition) = get(&mut caller, ask(company())).await;
    assert_eq!(definition.stale_days, 1);
    assert_eq!(told(&quality), ["ONE_VERSION once", "STALE later sixty sixty-one"]);
    sidecar.stop().await;
}

/// What is open at the end of `as_of` is inspected whatever the window; all else belongs to the window.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_then_needs_no_window() {
    let sidecar = Sidecar::start().await;
    let overdue = |id: &str, opened: &str| Deal {
        expected_close: date("2024-04-10"),
        amount: None,
        ..deal(id, "A", "e1", opened, 0)
    };
    let records = twice(overdue("march", "03-05")).into_iter().chain(twice(overdue("april", "04-05")));
    let mut caller = caller(&sidecar, "open", records.collect()).await;
    let question = GetDataQualityRequest { as_of: date("2024-04-30"), ..ask(company()) };
    let (quality, _) = get(&mut caller, question).await;
    assert_eq!((quality.deal_count, quality.open_deal_count), (1, 2));
    assert_eq!(told(&quality), ["NO_AMOUNT march", "EXPECTED_CLOSE_PASSED april march"]);

    // A window of which no day has come.
    let question = GetDataQualityRequest { as_of: date("2024-02-20"), ..ask(company()) };
    let (quality, definition) = get(&mut caller, question).await;
    assert_eq!((quality.deal_count, quality.open_deal_count), (0, 0));
    assert_eq!((told(&quality), definition.partial), (vec![], true));
    sidecar.stop().await;
}

/// An end that the host told when it had come is none in the future, though the question is of before.
#[tokio::test(flavor = "multi_thread")]
async fn hindsight_is_no_future() {
    let sidecar = Sidecar::start().await;
    let open = |id: &str| deal(id, "A", "e1", "03-01", 1);
    let records = vec![
        version(noon("03-01"), Kind::Deal(open("told-then"))),
        version(noon("04-20"), Kind::Deal(won("04-20", open("told-then")))),
        version(noon("03-01"), Kind::Deal(open("told-before"))),
        version(noon("04-19"), Kind::Deal(won("04-20", open("told-before")))),
    ];
    let mut caller = caller(&sidecar, "hindsight", records).await;
    let (quality, _) = get(&mut caller, ask(company())).await;
    assert_eq!(told(&quality), ["CLOSED_IN_FUTURE told-before"]);
    let question = GetDataQualityRequest { as_of: date("2024-04-20"), ..ask(company()) };
    assert_eq!(told(&get(&mut caller, question).await.0), Vec::<String>::new(), "the day has come");
    let premises = Some(Premises { known_at: at("2024-04-01T00:00:00Z"), ..Premises::default() });
    let question = GetDataQualityRequest { premises, ..ask(company()) };
    assert_eq!(told(&get(&mut caller, question).await.0), ["ONE_VERSION told-before told-then"]);
    sidecar.stop().await;
}

/// A rate is missing on each of the days on which an amount counts, or on the one that the policy names.
#[tokio::test(flavor = "multi_thread")]
async fn rates_by_day_and_policy() {
    let sidecar = Sidecar::start().await;
    let euros = Some(Money { currency_code: "EUR".into(), units: 100, nanos: 0 });
    let of = |id: &str, opened: &str| Deal { amount: euros.clone(), ..deal(id, "A", "e1", opened, 0) };
    let (from_currency_code, to_currency_code) = ("EUR".into(), "USD".into());
    let key = ExchangeRateKey { from_currency_code, to_currency_code, rate_on: date("2024-03-10") };
    let rate = ExchangeRate { key: Some(key), rate: Some(Decimal { value: "1.1".into() }) };
    let deals = [
        of("opened-before", "03-05"),                 // no rate at its opening
        won("03-09", of("won-before", "02-01")),      // none at its end
        won("03-10", of("opened-long-ago", "02-01")), // its opening isn't of the window
        won("03-12", of("all-after", "03-11")),
    ];
    let records = deals.into_iter().flat_map(twice).chain([version(noon("03-10"), Kind::ExchangeRate(rate))]);
    let mut caller = caller(&sidecar, "rates", records.collect()).await;
    let under = |policy: ExchangePolicy, fixed_on| GetDataQualityRequest {
        premises: Some(Premises {
            exchange: Some(Exchange { policy: policy.into(), fixed_on }),
            ..Premises::default()
        }),
        ..ask(company())
    };
    let all = "NO_RATE all-after opened-before opened-long-ago won-before";
    for (question, expected) in [
        (ask(company()), vec!["NO_RATE opened-before won-before"]),
        (under(ExchangePolicy::WindowEnd, None), vec![]),
        (under(ExchangePolicy::Fixed, date("2024-03-10")), vec![]),
        (under(ExchangePolicy::Fixed, date("2024-03-09")), vec![all]),
    ] {
        assert_eq!(told(&get(&mut caller, question).await.0), expected);
    }
    sidecar.stop().await;
}

/// Whose deals: subject, roles and filter pick them; a partner's are credited to it.
#[tokio::test(flavor = "multi_thread")]
async fn whose_and_which() {
    let sidecar = Sidecar::start().await;
    let of = |id: &str, partner_id: &str| Deal { amount: None, ..deal(id, partner_id, "e1", "03-01", 0) };
    let role = CreditRole::Influenced.into();
    let by_b = vec![PartnerCredit { partner_id: "B".into(), role, share_bps: Some(10_000) }];
    let deals = [
        Deal { region: "north".into(), ..of("a", "A") },
        Deal { partner_credits: by_b, ..of("b", "B") },
        Deal { partner_credits: vec![], ..of("direct", "A") },
    ];
    let mut caller = caller(&sidecar, "whose", deals.into_iter().flat_map(twice).collect()).await;
    let with = |subject, premises| GetDataQualityRequest { premises: Some(premises), ..ask(subject) };
    let influenced = || Premises { credit_roles: vec![role], ..Premises::default() };
    let north = Premises {
        filter: Some(Filter {
            regions: Some(Terms { values: vec!["north".into()], include_none: false }),
            ..Filter::default()
        }),
        ..Premises::default()
    };
    for (question, expected) in [
        (ask(company()), vec!["NO_AMOUNT a b direct", "NO_CREDIT b direct"]),
        (with(company(), influenced()), vec!["NO_AMOUNT a b direct", "NO_CREDIT a direct"]),
        (ask(partner("A")), vec!["NO_AMOUNT a"]),
        (ask(partner("B")), vec![]),
        (with(partner("B"), influenced()), vec!["NO_AMOUNT b"]),
        (with(company(), north), vec!["NO_AMOUNT a"]),
    ] {
        assert_eq!(told(&get(&mut caller, question).await.0), expected);
    }
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn converted_leads_without_a_deal() {
    let sidecar = Sidecar::start().await;
    let lead = |lead_id: &str, partner_id: &str, decided: &str| {
        let outcome = LeadOutcome::Converted.into();
        let (created_at, decided_at) = (noon("02-01"), noon(decided));
        let (lead_id, partner_id) = (lead_id.to_owned(), partner_id.to_owned());
        let lead = Lead { lead_id, created_at, partner_id, outcome, decided_at, ..Lead::default() };
        version(decided_at, Kind::Lead(lead))
    };
    let named = |id: &str, lead: &str| Deal { lead_id: lead.into(), ..deal(id, "A", "e1", "03-01", 1) };
    let [first, _] = twice(named("gone", "L3"));
    let gone = Record { deleted: true, ..first.clone() };
    let records = [
        lead("L1", "A", "03-05"),
        lead("L2", "A", "03-05"),
        lead("L3", "B", "03-31"),
        lead("L4", "A", "02-28"),
        first,
        gone,
    ];
    let records = records.into_iter().chain(twice(named("d1", "L1"))).collect();
    let mut caller = caller(&sidecar, "leads", records).await;
    for (subject, count, expected) in [
        (company(), 3, vec!["CONVERTED_WITHOUT_DEAL L2 L3"]),
        (partner("A"), 2, vec!["CONVERTED_WITHOUT_DEAL L2"]),
        (partner("B"), 1, vec!["CONVERTED_WITHOUT_DEAL L3"]),
    ] {
        let (quality, _) = get(&mut caller, ask(subject)).await;
        assert_eq!(quality.converted_lead_count, Some(count));
        assert_eq!(told(&quality), expected);
    }
    let products = Some(Terms { values: vec![], include_none: true });
    let filter = Some(Filter { products, ..Filter::default() });
    let premises = Some(Premises { filter, ..Premises::default() });
    let (quality, _) = get(&mut caller, GetDataQualityRequest { premises, ..ask(company()) }).await;
    assert_eq!(quality.converted_lead_count, None, "leads have no products");
    sidecar.stop().await;
}

/// Of the whole tenant, whoever is asked about.
#[tokio::test(flavor = "multi_thread")]
async fn circles() {
    let sidecar = Sidecar::start().await;
    let partner_of = |id: &str, parent: &str, merged: &str| {
        let (partner_id, parent_partner_id) = (id.into(), parent.into());
        let merged_into_partner_id = merged.into();
        let partner = Partner { partner_id, parent_partner_id, merged_into_partner_id, ..Partner::default() };
        version(noon("01-03"), Kind::Partner(partner))
    };
    let unit = |id: &str, parent: &str| {
        let (org_unit_id, parent_unit_id) = (id.into(), parent.into());
        let unit = OrgUnit { org_unit_id, parent_unit_id, ..OrgUnit::default() };
        version(noon("01-03"), Kind::OrgUnit(unit))
    };
    let employee = |id: &str, merged: &str| {
        let (employee_id, merged_into_employee_id) = (id.into(), merged.into());
        let employee = Employee { employee_id, merged_into_employee_id, ..Employee::default() };
        version(noon("01-03"), Kind::Employee(employee))
    };
    let records = vec![
        // p3 > p1 > p2 > p3, and p4 above none of them
        partner_of("p1", "p2", ""),
        partner_of("p2", "p3", ""),
        partner_of("p3", "p1", ""),
        partner_of("p4", "p1", ""),
        // q2 was merged into the one that stood below it
        partner_of("q1", "q2", ""),
        partner_of("q2", "", "q1"),
        // merged into one another
        partner_of("m1", "", "m2"),
        partner_of("m2", "", "m1"),
        unit("u1", "u2"),
        unit("u2", "u1"),
        employee("x", "z"),
        employee("y", "x"),
        employee("z", "y"),
    ];
    let mut caller = caller(&sidecar, "circles", records).await;
    for subject in [company(), partner("B")] {
        let (quality, _) = get(&mut caller, ask(subject)).await;
        let expected = [
            "PARTNER_PARENT_CIRCLE p1>p2>p3 q1",
            "UNIT_PARENT_CIRCLE u1>u2",
            "PARTNER_MERGER_CIRCLE m1>m2",
            "EMPLOYEE_MERGER_CIRCLE x>z>y",
        ];
        assert_eq!(told(&quality), expected);
    }
    sidecar.stop().await;
}

/// Counts stay exact where the ids of a finding are too many.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_ids_and_no_more() {
    let sidecar = Sidecar::start().await;
    let mut caller = caller(&sidecar, "many", vec![]).await;
    let id = |n: usize| format!("d{n:05}");
    let of = |n: usize| {
        let unknown = sourced(&format!("unknown-{n:05}"));
        let deal = Deal { partner_credits: unknown, ..deal(&id(n), "A", "e1", "03-01", 1) };
        version(noon("03-30"), Kind::Deal(deal))
    };
    // The last ones first, so that what is kept changes.
    for part in [600..1_200, 0..600] {
        caller.write(part.map(of).collect()).await;
    }
    let (quality, _) = get(&mut caller, ask(company())).await;
    let found = finding(&quality, FindingKind::UnknownPartner);
    assert_eq!((quality.deal_count, found.count), (1_200, 1_200));
    assert_eq!(found.record_ids, (0..1_000).map(id).collect::<Vec<_>>());
    assert_eq!(found.missing_ids.len(), 1_000);
    assert_eq!(found.missing_ids[999], "unknown-00999");
    sidecar.stop().await;
}

/// The worked example is in order: two deals tell their history, and one ends the day after.
#[tokio::test(flavor = "multi_thread")]
async fn the_worked_example() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("example", settings()).await;
    caller.write(records()).await;
    let mut counts = BTreeMap::new();
    for (name, subject) in [("A", partner("A")), ("B", partner("B")), ("company", company())] {
        let (quality, _) = get(&mut caller, ask(subject.clone())).await;
        assert_eq!(quality.subject, Some(subject));
        counts.insert(name, (quality.deal_count, quality.open_deal_count, quality.converted_lead_count));
        let expected = match name {
            "A" => "ONE_VERSION d1 d2 d3 d4",
            "B" => "ONE_VERSION d5 d6 d8",
            _ => "ONE_VERSION d1 d2 d3 d4 d5 d6 d8",
        };
        assert_eq!(told(&quality), [expected]);
    }
    let expected = [("A", (4, 1, Some(1))), ("B", (5, 3, Some(1))), ("company", (9, 4, Some(2)))];
    assert_eq!(counts, expected.into());
    sidecar.stop().await;
}
