//! Targets under way, as a table of `pipeline`.

use channel_kpi::proto::channelkpi::v1::pipeline_target::Result as Told;
use channel_kpi::proto::channelkpi::v1::quantity::Quantity as Of;
use channel_kpi::proto::channelkpi::v1::{Figure, PipelineTarget, Quantity, TargetProgress};

use super::number;
use super::words::{absence, days, out_of_range, quantity, table, told};

/// None where there are no targets.
pub fn targets(targets: &[PipelineTarget]) -> Option<String> {
    let header =
        ["Target", "Days", "Value", "Won", "Due", "Landing", "Overdue part", "80 % interval", "Coverage"];
    let mut table = table(&header, &[2, 3, 4, 5, 6, 7, 8]);
    for target in targets {
        let (is_foreign, cells) = match &target.result {
            Some(Told::Progress(progress)) => (false, cells(progress).to_vec()),
            Some(Told::AbsentReason(reason)) => (true, vec![absence(*reason)]),
            None => (false, Vec::new()), // a newer sidecar's
        };
        let first = [target.target_id.clone(), days(&target.dates), value(&target.value, is_foreign)];
        table.add_row(first.into_iter().chain(cells));
    }
    (!targets.is_empty()).then(|| table.trim_fmt())
}

/// Won, due, landing, its overdue part, its interval, coverage.
fn cells(progress: &TargetProgress) -> [String; 6] {
    // Whole deals are won; parts of them are due and expected.
    let is_count = matches!(progress.attained, Some(Quantity { quantity: Some(Of::Count(_)) }));
    let places = if is_count { 1 } else { 2 };
    let figure = |figure: &Option<Figure>| told(figure.as_ref(), |told| number::rounded(told, places));
    let interval = progress.landing_interval.as_ref().map_or_else(String::new, |interval| {
        let bound = |bound| number::rounded(bound, places);
        format!("{} to {}", bound(interval.lower), bound(interval.upper))
    });
    let coverage = told(progress.coverage.as_ref(), |times| format!("{}x", number::rounded(times, 2)));
    let attained = value(&progress.attained, false);
    let (due, landing) = (figure(&progress.due), figure(&progress.landing));
    [attained, due, landing, figure(&progress.overdue_weighted), interval, coverage]
}

fn value(value: &Option<Quantity>, with_currency: bool) -> String {
    match value.as_ref().and_then(|value| value.quantity.as_ref()) {
        Some(Of::Amount(money)) if !with_currency => number::amount(money),
        Some(Of::Count(count)) => format!("{} deals", number::count(*count)),
        Some(Of::Amount(_)) => quantity(value),
        None => out_of_range(),
    }
}

#[cfg(test)]
mod tests {
    use channel_kpi::proto::channelkpi::v1::{AbsentReason, DateRange, Interval, Ratio, figure};
    use channel_kpi::proto::google::r#type::{Date, Money};

    use super::*;

    fn amount(currency_code: &str, units: i64) -> Option<Quantity> {
        let money = Money { currency_code: currency_code.into(), units, nanos: 0 };
        Some(Quantity { quantity: Some(Of::Amount(money)) })
    }

    fn count(count: i64) -> Option<Quantity> {
        Some(Quantity { quantity: Some(Of::Count(count)) })
    }

    fn told(quotient: f64) -> Option<Figure> {
        let result = figure::Result::Value(Ratio { quotient, ..Ratio::default() });
        Some(Figure { result: Some(result) })
    }

    fn target(target_id: &str, value: Option<Quantity>, result: Told) -> PipelineTarget {
        let date = |month| Some(Date { year: 2024, month, day: 1 });
        let dates = Some(DateRange { start_on: date(1), end_on: date(4) });
        let (target_id, result) = (target_id.into(), Some(result));
        PipelineTarget { target_id, dates, value, result, ..PipelineTarget::default() }
    }

    #[test]
    fn targets_are_told_in_money_and_in_deals() {
        let amounts = TargetProgress {
            attained: amount("USD", 600),
            due: told(826.6667),
            landing: told(1_100.0),
            overdue_weighted: told(0.0),
            landing_interval: Some(Interval { lower: 600.0, upper: 1_740.8 }),
            coverage: told(2.5),
            ..TargetProgress::default()
        };
        let reached = figure::Result::AbsentReason(AbsentReason::TargetReached.into());
        let deals = TargetProgress {
            attained: count(7),
            due: told(5.5),
            landing: told(8.5),
            overdue_weighted: told(0.5),
            landing_interval: Some(Interval { lower: 7.0, upper: 9.6 }),
            coverage: Some(Figure { result: Some(reached) }),
            ..TargetProgress::default()
        };
        let rows = [
            target("T-1", amount("USD", 1_000), Told::Progress(amounts)),
            target("T-2", count(7), Told::Progress(deals)),
            target("T-3", amount("EUR", 900), Told::AbsentReason(AbsentReason::OtherCurrency.into())),
        ];
        assert_eq!(targets(&[]), None);
        let expected = "\
Target  Days                           Value             Won     Due   Landing  Overdue part       80 % interval  Coverage
T-1     2024-01-01 to 2024-03-31    1,000.00          600.00  826.67  1,100.00          0.00  600.00 to 1,740.80     2.50x
T-2     2024-01-01 to 2024-03-31     7 deals         7 deals     5.5       8.5           0.5          7.0 to 9.6   reached
T-3     2024-01-01 to 2024-03-31  900.00 EUR  other currency";
        assert_eq!(targets(&rows).unwrap(), expected);
    }
}
