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
