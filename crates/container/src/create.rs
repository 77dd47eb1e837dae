//! What a container is to be: the caller's wishes over the image's config, as docker puts them
//! together. Pure.

use std::collections::BTreeMap;

use kiln_image::{Digest, Runtime};
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, HostConfig, Stdin};

/// The search path where neither image nor caller gives one (docker's).
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The image that a container is made of.
#[derive(Clone, Debug)]
pub struct Base {
    /// Its id, the digest of its config.
    pub id: Digest,
    /// What the caller called it.
    pub name: String,
    /// The diff ids of its layers, the bottom first.
    pub layers: Vec<Digest>,
    /// What it says about running.
    pub config: Runtime,
}

/// What a container is to be.
#[derive(Clone, Debug)]
pub struct Create {
    /// The image.
    pub image: Base,
    /// Its name; one is drawn where `None`.
    pub name: Option<String>,
    /// Takes the place of the image's command; empty for that.
    pub command: Vec<String>,
    /// Takes the place of the image's entrypoint, and of its command; empty for none at all.
    pub entrypoint: Option<Vec<String>>,
    /// Over the image's environment, in order; `None` takes a variable away.
    pub env: Vec<(String, Option<String>)>,
    /// Takes the place of the image's working directory.
    pub workdir: Option<String>,
    /// Takes the place of the image's user.
    pub user: Option<String>,
    /// Over the image's labels.
    pub labels: BTreeMap<String, String>,
    /// Remove it when it has ended; also when its program died before it could.
    pub remove: bool,
    /// With a terminal.
    pub terminal: bool,
    /// Whether its process has a standard input.
    pub stdin: Stdin,
    /// What it asks of the machine.
    pub host: HostConfig,
}

impl Create {
    /// A container of `image` as the image says.
    pub fn new(image: Base) -> Self {
        Self {
            image,
            name: None,
            command: Vec::new(),
            entrypoint: None,
            env: Vec::new(),
            workdir: None,
            user: None,
            labels: BTreeMap::new(),
            remove: false,
            terminal: false,
            stdin: Stdin::Closed,
            host: HostConfig::default(),
        }
    }
}

/// The process of a container, before names of users are looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// The environment, but for HOME where nobody says what it is.
    pub env: Vec<(String, String)>,
    /// Where it starts.
    pub cwd: String,
    /// `user[:group]`, by name or number; empty for root.
    pub user: String,
    /// With a terminal.
    pub terminal: bool,
    /// Whether it has a standard input.
    pub stdin: Stdin,
}

/// The first twelve digits of an id, as people see it and as the host is called inside.
pub(crate) fn short(id: &str) -> &str {
    &id[..id.len().min(12)]
}

/// What runs in the container `id`.
pub(crate) fn command(id: &str, create: &Create) -> Result<Command, Error> {
    let config = &create.image.config;
    Ok(Command {
        argv: argv(create)?,
        env: env(id, create),
        cwd: workdir(create.workdir.as_deref().unwrap_or(&config.working_dir))?,
        user: create.user.clone().unwrap_or_else(|| config.user.clone()),
        terminal: create.terminal,
        stdin: create.stdin,
    })
}

/// The image's configuration with the caller's wishes over it, as `inspect` shows it and a commit
/// takes it over.
pub(crate) fn config(create: &Create, command: &Command) -> Runtime {
    let mut config = create.image.config.clone();
    match (&create.entrypoint, create.command.is_empty()) {
        (Some(entrypoint), _) => {
            config.entrypoint = (!entrypoint.is_empty()).then(|| entrypoint.clone());
            config.cmd = (!create.command.is_empty()).then(|| create.command.clone());
        }
        (None, false) => config.cmd = Some(create.command.clone()),
        (None, true) => {}
    }
    let pair = |(name, value): &(String, String)| format!("{name}={value}");
    // The name of the machine and the kind of the terminal are this container's alone.
    let own = |(name, _): &&(String, String)| name != "HOSTNAME" && name != "TERM";
    config.env = command.env.iter().filter(own).map(pair).collect();
    config.working_dir.clone_from(&command.cwd);
    if command.cwd == "/" && create.workdir.is_none() {
        config
            .working_dir
            .clone_from(&create.image.config.working_dir);
    }
    config.user.clone_from(&command.user);
    config.labels.extend(create.labels.clone());
    if let Some(signal) = &create.host.stop_signal {
        config.stop_signal = Some(signal.clone());
    }
    config
}

