//! The commands. Each is a caller like any other: it speaks to a sidecar, over a socket or in process, through the
//! generated client and knows wire types only.
//!
//! Invariants:
//! 1. What was asked for goes to stdout, everything else to stderr: an answer can be piped as it is.
//! 2. How a command ended is told by its exit code, documented in [`AFTER_HELP`].
//! 3. A reader that goes away (`| head`) is no error.

mod channels;
mod connection;
mod demo;
mod explain;
mod failure;
mod import;
mod json;
mod number;
mod pipeline;
mod plan;
mod premises;
mod quality;
mod recommend;
mod records;
mod restate;
mod scorecard;
mod series;
mod serve;
mod strategy;
mod subject;
mod targets;
mod tenant;
mod top;
mod window;
mod words;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// The KPIs by which a company steers its channel partners, exact and live.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

/// What `--help` ends with.
const AFTER_HELP: &str = "\
Examples:
  See what it does, on a generated company:
    channel-kpi demo

  Bring a CRM's export in, and look at the company's figures:
    channel-kpi import --preset maven exports/ --data-dir ./data
    channel-kpi scorecard --window 2017-Q3 --data-dir ./data

  The same with a sidecar that serves at 127.0.0.1:7443:
    channel-kpi import --preset maven exports/
    channel-kpi scorecard --window 2017-Q3 --by partner

Exit codes:
  0  done
  1  the work failed: the sidecar refused the call or can't be reached, a file can't be read
  2  the command was given wrongly
  3  done, but some rows were rejected (import)";

#[derive(Debug, Subcommand)]
enum Command {
    /// Load a generated company, show its KPIs and serve them.
    Demo(demo::DemoCommand),
    /// Keep tenants' records and serve their figures.
    Serve(serve::ServeCommand),
    /// Bring the CSV files of a CRM's export in.
    Import(import::ImportCommand),
    /// Show KPIs: of the company, a partner, an employee or a unit, or of all of a kind.
    Scorecard(scorecard::ScorecardCommand),
    /// Show who leads: partners, employees or units ranked by any figure, once or live.
    Top(top::TopCommand),
    /// Show KPIs as a series of days, weeks, months, quarters or years.
    Series(series::SeriesCommand),
    /// Explain why a figure changed: by its factors, or by the members of a dimension.
    Explain(explain::ExplainCommand),
    /// Say what to do: whom to praise, train or replace, which channel to stop paying, which deals to save.
    Recommend(recommend::RecommendCommand),
    /// Plan a quarter: what to do, what it will bring, and a target for it.
    Plan(plan::PlanCommand),
    /// Show whether a strategy works: what it did to those that it is for, beside all others.
    Strategy(strategy::StrategyCommand),
    /// Show what is told anew: KPIs as they were known at two times, and the records that made the difference.
    Restate(restate::RestateCommand),
    /// Show the open deals, how long they are protected, what changed, and how targets stand.
    Pipeline(pipeline::PipelineCommand),
    /// Show what came by each marketing channel, what it cost, and whether it pays.
    Channels(channels::ChannelsCommand),
    /// Show the deals and leads behind a figure.
    Records(records::RecordsCommand),
    /// Show what is odd or missing in the records behind the figures.
    Quality(quality::QualityCommand),
    /// Show, create, configure or delete a tenant.
    Tenant(tenant::TenantCommand),
}

/// How a command ended that didn't fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Done,
    SomeRejected,
}

/// Runs a command to its end.
pub fn run(line: CommandLine) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(source) => return report(&Failure::Runtime { source }),
    };
    let ending = runtime.block_on(async {
        match line.command {
            Command::Demo(command) => command.run().await,
            Command::Serve(command) => command.run().await,
            Command::Import(command) => command.run().await,
            Command::Scorecard(command) => command.run().await,
            Command::Top(command) => command.run().await,
            Command::Series(command) => command.run().await,
            Command::Explain(command) => command.run().await,
            Command::Recommend(command) => command.run().await,
            Command::Plan(command) => command.run().await,
            Command::Strategy(command) => command.run().await,
            Command::Restate(command) => command.run().await,
            Command::Pipeline(command) => command.run().await,
            Command::Channels(command) => command.run().await,
            Command::Records(command) => command.run().await,
            Command::Quality(command) => command.run().await,
            Command::Tenant(command) => command.run().await,
        }
    });
    match ending {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::SomeRejected) => ExitCode::from(3),
        Err(failure) => report(&failure),
    }
}

fn report(failure: &Failure) -> ExitCode {
    if !failure.is_broken_pipe() {
        // Nobody is left to hear that stderr can't be written.
        let _ = writeln!(std::io::stderr(), "error: {}", failure.message());
    }
    ExitCode::from(failure.exit_code())
}

/// Writes an answer to stdout.
fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| if text.ends_with('\n') { Ok(()) } else { stdout.write_all(b"\n") })
        .and_then(|()| stdout.flush())
        .map_err(|source| Failure::Output { source })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        CommandLine::command().debug_assert();
    }
}
