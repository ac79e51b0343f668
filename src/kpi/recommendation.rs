//! Recommendations: what a rule says of a subject, and on what that rests (docs/kpis.md §9).
//!
//! The rules themselves are in `rules/`, one file for each family: pure functions of what was counted.

use super::Kpi;
use super::figure::{Figure, Ratio};
use crate::domain::record::{Media, Thresholds};
use crate::domain::subject::SubjectKind;
use crate::domain::window::Window;

/// What can be recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    SizeGrow,
    SizeFalling,
    CountHollow,
    PipelineThin,
    PipelineExpiring,
    PipelineBehind,
    ChannelStop,
    ChannelEarnedWeak,
    ChannelOwnedWeak,
    ChannelInvest,
    CloseFalling,
    CloseRising,
    VelocitySlowStage,
    ValueLead,
    ValueLag,
    SuccessStrong,
    SuccessWeak,
    SuccessReplace,
    StrategyWorks,
    StrategyFails,
}

/// How pressing it is. What is most pressing comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Something is being lost now.
    Critical,
    /// Something goes wrong.
    Warning,
    /// Something goes well: more of it.
    Opportunity,
}

/// What a rule speaks of beside its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum About<'a> {
    Nothing,
    /// None: deals without a stage.
    Stage(Option<&'a str>),
    Channel(Named<'a>),
    /// With the channel in which what it costs would do most, where there is one.
    StoppedChannel {
        channel: Named<'a>,
        better: Option<Named<'a>>,
    },
    Media(Media),
    Target(&'a str),
    Strategy {
        strategy: Named<'a>,
        kpi: Kpi,
        /// Of which kind are those that it is judged on.
        kind: SubjectKind,
        include_sub_partners: bool,
    },
}

/// An id, and the name that the host sent with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Named<'a> {
    pub id: &'a str,
    pub name: Option<&'a str>,
}

/// A figure that a recommendation rests on, and the days that it is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    pub kind: EvidenceKind,
    pub value: Value,
    pub window: Window,
}

/// What such a figure is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Exact.
    Exact(Ratio),
    /// Told by statistics, which know no exact numbers.
    Estimate(f64),
}

/// How a figure is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Money,
    /// Things, or days.
    Count,
    /// A share of one.
    Percent,
    /// A plain number.
    Number,
    /// A difference of shares of one.
    Points,
    /// Money without its sign: texts say which way it goes.
    Step,
}

