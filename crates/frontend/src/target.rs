//! `--target`: which stage is asked for. Refuses to guess.

use kiln_parser::{Diagnostic, Dockerfile, Span, Stage};

use crate::{Options, error, suggest::nearest};

/// Whether a stage is the one that is called `wanted`, by its name in any case or by its number.
pub fn is_called(wanted: &str, name: Option<&str>, number: usize) -> bool {
    name.is_some_and(|name| name.eq_ignore_ascii_case(wanted)) || number.to_string() == wanted
}

/// The stage that is asked for: by name, else by number; without a wish, the last.
pub(crate) fn find(file: &Dockerfile<'_>, options: &Options) -> Result<usize, Diagnostic> {
    let no_stages = || Diagnostic::error("no-stages", Span::default(), "the file has no stages");
    let Some(wanted) = &options.target else {
        return file.stages.len().checked_sub(1).ok_or_else(no_stages);
    };
    let lower = wanted.to_lowercase();
    let named = |stage: &Stage<'_>| stage.name() == Some(&lower);
    if let Some(found) = file.stages.iter().rposition(named) {
        return Ok(found);
    }
    match wanted.parse::<usize>() {
        Ok(number) if number < file.stages.len() => return Ok(number),
        _ => {}
    }
    let stages = file.stages.iter().enumerate();
    let known: Vec<String> = stages
        .map(|(i, s)| {
            s.name()
                .map_or(format!("`{i}`"), |name| format!("`{name}`"))
        })
        .collect();
    let list = format!("the stages are {}", known.join(", "));
    let help = match nearest(wanted, file.stages.iter().filter_map(Stage::name)) {
        Some(meant) => format!("did you mean `{meant}`? {list}"),
        None => list,
    };
    let message = format!("target stage `{wanted}` could not be found");
    Err(error::error(
        "unknown-target",
        Span::default(),
        message,
        help,
    ))
}
