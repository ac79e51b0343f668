//! KPI 3: the opportunity pipeline. Which deals are open, what they are worth, how long they are protected,
//! and what changed since an earlier date.
//!
//! Invariants:
//! 1. A fold is a sum over deals: their order means nothing.
//! 2. Stages, ages and days left each have every open deal once: their parts add up to the whole.
//! 3. A movement balances: opening + created + increased − decreased − won − lost − expired = closing.

use std::collections::BTreeMap;
use std::ops::{AddAssign, RangeInclusive, SubAssign};

use super::figure::Direction;
use super::measures::Tally;
use crate::domain::amount::{Amount, BasisPoints};
use crate::domain::calendar::Date;

pub const DIRECTION: Direction = Direction::Neither;

/// The ages of open deals, in days; the last has no end.
pub const AGE_DAYS: [RangeInclusive<i32>; 5] = [0..=30, 31..=60, 61..=90, 91..=180, 181..=i32::MAX];

/// The days until protection ends; the last has no end.
pub const DAYS_LEFT: [RangeInclusive<i32>; 6] = [1..=7, 8..=14, 15..=30, 31..=60, 61..=90, 91..=i32::MAX];

/// A deal that is open on some date, as it stood then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenDeal {
    pub opened_on: Date,
    /// None: without a limit.
    pub expires_on: Option<Date>,
    pub expected_close_on: Option<Date>,
    /// The subject's part, in the reporting currency. None: not known.
    pub amount: Option<Amount>,
    /// The deal's own, else its stage's.
    pub probability: Option<BasisPoints>,
}

/// Open deals and what they are worth, also by how likely they are to be won.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worth {
    pub deals: Tally,
    /// Σ amount · probability: ten-thousandths times basis points, exact.
    pub weighted_e8: i128,
    /// Those of which no probability is known: they weigh nothing.
    pub unweighted: Tally,
}

/// The deals that are open on a date.
///
/// Definition: opened on or before the date and not ended on or before it; the amount is the sum of those
/// that are known, the weighted amount Σ amount · probability (the deal's, else its stage's).
/// Unit: deals, and money of the reporting currency at the rates of the date.
/// Never absent: no open deal is 0.
/// Source: docs/kpis.md, section 6, KPI 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineFold<S> {
    pub open: Worth,
    pub stages: BTreeMap<S, Worth>,
    /// By [`AGE_DAYS`].
    pub ages: [Tally; AGE_DAYS.len()],
    /// Those that were expected to close before the date.
    pub overdue: Tally,
    pub protection: Protection,
}

/// Open deals while they are summed up. There may be millions: each is added to two sums, of those that are as likely
/// to be won and of those of the same timing, and all that is told of them is told from these.
#[derive(Clone, Debug)]
pub struct PipelineSum {
    as_of: Date,
    expiring_days: i32,
    /// By the number of what a deal's chance is told from.
    by_odds: Vec<Tally>,
    /// By [`Timing::place`].
    by_timing: Vec<Tally>,
    /// What came by single facts.
    ages: [Tally; AGE_DAYS.len()],
    overdue: Tally,
    protection: Protection,
}

/// What an open deal's dates say of it on a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Timing {
    /// A place in [`AGE_DAYS`].
    age: usize,
    protection: ProtectionLeft,
    is_overdue: bool,
    is_expiring: bool,
    expires_before_close: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProtectionLeft {
    Unlimited,
    Past,
    /// A place in [`DAYS_LEFT`].
    Days(usize),
}

/// For how long open deals are protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// By [`DAYS_LEFT`].
    pub days_left: [Tally; DAYS_LEFT.len()],
    pub unlimited: Tally,
    /// Past their expiry and open nonetheless, since they were closed later.
    pub past: Tally,
    /// Those that expire within the days asked for.
    pub expiring: Tally,
    /// Those that will expire before they are expected to close.
    pub before_expected_close: Tally,
}

