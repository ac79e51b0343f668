//! Whose figures are asked for, as flags.

use channel_kpi::proto::channelkpi::v1::{PartnerSubject, Subject, subject};
use clap::Args;

use super::failure::Failure;

/// Nothing set means the company.
#[derive(Args, Clone, Debug)]
pub struct SubjectArgs {
    /// Of this partner. Without a subject: of the company.
    #[arg(long, value_name = "ID", group = "whose")]
    pub partner: Option<String>,

    /// Of this employee.
    #[arg(long, value_name = "ID", group = "whose")]
    pub employee: Option<String>,

    /// Of this unit, with the units below it.
    #[arg(long, value_name = "ID", group = "whose")]
    pub unit: Option<String>,

    /// Partners with the partners below them.
    #[arg(long)]
    pub with_sub_partners: bool,
}

// === impl SubjectArgs ===

impl SubjectArgs {
    /// `--with-sub-partners` belongs to partners only; `of_partners`: to all of them.
    pub fn check(&self, of_partners: bool) -> Result<(), Failure> {
        if self.with_sub_partners && self.partner.is_none() && !of_partners {
            return Err(Failure::Usage("--with-sub-partners belongs to --partner ID or --by partner".into()));
        }
        Ok(())
    }

    pub fn subject(&self) -> Option<Subject> {
        let include_sub_partners = self.with_sub_partners;
        let partner = |id: &String| {
            subject::Subject::Partner(PartnerSubject { partner_id: id.clone(), include_sub_partners })
        };
        let employee = || self.employee.clone().map(subject::Subject::EmployeeId);
        let unit = || self.unit.clone().map(subject::Subject::UnitId);
        let subject = self.partner.as_ref().map(partner).or_else(employee).or_else(unit)?;
        Some(Subject { subject: Some(subject) })
    }
}
