//! Random bytes, random messages and mutilated good ones at the path of every RPC: each is answered, or
//! refused in our terms; nothing panics, and the sidecar works on as if nothing had been.
//!
//! The dice are loaded: every run sends the same requests.

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

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};

use channel_kpi::proto::FILE_DESCRIPTOR_SET;
use channel_kpi::proto::channelkpi::v1::record::Record as Sent;
use channel_kpi::proto::channelkpi::v1::record_key::Key;
use channel_kpi::proto::channelkpi::v1::{
    BatchGetScorecardsRequest, Bucket, CompareKnowledgeRequest, ConfigureTenantRequest, CreateTenantRequest,
    DeleteTenantRequest, Dimension, EvaluateStrategyRequest, ExplainChangeRequest, ExplainedFigure,
    FigureKind, GetDataQualityRequest, GetLeaderboardRequest, GetMarketingPerformanceRequest,
    GetPipelineRequest, GetPlanRequest, GetRecordRequest, GetScorecardRequest, GetSeriesRequest,
    GetTenantRequest, IngestRecordsRequest, Knowledge, Kpi, LeaderboardQuery, ListContributingRecordsRequest,
    ListRecommendationsRequest, ListRecordsRequest, ListScorecardsRequest, OpenFeed, RankedBy, RecordKey,
    RecordKind, ScorecardQuestion, Strategy, Subject, SubjectKind, Terms, View, WatchLeaderboardRequest,
    WriteMode, WriteRecordsRequest, ingest_records_request,
};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MapKey, MessageDescriptor, Value};
use scorecard::{march, partner, row};
use sidecar::{Caller, Sidecar};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use worked_example::{date, noon, records, settings, version};

/// Requests of each of the three sorts, at each RPC.
const REQUESTS_PER_SORT: usize = 400;

static PANIC_COUNT: AtomicUsize = AtomicUsize::new(0);

#[tokio::test]
async fn whatever_comes_is_answered_or_refused() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANIC_COUNT.fetch_add(1, Ordering::Relaxed);
        print(info);
    }));
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("example", settings()).await;
    let academy = Strategy {
        strategy_id: "academy".into(),
        start_on: date("2024-03-01"),
        subjects: vec![partner("A")],
        ..Strategy::default()
    };
    caller.write(records()).await;
    caller.write(vec![version(noon("03-01"), Sent::Strategy(academy))]).await;

    let methods = methods();
    let paths: Vec<&str> = methods.iter().map(|(path, _)| path.as_ref()).collect();
    assert_eq!(paths.len(), 23, "{paths:?}");
    let mut dice = Dice(20_240_331);
    for (path, input) in &methods {
        let channel = sidecar.connect().await;
        let (mut answered_count, mut refused_count) = (0, 0);
        for turn in 0..3 * REQUESTS_PER_SORT {
            let message = match turn % 3 {
                0 => dice.bytes(),
                1 => dice.message(input, 0).encode_to_vec(),
                _ => dice.mutilate(good_request(path)),
            };
            let mut request = Request::new(message.clone());
            request.metadata_mut().insert("ckpi-tenant", "example".parse().expect("it is ASCII"));
            match raw::first(channel.clone(), path, request).await {
                Ok(_) => answered_count += 1,
                Err(status) => {
                    refused_count += 1;
                    is_in_our_terms(&status).unwrap_or_else(|why| panic!("{path} {message:02x?}: {why}"));
                }
            }
        }
        // The dice are neither all nonsense nor all harmless.
        assert!(answered_count > 10 && refused_count > 10, "{path}: {answered_count} and {refused_count}");
        if path.ends_with("/DeleteTenant") {
            sidecar.tenant("example", settings()).await; // it may have been hit
        }
    }

    // What was taken from them is sound: it is told, and told alike after a restart.
    works(&sidecar, "fresh").await;
    let told = told(&mut caller).await;
    let sidecar = Sidecar::start_on(sidecar.stop().await).await;
    assert_eq!(self::told(&mut sidecar.caller("example").await).await, told);
    works(&sidecar, "fresher").await;
    sidecar.stop().await;
    assert_eq!(PANIC_COUNT.load(Ordering::Relaxed), 0, "their messages are above");
}

