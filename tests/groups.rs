//! Lists of scorecards by a dimension (docs/kpis.md §1 "Credit", §4) through gRPC on a real socket: every
//! dimension, in every role. Rows add up to the whole to the last ten-thousandth, each is the scorecard that
//! a filter by its value gives, and a walk finds each once, also while records are written.

#[allow(dead_code)] // every test takes what it needs
#[path = "support/scorecard.rs"]
mod scorecard;
#[path = "support/sidecar.rs"]
mod sidecar;
#[allow(dead_code)]
#[path = "support/worked_example.rs"]
mod worked_example;

use channel_kpi::proto::channelkpi::v1::figure::Result as Told;
use channel_kpi::proto::channelkpi::v1::quantity::Quantity as Q;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::{
    AbsentReason, ComparedFigure, CreditFilter, CreditRole, Deal, DealTally, Dimension, Employee,
    ExchangeRate, ExchangeRateKey, Figure, Filter, GetScorecardRequest, Group, Grouping, Kpi, LabelTerms,
    Lead, LeadOutcome, ListScorecardsRequest, ListScorecardsResponse, MarketingChannel, MarketingSpend,
    Media, MediaTerms, OrgUnit, Partner, PartnerCredit, PartnerSubject, Premises, Record, Scorecard, Subject,
    Terms, View,
};
use channel_kpi::proto::google::r#type::{Decimal, Money};
use scorecard::dates;
use sidecar::{Caller, Sidecar};
use worked_example::{date, deal, lost, noon, settings, usd, version, won};

const DIMENSIONS: [Dimension; 12] = [
    Dimension::PartnerType,
    Dimension::Tier,
    Dimension::Region,
    Dimension::Product,
    Dimension::MarketingChannel,
    Dimension::Media,
    Dimension::Employee,
    Dimension::Unit,
    Dimension::Partner,
    Dimension::DealLabel,
    Dimension::PartnerLabel,
    Dimension::Credit,
];

const ROLES: [CreditRole; 3] = [CreditRole::Sourced, CreditRole::Influenced, CreditRole::Fulfilled];

// === the company ===

/// Shares in basis points; the rest of a role is uncredited.
fn credits(of: &[(&str, CreditRole, i32)]) -> Vec<PartnerCredit> {
    let credit = |&(partner_id, role, bps): &(&str, CreditRole, i32)| PartnerCredit {
        partner_id: partner_id.into(),
        role: role.into(),
        share_bps: Some(bps),
    };
    of.iter().map(credit).collect()
}

/// An amount in ten-thousandths.
fn exact(currency_code: &str, e4: i64) -> Option<Money> {
    let nanos = i32::try_from(e4 % 10_000).expect("it is below 10,000") * 100_000;
    Some(Money { currency_code: currency_code.into(), units: e4 / 10_000, nanos })
}

fn labels(of: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    of.iter().map(|&(key, value)| (key.into(), value.into())).collect()
}

