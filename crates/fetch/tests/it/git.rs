//! Repositories, over HTTP from git itself.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use kiln_fetch::{Checkout, Error, ErrorKind, GitRequest, Limits, Options, Watch};
use kiln_layer::Kind;
use kiln_tests::web::{Asked, Web, answer, from_folder};

use crate::support::{Own, contents};

/// Repositories in a folder, served.
struct Hub {
    folder: tempfile::TempDir,
    web: Web,
}

impl Hub {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let web = Web::folder(folder.path()).unwrap();
        Self { folder, web }
    }

    fn url(&self, name: &str) -> String {
        self.web.url(name)
    }

    /// A repository to work in, with its bare one at `name`.
    fn repository(&self, name: &str) -> Work {
        let bare = self.folder.path().join(name);
        let work = Work(self.folder.path().join(format!("{name}-work")));
        std::fs::create_dir_all(&work.0).unwrap();
        work.git(&["init", "-q", "-b", "main"]);
        work.git(&["init", "-q", "--bare", "-b", "main", bare.to_str().unwrap()]);
        work.git(&["remote", "add", "o", bare.to_str().unwrap()]);
        work
    }
}

struct Work(PathBuf);

impl Work {
    fn git(&self, args: &[&str]) -> String {
        let out = Command::new("git")
            .args([
                "-c",
                "user.name=n",
                "-c",
                "user.email=e",
                "-c",
                "protocol.file.allow=always",
            ])
            .args(args)
            .current_dir(&self.0)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_AUTHOR_DATE", "2020-02-02T02:02:02Z")
            .env("GIT_COMMITTER_DATE", "2020-02-02T02:02:02Z")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    fn write(&self, path: &str, text: &str) {
        let at = self.0.join(path);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(at, text).unwrap();
    }

    /// Commits all there is and gives it to the bare one.
    fn commit(&self) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "x"]);
        self.push();
        self.git(&["rev-parse", "HEAD"])
    }

    fn push(&self) {
        self.git(&["push", "-q", "--force", "o", "--all"]);
        self.git(&["push", "-q", "--force", "o", "--tags"]);
    }
}

fn request(url: &str, reference: &str) -> GitRequest {
    GitRequest {
        reference: reference.to_owned(),
        ..GitRequest::new(url)
    }
}

fn get(own: &Own, request: &GitRequest) -> Result<Checkout, Error> {
    own.fetcher.git(request, &Watch::NOBODY)
}

/// A line for each entry: mode, path, text.
fn shown(checkout: &Checkout) -> Vec<String> {
    let files = checkout.files();
    let line = |entry: &kiln_layer::Entry| {
        let what = match &entry.kind {
            Kind::File(_) => {
                let mut text = String::new();
                let mut file = files.open(&entry.path).unwrap();
                std::io::Read::read_to_string(&mut file, &mut text).unwrap();
                format!("= {}", text.trim_end())
            }
            Kind::Symlink { target } => format!("-> {}", String::from_utf8_lossy(target)),
            _ => "/".to_owned(),
        };
        format!("{:o} {} {what}", entry.meta.mode, entry.path)
    };
    files.tree().iter().map(line).collect()
}

