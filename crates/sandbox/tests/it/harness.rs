//! Runs tests by name, one after another, because `main` belongs to the doors. It knows filters,
//! `--exact` and `--list`, and nothing else of the usual harness.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// A test: its name, and what it does. `Err` is the reason why this machine cannot run it.
pub(crate) struct Test {
    pub(crate) name: String,
    pub(crate) run: Box<dyn Fn() -> Outcome>,
}

pub(crate) type Outcome = Result<(), String>;

/// Whether tests are asked for whose names begin otherwise than with one of these.
#[cfg(target_os = "linux")]
pub(crate) fn wants_beyond(beginnings: &[&str]) -> bool {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut filters = args.iter().filter(|arg| !arg.starts_with('-')).peekable();
    let other = |filter: &String| !beginnings.iter().any(|one| filter.starts_with(one));
    filters.peek().is_none() || filters.any(other)
}

/// Runs what is asked for; whether all went well.
pub(crate) fn run(tests: Vec<Test>) -> bool {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let exact = args.iter().any(|arg| arg == "--exact");
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |test: &Test| {
        filters.is_empty()
            || filters.iter().any(|filter| {
                if exact {
                    test.name == **filter
                } else {
                    test.name.contains(filter.as_str())
                }
            })
    };
    let total = tests.len();
    let chosen: Vec<Test> = tests.into_iter().filter(wanted).collect();
    if args.iter().any(|arg| arg == "--list") {
        chosen
            .iter()
            .for_each(|test| println!("{}: test", test.name));
        return true;
    }
    println!("\nrunning {} tests", chosen.len());
    let (mut passed, mut failed, mut not_run) = (0, Vec::new(), 0);
    for test in &chosen {
        match catch_unwind(AssertUnwindSafe(|| (test.run)())) {
            Ok(Ok(())) => {
                println!("test {} ... ok", test.name);
                passed += 1;
            }
            Ok(Err(reason)) => {
                println!("test {} ... ignored, not run: {reason}", test.name);
                not_run += 1;
            }
            Err(_) => {
                println!("test {} ... FAILED", test.name);
                failed.push(&test.name);
            }
        }
    }
    if !failed.is_empty() {
        println!("\nfailures:");
        failed.iter().for_each(|name| println!("    {name}"));
    }
    println!(
        "\ntest result: {}. {passed} passed; {} failed; {not_run} ignored; 0 measured; {} filtered out\n",
        if failed.is_empty() { "ok" } else { "FAILED" },
        failed.len(),
        total - chosen.len(),
    );
    failed.is_empty()
}
