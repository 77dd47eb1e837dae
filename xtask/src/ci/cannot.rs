//! The short list of things that the machines of this project cannot do, each with its reason.

use std::path::Path;

use serde::Deserialize;

use crate::Result;

/// `xtask/cannot.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cannot {
    #[serde(default)]
    cannot: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The rule that reports it.
    rule: String,
    /// A part of the reason that follows `not run: `.
    says: String,
    /// Why this kind of machine cannot do it.
    why: String,
}

impl Cannot {
    pub(super) fn read(root: &Path) -> Result<Cannot> {
        let path = root.join("xtask/cannot.toml");
        let text =
            std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Cannot::parse(&text)
    }

    pub(super) fn parse(text: &str) -> Result<Cannot> {
        let cannot: Cannot = toml::from_str(text)?;
        if cannot
            .cannot
            .iter()
            .any(|e| e.says.trim().is_empty() || e.why.trim().is_empty())
        {
            return Err("xtask/cannot.toml: each entry needs `says` and `why`".into());
        }
        Ok(cannot)
    }

    /// Why `rule` need not run what it says that it did not run.
    pub(super) fn excuse(&self, rule: &str, reason: &str) -> Option<&str> {
        let entry = self
            .cannot
            .iter()
            .find(|e| e.rule == rule && reason.contains(&e.says))?;
        Some(&entry.why)
    }
}
