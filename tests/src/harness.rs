//! Runs tests by name, one after another, where `main` belongs to the doors and the usual harness
//! cannot have it. It knows filters, `--exact` and `--list`, and nothing else of that.
#![allow(clippy::print_stdout)]

use std::{
    env, fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// How a test went that did not panic: `Err` is the reason why this machine cannot run it.
pub type Outcome = Result<(), String>;

/// What a test may give: nothing, or an outcome.
pub trait Gives {
    /// How it went.
    ///
    /// # Errors
    /// The reason why this machine cannot run it.
    fn outcome(self) -> Outcome;
}

impl Gives for () {
    fn outcome(self) -> Outcome {
        Ok(())
    }
}

impl Gives for Outcome {
    fn outcome(self) -> Outcome {
        self
    }
}

/// A test.
pub struct Test {
    name: String,
    run: Box<dyn Fn() -> Outcome>,
}

impl Test {
    /// A test by its name.
    pub fn new<G: Gives>(name: impl Into<String>, run: impl Fn() -> G + 'static) -> Self {
        Self {
            name: name.into(),
            run: Box::new(move || run().outcome()),
        }
    }
}

impl fmt::Debug for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Functions as tests that have their names: `tests![tree::{grows, falls}]`. What stands before an
/// arrow is given each of them and calls it: `tests![root => tree::{grows, falls}]`.
#[macro_export]
macro_rules! tests {
    ($($module:ident::{$($name:ident),* $(,)?}),* $(,)?) => {
        vec![$($(
            $crate::harness::Test::new(
                concat!(stringify!($module), "::", stringify!($name)),
                $module::$name,
            ),
        )*)*]
    };
    ($with:path => $($module:ident::{$($name:ident),* $(,)?}),* $(,)?) => {
        vec![$($(
            $crate::harness::Test::new(
                concat!(stringify!($module), "::", stringify!($name)),
                || $with($module::$name),
            ),
        )*)*]
    };
}

/// The parts of names by which tests were asked for; none is all of them.
pub fn filters() -> Vec<String> {
    env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect()
}

/// Whether one of these is asked for.
pub fn wanted(tests: &[Test]) -> bool {
    !chosen(tests).is_empty()
}

fn chosen(tests: &[Test]) -> Vec<&Test> {
    let filters = filters();
    let exact = flag("--exact");
    let fits = |name: &str, filter: &String| match exact {
        true => name == filter,
        false => name.contains(filter.as_str()),
    };
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|f| fits(name, f));
    tests.iter().filter(|test| wanted(&test.name)).collect()
}

fn flag(name: &str) -> bool {
    env::args().skip(1).any(|arg| arg == name)
}

/// Runs what is asked for; whether all went well.
pub fn run(tests: &[Test]) -> bool {
    let chosen = chosen(tests);
    if flag("--list") {
        chosen.iter().for_each(|test| println!("{test:?}: test"));
        return true;
    }
    println!("\nrunning {} tests", chosen.len());
    let (mut failed, mut not_run) = (Vec::new(), 0);
    for test in &chosen {
        let said = match catch_unwind(AssertUnwindSafe(&test.run)) {
            Ok(Ok(())) => "ok".to_owned(),
            Ok(Err(reason)) => {
                not_run += 1;
                format!("ignored, not run: {reason}")
            }
            Err(_) => {
                failed.push(test);
                "FAILED".to_owned()
            }
        };
        println!("test {test:?} ... {said}");
    }
    if !failed.is_empty() {
        println!("\nfailures:");
        failed.iter().for_each(|test| println!("    {test:?}"));
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; {not_run} ignored; 0 measured; {} filtered out\n",
        if failed.is_empty() { "ok" } else { "FAILED" },
        chosen.len() - failed.len() - not_run,
        failed.len(),
        tests.len() - chosen.len(),
    );
    failed.is_empty()
}
