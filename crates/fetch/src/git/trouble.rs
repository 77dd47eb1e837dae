//! What git says when it fails, as an error. Refuses to hand on control characters: they come from the
//! other side. No IO.

use super::remote::Remote;
use crate::{Error, ErrorKind};

/// How git tells that the disk is full.
pub(super) const FULL: &str = "No space left on device";

/// What is in the text, and what it means.
const MEANINGS: &[(&str, ErrorKind, &str)] = &[
    (FULL, ErrorKind::Full, "the disk is full"),
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
    (
        "non-properly terminated",
        ErrorKind::Unreachable,
        "the connection broke",
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

/// Without control characters but ends of lines, without what tells how far it is, and not too much.
pub(super) fn clean(said: &str) -> String {
    let end = said.len().saturating_sub(2000);
    let start = (end..said.len()).find(|at| said.is_char_boundary(*at));
    let said = &said[start.unwrap_or(said.len())..];
    let is_progress = |line: &str| {
        let line = line.trim_end();
        line.contains("% (") || line.ends_with(", done.") || line.starts_with("remote: Total ")
    };
    let lines = said.split(['\n', '\r']).map(str::trim_end);
    let lines = lines.filter(|line| !line.is_empty() && !is_progress(line));
    let lines: Vec<&str> = lines.collect();
    let plain = |c: char| if c == '\n' || !c.is_control() { c } else { ' ' };
    lines.join("\n").chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_it() {
        let remote = Remote::parse("https://h/x").unwrap();
        let said = "remote: Counting objects:  25% (1/4)\rremote: Counting objects: 100% (4/4), done.\n\
                    remote: Total 4 (delta 0)\nremote: \u{1b}[31mred\nfatal: odd\n";
        let e = of(&remote, said);
        assert_eq!(
            (e.kind(), e.to_string()),
            (ErrorKind::Io, "`https://h/x`: fatal: odd".to_owned())
        );
        assert_eq!(clean(said), "remote:  [31mred\nfatal: odd");
        for (said, kind) in [
            ("fatal: No space left on device", ErrorKind::Full),
            (
                "SSL certificate problem: self-signed",
                ErrorKind::Unreachable,
            ),
            ("Protocol \"http\" disabled in libcurl", ErrorKind::Refused),
            ("The requested URL returned error: 404", ErrorKind::NotFound),
            ("fatal: transport 'file' not allowed", ErrorKind::Refused),
        ] {
            assert_eq!(of(&remote, said).kind(), kind, "{said}");
        }
        assert!(is_redirect("The requested URL returned error: 301"));
        assert!(!is_redirect("The requested URL returned error: 404"));
    }
}
