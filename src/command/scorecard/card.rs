//! One subject's KPIs, a line each, and what is worth saying below.

use channel_kpi::proto::channelkpi::v1::{
    AverageDealSize, Change, CloseRate, ComparedFigure, DealCount, DealSuccess, DealVelocity, Figure,
    GetScorecardResponse, MarketingReturn, OpportunityPipeline, Position, Scorecard, Season, ValueScore,
};
use channel_kpi::proto::google::r#type::Money;

use crate::command::number;
use crate::command::words::{
    amount_of, count_figure, days_figure, heading, money_figure, number_figure, out_of_range, percent,
    points_change, quantity, rate_figure, ratio, relative_change, table, told_subject, trend,
};

/// The lines of a card.
#[derive(Default)]
struct Lines {
    rows: Vec<[String; 8]>,
    remarks: Vec<String>,
}

/// How a figure and its change are written.
struct Unit {
    figure: fn(Option<&Figure>) -> String,
    change: fn(Option<&Change>) -> String,
}

const MONEY: Unit = Unit { figure: money_figure, change: |change| relative_change(change, 2) };
const COUNT: Unit = Unit { figure: count_figure, change: |change| relative_change(change, 0) };
const DAYS: Unit = Unit { figure: days_figure, change: |change| relative_change(change, 1) };
const RATE: Unit = Unit { figure: rate_figure, change: points_change };
const SCORE: Unit =
    Unit { figure: |figure| number_figure(figure, 1), change: |change| relative_change(change, 1) };

pub fn card(answer: &GetScorecardResponse) -> String {
    let card = answer.scorecard.clone().unwrap_or_default();
    let definition = answer.definition.clone().unwrap_or_default();
    let mut lines = Lines::default();
    lines.add(&card, &definition.reporting_currency_code);

    let with_positions = lines.rows.iter().any(|row| !row[6].is_empty());
    let columns = if with_positions { 8 } else { 6 };
    let header = ["KPI", "Value", "Before", "Change", "", "From", "Rank", "Peers' median"];
    let mut table = table(&header[..columns], &[1, 2, 3, 7]);
    for row in &lines.rows {
        table.add_row(&row[..columns]);
    }
    for evidence in &card.evidence {
        let name = evidence.kpi().as_str_name().trim_start_matches("KPI_").to_lowercase().replace('_', " ");
        let listed = [("deals", &evidence.deal_ids), ("leads", &evidence.lead_ids)].map(|(kind, ids)| {
            if ids.is_empty() { String::new() } else { format!(" {kind} {}", ids.join(" ")) }
        });
        let count = match evidence.record_count {
            1 => "1 record".to_owned(),
            count => format!("{} records", number::count(count)),
        };
        lines.remarks.push(format!("Behind {name}: {count}{}.", listed.concat()));
    }
    let whose = told_subject(card.subject.as_ref(), &card.name);
    let remarks = lines.remarks.join("\n");
    [heading(&whose, &definition), table.trim_fmt(), remarks].join("\n\n").trim_end().to_owned()
}

// === impl Lines ===

impl Lines {
    fn add(&mut self, card: &Scorecard, currency: &str) {
        if let Some(kpi) = &card.average_deal_size {
            self.average_deal_size(kpi);
        }
        if let Some(kpi) = &card.deal_count {
            self.deal_count(kpi, currency);
        }
        if let Some(kpi) = &card.opportunity_pipeline {
            self.pipeline(kpi);
        }
        if let Some(kpi) = &card.marketing_channel {
            self.marketing_channel(kpi);
        }
        if let Some(kpi) = &card.close_rate {
            self.close_rate(kpi);
        }
        if let Some(kpi) = &card.deal_velocity {
            self.deal_velocity(kpi);
        }
        if let Some(kpi) = &card.value_score {
            self.value_score(kpi);
        }
        if let Some(kpi) = &card.deal_success {
            self.deal_success(kpi);
        }
    }

