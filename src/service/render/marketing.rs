//! Marketing performance, as the wire has it.

use std::collections::BTreeMap;

use super::figure::{Figures, interval};
use super::{scorecard, value};
use crate::book::Found;
use crate::domain::amount::Currency;
use crate::domain::calendar::Date;
use crate::domain::premises::RatesOn;
use crate::domain::record::{Media, Settings};
use crate::domain::subject::Subject;
use crate::domain::window::Window;
use crate::kpi::figure::{Direction, Figure};
use crate::kpi::marketing_channel::{
    self as formula, Basis, Channel, DIRECTION_OF_COSTS as COSTS, DIRECTION_OF_MEANS as MEANS,
    DIRECTION_OF_RESULTS as RESULTS, MarketingFold, Performance,
};
use crate::kpi::recommendation::{About, Finding, Rule};
use crate::proto::channelkpi::v1 as pb;

/// What one subject's marketing is told from.
pub struct Told<'a> {
    pub subject: Subject,
    pub name: Option<&'a str>,
    pub basis: Basis,
    pub rates: RatesOn,
    pub window: Window,
    /// The comparison window, where there is one.
    pub compared: Option<Window>,
    pub now: Found<MarketingFold<'a>>,
    /// Of the comparison window.
    pub before: Option<Found<MarketingFold<'a>>>,
    /// What is said of channels and media.
    pub verdicts: Vec<Finding<'a>>,
    /// The oldest exchange rate that verdicts rest on.
    pub judged_rate_on: Option<Date>,
}

/// A row in the window and in the one before, and the totals that it is a share of.
struct Row {
    now: Performance,
    before: Option<Performance>,
    total: Performance,
    figures: Figures,
}

pub fn performance(told: &Told<'_>, currency: Currency) -> pb::MarketingPerformance {
    let (now, before) = (&told.now.found, told.before.as_ref().map(|before| &before.found));
    let total = now.total();
    let figures = |now, before| Some(Row { now, before, total, figures: Figures { currency } }.render());
    let row = |of: &dyn Fn(&MarketingFold<'_>) -> Performance| figures(of(now), before.map(of));
    let media = [Some(Media::Paid), Some(Media::Earned), Some(Media::Owned), None];
    let medium = |medium| pb::MediumPerformance {
        media: wire_media(medium).into(),
        figures: row(&|fold: &MarketingFold<'_>| fold.of_medium(medium)),
        verdict: medium
            .map_or(pb::MarketingVerdict::Unspecified, |medium| {
                verdict(&told.verdicts, |about| matches!(about, About::Media(judged) if *judged == medium))
            })
            .into(),
    };
    // By which something came in one of the windows.
    let mut channels: BTreeMap<&str, Channel<'_>> = BTreeMap::new();
    for fold in [Some(now), before].into_iter().flatten() {
        channels.extend(fold.channels.iter().map(|(id, channel)| (*id, *channel)));
    }
    let channel = |(id, channel): (&&str, &Channel<'_>)| {
        let of = |fold: &MarketingFold<'_>| {
            fold.channels.get(id).map_or(fold.unattributed.nothing_alike(), |channel| channel.performance)
        };
        pb::ChannelPerformance {
            marketing_channel_id: (*id).to_owned(),
            name: channel.name.unwrap_or_default().to_owned(),
            media: wire_media(channel.media).into(),
            figures: row(&of),
            verdict: verdict(&told.verdicts, |about| match about {
                About::Channel(judged) | About::StoppedChannel { channel: judged, .. } => judged.id == *id,
                _ => false,
            })
            .into(),
        }
    };
    pb::MarketingPerformance {
        subject: Some(value::subject(&told.subject)),
        name: told.name.unwrap_or_default().to_owned(),
        basis: match told.basis {
            Basis::Period => pb::MarketingBasis::Period.into(),
            Basis::Cohort => pb::MarketingBasis::Cohort.into(),
        },
        total: figures(total, before.map(MarketingFold::total)),
        media: media.into_iter().map(medium).collect(),
        unattributed: row(&|fold: &MarketingFold<'_>| fold.unattributed),
        channels: channels.iter().map(channel).collect(),
    }
}

/// What is said of that of which something is said.
fn verdict(verdicts: &[Finding<'_>], is_it: impl Fn(&About<'_>) -> bool) -> pb::MarketingVerdict {
    match verdicts.iter().find(|finding| is_it(&finding.about)).map(|finding| finding.rule) {
        Some(Rule::ChannelStop) => pb::MarketingVerdict::Stop,
        Some(Rule::ChannelInvest) => pb::MarketingVerdict::Invest,
        Some(Rule::ChannelEarnedWeak | Rule::ChannelOwnedWeak) => pb::MarketingVerdict::Weak,
        _ => pb::MarketingVerdict::Unspecified,
    }
}

pub fn definition(told: &Told<'_>, asked: &Option<pb::Premises>, settings: &Settings) -> pb::Definition {
    let oldest = [Some(&told.now), told.before.as_ref()].into_iter().flatten();
    let oldest = oldest.filter_map(|found| found.oldest_rate_on).chain(told.judged_rate_on).min();
    scorecard::definition(&told.window, told.compared.as_ref(), told.rates, asked, settings, oldest)
}

// === impl Row ===

impl Row {
    fn render(&self) -> pb::MarketingFigures {
        let won = self.now.measures.won;
        pb::MarketingFigures {
            lead_count: self.compare(formula::lead_count, RESULTS),
            converted_lead_count: self.compare(formula::converted_lead_count, RESULTS),
            opened_count: self.compare(formula::opened_count, MEANS),
            won_count: self.compare(formula::won_count, RESULTS),
            won_amount: self.compare(formula::won_amount, RESULTS),
            unpriced_won_count: won.count - won.priced_count,
            spend: self.compare(formula::spend, MEANS),
            unconverted_spend_day_count: self.now.spend.map_or(0, |spend| spend.unconverted_day_count),
            cost_per_lead: self.compare(formula::cost_per_lead, COSTS),
            cost_per_won_deal: self.compare(formula::cost_per_won_deal, COSTS),
            return_on_ad_spend: self.compare(formula::return_on_ad_spend, RESULTS),
            return_on_investment: self.compare(formula::return_on_investment, RESULTS),
            close_rate: self.compare(formula::close_rate, RESULTS),
            close_rate_interval: interval(formula::close_rate_interval(&self.now)),
            unresolved_count: formula::unresolved_count(&self.now),
            shares: Some(pb::MarketingShares {
                lead_count: self.share(formula::lead_count),
                converted_lead_count: self.share(formula::converted_lead_count),
                opened_count: self.share(formula::opened_count),
                won_count: self.share(formula::won_count),
                won_amount: self.share(formula::won_amount),
                spend: self.share(formula::spend),
            }),
        }
    }

    fn compare(
        &self,
        formula: impl Fn(&Performance) -> Figure,
        direction: Direction,
    ) -> Option<pb::ComparedFigure> {
        let before = self.before.as_ref().map(&formula);
        Some(self.figures.compared(formula(&self.now), before, direction))
    }

    fn share(&self, formula: impl Fn(&Performance) -> Figure) -> Option<pb::Figure> {
        let share = formula::share(formula(&self.now), formula(&self.total));
        Some(self.figures.figure(share))
    }
}

pub fn wire_media(media: Option<Media>) -> pb::Media {
    match media {
        None => pb::Media::Unspecified,
        Some(Media::Paid) => pb::Media::Paid,
        Some(Media::Earned) => pb::Media::Earned,
        Some(Media::Owned) => pb::Media::Owned,
    }
}
