//! KPI 4: marketing channel. What each channel brings, what it costs, and whether it pays.
//!
//! Invariants, checked by the book's property tests:
//! 1. The channels and what is unattributed add up to the total, and so do the media.
//! 2. Of one question, what was spent is told for every row or for none.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use super::figure::{Absent, Direction, Figure, Quantity, Ratio, wilson_interval};
use super::measures::Measures;
use crate::domain::record::Media;

/// Leads, conversions, deals won, their amount, ROAS, ROI and close rate.
pub const DIRECTION_OF_RESULTS: Direction = Direction::HigherIsBetter;
/// Cost per lead and per won deal.
pub const DIRECTION_OF_COSTS: Direction = Direction::LowerIsBetter;
/// What was spent, and deals opened.
pub const DIRECTION_OF_MEANS: Direction = Direction::Neither;

/// Which leads and deals a row is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Basis {
    /// What happened in the window, each by its own date.
    #[default]
    Period,
    /// The leads created in the window, and what they have led to by `as_of`.
    Cohort,
}

/// What was spent within a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spend {
    /// In the reporting currency.
    pub amount_e4: i128,
    /// Days of a spend that had no rate: what was spent on them isn't in the amount.
    pub unconverted_day_count: i64,
}

/// What came by a channel, by the channels of a medium, or in all.
///
/// Definition: leads, conversions, deals and prospects as measures of the basis; cost per lead = spend /
/// leads; CAC = spend / deals won; ROAS = won amount / spend; ROI = (won amount − spend) / spend; close
/// rate = purchased / (purchased + lost) on the period basis, purchased / prospects on the cohort basis;
/// shares are of the total of all rows.
/// Unit: leads, deals, money of the reporting currency, exact ratios.
/// Absent: each cost figure where nothing was spent, and where spend isn't told; see each function.
/// Source: docs/kpis.md, section 6, KPI 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Performance {
    pub basis: Basis,
    pub measures: Measures,
    /// Not under a filter that asks for what only deals have.
    pub are_leads_counted: bool,
    /// None: what was spent for such a subject or filter isn't known.
    pub spend: Option<Spend>,
}

/// What came by all channels together, as much of it as a scorecard tells: what is unattributed isn't in it.
///
/// Definition: the leads created and the deals won that came by a channel, and all that was spent; the rest as
/// of [`Performance`] on the period basis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllChannels(Performance);

/// One channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel<'a> {
    pub name: Option<&'a str>,
    /// None: not known.
    pub media: Option<Media>,
    pub performance: Performance,
}

/// All channels of a question, by the bytes of their ids, and what came by none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketingFold<'a> {
    pub channels: BTreeMap<&'a str, Channel<'a>>,
    pub unattributed: Performance,
}

// === impl Spend ===

impl AddAssign for Spend {
    fn add_assign(&mut self, other: Self) {
        self.amount_e4 += other.amount_e4;
        self.unconverted_day_count += other.unconverted_day_count;
    }
}

// === impl Performance ===

impl Performance {
    /// Nothing yet.
    pub fn nothing(basis: Basis, are_leads_counted: bool, is_spend_told: bool) -> Self {
        let spend = is_spend_told.then(Spend::default);
        Self { basis, measures: Measures::default(), are_leads_counted, spend }
    }

    /// Whether anything was spent, of a known amount or not.
    pub fn is_paid(&self) -> bool {
        self.spend.is_some_and(|spend| spend != Spend::default())
    }

    /// Nothing, told as this one is.
    pub fn nothing_alike(&self) -> Self {
        Self::nothing(self.basis, self.are_leads_counted, self.spend.is_some())
    }
}

// === impl AllChannels ===

impl AllChannels {
    /// From all measures of a window, and what was spent in it.
    pub fn new(measures: &Measures, are_leads_counted: bool, spend: Option<Spend>) -> Self {
        let measures = Measures {
            won: measures.channel_won,
            lead_count: measures.channel_lead_count,
            ..Measures::default()
        };
        Self(Performance { basis: Basis::Period, measures, are_leads_counted, spend })
    }

    pub fn lead_count(&self) -> Figure {
        lead_count(&self.0)
    }

    pub fn won_count(&self) -> Figure {
        won_count(&self.0)
    }

