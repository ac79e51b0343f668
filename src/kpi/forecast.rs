//! Forecast: what a quarter to come is likely to bring, told from those that have ended (docs/kpis.md §9).
//!
//! Invariants, property tests:
//! 1. What repeats itself every year, grown by the same each time, is forecast as it goes on, with no doubt.
//! 2. The forecast lies in the middle of its interval, and moves and scales with the values.
//!
//! Checked against NumPy: tests/vectors/make.py.

/// With fewer quarters than these nothing is known of the season.
const SEASONAL_QUARTERS_MIN: usize = 8;

const QUARTERS_OF_YEAR: usize = 4;

/// Four of five values of a normal distribution lie within so many standard deviations of its mean.
const Z_80: f64 = 1.2816;

/// What is expected of a quarter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    pub value: f64,
    /// Lower and upper bound, 80 %. None where one quarter alone says nothing of how much they vary.
    pub interval: Option<(f64, f64)>,
    pub method: ForecastMethod,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForecastMethod {
    /// The same quarter a year before, and what a year adds.
    SeasonalNaiveWithDrift,
    /// The mean of the last four quarters, or of as many as there are.
    MeanOfLastQuarters,
}

/// The forecast of a quarter from those that have ended, the oldest first.
///
/// `quarters_ahead` says which one: 1 follows the last of them directly, 2 is the one after, up to 4.
///
/// Definition: from 8 quarters on the value four quarters before the one that is forecast + the mean of
/// y(t) − y(t − 4) over all quarters that have both; else the mean of the last 4. 80 % interval: ± 1.2816 · the
/// standard deviation (n − 1) of these differences, or of these values about their mean.
/// Unit: that of the values.
/// Absent where no quarter has ended, or the one asked for is more than a year ahead. The interval is absent
/// with one quarter alone.
/// Source: docs/kpis.md, section 9; R. J. Hyndman, G. Athanasopoulos, Forecasting: Principles and Practice, 2021.
pub fn forecast(ended: &[f64], quarters_ahead: usize) -> Option<Forecast> {
    if !(1..=QUARTERS_OF_YEAR).contains(&quarters_ahead) {
        return None;
    }
    if ended.len() >= SEASONAL_QUARTERS_MIN {
        let year_before = ended.get(ended.len() - 1 + quarters_ahead - QUARTERS_OF_YEAR)?;
        let years = ended.iter().zip(ended.iter().skip(QUARTERS_OF_YEAR));
        let (drift, half_width) =
            mean_and_half_width(&years.map(|(before, now)| now - before).collect::<Vec<_>>())?;
        return Some(Forecast::about(
            year_before + drift,
            half_width,
            ForecastMethod::SeasonalNaiveWithDrift,
        ));
    }
    let (mean, half_width) = mean_and_half_width(&ended[ended.len().saturating_sub(QUARTERS_OF_YEAR)..])?;
    Some(Forecast::about(mean, half_width, ForecastMethod::MeanOfLastQuarters))
}

/// The mean, and 1.2816 standard deviations where there are two values or more. None of none.
fn mean_and_half_width(values: &[f64]) -> Option<(f64, Option<f64>)> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let half_width = (values.len() > 1).then(|| Z_80 * (squares / (count - 1.0)).sqrt());
    (!values.is_empty()).then_some((mean, half_width))
}

// === impl Forecast ===

