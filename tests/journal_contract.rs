//! The contract of `channel_kpi::journal`, clause by clause, for every implementation; then what
//! only SQLite can be asked: a killed process, a torn log, changed bytes, somebody else's file.
//!
//! A clause is a function over a [`Store`]. A further implementation adds a `Store` and one line
//! `contract!`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channel_kpi::domain::ids::TenantId;
use channel_kpi::journal::snapshot::SnapshotReader;
use channel_kpi::journal::sqlite::SqliteJournal;
use channel_kpi::journal::{Journal, ReadError, Revision, WriteError};
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio_stream::{Stream, StreamExt};

/// Something durable that a journal can be opened on, again and again.
trait Store {
    type Journal: Journal;
    fn new() -> Self;
    fn open(&self) -> impl Future<Output = Self::Journal>;
}

struct Sqlite(TempDir);

impl Store for Sqlite {
    type Journal = SqliteJournal;

    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open(&self) -> SqliteJournal {
        SqliteJournal::open(self.0.path()).unwrap()
    }
}

macro_rules! contract {
    ($implementation:ident: $store:ty) => {
        mod $implementation {
            use super::*;
            contract! { $store:
                acknowledged_batches_are_there_after_reopening
                a_batch_comes_back_byte_for_byte
                a_batch_too_large_is_refused
                revisions_never_return
                concurrent_appends_are_followed_exactly
                following_from_any_point_yields_the_suffix
                a_follower_that_lags_loses_nothing
                a_tenant_not_there_yet_can_be_followed
                truncation_needs_a_snapshot_and_is_never_silent
                the_newest_snapshot_is_the_latest
                a_snapshot_that_failed_is_not_stored
                tenants_are_those_with_a_batch_or_a_snapshot
                deletion_ends_followers_and_leaves_nothing
                closing_finishes_what_was_accepted
                a_store_keeps_its_id
            }

            #[test]
            fn any_history_agrees_with_a_model() {
                super::any_history_agrees_with_a_model::<$store>();
            }
        }
    };
    ($store:ty: $($clause:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $clause() {
                super::$clause(<$store>::new()).await;
            }
        )*
    };
}

contract!(sqlite: Sqlite);

type Batches = Vec<(Revision, Bytes)>;

fn tenant(id: &str) -> TenantId {
    TenantId::try_new(id).unwrap()
}

/// The next `count` batches. A follower that hangs fails the test instead of stopping it.
async fn take<S>(followed: &mut S, count: usize) -> Batches
where
    S: Stream<Item = Result<(Revision, Bytes), ReadError>> + Unpin,
{
    let mut batches = Batches::new();
    while batches.len() < count {
        batches.push(next(followed).await.expect("it doesn't end yet").unwrap());
    }
    batches
}

async fn next<S: Stream + Unpin>(followed: &mut S) -> Option<S::Item> {
    tokio::time::timeout(Duration::from_secs(60), followed.next()).await.expect("a minute is no hurry")
}

/// Everything from `after` to the head.
async fn all<J: Journal>(journal: &J, tenant: &TenantId, after: Revision) -> Batches {
    let head = journal.head(tenant).await.unwrap();
    let mut followed = journal.follow(tenant, after);
    let mut batches = Batches::new();
    while batches.last().map_or(after, |(revision, _)| *revision) < head {
        batches.extend(take(&mut followed, 1).await);
    }
    batches
}

/// Appends `count` batches that name themselves, each acknowledged before the next.
async fn append_some<J: Journal>(journal: &J, tenant: &TenantId, name: &str, count: usize) -> Batches {
    let mut batches = Batches::new();
    for n in 0..count {
        let batch = Bytes::from(format!("{name} {n} of {tenant}"));
        batches.push((journal.append(tenant, batch.clone()).await.unwrap(), batch));
    }
    batches
}

async fn put<J: Journal>(
    journal: &J,
    tenant: &TenantId,
    began_at: Revision,
    entries: &[&[u8]],
) -> Result<(), WriteError> {
    let entries: Vec<Vec<u8>> = entries.iter().map(|entry| entry.to_vec()).collect();
    let fill = move |sink: &mut channel_kpi::journal::SnapshotSink<'_>| {
        entries.iter().try_for_each(|entry| sink.push(entry))
    };
    journal.put_snapshot(tenant, began_at, fill).await
}

/// The revision at which the latest snapshot began, and its entries.
async fn latest<J: Journal>(journal: &J, tenant: &TenantId) -> Option<(Revision, Vec<Vec<u8>>)> {
    let snapshot = journal.latest_snapshot(tenant).await.unwrap()?;
    assert_eq!(snapshot.tenant(), tenant);
    Some((snapshot.began_at(), entries(snapshot)))
}