/// P1 (with P3 below it and P4 merged into it), P2, and a partner that only deals name; units sales over
/// north and south, team below north; channels of every medium, of none, and one that only costs.
fn company() -> Vec<Record> {
    let partner = |id: &str, partner_type: &str, tier: &str, region: &str, segment: &str| Partner {
        partner_id: id.into(),
        name: format!("Partner {id}"),
        partner_type: partner_type.into(),
        tier: tier.into(),
        region: region.into(),
        labels: if segment.is_empty() { labels(&[]) } else { labels(&[("segment", segment), ("x", "y")]) },
        ..Partner::default()
    };
    let merged = Partner { merged_into_partner_id: "P1".into(), ..partner("P4", "msp", "tin", "US", "ent") };
    let below = Partner { parent_partner_id: "P1".into(), ..partner("P3", "msp", "", "", "ent") };
    let unit = |id: &str, parent: &str| {
        let (org_unit_id, parent_unit_id) = (id.into(), parent.into());
        Kind::OrgUnit(OrgUnit { org_unit_id, parent_unit_id, name: id.to_uppercase(), ..OrgUnit::default() })
    };
    let employee = |id: &str, unit: &str, merged_into: &str| {
        Kind::Employee(Employee {
            employee_id: id.into(),
            unit_id: unit.into(),
            merged_into_employee_id: merged_into.into(),
            ..Employee::default()
        })
    };
    let channel = |id: &str, media: Media| {
        let (marketing_channel_id, media) = (id.into(), media.into());
        Kind::MarketingChannel(MarketingChannel { marketing_channel_id, media, ..Default::default() })
    };
    let spend = |channel: &str, units| {
        Kind::MarketingSpend(MarketingSpend {
            marketing_spend_id: channel.into(),
            marketing_channel_id: channel.into(),
            start_on: date("2024-03-01"),
            end_on: date("2024-04-01"),
            amount: usd(units),
            ..MarketingSpend::default()
        })
    };
    let rate = ExchangeRate {
        key: Some(ExchangeRateKey {
            from_currency_code: "EUR".into(),
            to_currency_code: "USD".into(),
            rate_on: date("2024-01-01"),
        }),
        rate: Some(Decimal { value: "1.1".into() }),
    };
    [
        Kind::Partner(partner("P1", "reseller", "gold", "EU", "smb")),
        Kind::Partner(partner("P2", "reseller", "silver", "APAC", "")),
        Kind::Partner(below),
        Kind::Partner(merged),
        unit("sales", ""),
        unit("north", "sales"),
        unit("south", "sales"),
        unit("team", "north"),
        unit("loose", ""),
        employee("e1", "north", ""),
        employee("e2", "south", ""),
        employee("e3", "team", ""),
        employee("e4", "south", "e1"),
        channel("search", Media::Paid),
        channel("billboard", Media::Paid),
        channel("news", Media::Owned),
        channel("fair", Media::Unspecified),
        spend("search", 310),
        spend("billboard", 99),
        Kind::ExchangeRate(rate),
    ]
    .map(|kind| version(noon("01-02"), kind))
    .into()
}

fn deals() -> Vec<Record> {
    use CreditRole::{Fulfilled, Influenced, Sourced};
    let priced = |e4, deal| Deal { amount: exact("USD", e4), ..deal };
    let by = |of: &[(&str, CreditRole, i32)], deal| Deal { partner_credits: credits(of), ..deal };
    let sized = |size: &str, deal| Deal { labels: labels(&[("size", size), ("x", "y")]), ..deal };
    // A basis point of d1 is uncredited.
    let d1 = by(
        &[("P1", Sourced, 3_333), ("P2", Sourced, 3_333), ("P3", Sourced, 3_333), ("P2", Fulfilled, 10_000)],
        Deal {
            region: "EU".into(),
            product: "x".into(),
            marketing_channel_id: "search".into(),
            ..sized("big", deal("d1", "", "e1", "03-01", 0))
        },
    );
    // Two halves of three ten-thousandths.
    let d2 = by(
        &[("P1", Sourced, 5_000), ("P2", Sourced, 5_000), ("P3", Influenced, 10_000)],
        Deal {
            product: "y".into(),
            marketing_channel_id: "fair".into(),
            ..sized("small", deal("d2", "", "e2", "03-02", 0))
        },
    );
    let d3 = Deal {
        region: "US".into(),
        marketing_channel_id: "news".into(),
        ..by(&[], deal("d3", "", "e3", "03-03", 250))
    };
    let d4 =
        Deal { unit_id: "loose".into(), ..by(&[("P2", Influenced, 6_000)], deal("d4", "", "", "03-04", 0)) };
    let d5 = by(&[("P4", Sourced, 6_000), ("P1", Sourced, 4_000)], deal("d5", "", "e4", "03-05", 1_000));
    let d6 = by(&[("ghost", Sourced, 5_000)], deal("d6", "", "e1", "03-06", 0));
    let d7 = by(&[("P3", Sourced, 10_000), ("P1", Fulfilled, 3_000)], deal("d7", "", "e2", "03-07", 0));
    let d8 = Deal { probability_bps: Some(2_500), ..deal("d8", "P2", "e3", "03-08", 5_000) };
    // Opened after the window: it is in the pipeline on the question's day alone.
    let d9 = Deal { product: "z".into(), ..deal("d9", "P3", "e2", "04-02", 10) };
    let d10 = Deal { product: "x".into(), amount: None, ..deal("d10", "P2", "e2", "03-10", 0) };
    let d11 = Deal { amount: exact("EUR", 2_000_000), ..deal("d11", "P1", "e1", "03-11", 0) };
    // In the window before alone; over before that too, but for the lead that it was made of.
    let d12 = Deal { product: "v".into(), lead_id: "L3".into(), ..deal("d12", "P2", "e1", "02-10", 50) };
    let d14 = Deal { product: "w".into(), lead_id: "L4".into(), ..deal("d14", "P2", "e1", "01-03", 60) };
    let d13 = Deal { product: "gone".into(), ..deal("d13", "P2", "e1", "01-10", 70) };
    let all = [
        won("03-11", priced(1_000_001, d1)),
        won("03-12", priced(3, d2)),
        won("03-13", d3),
        won("03-14", priced(777_700, d4)),
        won("03-15", d5),
        lost("03-16", priced(3_333_300, d6)),
        Deal { expire_time: noon("03-17"), ..priced(100_100, d7) },
        d8,
        d9,
        won("03-20", d10),
        won("03-21", d11),
        won("02-20", d12),
        lost("01-20", d13),
        lost("01-21", d14),
    ];
    all.map(|deal| version(noon("04-03"), Kind::Deal(deal))).into()
}

