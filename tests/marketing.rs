//! Marketing channels (docs/kpis.md §6, 4) through gRPC on a real socket: the worked example of §12 on both
//! bases, spends by day and currency, whose they are, and every odd case by hand.
//!
//! A row is told as `name leads converted opened won (amount) | spend, per lead, per won deal, ROAS, ROI |
//! close rate`, on the cohort basis with how many are unresolved; ratios by their terms.

#[path = "support/sidecar.rs"]
mod sidecar;
#[path = "support/worked_example.rs"]
mod worked_example;

use channel_kpi::proto::channelkpi::v1::comparison::Comparison as Against;
use channel_kpi::proto::channelkpi::v1::figure::Result as Told;
use channel_kpi::proto::channelkpi::v1::quantity::Quantity as Q;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::window::Window as Asked;
use channel_kpi::proto::channelkpi::v1::{
    AbsentReason, ComparedFigure, Comparison, DateRange, Deal, Definition, Exchange, ExchangePolicy,
    ExchangeRate, ExchangeRateKey, Figure, Filter, GetMarketingPerformanceRequest, LabelTerms, Lead,
    LeadOutcome, MarketingBasis, MarketingChannel, MarketingFigures, MarketingPerformance, MarketingSpend,
    Media, MediaTerms, Partner, PartnerCredit, PartnerSubject, Premises, Quantity, Record, Subject, Terms,
    Trend, Window,
};
use channel_kpi::proto::google::r#type::{Decimal, Money};
use sidecar::{Caller, Sidecar};
use tonic::Code;
use worked_example::{at, date, deal, lost, noon, records, settings, sourced, usd, version, won};

fn partner(partner_id: &str, include_sub_partners: bool) -> Subject {
    let partner = PartnerSubject { partner_id: partner_id.into(), include_sub_partners };
    Subject { subject: Some(Of::Partner(partner)) }
}

fn employee(id: &str) -> Subject {
    Subject { subject: Some(Of::EmployeeId(id.into())) }
}

fn dates(start_on: &str, end_on: &str) -> Option<Window> {
    let dates = DateRange { start_on: date(start_on), end_on: date(end_on) };
    Some(Window { window: Some(Asked::Dates(dates)) })
}

/// March 2024, whole, of the tenant.
fn march() -> GetMarketingPerformanceRequest {
    GetMarketingPerformanceRequest {
        window: dates("2024-03-01", "2024-04-01"),
        as_of: date("2024-03-31"),
        ..GetMarketingPerformanceRequest::default()
    }
}

fn of(subject: Subject) -> GetMarketingPerformanceRequest {
    GetMarketingPerformanceRequest { subject: Some(subject), ..march() }
}

fn cohort(question: GetMarketingPerformanceRequest) -> GetMarketingPerformanceRequest {
    GetMarketingPerformanceRequest { basis: MarketingBasis::Cohort.into(), ..question }
}

fn under(filter: Filter, question: GetMarketingPerformanceRequest) -> GetMarketingPerformanceRequest {
    let premises = Some(Premises { filter: Some(filter), ..Premises::default() });
    GetMarketingPerformanceRequest { premises, ..question }
}

fn terms(value: &str) -> Option<Terms> {
    Some(Terms { values: vec![value.into()], include_none: false })
}

fn of_media(media: Media) -> Filter {
    let media = MediaTerms { values: vec![media.into()], include_none: false };
    Filter { media: Some(media), ..Filter::default() }
}

async fn get(
    caller: &mut Caller,
    question: GetMarketingPerformanceRequest,
) -> (MarketingPerformance, Definition) {
    let answer = caller.kpis.get_marketing_performance(question).await.expect("the question is valid");
    let answer = answer.into_inner();
    (answer.performance.expect("always set"), answer.definition.expect("always set"))
}

/// The channels, what is unattributed, the media that aren't empty, and the total.
async fn table(caller: &mut Caller, question: GetMarketingPerformanceRequest) -> Vec<String> {
    let (performance, _) = get(caller, question).await;
    rows(&performance)
}

fn rows(performance: &MarketingPerformance) -> Vec<String> {
    let channels =
        performance.channels.iter().map(|row| (row.marketing_channel_id.as_str(), row.figures.as_ref()));
    let unattributed = [("none", performance.unattributed.as_ref())];
    let media = performance.media.iter().map(|row| match row.media() {
        Media::Paid => ("PAID", row.figures.as_ref()),
        Media::Earned => ("EARNED", row.figures.as_ref()),
        Media::Owned => ("OWNED", row.figures.as_ref()),
        Media::Unspecified => ("UNKNOWN", row.figures.as_ref()),
    });
    let total = [("ALL", performance.total.as_ref())];
    let all = channels.chain(unattributed).chain(media).chain(total);
    all.map(|(name, row)| format!("{name} {}", figures(row.expect("always set")))).collect()
}