/// Open deals that expire within so many days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expiring {
    pub deals: Tally,
    /// Σ amount · probability: ten-thousandths times basis points.
    pub weighted_e8: i128,
}

/// How a deal left the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    Won,
    Lost,
    Expired,
}

/// What became of one deal between two dates. Amounts as they were known at that end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// Open at both ends.
    Stayed { opening: Option<Amount>, closing: Option<Amount> },
    /// Open at the later end only.
    Came { closing: Option<Amount> },
    /// Open at the earlier end only.
    Left { departure: Departure, opening: Option<Amount> },
    /// Opened and ended in between.
    Passed { departure: Departure, amount: Option<Amount> },
}

/// Deals by how they left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Departures {
    pub won: Tally,
    pub lost: Tally,
    pub expired: Tally,
}

/// What changed in the pipeline between two dates.
///
/// Definition: opening + created + increased − decreased − won − lost − expired = closing. A deal open at
/// both ends is increased or decreased by the difference; one open only at the end is created at its
/// closing amount; one open only at the start has left at its opening amount. An unknown amount is 0. The
/// counts of increased and decreased say how many deals changed and are outside the balance.
/// Unit: deals, and money of the reporting currency at the rates of the later date.
/// Never absent: where nothing is open, all is 0.
/// Source: docs/kpis.md, section 6, KPI 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Movement {
    pub opening: Tally,
    pub created: Tally,
    pub increased: Tally,
    pub decreased: Tally,
    pub left: Departures,
    pub closing: Tally,
    /// Opened and ended in between: at neither end, and outside the balance.
    pub in_between: Departures,
}

// === impl Worth ===

impl Worth {
    /// Adds a deal. An amount of None isn't known, and neither is such a probability.
    pub fn add(&mut self, amount: Option<Amount>, probability: Option<BasisPoints>) {
        *self += Self::of(Tally::of(amount), probability);
    }

    /// Deals of one probability.
    fn of(deals: Tally, probability: Option<BasisPoints>) -> Self {
        match probability {
            Some(bps) => {
                let weighted_e8 = deals.amount_e4 * i128::from(bps.get());
                Self { deals, weighted_e8, unweighted: Tally::default() }
            }
            None => Self { deals, weighted_e8: 0, unweighted: deals },
        }
    }
}

impl AddAssign for Worth {
    fn add_assign(&mut self, other: Self) {
        self.deals += other.deals;
        self.weighted_e8 += other.weighted_e8;
        self.unweighted += other.unweighted;
    }
}
impl SubAssign for Worth {
    fn sub_assign(&mut self, other: Self) {
        self.deals -= other.deals;
        self.weighted_e8 -= other.weighted_e8;
        self.unweighted -= other.unweighted;
    }
}

// === impl ProtectionLeft ===

impl ProtectionLeft {
    const COUNT: usize = 2 + DAYS_LEFT.len();

    fn of(days_left: Option<i32>) -> Self {
        match days_left {
            None => Self::Unlimited,
            Some(..1) => Self::Past,
            Some(days_left) => Self::Days(place_of(days_left, &DAYS_LEFT)),
        }
    }

    fn place(self) -> usize {
        match self {
            Self::Unlimited => 0,
            Self::Past => 1,
            Self::Days(at) => 2 + at,
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        [Self::Unlimited, Self::Past].into_iter().chain((0..DAYS_LEFT.len()).map(Self::Days))
    }
}

/// In which of these ranges a number lies that isn't below them: they follow each other, and the last has no end.
#[inline]
fn place_of<const N: usize>(days: i32, ranges: &[RangeInclusive<i32>; N]) -> usize {
    ranges[..N - 1].iter().filter(|range| days > *range.end()).count()
}

// === impl Timing ===

impl Timing {
    const COUNT: usize = AGE_DAYS.len() * ProtectionLeft::COUNT * 8;