fn entries<R: std::io::Read>(snapshot: SnapshotReader<R>) -> Vec<Vec<u8>> {
    snapshot.flat_map(|block| block.unwrap().entries().map(<[u8]>::to_vec).collect::<Vec<_>>()).collect()
}

// === The clauses ===

async fn acknowledged_batches_are_there_after_reopening(store: impl Store) {
    let acme = tenant("acme");
    let journal = store.open().await;
    let first = append_some(&journal, &acme, "first", 3).await;
    journal.close().await;

    let journal = store.open().await;
    assert_eq!(journal.head(&acme).await.unwrap(), first[2].0);
    assert_eq!(all(&journal, &acme, Revision(0)).await, first);
    let second = append_some(&journal, &acme, "second", 2).await;
    journal.close().await;

    let journal = store.open().await;
    assert_eq!(all(&journal, &acme, Revision(0)).await, [first, second].concat());
    journal.close().await;
}

async fn a_batch_comes_back_byte_for_byte(store: impl Store) {
    let acme = tenant("Müller & Söhne/'\"%_\\");
    let journal = store.open().await;
    let largest = Bytes::from_iter((0..journal.batch_bytes_max()).map(|n| (n % 251) as u8));
    let batches = [Bytes::new(), Bytes::from_static(&[0]), largest, Bytes::from_static(b"last")];
    let mut live = journal.follow(&acme, Revision(0));
    for batch in &batches {
        journal.append(&acme, batch.clone()).await.unwrap();
    }
    let followed = take(&mut live, batches.len()).await;
    assert!(followed.iter().map(|(_, batch)| batch).eq(&batches), "live");
    journal.close().await;
    let journal = store.open().await;
    assert!(all(&journal, &acme, Revision(0)).await == followed, "from disk");
    journal.close().await;
}

async fn a_batch_too_large_is_refused(store: impl Store) {
    let acme = tenant("acme");
    let journal = store.open().await;
    let max = journal.batch_bytes_max();
    let refused = journal.append(&acme, Bytes::from(vec![1; max + 1])).await;
    assert_eq!(refused, Err(WriteError::TooLarge { bytes: max + 1, max }));
    assert_eq!(journal.head(&acme).await.unwrap(), Revision(0));
    let written = append_some(&journal, &acme, "after it", 1).await;
    assert_eq!(all(&journal, &acme, Revision(0)).await, written);
    journal.close().await;
}

async fn revisions_never_return(store: impl Store) {
    let acme = tenant("acme");
    let mut seen = Vec::new();
    for round in 0..4 {
        let journal = store.open().await;
        seen.extend(append_some(&journal, &acme, "round", 2).await.into_iter().map(|(revision, _)| revision));
        let head = *seen.last().unwrap();
        if round % 2 == 0 {
            put(&journal, &acme, head, &[]).await.unwrap();
            journal.truncate(&acme, head).await.unwrap();
            assert_eq!(journal.head(&acme).await.unwrap(), head, "truncated to the last");
        } else {
            journal.delete(&acme).await.unwrap();
            assert_eq!(journal.head(&acme).await.unwrap(), Revision(0), "deleted");
        }
        journal.close().await;
        if round % 2 == 0 {
            let journal = store.open().await;
            assert_eq!(journal.head(&acme).await.unwrap(), head, "truncated and reopened");
            journal.close().await;
        }
    }
    assert!(Revision(0) < seen[0] && seen.is_sorted_by(|a, b| a < b), "{seen:?}");
}

async fn concurrent_appends_are_followed_exactly(store: impl Store) {
    const APPENDERS: usize = 4;
    const EACH: usize = 25;
    let tenants = ["acme", "apex", "zenith", "ω"].map(tenant);
    let journal = Arc::new(store.open().await);
    let mut appenders = tokio::task::JoinSet::new();
    let mut followers = tokio::task::JoinSet::new();
    for tenant in &tenants {
        for _ in 0..2 {
            let mut followed = journal.follow(tenant, Revision(0));
            let tenant = tenant.clone();
            followers.spawn(async move { (tenant, take(&mut followed, APPENDERS * EACH).await) });
        }
        for appender in 0..APPENDERS {
            let (journal, tenant) = (Arc::clone(&journal), tenant.clone());
            appenders.spawn(async move {
                let name = format!("appender {appender}");
                let batches = append_some(&*journal, &tenant, &name, EACH).await;
                assert!(batches.is_sorted_by(|(a, _), (b, _)| a < b), "in the order of acknowledgement");
                (tenant, batches)
            });
        }
    }
    let mut acknowledged: BTreeMap<TenantId, BTreeMap<Revision, Bytes>> = BTreeMap::new();
    while let Some(appended) = appenders.join_next().await {
        let (tenant, batches) = appended.unwrap();
        for (revision, batch) in batches {
            let other = acknowledged.entry(tenant.clone()).or_default().insert(revision, batch);
            assert_eq!(other, None, "a revision given twice");
        }
    }
    while let Some(followed) = followers.join_next().await {
        let (tenant, batches) = followed.unwrap();
        assert!(batches.into_iter().eq(acknowledged[&tenant].clone()), "{tenant}");
    }
    journal.close().await;
}

