//! `--ssh`: agents by their sockets, and keys in files, which an agent of OpenSSH's own is started for.
//! It lives as long as this program, however that ends, and nobody but its user can ask it. Refuses to
//! read a key's passphrase.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use kiln_build::{Agents, Error, ErrorKind, Secret, Talk};

use super::files;
use crate::failure::Failure;

/// Agents by their sockets, those that were started for this build among them.
#[derive(Default)]
pub(super) struct Sockets {
    all: BTreeMap<String, PathBuf>,
    started: Vec<Started>,
}

impl Sockets {
    /// Reads what the flags say.
    pub(super) fn read(flags: &[String]) -> Result<Self, Failure> {
        let mut sockets = Self::default();
        for text in flags {
            sockets.add(text).map_err(|e| e.before("--ssh: "))?;
        }
        Ok(sockets)
    }

    /// `ID`, `ID=SOCKET` or `ID=KEY,KEY`.
    fn add(&mut self, text: &str) -> Result<(), Failure> {
        let (id, paths) = match text.split_once('=') {
            Some((id, paths)) => (id, Some(paths)),
            None => (text, None),
        };
        let id = match id {
            "" => "default",
            id => id,
        };
        let socket = match paths {
            None => usual(id)?,
            Some(paths) => {
                let paths: Vec<&str> = paths.split(',').collect();
                match &paths[..] {
                    [only] if is_socket(Path::new(only))? => PathBuf::from(only),
                    keys => self.start(keys)?,
                }
            }
        };
        self.all.insert(id.to_owned(), socket);
        Ok(())
    }

    fn start(&mut self, keys: &[&str]) -> Result<PathBuf, Failure> {
        let mut read = Vec::new();
        for path in keys {
            if path.starts_with("raw=") {
                let what = format!("`{path}`: a socket that is no agent's is not handed on");
                return Err(Failure::new(what));
            }
            if is_socket(Path::new(path))? {
                let what = format!("`{path}` is a socket: one agent has a name of its own");
                return Err(Failure::new(what).hint("say --ssh once for each, with other ids"));
            }
            let failed = |e| Failure::new(format!("read `{path}`")).because(&e);
            let key = Secret::new(files::limited(Path::new(path)).map_err(failed)?);
            read.push((*path, key));
        }
        let agent = Started::new()?;
        for (path, key) in &read {
            agent.load(path, key)?;
        }
        let socket = agent.socket.clone();
        self.started.push(agent);
        Ok(socket)
    }
}

/// The agent of this session.
fn usual(id: &str) -> Result<PathBuf, Failure> {
    let Some(path) = env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()) else {
        return Err(
            Failure::new(format!("there is no agent for `{id}`")).hint(format!(
                "SSH_AUTH_SOCK is not set: start one with eval $(ssh-agent), or name a key: --ssh {id}=KEY"
            )),
        );
    };
    let path = PathBuf::from(path);
    match is_socket(&path)? {
        true => Ok(path),
        false => {
            let what = format!("`{}` is not the socket of an agent", path.display());
            Err(Failure::new(what).hint("SSH_AUTH_SOCK names it"))
        }
    }
}

fn is_socket(path: &Path) -> Result<bool, Failure> {
    let failed = |e| Failure::new(format!("look at `{}`", path.display())).because(&e);
    let meta = fs::metadata(path).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        Ok(meta.file_type().is_socket())
    }
    #[cfg(not(unix))]
    {
        let _ = meta;
        Ok(false)
    }
}

/// An agent without keys, until nobody holds the other end of the shell's input: that is so when this
/// program has ended, killed or not. The agent makes its socket where only its user can go, tells
/// where, and takes it away in the end. Its output is its alone, so that it ends where there is none.
const AGENT: &str =
    "trap '' INT QUIT HUP TERM; ssh-agent -D -s & exec >&-; cat >/dev/null; kill $!; wait $!";

/// An agent of OpenSSH's that was started for this build.
struct Started {
    child: Child,
    socket: PathBuf,
    /// Held open for what it may still say.
    _out: Option<BufReader<ChildStdout>>,
}

impl Started {
    fn new() -> Result<Self, Failure> {
        let failed = |e: io::Error| Failure::new("start `ssh-agent`").because(&e);
        let mut child = Command::new("sh")
            .args(["-c", AGENT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let mut line = String::new();
        let mut out = child.stdout.take().map(BufReader::new);
        if let Some(out) = &mut out {
            out.read_line(&mut line).map_err(failed)?;
        }
        let socket = line
            .strip_prefix("SSH_AUTH_SOCK=")
            .and_then(|rest| rest.split_once(';'));
        let path = socket.map(|(path, _)| PathBuf::from(path));
        let agent = Self {
            child,
            socket: path.clone().unwrap_or_default(),
            _out: out,
        };
        match path {
            Some(_) => Ok(agent),
            None => Err(missing("ssh-agent")),
        }
    }

    /// Gives it a key.
    fn load(&self, path: &str, key: &Secret) -> Result<(), Failure> {
        let mut add = Command::new("ssh-add");
        // Nobody is asked for a passphrase: who answers is a program that fails.
        add.args(["-q", "-"])
            .env("SSH_AUTH_SOCK", &self.socket)
            .env("SSH_ASKPASS", "false")
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut add = add.spawn().map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => missing("ssh-add"),
            _ => Failure::new("start `ssh-add`").because(&e),
        })?;
        if let Some(mut input) = add.stdin.take() {
            // One that does not read it says why.
            let _ = input.write_all(key.bytes());
        }
        let said = add.wait_with_output();
        let said = said.map_err(|e| Failure::new("wait for `ssh-add`").because(&e))?;
        if said.status.success() {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&said.stderr);
        let why = why.trim().replace("(stdin)", path);
        let failure = Failure::new(format!("`{path}` is no key that can be loaded"));
        let failure = match why.is_empty() {
            true => failure,
            false => failure.because(&io::Error::other(why)),
        };
        Err(failure.hint(format!(
            "one with a passphrase is for an agent: eval $(ssh-agent); ssh-add {path}; then --ssh default"
        )))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // The end of its input is the end of the agent.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn missing(program: &str) -> Failure {
    let what = format!("there is no `{program}`, which keys in files need");
    Failure::new(what).hint("install it (Debian: openssh-client), or give the socket of an agent")
}

impl Agents for Sockets {
    #[cfg(unix)]
    fn connect(&self, id: &str) -> Result<Option<Box<dyn Talk>>, Error> {
        let Some(path) = self.all.get(id) else {
            return Ok(None);
        };
        match std::os::unix::net::UnixStream::connect(path) {
            Ok(stream) => Ok(Some(Box::new(stream))),
            Err(e) => Err(Error::new(
                ErrorKind::Io,
                format!("connect to the SSH agent `{id}` at `{}`", path.display()),
            )
            .because(e)),
        }
    }

    #[cfg(not(unix))]
    fn connect(&self, id: &str) -> Result<Option<Box<dyn Talk>>, Error> {
        match self.has(id) {
            true => Err(Error::new(
                ErrorKind::Unsupported,
                "SSH agents need a unix system",
            )),
            false => Ok(None),
        }
    }

    fn has(&self, id: &str) -> bool {
        self.all.contains_key(id)
    }
}