/// A refusal has one of our reasons; a defect of ours is none.
fn is_in_our_terms(status: &Status) -> Result<(), String> {
    let info = status.get_details_error_info().ok_or_else(|| format!("no ErrorInfo in {status:?}"))?;
    let defect = matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss | Code::Unavailable);
    if defect || info.domain != "channelkpi" { Err(format!("{status:?}")) } else { Ok(()) }
}

#[test]
fn a_defect_and_a_foreign_status_are_noticed() {
    use channel_kpi::proto::channelkpi::v1::ErrorReason;
    use channel_kpi::service::status::status;
    assert!(is_in_our_terms(&Status::invalid_argument("foreign")).is_err());
    assert!(is_in_our_terms(&status(ErrorReason::Internal, "a panic")).is_err());
    assert!(is_in_our_terms(&status(ErrorReason::InvalidField, "a wrong field")).is_ok());
}

/// A new tenant of the sidecar has the figures of the worked example.
async fn works(sidecar: &Sidecar, tenant_id: &str) {
    let mut caller = sidecar.tenant(tenant_id, settings()).await;
    caller.write(records()).await;
    let answer = caller.kpis.get_scorecard(march(partner("A"))).await.expect("it is valid").into_inner();
    let found = row(&answer.scorecard.expect("always set"));
    assert_eq!(found, "A 300.00 (600.00/2) 2 (600.00) 2/3 1 (300.00)");
}

/// Everything that a tenant's lists tell.
async fn told(caller: &mut Caller) -> String {
    let mut told = String::new();
    for kind in 1..=11 {
        let request = ListRecordsRequest {
            record_kind: kind,
            include_deleted: true,
            page_size: 1_000,
            ..ListRecordsRequest::default()
        };
        let answer = caller.records.list_records(request).await.expect("it is valid").into_inner();
        told.push_str(&format!("{:?}\n", answer.versions));
    }
    for kind in 1..=3 {
        let request = ListScorecardsRequest { subject_kind: kind, page_size: 1_000, ..units() };
        let answer = caller.kpis.list_scorecards(request).await.expect("it is valid").into_inner();
        told.push_str(&format!("{:?}\n", answer.scorecards));
    }
    told
}

// === the RPCs ===

/// Path and input of every RPC, with the one last that may delete what the others ask about.
fn methods() -> Vec<(String, MessageDescriptor)> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the build made it");
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let path = |service: &str, method: &str| format!("/{service}/{method}");
    let mut methods: Vec<_> = methods
        .map(|method| (path(method.parent_service().full_name(), method.name()), method.input()))
        .collect();
    methods.sort_by_key(|(path, _)| path.ends_with("/DeleteTenant"));
    methods
}

fn units() -> ListScorecardsRequest {
    let GetScorecardRequest { window, as_of, .. } = march(Subject::default());
    let subject_kind = SubjectKind::Unit.into();
    ListScorecardsRequest { subject_kind, window, as_of, ..ListScorecardsRequest::default() }
}

fn board() -> LeaderboardQuery {
    let GetScorecardRequest { window, .. } = march(Subject::default());
    let (subject_kind, ranked_by) = (SubjectKind::Partner.into(), RankedBy::DealSuccess.into());
    LeaderboardQuery { subject_kind, ranked_by, window, sample_min: Some(1), ..Default::default() }
}

