//! Rows of every kind, and what becomes of them.

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::*;
use crate::import::{Mapping, Options, Preset};
use crate::proto::channelkpi::v1::record::Record as Kind;
use crate::proto::channelkpi::v1::{CreditRole, Deal, DealStatus, LeadOutcome};
use crate::proto::google::r#type::Money;

fn options() -> Options {
    let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).expect("a date");
    Options {
        zone: Tz::UTC,
        currency: "USD".into(),
        undated_on: None,
        updated_on: None,
        today: day(2024, 6, 30),
        date_formats: Vec::new(),
    }
}

fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory for the test");
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).expect("a file for the test");
    }
    directory
}

struct Converted {
    records: Vec<Record>,
    repeated_count: usize,
    rejections: Vec<String>,
    respelled: Vec<(u64, String)>,
    notes: Vec<String>,
    left_out: Vec<(String, u64)>,
}

fn convert(
    mapping: Option<&Mapping>,
    files: &[(&str, &str)],
    options: Options,
) -> Result<Converted, ImportError> {
    let directory = directory(files);
    let import = Import::open(mapping, &[directory.path().into()], options)?;
    let mut converted = Converted {
        records: Vec::new(),
        repeated_count: 0,
        rejections: Vec::new(),
        respelled: Vec::new(),
        notes: import.notes.clone(),
        left_out: Vec::new(),
    };
    let mut rows = import.rows();
    while let Some((_, outcome)) = rows.next()? {
        match outcome {
            Outcome::Record(record) => converted.records.push(*record),
            Outcome::Repeated => converted.repeated_count += 1,
            Outcome::Rejected(rejection) => converted.rejections.push(rejection.to_string()),
        }
    }
    assert_eq!(rows.read_bytes(), import.size_bytes(), "every byte of every file is read");
    converted.respelled = rows.respelled.into_values().collect();
    converted.left_out = rows.left_out.into_iter().collect();
    Ok(converted)
}

fn deal<'c>(converted: &'c Converted, id: &str) -> &'c Deal {
    let deals = converted.records.iter().filter_map(|record| match &record.record {
        Some(Kind::Deal(deal)) => Some(deal),
        _ => None,
    });
    deals.into_iter().find(|deal| deal.deal_id == id).unwrap_or_else(|| panic!("{id} was imported"))
}

const NOON_2017_03_01_S: i64 = 1_488_369_600;

/// A shop of our own in the shape of the Maven data set, with its traps.
const SHOP: [(&str, &str); 5] = [
    (
        "pipeline.csv",
        "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value\n\
         W1,Ada,LampPro,Acme,Won,2017-02-01,2017-03-01,1054\n\
         L1,Ada,Lamp,Acme,Lost,2017-02-02,2017-02-20,0\n\
         E1,Bo,Lamp Pro,,Engaging,2017-02-03,,\n\
         P1,Bo,Lamp,Acme,Prospecting,,,\n\
         W2,Bo,Lamp,Acme,Won,2017-02-30,2017-03-01,5\n",
    ),
    ("teams.csv", "sales_agent,manager,regional_office\nAda,Mo,West\nBo,Mo,West\n"),
    (
        "accounts.csv",
        "account,sector,year_established,revenue,employees,office_location,subsidiary_of\n\
         Acme,retail,1996,1100.04,2822,Kenya,\n\
         Bell,,1996,1100.04,2822,,Acme\n",
    ),
    ("products.csv", "product,series,sales_price\nLamp Pro,L,50\nLamp,L,20\n"),
    ("dictionary.csv", "Table,Field,Description\naccounts,account,Company name\n"),
];

fn maven(options: Options) -> Converted {
    let mapping = Preset::by_name("maven").expect("the preset is there").mapping();
    convert(Some(&mapping), &SHOP, options).expect("the files are right")
}