async fn following_from_any_point_yields_the_suffix(store: impl Store) {
    let (acme, other) = (tenant("acme"), tenant("other"));
    let journal = Arc::new(store.open().await);
    let before = append_some(&*journal, &acme, "before", 20).await;
    let points = [Revision(0)].into_iter().chain(before.iter().map(|(revision, _)| *revision));
    let appending = tokio::spawn({
        let (journal, acme) = (Arc::clone(&journal), acme.clone());
        async move {
            append_some(&*journal, &other, "between", 1).await;
            append_some(&*journal, &acme, "meanwhile", 40).await
        }
    });
    let mut followers = tokio::task::JoinSet::new();
    for (n, after) in points.enumerate() {
        let mut followed = journal.follow(&acme, after);
        followers.spawn(async move { (n, take(&mut followed, 60 - n).await) });
    }
    let everything = [before, appending.await.unwrap()].concat();
    while let Some(followed) = followers.join_next().await {
        let (n, batches) = followed.unwrap();
        assert_eq!(batches, everything[n..], "after {n} batches");
    }
    journal.close().await;
}

async fn a_follower_that_lags_loses_nothing(store: impl Store) {
    let acme = tenant("acme");
    let journal = store.open().await;
    let mut slow = journal.follow(&acme, Revision(0));
    let mut everything = append_some(&journal, &acme, "first", 1).await;
    assert_eq!(take(&mut slow, 1).await, everything, "it is live");
    for n in 0..300u32 {
        let batch = Bytes::from(n.to_le_bytes().repeat(4 << 10));
        everything.push((journal.append(&acme, batch.clone()).await.unwrap(), batch));
    }
    assert!(take(&mut slow, 300).await == everything[1..]);
    let last = append_some(&journal, &acme, "last", 1).await;
    assert_eq!(take(&mut slow, 1).await, last, "live again");
    journal.close().await;
}

async fn a_tenant_not_there_yet_can_be_followed(store: impl Store) {
    let acme = tenant("acme");
    let journal = store.open().await;
    let mut followed = journal.follow(&acme, Revision(0));
    // Polled before there is anything: what comes then is not missed.
    let early = tokio::spawn(async move { take(&mut followed, 2).await });
    assert_eq!(journal.tenants().await.unwrap(), []);
    let batches = append_some(&journal, &acme, "first", 2).await;
    assert_eq!(early.await.unwrap(), batches);
    journal.close().await;
}

async fn truncation_needs_a_snapshot_and_is_never_silent(store: impl Store) {
    let acme = tenant("acme");
    let journal = store.open().await;
    let batches = append_some(&journal, &acme, "batch", 6).await;
    let [first, third, fourth, last] = [0, 2, 3, 5].map(|n: usize| batches[n].0);
    let mut at_the_end = journal.follow(&acme, last);

    assert!(matches!(journal.truncate(&acme, third).await, Err(WriteError::Refused(_))), "no snapshot");
    put(&journal, &acme, third, &[b"a record"]).await.unwrap();
    assert!(matches!(journal.truncate(&acme, fourth).await, Err(WriteError::Refused(_))), "beyond it");
    assert_eq!(all(&journal, &acme, Revision(0)).await, batches, "refused means untouched");
    journal.truncate(&acme, third).await.unwrap();
    journal.truncate(&acme, first).await.unwrap(); // less than before takes nothing back

    let journal = {
        let appended = append_some(&journal, &acme, "later", 1).await;
        assert_eq!(take(&mut at_the_end, 1).await, appended, "a live follower isn't disturbed");
        journal.close().await;
        store.open().await
    };
    assert_eq!(all(&journal, &acme, third).await[..3], batches[3..], "the tail is whole");
    assert_eq!(all(&journal, &acme, fourth).await[..2], batches[4..]);
    for after in [Revision(0), first, Revision(third.0 - 1)] {
        let mut followed = journal.follow(&acme, after);
        match next(&mut followed).await {
            Some(Err(ReadError::Truncated { tenant, after: asked, through })) => {
                assert_eq!((tenant, asked, through), (acme.clone(), after, third));
            }
            other => panic!("after {after}: {other:?}"),
        }
        assert!(next(&mut followed).await.is_none(), "an error is the last");
    }
    journal.close().await;
}

