//! channel.*: which channels to stop paying, which media are weak, and where money does most.

use super::super::drivers::RateTerms;
use super::super::figure::{Figure, Quantity, Ratio};
use super::super::marketing_channel::{
    Channel, MarketingFold, Performance, close_rate, lead_count, return_on_investment, spend,
};
use super::super::recommendation::{About, EvidenceKind, Finding, Levels, Named, Rule};
use super::super::significance::{discoveries, two_proportions};
use super::NO_VALUE;
use crate::domain::record::Media;
use crate::domain::window::Window;

/// A row's close rate beside that of others. One that is better counts as a test that was made.
struct Test<'a> {
    p_value: f64,
    is_worse: bool,
    finding: Finding<'a>,
}

/// What is said of channels and media, on the cohort basis of leads that are old enough to be judged.
///
/// Definition, each on enough leads: a paid channel is to be stopped where its ROI is below 0, or its close rate
/// below that of earned and owned media together; earned media are weak where their close rate is below that of
/// the other media together, and so are owned ones; the channel with the best ROI is the one to invest in, where
/// that is above 0 and it isn't to be stopped. Rates are tested, and the false discovery rate is held over all
/// tests made here.
///
/// At stake: what a stopped channel cost; what that brings at the best ROI, up to as much as was spent there; the
/// purchases that a weak medium's prospects would have made more at the others' rate, at its own average.
/// Source: docs/kpis.md, section 9.
pub fn channels<'a>(fold: &MarketingFold<'a>, window: &Window, levels: &Levels) -> Vec<Finding<'a>> {
    let is_enough = |row: &Performance| row.measures.lead_count >= levels.channel_leads_min;
    let of = |media: &[Media]| {
        let media: Vec<Performance> = media.iter().map(|&medium| fold.of_medium(Some(medium))).collect();
        let nothing = fold.unattributed.nothing_alike();
        media.into_iter().fold(nothing, |mut sum, row| {
            sum += row;
            sum
        })
    };
    let unpaid = of(&[Media::Earned, Media::Owned]);
    let paid = fold
        .channels
        .iter()
        .filter(|(_, channel)| channel.media == Some(Media::Paid) && is_enough(&channel.performance));
    let mut tests: Vec<Test<'a>> = Vec::new();
    let mut stopped: Vec<(&'a str, Finding<'a>)> = Vec::new();
    for (&id, channel) in paid {
        let row = &channel.performance;
        let finding = stop(id, channel, &unpaid, window);
        if return_on_investment(row).is_ok_and(|roi| roi.cmp_exact(&Ratio::ZERO).is_lt()) {
            stopped.push((id, finding));
        } else {
            tests.extend(Test::new(row, &unpaid, finding));
        }
    }
    for (rule, medium, others) in [
        (Rule::ChannelEarnedWeak, Media::Earned, [Media::Paid, Media::Owned]),
        (Rule::ChannelOwnedWeak, Media::Owned, [Media::Paid, Media::Earned]),
    ] {
        let (row, others) = (fold.of_medium(Some(medium)), of(&others));
        if is_enough(&row) {
            tests.extend(Test::new(&row, &others, weak(rule, medium, &row, &others, window)));
        }
    }
    let p_values: Vec<f64> = tests.iter().map(|test| test.p_value).collect();
    let found = discoveries(&p_values, levels.significance).into_iter().zip(tests);
    let mut weak = Vec::new();
    for finding in found.filter(|(is_found, test)| *is_found && test.is_worse).map(|(_, test)| test.finding) {
        match finding.about {
            About::StoppedChannel { channel, .. } => stopped.push((channel.id, finding)),
            _ => weak.push(finding),
        }
    }
    stopped.sort_by_key(|(id, _)| *id);
    let is_stopped = |id: &str| stopped.iter().any(|(stopped, _)| *stopped == id);
    let rewarding = fold.channels.iter().filter_map(|(&id, channel)| {
        let roi = return_on_investment(&channel.performance).ok()?;
        let pays = is_enough(&channel.performance) && roi.cmp_exact(&Ratio::ZERO).is_gt() && !is_stopped(id);
        pays.then_some((id, channel, roi))
    });
    // Of equal ones the first by id.
    let best = rewarding.reduce(|best, other| if other.2.cmp_exact(&best.2).is_gt() { other } else { best });
    let freed: f64 = stopped.iter().filter_map(|(_, finding)| finding.quotient(EvidenceKind::Spend)).sum();
    let better = best.map(|(id, channel, _)| Named { id, name: channel.name });
    let invest = best.map(|(id, channel, roi)| invest(id, channel, roi, freed, window));
    let stopped = stopped.into_iter().map(|(_, mut finding)| {
        if let About::StoppedChannel { better: named, .. } = &mut finding.about {
            *named = better;
        }
        finding
    });
    stopped.chain(weak).chain(invest).collect()
}

