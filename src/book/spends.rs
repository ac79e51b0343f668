//! Spends by their days: those that a window touches are found without a walk over all.
//!
//! Invariant: these are the current versions that aren't deleted, told anew when one comes.

use std::collections::HashMap;

use super::packed::{ChannelRef, Dictionary};
use super::records::Shelf;
use crate::domain::amount::{Amount, Money};
use crate::domain::calendar::{Date, DateRange};
use crate::domain::ids::{PartnerId, SpendId};
use crate::domain::record::Spend;

#[derive(Default)]
pub(super) struct Spends {
    all: ByDays,
    /// Of those that name a partner.
    by_partner: HashMap<PartnerId, ByDays>,
}

/// What was spent on a channel, in equal parts on each of its days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spent {
    pub channel: ChannelRef,
    pub dates: DateRange,
    pub amount: Money,
}

/// By their first days.
#[derive(Default)]
struct ByDays {
    spends: Vec<Spent>,
    /// Of each, the latest end of it and those before it.
    latest_ends: Vec<Date>,
}

// === impl Spends ===

impl Spends {
    pub fn of(dictionary: &Dictionary, shelf: &Shelf<SpendId, Spend>) -> Self {
        let mut spends = Self::default();
        let current = shelf.chains().filter_map(|(_, chain)| chain.current()?.content.present());
        let mut sorted: Vec<&Spend> = current.collect();
        sorted.sort_by_key(|spend| spend.dates.from);
        for spend in sorted {
            let channel = dictionary.channels.get(spend.channel.as_str());
            let channel = channel.expect("a spend's channel is numbered as it comes");
            let spent = Spent { channel, dates: spend.dates, amount: spend.amount };
            spends.all.push(spent);
            if let Some(partner) = &spend.partner {
                spends.by_partner.entry(partner.clone()).or_default().push(spent);
            }
        }
        spends
    }

    /// Those with a day in `dates`.
    pub fn touching(&self, dates: DateRange) -> impl Iterator<Item = &Spent> {
        self.all.touching(dates)
    }

    /// Of these the ones that name a partner.
    pub fn of_partner(&self, partner: &str, dates: DateRange) -> impl Iterator<Item = &Spent> {
        self.by_partner.get(partner).into_iter().flat_map(move |spends| spends.touching(dates))
    }

    /// The partners that some name.
    pub fn partners(&self) -> impl Iterator<Item = &PartnerId> {
        self.by_partner.keys()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.spends.len()
    }
}

// === impl ByDays ===

impl ByDays {
    /// Puts one in that begins no earlier than the last.
    fn push(&mut self, spent: Spent) {
        let latest = self.latest_ends.last().map_or(spent.dates.to, |&latest| latest.max(spent.dates.to));
        self.latest_ends.push(latest);
        self.spends.push(spent);
    }

    fn touching(&self, dates: DateRange) -> impl Iterator<Item = &Spent> {
        let first = self.latest_ends.partition_point(|&end| end <= dates.from);
        let begun = self.spends[first..].iter().take_while(move |spent| spent.dates.from < dates.to);
        begun.filter(move |spent| spent.dates.to > dates.from)
    }
}

// === impl Spent ===

impl Spent {
    /// What of it falls on days of its own: whole ten-thousandths, the remainder one each to its first days.
    pub fn part_in(&self, days: DateRange) -> Amount {
        let day_count = i64::from(self.dates.days());
        let (each_e4, rest_e4) = (self.amount.amount.e4() / day_count, self.amount.amount.e4() % day_count);
        let asked_count = i64::from(days.days());
        let before_count = i64::from(days.from.days_since(self.dates.from));
        let with_one_more_count = (rest_e4 - before_count).clamp(0, asked_count);
        Amount::try_from_e4(each_e4 * asked_count + with_one_more_count).expect("a part is at most the whole")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::histories::{currency, days};
    use crate::book::names::Ref;

    fn spent(dates: &str, e4: i64) -> Spent {
        let amount = Money { amount: Amount::try_from_e4(e4).unwrap(), currency: currency("USD") };
        Spent { channel: Ref::new(0), dates: days(dates), amount }
    }

    #[test]
    fn parts_by_hand() {
        let spent = spent("2024-01-01..2024-01-05", 10); // 3, 3, 2, 2
        for (dates, expected_e4) in [
            ("2024-01-01..2024-01-02", 3),
            ("2024-01-02..2024-01-03", 3),
            ("2024-01-03..2024-01-04", 2),
            ("2024-01-02..2024-01-05", 7),
            ("2024-01-03..2024-01-05", 4),
            ("2024-01-01..2024-01-05", 10),
        ] {
            assert_eq!(spent.part_in(days(dates)).e4(), expected_e4, "{dates}");
        }
    }

    #[test]
    fn those_that_touch_a_window_by_hand() {
        let mut all = ByDays::default();
        // A long one lies before short ones that are over when it isn't.
        for dates in [
            "2024-01-01..2024-03-01",
            "2024-01-02..2024-01-05",
            "2024-01-20..2024-01-25",
            "2024-02-10..2024-02-11",
        ] {
            all.push(spent(dates, 1));
        }
        for (window, expected) in [
            ("2023-12-01..2024-01-01", vec![]),
            ("2024-01-01..2024-01-02", vec![1]),
            ("2024-01-04..2024-01-05", vec![1, 2]),
            ("2024-01-05..2024-01-20", vec![1]),
            ("2024-01-24..2024-02-11", vec![1, 20, 10]),
            ("2024-03-01..2024-04-01", vec![]),
        ] {
            let found: Vec<u32> = all.touching(days(window)).map(|spent| spent.dates.from.ymd().2).collect();
            assert_eq!(found, expected, "{window}");
        }
        assert_eq!(ByDays::default().touching(days("2024-01-01..2024-01-02")).count(), 0);
    }
}
