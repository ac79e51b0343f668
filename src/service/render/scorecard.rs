//! Scorecards, as the wire has them.

use super::{figure, premises, value};
use crate::book::Fold;
use crate::domain::amount::Currency;
use crate::domain::calendar::TIME_ZONE_RULES_VERSION;
use crate::domain::premises::RatesOn;
use crate::domain::record::Settings;
use crate::domain::subject::Subject;
use crate::domain::window::Window;
use crate::kpi::figure::{Direction, Figure};
use crate::kpi::measures::Measures;
use crate::kpi::{Kpi, average_deal_size, deal_count, deal_success};
use crate::proto::channelkpi::v1 as pb;
use crate::proto::google::r#type::Money;

/// What the figures of one subject are told from.
pub struct Card<'a> {
    pub subject: Subject,
    pub name: Option<&'a str>,
    pub now: Fold,
    /// Of the comparison window, where there is one.
    pub before: Option<Fold>,
}

pub fn scorecard(card: &Card<'_>, kpis: &[Kpi], currency: Currency) -> pb::Scorecard {
    let figures = Figures {
        now: &card.now.measures,
        before: card.before.as_ref().map(|fold| &fold.measures),
        currency,
    };
    let mut scorecard = pb::Scorecard {
        subject: Some(value::subject(&card.subject)),
        name: card.name.unwrap_or_default().to_owned(),
        ..pb::Scorecard::default()
    };
    for kpi in kpis {
        match kpi {
            Kpi::AverageDealSize => scorecard.average_deal_size = Some(figures.average_deal_size()),
            Kpi::DealCount => scorecard.deal_count = Some(figures.deal_count()),
            Kpi::DealSuccess => scorecard.deal_success = Some(figures.deal_success()),
        }
    }
    scorecard
}

pub fn definition(
    window: &Window,
    comparison: Option<&Window>,
    rates: RatesOn,
    asked: &Option<pb::Premises>,
    settings: &Settings,
    cards: &[Card<'_>],
) -> pb::Definition {
    let folds = cards.iter().flat_map(|card| [Some(&card.now), card.before.as_ref()]).flatten();
    pb::Definition {
        window: Some(value::dates(window.dates)),
        partial: window.is_partial(),
        as_of: Some(value::date(window.as_of)),
        comparison_window: comparison.map(|comparison| value::dates(comparison.dates)),
        comparison_as_of: comparison.map(|comparison| value::date(comparison.as_of)),
        reporting_currency_code: settings.reporting_currency.code().to_owned(),
        premises: Some(premises::premises(asked)),
        rates_on: rates.day().map(value::date),
        oldest_rate_on: folds.filter_map(|fold| fold.oldest_rate_on).min().map(value::date),
        time_zone: settings.zone.name().to_owned(),
        time_zone_rules_version: TIME_ZONE_RULES_VERSION.to_owned(),
    }
}

/// The measures from which one subject's KPIs are told.
struct Figures<'a> {
    now: &'a Measures,
    before: Option<&'a Measures>,
    currency: Currency,
}

// === impl Figures ===

impl Figures<'_> {
    fn average_deal_size(&self) -> pb::AverageDealSize {
        use average_deal_size::{DIRECTION, average_deal_size, unpriced_won_count};
        let pb::ComparedFigure { figure, comparison, change } = self.compare(average_deal_size, DIRECTION);
        pb::AverageDealSize { figure, comparison, change, unpriced_won_count: unpriced_won_count(self.now) }
    }

    fn deal_count(&self) -> pb::DealCount {
        let pb::ComparedFigure { figure, comparison, change } =
            self.compare(deal_count::deal_count, deal_count::DIRECTION);
        pb::DealCount {
            figure,
            comparison,
            change,
            won_amount: self.money(self.now.won.amount_e4),
            comparison_won_amount: self.before.and_then(|before| self.money(before.won.amount_e4)),
        }
    }

    fn deal_success(&self) -> pb::DealSuccess {
        use deal_success::{DIRECTION, deal_success, interval, missed};
        let pb::ComparedFigure { figure, comparison, change } = self.compare(deal_success, DIRECTION);
        let missed = missed(self.now);
        pb::DealSuccess {
            figure,
            comparison,
            change,
            interval: interval(self.now).map(|(lower, upper)| pb::Interval { lower, upper }),
            missed_count: missed.count,
            missed_amount: self.money(missed.amount_e4),
            unpriced_missed_count: missed.count - missed.priced_count,
            lost_to_competitor_count: self.now.lost_to_competitor_count,
            expired_count: self.now.expired.count,
        }
    }

    fn compare(&self, formula: impl Fn(&Measures) -> Figure, direction: Direction) -> pb::ComparedFigure {
        figure::compared(formula(self.now), self.before.map(formula), direction, self.currency)
    }

    fn money(&self, amount_e4: i128) -> Option<Money> {
        value::money(amount_e4, self.currency)
    }
}
