//! Subjects: whose figures are asked for.

use minicbor::{Decode, Encode};

use super::ids::{EmployeeId, PartnerId, UnitId};

#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Subject {
    #[n(0)]
    Tenant,
    #[n(1)]
    Partner {
        #[n(0)]
        partner: PartnerId,
        #[n(1)]
        include_sub_partners: bool,
    },
    #[n(2)]
    Employee(#[n(0)] EmployeeId),
    /// Always with the units below it.
    #[n(3)]
    Unit(#[n(0)] UnitId),
}

/// The kinds of subject of which a tenant has many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubjectKind {
    Partner,
    Employee,
    Unit,
}

// === impl Subject ===

impl Subject {
    /// Its kind, and whether its sub-partners are in it: only a partner's ever are. None for the tenant, of which
    /// there is one.
    pub fn kind(&self) -> Option<(SubjectKind, bool)> {
        match self {
            Self::Tenant => None,
            Self::Partner { include_sub_partners, .. } => Some((SubjectKind::Partner, *include_sub_partners)),
            Self::Employee(_) => Some((SubjectKind::Employee, false)),
            Self::Unit(_) => Some((SubjectKind::Unit, false)),
        }
    }
}
