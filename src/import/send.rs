//! Records to the sidecar: a feed, of which every record's row is remembered until it is settled.

use std::collections::{BTreeMap, VecDeque};

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::rows::{Origin, Outcome};
use super::{Import, ImportError, Rejection};
use crate::client::Service;
use crate::client::ingest::{self as feed, Feed, FeedError};
use crate::proto::channelkpi::v1::admin_service_client::AdminServiceClient;
use crate::proto::channelkpi::v1::{
    CreateTenantRequest, ErrorReason, GetTenantRequest, Tenant, TenantSettings,
};

/// After how many records progress is told.
const PROGRESS_RECORDS: u64 = 256;

/// What became of an import.
#[derive(Debug, Default)]
pub struct Summary {
    /// By kind of record, such as `deal`.
    pub kinds: BTreeMap<String, KindSummary>,
    /// What was rejected, those with the same wrong in the same column together, in the order in which it showed.
    pub rejected: Vec<Rejected>,
    /// How many rows' records were rejected: also beyond the most kinds of wrong that are told apart.
    pub rejected_count: u64,
    /// What was changed on the way.
    pub notes: Vec<String>,
}

/// Rows that have the same wrong in the same column of the same file.
#[derive(Debug)]
pub struct Rejected {
    /// The first of them, up to the number asked for: at least one.
    pub rejections: Vec<Rejection>,
    /// How many there are.
    pub count: u64,
}

/// The most kinds of wrong that are told apart: nobody reads more, and a file may have a different one in each row.
const REJECTED_KINDS_MAX: usize = 100;

/// What became of the records of one kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct KindSummary {
    /// Records that the sidecar took: those that it knew already changed nothing.
    pub written_count: u64,
    /// Rows that said again what an earlier one had said.
    pub repeated_count: u64,
    pub rejected_count: u64,
}

/// An import stopped in the middle. To import again changes nothing but what is missing.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error(transparent)]
    Files(#[from] ImportError),
    #[error("the sidecar took {written_count} records and then refused the call")]
    Call { written_count: u64, status: Box<Status> },
}

/// The tenant; one that isn't there is made with the settings given. Nothing where it isn't there and none are given.
pub async fn ensure_tenant(
    admin: &mut AdminServiceClient<impl Service>,
    tenant_id: &str,
    otherwise: Option<TenantSettings>,
) -> Result<Option<Tenant>, Status> {
    let unknown = |status: &Status| {
        let reason = status.get_details_error_info().map(|info| info.reason);
        status.code() == Code::PermissionDenied
            && reason.as_deref() == Some(short_name(ErrorReason::TenantDenied))
    };
    match admin.get_tenant(GetTenantRequest { tenant_id: tenant_id.into() }).await {
        Ok(response) => Ok(response.into_inner().tenant),
        Err(status) if unknown(&status) => match otherwise {
            None => Ok(None),
            Some(settings) => {
                let request = CreateTenantRequest { tenant_id: tenant_id.into(), settings: Some(settings) };
                Ok(admin.create_tenant(request).await?.into_inner().tenant)
            }
        },
        Err(status) => Err(status),
    }
}

/// A reason as `google.rpc.ErrorInfo` carries it: without the enum's prefix.
fn short_name(reason: ErrorReason) -> &'static str {
    reason.as_str_name().trim_start_matches("ERROR_REASON_")
}

/// Sends all records of an import. Of rows with the same wrong, up to `rejections_max` are listed, but at least one.
/// `progress` hears how many bytes of the files are read.
pub async fn send<S: Service>(
    import: &Import,
    mut feed: Feed<S>,
    rejections_max: usize,
    mut progress: impl FnMut(u64),
) -> Result<Summary, SendError> {
    let mut rows = import.rows();
    let mut summary = Summary { notes: import.notes.clone(), ..Summary::default() };
    let mut unsettled = Unsettled::default();
    loop {
        match rows.next()? {
            Some((origin, Outcome::Record(record))) => {
                unsettled.origins.push_back(origin);
                let sent = feed.send(*record).await;
                let (acked_seq, rejected) = (feed.acked_seq(), feed.take_rejected());
                unsettled.settle(import, &mut summary, acked_seq, rejected, rejections_max);
                let seq = sent.map_err(|error| stopped(&summary, error))?;
                if seq.is_multiple_of(PROGRESS_RECORDS) {
                    progress(rows.read_bytes());
                }
            }
            Some((origin, Outcome::Repeated)) => summary.kind(import, &origin).repeated_count += 1,
            Some((origin, Outcome::Rejected(rejection))) => {
                summary.reject(import, &origin, rejection, rejections_max);
            }
            None => break,
        }
    }
    let flushed = feed.flush().await;
    let (acked_seq, rejected) = (feed.acked_seq(), feed.take_rejected());
    unsettled.settle(import, &mut summary, acked_seq, rejected, rejections_max);
    flushed.map_err(|error| stopped(&summary, error))?;
    feed.finish().await.map_err(|error| stopped(&summary, error))?;
    progress(rows.read_bytes());
    for ((file, column), (count, example)) in &rows.respelled {
        summary.notes.push(format!("{count} values are written as {file} spells its {column}: {example}"));
    }
    for (file, count) in &rows.left_out {
        summary.notes.push(format!("{count} rows of {file} become no record"));
    }
    Ok(summary)
}

