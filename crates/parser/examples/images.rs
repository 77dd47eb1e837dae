//! Lists the images that Dockerfiles pull, each with its place: for mirrors, allow-lists and
//! updates.
//!
//! ```text
//! cargo run --example images -- Dockerfile [NAME=VALUE …]
//! ```
//!
//! `NAME=VALUE` stands for `--build-arg`. Images in `FROM`, `COPY --from` and
//! `RUN --mount=from=` are found; stages, `scratch` and stage numbers are not images.

// A program has to read its files; the library does not.
#![allow(clippy::disallowed_methods)]

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use kiln_parser::ast::Run;
use kiln_parser::{Dockerfile, Instruction, LineIndex, Span, parse};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let (given, files): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|arg| arg.contains('='));
    let given: HashMap<&str, &str> = given.iter().filter_map(|arg| arg.split_once('=')).collect();
    if files.is_empty() {
        writeln!(io::stderr(), "usage: images FILE… [NAME=VALUE…]")?;
        return Ok(ExitCode::from(2));
    }
    let mut good = true;
    for name in &files {
        let src =
            std::fs::read_to_string(name).map_err(|e| format!("failed to read `{name}`: {e}"))?;
        let index = LineIndex::new(&src);
        let parsed = parse(&src);
        for problem in parsed.diagnostics.iter().filter(|d| d.is_error()) {
            let at = index.position(problem.span.start);
            writeln!(io::stderr(), "{name}:{}:{}: {problem}", at.line, at.column)?;
            good = false;
        }
        for (image, span) in images(&parsed.file, &given)? {
            writeln!(io::stdout(), "{name}:{}: {image}", index.line(span.start))?;
        }
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The images of a file with the places that name them.
fn images(
    file: &Dockerfile<'_>,
    given: &HashMap<&str, &str>,
) -> Result<Vec<(String, Span)>, Box<dyn Error>> {
    let globals = globals(file, given)?;
    let lookup = |name: &str| globals.get(name).cloned().map(Cow::Owned);
    let mut stages: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for stage in &file.stages {
        let mut add = |image: String, span| {
            let is_stage = stages.iter().any(|name| name.eq_ignore_ascii_case(&image))
                || image.parse::<usize>().is_ok();
            if !is_stage && image != "scratch" && !image.is_empty() {
                found.push((image, span));
            }
        };
        add(stage.image().expand(&lookup)?, stage.image().span());
        for node in &stage.instructions {
            match &node.instruction {
                Instruction::Copy(copy) => {
                    if let Some(from) = &copy.flags.from {
                        add(from.value.raw().to_owned(), from.span);
                    }
                }
                Instruction::Run(run) => mounted(run).for_each(|(image, span)| add(image, span)),
                _ => {}
            }
        }
        stages.extend(stage.name());
    }
    Ok(found)
}

fn mounted<'r>(run: &'r Run<'_>) -> impl Iterator<Item = (String, Span)> + 'r {
    let options = run.mounts.iter().flat_map(|mount| &mount.options);
    options
        .filter(|option| option.key.node == "from")
        .filter_map(|option| {
            option
                .value
                .as_ref()
                .map(|value| (value.raw().to_owned(), value.span()))
        })
}

/// The arguments before the first FROM: what was given, else their defaults.
fn globals(
    file: &Dockerfile<'_>,
    given: &HashMap<&str, &str>,
) -> Result<HashMap<String, String>, Box<dyn Error>> {
    let mut values: HashMap<String, String> = HashMap::new();
    for pair in file.args.iter().flat_map(|node| &node.instruction.pairs) {
        let lookup = |name: &str| values.get(name).cloned().map(Cow::Owned);
        let name = pair.name.expand(&lookup)?;
        let value = match (given.get(name.as_str()), &pair.default) {
            (Some(value), _) => (*value).to_owned(),
            (None, Some(default)) => default.expand(&lookup)?,
            (None, None) => continue,
        };
        values.insert(name, value);
    }
    Ok(values)
}
