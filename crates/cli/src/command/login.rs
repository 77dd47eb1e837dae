//! `kiln login`: asks who one is, asks the registry whether that is so, and keeps it.

use std::{
    env,
    io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _},
    process::ExitCode,
};

use clap::Args;
use kiln_build::registry::{Client, Credential, DockerConfig, Endpoint, Kept, Options, Secret};

use crate::{failure::Failure, host, terminal};

/// What docker calls its own registry where it keeps credentials.
const HUB: &str = "https://index.docker.io/v1/";

#[derive(Args)]
pub(crate) struct Login {
    /// The registry; Docker Hub where none is given
    #[arg(value_name = "HOST[:PORT]")]
    server: Option<String>,
    /// The user's name
    #[arg(short, long)]
    username: Option<String>,
    /// The password, for all on this machine to see: better is --password-stdin
    #[arg(short, long, conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

impl Login {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let server = Server::parse(self.server.as_deref())?;
        if self.password.is_some() {
            host::say("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
        }
        let options = Options::usual(&|name| env::var_os(name));
        let client = Client::new(options.clone());
        let mut known = None;
        if self.username.is_none() && self.password.is_none() && !self.password_stdin {
            let found = options.credentials.get(&server.name, "")?;
            if let Some(credential) = found {
                host::say("Authenticating with existing credentials...");
                match client.login(&server.name, &credential) {
                    Ok(()) => {
                        host::print("Login Succeeded\n")?;
                        return Ok(ExitCode::SUCCESS);
                    }
                    Err(e) => host::say(&format!("Login did not succeed: {e}")),
                }
                known = match credential {
                    Credential::Basic { user, .. } => Some(user),
                    _ => None,
                };
            }
        }
        let credential = self.asked(&server, known.as_deref())?;
        client.login(&server.name, &credential)?;
        let kept =
            DockerConfig::usual(&|name| env::var_os(name)).keep(&server.name, &credential)?;
        if let Kept::File(path) = kept {
            host::say(&format!(
                "WARNING! Your credentials are stored unencrypted in '{}'.\n\
                 A credential helper, named there by `credsStore`, removes this warning.",
                path.display()
            ));
        }
        if env::var_os("DOCKER_AUTH_CONFIG").is_some_and(|v| !v.is_empty()) {
            host::say("warning: $DOCKER_AUTH_CONFIG is set, and goes before what was stored now");
        }
        host::print("Login Succeeded\n")?;
        Ok(ExitCode::SUCCESS)
    }

    /// What the flags say, and the person at the terminal where they do not.
    fn asked(&self, server: &Server, known: Option<&str>) -> Result<Credential, Failure> {
        if self.password_stdin && self.username.is_none() {
            return Err(Failure::new(
                "must provide --username with --password-stdin",
            ));
        }
        let asks = self.username.is_none() || (self.password.is_none() && !self.password_stdin);
        if asks && !io::stdin().is_terminal() {
            return Err(
                Failure::new("cannot perform an interactive login from a non TTY device")
                    .hint("give the name by -u, and the password by --password-stdin"),
            );
        }
        let user = match &self.username {
            Some(name) => name.clone(),
            None => name(server, known)?,
        };
        if user.is_empty() {
            return Err(Failure::new("a user name is required"));
        }
        let password = match &self.password {
            Some(password) => password.clone(),
            None if self.password_stdin => from_stdin()?,
            None => terminal::ask_unseen("Password: ")?,
        };
        if password.is_empty() {
            return Err(Failure::new("a password is required"));
        }
        Ok(Credential::Basic {
            user,
            password: Secret::new(password),
        })
    }
}

/// Asks for the user's name; `known` is the one that an empty answer means.
fn name(server: &Server, known: Option<&str>) -> Result<String, Failure> {
    if server.name == "docker.io" {
        host::say(
            "Log in to Docker Hub with your Docker ID, and a password or an access token.\n\
             (Logging in through a browser is not supported.)",
        );
    }
    let failed = |e: io::Error| Failure::new("read the user name").because(&e);
    let mut err = io::stderr().lock();
    match known {
        Some(known) => write!(err, "Username ({known}): "),
        None => write!(err, "Username: "),
    }
    .and_then(|()| err.flush())
    .map_err(failed)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(failed)?;
    let answer = line.trim();
    Ok(match (answer, known) {
        ("", Some(known)) => known.to_owned(),
        _ => answer.to_owned(),
    })
}

/// The password is all of standard input, but for the end of its line.
fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    io::stdin()
        .lock()
        .read_to_string(&mut text)
        .map_err(|e| Failure::new("read the password from standard input").because(&e))?;
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(text)
}

/// A registry to log in to.
pub(super) struct Server {
    /// As references have it: `docker.io`, `host:port`.
    pub(super) name: String,
}

impl Server {
    /// A `host[:port]`, with the scheme and the version of the API that docker once had people
    /// write.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, Failure> {
        let text = text.unwrap_or("docker.io");
        let bare = text
            .strip_prefix("https://")
            .or(text.strip_prefix("http://"));
        let bare = bare.unwrap_or(text).trim_end_matches('/');
        let bare = bare
            .strip_suffix("/v1")
            .or(bare.strip_suffix("/v2"))
            .unwrap_or(bare);
        let name = match bare {
            "index.docker.io" | "registry-1.docker.io" => "docker.io",
            other => other,
        };
        let bad = || {
            let what = format!("`{}` is not a registry", text.escape_debug());
            Failure::new(what).hint("a registry is named by its host: `registry.example.com:5000`")
        };
        if name.is_empty()
            || name.contains(['/', '@', '?', '#'])
            || name.contains(char::is_whitespace)
        {
            return Err(bad());
        }
        Endpoint::new(&format!("https://{name}")).map_err(|_| bad())?;
        Ok(Self {
            name: name.to_owned(),
        })
    }

    /// As docker shows it.
    pub(super) fn shown(&self) -> &str {
        match self.name.as_str() {
            "docker.io" => HUB,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_as_people_write_them() {
        for (text, name) in [
            (None, Some("docker.io")),
            (Some(HUB), Some("docker.io")),
            (Some("registry-1.docker.io"), Some("docker.io")),
            (Some("x.y:5000"), Some("x.y:5000")),
            (Some("http://x.y:5000/"), Some("x.y:5000")),
            (Some("https://x.y/v2/"), Some("x.y")),
            (Some("[::1]:5000"), Some("[::1]:5000")),
            (Some("x.y/team"), None),
            (Some("me@x.y"), None),
            (Some("x y"), None),
            (Some(""), None),
            (Some("x.y:port"), None),
        ] {
            let parsed = Server::parse(text).ok().map(|s| s.name);
            assert_eq!(parsed.as_deref(), name, "{text:?}");
        }
    }
}
