//! Formats Dockerfiles without changing what they mean.
//!
//! ```text
//! cargo run --example format -- Dockerfile [--write]
//! ```
//!
//! Keywords in upper case, continuation lines indented by four, one blank line between stages,
//! no blanks at line ends, `ENV k=v` for `ENV k v` where that is the same. Comments stay where
//! they are, flags in their order; heredocs are not touched, nor text in which blanks count: in
//! quotes, in paths, in commands that go into the image, in shells other than `sh`. A file with
//! errors is left alone.

// A program has to read its files; the library does not.
#![allow(clippy::disallowed_methods)]

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use kiln_parser::ast::{Command, Healthcheck, Pair, Source};
use kiln_parser::print::Edits;
use kiln_parser::{
    Diagnostic, Dockerfile, Instruction, LineIndex, Lookup, Node, Span, Spanned, parse,
    parse_instruction,
};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let (flags, files): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|arg| arg == "--write");
    let mut good = true;
    for name in &files {
        let src =
            std::fs::read_to_string(name).map_err(|e| format!("failed to read `{name}`: {e}"))?;
        match format(&src) {
            Ok(text) if flags.is_empty() => io::stdout().write_all(text.as_bytes())?,
            Ok(text) if text != src => std::fs::write(name, text)?,
            Ok(_) => {}
            Err(problems) => {
                good = false;
                let index = LineIndex::new(&src);
                for problem in problems.iter().filter(|p| p.is_error()) {
                    let line = index.line(problem.span.start);
                    writeln!(io::stderr(), "{name}:{line}: {problem}")?;
                }
            }
        }
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The text in its new layout, or what is wrong with it.
pub(crate) fn format(src: &str) -> Result<String, Vec<Diagnostic>> {
    let (file, _) = parse(src).into_result()?;
    let mut layout = Layout {
        src,
        escape: file.escape(),
        // Blanks between words mean nothing to `sh`; of other shells that is not known.
        posix: file.escape() == '\\' && !has_shell(&file),
        edits: Edits::new(),
    };
    let mut last: Option<Span> = None;
    for arg in &file.args {
        layout.head(&arg.keyword, arg.span, last, false);
        layout.lines(arg.span, true);
        last = Some(arg.span);
    }
    for (number, stage) in file.stages.iter().enumerate() {
        layout.head(&stage.from.keyword, stage.from.span, last, number > 0);
        if let Some(word) = &stage.from.instruction.as_keyword {
            layout.upper(word);
        }
        layout.lines(stage.from.span, true);
        last = Some(stage.from.span);
        for node in &stage.instructions {
            layout.head(&node.keyword, node.span, last, false);
            layout.instruction(node);
            last = Some(node.span);
        }
    }
    let end = src.len();
    if let Some(last) = last {
        layout.gap(last.end as usize, end, Gap::End);
    }
    layout
        .edits
        .apply(src)
        .map_err(|e| vec![Diagnostic::error("format", Span::default(), e.to_string())])
}

fn has_shell(file: &Dockerfile<'_>) -> bool {
    let mut all = file.stages.iter().flat_map(|stage| &stage.instructions);
    all.any(|node| matches!(node.instruction, Instruction::Shell(_)))
}

/// What follows the lines between two instructions.
#[derive(Clone, Copy, PartialEq)]
enum Gap {
    Instruction,
    Stage,
    End,
}

struct Layout<'s> {
    src: &'s str,
    escape: char,
    posix: bool,
    edits: Edits,
}

