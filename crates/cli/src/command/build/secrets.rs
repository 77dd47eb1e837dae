//! `--secret` and `--ssh`: what RUNs may ask for. Each is read or looked at before anything is built, so
//! that a mistake is told at once. Refuses to read anything again.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use kiln_build::{Error, RunSettings, Secret, Secrets};

use super::{agents::Sockets, files};
use crate::{failure::Failure, host};

/// What RUNs may ask for.
#[derive(Args)]
#[command(next_help_heading = "What RUNs may reach and ask for")]
pub(crate) struct Given {
    /// A secret for `RUN --mount=type=secret`: from a file, or from a variable
    #[arg(long = "secret", value_name = "id=ID[,src=FILE|env=NAME]")]
    secrets: Vec<String>,
    /// The SSH agent for `RUN --mount=type=ssh`: that of SSH_AUTH_SOCK, the one at a socket, or one
    /// for keys without a passphrase
    #[arg(long, value_name = "default|ID[=SOCKET|KEY,…]")]
    ssh: Vec<String>,
    /// Do not fail when a layer contains the value of a secret
    #[arg(long)]
    allow_secret_in_layer: bool,
}

impl Given {
    /// Reads each once: it may be a pipe.
    pub(super) fn read(&self) -> Result<RunSettings, Failure> {
        let mut secrets = BTreeMap::new();
        for text in &self.secrets {
            let (id, from) = parse(text).map_err(|e| e.before("--secret: ").code(125))?;
            secrets.insert(id, from.read().map_err(|e| e.before("--secret: "))?);
        }
        Ok(RunSettings {
            secrets: Arc::new(Read(secrets)),
            agents: Arc::new(Sockets::read(&self.ssh)?),
            allow_secret_in_layer: self.allow_secret_in_layer,
            ..RunSettings::default()
        })
    }
}

/// Where a secret comes from.
#[derive(Debug, PartialEq, Eq)]
enum From {
    File(PathBuf),
    Variable(String),
    /// The variable of this name where there is one, else the file.
    Either(String),
}

fn parse(text: &str) -> Result<(String, From), Failure> {
    let (mut id, mut file, mut variable, mut kind) = (None, None, None, None);
    for field in super::csv::fields(text).map_err(Failure::new)? {
        let Some((key, value)) = field.split_once('=') else {
            return Err(Failure::new(format!("`{field}` has no value"))
                .hint("for example id=token,src=token.txt"));
        };
        let place = match key.to_lowercase().as_str() {
            "id" => &mut id,
            "src" | "source" => &mut file,
            "env" => &mut variable,
            "type" => &mut kind,
            other => {
                return Err(Failure::new(format!("there is no `{other}`"))
                    .hint("there are: id, src, env, type"));
            }
        };
        *place = Some(value.to_owned());
    }
    let id = id.filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| Failure::new(format!("`{text}` has no id")))?;
    let from = match (kind.as_deref(), file, variable) {
        (Some("file" | "env") | None, Some(_), Some(_)) => {
            return Err(Failure::new(format!(
                "`{text}` names a file and a variable"
            )));
        }
        (Some("env"), Some(name), None) | (Some("env") | None, None, Some(name)) => {
            From::Variable(name)
        }
        (Some("env"), None, None) => From::Variable(id.clone()),
        (Some("file") | None, Some(path), None) => From::File(path.into()),
        (Some("file"), None, None) => From::File(id.clone().into()),
        (Some("file"), None, Some(_)) => {
            return Err(Failure::new(format!(
                "`{text}` is a file and names a variable"
            )));
        }
        (None, None, None) => From::Either(id.clone()),
        (Some(other), ..) => {
            return Err(
                Failure::new(format!("there is no type `{other}`")).hint("there are: file, env")
            );
        }
    };
    Ok((id, from))
}

impl From {
    fn read(&self) -> Result<Secret, Failure> {
        match self {
            From::File(path) => file(path),
            From::Either(name) => match env::var_os(name) {
                Some(value) => Ok(Secret::new(value.into_encoded_bytes())),
                None => file(Path::new(name)).map_err(|e| {
                    e.hint(format!(
                        "there is no variable `{name}` either; say src= or env="
                    ))
                }),
            },
            // Docker takes a variable that is not set for an empty one.
            From::Variable(name) => Ok(Secret::new(match env::var_os(name) {
                Some(value) => value.into_encoded_bytes(),
                None => {
                    host::say(&format!(
                        "--secret: the variable `{name}` is not set: it is empty"
                    ));
                    Vec::new()
                }
            })),
        }
    }
}

fn file(path: &Path) -> Result<Secret, Failure> {
    let read = files::limited(path).map(Secret::new);
    read.map_err(|e| Failure::new(format!("read `{}`", path.display())).because(&e))
}

/// Secrets that were read.
struct Read(BTreeMap<String, Secret>);

impl Secrets for Read {
    fn get(&self, id: &str) -> Result<Option<Secret>, Error> {
        Ok(self.0.get(id).cloned())
    }

    fn ids(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_secret_flag_says() {
        let file = |path: &str| From::File(path.into());
        let variable = |name: &str| From::Variable(name.to_owned());
        for (text, id, from) in [
            ("id=x,src=a/b", "x", file("a/b")),
            ("source=a,id=x", "x", file("a")),
            ("id=x,env=V", "x", variable("V")),
            ("type=env,id=x", "x", variable("x")),
            ("type=env,id=x,src=V", "x", variable("V")),
            ("type=file,id=x", "x", file("x")),
            ("id=x", "x", From::Either("x".to_owned())),
        ] {
            let found = parse(text).unwrap_or_else(|_| panic!("{text}"));
            assert_eq!(found, (id.to_owned(), from), "{text}");
        }
        for text in [
            "",
            "x",
            "src=x",
            "id=",
            "id=x,type=y",
            "id=x,y=z",
            "id=x,src=a,env=b",
            "id=x,type=file,env=b",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
