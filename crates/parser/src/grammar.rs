//! The grammar: from logical lines to instructions, and from those to stages.
//!
//! An instruction that cannot be read is left out of the tree with an error; reading goes on
//! with the next line, so that errors never hide each other.

mod command;
mod copy;
mod env;
mod expose;
mod from;
mod healthcheck;
mod meta;
mod mount;
mod onbuild;
mod run;

use std::borrow::Cow;

use crate::ast::{Dockerfile, From, Heredoc, Instruction, Node, Stage};
use crate::diagnostic::Diagnostic;
use crate::flags::Flags;
use crate::lines::{Logical, Reader};
use crate::span::{LineIndex, Span, Spanned};
use crate::split::{first_word, is_blank};
use crate::suggest::nearest;
use crate::text::{Text, range_in};
use crate::word::Word;
use crate::{Parse, ParsedInstruction, directive, heredoc, json};

pub(crate) const KEYWORDS: [&str; 18] = [
    "FROM",
    "RUN",
    "COPY",
    "ADD",
    "ARG",
    "ENV",
    "WORKDIR",
    "USER",
    "CMD",
    "ENTRYPOINT",
    "EXPOSE",
    "LABEL",
    "VOLUME",
    "STOPSIGNAL",
    "SHELL",
    "HEALTHCHECK",
    "ONBUILD",
    "MAINTAINER",
];

/// What holds all through a text, and the findings so far.
pub(crate) struct Cx<'a> {
    pub(crate) src: &'a str,
    pub(crate) escape: char,
    pub(crate) index: LineIndex<'a>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl<'a> Cx<'a> {
    fn new(src: &'a str, escape: char) -> Self {
        Self {
            src,
            escape,
            index: LineIndex::new(src),
            diagnostics: Vec::new(),
        }
    }

    /// A part of a text, which must be a slice of it.
    pub(crate) fn part(&self, text: &Text<'a>, part: &str) -> Text<'a> {
        text.slice_of(self.src, range_in(text.as_str(), part))
    }

    /// A word in which variables are replaced by builders. Says what keeps it from that.
    pub(crate) fn word(&mut self, text: Text<'a>) -> Word<'a> {
        let word = Word::new(text, self.escape);
        self.check(&word);
        word
    }

    pub(crate) fn check(&mut self, word: &Word<'a>) {
        let Some(error) = word.error() else { return };
        use crate::ExpandErrorKind as Kind;
        let diagnostic = match error.kind {
            Kind::UnterminatedQuote(quote) => {
                Diagnostic::error("unterminated-quote", error.span, error.to_string()).with_help(
                    format!(
                        "close it, or write `{}{quote}` for the character itself",
                        self.escape
                    ),
                )
            }
            _ => Diagnostic::error("bad-substitution", error.span, error.to_string()),
        };
        self.diagnostics.push(diagnostic);
    }

    pub(crate) fn error(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.diagnostics
            .push(Diagnostic::error(code, span, message).with_help(help));
    }
}

/// A logical line taken apart as far as all instructions are alike.
pub(crate) struct Statement<'a> {
    /// As written.
    pub(crate) keyword: Spanned<Cow<'a, str>>,
    /// In upper case.
    pub(crate) name: String,
    pub(crate) flags: Flags<'a>,
    /// What follows the flags, trimmed.
    pub(crate) args: Text<'a>,
}

impl<'a> Statement<'a> {
    /// `line` is trimmed.
    pub(crate) fn read(cx: &Cx<'a>, line: &Text<'a>) -> Self {
        let (keyword, _) = first_word(line.as_str());
        let keyword_text = cx.part(line, keyword);
        let behind = keyword.len()..line.as_str().len();
        let args = line.slice_of(cx.src, behind);
        let (flags, start) = Flags::read(&args, cx.escape);
        let end = args.as_str().trim_end().len().max(start);
        let args = args.slice_of(cx.src, start..end);
        let span = keyword_text.span();
        let keyword = Spanned::new(keyword_text.into_cow(), span);
        Self {
            name: keyword.node.to_ascii_uppercase(),
            keyword,
            flags,
            args,
        }
    }

