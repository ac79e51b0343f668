//! Answers in words: tables, headings, figures and why one is absent, changes, dates and subjects.

use channel_kpi::proto::channelkpi::v1::{
    AbsentReason, Change, DateRange, Definition, Figure, Group, Quantity, Ratio, Scorecard, Subject, Trend,
    figure, quantity, subject,
};
use channel_kpi::proto::google::r#type::{Date, Money};
use chrono::NaiveDate;
use comfy_table::{CellAlignment, Table, presets};

use super::number;

/// A table without lines, whose columns of numbers end on one edge.
pub fn table(header: &[&str], number_columns: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if number_columns.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Whose figures, of which days, compared with which.
pub fn heading(whose: &str, definition: &Definition) -> String {
    let partial = if definition.partial { ", to date" } else { "" };
    let mut text =
        format!("{whose}, {}{partial}, as of {}", days(&definition.window), day(&definition.as_of));
    if definition.comparison_window.is_some() {
        let (window, as_of) = (days(&definition.comparison_window), day(&definition.comparison_as_of));
        text.push_str(&format!("\nbefore: {window}, as of {as_of}"));
    }
    let converted = match (&definition.oldest_rate_on, &definition.rates_on) {
        (None, _) => String::new(),
        (oldest, None) => format!(", converted at closing with rates from {} on", day(oldest)),
        (oldest, rates_on) => {
            format!(", converted at the rates of {}, the oldest from {}", day(rates_on), day(oldest))
        }
    };
    let Definition { reporting_currency_code: currency, time_zone, .. } = definition;
    text.push_str(&format!("\namounts in {currency}{converted}; dates in {time_zone}"));
    text
}

/// First and last day, both included.
pub fn days(range: &Option<DateRange>) -> String {
    let end =
        |range: &DateRange| range.end_on.as_ref().and_then(calendar_date).and_then(|end| end.pred_opt());
    match range {
        Some(range) => match end(range) {
            Some(last) if range.start_on.as_ref().and_then(calendar_date) == Some(last) => last.to_string(),
            Some(last) => format!("{} to {last}", day(&range.start_on)),
            None => String::new(),
        },
        None => String::new(),
    }
}

pub fn day(date: &Option<Date>) -> String {
    date.as_ref().and_then(calendar_date).map_or_else(String::new, |date| date.to_string())
}

pub fn calendar_date(date: &Date) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(date.year, date.month.try_into().ok()?, date.day.try_into().ok()?)
}

/// Whose figures they are: kind, name and id.
pub fn told_subject(subject: Option<&Subject>, name: &str) -> String {
    let id = id_of(subject);
    let name = match name {
        "" => format!("{id:?}"),
        name if name == id => name.to_owned(),
        name => format!("{name} ({id})"),
    };
    match subject.and_then(|subject| subject.subject.as_ref()) {
        None => "The company".into(),
        Some(subject::Subject::Partner(partner)) if partner.include_sub_partners => {
            format!("Partner {name} with its sub-partners")
        }
        Some(subject::Subject::Partner(_)) => format!("Partner {name}"),
        Some(subject::Subject::EmployeeId(_)) => format!("Employee {name}"),
        Some(subject::Subject::UnitId(_)) => format!("Unit {name}"),
    }
}

pub fn subject_id(card: &Scorecard) -> &str {
    id_of(card.subject.as_ref())
}

fn id_of(subject: Option<&Subject>) -> &str {
    match subject.and_then(|subject| subject.subject.as_ref()) {
        Some(subject::Subject::Partner(partner)) => &partner.partner_id,
        Some(subject::Subject::EmployeeId(id) | subject::Subject::UnitId(id)) => id,
        None => "",
    }
}

/// The value of a dimension.
pub fn group_value(group: &Group) -> String {
    match group {
        group if group.uncredited => "(uncredited)".into(),
        group if group.value.is_empty() => "(none)".into(),
        group => group.value.clone(),
    }
}

pub fn ratio(figure: Option<&Figure>) -> Option<&Ratio> {
    match figure?.result.as_ref()? {
        figure::Result::Value(ratio) => Some(ratio),
        figure::Result::AbsentReason(_) => None,
    }
}

/// A figure in words: its value, or why there is none. Empty where nothing was compared.
pub fn told(figure: Option<&Figure>, value: impl Fn(f64) -> String) -> String {
    match figure.and_then(|figure| figure.result.as_ref()) {
        Some(figure::Result::Value(ratio)) => value(ratio.quotient),
        Some(figure::Result::AbsentReason(reason)) => absence(*reason),
        None => String::new(),
    }
}

