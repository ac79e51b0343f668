//! Scorecards, as the wire has them.

use super::figure::{Compared, Figures, interval};
use super::{premises, season, value};
use crate::domain::amount::Currency;
use crate::domain::calendar::{Date, TIME_ZONE_RULES_VERSION};
use crate::domain::filter::{Dimension, GroupValue};
use crate::domain::ids::Term;
use crate::domain::premises::RatesOn;
use crate::domain::record::Settings;
use crate::domain::subject::Subject;
use crate::domain::window::Window;
use crate::kpi::distribution::WonDeals;
use crate::kpi::figure::{Absent, Figure, Quantity, Ratio};
use crate::kpi::marketing_channel::{self, AllChannels};
use crate::kpi::measures::Measures;
use crate::kpi::peers::{Peer, PeerGroup, direction};
use crate::kpi::pipeline::Worth;
use crate::kpi::season::{ByMonth, Season};
use crate::kpi::standing::Standing;
use crate::kpi::{Kpi, average_deal_size, close_rate, deal_count, deal_success, deal_velocity, value_score};
use crate::proto::channelkpi::v1 as pb;

/// What the figures of one subject or group are told from.
pub struct Card<'a> {
    pub whose: Whose,
    pub name: Option<&'a str>,
    pub now: Stand<'a>,
    /// In the comparison window, where there is one.
    pub before: Option<Stand<'a>>,
    /// In the full view.
    pub more: Option<More<'a>>,
    /// Where the value score is asked for.
    pub value: Option<ValueGround>,
    /// Whether leads as such are counted: under a filter of deals alone they aren't.
    pub leads_are_counted: bool,
    /// In the view with evidence.
    pub evidence: Vec<Evidence>,
    pub oldest_rate_on: Option<Date>,
}

/// The records behind a KPI.
pub struct Evidence {
    pub kpi: Kpi,
    pub deal_ids: Vec<String>,
    pub lead_ids: Vec<String>,
    /// Of all, also of those that aren't listed.
    pub record_count: i64,
}

pub enum Whose {
    Subject(Subject),
    Group(Dimension, GroupValue),
}

/// How one stands in a window.
pub struct Stand<'a> {
    pub standing: Standing,
    /// The open deals, where they are asked for.
    pub open: Worth,
    /// What came by all channels, where it is asked for.
    pub marketing: Option<AllChannels>,
    /// Itself among its peers. None: it isn't its own peer, or peers aren't asked for.
    pub peer: Option<(&'a Peer, &'a PeerGroup)>,
}

/// What the full view tells beside.
pub struct More<'a> {
    /// None where no KPI is asked for that is told from them.
    pub won: WonDeals<'a>,
    /// Where the close rate is asked for.
    pub close_rate: Option<CloseRateGround>,
}

/// What a close rate is seen beside.
pub struct CloseRateGround {
    /// In the same window a year before. None where it would begin before 1970.
    pub year_before: Option<Figure>,
    /// The partner's region and its rate.
    pub region: Option<(String, Figure)>,
    pub season: SeasonGround,
}

/// What a close rate's season is told from.
pub struct SeasonGround {
    /// Of the partner's region, else of the tenant. Absent where its months can't be told apart by age.
    pub season: Result<Season, Absent>,
    /// The prospects of the window.
    pub prospect_counts: ByMonth<i64>,
}

/// What the value score is told from, beside the peers.
pub struct ValueGround {
    /// The whole tenant's measures.
    pub tenant: Measures,
    /// The won amounts of the four comparison windows before. None where one would begin before 1970.
    pub past_won_amounts_e4: Option<Vec<i128>>,
    /// The subject's measures in the window, under the filter that peers have.
    pub own: Measures,
}

// === impl Stand ===

impl Stand<'_> {
    /// The figure of a KPI.
    pub fn figure(&self, kpi: Kpi) -> Figure {
        let Standing { measures, cohort, .. } = &self.standing;
        match kpi {
            Kpi::AverageDealSize => average_deal_size::average_deal_size(measures),
            Kpi::DealCount => deal_count::deal_count(measures),
            Kpi::OpportunityPipeline => Ok(Ratio::whole(Quantity::AmountE4(self.open.deals.amount_e4))),
            Kpi::MarketingChannel => {
                let marketing = self.marketing.as_ref();
                marketing.map_or(Err(Absent::SpendNotTold), AllChannels::return_on_investment)
            }
            Kpi::CloseRate => close_rate::close_rate(cohort),
            Kpi::DealVelocity => deal_velocity::deal_velocity(&self.standing),
            Kpi::ValueScore => self.peer.map_or(Err(Absent::NoPeer), |(peer, group)| group.figure(kpi, peer)),
            Kpi::DealSuccess => deal_success::deal_success(measures),
        }
    }
}

