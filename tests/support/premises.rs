//! What questions rest on, in short: filters and credits.

use channel_kpi::proto::channelkpi::v1::{CreditRole, Filter, PartnerCredit, Premises, Terms};

pub fn filtered(filter: Filter) -> Premises {
    Premises { filter: Some(filter), ..Premises::default() }
}

pub fn terms(values: &[&str]) -> Option<Terms> {
    Some(Terms { values: values.iter().map(|value| value.to_string()).collect(), include_none: false })
}

pub fn none() -> Option<Terms> {
    Some(Terms { values: Vec::new(), include_none: true })
}

pub fn credit(partner_id: &str, role: CreditRole, share_bps: i32) -> PartnerCredit {
    PartnerCredit { partner_id: partner_id.into(), role: role.into(), share_bps: Some(share_bps) }
}
