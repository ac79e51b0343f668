//! What hangs on the order in which writes become durable, with the real journal behind a gate that holds one
//! of them back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::*;
use crate::clock::Clock;
use crate::config::Limits;
use crate::domain::ids::{SourceId, TenantId};
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{ReadError, SnapshotSink, StoreId, StoredSnapshot, WriteError};
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::proto::channelkpi::v1::admin_service_client::AdminServiceClient;
use crate::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use crate::server::Stack;
use crate::tenant::Tenants;

/// The journal, but that one append waits until the gate is opened. The first, 0, is the settings'.
struct Gated {
    held: u64,
    journal: Arc<SqliteJournal>,
    begun: AtomicU64,
    is_open: watch::Sender<bool>,
    /// How many have become durable.
    durable: watch::Sender<u64>,
}

impl Journal for Gated {
    fn store_id(&self) -> StoreId {
        self.journal.store_id()
    }

    fn batch_bytes_max(&self) -> usize {
        self.journal.batch_bytes_max()
    }

    fn append(
        &self,
        tenant: &TenantId,
        batch: Bytes,
    ) -> impl Future<Output = Result<Revision, WriteError>> + Send {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        async move {
            if number == self.held {
                let opened = self.is_open.subscribe().wait_for(|is_open| *is_open).await.is_ok();
                assert!(opened, "the gate lives as long as the journal");
            }
            let revision = self.journal.append(tenant, batch).await;
            self.durable.send_modify(|count| *count += 1);
            revision
        }
    }

    fn follow(
        &self,
        tenant: &TenantId,
        after: Revision,
    ) -> impl Stream<Item = Result<(Revision, Bytes), ReadError>> + Send + Unpin + use<> {
        self.journal.follow(tenant, after)
    }

    fn head(&self, tenant: &TenantId) -> impl Future<Output = Result<Revision, ReadError>> + Send {
        self.journal.head(tenant)
    }

    fn tenants(&self) -> impl Future<Output = Result<Vec<TenantId>, ReadError>> + Send {
        self.journal.tenants()
    }