impl Forecast {
    fn about(value: f64, half_width: Option<f64>, method: ForecastMethod) -> Self {
        Self { value, interval: half_width.map(|half| (value - half, value + half)), method }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    /// One of tests/vectors/forecast.json.
    #[derive(Deserialize)]
    struct Vector {
        ended: Vec<f64>,
        quarters_ahead: usize,
        is_seasonal: bool,
        value: f64,
        interval: Option<(f64, f64)>,
    }

    fn is_near(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 1e-9 * (1.0 + expected.abs())
    }

    #[test]
    fn forecasts_are_those_of_numpy() {
        let vectors: Vec<Vector> = serde_json::from_str(include_str!("../../tests/vectors/forecast.json"))
            .expect("make.py writes vectors");
        assert!(vectors.len() > 30);
        for Vector { ended, quarters_ahead, is_seasonal, value, interval } in vectors {
            let found = forecast(&ended, quarters_ahead).expect("a quarter has ended");
            assert_eq!(found.method == ForecastMethod::SeasonalNaiveWithDrift, is_seasonal, "{ended:?}");
            assert!(is_near(found.value, value), "{ended:?}: {found:?}");
            assert_eq!(found.interval.is_some(), interval.is_some(), "{ended:?}");
            let (found, expected) = (found.interval.unwrap_or_default(), interval.unwrap_or_default());
            assert!(is_near(found.0, expected.0) && is_near(found.1, expected.1), "{ended:?}: {found:?}");
        }
    }

    #[test]
    fn forecast_by_hand() {
        use ForecastMethod::{MeanOfLastQuarters, SeasonalNaiveWithDrift};
        for (ended, quarters_ahead, expected) in [
            (vec![], 1, None),
            (vec![7.0], 1, Some((7.0, None, MeanOfLastQuarters))),
            (vec![6.0, 8.0], 1, Some((7.0, Some(Z_80 * 2f64.sqrt()), MeanOfLastQuarters))),
            // the last four of seven, whichever quarter is asked for
            (
                vec![9.0, 9.0, 9.0, 1.0, 1.0, 3.0, 3.0],
                2,
                Some((2.0, Some(Z_80 * (4f64 / 3.0).sqrt()), MeanOfLastQuarters)),
            ),
            // differences 1, 1, 3, 3 from one year to the other: a mean of 2, a variance of 4/3
            (
                vec![10.0, 20.0, 30.0, 40.0, 11.0, 21.0, 33.0, 43.0],
                1,
                Some((13.0, Some(Z_80 * (4f64 / 3.0).sqrt()), SeasonalNaiveWithDrift)),
            ),
            (
                vec![10.0, 20.0, 30.0, 40.0, 11.0, 21.0, 33.0, 43.0],
                2,
                Some((23.0, Some(Z_80 * (4f64 / 3.0).sqrt()), SeasonalNaiveWithDrift)),
            ),
            (
                vec![10.0, 20.0, 30.0, 40.0, 11.0, 21.0, 33.0, 43.0],
                4,
                Some((45.0, Some(Z_80 * (4f64 / 3.0).sqrt()), SeasonalNaiveWithDrift)),
            ),
            (vec![10.0; 9], 5, None),
            (vec![10.0; 9], 0, None),
        ] {
            let found = forecast(&ended, quarters_ahead);
            assert_eq!(found.is_some(), expected.is_some(), "{ended:?} {quarters_ahead}");
            let (Some(found), Some((value, half_width, method))) = (found, expected) else { continue };
            assert_eq!(found.method, method);
            assert!(is_near(found.value, value), "{ended:?} {quarters_ahead}: {found:?}");
            let width = found.interval.map(|(lower, upper)| upper - lower);
            assert_eq!(width.is_some(), half_width.is_some());
            assert!(is_near(width.unwrap_or_default(), 2.0 * half_width.unwrap_or_default()), "{found:?}");
        }
    }

    proptest! {
        #[test]
        fn forecasts_move_and_scale_with_their_values(
            ended in proptest::collection::vec(-1e6f64..1e6, 1..30), ahead in 1usize..=4,
            shift in -1e6f64..1e6, scale in 0.1f64..10.0,
        ) {
            let found = forecast(&ended, ahead).expect("a quarter has ended");
            let moved: Vec<f64> = ended.iter().map(|value| value * scale + shift).collect();
            let moved = forecast(&moved, ahead).expect("as many quarters");
            let is_close = |a: f64, b: f64| (a - b).abs() <= 1e-3;
            prop_assert_eq!(found.method, moved.method);
            prop_assert!(is_close(moved.value, found.value * scale + shift));
            prop_assert_eq!(found.interval.is_some(), ended.len() > 1);
            let (Some(found_in), Some(moved_in)) = (found.interval, moved.interval) else { return Ok(()) };
            prop_assert!(is_close((found_in.0 + found_in.1) / 2.0, found.value));
            prop_assert!(is_close(moved_in.1 - moved_in.0, (found_in.1 - found_in.0) * scale));
        }

        #[test]
        fn what_repeats_itself_goes_on(
            year in proptest::array::uniform4(-1000i32..1000), drift in -100i32..100,
            count in 8usize..40, ahead in 1usize..=4,
        ) {
            let value = |at: usize| f64::from(year[at % 4] + drift * (at / 4) as i32);
            let ended: Vec<f64> = (0..count).map(value).collect();
            let found = forecast(&ended, ahead).expect("quarters have ended");
            prop_assert_eq!(found.value, value(count - 1 + ahead));
            prop_assert_eq!(found.interval, Some((found.value, found.value)));
        }
    }
}
