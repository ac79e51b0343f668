//! Admission: how many unary calls are in work at a time, in the process and for each tenant.
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

use crate::config::Limits;
use crate::domain::ids::TenantId;
use crate::proto::channelkpi::v1::ErrorReason;
use crate::service::status::Failure;

/// Long enough that a burst has passed, short for a person.
const RETRY_AFTER: Duration = Duration::from_millis(250);

pub(super) struct Admission {
    process_max: u32,
    tenant_max: u32,
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
    tenant: TenantId,
}

// === impl Admission ===

impl Admission {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            process_max: limits.unary_in_work_max,
            tenant_max: limits.unary_in_work_per_tenant_max,
            in_work: Mutex::default(),
        })
    }

    pub(super) fn admit(self: &Arc<Self>, tenant: &TenantId) -> Result<Permit, Status> {
        let mut in_work = self.in_work.lock();
        if in_work.process >= self.process_max {
            return Err(overloaded("process", "unary_in_work_max", self.process_max));
        }
        let of_tenant = in_work.by_tenant.entry_ref(tenant).or_default();
        if *of_tenant >= self.tenant_max {
            return Err(overloaded("tenant", "unary_in_work_per_tenant_max", self.tenant_max));
        }
        *of_tenant += 1;
        in_work.process += 1;
        Ok(Permit { admission: self.clone(), tenant: tenant.clone() })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut in_work = self.admission.in_work.lock();
        in_work.process -= 1;
        if let hashbrown::hash_map::EntryRef::Occupied(mut of_tenant) =
            in_work.by_tenant.entry_ref(&self.tenant)
        {
            match of_tenant.get_mut() {
                1 => drop(of_tenant.remove()),
                count => *count -= 1,
            }
        }
    }
}

fn overloaded(subject: &str, limit: &str, allowed: u32) -> Status {
    let message = format!(
        "{allowed} unary calls of this {subject} are in work, which is the most ({limit}): try again soon"
    );
    Failure::new(ErrorReason::Overloaded, &message)
        .with("limit", limit)
        .with("allowed", allowed)
        .quota(subject, &message)
        .retry_after(RETRY_AFTER)
        .into()
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
            let info = admission.admit(tenant).err()?.get_details_error_info()?;
            Some((info.metadata["limit"].clone(), info.metadata["allowed"].clone()))
        };

        let first = admission.admit(&a).unwrap();
        let _second = admission.admit(&a).unwrap();
        assert_eq!(refused_by(&a), Some(("unary_in_work_per_tenant_max".into(), "2".into())));
        let third = admission.admit(&b).unwrap();
        assert_eq!(refused_by(&b), Some(("unary_in_work_max".into(), "3".into())));
        drop(first);
        let _fourth = admission.admit(&a).unwrap();
        drop(third);
        let in_work = admission.in_work.lock();
        assert_eq!((in_work.process, in_work.by_tenant.len()), (2, 1), "b has nothing in work: forgotten");
    }
}
