//! The records behind a figure, as the wire has them.

use super::{premises, value};
use crate::book::{
    Contribution, ContributorKind, EvidencePage, Fate, FigureKind, Outcome, Place, ProspectOutcome,
};
use crate::domain::amount::Currency;
use crate::domain::calendar::{Date, TIME_ZONE_RULES_VERSION};
use crate::domain::premises::RatesOn;
use crate::domain::record::Settings;
use crate::domain::subject::Subject;
use crate::domain::window::Window;
use crate::proto::channelkpi::v1 as pb;

/// What one figure's records are told under.
pub struct Told<'a> {
    pub figure: FigureKind,
    pub subject: Subject,
    pub name: Option<&'a str>,
    /// None of what is open.
    pub window: Option<Window>,
    pub as_of: Date,
    pub rates: RatesOn,
}

pub fn record(contribution: &Contribution<'_>, currency: Currency) -> pb::ContributingRecord {
    let Contribution { place, amount, original, fate, fate_on, oldest_rate_on, work_days } = contribution;
    pb::ContributingRecord {
        key: Some(key(place)),
        counted_on: Some(value::date(place.on)),
        amount: amount.and_then(|amount| value::money(amount.e4().into(), currency)),
        original_amount: original.map(value::amount),
        outcome: outcome(*fate).into(),
        outcome_on: fate_on.map(value::date),
        oldest_rate_on: oldest_rate_on.map(value::date),
        work_days: *work_days,
    }
}

pub fn total(figure: FigureKind, page: &EvidencePage<'_>, currency: Currency) -> pb::ContributionTotal {
    let EvidencePage { total, work_days, .. } = page;
    let amount = figure.has_amount().then(|| value::money(total.amount_e4, currency)).flatten();
    pb::ContributionTotal {
        count: total.count,
        amount,
        unpriced_count: if figure.has_amount() { total.count - total.priced_count } else { 0 },
        work_days: (figure == FigureKind::InWork).then_some(*work_days),
    }
}

pub fn definition(
    told: &Told<'_>,
    asked: &Option<pb::Premises>,
    settings: &Settings,
) -> pb::ContributionDefinition {
    pb::ContributionDefinition {
        figure_kind: figure_kind(told.figure).into(),
        subject: Some(value::subject(&told.subject)),
        subject_name: told.name.unwrap_or_default().to_owned(),
        window: told.window.map(|window| value::dates(window.dates)),
        partial: told.window.is_some_and(|window| window.is_partial()),
        as_of: Some(value::date(told.as_of)),
        reporting_currency_code: settings.reporting_currency.code().to_owned(),
        premises: Some(premises::premises(asked)),
        rates_on: told.rates.day().map(value::date),
        time_zone: settings.zone.name().to_owned(),
        time_zone_rules_version: TIME_ZONE_RULES_VERSION.to_owned(),
    }
}

fn key(place: &Place<'_>) -> pb::RecordKey {
    use pb::record_key::Key;
    let id = place.id.to_owned();
    let key = match place.kind {
        ContributorKind::Lead => Key::LeadId(id),
        ContributorKind::Deal => Key::DealId(id),
    };
    pb::RecordKey { key: Some(key) }
}

fn outcome(fate: Fate) -> pb::ContributionOutcome {
    use pb::ContributionOutcome as Wire;
    match fate {
        Fate::Deal(Outcome::Open) => Wire::Open,
        Fate::Deal(Outcome::Won) => Wire::Won,
        Fate::Deal(Outcome::Lost) => Wire::Lost,
        Fate::Deal(Outcome::LostToCompetitor) => Wire::LostToCompetitor,
        Fate::Deal(Outcome::Expired) => Wire::Expired,
        Fate::Prospect(ProspectOutcome::Unresolved) => Wire::Unresolved,
        Fate::Prospect(ProspectOutcome::Purchased) => Wire::Purchased,
        Fate::Prospect(ProspectOutcome::Lost) => Wire::LostProspect,
    }
}

fn figure_kind(figure: FigureKind) -> pb::FigureKind {
    use pb::FigureKind as Wire;
    match figure {
        FigureKind::Won => Wire::Won,
        FigureKind::Lost => Wire::Lost,
        FigureKind::Expired => Wire::Expired,
        FigureKind::Missed => Wire::Missed,
        FigureKind::Opened => Wire::Opened,
        FigureKind::Open => Wire::Open,
        FigureKind::InWork => Wire::InWork,
        FigureKind::LeadsCreated => Wire::LeadsCreated,
        FigureKind::LeadsConverted => Wire::LeadsConverted,
        FigureKind::LeadsDisqualified => Wire::LeadsDisqualified,
        FigureKind::Prospects => Wire::Prospects,
        FigureKind::Purchased => Wire::Purchased,
        FigureKind::LostProspects => Wire::LostProspects,
    }
}
