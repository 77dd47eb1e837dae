//! What all instructions have in common: keyword, flags, the rest; and the state of a reading.

use std::borrow::Cow;

use crate::diagnostic::Diagnostic;
use crate::flags::Flags;
use crate::span::{LineIndex, Span, Spanned};
use crate::split::{first_word, is_blank};
use crate::suggest::nearest;
use crate::text::{Text, range_in};
use crate::word::Word;

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
    pub(crate) fn new(src: &'a str, escape: char) -> Self {
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

/// Says that there is no such instruction, and which one was perhaps meant.
pub(super) fn unknown_keyword<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) {
    let written = st.keyword.node.as_ref();
    let odd = written
        .chars()
        .find(|c| (c.is_whitespace() && !is_blank(*c)) || matches!(c, '\u{200b}' | '\u{feff}'));
    let help = if let Some(c) = odd {
        Some(format!(
            "there is {} in it; type an ordinary blank",
            crate::check::describe(c)
        ))
    } else if written.starts_with("//") {
        Some("a comment begins with `#`".to_owned())
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