fn leads() -> Vec<Record> {
    let lead = |id: &str, created| Lead {
        lead_id: id.into(),
        created_at: noon(created),
        outcome: LeadOutcome::Open.into(),
        ..Lead::default()
    };
    let l1 = Lead {
        partner_id: "P1".into(),
        owner_employee_id: "e1".into(),
        marketing_channel_id: "search".into(),
        ..lead("L1", "03-05")
    };
    let l3 =
        Lead { outcome: LeadOutcome::Converted.into(), decided_at: noon("03-02"), ..lead("L3", "03-01") };
    [l1, lead("L2", "03-06"), l3, lead("L4", "03-07")]
        .map(|lead| version(noon("03-10"), Kind::Lead(lead)))
        .into()
}

async fn company_of(sidecar: &Sidecar) -> Caller {
    let mut caller = sidecar.tenant("groups", settings()).await;
    caller.write([company(), deals(), leads()].concat()).await;
    caller
}

// === asking ===

fn grouping(dimension: Dimension) -> Grouping {
    let label_key = match dimension {
        Dimension::DealLabel => "size",
        Dimension::PartnerLabel => "segment",
        _ => "",
    };
    Grouping { dimension: dimension.into(), label_key: label_key.into() }
}

/// March 2024 as of the end of April, with all that there is to tell.
fn by(dimension: Dimension, roles: &[CreditRole]) -> ListScorecardsRequest {
    ListScorecardsRequest {
        window: Some(dates("2024-03-01", "2024-04-01")),
        as_of: date("2024-04-30"),
        grouping: Some(grouping(dimension)),
        premises: Some(premises(Filter::default(), roles)),
        view: View::WithEvidence.into(),
        page_size: 1_000,
        ..ListScorecardsRequest::default()
    }
}

fn premises(filter: Filter, roles: &[CreditRole]) -> Premises {
    let credit_roles = roles.iter().map(|&role| role.into()).collect();
    Premises { filter: Some(filter), credit_roles, ..Premises::default() }
}

async fn page(caller: &mut Caller, request: ListScorecardsRequest) -> ListScorecardsResponse {
    caller.kpis.list_scorecards(request).await.expect("the question is valid").into_inner()
}

async fn rows(caller: &mut Caller, request: ListScorecardsRequest) -> Vec<Scorecard> {
    let page = page(caller, request).await;
    assert_eq!(page.next_page_token, "");
    page.scorecards
}

async fn get(caller: &mut Caller, subject: Option<Subject>, premises: Premises) -> Scorecard {
    let question = GetScorecardRequest {
        subject,
        window: Some(dates("2024-03-01", "2024-04-01")),
        as_of: date("2024-04-30"),
        premises: Some(premises),
        view: View::WithEvidence.into(),
        ..GetScorecardRequest::default()
    };
    caller
        .kpis
        .get_scorecard(question)
        .await
        .expect("it is valid")
        .into_inner()
        .scorecard
        .expect("always set")
}

