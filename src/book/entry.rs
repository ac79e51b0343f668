//! Entries: what records contribute to the pages, one dated event each.
//!
//! A deal contributes its opening and its end, a lead its creation, its decision, and the outcome of the
//! prospect that it is. `contribute` makes entries; a page keeps each as one row for every share in it.

use smallvec::SmallVec;

use super::packed::{ChannelRef, EmployeeRef, PartnerRef, TermRef, UnitRef};
use crate::domain::amount::{Amount, BasisPoints, Currency};
use crate::domain::calendar::Date;
use crate::domain::record::{Role, split};
use crate::kpi::measures::{Measures, Tally};

/// Something that happened to a deal or a lead on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub event: Event,
    /// The number of the deal, or of the lead for events of leads.
    pub of: u32,
    pub on: Date,
    /// Of a deal's opening the date of its end, of its end that of its opening; of a lead's events the
    /// date of its prospect's outcome, of that outcome the date of the lead. [`Date::NEVER`] where that hasn't
    /// come.
    pub other_on: Date,
    /// What the deal is worth, converted as of `on`.
    pub value: Value,
    /// Whether the deal is a prospect by itself: its lead isn't known.
    pub is_prospect: bool,
    /// Of a deal's end: how the deal stands in the pipeline until then, where one version says it.
    pub terms: Option<Terms>,
    pub traits: Traits,
    pub labels: SmallVec<[(TermRef, TermRef); 0]>,
    /// At least one.
    pub shares: SmallVec<[Share; 1]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    DealOpened(Outcome),
    DealEnded(Outcome),
    LeadCreated(ProspectOutcome),
    LeadConverted,
    LeadDisqualified,
    ProspectEnded(ProspectOutcome),
}

/// How a deal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It has no end.
    Open,
    Won,
    Lost,
    /// Lost, and the competitor is known.
    LostToCompetitor,
    Expired,
}

/// What became of a prospect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProspectOutcome {
    Unresolved,
    Purchased,
    Lost,
}

/// What a deal is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// The host sent no amount.
    Unknown,
    /// An amount in a currency that has no rate on that day, or whose conversion is out of range.
    Unconverted(Currency),
    /// An amount in the reporting currency.
    Own(Amount),
    /// An amount converted into it.
    Converted { amount: Amount, from: Currency, oldest_rate_on: Date },
}

/// What entries are filtered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    pub owner: Option<EmployeeRef>,
    /// The unit that the deal was sent with.
    pub unit: Option<UnitRef>,
    pub product: Option<TermRef>,
    pub channel: Option<ChannelRef>,
    pub region: RegionSource,
}

/// Where an entry's region is found. Partners' regions aren't part of it: they may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RegionSource {
    /// Whether that of a lead's partner, whose the entry is alone, comes first.
    pub is_lead_partners: bool,
    /// Then the region that was sent.
    pub own: Option<TermRef>,
    /// Then that of this partner, of whom the shares say nothing. None: of the one with the greatest share.
    pub other_partner: Option<PartnerRef>,
}

/// How a deal stands in the pipeline, by its current version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// From this date on until its end the deal stands so; before, earlier versions say how.
    pub since: Date,
    pub odds: Odds,
    pub expected_close: Option<Date>,
}

/// What an open deal's chance is told from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Odds {
    pub stage: Option<TermRef>,
    /// The deal's own. None: its stage's.
    pub probability: Option<BasisPoints>,
}

/// A part in a deal: a partner's credit, or the uncredited rest of what was sourced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub slot: Slot,
    pub role: Role,
    pub bps: BasisPoints,
}

/// Whose share it is: a partner's, or the uncredited rest. The rest sorts first.
pub type Slot = Option<PartnerRef>;

// === impl Event ===

impl Event {
    /// Its place among all events, in their order.
    #[inline]
    pub const fn rank(self) -> u8 {
        match self {
            Self::DealOpened(outcome) => outcome as u8,
            Self::DealEnded(outcome) => 5 + outcome as u8,
            Self::LeadCreated(outcome) => 10 + outcome as u8,
            Self::LeadConverted => 13,
            Self::LeadDisqualified => 14,
            Self::ProspectEnded(outcome) => 15 + outcome as u8,
        }
    }

    /// Whether it is the opening of a deal.
    pub fn is_opening(self) -> bool {
        matches!(self, Self::DealOpened(_))
    }

    /// Whether it is an event of a deal, not of a lead.
    pub fn is_of_deal(self) -> bool {
        matches!(self, Self::DealOpened(_) | Self::DealEnded(_))
    }
}

// === impl Share ===

impl Share {
    /// Of the credited partners of a deal the one with the greatest share, then the least id: of those who
    /// sourced it, if any did. Shares come by role in the order of their partners' ids.
    pub fn greatest(shares: &[Self]) -> Slot {
        let role = shares.iter().find(|share| share.slot.is_some())?.role;
        let of_role = shares.iter().filter(|share| share.role == role && share.slot.is_some());
        of_role.reduce(|best, share| if share.bps > best.bps { share } else { best })?.slot
    }
}

// === impl Value ===

