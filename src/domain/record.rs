//! Records and their versions: what the host CRM sent, validated, and nothing derived.
//!
//! Invariants, checked where a version is parsed:
//! 1. A closed deal and a decided lead have their instant; the shares of a role sum to at most the whole.
//! 2. A deleted version keeps nothing but its id and, for partners and employees, `merged_into`.
//! 3. The canonical encoding of a record is CBOR with fields by number, absent ones left out and maps
//!    sorted: equal content has equal bytes, at every replica and in every release.
//!
//! Field numbers are never reused: journals and snapshots of earlier releases stay readable.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use chrono::Weekday;
use minicbor::{Decode, Encode};

use super::amount::{Amount, BasisPoints, Currency, Money};
use super::calendar::{Date, DateRange, Instant, Zone};
use super::exchange::{Rate, RateKey};
use super::ids::{
    ChannelId, DealId, EmployeeId, LeadId, PartnerId, SpendId, StrategyId, TargetId, Term, UnitId,
};
use super::subject::Subject;
use super::window::PeriodStarts;

/// The place of a version among those of its record: the greatest is the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(array)]
pub struct VersionKey {
    #[n(0)]
    pub update_time: Instant,
    #[n(1)]
    pub sequence: u64,
}

/// One version of one record.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Version {
    #[n(0)]
    pub key: VersionKey,
    #[n(1)]
    pub record: Record,
}