fn figures(row: &MarketingFigures) -> String {
    figures_by(row, |figure| figure.figure.as_ref().expect("always set").clone())
}

fn figures_by(row: &MarketingFigures, pick: impl Fn(&ComparedFigure) -> Figure) -> String {
    let told = |figure: &Option<ComparedFigure>| figure_told(&pick(figure.as_ref().expect("always set")));
    let unresolved = row.unresolved_count.map_or(String::new(), |count| format!(" ({count})"));
    format!(
        "{} {} {} {} ({}) | {} {} {} {} {} | {}{unresolved}",
        told(&row.lead_count),
        told(&row.converted_lead_count),
        told(&row.opened_count),
        told(&row.won_count),
        told(&row.won_amount),
        told(&row.spend),
        told(&row.cost_per_lead),
        told(&row.cost_per_won_deal),
        told(&row.return_on_ad_spend),
        told(&row.return_on_investment),
        terms_told(&pick(row.close_rate.as_ref().expect("always set"))),
    )
}

/// A quantity alone, where it is divided by one.
fn figure_told(figure: &Figure) -> String {
    let told = terms_told(figure);
    told.strip_suffix("/1").map_or(told.clone(), str::to_owned)
}

/// The terms of a ratio, or why it is absent in a word.
fn terms_told(figure: &Figure) -> String {
    match figure.result.as_ref().expect("a figure has a value or the reason why not") {
        Told::AbsentReason(reason) => {
            let reason = AbsentReason::try_from(*reason).expect("a reason of this API");
            reason.as_str_name().trim_start_matches("ABSENT_REASON_").to_lowercase().replace('_', "-")
        }
        Told::Value(ratio) => {
            let (numerator, denominator) = (quantity(&ratio.numerator), quantity(&ratio.denominator));
            let [above, below] =
                [&numerator, &denominator].map(|term| term.parse::<f64>().expect("a term is a number"));
            assert!((ratio.quotient - above / below).abs() < 1e-9, "{ratio:?}");
            format!("{numerator}/{denominator}")
        }
    }
}

fn quantity(quantity: &Option<Quantity>) -> String {
    match quantity.as_ref().and_then(|quantity| quantity.quantity.as_ref()).expect("a term is set") {
        Q::Count(count) => count.to_string(),
        Q::Amount(amount) => money(amount),
    }
}

/// With four decimal places where cents don't tell it.
fn money(amount: &Money) -> String {
    assert_eq!(amount.currency_code, "USD");
    let sign = if amount.units < 0 || amount.nanos < 0 { "-" } else { "" };
    let (units, nanos) = (amount.units.abs(), amount.nanos.abs());
    match nanos % 10_000_000 {
        0 => format!("{sign}{units}.{:02}", nanos / 10_000_000),
        _ => format!("{sign}{units}.{:04}", nanos / 100_000),
    }
}

// === records ===

fn channel(id: &str, media: Media) -> Record {
    let channel = MarketingChannel { marketing_channel_id: id.into(), name: "".into(), media: media.into() };
    version(noon("01-02"), Kind::MarketingChannel(channel))
}

fn lead(lead_id: &str, channel: &str, created: &str) -> Lead {
    Lead {
        lead_id: lead_id.into(),
        created_at: noon(created),
        marketing_channel_id: channel.into(),
        ..Lead::default()
    }
}

fn sent_lead(lead: Lead) -> Record {
    version(noon("04-01"), Kind::Lead(lead))
}

fn sent_deal(deal: Deal) -> Record {
    version(noon("04-01"), Kind::Deal(deal))
}

fn of_lead(lead_id: &str, deal: Deal) -> Deal {
    Deal { lead_id: lead_id.into(), ..deal }
}

fn spend(id: &str, channel: &str, start: &str, end: &str, amount: Option<Money>, partner: &str) -> Record {
    let spend = MarketingSpend {
        marketing_spend_id: id.into(),
        marketing_channel_id: channel.into(),
        start_on: date(&format!("2024-{start}")),
        end_on: date(&format!("2024-{end}")),
        amount,
        partner_id: partner.into(),
    };
    version(noon("03-01"), Kind::MarketingSpend(spend))
}

