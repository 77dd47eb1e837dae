//! Splitting the text of an instruction into words, by nom, as slices of the text.
//!
//! Which of these rules an instruction follows is the grammar's business.

use nom::branch::alt;
use nom::bytes::complete::{take_till1, take_while, take_while1};
use nom::character::complete::{anychar, char, satisfy};
use nom::combinator::{eof, opt, recognize, value, verify};
use nom::multi::{fold_many0, many0};
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

/// White space between plain words and behind the keyword.
pub(crate) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\u{b}' | '\u{c}')
}

fn blanks(input: &str) -> IResult<&str, &str> {
    take_while(is_blank).parse(input)
}

/// Words between blanks; quotes mean nothing.
pub(crate) fn plain_words(input: &str) -> Vec<&str> {
    let read: IResult<&str, Vec<&str>> = many0(preceded(blanks, take_till1(is_blank))).parse(input);
    read.map(|(_, words)| words).unwrap_or_default()
}

/// The first plain word and what follows the blanks behind it.
pub(crate) fn first_word(input: &str) -> (&str, &str) {
    let read: IResult<&str, &str> = preceded(blanks, take_while(|c| !is_blank(c))).parse(input);
    match read {
        Ok((rest, word)) => (word, rest.trim_start_matches(is_blank)),
        Err(_) => ("", input),
    }
}

/// An escape character with what it escapes.
fn escaped(escape: char) -> impl Fn(&str) -> IResult<&str, &str> {
    move |input| recognize((char(escape), anychar)).parse(input)
}

/// A quoted stretch with its quotes; one that is not closed runs to the end. An escape
/// character escapes in double quotes only.
fn quoted(escape: char) -> impl Fn(&str) -> IResult<&str, &str> {
    move |input| {
        let single = (char('\''), take_while(|c| c != '\''), opt(char('\'')));
        let inner = alt((escaped(escape), recognize(verify(anychar, |c| *c != '"'))));
        let double = (
            char('"'),
            fold_many0(inner, || (), |(), _| ()),
            opt(char('"')),
        );
        alt((recognize(single), recognize(double))).parse(input)
    }
}

/// A word that quotes and escapes may hold together; they stay in it.
fn quoted_word(escape: char) -> impl Fn(&str) -> IResult<&str, &str> {
    move |input| {
        let plain =
            take_while1(|c: char| !c.is_whitespace() && c != '\'' && c != '"' && c != escape);
        // An escape character at the very end escapes nothing.
        let lone = recognize((char(escape), eof));
        let part = alt((plain, quoted(escape), escaped(escape), lone));
        verify(recognize(fold_many0(part, || (), |(), _| ())), |w: &str| {
            !w.is_empty()
        })
        .parse(input)
    }
}

/// Words that quotes and escapes hold together; they stay in the words.
pub(crate) fn quoted_words(input: &str, escape: char) -> Vec<&str> {
    let space = take_while(char::is_whitespace);
    let read: IResult<&str, Vec<&str>> = many0(preceded(space, quoted_word(escape))).parse(input);
    let mut words = read.map(|(_, words)| words).unwrap_or_default();
    if let Some(last) = words.last_mut() {
        *last = without_lone_escape(last, escape);
        if last.is_empty() {
            words.pop();
        }
    }
    words
}

/// Takes away an escape character at the end that escapes nothing.
fn without_lone_escape(word: &str, escape: char) -> &str {
    let escapes = word.chars().rev().take_while(|c| *c == escape).count();
    if escapes % 2 == 1 {
        word.strip_suffix(escape).unwrap_or(word)
    } else {
        word
    }
}

/// Whether every quote of the text is closed.
pub(crate) fn quotes_are_closed(input: &str, escape: char) -> bool {
    let single = (char('\''), take_while(|c| c != '\''), char('\''));
    let inner = alt((escaped(escape), recognize(verify(anychar, |c| *c != '"'))));
    let double = (char('"'), fold_many0(inner, || (), |(), _| ()), char('"'));
    let plain = satisfy(|c| c != '\'' && c != '"' && c != escape);
    let part = alt((
        value((), plain),
        value((), escaped(escape)),
        value((), single),
        value((), double),
        value((), (char(escape), eof)),
    ));
    let read: IResult<&str, ()> = fold_many0(part, || (), |(), ()| ()).parse(input);
    read.is_ok_and(|(rest, ())| rest.is_empty())
}

/// A flag word, `--name[=value]`, and the stretches of it that remain when quotes and escapes
/// are taken away.
pub(crate) fn flag_word(input: &str, escape: char) -> Option<(&str, Vec<&str>)> {
    let (rest, _): (&str, &str) = blanks_any(input).ok()?;
    if !rest.starts_with("--") {
        return None;
    }
    let plain = || {
        take_while1(move |c: char| !c.is_whitespace() && c != '\'' && c != '"' && c != escape)
            .map(|s: &str| vec![s])
    };
    let one = || preceded(char(escape), recognize(opt(anychar))).map(|s: &str| vec![s]);
    let within = |quote: char| {
        let text = take_while1(move |c: char| c != quote && c != escape).map(|s: &str| vec![s]);
        delimited(
            char(quote),
            many0(alt((text, one()))).map(|parts: Vec<Vec<&str>>| parts.concat()),
            opt(char(quote)),
        )
    };
    let part = alt((plain(), one(), within('"'), within('\'')));
    let read: IResult<&str, Vec<Vec<&str>>> = many0(part).parse(rest);
    let (after, parts) = read.ok()?;
    let word = &rest[..rest.len() - after.len()];
    Some((word, parts.concat()))
}

fn blanks_any(input: &str) -> IResult<&str, &str> {
    take_while(char::is_whitespace).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_escapes_hold_words_together() {
        let rows: [(&str, &[&str]); 9] = [
            ("a=b c=d", &["a=b", "c=d"]),
            (r#"a="b c" d='e f'"#, &[r#"a="b c""#, "d='e f'"]),
            (r"a=b\ c d", &[r"a=b\ c", "d"]),
            (r#"a="b \" c" d"#, &[r#"a="b \" c""#, "d"]),
            (r"a='b\' c", &[r"a='b\'", "c"]),
            (r#"a="b c"#, &[r#"a="b c"#]),
            ("a\\", &["a"]),
            ("\\", &[]),
            ("  ", &[]),
        ];
        for (text, want) in rows {
            assert_eq!(quoted_words(text, '\\'), want, "{text:?}");
        }
        assert_eq!(quoted_words("a=b` c", '`'), ["a=b` c"]);
    }

    #[test]
    fn flags_lose_their_quotes() {
        let (word, parts) =
            flag_word(r#" --mount="type=bind,src=a b"\,x RUN"#, '\\').expect("a flag");
        assert_eq!(word, r#"--mount="type=bind,src=a b"\,x"#);
        assert_eq!(parts.concat(), "--mount=type=bind,src=a b,x");
        assert!(flag_word(" -x", '\\').is_none());
    }

    #[test]
    fn quotes_that_are_open() {
        assert!(quotes_are_closed(r#"a "b\"" 'c\' "#, '\\'));
        assert!(!quotes_are_closed(r#"a "b\""#, '\\'));
        assert!(!quotes_are_closed("it's", '\\'));
    }
}
