//! Drivers, as the wire has them.

use super::figure::{Figures, absent_reason};
use super::scorecard::{wire_dimension, wire_group};
use crate::domain::filter::{Dimension, GroupValue};
use crate::kpi::drivers::{Ends, Factor, FactorPart, MemberPart, Product, Rate, RateParts};
use crate::kpi::figure::{Absent, Direction, Figure};
use crate::proto::channelkpi::v1 as pb;

/// A member of a dimension, and its rate at both ends.
pub struct Member<'a> {
    pub value: GroupValue,
    pub name: Option<&'a str>,
    pub rates: Ends<Figure>,
}

/// A figure, and that of the comparison window where there is one.
pub type Compared = (Figure, Option<Figure>);

pub fn of_product(
    figures: Figures,
    product: Product,
    (now, before): Compared,
    parts: Result<Vec<FactorPart>, Absent>,
) -> pb::ChangeExplanation {
    let figure = match product {
        Product::DealVelocity => pb::ExplainedFigure::DealVelocity,
        Product::WonAmount => pb::ExplainedFigure::WonAmount,
    };
    let driver = |FactorPart { factor, values, part }: FactorPart| pb::FactorDriver {
        factor: wire_factor(factor).into(),
        compared: Some(figures.compared(Ok(values.now), Some(Ok(values.before)), factor.direction())),
        part,
    };
    let result = parts.map(|parts| {
        let factors = parts.into_iter().map(driver).collect();
        pb::change_explanation::Result::Factors(pb::FactorDrivers { factors })
    });
    explanation(figure, figures.compared(now, before, product.direction()), result)
}

/// `members` are those of the parts, of which the first `limit` are listed that moved the rate most.
pub fn of_rate(
    figures: Figures,
    rate: Rate,
    (now, before): Compared,
    dimension: &Dimension,
    (members, parts): (&[Member<'_>], Result<RateParts, Absent>),
    limit: usize,
) -> pb::ChangeExplanation {
    let figure = match rate {
        Rate::CloseRate => pb::ExplainedFigure::CloseRate,
        Rate::DealSuccess => pb::ExplainedFigure::DealSuccess,
    };
    let result = parts.map(|RateParts { members: parts, overlap }| {
        let sum = |of: fn(&MemberPart) -> f64| parts.iter().map(of).sum::<f64>();
        let (rate_part, mix_part) = (sum(|part| part.rate), sum(|part| part.mix));
        let mut order: Vec<(&Member<'_>, &MemberPart)> = members.iter().zip(&parts).collect();
        // Stable: equal ones stay in the order of lists.
        let moved = |part: &MemberPart| (part.rate + part.mix).abs();
        order.sort_by(|(_, a), (_, b)| moved(b).total_cmp(&moved(a)));
        let (listed, others) = order.split_at(limit.min(order.len()));
        let driver = |&(member, part): &(&Member<'_>, &MemberPart)| {
            driver(figures, dimension, member, part, rate.direction())
        };
        pb::change_explanation::Result::Members(pb::MemberDrivers {
            dimension: wire_dimension(dimension).0.into(),
            rate_part,
            mix_part,
            overlap_part: overlap,
            members: listed.iter().map(driver).collect(),
            others: Some(pb::OtherMembers {
                count: others.len() as i64,
                rate_part: others.iter().map(|(_, part)| part.rate).sum(),
                mix_part: others.iter().map(|(_, part)| part.mix).sum(),
            }),
        })
    });
    explanation(figure, figures.compared(now, before, rate.direction()), result)
}

fn driver(
    figures: Figures,
    dimension: &Dimension,
    Member { value, name, rates }: &Member<'_>,
    MemberPart { shares, rate, mix }: &MemberPart,
    direction: Direction,
) -> pb::MemberDriver {
    pb::MemberDriver {
        group: Some(wire_group(dimension, value)),
        name: name.unwrap_or_default().to_owned(),
        compared: Some(figures.compared(rates.now, Some(rates.before), direction)),
        share: shares.now,
        comparison_share: shares.before,
        rate_part: *rate,
        mix_part: *mix,
    }
}

fn explanation(
    figure: pb::ExplainedFigure,
    compared: pb::ComparedFigure,
    result: Result<pb::change_explanation::Result, Absent>,
) -> pb::ChangeExplanation {
    let absent = |absent| pb::change_explanation::Result::AbsentReason(absent_reason(absent).into());
    pb::ChangeExplanation {
        explained_figure: figure.into(),
        compared: Some(compared),
        result: Some(result.unwrap_or_else(absent)),
    }
}

fn wire_factor(factor: Factor) -> pb::Factor {
    match factor {
        Factor::DealsInWork => pb::Factor::DealsInWork,
        Factor::WinRate => pb::Factor::WinRate,
        Factor::AverageDealSize => pb::Factor::AverageDealSize,
        Factor::CycleDays => pb::Factor::CycleDays,
        Factor::WonCount => pb::Factor::WonCount,
        Factor::PricedShare => pb::Factor::PricedShare,
    }
}