    /// The words of the arguments that blanks separate.
    pub(crate) fn plain_words(&self, cx: &Cx<'a>) -> Vec<Text<'a>> {
        crate::split::plain_words(self.args.as_str())
            .into_iter()
            .map(|w| cx.part(&self.args, w))
            .collect()
    }

    /// Says that the arguments are missing when they are.
    pub(crate) fn requires_args(&self, cx: &mut Cx<'a>, what: &str, example: &str) -> Option<()> {
        if !self.args.as_str().is_empty() {
            return Some(());
        }
        if self.flags.refused {
            return None; // perhaps what is missing was taken for a flag
        }
        let message = format!("{} needs {what}", self.name);
        cx.error(
            "missing-argument",
            self.keyword.span,
            message,
            format!("for example `{} {example}`", self.name),
        );
        None
    }
}

/// `FROM` opens a stage; everything else belongs to one.
enum Read<'a> {
    From(From<'a>),
    Other(Instruction<'a>),
}

/// Reads a whole file.
pub(crate) fn file(src: &str) -> Parse<'_> {
    let mut cx = Cx::new(src, '\\');
    let mut reader = Reader::new(src, '\\');
    let mut file = Dockerfile {
        directives: directive::read(&mut reader),
        ..Dockerfile::default()
    };
    cx.escape = file.escape();
    let mut any = false;
    let mut opened = false;
    while let Some(logical) = reader.next_logical() {
        any = true;
        let is_from = is_from(&logical);
        match node(&mut cx, &mut reader, logical) {
            Some(node) => place(&mut cx, &mut file, node, opened),
            // A FROM that cannot be read opens a stage all the same: what follows is in order.
            None if is_from => {}
            None => continue,
        }
        opened |= is_from;
    }
    if !opened {
        cx.diagnostics.push(no_stage(src, any));
    }
    from::check_names(&mut cx, &file);
    file.comments = reader.comments;
    cx.diagnostics.extend(reader.diagnostics);
    cx.diagnostics.sort_by_key(|d| (d.span.start, d.severity));
    Parse {
        file,
        diagnostics: cx.diagnostics,
    }
}

fn is_from(logical: &Logical<'_>) -> bool {
    first_word(logical.text.as_str())
        .0
        .eq_ignore_ascii_case("FROM")
}

fn no_stage(src: &str, any: bool) -> Diagnostic {
    let end = crate::span::to_u32(src.len());
    let message = if any {
        "the Dockerfile has no FROM, so there is nothing to build"
    } else {
        "the Dockerfile is empty"
    };
    Diagnostic::error(
        if any { "no-stage" } else { "empty-file" },
        Span::new(end, end),
        message,
    )
    .with_help("begin with `FROM` and a base image, for example `FROM debian:stable`")
}

/// Puts an instruction where it belongs.
fn place<'a>(cx: &mut Cx<'a>, file: &mut Dockerfile<'a>, node: Node<'a, Read<'a>>, opened: bool) {
    let Node {
        instruction,
        keyword,
        span,
        lines,
        text,
        comments,
        blank_lines,
    } = node;
    macro_rules! node {
        ($instruction:expr) => {
            Node {
                instruction: $instruction,
                keyword,
                span,
                lines,
                text,
                comments,
                blank_lines,
            }
        };
    }
    match (instruction, file.stages.last_mut()) {
        (Read::From(from), _) => file.stages.push(Stage {
            from: node!(from),
            instructions: Vec::new(),
        }),
        (Read::Other(instruction), Some(stage)) => stage.instructions.push(node!(instruction)),
        (Read::Other(Instruction::Arg(arg)), None) if !opened => file.args.push(node!(arg)),
        (Read::Other(_), None) if opened => {} // the FROM above has its own error
        (Read::Other(instruction), None) => {
            let message = format!("{} before the first FROM", instruction.keyword());
            cx.error(
                "before-from",
                keyword.span,
                message,
                "only ARG may stand there; move this line below FROM",
            );
        }
    }
}