macro_rules! evidence_kinds {
    ($($(#[doc = $about:literal])* $kind:ident = $name:literal as $form:ident,)+) => {
        /// Which figure of the evidence it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EvidenceKind {
            $($(#[doc = $about])* $kind,)+
        }

        impl EvidenceKind {
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// How texts call it. Kinds of which a recommendation has one may share it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            pub fn form(self) -> Form {
                match self {
                    $(Self::$kind => Form::$form,)+
                }
            }
        }
    };
}

evidence_kinds! {
    AverageDealSize = "average_deal_size" as Money,
    /// Of the comparison window.
    AverageDealSizeBefore = "average_deal_size_before" as Money,
    /// Theil and Sen's, of the months' average deal sizes.
    SlopePerMonth = "slope_per_month" as Step,
    /// Months that have a value.
    MonthCount = "month_count" as Count,
    /// Of the test that the rule makes, before the correction for how many are judged.
    PValue = "p_value" as Number,
    WonCount = "won_count" as Count,
    WonCountBefore = "won_count_before" as Count,
    WonAmount = "won_amount" as Money,
    WonAmountBefore = "won_amount_before" as Money,
    /// A target's value, if it is in money.
    TargetAmount = "target_amount" as Money,
    /// A target's value, if it is in deals.
    TargetCount = "target_count" as Count,
    RemainingAmount = "remaining_amount" as Money,
    RemainingCount = "remaining_count" as Count,
    /// What open deals expected to close before the target's end are, over what remains of it.
    Coverage = "coverage" as Number,
    /// Open deals that are expected to close before the target's end.
    ExpectedCount = "expected_count" as Count,
    /// How many more deals must be opened for what remains, at the win rate and the average deal size.
    DealsToOpen = "deals_to_open" as Count,
    LandingAmount = "landing_amount" as Money,
    LandingCount = "landing_count" as Number,
    /// The upper bound of the landing's interval.
    LandingUpperAmount = "landing_upper_amount" as Money,
    LandingUpperCount = "landing_upper_count" as Number,
    ShortAmount = "short_amount" as Money,
    ShortCount = "short_count" as Number,
    /// What left the pipeline as lost in the last month.
    MovedLost = "moved_lost" as Money,
    MovedExpired = "moved_expired" as Money,
    MovedDecreased = "moved_decreased" as Money,
    /// Won deals of those that ended.
    WinRate = "win_rate" as Percent,
    ExpiringCount = "expiring_count" as Count,
    ExpiringAmount = "expiring_amount" as Money,
    ExpiringWeighted = "expiring_weighted" as Money,
    LeadCount = "lead_count" as Count,
    Spend = "spend" as Money,
    ReturnOnInvestment = "return_on_investment" as Percent,
    CloseRate = "close_rate" as Percent,
    /// A year before, at equal age.
    CloseRateYearBefore = "close_rate_year_before" as Percent,
    /// Of the channels that it is compared with.
    OthersCloseRate = "others_close_rate" as Percent,
    ProspectCount = "prospect_count" as Count,
    ProspectCountYearBefore = "prospect_count_year_before" as Count,
    /// The mean days of the deals won in the stage.
    StageDays = "stage_days" as Number,
    /// The median of the other peers' means.
    PeersStageDays = "peers_stage_days" as Number,
    /// Deals won that were in the stage.
    StageDealCount = "stage_deal_count" as Count,
    DealVelocity = "deal_velocity" as Money,
    /// What each day would bring more if the stage took the peers' days.
    VelocityToWin = "velocity_to_win" as Money,
    ValueScore = "value_score" as Number,
    ValueRank = "value_rank" as Count,
    PeerCount = "peer_count" as Count,
    DealSuccess = "deal_success" as Percent,
    /// Of the other peers, all their deals together.
    PeersDealSuccess = "peers_deal_success" as Percent,
    EndedCount = "ended_count" as Count,
    /// The upper bound of the Wilson interval.
    DealSuccessUpper = "deal_success_upper" as Percent,
    DealSuccessBefore = "deal_success_before" as Percent,
    TreatedCount = "treated_count" as Count,
    OtherCount = "other_count" as Count,
    /// A strategy's, where its KPI is money.
    EffectAmount = "effect" as Money,
    EffectAmountLower = "effect_lower" as Money,
    EffectAmountUpper = "effect_upper" as Money,
    /// The same where it is a share.
    EffectShare = "effect" as Points,
    EffectShareLower = "effect_lower" as Points,
    EffectShareUpper = "effect_upper" as Points,
    /// The same where it is a number of things.
    EffectCount = "effect" as Number,
    EffectCountLower = "effect_lower" as Number,
    EffectCountUpper = "effect_upper" as Number,
}

/// What a rule says of a subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding<'a> {
    pub rule: Rule,
    pub about: About<'a>,
    pub evidence: Vec<Evidence>,
    /// Money of the reporting currency in ten-thousandths, 0 or more: what is at stake, as the rule tells it.
    pub effect_e4: Option<i128>,
}

/// What would be said if the test's evidence were enough.
#[derive(Clone, Debug, PartialEq)]
pub struct Tested<'a> {
    pub p_value: f64,
    pub finding: Finding<'a>,
}

/// From when on rules speak: the tenant's thresholds, and the defaults of docs/kpis.md §9.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    pub coverage_percent: i64,
    pub expiring_days: i32,
    pub slow_stage_percent: i64,
    pub replace_percent: i64,
    pub replace_sample_min: i64,
    pub sample_min: i64,
    pub channel_leads_min: i64,
    pub peers_min: i64,
    /// Of tests, and the false discovery rate.
    pub significance: f64,
}

// === impl Rule ===

impl Rule {
    pub const ALL: [Self; 20] = [
        Self::SizeGrow,
        Self::SizeFalling,
        Self::CountHollow,
        Self::PipelineThin,
        Self::PipelineExpiring,
        Self::PipelineBehind,
        Self::ChannelStop,
        Self::ChannelEarnedWeak,
        Self::ChannelOwnedWeak,
        Self::ChannelInvest,
        Self::CloseFalling,
        Self::CloseRising,
        Self::VelocitySlowStage,
        Self::ValueLead,
        Self::ValueLag,
        Self::SuccessStrong,
        Self::SuccessWeak,
        Self::SuccessReplace,
        Self::StrategyWorks,
        Self::StrategyFails,
    ];