/// A request that the method takes. A new RPC needs one.
fn good_request(path: &str) -> Vec<u8> {
    let tenant_id = || "example".to_owned();
    let method = path.rsplit('/').next().expect("a path has a method");
    match method {
        // The first message of a feed, and its only one.
        "IngestRecords" => {
            let open = ingest_records_request::Message::Open(OpenFeed { source_id: "crm".to_owned() });
            IngestRecordsRequest { message: Some(open) }.encode_to_vec()
        }
        "WriteRecords" => {
            WriteRecordsRequest { records: records(), mode: WriteMode::Partial.into() }.encode_to_vec()
        }
        "GetRecord" => {
            let key = Some(RecordKey { key: Some(Key::DealId("d7".into())) });
            GetRecordRequest { key, consistency: None }.encode_to_vec()
        }
        "ListRecords" => {
            let record_kind = RecordKind::Deal.into();
            ListRecordsRequest { record_kind, ..ListRecordsRequest::default() }.encode_to_vec()
        }
        "GetScorecard" => march(partner("A")).encode_to_vec(),
        "BatchGetScorecards" => {
            let GetScorecardRequest { subject, window, as_of, .. } = march(partner("A"));
            let question = ScorecardQuestion { subject, window, as_of, ..ScorecardQuestion::default() };
            let view = View::WithEvidence.into();
            BatchGetScorecardsRequest { questions: vec![question; 3], view, ..Default::default() }
                .encode_to_vec()
        }
        "ListScorecards" => units().encode_to_vec(),
        "GetPipeline" => {
            let subject = Some(partner("A"));
            let stages = Some(Terms { include_none: true, values: vec!["offer".into()] });
            GetPipelineRequest { subject, stages, ..GetPipelineRequest::default() }.encode_to_vec()
        }
        "GetMarketingPerformance" => {
            let GetScorecardRequest { subject, window, as_of, .. } = march(partner("A"));
            let default = GetMarketingPerformanceRequest::default();
            GetMarketingPerformanceRequest { subject, window, as_of, ..default }.encode_to_vec()
        }
        "ListContributingRecords" => {
            let GetScorecardRequest { window, as_of, .. } = march(Subject::default());
            let figure_kind = FigureKind::Won.into();
            ListContributingRecordsRequest { figure_kind, window, as_of, ..Default::default() }
                .encode_to_vec()
        }
        "GetDataQuality" => {
            let GetScorecardRequest { window, as_of, .. } = march(Subject::default());
            GetDataQualityRequest { window, as_of, include_ids: true, ..Default::default() }.encode_to_vec()
        }
        "GetSeries" => {
            let GetScorecardRequest { subject, window, as_of, .. } = march(partner("A"));
            let bucket = Bucket::Week.into();
            GetSeriesRequest { subject, window, as_of, bucket, ..GetSeriesRequest::default() }.encode_to_vec()
        }
        "ExplainChange" => {
            let GetScorecardRequest { window, as_of, .. } = march(Subject::default());
            let explained_figure = ExplainedFigure::CloseRate.into();
            let dimension = Dimension::Partner.into();
            ExplainChangeRequest { explained_figure, dimension, window, as_of, ..Default::default() }
                .encode_to_vec()
        }
        "EvaluateStrategy" => {
            let (strategy_id, kpi) = ("academy".into(), Kpi::CloseRate.into());
            EvaluateStrategyRequest { strategy_id, kpi, ..Default::default() }.encode_to_vec()
        }
        "ListRecommendations" => {
            let GetScorecardRequest { subject, window, as_of, .. } = march(partner("A"));
            let language_code = "bn".into();
            ListRecommendationsRequest { subject, window, as_of, language_code, ..Default::default() }
                .encode_to_vec()
        }
        "GetPlan" => {
            let GetScorecardRequest { subject, window, as_of, .. } = march(partner("A"));
            GetPlanRequest { subject, window, as_of, ..Default::default() }.encode_to_vec()
        }
        "CompareKnowledge" => {
            let GetScorecardRequest { subject, window, as_of, .. } = march(partner("A"));
            let earlier = Some(Knowledge { known_at: noon("03-10"), received_by: None });
            CompareKnowledgeRequest { subject, window, as_of, earlier, ..Default::default() }.encode_to_vec()
        }
        "GetLeaderboard" => {
            let GetScorecardRequest { as_of, .. } = march(Subject::default());
            let pinned_subject_ids = vec!["A".into(), "nobody".into()];
            GetLeaderboardRequest { query: Some(board()), as_of, pinned_subject_ids, ..Default::default() }
                .encode_to_vec()
        }
        "WatchLeaderboard" => {
            WatchLeaderboardRequest { query: Some(board()), ..Default::default() }.encode_to_vec()
        }
        "CreateTenant" => {
            CreateTenantRequest { tenant_id: tenant_id(), settings: Some(settings()) }.encode_to_vec()
        }
        "GetTenant" => GetTenantRequest { tenant_id: tenant_id() }.encode_to_vec(),
        "ConfigureTenant" => {
            ConfigureTenantRequest { tenant_id: tenant_id(), settings: Some(settings()) }.encode_to_vec()
        }
        "DeleteTenant" => DeleteTenantRequest { tenant_id: tenant_id() }.encode_to_vec(),
        _ => panic!("there is no good request of {path} yet"),
    }
}

