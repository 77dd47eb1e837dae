//! The text of a template as tokens.

use super::{Error, error};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Text outside of actions.
    Text(String),
    /// `{{`.
    Open,
    /// `}}`.
    Close,
    /// A name: a keyword or a function.
    Word(String),
    /// `.A.B`; `.` alone is empty.
    Field(Vec<String>),
    /// `$x`, with fields of it.
    Variable(String, Vec<String>),
    String(String),
    Number(f64),
    Pipe,
    Left,
    Right,
    Comma,
    Declare,
}

pub(super) fn lex(text: &str) -> Result<Vec<Token>, Error> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut trim = false;
    loop {
        let (plain, action) = match rest.split_once("{{") {
            Some((plain, action)) => (plain, Some(action)),
            None => (rest, None),
        };
        let mut plain = if trim { plain.trim_start() } else { plain };
        let action = action.map(|a| match a.strip_prefix("- ").or(a.strip_prefix("-\n")) {
            Some(inner) => {
                plain = plain.trim_end();
                inner
            }
            None => a,
        });
        if !plain.is_empty() {
            tokens.push(Token::Text(plain.to_owned()));
        }
        let Some(action) = action else {
            return Ok(tokens);
        };
        (rest, trim) = lex_action(action, &mut tokens)?;
    }
}

/// Reads one action up to its end; gives what is behind it and whether that is to be trimmed.
fn lex_action<'a>(text: &'a str, tokens: &mut Vec<Token>) -> Result<(&'a str, bool), Error> {
    let comment = text.trim_start();
    if let Some(body) = comment.strip_prefix("/*") {
        let Some((_, after)) = body.split_once("*/") else {
            return error("a comment is not closed");
        };
        let after = after.trim_start();
        return match (after.strip_prefix("-}}"), after.strip_prefix("}}")) {
            (Some(rest), _) => Ok((rest, true)),
            (_, Some(rest)) => Ok((rest, false)),
            _ => error("a comment must end its action"),
        };
    }
    tokens.push(Token::Open);
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("-}}") {
            tokens.push(Token::Close);
            return Ok((after, true));
        }
        if let Some(after) = rest.strip_prefix("}}") {
            tokens.push(Token::Close);
            return Ok((after, false));
        }
        let (token, after) = next(rest)?;
        tokens.push(token);
        rest = after;
    }
}

fn next(text: &str) -> Result<(Token, &str), Error> {
    let Some(first) = text.chars().next() else {
        return error("`{{` is not closed");
    };
    let after = &text[first.len_utf8()..];
    match first {
        '|' => Ok((Token::Pipe, after)),
        '(' => Ok((Token::Left, after)),
        ')' => Ok((Token::Right, after)),
        ',' => Ok((Token::Comma, after)),
        ':' if after.starts_with('=') => Ok((Token::Declare, &after[1..])),
        '.' => {
            let (path, after) = fields(text);
            Ok((Token::Field(path), after))
        }
        '$' => {
            let (name, after) = word(after);
            let (path, after) = fields(after);
            Ok((Token::Variable(name.to_owned(), path), after))
        }
        '"' => quoted(after),
        '`' => match after.split_once('`') {
            Some((s, after)) => Ok((Token::String(s.to_owned()), after)),
            None => error("a string is not closed"),
        },
        c if c.is_ascii_digit() || c == '-' => {
            let end = after
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .map_or(text.len(), |i| i + 1);
            match text[..end].parse() {
                Ok(n) => Ok((Token::Number(n), &text[end..])),
                Err(_) => error(format!("`{}` is not a number", &text[..end])),
            }
        }
        c if c.is_alphabetic() || c == '_' => {
            let (name, after) = word(text);
            Ok((Token::Word(name.to_owned()), after))
        }
        c => error(format!("unexpected `{c}`")),
    }
}

/// `.A.B.C`, as far as it goes.
fn fields(mut text: &str) -> (Vec<String>, &str) {
    let mut path = Vec::new();
    while let Some(after) = text.strip_prefix('.') {
        let (name, rest) = word(after);
        text = rest;
        if name.is_empty() {
            break;
        }
        path.push(name.to_owned());
    }
    (path, text)
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    text.split_at(end.unwrap_or(text.len()))
}

fn quoted(text: &str) -> Result<(Token, &str), Error> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::String(out), &text[i + 1..])),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(c @ ('"' | '\\' | '\'')) => out.push(c),
                _ => return error("an escape in a string is not known"),
            },
            c => out.push(c),
        }
    }
    error("a string is not closed")
}