impl Layout<'_> {
    fn upper<T: AsRef<str>>(&mut self, word: &Spanned<T>) {
        let upper = word.node.as_ref().to_ascii_uppercase();
        // A keyword that is broken over lines is left as it is.
        if word.node.as_ref() == word.span.of(self.src) && upper != word.span.of(self.src) {
            self.edits.replace(word.span, upper);
        }
    }

    /// The lines above an instruction, and its keyword.
    fn head<T: AsRef<str>>(
        &mut self,
        keyword: &Spanned<T>,
        span: Span,
        last: Option<Span>,
        stage: bool,
    ) {
        let start = span.start as usize;
        let line = self.src[..start].rfind('\n').map_or(0, |i| i + 1);
        if self.src[line..start].chars().all(|c| c == ' ' || c == '\t') {
            self.replace(line, start, "");
        }
        if let Some(last) = last.filter(|last| last.end as usize <= line) {
            let gap = if stage { Gap::Stage } else { Gap::Instruction };
            self.gap(last.end as usize, line, gap);
        }
        self.upper(keyword);
        let behind = keyword.span.end as usize;
        let rest = &self.src[behind..];
        let text = rest.trim_start_matches([' ', '\t']);
        let joined = text.starts_with(self.escape) || text.starts_with(['\r', '\n']);
        if text.len() < rest.len() && !joined {
            self.replace(behind, behind + rest.len() - text.len(), " ");
        }
    }

    fn replace(&mut self, start: usize, end: usize, text: &str) {
        if self.src[start..end] != *text {
            // The parser refuses texts whose offsets do not fit.
            self.edits
                .replace(Span::new(start as u32, end as u32), text);
        }
    }

    /// From the end of an instruction to the line of the next one: comments as they are, blank
    /// lines one at a time.
    fn gap(&mut self, start: usize, end: usize, gap: Gap) {
        let mut lines = self.src[start..end].split_inclusive('\n');
        let eol = if self.src.contains("\r\n") {
            "\r\n"
        } else {
            "\n"
        };
        let first = lines.next().unwrap_or_default();
        let mut out = vec![if first.ends_with('\n') { first } else { eol }];
        for line in lines {
            let text = line.trim();
            if text.is_empty() {
                if out.len() == 1 || out.last().is_some_and(|last| *last != eol) {
                    out.push(eol);
                }
            } else if text.starts_with('#') {
                out.push(line);
            } else {
                return; // a lone escape character: it belongs to the next instruction
            }
        }
        if gap == Gap::End {
            while out.len() > 1 && out.last() == Some(&eol) {
                out.pop();
            }
        }
        if gap == Gap::Stage {
            let comments = out[1..]
                .iter()
                .rev()
                .take_while(|line| **line != eol)
                .count();
            if comments == out.len() - 1 {
                out.insert(1, eol);
            }
        }
        self.replace(start, end, &out.concat());
    }

    fn instruction(&mut self, node: &Node<'_>) {
        let mut span = node.span;
        let mut docs = Vec::new();
        match &node.instruction {
            Instruction::Run(run) => docs.extend(&run.heredocs),
            Instruction::Copy(copy) => docs.extend(heredocs(&copy.sources)),
            Instruction::Add(add) => docs.extend(heredocs(&add.sources)),
            // The trigger goes into the image as it is written.
            Instruction::OnBuild(_) => return,
            Instruction::Env(env) if env.legacy => self.pair("ENV", node, &env.pairs),
            Instruction::Label(label) if label.legacy => self.pair("LABEL", node, &label.pairs),
            _ => {}
        }
        if let Some(doc) = docs.first() {
            span = Span::new(span.start, doc.body.span().start);
        }
        self.lines(span, self.free(&node.instruction));
    }

    /// Whether blanks between the words of an instruction mean nothing.
    fn free(&self, instruction: &Instruction<'_>) -> bool {
        let command = |command: &Command<'_>| matches!(command, Command::Exec(_));
        match instruction {
            Instruction::Run(run) => match &run.command {
                Command::Exec(_) => true,
                // Quotes in a substitution in quotes are not followed here.
                Command::Shell(word) => {
                    let nested = word.raw().contains("$(") || word.raw().contains('`');
                    self.posix && !(nested && word.raw().contains('"'))
                }
            },
            Instruction::Env(env) => !env.legacy,
            Instruction::Label(label) => !label.legacy,
            Instruction::Cmd(one) | Instruction::Entrypoint(one) => command(one),
            Instruction::Healthcheck(Healthcheck::Cmd { command: one, .. }) => command(one),
            Instruction::Arg(_)
            | Instruction::Copy(_)
            | Instruction::Add(_)
            | Instruction::Expose(_)
            | Instruction::Volume(_)
            | Instruction::Shell(_) => true,
            _ => false,
        }
    }

    /// The lines of one instruction: blanks at their ends go, continuations are indented so
    /// that the least of them has four.
    fn lines(&mut self, span: Span, free: bool) {
        let mut at = span.start as usize;
        let mut scan = Scan::new(self.escape);
        let mut moved: Vec<(usize, usize, bool)> = Vec::new();
        for (number, line) in span.of(self.src).split_inclusive('\n').enumerate() {
            let text = line.trim_end_matches(['\r', '\n']);
            let kept = text.trim_end_matches([' ', '\t']);
            self.replace(at + kept.len(), at + text.len(), "");
            let inner = kept.trim_start_matches([' ', '\t']);
            let indent = kept.len() - inner.len();
            if inner.starts_with('#') && number > 0 {
                moved.push((at, indent, true));
            } else if !inner.is_empty() {
                if number > 0 && free && scan.is_between_words(indent > 0) {
                    moved.push((at, indent, false));
                }
                scan.line(kept);
            }
            at += line.len();
        }
        let width = |start: usize, len: usize| -> usize {
            let blanks = self.src[start..start + len].bytes();
            blanks.map(|b| if b == b'\t' { 4 } else { 1 }).sum()
        };
        let words = moved.iter().filter(|line| !line.2);
        let least = words.map(|(start, len, _)| width(*start, *len)).min();
        let widths: Vec<_> = moved
            .iter()
            .map(|(start, len, _)| (width(*start, *len) + 4).saturating_sub(least.unwrap_or(4)))
            .collect();
        for ((start, len, _), width) in moved.iter().zip(widths) {
            self.replace(*start, start + len, &" ".repeat(width.max(4)));
        }
    }

    /// `ENV k v` becomes `ENV k=v`, with quotes where there are blanks, if that is the same.
    fn pair(&mut self, keyword: &str, node: &Node<'_>, pairs: &[Pair<'_>]) {
        let [pair] = pairs else { return };
        let (key, value) = (pair.key.span(), pair.value.span());
        if node.lines.0 != node.lines.1 {
            return;
        }
        let raw = pair.value.raw();
        let quote = if raw.contains(char::is_whitespace) {
            "\""
        } else {
            ""
        };
        let text = format!("{keyword} {}={quote}{raw}{quote}", pair.key.raw());
        let read = parse_instruction(&text, self.escape).node;
        let read = match read.as_ref().map(|node| &node.instruction) {
            Some(Instruction::Env(env)) => &env.pairs,
            Some(Instruction::Label(label)) => &label.pairs,
            _ => return,
        };
        let [other] = read.as_slice() else { return };
        let set: &Lookup<'_> = &|name| Some(format!("<{name}>  '\"\\").into());
        let same = [set, &|_| None].iter().all(|lookup| {
            let (old, new) = (pair.value.expand(lookup), other.value.expand(lookup));
            old.is_ok() && old == new
        });
        // Quotes that were there keep their meaning only outside of others.
        let plain = quote.is_empty() || !raw.contains(['"', '\'', self.escape]);
        if same && plain && other.key.raw() == pair.key.raw() {
            self.edits
                .replace(Span::new(key.end, value.start), format!("={quote}"));
            self.edits.insert(value.end, quote);
        }
    }
}