fn rate(on: &str, rate: &str) -> Record {
    let (from_currency_code, to_currency_code) = ("EUR".into(), "USD".into());
    let key = ExchangeRateKey { from_currency_code, to_currency_code, rate_on: date(on) };
    let rate = Some(Decimal { value: rate.into() });
    version(noon("01-02"), Kind::ExchangeRate(ExchangeRate { key: Some(key), rate }))
}

// === tests ===

#[tokio::test(flavor = "multi_thread")]
async fn the_worked_example() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("example", settings()).await;
    caller.write(records()).await;

    let (performance, definition) = get(&mut caller, march()).await;
    let search = "2 1 1 1 (400.00) | 310.00 310.00/2 310.00 400.00/310.00 90.00/310.00 | 1/2";
    let newsletter = "1 0 0 0 (0.00) | 50.00 50.00 no-deal-won 0.00/50.00 -50.00/50.00 | no-prospect";
    let reviews = "0 1 1 1 (900.00) | 0.00 no-spend no-spend no-spend no-spend | 1/1";
    let unattributed = "0 0 3 1 (200.00) | 0.00 no-spend no-spend no-spend no-spend | 1/3";
    assert_eq!(
        rows(&performance),
        [
            format!("newsletter {newsletter}"),
            format!("reviews {reviews}"),
            format!("search {search}"),
            format!("none {unattributed}"),
            format!("PAID {search}"),
            format!("EARNED {reviews}"),
            format!("OWNED {newsletter}"),
            format!("UNKNOWN {unattributed}"),
            "ALL 3 2 5 3 (1500.00) | 360.00 360.00/3 360.00/3 1500.00/360.00 1140.00/360.00 | 3/6".into(),
        ]
    );
    assert_eq!(performance.basis(), MarketingBasis::Period);
    assert_eq!(performance.subject, Some(Subject::default()));
    let names: Vec<_> = performance.channels.iter().map(|row| (row.name.as_str(), row.media())).collect();
    let expected =
        [("Newsletter", Media::Owned), ("Review site", Media::Earned), ("Paid search", Media::Paid)];
    assert_eq!(names, expected);

    // As the definitions round them.
    let of_search = performance.channels[2].figures.as_ref().expect("always set");
    for (figure, expected) in [
        (&of_search.cost_per_lead, 155.0),
        (&of_search.cost_per_won_deal, 310.0),
        (&of_search.return_on_ad_spend, 1.2903),
        (&of_search.return_on_investment, 0.2903),
    ] {
        let figure = figure.as_ref().and_then(|compared| compared.figure.clone()).expect("always set");
        let Some(Told::Value(ratio)) = figure.result else { panic!("{figure:?}") };
        assert!((ratio.quotient - expected).abs() < 0.0001, "{ratio:?}");
    }
    let interval = of_search.close_rate_interval.expect("there is a rate");
    assert!((interval.lower - 0.094531).abs() < 1e-6 && (interval.upper - 0.905469).abs() < 1e-6);
    let shares = of_search.shares.clone().expect("always set");
    let told = [
        &shares.lead_count,
        &shares.converted_lead_count,
        &shares.opened_count,
        &shares.won_count,
        &shares.won_amount,
        &shares.spend,
    ]
    .map(|share| figure_told(share.as_ref().expect("always set")));
    assert_eq!(told, ["2/3", "1/2", "1/5", "1/3", "400.00/1500.00", "310.00/360.00"]);

    // Beside February, in which L4 came.
    assert_eq!(
        definition.comparison_window,
        Some(DateRange { start_on: date("2024-02-01"), end_on: date("2024-03-01") })
    );
    assert_eq!(definition.comparison_as_of, date("2024-02-29"));
    let total = performance.total.expect("always set");
    let before = figures_by(&total, |figure| figure.comparison.clone().expect("there is one"));
    assert_eq!(before, "1 0 3 0 (0.00) | 0.00 no-spend no-spend no-spend no-spend | no-prospect");
    // Beside given days: those in which L4 came and nothing else happened.
    let given = DateRange { start_on: date("2024-02-25"), end_on: date("2024-02-26") };
    let comparison = Some(Comparison { comparison: Some(Against::Dates(given)) });
    let compared = GetMarketingPerformanceRequest { comparison, ..march() };
    let (compared, definition) = get(&mut caller, compared).await;
    assert_eq!(definition.comparison_window, Some(given));
    let compared = compared.total.expect("always set");
    let before = figures_by(&compared, |figure| figure.comparison.clone().expect("there is one"));
    assert_eq!(before, "1 0 0 0 (0.00) | 0.00 no-spend no-spend no-spend no-spend | no-prospect");
    let trend = |figure: &Option<ComparedFigure>| {
        let change = figure.as_ref().expect("always set").change.expect("both are there");
        (change.absolute, change.trend())
    };
    assert_eq!(trend(&total.lead_count), (Some(2.0), Trend::Better));
    assert_eq!(trend(&total.spend), (Some(360.0), Trend::Unspecified), "neither way is good");
    assert_eq!(total.cost_per_lead.expect("always set").change, None, "nothing to compare with");
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worked_example_on_the_cohort_basis_and_of_others() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("example", settings()).await;
    caller.write(records()).await;
    let channels = |rows: Vec<String>| rows[..4].to_vec();

    let rows = table(&mut caller, cohort(march())).await;
    assert_eq!(
        channels(rows.clone()),
        [
            "newsletter 1 0 0 0 (0.00) | 50.00 50.00 no-deal-won 0.00/50.00 -50.00/50.00 | 0/1 (1)",
            "reviews 0 0 0 0 (0.00) | 0.00 no-spend no-spend no-spend no-spend | no-prospect (0)",
            "search 2 1 1 1 (400.00) | 310.00 310.00/2 310.00 400.00/310.00 90.00/310.00 | 1/2 (0)",
            "none 0 0 0 0 (0.00) | 0.00 no-spend no-spend no-spend no-spend | no-prospect (0)",
        ]
    );
    let total = "ALL 3 1 1 1 (400.00) | 360.00 360.00/3 360.00 400.00/360.00 40.00/360.00 | 1/3 (1)";
    assert_eq!(rows[8], total);

    // As the host knew it before it told what it spent.
    let premises = Some(Premises { known_at: at("2024-03-01T05:59:59Z"), ..Premises::default() });
    let rows_then = table(&mut caller, GetMarketingPerformanceRequest { premises, ..march() }).await;
    assert!(rows_then[8].starts_with("ALL 0 0 0 0 (0.00) | 0.00 no-spend "), "{}", rows_then[8]);

    // February's leads, as they had ripened a month later: by the end of February, nothing.
    let february = |as_of| GetMarketingPerformanceRequest {
        window: dates("2024-02-01", "2024-03-01"),
        as_of: date(as_of),
        ..march()
    };
    let rows = table(&mut caller, cohort(february("2024-03-31"))).await;
    assert_eq!(rows[1], "reviews 1 1 1 1 (900.00) | 0.00 no-spend no-spend no-spend no-spend | 1/1 (0)");
    let rows = table(&mut caller, cohort(february("2024-02-29"))).await;
    assert_eq!(rows[1], "reviews 1 0 0 0 (0.00) | 0.00 no-spend no-spend no-spend no-spend | 0/1 (1)");
    // In the window, which is over, the lead came; what came of it comes later.
    let rows = table(&mut caller, february("2024-03-31")).await;
    assert_eq!(rows[1], "reviews 1 0 0 0 (0.00) | 0.00 no-spend no-spend no-spend no-spend | no-prospect");

    // No spend names A, and an employee has none.
    let spend_of_a = "0.00 no-spend no-spend no-spend no-spend";
    let untold = "spend-not-told spend-not-told spend-not-told spend-not-told spend-not-told";
    assert_eq!(
        channels(table(&mut caller, of(partner("A", false))).await),
        [
            format!("newsletter 0 0 0 0 (0.00) | {spend_of_a} | no-prospect"),
            format!("reviews 0 0 0 0 (0.00) | {spend_of_a} | no-prospect"),
            format!("search 2 1 1 1 (400.00) | {spend_of_a} | 1/2"),
            format!("none 0 0 1 1 (200.00) | {spend_of_a} | 1/2"),
        ]
    );
    let rows = table(&mut caller, of(employee("e2"))).await;
    assert_eq!(rows[2], format!("search 1 1 1 1 (400.00) | {untold} | 1/1"));
    assert_eq!(rows[8], format!("ALL 2 1 3 1 (400.00) | {untold} | 1/2"));
    let share = get(&mut caller, of(employee("e2"))).await.0.total.and_then(|total| total.shares);
    let share = share.and_then(|shares| shares.spend).expect("always set");
    assert_eq!(figure_told(&share), "spend-not-told");

    let nobody = caller.kpis.get_marketing_performance(of(partner("nobody", false))).await;
    assert_eq!(nobody.expect_err("no record names it").code(), Code::NotFound);
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_pick_rows_and_say_what_of_the_spend_is_known() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("example", settings()).await;
    caller.write(records()).await;
    let north =
        Deal { region: "north".into(), product: "boots".into(), ..deal("n1", "A", "e1", "03-02", 50) };
    let north = Deal { labels: [("size".into(), "small".into())].into(), ..north };
    caller.write(vec![sent_deal(won("03-30", of_lead("L1", north)))]).await;

    // A channel, a medium: the rows that pass, and their spend.
    let search = "2 1 2 2 (450.00) | 310.00 310.00/2 310.00/2 450.00/310.00 140.00/310.00 | 1/2";
    let by_channel = Filter { marketing_channel_ids: terms("search"), ..Filter::default() };
    for filter in [by_channel, of_media(Media::Paid)] {
        let rows = table(&mut caller, under(filter, march())).await;
        let nothing = "0 0 0 0 (0.00) | 0.00 no-spend no-spend no-spend no-spend | no-prospect";
        let expected = [
            format!("search {search}"),
            format!("none {nothing}"),
            format!("PAID {search}"),
            format!("EARNED {nothing}"),
            format!("OWNED {nothing}"),
            format!("UNKNOWN {nothing}"),
            format!("ALL {search}"),
        ];
        assert_eq!(rows, expected);
    }
    let unknown = MediaTerms { values: vec![], include_none: true };
    let unknown = Filter { media: Some(unknown), ..Filter::default() };
    let rows = table(&mut caller, under(unknown, march())).await;
    assert_eq!(rows[0], "none 0 0 3 1 (200.00) | 0.00 no-spend no-spend no-spend no-spend | 1/3");

    // Of a region the leads are known, by their home; of a product and a label they are not.
    let untold = "spend-not-told spend-not-told spend-not-told spend-not-told spend-not-told";
    let of_region = Filter { regions: terms("north"), ..Filter::default() };
    // L1 has no region of its own, nor has its partner: its first deal has none either.
    let rows = table(&mut caller, under(of_region.clone(), march())).await;
    assert_eq!(rows[2], format!("search 0 0 1 1 (50.00) | {untold} | no-prospect"));
    // On the cohort basis a deal must have a lead that passes.
    let rows = table(&mut caller, cohort(under(of_region, march()))).await;
    assert_eq!(rows[2], format!("search 0 0 0 0 (0.00) | {untold} | no-prospect (0)"));

    let of_product = Filter { products: terms("boots"), ..Filter::default() };
    let of_label = LabelTerms { key: "size".into(), terms: terms("small") };
    let of_label = Filter { deal_labels: vec![of_label], ..Filter::default() };
    for filter in [of_product, of_label] {
        let not_counted = "leads-not-counted leads-not-counted";
        let rows = table(&mut caller, under(filter.clone(), march())).await;
        assert_eq!(rows[2], format!("search {not_counted} 1 1 (50.00) | {untold} | 1/1"));
        // The deal passes itself; its lead's other deal doesn't.
        let rows = table(&mut caller, cohort(under(filter, march()))).await;
        assert_eq!(rows[2], format!("search {not_counted} 1 1 (50.00) | {untold} | 1/1 (0)"));
    }
    sidecar.stop().await;
}