    fn place(self) -> usize {
        let Self { age, protection, is_overdue, is_expiring, expires_before_close } = self;
        let marks =
            usize::from(is_overdue) << 2 | usize::from(is_expiring) << 1 | usize::from(expires_before_close);
        (age * ProtectionLeft::COUNT + protection.place()) << 3 | marks
    }

    fn all() -> impl Iterator<Item = Self> {
        let protected = |age| ProtectionLeft::all().map(move |protection| (age, protection));
        (0..AGE_DAYS.len()).flat_map(protected).flat_map(|(age, protection)| {
            (0..8).map(move |marks| Self {
                age,
                protection,
                is_overdue: marks & 4 != 0,
                is_expiring: marks & 2 != 0,
                expires_before_close: marks & 1 != 0,
            })
        })
    }
}

// === impl PipelineSum ===

impl PipelineSum {
    /// Nothing yet, on `as_of`; what expires within `expiring_days` is told apart.
    pub fn new(as_of: Date, expiring_days: i32) -> Self {
        Self {
            as_of,
            expiring_days,
            by_odds: Vec::new(),
            by_timing: vec![Tally::default(); Timing::COUNT],
            ages: Default::default(),
            overdue: Tally::default(),
            protection: Protection::default(),
        }
    }

    /// Adds a deal that is open on the date. Its odds are a small number that [`Self::fold`] asks about.
    #[inline]
    pub fn add(&mut self, odds: usize, deal: &OpenDeal) {
        let tally = Tally::of(deal.amount);
        self.add_odds(odds, tally);
        let place = self.timing(deal).place();
        self.by_timing[place] += tally;
    }

    /// Adds deals by one fact: to be added by each of the others, too.
    #[inline]
    pub fn add_odds(&mut self, odds: usize, deals: Tally) {
        if odds >= self.by_odds.len() {
            self.by_odds.resize(odds + 1, Tally::default());
        }
        self.by_odds[odds] += deals;
    }

    /// By their opening.
    pub fn add_opened(&mut self, opened_on: Date, deals: Tally) {
        self.ages[place_of(self.as_of.days_since(opened_on), &AGE_DAYS)] += deals;
    }

    /// By when they are expected to close: those of which that is known.
    pub fn add_expected(&mut self, expected_close_on: Date, deals: Tally) {
        if expected_close_on < self.as_of {
            self.overdue += deals;
        }
    }

    /// By when their protection ends. None: never.
    pub fn add_protected(&mut self, expires_on: Option<Date>, deals: Tally) {
        let days_left = expires_on.map(|on| on.days_since(self.as_of));
        *self.protection.of(ProtectionLeft::of(days_left)) += deals;
        if self.is_expiring(days_left) {
            self.protection.expiring += deals;
        }
    }

    /// By when their protection ends: those that are expected to close after that.
    pub fn add_expected_after_expiry(&mut self, expires_on: Date, deals: Tally) {
        if expires_on > self.as_of {
            self.protection.before_expected_close += deals;
        }
    }

    fn is_expiring(&self, days_left: Option<i32>) -> bool {
        days_left.is_some_and(|left| 1 <= left && left <= self.expiring_days)
    }

    #[inline]
    fn timing(&self, deal: &OpenDeal) -> Timing {
        let days_left = deal.expires_on.map(|on| on.days_since(self.as_of));
        let expected_close_on = deal.expected_close_on.unwrap_or(Date::NEVER);
        let is_protected = days_left.is_some_and(|left| left >= 1);
        let expires_before_close = is_protected
            && deal.expected_close_on.is_some()
            && deal.expires_on.is_some_and(|expires_on| expires_on < expected_close_on);
        Timing {
            age: place_of(self.as_of.days_since(deal.opened_on), &AGE_DAYS),
            protection: ProtectionLeft::of(days_left),
            is_overdue: expected_close_on < self.as_of,
            is_expiring: self.is_expiring(days_left),
            expires_before_close,
        }
    }

