//! `kiln ignore`, for editors and scripts: which paths of a build context an ignore file hides, and
//! which line decided. Nothing is looked up on disk but the ignore file: a path is a text.
//!
//! For each path there is a line of four columns with tabs between them: `excluded` or `included`,
//! the path, and, where a line of the file decided, its number and its pattern.
//!
//! With `--batch` a line asks `{"patterns": ["*.log", "!a.log"], "paths": ["a.log"]}`, or with
//! `"text"`, a whole ignore file, or with one `"pattern"` and one `"path"`. The answer is
//! `{"excluded": [false], "by": [{"pattern": "!a.log", "line": 2}], "problems": []}`: `by` is null
//! where no line decided, `problems` are the lines that cannot be read.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::Args;
use kiln_build::parser::{Diagnostic, LineIndex, ignore::Ignore};
use serde::Deserialize;
use serde_json::{Value, json};

use super::batch;
use crate::{failure::Failure, host};

const FORMATS: &str = "\
For each path a line with tabs in it: excluded or included, the path, and the number and text of
the line that decided.

With --batch, each line of standard input has \"patterns\": […], \"text\": \"…\" or \"pattern\": \"…\",
and \"paths\": […] or \"path\": \"…\". It is answered by
{\"excluded\": [true], \"by\": [{\"pattern\": \"…\", \"line\": n}], \"problems\": []}; by has null for a
path that no line decided, problems are the lines that cannot be read.";

/// Tell which paths an ignore file hides from a build, and by which line
#[derive(Args)]
#[command(after_long_help = FORMATS)]
pub(crate) struct Paths {
    /// Paths, relative to the build context
    #[arg(
        value_name = "PATH",
        required_unless_present = "batch",
        conflicts_with = "batch"
    )]
    paths: Vec<String>,
    /// The ignore file
    #[arg(long, default_value = ".dockerignore")]
    file: PathBuf,
    /// Read questions from standard input, one JSON object a line
    #[arg(long, conflicts_with = "file")]
    batch: bool,
}

/// A line of `--batch`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    text: Option<String>,
    patterns: Option<Vec<String>>,
    pattern: Option<String>,
    #[serde(default)]
    paths: Vec<String>,
    path: Option<String>,
}

impl Paths {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        if self.batch {
            return batch::answer(answer);
        }
        let name = self.file.display();
        // One that is a pipe would be waited for.
        let what = || Failure::new(format!("read `{name}`"));
        let meta = fs::metadata(&self.file).map_err(|e| what().because(&e))?;
        if !meta.is_file() {
            return Err(what().hint("it is not a regular file"));
        }
        let text = fs::read_to_string(&self.file).map_err(|e| what().because(&e))?;
        let (ignore, problems) = Ignore::parse(&text);
        let index = LineIndex::new(&text);
        for problem in &problems {
            let line = index.line(problem.span.start);
            host::say(&format!("warning: {name}:{line}: {problem}"));
        }
        for path in &self.paths {
            let decided = ignore.decide(path, false);
            let word = match decided {
                Some(rule) if !rule.negated => "excluded",
                _ => "included",
            };
            let by = decided.map_or_else(String::new, |rule| {
                format!("\t{}\t{}", rule.line, rule.pattern)
            });
            host::print(&format!("{word}\t{path}{by}\n"))?;
        }
        let unreadable = problems.iter().any(Diagnostic::is_error);
        Ok(if unreadable {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}

fn answer(question: Question) -> Value {
    let Question {
        text,
        patterns,
        pattern,
        mut paths,
        path,
    } = question;
    let text = match (text, patterns, pattern) {
        (Some(text), None, None) => text,
        (None, Some(patterns), None) => patterns.join("\n"),
        (None, None, Some(pattern)) => pattern,
        _ => return batch::error("one of `text`, `patterns` and `pattern` is needed"),
    };
    paths.extend(path);
    let (ignore, problems) = Ignore::parse(&text);
    let index = LineIndex::new(&text);
    let decided: Vec<_> = paths.iter().map(|p| ignore.decide(p, false)).collect();
    let excluded: Vec<bool> = decided
        .iter()
        .map(|rule| rule.is_some_and(|rule| !rule.negated))
        .collect();
    let by: Vec<Value> = decided
        .iter()
        .map(|rule| match rule {
            Some(rule) => json!({ "pattern": rule.pattern, "line": rule.line }),
            None => Value::Null,
        })
        .collect();
    let problems: Vec<Value> = problems
        .iter()
        .map(|p| json!({ "message": p.to_string(), "line": index.line(p.span.start) }))
        .collect();
    json!({ "excluded": excluded, "by": by, "problems": problems })
}