// === impl Test ===

impl<'a> Test<'a> {
    /// None where one has no rate.
    fn new(row: &Performance, others: &Performance, finding: Finding<'a>) -> Option<Self> {
        let (own, theirs) = (close_rate(row).ok()?, close_rate(others).ok()?);
        let p_value = two_proportions(terms(row), terms(others))?;
        Some(Self { p_value, is_worse: own.cmp_exact(&theirs).is_lt(), finding })
    }
}

fn terms(row: &Performance) -> RateTerms {
    RateTerms { numerator: row.measures.purchased_count, denominator: row.measures.prospect_count }
}

fn stop<'a>(id: &'a str, channel: &Channel<'a>, unpaid: &Performance, window: &Window) -> Finding<'a> {
    let row = &channel.performance;
    let about = About::StoppedChannel { channel: Named { id, name: channel.name }, better: None };
    with_row(Finding::new(Rule::ChannelStop, about), row, window)
        .with(EvidenceKind::OthersCloseRate, close_rate(unpaid), window)
        .at_stake(spend(row).ok().map(|spend| spend.quotient()))
}

fn weak<'a>(
    rule: Rule,
    medium: Media,
    row: &Performance,
    others: &Performance,
    window: &Window,
) -> Finding<'a> {
    let rate = |row: &Performance| close_rate(row).ok().map(|rate| rate.quotient());
    let won = row.measures.won;
    let size = (won.priced_count > 0).then(|| won.amount_e4 as f64 / 10_000.0 / won.priced_count as f64);
    let missed = rate(others).zip(rate(row)).map(|(theirs, own)| theirs - own);
    let stake = missed.zip(size).map(|(missed, size)| missed * row.measures.prospect_count as f64 * size);
    with_row(Finding::new(rule, About::Media(medium)), row, window)
        .with(EvidenceKind::OthersCloseRate, close_rate(others), window)
        .at_stake(stake)
}

fn invest<'a>(id: &'a str, channel: &Channel<'a>, roi: Ratio, freed: f64, window: &Window) -> Finding<'a> {
    let about = About::Channel(Named { id, name: channel.name });
    // Nothing is known of what more than as much again would bring.
    let budget = spend(&channel.performance).ok().map(|spent| spent.quotient().min(freed));
    with_row(Finding::new(Rule::ChannelInvest, about), &channel.performance, window)
        .at_stake(budget.filter(|budget| *budget > 0.0).map(|budget| budget * roi.quotient()))
}

fn with_row<'a>(finding: Finding<'a>, row: &Performance, window: &Window) -> Finding<'a> {
    // What was spent is 0 where nothing was: no figure of the evidence.
    let spent: Figure =
        spend(row).and_then(|spent| if spent.quotient() > 0.0 { Ok(spent) } else { Err(NO_VALUE) });
    let won = Ok(Ratio::whole(Quantity::AmountE4(row.measures.won.amount_e4)));
    finding
        .with(EvidenceKind::LeadCount, lead_count(row), window)
        .with(EvidenceKind::CloseRate, close_rate(row), window)
        .with(EvidenceKind::Spend, spent, window)
        .with(EvidenceKind::WonAmount, won, window)
        .with(EvidenceKind::ReturnOnInvestment, return_on_investment(row), window)
}
