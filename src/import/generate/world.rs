//! The world in which the generated company trades: what doesn't hang on chance.

use super::names::Culture;
use crate::proto::channelkpi::v1::Media;

/// A region of the company's sales: a department with its teams.
pub(super) struct Region {
    pub name: &'static str,
    pub unit_id: &'static str,
    pub department: &'static str,
}

pub(super) const REGIONS: [Region; 4] = [
    Region { name: "South Asia", unit_id: "U-SA", department: "South Asia Channel" },
    Region { name: "Europe", unit_id: "U-EU", department: "Europe Channel" },
    Region { name: "Americas", unit_id: "U-AM", department: "Americas Channel" },
    Region { name: "Asia Pacific", unit_id: "U-AP", department: "Asia Pacific Channel" },
];

pub(super) const EUROPE: usize = 1;

/// A team of a department.
pub(super) struct Team {
    pub unit_id: &'static str,
    pub name: &'static str,
    pub region: usize,
    pub culture: Culture,
}

const fn team(unit_id: &'static str, name: &'static str, region: usize, culture: Culture) -> Team {
    Team { unit_id, name, region, culture }
}

pub(super) const TEAMS: [Team; 9] = [
    team("U-BD", "Bangladesh Partners", 0, Culture::Bengali),
    team("U-IN", "India and Lanka Partners", 0, Culture::Indian),
    team("U-DA", "German-speaking Partners", 1, Culture::German),
    team("U-UK", "United Kingdom Partners", 1, Culture::English),
    team("U-FB", "France and Benelux Partners", 1, Culture::French),
    team("U-NA", "North America Partners", 2, Culture::English),
    team("U-LA", "Latin America Partners", 2, Culture::Latin),
    team("U-JP", "Japan and South-East Asia Partners", 3, Culture::Japanese),
    team("U-AU", "Australia Partners", 3, Culture::English),
];

/// The whole company, above its departments.
pub(super) const COMPANY_UNIT: &str = "U-CO";

/// A country with the share of the partners that are there.
pub(super) struct Country {
    pub name: &'static str,
    pub team: usize,
    pub currency: &'static str,
    pub share: i64,
    pub culture: Culture,
}

const fn country(
    name: &'static str,
    team: usize,
    currency: &'static str,
    share: i64,
    culture: Culture,
) -> Country {
    Country { name, team, currency, share, culture }
}

pub(super) const COUNTRIES: [Country; 14] = [
    country("Bangladesh", 0, "BDT", 26, Culture::Bengali),
    country("India", 1, "USD", 12, Culture::Indian),
    country("Sri Lanka", 1, "USD", 3, Culture::Indian),
    country("Germany", 2, "EUR", 9, Culture::German),
    country("Austria", 2, "EUR", 3, Culture::German),
    country("United Kingdom", 3, "GBP", 8, Culture::English),
    country("France", 4, "EUR", 5, Culture::French),
    country("Netherlands", 4, "EUR", 4, Culture::French),
    country("United States", 5, "USD", 11, Culture::English),
    country("Canada", 5, "USD", 3, Culture::English),
    country("Brazil", 6, "USD", 4, Culture::Latin),
    country("Mexico", 6, "USD", 3, Culture::Latin),
    country("Japan", 7, "JPY", 6, Culture::Japanese),
    country("Australia", 8, "USD", 3, Culture::English),
];

/// What a hundred US dollars are in each currency, about: what amounts are made with.
pub(super) fn per_100_usd(currency: &str) -> i64 {
    match currency {
        "EUR" => 92,
        "GBP" => 79,
        "BDT" => 11_950,
        "JPY" => 14_900,
        UNRATED_CURRENCY => 88,
        _ => 100,
    }
}

/// A rate that is kept, as (from, to, the middle around which it moves in ten-thousandths).
pub(super) const RATES: [(&str, &str, i64); 4] =
    [("EUR", "USD", 10_870), ("GBP", "USD", 12_660), ("USD", "BDT", 1_195_000), ("USD", "JPY", 1_490_000)];

/// A currency in which some deals are, and of which nobody keeps the rate.
pub(super) const UNRATED_CURRENCY: &str = "CHF";

/// The stages that a deal goes through, with the chance of winning in per cent.
pub(super) const STAGES: [(&str, i32); 5] =
    [("Registered", 10), ("Qualified", 25), ("Demo", 40), ("Proposal", 60), ("Negotiation", 80)];