    /// As docs/kpis.md §9 writes it.
    pub fn id(self) -> &'static str {
        match self {
            Self::SizeGrow => "size.grow",
            Self::SizeFalling => "size.falling",
            Self::CountHollow => "count.hollow",
            Self::PipelineThin => "pipeline.thin",
            Self::PipelineExpiring => "pipeline.expiring",
            Self::PipelineBehind => "pipeline.behind",
            Self::ChannelStop => "channel.stop",
            Self::ChannelEarnedWeak => "channel.earned_weak",
            Self::ChannelOwnedWeak => "channel.owned_weak",
            Self::ChannelInvest => "channel.invest",
            Self::CloseFalling => "close.falling",
            Self::CloseRising => "close.rising",
            Self::VelocitySlowStage => "velocity.slow_stage",
            Self::ValueLead => "value.lead",
            Self::ValueLag => "value.lag",
            Self::SuccessStrong => "success.strong",
            Self::SuccessWeak => "success.weak",
            Self::SuccessReplace => "success.replace",
            Self::StrategyWorks => "strategy.works",
            Self::StrategyFails => "strategy.fails",
        }
    }

    pub fn severity(self) -> Severity {
        match self {
            Self::PipelineExpiring
            | Self::PipelineBehind
            | Self::ChannelStop
            | Self::SuccessReplace
            | Self::StrategyFails => Severity::Critical,
            Self::SizeFalling
            | Self::CountHollow
            | Self::PipelineThin
            | Self::ChannelEarnedWeak
            | Self::ChannelOwnedWeak
            | Self::CloseFalling
            | Self::VelocitySlowStage
            | Self::ValueLag
            | Self::SuccessWeak => Severity::Warning,
            Self::SizeGrow
            | Self::ChannelInvest
            | Self::CloseRising
            | Self::ValueLead
            | Self::SuccessStrong
            | Self::StrategyWorks => Severity::Opportunity,
        }
    }
}

// === impl Finding ===

impl<'a> Finding<'a> {
    /// Without evidence yet.
    pub fn new(rule: Rule, about: About<'a>) -> Self {
        Self { rule, about, evidence: Vec::new(), effect_e4: None }
    }

    /// With a figure, where there is one.
    pub fn with(mut self, kind: EvidenceKind, figure: Figure, window: &Window) -> Self {
        let known = figure.ok().map(Value::Exact);
        self.evidence.extend(known.map(|value| Evidence { kind, value, window: *window }));
        self
    }

    pub fn with_estimate(mut self, kind: EvidenceKind, estimate: f64, window: &Window) -> Self {
        self.evidence.push(Evidence { kind, value: Value::Estimate(estimate), window: *window });
        self
    }

    /// With so many units of the reporting currency at stake, where that can be told.
    pub fn at_stake(mut self, units: Option<f64>) -> Self {
        self.effect_e4 = units.and_then(rounded_e4);
        self
    }

    /// One of its figures, in units.
    pub fn quotient(&self, kind: EvidenceKind) -> Option<f64> {
        self.evidence.iter().find(|evidence| evidence.kind == kind).map(|evidence| evidence.value.quotient())
    }
}

/// Units of a currency in ten-thousandths. None for what is no sum of money, or below 0.
fn rounded_e4(units: f64) -> Option<i128> {
    let e4 = (units * 10_000.0).round_ties_even();
    (e4.is_finite() && e4 >= 0.0).then_some(e4 as i128)
}

// === impl Value ===

impl Value {
    /// In whole units, for display.
    pub fn quotient(&self) -> f64 {
        match self {
            Self::Exact(ratio) => ratio.quotient(),
            Self::Estimate(number) => *number,
        }
    }
}

// === impl Levels ===

impl From<&Thresholds> for Levels {
    fn from(thresholds: &Thresholds) -> Self {
        let Thresholds {
            coverage_percent,
            expiring_days,
            slow_stage_percent,
            replace_percent,
            replace_sample_min,
            sample_min,
            channel_leads_min,
            peers_min,
            significance_bps,
            stale_days: _, // data quality's
        } = *thresholds;
        let level = |set: Option<u32>, default: u32| i64::from(set.unwrap_or(default));
        Self {
            coverage_percent: level(coverage_percent, 300),
            expiring_days: expiring_days.and_then(|days| i32::try_from(days).ok()).unwrap_or(14),
            slow_stage_percent: level(slow_stage_percent, 150),
            replace_percent: level(replace_percent, 75),
            replace_sample_min: level(replace_sample_min, 20),
            sample_min: level(sample_min, 5),
            channel_leads_min: level(channel_leads_min, 30),
            peers_min: level(peers_min, 10),
            significance: f64::from(significance_bps.unwrap_or(500)) / 10_000.0,
        }
    }
}

#[cfg(test)]
mod tests;
