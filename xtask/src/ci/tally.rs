//! Counting tests from what test binaries print, and what they say that they did not run.
//!
//! Understands the closing line of cargo's own harness, and the same or the plain `N passed, N failed`
//! of binaries that bring their own (`harness = false`).

use std::fmt;

/// How many tests ran, over all binaries.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) ignored: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        match self.ignored {
            0 => Ok(()),
            ignored => write!(f, ", {ignored} skipped"),
        }
    }
}

/// Reads the output of `cargo test -- --show-output` line by line.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) tally: Tally,
    /// The reasons that tests gave for what they could not do.
    pub(super) not_run: Vec<String>,
    /// How many tests that are counted as ignored gave their reason.
    told: usize,
    /// Whether the lines are what a test that passed has printed.
    quiet: bool,
}

impl Reader {
    /// How many tests were ignored in silence.
    pub(super) fn silent(&self) -> usize {
        self.tally.ignored.saturating_sub(self.told)
    }

    /// Takes one line; whether a person wants to see it. What tests that passed have to say is
    /// read and kept from the screen.
    pub(super) fn line(&mut self, line: &str) -> bool {
        if let Some(tally) = closing(line) {
            self.tally.passed += tally.passed;
            self.tally.failed += tally.failed;
            self.tally.ignored += tally.ignored;
            self.quiet = false;
            return true;
        }
        if let Some((before, reason)) = line.split_once("not run: ") {
            self.told += usize::from(before.ends_with("... ignored, "));
            let reason = reason.trim().to_owned();
            if !self.not_run.contains(&reason) {
                self.not_run.push(reason);
            }
            return true;
        }
        match line {
            "successes:" => self.quiet = true,
            "failures:" => self.quiet = false,
            _ => {}
        }
        let passed = line.starts_with("test ") && line.ends_with("... ok");
        !(self.quiet || passed || line.is_empty())
    }
}

/// The counts of a closing line.
fn closing(line: &str) -> Option<Tally> {
    let counts = match line.strip_prefix("test result: ") {
        Some(rest) => rest.split_once(". ")?.1,
        None => line,
    };
    let mut tally = Tally::default();
    let mut named = 0;
    for part in counts.split([';', ',']) {
        let Some((number, what)) = part.trim().split_once(' ') else {
            continue;
        };
        let Ok(number) = number.parse::<usize>() else {
            continue;
        };
        match what {
            "passed" => tally.passed = number,
            "failed" => tally.failed = number,
            "ignored" | "skipped" => tally.ignored = number,
            _ => continue,
        }
        named += 1;
    }
    (named >= 2).then_some(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: usize, failed: usize, ignored: usize) -> Option<Tally> {
        Some(Tally {
            passed,
            failed,
            ignored,
        })
    }

    #[test]
    fn closing_lines() {
        let table = [
            (
                "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s",
                tally(5, 0, 1),
            ),
            (
                "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured",
                tally(1, 2, 0),
            ),
            ("12 passed, 0 failed", tally(12, 0, 0)),
            ("12 passed, 1 failed, 3 skipped", tally(12, 1, 3)),
            ("running 5 tests", None),
            ("all 3 passed", None),
            ("2 passed", None),
            ("test passed ... ok", None),
        ];
        for (line, expected) in table {
            assert_eq!(closing(line), expected, "{line}");
        }
    }

    #[test]
    fn binaries_add_up_and_reasons_are_kept() {
        let output = "running 2 tests\n\
            test a ... ok\n\
            test b ... ok\n\
            \n\
            successes:\n\
            \n\
            ---- a stdout ----\n\
            chatter\n\
            not run: no nftables\n\
            \n\
            successes:\n    a\n\
            \n\
            test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n\
            not run: no nftables\n\
            3 passed, 1 failed\n";
        let mut reader = Reader::default();
        let seen: Vec<_> = output.lines().filter(|l| reader.line(l)).collect();
        assert_eq!(reader.tally.to_string(), "5 passed, 1 failed");
        assert_eq!(reader.not_run, ["no nftables"]);
        assert!(!seen.contains(&"chatter"), "{seen:?}");
        assert!(seen.contains(&"running 2 tests"), "{seen:?}");
    }

    #[test]
    fn who_is_ignored_says_why() {
        let mut reader = Reader::default();
        let output = "test a ... ignored, not run: no init\ntest b ... ignored\n\
            test result: ok. 1 passed; 0 failed; 2 ignored; 0 measured\n";
        let shown = output.lines().filter(|l| reader.line(l)).count();
        assert_eq!(shown, 3);
        assert_eq!(
            (reader.silent(), reader.not_run),
            (1, vec!["no init".to_owned()])
        );
    }

    #[test]
    fn what_failed_is_shown() {
        let mut reader = Reader::default();
        let output = "successes:\nunseen\nfailures:\n---- a stdout ----\npanicked\n";
        let seen: Vec<_> = output.lines().filter(|l| reader.line(l)).collect();
        assert_eq!(seen, ["failures:", "---- a stdout ----", "panicked"]);
    }
}
