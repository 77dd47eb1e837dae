//! Reads Rust well enough to measure it: tokens with their lines, items with their ends.
//!
//! It knows comments, strings, characters and brackets, and nothing of types or macros. A full parser
//! would cost more to compile than all the rest of this program.

/// What the rules ask about a source file.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Whether it begins with `//!` or takes its docs from a file.
    pub(crate) has_header: bool,
    /// Functions outside of tests; their size is in lines.
    pub(crate) functions: Vec<Item>,
    /// Structs outside of tests; their size is in fields.
    pub(crate) structs: Vec<Item>,
    /// For each line whether it belongs to a test.
    test_lines: Vec<bool>,
}

/// A function or a struct.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) name: String,
    /// Counted from one.
    pub(crate) line: usize,
    pub(crate) size: usize,
}

impl Source {
    pub(crate) fn read(text: &str) -> Source {
        let tokens = lex(text);
        let mut source = Source {
            has_header: has_header(text),
            test_lines: vec![false; text.lines().count()],
            ..Source::default()
        };
        source.mark_tests(&tokens);
        for (at, token) in tokens.iter().enumerate() {
            let Some(Token {
                kind: Kind::Word(name),
                line,
            }) = tokens.get(at + 1)
            else {
                continue;
            };
            if source.is_test_line(*line) {
                continue;
            }
            let item = |size| Item {
                name: (*name).to_owned(),
                line: *line,
                size,
            };
            match token.kind {
                Kind::Word("fn") => {
                    source
                        .functions
                        .extend(last_line(&tokens, at).map(|last| item(last - token.line + 1)));
                }
                Kind::Word("struct") => source.structs.push(item(fields(&tokens[at + 2..]))),
                _ => {}
            }
        }
        source
    }

    pub(crate) fn lines_without_tests(&self) -> usize {
        self.test_lines.iter().filter(|test| !**test).count()
    }

    /// `line` is counted from one.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        line.checked_sub(1)
            .and_then(|at| self.test_lines.get(at))
            .copied()
            .unwrap_or(false)
    }

    /// Marks what stands under `#[test]` or `#[cfg(test)]`.
    fn mark_tests(&mut self, tokens: &[Token<'_>]) {
        let mut at = 0;
        while at < tokens.len() {
            let Some(end) = attribute(tokens, at) else {
                at += 1;
                continue;
            };
            if is_test_attribute(&tokens[at + 2..end]) {
                let mut item = end + 1;
                while let Some(next) = attribute(tokens, item) {
                    item = next + 1;
                }
                let last = item_end(tokens, item).map_or(self.test_lines.len(), |e| tokens[e].line);
                let last = last.min(self.test_lines.len());
                self.test_lines[tokens[at].line - 1..last].fill(true);
            }
            at = end + 1;
        }
    }
}

/// Whether the docs of the module come first, but for other attributes of the module.
fn has_header(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    // Attributes may span lines; what matters is that nothing but them comes before the docs.
    let mut open = 0_i32;
    lines
        .find_map(|line| {
            if open == 0 && (line.starts_with("//!") || line.starts_with("#![doc")) {
                return Some(true);
            }
            let attribute = open > 0 || line.starts_with("#![");
            for c in line.chars() {
                open += i32::from(c == '[') - i32::from(c == ']');
            }
            if attribute || line.starts_with("// ") {
                None
            } else {
                Some(false)
            }
        })
        .unwrap_or(false)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind<'a> {
    Word(&'a str),
    Mark(char),
    /// A string, a character or a lifetime; its content does not matter.
    Other,
}

#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    kind: Kind<'a>,
    /// Counted from one.
    line: usize,
}