#[cfg(unix)]
#[test]
fn files_are_as_they_were_put_in() {
    let hub = Hub::new();
    let work = hub.repository("a.git");
    work.write("a", "one\n");
    work.write("sub/x", "echo\n");
    work.write("sub/again", "one\n");
    work.write(".gitattributes", "* text eol=crlf ident filter=x\n");
    std::os::unix::fs::symlink("../a", work.0.join("sub/l")).unwrap();
    work.git(&["add", "-A"]);
    work.git(&["update-index", "--chmod=+x", "sub/x"]);
    work.git(&["commit", "-q", "-m", "x"]);
    work.push();
    let own = Own::new();
    let found = get(&own, &GitRequest::new(hub.url("a.git"))).unwrap();
    assert_eq!(
        shown(&found),
        [
            "644 .gitattributes = * text eol=crlf ident filter=x",
            "644 a = one",
            "755 sub /",
            "644 sub/again = one",
            "777 sub/l -> ../a",
            "755 sub/x = echo",
        ]
    );
    assert_eq!(found.time(), 1_580_608_922);
    let mut part = request(&hub.url("a.git"), "main");
    part.subdir = "sub".to_owned();
    part.commit_times = true;
    let found = get(&own, &part).unwrap();
    assert_eq!(
        shown(&found),
        ["644 again = one", "777 l -> ../a", "755 x = echo"]
    );
    let times: Vec<i64> = found
        .files()
        .tree()
        .iter()
        .map(|e| e.meta.mtime.seconds)
        .collect();
    assert_eq!(times, [1_580_608_922; 3]);
    for wrong in ["nope", "a", "sub/l"] {
        part.subdir = wrong.to_owned();
        assert_eq!(
            get(&own, &part).unwrap_err().kind(),
            ErrorKind::NotFound,
            "{wrong}"
        );
    }
    part.subdir = "../x".to_owned();
    assert_eq!(get(&own, &part).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn what_references_stand_for() {
    let hub = Hub::new();
    let work = hub.repository("a.git");
    work.write("a", "one");
    let one = work.commit();
    work.git(&["tag", "-m", "t", "annotated"]);
    work.git(&["branch", "both"]);
    work.write("a", "two");
    let two = work.commit();
    work.git(&["tag", "both"]);
    work.git(&["push", "-q", "o", "HEAD:refs/pull/7/head"]);
    work.push();
    let tag = work.git(&["rev-parse", "annotated"]);
    let own = Own::new();
    let url = hub.url("a.git");
    for (reference, want) in [
        ("", &two),
        ("main", &two),
        ("annotated", &one),
        ("both", &two),
        ("refs/heads/both", &one),
        ("heads/both", &one),
        ("pull/7/head", &two),
        (&one, &one),
        (&one[..7], &one),
    ] {
        let found = get(&own, &request(&url, reference)).unwrap();
        assert_eq!(found.commit(), want, "{reference}");
        let text = if *want == one {
            "644 a = one"
        } else {
            "644 a = two"
        };
        assert_eq!(shown(&found), [text], "{reference}");
    }
    let nobody = "0123456789012345678901234567890123456789";
    for missing in ["nope", "0000000", nobody] {
        let e = get(&own, &request(&url, missing)).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NotFound, "{missing}: {e}");
    }
    for odd in ["-x", "--upload-pack=touch x", "a b", "a..b"] {
        let e = get(&own, &request(&url, odd)).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid, "{odd}: {e}");
    }
    let sum = |reference: &str, sum: &str| {
        let mut request = request(&url, reference);
        request.checksum = Some(sum.to_owned());
        get(&own, &request).map(|found| found.commit().to_owned())
    };
    assert_eq!(sum("annotated", &one).unwrap(), one);
    assert_eq!(sum("annotated", &one[..5]).unwrap(), one);
    assert_eq!(sum("annotated", &tag).unwrap(), one, "the tag's own number");
    assert_eq!(
        sum("main", &one[..8]).unwrap_err().kind(),
        ErrorKind::Mismatch
    );
    assert_eq!(sum("main", "xyz").unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_commit_that_is_kept_needs_nobody() {
    let hub = Hub::new();
    let work = hub.repository("a.git");
    work.write("a", "one");
    let one = work.commit();
    let own = Own::new();
    let url = hub.url("a.git");
    get(&own, &request(&url, "main")).unwrap();
    drop(hub);
    assert_eq!(get(&own, &request(&url, &one)).unwrap().commit(), one);
    let mut pinned = request(&url, "main");
    pinned.checksum = Some(one.clone());
    assert_eq!(get(&own, &pinned).unwrap().commit(), one);
    let e = get(&own, &request(&url, "main")).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unreachable, "{e}");
    assert!(e.hint_text().is_some());
    let kept = own.fetcher.kept().unwrap();
    assert_eq!(kept[0].from, url);
    assert!(own.fetcher.remove(&kept[0].id).unwrap());
    assert!(get(&own, &request(&url, &one)).is_err());
}

#[test]
fn submodules_are_in_their_places() {
    let hub = Hub::new();
    let inner = hub.repository("inner.git");
    inner.write("deep", "3");
    inner.commit();
    let middle = hub.repository("middle.git");
    middle.write("m", "2");
    let inner_url = hub.url("inner.git");
    middle.git(&[
        "-c",
        "protocol.http.allow=always",
        "submodule",
        "--quiet",
        "add",
        &inner_url,
        "in",
    ]);
    middle.commit();
    let outer = hub.repository("outer.git");
    outer.write("o", "1");
    let middle_url = hub.url("middle.git");
    outer.git(&["submodule", "--quiet", "add", &middle_url, "lib/mid"]);
    outer.git(&[
        "config",
        "-f",
        ".gitmodules",
        "submodule.lib/mid.url",
        "../middle.git",
    ]);
    outer.commit();
    let own = Own::new();
    let found = get(&own, &GitRequest::new(hub.url("outer.git"))).unwrap();
    let paths = |found: &Checkout| -> Vec<String> {
        let lines = shown(found).into_iter();
        lines.filter(|line| !line.contains(".gitmodules")).collect()
    };
    assert_eq!(
        paths(&found),
        [
            "755 lib /",
            "755 lib/mid /",
            "755 lib/mid/in /",
            "644 lib/mid/in/deep = 3",
            "644 lib/mid/m = 2",
            "644 o = 1"
        ]
    );
    let mut alone = GitRequest::new(hub.url("outer.git"));
    alone.submodules = false;
    assert_eq!(
        paths(&get(&own, &alone).unwrap()),
        ["755 lib /", "755 lib/mid /", "644 o = 1"]
    );
    let mut inside = GitRequest::new(hub.url("outer.git"));
    inside.subdir = "lib/mid/in".to_owned();
    assert_eq!(paths(&get(&own, &inside).unwrap()), ["644 deep = 3"]);
}

#[test]
fn hostile_submodules_are_refused() {
    let hub = Hub::new();
    let target = hub.repository("target.git");
    target.write("t", "t");
    let commit = target.commit();
    let canary = hub.folder.path().join("canary");
    let touch = format!("ext::sh -c touch% {}", canary.display());
    let local = format!("file://{}", hub.folder.path().join("target.git").display());
    for (number, address) in [
        touch.as_str(),
        &local,
        "/etc",
        "--upload-pack=touch x",
        "-u",
        "../../../../etc",
        "ssh://-oProxyCommand=id/x",
        "http://127.0.0.1/a b",
    ]
    .iter()
    .enumerate()
    {
        let name = format!("bad{number}.git");
        let work = hub.repository(&name);
        let modules = format!("[submodule \"m\"]\n\tpath = m\n\turl = \"{address}\"\n");
        work.write(".gitmodules", &modules);
        work.git(&["add", "-A"]);
        work.git(&[
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("160000,{commit},m"),
        ]);
        work.git(&["commit", "-q", "-m", "x"]);
        work.push();
        let e = get(&Own::new(), &GitRequest::new(hub.url(&name))).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Refused, "{address}: {e}");
        let mut alone = GitRequest::new(hub.url(&name));
        alone.submodules = false;
        assert!(get(&Own::new(), &alone).is_ok());
    }
    assert!(!canary.exists());
}

