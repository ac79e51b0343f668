//! `tenant`: the companies that a sidecar keeps, through AdminService.

use channel_kpi::proto::channelkpi::v1::admin_service_client::AdminServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    ConfigureTenantRequest, ConfigureTenantResponse, CreateTenantRequest, CreateTenantResponse,
    DeleteTenantRequest, GetTenantRequest, GetTenantResponse, StageProbability, Tenant, TenantSettings,
};
use channel_kpi::proto::google::r#type::DayOfWeek;
use chrono::DateTime;
use clap::{Args, Subcommand};

use super::connection::{Connection, ConnectionArgs};
use super::failure::Failure;
use super::{Ending, json, number, print};

/// Show, create, configure or delete a tenant.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct TenantCommand {
    #[command(subcommand)]
    action: Action,
}

const AFTER_HELP: &str = "\
Which tenant is said with --tenant; without it, the tenant `default`.

Examples:
  channel-kpi tenant create --currency USD --time-zone Asia/Dhaka
  channel-kpi tenant configure --tenant acme --fiscal-year-start 4 --stage Negotiation=60
  channel-kpi tenant show --json";

#[derive(Debug, Subcommand)]
enum Action {
    /// Show a tenant's settings and size.
    Show {
        /// The answer as proto3 JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connection: ConnectionArgs,
    },
    /// Create a tenant. May be repeated as it is.
    Create {
        #[command(flatten)]
        settings: SettingsArgs,
        /// The answer as proto3 JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connection: ConnectionArgs,
    },
    /// Change the settings that are given and keep the others. A change of currency, time zone or time limit re-tells
    /// all figures.
    Configure {
        #[command(flatten)]
        settings: SettingsArgs,
        /// The answer as proto3 JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connection: ConnectionArgs,
    },
    /// Delete a tenant with all its records, for good.
    Delete {
        /// Yes, delete it.
        #[arg(long, required = true)]
        yes: bool,
        #[command(flatten)]
        connection: ConnectionArgs,
    },
}

#[derive(Debug, Args)]
struct SettingsArgs {
    /// The reporting currency, ISO 4217.
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,

    /// The IANA time zone in which instants become dates, such as Asia/Dhaka.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,

    /// The month in which the fiscal year begins.
    #[arg(long, value_name = "MONTH", value_parser = clap::value_parser!(i32).range(1..=12))]
    fiscal_year_start: Option<i32>,

    /// The first day of a week: monday, sunday …
    #[arg(long, value_name = "DAY", value_parser = parse_day_of_week)]
    week_start: Option<DayOfWeek>,

    /// After how many days an open deal expires that doesn't say when.
    #[arg(long, value_name = "DAYS")]
    time_limit_days: Option<i32>,

    /// How likely a deal in a stage is to be won, in per cent, such as Negotiation=60. May be given several times.
    #[arg(long = "stage", value_name = "STAGE=PERCENT", value_parser = parse_stage)]
    stages: Vec<StageProbability>,
}

fn parse_day_of_week(text: &str) -> Result<DayOfWeek, String> {
    DayOfWeek::from_str_name(&text.to_uppercase())
        .filter(|day| *day != DayOfWeek::Unspecified)
        .ok_or_else(|| "the days are monday, tuesday, wednesday, thursday, friday, saturday, sunday".into())
}

fn parse_stage(text: &str) -> Result<StageProbability, String> {
    let wanted = || format!("`{text}` isn't a stage and its probability, such as Negotiation=60");
    let (stage, percent) = text.rsplit_once('=').ok_or_else(wanted)?;
    let percent: i32 = percent.trim().trim_end_matches('%').parse().map_err(|_| wanted())?;
    if stage.is_empty() || !(0..=100).contains(&percent) {
        return Err(format!("{} (from 0 to 100)", wanted()));
    }
    Ok(StageProbability { stage: stage.into(), probability_bps: percent * 100 })
}

impl SettingsArgs {
    /// Puts what was given over settings as they are.
    fn over(&self, mut settings: TenantSettings) -> TenantSettings {
        if let Some(currency) = &self.currency {
            settings.reporting_currency_code.clone_from(currency);
        }
        if let Some(time_zone) = &self.time_zone {
            settings.time_zone.clone_from(time_zone);
        }
        settings.fiscal_year_start_month = self.fiscal_year_start.or(settings.fiscal_year_start_month);
        if let Some(day) = self.week_start {
            settings.week_start = day.into();
        }
        settings.opportunity_time_limit_days = self.time_limit_days.or(settings.opportunity_time_limit_days);
        for given in &self.stages {
            settings.stage_probabilities.retain(|known| known.stage != given.stage);
            settings.stage_probabilities.push(given.clone());
        }
        settings
    }
}

impl TenantCommand {
    pub async fn run(self) -> Result<Ending, Failure> {
        let text = match &self.action {
            Action::Show { json, connection } => {
                let answer = connection.with(async |to| get(to, &connection.tenant).await).await?;
                if *json { json::render("GetTenantResponse", &answer) } else { told(answer.tenant.as_ref()) }
            }
            Action::Create { settings, json, connection } => {
                if settings.currency.is_none() || settings.time_zone.is_none() {
                    return Err(Failure::Usage("a new tenant needs --currency and --time-zone".into()));
                }
                let answer =
                    connection.with(async |to| create(to, &connection.tenant, settings).await).await?;
                if *json {
                    json::render("CreateTenantResponse", &answer)
                } else {
                    told(answer.tenant.as_ref())
                }
            }
            Action::Configure { settings, json, connection } => {
                let answer =
                    connection.with(async |to| configure(to, &connection.tenant, settings).await).await?;
                if *json {
                    json::render("ConfigureTenantResponse", &answer)
                } else {
                    told(answer.tenant.as_ref())
                }
            }
            Action::Delete { yes: _, connection } => {
                connection.with(async |to| delete(to, &connection.tenant).await).await?;
                format!("The tenant {} and all its records are gone.", connection.tenant)
            }
        };
        print(&text)?;
        Ok(Ending::Done)
    }
}

