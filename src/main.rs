//! The command line of channel-kpi: one file per command in `command/`.

mod command;

use std::process::ExitCode;

use clap::Parser;

/// The program's own: a library leaves that to its host.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    command::run(command::CommandLine::parse())
}