    fn average_deal_size(&mut self, kpi: &AverageDealSize) {
        let from = ratio(kpi.figure.as_ref()).map_or_else(String::new, |ratio| {
            format!("{} / {} priced deals won", quantity(&ratio.numerator), quantity(&ratio.denominator))
        });
        self.compared("Average deal size", MONEY, [&kpi.figure, &kpi.comparison], &kpi.change, from);
        self.position(kpi.position.as_ref(), |median| number::rounded(median, 2));
        if kpi.median.is_some() {
            let whole = kpi.mean_whole_deal.as_ref();
            let whole = whole.map(|mean| format!("; whole deals {} on average", money_figure(Some(mean))));
            let median = money_figure(kpi.median.as_ref());
            self.remarks.push(format!("Median deal size: {median}{}.", whole.unwrap_or_default()));
        }
        if kpi.unpriced_won_count > 0 {
            self.remarks.push(format!(
                "Of {} of the deals won the amount isn't known: they are in the count and not in the average.",
                number::count(kpi.unpriced_won_count)
            ));
        }
    }

    fn deal_count(&mut self, kpi: &DealCount, currency: &str) {
        let worth = |money: &Option<Money>| money.as_ref().map_or_else(out_of_range, number::amount);
        self.compared("Deal count", COUNT, [&kpi.figure, &kpi.comparison], &kpi.change, "deals won");
        self.position(kpi.position.as_ref(), |median| number::rounded(median, 1));
        self.row([
            "  worth".into(),
            worth(&kpi.won_amount),
            if kpi.comparison.is_some() { worth(&kpi.comparison_won_amount) } else { String::new() },
            String::new(),
            String::new(),
            currency.into(),
        ]);
    }

    fn pipeline(&mut self, kpi: &OpportunityPipeline) {
        let open_count = kpi.open.as_ref().map_or(0, |open| open.count);
        let weighted = kpi.weighted_amount.as_ref().map_or_else(out_of_range, number::amount);
        let unweighted = match kpi.unweighted.as_ref().map_or(0, |deals| deals.count) {
            0 => String::new(),
            count => format!(" without the {} of unknown probability", number::count(count)),
        };
        self.row([
            "Opportunity pipeline".into(),
            money_figure(kpi.figure.as_ref()),
            money_figure(kpi.comparison.as_ref()),
            relative_change(kpi.change.as_ref(), 2),
            String::new(),
            format!("{} open deals; weighted {weighted}{unweighted}", number::count(open_count)),
        ]);
        self.position(kpi.position.as_ref(), |median| number::rounded(median, 2));
    }

    fn marketing_channel(&mut self, kpi: &MarketingReturn) {
        let figure = |compared: &Option<ComparedFigure>| compared.as_ref().and_then(|c| c.figure.clone());
        let (leads, won) = (figure(&kpi.lead_count), figure(&kpi.won_count));
        let (worth, spend) = (figure(&kpi.won_amount), figure(&kpi.spend));
        let spent = match ratio(spend.as_ref()) {
            Some(_) => format!("; {} spent", money_figure(spend.as_ref())),
            None => String::new(),
        };
        self.compared(
            "Marketing channel",
            RATE,
            [&kpi.figure, &kpi.comparison],
            &kpi.change,
            format!(
                "return: {} leads, {} won, worth {}{spent}",
                count_figure(leads.as_ref()),
                count_figure(won.as_ref()),
                money_figure(worth.as_ref())
            ),
        );
    }

    fn close_rate(&mut self, kpi: &CloseRate) {
        let from = ratio(kpi.figure.as_ref()).map_or_else(String::new, |ratio| {
            let unresolved = match kpi.unresolved_count {
                0 => String::new(),
                count => format!(", {} unresolved", number::count(count)),
            };
            let (purchased, all) = (quantity(&ratio.numerator), quantity(&ratio.denominator));
            format!("{purchased} purchased / {all} prospects{unresolved}")
        });
        self.compared("Close rate", RATE, [&kpi.figure, &kpi.comparison], &kpi.change, from);
        self.position(kpi.position.as_ref(), percent);
        if let Some(resolved) = &kpi.resolved {
            let from = ratio(resolved.figure.as_ref()).map_or_else(String::new, |ratio| {
                format!(
                    "{} purchased / {} resolved",
                    quantity(&ratio.numerator),
                    quantity(&ratio.denominator)
                )
            });
            self.rate("  resolved", resolved, from);
        }
        let Some(context) = &kpi.context else { return };
        if let Some(year_before) = &context.year_before
            && ratio(year_before.comparison.as_ref()).is_some()
        {
            self.remarks.push(format!(
                "Close rate of the same window a year before, at equal age: {}.",
                rate_figure(year_before.comparison.as_ref())
            ));
        }
        if !context.region.is_empty() {
            let rate = rate_figure(context.region_figure.as_ref());
            self.remarks.push(format!("Close rate of the region {}: {rate}.", context.region));
        }
        self.remarks.extend(context.season.as_ref().and_then(season));
    }