pub fn scorecard(card: &Card<'_>, kpis: &[Kpi], currency: Currency) -> pb::Scorecard {
    let teller = Teller { card, figures: Figures { currency } };
    let mut scorecard =
        pb::Scorecard { name: card.name.unwrap_or_default().to_owned(), ..pb::Scorecard::default() };
    match &card.whose {
        Whose::Subject(subject) => scorecard.subject = Some(value::subject(subject)),
        Whose::Group(dimension, group) => scorecard.group = Some(wire_group(dimension, group)),
    }
    for kpi in kpis {
        match kpi {
            Kpi::AverageDealSize => scorecard.average_deal_size = Some(Box::new(teller.average_deal_size())),
            Kpi::DealCount => scorecard.deal_count = Some(Box::new(teller.deal_count())),
            Kpi::OpportunityPipeline => scorecard.opportunity_pipeline = Some(Box::new(teller.pipeline())),
            Kpi::MarketingChannel => scorecard.marketing_channel = Some(Box::new(teller.marketing_channel())),
            Kpi::CloseRate => scorecard.close_rate = Some(Box::new(teller.close_rate())),
            Kpi::DealVelocity => scorecard.deal_velocity = Some(Box::new(teller.deal_velocity())),
            Kpi::ValueScore => scorecard.value_score = Some(Box::new(teller.value_score())),
            Kpi::DealSuccess => scorecard.deal_success = Some(Box::new(teller.deal_success())),
        }
    }
    scorecard.evidence = card.evidence.iter().map(evidence).collect();
    scorecard
}

fn evidence(evidence: &Evidence) -> pb::Evidence {
    let Evidence { kpi, deal_ids, lead_ids, record_count } = evidence;
    pb::Evidence {
        kpi: wire_kpi(*kpi).into(),
        deal_ids: deal_ids.clone(),
        lead_ids: lead_ids.clone(),
        record_count: *record_count,
    }
}

pub fn wire_kpi(kpi: Kpi) -> pb::Kpi {
    match kpi {
        Kpi::AverageDealSize => pb::Kpi::AverageDealSize,
        Kpi::DealCount => pb::Kpi::DealCount,
        Kpi::OpportunityPipeline => pb::Kpi::OpportunityPipeline,
        Kpi::MarketingChannel => pb::Kpi::MarketingChannel,
        Kpi::CloseRate => pb::Kpi::CloseRate,
        Kpi::DealVelocity => pb::Kpi::DealVelocity,
        Kpi::ValueScore => pb::Kpi::ValueScore,
        Kpi::DealSuccess => pb::Kpi::DealSuccess,
    }
}

pub fn definition(
    window: &Window,
    comparison: Option<&Window>,
    rates: RatesOn,
    asked: &Option<pb::Premises>,
    settings: &Settings,
    oldest_rate_on: Option<Date>,
) -> pb::Definition {
    pb::Definition {
        window: Some(value::dates(window.dates)),
        partial: window.is_partial(),
        as_of: Some(value::date(window.as_of)),
        comparison_window: comparison.map(|comparison| value::dates(comparison.dates)),
        comparison_as_of: comparison.map(|comparison| value::date(comparison.as_of)),
        reporting_currency_code: settings.reporting_currency.code().to_owned(),
        premises: Some(premises::premises(asked)),
        rates_on: rates.day().map(value::date),
        oldest_rate_on: oldest_rate_on.map(value::date),
        time_zone: settings.zone.name().to_owned(),
        time_zone_rules_version: TIME_ZONE_RULES_VERSION.to_owned(),
    }
}

/// Tells the KPIs of a card.
struct Teller<'a> {
    card: &'a Card<'a>,
    figures: Figures,
}

// === impl Teller ===