fn heredocs<'s, 'a>(sources: &'s [Source<'a>]) -> Vec<&'s kiln_parser::ast::Heredoc<'a>> {
    let docs = sources.iter().filter_map(|source| match source {
        Source::Heredoc(doc) => Some(doc),
        Source::Path(_) => None,
    });
    docs.collect()
}

/// Follows quotes and escapes through the lines of an instruction.
struct Scan {
    escape: char,
    quote: Option<char>,
    /// What was read last is a blank that no escape precedes.
    blank: bool,
}

impl Scan {
    fn new(escape: char) -> Self {
        Self {
            escape,
            quote: None,
            blank: false,
        }
    }

    /// Whether more or fewer blanks would mean the same here.
    fn is_between_words(&self, indented: bool) -> bool {
        self.quote.is_none() && (indented || self.blank)
    }

    fn line(&mut self, line: &str) {
        let text = line.strip_suffix(self.escape).unwrap_or(line);
        let mut escaped = false;
        for c in text.chars() {
            self.blank = c == ' ' || c == '\t';
            if std::mem::take(&mut escaped) {
                self.blank = false;
            } else if c == self.escape && self.quote != Some('\'') {
                escaped = true;
            } else if self.quote == Some(c) {
                self.quote = None;
            } else if self.quote.is_none() && (c == '"' || c == '\'') {
                self.quote = Some(c);
            }
        }
    }
}
