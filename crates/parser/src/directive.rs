//! Parser directives: `# key=value` at the very top of a file.
//!
//! The first line that is not a known directive ends them; from there on such lines are
//! comments. What `syntax` and `check` mean is left to the caller. Texts of other languages say
//! `syntax` in forms of their own: these are found, and are no part of a Dockerfile.

use std::borrow::Cow;

use nom::bytes::complete::{tag, take_while};
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

/// The program that a text is written for, in whichever form it says so: `# syntax=` among the
/// directives of a Dockerfile, `// syntax=` in the first lines, or the member `syntax` of a text that
/// is one JSON object. Of these, only the first can be a Dockerfile.
///
/// ```
/// let found = kiln_parser::syntax("// syntax=example.org/other\nbuild it\n");
/// assert_eq!(found.map(|name| name.node), Some("example.org/other".into()));
/// ```
pub fn syntax(src: &str) -> Option<Spanned<Cow<'_, str>>> {
    if src.len() > crate::MAX_FILE {
        return None;
    }
    marked(src, "#")
        .or_else(|| marked(src, "//"))
        .or_else(|| member(src))
}

/// `syntax` among directives that begin with `mark`. Of the value, the first word counts.
fn marked<'a>(src: &'a str, mark: &'static str) -> Option<Spanned<Cow<'a, str>>> {
    let mut reader = Reader::new(src, '\\');
    loop {
        let physical = reader.next_physical()?;
        if physical.number == 1 && physical.text.starts_with("#!") {
            continue;
        }
        let found = directive(&physical, mark)?;
        if found.key == DirectiveKey::Syntax {
            let name = found.value.node.split_whitespace().next()?;
            let start = found.value.span.start;
            let span = Span::new(start, start + to_u32(name.len()));
            return Some(Spanned::new(name.into(), span));
        }
    }
}

/// The member of a text that is nothing but a JSON object.
fn member(src: &str) -> Option<Spanned<Cow<'_, str>>> {
    #[derive(serde::Deserialize)]
    struct Said {
        syntax: String,
    }
    let text = src.trim_start_matches('\u{feff}');
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let Said { syntax } = serde_json::from_str(text).ok()?;
    let name = syntax.split_whitespace().next()?;
    let start = src.find("\"syntax\"").unwrap_or_default();
    let end = src[start..].find('\n').map_or(src.len(), |end| start + end);
    let span = Span::new(to_u32(start), to_u32(end));
    Some(Spanned::new(name.to_owned().into(), span))
}

/// `mark`, key, `=`, value.
fn line<'t>(input: &'t str, mark: &'static str) -> IResult<&'t str, (&'t str, &'t str)> {
    let key = recognize((
        satisfy(|c| c.is_ascii_alphabetic()),
        take_while(|c: char| c.is_ascii_alphanumeric()),
    ));
    let space = || take_while(is_space);
    let value = rest.map(|v: &str| v.trim_end_matches(is_space));
    let value = verify(value, |v: &str| !v.is_empty());
    preceded(
        (tag(mark), space()),
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
        let Some(directive) = directive(&physical, "#") else {
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

fn directive<'a>(physical: &Physical<'a>, mark: &'static str) -> Option<Directive<'a>> {
    let text = physical.text.trim_start();
    let start = physical.end() - to_u32(text.len());
    let (_, (key, value)) = line(text, mark).ok()?;
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

#[cfg(test)]
mod tests {
    use super::syntax;

    #[test]
    fn for_whom_a_text_is_written() {
        for (src, want) in [
            ("# syntax=a/b", Some("a/b")),
            ("#!/bin/x\n#SynTax = a/b and more\nFROM x", Some("a/b")),
            ("\u{feff}# escape=`\n# syntax=a/b\r\n", Some("a/b")),
            ("// syntax=a/b\n", Some("a/b")),
            ("#!/bin/x\n// check=x\n//syntax=a/b", Some("a/b")),
            ("{\"syntax\": \"a/b\"}", Some("a/b")),
            ("\n {\n \"x\": [1], \"syntax\": \"a/b c\"\n}\n", Some("a/b")),
            ("# foo=bar\n# syntax=a/b", None),
            ("\n# syntax=a/b", None),
            ("# syntax=", None),
            ("# escape=`\n// syntax=a/b", None),
            ("{\"syntax\": \"a/b\"}\nFROM x", None),
            ("{\"Syntax\": \"a/b\"}", None),
            ("{\"syntax\": 1}", None),
            ("FROM x", None),
        ] {
            let found = syntax(src);
            assert_eq!(found.as_ref().map(|name| &*name.node), want, "{src:?}");
            if let Some(name) = found {
                assert!(name.span.of(src).contains("a/b"), "{src:?}");
            }
        }
    }

    /// Whoever looks for `syntax` steps over a first line for the shell; to everybody else it is a
    /// comment, behind which there are no directives.
    #[test]
    fn behind_a_line_for_the_shell() {
        use crate::ast::DirectiveKey;
        let file = crate::parse("#!/bin/x\n# syntax=a/b\n# escape=`\nFROM a\n").file;
        assert_eq!(file.escape(), '\\');
        let syntax = file.directive(DirectiveKey::Syntax).map(|said| said.node);
        assert_eq!(syntax, Some("a/b"));
        assert_eq!(crate::parse("# escape=`\nFROM a\n").file.escape(), '`');
    }
}
