//! Parser directives: `# key=value` at the very top of a file.
//!
//! The first line that is not a known directive ends them; from there on such lines are
//! comments. What `syntax` and `check` mean is left to the caller.

use nom::bytes::complete::take_while;
use nom::character::complete::{char, satisfy};
use nom::combinator::{recognize, rest, verify};
use nom::sequence::{delimited, preceded, separated_pair};
use nom::{IResult, Parser};

use crate::ast::{Directive, DirectiveKey};
use crate::diagnostic::Diagnostic;
use crate::lines::{Physical, Reader};
use crate::span::{Span, Spanned, to_u32};
use crate::text::offset_in;

/// White space around the parts of a directive.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\u{c}')
}

/// `#`, key, `=`, value.
fn line(input: &str) -> IResult<&str, (&str, &str)> {
    let key = recognize((
        satisfy(|c| c.is_ascii_alphabetic()),
        take_while(|c: char| c.is_ascii_alphanumeric()),
    ));
    let space = || take_while(is_space);
    let value = rest.map(|v: &str| v.trim_end_matches(is_space));
    let value = verify(value, |v: &str| !v.is_empty());
    preceded(
        (char('#'), space()),
        separated_pair(key, delimited(space(), char('='), space()), value),
    )
    .parse(input)
}

/// Takes the directives off the top. Sets the reader's escape character.
pub(crate) fn read<'a>(reader: &mut Reader<'a>) -> Vec<Directive<'a>> {
    let mut found: Vec<Directive<'a>> = Vec::new();
    let mut after_shebang = false;
    while let Some(physical) = reader.peek() {
        if physical.number == 1 && physical.text.starts_with("#!") {
            // Tools that look for the frontend step over it; to everything else it is a comment.
            after_shebang = true;
            reader.comments.push(crate::ast::Comment {
                text: physical.text[1..].trim(),
                span: Span::new(physical.start, physical.end()),
            });
            reader.next_physical();
            continue;
        }
        let Some(directive) = directive(&physical) else {
            break;
        };
        if after_shebang && directive.key == DirectiveKey::Escape {
            break;
        }
        reader.next_physical();
        if let Some(problem) = problem(&directive, &found) {
            reader.diagnostics.push(problem);
            continue;
        }
        if directive.key == DirectiveKey::Escape {
            reader.set_escape(if directive.value.node == "`" {
                '`'
            } else {
                '\\'
            });
        }
        found.push(directive);
    }
    found
}

fn directive<'a>(physical: &Physical<'a>) -> Option<Directive<'a>> {
    let text = physical.text.trim_start();
    let start = physical.end() - to_u32(text.len());
    let (_, (key, value)) = line(text).ok()?;
    let key = match key.to_ascii_lowercase().as_str() {
        "syntax" => DirectiveKey::Syntax,
        "escape" => DirectiveKey::Escape,
        "check" => DirectiveKey::Check,
        _ => return None,
    };
    let at = start + to_u32(offset_in(text, value));
    let value = Spanned::new(value, Span::new(at, at + to_u32(value.len())));
    Some(Directive {
        key,
        value,
        span: Span::new(start, physical.end()),
    })
}

fn problem(directive: &Directive<'_>, before: &[Directive<'_>]) -> Option<Diagnostic> {
    let name = match directive.key {
        DirectiveKey::Syntax => "syntax",
        DirectiveKey::Escape => "escape",
        DirectiveKey::Check => "check",
    };
    if before.iter().any(|d| d.key == directive.key) {
        let message = format!("duplicate parser directive `{name}`: only one can be used");
        return Some(
            Diagnostic::error("duplicate-directive", directive.span, message)
                .with_help("remove this line"),
        );
    }
    let value = &directive.value;
    if directive.key == DirectiveKey::Escape && !matches!(value.node, "\\" | "`") {
        let message = format!("invalid escape character `{}`", value.node);
        return Some(
            Diagnostic::error("invalid-escape", value.span, message)
                .with_help("it can be `\\` or a backtick"),
        );
    }
    None
}
