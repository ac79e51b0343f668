//! `scorecard`: the KPIs of one subject, or of every subject of a kind, as a table or as JSON.

use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    Definition, GetScorecardRequest, GetScorecardResponse, Kpi, ListScorecardsRequest,
    ListScorecardsResponse, Scorecard, SubjectKind, Window,
};
use channel_kpi::proto::google::r#type::{Date, Money};
use clap::{Args, ValueEnum};

use super::connection::{Connection, ConnectionArgs};
use super::failure::Failure;
use super::premises::PremisesArgs;
use super::subject::SubjectArgs;
use super::words::{
    count_figure, heading, money_figure, out_of_range, percent, points_change, quantity, rate_figure, ratio,
    relative_change, subject_id, table, told_subject, trend,
};
use super::{Ending, json, number, print, window};

/// Show KPIs: of the company, a partner, an employee or a unit, or of all of a kind.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub struct ScorecardCommand {
    #[command(flatten)]
    subject: SubjectArgs,

    /// Of every one of this kind.
    #[arg(long, value_name = "KIND", group = "whose")]
    by: Option<By>,

    /// The days: see below.
    #[arg(long, value_name = "WINDOW", value_parser = window::parse)]
    window: Window,

    /// The last day that counts [default: today in the tenant's time zone].
    #[arg(long, value_name = "DATE", value_parser = window::parse_date)]
    as_of: Option<Date>,

    /// Only these KPIs: may be given several times, or with commas between.
    #[arg(long, value_name = "KPI", value_delimiter = ',', value_parser = parse_kpi)]
    kpi: Vec<Kpi>,

    /// With --by: only the first so many, in order of their ids.
    #[arg(long, value_name = "N", requires = "by", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,

    /// The answer as proto3 JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    premises: PremisesArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

fn after_help() -> String {
    format!("Windows:\n{}\n\nKPIs: {}\n\n{EXAMPLES}", window::FORMS, kpi_names())
}

const EXAMPLES: &str = "\
Examples:
  The company in the third quarter of 2017:
    channel-kpi scorecard --window 2017-Q3

  A distributor with all the partners below it, in the last 90 days:
    channel-kpi scorecard --partner P-17 --with-sub-partners --window last-90-days

  Every department, how it stood at the end of March, for another program:
    channel-kpi scorecard --by unit --window this-month --as-of 2024-03-31 --json";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    Partner,
    Employee,
    Unit,
}

/// The names of the KPIs are those of the API: `average-deal-size` is `KPI_AVERAGE_DEAL_SIZE`.
fn kpis() -> impl Iterator<Item = (String, Kpi)> {
    const NUMBER_MAX: i32 = 64;
    (1..=NUMBER_MAX).filter_map(|number| Kpi::try_from(number).ok()).map(|kpi| {
        let name = kpi.as_str_name().trim_start_matches("KPI_").to_lowercase().replace('_', "-");
        (name, kpi)
    })
}

fn parse_kpi(text: &str) -> Result<Kpi, String> {
    kpis()
        .find(|(name, _)| name == text)
        .map(|(_, kpi)| kpi)
        .ok_or_else(|| format!("the KPIs are {}", kpi_names()))
}

fn kpi_names() -> String {
    kpis().map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}

impl ScorecardCommand {
    pub async fn run(self) -> Result<Ending, Failure> {
        self.subject.check(self.by == Some(By::Partner))?;
        let text = match self.by {
            None => {
                let answer = self.connection.with(async |connection| self.one(connection).await).await?;
                if self.json { json::render("GetScorecardResponse", &answer) } else { card(&answer) }
            }
            Some(by) => {
                let answer = self.connection.with(async |connection| self.all(connection, by).await).await?;
                if self.json { json::render("ListScorecardsResponse", &answer) } else { board(&answer, by) }
            }
        };
        print(&text)?;
        Ok(Ending::Done)
    }