#[test]
fn maven_deals_become_what_they_are() {
    let converted = maven(options());
    let won = deal(&converted, "W1");
    assert_eq!(won.status(), DealStatus::Won);
    assert_eq!(won.amount, Some(Money { currency_code: "USD".into(), units: 1054, nanos: 0 }));
    assert_eq!(won.closed_at.map(|time| time.seconds), Some(NOON_2017_03_01_S));
    assert_eq!((won.product.as_str(), won.stage.as_str()), ("Lamp Pro", "Won"));
    let [credit] = won.partner_credits.as_slice() else { panic!("one credit") };
    assert_eq!(
        (credit.partner_id.as_str(), credit.role(), credit.share_bps),
        ("Acme", CreditRole::Sourced, Some(10_000))
    );

    let lost = deal(&converted, "L1");
    assert_eq!((lost.status(), &lost.amount), (DealStatus::Lost, &None), "0 isn't what it was worth");
    let open = deal(&converted, "E1");
    assert_eq!((open.status(), open.closed_at, &open.amount), (DealStatus::Open, None, &None));
    assert!(open.partner_credits.is_empty(), "no account, no credit");
    assert_eq!(converted.respelled, [(1, "LampPro became Lamp Pro".to_owned())]);
}

#[test]
fn maven_rejections_name_their_cell() {
    let converted = maven(options());
    assert_eq!(
        converted.rejections,
        [
            "pipeline.csv:5:6: engage_date is empty: a deal needs its `opened_at` (--undated-on DATE dates such rows)",
            "pipeline.csv:6:6: engage_date \"2017-02-30\" isn't a date like 2017-10-31 or 2017-10-31T12:00:00Z (--date-format says others)",
        ]
    );
    assert_eq!(converted.notes, ["dictionary.csv is left out: nothing in it becomes a record"]);
}

#[test]
fn undated_rows_can_be_dated() {
    let undated_on = NaiveDate::from_ymd_opt(2017, 3, 1);
    let converted = maven(Options { undated_on, ..options() });
    let prospect = deal(&converted, "P1");
    assert_eq!(prospect.opened_at.map(|time| time.seconds), Some(NOON_2017_03_01_S));
    assert_eq!(converted.rejections.len(), 1, "a wrong date stays wrong");
}

