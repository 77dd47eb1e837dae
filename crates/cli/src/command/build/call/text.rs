//! The answers of `--call` as text, laid out as docker does.

use kiln_build::{Checked, Lines, Outline, Report, Targets};
use serde::Deserialize;

use super::{super::Dockerfile, shapes};
use crate::failure::Failure;

/// What `check` found: by line. Nothing where something went wrong before anything was found.
pub(super) fn checked(checked: &Checked, dockerfile: &Dockerfile) -> String {
    let mut text = match checked.findings.len() {
        0 if checked.failure.is_some() => return String::new(),
        0 => return "Check complete, no warnings found.\n".to_owned(),
        1 => "Check complete, 1 warning has been found!\n".to_owned(),
        n => format!("Check complete, {n} warnings have been found!\n"),
    };
    let mut findings: Vec<&Report> = checked.findings.iter().collect();
    findings.sort_by_key(|report| report.lines.map(|lines| lines.first));
    for report in findings {
        text += "\nWARNING: ";
        text += report.code;
        let url = report.url();
        if let Some(url) = &url {
            text += &format!(" - {url}");
        }
        text += &format!("\n{}\n", report.message);
        if let Some(help) = report.help.as_ref().filter(|_| report.is_own()) {
            text += &format!("hint: {help}\n");
        }
        if let Some(lines) = report.lines {
            text += &excerpt(dockerfile, lines);
        }
    }
    if checked.failure.is_some() {
        text.push('\n');
    }
    text
}

/// The lines and some around them: two on either side of one line, else one.
fn excerpt(dockerfile: &Dockerfile, lines: Lines) -> String {
    const RULE: &str = "--------------------\n";
    let around = if lines.first == lines.last { 2 } else { 1 };
    let mut text = format!("{}:{}\n{RULE}", dockerfile.name, lines.first);
    for (number, line) in (1..).zip(dockerfile.text.split('\n')) {
        if number + around < lines.first || number > lines.last + around {
            continue;
        }
        let is_it = (lines.first..=lines.last).contains(&number);
        let mark = if is_it { ">>>" } else { "   " };
        let line = line.strip_suffix('\r').unwrap_or(line);
        text += &format!("{number:4} | {mark} {line}\n");
    }
    text + RULE
}

/// The stages of a file.
pub(super) fn targets(targets: &Targets) -> String {
    let mut rows = vec![["TARGET".to_owned(), "DESCRIPTION".to_owned()]];
    for target in &targets.targets {
        let name = target.name.clone().unwrap_or_default();
        let name = match (target.default, name.as_str()) {
            (true, "") => "(default)".to_owned(),
            (true, name) => format!("{name} (default)"),
            (false, _) => name,
        };
        rows.push([name, target.description.clone().unwrap_or_default()]);
    }
    columns(&rows, 1)
}

/// What a build can be given.
pub(super) fn outline(outline: &Outline) -> String {
    let mut text = String::new();
    if let Some(name) = &outline.name {
        let mut rows = vec![["TARGET:".to_owned(), name.clone()]];
        let description = outline.description.clone();
        rows.extend(description.map(|text| ["DESCRIPTION:".to_owned(), text]));
        text += &columns(&rows, 1);
        text.push('\n');
    }
    if !outline.args.is_empty() {
        let mut rows = vec![["BUILD ARG", "VALUE", "DESCRIPTION"].map(str::to_owned)];
        rows.extend(outline.args.iter().map(|arg| {
            let description = arg.description.clone().unwrap_or_default();
            [arg.name.clone(), arg.value.clone(), description]
        }));
        text += &columns(&rows, 3);
        text.push('\n');
    }
    for (title, list) in [("SECRET", &outline.secrets), ("SSH", &outline.ssh)] {
        if list.is_empty() {
            continue;
        }
        let mut rows = vec![[title, "REQUIRED"].map(str::to_owned)];
        rows.extend(list.iter().map(|given| {
            let required = if given.required { "true" } else { "" };
            [given.name.clone(), required.to_owned()]
        }));
        text += &columns(&rows, 3);
        text.push('\n');
    }
    text
}

/// What `--call` can be.
pub(super) fn describe() -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Request {
        name: String,
        version: String,
        description: String,
    }
    let all: Vec<Request> = serde_json::from_str(shapes::DESCRIBE)
        .map_err(|e| Failure::new("read what `--call` can be").because(&e))?;
    let mut rows = vec![["NAME", "VERSION", "DESCRIPTION"].map(str::to_owned)];
    rows.extend(all.into_iter().map(|request| {
        let name = request.name.trim_start_matches("frontend.").to_owned();
        [name, request.version, request.description]
    }));
    Ok(columns(&rows, 1))
}

/// Rows in columns: each but the last as wide as its widest cell and `space` more.
fn columns<const N: usize>(rows: &[[String; N]], space: usize) -> String {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0) + space
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            text += cell;
            if column + 1 < N {
                let pad = widths[column] - cell.chars().count();
                text.extend(std::iter::repeat_n(' ', pad));
            }
        }
        text.push('\n');
    }
    text
}
