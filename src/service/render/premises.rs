//! Premises as the answer names them: those of the request, its defaults filled in.

use crate::proto::channelkpi::v1 as pb;

pub fn premises(asked: &Option<pb::Premises>) -> pb::Premises {
    let mut premises = asked.clone().unwrap_or_default();
    if premises.credit_roles.is_empty() {
        premises.credit_roles.push(pb::CreditRole::Sourced.into());
    }
    let exchange = premises.exchange.get_or_insert_default();
    if exchange.policy() == pb::ExchangePolicy::Unspecified {
        exchange.set_policy(pb::ExchangePolicy::AtClose);
    }
    premises
}