#[test]
fn a_repository_that_is_its_own_submodule_has_an_end() {
    let hub = Hub::new();
    let work = hub.repository("a.git");
    work.write("a", "a");
    let commit = work.commit();
    work.write(
        ".gitmodules",
        "[submodule \"m\"]\n\tpath = m\n\turl = ../a.git\n",
    );
    work.git(&["add", "-A"]);
    // The commit before has no submodule; what is in itself cannot be said, so a chain is made.
    work.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{commit},m"),
    ]);
    work.git(&["commit", "-q", "-m", "x"]);
    work.push();
    for _ in 0..4 {
        let before = work.git(&["rev-parse", "HEAD"]);
        work.git(&[
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("160000,{before},m"),
        ]);
        work.git(&["commit", "-q", "-m", "x"]);
        work.push();
    }
    let limits = Limits {
        submodules: 3,
        ..Limits::default()
    };
    let e = get(&Own::limited(limits), &GitRequest::new(hub.url("a.git"))).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Refused, "{e}");
    let deep = get(&Own::new(), &GitRequest::new(hub.url("a.git"))).unwrap();
    assert!(
        shown(&deep).contains(&"644 m/m/m/m/m/a = a".to_owned()),
        "{:?}",
        shown(&deep)
    );
}

#[test]
fn trees_that_git_itself_would_not_make_are_refused() {
    let hub = Hub::new();
    for (number, name) in [".git", "..", ".", ".GIT"].iter().enumerate() {
        let repository = format!("bad{number}.git");
        let work = hub.repository(&repository);
        work.write("x", "x");
        work.commit();
        let blob = work.git(&["rev-parse", "HEAD:x"]);
        let bytes: Vec<u8> = (0..blob.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&blob[at..at + 2], 16).unwrap())
            .collect();
        let tree = [format!("100644 {name}\0").as_bytes(), &bytes].concat();
        let at = hub.folder.path().join("tree");
        std::fs::write(&at, tree).unwrap();
        let tree = work.git(&[
            "hash-object",
            "-t",
            "tree",
            "-w",
            "--literally",
            at.to_str().unwrap(),
        ]);
        let commit = work.git(&["commit-tree", "-m", "x", &tree]);
        work.git(&["update-ref", "refs/heads/main", &commit]);
        work.push();
        let e = get(&Own::new(), &GitRequest::new(hub.url(&repository))).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Refused, "{name}: {e}");
    }
}