async fn the_newest_snapshot_is_the_latest(store: impl Store) {
    let (acme, other) = (tenant("acme"), tenant("other"));
    let journal = store.open().await;
    assert_eq!(latest(&journal, &acme).await, None);
    let batches = append_some(&journal, &acme, "batch", 4).await;
    append_some(&journal, &other, "batch", 1).await;
    let [second, third] = [1, 2].map(|n: usize| batches[n].0);

    put(&journal, &acme, second, &[b"a", b"", b"b"]).await.unwrap();
    assert_eq!(latest(&journal, &acme).await, Some((second, vec![b"a".into(), vec![], b"b".into()])));
    put(&journal, &acme, third, &[b"c"]).await.unwrap();
    put(&journal, &acme, second, &[b"older, though put later"]).await.unwrap();
    assert_eq!(latest(&journal, &acme).await, Some((third, vec![b"c".into()])));
    put(&journal, &acme, third, &[b"again"]).await.unwrap();
    assert_eq!(latest(&journal, &other).await, None, "another tenant's");
    journal.truncate(&acme, third).await.unwrap();
    journal.close().await;

    let journal = store.open().await;
    assert_eq!(latest(&journal, &acme).await, Some((third, vec![b"again".into()])));
    assert_eq!(all(&journal, &acme, third).await, batches[3..], "and what came after it");
    journal.close().await;
}

async fn a_snapshot_that_failed_is_not_stored(store: impl Store) {
    let acme = tenant("acme");
    let journal = store.open().await;
    let head = append_some(&journal, &acme, "batch", 1).await[0].0;
    let failing = journal.put_snapshot(&acme, head, |sink| {
        sink.push(b"a record")?;
        Err(std::io::Error::other("given up"))
    });
    assert_eq!(failing.await, Err(WriteError::Refused("given up".into())));
    let from_the_future = put(&journal, &acme, Revision(head.0 + 1), &[]).await;
    assert!(matches!(from_the_future, Err(WriteError::Refused(_))), "what comes next would be lost");
    assert_eq!(latest(&journal, &acme).await, None);
    put(&journal, &acme, head, &[b"a record"]).await.unwrap();
    assert_eq!(latest(&journal, &acme).await, Some((head, vec![b"a record".into()])), "it can be repeated");
    journal.close().await;
}

async fn tenants_are_those_with_a_batch_or_a_snapshot(store: impl Store) {
    let [acme, apex, zenith] = ["acme", "apex", "zenith"].map(tenant);
    let longest = tenant(&"ß".repeat(64));
    let journal = store.open().await;
    let _followed = journal.follow(&tenant("only followed"), Revision(0));
    append_some(&journal, &zenith, "batch", 2).await;
    append_some(&journal, &longest, "batch", 1).await;
    append_some(&journal, &acme, "batch", 1).await;
    put(&journal, &apex, Revision(0), &[b"restored"]).await.unwrap();
    put(&journal, &longest, Revision(0), &[b"restored"]).await.unwrap();
    let expected = [acme, apex.clone(), zenith, longest.clone()];
    assert_eq!(journal.tenants().await.unwrap(), expected);
    journal.close().await;
    let journal = store.open().await;
    assert_eq!(journal.tenants().await.unwrap(), expected);
    for restored in [apex, longest] {
        assert_eq!(latest(&journal, &restored).await, Some((Revision(0), vec![b"restored".into()])));
    }
    journal.close().await;
}

async fn deletion_ends_followers_and_leaves_nothing(store: impl Store) {
    let [acme, other] = ["acme", "other"].map(tenant);
    let journal = store.open().await;
    let gone = append_some(&journal, &acme, "gone", 3).await;
    let kept = append_some(&journal, &other, "kept", 2).await;
    put(&journal, &acme, gone[1].0, &[b"a record"]).await.unwrap();
    let mut live = journal.follow(&acme, Revision(0));
    assert_eq!(take(&mut live, 3).await, gone);

    journal.delete(&acme).await.unwrap();
    assert!(next(&mut live).await.is_none());
    journal.delete(&acme).await.unwrap(); // nothing to do
    assert_eq!(journal.tenants().await.unwrap(), std::slice::from_ref(&other));
    assert_eq!(latest(&journal, &acme).await, None);

    let anew = append_some(&journal, &acme, "anew", 1).await;
    assert!(anew[0].0 > gone[2].0);
    journal.close().await;
    let journal = store.open().await;
    assert_eq!(all(&journal, &acme, Revision(0)).await, anew);
    assert_eq!(latest(&journal, &acme).await, None);
    assert_eq!(all(&journal, &other, Revision(0)).await, kept);
    journal.close().await;
}