/// The filter that asks for a row's value beside what `base` asks for.
fn filter_of(group: &Group, base: &Filter) -> Filter {
    let mut filter = base.clone();
    let is_none = group.value.is_empty();
    let terms = Some(Terms {
        values: if is_none { vec![] } else { vec![group.value.clone()] },
        include_none: is_none,
    });
    if group.uncredited {
        filter.partner_ids = terms;
        return filter;
    }
    let label = || vec![LabelTerms { key: group.label_key.clone(), terms: terms.clone() }];
    match group.dimension() {
        Dimension::Unspecified => panic!("never sent"),
        Dimension::PartnerType => filter.partner_types = terms,
        Dimension::Tier => filter.tiers = terms,
        Dimension::Region => filter.regions = terms,
        Dimension::Product => filter.products = terms,
        Dimension::MarketingChannel => filter.marketing_channel_ids = terms,
        Dimension::Media => {
            let media = match group.value.as_str() {
                "" => vec![],
                "paid" => vec![Media::Paid.into()],
                "earned" => vec![Media::Earned.into()],
                "owned" => vec![Media::Owned.into()],
                other => panic!("{other:?} is no medium"),
            };
            filter.media = Some(MediaTerms { values: media, include_none: is_none });
        }
        Dimension::Employee => filter.employee_ids = terms,
        Dimension::Unit => filter.unit_ids = terms,
        Dimension::Partner => filter.partner_ids = terms,
        Dimension::DealLabel => filter.deal_labels = label(),
        Dimension::PartnerLabel => filter.partner_labels = label(),
        Dimension::Credit => {
            filter.credit = match group.value.as_str() {
                "credited" => CreditFilter::Credited.into(),
                "direct" => CreditFilter::Direct.into(),
                other => panic!("{other:?} is neither"),
            }
        }
    }
    filter
}

// === telling ===

/// A card without whose it is.
fn figures(card: &Scorecard) -> Scorecard {
    Scorecard { subject: None, name: String::new(), group: None, ..card.clone() }
}

fn group(card: &Scorecard) -> &Group {
    assert_eq!(card.subject, None, "a row is of a value");
    card.group.as_ref().expect("set in a list by a dimension")
}

fn e4(money: Option<&Money>) -> i64 {
    let money = money.expect("in range");
    money.units * 10_000 + i64::from(money.nanos / 100_000)
}

/// A row as `value won amount`: `-` what has no value, `*` the uncredited rest.
fn told(card: &Scorecard) -> String {
    let group = group(card);
    let value = match (group.uncredited, group.value.as_str()) {
        (true, "") => "*",
        (false, "") => "-",
        (_, value) => value,
    };
    let count = card.deal_count.as_ref().expect("asked for");
    let won = e4(count.won_amount.as_ref());
    format!("{value} {}.{:04}", won / 10_000, won % 10_000)
}

fn all_told(cards: &[Scorecard]) -> String {
    cards.iter().map(told).collect::<Vec<_>>().join(", ")
}

fn quantity(figure: Option<&Figure>) -> Option<i64> {
    let Told::Value(ratio) = figure?.result.as_ref()? else { return None };
    match ratio.numerator.as_ref()?.quantity.as_ref()? {
        Q::Count(count) => Some(*count),
        Q::Amount(amount) => Some(e4(Some(amount))),
    }
}

/// What adds up under every dimension: money of every kind, in this window and in the one before.
fn amounts(card: &Scorecard) -> [i64; 7] {
    let count = card.deal_count.as_ref().expect("asked for");
    let success = card.deal_success.as_ref().expect("asked for");
    let pipeline = card.opportunity_pipeline.as_ref().expect("asked for");
    let marketing = card.marketing_channel.as_ref().expect("asked for");
    let of = |tally: &Option<DealTally>| e4(tally.as_ref().expect("always set").amount.as_ref());
    let now =
        |figure: &Option<ComparedFigure>| quantity(figure.as_ref().expect("always set").figure.as_ref());
    [
        e4(count.won_amount.as_ref()),
        e4(count.comparison_won_amount.as_ref()),
        e4(success.missed_amount.as_ref()),
        of(&pipeline.open),
        of(&pipeline.comparison_open),
        of(&pipeline.unweighted),
        now(&marketing.won_amount).expect("in range"),
    ]
}