#[test]
fn dot_git_is_what_git_works_with() {
    let hub = Hub::new();
    let work = hub.repository("a.git");
    work.write("a", "one");
    work.commit();
    work.write("a", "two");
    work.write("sub/b", "b");
    let two = work.commit();
    work.git(&["tag", "-m", "t", "v1"]);
    work.push();
    let own = Own::new();
    let mut request = request(
        &hub.url("a.git").replace("http://", "http://me:hunter2@"),
        "v1",
    );
    request.keep_git_dir = true;
    let found = get(&own, &request).unwrap();
    let out = tempfile::tempdir().unwrap();
    write_out(&found, out.path());
    let there = Work(out.path().to_owned());
    assert_eq!(there.git(&["rev-parse", "HEAD"]), two);
    assert_eq!(there.git(&["status", "--porcelain"]), "");
    assert_eq!(there.git(&["describe", "--tags"]), "v1");
    assert_eq!(there.git(&["rev-list", "--count", "HEAD"]), "1");
    assert_eq!(
        there.git(&["remote", "get-url", "origin"]),
        hub.url("a.git")
    );
    let all = contents(out.path());
    assert!(!String::from_utf8_lossy(&all).contains("hunter2"));
    assert!(!out.path().join(".git/hooks").exists());
    let digests = |found: &Checkout| -> Vec<_> {
        let files = found.files();
        let all = files
            .tree()
            .iter()
            .filter_map(|e| Some((e.path.clone(), e.file()?.digest)));
        all.collect()
    };
    let main = GitRequest {
        keep_git_dir: true,
        ..GitRequest::new(hub.url("a.git"))
    };
    let out = tempfile::tempdir().unwrap();
    write_out(&get(&own, &main).unwrap(), out.path());
    let there = Work(out.path().to_owned());
    assert_eq!(
        there.git(&["for-each-ref", "--format=%(refname)"]),
        "refs/heads/main"
    );
    let again = get(&Own::new(), &request).unwrap();
    assert_eq!(digests(&found), digests(&again), "the same bytes again");
    request.subdir = "sub".to_owned();
    assert_eq!(
        shown(&get(&own, &request).unwrap()),
        ["644 b = b"],
        "not for a folder of it"
    );
}

fn write_out(found: &Checkout, to: &Path) {
    let files = found.files();
    for entry in files.tree().iter() {
        let at = to.join(entry.path.to_string());
        match &entry.kind {
            Kind::Dir { .. } => std::fs::create_dir_all(at).unwrap(),
            Kind::File(_) => {
                let mut from = files.open(&entry.path).unwrap();
                std::io::copy(&mut from, &mut std::fs::File::create(at).unwrap()).unwrap();
            }
            _ => {}
        }
    }
}

