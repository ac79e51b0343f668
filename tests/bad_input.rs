//! Wrong requests of every kind, for every RPC, over a socket: refused precisely, and harmless.
//!
//! An expected refusal is told as `REASON key=value… field…`: metadata sorted by key, then the violated
//! fields in order. `violation_count` is left out where it is the number of fields listed. That the gRPC
//! code and the keys of the metadata are those which error_reason.proto documents is checked for each.

#[path = "support/raw.rs"]
mod raw;
#[allow(dead_code)] // every test takes what it needs
#[path = "support/scorecard.rs"]
mod scorecard;
#[path = "support/sidecar.rs"]
mod sidecar;
#[allow(dead_code)]
#[path = "support/worked_example.rs"]
mod worked_example;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use channel_kpi::proto::channelkpi::v1::comparison::Comparison as Against;
use channel_kpi::proto::channelkpi::v1::consistency::Requirement;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::record_key::Key;
use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::window::Window as Asked;
use channel_kpi::proto::channelkpi::v1::{
    Bucket, CompareKnowledgeRequest, Comparison, ConfigureTenantRequest, Consistency, CreateTenantRequest,
    DateRange, Deal, DealStatus, DeleteTenantRequest, Dimension, Employee, ErrorReason,
    EvaluateStrategyRequest, Exchange, ExchangePolicy, ExchangeRate, ExchangeRateKey, ExplainChangeRequest,
    ExplainedFigure, FigureKind, Filter, GetDataQualityRequest, GetMarketingPerformanceRequest,
    GetPipelineRequest, GetRecordRequest, GetScorecardRequest, GetSeriesRequest, GetTenantRequest, Knowledge,
    Kpi, Lead, LeadOutcome, ListContributingRecordsRequest, ListRecordsRequest, ListScorecardsRequest,
    MarketingChannel, MarketingSpend, MonthWeight, OrgUnit, Partner, PartnerCredit, PartnerSubject, Premises,
    Record, RecordKey, RecordKind, StageProbability, Strategy, Subject, SubjectKind, Target, TenantSettings,
    Terms, Thresholds, Window, WriteMode, WriteRecordsRequest, target,
};
use channel_kpi::proto::google::r#type::{Date, Decimal, Money};
use prost_types::Timestamp;
use scorecard::{dates, march, partner, row};
use sidecar::{Caller, Sidecar};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;
use worked_example::{at, date, deal, noon, records, settings, sourced, usd, version, won};

/// Reasons that no request alone can provoke, and where they are seen instead.
const NOT_BY_A_REQUEST: [(ErrorReason, &str); 16] = [
    (ErrorReason::Unspecified, "is never sent"),
    (
        ErrorReason::TenantNotConfigured,
        "a tenant is created with its settings: only half a creation lacks them",
    ),
    (ErrorReason::JournalUnavailable, "needs a full disk: tests/journal_contract.rs"),
    (ErrorReason::StorageReadOnly, "needs a broken disk: tests/journal_contract.rs"),
    (ErrorReason::StorageCorrupt, "needs damaged files: tests/journal_contract.rs"),
    (ErrorReason::ServerDraining, "needs a stopping server: tests/serving.rs"),
    (ErrorReason::TenantLoading, "needs a tenant that takes 2 s to load"),
    (ErrorReason::Overloaded, "needs calls that don't end: tests/serving.rs"),
    (ErrorReason::DeadlineExceeded, "needs a call that doesn't end: tests/serving.rs"),
    (ErrorReason::ResumeTokenInvalid, "is of a watch: tests/watch.rs"),
    (ErrorReason::ResumeTokenMismatch, "is of a watch: tests/watch.rs"),
    (ErrorReason::WatcherTooSlow, "needs a client that doesn't read: tests/watch_crowds.rs"),
    (ErrorReason::SequenceGap, "is of a feed: tests/ingest.rs"),
    (ErrorReason::InFlightExceeded, "is of a feed: tests/ingest.rs"),
    (ErrorReason::SourceTakenOver, "is of a feed: tests/ingest.rs"),
    (ErrorReason::Internal, "is a defect"),
];

/// The longest id and one byte more.
fn long() -> String {
    "x".repeat(129)
}

// === what a refusal says ===

/// What error_reason.proto says of a reason.
struct Documented {
    code: String,
    metadata: BTreeSet<String>,
}

fn documented() -> BTreeMap<String, Documented> {
    let (mut reasons, mut comment) = (BTreeMap::new(), String::new());
    for line in include_str!("../proto/channelkpi/v1/error_reason.proto").lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("//") {
            comment.push_str(text);
        } else if let Some((name, _)) =
            line.strip_prefix("ERROR_REASON_").and_then(|name| name.split_once(" = "))
        {
            let code = comment.trim().split('.').next().unwrap_or_default().to_owned();
            let keys = comment.split_once("Metadata: ").map_or("", |(_, keys)| keys);
            let keys = keys.split(", ").map_while(|key| key.strip_prefix('`')?.split('`').next());
            let metadata = keys.map(str::to_owned).collect();
            reasons.insert(name.to_owned(), Documented { code, metadata });
            comment.clear();
        } else {
            comment.clear();
        }
    }
    reasons
}

/// Requests that were refused, and how.
#[derive(Default)]
struct Refusals {
    reasons: BTreeSet<String>,
    surprises: Vec<String>,
}

impl Refusals {
    /// Sends each request of a table; each must be refused as it says.
    async fn table<T>(&mut self, table: Vec<(&str, T, &str)>, call: impl AsyncFn(T) -> Result<(), Status>) {
        for (what, request, expected) in table {
            self.one(what, call(request).await, expected);
        }
    }

    fn one(&mut self, what: &str, answer: Result<(), Status>, expected: &str) {
        let found = match answer {
            Ok(()) => "OK".to_owned(),
            Err(status) => self.told(&status),
        };
        if found != expected {
            self.surprises.push(format!("{what}\n     found {found}\n  expected {expected}"));
        }
    }

    fn told(&mut self, status: &Status) -> String {
        let details = status.get_error_details();
        let Some(info) = details.error_info() else { return format!("{status:?}") };
        let documented = documented();
        let Some(Documented { code, metadata }) = documented.get(&info.reason) else {
            return format!("the undocumented reason {}", info.reason);
        };
        self.reasons.insert(info.reason.clone());
        assert_eq!(code_name(status.code()), *code, "{status:?}");
        assert_eq!(info.metadata.keys().cloned().collect::<BTreeSet<_>>(), *metadata, "{status:?}");
        assert_eq!(info.domain, "channelkpi");
        assert!(!status.message().is_empty());
        // Whatever a code's callers look for beside the reason.
        match status.code() {
            Code::NotFound if info.reason != "SYMBOL_UNKNOWN" => {
                let resource = details.resource_info().expect("NOT_FOUND names the resource");
                assert_eq!(
                    (&resource.resource_type, &resource.resource_name),
                    (&info.metadata["kind"], &info.metadata["id"])
                );
            }
            Code::FailedPrecondition => assert!(details.precondition_failure().is_some(), "{status:?}"),
            Code::Unavailable => assert!(details.retry_info().is_some(), "{status:?}"),
            _ => {}
        }

        let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
        assert!(violations.iter().all(|violation| !violation.description.is_empty()), "{status:?}");
        let mut told = vec![info.reason.clone()];
        for (key, value) in info.metadata.iter().collect::<BTreeMap<_, _>>() {
            if key != "violation_count" || *value != violations.len().to_string() {
                told.push(format!("{key}={value}"));
            }
        }
        told.extend(violations.into_iter().map(|violation| violation.field));
        told.join(" ")
    }
}

/// A code as gRPC writes it: `INVALID_ARGUMENT` for `InvalidArgument`.
fn code_name(code: Code) -> String {
    let name = format!("{code:?}");
    let upper = |(place, letter): (usize, char)| {
        let gap = if place > 0 && letter.is_uppercase() { "_" } else { "" };
        format!("{gap}{}", letter.to_uppercase())
    };
    name.chars().enumerate().map(upper).collect()
}

// === the tables ===

#[tokio::test]
async fn every_wrong_request_is_refused_precisely() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("example", settings()).await;
    caller.write(records()).await;
    let mut refusals = Refusals::default();

    let before = state(&mut caller).await;
    write_records(&mut refusals, &caller).await;
    assert_eq!(state(&mut caller).await, before, "a refused write changes nothing");
    get_record(&mut refusals, &caller).await;
    list_records(&mut refusals, &caller).await;
    get_scorecard(&mut refusals, &caller).await;
    list_scorecards(&mut refusals, &caller).await;
    pipeline(&mut refusals, &caller).await;
    marketing(&mut refusals, &caller).await;
    contributing(&mut refusals, &caller).await;
    quality(&mut refusals, &caller).await;
    series(&mut refusals, &caller).await;
    explanations(&mut refusals, &caller).await;
    strategies(&mut refusals, &caller).await;
    restatements(&mut refusals, &caller).await;
    tenants(&mut refusals, &caller).await;
    assert_eq!(state(&mut caller).await, before);
    tokens(&mut refusals, &sidecar, &mut caller).await;
    whose(&mut refusals, &sidecar).await;
    what_no_client_sends(&mut refusals, &sidecar).await;
    a_revision_to_come(&mut refusals).await;
    sidecar.stop().await;

    assert!(refusals.surprises.is_empty(), "{}", refusals.surprises.join("\n"));
    let exceptions = NOT_BY_A_REQUEST.map(|(reason, _)| bare(reason));
    let expected: BTreeSet<_> =
        documented().into_keys().filter(|reason| !exceptions.contains(reason)).collect();
    assert_eq!(refusals.reasons, expected, "each reason is provoked, or is an exception");
}

fn bare(reason: ErrorReason) -> String {
    reason.as_str_name().trim_start_matches("ERROR_REASON_").to_owned()
}

/// What a refused request must leave as it is: settings, the number of versions, a figure.
async fn state(caller: &mut Caller) -> String {
    let request = GetTenantRequest { tenant_id: "example".into() };
    let tenant = caller.admin.get_tenant(request).await.expect("it is there").into_inner().tenant;
    let answer = caller.kpis.get_scorecard(march(partner("A"))).await.expect("it is valid").into_inner();
    format!("{tenant:?} {}", row(&answer.scorecard.expect("always set")))
}

/// An atomic write of a good record and the one given, at `records[1]`.
fn beside_a_good_one(record: Record) -> WriteRecordsRequest {
    let good = won("03-10", deal("never", "A", "e1", "03-01", 1_000_000));
    WriteRecordsRequest { records: vec![version(noon("03-10"), Kind::Deal(good)), record], mode: 0 }
}

fn wrong(kind: Kind) -> WriteRecordsRequest {
    beside_a_good_one(version(noon("03-10"), kind))
}

