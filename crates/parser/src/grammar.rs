//! The grammar: from logical lines to instructions, and from those to stages.
//!
//! An instruction that cannot be read is left out of the tree with an error; reading goes on
//! with the next line, so that errors never hide each other.

mod bodies;
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
mod statement;

use std::borrow::Cow;

use crate::ast::{Dockerfile, From, Heredoc, Instruction, Node, Stage};
use crate::diagnostic::Diagnostic;
use crate::lines::{Logical, Reader};
use crate::span::Span;
use crate::split::first_word;
use crate::text::Text;
use crate::{Parse, ParsedInstruction, check, directive};
use bodies::{End, heredocs};
pub(crate) use statement::Cx;
use statement::{KEYWORDS, Statement, unknown_keyword};

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
    check::replaced(&mut cx, &reader.comments);
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
    let (read, node) = node.split();
    match (read, file.stages.last_mut()) {
        (Read::From(from), _) => {
            file.stages.push(Stage {
                from: node.map(|()| from),
                instructions: Vec::new(),
            });
        }
        (Read::Other(instruction), Some(stage)) => {
            stage.instructions.push(node.map(|()| instruction));
        }
        (Read::Other(Instruction::Arg(arg)), None) if !opened => file.args.push(node.map(|()| arg)),
        (Read::Other(_), None) if opened => {} // the FROM above has its own error
        (Read::Other(instruction), None) => {
            let message = format!("{} before the first FROM", instruction.keyword());
            let help = "only ARG may stand there; move this line below FROM";
            cx.error("before-from", node.keyword.span, message, help);
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
        let behind = &text.as_str()[text.trimmed().end..];
        let end = &mut (&mut lines, &mut end);
        onbuild::read(cx, reader, statement, behind, end).map(Read::Other)
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

/// Reads a single instruction, such as a trigger of a base image.
pub(crate) fn single(text: &str, escape: char) -> ParsedInstruction<'_> {
    let mut cx = Cx::new(text, escape);
    let mut reader = Reader::new(text, escape);
    let logical = reader.next_logical();
    let nothing = logical.is_none();
    let mut found = None;
    if let Some(node) = logical.and_then(|logical| node(&mut cx, &mut reader, logical)) {
        match node.split() {
            (Read::Other(instruction), rest) => found = Some(rest.map(|()| instruction)),
            (Read::From(_), rest) => {
                let message = "FROM opens a stage and is no instruction of one";
                let error = Diagnostic::error("before-from", rest.keyword.span, message);
                cx.diagnostics.push(error);
            }
        }
    }
    if nothing {
        let message = "there is no instruction";
        cx.diagnostics
            .push(Diagnostic::error("empty-file", Span::default(), message));
    }
    if let Some(more) = reader.next_logical() {
        let message = "there is more than one instruction";
        cx.diagnostics.push(Diagnostic::error(
            "more-than-one",
            more.text.span(),
            message,
        ));
    }
    cx.diagnostics.extend(reader.diagnostics);
    ParsedInstruction {
        node: found,
        diagnostics: cx.diagnostics,
    }
}
