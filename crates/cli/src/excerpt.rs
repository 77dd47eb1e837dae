//! Findings in a Dockerfile, drawn beside their lines.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet, renderer::DecorStyle};
use kiln_build::{Place, Report};

/// How many columns a line may have before it is cut.
const WIDTH: usize = 120;

/// A finding: an error or a warning.
pub(crate) fn report(report: &Report, file: &str, text: &str) -> String {
    let (level, name) = match report.error {
        true => (Level::ERROR, "error"),
        false => (Level::WARNING, "warning"),
    };
    let help = report.help.as_deref();
    match &report.place {
        Some(place) => draw(level, &report.message, help, place, file, text),
        // It is about a flag, or the whole.
        None => {
            let help = help.map_or_else(String::new, |help| format!("\n  hint: {help}"));
            format!("{name}: {}{help}", report.message)
        }
    }
}

/// An error at a place.
pub(crate) fn error(
    message: &str,
    help: Option<&str>,
    place: &Place,
    file: &str,
    text: &str,
) -> String {
    draw(Level::ERROR, message, help, place, file, text)
}

/// The same, with the message alone on its line.
pub(crate) fn unnamed(
    message: &str,
    help: Option<&str>,
    place: &Place,
    file: &str,
    text: &str,
) -> String {
    let level = Level::ERROR.no_name();
    draw(level, message, help, place, file, text)
}

fn draw(
    level: Level<'_>,
    message: &str,
    help: Option<&str>,
    place: &Place,
    file: &str,
    text: &str,
) -> String {
    let mut group = level
        .primary_title(message)
        .elements([] as [annotate_snippets::Origin<'_>; 0]);
    let text = &kiln_build::without_passwords(text);
    let start = clamp(text, place.start);
    let end = clamp(text, place.end).max(start);
    // One line is enough to find the place; a long instruction would fill the screen.
    let end = text[start..end].find('\n').map_or(end, |i| start + i);
    let snippet = Snippet::source(text)
        .path(file)
        .fold(true)
        .annotation(AnnotationKind::Primary.span(start..end));
    group = group.element(snippet);
    if let Some(help) = help {
        group = group.element(Level::HELP.message(help));
    }
    let renderer = match super::progress::colour() {
        true => Renderer::styled(),
        false => Renderer::plain(),
    };
    renderer
        .decor_style(DecorStyle::Ascii)
        .term_width(WIDTH)
        .render(&[group])
}

/// A byte offset that lies within the text and between two letters.
fn clamp(text: &str, offset: u32) -> usize {
    let mut at = usize::try_from(offset)
        .unwrap_or(usize::MAX)
        .min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