impl Value {
    pub fn amount(&self) -> Option<Amount> {
        match *self {
            Self::Own(amount) | Self::Converted { amount, .. } => Some(amount),
            Self::Unknown | Self::Unconverted(_) => None,
        }
    }

    /// The currency from which the amount was, or would have to be, converted.
    pub fn foreign_currency(&self) -> Option<Currency> {
        match *self {
            Self::Unconverted(from) | Self::Converted { from, .. } => Some(from),
            Self::Unknown | Self::Own(_) => None,
        }
    }

    pub fn oldest_rate_on(&self) -> Option<Date> {
        match *self {
            Self::Converted { oldest_rate_on, .. } => Some(oldest_rate_on),
            _ => None,
        }
    }
}

// === impl Entry ===

impl Entry {
    /// Whether its rows lie where those of the other do, whatever they say.
    pub fn lies_like(&self, other: &Self) -> bool {
        let place = |entry: &Self| (entry.event, entry.of, entry.on);
        place(self) == place(other) && self.shares == other.shares
    }

    /// What the deal or lead adds, once: its counts, and `amount` of money.
    pub fn measures(&self, amount: Option<Amount>) -> Measures {
        let mut measures = Measures::default();
        let dates = (self.on, self.other_on);
        let is_by_channel = self.traits.channel.is_some();
        add_measures(&mut measures, self.event, dates, self.is_prospect, is_by_channel, amount);
        measures
    }
}

/// Adds what an event adds to its day. `dates` are its own, and the other one of its entry. Of all that measures
/// are, an event touches little: adding that alone is several times as fast as adding measures.
#[inline]
pub fn add_measures(
    sum: &mut Measures,
    event: Event,
    dates: (Date, Date),
    is_prospect: bool,
    is_by_channel: bool,
    amount: Option<Amount>,
) {
    let (on, other_on) = dates;
    let tally = Tally::of(amount);
    match event {
        Event::DealOpened(_) => {
            sum.opened += tally;
            sum.opened_day_numbers += i64::from(on.day_number());
            sum.prospect_count += i64::from(is_prospect);
        }
        Event::DealEnded(Outcome::Open) => {}
        Event::DealEnded(outcome) => {
            let same_day = i64::from(on == other_on);
            sum.ended_day_numbers += i64::from(on.day_number());
            sum.same_day_count += same_day;
            let ended_prospect = i64::from(is_prospect);
            match outcome {
                Outcome::Won => sum.purchased_count += ended_prospect,
                _ => sum.lost_prospect_count += ended_prospect,
            }
            match outcome {
                Outcome::Open => {}
                Outcome::Won => {
                    sum.won += tally;
                    sum.cycle_days += i64::from(on.days_since(other_on));
                    sum.same_day_won_count += same_day;
                    if is_by_channel {
                        sum.channel_won += tally;
                    }
                }
                Outcome::Lost => sum.lost += tally,
                Outcome::LostToCompetitor => {
                    sum.lost += tally;
                    sum.lost_to_competitor_count += 1;
                }
                Outcome::Expired => sum.expired += tally,
            }
        }
        Event::LeadCreated(_) => {
            sum.lead_count += 1;
            sum.prospect_count += 1;
            sum.channel_lead_count += i64::from(is_by_channel);
        }
        Event::LeadConverted => sum.converted_lead_count += 1,
        Event::LeadDisqualified => sum.disqualified_lead_count += 1,
        Event::ProspectEnded(ProspectOutcome::Purchased) => sum.purchased_count += 1,
        Event::ProspectEnded(ProspectOutcome::Lost) => sum.lost_prospect_count += 1,
        Event::ProspectEnded(ProspectOutcome::Unresolved) => {}
    }
}

/// The part of `whole` that falls to the shares that `is_asked` picks: the greatest, over the roles, of
/// what their shares make (docs/kpis.md §1, "Credit"). Shares come by role in the order of their
/// partners' ids, the uncredited rest last.
pub fn part(whole: Amount, shares: &[Share], is_asked: impl Fn(&Share) -> bool) -> Amount {
    if let [only] = shares {
        return if is_asked(only) { whole } else { Amount::ZERO };
    }
    let of_role = |role| {
        let of_role = || shares.iter().filter(move |share| share.role == role);
        if !of_role().any(&is_asked) {
            return 0;
        }
        let credited = || of_role().filter(|share| share.slot.is_some());
        let parts = split(whole, &credited().map(|share| share.bps).collect::<SmallVec<[_; 4]>>());
        let rest = whole.e4() - parts.iter().map(|part| part.e4()).sum::<i64>();
        let asked = credited().zip(&parts).filter(|(share, _)| is_asked(share));
        let rest_asked = of_role().any(|share| share.slot.is_none() && is_asked(share));
        asked.map(|(_, part)| part.e4()).sum::<i64>() + if rest_asked { rest } else { 0 }
    };
    let roles = [Role::Sourced, Role::Influenced, Role::Fulfilled];
    let greatest_e4 = roles.map(of_role).into_iter().max().unwrap_or_default();
    Amount::try_from_e4(greatest_e4).expect("parts never exceed the whole")
}