    fn deal_velocity(&mut self, kpi: &DealVelocity) {
        let figure = |compared: &Option<ComparedFigure>| compared.as_ref().and_then(|c| c.figure.clone());
        let (in_work, won) = (figure(&kpi.deals_in_work), figure(&kpi.win_rate));
        let (size, cycle) = (figure(&kpi.average_deal_size), figure(&kpi.cycle_days));
        let from = ratio(kpi.figure.as_ref()).map_or_else(String::new, |_| {
            format!(
                "{} deals in work · {} won · {} / {} days",
                number_figure(in_work.as_ref(), 2),
                rate_figure(won.as_ref()),
                money_figure(size.as_ref()),
                number_figure(cycle.as_ref(), 1)
            )
        });
        self.compared("Deal velocity", MONEY, [&kpi.figure, &kpi.comparison], &kpi.change, from);
        self.position(kpi.position.as_ref(), |median| number::rounded(median, 2));
        if let Some(cycle) = &kpi.mean_cycle_days
            && ratio(cycle.figure.as_ref()).is_some()
        {
            self.compared(
                "  cycle",
                DAYS,
                [&cycle.figure, &cycle.comparison],
                &cycle.change,
                "from opening to closing, of deals won",
            );
        }
        if let (Some(median), Some(p90)) = (kpi.median_cycle_days, kpi.p90_cycle_days) {
            self.remarks
                .push(format!("Half of the deals won took at most {median} days, nine of ten {p90}."));
        }
        if !kpi.stages.is_empty() {
            let stage = |stage: &channel_kpi::proto::channelkpi::v1::StageDays| {
                let name = if stage.stage.is_empty() { "(no stage)" } else { &stage.stage };
                format!("{name} {}", number_figure(stage.mean_days.as_ref(), 1))
            };
            let stages: Vec<String> = kpi.stages.iter().map(stage).collect();
            self.remarks.push(format!("Mean days in each stage: {}.", stages.join(", ")));
        }
    }

    fn value_score(&mut self, kpi: &ValueScore) {
        let from = kpi.position.as_ref().map_or_else(String::new, |position| {
            format!("rank {} of {}; 100 is an average peer", position.rank, position.peer_count)
        });
        self.compared("Value score", SCORE, [&kpi.figure, &kpi.comparison], &kpi.change, from);
        let told = |figure: &Option<_>| ratio(figure.as_ref()).is_some();
        if told(&kpi.own_past) {
            let own_past = number_figure(kpi.own_past.as_ref(), 1);
            self.remarks.push(format!("Value score against its own past: {own_past}; 100 is its mean then."));
        }
        if told(&kpi.tenant_share) && kpi.position.is_some() {
            let share = rate_figure(kpi.tenant_share.as_ref());
            self.remarks.push(format!("It brought {share} of the company's won amount."));
        }
    }

    fn deal_success(&mut self, kpi: &DealSuccess) {
        let from = ratio(kpi.figure.as_ref()).map_or_else(String::new, |ratio| {
            format!("{} won / {} ended", quantity(&ratio.numerator), quantity(&ratio.denominator))
        });
        self.compared("Deal success", RATE, [&kpi.figure, &kpi.comparison], &kpi.change, from);
        self.position(kpi.position.as_ref(), percent);
        if let Some(leads) = &kpi.lead_qualification
            && ratio(leads.figure.as_ref()).is_some()
        {
            let from = ratio(leads.figure.as_ref()).map_or_else(String::new, |ratio| {
                format!("{} converted / {} decided", quantity(&ratio.numerator), quantity(&ratio.denominator))
            });
            self.rate("  leads qualified", leads, from);
        }
        if let Some(interval) = &kpi.interval {
            self.remarks.push(format!(
                "Deal success lies between {} and {} with 95 % confidence.",
                percent(interval.lower),
                percent(interval.upper)
            ));
        }
        if kpi.missed_count > 0 {
            let worth = amount_of(kpi.missed_amount.as_ref());
            let worth = match kpi.unpriced_missed_count {
                0 => format!("worth {worth}"),
                all if all == kpi.missed_count => "none with a known amount".to_owned(),
                some => format!("worth {worth} and the {} whose amount isn't known", number::count(some)),
            };
            self.remarks.push(format!(
                "Missed deals: {}, {worth}; {} lost to a competitor, {} expired.",
                number::count(kpi.missed_count),
                number::count(kpi.lost_to_competitor_count),
                number::count(kpi.expired_count),
            ));
        }
    }

