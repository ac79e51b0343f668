//! The command line of channel-kpi: one file per command in `command/`.

mod command;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    command::run(command::CommandLine::parse())
}