    pub fn won_amount(&self) -> Figure {
        won_amount(&self.0)
    }

    pub fn spend(&self) -> Figure {
        spend(&self.0)
    }

    pub fn return_on_investment(&self) -> Figure {
        return_on_investment(&self.0)
    }
}

impl AddAssign for Performance {
    fn add_assign(&mut self, other: Self) {
        self.measures += other.measures;
        if let (Some(spend), Some(other)) = (&mut self.spend, other.spend) {
            *spend += other;
        }
    }
}

// === impl MarketingFold ===

impl MarketingFold<'_> {
    /// All channels of a medium. None: those whose medium isn't known, and what came by no channel.
    pub fn of_medium(&self, media: Option<Media>) -> Performance {
        let of_medium = self.channels.values().filter(|channel| channel.media == media);
        let unattributed = media.is_none().then_some(self.unattributed);
        self.sum(of_medium.map(|channel| channel.performance).chain(unattributed))
    }

    /// What came by any channel.
    pub fn attributed(&self) -> Performance {
        self.sum(self.channels.values().map(|channel| channel.performance))
    }

    pub fn total(&self) -> Performance {
        self.sum(self.channels.values().map(|channel| channel.performance).chain([self.unattributed]))
    }

    fn sum(&self, all: impl Iterator<Item = Performance>) -> Performance {
        all.fold(self.unattributed.nothing_alike(), |mut sum, performance| {
            sum += performance;
            sum
        })
    }
}

/// Leads by the date of their creation. Absent where a filter asks for what only deals have.
pub fn lead_count(row: &Performance) -> Figure {
    counted(row, row.measures.lead_count)
}

/// Leads converted: by the date of their conversion; on the cohort basis, of the leads counted.
/// Absent as [`lead_count`] is.
pub fn converted_lead_count(row: &Performance) -> Figure {
    counted(row, row.measures.converted_lead_count)
}

fn counted(row: &Performance, lead_count: i64) -> Figure {
    if row.are_leads_counted { whole(Quantity::Count(lead_count)) } else { Err(Absent::LeadsNotCounted) }
}

/// Never absent.
pub fn opened_count(row: &Performance) -> Figure {
    whole(Quantity::Count(row.measures.opened.count))
}

/// Never absent.
pub fn won_count(row: &Performance) -> Figure {
    whole(Quantity::Count(row.measures.won.count))
}

/// The sum of the amounts that are known. Never absent.
pub fn won_amount(row: &Performance) -> Figure {
    whole(Quantity::AmountE4(row.measures.won.amount_e4))
}

/// Absent where it isn't told for such a subject or filter.
pub fn spend(row: &Performance) -> Figure {
    row.spend.map(|spend| Ratio::whole(Quantity::AmountE4(spend.amount_e4))).ok_or(Absent::SpendNotTold)
}

/// Absent without spend and without leads.
pub fn cost_per_lead(row: &Performance) -> Figure {
    let spent_e4 = spent_e4(row)?;
    if !row.are_leads_counted {
        return Err(Absent::LeadsNotCounted);
    }
    Ratio::new(Quantity::AmountE4(spent_e4), row.measures.lead_count).ok_or(Absent::NoLead)
}

/// CAC. Absent without spend and without a deal won.
pub fn cost_per_won_deal(row: &Performance) -> Figure {
    Ratio::new(Quantity::AmountE4(spent_e4(row)?), row.measures.won.count).ok_or(Absent::NoDealWon)
}

/// ROAS. Absent without spend, and where of the deals won no amount is known.
pub fn return_on_ad_spend(row: &Performance) -> Figure {
    over_spend(row, |won_e4, _| won_e4)
}

/// ROI. Absent as [`return_on_ad_spend`] is.
pub fn return_on_investment(row: &Performance) -> Figure {
    over_spend(row, |won_e4, spent_e4| won_e4 - spent_e4)
}

fn over_spend(row: &Performance, numerator_e4: impl Fn(i128, i128) -> i128) -> Figure {
    let spent_e4 = spent_e4(row)?;
    let won = row.measures.won;
    // Of deals without amounts nothing is known: they brought not 0.
    if won.count > 0 && won.priced_count == 0 {
        return Err(Absent::NoAmountKnown);
    }
    let numerator = Quantity::AmountE4(numerator_e4(won.amount_e4, spent_e4));
    Ratio::of(numerator, Quantity::AmountE4(spent_e4)).ok_or(Absent::NoSpend)
}