    fn rate(&mut self, name: &str, rate: &ComparedFigure, from: String) {
        self.compared(name, RATE, [&rate.figure, &rate.comparison], &rate.change, from);
    }

    fn compared(
        &mut self,
        name: &str,
        unit: Unit,
        [now, before]: [&Option<Figure>; 2],
        change: &Option<Change>,
        from: impl Into<String>,
    ) {
        let change = change.as_ref();
        self.row([
            name.into(),
            (unit.figure)(now.as_ref()),
            (unit.figure)(before.as_ref()),
            (unit.change)(change),
            trend(change),
            from.into(),
        ]);
    }

    fn row(&mut self, [name, value, before, change, trend, from]: [String; 6]) {
        self.rows.push([name, value, before, change, trend, from, String::new(), String::new()]);
    }

    /// The place of the row before.
    fn position(&mut self, position: Option<&Position>, median: impl Fn(f64) -> String) {
        if let (Some(row), Some(position)) = (self.rows.last_mut(), position) {
            row[6] = format!("{} of {}", position.rank, position.peer_count);
            row[7] =
                ratio(position.median.as_ref()).map_or_else(String::new, |middle| median(middle.quotient));
        }
    }
}

/// What the season says of a close rate. None where there is no rate that it could bear on.
fn season(season: &Season) -> Option<String> {
    let index = number_figure(season.index.as_ref(), 3);
    match ratio(season.adjusted.as_ref()) {
        Some(adjusted) => {
            let adjusted = percent(adjusted.quotient);
            Some(format!("Close rate without the season: {adjusted}; the index of these days is {index}."))
        }
        None if season.months.iter().all(|month| month.window_prospect_count == 0) => None,
        None => Some(format!("Close rate without the season: {}.", rate_figure(season.adjusted.as_ref()))),
    }
}

#[cfg(test)]
pub mod tests {
    use channel_kpi::proto::channelkpi::v1::{
        AbsentReason, DateRange, Definition, Interval, PartnerSubject, Quantity, Ratio, SeasonMonth, Subject,
        Trend, figure, quantity, subject,
    };
    use channel_kpi::proto::google::r#type::Date;

    use super::*;

    fn date(year: i32, month: i32, day: i32) -> Option<Date> {
        Some(Date { year, month, day })
    }

    fn usd(units: i64) -> Money {
        Money { currency_code: "USD".into(), units, nanos: 0 }
    }

    fn value(quotient: f64, numerator: quantity::Quantity, denominator: i64) -> Option<Figure> {
        let of = |quantity| Some(Quantity { quantity: Some(quantity) });
        let denominator = of(quantity::Quantity::Count(denominator));
        let ratio = Ratio { quotient, numerator: of(numerator), denominator };
        Some(Figure { result: Some(figure::Result::Value(ratio)) })
    }

    fn absent(reason: AbsentReason) -> Option<Figure> {
        Some(Figure { result: Some(figure::Result::AbsentReason(reason.into())) })
    }

    pub fn definition() -> Definition {
        Definition {
            window: Some(DateRange { start_on: date(2024, 3, 1), end_on: date(2024, 4, 1) }),
            as_of: date(2024, 3, 31),
            comparison_window: Some(DateRange { start_on: date(2024, 2, 1), end_on: date(2024, 3, 1) }),
            comparison_as_of: date(2024, 2, 29),
            reporting_currency_code: "USD".into(),
            time_zone: "Asia/Dhaka".into(),
            ..Definition::default()
        }
    }