    /// All of it, with the stage and the probability that odds stand for.
    pub fn fold<S: Ord>(self, odds: impl Fn(usize) -> (S, Option<BasisPoints>)) -> PipelineFold<S> {
        let mut fold = PipelineFold {
            open: Worth::default(),
            stages: BTreeMap::new(),
            ages: self.ages,
            overdue: self.overdue,
            protection: self.protection,
        };
        for (number, deals) in self.by_odds.into_iter().enumerate().filter(|(_, deals)| deals.count != 0) {
            let (stage, probability) = odds(number);
            let worth = Worth::of(deals, probability);
            fold.open += worth;
            *fold.stages.entry(stage).or_default() += worth;
        }
        for timing in Timing::all() {
            fold.add_timed(timing, self.by_timing[timing.place()]);
        }
        fold
    }
}

// === impl PipelineFold ===

impl<S> PipelineFold<S> {
    fn add_timed(&mut self, timing: Timing, deals: Tally) {
        let Timing { age, protection, is_overdue, is_expiring, expires_before_close } = timing;
        self.ages[age] += deals;
        *self.protection.of(protection) += deals;
        for (holds, sum) in [
            (is_overdue, &mut self.overdue),
            (is_expiring, &mut self.protection.expiring),
            (expires_before_close, &mut self.protection.before_expected_close),
        ] {
            if holds {
                *sum += deals;
            }
        }
    }
}

// === impl Protection ===

impl Protection {
    fn of(&mut self, left: ProtectionLeft) -> &mut Tally {
        match left {
            ProtectionLeft::Unlimited => &mut self.unlimited,
            ProtectionLeft::Past => &mut self.past,
            ProtectionLeft::Days(at) => &mut self.days_left[at],
        }
    }
}

// === impl Departures ===

impl Departures {
    fn add(&mut self, departure: Departure, tally: Tally) {
        match departure {
            Departure::Won => self.won += tally,
            Departure::Lost => self.lost += tally,
            Departure::Expired => self.expired += tally,
        }
    }
}

// === impl Movement ===

impl Movement {
    /// Adds deals that were open at both ends, and worth the same.
    pub fn add_unchanged(&mut self, deals: Tally) {
        self.opening += deals;
        self.closing += deals;
    }

    /// Adds deals that are open at the later end only.
    pub fn add_created(&mut self, deals: Tally) {
        self.created += deals;
        self.closing += deals;
    }

