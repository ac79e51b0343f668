//! Packed forms read back as what they were, and none begins another.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::book::histories;
use crate::book::packed::Packed;
use crate::domain::ids::{Id, Term};
use crate::domain::record::{Credit, Deal, Lead};

/// A dictionary in which new names get numbers of more than one byte.
fn dictionary() -> Dictionary {
    let mut dictionary = Dictionary::default();
    for n in 0..200 {
        dictionary.partners.intern(&format!("partner {n}"));
        dictionary.terms.intern(&format!("term {n}"));
    }
    dictionary
}

fn instant() -> impl Strategy<Value = Instant> {
    let nanos = prop_oneof![Just(0), Just(1), Just(999_999_999), 0..1_000_000_000];
    let seconds = prop_oneof![Just(0), Just(Instant::LAST.seconds()), 0..=Instant::LAST.seconds()];
    (seconds, nanos).prop_map(|(seconds, nanos)| Instant::try_new(seconds, nanos).unwrap())
}

fn term() -> impl Strategy<Value = Term> {
    "[a-c]|[a-zঅ-ঔ]{1,40}".prop_map(|text| Term::try_new(&text).unwrap())
}

fn credits() -> impl Strategy<Value = Credits> {
    let role = prop_oneof![Just(Role::Sourced), Just(Role::Influenced), Just(Role::Fulfilled)];
    let share = prop_oneof![1 => Just(None), 4 => (0..=200i64).prop_map(Some)];
    vec((role, "[a-zঅ-ঔ]{1,8}", share), 0..=Credits::MAX).prop_map(|offered| {
        let mut fitting = Vec::new();
        for (role, partner, share) in offered {
            let share = share.map(|bps| BasisPoints::try_new(bps).unwrap());
            fitting.push(Credit { role, partner: Id::try_new(&partner).unwrap(), share });
            if Credits::try_new(fitting.clone()).is_err() {
                fitting.pop();
            }
        }
        Credits::try_new(fitting).expect("each was tried")
    })
}

/// Every field over its whole range.
fn wide_deal() -> impl Strategy<Value = Deal> {
    let status = prop_oneof![
        Just(DealStatus::Open),
        instant().prop_map(DealStatus::Won),
        instant().prop_map(DealStatus::Lost),
    ];
    let expiry = prop_oneof![Just(Expiry::Never), instant().prop_map(Expiry::At)];
    let amount = (0..=Amount::MAX.e4()).prop_map(|amount_e4| Money {
        amount: Amount::try_from_e4(amount_e4).unwrap(),
        currency: Currency::try_new("BDT").unwrap(),
    });
    let expected_close = (0..=Date::LAST.day_number()).prop_map(|number| Some(Date::from_day_number(number)));
    let reason = proptest::option::of("[ -~ক-হ]{0,150}".prop_map(Box::from));
    let labels = btree_map(term(), term(), 0..=64);
    let wide = (instant(), status, proptest::option::of(expiry), proptest::option::of(amount));
    let texts = (reason, labels, proptest::option::of(term()), credits());
    (histories::deal(), wide, expected_close, texts).prop_map(|(deal, wide, expected_close, texts)| {
        let (opened_at, status, expiry, amount) = wide;
        let (lost_reason, labels, product, credits) = texts;
        let told = Deal { opened_at, status, expiry, amount, expected_close, ..deal };
        Deal { lost_reason, labels, product, credits, ..told }
    })
}

/// Two deals that are often equal in most or in all.
fn pair() -> impl Strategy<Value = (Deal, Deal)> {
    (histories::deal(), histories::deal(), 0..8).prop_map(|(one, other, which)| {
        let near = match which {
            0 => one.clone(),
            1 => Deal { amount: other.amount, ..one.clone() },
            2 => Deal { credits: other.credits, ..one.clone() },
            3 => Deal { status: other.status, ..one.clone() },
            4 => Deal { labels: other.labels, ..one.clone() },
            5 => Deal { stage: other.stage, product: other.product, ..one.clone() },
            6 => Deal { expiry: other.expiry, ..one.clone() },
            _ => other,
        };
        (one, near)
    })
}

fn wide_lead() -> impl Strategy<Value = Lead> {
    let id = || option::of("[a-c]|[a-zঅ-ঔ]{1,40}");
    let outcome = prop_oneof![
        Just(LeadOutcome::Open),
        instant().prop_map(LeadOutcome::Converted),
        instant().prop_map(LeadOutcome::Disqualified),
    ];
    (instant(), id(), id(), id(), option::of(term()), outcome).prop_map(
        |(created_at, partner, owner, channel, region, outcome)| Lead {
            created_at,
            partner: partner.map(|id| Id::try_new(&id).unwrap()),
            owner: owner.map(|id| Id::try_new(&id).unwrap()),
            channel: channel.map(|id| Id::try_new(&id).unwrap()),
            region,
            outcome,
        },
    )
}

/// Packs, reads back with something behind it, and reads all that is cut or changed without a panic.
fn reads_back<P: Packed + PartialEq + std::fmt::Debug>(
    content: &P::Content,
    flip: (proptest::sample::Index, u8),
) -> Result<(), TestCaseError>
where
    P::Content: PartialEq + std::fmt::Debug,
{
    let (mut dictionary, mut currencies) = (dictionary(), Currencies::default());
    let packed = P::intern(content, &mut dictionary);
    prop_assert!(packed.is_sound(&dictionary));
    prop_assert_eq!(&packed.resolve(&dictionary), content);
    let mut bytes = Vec::new();
    packed.write(&mut bytes, &mut currencies);
    for at in 0..bytes.len() {
        prop_assert!(P::read(&mut Input(&bytes[..at]), &currencies).is_none(), "cut at byte {}", at);
    }
    let length = bytes.len();
    bytes.extend([7, 7, 7]);
    let mut input = Input(&bytes);
    let read = P::read(&mut input, &currencies);
    prop_assert_eq!(read.as_ref(), Some(&packed));
    prop_assert_eq!(input.0, [7, 7, 7]);
    prop_assert_eq!(&read.unwrap().resolve(&dictionary), content);

    bytes[flip.0.index(length)] ^= flip.1;
    if let Some(other) = P::read(&mut Input(&bytes), &currencies).filter(|it| it.is_sound(&dictionary)) {
        other.resolve(&dictionary); // whatever it says, it can be said
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_packed_deal_reads_back_as_it_was(
        deal in prop_oneof![wide_deal(), histories::deal()], flip in any::<(proptest::sample::Index, u8)>(),
    ) {
        reads_back::<PackedDeal>(&deal, flip)?;
    }

    #[test]
    fn a_packed_lead_reads_back_as_it_was(
        lead in wide_lead(), flip in any::<(proptest::sample::Index, u8)>(),
    ) {
        reads_back::<PackedLead>(&lead, flip)?;
    }

    #[test]
    fn no_packed_form_begins_another((one, other) in pair()) {
        let (mut dictionary, mut currencies) = (dictionary(), Currencies::default());
        let mut packed = |deal| {
            let mut bytes = Vec::new();
            PackedDeal::intern(deal, &mut dictionary).write(&mut bytes, &mut currencies);
            bytes
        };
        let (ones, others) = (packed(&one), packed(&other));
        prop_assert_eq!(others.starts_with(&ones), one == other);
        prop_assert_eq!(ones.starts_with(&others), one == other);
    }
}
