//! What git says when it fails, as an error. Refuses to hand on control characters: they come from the
//! other side. No IO.

use super::remote::Remote;
use crate::{Error, ErrorKind};

/// What is in the text, and what it means.
const MEANINGS: &[(&str, ErrorKind, &str)] = &[
    (
        "No space left on device",
        ErrorKind::Full,
        "the disk is full",
    ),
    (
        "Host key verification failed",
        ErrorKind::Denied,
        "the key of the host is not known",
    ),
    (
        "could not read Username",
        ErrorKind::Denied,
        "it asks for a user and a password",
    ),
    (
        "could not read Password",
        ErrorKind::Denied,
        "it asks for a password",
    ),
    (
        "Authentication failed",
        ErrorKind::Denied,
        "it does not let this user in",
    ),
    (
        "Permission denied",
        ErrorKind::Denied,
        "it does not let this user in",
    ),
    (
        "error: 403",
        ErrorKind::Denied,
        "it does not let this user in",
    ),
    (
        "Could not resolve host",
        ErrorKind::Unreachable,
        "the name of the host is not known",
    ),
    (
        "unable to look up",
        ErrorKind::Unreachable,
        "the name of the host is not known",
    ),
    (
        "Connection refused",
        ErrorKind::Unreachable,
        "connection refused",
    ),
    (
        "Couldn't connect to server",
        ErrorKind::Unreachable,
        "connection refused",
    ),
    (
        "Failed to connect",
        ErrorKind::Unreachable,
        "connection refused",
    ),
    (
        "timed out",
        ErrorKind::Unreachable,
        "the connection timed out",
    ),
    (
        "Operation too slow",
        ErrorKind::Unreachable,
        "the connection is too slow",
    ),
    (
        "certificate",
        ErrorKind::Unreachable,
        "its certificate is not trusted",
    ),
    (
        "disabled in libcurl",
        ErrorKind::Refused,
        "it redirects to what is not encrypted",
    ),
    ("SSL", ErrorKind::Unreachable, "TLS failed"),
    (
        "error: 5",
        ErrorKind::Unreachable,
        "the other side has trouble of its own",
    ),
    (
        "unable to connect",
        ErrorKind::Unreachable,
        "there is no connection",
    ),
    (
        "transport '",
        ErrorKind::Refused,
        "it leads to a transport that is not used",
    ),
    ("' not found", ErrorKind::NotFound, "there is no repository"),
    (
        "does not appear to be a git repo",
        ErrorKind::NotFound,
        "there is no repository",
    ),
    (
        "not exported",
        ErrorKind::NotFound,
        "there is no repository",
    ),
    (
        "Repository not found",
        ErrorKind::NotFound,
        "there is no repository",
    ),
    ("error: 404", ErrorKind::NotFound, "there is no repository"),
    (
        "not our ref",
        ErrorKind::NotFound,
        "it does not have the commit",
    ),
    (
        "unadvertised object",
        ErrorKind::NotFound,
        "it does not have the commit",
    ),
    (
        "find remote ref",
        ErrorKind::NotFound,
        "it does not have the reference",
    ),
    (
        "hung up",
        ErrorKind::Unreachable,
        "the connection broke, or there is no repository",
    ),
    (
        "access rights",
        ErrorKind::Unreachable,
        "the connection broke, or there is no repository",
    ),
];

/// The error that `said` means, of a command that spoke to `remote`.
pub(super) fn of(remote: &Remote, said: &str) -> Error {
    let meaning = MEANINGS.iter().find(|(part, _, _)| said.contains(part));
    let (kind, why) = match meaning {
        Some((_, kind, why)) => (*kind, (*why).to_owned()),
        None => (ErrorKind::Io, last(said)),
    };
    let verb = match kind {
        ErrorKind::Unreachable => "cannot be reached: ",
        _ => "",
    };
    let mut error = Error::new(kind, format!("`{remote}`: {verb}{why}"));
    if meaning.is_some() && !said.trim().is_empty() {
        error = error.because(clean(said));
    }
    match kind {
        ErrorKind::Denied if said.contains("Host key") => {
            error.hint("put the host's key into `known_hosts` of ssh: `ssh-keyscan HOST`")
        }
        ErrorKind::Denied if remote.is_ssh() => {
            error.hint("keys are those of the agent that `--ssh default` names")
        }
        ErrorKind::Denied => error.hint("give a token with `--secret id=GIT_AUTH_TOKEN`"),
        _ => error,
    }
}

/// Whether it failed because it was sent elsewhere.
pub(super) fn is_redirect(said: &str) -> bool {
    let codes = ["301", "302", "303", "307", "308"];
    codes
        .iter()
        .any(|code| said.contains(&format!("error: {code}")))
}

/// The last line that says something.
fn last(said: &str) -> String {
    let said = clean(said);
    let mut lines = said.lines().rev().map(str::trim).filter(|l| !l.is_empty());
    lines
        .next()
        .unwrap_or("git failed and did not say why")
        .to_owned()
}

/// Without control characters but ends of lines, and not too much.
fn clean(said: &str) -> String {
    let end = said.len().saturating_sub(2000);
    let start = (end..said.len()).find(|at| said.is_char_boundary(*at));
    let said = &said[start.unwrap_or(said.len())..];
    let plain = |c: char| if c == '\n' || !c.is_control() { c } else { ' ' };
    said.trim().chars().map(plain).collect()
}