    fn kpis(&self) -> Vec<i32> {
        self.kpi.iter().map(|kpi| (*kpi).into()).collect()
    }

    async fn one(&self, connection: Connection) -> Result<GetScorecardResponse, Failure> {
        let request = GetScorecardRequest {
            subject: self.subject.subject(),
            window: Some(self.window),
            as_of: self.as_of,
            kpis: self.kpis(),
            premises: self.premises.premises(),
            consistency: None,
        };
        Ok(KpiServiceClient::new(connection).get_scorecard(request).await?.into_inner())
    }

    async fn all(&self, connection: Connection, by: By) -> Result<ListScorecardsResponse, Failure> {
        let kind = match by {
            By::Partner => SubjectKind::Partner,
            By::Employee => SubjectKind::Employee,
            By::Unit => SubjectKind::Unit,
        };
        let request = ListScorecardsRequest {
            subject_kind: kind.into(),
            include_sub_partners: self.subject.with_sub_partners,
            window: Some(self.window),
            as_of: self.as_of,
            kpis: self.kpis(),
            premises: self.premises.premises(),
            ..ListScorecardsRequest::default()
        };
        list(connection, request, self.limit).await
    }
}

/// All pages as one answer, or the first so many rows: with the definition and the revision of the last page.
pub(super) async fn list(
    connection: Connection,
    mut request: ListScorecardsRequest,
    limit: Option<u32>,
) -> Result<ListScorecardsResponse, Failure> {
    const PAGE_ROWS_MAX: u32 = 1_000;
    let mut client = KpiServiceClient::new(connection).max_decoding_message_size(usize::MAX);
    let mut whole = ListScorecardsResponse::default();
    loop {
        let rows_left = limit.map_or(u32::MAX, |limit| limit.saturating_sub(rows_of(&whole)));
        request.page_size = rows_left.min(PAGE_ROWS_MAX).cast_signed();
        let page = client.list_scorecards(request.clone()).await?.into_inner();
        whole.scorecards.extend(page.scorecards);
        whole.definition = page.definition;
        whole.revision_token = page.revision_token;
        whole.revision_changed |= page.revision_changed;
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() || limit.is_some_and(|limit| rows_of(&whole) >= limit) {
            return Ok(whole);
        }
    }
}

fn rows_of(answer: &ListScorecardsResponse) -> u32 {
    u32::try_from(answer.scorecards.len()).unwrap_or(u32::MAX)
}

