//! Heredoc markers on the line of an instruction: `<<NAME`, `<<-NAME`, `3<<"NAME"`.

use nom::bytes::complete::take_while;
use nom::character::complete::{char, digit0};
use nom::combinator::{opt, rest, verify};
use nom::sequence::preceded;
use nom::{IResult, Parser};

use crate::expand::{self, Quotes};
use crate::split::{quoted_words, quotes_are_closed};
use crate::text::range_in;

/// A marker before its body has been read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Marker<'t> {
    /// As written, from the file descriptor to the end of the delimiter.
    pub(crate) word: &'t str,
    pub(crate) fd: Option<u32>,
    pub(crate) strip_tabs: bool,
    pub(crate) name: String,
    pub(crate) expand: bool,
}

/// The markers of a line in order. A line whose quotes are not closed has none.
pub(crate) fn markers(line: &str) -> Vec<Marker<'_>> {
    // The escape directive does not reach here: the shell will read this line as well.
    if !line.contains("<<") || !quotes_are_closed(line, '\\') {
        return Vec::new();
    }
    let mut words = quoted_words(line, '\\').into_iter().peekable();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let Some(name) = words.peek().filter(|_| is_bare(word)) else {
            found.extend(marker(word));
            continue;
        };
        // `<< NAME`: blanks may stand behind `<<`, though not behind `<<-`.
        let whole = range_in(line, word).start..range_in(line, name).end;
        if let Some(marker) = marker(&line[whole]) {
            found.push(marker);
            words.next();
        }
    }
    found
}

/// Whether it is `<<` without a name, perhaps with a file descriptor before it.
fn is_bare(word: &str) -> bool {
    word.strip_suffix("<<")
        .is_some_and(|fd| fd.bytes().all(|b| b.is_ascii_digit()))
}

/// Reads one word as a marker.
pub(crate) fn marker(word: &str) -> Option<Marker<'_>> {
    let delimiter = verify(rest, |d: &str| !d.is_empty() && !d.contains('<'));
    let mut whole = (
        digit0,
        preceded((char('<'), char('<')), opt(char('-'))),
        preceded(take_while(char::is_whitespace), delimiter),
    );
    let read: IResult<&str, (&str, Option<char>, &str)> = whole.parse(word);
    let (_, (fd, dash, delimiter)) = read.ok()?;
    let fd = if fd.is_empty() {
        None
    } else {
        Some(fd.parse().ok()?)
    };
    // `$` is no variable here: the delimiter is taken as it is written.
    let words = expand::expand(
        &with_literal_dollars(delimiter),
        '\\',
        Quotes::Meaningful,
        &|_| None,
    )
    .ok()?;
    let [name] = words.words.as_slice() else {
        return None;
    };
    Some(Marker {
        word,
        fd,
        strip_tabs: dash.is_some(),
        name: name.clone(),
        // Quotes take the meaning of `$` in the body away; an escape in the delimiter does not.
        expand: !delimiter.contains(['\'', '"']),
    })
}

/// The delimiter with each `$` escaped that single quotes do not keep already.
fn with_literal_dollars(delimiter: &str) -> String {
    let mut out = String::with_capacity(delimiter.len());
    let mut quote = None;
    let mut escaped = false;
    for c in delimiter.chars() {
        if c == '$' && quote != Some('\'') && !escaped {
            out.push('\\');
        }
        escaped = c == '\\' && quote != Some('\'') && !escaped;
        match quote {
            None if matches!(c, '\'' | '"') => quote = Some(c),
            Some(open) if open == c => quote = None,
            _ => {}
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_marker() {
        type Row<'r> = (&'r str, &'r [(&'r str, bool, bool)]);
        let rows: [Row<'_>; 20] = [
            ("cat <<EOF", &[("EOF", false, true)]),
            ("cat <<-'E O' > /x", &[("E O", true, false)]),
            ("3<<\"A\" 4<<B", &[("A", false, false), ("B", false, true)]),
            ("cat << EOF", &[("EOF", false, true)]),
            ("<< \t'A B' x", &[("A B", false, false)]),
            ("3<< A << B", &[("A", false, true), ("B", false, true)]),
            ("cat << -EOF", &[("-EOF", false, true)]),
            ("cat <<- EOF", &[]),
            ("cat << < EOF", &[]),
            ("cat x<< EOF", &[]),
            ("cat <<", &[]),
            ("echo \"a << EOF\"", &[]),
            ("cat <<<EOF", &[]),
            ("echo $((1<<2))", &[]),
            ("echo \"<<EOF\"", &[]),
            ("it's <<EOF", &[]),
            ("<<E\\OF", &[("EOF", false, true)]),
            ("<<$A", &[("$A", false, true)]),
            ("<<'$A'", &[("$A", false, false)]),
            ("<<\"$A\"\\$B", &[("$A$B", false, false)]),
        ];
        for (line, want) in rows {
            let found = markers(line);
            let found: Vec<_> = found
                .iter()
                .map(|m| (m.name.as_str(), m.strip_tabs, m.expand))
                .collect();
            assert_eq!(found, want, "{line}");
        }
    }
}