    pub fn add(&mut self, passage: Passage) {
        match passage {
            Passage::Stayed { opening, closing } => {
                let (opening, closing) = (Tally::of(opening), Tally::of(closing));
                self.opening += opening;
                self.closing += closing;
                let difference_e4 = closing.amount_e4 - opening.amount_e4;
                let change = Tally {
                    count: 1,
                    priced_count: opening.priced_count.min(closing.priced_count),
                    amount_e4: difference_e4.abs(),
                };
                match difference_e4 {
                    0 => {}
                    1.. => self.increased += change,
                    _ => self.decreased += change,
                }
            }
            Passage::Came { closing } => self.add_created(Tally::of(closing)),
            Passage::Left { departure, opening } => {
                self.opening += Tally::of(opening);
                self.left.add(departure, Tally::of(opening));
            }
            Passage::Passed { departure, amount } => self.in_between.add(departure, Tally::of(amount)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::calendar::date;

    fn amount(units: i64) -> Option<Amount> {
        Some(Amount::try_from_e4(units * 10_000).unwrap())
    }

    fn worth(count: i64, units: i64) -> Tally {
        Tally { count, priced_count: count, amount_e4: i128::from(units) * 10_000 }
    }

    fn bps(bps: i64) -> Option<BasisPoints> {
        Some(BasisPoints::try_new(bps).unwrap())
    }

    fn open(opened: &str, units: i64) -> OpenDeal {
        OpenDeal {
            opened_on: date(opened),
            expires_on: None,
            expected_close_on: None,
            amount: amount(units),
            probability: None,
        }
    }

    /// The open deals of the worked example.
    fn example() -> [OpenDeal; 4] {
        let d4 = OpenDeal {
            probability: bps(5_000),
            expires_on: Some(date("2024-04-10")),
            expected_close_on: Some(date("2024-04-15")),
            ..open("2024-03-10", 1_000)
        };
        let d7 = OpenDeal { probability: bps(2_500), ..open("2024-03-18", 2_000) };
        let d9 = OpenDeal { probability: bps(2_000), ..open("2024-02-05", 1_500) };
        [d4, d7, open("2024-03-02", 700), d9]
    }

    /// Deals that are open on a date, of which those that expire within 14 days are told apart.
    fn fold(as_of: &str, deals: &[OpenDeal]) -> PipelineFold<bool> {
        let mut sum = PipelineSum::new(date(as_of), 14);
        deals.iter().enumerate().for_each(|(number, deal)| sum.add(number, deal));
        sum.fold(|number| (deals[number].probability.is_some(), deals[number].probability))
    }

    #[test]
    fn pipeline_by_hand() {
        let fold = fold("2024-03-31", &example());
        assert_eq!(fold.open.deals, worth(4, 5_200));
        assert_eq!(fold.open.weighted_e8, 1_300 * 100_000_000);
        assert_eq!(fold.open.unweighted, worth(1, 700));
        assert_eq!(fold.ages, [worth(3, 3_700), worth(1, 1_500), worth(0, 0), worth(0, 0), worth(0, 0)]);
        assert_eq!(fold.overdue, worth(0, 0));
        assert_eq!(fold.protection.days_left[1], worth(1, 1_000), "ten days");
        assert_eq!(fold.protection.unlimited, worth(3, 4_200));
        assert_eq!(fold.protection.expiring, worth(1, 1_000));
        assert_eq!(fold.protection.before_expected_close, worth(1, 1_000));
        assert_eq!(
            fold.stages[&false],
            Worth { deals: worth(1, 700), weighted_e8: 0, unweighted: worth(1, 700) }
        );
        assert_eq!(fold.stages[&true].deals, worth(3, 4_500));
    }

    #[test]
    fn an_empty_pipeline_is_nothing() {
        let fold = fold("2024-03-31", &[]);
        assert_eq!((fold.open, fold.stages.len()), (Worth::default(), 0));
    }

    #[test]
    fn a_deal_without_an_amount_counts_and_weighs_nothing() {
        let deal = OpenDeal { amount: None, probability: bps(10_000), ..open("2024-03-01", 0) };
        let fold = fold("2024-03-31", &[deal]);
        assert_eq!(fold.open.deals, Tally { count: 1, priced_count: 0, amount_e4: 0 });
        assert_eq!((fold.open.weighted_e8, fold.open.unweighted), (0, Tally::default()));
    }

    #[test]
    fn ages_and_days_left_by_hand() {
        // days since the opening, bucket
        for (age_days, bucket) in
            [(0, 0), (30, 0), (31, 1), (60, 1), (61, 2), (90, 2), (91, 3), (180, 3), (181, 4)]
        {
            let opened_on = date("2024-03-31").plus_days(-age_days);
            let fold = fold("2024-03-31", &[OpenDeal { opened_on, ..open("2024-03-31", 1) }]);
            assert_eq!(fold.ages.map(|tally| tally.count).iter().position(|&count| count == 1), Some(bucket));
        }
        // days left, bucket or past it, whether within 14 days, whether before a close expected in 20 days
        for (days_left, bucket, expiring, before_expected) in [
            (-5, None, 0, 0),
            (0, None, 0, 0),
            (1, Some(0), 1, 1),
            (7, Some(0), 1, 1),
            (8, Some(1), 1, 1),
            (14, Some(1), 1, 1),
            (15, Some(2), 0, 1),
            (19, Some(2), 0, 1),
            (20, Some(2), 0, 0), // on the very day
            (31, Some(3), 0, 0),
            (61, Some(4), 0, 0),
            (91, Some(5), 0, 0),
        ] {
            let on = |days| Some(date("2024-03-31").plus_days(days));
            let dates =
                OpenDeal { expires_on: on(days_left), expected_close_on: on(20), ..open("2024-03-01", 1) };
            let fold = fold("2024-03-31", &[dates]);
            let found = fold.protection.days_left.iter().position(|tally| tally.count == 1);
            assert_eq!(found, bucket, "{days_left} days left");
            assert_eq!(fold.protection.past.count, i64::from(bucket.is_none()));
            assert_eq!(fold.protection.expiring.count, expiring);
            assert_eq!(fold.protection.before_expected_close.count, before_expected);
        }
        // expected on the day itself is not overdue yet
        for (expected, overdue) in [("2024-03-30", 1), ("2024-03-31", 0)] {
            let expected_close_on = Some(date(expected));
            let fold = fold("2024-03-31", &[OpenDeal { expected_close_on, ..open("2024-03-01", 1) }]);
            assert_eq!(fold.overdue.count, overdue);
        }
    }

    #[test]
    fn no_two_timings_share_a_place() {
        let places: Vec<usize> = Timing::all().map(Timing::place).collect();
        assert_eq!(places, (0..Timing::COUNT).collect::<Vec<_>>());
    }

    /// The tenant of the worked example, since 29 February.
    #[test]
    fn movement_by_hand() {
        use Departure::{Expired, Lost, Won};
        let mut movement = Movement::default();
        for passage in [
            Passage::Left { departure: Won, opening: amount(200) }, // d1
            Passage::Passed { departure: Won, amount: amount(400) }, // d2
            Passage::Left { departure: Lost, opening: amount(300) }, // d3
            Passage::Came { closing: amount(1_000) },               // d4
            Passage::Passed { departure: Won, amount: amount(900) }, // d5
            Passage::Left { departure: Expired, opening: amount(500) }, // d6
            Passage::Came { closing: amount(2_000) },               // d7
            Passage::Came { closing: amount(700) },                 // d8
            Passage::Stayed { opening: amount(1_200), closing: amount(1_500) }, // d9
        ] {
            movement.add(passage);
        }
        let expected = Movement {
            opening: worth(4, 2_200),
            created: worth(3, 3_700),
            increased: worth(1, 300),
            decreased: worth(0, 0),
            left: Departures { won: worth(1, 200), lost: worth(1, 300), expired: worth(1, 500) },
            closing: worth(4, 5_200),
            in_between: Departures { won: worth(2, 1_300), ..Departures::default() },
        };
        assert_eq!(movement, expected);
    }

    fn any_passage() -> impl Strategy<Value = Passage> {
        let amount =
            || proptest::option::of((0..=Amount::MAX.e4()).prop_map(|e4| Amount::try_from_e4(e4).unwrap()));
        let departure = || prop_oneof![Just(Departure::Won), Just(Departure::Lost), Just(Departure::Expired)];
        prop_oneof![
            (amount(), amount()).prop_map(|(opening, closing)| Passage::Stayed { opening, closing }),
            amount().prop_map(|closing| Passage::Came { closing }),
            (departure(), amount()).prop_map(|(departure, opening)| Passage::Left { departure, opening }),
            (departure(), amount()).prop_map(|(departure, amount)| Passage::Passed { departure, amount }),
        ]
    }

    proptest! {
        #[test]
        fn a_movement_balances(passages in proptest::collection::vec(any_passage(), 0..40)) {
            let mut movement = Movement::default();
            passages.into_iter().for_each(|passage| movement.add(passage));
            let Movement { opening, created, increased, decreased, left, closing, .. } = movement;
            let Departures { won, lost, expired } = left;
            prop_assert_eq!(
                opening.amount_e4 + created.amount_e4 + increased.amount_e4 - decreased.amount_e4
                    - won.amount_e4 - lost.amount_e4 - expired.amount_e4,
                closing.amount_e4
            );
            prop_assert_eq!(opening.count + created.count - won.count - lost.count - expired.count, closing.count);
        }
    }
}
