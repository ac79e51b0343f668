//! `demo`: the main job in one command. A sidecar of its own, a generated company's records in, its KPIs out, and how to
//! call it from elsewhere. While it serves, the company goes on trading. All through the generated client, over a
//! socket, like any caller.

mod trickle;

use std::io::{ErrorKind, IsTerminal};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use channel_kpi::Sidecar;
use channel_kpi::client::ingest::{Feed, Options};
use channel_kpi::config::Config;
use channel_kpi::import::generate::{Generator, ZONE};
use channel_kpi::proto::channelkpi::v1::admin_service_client::AdminServiceClient;
use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    CreateTenantRequest, GetMarketingPerformanceRequest, GetPipelineRequest, GetScorecardRequest,
    GetTenantRequest, ListScorecardsRequest, ListScorecardsResponse, Scorecard, Subject, SubjectKind, Window,
    quantity, window,
};
use channel_kpi::proto::google::r#type::{Date, Money};
use channel_kpi::server::{BindError, Listen, Server};
use chrono::{Datelike, NaiveDate, Utc};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::connection::Connection;
use super::failure::{self, Failure};
use super::{Ending, channels, number, pipeline, print, scorecard, serve, words};

/// Load a generated company, show its KPIs and serve them.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct DemoCommand {
    /// Where to keep the data [default: a temporary directory]. A demo that is there already is shown as it is.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Where to serve. Another free port is taken where this one is in use.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7443")]
    listen: SocketAddr,

    /// End after showing the KPIs.
    #[arg(long)]
    once: bool,

    /// Another company.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// How large a company, beside one with 300 partners and 12,000 deals: 0.1 to 50.
    #[arg(long, value_name = "TIMES", default_value = "1", value_parser = parse_scale)]
    scale: u32,

    /// The day on which its story ends [default: today].
    #[arg(long, value_name = "DATE")]
    last_day: Option<NaiveDate>,
}

const AFTER_HELP: &str = "\
The company sells software through partners around the world: a tree of distributors and resellers, departments and
employees, two years of leads and deals with all their changes, marketing, targets and five currencies. The same seed,
scale and last day make the same company. While it serves, the company goes on: every second or so a deal is opened, won
or lost, as of now.

Examples:
  channel-kpi demo
  channel-kpi top --tenant demo --watch
  channel-kpi demo --once
  channel-kpi demo --data-dir ./demo --listen 127.0.0.1:7000 --seed 7 --scale 10";

/// The tenant of the demo: never that of anybody's own records.
const TENANT: &str = "demo";

/// The days that are shown.
const LAST_DAYS: i32 = 90;

/// Of the deals that must have ended for a partner to be shown as the worst one.
const WORST_ENDED_MIN: i64 = 20;

/// In hundredths.
fn parse_scale(text: &str) -> Result<u32, String> {
    match text.parse::<f64>() {
        Ok(times) if (0.1..=50.0).contains(&times) => Ok((times * 100.0).round() as u32),
        _ => Err("must be 0.1 to 50".into()),
    }
}

impl DemoCommand {
    pub async fn run(self) -> Result<Ending, Failure> {
        serve::log_to_stderr("warn");
        let today = Utc::now().with_timezone(&ZONE).date_naive();
        let last_on = self.last_day.unwrap_or(today);
        if last_on > today || last_on < NaiveDate::from_ymd_opt(1975, 1, 1).expect("a date") {
            return Err(Failure::Usage(format!("--last-day {last_on}: must be from 1975-01-01 to today")));
        }
        // Removed when the demo ends.
        let temporary = match &self.data_dir {
            Some(_) => None,
            None => Some(tempfile::tempdir().map_err(|source| Failure::Output { source })?),
        };
        let data_dir = self.data_dir.clone().or_else(|| Some(temporary.as_ref()?.path().into()));
        let (sidecar, server) = self.bind(data_dir.expect("one of both is there")).await?;
        let Some(Listen::Tcp(address)) = server.local_addrs().into_iter().next() else {
            unreachable!("it was told to listen on TCP")
        };

        let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
        serve::on_signals(stop.clone(), cut.clone())?;
        let serving = tokio::spawn(sidecar.serve(server, stop.clone(), cut));
        let shown = tokio::select! {
            shown = self.play(address, last_on) => shown,
            () = stop.cancelled() => Ok(()),
        };
        stop.cancel();
        serving.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        shown.map(|()| Ending::Done)
    }

