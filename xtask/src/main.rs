//! What a maintainer of kiln does more than once: `cargo xtask COMMAND`.
//!
//! Each command lives in a module of its own and adds one line to [`COMMANDS`]. Nothing in here
//! is part of the product, and nothing in here needs more than cargo and git to start.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a program for a terminal, and printing is what it does"
)]

mod bench;
mod ci;
mod conformance;
mod demo;
mod fuzz;
mod house;
mod process;
mod release;
mod tidy;
mod workspace;

use std::process::ExitCode;

/// What a command gives back: its exit code, or why it could not start its work.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// One command of `cargo xtask`.
struct Command {
    name: &'static str,
    /// Its arguments and what it is for, as `cargo xtask help` shows them.
    about: &'static str,
    run: fn(&[String]) -> Result<ExitCode>,
}

/// All commands, in the order in which `cargo xtask help` lists them.
const COMMANDS: &[Command] = &[
    Command {
        name: "ci",
        about: "[RULE...]: run the rules of this house, all of them without arguments",
        run: ci::command,
    },
    Command {
        name: "bench",
        about: "[--runs N] [--user NAME] [--layers]: time layers, builds and starts beside others', to bench/",
        run: bench::command,
    },
    Command {
        name: "conformance",
        about: "[--against \"COMMAND\"] [--filter TEXT] [--scratch FOLDER]: the cases of tests/conformance, by kiln or a peer",
        run: conformance::command,
    },
    Command {
        name: "demo",
        about: "[--offline]: play the tutorial, from a base image to a page that is served",
        run: demo::command,
    },
    Command {
        name: "fuzz",
        about: "[TARGET...] [--seconds N]: run the fuzz targets, all of them without arguments",
        run: fuzz::command,
    },
    Command {
        name: "tidy",
        about: "[--write]: sizes, headers and files of the crates; --write renews generated files",
        run: tidy::command,
    },
    Command {
        name: "release",
        about: "plan [--format json]: which crates changed, their next versions, and the order",
        run: release::command,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        print!("{}", help());
        return ExitCode::from(2);
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|c| c.name == name) else {
        eprint!("xtask: there is no command `{name}`\n\n{}", help());
        return ExitCode::from(2);
    };
    (command.run)(rest).unwrap_or_else(|error| {
        eprintln!("xtask {name}: {error}");
        ExitCode::from(2)
    })
}

fn help() -> String {
    let mut text = String::from("Usage: cargo xtask COMMAND\n\n");
    for command in COMMANDS {
        text.push_str(&format!("  {} {}\n", command.name, command.about));
    }
    text
}