fn argv(create: &Create) -> Result<Vec<String>, Error> {
    let config = &create.image.config;
    let given = (!create.command.is_empty()).then(|| create.command.clone());
    let (entrypoint, command) = match &create.entrypoint {
        Some(entrypoint) => (entrypoint.clone(), given),
        None => (
            config.entrypoint.clone().unwrap_or_default(),
            given.or_else(|| config.cmd.clone()),
        ),
    };
    let argv = [entrypoint, command.unwrap_or_default()].concat();
    match argv.first().map(String::as_str) {
        None | Some("") => Err(Error::new(ErrorKind::Invalid, "no command specified")
            .hint("the image has no ENTRYPOINT and no CMD: give a command after its name")),
        Some(_) => Ok(argv),
    }
}

/// docker's order: the defaults, then the image's, then the caller's; in place where one is there.
fn env(id: &str, create: &Create) -> Vec<(String, String)> {
    let mut env: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: Option<&str>| {
        let at = env.iter().position(|(known, _)| known == name);
        match (at, value) {
            (Some(at), Some(value)) => value.clone_into(&mut env[at].1),
            (None, Some(value)) => env.push((name.to_owned(), value.to_owned())),
            (Some(at), None) => drop(env.remove(at)),
            (None, None) => {}
        }
    };
    set("PATH", Some(PATH));
    set("HOSTNAME", Some(short(id)));
    if create.terminal {
        set("TERM", Some("xterm"));
    }
    for pair in &create.image.config.env {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        set(name, Some(value));
    }
    for (name, value) in &create.env {
        set(name, value.as_deref());
    }
    env
}

fn workdir(text: &str) -> Result<String, Error> {
    if text.is_empty() {
        return Ok("/".to_owned());
    }
    if !text.starts_with('/') {
        let what =
            format!("the working directory '{text}' is invalid, it needs to be an absolute path");
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Ok(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef";

    fn create(entrypoint: &[&str], cmd: &[&str]) -> Create {
        let list = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            (!words.is_empty()).then_some(words)
        };
        let config = Runtime {
            entrypoint: list(entrypoint),
            cmd: list(cmd),
            env: vec!["A=image".into(), "B=image".into(), "PATH=/image".into()],
            ..Runtime::default()
        };
        Create::new(Base {
            id: Digest::sha256(b""),
            name: "image".into(),
            layers: Vec::new(),
            config,
        })
    }

    #[test]
    fn what_runs() {
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        for (entrypoint, cmd, given_entrypoint, given, expected) in [
            ("e", "c", None, "", "e c"),
            ("e", "c", None, "x y", "e x y"),
            ("", "c", None, "", "c"),
            ("e", "c", Some("n"), "", "n"),
            ("e", "c", Some("n"), "x", "n x"),
            ("e", "c", Some(""), "x", "x"),
        ] {
            let (e, c): (Vec<_>, Vec<_>) = (
                entrypoint.split_whitespace().collect(),
                cmd.split_whitespace().collect(),
            );
            let mut create = create(&e, &c);
            create.entrypoint = given_entrypoint.map(words);
            create.command = words(given);
            assert_eq!(argv(&create).unwrap().join(" "), expected);
        }
        for given in [None, Some(Vec::new())] {
            let mut create = create(&[], if given.is_some() { &["c"] } else { &[] });
            create.entrypoint = given;
            let error = argv(&create).unwrap_err();
            assert_eq!(
                (error.to_string().as_str(), error.docker_code()),
                ("no command specified", 125)
            );
        }
    }

    #[test]
    fn environment_in_dockers_order() {
        let mut create = create(&[], &["c"]);
        create.env = vec![
            ("B".into(), Some("mine".into())),
            ("C".into(), Some("a=b".into())),
            ("A".into(), None),
        ];
        create.terminal = true;
        let env = env(ID, &create);
        let text: Vec<String> = env.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            text,
            [
                "PATH=/image",
                "HOSTNAME=0123456789ab",
                "TERM=xterm",
                "B=mine",
                "C=a=b"
            ]
        );
    }

    #[test]
    fn where_it_starts() {
        for (text, expected) in [
            ("", "/"),
            ("/", "/"),
            ("/a//b/../c/.", "/a/c"),
            ("/..", "/"),
        ] {
            assert_eq!(workdir(text).unwrap(), expected, "{text}");
        }
        assert!(
            workdir("a")
                .unwrap_err()
                .to_string()
                .contains("absolute path")
        );
    }
}