#[test]
fn nothing_of_the_users_is_used_and_passwords_are_in_no_list_of_processes() {
    let hub = Hub::new();
    let work = hub.repository("a.git");
    work.write("a", "a");
    work.commit();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let program = folder.path().join("git");
    let script = format!(
        "#!/bin/sh\necho \"$@ HOME=$HOME\" >> {log}\nexec /usr/bin/env git \"$@\"\n",
        log = log.display()
    );
    std::fs::write(&program, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    let mut own = Own::new();
    own.fetcher = own.fetcher.with(Options {
        git: program,
        ..Options::default()
    });
    let url = hub.url("a.git").replace("http://", "http://me:hunter2@");
    get(&own, &GitRequest::new(&url)).unwrap();
    let said = std::fs::read_to_string(log).unwrap();
    assert!(
        said.contains("ls-remote") && said.contains("HOME=/nonexistent"),
        "{said}"
    );
    assert!(
        !said.contains("hunter2") && !said.contains("bWU6"),
        "{said}"
    );
    let sent = hub.web.log();
    assert!(
        sent.iter()
            .all(|asked| asked.header("authorization") == Some("Basic bWU6aHVudGVyMg=="))
    );
    assert!(!String::from_utf8_lossy(&contents(own.folder.path())).contains("hunter2"));
}

/// What a server does with what is below `/old/`: it is elsewhere now.
fn moving(folder: &Path, to: &str) -> Web {
    let (folder, to) = (folder.to_owned(), to.to_owned());
    let moved = move |asked: &Asked, out: &mut std::net::TcpStream| {
        let known = asked.header("authorization").is_some();
        match asked.target.strip_prefix("/old/") {
            _ if !known => answer(out, 401, &[("WWW-Authenticate", "Basic realm=\"x\"")], b""),
            Some(rest) => answer(out, 301, &[("Location", &format!("{to}/{rest}"))], b""),
            None => from_folder(&folder, asked, out),
        }
    };
    Web::start(moved).unwrap()
}

#[test]
fn what_one_server_is_shown_no_other_sees() {
    let hub = Hub::new();
    let work = hub.repository("a.git");
    work.write("a", "a");
    work.commit();
    // It stays on its server: as when a repository got another name.
    let stays = moving(hub.folder.path(), "");
    let url = stays
        .url("old/a.git")
        .replace("http://", "http://me:hunter2@");
    let own = Own::new();
    let found = get(&own, &GitRequest::new(&url)).unwrap();
    assert_eq!(shown(&found), ["644 a = a"]);
    // It goes to another one, which is asked nothing at all.
    let leaves = moving(hub.folder.path(), &format!("http://{}", hub.web.address()));
    let url = leaves
        .url("old/a.git")
        .replace("http://", "http://me:hunter2@");
    let e = get(&Own::new(), &GitRequest::new(&url)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Refused, "{e}");
    assert!(e.to_string().contains("another server"), "{e}");
    assert_eq!(hub.web.log().len(), 0);
    // Whoever shows nothing may be sent anywhere.
    let to = format!("http://{}", hub.web.address());
    let sends = Web::start(move |asked: &Asked, out: &mut std::net::TcpStream| {
        let to = format!("{to}{}", asked.target);
        answer(out, 302, &[("Location", &to)], b"")
    });
    let sends = sends.unwrap();
    let url = sends.url("a.git");
    assert_eq!(
        shown(&get(&Own::new(), &GitRequest::new(&url)).unwrap()),
        ["644 a = a"]
    );
}

#[test]
fn a_store_may_have_any_name_and_head_is_the_default() {
    let hub = Hub::new();
    let work = hub.repository("a.git");
    work.write("a", "a");
    let commit = work.commit();
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("%41 b:c");
    let fetcher = kiln_fetch::Fetcher::open(&odd).unwrap();
    let mut asked = request(&hub.url("a.git"), "HEAD");
    asked.keep_git_dir = true;
    let found = fetcher.git(&asked, &Watch::NOBODY).unwrap();
    assert_eq!(found.commit(), commit);
}

#[test]
fn without_git_it_is_said_so() {
    let mut own = Own::new();
    own.fetcher = own.fetcher.with(Options {
        git: "/nowhere/git".into(),
        ..Options::default()
    });
    let e = get(&own, &GitRequest::new("https://h/a.git")).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
}

#[test]
fn servers_that_are_no_repositories() {
    let nothing = Web::start(|_, to| answer(to, 404, &[], b"")).unwrap();
    let kind = |url: &str| get(&Own::new(), &GitRequest::new(url)).unwrap_err().kind();
    assert_eq!(kind(&nothing.url("a.git")), ErrorKind::NotFound);
    let closed =
        Web::start(|_, to| answer(to, 401, &[("WWW-Authenticate", "Basic")], b"")).unwrap();
    assert_eq!(kind(&closed.url("a.git")), ErrorKind::Denied);
    assert_eq!(kind("http://127.0.0.1:1/a.git"), ErrorKind::Unreachable);
    for address in ["file:///tmp", "/tmp", "ext::sh -c id", "-x", "ssh://-o/x"] {
        assert_eq!(kind(address), ErrorKind::Invalid, "{address}");
    }
    let away = Web::start(|_, to| answer(to, 302, &[("Location", "file:///etc/")], b"")).unwrap();
    let e = get(&Own::new(), &GitRequest::new(away.url("a.git"))).unwrap_err();
    assert!(
        matches!(
            e.kind(),
            ErrorKind::Refused | ErrorKind::Unreachable | ErrorKind::Io
        ),
        "{e}"
    );
}

#[test]
fn too_much_is_refused() {
    let hub = Hub::new();
    let work = hub.repository("a.git");
    for number in 0..20 {
        work.write(&format!("f{number}"), &"x".repeat(1000));
    }
    work.commit();
    for limits in [
        Limits {
            entries: 10,
            ..Limits::default()
        },
        Limits {
            repository: 500,
            ..Limits::default()
        },
    ] {
        let e = get(&Own::limited(limits), &GitRequest::new(hub.url("a.git"))).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Refused, "{e}");
    }
}
