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
        let &Self { event, on, other_on, is_prospect, .. } = self;
        let is_by_channel = self.traits.channel.is_some();
        Happened { event, on, other_on, is_prospect, is_by_channel, amount }.measures()
    }
}

/// What happened, as far as sums count it.
#[derive(Clone, Copy, Debug)]
pub struct Happened {
    pub event: Event,
    pub on: Date,
    pub other_on: Date,
    pub is_prospect: bool,
    /// Whether it came by a marketing channel.
    pub is_by_channel: bool,
    /// Of money, where that is known.
    pub amount: Option<Amount>,
}

/// The end of a deal.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub outcome: Outcome,
    pub deal: Tally,
    pub day_number: i64,
    pub cycle_days: i64,
    pub is_same_day: bool,
    pub is_by_channel: bool,
}

/// What events are added to: measures, or whatever holds some of them. There are millions of events, and each
/// changes few sums.
pub trait EventSums {
    fn deal_opened(&mut self, deal: Tally, day_number: i64);
    fn deal_ended(&mut self, ended: &Ended);
    fn lead_created(&mut self, is_by_channel: bool);
    fn lead_converted(&mut self);
    fn lead_disqualified(&mut self);
    fn prospect_came(&mut self);
    fn prospect_purchased(&mut self);
    fn prospect_lost(&mut self);
}

// === impl Happened ===

impl Happened {
    /// Adds what the event adds to its day.
    #[inline]
    pub fn add_to(&self, sums: &mut impl EventSums) {
        let &Self { event, on, other_on, is_prospect, is_by_channel, amount } = self;
        match event {
            Event::DealOpened(_) => {
                sums.deal_opened(Tally::of(amount), i64::from(on.day_number()));
                if is_prospect {
                    sums.prospect_came();
                }
            }
            Event::DealEnded(Outcome::Open) => {}
            Event::DealEnded(outcome) => {
                sums.deal_ended(&Ended {
                    outcome,
                    deal: Tally::of(amount),
                    day_number: i64::from(on.day_number()),
                    cycle_days: i64::from(on.days_since(other_on)),
                    is_same_day: on == other_on,
                    is_by_channel,
                });
                match outcome {
                    _ if !is_prospect => {}
                    Outcome::Won => sums.prospect_purchased(),
                    _ => sums.prospect_lost(),
                }
            }
            Event::LeadCreated(_) => {
                sums.lead_created(is_by_channel);
                sums.prospect_came();
            }
            Event::LeadConverted => sums.lead_converted(),
            Event::LeadDisqualified => sums.lead_disqualified(),
            Event::ProspectEnded(ProspectOutcome::Unresolved) => {}
            Event::ProspectEnded(ProspectOutcome::Purchased) => sums.prospect_purchased(),
            Event::ProspectEnded(ProspectOutcome::Lost) => sums.prospect_lost(),
        }
    }

    pub fn measures(&self) -> Measures {
        let mut measures = Measures::default();
        self.add_to(&mut measures);
        measures
    }
}

// === impl Measures ===

impl EventSums for Measures {
    fn deal_opened(&mut self, deal: Tally, day_number: i64) {
        self.opened += deal;
        self.opened_day_numbers += day_number;
    }

    fn deal_ended(&mut self, ended: &Ended) {
        let &Ended { outcome, deal, day_number, cycle_days, is_same_day, is_by_channel } = ended;
        self.ended_day_numbers += day_number;
        self.same_day_count += i64::from(is_same_day);
        match outcome {
            Outcome::Open => {}
            Outcome::Won => {
                self.won += deal;
                self.cycle_days += cycle_days;
                self.same_day_won_count += i64::from(is_same_day);
                if is_by_channel {
                    self.channel_won += deal;
                }
            }
            Outcome::Lost => self.lost += deal,
            Outcome::LostToCompetitor => {
                self.lost += deal;
                self.lost_to_competitor_count += 1;
            }
            Outcome::Expired => self.expired += deal,
        }
    }

    fn lead_created(&mut self, is_by_channel: bool) {
        self.lead_count += 1;
        self.channel_lead_count += i64::from(is_by_channel);
    }

    fn lead_converted(&mut self) {
        self.converted_lead_count += 1;
    }

    fn lead_disqualified(&mut self) {
        self.disqualified_lead_count += 1;
    }

    fn prospect_came(&mut self) {
        self.prospect_count += 1;
    }

    fn prospect_purchased(&mut self) {
        self.purchased_count += 1;
    }

    fn prospect_lost(&mut self) {
        self.lost_prospect_count += 1;
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
