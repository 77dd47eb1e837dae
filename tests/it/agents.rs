//! A real SSH agent in a step: its keys can be used there, and the bytes of the private one are nowhere:
//! not in the store, not in what is written, not in a process of kiln's nor one that it starts.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt as _, MetadataExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use kiln_tests::{
    kiln::{Kiln, said},
    until::so,
    who::everybody,
};

/// An agent with one key, until it is dropped.
struct Agent {
    child: Child,
    socket: PathBuf,
    /// What must be nowhere.
    seed: Vec<u8>,
    public: String,
}

impl Agent {
    /// `None` where there is none on this machine.
    fn start(kiln: &Kiln) -> Option<Self> {
        let folder = kiln.scratch().join("ssh");
        fs::create_dir(&folder).unwrap();
        let (socket, key) = (folder.join("socket"), folder.join("key"));
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "kiln-test", "-f"]);
        if keygen.arg(&key).status().is_err() {
            return None;
        }
        // An agent asks who calls: only its own user may.
        let owner = fs::metadata(kiln.scratch()).unwrap();
        let (uid, gid) = (owner.uid(), owner.gid());
        for path in [&folder, &key] {
            chown(path, Some(uid), Some(gid)).unwrap();
        }
        let theirs = |program: &str| {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", &uid.to_string(), "--regid", &gid.to_string()]);
            command.args(["--clear-groups", program]);
            command
        };
        let mut agent = theirs("ssh-agent");
        agent.arg("-D").arg("-a").arg(&socket);
        let child = agent.stdout(Stdio::null()).spawn().unwrap();
        so("an agent", || socket.exists());
        let mut add = theirs("ssh-add");
        add.env("SSH_AUTH_SOCK", &socket).arg("-q").arg(&key);
        assert_eq!(said(&mut add).code, 0);
        let public = fs::read_to_string(folder.join("key.pub")).unwrap();
        let seed = seed(&fs::read_to_string(&key).unwrap());
        fs::remove_file(&key).unwrap();
        Some(Self {
            child,
            socket,
            seed,
            public: public.trim().to_owned(),
        })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The 32 secret bytes of an ed25519 key, as OpenSSH writes it: after the last copy of the public ones
/// but one, which stands before them and behind them.
fn seed(file: &str) -> Vec<u8> {
    let text: String = file.lines().filter(|line| !line.starts_with('-')).collect();
    let digit = |byte: u8| {
        let all = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        all.iter().position(|b| *b == byte).unwrap_or(0) as u32
    };
    let mut bytes = Vec::new();
    for four in text.as_bytes().chunks(4) {
        let bits = four.iter().fold(0, |bits, byte| bits << 6 | digit(*byte));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
    }
    // A length of 64, then the secret bytes and the public ones.
    let mark = [0, 0, 0, 64];
    let at = bytes.windows(4).rposition(|four| four == mark).unwrap() + 4;
    let (seed, public) = (bytes[at..at + 32].to_vec(), &bytes[at + 32..at + 64]);
    assert!(bytes[..at].windows(32).any(|part| part == public));
    seed
}

fn has(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|part| part == needle)
}

/// The file below `folder` that has `needle` in it.
fn is_below(folder: &Path, needle: &[u8]) -> Option<PathBuf> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let (path, kind) = (entry.path(), entry.file_type().ok()?);
        let found = match kind.is_dir() {
            true => is_below(&path, needle),
            false => None,
        };
        if found.is_some() {
            return found;
        }
        if kind.is_file() && has(&fs::read(&path).unwrap_or_default(), needle) {
            return Some(path);
        }
    }
    None
}

/// Whether the memory of a process, what it was given, or its environment has `needle`.
fn is_in(pid: &str, needle: &[u8]) -> bool {
    let of = |name: &str| PathBuf::from(format!("/proc/{pid}/{name}"));
    let given = ["cmdline", "environ"].map(|name| fs::read(of(name)).unwrap_or_default());
    if given.iter().any(|bytes| has(bytes, needle)) {
        return true;
    }
    let Ok(memory) = File::open(of("mem")) else {
        return false;
    };
    let maps = fs::read_to_string(of("maps")).unwrap_or_default();
    let own = |line: &&str| line.contains(" rw") && !line.contains('/');
    let writable = maps.lines().filter(own);
    let mut ranges = writable.filter_map(|line| {
        let (from, to) = line.split(' ').next()?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some((number(from)?, number(to)?))
    });
    ranges.any(|(from, to)| {
        let size = usize::try_from(to - from).unwrap_or(0).min(64 << 20);
        let mut bytes = vec![0; size];
        let read = memory.read_at(&mut bytes, from).unwrap_or(0);
        has(&bytes[..read], needle)
    })
}

/// The processes that `which` says, by number and arguments.
fn processes(which: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if which(line.trim()) {
            found.push((pid, line));
        }
    }
    found
}

