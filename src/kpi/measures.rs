//! Measures: the sums that KPIs are told from (docs/kpis.md §5).
//!
//! Invariants:
//! 1. Measures add and subtract without loss: taking out what was put in restores every bit.
//! 2. `priced_count` counts those of `count` whose amount is known in the reporting currency;
//!    `amount_e4` is their sum, in ten-thousandths.
//! 3. Everything is dated: the measures of a window are those of its days, added.

use std::ops::{AddAssign, SubAssign};

use crate::domain::amount::Amount;
use crate::domain::calendar::DateRange;

/// So many deals and what they are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub count: i64,
    pub priced_count: i64,
    pub amount_e4: i128,
}

macro_rules! measures {
    ($($(#[doc = $about:literal])* $name:ident: $type:ty,)+) => {
        /// What happened to a subject's deals, leads and prospects in a window.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Measures {
            $($(#[doc = $about])* pub $name: $type,)+
        }

        impl AddAssign for Measures {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)+
            }
        }
        impl SubAssign for Measures {
            fn sub_assign(&mut self, other: Self) {
                $(self.$name -= other.$name;)+
            }
        }
    };
}

measures! {
    /// Deals by the date of their opening.
    opened: Tally,
    /// Σ of their dates, as day numbers.
    opened_day_numbers: i64,
    /// Deals by the date of their ends.
    won: Tally,
    lost: Tally,
    expired: Tally,
    /// Of the lost ones, those that name the competitor.
    lost_to_competitor_count: i64,
    /// Σ of the dates of all ends, as day numbers.
    ended_day_numbers: i64,
    /// Deals that ended on the day on which they were opened, by that day.
    same_day_count: i64,
    /// Of the won ones.
    same_day_won_count: i64,
    /// Σ (closed_on − opened_on) of deals won.
    cycle_days: i64,
    /// Leads by the date of their creation.
    lead_count: i64,
    /// Leads by the date of their conversion.
    converted_lead_count: i64,
    /// Leads by the date of their disqualification.
    disqualified_lead_count: i64,
    /// Prospects by the date on which they came.
    prospect_count: i64,
    /// Prospects by the date of their first purchase.
    purchased_count: i64,
    /// Prospects by the date on which they were lost.
    lost_prospect_count: i64,
    /// Of the deals won, those that came by a marketing channel.
    channel_won: Tally,
    /// Of the leads created.
    channel_lead_count: i64,
}

// === impl Tally ===

impl Tally {
    /// One deal and its amount, where that is known.
    pub fn of(amount: Option<Amount>) -> Self {
        Self {
            count: 1,
            priced_count: i64::from(amount.is_some()),
            amount_e4: amount.map_or(0, |amount| i128::from(amount.e4())),
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.priced_count += other.priced_count;
        self.amount_e4 += other.amount_e4;
    }
}
impl SubAssign for Tally {
    fn sub_assign(&mut self, other: Self) {
        self.count -= other.count;
        self.priced_count -= other.priced_count;
        self.amount_e4 -= other.amount_e4;
    }
}

// === impl Measures ===

impl Measures {
    /// Deals that came to an end.
    pub fn ended_count(&self) -> i64 {
        self.won.count + self.lost.count + self.expired.count
    }

    /// Deals that are open at the end of the days that these are the measures of, where those begin before
    /// the first deal was opened.
    pub fn open_count(&self) -> i64 {
        self.opened.count - self.ended_count()
    }

    /// Days on which a deal was open, summed over the deals; one that was opened and ended on one day
    /// counts one. `self` are the measures of `dates`, before which `open_before_count` deals were open.
    pub fn work_days(&self, open_before_count: i64, dates: DateRange) -> i64 {
        let to = i64::from(dates.to.day_number());
        let opened_to_end = self.opened.count * to - self.opened_day_numbers;
        let ended_to_end = self.ended_count() * to - self.ended_day_numbers;
        open_before_count * i64::from(dates.days()) + opened_to_end - ended_to_end + self.same_day_count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::calendar::{Date, date};

    /// The measures of deals opened and ended on these dates that fall into `dates`.
    fn measures(deals: &[(&str, &str)], dates: DateRange) -> Measures {
        let mut measures = Measures::default();
        for (opened, ended) in deals {
            let (opened, ended) = (date(opened), date(ended));
            if dates.contains(opened) {
                measures.opened.count += 1;
                measures.opened_day_numbers += i64::from(opened.day_number());
            }
            if dates.contains(ended) {
                measures.lost.count += 1;
                measures.ended_day_numbers += i64::from(ended.day_number());
                measures.same_day_count += i64::from(opened == ended);
            }
        }
        measures
    }

    #[test]
    fn work_days_by_hand() {
        let march = DateRange { from: date("2024-03-01"), to: date("2024-04-01") };
        let earlier = DateRange { from: Date::FIRST, to: march.from };
        for (deals, expected) in [
            (vec![("2024-02-01", "2024-05-01")], 31), // open all through
            (vec![("2024-03-30", "2024-05-01")], 2),  // from the 30th on
            (vec![("2024-02-01", "2024-03-03")], 2),  // the 1st and 2nd
            (vec![("2024-03-10", "2024-03-10")], 1),  // a day's deal
            (vec![("2024-02-10", "2024-02-10")], 0),  // that of another month
            (vec![("2024-02-01", "2024-02-20"), ("2024-04-01", "2024-04-09")], 0),
            (vec![("2024-02-01", "2024-03-03"), ("2024-03-05", "2024-03-15")], 12),
        ] {
            let (now, before) = (measures(&deals, march), measures(&deals, earlier));
            assert_eq!(now.work_days(before.open_count(), march), expected, "{deals:?}");
        }
    }
}