impl Teller<'_> {
    fn average_deal_size(&self) -> pb::AverageDealSize {
        let measures = &self.card.now.standing.measures;
        let Compared { figure, comparison, change } = self.compared(Kpi::AverageDealSize);
        let is_partner = matches!(&self.card.whose, Whose::Subject(Subject::Partner { .. }));
        let more = self.card.more.as_ref();
        pb::AverageDealSize {
            figure,
            comparison,
            change,
            unpriced_won_count: average_deal_size::unpriced_won_count(measures),
            median: more.map(|more| self.figures.figure(more.won.median_amount())),
            mean_whole_deal: more
                .filter(|_| is_partner)
                .map(|more| self.figures.figure(more.won.mean_whole_deal())),
            position: self.position(Kpi::AverageDealSize),
        }
    }

    fn deal_count(&self) -> pb::DealCount {
        let Compared { figure, comparison, change } = self.compared(Kpi::DealCount);
        let won_amount = |stand: &Stand<'_>| self.figures.money(stand.standing.measures.won.amount_e4);
        pb::DealCount {
            figure,
            comparison,
            change,
            won_amount: won_amount(&self.card.now),
            comparison_won_amount: self.card.before.as_ref().and_then(won_amount),
            position: self.position(Kpi::DealCount),
        }
    }

    fn pipeline(&self) -> pb::OpportunityPipeline {
        let Compared { figure, comparison, change } = self.compared(Kpi::OpportunityPipeline);
        let open = &self.card.now.open;
        pb::OpportunityPipeline {
            figure,
            comparison,
            change,
            open: Some(self.figures.tally(&open.deals)),
            weighted_amount: value::money_e8(open.weighted_e8, self.figures.currency),
            unweighted: Some(self.figures.tally(&open.unweighted)),
            comparison_open: self.card.before.as_ref().map(|before| self.figures.tally(&before.open.deals)),
            position: self.position(Kpi::OpportunityPipeline),
        }
    }

    fn marketing_channel(&self) -> pb::MarketingReturn {
        use marketing_channel::{DIRECTION_OF_MEANS, DIRECTION_OF_RESULTS};
        let compare = |formula: fn(&AllChannels) -> Figure, direction| {
            let told =
                |stand: &Stand<'_>| stand.marketing.as_ref().map_or(Err(Absent::SpendNotTold), formula);
            let before = self.card.before.as_ref().map(told);
            self.figures.compared(told(&self.card.now), before, direction)
        };
        let Compared { figure, comparison, change } = self.compared(Kpi::MarketingChannel);
        pb::MarketingReturn {
            figure,
            comparison,
            change,
            lead_count: Some(compare(AllChannels::lead_count, DIRECTION_OF_RESULTS)),
            won_count: Some(compare(AllChannels::won_count, DIRECTION_OF_RESULTS)),
            won_amount: Some(compare(AllChannels::won_amount, DIRECTION_OF_RESULTS)),
            spend: Some(compare(AllChannels::spend, DIRECTION_OF_MEANS)),
        }
    }

    fn close_rate(&self) -> pb::CloseRate {
        use close_rate::{DIRECTION, resolved, resolved_interval, unresolved_count};
        let Standing { measures, cohort, .. } = &self.card.now.standing;
        let Compared { figure, comparison, change } = self.compared(Kpi::CloseRate);
        let before = self.card.before.as_ref().map(|before| resolved(&before.standing.measures));
        pb::CloseRate {
            figure,
            comparison,
            change,
            interval: interval(close_rate::interval(cohort)),
            lost_count: cohort.lost_count,
            unresolved_count: unresolved_count(cohort),
            resolved: Some(self.figures.compared(resolved(measures), before, DIRECTION)),
            resolved_interval: interval(resolved_interval(measures)),
            position: self.position(Kpi::CloseRate),
            context: self
                .card
                .more
                .as_ref()
                .and_then(|more| more.close_rate.as_ref())
                .map(|ground| self.close_rate_context(ground)),
        }
    }

    fn close_rate_context(&self, ground: &CloseRateGround) -> pb::CloseRateContext {
        let now = close_rate::close_rate(&self.card.now.standing.cohort);
        let (region, region_figure) = ground.region.clone().unzip();
        pb::CloseRateContext {
            year_before: Some(self.figures.compared(now, ground.year_before, close_rate::DIRECTION)),
            region: region.unwrap_or_default(),
            region_figure: region_figure.map(|figure| self.figures.figure(figure)),
            season: Some(season::season(self.figures, now, &ground.season)),
        }
    }

    fn deal_velocity(&self) -> pb::DealVelocity {
        use deal_velocity::{CYCLE_DIRECTION, DEALS_IN_WORK_DIRECTION};
        let Compared { figure, comparison, change } = self.compared(Kpi::DealVelocity);
        let factor = |formula: &dyn Fn(&Standing) -> Figure, direction| {
            let before = self.card.before.as_ref().map(|before| formula(&before.standing));
            Some(self.figures.compared(formula(&self.card.now.standing), before, direction))
        };
        let won = self.card.more.as_ref().map(|more| &more.won);
        let stages = won.into_iter().flat_map(|won| &won.stages).map(|(stage, days)| pb::StageDays {
            stage: stage.unwrap_or_default().to_owned(),
            mean_days: Some(self.figures.figure(days.mean())),
        });
        pb::DealVelocity {
            figure,
            comparison,
            change,
            deals_in_work: factor(&deal_velocity::deals_in_work, DEALS_IN_WORK_DIRECTION),
            win_rate: factor(&deal_velocity::win_rate, deal_success::DIRECTION),
            average_deal_size: factor(
                &|standing| average_deal_size::average_deal_size(&standing.measures),
                average_deal_size::DIRECTION,
            ),
            cycle_days: factor(&|standing| deal_velocity::cycle_days(&standing.measures), CYCLE_DIRECTION),
            median_cycle_days: won.and_then(|won| won.cycle_days_percentile(50)),
            p90_cycle_days: won.and_then(|won| won.cycle_days_percentile(90)),
            stages: stages.collect(),
            position: self.position(Kpi::DealVelocity),
            mean_cycle_days: factor(
                &|standing| deal_velocity::mean_cycle_days(&standing.measures),
                CYCLE_DIRECTION,
            ),
        }
    }

    fn value_score(&self) -> pb::ValueScore {
        let Compared { figure, comparison, change } = self.compared(Kpi::ValueScore);
        let ground = self.card.value.as_ref();
        let own = ground.map_or(self.card.now.standing.measures, |ground| ground.own);
        let position =
            self.card.now.peer.and_then(|(peer, group)| group.position(Kpi::ValueScore, peer).ok());
        pb::ValueScore {
            figure,
            comparison,
            change,
            won_count: own.won.count,
            won_amount: self.figures.money(own.won.amount_e4),
            position: position.map(|position| self.figures.position(&position)),
            tenant_share: ground
                .map(|ground| self.figures.figure(value_score::tenant_share(&own, &ground.tenant))),
            own_past: ground.map(|ground| {
                let past = ground.past_won_amounts_e4.as_deref();
                self.figures.figure(value_score::own_past(&own, past))
            }),
        }
    }

    fn deal_success(&self) -> pb::DealSuccess {
        use deal_success::{DIRECTION, missed};
        let measures = &self.card.now.standing.measures;
        let Compared { figure, comparison, change } = self.compared(Kpi::DealSuccess);
        let missed = missed(measures);
        let qualification = |stand: &Stand<'_>| {
            let is_counted = self.card.leads_are_counted;
            is_counted.then_some(()).ok_or(Absent::LeadsNotCounted)?;
            deal_success::lead_qualification(&stand.standing.measures)
        };
        pb::DealSuccess {
            figure,
            comparison,
            change,
            interval: interval(deal_success::interval(measures)),
            missed_count: missed.count,
            missed_amount: self.figures.money(missed.amount_e4),
            unpriced_missed_count: missed.count - missed.priced_count,
            lost_to_competitor_count: measures.lost_to_competitor_count,
            expired_count: measures.expired.count,
            lead_qualification: Some(self.figures.compared(
                qualification(&self.card.now),
                self.card.before.as_ref().map(qualification),
                DIRECTION,
            )),
            position: self.position(Kpi::DealSuccess),
        }
    }

    fn compared(&self, kpi: Kpi) -> Compared {
        let before = self.card.before.as_ref().map(|before| before.figure(kpi));
        self.figures.compare(self.card.now.figure(kpi), before, direction(kpi))
    }

    /// In the full view, where it is a peer and has the figure.
    fn position(&self, kpi: Kpi) -> Option<pb::Position> {
        self.card.more.as_ref()?;
        let (peer, group) = self.card.now.peer?;
        group.position(kpi, peer).ok().map(|position| self.figures.position(&position))
    }
}

