//! `kiln`: the command line. Flags, messages, tables and exit codes; everything else is done by the
//! crates beneath.

mod args;
mod command;
mod config;
mod excerpt;
mod failure;
mod host;
mod moment;
mod output;
mod pairs;
mod progress;
mod table;
mod template;
mod terminal;
mod units;
mod usage;

use std::process::ExitCode;

fn main() -> ExitCode {
    // A child that this program started for work of its own comes in here and does not return.
    let doors = [kiln_build::DOORS, kiln_container::DOORS].concat();
    kiln_build::sandbox::entry(&doors);
    let args = match args::Args::read() {
        Ok(args) => args,
        Err(e) => return usage::report(e),
    };
    match args.command.run() {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
