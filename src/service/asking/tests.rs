//! A caller who leaves stops the work that is done for him: over a real socket, and in the middle of it.

use std::sync::mpsc;

use tokio::runtime::{Builder, Runtime};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

use super::*;
use crate::book::Between;
use crate::clock::Clock;
use crate::config::Limits;
use crate::domain::calendar::{Date, Instant};
use crate::domain::ids::TenantId;
use crate::journal::sqlite::SqliteJournal;
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::proto::channelkpi::v1 as pb;
use crate::proto::channelkpi::v1::admin_service_client::AdminServiceClient;
use crate::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use crate::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use crate::proto::google::r#type as google;
use crate::server::{Listen, Server, Stack};
use crate::service::leaderboard_service::WatchedBoards;
use crate::service::routes;
use crate::tenant::Tenants;

/// A server on a socket, and the tenant that it serves.
struct Served {
    _data_dir: tempfile::TempDir,
    stack: Stack,
    channel: Channel,
    rpc: Rpc<SqliteJournal>,
    tenant: Arc<Tenant<SqliteJournal>>,
}

impl Served {
    async fn start() -> Self {
        let data_dir = tempfile::tempdir().expect("a directory for the test");
        let journal = Arc::new(SqliteJournal::open(data_dir.path()).expect("the directory is ours"));
        let tenants = Arc::new(Tenants::new(journal, usize::MAX));
        let limits = Limits::default();
        let routes = routes(Arc::clone(&tenants), Clock::default(), &limits);
        let stack = Stack::new(routes, &[FILE_DESCRIPTOR_SET], &limits);
        let any_port = Listen::Tcp(([127, 0, 0, 1], 0).into());
        let server = Server::bind(&[any_port], stack.clone(), &limits).expect("some port is free");
        let url = server.local_addrs()[0].url();
        tokio::spawn(server.run(CancellationToken::new(), CancellationToken::new()));
        let channel = Endpoint::new(url).expect("a URL").connect().await.expect("it listens");

        let settings = pb::TenantSettings {
            reporting_currency_code: "USD".to_owned(),
            time_zone: "Asia/Dhaka".to_owned(),
            ..pb::TenantSettings::default()
        };
        let create = pb::CreateTenantRequest { tenant_id: "default".to_owned(), settings: Some(settings) };
        AdminServiceClient::new(channel.clone()).create_tenant(create).await.expect("the settings are valid");
        let partner = pb::Partner { partner_id: "p1".to_owned(), ..pb::Partner::default() };
        let record = pb::Record {
            update_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            record: Some(pb::record::Record::Partner(partner)),
            ..pb::Record::default()
        };
        let write = pb::WriteRecordsRequest { records: vec![record], ..pb::WriteRecordsRequest::default() };
        let written = RecordServiceClient::new(channel.clone()).write_records(write).await;
        assert_eq!(written.expect("it is valid").into_inner().rejected_records, []);
        let id = TenantId::try_new("default").expect("an id");
        let tenant = tenants.get(&id).await.expect("it was created");
        let watched = Arc::new(WatchedBoards::new(Clock::default(), &limits));
        let rpc = Rpc { tenants, clock: Clock::default(), limits: Arc::new(limits), watched };
        Self { _data_dir: data_dir, stack, channel, rpc, tenant }
    }

    fn boards_told_count(&self) -> u64 {
        self.tenant.book().boards_told_count()
    }
}

/// Scorecards of so many days, each of which needs boards that no other needs.
fn many_boards(year: i32) -> pb::BatchGetScorecardsRequest {
    let partner = pb::PartnerSubject { partner_id: "p1".to_owned(), include_sub_partners: false };
    let question = |day| pb::ScorecardQuestion {
        subject: Some(pb::Subject { subject: Some(pb::subject::Subject::Partner(partner.clone())) }),
        window: Some(pb::Window { window: Some(pb::window::Window::LastDays(1)) }),
        as_of: Some(google::Date { year, month: 3, day }),
        ..pb::ScorecardQuestion::default()
    };
    let questions = (1..=20).map(question).collect();
    pb::BatchGetScorecardsRequest { questions, ..pb::BatchGetScorecardsRequest::default() }
}

/// With one thread that may block: what it is given is done one after the other.
fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).max_blocking_threads(1).enable_all().build().expect("a runtime")
}

#[test]
fn the_work_of_a_call_that_was_cancelled_isnt_done() {
    runtime().block_on(async {
        let served = Served::start().await;
        let kpis = KpiServiceClient::new(served.channel.clone());
        let ask = |year| {
            let mut kpis = kpis.clone();
            async move { kpis.batch_get_scorecards(Request::new(many_boards(year))).await }
        };
        ask(2024).await.expect("it is valid");
        let told_count = served.boards_told_count();
        assert!(told_count >= 20, "who waits is answered: {told_count} boards");

        let (open_gate, gate) = mpsc::channel::<()>();
        let (at_gate, is_at_gate) = tokio::sync::oneshot::channel();
        let held = tokio::task::spawn_blocking(move || {
            at_gate.send(()).expect("the test waits");
            gate.recv()
        });
        is_at_gate.await.expect("it is sent");
        let call = tokio::spawn(ask(2025));
        wait_until(|| served.stack.in_work_count() == 1).await;
        call.abort();
        wait_until(|| served.stack.in_work_count() == 0).await;
        open_gate.send(()).expect("the gate is watched");
        held.await.expect("it doesn't panic").expect("the gate was opened");
        // What was given to the thread before this has been done.
        tokio::task::spawn_blocking(|| ()).await.expect("it doesn't panic");
        assert_eq!(served.boards_told_count(), told_count, "nobody waited for more");
        ask(2025).await.expect("it is valid");
        assert!(served.boards_told_count() >= told_count + 20, "the next one is answered");
    });
}

