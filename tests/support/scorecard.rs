//! Scorecards as rows of tables, in the words of docs/kpis.md: `300.00 (600.00/2)`, `2 (600.00)`, `2/3`.

use channel_kpi::proto::channelkpi::v1::figure::Result as Told;
use channel_kpi::proto::channelkpi::v1::quantity::Quantity as Q;
use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::window::Window as Asked;
use channel_kpi::proto::channelkpi::v1::{
    AbsentReason, ComparedFigure, DateRange, DealTally, Figure, GetScorecardRequest, PartnerSubject,
    Quantity, Scorecard, Subject, Window,
};
use channel_kpi::proto::google::r#type::Money;

use crate::worked_example::date;

pub fn partner(partner_id: &str) -> Subject {
    let partner = PartnerSubject { partner_id: partner_id.into(), include_sub_partners: false };
    Subject { subject: Some(Of::Partner(partner)) }
}

/// A window from the first date to before the second.
pub fn dates(start_on: &str, end_on: &str) -> Window {
    let dates = DateRange { start_on: date(start_on), end_on: date(end_on) };
    Window { window: Some(Asked::Dates(dates)) }
}

pub fn ask(subject: Subject, window: Window, as_of: &str) -> GetScorecardRequest {
    GetScorecardRequest {
        subject: Some(subject),
        window: Some(window),
        as_of: date(as_of),
        ..GetScorecardRequest::default()
    }
}

/// March 2024, whole.
pub fn march(subject: Subject) -> GetScorecardRequest {
    ask(subject, dates("2024-03-01", "2024-04-01"), "2024-03-31")
}

/// The subject's id; `tenant` for the tenant.
fn name(subject: &Subject) -> &str {
    match &subject.subject {
        None => "tenant",
        Some(Of::Partner(partner)) => &partner.partner_id,
        Some(Of::EmployeeId(id) | Of::UnitId(id)) => id,
    }
}

/// Subject, average deal size, deal count with amount, deal success, missed count with amount.
pub fn row(card: &Scorecard) -> String {
    let average = card.average_deal_size.as_ref().expect("all KPIs were asked for");
    let count = card.deal_count.as_ref().expect("all KPIs were asked for");
    let success = card.deal_success.as_ref().expect("all KPIs were asked for");
    format!(
        "{} {} {} ({}) {} {} ({})",
        name(card.subject.as_ref().expect("a scorecard has a subject")),
        figure(average.figure.as_ref()),
        whole(count.figure.as_ref()),
        money(count.won_amount.as_ref()),
        figure(success.figure.as_ref()),
        success.missed_count,
        money(success.missed_amount.as_ref()),
    )
}

/// Subject, average deal size, deal count with amount and deal success of the comparison window.
pub fn row_before(card: &Scorecard) -> String {
    let average = card.average_deal_size.as_ref().expect("all KPIs were asked for");
    let count = card.deal_count.as_ref().expect("all KPIs were asked for");
    let success = card.deal_success.as_ref().expect("all KPIs were asked for");
    format!(
        "{} {} {} ({}) {}",
        name(card.subject.as_ref().expect("a scorecard has a subject")),
        figure(average.comparison.as_ref()),
        whole(count.comparison.as_ref()),
        money(count.comparison_won_amount.as_ref()),
        figure(success.comparison.as_ref()),
    )
}

/// Subject; open deals with their amount, weighted, and those of unknown probability with theirs; close rate
/// with the number unresolved, resolved close rate; velocity; value score with its rank.
pub fn row_of_the_others(card: &Scorecard) -> String {
    let pipeline = card.opportunity_pipeline.as_ref().expect("all KPIs were asked for");
    let close = card.close_rate.as_ref().expect("all KPIs were asked for");
    let velocity = card.deal_velocity.as_ref().expect("all KPIs were asked for");
    let score = card.value_score.as_ref().expect("all KPIs were asked for");
    let tally = |tally: &Option<DealTally>| {
        let tally = tally.as_ref().expect("always set");
        assert_eq!(tally.unpriced_count, 0);
        format!("{} ({})", tally.count, money(tally.amount.as_ref()))
    };
    format!(
        "{} {} {} {} {} ({}) {} {} {} ({})",
        name(card.subject.as_ref().expect("a scorecard has a subject")),
        tally(&pipeline.open),
        money(pipeline.weighted_amount.as_ref()),
        tally(&pipeline.unweighted),
        figure(close.figure.as_ref()),
        close.unresolved_count,
        figure(close.resolved.as_ref().expect("always set").figure.as_ref()),
        figure(velocity.figure.as_ref()),
        figure(score.figure.as_ref()),
        score.position.as_ref().map_or("-".into(), |position| position.rank.to_string()),
    )
}

