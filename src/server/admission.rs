//! Admission: how many unary calls, watches and feeds are in work at a time, in the process and for each
//! tenant.
//!
//! Invariants:
//! 1. A call counts from its admission until its [`Permit`] is dropped, which the answer's body does
//!    at its end: a slow reader counts.
//! 2. Only tenants with calls in work take memory.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tonic::Status;

use super::methods::MethodKind;
use crate::config::Limits;
use crate::domain::ids::TenantId;
use crate::proto::channelkpi::v1::ErrorReason;
use crate::service::status::Failure;

/// Long enough that a burst has passed, short for a person.
const RETRY_AFTER: Duration = Duration::from_millis(250);

pub(super) struct Admission {
    unary: Places,
    watches: Places,
    feeds: Places,
}

/// The places of one kind of method.
struct Places {
    what: &'static str,
    /// The name of each limit, and how much it allows.
    process_max: (&'static str, u32),
    tenant_max: (&'static str, u32),
    in_work: Mutex<InWork>,
}

#[derive(Default)]
struct InWork {
    process: u32,
    by_tenant: HashMap<TenantId, u32>,
}

/// The right of one call to be in work.
pub(super) struct Permit {
    admission: Arc<Admission>,
    kind: MethodKind,
    tenant: TenantId,
}

// === impl Admission ===

impl Admission {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        let places = |what, process_max, tenant_max| Places {
            what,
            process_max,
            tenant_max,
            in_work: Mutex::default(),
        };
        Arc::new(Self {
            unary: places(
                "unary calls",
                ("unary_in_work_max", limits.unary_in_work_max),
                ("unary_in_work_per_tenant_max", limits.unary_in_work_per_tenant_max),
            ),
            watches: places(
                "watches",
                ("watches_max", limits.watches_max),
                ("watches_per_tenant_max", limits.watches_per_tenant_max),
            ),
            feeds: places(
                "feeds",
                ("feeds_max", limits.feeds_max),
                ("feeds_per_tenant_max", limits.feeds_per_tenant_max),
            ),
        })
    }

    pub(super) fn admit(self: &Arc<Self>, kind: MethodKind, tenant: &TenantId) -> Result<Permit, Status> {
        self.places(kind).take(tenant)?;
        Ok(Permit { admission: self.clone(), kind, tenant: tenant.clone() })
    }

    fn places(&self, kind: MethodKind) -> &Places {
        match kind {
            MethodKind::Unary => &self.unary,
            MethodKind::Watch => &self.watches,
            MethodKind::Feed => &self.feeds,
        }
    }
}

// === impl Places ===

impl Places {
    fn take(&self, tenant: &TenantId) -> Result<(), Status> {
        let mut in_work = self.in_work.lock();
        if in_work.process >= self.process_max.1 {
            return Err(self.overloaded("process", self.process_max));
        }
        let of_tenant = in_work.by_tenant.entry_ref(tenant).or_default();
        if *of_tenant >= self.tenant_max.1 {
            return Err(self.overloaded("tenant", self.tenant_max));
        }
        *of_tenant += 1;
        in_work.process += 1;
        Ok(())
    }

    fn give_back(&self, tenant: &TenantId) {
        let mut in_work = self.in_work.lock();
        in_work.process -= 1;
        if let hashbrown::hash_map::EntryRef::Occupied(mut of_tenant) = in_work.by_tenant.entry_ref(tenant) {
            match of_tenant.get_mut() {
                1 => drop(of_tenant.remove()),
                count => *count -= 1,
            }
        }
    }

    fn overloaded(&self, subject: &str, (limit, allowed): (&str, u32)) -> Status {
        let what = self.what;
        let message = format!(
            "{allowed} {what} of this {subject} are in work, which is the most ({limit}): try again soon"
        );
        Failure::new(ErrorReason::Overloaded, &message)
            .with("limit", limit)
            .with("allowed", allowed)
            .quota(subject, &message)
            .retry_after(RETRY_AFTER)
            .into()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.places(self.kind).give_back(&self.tenant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::StatusExt;

    #[test]
    fn calls_are_counted_by_tenant_and_process_until_their_end() {
        let limits = Limits { unary_in_work_max: 3, unary_in_work_per_tenant_max: 2, ..Limits::default() };
        let admission = Admission::new(&limits);
        let [a, b] = ["a", "b"].map(|id| TenantId::try_new(id).unwrap());
        let refused_by = |tenant| {
            let info = admission.admit(MethodKind::Unary, tenant).err()?.get_details_error_info()?;
            Some((info.metadata["limit"].clone(), info.metadata["allowed"].clone()))
        };

        let first = admission.admit(MethodKind::Unary, &a).unwrap();
        let _second = admission.admit(MethodKind::Unary, &a).unwrap();
        assert_eq!(refused_by(&a), Some(("unary_in_work_per_tenant_max".into(), "2".into())));
        let third = admission.admit(MethodKind::Unary, &b).unwrap();
        assert_eq!(refused_by(&b), Some(("unary_in_work_max".into(), "3".into())));
        drop(first);
        let _fourth = admission.admit(MethodKind::Unary, &a).unwrap();
        drop(third);
        let _watch = admission.admit(MethodKind::Watch, &b).expect("watches have places of their own");
        let in_work = admission.unary.in_work.lock();
        assert_eq!((in_work.process, in_work.by_tenant.len()), (2, 1), "b has nothing in work: forgotten");
    }
}
