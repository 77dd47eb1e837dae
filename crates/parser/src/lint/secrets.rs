//! Arguments and variables whose names say that they hold a secret.

use super::finding;
use crate::diagnostic::Diagnostic;
use crate::span::Span;
use crate::word::Word;

const TOKENS: [&str; 10] = [
    "apikey",
    "auth",
    "credential",
    "credentials",
    "key",
    "password",
    "pword",
    "passwd",
    "secret",
    "token",
];

/// With one of these a name says that it holds something else.
const ALLOWED: [&str; 3] = ["public", "file", "version"];

/// Whether a name is that of a secret: one of its parts between `_` says so, and none takes it back.
pub fn secret_name(name: &str) -> bool {
    let has = |tokens: &[&str]| {
        let mut parts = name.split('_');
        parts.any(|part| tokens.iter().any(|token| token.eq_ignore_ascii_case(part)))
    };
    has(&TOKENS) && !has(&ALLOWED)
}

/// Findings about the names of one instruction, told `at` another place if one is given.
pub(super) fn names<'w>(
    keyword: &str,
    names: impl Iterator<Item = &'w Word<'w>>,
    at: Option<Span>,
) -> impl Iterator<Item = Diagnostic> {
    names.filter_map(move |word| {
        let name = word.constant().filter(|name| secret_name(name))?;
        let message =
            format!("Do not use ARG or ENV instructions for sensitive data ({keyword} \"{name}\")");
        let span = at.unwrap_or(word.span());
        Some(finding("SecretsUsedInArgOrEnv", span, message))
    })
}