/// A record as one version has it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Record {
    #[n(1)]
    Partner(#[n(0)] PartnerId, #[n(1)] State<Partner, Option<PartnerId>>),
    #[n(2)]
    Unit(#[n(0)] UnitId, #[n(1)] State<Unit>),
    #[n(3)]
    Employee(#[n(0)] EmployeeId, #[n(1)] State<Employee, Option<EmployeeId>>),
    #[n(4)]
    Lead(#[n(0)] LeadId, #[n(1)] State<Lead>),
    #[n(5)]
    Deal(#[n(0)] DealId, #[n(1)] State<Deal>),
    #[n(6)]
    Channel(#[n(0)] ChannelId, #[n(1)] State<Channel>),
    #[n(7)]
    Spend(#[n(0)] SpendId, #[n(1)] State<Spend>),
    #[n(8)]
    Target(#[n(0)] TargetId, #[n(1)] State<Target>),
    #[n(9)]
    Rate(#[n(0)] RateKey, #[n(1)] State<Rate>),
    #[n(10)]
    Strategy(#[n(0)] StrategyId, #[n(1)] State<Strategy>),
    /// Never deleted but with its tenant.
    #[n(11)]
    Settings(#[n(0)] Settings),
}

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    Partner,
    Unit,
    Employee,
    Lead,
    Deal,
    Channel,
    Spend,
    Target,
    Rate,
    Strategy,
    Settings,
}

/// Names one record of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKey {
    Partner(PartnerId),
    Unit(UnitId),
    Employee(EmployeeId),
    Lead(LeadId),
    Deal(DealId),
    Channel(ChannelId),
    Spend(SpendId),
    Target(TargetId),
    Rate(RateKey),
    Strategy(StrategyId),
    Settings,
}

// === impl Record ===

impl Record {
    pub fn is_deleted(&self) -> bool {
        match self {
            Self::Partner(_, state) => state.is_deleted(),
            Self::Unit(_, state) => state.is_deleted(),
            Self::Employee(_, state) => state.is_deleted(),
            Self::Lead(_, state) => state.is_deleted(),
            Self::Deal(_, state) => state.is_deleted(),
            Self::Channel(_, state) => state.is_deleted(),
            Self::Spend(_, state) => state.is_deleted(),
            Self::Target(_, state) => state.is_deleted(),
            Self::Rate(_, state) => state.is_deleted(),
            Self::Strategy(_, state) => state.is_deleted(),
            Self::Settings(_) => false,
        }
    }

    pub fn key(&self) -> RecordKey {
        match self {
            Self::Partner(id, _) => RecordKey::Partner(id.clone()),
            Self::Unit(id, _) => RecordKey::Unit(id.clone()),
            Self::Employee(id, _) => RecordKey::Employee(id.clone()),
            Self::Lead(id, _) => RecordKey::Lead(id.clone()),
            Self::Deal(id, _) => RecordKey::Deal(id.clone()),
            Self::Channel(id, _) => RecordKey::Channel(id.clone()),
            Self::Spend(id, _) => RecordKey::Spend(id.clone()),
            Self::Target(id, _) => RecordKey::Target(id.clone()),
            Self::Rate(key, _) => RecordKey::Rate(*key),
            Self::Strategy(id, _) => RecordKey::Strategy(id.clone()),
            Self::Settings(_) => RecordKey::Settings,
        }
    }
}

/// Whether a version deletes its record. `D` is what a deletion says beside.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum State<T, D = ()> {
    #[n(0)]
    Present(#[n(0)] T),
    #[n(1)]
    Deleted(#[n(0)] D),
}

// === impl State ===

impl<T, D> State<T, D> {
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(content) => Some(content),
            Self::Deleted(_) => None,
        }
    }

    pub fn is_deleted(&self) -> bool {
        matches!(self, Self::Deleted(_))
    }
}

impl<T: Encode<()>, D: Encode<()>> State<T, D> {
    /// Which of two states with one key is the later: a deletion, else the greater canonical bytes.
    pub fn cmp_content(&self, other: &Self) -> Ordering {
        self.is_deleted().cmp(&other.is_deleted()).then_with(|| canonical(self).cmp(&canonical(other)))
    }
}

/// The canonical encoding.
pub fn canonical<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing to a Vec doesn't fail")
}

/// Up to 512 bytes of text for people, which nothing is told by.
pub type Name = Box<str>;

/// The longest [`Name`].
pub const NAME_BYTES_MAX: usize = 512;

/// The most labels of a record.
pub const LABELS_MAX: usize = 64;

pub type Labels = BTreeMap<Term, Term>;

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Partner {
    #[n(1)]
    pub name: Option<Name>,
    #[n(2)]
    pub partner_type: Option<Term>,
    #[n(3)]
    pub tier: Option<Term>,
    #[n(4)]
    pub region: Option<Term>,
    #[n(5)]
    pub parent: Option<PartnerId>,
    #[n(6)]
    pub active: bool,
    #[n(7)]
    pub labels: Labels,
    #[n(8)]
    pub merged_into: Option<PartnerId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Unit {
    #[n(1)]
    pub name: Option<Name>,
    #[n(2)]
    pub unit_kind: Option<Term>,
    #[n(3)]
    pub parent: Option<UnitId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Employee {
    #[n(1)]
    pub name: Option<Name>,
    #[n(2)]
    pub unit: Option<UnitId>,
    #[n(3)]
    pub active: bool,
    #[n(4)]
    pub merged_into: Option<EmployeeId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Lead {
    #[n(1)]
    pub created_at: Instant,
    #[n(2)]
    pub partner: Option<PartnerId>,
    #[n(3)]
    pub owner: Option<EmployeeId>,
    #[n(4)]
    pub channel: Option<ChannelId>,
    #[n(5)]
    pub region: Option<Term>,
    #[n(6)]
    pub outcome: LeadOutcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum LeadOutcome {
    #[n(0)]
    Open,
    #[n(1)]
    Converted(#[n(0)] Instant),
    #[n(2)]
    Disqualified(#[n(0)] Instant),
}

/// An opportunity, from its registration to its end.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Deal {
    #[n(1)]
    pub opened_at: Instant,
    #[n(2)]
    pub amount: Option<Money>,
    #[n(3)]
    pub stage: Option<Term>,
    #[n(4)]
    pub probability: Option<BasisPoints>,
    #[n(5)]
    pub expected_close: Option<Date>,
    #[n(6)]
    pub expiry: Option<Expiry>,
    #[n(7)]
    pub status: DealStatus,
    #[n(8)]
    pub lost_reason: Option<Name>,
    #[n(9)]
    pub competitor: Option<Term>,
    #[n(10)]
    pub owner: Option<EmployeeId>,
    #[n(11)]
    pub unit: Option<UnitId>,
    #[n(12)]
    pub credits: Credits,
    #[n(13)]
    pub lead: Option<LeadId>,
    #[n(14)]
    pub channel: Option<ChannelId>,
    #[n(15)]
    pub product: Option<Term>,
    #[n(16)]
    pub region: Option<Term>,
    #[n(17)]
    pub labels: Labels,
}

/// When an open deal expires, where the host says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Expiry {
    #[n(0)]
    At(#[n(0)] Instant),
    /// Sent as a time after 2199: the tenant's time limit doesn't hold for this deal.
    #[n(1)]
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum DealStatus {
    #[n(0)]
    Open,
    #[n(1)]
    Won(#[n(0)] Instant),
    #[n(2)]
    Lost(#[n(0)] Instant),
}

/// What a partner did for a deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Role {
    #[n(0)]
    Sourced,
    #[n(1)]
    Influenced,
    #[n(2)]
    Fulfilled,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Credit {
    #[n(0)]
    pub role: Role,
    #[n(1)]
    pub partner: PartnerId,
    /// Absent: what the role's other credits leave.
    #[n(2)]
    pub share: Option<BasisPoints>,
}

/// The credits of a deal: by role, then partner; each pair once; the shares of a role at most the whole,
/// at most one of a role without a share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Credits(#[n(0)] Vec<Credit>);

/// Why credits don't fit together. Names the credit by its place as given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreditsError {
    #[error("is a second credit of that partner for that role")]
    Twice(usize),
    #[error("is a second credit without a share for that role: give at least one of them a share")]
    Shareless(usize),
    #[error("brings the shares of its role to {1} basis points, must be at most 10000")]
    AboveWhole(usize, u32),
    #[error("lists {0} credits, must be at most {max}", max = Credits::MAX)]
    TooMany(usize),
}

// === impl Credits ===

impl Credits {
    pub const MAX: usize = 64;

    pub fn try_new(credits: Vec<Credit>) -> Result<Self, CreditsError> {
        if credits.len() > Self::MAX {
            return Err(CreditsError::TooMany(credits.len()));
        }
        for (at, credit) in credits.iter().enumerate() {
            let earlier = || credits[..at].iter().filter(|other| other.role == credit.role);
            if earlier().any(|other| other.partner == credit.partner) {
                return Err(CreditsError::Twice(at));
            }
            let Some(share) = credit.share else {
                if earlier().any(|other| other.share.is_none()) {
                    return Err(CreditsError::Shareless(at));
                }
                continue;
            };
            let shares = earlier().chain([credit]).filter_map(|credit| credit.share);
            let sum = shares.map(|share| u32::from(share.get())).sum();
            if share.get() > 0 && sum > u32::from(BasisPoints::WHOLE.get()) {
                return Err(CreditsError::AboveWhole(at, sum));
            }
        }
        let mut credits = credits;
        credits.sort_by(|a, b| (a.role, &a.partner).cmp(&(b.role, &b.partner)));
        Ok(Self(credits))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Credit> {
        self.0.iter()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Channel {
    #[n(1)]
    pub name: Option<Name>,
    #[n(2)]
    pub media: Option<Media>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Media {
    #[n(0)]
    Paid,
    #[n(1)]
    Earned,
    #[n(2)]
    Owned,
}

// === impl Media ===

impl Media {
    pub const ALL: [Self; 3] = [Self::Paid, Self::Earned, Self::Owned];

    pub fn name(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Earned => "earned",
            Self::Owned => "owned",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|media| media.name() == name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Spend {
    #[n(1)]
    pub channel: ChannelId,
    #[n(2)]
    pub dates: DateRange,
    #[n(3)]
    pub amount: Money,
    #[n(4)]
    pub partner: Option<PartnerId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Target {
    #[n(1)]
    pub subject: Subject,
    #[n(2)]
    pub dates: DateRange,
    #[n(3)]
    pub value: TargetValue,
    /// By the first day of their months; empty: evenly over the days.
    #[n(4)]
    pub month_weights: BTreeMap<Date, u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum TargetValue {
    #[n(0)]
    WonAmount(#[n(0)] Money),
    #[n(1)]
    WonCount(#[n(0)] u64),
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Strategy {
    #[n(1)]
    pub name: Option<Name>,
    #[n(2)]
    pub start_on: Date,
    #[n(3)]
    pub subjects: Vec<Subject>,
}

/// How a tenant's figures are told.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Settings {
    #[n(1)]
    pub reporting_currency: Currency,
    #[n(2)]
    pub zone: Zone,
    /// 1 to 12.
    #[n(3)]
    pub fiscal_year_start_month: u8,
    #[n(4)]
    pub week_start: WeekStart,
    #[n(5)]
    pub time_limit_days: Option<u16>,
    #[n(6)]
    pub stage_probabilities: BTreeMap<Term, BasisPoints>,
    #[n(7)]
    pub thresholds: Thresholds,
}

// === impl Settings ===

impl Settings {
    pub fn period_starts(&self) -> PeriodStarts {
        PeriodStarts { week_start: self.week_start.0, fiscal_year_start_month: self.fiscal_year_start_month }
    }

    /// Whether rows told under `self` are the same as under `other`.
    pub fn tells_rows_like(&self, other: &Self) -> bool {
        (self.reporting_currency, self.zone, self.time_limit_days)
            == (other.reporting_currency, other.zone, other.time_limit_days)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeekStart(pub Weekday);

impl<C> Encode<C> for WeekStart {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.u8(self.0.number_from_monday() as u8)?.ok()
    }
}
impl<'b, C> Decode<'b, C> for WeekStart {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let days_from_monday = d.u8()?.wrapping_sub(1);
        Weekday::try_from(days_from_monday)
            .map(Self)
            .map_err(|_| minicbor::decode::Error::message("not a day of the week"))
    }
}

/// From when on recommendations and findings of data quality speak. Absent: the default, which
/// docs/kpis.md §9 and §10 name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Thresholds {
    #[n(1)]
    pub coverage_percent: Option<u32>,
    #[n(2)]
    pub expiring_days: Option<u32>,
    #[n(3)]
    pub slow_stage_percent: Option<u32>,
    #[n(4)]
    pub replace_percent: Option<u32>,
    #[n(5)]
    pub replace_sample_min: Option<u32>,
    #[n(6)]
    pub sample_min: Option<u32>,
    #[n(7)]
    pub channel_leads_min: Option<u32>,
    #[n(8)]
    pub peers_min: Option<u32>,
    #[n(9)]
    pub significance_bps: Option<u32>,
    #[n(10)]
    pub stale_days: Option<u32>,
}

/// Divides a whole among shares in basis points so that the parts and what is left add up exactly: by
/// largest remainder, equal remainders in the order given, the rest last. Returns the parts; what they
/// leave of the whole is the uncredited rest.
pub fn split(whole: Amount, shares: &[BasisPoints]) -> Vec<Amount> {
    const WHOLE: i128 = BasisPoints::WHOLE.get() as i128;
    let exact = |bps: i128| i128::from(whole.e4()) * bps;
    let credited: i128 = shares.iter().map(|share| i128::from(share.get())).sum();
    // The rest takes part in the division, as its last member.
    let members: Vec<i128> =
        shares.iter().map(|share| i128::from(share.get())).chain([WHOLE - credited]).collect();
    let mut parts: Vec<i128> = members.iter().map(|&bps| exact(bps) / WHOLE).collect();
    let mut by_remainder: Vec<usize> = (0..members.len()).collect();
    by_remainder.sort_by_key(|&at| std::cmp::Reverse(exact(members[at]) % WHOLE)); // stable
    let left = i128::from(whole.e4()) - parts.iter().sum::<i128>();
    for &at in &by_remainder[..left as usize] {
        parts[at] += 1;
    }
    parts.truncate(shares.len());
    let in_range = |part: i128| Amount::try_from_e4(part as i64).expect("a part is at most the whole");
    parts.into_iter().map(in_range).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bps(share: i64) -> BasisPoints {
        BasisPoints::try_new(share).unwrap()
    }

    fn credit(role: Role, partner: &str, share: Option<i64>) -> Credit {
        Credit { role, partner: PartnerId::try_new(partner).unwrap(), share: share.map(bps) }
    }

    #[test]
    fn credits_fit_together() {
        use Role::{Influenced, Sourced};
        for (credits, expected) in [
            (vec![], Ok(())),
            (vec![credit(Sourced, "B", Some(6_000)), credit(Sourced, "A", None)], Ok(())),
            (vec![credit(Sourced, "A", None), credit(Influenced, "A", None)], Ok(())),
            (vec![credit(Sourced, "A", Some(1)), credit(Sourced, "A", Some(1))], Err(CreditsError::Twice(1))),
            (vec![credit(Sourced, "A", None), credit(Sourced, "B", None)], Err(CreditsError::Shareless(1))),
            (
                vec![credit(Sourced, "A", Some(6_000)), credit(Sourced, "B", Some(4_001))],
                Err(CreditsError::AboveWhole(1, 10_001)),
            ),
        ] {
            assert_eq!(Credits::try_new(credits.clone()).map(drop), expected, "{credits:?}");
        }
        let sorted =
            Credits::try_new(vec![credit(Sourced, "B", Some(1)), credit(Sourced, "A", Some(2))]).unwrap();
        assert_eq!(sorted.iter().map(|credit| credit.partner.as_str()).collect::<Vec<_>>(), ["A", "B"]);
    }

    #[test]
    fn parts_add_up_by_hand() {
        let amount = |e4| Amount::try_from_e4(e4).unwrap();
        for (whole, shares, expected) in [
            (100, vec![10_000], vec![100]),
            (1, vec![5_000, 5_000], vec![1, 0]), // the tie goes to the first
            (1, vec![5_000], vec![1]),           // and before the rest
            (10, vec![3_333, 3_333, 3_334], vec![3, 3, 4]),
            (1, vec![4_000], vec![0]), // the rest has the greater remainder
            (7, vec![], vec![]),
            (100, vec![0, 2_500], vec![0, 25]),
        ] {
            let shares: Vec<_> = shares.into_iter().map(bps).collect();
            let expected: Vec<_> = expected.into_iter().map(amount).collect();
            assert_eq!(split(amount(whole), &shares), expected, "{whole} {shares:?}");
        }
    }

    proptest! {
        #[test]
        fn parts_never_exceed_the_whole_and_are_near_their_share(
            whole in 0..=Amount::MAX.e4(),
            cuts in proptest::collection::vec(0i64..=10_000, 0..6),
        ) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let shares: Vec<_> = cuts.windows(2).map(|pair| bps(pair[1] - pair[0])).collect();
            let parts = split(Amount::try_from_e4(whole).unwrap(), &shares);
            prop_assert!(parts.iter().map(|part| i128::from(part.e4())).sum::<i128>() <= i128::from(whole));
            for (part, share) in parts.iter().zip(&shares) {
                let exact = i128::from(whole) * i128::from(share.get());
                prop_assert!((i128::from(part.e4()) * 10_000 - exact).abs() < 10_000);
            }
            if shares.iter().map(|share| u32::from(share.get())).sum::<u32>() == 10_000 {
                prop_assert_eq!(parts.iter().map(|part| i128::from(part.e4())).sum::<i128>(), i128::from(whole));
            }
        }
    }
}
