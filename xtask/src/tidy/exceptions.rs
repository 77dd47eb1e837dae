//! `xtask/tidy.toml`: what may break a rule, how far, and why.

use std::path::Path;

use serde::Deserialize;

use super::Finding;
use crate::Result;

/// The exceptions, in the order of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exceptions {
    #[serde(default)]
    allow: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Exception {
    rule: String,
    at: String,
    /// How large it may be; needed where the rule is a limit.
    up_to: Option<usize>,
    reason: String,
}

impl Exceptions {
    pub(super) fn read(path: &Path) -> Result<Exceptions> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(toml::from_str(&text)?)
    }

    /// What is left to say when the exceptions have been made, and which of them nobody needed.
    pub(super) fn apply(&self, findings: Vec<Finding>) -> Vec<String> {
        let mut failures = Vec::new();
        let mut needed = vec![false; self.allow.len()];
        for finding in findings {
            match self
                .allow
                .iter()
                .position(|e| e.rule == finding.rule && e.at == finding.at)
            {
                None => failures.push(format!(
                    "{}: {} ({})",
                    finding.at, finding.message, finding.rule
                )),
                Some(at) => {
                    needed[at] = true;
                    failures.extend(self.allow[at].exceeded(&finding));
                }
            }
        }
        for (exception, needed) in self.allow.iter().zip(needed) {
            let (rule, at) = (&exception.rule, &exception.at);
            if !needed {
                failures.push(format!(
                    "xtask/tidy.toml: nobody needs the exception of {at} from {rule}: take it out"
                ));
            }
            if exception.reason.trim().is_empty() {
                failures.push(format!(
                    "xtask/tidy.toml: the exception of {at} from {rule} has no reason"
                ));
            }
        }
        failures
    }
}

impl Exception {
    fn exceeded(&self, finding: &Finding) -> Option<String> {
        let size = finding.size?;
        match self.up_to {
            None => Some(format!(
                "xtask/tidy.toml: {}: say `up-to = {size}`, so that it does not grow",
                self.at
            )),
            Some(limit) if size > limit => Some(format!(
                "{}: {} ({}, its exception ends at {limit})",
                finding.at, finding.message, self.rule
            )),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exceptions(up_to: Option<usize>, reason: &str) -> Exceptions {
        let (rule, at) = ("file-length".to_owned(), "src/x.rs".to_owned());
        Exceptions {
            allow: vec![Exception {
                rule,
                at,
                up_to,
                reason: reason.into(),
            }],
        }
    }

    fn finding(size: usize) -> Vec<Finding> {
        let message = format!("{size} lines");
        vec![Finding {
            rule: "file-length",
            at: "src/x.rs".into(),
            size: Some(size),
            message,
        }]
    }

    #[test]
    fn an_exception_holds_up_to_its_size() {
        assert_eq!(
            exceptions(Some(450), "a table").apply(finding(450)),
            [""; 0]
        );
        assert_eq!(
            exceptions(Some(450), "a table").apply(finding(451)),
            ["src/x.rs: 451 lines (file-length, its exception ends at 450)"]
        );
        assert_eq!(exceptions(None, "a table").apply(finding(451)).len(), 1);
    }

    #[test]
    fn an_exception_that_nobody_needs_is_an_error() {
        assert_eq!(
            exceptions(Some(450), "a table").apply(vec![]),
            [
                "xtask/tidy.toml: nobody needs the exception of src/x.rs from file-length: take it out"
            ]
        );
    }

    #[test]
    fn an_exception_needs_a_reason() {
        assert_eq!(
            exceptions(Some(450), " ").apply(finding(420)),
            ["xtask/tidy.toml: the exception of src/x.rs from file-length has no reason"]
        );
    }

    #[test]
    fn without_an_exception_the_finding_stands() {
        assert_eq!(
            Exceptions::default().apply(finding(401)),
            ["src/x.rs: 401 lines (file-length)"]
        );
    }
}
