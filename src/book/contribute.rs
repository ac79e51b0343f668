//! The one pure function from a deal to what it adds to the book's sums.
//!
//! Incremental and from nothing alike call it: a changed deal is its old contribution taken out and its
//! new one put in.

use smallvec::SmallVec;

use super::packed::{EmployeeRef, PackedDeal, PartnerRef, UnitRef};
use crate::domain::amount::{Amount, BasisPoints, Currency};
use crate::domain::calendar::Date;
use crate::domain::exchange::Rates;
use crate::domain::record::{DealStatus, Expiry, Role, Settings, split};

/// What contributions are told under.
#[derive(Clone, Debug, Default)]
pub struct Ground {
    /// None until the tenant is configured: then nothing contributes.
    pub settings: Option<Settings>,
    pub rates: Rates,
}

/// How a deal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Won,
    Lost,
    /// Lost, and the competitor is known.
    LostToCompetitor,
    Expired,
}

/// The end of a deal: what it contributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub on: Date,
    pub outcome: Outcome,
    pub owner: Option<EmployeeRef>,
    /// The unit that the deal was sent with.
    pub unit: Option<UnitRef>,
    pub value: Value,
    /// What each partner sourced, None being the uncredited rest; at least one part. In the order of the
    /// partners' numbers, the rest first.
    pub parts: SmallVec<[Part; 1]>,
}

/// What a deal is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// The host sent no amount.
    Unknown,
    /// An amount in a currency that has no rate on that day, or whose conversion is out of range.
    Unconverted(Currency),
    /// An amount in the reporting currency.
    Own(Amount),
    /// An amount converted into it.
    Converted { amount: Amount, from: Currency, oldest_rate_on: Date },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub partner: Option<PartnerRef>,
    /// The part of the deal's amount, where that is known.
    pub amount: Option<Amount>,
}

// === impl Value ===

impl Value {
    pub fn amount(&self) -> Option<Amount> {
        match *self {
            Self::Own(amount) | Self::Converted { amount, .. } => Some(amount),
            Self::Unknown | Self::Unconverted(_) => None,
        }
    }

    /// The currency from which the amount was, or would have to be, converted.
    pub fn foreign_currency(&self) -> Option<Currency> {
        match *self {
            Self::Unconverted(from) | Self::Converted { from, .. } => Some(from),
            Self::Unknown | Self::Own(_) => None,
        }
    }
}

/// What a deal contributes: its end, if it has one.
pub fn contribute(deal: &PackedDeal, ground: &Ground) -> Option<Ended> {
    let settings = ground.settings.as_ref()?;
    let (on, outcome) = end_of(deal, settings)?;
    let value = value_on(deal, on, settings, &ground.rates);
    Some(Ended {
        on,
        outcome,
        owner: deal.owner,
        unit: deal.unit,
        value,
        parts: parts_of(deal, value.amount()),
    })
}

/// The date and manner of a deal's end (docs/kpis.md §2, "One end").
fn end_of(deal: &PackedDeal, settings: &Settings) -> Option<(Date, Outcome)> {
    let lost = if deal.competitor.is_some() { Outcome::LostToCompetitor } else { Outcome::Lost };
    match deal.status {
        DealStatus::Won(at) => return Some((settings.zone.local_date(at), Outcome::Won)),
        DealStatus::Lost(at) => return Some((settings.zone.local_date(at), lost)),
        DealStatus::Open => {}
    }
    let opened_on = settings.zone.local_date(deal.opened_at);
    let expired_on = match deal.expiry {
        Some(Expiry::Never) => return None,
        Some(Expiry::At(at)) => settings.zone.local_date(at).max(opened_on),
        None => opened_on.plus_days(i32::from(settings.time_limit_days?)),
    };
    (expired_on <= Date::LAST).then_some((expired_on, Outcome::Expired))
}