// === the dice ===

/// Knuth's generator: the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..self.below(64)).map(|_| self.below(256) as u8).collect()
    }

    /// A message of its type, with any of its fields set, often to what makes sense somewhere.
    fn message(&mut self, of: &MessageDescriptor, depth: usize) -> DynamicMessage {
        let mut message = DynamicMessage::new(of.clone());
        for field in of.fields() {
            if self.below(3) == 0 {
                continue;
            }
            let value = if field.is_map() {
                let label = |dice: &mut Self| (MapKey::String(dice.text()), Value::String(dice.text()));
                Value::Map((0..self.below(3)).map(|_| label(self)).collect())
            } else if field.is_list() {
                Value::List((0..self.below(4)).map(|_| self.value(&field.kind(), depth)).collect())
            } else {
                self.value(&field.kind(), depth)
            };
            message.set_field(&field, value);
        }
        message
    }

    fn value(&mut self, kind: &Kind, depth: usize) -> Value {
        match kind {
            // Deeper than any message of the API nests.
            Kind::Message(of) if depth < 8 => Value::Message(self.message(of, depth + 1)),
            Kind::Message(of) => Value::Message(DynamicMessage::new(of.clone())),
            Kind::Enum(_) => Value::EnumNumber(self.one_of(&[0, 1, 1, 2, 2, 3, 4, 11, 19, -1, i32::MAX])),
            Kind::String => Value::String(self.text()),
            Kind::Bytes => Value::Bytes(self.bytes().into()),
            Kind::Bool => Value::Bool(self.below(2) == 0),
            Kind::Int32 => {
                let numbers = [0, 1, 1, 2, 3, 12, 28, 31, 1970, 2024, 2024, 10_000, -1, i32::MIN, i32::MAX];
                Value::I32(self.one_of(&numbers))
            }
            Kind::Int64 => {
                let numbers =
                    [0, 1, 1, 2, 500, 1_709_251_200, 1_711_915_200, 7_258_118_399, -1, i64::MIN, i64::MAX];
                Value::I64(self.one_of(&numbers))
            }
            other => panic!("the dice have no {other:?} yet"),
        }
    }

    fn text(&mut self) -> String {
        match self.below(12) {
            0 => "x".repeat(self.below(700)),
            1 => String::from_utf8_lossy(&self.bytes()).into_owned(),
            _ => {
                let texts = [
                    "",
                    "A",
                    "A",
                    "B",
                    "d1",
                    "d7",
                    "e1",
                    "north",
                    "sales",
                    "L1",
                    "search",
                    "example",
                    "USD",
                    "USD",
                    "EUR",
                    "BDT",
                    "UTC",
                    "Asia/Dhaka",
                    "0.5",
                    "110",
                    "1e-27",
                    "\0",
                    "অংশীদার",
                    "A ",
                    "👩‍👩‍👧",
                ];
                self.one_of(&texts).to_owned()
            }
        }
    }

    /// A good message with one to four wounds; now and then none.
    fn mutilate(&mut self, mut message: Vec<u8>) -> Vec<u8> {
        for _ in 0..self.below(5) {
            let place = self.below(message.len() + 1);
            let span = place..(place + self.below(9)).min(message.len());
            match self.below(6) {
                0 => message.truncate(place),
                1 => drop(message.drain(span)),
                2 => message.insert(place, self.below(256) as u8),
                3 => message.extend_from_within(span),
                4 => message[span].fill(0xff),
                _ if place < message.len() => message[place] ^= 1 << self.below(8),
                _ => {}
            }
        }
        message
    }
}