pub fn money_figure(figure: Option<&Figure>) -> String {
    told(figure, |quotient| number::rounded(quotient, 2))
}

pub fn count_figure(figure: Option<&Figure>) -> String {
    match ratio(figure).and_then(|ratio| ratio.numerator.as_ref()?.quantity.as_ref()) {
        Some(quantity::Quantity::Count(count)) => number::count(*count),
        _ => told(figure, |quotient| number::rounded(quotient, 0)),
    }
}

pub fn rate_figure(figure: Option<&Figure>) -> String {
    told(figure, percent)
}

pub fn number_figure(figure: Option<&Figure>, places: usize) -> String {
    told(figure, |quotient| number::rounded(quotient, places))
}

pub fn days_figure(figure: Option<&Figure>) -> String {
    told(figure, |quotient| format!("{} days", number::rounded(quotient, 1)))
}

/// Money with its currency, or that it is out of range.
pub fn amount_of(money: Option<&Money>) -> String {
    money.map_or_else(out_of_range, |money| format!("{} {}", number::amount(money), money.currency_code))
}

pub fn percent(rate: f64) -> String {
    format!("{} %", number::rounded(rate * 100.0, 2))
}

pub fn absence(reason: i32) -> String {
    match AbsentReason::try_from(reason) {
        Ok(AbsentReason::NoDealWon) => "no deal won".into(),
        Ok(AbsentReason::NoAmountKnown) => "no amount known".into(),
        Ok(AbsentReason::NoDealEnded) => "no deal ended".into(),
        Ok(AbsentReason::NoProspect) => "no prospect".into(),
        Ok(AbsentReason::LeadsNotCounted) => "leads not counted".into(),
        Ok(AbsentReason::NoSpend) => "no spend".into(),
        Ok(AbsentReason::SpendNotTold) => "spend not told".into(),
        Ok(AbsentReason::NoLead) => "no lead".into(),
        Ok(AbsentReason::TotalIsZero) => "total is 0".into(),
        Ok(AbsentReason::OutOfRange) => out_of_range(),
        Ok(AbsentReason::NoDealInWork) => "no deal in work".into(),
        Ok(AbsentReason::NoPeer) => "no peer".into(),
        Ok(AbsentReason::MeanIsZero) => "mean is 0".into(),
        Ok(AbsentReason::NoLeadDecided) => "no lead decided".into(),
        Ok(AbsentReason::NoPast) => "no past".into(),
        Ok(AbsentReason::TargetReached) => "reached".into(),
        Ok(AbsentReason::OtherCurrency) => "other currency".into(),
        Ok(AbsentReason::TooFewBuckets) => "too few periods".into(),
        Ok(AbsentReason::FactorIsZero) => "a factor is 0".into(),
        Ok(AbsentReason::DaysToCome) => "days to come".into(),
        Ok(AbsentReason::TooFewSubjects) => "too few to compare".into(),
        Ok(AbsentReason::TooFewYears) => "too few years".into(),
        Ok(AbsentReason::SeasonIsZero) => "index is 0".into(),
        Ok(AbsentReason::Unspecified) | Err(_) => "absent".into(), // a newer sidecar's reason
    }
}

pub fn out_of_range() -> String {
    "out of range".into()
}

pub fn quantity(quantity: &Option<Quantity>) -> String {
    match quantity.as_ref().and_then(|quantity| quantity.quantity.as_ref()) {
        Some(quantity::Quantity::Count(count)) => number::count(*count),
        Some(quantity::Quantity::Amount(money)) => {
            format!("{} {}", number::amount(money), money.currency_code)
        }
        None => String::new(),
    }
}

/// `+60.91 (+2.6 %)`; empty where nothing can be compared.
pub fn relative_change(change: Option<&Change>, places: usize) -> String {
    let Some(absolute) = change.and_then(|change| change.absolute) else { return String::new() };
    let absolute = number::signed(absolute, places);
    match change.and_then(|change| change.relative) {
        Some(relative) => format!("{absolute} ({} %)", number::signed(relative * 100.0, 1)),
        None => absolute,
    }
}

/// The change of a rate, in percentage points.
pub fn points_change(change: Option<&Change>) -> String {
    let absolute = change.and_then(|change| change.absolute);
    absolute.map_or_else(String::new, |absolute| format!("{} pp", number::signed(absolute * 100.0, 2)))
}

pub fn trend(change: Option<&Change>) -> String {
    let word = match change.map(Change::trend) {
        Some(Trend::Better) => "better",
        Some(Trend::Worse) => "worse",
        Some(Trend::Same) => "same",
        Some(Trend::Unspecified) | None => "",
    };
    word.into()
}