/// What adds up where every deal and lead has one value: also counts. The last two are of leads and
/// prospects, which under some dimensions aren't split.
fn counts(card: &Scorecard) -> [i64; 6] {
    let success = card.deal_success.as_ref().expect("asked for");
    let close = card.close_rate.as_ref().expect("asked for");
    let pipeline = card.opportunity_pipeline.as_ref().expect("asked for");
    let marketing = card.marketing_channel.as_ref().expect("asked for");
    let purchased = quantity(close.figure.as_ref()).unwrap_or(0);
    let leads = marketing.lead_count.as_ref().and_then(|leads| quantity(leads.figure.as_ref()));
    [
        quantity(card.deal_count.as_ref().and_then(|count| count.figure.as_ref())).expect("never absent"),
        success.missed_count,
        success.expired_count,
        pipeline.open.as_ref().expect("always set").count,
        leads.unwrap_or(0),
        purchased + close.lost_count + close.unresolved_count,
    ]
}

fn sum<const N: usize>(of: impl Iterator<Item = [i64; N]>) -> [i64; N] {
    of.fold([0; N], |sum, row| std::array::from_fn(|at| sum[at] + row[at]))
}

fn splits_deals(dimension: Dimension) -> bool {
    use Dimension::{Partner, PartnerLabel, PartnerType, Tier};
    matches!(dimension, PartnerType | Tier | Partner | PartnerLabel)
}

// === tests ===

