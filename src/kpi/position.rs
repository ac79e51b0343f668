//! Position: where a subject's figure stands among its peers' (docs/kpis.md §7, "Peers").

use std::cmp::Ordering;

use super::figure::{Direction, Ratio, sort_by_about};

/// The peers' figures in order: from the best, or, where neither way is good, from the greatest.
#[derive(Clone, Debug)]
pub struct Ranking {
    sorted: Vec<Ratio>,
    direction: Direction,
    /// The midpoint of the two in the middle.
    median: Option<Ratio>,
}

/// A figure's place among those of the peers, itself among them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// From 1; equal figures share a rank: 1, 2, 2, 4.
    pub rank: i64,
    pub peer_count: i64,
    /// The share of the other peers that it beats, ties half. None for an only peer.
    pub percentile: Option<f64>,
    /// The midpoint of the two in the middle.
    pub median: Ratio,
}

// === impl Ranking ===

impl Ranking {
    /// Of the peers that have the figure, in any order.
    pub fn new(figures: Vec<Ratio>, direction: Direction) -> Self {
        Self::in_terms(figures, direction, |figure| figure)
    }

    /// Of figures that are still to be brought into the terms in which they are told.
    pub fn in_terms(figures: Vec<Ratio>, direction: Direction, terms: impl Fn(Ratio) -> Ratio) -> Self {
        let mut order: Vec<u32> = (0..figures.len() as u32).collect();
        let figure = |at: &u32| &figures[*at as usize];
        sort_by_about(
            &mut order,
            |at| direction.about(figure(at)),
            |a, b| {
                let (a, b) = (figure(a), figure(b));
                direction.best_first(a, b).then_with(|| a.cmp_terms(b))
            },
        );
        let sorted: Vec<Ratio> = order.iter().map(|at| *figure(at)).collect();
        let (lower, upper) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
        let median = sorted.get(lower).zip(sorted.get(upper)).map(|(a, b)| midpoint(&terms(*a), &terms(*b)));
        Self { sorted, direction, median }
    }

    /// The position of one of the figures. None where there is none.
    pub fn position(&self, mine: &Ratio) -> Option<Position> {
        let order = |other: &Ratio| self.direction.best_first(other, mine);
        let better = self.sorted.partition_point(|other| order(other) == Ordering::Less);
        let not_worse = self.sorted.partition_point(|other| order(other) != Ordering::Greater);
        let others = self.sorted.len().checked_sub(1)?;
        let worse = self.sorted.len() - not_worse;
        // Itself is among the equal ones.
        let beaten = worse as f64 + (not_worse - better).saturating_sub(1) as f64 / 2.0;
        Some(Position {
            rank: better as i64 + 1,
            peer_count: self.sorted.len() as i64,
            percentile: (others > 0).then(|| beaten / others as f64),
            median: self.median?,
        })
    }
}

/// The median: the midpoint of the two in the middle. None of none. What quicker ways are compared with.
#[cfg(test)]
pub fn median(mut all: Vec<Ratio>) -> Option<Ratio> {
    all.sort_by(|a, b| a.cmp_exact(b).then_with(|| a.cmp_terms(b)));
    middle(&all)
}

#[cfg(test)]
fn middle(sorted: &[Ratio]) -> Option<Ratio> {
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get((sorted.len() - 1) / 2)?;
    Some(midpoint(lower, upper))
}

/// Of equal ones the lower one, in its terms.
fn midpoint(lower: &Ratio, upper: &Ratio) -> Ratio {
    if lower.cmp_exact(upper) == Ordering::Equal { *lower } else { lower.midpoint(upper) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kpi::figure::Quantity;

    fn counts(counts: &[i64]) -> Vec<Ratio> {
        counts.iter().map(|&count| Ratio::whole(Quantity::Count(count))).collect()
    }

    #[test]
    fn positions_by_hand() {
        use Direction::{HigherIsBetter, LowerIsBetter, Neither};
        // all, mine, direction; rank, percentile, median
        for (all, mine, direction, rank, percentile, middle) in [
            (vec![5], 5, HigherIsBetter, 1, None, 5.0),
            (vec![5, 3], 5, HigherIsBetter, 1, Some(1.0), 4.0),
            (vec![5, 3], 3, HigherIsBetter, 2, Some(0.0), 4.0),
            (vec![5, 3], 3, LowerIsBetter, 1, Some(1.0), 4.0),
            (vec![5, 3], 3, Neither, 2, Some(0.0), 4.0),
            (vec![9, 5, 5, 1], 5, HigherIsBetter, 2, Some(0.5), 5.0), // beats one of three, ties with one
            (vec![9, 5, 5, 1], 1, HigherIsBetter, 4, Some(0.0), 5.0),
            (vec![2, 2, 2], 2, HigherIsBetter, 1, Some(0.5), 2.0),
            (vec![1, 2, 4, 9, 9], 4, HigherIsBetter, 3, Some(0.5), 4.0),
        ] {
            let mine = Ratio::whole(Quantity::Count(mine));
            let found = Ranking::new(counts(&all), direction).position(&mine).expect("there are peers");
            assert_eq!((found.rank, found.percentile), (rank, percentile), "{all:?}");
            assert_eq!(found.median.quotient(), middle, "{all:?}");
            assert_eq!(found.peer_count, all.len() as i64);
        }
        // Equal rates of other terms: which of them is the median doesn't hang on how they came.
        let rates = |order: [i64; 3]| -> Vec<Ratio> {
            order.map(|n| Ratio::new(Quantity::Count(n), 2 * n).expect("above 0")).into()
        };
        for order in [[1, 2, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
            let found = Ranking::new(rates(order), HigherIsBetter).position(&rates(order)[0]);
            let expected = Some((Quantity::Count(2), Quantity::Count(4)));
            assert_eq!(found.and_then(|position| position.median.terms()), expected);
            assert_eq!(median(rates(order)).and_then(|median| median.terms()), expected);
        }
        assert_eq!(Ranking::new(vec![], HigherIsBetter).position(&counts(&[1])[0]), None);
    }

    /// Peers come in any order: of equal figures the median has the same terms all the same.
    #[test]
    fn the_median_of_equal_figures_has_the_terms_of_none_in_particular() {
        let ratio = |(above, below)| Ratio::new(Quantity::Count(above), below).expect("below is above 0");
        for terms in [[(0, 5), (0, 3), (0, 4)], [(2, 4), (1, 2), (3, 6)], [(1, 1), (2, 4), (1, 2)]] {
            let told = |order: [usize; 3]| {
                let figures: Vec<Ratio> = order.map(|at| ratio(terms[at])).into();
                let medians = [Direction::HigherIsBetter, Direction::LowerIsBetter].map(|direction| {
                    let ranking = Ranking::new(figures.clone(), direction);
                    ranking.position(&figures[0]).expect("there are peers").median
                });
                (medians, median(figures.clone()), median(figures[..2].to_vec()))
            };
            let (medians, of_all, _) = told([0, 1, 2]);
            for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                assert_eq!((told(order).0, told(order).1), (medians, of_all), "{terms:?}");
            }
            assert_eq!(told([0, 1, 2]).2, told([1, 0, 2]).2, "of two, {terms:?}");
        }
    }
}