/// One subject's KPIs, a line each.
pub(super) fn card(answer: &GetScorecardResponse) -> String {
    let (default_card, default_definition) = (Scorecard::default(), Definition::default());
    let card = answer.scorecard.as_ref().unwrap_or(&default_card);
    let definition = answer.definition.as_ref().unwrap_or(&default_definition);
    let mut table = table(&["KPI", "Value", "Before", "Change", "", "From"], &[1, 2, 3]);
    let mut remarks = Vec::new();
    if let Some(kpi) = &card.average_deal_size {
        let from = ratio(kpi.figure.as_ref()).map_or_else(String::new, |ratio| {
            format!("{} / {} priced deals won", quantity(&ratio.numerator), quantity(&ratio.denominator))
        });
        let change = kpi.change.as_ref();
        table.add_row([
            "Average deal size".to_owned(),
            money_figure(kpi.figure.as_ref()),
            money_figure(kpi.comparison.as_ref()),
            relative_change(change, 2),
            trend(change),
            from,
        ]);
        if kpi.unpriced_won_count > 0 {
            remarks.push(format!(
                "Of {} of the deals won the amount isn't known: they are in the count and not in the average.",
                number::count(kpi.unpriced_won_count)
            ));
        }
    }
    if let Some(kpi) = &card.deal_count {
        let change = kpi.change.as_ref();
        let worth = |money: &Option<Money>| money.as_ref().map_or_else(out_of_range, number::amount);
        table.add_row([
            "Deal count".to_owned(),
            count_figure(kpi.figure.as_ref()),
            count_figure(kpi.comparison.as_ref()),
            relative_change(change, 0),
            trend(change),
            "deals won".to_owned(),
        ]);
        table.add_row([
            "  worth".to_owned(),
            worth(&kpi.won_amount),
            if kpi.comparison.is_some() { worth(&kpi.comparison_won_amount) } else { String::new() },
            String::new(),
            String::new(),
            definition.reporting_currency_code.clone(),
        ]);
    }
    if let Some(kpi) = &card.deal_success {
        let change = kpi.change.as_ref();
        let from = ratio(kpi.figure.as_ref()).map_or_else(String::new, |ratio| {
            format!("{} won / {} ended", quantity(&ratio.numerator), quantity(&ratio.denominator))
        });
        table.add_row([
            "Deal success".to_owned(),
            rate_figure(kpi.figure.as_ref()),
            rate_figure(kpi.comparison.as_ref()),
            points_change(change),
            trend(change),
            from,
        ]);
        if let Some(interval) = &kpi.interval {
            remarks.push(format!(
                "Deal success lies between {} and {} with 95 % confidence.",
                percent(interval.lower),
                percent(interval.upper)
            ));
        }
        if kpi.missed_count > 0 {
            let worth = kpi.missed_amount.as_ref().map_or_else(out_of_range, |money| {
                format!("{} {}", number::amount(money), money.currency_code)
            });
            let worth = match kpi.unpriced_missed_count {
                0 => format!("worth {worth}"),
                all if all == kpi.missed_count => "none with a known amount".to_owned(),
                some => format!("worth {worth} and the {} whose amount isn't known", number::count(some)),
            };
            remarks.push(format!(
                "Missed deals: {}, {worth}; {} lost to a competitor, {} expired.",
                number::count(kpi.missed_count),
                number::count(kpi.lost_to_competitor_count),
                number::count(kpi.expired_count),
            ));
        }
    }
    let whose = told_subject(card.subject.as_ref(), &card.name);
    let remarks = remarks.join("\n");
    [heading(&whose, definition), table.trim_fmt(), remarks].join("\n\n").trim_end().to_owned()
}

/// All subjects of a kind, a line each.
fn board(answer: &ListScorecardsResponse, by: By) -> String {
    let default_definition = Definition::default();
    let definition = answer.definition.as_ref().unwrap_or(&default_definition);
    let (kind, plural) = match by {
        By::Partner => ("Partner", "Partners"),
        By::Employee => ("Employee", "Employees"),
        By::Unit => ("Unit", "Units"),
    };
    if answer.scorecards.is_empty() {
        return format!("{}\n\nThere are no {} yet.", heading(plural, definition), plural.to_lowercase());
    }
    let cards = &answer.scorecards;
    let with_ids = cards.iter().any(|card| !card.name.is_empty() && card.name != subject_id(card));
    let has = |asked: fn(&Scorecard) -> bool| cards.iter().any(asked);
    let (average, count, success) = (
        has(|card| card.average_deal_size.is_some()),
        has(|card| card.deal_count.is_some()),
        has(|card| card.deal_success.is_some()),
    );
    let mut header = vec![kind];
    if with_ids {
        header.push("Id");
    }
    let first_number = header.len();
    if average {
        header.extend(["Average size", "Change"]);
    }
    if count {
        header.extend(["Won", "Change", "Worth"]);
    }
    if success {
        header.extend(["Success", "Change", "Ended"]);
    }
    let mut table = table(&header, &(first_number..header.len()).collect::<Vec<_>>());
    for card in cards {
        let name = if card.name.is_empty() { subject_id(card) } else { &card.name };
        let mut row = vec![name.to_owned()];
        if with_ids {
            row.push(subject_id(card).to_owned());
        }
        if let Some(kpi) = &card.average_deal_size {
            row.extend([money_figure(kpi.figure.as_ref()), relative_change(kpi.change.as_ref(), 2)]);
        }
        if let Some(kpi) = &card.deal_count {
            row.extend([
                count_figure(kpi.figure.as_ref()),
                relative_change(kpi.change.as_ref(), 0),
                kpi.won_amount.as_ref().map_or_else(out_of_range, number::amount),
            ]);
        }
        if let Some(kpi) = &card.deal_success {
            let ended =
                ratio(kpi.figure.as_ref()).map_or_else(String::new, |ratio| quantity(&ratio.denominator));
            row.extend([rate_figure(kpi.figure.as_ref()), points_change(kpi.change.as_ref()), ended]);
        }
        table.add_row(row);
    }
    let changed = if answer.revision_changed {
        "\n\nRecords changed while the pages were read: rows of different pages are of different moments."
    } else {
        ""
    };
    format!("{}\n\n{}{changed}", heading(plural, definition), table.trim_fmt())
}