/// What can be divided and divided by.
fn spent_e4(row: &Performance) -> Result<i128, Absent> {
    match row.spend {
        None => Err(Absent::SpendNotTold),
        Some(Spend { amount_e4: 0, .. }) => Err(Absent::NoSpend),
        Some(Spend { amount_e4, .. }) => Ok(amount_e4),
    }
}

/// Of the prospects that came to their end, or on the cohort basis of all, the share that purchased.
/// Absent where there is none.
pub fn close_rate(row: &Performance) -> Figure {
    let purchased = Quantity::Count(row.measures.purchased_count);
    Ratio::new(purchased, prospect_count(row)).ok_or(Absent::NoProspect)
}

/// The 95 % Wilson interval of [`close_rate`].
pub fn close_rate_interval(row: &Performance) -> Option<(f64, f64)> {
    wilson_interval(row.measures.purchased_count, prospect_count(row))
}

/// On the cohort basis, the prospects that are neither purchased nor lost yet.
pub fn unresolved_count(row: &Performance) -> Option<i64> {
    let Measures { prospect_count, purchased_count, lost_prospect_count, .. } = row.measures;
    (row.basis == Basis::Cohort).then_some(prospect_count - purchased_count - lost_prospect_count)
}

fn prospect_count(row: &Performance) -> i64 {
    match row.basis {
        Basis::Period => row.measures.purchased_count + row.measures.lost_prospect_count,
        Basis::Cohort => row.measures.prospect_count,
    }
}

/// A row's share of the total. Absent where one of them is, and where the total is 0.
pub fn share(row: Figure, total: Figure) -> Figure {
    let (row, total) = (row?, total?);
    Ratio::of_numerators(&row, &total).ok_or(Absent::TotalIsZero)
}