#[test]
fn a_question_learns_in_its_middle_that_nobody_waits() {
    runtime().block_on(async {
        let served = Served::start().await;
        let (at_middle, mut is_at_middle) = tokio::sync::mpsc::channel(1);
        let (go_on, goes_on) = mpsc::channel::<()>();
        let (tell_end, end) = mpsc::channel();
        let question = move |_: &Book, _: &Settings, caller: &Caller| {
            assert!(!caller.has_gone());
            at_middle.try_send(()).expect("there is room");
            goes_on.recv().expect("the test goes on");
            tell_end.send(caller.still_waits().map_err(|status| status.code())).expect("the test waits");
            Ok(())
        };
        let (rpc, tenant) = (served.rpc.clone(), Arc::clone(&served.tenant));
        let asking = tokio::spawn(async move { rpc.ask(&tenant, Knowledge::default(), question).await });
        is_at_middle.recv().await.expect("it begins");
        asking.abort();
        assert!(asking.await.is_err_and(|error| error.is_cancelled()));
        go_on.send(()).expect("it waits");
        let end = tokio::task::spawn_blocking(move || end.recv()).await.expect("it doesn't panic");
        assert_eq!(end.expect("it is told"), Err(Code::Cancelled));
    });
}

#[test]
fn looking_at_records_ends_where_nobody_waits() {
    runtime().block_on(async {
        let served = Served::start().await;
        let (at_middle, mut is_at_middle) = tokio::sync::mpsc::channel(1);
        let (go_on, goes_on) = mpsc::channel::<()>();
        let (tell_end, end) = mpsc::channel();
        let earlier = Knowledge { known_at: Some(Instant::FIRST), received_by: None };
        let between = Between { earlier, later: Knowledge::default() };
        let question = move |tenant: &Tenant<SqliteJournal>, caller: &Caller| {
            let revision = tenant.book().revision();
            let look = || tenant.changed_between(revision, between, || caller.has_gone());
            let while_awaited = look();
            at_middle.try_send(()).expect("there is room");
            goes_on.recv().expect("the test goes on");
            let book = tenant.book_of_revision(revision, earlier, || caller.has_gone());
            tell_end.send((while_awaited, look(), book.is_some())).expect("the test waits");
            Ok(())
        };
        let (rpc, tenant) = (served.rpc.clone(), Arc::clone(&served.tenant));
        let asking = tokio::spawn(async move { rpc.ask_in_hindsight(&tenant, question).await });
        is_at_middle.recv().await.expect("it begins");
        asking.abort();
        assert!(asking.await.is_err_and(|error| error.is_cancelled()));
        go_on.send(()).expect("it waits");
        let end = tokio::task::spawn_blocking(move || end.recv()).await.expect("it doesn't panic");
        let (while_awaited, afterwards, is_built) = end.expect("it is told");
        let changed = while_awaited.expect("somebody waited");
        assert_eq!(changed.others_behind(&[], Date::LAST).count(), 1, "the partner");
        assert_eq!((afterwards, is_built), (None, false));
    });
}

#[test]
fn light_questions_are_asked_where_they_come_in() {
    runtime().block_on(async {
        let served = Served::start().await;
        let here = std::thread::current().id();
        for (rows, is_at_once) in [(0, true), (ROWS_AT_ONCE_MAX, true), (ROWS_AT_ONCE_MAX + 1, false)] {
            let asked = served.rpc.ask_weighed(
                &served.tenant,
                Knowledge::default(),
                |_, _| rows,
                |_, _, _| Ok(std::thread::current().id()),
            );
            assert_eq!(asked.await.expect("it is answered") == here, is_at_once, "{rows} rows");
        }
    });
}

async fn wait_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[test]
fn each_is_told_in_its_place_on_any_number_of_threads() {
    let waits = Caller::default();
    for count in [0, 1, 63, 64, 127, 128, 129, 1_000] {
        let all: Vec<usize> = (0..count).collect();
        let told = tell_each(&all, &waits, |&number| Ok(2 * number)).expect("the caller waits");
        assert_eq!(told, all.iter().map(|number| 2 * number).collect::<Vec<_>>());
        // Whichever part it is in: the question fails.
        for failing in [0, count / 2, count.saturating_sub(1)] {
            let told = tell_each(&all, &waits, |&number| match number == failing {
                true => Err(Status::not_found(format!("number {number}"))),
                false => Ok(number),
            });
            assert_eq!(told.is_err(), count > 0, "{failing} of {count}");
        }
        let gone = CancellationToken::new();
        gone.cancel();
        let told = tell_each(&all, &Caller(Some(gone)), |&number| Ok(number));
        assert_eq!(told.is_err(), count > 0, "nobody waits for {count}");
    }
}