pub fn wire_group(dimension: &Dimension, group: &GroupValue) -> pb::Group {
    let (wire, label_key) = wire_dimension(dimension);
    pb::Group {
        dimension: wire.into(),
        label_key: label_key.map(|key| key.as_str().to_owned()).unwrap_or_default(),
        value: match group {
            GroupValue::Value(value) => value.to_string(),
            GroupValue::Uncredited | GroupValue::None => String::new(),
        },
        uncredited: *group == GroupValue::Uncredited,
    }
}

/// With the key of a label.
pub fn wire_dimension(dimension: &Dimension) -> (pb::Dimension, Option<&Term>) {
    use pb::Dimension as Wire;
    match dimension {
        Dimension::PartnerType => (Wire::PartnerType, None),
        Dimension::Tier => (Wire::Tier, None),
        Dimension::Region => (Wire::Region, None),
        Dimension::Product => (Wire::Product, None),
        Dimension::Channel => (Wire::MarketingChannel, None),
        Dimension::Media => (Wire::Media, None),
        Dimension::Employee => (Wire::Employee, None),
        Dimension::Unit => (Wire::Unit, None),
        Dimension::Partner => (Wire::Partner, None),
        Dimension::DealLabel(key) => (Wire::DealLabel, Some(key)),
        Dimension::PartnerLabel(key) => (Wire::PartnerLabel, Some(key)),
        Dimension::Credit => (Wire::Credit, None),
    }
}
