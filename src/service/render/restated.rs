//! What is told anew, as the wire has it.

use super::figure::Figures;
use super::record::{exchange_rate_key, record_version};
use super::scorecard::wire_kpi;
use super::value::{self, id};
use crate::book::{Between, StoredVersion};
use crate::domain::amount::Currency;
use crate::domain::premises::Knowledge;
use crate::domain::record::RecordKey;
use crate::kpi::Kpi;
use crate::kpi::figure::{Direction, Figure, change};
use crate::kpi::peers::direction;
use crate::proto::channelkpi::v1 as pb;

/// A subject's KPIs at one knowledge.
pub struct End {
    pub definition: pb::Definition,
    pub currency: Currency,
    /// In the order asked for.
    pub figures: Vec<Figure>,
    pub won_amount: Figure,
}

/// The KPIs at both knowledges. `earlier` is None where nothing named the subject then.
pub fn kpis(asked: &[Kpi], earlier: Option<&End>, later: &End) -> Vec<pb::RestatedKpi> {
    let restated = |(place, kpi): (usize, &Kpi)| {
        let figure = |end: &End| end.figures[place];
        pb::RestatedKpi {
            kpi: wire_kpi(*kpi).into(),
            compared: Some(compared(earlier, later, figure, direction(*kpi), is_money(*kpi))),
            won_amount: (*kpi == Kpi::DealCount)
                .then(|| compared(earlier, later, |end| end.won_amount, Direction::HigherIsBetter, true)),
        }
    };
    asked.iter().enumerate().map(restated).collect()
}

fn compared(
    earlier: Option<&End>,
    later: &End,
    figure: impl Fn(&End) -> Figure,
    direction: Direction,
    is_money: bool,
) -> pb::ComparedFigure {
    let wire = |end: &End| Figures { currency: end.currency }.figure(figure(end));
    // Amounts of two currencies are never subtracted.
    let alike = earlier.filter(|earlier| !is_money || earlier.currency == later.currency);
    let change = alike.and_then(|earlier| change(&figure(later), &figure(earlier), direction));
    pb::ComparedFigure {
        figure: Some(wire(later)),
        comparison: earlier.map(wire),
        change: change.map(super::figure::wire_change),
    }
}

fn is_money(kpi: Kpi) -> bool {
    match kpi {
        Kpi::AverageDealSize | Kpi::OpportunityPipeline | Kpi::DealVelocity => true,
        Kpi::DealCount | Kpi::MarketingChannel | Kpi::CloseRate | Kpi::ValueScore | Kpi::DealSuccess => false,
    }
}

/// A record by all its versions, and the KPIs that it moved.
pub fn record(
    key: &RecordKey,
    versions: &[StoredVersion],
    between: &Between,
    kpis: &[Kpi],
) -> pb::RestatingRecord {
    let (ends, version_count) = between.ends(versions);
    let [earlier, later] = ends
        .map(|end| end.map(|stored| record_version(&stored.version, stored.received_time, stored.current)));
    pb::RestatingRecord {
        key: Some(record_key(key)),
        earlier,
        later,
        version_count: version_count as i64,
        kpis: kpis.iter().map(|kpi| wire_kpi(*kpi).into()).collect(),
    }
}

/// The premises of the question at one knowledge.
pub fn premises(asked: &Option<pb::Premises>, knowledge: Knowledge) -> Option<pb::Premises> {
    let Knowledge { known_at, received_by } = knowledge;
    Some(pb::Premises {
        known_at: known_at.map(value::instant),
        received_by: received_by.map(value::instant),
        ..asked.clone().unwrap_or_default()
    })
}

fn record_key(key: &RecordKey) -> pb::RecordKey {
    use pb::record_key::Key;
    let key = match key {
        RecordKey::Partner(partner) => Key::PartnerId(id(partner)),
        RecordKey::Unit(unit) => Key::OrgUnitId(id(unit)),
        RecordKey::Employee(employee) => Key::EmployeeId(id(employee)),
        RecordKey::Lead(lead) => Key::LeadId(id(lead)),
        RecordKey::Deal(deal) => Key::DealId(id(deal)),
        RecordKey::Channel(channel) => Key::MarketingChannelId(id(channel)),
        RecordKey::Spend(spend) => Key::MarketingSpendId(id(spend)),
        RecordKey::Target(target) => Key::TargetId(id(target)),
        RecordKey::Rate(key) => Key::ExchangeRate(exchange_rate_key(*key)),
        RecordKey::Strategy(strategy) => Key::StrategyId(id(strategy)),
        RecordKey::Settings => Key::TenantSettings(true),
    };
    pb::RecordKey { key: Some(key) }
}