/// Every dimension, by hand from the deals. Won: d1 100.0001 (P1, P2 and P3 a third each but for a basis
/// point: P1, the first, has the ten-thousandth that is left), d2 0.0003 (P1 0.0002, P2 0.0001), d3 250,
/// d4 77.77, d5 1,000 (P1, also as P4), d10 unknown (P2), d11 220 (P1).
#[tokio::test(flavor = "multi_thread")]
async fn every_dimension_by_hand() {
    use Dimension::{
        Credit, DealLabel, Employee, MarketingChannel, Media, Partner, PartnerLabel, PartnerType, Product,
        Region, Tier, Unit,
    };
    let sidecar = Sidecar::start().await;
    let mut caller = company_of(&sidecar).await;
    for (dimension, expected) in [
        (Partner, "* 327.7800, P1 1253.3303, P2 33.3301, P3 33.3300, ghost 0.0000"),
        (PartnerType, "* 327.7800, - 0.0000, msp 33.3300, reseller 1286.6604"),
        (Tier, "* 327.7800, - 33.3300, gold 1253.3303, silver 33.3301"),
        (PartnerLabel, "* 327.7800, - 33.3301, ent 33.3300, smb 1253.3303"),
        (Credit, "credited 1320.0004, direct 327.7700"),
        // d12 was won in the window before; d13 and d14 were lost before that, but L4 came in this one.
        (Product, "- 1547.7700, v 0.0000, w 0.0000, x 100.0001, y 0.0003, z 0.0000"),
        (DealLabel, "- 1547.7700, big 100.0001, small 0.0003"),
        // d4 is no one's by source: P2, who influenced it, gives the region.
        (Region, "- 0.0000, APAC 77.7700, EU 1320.0004, US 250.0000"),
        (Employee, "- 77.7700, e1 1320.0001, e2 0.0003, e3 250.0000"),
        // Nothing is without a unit but L2.
        (Unit, "- 0.0000, loose 77.7700, north 1570.0001, sales 1570.0004, south 0.0003, team 250.0000"),
        // The billboard brought nothing; it costs 99.
        (MarketingChannel, "- 1297.7700, billboard 0.0000, fair 0.0003, news 250.0000, search 100.0001"),
        (Media, "- 1297.7703, owned 250.0000, paid 100.0001"),
    ] {
        let found = rows(&mut caller, by(dimension, &[])).await;
        assert_eq!(all_told(&found), expected, "{dimension:?}");
        for card in &found {
            assert_eq!(group(card).dimension(), dimension);
            assert_eq!(group(card).label_key, grouping(dimension).label_key);
        }
    }
    let by_channel = rows(&mut caller, by(MarketingChannel, &[])).await;
    let spend = |card: &Scorecard| {
        let spend = card.marketing_channel.as_ref().expect("asked for").spend.as_ref();
        quantity(spend.expect("always set").figure.as_ref()).map(|e4| e4 / 10_000)
    };
    let spends: Vec<_> = by_channel.iter().map(spend).collect();
    assert_eq!(spends, [Some(0), Some(99), Some(0), Some(0), Some(310)]);
    let names: Vec<_> = rows(&mut caller, by(Unit, &[])).await.into_iter().map(|card| card.name).collect();
    assert_eq!(names, ["", "LOOSE", "NORTH", "SALES", "SOUTH", "TEAM"]);
    let names: Vec<_> = rows(&mut caller, by(Partner, &[])).await.into_iter().map(|card| card.name).collect();
    assert_eq!(names, ["", "Partner P1", "Partner P2", "Partner P3", ""]);
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_add_up_and_are_what_a_filter_gives() {
    let sidecar = Sidecar::start().await;
    let mut caller = company_of(&sidecar).await;
    let several = vec![CreditRole::Sourced, CreditRole::Influenced];
    for roles in ROLES.map(|role| vec![role]).into_iter().chain([several]) {
        let whole = get(&mut caller, None, premises(Filter::default(), &roles)).await;
        for dimension in DIMENSIONS {
            let case = format!("{dimension:?} as {roles:?}");
            let found = rows(&mut caller, by(dimension, &roles)).await;
            for card in &found {
                let filter = filter_of(group(card), &Filter::default());
                let alone = get(&mut caller, None, premises(filter, &roles)).await;
                assert_eq!(figures(card), figures(&alone), "{case}: {:?}", group(card));
            }
            let is_uncredited = |card: &Scorecard| group(card).uncredited;
            let uncredited = found.iter().filter(|card| is_uncredited(card)).count();
            assert_eq!(uncredited, usize::from(splits_deals(dimension)), "{case}");
            if roles.len() > 1 && splits_deals(dimension) {
                continue; // parts of several roles need not add up
            }
            // Units have those below them in their rows: the highest ones and the rest are the whole.
            let is_below = |card: &&Scorecard| {
                dimension == Dimension::Unit
                    && ["north", "south", "team"].contains(&group(card).value.as_str())
            };
            let parts = || found.iter().filter(|card| !is_below(card));
            assert_eq!(sum(parts().map(amounts)), amounts(&whole), "{case}");
            if !splits_deals(dimension) {
                let (mut sum, mut whole) = (sum(parts().map(counts)), counts(&whole));
                if matches!(dimension, Dimension::Product | Dimension::DealLabel) {
                    // Leads have neither; as prospects they are where their deals are, or nowhere.
                    (sum[4], sum[5], whole[4], whole[5]) = (0, 0, 0, 0);
                }
                assert_eq!(sum, whole, "{case}");
            }
        }
    }
    sidecar.stop().await;
}

/// Rows of a subject's own are its scorecards under the same filters, but that they have no peers.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_subject() {
    let sidecar = Sidecar::start().await;
    let mut caller = company_of(&sidecar).await;
    let partner = |id: &str, include_sub_partners| {
        Of::Partner(PartnerSubject { partner_id: id.into(), include_sub_partners })
    };
    for (of, dimension, expected) in [
        // Shares of others are no one's business here, nor is what is uncredited.
        (partner("P1", false), Dimension::Partner, "P1 1253.3303"),
        (partner("P4", false), Dimension::Partner, "P1 1253.3303"),
        (partner("P1", true), Dimension::Partner, "P1 1253.3303, P3 33.3300"),
        (partner("P1", true), Dimension::Tier, "- 33.3300, gold 1253.3303"),
        (partner("P2", false), Dimension::Product, "- 0.0000, v 0.0000, w 0.0000, x 33.3300, y 0.0001"),
        (
            Of::EmployeeId("e1".into()),
            Dimension::Partner,
            "* 0.0100, P1 1253.3301, P2 33.3300, P3 33.3300, ghost 0.0000",
        ),
        (Of::EmployeeId("e1".into()), Dimension::Region, "- 0.0000, APAC 0.0000, EU 1320.0001"),
        // The units above it have no part in it.
        (Of::UnitId("north".into()), Dimension::Unit, "north 1570.0001, team 250.0000"),
        (Of::UnitId("sales".into()), Dimension::Employee, "e1 1320.0001, e2 0.0003, e3 250.0000"),
    ] {
        let subject = Some(Subject { subject: Some(of.clone()) });
        let request = ListScorecardsRequest { subject: subject.clone(), ..by(dimension, &[]) };
        let found = rows(&mut caller, request).await;
        assert_eq!(all_told(&found), expected, "{of:?} by {dimension:?}");
        let whole = get(&mut caller, subject.clone(), premises(Filter::default(), &[])).await;
        if dimension != Dimension::Unit {
            assert_eq!(sum(found.iter().map(amounts)), amounts(&whole), "{of:?} by {dimension:?}");
        }
        for card in &found {
            let filter = filter_of(group(card), &Filter::default());
            let alone = get(&mut caller, subject.clone(), premises(filter, &[])).await;
            assert_eq!(without_peers(card), without_peers(&alone), "{of:?}: {:?}", group(card));
            let score = card.value_score.as_ref().expect("asked for").figure.as_ref();
            let absent = Told::AbsentReason(AbsentReason::NoPeer.into());
            assert_eq!(score.and_then(|figure| figure.result.clone()), Some(absent));
        }
    }
    sidecar.stop().await;
}

