//! Right mappings and wrong ones.

use super::*;

const EXAMPLE: &str = r#"
    delimiter = ";"
    decimal_separator = ","
    date_formats = ["%d/%m/%Y"]

    [files.opportunities]
    name = "opportunit*.csv"

    [files.opportunities.deal]
    deal_id = "Id"
    opened_at = "Created"
    status = { column = "Stage", values = { "Closed Won" = "won" }, otherwise = "open" }
    closed_at = { column = "Close Date", only_if = { column = "Stage", is = "Closed Won" } }
    probability_bps = { column = "Probability (%)", percent = true }
    amount = "Amount"
    "amount.currency_code" = "Currency"
    partner_credits.0.partner_id = "Partner"
    partner_credits.0.role = { constant = "sourced" }
    labels.industry = "Industry"
"#;

#[test]
fn the_example_is_read() {
    let mapping = Mapping::parse("map.toml", EXAMPLE).expect("the example is right");
    assert_eq!((mapping.delimiter, mapping.decimal_comma), (b';', true));
    let [file] = mapping.files.as_slice() else { panic!("one file") };
    let [deal] = file.records.as_slice() else { panic!("one record") };
    assert_eq!((deal.fields.len(), deal.only_if.len()), (10, 0));
    let last = deal.fields.last().expect("there are fields");
    assert!(
        matches!(&last.sources[0].input, Input::Constant(role) if role == "sourced"),
        "constants come last"
    );
    assert_eq!(file.needed_columns(false).get(&vec!["Stage".to_owned()]), Some(&Some("status")));
}

#[test]
fn the_documented_example_is_right() {
    let page = include_str!("../../../docs/import.md");
    let example =
        page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let mapping = Mapping::parse("docs/import.md", example).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(mapping.files.len(), 4);
}

#[test]
fn wrong_mappings_are_explained() {
    let deal = |line: &str| format!("[files.d.deal]\ndeal_id = \"Id\"\nopened_at = \"Created\"\n{line}\n");
    for (text, expected) in [
        (deal("amout = \"A\""), "map.toml:4:1: a deal has no field `amout`: did you mean `amount`"),
        (deal("amount = 5"), "map.toml:4:10: is integer, must be text in quotes"),
        (deal("amount = { colum = \"A\" }"), "map.toml:4:12: `amount.colum` reaches into one value"),
        (
            deal("stage = { column = \"S\", valus = {} }"),
            "map.toml:4:25: `stage` has no `valus`: did you mean `values`",
        ),
        (
            deal("stage = { column = \"S\", percent = true }"),
            "`percent` is for fields in basis points, not for `stage`",
        ),
        (deal("closed_at = { column = \"C\", date_formats = \"%Q\" }"), "`%Q` isn't a date format"),
        (
            deal("product = { column = \"P\", spelled_as = \"products.Name\" }"),
            "names the file `products`, which isn't in [files]",
        ),
        (deal("stage = []"), "map.toml:4:9: is empty: name one column at least"),
        (deal("stage = { values = {} , column = [] }"), "is empty: name one at least"),
        (
            deal("stage = { column = \"S\", values = { Won = \"a\", won = \"b\" } }"),
            "`won` is there already: words differ by more than case",
        ),
        (deal("stage = { column = \"S\", only_if = { column = \"A\" } }"), "`only_if` is written"),
        (
            deal("stage = { column = \"S\", only_if = { field = \"status\", is = \"won\" } }"),
            "asks about `status`, to which this record has no column",
        ),
        (
            deal(
                "stage = { column = \"S\", only_if = { field = \"status\", is = \"won\" } }\n\
                 status = { column = \"W\", only_if = { field = \"product\", is = \"x\" } }\nproduct = \"P\"",
            ),
            "asks about `status`, which asks about a field itself",
        ),
        (
            deal("stage = { column = \"S\", from = \"other.Id\" }"),
            "`from` names the file `other`, which isn't in",
        ),
        (
            deal("stage = { column = \"S\", from = \"Id\" }"),
            "`from` is a file of this mapping and its column",
        ),
        (deal("stage = { column = \"S\", by = \"Id\" }"), "has `by` without `from`"),
        (
            format!("optional_columns = true\n{}", deal("")),
            "with `optional_columns` the file `d` needs `columns`",
        ),
        ("[files.d.deal]\nopened_at = \"Created\"\n".into(), "map.toml:1:10: a deal needs its `deal_id`"),
        ("[files.d.deals]\n".into(), "map.toml:1:10: a file has no `deals`: did you mean `deal`"),
        (
            "delimeter = \";\"\n".into(),
            "map.toml:1:1: a mapping has no `delimeter`: did you mean `delimiter`",
        ),
        ("delimiter = \";;\"\n".into(), "map.toml:1:13: is one character"),
        ("currency = \"EUR\"\n".into(), "map.toml:1:1: maps no file"),
        ("[files".into(), "map.toml:1:7: "),
    ] {
        let error = Mapping::parse("map.toml", &text).expect_err(&text).to_string();
        assert!(error.contains(expected), "{text}\n{error}");
    }
}
