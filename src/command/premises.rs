//! What an answer rests on, as flags: filter, roles, exchange rates, and what was known when.

use channel_kpi::proto::channelkpi::v1::{
    CreditFilter, CreditRole, Exchange, ExchangePolicy, Filter, LabelTerms, Media, MediaTerms, Premises,
    Terms,
};
use channel_kpi::proto::google::r#type::Date;
use chrono::DateTime;
use clap::{Args, ValueEnum};
use prost_types::Timestamp;

use super::window;

/// A flag of a dimension may come several times: any of its values passes. An empty value asks for what has
/// none.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What counts")]
pub struct PremisesArgs {
    /// Only deals of this region ('' for those without one); may be repeated, as all filters may.
    #[arg(long, value_name = "REGION")]
    region: Vec<String>,

    /// Only deals with this product.
    #[arg(long, value_name = "PRODUCT")]
    product: Vec<String>,

    /// Only what came by this marketing channel.
    #[arg(long, value_name = "ID")]
    channel: Vec<String>,

    /// Only what came by channels of this medium.
    #[arg(long, value_name = "MEDIUM")]
    media: Vec<Medium>,

    /// Only credits of partners of this type.
    #[arg(long, value_name = "TYPE")]
    partner_type: Vec<String>,

    /// Only credits of partners of this tier.
    #[arg(long, value_name = "TIER")]
    tier: Vec<String>,

    /// Only credits of this partner ('' for what no partner is credited with).
    #[arg(long, value_name = "ID")]
    filter_partner: Vec<String>,

    /// Only what this employee owns.
    #[arg(long, value_name = "ID")]
    filter_employee: Vec<String>,

    /// Only what belongs to this unit or one below it.
    #[arg(long, value_name = "ID")]
    filter_unit: Vec<String>,

    /// Only deals whose label has this value.
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,

    /// Only credits of partners whose label has this value.
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    partner_label: Vec<(String, String)>,

    /// Only deals with a credited partner, or only direct ones.
    #[arg(long, value_name = "WHICH")]
    credit: Option<Credit>,

    /// Whose credits count [default: sourced].
    #[arg(long, value_name = "ROLE")]
    role: Vec<Role>,

    /// At which rates other currencies are converted: at-close, window-end, or a date [default: at-close].
    #[arg(long, value_name = "WHEN", value_parser = exchange)]
    exchange: Option<Exchange>,

    /// As the host knew it then, such as 2024-03-31T18:00:00Z.
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    known_at: Option<Timestamp>,

    /// As the sidecar had been told by then: reproduces an earlier answer.
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    received_by: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Medium {
    Paid,
    Earned,
    Owned,
    /// Without a channel, or with one of no known medium.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Credit {
    Credited,
    Direct,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    Sourced,
    Influenced,
    Fulfilled,
}

// === impl PremisesArgs ===

impl PremisesArgs {
    /// None where nothing is asked for.
    pub fn premises(&self) -> Option<Premises> {
        let premises = Premises {
            filter: Some(self.filter()).filter(|filter| *filter != Filter::default()),
            credit_roles: self.role.iter().map(|role| CreditRole::from(*role).into()).collect(),
            exchange: self.exchange,
            known_at: self.known_at,
            received_by: self.received_by,
        };
        Some(premises).filter(|premises| *premises != Premises::default())
    }

    fn filter(&self) -> Filter {
        let credit = self.credit.map_or(CreditFilter::Unspecified, |credit| match credit {
            Credit::Credited => CreditFilter::Credited,
            Credit::Direct => CreditFilter::Direct,
        });
        Filter {
            regions: terms(&self.region),
            products: terms(&self.product),
            marketing_channel_ids: terms(&self.channel),
            media: media(&self.media),
            partner_types: terms(&self.partner_type),
            tiers: terms(&self.tier),
            partner_ids: terms(&self.filter_partner),
            employee_ids: terms(&self.filter_employee),
            unit_ids: terms(&self.filter_unit),
            deal_labels: labels(&self.label),
            partner_labels: labels(&self.partner_label),
            credit: credit.into(),
        }
    }
}

impl From<Role> for CreditRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Sourced => Self::Sourced,
            Role::Influenced => Self::Influenced,
            Role::Fulfilled => Self::Fulfilled,
        }
    }
}