async fn write_records(refusals: &mut Refusals, caller: &Caller) {
    let call = async |request| caller.clone().records.write_records(request).await.map(drop);
    let good = || Kind::Deal(deal("never", "A", "e1", "03-01", 1));
    let at_time = |update_time| beside_a_good_one(version(update_time, good()));
    let many = |count| WriteRecordsRequest { records: vec![Record::default(); count], mode: 0 };
    let unset = |mode| WriteRecordsRequest { records: vec![], mode };
    let settings_record = Kind::TenantSettings(settings());
    let huge = Kind::Deal(Deal { lost_reason: "x".repeat(5 << 20), ..Deal::default() });
    let negative = Record { sequence: Some(-1), ..version(noon("03-10"), good()) };
    let seconds = |seconds, nanos| at_time(Some(Timestamp { seconds, nanos }));
    #[rustfmt::skip]
    refusals.table(vec![
        ("no records",            unset(0),                                "INVALID_FIELD records"),
        ("an unknown mode",       unset(9),                                "INVALID_FIELD mode records"),
        ("too many records",      many(1_001),                             "TOO_MANY_ITEMS allowed=1000 given=1001 records"),
        ("too large",             wrong(huge),                             "MESSAGE_TOO_LARGE allowed_bytes=4194304"),
        ("an empty record",       beside_a_good_one(Record::default()),    "INVALID_FIELD records[1].update_time records[1]"),
        ("settings",              wrong(settings_record),                  "INVALID_FIELD records[1].tenant_settings"),
        ("no update_time",        at_time(None),                           "INVALID_FIELD records[1].update_time"),
        ("before 1970",           seconds(-1, 0),                          "INVALID_FIELD records[1].update_time"),
        ("nanos below 0",         seconds(0, -1),                          "INVALID_FIELD records[1].update_time"),
        ("nanos of a second",     seconds(0, 1_000_000_000),               "INVALID_FIELD records[1].update_time"),
        ("far ahead",             at_time(at("2199-12-31T00:00:00Z")),     "INVALID_FIELD records[1].update_time"),
        ("after 2199",            at_time(at("2200-01-01T00:00:00Z")),     "INVALID_FIELD records[1].update_time"),
        ("out of all range",      seconds(i64::MAX, 0),                    "INVALID_FIELD records[1].update_time"),
        ("a negative sequence",   beside_a_good_one(negative),             "INVALID_FIELD records[1].sequence"),
    ], call).await;
    // More violations than are listed: the first 50, and how many there are.
    let listed = (0..25).map(|place| format!(" records[{place}].update_time records[{place}]"));
    let expected = format!("INVALID_FIELD violation_count=2000{}", listed.collect::<String>());
    refusals.table(vec![("2,000 violations", many(1_000), &expected)], call).await;

    let table = deals().into_iter().chain(other_records());
    let table = table.map(|(what, kind, expected)| (what, wrong(kind), expected.to_owned()));
    for (what, request, fields) in table.collect::<Vec<_>>() {
        let fields = fields.split(' ').map(|field| format!(" records[1].{field}"));
        let expected = format!("INVALID_FIELD{}", fields.collect::<String>());
        refusals.table(vec![(what, request, &expected)], call).await;
    }
    let deleted = Record { deleted: true, ..version(noon("03-10"), Kind::Deal(Deal::default())) };
    refusals
        .table(vec![("no id", beside_a_good_one(deleted), "INVALID_FIELD records[1].deal.deal_id")], call)
        .await;
}

