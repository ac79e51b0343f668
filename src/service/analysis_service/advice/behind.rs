//! Behind: the records on which a recommendation rests.

use tonic::Status;

use super::{Advice, Advisor};
use crate::book::{Behind, FigureKind};
use crate::domain::calendar::DateRange;
use crate::domain::filter::{Dimension, Filter, GroupValue};
use crate::domain::window::Window;
use crate::kpi::recommendation::{About, Rule};

/// The most records that are listed of each kind.
const LISTED_MAX: usize = 100;

/// The first records, and how many there are.
#[derive(Default)]
pub struct Records {
    pub deal_ids: Vec<String>,
    pub lead_ids: Vec<String>,
    pub record_count: i64,
}

// === impl Advisor ===

impl Advisor<'_> {
    /// The records behind a recommendation.
    pub fn records(&self, advice: &Advice<'_>) -> Result<Records, Status> {
        let filter = self.filter_of(advice);
        let scope = self.scope(&advice.subject, &filter)?;
        let as_of = self.windows.as_of();
        if advice.finding.rule == Rule::PipelineExpiring {
            let rates_on = self.premises.exchange.rates_of_stock(as_of);
            let days = self.levels().expiring_days;
            let found = self.book.expiring_deals(&scope, as_of, rates_on, days);
            let listed = found.deal_ids.iter().take(LISTED_MAX).map(|&id| id.to_owned());
            return Ok(Records {
                deal_ids: listed.collect(),
                lead_ids: Vec::new(),
                record_count: found.found.deals.count,
            });
        }
        let (window, figures) = self.behind(advice);
        let asked = figures.iter().map(|&figure| Behind {
            figure,
            dates: window.counted(),
            as_of: window.as_of,
            rates: self.windows.rates,
        });
        let found = self.book.first_evidence(&scope, &asked.collect::<Vec<_>>(), LISTED_MAX);
        let owned = |ids: Vec<&str>| ids.into_iter().map(str::to_owned).collect();
        Ok(Records {
            deal_ids: owned(found.deal_ids),
            lead_ids: owned(found.lead_ids),
            record_count: found.record_count,
        })
    }

    /// Which records, of which days.
    fn behind(&self, advice: &Advice<'_>) -> (Window, &'static [FigureKind]) {
        let finding = &advice.finding;
        let first = finding.evidence.first().map_or(self.windows.now, |evidence| evidence.window);
        match finding.rule {
            Rule::SizeGrow | Rule::SizeFalling => {
                let months = &self.windows.months;
                let dates = months.first().zip(months.last());
                let dates =
                    dates.map(|(first, last)| DateRange { from: first.dates.from, to: last.dates.to });
                (dates.map_or(first, |dates| self.windows.of_dates(dates)), &[FigureKind::Won])
            }
            Rule::PipelineThin => (self.windows.now, &[FigureKind::Open]),
            Rule::PipelineBehind => (self.windows.month_to_date(), &[FigureKind::Missed]),
            Rule::ChannelStop | Rule::ChannelEarnedWeak | Rule::ChannelOwnedWeak | Rule::ChannelInvest => {
                (first, &[FigureKind::LeadsCreated])
            }
            Rule::CloseFalling | Rule::CloseRising => (self.windows.now, &[FigureKind::Prospects]),
            Rule::SuccessStrong | Rule::SuccessWeak | Rule::SuccessReplace => {
                (self.windows.now, &[FigureKind::Won, FigureKind::Missed])
            }
            Rule::CountHollow | Rule::VelocitySlowStage | Rule::ValueLead | Rule::ValueLag => {
                (self.windows.now, &[FigureKind::Won])
            }
            // What was won since the strategy began, by those whom it is for.
            Rule::StrategyWorks | Rule::StrategyFails => (first, &[FigureKind::Won]),
            Rule::PipelineExpiring => (self.windows.days_ahead(&self.levels()), &[FigureKind::Open]),
        }
    }

    /// The premises' filter, narrowed to what the recommendation speaks of.
    fn filter_of(&self, advice: &Advice<'_>) -> Filter {
        let filter = self.filter_for(&advice.subject);
        // Targets are the subject's, not the filter's.
        let filter = match advice.finding.rule {
            Rule::PipelineThin | Rule::PipelineBehind => Filter::default(),
            _ => filter,
        };
        let narrowed = |dimension: Dimension, value: &str| {
            filter.narrowed(&dimension, &GroupValue::Value(value.into())).unwrap_or_else(|| filter.clone())
        };
        match advice.finding.about {
            About::Channel(channel) | About::StoppedChannel { channel, .. } => {
                narrowed(Dimension::Channel, channel.id)
            }
            About::Media(medium) => Filter { media: vec![Some(medium)], ..filter },
            _ => filter,
        }
    }
}
