//! `import`: the CSV files of a CRM's export into a tenant.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use channel_kpi::client::ingest::{Feed, Options as FeedOptions};
use channel_kpi::import::{
    Import, Mapping, Options, PRESETS, Preset, Rejected, Summary, ensure_tenant, send,
};
use channel_kpi::proto::channelkpi::v1::admin_service_client::AdminServiceClient;
use channel_kpi::proto::channelkpi::v1::{GetTenantRequest, Tenant, TenantSettings};
use chrono::format::{Item, StrftimeItems};
use chrono::{NaiveDate, Utc};
use chrono_tz::Tz;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use tonic::Status;

use super::connection::{Connection, ConnectionArgs};
use super::failure::Failure;
use super::{Ending, number, print};

/// Bring the CSV files of a CRM's export in.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub struct ImportCommand {
    /// The CSV files, or directories with CSV files, in any order.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Whose export it is.
    #[arg(long, value_parser = preset_parser())]
    preset: String,

    /// With --preset csv: which column feeds which field (docs/import.md).
    #[arg(long, value_name = "TOML")]
    mapping: Option<PathBuf>,

    /// The currency of amounts that name none, and the reporting currency of a tenant that is made for this import.
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,

    /// The time zone of a tenant that is made for this import, such as Asia/Dhaka.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,

    /// Date rows that lack the date which their record needs; without it they are rejected.
    #[arg(long, value_name = "DATE")]
    undated_on: Option<NaiveDate>,

    /// The day of the export [default: the newest date in the files that isn't in the future]. Say it to let files
    /// that were corrected by hand win over the same export as it was.
    #[arg(long, value_name = "DATE")]
    updated_on: Option<NaiveDate>,

    /// How dates are written beside the ways that the preset or mapping knows, such as %m/%d/%Y or %d.%m.%Y %H:%M. May
    /// be given several times: the formats are tried in turn, before the others.
    #[arg(long = "date-format", value_name = "FORMAT", value_parser = date_format)]
    date_formats: Vec<String>,

    /// How many of the rows that are rejected for the same reason to list; all of them are counted.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    show_rejected: usize,

    #[command(flatten)]
    connection: ConnectionArgs,
}

const AFTER_HELP: &str = "\
Every row becomes records; a row with something wrong is rejected with file:line:column and the reason, and the others
go in. To import the same files again changes nothing. Dates without a time are noon of that day in the tenant's zone.

With --preset csv and no --mapping, a file is named after its records (deals.csv, partners.csv, org_units.csv,
employees.csv, leads.csv, marketing_channels.csv, marketing_spend.csv, targets.csv, exchange_rates.csv, strategies.csv)
and its columns after the fields of the API: deal_id, opened_at, amount, amount.currency_code,
partner_credits.0.partner_id, labels.industry and so on.

The tenant is made where there is none: with --currency and --time-zone, which presets and mappings may give.

Examples:
  A directory of the Maven Analytics CRM sample, into a new tenant:
    channel-kpi import --preset maven crm_sales_opportunities/ --undated-on 2017-12-31

  Reports out of Salesforce, whose dates are written as in the United States:
    channel-kpi import --preset salesforce reports/ --date-format %m/%d/%Y --currency USD --time-zone America/Chicago

  An export of one's own:
    channel-kpi import --preset csv --mapping map.toml opportunities.csv --currency EUR --time-zone Europe/Berlin

Exit codes: 0 all rows are in, 1 the work failed, 2 wrongly given, 3 in but for some rejected rows.";

fn preset_parser() -> PossibleValuesParser {
    let presets = PRESETS.iter().map(|preset| PossibleValue::new(preset.name).help(preset.about));
    let csv = PossibleValue::new("csv").help("any CSV files, by --mapping or by their own headers");
    PossibleValuesParser::new(presets.chain([csv]))
}

/// A pattern of strftime that says something of a date.
fn date_format(text: &str) -> Result<String, String> {
    let mut items = StrftimeItems::new(text);
    match text.contains('%') && items.all(|item| item != Item::Error) {
        true => Ok(text.to_owned()),
        false => Err("isn't a date format: write it like %d/%m/%Y or %Y-%m-%d %H:%M:%S".to_owned()),
    }
}

impl ImportCommand {
    pub async fn run(self) -> Result<Ending, Failure> {
        let mapping = self.mapping()?;
        let (summary, known) =
            self.connection.with(async |to| self.import(mapping.as_ref(), to).await).await?;
        for line in report(&summary) {
            eprintln!("{line}");
        }
        print(&format!("{}\n\n{known}", table(&summary)))?;
        Ok(if summary.rejected_count > 0 { Ending::SomeRejected } else { Ending::Done })
    }

    /// What became of the rows, and what the tenant knows more than before.
    async fn import(
        &self,
        mapping: Option<&Mapping>,
        connection: Connection,
    ) -> Result<(Summary, String), Failure> {
        let mut admin = AdminServiceClient::new(connection.clone());
        let before = self.tenant(mapping, &mut admin).await?;
        let settings = before.settings.unwrap_or_default();
        let own_currency = self.currency.clone().or_else(|| mapping?.currency.clone());
        let options = Options {
            zone: settings.time_zone.parse().map_err(|_| {
                Failure::Usage(format!("the tenant's time zone {} isn't known here", settings.time_zone))
            })?,
            currency: own_currency.unwrap_or(settings.reporting_currency_code),
            undated_on: self.undated_on,
            updated_on: self.updated_on,
            today: Utc::now().date_naive(),
            date_formats: self.date_formats.clone(),
        };
        let import = Import::open(mapping, &self.files, options)?;
        let bar = progress_bar(import.size_bytes());
        let feeding = FeedOptions { give_up_after: connection.timeout(), ..FeedOptions::default() };
        let feed =
            Feed::open(connection.streams(), &self.source_id(), feeding).await.map_err(Status::from)?;
        let sent = send(&import, feed, self.show_rejected, |read_bytes| bar.set_position(read_bytes)).await;
        bar.finish_and_clear();
        let summary = sent?;
        let asked = GetTenantRequest { tenant_id: self.connection.tenant.clone() };
        let after = admin.get_tenant(asked).await?.into_inner().tenant.unwrap_or_default();
        Ok((summary, knows_more(before.version_count, after.version_count)))
    }