/// The tokens of `text`, comments left out.
fn lex(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (length, kind) = next(rest, first);
        tokens.extend(kind.map(|kind| Token { kind, line }));
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// The length of the token that `rest` begins with, and its kind unless it is blank or a comment.
fn next(rest: &str, first: char) -> (usize, Option<Kind<'_>>) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), None);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), None);
    }
    if let Some(length) = string(rest) {
        return (length, Some(Kind::Other));
    }
    match first {
        '\'' => (character(rest), Some(Kind::Other)),
        c if c.is_whitespace() => (c.len_utf8(), None),
        c if is_letter(c) => {
            let length = rest.find(|c| !is_letter(c)).unwrap_or(rest.len());
            (length, Some(Kind::Word(&rest[..length])))
        }
        c => (c.len_utf8(), Some(Kind::Mark(c))),
    }
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of a block comment, which may hold others.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The length of the string that `rest` begins with, raw or not, with its prefix.
fn string(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|p| {
        rest.strip_prefix(p)
            .is_some_and(|r| r.starts_with('"') || (p.ends_with('r') && r.starts_with('#')))
    })?;
    let body = &rest[prefix.len()..];
    let hashes = body.bytes().take_while(|b| *b == b'#').count();
    // `r#name` is a word.
    let inside = body[hashes..].strip_prefix('"')?;
    let start = prefix.len() + hashes + 1;
    if prefix.ends_with('r') {
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(
            inside
                .find(&end)
                .map_or(rest.len(), |at| start + at + end.len()),
        );
    }
    let mut escaped = false;
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(start + at + 1),
            _ => {}
        }
    }
    Some(rest.len())
}

/// The length of a character, or of the mark of a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((escaped, c))) => {
            let after = escaped + c.len_utf8();
            rest[after..]
                .find('\'')
                .map_or(rest.len(), |at| after + at + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// The place of the `]` of the attribute that begins at `at`.
fn attribute(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    let is = |at: usize, mark| tokens.get(at).is_some_and(|t| t.kind == Kind::Mark(mark));
    (is(at, '#') && is(at + 1, '[')).then(|| closing(tokens, at + 1))?
}

/// Whether an attribute's content says that its item is there for tests only.
fn is_test_attribute(content: &[Token<'_>]) -> bool {
    let has = |word| content.iter().any(|t| t.kind == Kind::Word(word));
    match content {
        [
            Token {
                kind: Kind::Word("test"),
                ..
            },
        ] => true,
        [
            Token {
                kind: Kind::Word("cfg"),
                ..
            },
            ..,
        ] => has("test") && !has("not") && !has("any"),
        _ => false,
    }
}

/// The place of the bracket that closes the one at `at`.
fn closing(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (place, token) in tokens.iter().enumerate().skip(at) {
        match token.kind {
            Kind::Mark('(' | '[' | '{') => depth += 1,
            Kind::Mark(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(place);
        }
    }
    None
}

/// The last token of the item that begins at `at`: a `;`, or the `}` of its body.
fn item_end(tokens: &[Token<'_>], mut at: usize) -> Option<usize> {
    loop {
        match tokens.get(at)?.kind {
            Kind::Mark(';') => return Some(at),
            Kind::Mark('{') => return closing(tokens, at),
            Kind::Mark('(' | '[') => at = closing(tokens, at)? + 1,
            _ => at += 1,
        }
    }
}

/// The line on which the function at `at` ends; `None` for one without a body.
fn last_line(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    let end = tokens[item_end(tokens, at)?];
    (end.kind == Kind::Mark('}')).then_some(end.line)
}

/// How many fields a struct has, from what follows its name.
fn fields(tokens: &[Token<'_>]) -> usize {
    let mut angles = 0_i32;
    let mut bounds = false;
    for (at, token) in tokens.iter().enumerate() {
        let arrow = at > 0 && tokens[at - 1].kind == Kind::Mark('-');
        match token.kind {
            Kind::Mark(';') => return 0,
            Kind::Mark('<') => angles += 1,
            Kind::Mark('>') if !arrow => angles -= 1,
            Kind::Word("where") => bounds = true,
            Kind::Mark('{') | Kind::Mark('(')
                if angles == 0 && !(bounds && token.kind == Kind::Mark('(')) =>
            {
                let end = closing(tokens, at).unwrap_or(tokens.len());
                return parts(&tokens[at + 1..end]);
            }
            _ => {}
        }
    }
    0
}

/// How many parts commas make of what stands between two brackets.
fn parts(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0_i32;
    let mut parts = 0;
    let mut empty = true;
    for (at, token) in tokens.iter().enumerate() {
        let arrow = at > 0 && tokens[at - 1].kind == Kind::Mark('-');
        match token.kind {
            Kind::Mark('(' | '[' | '{' | '<') => depth += 1,
            Kind::Mark('>') if arrow => {}
            Kind::Mark(')' | ']' | '}' | '>') => depth -= 1,
            Kind::Mark(',') if depth == 0 => {
                empty = true;
                continue;
            }
            _ => {}
        }
        parts += usize::from(empty);
        empty = false;
    }
    parts
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