fn stopped(summary: &Summary, error: FeedError) -> SendError {
    SendError::Call { written_count: summary.written_count(), status: Box::new(error.into()) }
}

/// Where the records come from of which the sidecar hasn't told what became.
#[derive(Default)]
struct Unsettled {
    /// In the order in which they are sent.
    origins: VecDeque<Origin>,
    /// How many were settled before.
    settled_seq: u64,
}

impl Unsettled {
    fn settle(
        &mut self,
        import: &Import,
        summary: &mut Summary,
        acked_seq: u64,
        rejected: Vec<feed::Rejected>,
        rejections_max: usize,
    ) {
        let mut rejected = rejected.into_iter().peekable();
        while self.settled_seq < acked_seq
            && let Some(origin) = self.origins.pop_front()
        {
            self.settled_seq += 1;
            match rejected.next_if(|rejected| rejected.seq == self.settled_seq) {
                None => summary.kind(import, &origin).written_count += 1,
                Some(rejected) => {
                    let first = rejected.violations.into_iter().next().unwrap_or_default();
                    summary.reject(import, &origin, import.rejection(&origin, &first), rejections_max);
                }
            }
        }
    }
}

impl Summary {
    /// The records that the sidecar took.
    pub fn written_count(&self) -> u64 {
        self.kinds.values().map(|kind| kind.written_count).sum()
    }

    fn kind(&mut self, import: &Import, origin: &Origin) -> &mut KindSummary {
        self.kinds.entry(import.kind_of(origin).into()).or_default()
    }

