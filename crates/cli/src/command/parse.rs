//! `kiln parse`, for editors and scripts: what kiln reads in a Dockerfile, with the place of every
//! word, and everything that there is to say about it. No store is opened, nothing is built.
//!
//! A document in JSON, one a line for each file (`kiln.dockerfile/1`; later versions of the same
//! name only add members):
//!
//! ```text
//! {"schema": "kiln.dockerfile/1", "file": "Dockerfile",
//!  "tree": {"directives": […], "args": […], "stages": [{"from": …, "instructions": […]}], "comments": […]},
//!  "diagnostics": [{"severity": "error", "code": "unknown-instruction", "message": "…", "help": "…",
//!                   "span": {"start": 14, "end": 18}, "start": {"line": 2, "column": 1}, "end": {…}}]}
//! ```
//!
//! In the tree a span is two offsets in bytes, the end not included; an instruction is an object of
//! one member, its name in lower case; a word is its text as written and the spans it lies in; a
//! value with one place is `{"value": …, "span": …}`. Lines and columns count from 1, columns in
//! characters.

mod tree;

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use kiln_build::parser::{self, Diagnostic, LineIndex, Parse as Parsed, lint};
use serde::Deserialize;
use serde_json::{Value, json};

use super::batch;
use crate::{failure::Failure, host};

/// The name of the document's format.
const SCHEMA: &str = "kiln.dockerfile/1";

const FORMATS: &str = "\
JSON is one document a line with \"schema\": \"kiln.dockerfile/1\", \"file\", \"tree\" and
\"diagnostics\". Spans are offsets in bytes, lines and columns count from 1.

With --batch, each line of standard input is {\"text\": \"…\", \"file\": \"name\"} or
{\"path\": \"…\"}. It is answered by its document, or by {\"error\": \"…\"}.

\"diagnostics\" are the errors of the text, and the findings of those checks that need no more
than the text; `# check=` in the file says which count.

The exit code is 1 when a file has errors or cannot be read; what could be read is printed.";

/// Print what is read in Dockerfiles
#[derive(Args)]
#[command(after_long_help = FORMATS)]
pub(crate) struct Parse {
    /// Dockerfiles; `-` is standard input
    #[arg(required_unless_present = "batch", conflicts_with = "batch")]
    files: Vec<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Tree)]
    format: Format,
    /// Read questions from standard input, one JSON object a line
    #[arg(long)]
    batch: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// One document a line
    Json,
    /// Lines for people
    Tree,
}

/// A line of `--batch`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    text: Option<String>,
    file: Option<String>,
    path: Option<PathBuf>,
}

impl Parse {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        if self.batch {
            return batch::answer(answer);
        }
        let mut good = true;
        for file in &self.files {
            let text = match read(file) {
                Ok(text) => text,
                Err(failure) => {
                    // The other files are asked for as well.
                    failure.report();
                    good = false;
                    continue;
                }
            };
            let parsed = findings(&text);
            good &= !parsed.1.iter().any(Diagnostic::is_error);
            let name = file.display().to_string();
            let value = document(Some(&name), &text, &parsed);
            host::print(&match self.format {
                Format::Json => format!("{value}\n"),
                Format::Tree => tree::draw(&name, &text, &value, &parsed.1),
            })?;
        }
        Ok(if good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn answer(question: Question) -> Value {
    let Question { text, file, path } = question;
    let (text, name) = match (text, path) {
        (Some(text), None) => (text, file),
        (None, Some(path)) => match read(&path) {
            Ok(text) => (text, file.or_else(|| Some(path.display().to_string()))),
            Err(failure) => return batch::error(failure.text().trim_start_matches("error: ")),
        },
        _ => return batch::error("one of `text` and `path` is needed"),
    };
    document(name.as_deref(), &text, &findings(&text))
}

/// A text read, and what there is to say about it: what is wrong, and what the rules find that need the
/// text alone.
fn findings(text: &str) -> (Parsed<'_>, Vec<Diagnostic>) {
    let parsed = parser::parse(text);
    let (settings, problems) = lint::Settings::of(&parsed.file, None);
    let rules = lint::check(&parsed.file);
    let all = problems
        .into_iter()
        .chain(parsed.diagnostics.iter().cloned());
    let all = all.chain(rules);
    let mut kept: Vec<Diagnostic> = all.filter(|d| settings.keeps(&parsed.file, d)).collect();
    kept.sort_by_key(|d| d.span.start);
    (parsed, kept)
}

/// What is said of one file.
fn document(
    name: Option<&str>,
    text: &str,
    (parsed, findings): &(Parsed<'_>, Vec<Diagnostic>),
) -> Value {
    let index = LineIndex::new(text);
    let finding = |d: &Diagnostic| {
        json!({
            "severity": d.severity,
            "code": d.code,
            "message": d.message,
            "help": d.help,
            "span": d.span,
            "start": index.position(d.span.start),
            "end": index.position(d.span.end),
        })
    };
    let diagnostics: Vec<Value> = findings.iter().map(finding).collect();
    json!({
        "schema": SCHEMA,
        "file": name,
        "tree": parsed.file,
        "diagnostics": diagnostics,
    })
}

/// The text of a file.
fn read(path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        fs::read(path).map(|read| bytes = read)
    };
    let what = || Failure::new(format!("read `{}`", path.display()));
    read.map_err(|e| what().because(&e))?;
    // Bytes that are no text are replaced, as the build does; spans are of what was read.
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
    })
}