/// Reads one instruction with its heredocs.
fn node<'a>(
    cx: &mut Cx<'a>,
    reader: &mut Reader<'a>,
    logical: Logical<'a>,
) -> Option<Node<'a, Read<'a>>> {
    let Logical {
        text,
        mut lines,
        mut end,
        comments,
        blank_lines,
    } = logical;
    let line = text.slice_of(cx.src, text.trimmed());
    let start = line.span().start;
    let statement = Statement::read(cx, &line);
    let keyword = statement.keyword.clone();
    let shown = shown(&line, &statement);
    let read = if statement.name == "ONBUILD" {
        onbuild::read(cx, reader, statement, &mut (&mut lines, &mut end)).map(Read::Other)
    } else {
        let docs = heredocs(cx, reader, &statement, &mut (&mut lines, &mut end));
        instruction(cx, statement, docs)
    };
    Some(Node {
        instruction: read?,
        keyword,
        span: Span::new(start, end),
        lines,
        text: shown,
        comments,
        blank_lines,
    })
}

/// The line as builders show it: the keyword in upper case.
fn shown<'a>(line: &Text<'a>, statement: &Statement<'a>) -> Cow<'a, str> {
    if statement.keyword.node == statement.name {
        return line.clone().into_cow();
    }
    let rest = &line.as_str()[statement.keyword.node.len()..];
    Cow::Owned(format!("{}{rest}", statement.name))
}

/// Last line and end of an instruction, which its heredocs move on.
type End<'e> = (&'e mut (u32, u32), &'e mut u32);

/// Reads the bodies of the heredocs that a statement announces.
fn heredocs<'a>(
    cx: &mut Cx<'a>,
    reader: &mut Reader<'a>,
    statement: &Statement<'a>,
    end: &mut End<'_>,
) -> Vec<Heredoc<'a>> {
    if !matches!(statement.name.as_str(), "RUN" | "COPY" | "ADD")
        || !statement.args.as_str().contains("<<")
    {
        return Vec::new();
    }
    if matches!(json::array(&statement.args), json::Json::Strings(_)) {
        return Vec::new();
    }
    let mut docs = Vec::new();
    for marker in heredoc::markers(statement.args.as_str()) {
        let span = statement
            .args
            .span_of(range_in(statement.args.as_str(), marker.word));
        let name = &marker.name;
        let (body, last) = match reader.heredoc(name, marker.strip_tabs) {
            Ok(found) => found,
            Err(near) => {
                let help = match near {
                    Some(line) => format!(
                        "line {} has blanks around it; {}",
                        line.number,
                        if marker.strip_tabs {
                            "only tabs before it are taken away"
                        } else {
                            "`<<-` allows tabs before it"
                        }
                    ),
                    None => format!("end the text with a line `{name}`"),
                };
                cx.error(
                    "unterminated-heredoc",
                    span,
                    format!("unterminated heredoc: no line that is just `{name}`"),
                    help,
                );
                continue;
            }
        };
        *end.1 = last.end();
        end.0.1 = last.number;
        let body = Word::body(body);
        if marker.expand && statement.name != "RUN" {
            cx.check(&body);
        }
        let (fd, strip_tabs, expand) = (marker.fd, marker.strip_tabs, marker.expand);
        docs.push(Heredoc {
            name: marker.name,
            span,
            fd,
            strip_tabs,
            expand,
            body,
        });
    }
    docs
}