    fn reject(&mut self, import: &Import, origin: &Origin, rejection: Rejection, rejections_max: usize) {
        self.kind(import, origin).rejected_count += 1;
        self.rejected_count += 1;
        let alike = |known: &&mut Rejected| {
            let first = &known.rejections[0]; // each has one from the beginning
            (&first.file, first.column, &first.problem)
                == (&rejection.file, rejection.column, &rejection.problem)
        };
        if let Some(known) = self.rejected.iter_mut().find(alike) {
            known.count += 1;
            if known.rejections.len() < rejections_max {
                known.rejections.push(rejection);
            }
        } else if self.rejected.len() < REJECTED_KINDS_MAX {
            self.rejected.push(Rejected { rejections: vec![rejection], count: 1 });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use chrono::NaiveDate;
    use chrono_tz::Tz;
    use futures_util::StreamExt;
    use futures_util::stream::BoxStream;
    use tonic::{Request, Response, Streaming};
    use tonic_types::ErrorDetails;

    use super::*;
    use crate::import::Options;
    use crate::proto::channelkpi::v1::admin_service_server::{AdminService, AdminServiceServer};
    use crate::proto::channelkpi::v1::record::Record as Kind;
    use crate::proto::channelkpi::v1::record_service_server::{RecordService, RecordServiceServer};
    use crate::proto::channelkpi::v1::*;

    /// Takes every record but deals whose id is in `refused`, until it fails.
    #[derive(Clone, Default)]
    struct Taker {
        refused: &'static [&'static str],
        fails_at_seq: Option<i64>,
        /// Whether every probability is refused, each in words of its own.
        refuses_probability: bool,
    }

    impl Taker {
        fn answer(&self, sent: IngestRecordsRequest) -> Result<IngestRecordsResponse, Status> {
            use ingest_records_request::Message as Sent;
            use ingest_records_response::Message as Told;
            let told = match sent.message.expect("the client knows its messages") {
                Sent::Open(_) => {
                    let window = FeedWindow { max_in_flight_records: 100, max_in_flight_bytes: 1 << 20 };
                    Told::Opened(FeedOpened { window: Some(window), ..FeedOpened::default() })
                }
                Sent::IngestRecord(sent) if self.fails_at_seq == Some(sent.seq) => {
                    return Err(Status::resource_exhausted("The disk is full."));
                }
                Sent::IngestRecord(IngestRecord { seq, record }) => {
                    let violations: Vec<_> = self.violation(record).into_iter().collect();
                    let reason = ErrorReason::InvalidField.into();
                    let rejected =
                        (!violations.is_empty()).then_some(RejectedFeedRecord { seq, reason, violations });
                    let rejected_records = rejected.into_iter().collect();
                    Told::Ack(FeedAck { acked_seq: seq, rejected_records, ..FeedAck::default() })
                }
                Sent::Checkpoint(_) => panic!("an import has no place of its own"),
            };
            Ok(IngestRecordsResponse { message: Some(told) })
        }

        fn violation(&self, record: Option<Record>) -> Option<FieldViolation> {
            let Some(Kind::Deal(deal)) = record?.record else { return None };
            let (field, description) = match deal.probability_bps {
                Some(given) if self.refuses_probability => {
                    ("probability_bps", format!("is {given}, must be 0 to 10000"))
                }
                _ if self.refused.contains(&deal.deal_id.as_str()) => ("amount", "must be at least 0".into()),
                _ => return None,
            };
            Some(FieldViolation { field: format!("record.deal.{field}"), description })
        }
    }

    #[tonic::async_trait]
    impl RecordService for Taker {
        type IngestRecordsStream = BoxStream<'static, Result<IngestRecordsResponse, Status>>;

        async fn ingest_records(
            &self,
            request: Request<Streaming<IngestRecordsRequest>>,
        ) -> Result<Response<Self::IngestRecordsStream>, Status> {
            let taker = self.clone();
            let answers = request.into_inner().map(move |sent| taker.answer(sent?));
            Ok(Response::new(answers.boxed()))
        }

        async fn write_records(
            &self,
            _: Request<WriteRecordsRequest>,
        ) -> Result<Response<WriteRecordsResponse>, Status> {
            Err(Status::unimplemented("an import feeds its records"))
        }

        async fn get_record(
            &self,
            _: Request<GetRecordRequest>,
        ) -> Result<Response<GetRecordResponse>, Status> {
            Err(Status::unimplemented("an import reads no records"))
        }

        async fn list_records(
            &self,
            _: Request<ListRecordsRequest>,
        ) -> Result<Response<ListRecordsResponse>, Status> {
            Err(Status::unimplemented("an import reads no records"))
        }
    }

    async fn import(deals: &str, taker: &Taker, rejections_max: usize) -> Result<Summary, SendError> {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let path = directory.path().join("deals.csv");
        std::fs::write(&path, deals).expect("a file for the test");
        let today = NaiveDate::from_ymd_opt(2024, 6, 30).expect("a date");
        let options = Options {
            zone: Tz::UTC,
            currency: "USD".into(),
            undated_on: None,
            updated_on: None,
            today,
            date_formats: Vec::new(),
        };
        let import = Import::open(None, &[path], options)?;
        let server = RecordServiceServer::new(taker.clone());
        let feed = Feed::open(server, "import", feed::Options::default()).await.expect("it opens");
        let mut read_bytes = 0;
        let summary = send(&import, feed, rejections_max, |bytes| read_bytes = bytes).await?;
        assert_eq!(read_bytes, import.size_bytes(), "progress ends at the end");
        Ok(summary)
    }

    #[tokio::test]
    async fn what_the_server_rejects_is_told_by_file_and_line() {
        let taker = Taker { refused: &["D2"], ..Taker::default() };
        let deals = "deal_id,opened_at,amount\nD1,2024-01-01,1\nD2,2024-01-02,-5\nD3,,\nD4,2024-01-04,\n";
        let summary = import(deals, &taker, 1).await.expect("the calls succeed");
        assert_eq!(
            told(&summary),
            [
                "1: deals.csv:4:2: opened_at is empty: a deal needs its `opened_at` (--undated-on DATE dates such rows)",
                "1: deals.csv:3:3: amount \"-5\" must be at least 0",
            ]
        );
        assert_eq!(summary.rejected_count, 2);
        let expected = KindSummary { written_count: 2, repeated_count: 0, rejected_count: 2 };
        assert_eq!(summary.kinds.get("deal"), Some(&expected));
    }

    /// The count of each kind of wrong, and the rows that are listed.
    fn told(summary: &Summary) -> Vec<String> {
        let listed = |rejected: &Rejected| {
            let rows: Vec<String> = rejected.rejections.iter().map(ToString::to_string).collect();
            format!("{}: {}", rejected.count, rows.join("; "))
        };
        summary.rejected.iter().map(listed).collect()
    }

    #[tokio::test]
    async fn rows_with_the_same_wrong_are_told_together() {
        let deals =
            "deal_id,opened_at,expected_close\nD1,1 May,\nD2,,\nD3,2 May,\nD4,2024-01-04,2 May\nD5,3 May,\n";
        let summary = import(deals, &Taker::default(), 2).await.expect("the calls succeed");
        let wrong = "isn't a date like 2017-10-31 or 2017-10-31T12:00:00Z (--date-format says others)";
        assert_eq!(
            told(&summary),
            [
                format!("3: deals.csv:2:2: opened_at \"1 May\" {wrong}; deals.csv:4:2: opened_at \"2 May\" {wrong}"),
                "1: deals.csv:3:2: opened_at is empty: a deal needs its `opened_at` (--undated-on DATE dates such rows)"
                    .to_owned(),
                format!("1: deals.csv:5:3: expected_close \"2 May\" {wrong}"),
            ]
        );
        assert_eq!(summary.rejected_count, 5);
    }

    #[tokio::test]
    async fn what_is_told_of_a_bad_file_is_bounded() {
        let row = |n: usize| format!("D{n},2024-01-01,{}\n", "x,".repeat(n)); // each has other cells too many
        let deals: String =
            std::iter::once("deal_id,opened_at,product\n".to_owned()).chain((1..=150).map(row)).collect();
        let summary = import(&deals, &Taker::default(), 1).await.expect("the calls succeed");
        assert_eq!((summary.rejected.len(), summary.rejected_count), (1, 150), "the same wrong");

        let row = |n: usize| format!("D{n},2024-01-01,,-{n}\n");
        let deals: String = std::iter::once("deal_id,opened_at,product,probability_bps\n".to_owned())
            .chain((1..=150).map(row))
            .collect();
        let taker = Taker { refuses_probability: true, ..Taker::default() };
        let summary = import(&deals, &taker, 1).await.expect("the calls succeed");
        assert_eq!((summary.rejected.len(), summary.rejected_count), (REJECTED_KINDS_MAX, 150));
    }

    #[tokio::test]
    async fn a_refused_call_says_how_far_it_came() {
        let deals: String = std::iter::once("deal_id,opened_at\n".to_owned())
            .chain((0..1_500).map(|n| format!("D{n},2024-01-01\n")))
            .collect();
        let taker = Taker { fails_at_seq: Some(1_001), ..Taker::default() };
        match import(&deals, &taker, 0).await {
            Err(SendError::Call { written_count: 1_000, status }) => {
                assert_eq!(status.message(), "The disk is full.")
            }
            other => panic!("{other:?}"),
        }
    }

    /// One tenant, or none.
    #[derive(Default)]
    struct Admin(Mutex<Option<Tenant>>);

    #[tonic::async_trait]
    impl AdminService for Admin {
        async fn create_tenant(
            &self,
            request: Request<CreateTenantRequest>,
        ) -> Result<Response<CreateTenantResponse>, Status> {
            let CreateTenantRequest { tenant_id, settings } = request.into_inner();
            let tenant = Some(Tenant { tenant_id, settings, ..Tenant::default() });
            self.0.lock().expect("free").clone_from(&tenant);
            Ok(Response::new(CreateTenantResponse { tenant, revision_token: String::new() }))
        }

        async fn get_tenant(
            &self,
            _: Request<GetTenantRequest>,
        ) -> Result<Response<GetTenantResponse>, Status> {
            let tenant = self.0.lock().expect("free").clone();
            let details = ErrorDetails::with_error_info("TENANT_DENIED", "channelkpi", []);
            let denied =
                || Status::with_error_details(Code::PermissionDenied, "There is no such tenant.", details);
            let tenant = Some(tenant.ok_or_else(denied)?);
            Ok(Response::new(GetTenantResponse { tenant, revision_token: String::new() }))
        }

        async fn configure_tenant(
            &self,
            _: Request<ConfigureTenantRequest>,
        ) -> Result<Response<ConfigureTenantResponse>, Status> {
            Err(Status::unimplemented("an import configures nothing"))
        }

        async fn delete_tenant(
            &self,
            _: Request<DeleteTenantRequest>,
        ) -> Result<Response<DeleteTenantResponse>, Status> {
            Err(Status::unimplemented("an import deletes nothing"))
        }
    }

    #[tokio::test]
    async fn a_tenant_is_made_once_and_kept_as_it_is() {
        let settings = |currency: &str| TenantSettings {
            reporting_currency_code: currency.into(),
            time_zone: "UTC".into(),
            ..TenantSettings::default()
        };
        let mut admin = AdminServiceClient::new(AdminServiceServer::new(Admin::default()));
        for (otherwise, expected) in [
            (None, None),
            (Some(settings("USD")), Some(settings("USD"))),
            (Some(settings("EUR")), Some(settings("USD"))),
            (None, Some(settings("USD"))),
        ] {
            let found = ensure_tenant(&mut admin, "default", otherwise).await.expect("the calls succeed");
            assert_eq!(found.and_then(|tenant| tenant.settings), expected);
        }
    }
}
