//! Credential helpers: `docker-credential-<suffix> get|store|erase`, the server on stdin, JSON on
//! stdout; what is to be stored is JSON on stdin.
//! Refuses suffixes that would name a program elsewhere.

use std::{
    io::{ErrorKind as IoKind, Write},
    process::{Command, Stdio},
};

use kiln_image::{Error, ErrorKind};
use serde::Deserialize;
use serde_json::json;

use crate::{Credential, Secret};

/// What helpers say when they have nothing for a server.
const ABSENT: &str = "credentials not found in native keychain";
/// The user name that says that the secret is a refresh token.
const TOKEN: &str = "<token>";

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username", default)]
    username: String,
    #[serde(rename = "Secret", default)]
    secret: String,
}

/// Asks the helper for the credential of a server.
pub(crate) fn get(suffix: &str, server: &str) -> Result<Option<Credential>, Error> {
    let Some(output) = ask(suffix, "get", server.as_bytes())? else {
        return Ok(None);
    };
    // The text of a JSON error may contain part of the secret.
    let answer: Answer = serde_json::from_slice(&output)
        .map_err(|_| failed(suffix, "its answer is not readable"))?;
    Ok(match (answer.username.as_str(), answer.secret) {
        ("", secret) if secret.is_empty() => None,
        (TOKEN, secret) => Some(Credential::Identity(Secret::new(secret))),
        (user, secret) => Some(Credential::Basic {
            user: user.to_owned(),
            password: Secret::new(secret),
        }),
    })
}

/// Has the helper keep a credential for a server.
pub(crate) fn store(suffix: &str, server: &str, credential: &Credential) -> Result<(), Error> {
    let (user, secret) = match credential {
        Credential::Basic { user, password } => (user.as_str(), password),
        Credential::Identity(token) => (TOKEN, token),
        Credential::Bearer(_) => return Err(failed(suffix, "it keeps no access tokens")),
    };
    let said = json!({"ServerURL": server, "Username": user, "Secret": secret.reveal()});
    ask(suffix, "store", said.to_string().as_bytes()).map(drop)
}

/// Has the helper forget the credential of a server.
pub(crate) fn erase(suffix: &str, server: &str) -> Result<(), Error> {
    ask(suffix, "erase", server.as_bytes()).map(drop)
}

fn program(suffix: &str) -> String {
    format!("docker-credential-{suffix}")
}

fn failed(suffix: &str, why: &str) -> Error {
    let program = program(suffix);
    Error::new(
        ErrorKind::Denied,
        format!("credential helper `{program}`: {why}"),
    )
}

/// Runs the helper; `None` when it says that it has nothing.
fn ask(suffix: &str, verb: &str, input: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    if suffix.is_empty() || suffix.contains(['/', '\\']) {
        return Err(failed(suffix, "not the name of a program"));
    }
    let spawned = Command::new(program(suffix))
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(e) if e.kind() == IoKind::NotFound => {
            let why = "it is not installed, and the configuration names it";
            return Err(failed(suffix, why));
        }
        Err(e) => return Err(failed(suffix, "it cannot be started").because(e)),
    };
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read has its reasons, and says them below.
        let _ = stdin.write_all(input);
    }
    let output = child
        .wait_with_output()
        .map_err(|e| failed(suffix, "it cannot be read").because(e))?;
    if output.status.success() {
        return Ok(Some(output.stdout));
    }
    // Helpers print errors on stdout.
    let said = String::from_utf8_lossy(&output.stdout);
    if said.trim() == ABSENT {
        return Ok(None);
    }
    let line: String = said
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect();
    let why = format!("it failed ({}): {line}", output.status);
    Err(failed(suffix, &why))
}