/// A card without what it is told from beside its own deals, and whose it is.
fn without_peers(card: &Scorecard) -> Scorecard {
    let mut card = Scorecard { value_score: None, ..figures(card) };
    if let Some(size) = &mut card.average_deal_size {
        (size.position, size.mean_whole_deal) = (None, None);
    }
    if let Some(close) = &mut card.close_rate {
        close.position = None;
        let context = close.context.as_mut().expect("in the full view");
        (context.region, context.region_figure, context.season) = (String::new(), None, None);
    }
    card.deal_count.as_mut().expect("asked for").position = None;
    card.opportunity_pipeline.as_mut().expect("asked for").position = None;
    card.deal_velocity.as_mut().expect("asked for").position = None;
    card.deal_success.as_mut().expect("asked for").position = None;
    card.evidence.retain(|evidence| evidence.kpi() != Kpi::ValueScore);
    card
}

/// Under a filter rows are its values, within it: grouping asks for no more than the question does.
#[tokio::test(flavor = "multi_thread")]
async fn under_a_filter() {
    let sidecar = Sidecar::start().await;
    let mut caller = company_of(&sidecar).await;
    let terms = |values: &[&str], include_none| {
        Some(Terms { values: values.iter().map(|&value| value.into()).collect(), include_none })
    };
    let resellers = Filter { partner_types: terms(&["reseller"], false), ..Filter::default() };
    let north = Filter { unit_ids: terms(&["north"], false), ..Filter::default() };
    let merged = Filter { partner_ids: terms(&["P4"], true), ..Filter::default() };
    let direct = Filter { credit: CreditFilter::Direct.into(), ..Filter::default() };
    for (filter, dimension, expected) in [
        (&resellers, Dimension::Partner, "P1 1253.3303, P2 33.3301"),
        (&resellers, Dimension::Tier, "gold 1253.3303, silver 33.3301"),
        (&resellers, Dimension::Product, "- 1220.0000, v 0.0000, w 0.0000, x 66.6601, y 0.0003"),
        (&north, Dimension::Unit, "north 1570.0001, team 250.0000"),
        (&north, Dimension::Employee, "e1 1320.0001, e3 250.0000"),
        (&merged, Dimension::Partner, "* 327.7800, P1 1253.3303"),
        (&merged, Dimension::Tier, "* 327.7800, gold 1253.3303"),
        (&direct, Dimension::Partner, "* 327.7700"),
        (&direct, Dimension::Credit, "direct 327.7700"),
    ] {
        let premises = |filter| Some(premises(filter, &[]));
        let request = ListScorecardsRequest { premises: premises(filter.clone()), ..by(dimension, &[]) };
        let found = rows(&mut caller, request).await;
        assert_eq!(all_told(&found), expected, "{dimension:?} under {filter:?}");
        for card in &found {
            let narrowed = premises(filter_of(group(card), filter)).expect("just set");
            assert_eq!(figures(card), figures(&get(&mut caller, None, narrowed).await), "{:?}", group(card));
        }
        if dimension != Dimension::Unit {
            let whole = get(&mut caller, None, premises(filter.clone()).expect("just set")).await;
            assert_eq!(sum(found.iter().map(amounts)), amounts(&whole), "{dimension:?} under {filter:?}");
        }
    }
    sidecar.stop().await;
}