fn whole(quantity: Quantity) -> Figure {
    Ok(Ratio::whole(quantity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kpi::measures::Tally;

    const UNIT: i128 = 10_000;

    /// Leads, deals won, what they are worth, what was spent.
    fn row(leads: i64, won: i64, won_units: i128, spend_units: Option<i128>) -> Performance {
        let spend = spend_units.map(|units| Spend { amount_e4: units * UNIT, unconverted_day_count: 0 });
        let won = Tally { count: won, priced_count: won, amount_e4: won_units * UNIT };
        let measures = Measures { lead_count: leads, won, ..Measures::default() };
        Performance { basis: Basis::Period, measures, are_leads_counted: true, spend }
    }

    /// Money to a count, or to money, in units: the terms as they are.
    fn terms(figure: Figure) -> Result<(i128, i128), Absent> {
        let term = |quantity| match quantity {
            Quantity::Count(count) => i128::from(count),
            Quantity::AmountE4(amount_e4) => amount_e4 / UNIT,
        };
        figure.map(|ratio| {
            let (numerator, denominator) = ratio.terms().expect("few digits");
            (term(numerator), term(denominator))
        })
    }

    /// The worked example's rows first.
    #[test]
    fn marketing_channel_by_hand() {
        use Absent::{NoDealWon, NoLead, NoSpend, SpendNotTold};
        for (row, cost_per_lead_, cac, roas, roi) in [
            // paid search: 155.00, 310.00, 1.2903…, 0.2903…
            (row(2, 1, 400, Some(310)), Ok((310, 2)), Ok((310, 1)), Ok((400, 310)), Ok((90, 310))),
            // newsletter: 50.00, absent, 0, −1
            (row(1, 0, 0, Some(50)), Ok((50, 1)), Err(NoDealWon), Ok((0, 50)), Ok((-50, 50))),
            // review site
            (row(0, 1, 900, Some(0)), Err(NoSpend), Err(NoSpend), Err(NoSpend), Err(NoSpend)),
            // spend without a lead
            (row(0, 0, 0, Some(7)), Err(NoLead), Err(NoDealWon), Ok((0, 7)), Ok((-7, 7))),
            // an employee's
            (
                row(3, 1, 900, None),
                Err(SpendNotTold),
                Err(SpendNotTold),
                Err(SpendNotTold),
                Err(SpendNotTold),
            ),
        ] {
            assert_eq!(terms(cost_per_lead(&row)), cost_per_lead_, "{row:?}");
            assert_eq!(terms(cost_per_won_deal(&row)), cac, "{row:?}");
            assert_eq!(terms(return_on_ad_spend(&row)), roas, "{row:?}");
            assert_eq!(terms(return_on_investment(&row)), roi, "{row:?}");
        }
    }

    #[test]
    fn deals_without_amounts_return_an_unknown_not_nothing() {
        let mut unpriced = row(2, 1, 0, Some(310));
        unpriced.measures.won.priced_count = 0;
        assert_eq!(return_on_ad_spend(&unpriced), Err(Absent::NoAmountKnown));
        assert_eq!(return_on_investment(&unpriced), Err(Absent::NoAmountKnown));
        assert_eq!(terms(cost_per_won_deal(&unpriced)), Ok((310, 1)), "how many were won is known");
    }

    #[test]
    fn leads_are_absent_where_they_are_not_counted() {
        let row = Performance { are_leads_counted: false, ..row(2, 1, 400, Some(310)) };
        for figure in [lead_count(&row), converted_lead_count(&row), cost_per_lead(&row)] {
            assert_eq!(figure, Err(Absent::LeadsNotCounted));
        }
    }

    #[test]
    fn close_rates_by_hand() {
        // prospects, purchased, lost: period, cohort, unresolved
        for ((prospects, purchased, lost), period, cohort, unresolved) in [
            ((0, 0, 0), Err(Absent::NoProspect), Err(Absent::NoProspect), 0),
            ((6, 1, 1), Ok((1, 2)), Ok((1, 6)), 4),
            ((3, 0, 0), Err(Absent::NoProspect), Ok((0, 3)), 3),
        ] {
            let mut row = row(0, 0, 0, None);
            row.measures.prospect_count = prospects;
            row.measures.purchased_count = purchased;
            row.measures.lost_prospect_count = lost;
            assert_eq!(terms(close_rate(&row)), period);
            assert_eq!(unresolved_count(&row), None);
            row.basis = Basis::Cohort;
            assert_eq!(terms(close_rate(&row)), cohort);
            assert_eq!(close_rate_interval(&row).is_some(), cohort.is_ok());
            assert_eq!(unresolved_count(&row), Some(unresolved));
        }
    }

    #[test]
    fn shares_by_hand() {
        let (search, total) = (row(2, 1, 400, Some(310)), row(3, 3, 1_500, Some(360)));
        let nothing = total.nothing_alike();
        assert_eq!(terms(share(lead_count(&search), lead_count(&total))), Ok((2, 3)));
        assert_eq!(terms(share(won_amount(&search), won_amount(&total))), Ok((400, 1_500)));
        assert_eq!(terms(share(spend(&search), spend(&total))), Ok((310, 360)));
        assert_eq!(share(won_count(&nothing), won_count(&nothing)), Err(Absent::TotalIsZero));
        let untold = row(2, 1, 400, None);
        assert_eq!(share(spend(&untold), spend(&untold)), Err(Absent::SpendNotTold));
    }

    #[test]
    fn media_and_channels_add_up() {
        let channel = |media, performance| Channel { name: None, media, performance };
        let fold = MarketingFold {
            channels: BTreeMap::from([
                ("ads", channel(Some(Media::Paid), row(2, 1, 400, Some(310)))),
                ("banners", channel(Some(Media::Paid), row(1, 0, 0, Some(5)))),
                ("posters", channel(None, row(4, 0, 0, Some(1)))),
            ]),
            unattributed: row(0, 1, 200, Some(0)),
        };
        assert_eq!(fold.total(), row(7, 2, 600, Some(316)));
        assert_eq!(fold.of_medium(Some(Media::Paid)), row(3, 1, 400, Some(315)));
        assert_eq!(fold.of_medium(Some(Media::Owned)), row(0, 0, 0, Some(0)));
        assert_eq!(fold.of_medium(None), row(4, 1, 200, Some(1)), "with what is unattributed");
    }
}
