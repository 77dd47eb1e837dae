//! What is known of variables at an instruction. The values are those of a build, as far as the rules
//! ask for them.

use kiln_image::Config;
use kiln_parser::Word;

/// Variables in the order in which they came to be, and whether there was a WORKDIR.
#[derive(Clone, Debug)]
pub(super) struct State {
    values: Vec<(String, String)>,
    /// Arguments without a value.
    declared: Vec<String>,
    pub(super) has_workdir: bool,
    pub(super) has_shell: bool,
}

impl Default for State {
    fn default() -> Self {
        Self::of(&Config::default())
    }
}

impl State {
    pub(super) fn of(base: &Config) -> Self {
        let pair = |pair: &String| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), value.to_owned())
        };
        let mut state = Self {
            values: base.config.env.iter().map(pair).collect(),
            declared: Vec::new(),
            has_workdir: false,
            has_shell: base.config.shell.is_some(),
        };
        if state.get("PATH").is_none() {
            state.set("PATH", String::new());
        }
        state
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.values.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn set(&mut self, name: &str, value: String) {
        match self.values.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.values.push((name.to_owned(), value)),
        }
    }

    pub(super) fn declare(&mut self, name: String) {
        self.declared.push(name);
    }

    pub(super) fn is_declared(&self, name: &str) -> bool {
        self.get(name).is_some() || self.declared.iter().any(|known| known == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(name, _)| name.as_str())
    }

    /// The value of a word; None where it has none, which is an error elsewhere.
    pub(super) fn expand(&self, word: &Word<'_>) -> Option<String> {
        word.expand(&|name| self.get(name).map(Into::into)).ok()
    }

    pub(super) fn expand_words(&self, word: &Word<'_>) -> Vec<String> {
        let words = word.expand_words(&|name| self.get(name).map(Into::into));
        words.unwrap_or_default()
    }
}