    /// Of these files: who imports them again takes over from an import that hangs, and leaves others alone.
    fn source_id(&self) -> String {
        // Equal names in two folders are two imports.
        let paths = self.files.iter().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        let paths: Vec<Vec<u8>> = paths.map(|path| path.into_os_string().into_encoded_bytes()).collect();
        format!("import-{}-{:08x}", self.preset, crc32c::crc32c(&paths.join(&0)))
    }

    fn mapping(&self) -> Result<Option<Mapping>, Failure> {
        match (Preset::by_name(&self.preset), &self.mapping) {
            (Some(preset), None) => Ok(Some(preset.mapping())),
            (Some(preset), Some(_)) => Err(Failure::Usage(format!(
                "--mapping belongs to --preset csv: --preset {} has a mapping of its own",
                preset.name
            ))),
            (None, None) => Ok(None),
            (None, Some(path)) => {
                let name = path.display().to_string();
                let text = std::fs::read_to_string(path)
                    .map_err(|source| Failure::File { path: name.clone(), source })?;
                let mapping =
                    Mapping::parse(&name, &text).map_err(|error| Failure::Usage(error.to_string()))?;
                Ok(Some(mapping))
            }
        }
    }

    /// The tenant, which is made where there is none.
    async fn tenant(
        &self,
        mapping: Option<&Mapping>,
        admin: &mut AdminServiceClient<Connection>,
    ) -> Result<Tenant, Failure> {
        let currency = self.currency.clone().or_else(|| mapping?.currency.clone());
        let time_zone = self.time_zone.clone().or_else(|| mapping?.time_zone.clone());
        if let Some(zone) = &time_zone
            && zone.parse::<Tz>().is_err()
        {
            return Err(Failure::Usage(format!("{zone} isn't an IANA time zone, such as Asia/Dhaka or UTC")));
        }
        let otherwise = match (currency, time_zone) {
            (Some(reporting_currency_code), Some(time_zone)) => {
                Some(TenantSettings { reporting_currency_code, time_zone, ..TenantSettings::default() })
            }
            _ => None,
        };
        let id = &self.connection.tenant;
        let tenant = ensure_tenant(admin, id, otherwise).await?.ok_or_else(|| {
            Failure::Usage(format!(
                "there is no tenant `{id}` yet: say --currency and --time-zone to make it, or make it with \
                 `channel-kpi tenant create`"
            ))
        })?;
        let known_zone = tenant.settings.as_ref().map(|settings| &settings.time_zone);
        match (&self.time_zone, known_zone) {
            (Some(zone), Some(known)) if zone != known => Err(Failure::Usage(format!(
                "the tenant `{id}` tells dates in {known}, not in {zone}: leave --time-zone out, or change the tenant's \
                 with `channel-kpi tenant configure`"
            ))),
            _ => Ok(tenant),
        }
    }
}

/// A bar on a terminal, nothing elsewhere.
fn progress_bar(size_bytes: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}")
        .expect("the template names only what indicatif knows");
    let bar = ProgressBar::new(size_bytes).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// What was found on the way, a line each: rejected rows first.
fn report(summary: &Summary) -> Vec<String> {
    let count = |count: u64| number::count(count.cast_signed());
    let mut lines = Vec::new();
    let mut told_count = 0;
    for Rejected { rejections, count: alike_count } in &summary.rejected {
        told_count += alike_count;
        lines.extend(rejections.iter().map(ToString::to_string));
        let unlisted_count = alike_count - rejections.len() as u64;
        if unlisted_count > 0 {
            lines.push(format!(
                "  … and {} more rows for the same reason (--show-rejected N lists more)",
                count(unlisted_count)
            ));
        }
    }
    if summary.rejected_count > told_count {
        lines.push(format!(
            "… and {} more rows for other reasons",
            count(summary.rejected_count - told_count)
        ));
    }
    lines.extend(summary.notes.iter().map(|note| format!("note: {note}")));
    for (kind, counts) in summary.kinds.iter().filter(|(_, counts)| counts.repeated_count > 0) {
        let (kind, repeated) = (kind.replace('_', " "), count(counts.repeated_count));
        lines.push(format!("note: {repeated} rows repeat what an earlier row says of the same {kind}"));
    }
    lines
}

/// What the import changed: a record that is known already adds nothing.
fn knows_more(before_count: i64, after_count: i64) -> String {
    match after_count - before_count {
        0 => "Nothing of it was new: the tenant's figures are what they were.".to_owned(),
        1 => "1 version of a record was new to the tenant.".to_owned(),
        count => format!("{} versions of records were new to the tenant.", number::count(count)),
    }
}

/// What became of the records, by kind.
fn table(summary: &Summary) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["Records", "Written", "Rejected"]);
    for (kind, counts) in &summary.kinds {
        let count = |count: u64| number::count(count.cast_signed());
        table.add_row([kind.replace('_', " "), count(counts.written_count), count(counts.rejected_count)]);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}