/// A spend's days: whole ten-thousandths, the first ones more, each converted by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_spend_is_spread_over_its_days_and_converted_day_by_day() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("days", settings()).await;
    let euros = |units, nanos| Some(Money { currency_code: "EUR".into(), units, nanos });
    caller
        .write(vec![
            rate("2024-03-01", "1.1"),
            rate("2024-03-03", "1.25"),
            // 3.3335, 3.3334, 3.3334: 3.66685 → 3.6668, 3.66674 → 3.6667, 4.16675 → 4.1668
            spend("s1", "ads", "03-01", "03-04", euros(10, 300_000), ""),
            // The days before the first rate are unknown.
            spend("s2", "radio", "02-28", "03-02", euros(3, 0), ""),
            // 0.0001 on the first three days, nothing on the others
            spend("s3", "fairs", "03-01", "03-11", Some(Money { nanos: 300_000, ..usd(0).unwrap() }), ""),
        ])
        .await;
    let within = |start: &str, end: &str, as_of: &str| GetMarketingPerformanceRequest {
        window: dates(start, end),
        as_of: date(as_of),
        ..march()
    };
    let at = |policy: ExchangePolicy, fixed_on| {
        let exchange = Some(Exchange { policy: policy.into(), fixed_on });
        let premises = Some(Premises { exchange, ..Premises::default() });
        GetMarketingPerformanceRequest { premises, ..march() }
    };
    for (question, ads, radio, fairs, days_without_rate) in [
        (march(), "11.5003", "1.10", "0.0003", 0),
        (within("2024-03-02", "2024-03-04", "2024-03-31"), "7.8335", "0.00", "0.0002", 0),
        (within("2024-03-03", "2024-03-11", "2024-03-31"), "4.1668", "0.00", "0.0001", 0),
        // To date: the days that have come.
        (within("2024-03-01", "2024-04-01", "2024-03-02"), "7.3335", "1.10", "0.0002", 0),
        (within("2024-02-01", "2024-03-02", "2024-03-31"), "3.6668", "1.10", "0.0001", 2),
        (within("2024-02-01", "2024-03-01", "2024-03-31"), "0.00", "0.00", "0.00", 2),
        (at(ExchangePolicy::Fixed, date("2024-03-01")), "11.0002", "1.10", "0.0003", 0),
        (at(ExchangePolicy::WindowEnd, None), "12.5005", "1.25", "0.0003", 0),
        (at(ExchangePolicy::Fixed, date("2024-02-01")), "0.00", "0.00", "0.0003", 4),
    ] {
        let what = format!("{question:?}");
        let (performance, _) = get(&mut caller, question).await;
        let spent = |row: &MarketingFigures| {
            let spend = row.spend.as_ref().and_then(|spend| spend.figure.as_ref()).expect("always set");
            figure_told(spend)
        };
        // No channel was sent: those are named that the spend of one of the windows names.
        for (id, expected) in [("ads", ads), ("radio", radio), ("fairs", fairs)] {
            let row = performance.channels.iter().find(|row| row.marketing_channel_id == id);
            let found = row.map_or("0.00".into(), |row| spent(row.figures.as_ref().expect("always set")));
            assert_eq!(found, expected, "{id} of {what}");
        }
        let total = performance.total.expect("always set");
        assert_eq!(total.unconverted_spend_day_count, days_without_rate, "{what}");
    }
    let (_, definition) = get(&mut caller, march()).await;
    assert_eq!(definition.oldest_rate_on, date("2024-03-01"));
    sidecar.stop().await;
}

