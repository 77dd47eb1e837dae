//! What is wrong with a Dockerfile beyond its text, said as the parser says it: a place, a message, a
//! hint.

use kiln_parser::{Diagnostic, ExpandError, Span};

/// A word that has no value.
pub(crate) fn expand(error: &ExpandError) -> Diagnostic {
    Diagnostic::error("bad-substitution", error.span, error.to_string())
}

/// Something of the language that is understood and not done.
pub(crate) fn not_yet(span: Span, what: &str, instead: &str) -> Diagnostic {
    let message = format!("`{what}` is not carried out yet");
    let help = Some(instead.to_owned()).filter(|help| !help.is_empty());
    Diagnostic::error("not-yet", span, message).with_help_if(help)
}

/// An error with a hint.
pub(crate) fn error(
    code: &'static str,
    span: Span,
    message: impl Into<String>,
    help: impl Into<String>,
) -> Diagnostic {
    Diagnostic::error(code, span, message).with_help(help)
}
