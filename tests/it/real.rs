//! Whole Dockerfiles as people write them, in `tests/real`: built as root, and some as a user who is
//! not; built again, when nothing is left to do; and what came of them put to work. What needs packages
//! from registries is not run where none can be reached, and says so.
#![allow(clippy::print_stdout)]

use std::{
    collections::BTreeMap,
    env, fs,
    net::{TcpStream, ToSocketAddrs as _},
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
    time::{Duration, Instant, SystemTime},
};

use kiln_tests::{
    base::busybox,
    kiln::{Kiln, Said, said},
    web::Web,
    who::Who,
};
use serde::Deserialize;

mod agent;

/// Who may read what is below `/private/` of the web server.
const KNOWN: &str = "builder:s3cret-0f9a";

/// `expect.toml` of a folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    /// What is tried, in one line.
    title: String,
    /// Whether it stands on `debian:bookworm-slim`.
    #[serde(default)]
    debian: bool,
    /// Whether registries of packages are needed.
    #[serde(default)]
    network: bool,
    /// Whether a user who is not root builds it too.
    #[serde(default)]
    users: bool,
    /// One after another, from one folder.
    build: Vec<Build>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    /// The name of the image.
    name: String,
    /// Between `kiln build -t NAME` and the folder; `{web}`, `{folder}` and `{agent}` are replaced.
    #[serde(default)]
    args: Vec<String>,
    /// The folder that is built, when it is not the whole.
    context: Option<String>,
    /// An upper bound of the image's size.
    size: Option<u64>,
    /// What has to be in the image's configuration; other keys are not looked at.
    #[serde(default)]
    config: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    check: Vec<Check>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    /// A command of kiln; `{image}` is replaced too.
    #[serde(default)]
    kiln: Vec<String>,
    /// Options of `kiln run --rm`.
    #[serde(default)]
    options: Vec<String>,
    /// A command in a container of the image, when there is none of kiln.
    run: Option<Vec<String>>,
    /// The whole of what it writes, without white space at either end.
    says: Option<String>,
    /// A part of what it writes.
    has: Option<String>,
    /// With which code it ends.
    #[serde(default)]
    code: i32,
}

/// A folder with what it asks for at hand.
struct Folder<'a> {
    kiln: &'a Kiln,
    path: PathBuf,
    web: Web,
    agent: PathBuf,
}

impl Folder<'_> {
    fn filled(&self, text: &str, image: &str) -> String {
        text.replace("{web}", &self.web.address())
            .replace("{folder}", self.path.to_str().unwrap())
            .replace("{agent}", self.agent.to_str().unwrap())
            .replace("{image}", image)
    }

    fn build(&self, build: &Build) -> Said {
        let folder = build.context.as_deref().unwrap_or("{folder}");
        let mut args = vec!["build".to_owned(), "--progress=plain".to_owned()];
        args.extend(["-t".to_owned(), build.name.clone()]);
        args.extend(build.args.iter().map(|arg| self.filled(arg, &build.name)));
        args.push(self.filled(folder, &build.name));
        self.kiln.run(args)
    }

    /// Builds twice and looks at the result; or what is wrong with it.
    fn story(&self, build: &Build) -> Result<String, String> {
        let start = Instant::now();
        let first = self.build(build);
        let (first, took) = (well(&first, 0)?, start.elapsed());
        let start = Instant::now();
        let again = well(&self.build(build), 0)?;
        let twice = start.elapsed();
        if let Some(line) = again.lines().find(|line| line.contains(", layer of ")) {
            return Err(format!(
                "built again: {line}\nfirst:\n{first}\nthen:\n{again}"
            ));
        }
        self.inspect(build)?;
        for check in &build.check {
            self.check(build, check)
                .map_err(|error| format!("{check:?}\n{error}"))?;
        }
        let name = &build.name;
        Ok(format!("{name} in {took:.1?}, again in {twice:.2?}"))
    }

    fn inspect(&self, build: &Build) -> Result<(), String> {
        if build.config.is_empty() && build.size.is_none() {
            return Ok(());
        }
        let said = self.kiln.ok(["inspect", &build.name]);
        let all: serde_json::Value = serde_json::from_str(&said).unwrap();
        for (key, want) in &build.config {
            let is = &all[0]["Config"][key];
            if is != want {
                return Err(format!("{key} is {is}, not {want}"));
            }
        }
        let size = all[0]["Size"].as_u64().unwrap();
        match build.size {
            Some(bound) if size > bound => Err(format!("{size} bytes, more than {bound}")),
            _ => Ok(()),
        }
    }

    fn check(&self, build: &Build, check: &Check) -> Result<(), String> {
        let mut args = check.kiln.clone();
        if let Some(command) = &check.run {
            args = vec!["run".to_owned(), "--rm".to_owned()];
            args.extend(check.options.iter().cloned());
            args.push("{image}".to_owned());
            args.extend(command.iter().cloned());
        }
        let args: Vec<_> = args.iter().map(|a| self.filled(a, &build.name)).collect();
        let said = self.kiln.run(args);
        let out = said.out.trim().to_owned();
        let all = well(&said, check.code)?;
        if check.says.as_deref().is_some_and(|want| out != want.trim()) {
            return Err(format!("it says:\n{out}\n{all}"));
        }
        let missing = check.has.as_deref().filter(|want| !all.contains(*want));
        missing.map_or(Ok(()), |_| Err(all))
    }
}