/// Market development funds: a partner's spend is what names it, what was merged into it, and, where asked
/// for, what stands below it.
#[tokio::test(flavor = "multi_thread")]
async fn a_partners_spend_names_it() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("funds", settings()).await;
    let sent = |partner_id: &str, parent: &str, merged_into: &str| {
        let partner = Partner {
            partner_id: partner_id.into(),
            parent_partner_id: parent.into(),
            merged_into_partner_id: merged_into.into(),
            ..Partner::default()
        };
        version(noon("01-02"), Kind::Partner(partner))
    };
    let bought = |id: &str, partner: &str| Lead {
        partner_id: partner.into(),
        outcome: LeadOutcome::Converted.into(),
        decided_at: noon("03-05"),
        ..lead(id, "ads", "03-02")
    };
    let shared = |share_bps| {
        let credit = |partner_id: &str, share_bps| PartnerCredit {
            share_bps: Some(share_bps),
            ..sourced(partner_id).remove(0)
        };
        vec![credit("A", share_bps), credit("B", 10_000 - share_bps)]
    };
    let deal_of_b = Deal { partner_credits: shared(2_500), ..deal("d1", "B", "e1", "03-05", 1_000) };
    let gone = Record { deleted: true, ..spend("s5", "ads", "03-01", "04-01", usd(1_000), "A") };
    caller
        .write(vec![
            channel("ads", Media::Paid),
            channel("fair", Media::Owned),
            sent("A", "", ""),
            sent("B", "A", ""),
            sent("C", "", "A"),
            spend("s1", "ads", "03-01", "04-01", usd(310), "A"),
            spend("s2", "ads", "03-01", "04-01", usd(62), "B"),
            spend("s3", "fair", "03-01", "04-01", usd(31), "C"),
            spend("s4", "ads", "03-01", "04-01", usd(5_000), ""),
            spend("s5", "ads", "03-01", "04-01", usd(1_000), "A"),
            version(noon("03-02"), gone.record.clone().expect("it is set")),
            sent_lead(bought("L1", "B")),
            sent_deal(won("03-20", of_lead("L1", deal_of_b))),
        ])
        .await;
    let deleted = Record { update_time: noon("03-09"), ..gone };
    caller.write(vec![deleted]).await;
    for (subject, ads, fair) in [
        (
            partner("A", false),
            "0 0 1 1 (250.00) | 310.00 no-lead 310.00 250.00/310.00 -60.00/310.00 | no-prospect",
            "31.00",
        ),
        (
            partner("C", false),
            "0 0 1 1 (250.00) | 310.00 no-lead 310.00 250.00/310.00 -60.00/310.00 | no-prospect",
            "31.00",
        ),
        (partner("B", false), "1 1 1 1 (750.00) | 62.00 62.00 62.00 750.00/62.00 688.00/62.00 | 1/1", "0.00"),
        (
            partner("A", true),
            "1 1 1 1 (1000.00) | 372.00 372.00 372.00 1000.00/372.00 628.00/372.00 | 1/1",
            "31.00",
        ),
        (
            Subject::default(),
            "1 1 1 1 (1000.00) | 5372.00 5372.00 5372.00 1000.00/5372.00 -4372.00/5372.00 | 1/1",
            "31.00",
        ),
    ] {
        let rows = table(&mut caller, of(subject.clone())).await;
        assert_eq!(rows[0], format!("ads {ads}"), "{subject:?}");
        assert!(rows[1].starts_with(&format!("fair 0 0 0 0 (0.00) | {fair} ")), "{subject:?}: {}", rows[1]);
        // On the cohort basis a partner's deals are those of its leads, with its own part.
        let rows = table(&mut caller, cohort(of(subject.clone()))).await;
        let is_lead_of_another = subject == partner("A", false) || subject == partner("C", false);
        let expected = if is_lead_of_another {
            "ads 0 0 0 0 (0.00) | 310.00 no-lead no-deal-won 0.00/310.00 -310.00/310.00 | no-prospect (0)"
                .into()
        } else {
            format!("ads {ads} (0)")
        };
        assert_eq!(rows[0], expected, "{subject:?}");
    }
    // A channel's filter keeps a partner's spend known, another doesn't.
    let rows = table(&mut caller, under(of_media(Media::Owned), of(partner("A", false)))).await;
    let fair = "0 0 0 0 (0.00) | 31.00 no-lead no-deal-won 0.00/31.00 -31.00/31.00 | no-prospect";
    assert_eq!(rows[0], format!("fair {fair}"));
    let of_b = Filter { partner_ids: terms("B"), ..Filter::default() };
    let rows = table(&mut caller, under(of_b, march())).await;
    assert!(rows[0].starts_with("ads 1 1 1 1 (750.00) | spend-not-told "), "{}", rows[0]);
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_channels_by_hand() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("odd", settings()).await;
    let decided =
        |lead: Lead| Lead { outcome: LeadOutcome::Disqualified.into(), decided_at: noon("03-29"), ..lead };
    let own = |channel: &str, deal: Deal| Deal { marketing_channel_id: channel.into(), ..deal };
    let unpriced = |deal: Deal| Deal { amount: None, ..deal };
    let record = |record: Record| Record { deleted: true, update_time: noon("04-02"), ..record };
    caller
        .write(vec![
            channel("ads", Media::Paid),
            channel("blog", Media::Owned),
            channel("idle", Media::Earned),
            channel("old", Media::Earned),
            channel("older", Media::Earned),
            // A deal's own channel against its lead's.
            sent_lead(lead("L1", "ads", "03-02")),
            sent_deal(won("03-10", of_lead("L1", own("blog", deal("d1", "A", "e1", "03-05", 100))))),
            // A second purchase, after the window: of the cohort's deals, but no second prospect.
            sent_deal(won("04-10", of_lead("L1", deal("d2", "A", "e1", "03-06", 30)))),
            // A lead without a channel has its first deal's.
            sent_lead(lead("L2", "", "03-03")),
            sent_deal(lost("03-20", of_lead("L2", own("blog", deal("d3", "A", "e1", "03-04", 7))))),
            // Without any.
            sent_lead(decided(lead("L3", "", "03-04"))),
            // A channel that was never sent.
            sent_lead(lead("L4", "rumour", "03-05")),
            sent_deal(own("rumour", won("03-31", unpriced(deal("d4", "A", "e1", "03-05", 0))))),
            // Deleted ones keep their medium, and a row while something names them.
            sent_lead(lead("L5", "old", "03-06")),
            record(channel("old", Media::Unspecified)),
            record(channel("older", Media::Unspecified)),
            // Deleted leads and deals count nowhere; a deal of a deleted lead is its own prospect.
            record(sent_lead(lead("L6", "ads", "03-07"))),
            sent_deal(of_lead("L6", deal("d5", "A", "e1", "03-07", 1_000))),
            record(sent_deal(own("ads", deal("d6", "A", "e1", "03-07", 1_000)))),
            // Opened before its lead came, as some hosts have it.
            sent_lead(lead("L7", "ads", "03-30")),
            sent_deal(won("03-29", of_lead("L7", deal("d7", "A", "e1", "02-20", 9)))),
        ])
        .await;
    let no = "0.00 no-spend no-spend no-spend no-spend";
    assert_eq!(
        table(&mut caller, march()).await,
        [
            format!("ads 2 0 1 1 (9.00) | {no} | 2/2"), // d2 opened; L1 and L7 purchased; d7 won
            format!("blog 1 0 2 1 (100.00) | {no} | 0/1"), // d1, d3 opened, d1 won; L2 lost
            format!("idle 0 0 0 0 (0.00) | {no} | no-prospect"),
            format!("old 1 0 0 0 (0.00) | {no} | no-prospect"),
            format!("rumour 1 0 1 1 (0.00) | {no} | 1/1"), // d4 is no deal of L4
            format!("none 1 0 1 0 (0.00) | {no} | 0/1"),   // d5 opened; L3 lost
            format!("PAID 2 0 1 1 (9.00) | {no} | 2/2"),
            format!("EARNED 1 0 0 0 (0.00) | {no} | no-prospect"),
            format!("OWNED 1 0 2 1 (100.00) | {no} | 0/1"),
            format!("UNKNOWN 2 0 2 1 (0.00) | {no} | 1/2"),
            format!("ALL 6 0 5 3 (109.00) | {no} | 3/5"),
        ]
    );
    // The leads' deals are in the leads' rows.
    assert_eq!(
        table(&mut caller, cohort(march())).await,
        [
            format!("ads 2 0 3 2 (109.00) | {no} | 2/2 (0)"), // d1, d2, d7
            format!("blog 1 0 1 0 (0.00) | {no} | 0/1 (0)"),
            format!("idle 0 0 0 0 (0.00) | {no} | no-prospect (0)"),
            format!("old 1 0 0 0 (0.00) | {no} | 0/1 (1)"),
            format!("rumour 1 0 0 0 (0.00) | {no} | 0/1 (1)"),
            format!("none 1 0 0 0 (0.00) | {no} | 0/1 (0)"),
            format!("PAID 2 0 3 2 (109.00) | {no} | 2/2 (0)"),
            format!("EARNED 1 0 0 0 (0.00) | {no} | 0/1 (1)"),
            format!("OWNED 1 0 1 0 (0.00) | {no} | 0/1 (0)"),
            format!("UNKNOWN 2 0 0 0 (0.00) | {no} | 0/2 (1)"),
            format!("ALL 6 0 4 2 (109.00) | {no} | 2/6 (2)"),
        ]
    );
    let (performance, _) = get(&mut caller, march()).await;
    let unpriced: Vec<i64> = performance
        .channels
        .iter()
        .map(|row| row.figures.as_ref().expect("always set").unpriced_won_count)
        .collect();
    assert_eq!(unpriced, [0, 0, 0, 0, 1]);
    // A spend on the channel whose only deal has no amount returns an unknown, not nothing.
    caller.write(vec![spend("s", "rumour", "03-01", "04-01", usd(31), "")]).await;
    let rows = table(&mut caller, march()).await;
    assert_eq!(rows[4], "rumour 1 0 1 1 (0.00) | 31.00 31.00 31.00 no-amount-known no-amount-known | 1/1");
    // A later day shows the second purchase.
    let later = GetMarketingPerformanceRequest { as_of: date("2024-04-10"), ..march() };
    assert!(table(&mut caller, cohort(later)).await[0].starts_with("ads 2 0 3 3 (139.00) "));
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_at_all_is_zero_or_absent() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("empty", settings()).await;
    let (performance, definition) = get(&mut caller, march()).await;
    assert_eq!(performance.channels, []);
    let total = performance.total.expect("always set");
    assert_eq!(figures(&total), "0 0 0 0 (0.00) | 0.00 no-spend no-spend no-spend no-spend | no-prospect");
    let shares = total.shares.expect("always set");
    assert_eq!(figure_told(shares.won_count.as_ref().expect("always set")), "total-is-zero");
    assert_eq!(definition.oldest_rate_on, None);
    // No day of the window has come: nothing is compared.
    let to_come = GetMarketingPerformanceRequest { as_of: date("2024-02-10"), ..march() };
    let (performance, definition) = get(&mut caller, to_come).await;
    assert_eq!(definition.comparison_window, None);
    let leads = performance.total.and_then(|total| total.lead_count).expect("always set");
    assert_eq!((leads.comparison, leads.change), (None, None));
    sidecar.stop().await;
}