/// How much of a deal's time each stage takes.
pub(super) const STAGE_DAYS: [i64; 5] = [15, 20, 20, 25, 20];

pub(super) const PROPOSAL: usize = 3;

/// What is sold, with its price in US dollars to a company of middle size.
pub(super) const PRODUCTS: [(&str, i64); 5] = [
    ("Nokshi Ledger", 6_000),
    ("Nokshi Ledger Plus", 14_000),
    ("Nokshi Archive", 3_500),
    ("Nokshi Gateway", 9_000),
    ("Nokshi Insight", 22_000),
];

/// The size of the customer, with its price in per cent and how many there are.
pub(super) const SEGMENTS: [(&str, i64, i64); 3] =
    [("small", 60, 55), ("middle", 110, 33), ("enterprise", 280, 12)];

pub(super) const LOST_REASONS: [&str; 6] =
    ["Price", "Missing feature", "Budget cut", "Chose a competitor", "No decision", "Timing"];

pub(super) const COMPETITORS: [&str; 4] = ["Quillbook", "Ledgerino", "Tallyfern", "OpenAbacus"];

/// A marketing channel.
pub(super) struct Channel {
    pub id: &'static str,
    pub name: &'static str,
    pub media: Media,
    /// Share of the leads.
    pub share: i64,
    /// How many of its leads become deals.
    pub conversion_percent: i64,
    /// How likely its deals are to be won, beside others'.
    pub quality_percent: i64,
    /// What it costs a month, in which currency.
    pub month_cost: (i64, &'static str),
}

pub(super) const CHANNELS: [Channel; 9] = [
    Channel {
        id: "search",
        name: "Search advertisements",
        media: Media::Paid,
        share: 22,
        conversion_percent: 34,
        quality_percent: 95,
        month_cost: (45_000, "USD"),
    },
    Channel {
        id: "display",
        name: "Display banners",
        media: Media::Paid,
        share: 9,
        conversion_percent: 9,
        quality_percent: 45,
        month_cost: (30_000, "USD"),
    },
    Channel {
        id: "sponsored",
        name: "Sponsored posts",
        media: Media::Paid,
        share: 8,
        conversion_percent: 28,
        quality_percent: 85,
        month_cost: (14_000, "EUR"),
    },
    Channel {
        id: "reviews",
        name: "Review sites",
        media: Media::Earned,
        share: 9,
        conversion_percent: 42,
        quality_percent: 110,
        month_cost: (3_000, "GBP"),
    },
    Channel {
        id: "referrals",
        name: "Customers' referrals",
        media: Media::Earned,
        share: 12,
        conversion_percent: 48,
        quality_percent: 115,
        month_cost: (4_000, "USD"),
    },
    Channel {
        id: "press",
        name: "Trade press",
        media: Media::Earned,
        share: 4,
        conversion_percent: 24,
        quality_percent: 95,
        month_cost: (2_500, "USD"),
    },
    Channel {
        id: "newsletter",
        name: "Newsletter",
        media: Media::Owned,
        share: 12,
        conversion_percent: 53,
        quality_percent: 125,
        month_cost: (420_000, "BDT"),
    },
    Channel {
        id: "webinars",
        name: "Webinars",
        media: Media::Owned,
        share: 8,
        conversion_percent: 40,
        quality_percent: 105,
        month_cost: (5_500, "USD"),
    },
    Channel {
        id: "website",
        name: "Company website",
        media: Media::Owned,
        share: 16,
        conversion_percent: 36,
        quality_percent: 100,
        month_cost: (6_000, "USD"),
    },
];

/// The channel on which partners get money to spend.
pub(super) const FUNDED_CHANNEL: &str = "webinars";

/// How lively each month of the year is, in per cent: August is weak, the quarters end strong.
pub(super) const MONTHS: [i64; 12] = [92, 96, 114, 95, 99, 118, 86, 52, 116, 100, 104, 112];

/// How many of the deals of a month are won, in per cent of others: those of August hardly interest anyone.
pub(super) const AUGUST_WIN_PERCENT: i64 = 70;

/// Ids that no record has: numbers begin with 1, and nobody sells by radio.
pub(super) const UNKNOWN_PARTNER: &str = "P-000";
pub(super) const UNKNOWN_EMPLOYEE: &str = "E-000";
pub(super) const UNKNOWN_LEAD: &str = "L-00000";
pub(super) const UNKNOWN_CHANNEL: &str = "radio";
