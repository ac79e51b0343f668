//! Numbers as people read them.

use channel_kpi::proto::google::r#type::Money;

/// A whole number with its thousands parted: `10,005,534`.
pub fn count(number: i64) -> String {
    grouped(number < 0, &number.unsigned_abs().to_string())
}

/// An amount, exact: at least two decimal places, up to the nine that money can have.
pub fn amount(money: &Money) -> String {
    let nanos = format!("{:09}", money.nanos.unsigned_abs());
    let fraction = nanos.trim_end_matches('0');
    let whole = grouped(money.units < 0 || money.nanos < 0, &money.units.unsigned_abs().to_string());
    format!("{whole}.{fraction:0<2}")
}

/// An amount to the cent, half of one upwards: for columns in which amounts are compared.
pub fn to_the_cent(money: &Money) -> String {
    const NANOS: i128 = 1_000_000_000;
    let nanos = i128::from(money.units) * NANOS + i128::from(money.nanos);
    let cents = (nanos.unsigned_abs() + 5_000_000) / 10_000_000;
    format!("{}.{:02}", grouped(nanos < 0 && cents > 0, &(cents / 100).to_string()), cents % 100)
}

/// A number rounded to so many decimal places.
pub fn rounded(number: f64, places: usize) -> String {
    let text = format!("{:.places$}", number.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let is_zero = !text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    let whole = grouped(number < 0.0 && !is_zero, whole);
    if fraction.is_empty() { whole } else { format!("{whole}.{fraction}") }
}

/// The same with a plus where it is above zero.
pub fn signed(number: f64, places: usize) -> String {
    let text = rounded(number, places);
    if text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) && number > 0.0 {
        format!("+{text}")
    } else {
        text
    }
}

fn grouped(negative: bool, digits: &str) -> String {
    let mut text = String::from(if negative { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_by_hand() {
        assert_eq!(count(10_005_534), "10,005,534");
        assert_eq!(count(-999), "-999");
        assert_eq!(count(i64::MIN), "-9,223,372,036,854,775,808");
        assert_eq!(rounded(2_360.909_391, 2), "2,360.91");
        assert_eq!(rounded(-0.001, 2), "0.00");
        assert_eq!(signed(0.001, 2), "0.00");
        assert_eq!(signed(60.914, 2), "+60.91");
        assert_eq!(signed(-1_060.914, 1), "-1,060.9");
        let money = |units, nanos| amount(&Money { currency_code: "USD".into(), units, nanos });
        assert_eq!(money(1_500, 0), "1,500.00");
        assert_eq!(money(0, 123_400_000), "0.1234");
        assert_eq!(money(0, -500_000_000), "-0.50");
        assert_eq!(money(-1, -50_000_000), "-1.05");
        let cents = |units, nanos| to_the_cent(&Money { currency_code: "USD".into(), units, nanos });
        assert_eq!(cents(118_863, 538_500_000), "118,863.54");
        assert_eq!(cents(999, 995_000_000), "1,000.00");
        assert_eq!(cents(0, 4_999_999), "0.00");
        assert_eq!(cents(0, -4_999_999), "0.00");
        assert_eq!(cents(-1, -55_000_000), "-1.06");
        assert_eq!(cents(i64::MAX, 999_999_999), "9,223,372,036,854,775,808.00");
    }
}
