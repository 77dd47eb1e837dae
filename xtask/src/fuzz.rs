//! `cargo xtask fuzz`: runs the targets under `fuzz/` for a while, one after the other, each on the
//! corpus that is kept beside them. Says what is missing where it cannot.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use crate::{Result, process};

/// The targets, those that find most first.
const TARGETS: &[&str] = &[
    "apply",
    "archive",
    "decompress",
    "tree",
    "parse",
    "expand",
    "ignore",
    "mount",
];

pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let asked = Asked::of(arguments)?;
    let root = process::root()?;
    missing(&root)?;
    let mut failed = Vec::new();
    for target in &asked.targets {
        println!("{target}: {} s", asked.seconds);
        if !process::succeeds(&mut run(&root, target, asked.seconds))? {
            failed.push(*target);
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "failed: {}. What made them fail is under fuzz/artifacts: put it into a regression test",
        failed.join(", ")
    );
    Ok(ExitCode::FAILURE)
}

/// What a person asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    targets: Vec<&'static str>,
    seconds: u32,
}

impl Asked {
    fn of(arguments: &[String]) -> Result<Self> {
        let (mut targets, mut seconds) = (Vec::new(), 60);
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if argument == "--seconds" {
                let number = rest.next().and_then(|n| n.parse().ok());
                seconds = number.ok_or("--seconds takes a number")?;
                continue;
            }
            let known = TARGETS.iter().find(|t| *t == argument);
            let known = known
                .ok_or_else(|| format!("there is no target `{argument}`; there are {TARGETS:?}"))?;
            targets.push(*known);
        }
        if targets.is_empty() {
            targets = TARGETS.to_vec();
        }
        Ok(Self { targets, seconds })
    }
}

/// Looks for the nightly compiler and cargo-fuzz.
fn missing(root: &Path) -> Result<()> {
    let there = |arguments: &[&str]| {
        let mut command = Command::new("cargo");
        command
            .current_dir(root)
            .args(arguments)
            .stdin(Stdio::null());
        let done = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success())
    };
    if !there(&["+nightly", "--version"]) {
        return Err("the nightly compiler is missing: `rustup toolchain install nightly`".into());
    }
    if !there(&["fuzz", "--version"]) {
        return Err("cargo-fuzz is missing: `cargo install cargo-fuzz`".into());
    }
    Ok(())
}

fn run(root: &Path, target: &str, seconds: u32) -> Command {
    // By the name that rustup answers to: a cargo that started this program knows one compiler only.
    let mut command = Command::new("cargo");
    command
        .current_dir(root)
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .args(["+nightly", "fuzz", "run", target, "--"])
        .args(["-timeout=20", "-rss_limit_mb=2048"])
        .args(dictionary(root, target))
        .arg(format!("-max_total_time={seconds}"));
    command
}

/// The words that a target's input is made of, where they are kept.
fn dictionary(root: &Path, target: &str) -> Option<String> {
    let file = root.join("fuzz/dictionaries").join(target);
    file.is_file().then(|| format!("-dict={}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let of = |text: &str| {
            let words: Vec<String> = text.split_whitespace().map(String::from).collect();
            Asked::of(&words).map_err(|e| e.to_string())
        };
        assert_eq!(of("").unwrap().targets, TARGETS);
        let asked = of("tree --seconds 5 apply").unwrap();
        assert_eq!(
            (&asked.targets[..], asked.seconds),
            (&["tree", "apply"][..], 5)
        );
        assert!(of("--seconds").is_err() && of("--seconds x").is_err());
        assert!(of("trees").unwrap_err().contains("no target `trees`"));
    }
}
