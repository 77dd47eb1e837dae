//! `kiln expand`, for editors and scripts: what a word of a Dockerfile becomes once its variables,
//! quotes and escapes are replaced. No store is opened.
//!
//! With `--batch` a line asks `{"word": "${a:-b}", "env": {"a": "x"}}`, perhaps with `"escape": "`"`,
//! `"words": true` (split at unquoted blanks, as EXPOSE is) and `"quotes": false` (quotes are
//! characters like others, as in heredocs). The answer is `{"value": "x", "unset": []}`, with
//! `"words"` instead of `"value"` where they were asked for; `unset` are the variables that were
//! looked up and had no value. A word that has no value: `{"error": "…", "start": 0, "end": 7}`, in
//! bytes of the word.

use std::{borrow::Cow, cell::RefCell, collections::BTreeMap, process::ExitCode};

use clap::Args;
use kiln_build::parser::{ExpandError, Word};
use serde::Deserialize;
use serde_json::{Value, json};

use super::batch;
use crate::{failure::Failure, host, pairs};

const FORMATS: &str = "\
Each word is answered by its value on a line, with --words by a line for each of its words.

With --batch, each line of standard input is {\"word\": \"…\", \"env\": {\"NAME\": \"value\"}}, perhaps
with \"escape\": \"`\", \"words\": true and \"quotes\": false. It is answered by
{\"value\": \"…\", \"unset\": [names]}, by {\"words\": […], \"unset\": [names]}, or by
{\"error\": \"…\", \"start\": n, \"end\": n} with offsets in bytes.";

/// Replace the variables, quotes and escapes of words as a Dockerfile does
#[derive(Args)]
#[command(after_long_help = FORMATS)]
pub(crate) struct Expand {
    /// Words, as they would stand in a Dockerfile
    #[arg(
        value_name = "WORD",
        required_unless_present = "batch",
        conflicts_with = "batch"
    )]
    words: Vec<String>,
    /// Value of a variable; without `=` it is taken from the environment
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// The escape character: `\` or a backtick
    #[arg(long, value_name = "C", default_value = "\\", value_parser = escape)]
    escape: char,
    /// Split the value at blanks that are not quoted
    #[arg(long = "words")]
    split: bool,
    /// Take quotes for characters like others, as in heredocs
    #[arg(long)]
    body: bool,
    /// Read questions from standard input, one JSON object a line
    #[arg(long, conflicts_with_all = ["env", "split", "body"])]
    batch: bool,
}

fn escape(text: &str) -> Result<char, String> {
    match text {
        "\\" => Ok('\\'),
        "`" => Ok('`'),
        _ => Err("it can be `\\` or a backtick".to_owned()),
    }
}

/// A line of `--batch`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    word: String,
    #[serde(default)]
    env: BTreeMap<String, String>,
    escape: Option<String>,
    #[serde(default)]
    words: bool,
    quotes: Option<bool>,
}

/// What becomes of a word, and which names had no value.
struct Expanded {
    result: Result<Vec<String>, ExpandError>,
    unset: Vec<String>,
}

impl Expand {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        if self.batch {
            return batch::answer(answer);
        }
        let mut env = BTreeMap::new();
        for (name, value) in pairs::environment(&[], &self.env)? {
            match value {
                Some(value) => env.insert(name, value),
                None => env.remove(&name),
            };
        }
        for text in &self.words {
            let word = word(text, self.escape, !self.body);
            match expand(&word, &env, self.split).result {
                Ok(lines) => lines
                    .iter()
                    .try_for_each(|line| host::print(&format!("{line}\n")))?,
                Err(e) => {
                    let place = format!("characters {} of `{text}`", columns(text, &e));
                    return Err(Failure::new(e.to_string()).hint(place));
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Where an error is, in characters from 1.
fn columns(text: &str, e: &ExpandError) -> String {
    let count = |end: u32| text.get(..end as usize).unwrap_or(text).chars().count();
    let (start, end) = (count(e.span.start) + 1, count(e.span.end));
    format!("{start} to {}", end.max(start))
}

fn word(text: &str, escape: char, quotes: bool) -> Word<'_> {
    if quotes {
        Word::written(text, escape)
    } else {
        Word::written_body(text)
    }
}

fn expand(word: &Word<'_>, env: &BTreeMap<String, String>, split: bool) -> Expanded {
    let unset: RefCell<Vec<String>> = RefCell::default();
    let lookup = |name: &str| -> Option<Cow<'_, str>> {
        let value = env.get(name).map(|value| Cow::Borrowed(value.as_str()));
        let mut unset = unset.borrow_mut();
        if value.is_none() && !unset.iter().any(|known| known == name) {
            unset.push(name.to_owned());
        }
        value
    };
    let result = match split {
        true => word.expand_words(&lookup),
        false => word.expand(&lookup).map(|value| vec![value]),
    };
    Expanded {
        result,
        unset: unset.into_inner(),
    }
}

fn answer(question: Question) -> Value {
    let Question {
        word: text,
        env,
        escape: named,
        words: split,
        quotes,
    } = question;
    let escape = match named.as_deref().map_or(Ok('\\'), escape) {
        Ok(escape) => escape,
        Err(e) => return batch::error(&format!("invalid `escape`: {e}")),
    };
    let word = word(&text, escape, quotes.unwrap_or(true));
    let Expanded { result, unset } = expand(&word, &env, split);
    match result {
        Ok(words) if split => json!({ "words": words, "unset": unset }),
        Ok(words) => json!({ "value": words.concat(), "unset": unset }),
        Err(e) => json!({
            "error": e.to_string(),
            "start": e.span.start,
            "end": e.span.end,
        }),
    }
}
