//! The table of rules: docker's, and those that only kiln has. `docs/checks.md` is made of it.

mod docker;
mod own;

/// What is told of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Its name, the `code` of its findings: docker's rules in their own case (`StageNameCasing`),
    /// kiln's own in kebab case (`not-json`).
    pub name: &'static str,
    /// One line that says what it is about.
    pub description: &'static str,
    /// Whether it counts only where `experimental=` names it.
    pub experimental: bool,
    /// A Dockerfile that has a finding of it. What else is given stands in a comment.
    pub bad: &'static str,
    /// The same without one.
    pub good: &'static str,
    /// When docker's builder finds it.
    pub(super) when: When,
}

/// The passes of docker's builder, in their order: its findings are listed in the order in which
/// these find them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum When {
    Lines,
    Instructions,
    StageNames,
    Casing,
    DefaultArgs,
    From,
    Bases,
    /// While the instructions are carried out; the number says which comes first of several of one
    /// instruction.
    Dispatch(u8),
    /// kiln's own.
    Own,
}

impl Rule {
    /// Whether docker finds it only in stages that are built.
    pub fn by_stage(&self) -> bool {
        matches!(self.when, When::Dispatch(_))
    }

    /// Whether only kiln has it.
    pub fn is_own(&self) -> bool {
        self.when == When::Own
    }

    /// The page that explains it: docker's rules have one, but for a single one.
    pub fn url(&self) -> Option<String> {
        if self.is_own() || self.name == "InvalidBaseImagePlatform" {
            return None;
        }
        Some(format!(
            "https://docs.docker.com/go/dockerfile/rule/{}/",
            kebab(self.name)
        ))
    }
}

/// `FromAsCasing` → `from-as-casing`, `JSONArgsRecommended` → `json-args-recommended`.
fn kebab(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| chars[i]);
        let starts = before.is_some_and(char::is_lowercase)
            || chars.get(i + 1).is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && i > 0 && starts {
            out.push('-');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// All rules: docker's, then kiln's own.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    docker::RULES.iter().chain(own::RULES)
}

/// The rule with this name.
pub fn rule(code: &str) -> Option<&'static Rule> {
    rules().find(|rule| rule.name == code)
}
