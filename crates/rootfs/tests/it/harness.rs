//! Runs the tests by name, one after another: `main` belongs to the doors, so the usual harness
//! cannot have it. Knows filters, `--exact` and `--list`.
#![allow(clippy::print_stdout)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// A test. `Err` is the reason why this machine cannot run it.
pub(crate) type Test = (&'static str, fn() -> Result<(), String>);

fn chosen(tests: &[Test]) -> Vec<&Test> {
    let (flags, filters): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|arg| arg.starts_with('-'));
    let exact = flags.iter().any(|flag| flag == "--exact");
    let wanted = |name: &str| {
        let fits = |filter: &String| match exact {
            true => name == filter,
            false => name.contains(filter.as_str()),
        };
        filters.is_empty() || filters.iter().any(fits)
    };
    tests.iter().filter(|(name, _)| wanted(name)).collect()
}

/// Whether one of these is asked for.
pub(crate) fn wanted(tests: &[Test]) -> bool {
    !chosen(tests).is_empty()
}

pub(crate) fn run(tests: &[Test]) -> ExitCode {
    let chosen = chosen(tests);
    if std::env::args().any(|flag| flag == "--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let (mut failed, mut not_run) = (0, 0);
    for (name, test) in &chosen {
        let said = match catch_unwind(AssertUnwindSafe(test)) {
            Ok(Ok(())) => "ok".to_owned(),
            Ok(Err(reason)) => {
                not_run += 1;
                format!("ignored, not run: {reason}")
            }
            Err(_) => {
                failed += 1;
                "FAILED".to_owned()
            }
        };
        println!("test {name} ... {said}");
    }
    let passed = chosen.len() - failed - not_run;
    let word = if failed == 0 { "ok" } else { "FAILED" };
    let out = tests.len() - chosen.len();
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; {not_run} ignored; 0 measured; {out} filtered out\n"
    );
    ExitCode::from(u8::from(failed > 0))
}