async fn get(connection: Connection, tenant_id: &str) -> Result<GetTenantResponse, Failure> {
    let request = GetTenantRequest { tenant_id: tenant_id.into() };
    Ok(AdminServiceClient::new(connection).get_tenant(request).await?.into_inner())
}

async fn create(
    connection: Connection,
    tenant_id: &str,
    settings: &SettingsArgs,
) -> Result<CreateTenantResponse, Failure> {
    let settings = Some(settings.over(TenantSettings::default()));
    let request = CreateTenantRequest { tenant_id: tenant_id.into(), settings };
    Ok(AdminServiceClient::new(connection).create_tenant(request).await?.into_inner())
}

async fn configure(
    connection: Connection,
    tenant_id: &str,
    given: &SettingsArgs,
) -> Result<ConfigureTenantResponse, Failure> {
    let known = get(connection.clone(), tenant_id).await?.tenant.and_then(|tenant| tenant.settings);
    let settings = Some(given.over(known.unwrap_or_default()));
    let request = ConfigureTenantRequest { tenant_id: tenant_id.into(), settings };
    Ok(AdminServiceClient::new(connection).configure_tenant(request).await?.into_inner())
}

async fn delete(connection: Connection, tenant_id: &str) -> Result<(), Failure> {
    let request = DeleteTenantRequest { tenant_id: tenant_id.into() };
    AdminServiceClient::new(connection).delete_tenant(request).await?;
    Ok(())
}

/// A tenant, a line each for what is set.
fn told(tenant: Option<&Tenant>) -> String {
    let Some(tenant) = tenant else { return "The sidecar told nothing of the tenant.".into() };
    let default_settings = TenantSettings::default();
    let settings = tenant.settings.as_ref().unwrap_or(&default_settings);
    let week_start = match settings.week_start() {
        DayOfWeek::Unspecified => DayOfWeek::Monday,
        day => day,
    };
    let changed = tenant.settings_update_time.as_ref().and_then(|time| {
        let nanos = u32::try_from(time.nanos).ok()?;
        DateTime::from_timestamp(time.seconds, nanos)
    });
    let mut lines = vec![
        ("Tenant", tenant.tenant_id.clone()),
        ("Reporting currency", settings.reporting_currency_code.clone()),
        ("Time zone", settings.time_zone.clone()),
        ("Fiscal year begins in month", settings.fiscal_year_start_month.unwrap_or(1).to_string()),
        ("Week begins on", week_start.as_str_name().to_lowercase()),
        (
            "Open deals expire after",
            settings
                .opportunity_time_limit_days
                .map_or_else(|| "never".into(), |days| format!("{days} days")),
        ),
    ];
    for stage in &settings.stage_probabilities {
        let percent = number::rounded(f64::from(stage.probability_bps) / 100.0, 2);
        lines.push(("Stage", format!("{} is won with {percent} %", stage.stage)));
    }
    if let Some(changed) = changed {
        lines.push(("Settings changed", changed.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)));
    }
    lines.push(("Deals known", number::count(tenant.deal_count)));
    lines.push(("Versions of records", number::count(tenant.version_count)));
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    lines.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_are_not_given_stay() {
        let stage = |stage: &str, probability_bps| StageProbability { stage: stage.into(), probability_bps };
        let known = TenantSettings {
            reporting_currency_code: "USD".into(),
            time_zone: "UTC".into(),
            opportunity_time_limit_days: Some(90),
            stage_probabilities: vec![stage("New", 1_000), stage("Offer", 5_000)],
            ..TenantSettings::default()
        };
        let given = SettingsArgs {
            currency: None,
            time_zone: Some("Asia/Dhaka".into()),
            fiscal_year_start: Some(7),
            week_start: Some(DayOfWeek::Sunday),
            time_limit_days: None,
            stages: vec![parse_stage("Offer=60").expect("a stage")],
        };
        let expected = TenantSettings {
            time_zone: "Asia/Dhaka".into(),
            fiscal_year_start_month: Some(7),
            week_start: DayOfWeek::Sunday.into(),
            stage_probabilities: vec![stage("New", 1_000), stage("Offer", 6_000)],
            ..known.clone()
        };
        assert_eq!(given.over(known), expected);
    }

    #[test]
    fn stages_and_days_by_hand() {
        assert!(parse_stage("Offer").is_err());
        assert!(parse_stage("Offer=101").is_err());
        assert_eq!(
            parse_stage("A=B=5%").map(|stage| (stage.stage, stage.probability_bps)),
            Ok(("A=B".into(), 500))
        );
        assert_eq!(parse_day_of_week("Sunday"), Ok(DayOfWeek::Sunday));
        assert!(parse_day_of_week("day_of_week_unspecified").is_err());
    }
}
