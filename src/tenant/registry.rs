//! All tenants of a store: loaded at the first touch, created, configured, deleted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{AppendError, StoppedBy, Tenant};
use crate::domain::calendar::Instant;
use crate::domain::ids::TenantId;
use crate::domain::record::{Record, Settings, Version, VersionKey};
use crate::journal::{Journal, ReadError, Revision, WriteError};

/// How long a call waits for a tenant that is being loaded.
const LOADED_WITHIN: Duration = Duration::from_secs(2);

/// The tenants of one store.
pub struct Tenants<J> {
    journal: Arc<J>,
    snapshot_after_bytes: usize,
    slots: Mutex<HashMap<TenantId, Slot<J>>>,
    /// One tenant is created or deleted at a time.
    changing: tokio::sync::Mutex<()>,
}

type Loading<J> = Option<Result<Arc<Tenant<J>>, StoppedBy>>;
type Slot<J> = watch::Receiver<Loading<J>>;

/// Why a tenant can't be had.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("there is no tenant of that id")]
    Unknown,
    #[error("the tenant's records are being loaded")]
    Loading,
    #[error(transparent)]
    Stopped(#[from] StoppedBy),
    #[error(transparent)]
    Journal(#[from] ReadError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error("the tenant exists with other settings")]
    ExistsOtherwise,
}

// === impl Tenants ===

impl<J: Journal> Tenants<J> {
    /// The tenants of `journal`. Each is stored as a snapshot after so many bytes of batches.
    pub fn new(journal: Arc<J>, snapshot_after_bytes: usize) -> Self {
        Self {
            journal,
            snapshot_after_bytes,
            slots: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        }
    }

    /// A tenant that exists, loaded if it wasn't.
    pub async fn get(&self, id: &TenantId) -> Result<Arc<Tenant<J>>, RegistryError> {
        let loaded = self.slots.lock().get(id).cloned();
        match loaded {
            Some(slot) => self.loaded(id, slot).await,
            None if self.exists(id).await? => self.loaded(id, self.slot(id)).await,
            None => Err(RegistryError::Unknown),
        }
    }

    /// Creates a tenant. One that exists with these settings is left as it is.
    pub async fn create(
        &self,
        id: &TenantId,
        settings: Settings,
        now: Instant,
    ) -> Result<(Arc<Tenant<J>>, Revision), RegistryError> {
        let _changing = self.changing.lock().await;
        let tenant = self.loaded(id, self.slot(id)).await?;
        let known = {
            let book = tenant.book();
            book.settings().map(|known| (*known == settings, Revision(book.revision())))
        };
        match known {
            Some((true, revision)) => Ok((tenant, revision)),
            Some((false, _)) => Err(RegistryError::ExistsOtherwise),
            None => match configure(&tenant, settings, now).await {
                Ok(revision) => Ok((tenant, revision)),
                Err(error) => {
                    // It may not have come to be: the next call looks for it anew.
                    self.slots.lock().remove(id);
                    Err(error.into())
                }
            },
        }
    }

    /// Replaces a tenant's settings.
    pub async fn configure(
        &self,
        id: &TenantId,
        settings: Settings,
        now: Instant,
    ) -> Result<(Arc<Tenant<J>>, Revision), RegistryError> {
        let _changing = self.changing.lock().await;
        let tenant = self.get(id).await?;
        let revision = configure(&tenant, settings, now).await?;
        Ok((tenant, revision))
    }

    /// Deletes a tenant, if it is there.
    pub async fn delete(&self, id: &TenantId) -> Result<(), RegistryError> {
        let _changing = self.changing.lock().await;
        let slot = self.slots.lock().get(id).cloned();
        let deleted = match slot {
            // A tenant that can't be loaded can be deleted all the same.
            Some(slot) => match self.loaded(id, slot).await {
                Ok(tenant) => tenant.delete().await,
                Err(RegistryError::Loading) => return Err(RegistryError::Loading),
                Err(_) => self.journal.delete(id).await,
            },
            None => self.journal.delete(id).await,
        };
        self.slots.lock().remove(id);
        deleted.map_err(|error: WriteError| AppendError::from(error).into())
    }

    async fn exists(&self, id: &TenantId) -> Result<bool, ReadError> {
        Ok(self.journal.head(id).await? > Revision::default())
    }

    /// The tenant's slot; its first touch begins to load it.
    fn slot(&self, id: &TenantId) -> Slot<J> {
        let mut slots = self.slots.lock();
        let slot = slots.entry(id.clone()).or_insert_with(|| {
            let (done, slot) = watch::channel(None);
            let (id, journal, after_bytes) =
                (id.clone(), Arc::clone(&self.journal), self.snapshot_after_bytes);
            tokio::spawn(async move {
                let loaded = Tenant::load(id, journal, after_bytes).await;
                done.send_replace(Some(loaded));
                // Later readers find the value though the sender is gone.
            });
            slot
        });
        slot.clone()
    }

    async fn loaded(&self, id: &TenantId, mut slot: Slot<J>) -> Result<Arc<Tenant<J>>, RegistryError> {
        let done = timeout(LOADED_WITHIN, slot.wait_for(Option::is_some)).await;
        let done = done.map_err(|_| RegistryError::Loading)?;
        let loaded = done.map_or(Err(StoppedBy::Defect), |loaded| loaded.clone().expect("waited for"));
        let failed = match loaded {
            Ok(tenant) => match tenant.stopped_by() {
                None => return Ok(tenant),
                Some(stopped_by) => stopped_by,
            },
            Err(stopped_by) => stopped_by,
        };
        // A later call may find the cause gone; damage and defects stay until the next start.
        if matches!(failed, StoppedBy::Deleted | StoppedBy::Unreadable(_)) {
            self.slots.lock().remove(id);
        }
        match failed {
            StoppedBy::Deleted => Err(RegistryError::Unknown),
            failed => Err(failed.into()),
        }
    }
}

/// Writes settings so that they win over those that are there.
async fn configure<J: Journal>(
    tenant: &Arc<Tenant<J>>,
    settings: Settings,
    now: Instant,
) -> Result<Revision, AppendError> {
    let last = tenant.book().records().settings.current().map(|kept| kept.key);
    let key = match last {
        // A clock that was set back doesn't keep new settings from being the current ones.
        Some(last) if last.update_time >= now => VersionKey { sequence: last.sequence + 1, ..last },
        _ => VersionKey { update_time: now, sequence: 0 },
    };
    tenant.write(now, vec![Version { key, record: Record::Settings(settings) }]).await
}