fn instruction<'a>(
    cx: &mut Cx<'a>,
    mut statement: Statement<'a>,
    docs: Vec<Heredoc<'a>>,
) -> Option<Read<'a>> {
    if !KEYWORDS.contains(&statement.name.as_str()) {
        unknown_keyword(cx, &statement);
        return None;
    }
    statement.flags.check(&statement.name, &mut cx.diagnostics);
    let st = &statement;
    Some(Read::Other(match st.name.as_str() {
        "FROM" => return from::read(cx, st).map(Read::From),
        "RUN" => Instruction::Run(run::read(cx, st, docs)?),
        "COPY" => Instruction::Copy(copy::copy(cx, st, docs)?),
        "ADD" => Instruction::Add(copy::add(cx, st, docs)?),
        "ARG" => Instruction::Arg(env::arg(cx, st)?),
        "ENV" => Instruction::Env(env::env(cx, st)?),
        "LABEL" => Instruction::Label(env::label(cx, st)?),
        "WORKDIR" => Instruction::Workdir(meta::workdir(cx, st)?),
        "USER" => Instruction::User(meta::user(cx, st)?),
        "CMD" => Instruction::Cmd(command::program(cx, st)?),
        "ENTRYPOINT" => Instruction::Entrypoint(command::program(cx, st)?),
        "EXPOSE" => Instruction::Expose(expose::read(cx, st)?),
        "VOLUME" => Instruction::Volume(meta::volume(cx, st)?),
        "STOPSIGNAL" => Instruction::StopSignal(meta::stop_signal(cx, st)?),
        "SHELL" => Instruction::Shell(command::shell(cx, st)?),
        "HEALTHCHECK" => Instruction::Healthcheck(healthcheck::read(cx, st)?),
        "MAINTAINER" => Instruction::Maintainer(meta::maintainer(cx, st)?),
        _ => return None, // ONBUILD is read by itself, and nothing else is a keyword
    }))
}

fn unknown_keyword<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) {
    let written = st.keyword.node.as_ref();
    let odd = written
        .chars()
        .find(|c| (c.is_whitespace() && !is_blank(*c)) || matches!(c, '\u{200b}' | '\u{feff}'));
    let help = if let Some(c) = odd {
        Some(format!(
            "there is {} in it; type an ordinary blank",
            crate::check::describe(c)
        ))
    } else if let Some(near) = nearest(written, KEYWORDS) {
        Some(format!("did you mean `{near}`?"))
    } else if written.chars().all(|c| c.is_ascii_uppercase()) {
        None
    } else {
        Some(format!(
            "if this goes on with the line above, end that one with `{}`",
            cx.escape
        ))
    };
    let shown: String = written.chars().take(40).collect();
    let diagnostic = Diagnostic::error(
        "unknown-instruction",
        st.keyword.span,
        format!("unknown instruction `{shown}`"),
    );
    cx.diagnostics.push(diagnostic.with_help_if(help));
}

/// Reads a single instruction, such as a trigger of a base image.
pub(crate) fn single(text: &str, escape: char) -> ParsedInstruction<'_> {
    let mut cx = Cx::new(text, escape);
    let mut reader = Reader::new(text, escape);
    let read = reader
        .next_logical()
        .and_then(|logical| node(&mut cx, &mut reader, logical));
    let mut found = None;
    match read {
        Some(node) => match node.instruction {
            Read::From(_) => {
                cx.error(
                    "before-from",
                    node.keyword.span,
                    "FROM is no instruction of a stage",
                    "it opens one",
                );
            }
            Read::Other(instruction) => {
                let Node {
                    keyword,
                    span,
                    lines,
                    text,
                    comments,
                    blank_lines,
                    ..
                } = node;
                found = Some(Node {
                    instruction,
                    keyword,
                    span,
                    lines,
                    text,
                    comments,
                    blank_lines,
                });
            }
        },
        None if cx.diagnostics.is_empty() => {
            cx.diagnostics.push(Diagnostic::error(
                "empty-file",
                Span::default(),
                "there is no instruction",
            ));
        }
        None => {}
    }
    if let Some(more) = reader.next_logical() {
        let span = more.text.span();
        cx.diagnostics.push(Diagnostic::error(
            "more-than-one",
            span,
            "there is more than one instruction",
        ));
    }
    cx.diagnostics.extend(reader.diagnostics);
    ParsedInstruction {
        node: found,
        diagnostics: cx.diagnostics,
    }
}