async fn closing_finishes_what_was_accepted(store: impl Store) {
    let acme = tenant("acme");
    let journal = Arc::new(store.open().await);
    let mut live = journal.follow(&acme, Revision(0));
    append_some(&*journal, &acme, "early", 1).await;
    take(&mut live, 1).await;
    let mut appends = tokio::task::JoinSet::new();
    for n in 0..64u8 {
        let (journal, acme) = (Arc::clone(&journal), acme.clone());
        appends.spawn(async move { (n, journal.append(&acme, Bytes::from(vec![n])).await) });
    }
    tokio::task::yield_now().await;
    journal.close().await;
    journal.close().await; // nothing to do

    let mut acknowledged = BTreeMap::new();
    while let Some(appended) = appends.join_next().await {
        match appended.unwrap() {
            (n, Ok(revision)) => assert_eq!(acknowledged.insert(revision, n), None),
            (_, Err(error)) => assert_eq!(error, WriteError::Closed),
        }
    }
    let end = loop {
        match next(&mut live).await {
            Some(Ok(_)) => {} // what was accepted may still come
            end => break end,
        }
    };
    assert!(matches!(end, Some(Err(ReadError::Closed))), "{end:?}");
    assert_eq!(journal.append(&acme, Bytes::new()).await, Err(WriteError::Closed));
    assert!(matches!(journal.head(&acme).await, Err(ReadError::Closed)));
    assert!(matches!(journal.tenants().await, Err(ReadError::Closed)));
    assert!(matches!(journal.latest_snapshot(&acme).await, Err(ReadError::Closed)));
    assert_eq!(put(&*journal, &acme, Revision(0), &[]).await, Err(WriteError::Closed));
    assert_eq!(journal.truncate(&acme, Revision(0)).await, Err(WriteError::Closed));
    assert_eq!(journal.delete(&acme).await, Err(WriteError::Closed));
    let mut late = journal.follow(&acme, Revision(0));
    assert!(matches!(next(&mut late).await, Some(Err(ReadError::Closed))));

    let journal = store.open().await;
    let found = all(&journal, &acme, Revision(0)).await.into_iter().skip(1);
    assert!(found.map(|(revision, batch)| (revision, batch[0])).eq(acknowledged), "Closed means not written");
    journal.close().await;
}

async fn a_store_keeps_its_id<S: Store>(store: S) {
    let another = S::new().open().await;
    let journal = store.open().await;
    let id = journal.store_id();
    assert_ne!(id, another.store_id());
    journal.close().await;
    let journal = store.open().await;
    assert_eq!(journal.store_id(), id);
    journal.close().await;
    another.close().await;
}

// === Any history ===

#[derive(Clone, Debug)]
enum Step {
    Append { tenant: usize, size_bytes: usize },
    Snapshot { tenant: usize, at: prop::sample::Index },
    Truncate { tenant: usize, at: prop::sample::Index },
    Delete { tenant: usize },
    Reopen,
}

fn any_step() -> impl Strategy<Value = Step> {
    let tenant = || 0..2usize;
    prop_oneof![
        8 => (tenant(), 0..6000usize).prop_map(|(tenant, size_bytes)| Step::Append { tenant, size_bytes }),
        2 => (tenant(), any::<prop::sample::Index>()).prop_map(|(tenant, at)| Step::Snapshot { tenant, at }),
        2 => (tenant(), any::<prop::sample::Index>()).prop_map(|(tenant, at)| Step::Truncate { tenant, at }),
        1 => tenant().prop_map(|tenant| Step::Delete { tenant }),
        1 => Just(Step::Reopen),
    ]
}

/// What a tenant must have, kept the plain way.
#[derive(Clone, Default)]
struct Model {
    batches: Batches,
    snapshots: BTreeSet<Revision>,
    truncated_through: Revision,
}

fn any_history_agrees_with_a_model<S: Store>() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    proptest!(ProptestConfig::with_cases(32), |(history in vec(any_step(), 0..30))| {
        runtime.block_on(agrees_with_a_model(S::new(), history));
    });
}

