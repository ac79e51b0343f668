//! The packed form of deals and leads as bytes: how the book keeps them, and how snapshots hold them.
//!
//! ```text
//! deal   head · opened_at · [closed_at] [amount] [currency] [credits] [stage] [owner] [product] [channel] [lead]
//!        [region] [probability] [labels] [expected_close] [expiry] [competitor] [unit] [lost_reason]
//! lead   head · created_at · [decided_at] [partner] [owner] [channel] [region]
//! ```
//! The head's bits say which of the others are there. Numbers are LEB128, signed ones zigzag. Names are numbers of
//! the dictionary, currencies those of [`Currencies`]. The first instant is seconds since 1970 in four bytes, the
//! others are seconds from it; where one isn't a whole second, or the first doesn't fit, all are in nanoseconds.
//!
//! Invariants:
//! 1. Packing is injective, and no packed form begins another: equal bytes mean equal contents, and bytes that
//!    begin with a content's bytes hold that content.
//! 2. This is format 1 of what snapshots hold: what it writes, every later release reads. A change is a new
//!    format beside it ([`super::snapshot`]).
//! 3. Reading believes nothing: what isn't of this form is None, never a panic nor much memory.

#[cfg(test)]
mod tests;

use smallvec::SmallVec;

use super::names::Ref;
use super::packed::{Dictionary, PackedCredit, PackedDeal, PackedLead};
use crate::domain::amount::{Amount, BasisPoints, Currency, Money};
use crate::domain::calendar::{Date, Instant};
use crate::domain::record::{Credits, DealStatus, Expiry, LeadOutcome, Role};

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

/// Bytes that are being read: None past their end.
#[derive(Clone, Copy)]
pub struct Input<'a>(pub &'a [u8]);

/// The currencies of amounts, by small numbers: most tenants have one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Currencies(Vec<Currency>);