#[test]
fn maven_units_and_partners_form_their_trees() {
    let converted = maven(options());
    let units: Vec<String> = converted
        .records
        .iter()
        .filter_map(|record| match &record.record {
            Some(Kind::OrgUnit(unit)) => {
                Some(format!("{} {} < {}", unit.unit_kind, unit.org_unit_id, unit.parent_unit_id))
            }
            Some(Kind::Employee(employee)) => Some(format!("{} in {}", employee.name, employee.unit_id)),
            Some(Kind::Partner(partner)) => {
                let labels: Vec<&str> = partner.labels.values().map(String::as_str).collect();
                let (id, parent) = (&partner.partner_id, &partner.parent_partner_id);
                Some(format!("{} {id} < {parent} {labels:?} {}", partner.partner_type, partner.region))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        units,
        [
            "reseller Acme <  [\"retail\"] Kenya",
            "reseller Bell < Acme [] ",
            "Ada in Mo",
            "department West < ",
            "team Mo < West",
            "Bo in Mo",
        ]
    );
    assert_eq!(converted.repeated_count, 2, "office and team come again with the second agent");
}

#[test]
fn one_export_has_one_time_and_is_the_same_twice() {
    let (first, second) = (maven(options()), maven(options()));
    assert_eq!(first.records, second.records);
    for record in &first.records {
        assert_eq!(record.update_time.map(|time| time.seconds), Some(NOON_2017_03_01_S), "{record:?}");
    }
}

#[test]
fn headers_alone_can_name_the_fields() {
    let files = [
        ("leads.csv", "\u{feff}lead_id,created_at,outcome,decided_at\nL1,2017-02-01,converted,2017-03-01\n"),
        (
            "targets.csv",
            "target_id,subject.partner.partner_id,subject.unit_id,start_on,end_on,won_amount,won_count\n\
             T1,P1,,2017-01-01,2018-01-01,\"1,000.50\",\nT2,P1,U1,2017-01-01,2018-01-01,,5\n",
        ),
        (
            "exchange_rates.csv",
            "key.from_currency_code,key.to_currency_code,key.rate_on,rate\nEUR,USD,2017-01-01,1.0523\n",
        ),
    ];
    let converted = convert(None, &files, options()).expect("the files are right");
    let [rate, lead, target] = converted.records.as_slice() else {
        panic!("three records: {:?}", converted.rejections)
    };
    let Some(Kind::Lead(lead)) = &lead.record else { panic!("a lead") };
    assert_eq!(lead.outcome(), LeadOutcome::Converted);
    let Some(Kind::ExchangeRate(rate)) = &rate.record else { panic!("a rate") };
    assert_eq!(rate.rate.as_ref().map(|rate| rate.value.as_str()), Some("1.0523"));
    let Some(Kind::Target(target)) = &target.record else { panic!("a target") };
    assert!(target.month_weights.is_empty());
    assert_eq!(
        converted.rejections,
        ["targets.csv:3:3: subject.unit_id \"U1\" `unit_id` and `partner` are both given: only one can be"]
    );
}

#[test]
fn rows_that_are_no_rows_are_rejected_alone() {
    let deals: &[u8] = b"deal_id,opened_at,amount,amount.currency_code\n\
        D1,2017-02-01,1,EUR\nD2,2017-02-01\nD\xff3,2017-02-01,,\nD4,2017-02-01,,EUR\nD1,2017-02-01,2,EUR\n\
        D1,2017-02-01,1,EUR\n,2017-02-01,,\n";
    let directory = tempfile::tempdir().expect("a directory for the test");
    std::fs::write(directory.path().join("deals.csv"), deals).expect("a file for the test");
    let import = Import::open(None, &[directory.path().into()], options()).expect("the file is right");
    let mut rows = import.rows();
    let mut told = Vec::new();
    while let Some((_, outcome)) = rows.next().expect("the file can be read") {
        told.push(match outcome {
            Outcome::Record(record) => match record.record {
                Some(Kind::Deal(deal)) => {
                    format!("{} {:?}", deal.deal_id, deal.amount.map(|m| m.currency_code))
                }
                other => panic!("{other:?} is no deal"),
            },
            Outcome::Repeated => "repeated".into(),
            Outcome::Rejected(rejection) => rejection.to_string(),
        });
    }
    assert_eq!(
        told,
        [
            "D1 Some(\"EUR\")",
            "deals.csv:3: the row has 2 cells and the header 4",
            "deals.csv:4:1: deal_id isn't UTF-8: export the file as UTF-8",
            "D4 None",
            "deals.csv:6: deal \"D1\" is told otherwise in deals.csv:2: one import holds one version of a record, \
             unless a column says its `update_time`",
            "repeated",
            "deals.csv:8:1: deal_id is empty: a deal needs its `deal_id`",
        ]
    );
}

#[test]
fn files_that_cannot_be_imported_are_explained() {
    let error = |files: &[(&str, &str)]| match convert(None, files, options()) {
        Ok(_) => panic!("{files:?} was taken"),
        Err(error) => error.to_string(),
    };
    for (name, text, expected) in [
        (
            "deals.csv",
            "deal_id,opend_at\n",
            "deals.csv:1:2: a deal has no field `opend_at`: did you mean `opened_at`",
        ),
        ("deals.csv", "opened_at\n", "deals.csv:1:1: a deal needs the column `deal_id`"),
        ("deals.csv", "deal_id,deal_id\n", "deals.csv:1:2: there are two columns `deal_id`"),
        ("partners.csv", "partner_id\nP1\n", "say --updated-on DATE"),
        ("notes.txt", "", "there is no CSV file in"),
    ] {
        let error = error(&[(name, text)]);
        assert!(error.contains(expected), "{name}: {error}");
    }
    let mapping = Mapping::parse(
        "map.toml",
        "[files.d]\nname = \"d*.csv\"\n[files.d.deal]\ndeal_id = \"Id\"\nopened_at = \"Created\"\n",
    )
    .expect("the mapping is right");
    let error = match convert(Some(&mapping), &[("Deals.csv", "Idd,Created\n")], options()) {
        Ok(_) => panic!("a column is missing"),
        Err(error) => error.to_string(),
    };
    assert_eq!(
        error,
        "Deals.csv has no column `Id`, which `deal_id` reads: did you mean `Idd`? (it has Idd, Created)"
    );
}

#[test]
fn dates_in_the_future_do_not_tell_how_new_an_export_is() {
    let files = [("deals.csv", "deal_id,opened_at\nD1,2024-06-01\nD2,2199-01-01\n")];
    let converted = convert(None, &files, options()).expect("the file is right");
    let times: Vec<Option<i64>> =
        converted.records.iter().map(|record| record.update_time.map(|time| time.seconds)).collect();
    assert_eq!(times, [Some(1_717_243_200); 2]); // 2024-06-01 12:00 UTC
}

/// What rows say in several columns, under several names and in several files.
const SPREAD: &str = r#"
    optional_columns = true

    [files.leads]
    columns = ["Lead"]
    [files.leads.lead]
    lead_id = "Lead"
    created_at = "Created"
    outcome = { column = "Signed", from = "orders.Lead No", by = "Lead", otherwise = "converted" }
    decided_at = { column = "Signed", from = "orders.Lead No", by = "Lead" }

    [files.orders]
    columns = [["No", "Order"], "Lead No"]
    [[files.orders.deal]]
    only_if = { column = "Kind", is_not = "Test" }
    deal_id = { column = ["No", "Order"] }
    opened_at = { column = "Created", from = "leads.Lead", by = "Lead No" }
    status = [
        { column = "Won?", values = { YES = "won" }, otherwise = "" },
        { column = "Closed?", values = { yes = "lost", "" = "open" } },
    ]
    closed_at = { column = "Signed", only_if = { field = "status", is_not = "open" } }
    expected_close = { column = "Signed", only_if = { field = "status", is = "open" } }
    probability_bps = { column = "Chance", fraction = true }
    competitor = "Rival"
    partner_credits.0.partner_id = { column = "Partners", first_of = ";" }
    partner_credits.0.role = [{ column = "Role" }, { constant = "sourced" }]
    [files.orders.employee]
    only_if = { field = "employee_id", is_not = "" }
    employee_id = "Owner"
    [files.orders.org_unit]
    org_unit_id = "Team"
"#;

#[test]
fn what_is_spread_over_columns_and_files_comes_together() {
    let files = [
        ("leads.csv", "Lead,Created\nL1,2024-01-01\nL2,2024-01-02\nL3,2024-01-03\n"),
        (
            "orders.csv",
            "ORDER,Lead No,Kind,Won?,Closed?,Signed,Chance,Partners,Role,Owner\n\
             D1,L1,,Yes,yes,2024-02-01,1.0,P1; P2,influenced,Ada\n\
             D2,L2,,no,Yes,2024-02-02,0.625,P2,,\n\
             D3,L2,,,,2024-02-03,62.5%,,,Ada\n\
             D4,L2,TEST,,,2024-02-04,,,,\n\
             D5,L9,,,,2024-02-05,,,,\n",
        ),
    ];
    let mapping = Mapping::parse("map.toml", SPREAD).unwrap_or_else(|error| panic!("{error}"));
    let converted = convert(Some(&mapping), &files, options()).expect("the files are right");
    let told: Vec<String> = converted
        .records
        .iter()
        .map(|record| match record.record.as_ref().expect("each has one") {
            Kind::Lead(lead) => {
                format!("{} {:?} {:?}", lead.lead_id, lead.outcome(), lead.decided_at.map(|at| at.seconds))
            }
            Kind::Deal(deal) => format!(
                "{} {:?} opened {:?} closed {:?} expected {:?} {:?} {:?}",
                deal.deal_id,
                deal.status(),
                deal.opened_at.map(|at| at.seconds),
                deal.closed_at.map(|at| at.seconds),
                deal.expected_close.map(|date| date.day),
                deal.probability_bps,
                deal.partner_credits
                    .iter()
                    .map(|c| format!("{} {:?}", c.partner_id, c.role()))
                    .collect::<Vec<_>>(),
            ),
            Kind::Employee(employee) => employee.employee_id.clone(),
            other => panic!("{other:?} wasn't asked for"),
        })
        .collect();
    // Noon of 2024-01-01 is second 1,704,110,400; a day has 86,400.
    assert_eq!(
        told,
        [
            "L1 Converted Some(1706788800)",
            "L2 Converted Some(1706875200)",
            "L3 Unspecified None",
            "D1 Won opened Some(1704110400) closed Some(1706788800) expected None Some(10000) [\"P1 Influenced\"]",
            "Ada",
            "D2 Lost opened Some(1704196800) closed Some(1706875200) expected None Some(6250) [\"P2 Sourced\"]",
            "D3 Open opened Some(1704196800) closed None expected Some(3) Some(6250) []",
        ]
    );
    assert_eq!(
        converted.rejections,
        [
            "orders.csv:6:2: Lead No leads nowhere: a deal needs its `opened_at` (--undated-on DATE dates such rows)"
        ]
    );
    assert_eq!(
        converted.notes,
        ["orders.csv has no columns for these, which stay empty: deal.competitor (Rival), org_unit (Team)"]
    );
    assert_eq!(converted.repeated_count, 1, "Ada comes twice");
    assert_eq!(converted.left_out, [("orders.csv".to_owned(), 1)], "the test order");
}

#[test]
fn a_file_that_others_ask_can_be_missing_but_not_its_column() {
    let mapping = Mapping::parse("map.toml", SPREAD).unwrap_or_else(|error| panic!("{error}"));
    let leads = ("leads.csv", "Lead,Created\nL1,2024-01-01\n");
    let converted = convert(Some(&mapping), &[leads], options()).expect("the file is right");
    assert_eq!(
        converted.notes,
        ["orders isn't among the files: what others take from its Signed is missing"]
    );
    let orders = ("orders.csv", "No,Lead No\nD1,L1\n");
    let error = match convert(Some(&mapping), &[leads, orders], options()) {
        Ok(_) => panic!("a column is missing"),
        Err(error) => error.to_string(),
    };
    assert_eq!(
        error,
        "orders.csv has no column `Signed`, which another file's row reads (it has No, Lead No)"
    );
}

#[test]
fn dates_can_be_written_as_the_caller_says() {
    let files = [("deals.csv", "deal_id,opened_at\nD1,2/1/2017\nD2,2017-02-01\nD3,1.2.2017\n")];
    let date_formats = vec!["%m/%d/%Y".to_owned()];
    let converted = convert(None, &files, Options { date_formats, ..options() }).expect("the file is right");
    assert_eq!(deal(&converted, "D1").opened_at, deal(&converted, "D2").opened_at);
    assert_eq!(
        converted.rejections,
        [
            "deals.csv:4:2: opened_at \"1.2.2017\" isn't a date like 10/31/2017 or 2017-10-31 or 2017-10-31T12:00:00Z \
          (--date-format says others)"
        ]
    );
}

/// Else the same files would be newer tomorrow, when the date on which an open deal was expected to close has come.
#[test]
fn only_dates_that_count_tell_how_new_an_export_is() {
    let mapping = Mapping::parse(
        "map.toml",
        r#"[files.deals.deal]
        deal_id = "Id"
        opened_at = "Created"
        status = { column = "Stage", values = { Won = "won" }, otherwise = "open" }
        closed_at = { column = "Closing", only_if = { field = "status", is = "won" } }"#,
    )
    .unwrap_or_else(|error| panic!("{error}"));
    let newest = |stage: &str| {
        let deals = format!("Id,Created,Stage,Closing\nD1,2024-01-01,{stage},2024-02-01\n");
        let converted = convert(Some(&mapping), &[("deals.csv", deals.as_str())], options());
        let converted = converted.expect("the file is right");
        converted.records[0].update_time.map(|time| time.seconds)
    };
    assert_eq!(newest("Offer"), Some(1_704_110_400)); // 2024-01-01 12:00 UTC
    assert_eq!(newest("Won"), Some(1_706_788_800)); // 2024-02-01 12:00 UTC
}