async fn agrees_with_a_model(store: impl Store, history: Vec<Step>) {
    let tenants = ["acme", "zenith"].map(tenant);
    let mut models = [Model::default(), Model::default()];
    let mut journal = store.open().await;
    for (n, step) in history.into_iter().enumerate() {
        match step {
            Step::Append { tenant, size_bytes } => {
                let batch = Bytes::from(vec![n as u8; size_bytes]);
                let revision = journal.append(&tenants[tenant], batch.clone()).await.unwrap();
                models[tenant].batches.push((revision, batch));
            }
            Step::Snapshot { tenant, at } => {
                let model = &mut models[tenant];
                if let Some((began_at, _)) = pick(&model.batches, at) {
                    put(&journal, &tenants[tenant], began_at, &[&began_at.0.to_le_bytes()]).await.unwrap();
                    model.snapshots.insert(began_at);
                }
            }
            Step::Truncate { tenant, at } => {
                let model = &mut models[tenant];
                if let Some((through, _)) = pick(&model.batches, at) {
                    let done = journal.truncate(&tenants[tenant], through).await;
                    let covered = model.snapshots.last().is_some_and(|newest| *newest >= through);
                    assert_eq!(done.is_ok(), covered, "{done:?}");
                    if covered {
                        model.truncated_through = model.truncated_through.max(through);
                        model.snapshots.retain(|began_at| *began_at >= through);
                    }
                }
            }
            Step::Delete { tenant } => {
                journal.delete(&tenants[tenant]).await.unwrap();
                models[tenant] = Model::default();
            }
            Step::Reopen => {
                journal.close().await;
                journal = store.open().await;
            }
        }
        for (tenant, model) in tenants.iter().zip(&models) {
            let (after, head) =
                (model.truncated_through, model.batches.last().map_or(Revision(0), |batch| batch.0));
            assert_eq!(journal.head(tenant).await.unwrap(), head);
            let kept: Batches = model.batches.iter().filter(|batch| batch.0 > after).cloned().collect();
            assert!(all(&journal, tenant, after).await == kept, "{tenant}: other batches than {kept:?}");
            let newest = model.snapshots.range(after..).last();
            let newest = newest.map(|began_at| (*began_at, vec![began_at.0.to_le_bytes().to_vec()]));
            assert_eq!(latest(&journal, tenant).await, newest);
        }
    }
    journal.close().await;
}

fn pick(batches: &Batches, at: prop::sample::Index) -> Option<(Revision, Bytes)> {
    (!batches.is_empty()).then(|| at.get(batches).clone())
}

// === What only SQLite can be asked ===

fn refused(dir: &Path) -> String {
    match SqliteJournal::open(dir) {
        Ok(_) => panic!("{} was opened", dir.display()),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn sqlite_directory_has_one_holder() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made/on/the/way");
    let journal = SqliteJournal::open(&path).unwrap();
    let (shown, pid) = (path.display(), std::process::id());
    assert_eq!(
        refused(&path),
        format!("data directory {shown} is held by process {pid}, which serves no address: stop it")
    );
    journal.announce("http://127.0.0.1:7443").unwrap();
    assert_eq!(
        refused(&path),
        format!(
            "data directory {shown} is held by the sidecar at 127.0.0.1:7443 (pid {pid}): \
             use --to http://127.0.0.1:7443 or stop it"
        )
    );
    let _followed = journal.follow(&tenant("acme"), Revision(0));
    journal.close().await;
    SqliteJournal::open(&path).unwrap().close().await;
}

#[tokio::test]
async fn sqlite_leaves_other_files_as_they_are() {
    let sql = |statements: &str, path: &Path| {
        rusqlite::Connection::open(path).unwrap().execute_batch(statements).unwrap();
    };
    for (statements, expected) in [
        ("CREATE TABLE theirs (a)", "is not a journal of channel-kpi: choose another data directory"),
        ("PRAGMA user_version = 1", "is not a journal of channel-kpi: choose another data directory"),
        (
            "PRAGMA application_id = 0x434B5049; PRAGMA user_version = 2; CREATE TABLE newer (a)",
            "has format 2, this version of channel-kpi reads 1: use the version that wrote it or a newer one",
        ),
        ("", "is not a journal of channel-kpi: choose another data directory"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.sqlite3");
        match statements {
            "" => fs::write(&path, "not a database at all, but long enough to look like one".repeat(99))
                .unwrap(),
            _ => sql(statements, &path),
        }
        let before = fs::read(&path).unwrap();
        assert_eq!(refused(dir.path()), format!("{} {expected}", path.display()));
        assert!(fs::read(&path).unwrap() == before, "{statements}");
    }
}

#[tokio::test]
async fn sqlite_reports_a_changed_byte_and_yields_what_is_before_it() {
    let (dir, acme) = (tempfile::tempdir().unwrap(), tenant("acme"));
    let journal = SqliteJournal::open(dir.path()).unwrap();
    let sound = append_some(&journal, &acme, "sound", 2).await;
    let damaged = journal.append(&acme, Bytes::from_static(b"this one will be damaged")).await.unwrap();
    append_some(&journal, &acme, "behind it", 2).await;
    journal.close().await;

    let path = dir.path().join("journal.sqlite3");
    let mut file = fs::read(&path).unwrap();
    let text = b"this one will be damaged";
    let at = file.windows(text.len()).position(|window| window == text).unwrap();
    file[at + 5] ^= 0x20;
    fs::write(&path, file).unwrap();

    let journal = SqliteJournal::open(dir.path()).unwrap();
    let mut followed = journal.follow(&acme, Revision(0));
    assert_eq!(take(&mut followed, 2).await, sound);
    let error = next(&mut followed).await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the batch of tenant \"acme\" at revision {damaged} is damaged: its checksum doesn't match")
    );
    assert!(
        matches!(error, ReadError::Corrupt { tenant, revision, .. } if tenant == acme && revision == damaged)
    );
    assert!(next(&mut followed).await.is_none(), "nothing after it");
    journal.close().await;
}