/// What has a packed form.
pub trait Coded: Sized {
    fn write(&self, out: &mut Vec<u8>, currencies: &mut Currencies);
    /// The inverse of [`Coded::write`].
    fn read(input: &mut Input<'_>, currencies: &Currencies) -> Option<Self>;
    /// Whether all that it refers to is in the dictionary, and what it says can be so.
    fn is_sound(&self, dictionary: &Dictionary) -> bool;
}

// === impl Input ===

impl<'a> Input<'a> {
    #[inline]
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    #[inline]
    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    #[inline]
    pub fn u32(&mut self) -> Option<u32> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*taken))
    }

    /// LEB128.
    #[inline]
    pub fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub fn signed(&mut self) -> Option<i64> {
        let folded = self.number()?;
        Some((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// LEB128.
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Zigzag: small where the value is near 0.
pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, (value << 1 ^ value >> 63) as u64);
}

// === impl Currencies ===

impl Currencies {
    pub fn all(&self) -> &[Currency] {
        &self.0
    }

    fn number(&mut self, currency: Currency) -> u64 {
        let known = self.0.iter().position(|known| *known == currency);
        let number = known.unwrap_or_else(|| {
            self.0.push(currency);
            self.0.len() - 1
        });
        number as u64
    }

    /// Takes in the next one, of a snapshot.
    pub fn push(&mut self, currency: Currency) {
        self.0.push(currency);
    }
}

// === Instants ===

/// How the instants of one record are told.
#[derive(Clone, Copy)]
enum Clock {
    Whole,
    Fine,
}

impl Clock {
    fn of(first: Instant, others: impl IntoIterator<Item = Instant>) -> Self {
        let fits = u32::try_from(first.seconds()).is_ok();
        let is_whole = first.nanos() == 0 && others.into_iter().all(|other| other.nanos() == 0);
        if fits && is_whole { Self::Whole } else { Self::Fine }
    }

    fn is_fine(self) -> bool {
        matches!(self, Self::Fine)
    }

    fn put_first(self, out: &mut Vec<u8>, at: Instant) {
        match self {
            Self::Whole => out.extend_from_slice(&(at.seconds() as u32).to_le_bytes()),
            Self::Fine => put(out, at.as_nanos() as u64),
        }
    }

    fn first(self, input: &mut Input<'_>) -> Option<Instant> {
        match self {
            Self::Whole => instant(i64::from(input.u32()?).checked_mul(NANOS_PER_SECOND)?),
            Self::Fine => instant(i64::try_from(input.number()?).ok()?),
        }
    }

    fn put(self, out: &mut Vec<u8>, first: Instant, at: Instant) {
        match self {
            Self::Whole => put_signed(out, at.seconds() - first.seconds()),
            Self::Fine => put_signed(out, at.as_nanos() - first.as_nanos()),
        }
    }

    fn next(self, input: &mut Input<'_>, first: Instant) -> Option<Instant> {
        let from_first = input.signed()?;
        let nanos = match self {
            Self::Whole => from_first.checked_mul(NANOS_PER_SECOND)?,
            Self::Fine => from_first,
        };
        instant(first.as_nanos().checked_add(nanos)?)
    }
}

fn instant(nanos: i64) -> Option<Instant> {
    let at = Instant::from_nanos(nanos);
    (Instant::FIRST..=Instant::LAST).contains(&at).then_some(at)
}

// === Heads ===

/// The bits of a head, as they are written.
struct Head {
    bits: u64,
    count: u32,
}

impl Head {
    const EMPTY: Self = Self { bits: 0, count: 0 };

    #[inline]
    fn note(&mut self, width: u32, value: u64) {
        self.bits |= value << self.count;
        self.count += width;
    }

    fn note_if(&mut self, is_there: bool) {
        self.note(1, u64::from(is_there));
    }
}

/// The bits of a head, as they are read.
struct Bits(u64);

impl Bits {
    #[inline]
    fn take(&mut self, width: u32) -> u64 {
        let taken = self.0 & ((1 << width) - 1);
        self.0 >>= width;
        taken
    }

    #[inline]
    fn is_there(&mut self) -> bool {
        self.take(1) == 1
    }
}

// === impl PackedDeal ===

/// How the credits are told.
const CREDITS_NONE: u64 = 0;
/// One partner sourced it, with a share of the whole.
const CREDITS_WHOLE: u64 = 1;
/// One partner sourced it, no share given.
const CREDITS_SHARELESS: u64 = 2;
const CREDITS_ANY: u64 = 3;

impl PackedDeal {
    fn credits_form(&self) -> u64 {
        match self.credits.as_slice() {
            [] => CREDITS_NONE,
            [PackedCredit { role: Role::Sourced, share: None, .. }] => CREDITS_SHARELESS,
            [PackedCredit { role: Role::Sourced, share: Some(BasisPoints::WHOLE), .. }] => CREDITS_WHOLE,
            _ => CREDITS_ANY,
        }
    }
}

impl Coded for PackedDeal {
    fn write(&self, out: &mut Vec<u8>, currencies: &mut Currencies) {
        let (status, closed_at) = match self.status {
            DealStatus::Open => (0, None),
            DealStatus::Won(at) => (1, Some(at)),
            DealStatus::Lost(at) => (2, Some(at)),
        };
        let expires_at = match self.expiry {
            Some(Expiry::At(at)) => Some(at),
            Some(Expiry::Never) | None => None,
        };
        let clock = Clock::of(self.opened_at, closed_at.into_iter().chain(expires_at));
        let scaled = self.amount.map(|money| scale_of(money.amount));
        let currency = self.amount.map_or(0, |money| currencies.number(money.currency));
        let credits_form = self.credits_form();

        let mut head = Head::EMPTY;
        // The first fourteen are the most usual: a head without others takes two bytes.
        head.note(2, status);
        head.note(2, scaled.map_or(0, |(scale, _)| scale));
        head.note(2, credits_form);
        head.note_if(self.stage.is_some());
        head.note_if(self.owner.is_some());
        head.note_if(self.product.is_some());
        head.note_if(self.channel.is_some());
        head.note_if(self.lead.is_some());
        head.note_if(self.region.is_some());
        head.note_if(self.probability.is_some());
        head.note_if(!self.labels.is_empty());
        head.note_if(currency != 0);
        head.note_if(self.expected_close.is_some());
        head.note_if(self.expiry.is_some());
        head.note_if(self.competitor.is_some());
        head.note_if(self.unit.is_some());
        head.note_if(self.lost_reason.is_some());
        head.note_if(clock.is_fine());
        put(out, head.bits);

        clock.put_first(out, self.opened_at);
        if let Some(at) = closed_at {
            clock.put(out, self.opened_at, at);
        }
        if let Some((_, amount)) = scaled {
            put(out, amount);
        }
        if currency != 0 {
            put(out, currency);
        }
        match credits_form {
            CREDITS_NONE => {}
            CREDITS_ANY => put_credits(out, &self.credits),
            _ => put_ref(out, Some(self.credits[0].partner)),
        }
        put_ref(out, self.stage);
        put_ref(out, self.owner);
        put_ref(out, self.product);
        put_ref(out, self.channel);
        put_ref(out, self.lead);
        put_ref(out, self.region);
        if let Some(probability) = self.probability {
            put_basis_points(out, probability);
        }
        if !self.labels.is_empty() {
            put(out, self.labels.len() as u64);
            for &(key, value) in &self.labels {
                put_ref(out, Some(key));
                put_ref(out, Some(value));
            }
        }
        if let Some(on) = self.expected_close {
            put_signed(out, i64::from(on.day_number()) - day_of(self.opened_at));
        }
        match self.expiry {
            None => {}
            Some(Expiry::Never) => out.push(0),
            Some(Expiry::At(at)) => {
                out.push(1);
                clock.put(out, self.opened_at, at);
            }
        }
        put_ref(out, self.competitor);
        put_ref(out, self.unit);
        if let Some(reason) = &self.lost_reason {
            put(out, reason.len() as u64);
            out.extend_from_slice(reason.as_bytes());
        }
    }

    fn read(input: &mut Input<'_>, currencies: &Currencies) -> Option<Self> {
        let mut head = Bits(input.number()?);
        let (status, scale, credits_form) = (head.take(2), head.take(2), head.take(2));
        let [stage, owner, product, channel, lead, region, probability, labels] =
            std::array::from_fn(|_| head.is_there());
        let [currency, expected_close, expiry, competitor, unit, lost_reason, is_fine] =
            std::array::from_fn(|_| head.is_there());
        if head.0 != 0 {
            return None; // bits that only a later format knows
        }
        let clock = if is_fine { Clock::Fine } else { Clock::Whole };

        let opened_at = clock.first(input)?;
        let status = match status {
            0 => DealStatus::Open,
            1 => DealStatus::Won(clock.next(input, opened_at)?),
            2 => DealStatus::Lost(clock.next(input, opened_at)?),
            _ => return None,
        };
        let amount = if scale == 0 { None } else { Some(take_amount(input, scale)?) };
        let currency = if currency { input.number()? } else { 0 };
        let amount = match amount {
            None => None,
            Some(amount) => {
                Some(Money { amount, currency: *currencies.0.get(usize::try_from(currency).ok()?)? })
            }
        };
        let credits = match credits_form {
            CREDITS_NONE => SmallVec::new(),
            CREDITS_ANY => take_credits(input)?,
            form => {
                let share = (form == CREDITS_WHOLE).then_some(BasisPoints::WHOLE);
                SmallVec::from_buf([PackedCredit { role: Role::Sourced, partner: take_ref(input)?, share }])
            }
        };
        Some(Self {
            opened_at,
            amount,
            status,
            credits,
            stage: take_ref_if(stage, input)?,
            owner: take_ref_if(owner, input)?,
            product: take_ref_if(product, input)?,
            channel: take_ref_if(channel, input)?,
            lead: take_ref_if(lead, input)?,
            region: take_ref_if(region, input)?,
            probability: if probability { Some(take_basis_points(input)?) } else { None },
            labels: if labels { take_labels(input)? } else { SmallVec::new() },
            expected_close: if expected_close { Some(take_date(input, opened_at)?) } else { None },
            expiry: match expiry.then(|| input.byte()) {
                None => None,
                Some(Some(0)) => Some(Expiry::Never),
                Some(Some(1)) => Some(Expiry::At(clock.next(input, opened_at)?)),
                Some(_) => return None,
            },
            competitor: take_ref_if(competitor, input)?,
            unit: take_ref_if(unit, input)?,
            lost_reason: if lost_reason { Some(take_text(input)?) } else { None },
        })
    }

    fn is_sound(&self, dictionary: &Dictionary) -> bool {
        let Dictionary { partners, employees, units, leads, channels, terms, .. } = dictionary;
        let terms_known = [self.stage, self.product, self.region, self.competitor]
            .into_iter()
            .flatten()
            .chain(self.labels.iter().flat_map(|&(key, value)| [key, value]))
            .all(|term| terms.has(term));
        terms_known
            && self.owner.is_none_or(|owner| employees.has(owner))
            && self.unit.is_none_or(|unit| units.has(unit))
            && self.lead.is_none_or(|lead| leads.has(lead))
            && self.channel.is_none_or(|channel| channels.has(channel))
            && self.credits.iter().all(|credit| partners.has(credit.partner))
            && credits_fit(&self.credits)
    }
}

/// As [`Credits::try_new`] has it.
fn credits_fit(credits: &[PackedCredit]) -> bool {
    if let [_] | [] = credits {
        return true;
    }
    let once = credits.iter().enumerate().all(|(at, credit)| {
        credits[..at].iter().all(|other| (other.role, other.partner) != (credit.role, credit.partner))
    });
    let of_role_fits = |role| {
        let of_role = || credits.iter().filter(|credit| credit.role == role);
        let given: u64 =
            of_role().filter_map(|credit| credit.share).map(|share| u64::from(share.get())).sum();
        given <= u64::from(BasisPoints::WHOLE.get())
            && of_role().filter(|credit| credit.share.is_none()).count() <= 1
    };
    credits.len() <= Credits::MAX
        && once
        && [Role::Sourced, Role::Influenced, Role::Fulfilled].into_iter().all(of_role_fits)
}

// === impl PackedLead ===

impl Coded for PackedLead {
    fn write(&self, out: &mut Vec<u8>, _: &mut Currencies) {
        let (outcome, decided_at) = match self.outcome {
            LeadOutcome::Open => (0, None),
            LeadOutcome::Converted(at) => (1, Some(at)),
            LeadOutcome::Disqualified(at) => (2, Some(at)),
        };
        let clock = Clock::of(self.created_at, decided_at);
        let mut head = Head::EMPTY;
        head.note(2, outcome);
        head.note_if(self.partner.is_some());
        head.note_if(self.owner.is_some());
        head.note_if(self.channel.is_some());
        head.note_if(self.region.is_some());
        head.note_if(clock.is_fine());
        put(out, head.bits);
        clock.put_first(out, self.created_at);
        if let Some(at) = decided_at {
            clock.put(out, self.created_at, at);
        }
        put_ref(out, self.partner);
        put_ref(out, self.owner);
        put_ref(out, self.channel);
        put_ref(out, self.region);
    }

    fn read(input: &mut Input<'_>, _: &Currencies) -> Option<Self> {
        let mut head = Bits(input.number()?);
        let outcome = head.take(2);
        let [partner, owner, channel, region, is_fine] = std::array::from_fn(|_| head.is_there());
        if head.0 != 0 {
            return None; // bits that only a later format knows
        }
        let clock = if is_fine { Clock::Fine } else { Clock::Whole };
        let created_at = clock.first(input)?;
        Some(Self {
            created_at,
            outcome: match outcome {
                0 => LeadOutcome::Open,
                1 => LeadOutcome::Converted(clock.next(input, created_at)?),
                2 => LeadOutcome::Disqualified(clock.next(input, created_at)?),
                _ => return None,
            },
            partner: take_ref_if(partner, input)?,
            owner: take_ref_if(owner, input)?,
            channel: take_ref_if(channel, input)?,
            region: take_ref_if(region, input)?,
        })
    }

    fn is_sound(&self, dictionary: &Dictionary) -> bool {
        let Dictionary { partners, employees, channels, terms, .. } = dictionary;
        self.partner.is_none_or(|partner| partners.has(partner))
            && self.owner.is_none_or(|owner| employees.has(owner))
            && self.channel.is_none_or(|channel| channels.has(channel))
            && self.region.is_none_or(|region| terms.has(region))
    }
}

// === Fields ===

fn put_ref<K>(out: &mut Vec<u8>, reference: Option<Ref<K>>) {
    if let Some(reference) = reference {
        put(out, u64::from(reference.number()));
    }
}

fn take_ref<K>(input: &mut Input<'_>) -> Option<Ref<K>> {
    let number = u32::try_from(input.number()?).ok()?;
    (number < u32::MAX).then(|| Ref::new(number))
}

/// Some(None) where it isn't there, None where it can't be read.
fn take_ref_if<K>(is_there: bool, input: &mut Input<'_>) -> Option<Option<Ref<K>>> {
    if is_there { take_ref(input).map(Some) } else { Some(None) }
}

/// The scale of an amount, from 1, and the amount in it: whole units, hundredths, ten-thousandths.
fn scale_of(amount: Amount) -> (u64, u64) {
    let e4 = amount.e4() as u64; // amounts aren't negative
    match e4 {
        _ if e4.is_multiple_of(10_000) => (1, e4 / 10_000),
        _ if e4.is_multiple_of(100) => (2, e4 / 100),
        _ => (3, e4),
    }
}

fn take_amount(input: &mut Input<'_>, scale: u64) -> Option<Amount> {
    let of_scale = match scale {
        1 => 10_000,
        2 => 100,
        _ => 1,
    };
    let e4 = input.number()?.checked_mul(of_scale)?;
    Amount::try_from_e4(i64::try_from(e4).ok()?).ok()
}

fn put_credits(out: &mut Vec<u8>, credits: &[PackedCredit]) {
    put(out, credits.len() as u64);
    for credit in credits {
        let share = match credit.share {
            None => 0,
            Some(BasisPoints::WHOLE) => 1,
            Some(_) => 2,
        };
        out.push(credit.role as u8 | share << 2);
        put_ref(out, Some(credit.partner));
        if let (2, Some(given)) = (share, credit.share) {
            put(out, u64::from(given.get()));
        }
    }
}

fn take_credits(input: &mut Input<'_>) -> Option<SmallVec<[PackedCredit; 1]>> {
    let count = take_count(input)?;
    let credit = |_| {
        let form = input.byte()?;
        let role = match form & 3 {
            0 => Role::Sourced,
            1 => Role::Influenced,
            2 => Role::Fulfilled,
            _ => return None,
        };
        let partner = take_ref(input)?;
        let share = match form >> 2 {
            0 => None,
            1 => Some(BasisPoints::WHOLE),
            2 => Some(BasisPoints::try_new(i64::try_from(input.number()?).ok()?).ok()?),
            _ => return None,
        };
        Some(PackedCredit { role, partner, share })
    };
    (0..count).map(credit).collect()
}

/// Whole percents, as most hosts send them, take one byte.
fn put_basis_points(out: &mut Vec<u8>, bps: BasisPoints) {
    let bps = u64::from(bps.get());
    put(out, if bps.is_multiple_of(100) { bps / 100 } else { 101 + bps });
}

fn take_basis_points(input: &mut Input<'_>) -> Option<BasisPoints> {
    let told = input.number()?;
    let bps = if told <= 100 { told * 100 } else { told - 101 };
    BasisPoints::try_new(i64::try_from(bps).ok()?).ok()
}

fn take_labels<A: smallvec::Array<Item = (Ref<K>, Ref<K>)>, K>(input: &mut Input<'_>) -> Option<SmallVec<A>> {
    let count = take_count(input)?;
    (0..count).map(|_| Some((take_ref(input)?, take_ref(input)?))).collect()
}

fn day_of(at: Instant) -> i64 {
    at.seconds() / DAY_SECONDS
}

fn take_date(input: &mut Input<'_>, opened_at: Instant) -> Option<Date> {
    let day = day_of(opened_at).checked_add(input.signed()?)?;
    i32::try_from(day).ok().map(Date::from_day_number)
}

fn take_text(input: &mut Input<'_>) -> Option<Box<str>> {
    let length = take_count(input)?;
    std::str::from_utf8(input.bytes(length)?).ok().map(Into::into)
}

/// A count of what takes at least a byte each.
fn take_count(input: &mut Input<'_>) -> Option<usize> {
    usize::try_from(input.number()?).ok().filter(|&count| count <= input.0.len())
}