    pub fn partner(id: &str, name: &str) -> Scorecard {
        let subject =
            subject::Subject::Partner(PartnerSubject { partner_id: id.into(), include_sub_partners: false });
        Scorecard {
            subject: Some(Subject { subject: Some(subject) }),
            name: name.into(),
            average_deal_size: Some(Box::new(AverageDealSize {
                figure: value(300.0, quantity::Quantity::Amount(usd(600)), 2),
                comparison: absent(AbsentReason::NoDealWon),
                change: Some(Change::default()),
                ..AverageDealSize::default()
            })),
            deal_count: Some(Box::new(DealCount {
                figure: value(2.0, quantity::Quantity::Count(2), 1),
                comparison: value(0.0, quantity::Quantity::Count(0), 1),
                change: Some(Change { absolute: Some(2.0), relative: None, trend: Trend::Better.into() }),
                won_amount: Some(usd(600)),
                comparison_won_amount: Some(usd(0)),
                position: None,
            })),
            deal_success: Some(Box::new(DealSuccess {
                figure: value(2.0 / 3.0, quantity::Quantity::Count(2), 3),
                comparison: absent(AbsentReason::NoDealEnded),
                change: Some(Change::default()),
                interval: Some(Interval { lower: 0.2077, upper: 0.9385 }),
                missed_count: 1,
                missed_amount: Some(usd(300)),
                lost_to_competitor_count: 1,
                ..DealSuccess::default()
            })),
            ..Scorecard::default()
        }
    }

    #[test]
    fn a_card_tells_value_comparison_change_and_origin() {
        let answer = GetScorecardResponse {
            scorecard: Some(partner("A", "Meghna")),
            definition: Some(definition()),
            revision_token: String::new(),
        };
        let expected = "\
Partner Meghna (A), 2024-03-01 to 2024-03-31, as of 2024-03-31
before: 2024-02-01 to 2024-02-29, as of 2024-02-29
amounts in USD; dates in Asia/Dhaka

KPI                  Value         Before  Change          From
Average deal size   300.00    no deal won                  600.00 USD / 2 priced deals won
Deal count               2              0      +2  better  deals won
  worth             600.00           0.00                  USD
Deal success       66.67 %  no deal ended                  2 won / 3 ended

Deal success lies between 20.77 % and 93.85 % with 95 % confidence.
Missed deals: 1, worth 300.00 USD; 1 lost to a competitor, 0 expired.";
        assert_eq!(card(&answer), expected);
    }

    #[test]
    fn a_card_tells_at_which_rates_amounts_were_converted() {
        let told = |oldest_rate_on, rates_on| {
            heading("Company", &Definition { oldest_rate_on, rates_on, ..definition() })
        };
        let (oldest, rates_on) = (date(2024, 2, 28), date(2024, 3, 31));
        let at_close = "USD, converted at closing with rates from 2024-02-28 on; dates";
        assert!(told(oldest, None).contains(at_close), "{}", told(oldest, None));
        let on_a_day = "USD, converted at the rates of 2024-03-31, the oldest from 2024-02-28; dates";
        assert!(told(oldest, rates_on).contains(on_a_day), "{}", told(oldest, rates_on));
        assert!(told(None, rates_on).contains("USD; dates"), "nothing was converted");
    }

    #[test]
    fn a_season_is_told_where_it_bears_on_a_rate() {
        let quotient = |quotient| {
            let ratio = Ratio { quotient, ..Ratio::default() };
            Some(Figure { result: Some(figure::Result::Value(ratio)) })
        };
        let months =
            |window_prospect_count| vec![SeasonMonth { window_prospect_count, ..SeasonMonth::default() }];
        let of = |index, adjusted, count| {
            season(&Season { index, adjusted, months: months(count), ..Season::default() })
        };
        let expected = "Close rate without the season: 31.50 %; the index of these days is 0.913.";
        assert_eq!(of(quotient(0.9127), quotient(0.315), 3).as_deref(), Some(expected));
        let too_few = || absent(AbsentReason::TooFewYears);
        let expected = "Close rate without the season: too few years.";
        assert_eq!(of(too_few(), too_few(), 3).as_deref(), Some(expected));
        assert_eq!(of(absent(AbsentReason::NoProspect), absent(AbsentReason::NoProspect), 0), None);
    }

    #[test]
    fn a_full_card_tells_the_place_among_peers() {
        let mut partner = partner("A", "Meghna");
        let position = Position {
            rank: 2,
            peer_count: 14,
            percentile: Some(0.9),
            median: value(250.0, quantity::Quantity::Amount(usd(250)), 1),
        };
        partner.average_deal_size.as_mut().expect("set").position = Some(position);
        let answer = GetScorecardResponse {
            scorecard: Some(partner),
            definition: Some(definition()),
            revision_token: String::new(),
        };
        let text = card(&answer);
        assert!(text.contains("Rank     Peers' median"), "{text}");
        assert!(text.contains("2 of 14         250.00"), "{text}");
    }
}