#[cfg(test)]
mod tests {
    use channel_kpi::proto::channelkpi::v1::{
        AbsentReason, AverageDealSize, Change, DateRange, DealCount, DealSuccess, Figure, Interval,
        PartnerSubject, Quantity, Ratio, Subject, Trend, figure, quantity, subject,
    };

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

    fn definition() -> Definition {
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

    fn partner(id: &str, name: &str) -> Scorecard {
        let subject =
            subject::Subject::Partner(PartnerSubject { partner_id: id.into(), include_sub_partners: false });
        Scorecard {
            subject: Some(Subject { subject: Some(subject) }),
            name: name.into(),
            average_deal_size: Some(AverageDealSize {
                figure: value(300.0, quantity::Quantity::Amount(usd(600)), 2),
                comparison: absent(AbsentReason::NoDealWon),
                change: Some(Change::default()),
                unpriced_won_count: 0,
            }),
            deal_count: Some(DealCount {
                figure: value(2.0, quantity::Quantity::Count(2), 1),
                comparison: value(0.0, quantity::Quantity::Count(0), 1),
                change: Some(Change { absolute: Some(2.0), relative: None, trend: Trend::Better.into() }),
                won_amount: Some(usd(600)),
                comparison_won_amount: Some(usd(0)),
            }),
            deal_success: Some(DealSuccess {
                figure: value(2.0 / 3.0, quantity::Quantity::Count(2), 3),
                comparison: absent(AbsentReason::NoDealEnded),
                change: Some(Change::default()),
                interval: Some(Interval { lower: 0.2077, upper: 0.9385 }),
                missed_count: 1,
                missed_amount: Some(usd(300)),
                unpriced_missed_count: 0,
                lost_to_competitor_count: 1,
                expired_count: 0,
            }),
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
    fn a_board_keeps_its_columns_aligned_in_every_script() {
        let answer = ListScorecardsResponse {
            scorecards: vec![partner("A", "Meghna"), partner("B", "東京")],
            definition: Some(definition()),
            ..ListScorecardsResponse::default()
        };
        let text = board(&answer, By::Partner);
        let lines: Vec<&str> = text.lines().skip(4).collect();
        assert_eq!(
            lines,
            [
                "Partner  Id  Average size  Change  Won  Change   Worth  Success  Change  Ended",
                "Meghna   A         300.00            2      +2  600.00  66.67 %              3",
                "東京     B         300.00            2      +2  600.00  66.67 %              3",
            ]
        );
    }

    #[test]
    fn an_empty_board_says_so() {
        let answer =
            ListScorecardsResponse { definition: Some(definition()), ..ListScorecardsResponse::default() };
        assert!(board(&answer, By::Unit).ends_with("There are no units yet."));
    }

    #[test]
    fn kpis_are_named_as_in_the_api() {
        let names: Vec<String> = kpis().map(|(name, _)| name).collect();
        assert_eq!(names, ["average-deal-size", "deal-count", "deal-success"]);
    }
}
