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
    // Under a filter that asks for what only deals have, nobody knows how many leads there were.
    let is_enough =
        |row: &Performance| row.are_leads_counted && row.measures.lead_count >= levels.channel_leads_min;
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
        if loses(row) {
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
        // Of days without a rate nobody knows what was spent.
        let is_told = channel.performance.spend.is_some_and(|spend| spend.unconverted_day_count == 0);
        let pays = is_told
            && is_enough(&channel.performance)
            && roi.cmp_exact(&Ratio::ZERO).is_gt()
            && !is_stopped(id);
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

/// Whether more was spent than came of it. With deals of unknown amounts that isn't known.
fn loses(row: &Performance) -> bool {
    let won = row.measures.won;
    let is_told = won.count == won.priced_count;
    is_told && return_on_investment(row).is_ok_and(|roi| roi.cmp_exact(&Ratio::ZERO).is_lt())
}

fn terms(row: &Performance) -> RateTerms {
    RateTerms { numerator: row.measures.purchased_count, denominator: row.measures.prospect_count }
}

fn stop<'a>(id: &'a str, channel: &Channel<'a>, unpaid: &Performance, window: &Window) -> Finding<'a> {
    let row = &channel.performance;
    let about = About::StoppedChannel { channel: Named { id, name: channel.name }, better: None };
    with_row(Finding::new(Rule::ChannelStop, about), row, window)
        .with(EvidenceKind::OthersCloseRate, close_rate(unpaid), window)
        .at_stake(spend(row).ok().map(|spend| spend.quotient()).filter(|spend| *spend > 0.0))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kpi::marketing_channel::{Basis, Spend};
    use crate::kpi::measures::Measures;
    use crate::kpi::rules::testing::{assert_rests_on, assert_sound, levels, tally, window};

    const NOW: &str = "2024-01-01..2024-04-01";

    /// A cohort of so many leads. So many purchased of so many prospects; all deals won have an amount.
    fn row(
        lead_count: i64,
        (purchased_count, prospect_count): (i64, i64),
        (won_count, units): (i64, i128),
        spent: Option<i128>,
    ) -> Performance {
        let won = tally(won_count, won_count, units);
        let measures = Measures { lead_count, purchased_count, prospect_count, won, ..Measures::default() };
        let spend = spent.map(|units| Spend { amount_e4: units * 10_000, unconverted_day_count: 0 });
        Performance { basis: Basis::Cohort, measures, are_leads_counted: true, spend }
    }

    type Row<'a> = (&'a str, Option<Media>, Performance);

    fn fold<'a>(rows: &[Row<'a>]) -> MarketingFold<'a> {
        let is_spend_told = rows.iter().all(|(_, _, row)| row.spend.is_some());
        let channels = rows.iter().map(|&(id, media, performance)| {
            (id, Channel { name: (id == "ads").then_some("Ads"), media, performance })
        });
        // What came by no channel is beside none of them.
        let spent = is_spend_told.then_some(0);
        MarketingFold { channels: channels.collect(), unattributed: row(900, (900, 900), (1, 9), spent) }
    }

    fn told<'a>(rows: &[Row<'a>], levels: &Levels) -> Vec<Finding<'a>> {
        channels(&fold(rows), &window(NOW), levels)
    }

    /// Each rule, and the channel that it names.
    fn rules<'a>(rows: &[Row<'a>], levels: &Levels) -> Vec<(Rule, &'a str)> {
        let name = |finding: &Finding<'a>| match finding.about {
            About::Channel(channel) | About::StoppedChannel { channel, .. } => channel.id,
            _ => "",
        };
        told(rows, levels).iter().map(|finding| (finding.rule, name(finding))).collect()
    }

    const PAID: Option<Media> = Some(Media::Paid);
    const EARNED: Option<Media> = Some(Media::Earned);
    const OWNED: Option<Media> = Some(Media::Owned);

    #[test]
    fn stop_by_return_by_hand() {
        // A loss of 100 on 1,000. That it closes as well as earned and owned media together, 6 of 60, is no matter.
        let rows = [
            ("ads", PAID, row(30, (3, 30), (3, 900), Some(1_000))),
            ("news", OWNED, row(30, (2, 30), (3, 900), Some(0))),
            ("press", EARNED, row(30, (4, 30), (3, 900), Some(0))),
            ("unknown", None, row(30, (30, 30), (3, 900), Some(0))),
        ];
        let found = told(&rows, &levels());
        assert_eq!(found.len(), 1, "{found:?}");
        let channel = Named { id: "ads", name: Some("Ads") };
        assert_eq!(found[0].rule, Rule::ChannelStop);
        assert_eq!(found[0].about, About::StoppedChannel { channel, better: None });
        let now = window(NOW);
        assert_rests_on(
            &found[0],
            &[
                (EvidenceKind::LeadCount, 30.0, &now),
                (EvidenceKind::CloseRate, 0.1, &now),
                (EvidenceKind::Spend, 1_000.0, &now),
                (EvidenceKind::WonAmount, 900.0, &now),
                (EvidenceKind::ReturnOnInvestment, -0.1, &now),
                (EvidenceKind::OthersCloseRate, 0.1, &now),
            ],
            Some(1_000.0),
        );
        for (ads, media) in [
            (row(30, (3, 30), (3, 1_000), Some(1_000)), PAID), // it brings what it costs
            (row(29, (3, 30), (3, 900), Some(1_000)), PAID),   // too few leads
            (row(30, (3, 30), (3, 900), Some(1_000)), OWNED),
            (row(30, (3, 30), (3, 900), Some(1_000)), None),
        ] {
            assert_eq!(rules(&[("ads", media, ads), rows[1], rows[2]], &levels()), [], "{ads:?}");
        }
        let small = Levels { channel_leads_min: 29, ..levels() };
        let ads = ("ads", PAID, row(29, (3, 30), (3, 900), Some(1_000)));
        assert_eq!(rules(&[ads, rows[1], rows[2]], &small), [(Rule::ChannelStop, "ads")]);
    }

    #[test]
    fn stop_by_close_rate_by_hand() {
        // Four purchases of ten prospects, all on one side: 2 · C(5, 4) / C(10, 4) = 10/210 = 0.048. The owned
        // channel has too few leads to be judged, but not to be compared with.
        let ads = ("ads", PAID, row(30, (0, 5), (2, 1_000), Some(1_000)));
        let news = ("news", OWNED, row(29, (4, 5), (0, 0), Some(0)));
        let found = told(&[ads, news], &levels());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].rule, Rule::ChannelStop);
        let now = window(NOW);
        assert_rests_on(
            &found[0],
            &[
                (EvidenceKind::LeadCount, 30.0, &now),
                (EvidenceKind::CloseRate, 0.0, &now),
                (EvidenceKind::Spend, 1_000.0, &now),
                (EvidenceKind::WonAmount, 1_000.0, &now),
                (EvidenceKind::ReturnOnInvestment, 0.0, &now),
                (EvidenceKind::OthersCloseRate, 0.8, &now),
            ],
            Some(1_000.0),
        );
        // Beside a test of another channel, which finds nothing, 0.025 is asked. One that loses money isn't tested,
        // and one with too few leads neither.
        let fair = row(30, (1, 2), (2, 10), Some(10));
        assert_eq!(rules(&[ads, news, ("fair", PAID, fair)], &levels()), []);
        let loose = Levels { significance: 0.1, ..levels() };
        assert_eq!(rules(&[ads, news, ("fair", PAID, fair)], &loose), [(Rule::ChannelStop, "ads")]);
        let loss = row(30, (1, 2), (2, 9), Some(10));
        let both = [(Rule::ChannelStop, "ads"), (Rule::ChannelStop, "loss")];
        assert_eq!(rules(&[ads, news, ("loss", PAID, loss)], &levels()), both);
        let few = row(29, (1, 2), (2, 10), Some(10));
        assert_eq!(rules(&[ads, news, ("few", PAID, few)], &levels()), [(Rule::ChannelStop, "ads")]);

        // of eleven, none on the side of five: 20/330 = 0.061
        let wider = ("news", OWNED, row(29, (4, 6), (0, 0), Some(0)));
        assert_eq!(rules(&[ads, wider], &levels()), []);
        let few_leads = ("ads", PAID, row(29, (0, 5), (2, 1_000), Some(1_000)));
        assert_eq!(rules(&[few_leads, news], &levels()), []);
        assert_eq!(rules(&[ads], &levels()), [], "nothing to compare it with");
        let no_prospect = ("ads", PAID, row(30, (0, 0), (2, 1_000), Some(1_000)));
        assert_eq!(rules(&[no_prospect, news], &levels()), []);
        // Better, and by more than chance: a test that was made, and nothing to stop.
        let better = ("ads", PAID, row(30, (4, 5), (2, 1_000), Some(1_000)));
        assert_eq!(rules(&[better, ("news", OWNED, row(29, (0, 5), (0, 0), Some(0)))], &levels()), []);
    }

    #[test]
    fn what_nobody_spent_sets_nothing_free() {
        for spent in [None, Some(0)] {
            let ads = ("ads", PAID, row(30, (0, 5), (2, 1_000), spent));
            let found = told(&[ads, ("news", OWNED, row(29, (4, 5), (0, 0), spent))], &levels());
            let figures: Vec<_> = found[0].evidence.iter().map(|evidence| evidence.kind).collect();
            use EvidenceKind::{CloseRate, LeadCount, OthersCloseRate, WonAmount};
            assert_eq!(figures, [LeadCount, CloseRate, WonAmount, OthersCloseRate]);
            assert_eq!((found.len(), found[0].effect_e4), (1, None));
        }
    }

    /// 40 of 100 by one medium, 60 of 100 by the others, half of them each: z = 0.2 / √(½ · ½ · 2 / 100) = 2 · √2,
    /// p = 0.0047. Two tests at the most stand beside it.
    fn one_is_weak(weak: Option<Media>, own: Performance) -> Vec<Row<'static>> {
        let others = [PAID, EARNED, OWNED].into_iter().filter(|media| *media != weak).zip(["b", "c"]);
        let mut rows = vec![("a", weak, own)];
        rows.extend(others.map(|(media, id)| (id, media, row(30, (30, 50), (1, 1), Some(0)))));
        rows
    }

    #[test]
    fn weak_media_by_hand() {
        let own = row(30, (40, 100), (16, 3_200), Some(0));
        let now = window(NOW);
        for (media, rule) in
            [(Media::Earned, Rule::ChannelEarnedWeak), (Media::Owned, Rule::ChannelOwnedWeak)]
        {
            let found = told(&one_is_weak(Some(media), own), &levels());
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!((found[0].rule, found[0].about), (rule, About::Media(media)));
            // A fifth of 100 prospects would have purchased more, for 200 each.
            let figures = [
                (EvidenceKind::LeadCount, 30.0, &now),
                (EvidenceKind::CloseRate, 0.4, &now),
                (EvidenceKind::WonAmount, 3_200.0, &now),
                (EvidenceKind::OthersCloseRate, 0.6, &now),
            ];
            assert_rests_on(&found[0], &figures, Some(4_000.0));

            let rules = |own| rules(&one_is_weak(Some(media), own), &levels());
            assert_eq!(
                rules(row(30, (45, 100), (16, 3_200), Some(0))),
                [],
                "45 % beside 60 %: p = 0.034 of 0.017"
            );
            assert_eq!(rules(row(29, (40, 100), (16, 3_200), Some(0))), [], "too few leads");
            assert_eq!(rules(row(30, (80, 100), (16, 3_200), Some(0))), [], "better");
            assert_eq!(rules(row(30, (60, 100), (16, 3_200), Some(0))), [], "equal");
            assert_eq!(rules(row(30, (0, 0), (16, 3_200), Some(0))), [], "no prospect");
            // Of no deal an amount is known.
            let mut unpriced = own;
            unpriced.measures.won = tally(16, 0, 0);
            assert_eq!(told(&one_is_weak(Some(media), unpriced), &levels())[0].effect_e4, None);
        }
        // Paid media are judged by channel.
        assert_eq!(rules(&one_is_weak(PAID, own), &levels()), [(Rule::ChannelStop, "a")]);
    }

    #[test]
    fn invest_by_hand() {
        let now = window(NOW);
        let lossy = |spent| ("ads", PAID, row(30, (3, 30), (3, 100), Some(spent)));
        let even = ("even", OWNED, row(30, (3, 30), (3, 500), Some(250)));
        let best = ("best", EARNED, row(30, (3, 30), (3, 800), Some(200)));
        let figures = [
            (EvidenceKind::LeadCount, 30.0, &now),
            (EvidenceKind::CloseRate, 0.1, &now),
            (EvidenceKind::Spend, 200.0, &now),
            (EvidenceKind::WonAmount, 800.0, &now),
            (EvidenceKind::ReturnOnInvestment, 3.0, &now),
        ];
        // 3 for each one of what is set free, but for no more than the 200 that were spent there.
        for (rows, units) in [
            (vec![best, even], None),
            (vec![best, even, lossy(150)], Some(450.0)),
            (vec![best, even, lossy(1_000)], Some(600.0)),
            (
                vec![best, ("ads", PAID, row(30, (3, 30), (3, 9), Some(50))), ("z", PAID, lossy(101).2)],
                Some(453.0),
            ),
        ] {
            let found = told(&rows, &levels());
            let invest = found.last().expect("one pays");
            let named = Named { id: "best", name: None };
            assert_eq!((invest.rule, invest.about), (Rule::ChannelInvest, About::Channel(named)));
            assert_rests_on(invest, &figures, units);
            for stop in &found[..found.len() - 1] {
                assert!(matches!(stop.about, About::StoppedChannel { better, .. } if better == Some(named)));
            }
        }
        assert_eq!(rules(&[("ads", PAID, row(30, (3, 30), (3, 200), Some(200)))], &levels()), [], "ROI of 0");
        assert_eq!(
            rules(&[("best", EARNED, row(29, (3, 30), (3, 800), Some(200)))], &levels()),
            [],
            "few leads"
        );
        // Of equal ones the first by id, whatever their terms.
        let twice = |id| (id, EARNED, row(30, (3, 30), (3, 1_600), Some(400)));
        assert_eq!(rules(&[best, twice("zeal"), twice("bet")], &levels()), [(Rule::ChannelInvest, "best")]);
        assert_eq!(rules(&[best, twice("abc")], &levels()), [(Rule::ChannelInvest, "abc")]);
    }

    #[test]
    fn nobody_is_told_to_invest_in_what_is_to_be_stopped() {
        // The best ROI by far, 9, and no prospect that purchased: none of 50 beside 30 of 50.
        let rows = [
            ("rich", PAID, row(30, (0, 50), (3, 1_000), Some(100))),
            ("news", OWNED, row(30, (30, 50), (3, 300), Some(200))),
            ("ads", PAID, row(30, (30, 50), (3, 100), Some(300))),
        ];
        let all = [(Rule::ChannelStop, "ads"), (Rule::ChannelStop, "rich"), (Rule::ChannelInvest, "news")];
        assert_eq!(rules(&rows, &levels()), all, "in order of id, whyever they are to be stopped");
        // 400 are free, of which 200 bring a half.
        assert_eq!(told(&rows, &levels())[2].effect_e4, Some(100_0000));
        assert_eq!(rules(&rows[..1], &levels()), [(Rule::ChannelInvest, "rich")], "nothing is better");
    }

    fn any_row() -> impl Strategy<Value = Performance> {
        (25i64..40, (0i64..40, 0i64..40), (0i64..4, 0i64..4, 0i128..90), 0i128..90).prop_map(
            |(leads, (purchased, rest), (won, unpriced, units), spent)| {
                let mut row = row(leads, (purchased, purchased + rest), (won, units), Some(spent));
                row.measures.won = tally(won + unpriced, won, if won > 0 { units } else { 0 });
                row
            },
        )
    }

    proptest! {
        #[test]
        fn whatever_is_found_is_sound(
            rows in proptest::collection::vec((0usize..4, any_row()), 0..9),
            is_spend_told: bool,
        ) {
            let ids = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
            let rows: Vec<Row<'_>> = ids.into_iter().zip(rows).map(|(id, (media, row))| {
                let spend = row.spend.filter(|_| is_spend_told);
                (id, [PAID, EARNED, OWNED, None][media], Performance { spend, ..row })
            }).collect();
            let found = told(&rows, &levels());
            found.iter().for_each(assert_sound);
            let order: Vec<_> = rules(&rows, &levels());
            prop_assert!(order.is_sorted() && order.windows(2).all(|two| two[0] != two[1]), "{:?}", order);
            for (rule, id) in &order {
                let media = rows.iter().find(|(other, _, _)| other == id).map(|(_, media, _)| *media);
                prop_assert!(*rule != Rule::ChannelStop || media == Some(PAID));
                prop_assert!(*rule != Rule::ChannelInvest || !order.contains(&(Rule::ChannelStop, id)));
            }
        }
    }
}