    /// Opens the store and binds the address, or a free port beside it.
    async fn bind(&self, data_dir: PathBuf) -> Result<(Sidecar, Server), Failure> {
        let mut config = Config { data_dir, listen: vec![Listen::Tcp(self.listen)], ..Config::default() };
        // Nobody balances load over a demo: it needs no time to be seen leaving.
        config.limits.drain_delay = Duration::ZERO;
        let sidecar = channel_kpi::open(config.clone()).await?;
        match sidecar.bind() {
            Ok(server) => Ok((sidecar, server)),
            Err(BindError::Io { source, .. }) if source.kind() == ErrorKind::AddrInUse => {
                sidecar.close().await;
                config.listen = vec![Listen::Tcp(SocketAddr::new(self.listen.ip(), 0))];
                let sidecar = channel_kpi::open(config).await?;
                let server = sidecar.bind()?;
                let found = server.local_addrs().into_iter().next();
                let found = found.map(|address| address.to_string()).unwrap_or_default();
                eprintln!("{} is in use: serving at {found} instead", self.listen);
                Ok((sidecar, server))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Shows the company, and lets it go on unless that was all.
    async fn play(&self, address: SocketAddr, last_on: NaiveDate) -> Result<(), Failure> {
        let url = format!("http://{address}");
        let connection = Connection::open(&url, TENANT, Duration::from_secs(60)).await?;
        print(&self.load(&connection, last_on).await?)?;
        for text in Board::ask(connection.clone(), self.last_day).await?.told() {
            print(&format!("\n{text}"))?;
        }
        if self.once {
            return print(
                "\nWithout --once it serves these figures until Ctrl-C, lets the company go on, and says how to call it.",
            );
        }
        print(&format!("\n{}", how_to_call(address)))?;
        let status = trickle::trickle(connection, self.seed, self.last_day.map(wire_date)).await;
        eprintln!("the company rests, its figures are still served: {}", failure::status_message(&status));
        std::future::pending().await
    }

    /// Fills the tenant, unless it has records already. Says what is there.
    async fn load(&self, connection: &Connection, last_on: NaiveDate) -> Result<String, Failure> {
        let mut admin = AdminServiceClient::new(connection.clone());
        let tenant_id = TENANT.to_owned();
        let there = admin.get_tenant(GetTenantRequest { tenant_id: tenant_id.clone() }).await;
        if let Some(tenant) = there.ok().and_then(|answer| answer.into_inner().tenant)
            && tenant.deal_count > 0
        {
            return Ok(format!(
                "The demo that is there already: {} deals, {} versions of records. Another --data-dir makes a new one.",
                number::count(tenant.deal_count),
                number::count(tenant.version_count)
            ));
        }
        admin.create_tenant(CreateTenantRequest { tenant_id, settings: Some(Generator::settings()) }).await?;

        let generator = Generator { seed: self.seed, scale_percent: self.scale, last_on };
        let records = generator.records();
        let bar = progress_bar(records.len());
        let count = records.len();
        let feed = Feed::open(connection.streams(), TENANT, Options::default()).await;
        let mut feed = feed.map_err(Status::from)?;
        for record in records {
            bar.set_position(feed.send(record).await.map_err(Status::from)?);
        }
        let done = feed.finish().await.map_err(Status::from)?;
        if let Some(rejected) = done.rejected.first() {
            let wrong = format!("record {} of the demo is wrong: {:?}", rejected.seq, rejected.violations);
            return Err(Status::invalid_argument(wrong).into());
        }
        let took = bar.elapsed();
        bar.finish_and_clear();
        Ok(format!(
            "Nokshi Software, a made-up company that sells through partners: {} versions of records, loaded in {:.1} s.",
            number::count(count as i64),
            took.as_secs_f64()
        ))
    }
}

fn wire_date(day: NaiveDate) -> Date {
    Date { year: day.year(), month: day.month() as i32, day: day.day() as i32 }
}

/// A bar on a terminal, nothing elsewhere.
fn progress_bar(record_count: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} records {eta}")
        .expect("the template names only what indicatif knows");
    ProgressBar::new(record_count as u64).with_style(style)
}

/// What the demo shows.
struct Board {
    company: String,
    partners: ListScorecardsResponse,
    units: ListScorecardsResponse,
    /// With what changed in it.
    pipeline: String,
    marketing: String,
    best: String,
    worst: Option<String>,
}

impl Board {
    async fn ask(connection: Connection, as_of: Option<NaiveDate>) -> Result<Self, Failure> {
        let as_of = as_of.map(wire_date);
        let window = Some(Window { window: Some(window::Window::LastDays(LAST_DAYS)) });
        let list = async |kind: SubjectKind| {
            let subject_kind = kind.into();
            let request = ListScorecardsRequest { subject_kind, window, as_of, ..Default::default() };
            scorecard::list(connection.clone(), request, None).await
        };
        let card = async |subject: Option<Subject>| {
            let request = GetScorecardRequest { subject, window, as_of, ..Default::default() };
            let answer = KpiServiceClient::new(connection.clone()).get_scorecard(request).await?;
            Ok::<_, Failure>(scorecard::card(&answer.into_inner()))
        };
        let mut kpis = KpiServiceClient::new(connection.clone());
        let request = GetPipelineRequest { as_of, ..GetPipelineRequest::default() };
        let pipeline = pipeline::tables(&kpis.get_pipeline(request).await?.into_inner());
        let request = GetMarketingPerformanceRequest { window, as_of, ..Default::default() };
        let marketing = channels::tables(&kpis.get_marketing_performance(request).await?.into_inner());
        let (mut partners, mut units) = (list(SubjectKind::Partner).await?, list(SubjectKind::Unit).await?);
        for cards in [&mut partners.scorecards, &mut units.scorecards] {
            cards.sort_by_key(|card| std::cmp::Reverse(won_amount(card)));
        }
        let best = partners.scorecards.first().and_then(|card| card.subject.clone());
        let worst = worst(&partners.scorecards).and_then(|card| card.subject.clone());
        Ok(Self {
            company: card(None).await?,
            pipeline,
            marketing,
            best: card(best).await?,
            worst: match worst {
                Some(subject) => Some(card(Some(subject)).await?),
                None => None,
            },
            partners,
            units,
        })
    }

    fn told(&self) -> impl Iterator<Item = String> {
        let (partners, units) = (&self.partners.scorecards, &self.units.scorecards);
        let partner_count = number::count(partners.len() as i64);
        let told = [
            Some(self.company.clone()),
            Some(format!("Its pipeline\n\n{}", self.pipeline)),
            Some(format!("Its marketing channels\n\n{}", self.marketing)),
            Some(format!(
                "The ten partners of {partner_count} who sold most\n\n{}",
                ranking("Partner", &partners[..partners.len().min(10)])
            )),
            Some(format!("All units, each with those below it\n\n{}", ranking("Unit", units))),
            Some(format!("The partner who sold most\n\n{}", self.best)),
            self.worst.as_ref().map(|card| {
                format!(
                    "The partner who misses most, of those with {WORST_ENDED_MIN} deals that ended\n\n{card}"
                )
            }),
        ];
        told.into_iter().flatten()
    }
}

/// The won amount, as something to sort by.
fn won_amount(card: &Scorecard) -> (i64, i32) {
    let amount = card.deal_count.as_ref().and_then(|kpi| kpi.won_amount.as_ref());
    amount.map_or((0, 0), |money: &Money| (money.units, money.nanos))
}

/// Who converts the least of what there was to convert.
fn worst(cards: &[Scorecard]) -> Option<&Scorecard> {
    let success = |card: &Scorecard| {
        let ratio = words::ratio(card.deal_success.as_ref()?.figure.as_ref())?;
        let ended = ratio.denominator.as_ref()?.quantity.as_ref()?;
        matches!(ended, quantity::Quantity::Count(count) if *count >= WORST_ENDED_MIN)
            .then_some(ratio.quotient)
    };
    cards
        .iter()
        .filter_map(|card| Some((success(card)?, card)))
        .min_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, card)| card)
}