/// Pages of one row each: the uncredited rest, what has no value, then the values by their bytes.
#[tokio::test(flavor = "multi_thread")]
async fn walks_find_every_row_once() {
    let sidecar = Sidecar::start().await;
    let mut caller = company_of(&sidecar).await;
    for dimension in DIMENSIONS {
        let expected = rows(&mut caller, by(dimension, &[])).await;
        let order = |card: &Scorecard| (!group(card).uncredited, group(card).value.clone());
        assert!(expected.is_sorted_by_key(order), "{dimension:?}");
        let mut request = ListScorecardsRequest { page_size: 1, ..by(dimension, &[]) };
        let mut found = Vec::new();
        loop {
            let page = page(&mut caller, request.clone()).await;
            assert!(!page.revision_changed);
            assert_eq!(page.scorecards.len(), 1);
            found.extend(page.scorecards);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        assert_eq!(found, expected, "{dimension:?}");
    }

    // A value of the greatest length, in a script of three bytes to the letter, comes back in a token.
    let region = "ক".repeat(42);
    let far = Deal { region: region.clone(), ..deal("far", "P1", "e1", "03-05", 5) };
    let farther = Deal { region: format!("{region}!!"), ..deal("farther", "P1", "e1", "03-05", 5) };
    caller.write([far, farther].map(|deal| version(noon("04-05"), Kind::Deal(deal))).into()).await;
    let mut request = ListScorecardsRequest { page_size: 5, ..by(Dimension::Region, &[]) };
    let first = page(&mut caller, request.clone()).await;
    assert_eq!(group(first.scorecards.last().expect("five rows")).value, region);
    request.page_token = first.next_page_token;
    let second = page(&mut caller, request).await;
    assert_eq!(second.scorecards.iter().map(|card| group(card).value.len()).collect::<Vec<_>>(), [128]);
    sidecar.stop().await;
}

/// Values that come behind the last row are found, those before it aren't; one that goes is missed.
#[tokio::test(flavor = "multi_thread")]
async fn a_walk_goes_on_while_records_are_written() {
    let sidecar = Sidecar::start().await;
    let mut caller = company_of(&sidecar).await;
    let mut request = ListScorecardsRequest { page_size: 2, ..by(Dimension::Partner, &[]) };
    let first = page(&mut caller, request.clone()).await;
    assert_eq!(all_told(&first.scorecards), "* 327.7800, P1 1253.3303");
    assert!(!first.revision_changed);

    // P1, the last row, becomes P3: the walk goes on behind the place where it was.
    let merged = Partner {
        partner_id: "P1".into(),
        merged_into_partner_id: "P3".into(),
        partner_type: "reseller".into(),
        ..Partner::default()
    };
    let parentless = Partner { partner_id: "P3".into(), partner_type: "msp".into(), ..Partner::default() };
    let late = |id: &str, partner_id: &str| won("03-30", deal(id, partner_id, "e1", "03-29", 7));
    caller
        .write(vec![
            version(noon("04-09"), Kind::Deal(late("n1", "P0"))),
            version(noon("04-09"), Kind::Deal(late("n2", "P25"))),
            version(noon("04-09"), Kind::Partner(merged)),
            version(noon("04-09"), Kind::Partner(parentless)),
        ])
        .await;
    request.page_token = first.next_page_token;
    let mut found = Vec::new();
    loop {
        let page = page(&mut caller, request.clone()).await;
        assert!(page.revision_changed);
        found.extend(page.scorecards.iter().map(told));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, ["P2 33.3301", "P25 7.0000", "P3 1286.6603", "ghost 0.0000"]);
    sidecar.stop().await;
}
