//! Records: those on which a recommendation rests.

use tonic::Status;

use super::{Advice, Advisor};
use crate::book::{Behind, FigureKind};
use crate::domain::calendar::DateRange;
use crate::domain::filter::{Dimension, Filter, GroupValue};
use crate::domain::ids::Id;
use crate::domain::subject::SubjectKind;
use crate::domain::window::Window;
use crate::kpi::Kpi;
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
        if let About::Strategy { strategy, kpi, kind, include_sub_partners } = advice.finding.about {
            return self.records_of_strategy(advice, strategy.id, kpi, (kind, include_sub_partners));
        }
        let (window, figures) = self.figures_of(advice);
        let asked: Vec<Behind> = figures.iter().map(|&figure| self.behind(figure, &window)).collect();
        let found = self.book.first_evidence(&scope, &asked, LISTED_MAX);
        let owned = |ids: Vec<&str>| ids.into_iter().map(str::to_owned).collect();
        Ok(Records {
            deal_ids: owned(found.deal_ids),
            lead_ids: owned(found.lead_ids),
            record_count: found.record_count,
        })
    }

    /// Those of the subjects that a strategy is for, one after the other. What several of them share counts for each.
    fn records_of_strategy(
        &self,
        advice: &Advice<'_>,
        id: &str,
        kpi: Kpi,
        judged: (SubjectKind, bool),
    ) -> Result<Records, Status> {
        let figures: &[FigureKind] = match kpi {
            Kpi::CloseRate => &[FigureKind::Prospects],
            Kpi::DealVelocity => &[FigureKind::InWork],
            Kpi::DealSuccess => &[FigureKind::Won, FigureKind::Missed],
            _ => &[FigureKind::Won],
        };
        let window = advice.finding.evidence.first().map_or(self.windows.now, |evidence| evidence.window);
        let asked: Vec<Behind> = figures.iter().map(|&figure| self.behind(figure, &window)).collect();
        let strategy = Id::try_new(id).ok().and_then(|id| self.book.strategy(&id));
        let mut all = Records::default();
        for subject in strategy.iter().flat_map(|strategy| &strategy.subjects) {
            self.caller.still_waits()?;
            let is_of_kind = subject.kind() == Some(judged);
            // Whom no record names has none.
            let scope = self.book.scope(subject, &self.premises.filter, self.premises.roles);
            let Some(scope) = scope.filter(|_| is_of_kind) else { continue };
            let found = self.book.first_evidence(&scope, &asked, LISTED_MAX);
            let room = |listed: &Vec<String>| LISTED_MAX.saturating_sub(listed.len());
            let (deals, leads) = (room(&all.deal_ids), room(&all.lead_ids));
            all.deal_ids.extend(found.deal_ids.into_iter().take(deals).map(str::to_owned));
            all.lead_ids.extend(found.lead_ids.into_iter().take(leads).map(str::to_owned));
            all.record_count += found.record_count;
        }
        Ok(all)
    }

    fn behind(&self, figure: FigureKind, window: &Window) -> Behind {
        Behind { figure, dates: window.counted(), as_of: window.as_of, rates: self.windows.rates }
    }

    /// Which records, of which days.
    fn figures_of(&self, advice: &Advice<'_>) -> (Window, &'static [FigureKind]) {
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
            // Told by the subjects and deals concerned.
            Rule::StrategyWorks | Rule::StrategyFails => (first, &[]),
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