/// Wrong deals, and the fields below the record that are refused.
fn deals() -> Vec<(&'static str, Kind, &'static str)> {
    let d = || deal("never", "A", "e1", "03-01", 1);
    let money = |currency_code: &str, units, nanos| Deal {
        amount: Some(Money { currency_code: currency_code.into(), units, nanos }),
        ..d()
    };
    let expected_close = |year, month, day| Deal { expected_close: Some(Date { year, month, day }), ..d() };
    let status = |status: i32, closed_at| Deal { status, closed_at, ..d() };
    let (open, won, lost) = (DealStatus::Open.into(), DealStatus::Won.into(), DealStatus::Lost.into());
    let credits = |partner_credits| Deal { partner_credits, ..d() };
    let credit =
        |partner_id: &str, role, share_bps| PartnerCredit { partner_id: partner_id.into(), role, share_bps };
    let sixty_five = (0..65).map(|place| credit(&format!("p{place}"), 0, Some(1))).collect();
    let labels = |key: &str, value: &str| Deal { labels: [(key.into(), value.into())].into(), ..d() };
    let many_labels = (0..65).map(|place| (format!("k{place}"), "v".into())).collect();
    let instant = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let all_wrong = Deal {
        deal_id: "".into(),
        opened_at: None,
        amount: Some(Money { currency_code: "XXY".into(), units: -1, nanos: 0 }),
        stage: long(),
        probability_bps: Some(-1),
        expected_close: Some(Date::default()),
        expire_time: instant(-1),
        status: 9,
        closed_at: instant(-1),
        lost_reason: "\n".into(),
        competitor: long(),
        owner_employee_id: long(),
        unit_id: long(),
        partner_credits: vec![credit("", 9, Some(-1))],
        lead_id: long(),
        marketing_channel_id: long(),
        product: long(),
        region: long(),
        labels: [("".into(), "".into())].into(),
    };
    #[rustfmt::skip]
    let table = vec![
        ("no id",                  Deal { deal_id: "".into(), ..d() },             "deal.deal_id"),
        ("a long id",              Deal { deal_id: long(), ..d() },                "deal.deal_id"),
        ("a control character",    Deal { deal_id: "d\u{7f}".into(), ..d() },      "deal.deal_id"),
        ("no opening",             Deal { opened_at: None, ..d() },                "deal.opened_at"),
        ("opened before 1970",     Deal { opened_at: instant(-1), ..d() },         "deal.opened_at"),
        ("opened after 2199",      Deal { opened_at: at("2200-01-01T00:00:00Z"), ..d() }, "deal.opened_at"),
        ("a negative amount",      money("USD", -1, 0),                            "deal.amount"),
        ("a too great amount",     money("USD", 922_337_203_685_478, 0),           "deal.amount"),
        ("beyond 64 bits",         money("USD", i64::MAX, 0),                      "deal.amount"),
        ("a too fine amount",      money("USD", 1, 10_000),                        "deal.amount.nanos"),
        ("two signs",              money("USD", 1, -500_000_000),                  "deal.amount.nanos"),
        ("nanos of a unit",        money("USD", 0, 1_000_000_000),                 "deal.amount.nanos"),
        ("no currency",            money("", 1, 0),                                "deal.amount.currency_code"),
        ("an unknown currency",    money("XXY", 1, 0),                             "deal.amount.currency_code"),
        ("a small currency",       money("usd", 1, 0),                             "deal.amount.currency_code"),
        ("both",                   money("dollars", -1, 0),                        "deal.amount.currency_code deal.amount"),
        ("a long stage",           Deal { stage: long(), ..d() },                  "deal.stage"),
        ("a stage with a newline", Deal { stage: "a\nb".into(), ..d() },           "deal.stage"),
        ("probability below 0",    Deal { probability_bps: Some(-1), ..d() },      "deal.probability_bps"),
        ("above the whole",        Deal { probability_bps: Some(10_001), ..d() },  "deal.probability_bps"),
        ("a year alone",           expected_close(2024, 0, 0),                     "deal.expected_close"),
        ("no day of a month",      expected_close(2023, 2, 29),                    "deal.expected_close"),
        ("a negative month",       expected_close(2023, -2, 1),                    "deal.expected_close"),
        ("the year 1969",          expected_close(1969, 12, 31),                   "deal.expected_close"),
        ("the year 2200",          expected_close(2200, 1, 1),                     "deal.expected_close"),
        ("an expiry before 1970",  Deal { expire_time: instant(-1), ..d() },       "deal.expire_time"),
        ("an unknown status",      status(4, None),                                "deal.status"),
        ("won at no time",         status(won, None),                              "deal.closed_at"),
        ("lost at no time",        status(lost, None),                             "deal.closed_at"),
        ("won before 1970",        status(won, instant(-1)),                       "deal.closed_at"),
        ("open and closed",        status(open, noon("03-10")),                    "deal.closed_at"),
        ("unset and closed",       status(0, noon("03-10")),                       "deal.closed_at"),
        ("a long reason",          Deal { lost_reason: "x".repeat(513), ..d() },   "deal.lost_reason"),
        ("a reason in two lines",  Deal { lost_reason: "a\nb".into(), ..d() },     "deal.lost_reason"),
        ("a long competitor",      Deal { competitor: long(), ..d() },             "deal.competitor"),
        ("a long owner",           Deal { owner_employee_id: long(), ..d() },      "deal.owner_employee_id"),
        ("a long unit",            Deal { unit_id: long(), ..d() },                "deal.unit_id"),
        ("65 credits",             credits(sixty_five),                            "deal.partner_credits"),
        ("a credit of no one",     credits(vec![credit("", 0, None)]),             "deal.partner_credits[0].partner_id"),
        ("an unknown role",        credits(vec![credit("A", 4, None)]),            "deal.partner_credits[0].role"),
        ("a negative share",       credits(vec![credit("A", 0, Some(-1))]),        "deal.partner_credits[0].share_bps"),
        ("a share above 100 %",    credits(vec![credit("A", 0, Some(10_001))]),    "deal.partner_credits[0].share_bps"),
        ("a partner twice",        credits(vec![credit("A", 0, Some(1)), credit("A", 1, Some(1))]), "deal.partner_credits[1]"),
        ("two without a share",    credits(vec![credit("A", 0, None), credit("B", 0, None)]), "deal.partner_credits[1].share_bps"),
        ("shares above 100 %",     credits(vec![credit("A", 2, Some(9_999)), credit("B", 2, Some(2))]), "deal.partner_credits[1].share_bps"),
        ("a long lead",            Deal { lead_id: long(), ..d() },                "deal.lead_id"),
        ("a long channel",         Deal { marketing_channel_id: long(), ..d() },   "deal.marketing_channel_id"),
        ("a long product",         Deal { product: long(), ..d() },                "deal.product"),
        ("a long region",          Deal { region: long(), ..d() },                 "deal.region"),
        ("a label without a key",  labels("", "v"),                                r#"deal.labels[""]"#),
        ("an empty label",         labels("k", ""),                                r#"deal.labels["k"]"#),
        ("a long label",           labels("k", &long()),                           r#"deal.labels["k"]"#),
        ("65 labels",              Deal { labels: many_labels, ..d() },            "deal.labels"),
        ("all at once",            all_wrong,
            "deal.deal_id deal.opened_at deal.amount.currency_code deal.amount deal.stage deal.probability_bps \
             deal.expected_close deal.expire_time deal.status deal.closed_at deal.lost_reason deal.competitor \
             deal.owner_employee_id deal.unit_id deal.partner_credits[0].partner_id deal.partner_credits[0].role \
             deal.partner_credits[0].share_bps deal.lead_id deal.marketing_channel_id deal.product deal.region \
             deal.labels[\"\"] deal.labels[\"\"]"),
    ];
    table.into_iter().map(|(what, deal, fields)| (what, Kind::Deal(deal), fields)).collect()
}

/// Wrong records of the other kinds, and the fields below the record that are refused.
fn other_records() -> Vec<(&'static str, Kind, &'static str)> {
    let wrong_texts = Partner {
        partner_id: "A".into(),
        name: "x".repeat(513),
        partner_type: long(),
        tier: long(),
        region: long(),
        parent_partner_id: long(),
        labels: [("k".into(), "\n".into())].into(),
        merged_into_partner_id: long(),
        active: None,
    };
    let unit =
        OrgUnit { org_unit_id: "".into(), name: "\n".into(), unit_kind: long(), parent_unit_id: long() };
    let employee = Employee {
        employee_id: long(),
        name: "\r".into(),
        unit_id: long(),
        merged_into_employee_id: long(),
        active: None,
    };
    let lead = |outcome: LeadOutcome, decided_at| {
        let (lead_id, created_at, outcome) = ("L".into(), noon("03-01"), outcome.into());
        Kind::Lead(Lead { lead_id, created_at, outcome, decided_at, ..Lead::default() })
    };
    let empty_lead = Lead { outcome: 9, decided_at: at("2200-01-01T00:00:00Z"), ..Lead::default() };
    let channel = MarketingChannel { marketing_channel_id: "c".into(), name: "\t".into(), media: 4 };
    let spend = |start: &str, end: &str| {
        Kind::MarketingSpend(MarketingSpend {
            marketing_spend_id: "s".into(),
            marketing_channel_id: "c".into(),
            start_on: date(start),
            end_on: date(end),
            amount: usd(1),
            ..MarketingSpend::default()
        })
    };
    let target = |value, month_weights| {
        Kind::Target(Target {
            target_id: "t".into(),
            start_on: date("2024-01-15"),
            end_on: date("2024-03-15"),
            subject: None,
            value,
            month_weights,
        })
    };
    let won_count = |count| Some(target::Value::WonCount(count));
    let won_amount = |units, nanos| {
        let currency_code = "USD".into();
        Some(target::Value::WonAmount(Money { currency_code, units, nanos }))
    };
    let weights = |weights: &[(i32, i32, i32)]| {
        let weight = |&(year, month, weight)| MonthWeight { year, month, weight };
        target(won_count(1), weights.iter().map(weight).collect())
    };
    let of_no_one = PartnerSubject { partner_id: "".into(), include_sub_partners: true };
    let empty_target =
        Target { subject: Some(Subject { subject: Some(Of::Partner(of_no_one)) }), ..Target::default() };
    let rate = |from: &str, to: &str, value: &str| {
        let key = ExchangeRateKey {
            from_currency_code: from.into(),
            to_currency_code: to.into(),
            rate_on: date("2024-03-01"),
        };
        let rate = ExchangeRate { key: Some(key), rate: Some(Decimal { value: value.into() }) };
        Kind::ExchangeRate(rate)
    };
    let dateless = ExchangeRate { key: Some(ExchangeRateKey::default()), rate: None };
    let strategy = |subjects| {
        let (strategy_id, start_on) = ("s".into(), date("2024-03-01"));
        Kind::Strategy(Strategy { strategy_id, name: "".into(), start_on, subjects })
    };
    let nameless = Subject { subject: Some(Of::EmployeeId("".into())) };
    #[rustfmt::skip]
    let table = vec![
        ("an empty partner",       Kind::Partner(Partner::default()),               "partner.partner_id"),
        ("wrong texts",            Kind::Partner(wrong_texts),
            "partner.merged_into_partner_id partner.name partner.partner_type partner.tier partner.region \
             partner.parent_partner_id partner.labels[\"k\"]"),
        ("a wrong unit",           Kind::OrgUnit(unit),
            "org_unit.org_unit_id org_unit.name org_unit.unit_kind org_unit.parent_unit_id"),
        ("a wrong employee",       Kind::Employee(employee),
            "employee.employee_id employee.merged_into_employee_id employee.name employee.unit_id"),
        ("converted at no time",   lead(LeadOutcome::Converted, None),              "lead.decided_at"),
        ("disqualified likewise",  lead(LeadOutcome::Disqualified, None),           "lead.decided_at"),
        ("open and decided",       lead(LeadOutcome::Open, noon("03-01")),          "lead.decided_at"),
        ("unset and decided",      lead(LeadOutcome::Unspecified, noon("03-01")),   "lead.decided_at"),
        ("an empty lead",          Kind::Lead(empty_lead),
            "lead.lead_id lead.created_at lead.outcome lead.decided_at"),
        ("a wrong channel",        Kind::MarketingChannel(channel),
            "marketing_channel.name marketing_channel.media"),
        ("an empty spend",         Kind::MarketingSpend(MarketingSpend::default()),
            "marketing_spend.marketing_spend_id marketing_spend.marketing_channel_id marketing_spend.start_on \
             marketing_spend.end_on marketing_spend.amount"),
        ("spent on no day",        spend("2024-03-01", "2024-03-01"),               "marketing_spend.end_on"),
        ("ends before it begins",  spend("2024-03-01", "2024-02-01"),               "marketing_spend.end_on"),
        ("begins in 1969",         spend("1969-12-31", "2024-02-01"),               "marketing_spend.start_on"),
        ("ends after 2199",        spend("2024-03-01", "2200-01-02"),               "marketing_spend.end_on"),
        ("an empty target",        Kind::Target(empty_target),
            "target.target_id target.subject.partner.partner_id target.start_on target.end_on target"),
        ("a target of what",       target(None, vec![]),                            "target"),
        ("a negative count",       target(won_count(-1), vec![]),                   "target.won_count"),
        ("a negative amount",      target(won_amount(-1, 0), vec![]),               "target.won_amount"),
        ("a too fine amount",      target(won_amount(1, 1), vec![]),                "target.won_amount.nanos"),
        ("no such month",          weights(&[(1969, 13, -1)]),
            "target.month_weights[0].year target.month_weights[0].month target.month_weights[0].weight"),
        ("the month before",       weights(&[(2023, 12, 1), (2024, 1, 1)]),         "target.month_weights[0]"),
        ("the month after",        weights(&[(2024, 3, 1), (2024, 4, 1)]),          "target.month_weights[1]"),
        ("a month twice",          weights(&[(2024, 2, 1), (2024, 2, 2)]),          "target.month_weights[1]"),
        ("weights of 0",           weights(&[(2024, 1, 0), (2024, 2, 0)]),          "target.month_weights"),
        ("an empty rate",          Kind::ExchangeRate(ExchangeRate::default()),     "exchange_rate.key exchange_rate.rate"),
        ("an empty key",           Kind::ExchangeRate(dateless),
            "exchange_rate.key.from_currency_code exchange_rate.key.to_currency_code exchange_rate.key.rate_on \
             exchange_rate.rate"),
        ("of a currency to itself", rate("USD", "USD", "1"),                        "exchange_rate.key.to_currency_code"),
        ("no number",              rate("USD", "EUR", "one"),                       "exchange_rate.rate.value"),
        ("an empty number",        rate("USD", "EUR", ""),                          "exchange_rate.rate.value"),
        ("not a number",           rate("USD", "EUR", "NaN"),                       "exchange_rate.rate.value"),
        ("0",                      rate("USD", "EUR", "0.0"),                       "exchange_rate.rate.value"),
        ("below 0",                rate("USD", "EUR", "-1"),                        "exchange_rate.rate.value"),
        ("19 digits",              rate("USD", "EUR", "1.234567890123456789"),      "exchange_rate.rate.value"),
        ("28 decimal places",      rate("USD", "EUR", "1e-28"),                     "exchange_rate.rate.value"),
        ("10^15",                  rate("USD", "EUR", "1e15"),                      "exchange_rate.rate.value"),
        ("a great exponent",       rate("USD", "EUR", "1e999999999999999999999"),   "exchange_rate.rate.value"),
        ("an empty strategy",      Kind::Strategy(Strategy::default()),
            "strategy.strategy_id strategy.start_on strategy.subjects"),
        ("for no one",             strategy(vec![]),                                "strategy.subjects"),
        ("for one without an id",  strategy(vec![nameless]),                        "strategy.subjects[0].employee_id"),
        ("for one twice",          strategy(vec![partner("A"), partner("A")]),      "strategy.subjects[1]"),
        ("for 1,001",              strategy(vec![partner("A"); 1_001]),             "strategy.subjects"),
    ];
    table
}

fn demand(requirement: Requirement) -> Option<Consistency> {
    Some(Consistency { requirement: Some(requirement) })
}

async fn get_record(refusals: &mut Refusals, caller: &Caller) {
    let call = async |request| caller.clone().records.get_record(request).await.map(drop);
    let of = |key| GetRecordRequest { key: Some(RecordKey { key: Some(key) }), consistency: None };
    let keyless = GetRecordRequest { key: Some(RecordKey { key: None }), consistency: None };
    let under =
        |requirement| GetRecordRequest { consistency: demand(requirement), ..of(Key::DealId("d1".into())) };
    let rate_key = |from: &str, to: &str| {
        let (from_currency_code, to_currency_code) = (from.into(), to.into());
        let rate_on = date("2024-03-01");
        of(Key::ExchangeRate(ExchangeRateKey { from_currency_code, to_currency_code, rate_on }))
    };
    let empty_rate = of(Key::ExchangeRate(ExchangeRateKey::default()));
    let no_one = || "no-one".to_owned();
    #[rustfmt::skip]
    refusals.table(vec![
        ("no key",             GetRecordRequest::default(),                 "INVALID_FIELD key"),
        ("an empty key",       keyless,                                     "INVALID_FIELD key"),
        ("a partner without",  of(Key::PartnerId("".into())),               "INVALID_FIELD key.partner_id"),
        ("a long unit",        of(Key::OrgUnitId(long())),                  "INVALID_FIELD key.org_unit_id"),
        ("a control char.",    of(Key::EmployeeId("\0".into())),            "INVALID_FIELD key.employee_id"),
        ("a long lead",        of(Key::LeadId(long())),                     "INVALID_FIELD key.lead_id"),
        ("a long deal",        of(Key::DealId(long())),                     "INVALID_FIELD key.deal_id"),
        ("a long channel",     of(Key::MarketingChannelId(long())),         "INVALID_FIELD key.marketing_channel_id"),
        ("a long spend",       of(Key::MarketingSpendId(long())),           "INVALID_FIELD key.marketing_spend_id"),
        ("a long target",      of(Key::TargetId(long())),                   "INVALID_FIELD key.target_id"),
        ("a long strategy",    of(Key::StrategyId(long())),                 "INVALID_FIELD key.strategy_id"),
        ("an empty rate",      empty_rate,
            "INVALID_FIELD key.exchange_rate.from_currency_code key.exchange_rate.to_currency_code key.exchange_rate.rate_on"),
        ("one currency",       rate_key("EUR", "EUR"),                      "INVALID_FIELD key.exchange_rate.to_currency_code"),
        ("settings: false",    of(Key::TenantSettings(false)),              "INVALID_FIELD key.tenant_settings"),
        ("fast: false",        under(Requirement::MinimizeLatency(false)),  "INVALID_FIELD consistency.minimize_latency"),
        ("full: false",        under(Requirement::FullyConsistent(false)),  "INVALID_FIELD consistency.fully_consistent"),
        ("no such partner",    of(Key::PartnerId(no_one())),                "RECORD_NOT_FOUND id=no-one kind=partner"),
        ("no such unit",       of(Key::OrgUnitId(no_one())),                "RECORD_NOT_FOUND id=no-one kind=org_unit"),
        ("no such employee",   of(Key::EmployeeId(no_one())),               "RECORD_NOT_FOUND id=no-one kind=employee"),
        ("no such lead",       of(Key::LeadId(no_one())),                   "RECORD_NOT_FOUND id=no-one kind=lead"),
        ("no such deal",       of(Key::DealId("never".into())),             "RECORD_NOT_FOUND id=never kind=deal"),
        ("no such channel",    of(Key::MarketingChannelId(no_one())),       "RECORD_NOT_FOUND id=no-one kind=marketing_channel"),
        ("no such spend",      of(Key::MarketingSpendId(no_one())),         "RECORD_NOT_FOUND id=no-one kind=marketing_spend"),
        ("no such target",     of(Key::TargetId(no_one())),                 "RECORD_NOT_FOUND id=no-one kind=target"),
        ("no such strategy",   of(Key::StrategyId(no_one())),               "RECORD_NOT_FOUND id=no-one kind=strategy"),
        ("no such rate",       rate_key("EUR", "USD"),                      "RECORD_NOT_FOUND id=EUR/USD/2024-03-01 kind=exchange_rate"),
    ], call).await;
}

async fn list_records(refusals: &mut Refusals, caller: &Caller) {
    let call = async |request| caller.clone().records.list_records(request).await.map(drop);
    let of = |record_kind| ListRecordsRequest { record_kind, ..ListRecordsRequest::default() };
    let deals = || of(RecordKind::Deal.into());
    let all_wrong = ListRecordsRequest {
        page_size: i32::MIN,
        consistency: demand(Requirement::FullyConsistent(false)),
        ..of(12)
    };
    #[rustfmt::skip]
    refusals.table(vec![
        ("no kind",            of(0),                                               "INVALID_FIELD record_kind"),
        ("an unknown kind",    of(12),                                              "INVALID_FIELD record_kind"),
        ("a negative size",    ListRecordsRequest { page_size: -1, ..deals() },     "INVALID_FIELD page_size"),
        ("all at once",        all_wrong,
            "INVALID_FIELD record_kind page_size consistency.fully_consistent"),
    ], call).await;
}

/// Windows that are refused wherever they are asked for, and the fields.
fn windows() -> Vec<(&'static str, Option<Window>, &'static str)> {
    let window = |window| Some(Window { window: Some(window) });
    let given = |start: &str, end: &str| Some(dates(start, end));
    #[rustfmt::skip]
    let table = vec![
        ("no window",           None,                                            "window"),
        ("an empty window",     Some(Window { window: None }),                   "window"),
        ("empty dates",         window(Asked::Dates(DateRange::default())),      "window.dates.start_on window.dates.end_on"),
        ("no day",              given("2024-03-01", "2024-03-01"),               "window.dates.end_on"),
        ("backwards",           given("2024-03-02", "2024-03-01"),               "window.dates.end_on"),
        ("no such day",         given("2024-03-32", "2024-04-31"),               "window.dates.start_on window.dates.end_on"),
        ("a year of no digits", given("0-01-01", "2024-01-01"),                  "window.dates.start_on"),
        ("before 1970",         given("1969-12-31", "2024-01-01"),               "window.dates.start_on"),
        ("after 2199",          given("2024-01-01", "2200-01-02"),               "window.dates.end_on"),
        ("0 days",              window(Asked::LastDays(0)),                      "window.last_days"),
        ("-1 days",             window(Asked::LastDays(-1)),                     "window.last_days"),
        ("too many days",       window(Asked::LastDays(36_501)),                 "window.last_days"),
        ("days before 1970",    window(Asked::LastDays(36_500)),                 "window"),
        ("no period",           window(Asked::Period(0)),                        "window.period"),
        ("an unknown period",   window(Asked::Period(19)),                       "window.period"),
    ];
    table
}

async fn get_scorecard(refusals: &mut Refusals, caller: &Caller) {
    let call = async |request| caller.clone().kpis.get_scorecard(request).await.map(drop);
    for (what, window, fields) in windows() {
        let request = GetScorecardRequest { window, ..march(partner("A")) };
        refusals.table(vec![(what, request, &format!("INVALID_FIELD {fields}"))], call).await;
    }
    let of = |subject| march(Subject { subject: Some(subject) });
    let sub_partners = |partner_id: &str| {
        of(Of::Partner(PartnerSubject { partner_id: partner_id.into(), include_sub_partners: true }))
    };
    let kpis = |kpis: &[i32]| GetScorecardRequest { kpis: kpis.to_vec(), ..march(partner("A")) };
    let count = Kpi::DealCount.into();
    let on = |year, month, day| GetScorecardRequest {
        as_of: Some(Date { year, month, day }),
        ..march(partner("A"))
    };
    let under = |requirement| GetScorecardRequest { consistency: demand(requirement), ..march(partner("A")) };
    let all_wrong =
        GetScorecardRequest { window: None, as_of: Some(Date::default()), kpis: vec![0], ..sub_partners("") };
    #[rustfmt::skip]
    refusals.table(vec![
        ("a partner without",   sub_partners(""),                            "INVALID_FIELD subject.partner.partner_id"),
        ("a long employee",     of(Of::EmployeeId(long())),                  "INVALID_FIELD subject.employee_id"),
        ("a unit in two lines", of(Of::UnitId("a\nb".into())),               "INVALID_FIELD subject.unit_id"),
        ("KPI 0",               kpis(&[0]),                                  "INVALID_FIELD kpis[0]"),
        ("KPIs to come",        kpis(&[count, 9, 99]),                       "INVALID_FIELD kpis[1] kpis[2]"),
        ("a KPI twice",         kpis(&[count, 1, count]),                    "INVALID_FIELD kpis[2]"),
        ("a month",             on(2024, 3, 0),                              "INVALID_FIELD as_of"),
        ("no day",              on(2024, 2, 30),                             "INVALID_FIELD as_of"),
        ("after 2199",          on(2200, 1, 1),                              "INVALID_FIELD as_of"),
        ("fast: false",         under(Requirement::MinimizeLatency(false)),  "INVALID_FIELD consistency.minimize_latency"),
        ("all at once",         all_wrong,
            "INVALID_FIELD subject.partner.partner_id window as_of kpis[0]"),
        ("no such partner",     march(partner("no-one")),                    "SUBJECT_NOT_FOUND id=no-one kind=partner"),
        ("with sub-partners",   sub_partners("no-one"),                      "SUBJECT_NOT_FOUND id=no-one kind=partner"),
        ("no such employee",    of(Of::EmployeeId("A".into())),              "SUBJECT_NOT_FOUND id=A kind=employee"),
        ("no such unit",        of(Of::UnitId("e1".into())),                 "SUBJECT_NOT_FOUND id=e1 kind=unit"),
    ], call).await;
}

fn units_in_march() -> ListScorecardsRequest {
    let GetScorecardRequest { window, as_of, .. } = march(Subject::default());
    let subject_kind = SubjectKind::Unit.into();
    ListScorecardsRequest { subject_kind, window, as_of, ..ListScorecardsRequest::default() }
}

async fn list_scorecards(refusals: &mut Refusals, caller: &Caller) {
    let call = async |request| caller.clone().kpis.list_scorecards(request).await.map(drop);
    for (what, window, fields) in windows() {
        let request = ListScorecardsRequest { window, ..units_in_march() };
        refusals.table(vec![(what, request, &format!("INVALID_FIELD {fields}"))], call).await;
    }
    let of = |subject_kind, include_sub_partners| ListScorecardsRequest {
        subject_kind,
        include_sub_partners,
        ..units_in_march()
    };
    let kpis = |kpis: &[i32]| ListScorecardsRequest { kpis: kpis.to_vec(), ..units_in_march() };
    let negative = ListScorecardsRequest { page_size: -1, ..units_in_march() };
    let partial = ListScorecardsRequest { as_of: Some(Date::default()), ..units_in_march() };
    let full = demand(Requirement::FullyConsistent(false));
    let half_consistent = ListScorecardsRequest { consistency: full, ..units_in_march() };
    let (employee, unit) = (SubjectKind::Employee.into(), SubjectKind::Unit.into());
    #[rustfmt::skip]
    refusals.table(vec![
        ("nothing",            ListScorecardsRequest::default(),    "INVALID_FIELD subject_kind window"),
        ("no kind",            of(0, false),                        "INVALID_FIELD subject_kind"),
        ("an unknown kind",    of(4, false),                        "INVALID_FIELD subject_kind"),
        ("units with subs",    of(unit, true),                      "INVALID_FIELD include_sub_partners"),
        ("employees likewise", of(employee, true),                  "INVALID_FIELD include_sub_partners"),
        ("KPI 0",              kpis(&[0]),                          "INVALID_FIELD kpis[0]"),
        ("a KPI twice",        kpis(&[1, 1]),                       "INVALID_FIELD kpis[1]"),
        ("a negative size",    negative,                            "INVALID_FIELD page_size"),
        ("a day of nothing",   partial,                             "INVALID_FIELD as_of"),
        ("full: false",        half_consistent,                     "INVALID_FIELD consistency.fully_consistent"),
    ], call).await;
}

async fn pipeline(refusals: &mut Refusals, caller: &Caller) {
    let call = async |request| caller.clone().kpis.get_pipeline(request).await.map(drop);
    let day = |day| Some(Date { year: 2024, month: 3, day });
    let of = |subject| GetPipelineRequest { subject: Some(subject), ..GetPipelineRequest::default() };
    let expiring = |days| GetPipelineRequest { expiring_days: Some(days), ..of(partner("A")) };
    let since_later = GetPipelineRequest { as_of: day(15), since: day(16), ..of(partner("A")) };
    let all_wrong =
        GetPipelineRequest { as_of: day(0), since: day(32), expiring_days: Some(-1), ..of(partner("")) };
    let all_wrong = GetPipelineRequest { stages: Some(Terms::default()), ..all_wrong };
    let stages = |values: &[&str], include_none| {
        let values = values.iter().map(|value| value.to_string()).collect();
        GetPipelineRequest { stages: Some(Terms { values, include_none }), ..of(partner("A")) }
    };
    let many: Vec<String> = (0..1_001).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let false_demand = demand(Requirement::FullyConsistent(false));
    let half_consistent = GetPipelineRequest { consistency: false_demand, ..of(partner("A")) };
    #[rustfmt::skip]
    refusals.table(vec![
        ("no days",             expiring(0),             "INVALID_FIELD expiring_days"),
        ("too many days",       expiring(36_501),        "INVALID_FIELD expiring_days"),
        ("since a later day",   since_later,             "INVALID_FIELD since"),
        ("stages of nothing",   stages(&[], false),      "INVALID_FIELD stages"),
        ("an empty stage",      stages(&["offer", ""], true), "INVALID_FIELD stages.values[1]"),
        ("a stage twice",       stages(&["a", "b", "a"], false), "INVALID_FIELD stages.values[2]"),
        ("a stage of controls", stages(&["a\nb"], false), "INVALID_FIELD stages.values[0]"),
        ("1,001 stages",        stages(&many, false),    "INVALID_FIELD stages.values"),
        ("full: false",         half_consistent,         "INVALID_FIELD consistency.fully_consistent"),
        ("all at once",         all_wrong,
            "INVALID_FIELD subject.partner.partner_id as_of since expiring_days stages"),
        ("no such partner",     of(partner("no-one")),   "SUBJECT_NOT_FOUND id=no-one kind=partner"),
    ], call).await;
}

async fn marketing(refusals: &mut Refusals, caller: &Caller) {
    let call = async |request| caller.clone().kpis.get_marketing_performance(request).await.map(drop);
    let of = |subject: Subject| {
        let GetScorecardRequest { subject, window, as_of, .. } = march(subject);
        GetMarketingPerformanceRequest { subject, window, as_of, ..GetMarketingPerformanceRequest::default() }
    };
    let within = |window| GetMarketingPerformanceRequest { window, ..of(partner("A")) };
    let on_basis = |basis| GetMarketingPerformanceRequest { basis, ..of(partner("A")) };
    let last_days = |days| Some(Window { window: Some(Asked::LastDays(days)) });
    let nothing_asked = Filter { marketing_channel_ids: Some(Terms::default()), ..Filter::default() };
    let not_previous = Some(Comparison { comparison: Some(Against::Previous(false)) });
    let compared_falsely = GetMarketingPerformanceRequest { comparison: not_previous, ..of(partner("A")) };
    let premises = Some(Premises { filter: Some(nothing_asked), ..Premises::default() });
    let of_nothing = GetMarketingPerformanceRequest { premises, ..of(partner("A")) };
    let false_demand = demand(Requirement::FullyConsistent(false));
    let half_consistent = GetMarketingPerformanceRequest { consistency: false_demand, ..of(partner("A")) };
    let all_wrong = GetMarketingPerformanceRequest {
        window: None,
        as_of: Some(Date { year: 2024, month: 3, day: 0 }),
        basis: -1,
        ..of(partner(""))
    };
    #[rustfmt::skip]
    refusals.table(vec![
        ("no window",           within(None),            "INVALID_FIELD window"),
        ("an empty window",     within(Some(Window { window: None })), "INVALID_FIELD window"),
        ("before 1970",         within(last_days(36_500)), "INVALID_FIELD window"),
        ("an unknown basis",    on_basis(3),             "INVALID_FIELD basis"),
        ("an empty filter",     of_nothing,              "INVALID_FIELD premises.filter.marketing_channel_ids"),
        ("previous: false",     compared_falsely,        "INVALID_FIELD comparison.previous"),
        ("full: false",         half_consistent,         "INVALID_FIELD consistency.fully_consistent"),
        ("all at once",         all_wrong,
            "INVALID_FIELD subject.partner.partner_id window as_of basis"),
        ("no such partner",     of(partner("no-one")),   "SUBJECT_NOT_FOUND id=no-one kind=partner"),
    ], call).await;
}

/// The records behind a figure of March.
fn behind(figure: FigureKind) -> ListContributingRecordsRequest {
    let GetScorecardRequest { window, as_of, .. } = march(Subject::default());
    ListContributingRecordsRequest { figure_kind: figure.into(), window, as_of, ..Default::default() }
}

async fn contributing(refusals: &mut Refusals, caller: &Caller) {
    type Asked = ListContributingRecordsRequest;
    let call = async |request| caller.clone().kpis.list_contributing_records(request).await.map(drop);
    for (what, window, fields) in windows() {
        let request = Asked { window, ..behind(FigureKind::Won) };
        refusals.table(vec![(what, request, &format!("INVALID_FIELD {fields}"))], call).await;
    }
    let won = || behind(FigureKind::Won);
    let figure = |figure_kind| Asked { figure_kind, ..won() };
    let of = |subject| Asked { subject: Some(subject), ..won() };
    let under = |filter, figure| {
        let premises = Some(Premises { filter: Some(filter), ..Premises::default() });
        Asked { premises, ..behind(figure) }
    };
    let boots = || Some(Terms { values: vec!["boots".into()], include_none: false });
    let of_boots = |figure| under(Filter { products: boots(), ..Filter::default() }, figure);
    let no_region = Filter { regions: Some(Terms::default()), ..Filter::default() };
    let half_consistent = Asked { consistency: demand(Requirement::FullyConsistent(false)), ..won() };
    let all_wrong = Asked {
        as_of: Some(Date::default()),
        page_size: -1,
        figure_kind: 0,
        window: None,
        ..of(partner(""))
    };
    let wrong_window = Asked { window: Some(Window { window: None }), ..figure(99) };
    #[rustfmt::skip]
    refusals.table(vec![
        ("nothing",               Asked::default(),                     "INVALID_FIELD figure_kind"),
        ("no figure",             figure(0),                            "INVALID_FIELD figure_kind"),
        ("a figure to come",      figure(14),                           "INVALID_FIELD figure_kind"),
        ("and no window",         wrong_window,                         "INVALID_FIELD figure_kind window"),
        ("open in a window",      behind(FigureKind::Open),             "INVALID_FIELD window"),
        ("a negative size",       Asked { page_size: -1, ..won() },     "INVALID_FIELD page_size"),
        ("no day",                Asked { as_of: Some(Date { year: 2024, month: 2, day: 30 }), ..won() },
            "INVALID_FIELD as_of"),
        ("leads with a product",  of_boots(FigureKind::LeadsCreated),   "INVALID_FIELD figure_kind"),
        ("likewise",              of_boots(FigureKind::LeadsConverted), "INVALID_FIELD figure_kind"),
        ("an empty filter",       under(no_region, FigureKind::Won),    "INVALID_FIELD premises.filter.regions"),
        ("full: false",           half_consistent,                      "INVALID_FIELD consistency.fully_consistent"),
        ("all at once",           all_wrong,
            "INVALID_FIELD subject.partner.partner_id figure_kind as_of page_size"),
        ("no such partner",       of(partner("no-one")),                "SUBJECT_NOT_FOUND id=no-one kind=partner"),
        ("prospects of a product", of_boots(FigureKind::Prospects),     "OK"),
    ], call).await;
}

async fn quality(refusals: &mut Refusals, caller: &Caller) {
    let call = async |request| caller.clone().kpis.get_data_quality(request).await.map(drop);
    let in_march = || {
        let GetScorecardRequest { window, as_of, .. } = march(Subject::default());
        GetDataQualityRequest { window, as_of, include_ids: true, ..GetDataQualityRequest::default() }
    };
    for (what, window, fields) in windows() {
        let request = GetDataQualityRequest { window, ..in_march() };
        refusals.table(vec![(what, request, &format!("INVALID_FIELD {fields}"))], call).await;
    }
    let of = |subject| GetDataQualityRequest { subject: Some(subject), ..in_march() };
    let role = Some(Premises { credit_roles: vec![9], ..Premises::default() });
    let unknown_role = GetDataQualityRequest { premises: role, ..in_march() };
    let false_demand = demand(Requirement::MinimizeLatency(false));
    let half_consistent = GetDataQualityRequest { consistency: false_demand, ..in_march() };
    let all_wrong = GetDataQualityRequest { as_of: Some(Date::default()), window: None, ..of(partner("")) };
    #[rustfmt::skip]
    refusals.table(vec![
        ("nothing",         GetDataQualityRequest::default(), "INVALID_FIELD window"),
        ("an unknown role", unknown_role,                     "INVALID_FIELD premises.credit_roles[0]"),
        ("fast: false",     half_consistent,                  "INVALID_FIELD consistency.minimize_latency"),
        ("all at once",     all_wrong,                        "INVALID_FIELD subject.partner.partner_id window as_of"),
        ("no such partner", of(partner("no-one")),            "SUBJECT_NOT_FOUND id=no-one kind=partner"),
    ], call).await;
}

async fn series(refusals: &mut Refusals, caller: &Caller) {
    let call = async |request| caller.clone().kpis.get_series(request).await.map(drop);
    let GetScorecardRequest { subject, window, as_of, .. } = march(partner("A"));
    let by_day = GetSeriesRequest {
        subject,
        window,
        as_of,
        bucket: Bucket::Day.into(),
        ..GetSeriesRequest::default()
    };
    for (what, window, fields) in windows() {
        let request = GetSeriesRequest { window, ..by_day.clone() };
        refusals.table(vec![(what, request, &format!("INVALID_FIELD {fields}"))], call).await;
    }
    let bucket = |bucket| GetSeriesRequest { bucket, ..by_day.clone() };
    let kpis = |kpis: &[i32]| GetSeriesRequest { kpis: kpis.to_vec(), ..by_day.clone() };
    let of = |partner_id| GetSeriesRequest { subject: Some(partner(partner_id)), ..by_day.clone() };
    let years = GetSeriesRequest { window: Some(dates("2021-07-05", "2025-01-01")), ..by_day.clone() };
    let no_day = GetSeriesRequest { as_of: Some(Date::default()), ..by_day.clone() };
    let half_consistent = demand(Requirement::FullyConsistent(false));
    let half_consistent = GetSeriesRequest { consistency: half_consistent, ..by_day.clone() };
    let exchange = Some(Exchange { policy: 4, fixed_on: None });
    let premises = Some(Premises { exchange, ..Premises::default() });
    let dear = GetSeriesRequest { premises, ..by_day.clone() };
    let all_wrong =
        GetSeriesRequest { window: None, bucket: 0, as_of: Some(Date::default()), kpis: vec![0], ..of("") };
    #[rustfmt::skip]
    refusals.table(vec![
        ("no bucket",           bucket(0),               "INVALID_FIELD bucket"),
        ("an unknown bucket",   bucket(8),               "INVALID_FIELD bucket"),
        ("KPI 0",               kpis(&[0]),              "INVALID_FIELD kpis[0]"),
        ("a KPI twice",         kpis(&[1, 2, 1]),        "INVALID_FIELD kpis[2]"),
        ("a day of nothing",    no_day,                  "INVALID_FIELD as_of"),
        ("an unknown exchange", dear,                    "INVALID_FIELD premises.exchange.policy"),
        ("full: false",         half_consistent,         "INVALID_FIELD consistency.fully_consistent"),
        ("all at once",         all_wrong,
            "INVALID_FIELD subject.partner.partner_id window bucket as_of kpis[0]"),
        ("1,001 days",          years,                   "TOO_MANY_ITEMS allowed=1000 given=1001 bucket"),
        ("no such partner",     of("no-one"),            "SUBJECT_NOT_FOUND id=no-one kind=partner"),
    ], call).await;
}

async fn explanations(refusals: &mut Refusals, caller: &Caller) {
    let call = async |request| caller.clone().analysis.explain_change(request).await.map(drop);
    let GetScorecardRequest { subject, window, as_of, .. } = march(partner("A"));
    let by_region = ExplainChangeRequest {
        subject,
        window,
        as_of,
        explained_figure: ExplainedFigure::DealSuccess.into(),
        dimension: Dimension::Region.into(),
        ..ExplainChangeRequest::default()
    };
    for (what, window, fields) in windows() {
        let request = ExplainChangeRequest { window, ..by_region.clone() };
        refusals.table(vec![(what, request, &format!("INVALID_FIELD {fields}"))], call).await;
    }
    let of_figure = |explained_figure| ExplainChangeRequest { explained_figure, ..by_region.clone() };
    let by = |dimension: i32| ExplainChangeRequest { dimension, ..by_region.clone() };
    let of = |partner_id| ExplainChangeRequest { subject: Some(partner(partner_id)), ..by_region.clone() };
    let no_day = ExplainChangeRequest { as_of: Some(Date::default()), ..by_region.clone() };
    let few = ExplainChangeRequest { member_limit: -1, ..by_region.clone() };
    let against = Some(Comparison { comparison: Some(Against::Previous(false)) });
    let against = ExplainChangeRequest { comparison: against, ..by_region.clone() };
    let role = Some(Premises { credit_roles: vec![9], ..Premises::default() });
    let unknown_role = ExplainChangeRequest { premises: role, ..by_region.clone() };
    let half_consistent = demand(Requirement::FullyConsistent(false));
    let half_consistent = ExplainChangeRequest { consistency: half_consistent, ..by_region.clone() };
    let all_wrong = ExplainChangeRequest {
        window: None,
        as_of: Some(Date::default()),
        explained_figure: 0,
        member_limit: -1,
        ..of("")
    };
    #[rustfmt::skip]
    refusals.table(vec![
        ("no figure",            of_figure(0),    "INVALID_FIELD explained_figure"),
        ("an unknown figure",    of_figure(5),    "INVALID_FIELD explained_figure"),
        ("a product by regions", of_figure(1),    "INVALID_FIELD dimension"),
        ("a rate by nothing",    by(0),           "INVALID_FIELD dimension"),
        ("a rate by products",   by(Dimension::Product.into()), "INVALID_FIELD dimension"),
        ("an unknown dimension", by(99),          "INVALID_FIELD dimension"),
        ("less than no member",  few,             "INVALID_FIELD member_limit"),
        ("previous: false",      against,         "INVALID_FIELD comparison.previous"),
        ("a day of nothing",     no_day,          "INVALID_FIELD as_of"),
        ("an unknown role",      unknown_role,    "INVALID_FIELD premises.credit_roles[0]"),
        ("full: false",          half_consistent, "INVALID_FIELD consistency.fully_consistent"),
        ("all at once",          all_wrong,
            "INVALID_FIELD subject.partner.partner_id explained_figure window as_of member_limit"),
        ("no such partner",      of("no-one"),    "SUBJECT_NOT_FOUND id=no-one kind=partner"),
    ], call).await;
}

async fn strategies(refusals: &mut Refusals, caller: &Caller) {
    let call = async |request| caller.clone().analysis.evaluate_strategy(request).await.map(drop);
    let academy = EvaluateStrategyRequest {
        strategy_id: "academy".into(),
        kpi: Kpi::CloseRate.into(),
        ..EvaluateStrategyRequest::default()
    };
    let by = |kpi: i32| EvaluateStrategyRequest { kpi, ..academy.clone() };
    let of = |days| EvaluateStrategyRequest { days: Some(days), ..academy.clone() };
    let no_day = EvaluateStrategyRequest { as_of: Some(Date::default()), ..academy.clone() };
    let role = Some(Premises { credit_roles: vec![9], ..Premises::default() });
    let unknown_role = EvaluateStrategyRequest { premises: role, ..academy.clone() };
    let half_consistent = demand(Requirement::FullyConsistent(false));
    let half_consistent = EvaluateStrategyRequest { consistency: half_consistent, ..academy.clone() };
    let all_wrong = EvaluateStrategyRequest {
        days: Some(-1),
        as_of: Some(Date::default()),
        ..EvaluateStrategyRequest::default()
    };
    #[rustfmt::skip]
    refusals.table(vec![
        ("no KPI",             by(0),           "INVALID_FIELD kpi"),
        ("an unknown KPI",     by(9),           "INVALID_FIELD kpi"),
        ("the pipeline",       by(Kpi::OpportunityPipeline.into()), "INVALID_FIELD kpi"),
        ("no days",            of(0),           "INVALID_FIELD days"),
        ("ten years and more", of(3_651),       "INVALID_FIELD days"),
        ("a day of nothing",   no_day,          "INVALID_FIELD as_of"),
        ("an unknown role",    unknown_role,    "INVALID_FIELD premises.credit_roles[0]"),
        ("full: false",        half_consistent, "INVALID_FIELD consistency.fully_consistent"),
        ("all at once",        all_wrong,       "INVALID_FIELD strategy_id kpi days as_of"),
        ("no such strategy",   academy,         "STRATEGY_NOT_FOUND id=academy kind=strategy"),
    ], call).await;
}

async fn restatements(refusals: &mut Refusals, caller: &Caller) {
    let call = async |request| caller.clone().analysis.compare_knowledge(request).await.map(drop);
    let GetScorecardRequest { subject, window, as_of, .. } = march(partner("A"));
    let knew = |known_at, received_by| Some(Knowledge { known_at, received_by });
    let (april, may) = (at("2024-04-05T00:00:00Z"), at("2024-05-05T00:00:00Z"));
    let since_april = CompareKnowledgeRequest {
        subject,
        window,
        as_of,
        earlier: knew(april, None),
        ..CompareKnowledgeRequest::default()
    };
    for (what, window, fields) in windows() {
        let request = CompareKnowledgeRequest { window, ..since_april.clone() };
        refusals.table(vec![(what, request, &format!("INVALID_FIELD {fields}"))], call).await;
    }
    let between = |earlier, later| CompareKnowledgeRequest { earlier, later, ..since_april.clone() };
    let of = |id| CompareKnowledgeRequest { subject: Some(partner(id)), ..since_april.clone() };
    let kpis = |kpis: &[i32]| CompareKnowledgeRequest { kpis: kpis.to_vec(), ..since_april.clone() };
    let resting_on = |premises| CompareKnowledgeRequest { premises: Some(premises), ..since_april.clone() };
    let few = CompareKnowledgeRequest { record_limit: -1, ..since_april.clone() };
    let no_instant = Some(Timestamp { seconds: 0, nanos: -1 });
    let known = Premises { known_at: april, received_by: may, ..Premises::default() };
    let role = Premises { credit_roles: vec![9], ..Premises::default() };
    let no_day = CompareKnowledgeRequest { as_of: Some(Date::default()), ..since_april.clone() };
    let half_consistent = demand(Requirement::FullyConsistent(false));
    let half_consistent = CompareKnowledgeRequest { consistency: half_consistent, ..since_april.clone() };
    let all_wrong = CompareKnowledgeRequest {
        window: None,
        as_of: Some(Date::default()),
        kpis: vec![0],
        earlier: None,
        record_limit: -1,
        ..of("")
    };
    #[rustfmt::skip]
    refusals.table(vec![
        ("nothing earlier",       between(None, None),                       "INVALID_FIELD earlier"),
        ("an empty earlier",      between(knew(None, None), None),           "INVALID_FIELD earlier"),
        ("the same twice",        between(knew(april, may), knew(april, may)), "INVALID_FIELD later"),
        ("reversed",              between(knew(may, None), knew(april, None)), "INVALID_FIELD earlier.known_at"),
        ("reversed by receipt",   between(knew(april, may), knew(may, april)), "INVALID_FIELD earlier.received_by"),
        ("both reversed",         between(knew(may, may), knew(april, april)),
            "INVALID_FIELD earlier.known_at earlier.received_by"),
        ("told apart by nothing", between(knew(april, None), knew(None, may)), "INVALID_FIELD earlier.received_by"),
        ("no instant",            between(knew(no_instant, None), knew(None, no_instant)),
            "INVALID_FIELD earlier.known_at later.received_by"),
        ("known twice",           resting_on(known),
            "INVALID_FIELD premises.known_at premises.received_by"),
        ("an unknown role",       resting_on(role),                          "INVALID_FIELD premises.credit_roles[0]"),
        ("KPI 0",                 kpis(&[0]),                                "INVALID_FIELD kpis[0]"),
        ("a KPI twice",           kpis(&[1, 1]),                             "INVALID_FIELD kpis[1]"),
        ("less than no record",   few,                                       "INVALID_FIELD record_limit"),
        ("a day of nothing",      no_day,                                    "INVALID_FIELD as_of"),
        ("full: false",           half_consistent, "INVALID_FIELD consistency.fully_consistent"),
        ("all at once",           all_wrong,
            "INVALID_FIELD subject.partner.partner_id kpis[0] window as_of earlier record_limit"),
        ("no such partner",       of("no-one"), "SUBJECT_NOT_FOUND id=no-one kind=partner"),
    ], call).await;
}

async fn tenants(refusals: &mut Refusals, caller: &Caller) {
    let create = async |request| caller.clone().admin.create_tenant(request).await.map(drop);
    let configure = async |request: CreateTenantRequest| {
        let CreateTenantRequest { tenant_id, settings } = request;
        let request = ConfigureTenantRequest { tenant_id, settings };
        caller.clone().admin.configure_tenant(request).await.map(drop)
    };
    let get =
        async |tenant_id| caller.clone().admin.get_tenant(GetTenantRequest { tenant_id }).await.map(drop);
    let delete = async |tenant_id| {
        caller.clone().admin.delete_tenant(DeleteTenantRequest { tenant_id }).await.map(drop)
    };
    for (what, tenant_id) in [
        ("no id", String::new()),
        ("a long id", long()),
        ("a control character", "a\0".into()),
        ("not for metadata", "কোম্পানি".into()),
        ("a space before", " a".into()),
        ("a space after", "a ".into()),
    ] {
        let request = || CreateTenantRequest { tenant_id: tenant_id.clone(), settings: Some(settings()) };
        refusals.table(vec![(what, request(), "INVALID_FIELD tenant_id")], create).await;
        refusals.table(vec![(what, request(), "INVALID_FIELD tenant_id")], configure).await;
        refusals.table(vec![(what, tenant_id.clone(), "INVALID_FIELD tenant_id")], get).await;
        refusals.table(vec![(what, tenant_id.clone(), "INVALID_FIELD tenant_id")], delete).await;
    }

    let stages = |stages: &[(&str, i32)]| {
        let stage = |&(stage, probability_bps): &(&str, i32)| StageProbability {
            stage: stage.into(),
            probability_bps,
        };
        TenantSettings { stage_probabilities: stages.iter().map(stage).collect(), ..settings() }
    };
    let many_stages =
        TenantSettings { stage_probabilities: vec![StageProbability::default(); 101], ..settings() };
    let low = Thresholds {
        coverage_percent: Some(0),
        expiring_days: Some(0),
        slow_stage_percent: Some(100),
        replace_percent: Some(0),
        replace_sample_min: Some(0),
        sample_min: Some(0),
        channel_leads_min: Some(0),
        peers_min: Some(1),
        significance_bps: Some(0),
        stale_days: Some(0),
    };
    let high = Thresholds {
        coverage_percent: Some(10_001),
        expiring_days: Some(3_651),
        slow_stage_percent: Some(10_001),
        replace_percent: Some(101),
        replace_sample_min: Some(1_000_001),
        sample_min: Some(1_000_001),
        channel_leads_min: Some(1_000_001),
        peers_min: Some(1_000_001),
        significance_bps: Some(5_001),
        stale_days: Some(3_651),
    };
    let thresholds = |thresholds| TenantSettings { thresholds: Some(thresholds), ..settings() };
    let every_threshold = "settings.thresholds.coverage_percent settings.thresholds.expiring_days \
        settings.thresholds.slow_stage_percent settings.thresholds.replace_percent \
        settings.thresholds.replace_sample_min settings.thresholds.sample_min \
        settings.thresholds.channel_leads_min settings.thresholds.peers_min \
        settings.thresholds.significance_bps settings.thresholds.stale_days";
    let currency = |code: &str| TenantSettings { reporting_currency_code: code.into(), ..settings() };
    let zone = |zone: &str| TenantSettings { time_zone: zone.into(), ..settings() };
    let fiscal = |month| TenantSettings { fiscal_year_start_month: Some(month), ..settings() };
    let limit = |days| TenantSettings { opportunity_time_limit_days: Some(days), ..settings() };
    let nothing = TenantSettings::default();
    #[rustfmt::skip]
    let table = [
        ("empty settings",       nothing,                              "settings.reporting_currency_code settings.time_zone"),
        ("an unknown currency",  currency("USX"),                      "settings.reporting_currency_code"),
        ("an unknown zone",      zone("Asia/Dacca City"),              "settings.time_zone"),
        ("an offset",            zone("+06:00"),                       "settings.time_zone"),
        ("month 0",              fiscal(0),                            "settings.fiscal_year_start_month"),
        ("month 13",             fiscal(13),                           "settings.fiscal_year_start_month"),
        ("the eighth day",       TenantSettings { week_start: 8, ..settings() }, "settings.week_start"),
        ("0 days",               limit(0),                             "settings.opportunity_time_limit_days"),
        ("a century of days",    limit(36_501),                        "settings.opportunity_time_limit_days"),
        ("101 stages",           many_stages,                          "settings.stage_probabilities"),
        ("a stage of no name",   stages(&[("", 1)]),                   "settings.stage_probabilities[0].stage"),
        ("beyond the whole",     stages(&[("a", 1), ("b", 10_001)]),   "settings.stage_probabilities[1].probability_bps"),
        ("a stage twice",        stages(&[("a", 1), ("a", 2)]),        "settings.stage_probabilities[1]"),
        ("low thresholds",       thresholds(low),                      every_threshold),
        ("high thresholds",      thresholds(high),                     every_threshold),
    ];
    for (what, settings, fields) in table {
        let request = |tenant_id: &str| CreateTenantRequest {
            tenant_id: tenant_id.into(),
            settings: Some(settings.clone()),
        };
        let expected = format!("INVALID_FIELD {fields}");
        refusals.table(vec![(what, request("new"), &expected)], create).await;
        refusals.table(vec![(what, request("example"), &expected)], configure).await;
    }
    let of = |tenant_id: &str, settings| CreateTenantRequest { tenant_id: tenant_id.into(), settings };
    refusals
        .table(
            vec![
                ("nothing", of("", None), "INVALID_FIELD tenant_id settings"),
                ("no settings", of("new", None), "INVALID_FIELD settings"),
                ("other settings", of("example", Some(currency("EUR"))), "TENANT_EXISTS tenant_id=example"),
            ],
            create,
        )
        .await;
    refusals
        .table(
            vec![
                ("nothing", of("", None), "INVALID_FIELD tenant_id settings"),
                ("no settings", of("example", None), "INVALID_FIELD settings"),
                ("unknown", of("new", Some(settings())), "TENANT_DENIED tenant_id=new"),
            ],
            configure,
        )
        .await;
    refusals.table(vec![("unknown", "new".into(), "TENANT_DENIED tenant_id=new")], get).await;
}

/// Tokens that are damaged, of another kind, list, tenant or store.
async fn tokens(refusals: &mut Refusals, sidecar: &Sidecar, caller: &mut Caller) {
    let elsewhere = Sidecar::start().await;
    let mut tokens = Vec::new();
    for owner in [
        caller.clone(),
        sidecar.tenant("other", settings()).await,
        elsewhere.tenant("example", settings()).await,
    ] {
        tokens.push(tokens_of(owner).await);
    }
    elsewhere.stop().await;
    let [ours, of_other_tenant, of_other_store] = &tokens[..] else { panic!("three owners have tokens") };
    let damaged = |token: &str| {
        let other = if token[9..].starts_with('A') { "B" } else { "A" };
        format!("{}{other}{}", &token[..9], &token[10..])
    };

    let revisions = [
        ("an empty token", String::new(), "REVISION_TOKEN_INVALID"),
        ("no token", "¬".into(), "REVISION_TOKEN_INVALID"),
        ("a damaged token", damaged(&ours.revision), "REVISION_TOKEN_INVALID"),
        ("a token cut short", ours.revision[..9].into(), "REVISION_TOKEN_INVALID"),
        ("a long token", "A".repeat(1_000_000), "REVISION_TOKEN_INVALID"),
        ("a page token", ours.deals.clone(), "REVISION_TOKEN_INVALID"),
        ("of another tenant", of_other_tenant.revision.clone(), "REVISION_TOKEN_MISMATCH"),
        ("of another store", of_other_store.revision.clone(), "STORE_MISMATCH"),
    ];
    for (what, token, expected) in revisions {
        let consistency = || demand(Requirement::AtLeastAsFresh(token.clone()));
        let key = Some(RecordKey { key: Some(Key::DealId("d1".into())) });
        let get = GetRecordRequest { key, consistency: consistency() };
        refusals.one(what, caller.records.get_record(get).await.map(drop), expected);
        let list = ListRecordsRequest { consistency: consistency(), ..list_deals() };
        refusals.one(what, caller.records.list_records(list).await.map(drop), expected);
        let get = GetScorecardRequest { consistency: consistency(), ..march(partner("A")) };
        refusals.one(what, caller.kpis.get_scorecard(get).await.map(drop), expected);
        let list = ListScorecardsRequest { consistency: consistency(), ..units_in_march() };
        refusals.one(what, caller.kpis.list_scorecards(list).await.map(drop), expected);
        let list = ListContributingRecordsRequest { consistency: consistency(), ..behind(FigureKind::Won) };
        refusals.one(what, caller.kpis.list_contributing_records(list).await.map(drop), expected);
        let get = GetDataQualityRequest {
            window: behind(FigureKind::Won).window,
            consistency: consistency(),
            ..GetDataQualityRequest::default()
        };
        refusals.one(what, caller.kpis.get_data_quality(get).await.map(drop), expected);
    }

    let common = [
        ("no token", "¬".to_owned(), "PAGE_TOKEN_INVALID"),
        ("a damaged token", damaged(&ours.deals), "PAGE_TOKEN_INVALID"),
        ("a token cut short", ours.deals[..9].into(), "PAGE_TOKEN_INVALID"),
        ("a revision token", ours.revision.clone(), "PAGE_TOKEN_INVALID"),
        ("of another tenant", of_other_tenant.deals.clone(), "PAGE_TOKEN_MISMATCH"),
        ("of another store", of_other_store.deals.clone(), "STORE_MISMATCH"),
    ];
    for (what, page_token, expected) in common {
        let list = ListRecordsRequest { page_token: page_token.clone(), ..list_deals() };
        refusals.one(what, caller.records.list_records(list).await.map(drop), expected);
        let list = ListScorecardsRequest { page_token: page_token.clone(), ..units_in_march() };
        refusals.one(what, caller.kpis.list_scorecards(list).await.map(drop), expected);
        let list = ListContributingRecordsRequest { page_token, ..behind(FigureKind::Won) };
        refusals.one(what, caller.kpis.list_contributing_records(list).await.map(drop), expected);
    }
    let deals = || ListRecordsRequest { page_token: ours.deals.clone(), ..list_deals() };
    let units = || ListScorecardsRequest { page_token: ours.units.clone(), ..units_in_march() };
    let leads = RecordKind::Lead.into();
    let list = async |request| caller.clone().records.list_records(request).await.map(drop);
    #[rustfmt::skip]
    refusals.table(vec![
        ("of the other list", ListRecordsRequest { page_token: ours.units.clone(), ..deals() },    "PAGE_TOKEN_MISMATCH"),
        ("of another kind",   ListRecordsRequest { record_kind: leads, ..deals() },                "PAGE_TOKEN_MISMATCH"),
        ("with the deleted",  ListRecordsRequest { include_deleted: true, ..deals() },             "PAGE_TOKEN_MISMATCH"),
    ], list).await;
    let employees = SubjectKind::Employee.into();
    let april = Some(dates("2024-04-01", "2024-05-01"));
    let list = async |request| caller.clone().kpis.list_scorecards(request).await.map(drop);
    #[rustfmt::skip]
    refusals.table(vec![
        ("of the other list", ListScorecardsRequest { page_token: ours.deals.clone(), ..units() }, "PAGE_TOKEN_MISMATCH"),
        ("of another kind",   ListScorecardsRequest { subject_kind: employees, ..units() },        "PAGE_TOKEN_MISMATCH"),
        ("another window",    ListScorecardsRequest { window: april, ..units() },                  "PAGE_TOKEN_MISMATCH"),
        ("another day",       ListScorecardsRequest { as_of: date("2024-03-30"), ..units() },      "PAGE_TOKEN_MISMATCH"),
        ("other KPIs",        ListScorecardsRequest { kpis: vec![1], ..units() },                  "PAGE_TOKEN_MISMATCH"),
    ], list).await;
    let april = Some(dates("2024-04-01", "2024-05-01"));
    let page_token = ours.missed.clone();
    let missed =
        || ListContributingRecordsRequest { page_token: page_token.clone(), ..behind(FigureKind::Missed) };
    let list = async |request| caller.clone().kpis.list_contributing_records(request).await.map(drop);
    let at_rates_of_the_end = Some(Premises {
        exchange: Some(Exchange { policy: ExchangePolicy::WindowEnd.into(), fixed_on: None }),
        ..Premises::default()
    });
    let lost = FigureKind::Lost.into();
    #[rustfmt::skip]
    refusals.table(vec![
        ("of the other list", ListContributingRecordsRequest { page_token: ours.deals.clone(), ..missed() },    "PAGE_TOKEN_MISMATCH"),
        ("another figure",    ListContributingRecordsRequest { figure_kind: lost, ..missed() },                 "PAGE_TOKEN_MISMATCH"),
        ("another subject",   ListContributingRecordsRequest { subject: Some(partner("A")), ..missed() },       "PAGE_TOKEN_MISMATCH"),
        ("another window",    ListContributingRecordsRequest { window: april, ..missed() },                     "PAGE_TOKEN_MISMATCH"),
        ("another day",       ListContributingRecordsRequest { as_of: date("2024-03-30"), ..missed() },         "PAGE_TOKEN_MISMATCH"),
        ("other rates",       ListContributingRecordsRequest { premises: at_rates_of_the_end, ..missed() },     "PAGE_TOKEN_MISMATCH"),
        ("another size",      ListContributingRecordsRequest { page_size: 7, ..missed() },                      "OK"),
    ], list).await;
}

struct Tokens {
    revision: String,
    /// Of a list of deals.
    deals: String,
    /// Of a list of units' scorecards.
    units: String,
    /// Of the list of missed deals.
    missed: String,
}

fn list_deals() -> ListRecordsRequest {
    ListRecordsRequest { record_kind: RecordKind::Deal.into(), page_size: 1, ..ListRecordsRequest::default() }
}

async fn tokens_of(mut caller: Caller) -> Tokens {
    let revision = caller.write(records()).await;
    let deals = caller.records.list_records(list_deals()).await.expect("it is valid").into_inner();
    let units = ListScorecardsRequest { page_size: 1, ..units_in_march() };
    let units = caller.kpis.list_scorecards(units).await.expect("it is valid").into_inner();
    let missed = ListContributingRecordsRequest { page_size: 1, ..behind(FigureKind::Missed) };
    let missed = caller.kpis.list_contributing_records(missed).await.expect("it is valid").into_inner();
    let [deals, units, missed] = [deals.next_page_token, units.next_page_token, missed.next_page_token];
    Tokens { revision, deals, units, missed }
}

/// Tenants that aren't there, and headers that name none: for every RPC that a tenant is selected for.
async fn whose(refusals: &mut Refusals, sidecar: &Sidecar) {
    for (tenant_id, expected) in [
        ("nobody", "TENANT_DENIED tenant_id=nobody"),
        ("default", "TENANT_DENIED tenant_id=default"),
        ("", "INVALID_FIELD ckpi-tenant"),
        (&long(), "INVALID_FIELD ckpi-tenant"),
    ] {
        let mut caller = sidecar.caller(tenant_id).await;
        let what = &format!("ckpi-tenant {tenant_id:?}");
        let key = Some(RecordKey { key: Some(Key::DealId("d1".into())) });
        let get = GetRecordRequest { key, consistency: None };
        let write = WriteRecordsRequest { records: records(), mode: 0 };
        refusals.one(what, caller.records.write_records(write).await.map(drop), expected);
        refusals.one(what, caller.records.get_record(get).await.map(drop), expected);
        refusals.one(what, caller.records.list_records(list_deals()).await.map(drop), expected);
        refusals.one(what, caller.kpis.get_scorecard(march(partner("A"))).await.map(drop), expected);
        refusals.one(what, caller.kpis.list_scorecards(units_in_march()).await.map(drop), expected);
        let list = caller.kpis.list_contributing_records(behind(FigureKind::Won)).await;
        refusals.one(what, list.map(drop), expected);
        let window = behind(FigureKind::Won).window;
        let get = GetDataQualityRequest { window, ..GetDataQualityRequest::default() };
        refusals.one(what, caller.kpis.get_data_quality(get).await.map(drop), expected);
        // AdminService names its tenant in the request: it needs no header, but a wrong one is refused.
        let get = GetTenantRequest { tenant_id: "example".into() };
        let expected = if expected.starts_with("INVALID") { expected } else { "OK" };
        refusals.one(what, caller.admin.get_tenant(get).await.map(drop), expected);
    }
}

/// What no generated client sends: unknown methods, bytes that are no message, odd headers.
async fn what_no_client_sends(refusals: &mut Refusals, sidecar: &Sidecar) {
    let channel = sidecar.connect().await;
    let get_tenant = "/channelkpi.v1.AdminService/GetTenant";
    let with_header = |name: &'static str, value: &'static str| {
        let mut request = Request::new(Vec::new());
        request.metadata_mut().insert(name, value.parse().expect("it is ASCII"));
        request
    };
    let bytes = |bytes: &[u8]| Request::new(bytes.to_vec());
    #[rustfmt::skip]
    let table = vec![
        ("an unknown method",  "/channelkpi.v1.AdminService/GetLuck",   bytes(b""),
            "METHOD_UNKNOWN path=/channelkpi.v1.AdminService/GetLuck"),
        ("an unknown service", "/channelkpi.v2.AdminService/GetTenant", bytes(b""),
            "METHOD_UNKNOWN path=/channelkpi.v2.AdminService/GetTenant"),
        ("no message",         get_tenant, bytes(b"\xff\xff"),           "MALFORMED_REQUEST"),
        ("a text of no UTF-8", get_tenant, bytes(b"\x0a\x01\xff"),       "MALFORMED_REQUEST"),
        ("cut short",          get_tenant, bytes(b"\x0a\x05abc"),        "MALFORMED_REQUEST"),
        ("compressed",         get_tenant, with_header("grpc-encoding", "br"), "ENCODING_UNSUPPORTED"),
    ];
    for (what, path, request, expected) in table {
        refusals.one(what, raw::first(channel.clone(), path, request).await.map(drop), expected);
    }
    let request = HealthCheckRequest { service: "no.Such".into() };
    let health = HealthClient::new(channel).check(request).await;
    refusals.one("the health of no service", health.map(drop), "SYMBOL_UNKNOWN");
}

/// A copy of the store, as a backup is, that knows less than the one whose token it is given.
async fn a_revision_to_come(refusals: &mut Refusals) {
    let sidecar = Sidecar::start().await;
    sidecar.tenant("example", settings()).await.write(records()).await;
    let original = sidecar.stop().await;
    let copy = tempfile::tempdir().expect("a directory for the test");
    copy_files(original.path(), copy.path());

    let sidecar = Sidecar::start_on(original).await;
    let late = version(noon("05-01"), Kind::Deal(deal("late", "A", "e1", "03-01", 1)));
    let token = sidecar.caller("example").await.write(vec![late]).await;
    sidecar.stop().await;

    let sidecar = Sidecar::start_on(copy).await;
    let question = GetScorecardRequest {
        consistency: demand(Requirement::AtLeastAsFresh(token)),
        ..march(partner("A"))
    };
    let answer = sidecar.caller("example").await.kpis.get_scorecard(question).await.map(drop);
    refusals.one("a revision to come", answer, "REVISION_NOT_YET_APPLIED waited_ms=2000");
    sidecar.stop().await;
}

fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("the test's own directory") {
        let path = entry.expect("the test's own directory").path();
        let copy = to.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() {
            std::fs::create_dir_all(&copy).expect("the test's own directory");
            copy_files(&path, &copy);
        } else {
            std::fs::copy(&path, &copy).expect("the test's own file");
        }
    }
}

// === partial writes ===

#[tokio::test]
async fn a_partial_write_takes_the_good_and_names_the_bad() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("example", settings()).await;
    let good = |id: &str| version(noon("03-10"), Kind::Deal(won("03-10", deal(id, "A", "e1", "03-01", 100))));
    let bad = |deal| version(noon("03-10"), Kind::Deal(deal));
    let negative = Deal { amount: usd(-1), ..deal("g1", "A", "e1", "03-01", 1) };
    let long_texts = Deal {
        stage: long(),
        competitor: long(),
        owner_employee_id: long(),
        unit_id: long(),
        lead_id: long(),
        marketing_channel_id: long(),
        product: long(),
        region: long(),
        partner_credits: sourced(""),
        ..Deal::default()
    };
    let partial = |records| WriteRecordsRequest { records, mode: WriteMode::Partial.into() };
    let records = vec![good("g0"), bad(negative), good("g2"), bad(long_texts), good("g4"), Record::default()];
    let answer = caller.records.write_records(partial(records)).await.expect("it is partial").into_inner();
    let rejected: Vec<_> = answer
        .rejected_records
        .iter()
        .map(|rejected| {
            assert_eq!(rejected.reason(), ErrorReason::InvalidField);
            assert!(rejected.violations.iter().all(|violation| !violation.description.is_empty()));
            let fields: Vec<_> =
                rejected.violations.iter().map(|violation| violation.field.as_str()).collect();
            (rejected.index, fields.join(" "))
        })
        .collect();
    // Of the eleven that are wrong with the fourth record ten are told.
    let expected = [
        (1, "records[1].deal.amount"),
        (
            3,
            "records[3].deal.deal_id records[3].deal.opened_at records[3].deal.stage records[3].deal.competitor \
             records[3].deal.owner_employee_id records[3].deal.unit_id \
             records[3].deal.partner_credits[0].partner_id records[3].deal.lead_id \
             records[3].deal.marketing_channel_id records[3].deal.product",
        ),
        (5, "records[5].update_time records[5]"),
    ];
    assert_eq!(rejected, expected.map(|(index, fields)| (index, fields.to_owned())));
    let figures = |caller: Caller| async move {
        let answer = caller.kpis.clone().get_scorecard(march(partner("A"))).await.expect("it is valid");
        row(&answer.into_inner().scorecard.expect("always set"))
    };
    assert_eq!(figures(caller.clone()).await, "A 100.00 (300.00/3) 3 (300.00) 3/3 0 (0.00)");

    // All of them bad: nothing is written, and the revision is the one before.
    let all_bad = partial(vec![Record::default(); 2]);
    let nothing = caller.records.write_records(all_bad).await.expect("it is partial").into_inner();
    assert_eq!(nothing.rejected_records.len(), 2);
    assert_eq!(nothing.revision_token, answer.revision_token);

    // A partial request is refused whole where it is wrong itself.
    for (count, expected) in [(0, ErrorReason::InvalidField), (1_001, ErrorReason::TooManyItems)] {
        let request = partial(vec![Record::default(); count]);
        let refused = caller.records.write_records(request).await.expect_err("0 and 1,001 are no requests");
        assert_eq!(refused.get_details_error_info().expect("always set").reason, bare(expected));
    }
    sidecar.stop().await;
}