/// The amount as it counts on `on`: exchange policy `AT_CLOSE`.
fn value_on(deal: &PackedDeal, on: Date, settings: &Settings, rates: &Rates) -> Value {
    let Some(money) = deal.amount else { return Value::Unknown };
    let (from, to) = (money.currency, settings.reporting_currency);
    if from == to {
        return Value::Own(money.amount);
    }
    let converted = rates.conversion(from, to, on).and_then(|conversion| {
        let amount = conversion.convert(money.amount)?;
        Some(Value::Converted { amount, from, oldest_rate_on: conversion.oldest_rate_on() })
    });
    converted.unwrap_or(Value::Unconverted(from))
}

/// Who sourced how much of it (docs/kpis.md §1, "Credit").
fn parts_of(deal: &PackedDeal, amount: Option<Amount>) -> SmallVec<[Part; 1]> {
    let sourced = || deal.credits.iter().filter(|credit| credit.role == Role::Sourced);
    let given: u16 = sourced().filter_map(|credit| credit.share).map(BasisPoints::get).sum();
    let left = BasisPoints::try_new(i64::from(BasisPoints::WHOLE.get() - given))
        .expect("shares of a role are at most the whole");
    let shares: SmallVec<[BasisPoints; 4]> = sourced().map(|credit| credit.share.unwrap_or(left)).collect();
    let amounts = amount.map(|whole| (whole, split(whole, &shares)));
    let mut parts: SmallVec<[Part; 1]> = sourced()
        .enumerate()
        .map(|(at, credit)| Part {
            partner: Some(credit.partner),
            amount: amounts.as_ref().map(|(_, parts)| parts[at]),
        })
        .collect();
    let credited: u16 = shares.iter().map(|share| share.get()).sum();
    if credited < BasisPoints::WHOLE.get() {
        let rest = amounts.map(|(whole, parts)| {
            let rest_e4 = whole.e4() - parts.iter().map(|part| part.e4()).sum::<i64>();
            Amount::try_from_e4(rest_e4).expect("parts never exceed the whole")
        });
        parts.push(Part { partner: None, amount: rest });
    }
    parts.sort_unstable_by_key(|part| part.partner);
    parts
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;
    use crate::book::packed::PackedCredit;
    use crate::domain::amount::Money;
    use crate::domain::calendar::{Instant, Zone, date};
    use crate::domain::exchange::{Rate, RateKey};
    use crate::domain::record::{Thresholds, WeekStart};

    fn at(day: &str) -> Instant {
        // Noon in Dhaka.
        Instant::try_new(i64::from(date(day).day_number()) * 86_400 + 6 * 3_600, 0).unwrap()
    }

    fn money(amount_e4: i64, currency: &str) -> Money {
        Money {
            amount: Amount::try_from_e4(amount_e4).unwrap(),
            currency: Currency::try_new(currency).unwrap(),
        }
    }

    fn ground(time_limit_days: Option<u16>) -> Ground {
        let settings = Settings {
            reporting_currency: Currency::try_new("USD").unwrap(),
            zone: Zone::try_new("Asia/Dhaka").unwrap(),
            fiscal_year_start_month: 1,
            week_start: WeekStart(chrono::Weekday::Mon),
            time_limit_days,
            stage_probabilities: Default::default(),
            thresholds: Thresholds::default(),
        };
        Ground { settings: Some(settings), rates: Rates::default() }
    }

    fn deal(status: DealStatus) -> PackedDeal {
        PackedDeal {
            opened_at: at("2024-02-20"),
            amount: Some(money(200_0000, "USD")),
            stage: None,
            probability: None,
            expected_close: None,
            expiry: None,
            status,
            lost_reason: None,
            competitor: None,
            owner: None,
            unit: None,
            credits: smallvec![],
            lead: None,
            channel: None,
            product: None,
            region: None,
            labels: smallvec![],
        }
    }

    #[test]
    fn ends_by_hand() {
        let open = || deal(DealStatus::Open);
        let expires = |expiry| PackedDeal { expiry: Some(expiry), ..open() };
        let competitor = |status| PackedDeal { competitor: Some(Ref::new(0)), ..deal(status) };
        use crate::book::names::Ref;
        for (deal, limit, expected) in [
            (open(), None, None),
            (open(), Some(10), Some(("2024-03-01", Outcome::Expired))), // over the leap day
            (expires(Expiry::At(at("2024-03-15"))), Some(10), Some(("2024-03-15", Outcome::Expired))),
            (expires(Expiry::Never), Some(10), None),
            (expires(Expiry::At(at("2024-01-01"))), None, Some(("2024-02-20", Outcome::Expired))), // mended
            (deal(DealStatus::Won(at("2024-03-05"))), Some(1), Some(("2024-03-05", Outcome::Won))),
            (deal(DealStatus::Lost(at("2024-03-05"))), None, Some(("2024-03-05", Outcome::Lost))),
            (
                competitor(DealStatus::Lost(at("2024-03-05"))),
                None,
                Some(("2024-03-05", Outcome::LostToCompetitor)),
            ),
            (competitor(DealStatus::Won(at("2024-03-05"))), None, Some(("2024-03-05", Outcome::Won))),
            (deal(DealStatus::Won(at("2023-03-05"))), None, Some(("2023-03-05", Outcome::Won))), // before its opening
        ] {
            let ended = contribute(&deal, &ground(limit)).map(|ended| (ended.on, ended.outcome));
            assert_eq!(ended, expected.map(|(on, outcome)| (date(on), outcome)), "{deal:?}");
        }
        assert_eq!(contribute(&deal(DealStatus::Won(at("2024-03-05"))), &Ground::default()), None);
    }

    #[test]
    fn values_by_hand() {
        let mut ground = ground(None);
        let key = |on| RateKey {
            from: Currency::try_new("EUR").unwrap(),
            to: Currency::try_new("USD").unwrap(),
            on: date(on),
        };
        ground.rates.set(key("2024-03-01"), Some(Rate::parse("1.1").unwrap()));
        ground.rates.set(key("2024-03-10"), Some(Rate::parse("1.2").unwrap()));
        let euro = Currency::try_new("EUR").unwrap();
        let converted = |amount_e4, on| Value::Converted {
            amount: Amount::try_from_e4(amount_e4).unwrap(),
            from: euro,
            oldest_rate_on: date(on),
        };
        for (amount, closed, expected) in [
            (None, "2024-03-05", Value::Unknown),
            (Some(money(5, "USD")), "2024-03-05", Value::Own(Amount::try_from_e4(5).unwrap())),
            (Some(money(100_0000, "EUR")), "2024-03-05", converted(110_0000, "2024-03-01")),
            (Some(money(100_0000, "EUR")), "2024-03-10", converted(120_0000, "2024-03-10")),
            (Some(money(100_0000, "EUR")), "2024-02-29", Value::Unconverted(euro)),
        ] {
            let deal = PackedDeal { amount, ..deal(DealStatus::Won(at(closed))) };
            assert_eq!(contribute(&deal, &ground).unwrap().value, expected, "{amount:?} {closed}");
        }
    }

    #[test]
    fn parts_by_hand() {
        use crate::book::names::Ref;
        let credit = |role, partner, share: Option<i64>| PackedCredit {
            role,
            partner: Ref::new(partner),
            share: share.map(|bps| BasisPoints::try_new(bps).unwrap()),
        };
        use Role::{Influenced, Sourced};
        for (credits, expected) in [
            (vec![], vec![(None, 200_0000)]),
            (vec![credit(Sourced, 7, None)], vec![(Some(7), 200_0000)]),
            (vec![credit(Sourced, 7, Some(2_500))], vec![(None, 150_0000), (Some(7), 50_0000)]),
            (
                vec![credit(Sourced, 9, Some(6_000)), credit(Sourced, 7, None)],
                vec![(Some(7), 80_0000), (Some(9), 120_0000)],
            ),
            (vec![credit(Influenced, 7, None)], vec![(None, 200_0000)]), // no one sourced it
            (
                vec![credit(Sourced, 7, Some(10_000)), credit(Sourced, 8, None)],
                vec![(Some(7), 200_0000), (Some(8), 0)],
            ),
        ] {
            let deal = PackedDeal { credits: credits.into(), ..deal(DealStatus::Won(at("2024-03-05"))) };
            let parts = contribute(&deal, &ground(None)).unwrap().parts;
            let found: Vec<_> =
                parts.iter().map(|part| (part.partner.map(Ref::number), part.amount.unwrap().e4())).collect();
            assert_eq!(found, expected);
        }
    }
}