#[tokio::test]
async fn sqlite_passes_over_torn_and_damaged_snapshots() {
    let (dir, acme) = (tempfile::tempdir().unwrap(), tenant("acme"));
    let snapshots = dir.path().join("snapshots");
    let journal = SqliteJournal::open(dir.path()).unwrap();
    let batches = append_some(&journal, &acme, "batch", 3).await;
    let [first, second] = [0, 1].map(|n: usize| batches[n].0);
    put(&journal, &acme, first, &[b"older"]).await.unwrap();
    put(&journal, &acme, second, &[b"newer"]).await.unwrap();
    let path_of = |began_at: Revision| -> PathBuf {
        let mut paths = fs::read_dir(&snapshots).unwrap().map(|entry| entry.unwrap().path());
        let ending = format!("-{began_at}.ckpi");
        paths.find(|path| path.to_str().unwrap().ends_with(&ending)).unwrap()
    };
    let (older, newer) = (path_of(first), path_of(second));
    journal.close().await;

    // Torn while it was written, and never registered: removed when opening.
    fs::write(snapshots.join("7.part"), b"CKPISNAP").unwrap();
    fs::copy(&newer, snapshots.join("99-7.ckpi")).unwrap();
    fs::write(snapshots.join("not ours"), b"").unwrap();
    let journal = SqliteJournal::open(dir.path()).unwrap();
    let left: BTreeSet<PathBuf> =
        fs::read_dir(&snapshots).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, BTreeSet::from([older.clone(), newer.clone(), snapshots.join("not ours")]));

    // Damaged in its middle: the older one serves while the journal has what came after it.
    let whole = fs::read(&newer).unwrap();
    let mut damaged = whole.clone();
    *damaged.iter_mut().rev().nth(30).unwrap() ^= 1;
    fs::write(&newer, &damaged).unwrap();
    assert_eq!(latest(&journal, &acme).await, Some((first, vec![b"older".into()])));
    assert_eq!(all(&journal, &acme, first).await, batches[1..]);

    // Then not any more, and the error names the file.
    journal.truncate(&acme, second).await.unwrap();
    assert!(!older.exists(), "of no more use");
    let error = journal.latest_snapshot(&acme).await.err().unwrap().to_string();
    let expected =
        format!("the snapshot {} of tenant \"acme\" can't be used: it is damaged", newer.display());
    assert!(error.starts_with(&expected), "{error}");
    fs::write(&newer, &whole).unwrap();
    assert_eq!(latest(&journal, &acme).await, Some((second, vec![b"newer".into()])));
    fs::remove_file(&newer).unwrap();
    assert!(matches!(journal.latest_snapshot(&acme).await, Err(ReadError::Snapshot { .. })));
    journal.close().await;
}