/// Whether a process is this one, or was started by it or by those whom it started.
fn is_of(pid: &str, first: u32) -> bool {
    let mut at = pid.to_owned();
    while at != first.to_string() {
        let status = fs::read_to_string(format!("/proc/{at}/status")).unwrap_or_default();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        match parent.map(str::trim) {
            None | Some("0" | "1") => return false,
            Some(parent) => at = parent.to_owned(),
        }
    }
    true
}

/// A program of this machine with what it needs, into a folder.
fn program(name: &str, to: &Path) {
    let path = format!("/usr/bin/{name}");
    let mut ldd = Command::new("ldd");
    let needs = said(ldd.arg(&path)).out;
    let libraries = needs
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    for file in libraries.chain([path.as_str()]) {
        let to = to.join(file.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(file, to).unwrap();
    }
}

#[test]
fn keys_can_be_used_and_are_nowhere() {
    everybody(|who, kiln| {
        let Some(agent) = Agent::start(kiln) else {
            println!("not run: there is no ssh-agent on this machine");
            return;
        };
        let time = format!("5.{:03}", who as u32 * 111 + 7);
        let text = format!(
            "FROM busybox
COPY root /
RUN --mount=type=ssh,required=true ssh-add -L > /listed && echo hi > /hi && \\
    ssh-keygen -Y sign -q -n file -f /listed /hi && ! ssh-add -D 2>/dev/null && sleep {time}
RUN test -z \"$SSH_AUTH_SOCK\" && test ! -e /run/buildkit && cat /listed
RUN --mount=type=ssh test $(stat -c %a:%u $SSH_AUTH_SOCK) = 600:0
RUN --mount=type=ssh,mode=0640 test $(stat -c %a $SSH_AUTH_SOCK) = 640
"
        );
        let context = kiln.context("app", &[("Dockerfile", &text)]);
        for name in ["ssh-add", "ssh-keygen"] {
            program(name, &context.join("root"));
        }
        let args = [
            "build",
            "--progress",
            "plain",
            "-t",
            "app",
            "--ssh",
            "default",
        ];
        let mut build = kiln.command(args.iter().copied().chain([context.to_str().unwrap()]));
        build.env("SSH_AUTH_SOCK", &agent.socket);
        let build = build.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let build = build.unwrap();
        let sleeps = format!("sleep {time}");
        so("the step sleeps", || {
            !processes(|line| line == sleeps).is_empty()
        });
        // It would be seen: this process knows it.
        assert!(is_in("self", &agent.seed));
        let mut looked = 0;
        for (pid, line) in processes(|_| true) {
            if is_of(&pid, build.id()) {
                assert!(!is_in(&pid, &agent.seed), "{line}");
                looked += 1;
            }
        }
        // kiln, who watches over the step, and the step.
        assert!(looked >= 3, "{looked}");
        let output = build.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{err}");
        // Its public half is, where it was asked for.
        assert!(err.contains(&agent.public), "{err}");
        assert!(!has(&output.stderr, &agent.seed));
        assert_eq!(is_below(&kiln.root(), &agent.seed), None);
        assert!(is_below(&kiln.root(), b"SSH SIGNATURE").is_some());
    });
}

#[test]
fn keys_in_files_have_an_agent_that_ends_with_the_build() {
    let agents = || processes(|line| line == "ssh-agent -D -s");
    everybody(|_, kiln| {
        let key = kiln.scratch().join("key");
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "kiln-test", "-f"]);
        if keygen.arg(&key).status().is_err() {
            println!("not run: there is no ssh-keygen on this machine");
            return;
        }
        let owner = fs::metadata(kiln.scratch()).unwrap();
        chown(&key, Some(owner.uid()), Some(owner.gid())).unwrap();
        let seed = seed(&fs::read_to_string(&key).unwrap());
        let public = fs::read_to_string(kiln.scratch().join("key.pub")).unwrap();
        let text = "FROM busybox
COPY root /
RUN --mount=type=ssh,id=mine ssh-add -L && sleep 1000
";
        let context = kiln.context("app", &[("Dockerfile", text)]);
        program("ssh-add", &context.join("root"));
        let flag = format!("mine={}", key.display());
        let context = context.to_str().unwrap();
        let mut build = kiln.command(["build", "--progress=plain", "--ssh", &flag, context]);
        let err = File::create(kiln.scratch().join("err")).unwrap();
        let mut build = build.stderr(err).stdout(Stdio::null()).spawn().unwrap();
        let said = || fs::read_to_string(kiln.scratch().join("err")).unwrap();
        so("the key is shown", || said().contains(public.trim()));
        let own = agents().into_iter().map(|(pid, _)| pid);
        let own: Vec<String> = own.filter(|pid| is_of(pid, build.id())).collect();
        assert_eq!(own.len(), 1);
        assert_eq!(is_below(&kiln.root(), &seed), None);
        // Nobody is left who has the key, however the build ends.
        build.kill().unwrap();
        build.wait().unwrap();
        so("the agent ends", || {
            !agents().iter().any(|(pid, _)| own.contains(pid))
        });
    });
}
