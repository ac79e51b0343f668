//! The mistakes of other systems that docs/kpis.md §11 lists: a test each, which fails when the mistake is made.
//!
//! By subject: `time` (the comparison window a day short, the boundary instant in both windows, won value dated by
//! creation, months grouped by name across years, growth from 0, a cohort beside an older one), `money` (currencies
//! added as they are, a rate of another pair, a missing rate taken as 1, an average over deals without an amount) and
//! `deals` (lost deals in the forecast, lost or archived ones missing from rates, stages counted by events, a shared
//! deal in full for everyone or once per joined row). Pages of a list that skip or repeat a row at the boundary, and
//! cohorts once more, are asked for over a socket: tests/scorecard_pages.rs, tests/time.rs.

mod deals;
mod money;
mod time;

use super::Book;
use super::histories::{
    apply, book_of_records as book, currency, days, id, noon, plain_deal, plain_settings, scope,
};
use crate::domain::amount::{Amount, BasisPoints, Money};
use crate::domain::calendar::{DateRange, Instant, date};
use crate::domain::exchange::{Rate, RateKey};
use crate::domain::premises::RatesOn;
use crate::domain::record::{Credit, Credits, Deal, DealStatus, Record, Role, State, Version, VersionKey};
use crate::domain::subject::Subject;
use crate::domain::window::{Window, WindowSpec};
use crate::kpi::measures::{Measures, Tally};
use crate::kpi::pipeline::Worth;

fn measures(book: &Book, subject: &Subject, dates: DateRange) -> Measures {
    book.fold(&scope(book, subject).expect("a known subject"), dates, RatesOn::OwnDay).measures
}

fn tenant(book: &Book, window: &str) -> Measures {
    measures(book, &Subject::Tenant, days(window))
}

fn partner(partner: &str, include_sub_partners: bool) -> Subject {
    Subject::Partner { partner: id(partner), include_sub_partners }
}

fn sent(deal_id: &str, deal: Deal) -> Record {
    Record::Deal(id(deal_id), State::Present(deal))
}

fn won(on: &str) -> Deal {
    plain_deal(noon(on), DealStatus::Won(noon(on)))
}

fn open(on: &str) -> Deal {
    plain_deal(noon(on), DealStatus::Open)
}

fn worth(units: i64, code: &str) -> Option<Money> {
    Some(Money { amount: Amount::try_from_e4(units * 10_000).unwrap(), currency: currency(code) })
}

fn rate(from: &str, to: &str, on: &str, rate: &str) -> Record {
    let key = RateKey { from: currency(from), to: currency(to), on: date(on) };
    Record::Rate(key, State::Present(Rate::parse(rate).unwrap()))
}

fn credits(credits: &[(Role, &str, i64)]) -> Credits {
    let credit = |&(role, partner, bps): &(Role, &str, i64)| Credit {
        role,
        partner: id(partner),
        share: Some(BasisPoints::try_new(bps).unwrap()),
    };
    Credits::try_new(credits.iter().map(credit).collect()).unwrap()
}

fn tally(count: i64, priced_count: i64, units: i64) -> Tally {
    Tally { count, priced_count, amount_e4: i128::from(units) * 10_000 }
}

/// The tenant's open deals.
fn pipeline(book: &Book, as_of: &str) -> Worth {
    let scope = scope(book, &Subject::Tenant).expect("the tenant is known");
    book.pipeline(&scope, &[], date(as_of), date(as_of), 0).found.open
}

fn window(dates: &str, as_of: &str) -> Window {
    let spec = WindowSpec::Dates(days(dates));
    spec.resolve(date(as_of), &plain_settings().period_starts()).expect("in range")
}