/// All that a command wrote, when it ended as it was to.
fn well(said: &Said, code: i32) -> Result<String, String> {
    let all = format!("{}{}", said.out, said.err);
    match said.code == code {
        true => Ok(all),
        false => Err(format!("ended with {}:\n{all}", said.code)),
    }
}

/// Copies a folder to where its builder can read it, and makes of it what git and tar are to find.
fn lay_out<'a>(kiln: &'a Kiln, name: &str) -> Folder<'a> {
    let path = kiln.scratch().join("real").join(name);
    let script = r#"set -e; mkdir -p "$2"; cp -r "$1/." "$2"; cd "$2"; [ -d served ] || exit 0
        mkdir -p ../served; mv served "../served/${2##*/}"; cd "../served/${2##*/}"
        for tar in $(find . -name '*.tar.gz.d'); do
            (cd "$tar"; tar --owner=0 --group=0 --mtime=@0 --sort=name -czf "../$(basename "${tar%.d}")" *); done
        for git in $(find . -name '*.git.d'); do (
            cd "$git"; export GIT_AUTHOR_DATE='@0 +0000' GIT_COMMITTER_DATE='@0 +0000'
            git init -q -b main; git add .; git -c user.name=n -c user.email=e commit -qm first
            git tag v1; git clone -q --bare . "../$(basename "${git%.d}")"; ); done"#;
    let mut command = Command::new("sh");
    command.args(["-ec", script, "sh"]).arg(place().join(name));
    let said = said(command.arg(&path));
    assert_eq!(said.code, 0, "{name}: {}{}", said.out, said.err);
    let served = kiln.scratch().join("real/served").join(name);
    fs::create_dir_all(&served).unwrap();
    Folder {
        kiln,
        web: Web::guarded(&served, KNOWN).unwrap(),
        agent: agent::start(&served.join("agent")),
        path,
    }
}

fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("real")
}

/// The folders, by name; those whose names contain a word of `KILN_TEST_REAL`, when it is set.
fn folders() -> Vec<(String, Expect)> {
    let only = env::var("KILN_TEST_REAL").unwrap_or_default();
    let entries = fs::read_dir(place()).unwrap().map(|e| e.unwrap());
    let names = entries.map(|e| e.file_name().into_string().unwrap());
    let mut found: Vec<_> = names
        .filter(|name| only.split(',').any(|word| name.contains(word)))
        .filter_map(|name| {
            let text = fs::read_to_string(place().join(&name).join("expect.toml")).ok()?;
            let expect = toml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
            Some((name, expect))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Whether the mirror of Debian's packages answers.
fn network() -> bool {
    let found = ("deb.debian.org", 80).to_socket_addrs();
    let mut addresses = found.into_iter().flatten();
    addresses.any(|a| TcpStream::connect_timeout(&a, Duration::from_secs(10)).is_ok())
}

/// A small Debian that trusts whom this machine trusts, made of packages once a day.
fn debian() -> Option<PathBuf> {
    let tar = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian-bookworm-slim.tar");
    let made = fs::metadata(&tar).and_then(|m| m.modified()).ok();
    let age = made.and_then(|made| SystemTime::now().duration_since(made).ok());
    if age.is_some_and(|age| age < Duration::from_secs(24 * 60 * 60)) {
        return Some(tar);
    }
    let done = said(Command::new(place().join("debian.sh")).arg(&tar));
    if done.code != 0 {
        println!("{}{}", done.out, done.err);
    }
    (done.code == 0).then_some(tar)
}

/// Builds all of them with one store, two at a time.
fn all(kiln: &Kiln, mut folders: Vec<(String, Expect)>) {
    busybox(kiln);
    let network = network();
    let wanted = folders.iter().any(|(_, expect)| expect.debian);
    let debian = (wanted && network).then(debian).flatten();
    if let Some(tar) = &debian {
        let mut import = kiln.command(["import", "-", "debian:bookworm-slim"]);
        let said = said(import.stdin(fs::File::open(tar).unwrap()));
        assert_eq!(said.code, 0, "{}", said.err);
    }
    folders.retain(|(name, expect)| {
        let lacks = match expect {
            Expect { network: true, .. } if !network => "no registry of packages can be reached",
            Expect { debian: true, .. } if debian.is_none() => "no Debian could be made",
            _ => return true,
        };
        println!("not run: {name}: {lacks}");
        false
    });
    folders.reverse();
    let (waiting, wrong) = (Mutex::new(folders), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let next = waiting.lock().unwrap().pop();
            let Some((name, expect)) = next else { return };
            let folder = lay_out(kiln, &name);
            for build in &expect.build {
                match folder.story(build) {
                    Ok(told) => println!("{name} ({}): {told}", expect.title),
                    Err(error) => {
                        // At once: the others may take minutes.
                        println!("{name} is wrong: {error}");
                        wrong.lock().unwrap().push(name.clone());
                    }
                }
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "wrong: {}", wrong.join(", "));
}

#[test]
fn as_root() {
    all(&Kiln::new(), folders());
}

#[test]
fn as_a_user() {
    let mut folders = folders();
    folders.retain(|(_, expect)| expect.users);
    all(&Who::WithIds.kiln(), folders);
}