/// The factors of velocity: N, w, s, c.
pub fn factors(card: &Scorecard) -> String {
    let velocity = card.deal_velocity.as_ref().expect("all KPIs were asked for");
    let factor =
        |factor: &Option<ComparedFigure>| figure(factor.as_ref().expect("always set").figure.as_ref());
    format!(
        "{} {} {} {} {}",
        name(card.subject.as_ref().expect("a scorecard has a subject")),
        factor(&velocity.deals_in_work),
        factor(&velocity.win_rate),
        factor(&velocity.average_deal_size),
        factor(&velocity.cycle_days),
    )
}

/// The rows of a table as it is written in a test: without the line of its columns' names.
pub fn table(text: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(words).filter(|line| !line.is_empty()).skip(1).collect()
}

/// A count, which travels as a ratio to one.
fn whole(counted: Option<&Figure>) -> String {
    let ratio = figure(counted);
    ratio.strip_suffix("/1").map_or(ratio.clone(), str::to_owned)
}

/// `300.00 (600.00/2)` for money per deal, `2/3` for a rate, the reason where absent.
pub fn figure(figure: Option<&Figure>) -> String {
    let Some(figure) = figure else { return "none".into() };
    match figure.result.as_ref().expect("a figure has a value or the reason why not") {
        Told::AbsentReason(reason) => {
            let reason = AbsentReason::try_from(*reason).expect("a reason of this API");
            reason.as_str_name().trim_start_matches("ABSENT_REASON_").to_lowercase().replace('_', "-")
        }
        Told::Value(ratio) => {
            let (numerator, denominator) = (quantity(&ratio.numerator), quantity(&ratio.denominator));
            let [above, below] = [&numerator, &denominator].map(|term| {
                let number = term.trim_end_matches(char::is_alphabetic);
                number.parse::<f64>().expect("a term is a number and perhaps a currency")
            });
            assert!((ratio.quotient - above / below).abs() < 1e-9, "{ratio:?}");
            match numerator.contains('.') {
                true => format!("{:.2} ({numerator}/{denominator})", ratio.quotient),
                false => format!("{numerator}/{denominator}"),
            }
        }
    }
}

fn quantity(quantity: &Option<Quantity>) -> String {
    match quantity.as_ref().and_then(|quantity| quantity.quantity.as_ref()).expect("a term is set") {
        Q::Count(count) => count.to_string(),
        Q::Amount(amount) => money(Some(amount)),
    }
}

/// In dollars unless it says otherwise; with four decimal places where cents don't tell it.
pub fn money(amount: Option<&Money>) -> String {
    let Some(Money { currency_code, units, nanos }) = amount else { return "none".into() };
    let amount = match nanos % 10_000_000 {
        0 => format!("{units}.{:02}", nanos / 10_000_000),
        _ => format!("{units}.{:04}", nanos / 100_000),
    };
    if currency_code == "USD" { amount } else { format!("{amount}{currency_code}") }
}

/// The quotient, or why there is none.
pub fn outcome(figure: Option<&Figure>) -> Result<f64, AbsentReason> {
    match figure.expect("asked for").result.as_ref().expect("a value or a reason") {
        Told::Value(ratio) => Ok(ratio.quotient),
        Told::AbsentReason(reason) => Err(AbsentReason::try_from(*reason).expect("one of ours")),
    }
}

/// Numerator and denominator: counts, or amounts in ten-thousandths.
pub fn terms(figure: Option<&Figure>) -> (i64, i64) {
    let Some(Told::Value(ratio)) = figure.and_then(|figure| figure.result.as_ref()) else {
        panic!("{figure:?} is absent")
    };
    let term = |term: &Option<Quantity>| match term.as_ref().and_then(|term| term.quantity.as_ref()) {
        Some(Q::Count(count)) => *count,
        Some(Q::Amount(amount)) => amount.units * 10_000 + i64::from(amount.nanos / 100_000),
        None => panic!("{ratio:?} has no terms"),
    };
    (term(&ratio.numerator), term(&ratio.denominator))
}