/// A power cut keeps what was synced and any part of what came later. Each batch's COMMIT synced the
/// log up to a known length; beyond that length the copy is cut, zeroed or made garbage.
#[tokio::test]
async fn sqlite_survives_the_loss_of_whatever_was_not_synced() {
    let (dir, acme) = (tempfile::tempdir().unwrap(), tenant("acme"));
    let journal = SqliteJournal::open(dir.path()).unwrap();
    let [database, log] = ["journal.sqlite3", "journal.sqlite3-wal"].map(|name| dir.path().join(name));
    let mut synced = Vec::new(); // the log's length when a batch was acknowledged, and the batch
    for n in 0..24usize {
        let batch = Bytes::from(vec![n as u8; n * 733 % 9000]);
        let revision = journal.append(&acme, batch.clone()).await.unwrap();
        synced.push((fs::metadata(&log).unwrap().len() as usize, (revision, batch)));
    }
    assert!(synced.is_sorted_by(|a, b| a.0 < b.0), "no checkpoint came between");
    let (database, log) = (fs::read(database).unwrap(), fs::read(log).unwrap());
    journal.close().await;

    let ends = synced.iter().map(|(end, _)| *end);
    for cut in (0..log.len()).step_by(3001).chain(ends.clone().map(|end| end - 4100)).chain(ends) {
        for (tail, of) in [("cut", None), ("zeroed", Some(0)), ("garbage", Some(0xA5))] {
            let copy = tempfile::tempdir().unwrap();
            let mut torn = log.clone();
            match of {
                None => torn.truncate(cut),
                Some(byte) => torn[cut..].fill(byte),
            }
            // What became zero may have been zero before.
            let kept = torn.iter().zip(&log).position(|(torn, log)| torn != log).unwrap_or(torn.len());
            fs::write(copy.path().join("journal.sqlite3"), &database).unwrap();
            fs::write(copy.path().join("journal.sqlite3-wal"), torn).unwrap();
            let journal = SqliteJournal::open(copy.path()).unwrap();
            let expected: Batches =
                synced.iter().filter(|(end, _)| *end <= kept).map(|(_, batch)| batch.clone()).collect();
            let found = all(&journal, &acme, Revision(0)).await;
            assert!(found == expected, "{tail} at {cut}: {} batches, not {}", found.len(), expected.len());
            append_some(&journal, &acme, "and goes on", 1).await;
            journal.close().await;
        }
    }
}

const KILLED_DIR: &str = "CHANNEL_KPI_TEST_KILLED_DIR";

/// The process that `sqlite_keeps_every_acknowledged_batch_of_a_killed_process` kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by sqlite_keeps_every_acknowledged_batch_of_a_killed_process"]
async fn appends_until_killed() {
    let dir = std::env::var_os(KILLED_DIR).expect("the test that kills us says where");
    let journal = Arc::new(SqliteJournal::open(Path::new(&dir)).unwrap());
    let mut appenders = tokio::task::JoinSet::new();
    for id in ["acme", "apex", "zenith"] {
        for appender in 0..2 {
            let journal = Arc::clone(&journal);
            appenders.spawn(async move {
                for n in 0.. {
                    let batch = format!("{id} {appender} {n} {}", "x".repeat(n * 997 % 20_000));
                    let revision = journal.append(&tenant(id), batch.clone().into()).await.unwrap();
                    // One write, so that lines of several appenders don't mix.
                    let line = format!("acknowledged {revision} {id} {appender} {n}\n");
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                }
            });
        }
    }
    appenders.join_all().await;
}

#[tokio::test]
async fn sqlite_keeps_every_acknowledged_batch_of_a_killed_process() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeMap<u64, String> = BTreeMap::new();
    for kill_after in [1, 20, 73, 200, 450] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "appends_until_killed", "--ignored", "--nocapture"])
            .env(KILLED_DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledge = |line: String| {
            // The test harness writes lines too, and the last of ours may be torn.
            let (revision, what) = line.strip_prefix("acknowledged ")?.split_once(' ')?;
            acknowledged.insert(revision.parse().unwrap(), what.to_owned())
        };
        let mut count = 0;
        while count < kill_after {
            let line = lines.next().expect("it appends until it is killed").unwrap();
            count += usize::from(line.starts_with("acknowledged "));
            acknowledge(line);
        }
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        let mut rest: Vec<String> = lines.map(Result::unwrap).collect();
        rest.pop(); // may be torn
        for line in rest {
            acknowledge(line);
        }

        let journal = SqliteJournal::open(dir.path()).unwrap();
        let mut found = BTreeMap::new();
        for id in ["acme", "apex", "zenith"] {
            for (revision, batch) in all(&journal, &tenant(id), Revision(0)).await {
                let batch = String::from_utf8(batch.to_vec()).unwrap();
                let (what, filling) = batch.rsplit_once(' ').unwrap();
                let n: usize = what.rsplit_once(' ').unwrap().1.parse().unwrap();
                assert_eq!(filling.len(), n * 997 % 20_000, "a torn batch");
                assert_eq!(found.insert(revision.0, what.to_owned()), None);
            }
        }
        journal.close().await;
        for (revision, what) in &acknowledged {
            assert_eq!(found.get(revision), Some(what), "after {kill_after} in this round");
        }
    }
}