    fn put_snapshot(
        &self,
        tenant: &TenantId,
        began_at: Revision,
        fill: impl FnOnce(&mut SnapshotSink<'_>) -> std::io::Result<()> + Send + 'static,
    ) -> impl Future<Output = Result<(), WriteError>> + Send {
        self.journal.put_snapshot(tenant, began_at, fill)
    }

    fn latest_snapshot(
        &self,
        tenant: &TenantId,
    ) -> impl Future<Output = Result<Option<StoredSnapshot>, ReadError>> + Send {
        self.journal.latest_snapshot(tenant)
    }

    fn truncate(
        &self,
        tenant: &TenantId,
        through: Revision,
    ) -> impl Future<Output = Result<(), WriteError>> + Send {
        self.journal.truncate(tenant, through)
    }

    fn delete(&self, tenant: &TenantId) -> impl Future<Output = Result<(), WriteError>> + Send {
        self.journal.delete(tenant)
    }

    fn close(&self) -> impl Future<Output = ()> + Send {
        self.journal.close()
    }
}

fn tenant_id() -> TenantId {
    TenantId::try_new("default").expect("it is an id")
}

/// The services over a gated journal, with a tenant.
async fn gated(held: u64) -> (Arc<Gated>, Stack, TempDir) {
    let data_dir = tempfile::tempdir().expect("a directory for the test");
    let journal = Arc::new(SqliteJournal::open(data_dir.path()).expect("the directory is ours"));
    let gated = Arc::new(Gated {
        held,
        journal,
        begun: AtomicU64::new(0),
        is_open: watch::Sender::new(false),
        durable: watch::Sender::new(0),
    });
    let (tenants, limits) = (Tenants::new(Arc::clone(&gated), usize::MAX), Limits::default());
    let routes = super::super::routes(Arc::new(tenants), Clock::default(), &limits);
    let stack = Stack::new(routes, &[FILE_DESCRIPTOR_SET], &limits);
    let settings = pb::TenantSettings {
        reporting_currency_code: "USD".into(),
        time_zone: "UTC".into(),
        ..pb::TenantSettings::default()
    };
    let create = pb::CreateTenantRequest { tenant_id: "default".into(), settings: Some(settings) };
    AdminServiceClient::new(stack.clone()).create_tenant(create).await.expect("the settings are valid");
    (gated, stack, data_dir)
}

fn request(message: Sent) -> pb::IngestRecordsRequest {
    pb::IngestRecordsRequest { message: Some(message) }
}

fn open() -> pb::IngestRecordsRequest {
    request(Sent::Open(pb::OpenFeed { source_id: "crm".into() }))
}

fn partner(seq: i64) -> pb::IngestRecordsRequest {
    let partner = pb::Partner { partner_id: format!("p{seq}"), ..pb::Partner::default() };
    let record = pb::Record {
        update_time: Some("2024-03-01T00:00:00Z".parse().expect("a time")),
        record: Some(pb::record::Record::Partner(partner)),
        ..pb::Record::default()
    };
    request(Sent::IngestRecord(pb::IngestRecord { seq, record: Some(record) }))
}

fn checkpoint(place: &str) -> pb::IngestRecordsRequest {
    request(Sent::Checkpoint(pb::FeedCheckpoint { place: place.as_bytes().to_vec() }))
}

/// What whoever loads the tenant now is given back.
async fn stored_checkpoint(gated: &Gated) -> Option<Vec<u8>> {
    let tenants = Tenants::new(Arc::clone(&gated.journal), usize::MAX);
    let Ok(tenant) = tenants.get(&tenant_id()).await else { panic!("the tenant was created") };
    let claim = tenant.claim(SourceId::try_new("crm").expect("it is an id"));
    claim.ready().await.expect("nobody else claims it here")
}

#[tokio::test]
async fn neither_ack_nor_checkpoint_gets_ahead_of_what_is_durable() {
    let (gated, stack, _data_dir) = gated(1).await;
    let (send, sent) = mpsc::channel(1_024);
    let mut client = RecordServiceClient::new(stack.clone());
    let mut told = client.ingest_records(ReceiverStream::new(sent)).await.expect("it is taken").into_inner();
    send.send(open()).await.expect("it is read");
    let opened = told.message().await.expect("it goes on").expect("the first message").message;
    assert!(matches!(opened, Some(Told::Opened(_))), "{opened:?}");

    // Two full batches, of which the first is held back, and a checkpoint after the second.
    for seq in 1..=256 {
        send.send(partner(seq)).await.expect("it is read");
    }
    send.send(checkpoint("256")).await.expect("it is read");
    let mut durable = gated.durable.subscribe();
    let second_is_durable = durable.wait_for(|count| *count == 2);
    tokio::select! {
        reached = second_is_durable => drop(reached.expect("the journal is there")),
        told = told.message() => panic!("told before the first batch is durable: {told:?}"),
    }
    // A third, cut while the second is durable and the first isn't.
    for seq in 257..=384 {
        send.send(partner(seq)).await.expect("it is read");
    }
    let mut durable = gated.durable.subscribe();
    tokio::select! {
        reached = durable.wait_for(|count| *count == 3) => drop(reached.expect("the journal is there")),
        told = told.message() => panic!("told before the first batch is durable: {told:?}"),
    }
    // The book shows both, so that their writes have been answered for.
    let key = pb::RecordKey { key: Some(pb::record_key::Key::PartnerId("p384".into())) };
    let last = pb::GetRecordRequest { key: Some(key), consistency: None };
    let mut reader = RecordServiceClient::new(stack.clone());
    while reader.get_record(last.clone()).await.is_err() {
        assert!(told.message().now_or_never().is_none(), "nothing is to be told");
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert!(told.message().now_or_never().is_none(), "nothing is to be told");
    }
    assert_eq!(stored_checkpoint(&gated).await, None, "who loses everything now begins anew");

    gated.is_open.send_replace(true);
    drop(send);
    let mut acked = Vec::new();
    while let Some(message) = told.message().await.expect("it ends with OK") {
        let Some(Told::Ack(ack)) = message.message else { panic!("{message:?}") };
        acked.push(ack.acked_seq);
    }
    assert!(acked.is_sorted(), "{acked:?}");
    assert_eq!(acked.last(), Some(&384));
    assert_eq!(stored_checkpoint(&gated).await.as_deref(), Some(&b"256"[..]));
}

/// An Ack covers what is durable and not what was merely read before it.
#[tokio::test]
async fn an_ack_ends_before_the_first_batch_that_isnt_durable() {
    let (gated, stack, _data_dir) = gated(2).await;
    let (send, sent) = mpsc::channel(1_024);
    send.send(open()).await.expect("it is read");
    for seq in 1..=256 {
        send.send(partner(seq)).await.expect("it is read");
    }
    let mut client = RecordServiceClient::new(stack);
    let mut told = client.ingest_records(ReceiverStream::new(sent)).await.expect("it is taken").into_inner();
    let mut ack = async || loop {
        let message = told.message().await.expect("it goes on").expect("it isn't closed").message;
        if let Some(Told::Ack(ack)) = message {
            break ack.acked_seq;
        }
    };
    assert_eq!(ack().await, 128);
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert!(ack().now_or_never().is_none(), "nothing more is durable");
    }
    gated.is_open.send_replace(true);
    assert_eq!(ack().await, 256);
}

/// Of a client that reads no acknowledgements nothing is read: what waits for it is bounded by the window.
#[tokio::test]
async fn who_reads_no_acks_isnt_read_from() {
    let (gated, stack, _data_dir) = gated(1).await;
    gated.is_open.send_replace(true);
    let read_count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&read_count);
    // As much as anyone asks for.
    let endless = futures_util::stream::iter(1..).map(move |seq| {
        counted.store(seq as u64, Ordering::Relaxed);
        partner(seq)
    });
    let requests = futures_util::stream::iter([open()]).chain(endless);
    let mut client = RecordServiceClient::new(stack);
    let mut told = client.ingest_records(requests).await.expect("it is taken").into_inner();
    told.message().await.expect("it goes on").expect("the first message");
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let before = read_count.load(Ordering::Relaxed);
    // What is under way, and one buffer of the transport, about 32 KiB.
    let window: u64 = Limits::default().feed_in_flight_records_max.into();
    assert!(before <= window, "{before} records were read for a client that reads nothing");
    for _ in 0..40 {
        let message = told.message().await.expect("it goes on").expect("it is endless").message;
        let Some(Told::Ack(ack)) = message else { panic!("{message:?}") };
        let waiting = read_count.load(Ordering::Relaxed) - ack.acked_seq.cast_unsigned();
        assert!(waiting <= window, "{waiting} records wait for their acknowledgement");
    }
}