pub(super) fn terms(values: &[String]) -> Option<Terms> {
    let named = values.iter().filter(|value| !value.is_empty()).cloned().collect();
    let include_none = values.iter().any(String::is_empty);
    (!values.is_empty()).then_some(Terms { values: named, include_none })
}

fn media(media: &[Medium]) -> Option<MediaTerms> {
    let named = media.iter().filter_map(|medium| match medium {
        Medium::Paid => Some(Media::Paid.into()),
        Medium::Earned => Some(Media::Earned.into()),
        Medium::Owned => Some(Media::Owned.into()),
        Medium::None => None,
    });
    let include_none = media.contains(&Medium::None);
    (!media.is_empty()).then(|| MediaTerms { values: named.collect(), include_none })
}

/// Labels by key, each key once.
fn labels(labels: &[(String, String)]) -> Vec<LabelTerms> {
    let mut keys: Vec<&String> = labels.iter().map(|(key, _)| key).collect();
    keys.sort();
    keys.dedup();
    let of_key = |key: &String| {
        let values: Vec<String> =
            labels.iter().filter(|(known, _)| known == key).map(|(_, value)| value.clone()).collect();
        LabelTerms { key: key.clone(), terms: terms(&values) }
    };
    keys.into_iter().map(of_key).collect()
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) =
        text.split_once('=').ok_or_else(|| format!("`{text}` isn't a label like segment=public"))?;
    Ok((key.to_owned(), value.to_owned()))
}

fn exchange(text: &str) -> Result<Exchange, String> {
    let policy =
        |policy: ExchangePolicy, fixed_on: Option<Date>| Exchange { policy: policy.into(), fixed_on };
    match text {
        "at-close" => Ok(policy(ExchangePolicy::AtClose, None)),
        "window-end" => Ok(policy(ExchangePolicy::WindowEnd, None)),
        date => match window::parse_date(date) {
            Ok(on) => Ok(policy(ExchangePolicy::Fixed, Some(on))),
            Err(_) => Err(format!("`{text}` is none of at-close, window-end and a date like 2024-03-31")),
        },
    }
}

pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    let parsed = DateTime::parse_from_rfc3339(text)
        .map_err(|_| format!("`{text}` isn't an instant like 2024-03-31T18:00:00Z"))?;
    Ok(Timestamp { seconds: parsed.timestamp(), nanos: parsed.timestamp_subsec_nanos().cast_signed() })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        premises: PremisesArgs,
    }

    fn parse(line: &str) -> Option<Premises> {
        let words = line.split(' ').filter(|word| !word.is_empty());
        let words = words.map(|word| if word == "''" { "" } else { word });
        Line::try_parse_from(["x"].into_iter().chain(words)).expect(line).premises.premises()
    }

    #[test]
    fn flags_become_premises() {
        assert_eq!(parse(""), None);
        let asked = parse(
            "--region north --region '' --media paid --media none --label a=x --label b=y --label a= \
             --role influenced --exchange 2024-03-31 --known-at 2024-03-31T18:00:00Z",
        )
        .expect("something is asked for");
        let filter = asked.filter.expect("it is set");
        let north = Terms { values: vec!["north".into()], include_none: true };
        assert_eq!(filter.regions, Some(north));
        let paid = MediaTerms { values: vec![Media::Paid.into()], include_none: true };
        assert_eq!(filter.media, Some(paid));
        let told: Vec<_> = filter
            .deal_labels
            .iter()
            .map(|label| (label.key.as_str(), label.terms.clone().expect("it is set")))
            .collect();
        let terms = |value: &str, include_none| Terms { values: vec![value.into()], include_none };
        assert_eq!(told, [("a", terms("x", true)), ("b", terms("y", false))]);
        assert_eq!(asked.credit_roles, [i32::from(CreditRole::Influenced)]);
        let exchange = asked.exchange.expect("it is set");
        assert_eq!(exchange.policy(), ExchangePolicy::Fixed);
        assert_eq!(exchange.fixed_on, Some(Date { year: 2024, month: 3, day: 31 }));
        assert_eq!(asked.known_at.map(|at| at.seconds), Some(1_711_908_000));
    }

    #[test]
    fn wrong_flags_are_explained() {
        for (flag, value, expected) in [
            ("--exchange", "tomorrow", "none of at-close, window-end and a date"),
            ("--known-at", "2024-03-31", "isn't an instant like"),
            ("--label", "segment", "isn't a label like segment=public"),
        ] {
            let error = Line::try_parse_from(["x", flag, value]).err().expect(value).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