fn ranking(kind: &str, cards: &[Scorecard]) -> String {
    let header = ["Rank", kind, "Id", "Won", "Worth", "Average size", "Success"];
    let mut table = words::table(&header, &[0, 3, 4, 5, 6]);
    for (card, place) in cards.iter().zip(1..) {
        // Equal amounts share a rank: 1, 2, 2, 4.
        let rank = cards.iter().position(|other| won_amount(other) == won_amount(card));
        let rank = rank.map_or(place, |ahead| ahead as i64 + 1);
        let (count, average, success) = (&card.deal_count, &card.average_deal_size, &card.deal_success);
        table.add_row([
            number::count(rank),
            card.name.clone(),
            words::subject_id(card).to_owned(),
            words::count_figure(count.as_ref().and_then(|kpi| kpi.figure.as_ref())),
            count
                .as_ref()
                .and_then(|kpi| kpi.won_amount.as_ref())
                .map_or_else(words::out_of_range, number::amount),
            words::money_figure(average.as_ref().and_then(|kpi| kpi.figure.as_ref())),
            words::rate_figure(success.as_ref().and_then(|kpi| kpi.figure.as_ref())),
        ]);
    }
    table.trim_fmt()
}

fn how_to_call(address: SocketAddr) -> String {
    let question = format!(r#"{{"window": {{"lastDays": {LAST_DAYS}}}}}"#);
    let method = "channelkpi.v1.KpiService/GetScorecard";
    format!(
        "Serving at {address} until Ctrl-C, while deals are opened, won and lost. In another terminal:

  channel-kpi top --to http://{address} --tenant {TENANT} --kpi won-amount --watch
  channel-kpi scorecard --to http://{address} --tenant {TENANT} --window last-{LAST_DAYS}-days --by partner
  grpcurl -plaintext -H 'ckpi-tenant: {TENANT}' -d '{question}' {address} {method}
  buf curl --protocol grpc --http2-prior-knowledge -H 'ckpi-tenant: {TENANT}' \\
    -d '{question}' http://{address}/{method}"
    )
}
