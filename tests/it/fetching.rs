//! What builds fetch, with real parts: certificates, proxies, a daemon of ssh, servers that stall or lie, kills and full
//! disks in the middle of it.

use std::{
    fs,
    io::Write as _,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use kiln_tests::{
    kiln::{Kiln, Said, said, write},
    pty::Pty,
    until::so,
    users::User,
    web::{Asked, Web, answer, from_folder, head},
};

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody has.
fn port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn shell(folder: &Path, script: &str) {
    let mut command = Command::new("sh");
    command.args(["-ec", script]).current_dir(folder);
    let done = said(&mut command);
    assert_eq!(done.code, 0, "{script}: {}", done.err);
}

/// A context that adds this.
fn adding(kiln: &Kiln, what: &str) -> String {
    let text = format!("FROM scratch\nADD {what} /\n");
    let folder = kiln.context("adding", &[("Dockerfile", &text)]);
    folder.to_str().unwrap().to_owned()
}

/// A bare repository with the files of a folder.
fn repository(folder: &Path, bare: &Path) {
    let script = "git init -q -b main . && git add . && \
                  git -c user.name=n -c user.email=e commit -qm first && \
                  git clone -q --bare . \"$0\" && rm -rf .git";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(bare).current_dir(folder);
    assert!(command.status().unwrap().success());
}

/// The names of all that a store keeps of what was fetched.
fn kept(store: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![store.join("fetch")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => found.push(entry.file_name().to_string_lossy().into_owned()),
            }
        }
    }
    found.sort();
    found
}

/// Whether a process has this among its arguments.
fn is_named(text: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let of = |entry: fs::DirEntry| fs::read(entry.path().join("cmdline")).unwrap_or_default();
    let mut all = processes.map(of);
    all.any(|line| String::from_utf8_lossy(&line).contains(text))
}

/// Sends a signal to a program.
fn signal(child: &Child, name: &str) {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{name}")).arg(child.id().to_string());
    assert!(kill.status().unwrap().success());
}

/// An HTTPS server of a folder, and the certificate of who vouches for it.
fn https(kiln: &Kiln, served: &Path) -> (Running, u16, PathBuf) {
    let folder = kiln.scratch().join("tls");
    fs::create_dir_all(&folder).unwrap();
    shell(
        &folder,
        "openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=ca -keyout ca.key -out ca.pem 2>/dev/null
         openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout key -out csr 2>/dev/null
         printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=CA:FALSE' > ext
         openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -extfile ext -out pem 2>/dev/null",
    );
    let port = port();
    let mut server = Command::new("openssl");
    server
        .args(["s_server", "-quiet", "-WWW", "-accept"])
        .arg(format!("127.0.0.1:{port}"))
        .arg("-cert")
        .arg(folder.join("pem"))
        .arg("-key")
        .arg(folder.join("key"))
        .current_dir(served)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let server = Running(server.spawn().unwrap());
    so("the server listens", || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    (server, port, folder.join("ca.pem"))
}

#[test]
fn certificates() {
    let kiln = Kiln::new();
    let served = kiln.scratch().join("served");
    write(&served.join("file"), "over https");
    let (_server, port, ca) = https(&kiln, &served);
    let url = format!("https://127.0.0.1:{port}/file");
    let build = ["build", "-q", "-t", "x", &adding(&kiln, &url)];
    let unknown = kiln.fails(build);
    for word in ["cannot be reached", "certificate", "Dockerfile:2"] {
        assert!(unknown.err.contains(word), "{}", unknown.err);
    }
    let git = format!("https://127.0.0.1:{port}/r.git");
    let unknown = kiln.fails(["build", &git]);
    assert!(
        unknown.err.contains("its certificate is not trusted"),
        "{}",
        unknown.err
    );
    let known = said(kiln.command(build).env("SSL_CERT_FILE", &ca));
    assert_eq!(known.code, 0, "{}", known.err);
    // One that is for another host.
    let other = url.replace("127.0.0.1", "localhost");
    let build = ["build", "-q", &adding(&kiln, &other)];
    let other = said(kiln.command(build).env("SSL_CERT_FILE", &ca));
    assert!(
        other.code != 0 && other.err.contains("not valid for name"),
        "{}",
        other.err
    );
}

/// Takes TLS off what comes in at a port, and hands it on to another.
const UNWRAP: &str = "
import socket, ssl, sys, threading
port, to, pem, key = int(sys.argv[1]), sys.argv[2].split(':'), sys.argv[3], sys.argv[4]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(pem, key)
server = socket.create_server(('127.0.0.1', port))
def pass_on(a, b):
    try:
        while data := a.recv(65536): b.sendall(data)
    except OSError: pass
def one(raw):
    try: outside = context.wrap_socket(raw, server_side=True)
    except OSError: return
    inside = socket.create_connection((to[0], int(to[1])))
    threading.Thread(target=pass_on, args=(outside, inside), daemon=True).start()
    pass_on(inside, outside)
    try: outside.unwrap()
    except OSError: pass
    outside.close()
while True: threading.Thread(target=one, args=(server.accept()[0],), daemon=True).start()
";

#[test]
fn certificates_for_git() {
    if said(Command::new("python3").arg("--version")).code != 0 {
        println!("not run: there is no python3");
        return;
    }
    let kiln = Kiln::new();
    let served = kiln.scratch().join("served");
    let folder = kiln.context(
        "context",
        &[("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", "a")],
    );
    repository(&folder, &served.join("r.git"));
    let web = Web::folder(&served).unwrap();
    let tls = kiln.scratch().join("tls");
    let (_file, _, ca) = https(&kiln, &served);
    let port = port();
    let mut unwrap = Command::new("python3");
    unwrap
        .args(["-c", UNWRAP])
        .arg(port.to_string())
        .arg(web.address());
    unwrap
        .arg(tls.join("pem"))
        .arg(tls.join("key"))
        .stderr(Stdio::null());
    let _unwrap = Running(unwrap.spawn().unwrap());
    so("it listens", || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    let url = format!("https://127.0.0.1:{port}/r.git#main");
    let unknown = kiln.fails(["build", &url]);
    assert!(
        unknown.err.contains("its certificate is not trusted"),
        "{}",
        unknown.err
    );
    for name in ["SSL_CERT_FILE", "GIT_SSL_CAINFO"] {
        let known = said(kiln.command(["build", "-q", &url]).env(name, &ca));
        assert_eq!(known.code, 0, "{name}: {}", known.err);
    }
    // From there nothing leads to what is not encrypted, whoever asks.
    let plain = web.url("");
    let leads = Web::start(move |asked: &Asked, to: &mut TcpStream| {
        let there = format!("{plain}{}", asked.target.trim_start_matches('/'));
        answer(to, 302, &[("Location", &there)], b"")
    });
    let leads = leads.unwrap();
    let port = self::port();
    let mut unwrap = Command::new("python3");
    unwrap
        .args(["-c", UNWRAP])
        .arg(port.to_string())
        .arg(leads.address());
    unwrap
        .arg(tls.join("pem"))
        .arg(tls.join("key"))
        .stderr(Stdio::null());
    let _unwrap = Running(unwrap.spawn().unwrap());
    so("it listens", || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    let before = web.log().len();
    for host in ["", "me:hunter2@"] {
        let url = format!("https://{host}127.0.0.1:{port}/r.git#main");
        let refused = said(
            kiln.command(["build", "-q", &url])
                .env("SSL_CERT_FILE", &ca),
        );
        let (code, err) = (refused.code, refused.err);
        assert!(code != 0 && err.contains("not encrypted"), "{err}");
        assert!(!err.contains("hunter2"), "{err}");
    }
    assert_eq!(web.log().len(), before);
}

#[test]
fn proxies() {
    let kiln = Kiln::new();
    let served = kiln.scratch().join("served");
    write(&served.join("file"), "by proxy");
    let folder = kiln.context(
        "context",
        &[("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", "a")],
    );
    repository(&folder, &served.join("r.git"));
    let proxy = Web::start(move |asked, to| {
        if asked.method == "CONNECT" {
            return answer(to, 403, &[], b"");
        }
        let mut inner = asked.clone();
        inner.target = asked.target.replacen("http://files.invalid", "", 1);
        from_folder(&served, &inner, to)
    });
    let proxy = proxy.unwrap();
    let address = format!("http://{}", proxy.address());
    let build = |args: &[&str], name: &str, none: &str| {
        let given = ["build", "-q"].iter().chain(args);
        said(
            kiln.command(given)
                .env(name, &address)
                .env("no_proxy", none),
        )
    };
    let file = adding(&kiln, "http://files.invalid/file");
    for (args, asked) in [
        (&[&*file][..], "/file"),
        (&["http://files.invalid/r.git#main"], "/r.git/info/refs"),
    ] {
        for name in ["http_proxy", "HTTP_PROXY"] {
            let before = proxy.log().len();
            let done = build(args, name, "");
            assert_eq!(done.code, 0, "{name}: {}", done.err);
            let log = proxy.log();
            let is = |asked_for: &Asked| asked_for.path() == format!("http://files.invalid{asked}");
            assert!(log[before..].iter().any(is), "{name}: {log:?}");
        }
    }
    let before = proxy.log().len();
    let without = build(&[&file], "http_proxy", "files.invalid");
    assert_ne!(without.code, 0);
    assert_eq!(proxy.log().len(), before, "NO_PROXY");
    let https = adding(&kiln, "https://files.invalid/file");
    let refused = build(&[&https], "HTTPS_PROXY", "");
    assert_ne!(refused.code, 0);
    let log = proxy.log();
    let last = log.last().unwrap();
    assert_eq!(
        (last.method.as_str(), last.target.as_str()),
        ("CONNECT", "files.invalid:443")
    );
}

/// Sends the beginning of a file, and the rest when it is told to.
fn stalling(size: usize) -> (Web, Arc<AtomicBool>) {
    let open = Arc::new(AtomicBool::new(false));
    let goes = Arc::clone(&open);
    let web = Web::start(move |asked: &Asked, to: &mut TcpStream| {
        let from = asked.header("range").and_then(|range| {
            let start = range.strip_prefix("bytes=")?.strip_suffix('-')?;
            start.parse::<usize>().ok()
        });
        let start = from.unwrap_or(0);
        let status = if from.is_some() { 206 } else { 200 };
        let range = format!("bytes {start}-{}/{size}", size - 1);
        let mut headers = vec![("ETag", "\"1\"")];
        headers.extend(from.map(|_| ("Content-Range", range.as_str())));
        head(to, status, &headers)?;
        write!(to, "Content-Length: {}\r\n\r\n", size - start)?;
        for sent in start..size {
            while sent >= size / 2 && !goes.load(Ordering::SeqCst) {
                // As long as the other side is there.
                to.write_all(b"")?;
                thread::sleep(Duration::from_millis(20));
            }
            to.write_all(b"x")?;
        }
        Ok(())
    });
    (web.unwrap(), open)
}

fn started(kiln: &Kiln, args: &[&str]) -> Child {
    let mut command = kiln.command(args);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn ended(child: Child) -> Said {
    let out = child.wait_with_output().unwrap();
    Said {
        out: String::new(),
        err: String::from_utf8_lossy(&out.stderr).into_owned(),
        code: out.status.code().unwrap_or(-1),
    }
}

#[test]
fn a_request_to_stop_ends_a_fetch() {
    let kiln = Kiln::new();
    let (web, _open) = stalling(4000);
    let url = web.url("file");
    let more = format!("more={url}");
    let folder = kiln.context(
        "folder",
        &[("Dockerfile", "FROM scratch\nCOPY --from=more file /\n")],
    );
    let folder = folder.to_str().unwrap();
    for (args, shown) in [
        (
            &["build", &*url][..],
            "[internal] load remote build context".to_owned(),
        ),
        (
            &["build", "-f", &*url, folder],
            format!("[internal] load {url}"),
        ),
        (
            &["build", "--build-context", &*more, folder],
            format!("[context more] load {url}"),
        ),
        (&["build", &*adding(&kiln, &url)], url.clone()),
    ] {
        for name in ["INT", "TERM"] {
            let before = web.log().len();
            let child = started(&kiln, args);
            so("it is asked", || web.log().len() > before);
            thread::sleep(Duration::from_millis(100));
            signal(&child, name);
            let done = ended(child);
            assert_eq!(done.code, 130, "{args:?}: {}", done.err);
            let lines: Vec<&str> = done.err.lines().collect();
            assert!(lines.contains(&&*shown), "{}", done.err);
            let canceled = format!("{shown} CANCELED");
            assert!(
                lines.iter().any(|line| line.starts_with(&canceled)),
                "{}",
                done.err
            );
            assert!(lines.ends_with(&["error: canceled"]), "{}", done.err);
        }
    }
    // Nothing but what has come stays.
    let kept = kept(&kiln.root());
    assert_eq!(kept, ["part", "part.json"], "{kept:?}");
}

#[test]
fn a_terminal_shows_how_far_it_is() {
    let kiln = Kiln::new();
    let (web, open) = stalling(400_000);
    let url = web.url("file");
    let context = adding(&kiln, &url);
    let mut pty = Pty::start(&kiln.command(["build", "-t", "x", &context]));
    pty.expect(&url);
    pty.expect("kB / 400kB");
    pty.send("\u{3}");
    pty.expect("canceled");
    let (code, shown) = pty.wait();
    assert_eq!(code, 130, "{shown}");
    open.store(true, Ordering::SeqCst);
    let mut pty = Pty::start(&kiln.command(["build", "-t", "x", &context]));
    pty.expect(&format!("+ {url}"));
    let (code, shown) = pty.wait();
    assert_eq!(code, 0, "{shown}");
}

#[test]
fn a_request_to_stop_ends_git() {
    let kiln = Kiln::new();
    let over = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&over);
    let web = Web::start(move |_, to| {
        while !ends.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(20));
        }
        answer(to, 404, &[], b"")
    });
    let web = web.unwrap();
    let url = web.url("r.git");
    for args in [vec!["build", &url], vec!["build", &*adding(&kiln, &url)]] {
        let before = web.log().len();
        let mut child = started(&kiln, &args);
        so("it is asked", || web.log().len() > before);
        signal(&child, "INT");
        so("it ends", || child.try_wait().unwrap().is_some());
        let done = ended(child);
        assert_eq!(done.code, 130, "{args:?}: {}", done.err);
        assert!(done.err.ends_with("error: canceled\n"), "{}", done.err);
        // Nor does a helper of git wait for the rest.
        so("all are gone", || !is_named(&web.address()));
    }
    over.store(true, Ordering::SeqCst);
}

#[test]
fn what_a_kill_left_is_gone_on_with_or_goes() {
    let kiln = Kiln::new();
    let (web, open) = stalling(4000);
    let context = adding(&kiln, &web.url("file"));
    let mut child = started(&kiln, &["build", "-t", "x", &context]);
    so("half of it is here", || {
        let part = kept(&kiln.root()).iter().any(|name| name == "part.json");
        part && web.log().len() == 1
    });
    thread::sleep(Duration::from_millis(100));
    child.kill().unwrap();
    child.wait().unwrap();
    open.store(true, Ordering::SeqCst);
    kiln.ok(["build", "-q", "-t", "x", &context]);
    let log = web.log();
    assert_eq!(log[1].header("range"), Some("bytes=2000-"), "{log:?}");
    let kept_now = kept(&kiln.root());
    assert_eq!(kept_now.len(), 3, "{kept_now:?}");
    assert!(kept_now[0].starts_with("body-"), "{kept_now:?}");
    assert_eq!(kept_now[1..], ["file.json", "source.json"]);

    // A repository in the middle of it: the next build does not mind, and prune takes all of it.
    let git = Web::start(|_, to| {
        head(
            to,
            200,
            &[(
                "Content-Type",
                "application/x-git-upload-pack-advertisement",
            )],
        )?;
        to.write_all(b"\r\n001e# service=git-upload-pack\n")?;
        thread::sleep(Duration::from_secs(20));
        Ok(())
    });
    let git = git.unwrap();
    let url = git.url("r.git#0123456789012345678901234567890123456789");
    let mut child = started(&kiln, &["build", &url]);
    so("it is asked", || !git.log().is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        kept(&kiln.root())
            .iter()
            .any(|name| name.ends_with(".lock"))
    );
    let said = kiln.ok(["builder", "prune", "-af"]);
    assert!(said.contains("http/") && said.contains("git/"), "{said}");
    assert_eq!(kept(&kiln.root()), [""; 0]);
}

#[test]
fn two_at_once_fetch_once() {
    let kiln = Kiln::new();
    let served = kiln.scratch().join("served");
    let folder = kiln.context(
        "context",
        &[("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", "a")],
    );
    repository(&folder, &served.join("r.git"));
    write(&served.join("file"), &"x".repeat(100_000));
    let whole = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&whole);
    let web = Web::start(move |asked, to| {
        let is_file = asked.path() == "/file" && asked.header("if-none-match").is_none();
        count.fetch_add(usize::from(is_file), Ordering::SeqCst);
        from_folder(&served, asked, to)
    });
    let web = web.unwrap();
    let (git, context) = (web.url("r.git#main"), adding(&kiln, &web.url("file")));
    let all: Vec<Child> = [&*git, &context, &git, &context, &git, &context]
        .iter()
        .map(|what| started(&kiln, &["build", what]))
        .collect();
    for child in all {
        let done = ended(child);
        assert_eq!(done.code, 0, "{}", done.err);
    }
    assert_eq!(whole.load(Ordering::SeqCst), 1, "the file came once");
    let packs = kept(&kiln.root())
        .into_iter()
        .filter(|name| name.ends_with(".pack"));
    assert!(packs.count() <= 1, "the commit came once");
}

#[test]
fn what_is_kept_is_counted_and_goes() {
    let kiln = Kiln::new();
    let served = kiln.scratch().join("served");
    let folder = kiln.context(
        "context",
        &[("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", "a")],
    );
    repository(&folder, &served.join("r.git"));
    write(&served.join("file"), &"x".repeat(1_000_000));
    let web = Web::folder(&served).unwrap();
    kiln.ok(["build", "-q", &web.url("r.git")]);
    let cache = |what: &str| {
        let format = format!("{{{{.Type}}}}: {{{{.{what}}}}}");
        let all = kiln.ok(["system", "df", "--format", &format]);
        let line = all
            .lines()
            .find_map(|line| line.strip_prefix("Build Cache: "));
        line.unwrap().to_owned()
    };
    let before: u32 = cache("TotalCount").parse().unwrap();
    let password = web
        .url("file?key=secret1")
        .replace("http://", "http://me:secret2@");
    kiln.ok(["build", "-q", &adding(&kiln, &password)]);
    let after: u32 = cache("TotalCount").parse().unwrap();
    assert!(after > before, "{before} {after}");
    assert!(cache("Size").ends_with("MB") && cache("Reclaimable").contains("MB"));
    let listed = kiln.ok([
        "builder",
        "du",
        "--format",
        "{{.Type}} {{.Size}} {{.Description}}",
    ]);
    let file = format!("source.http 1MB file {}?…", web.url("file"));
    assert!(listed.lines().any(|line| line == file), "{listed}");
    let git = format!("git repository {}", web.url("r.git"));
    assert!(
        listed.contains("source.git.checkout") && listed.contains(&git),
        "{listed}"
    );
    let verbose = kiln.ok(["builder", "du", "--verbose"]);
    assert!(
        !format!("{listed}{verbose}").contains("secret"),
        "{listed}{verbose}"
    );
    let said = kiln.ok(["builder", "prune", "-f", "--filter", "type=source.http"]);
    assert!(said.contains("http/") && !said.contains("git/"), "{said}");
    assert!(said.contains("Total reclaimed space: 1"), "{said}");
    kiln.ok(["system", "prune", "-f"]);
    assert_eq!(kept(&kiln.root()), [""; 0]);
}

#[test]
fn a_server_that_lies_is_told_on() {
    let kiln = Kiln::new();
    type Answer = fn(&Asked, &mut TcpStream) -> std::io::Result<()>;
    let answers: [(Answer, &str); 6] = [
        (
            |_, to| answer(to, 304, &[], b""),
            "the answer is 304, which nobody asked for",
        ),
        (
            |_, to| answer(to, 302, &[("Location", "file:///etc/passwd")], b""),
            "redirects to `file://`",
        ),
        (
            |_, to| answer(to, 302, &[("Location", "/again")], b""),
            "more than 10 redirects",
        ),
        (
            |_, to| {
                head(to, 200, &[])?;
                to.write_all(b"Content-Length: 9223372036854775807\r\n\r\n")
            },
            "longer than",
        ),
        (
            |_, to| answer(to, 206, &[("Content-Range", "bytes 0-2/9")], b"abc"),
            "a part came that was not asked for",
        ),
        (|_, to| to.write_all(b"SSH-2.0-x\r\n"), "cannot be reached"),
    ];
    for (lie, want) in answers {
        let web = Web::start(lie).unwrap();
        let said = kiln.fails(["build", &adding(&kiln, &web.url("file"))]);
        assert!(said.err.contains(want), "{want}: {}", said.err);
        assert!(said.err.contains("Dockerfile:2"), "{}", said.err);
        let said = kiln.fails(["build", &web.url("file")]);
        assert!(said.err.contains(want), "{want}: {}", said.err);
    }
    // The tag of the first one for the second: a checksum is what does not believe it.
    let second = Arc::new(AtomicBool::new(false));
    let changed = Arc::clone(&second);
    let web = Web::start(move |asked, to| {
        let tag = [("ETag", "\"same\"")];
        match (
            asked.header("if-none-match"),
            changed.load(Ordering::SeqCst),
        ) {
            (Some(_), _) => answer(to, 304, &tag, b""),
            (None, false) => answer(to, 200, &tag, b"one"),
            (None, true) => answer(to, 200, &tag, b"two"),
        }
    });
    let web = web.unwrap();
    kiln.ok(["build", "-q", &adding(&kiln, &web.url("f"))]);
    second.store(true, Ordering::SeqCst);
    let two = "sha256:3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3";
    let pinned = format!("--checksum={two} {}", web.url("f"));
    kiln.ok(["build", "-q", &adding(&kiln, &pinned)]);
}

#[test]
fn a_repository_that_means_ill_reaches_nothing() {
    let kiln = Kiln::new();
    let served = kiln.scratch().join("served");
    let canary = kiln.scratch().join("canary");
    let touch = format!("touch {}", canary.display());
    for (name, address) in [
        ("ext", format!("ext::sh -c {}", touch.replace(' ', "% "))),
        ("option", format!("--upload-pack={touch}")),
        (
            "ssh",
            format!("ssh://-oProxyCommand={}/x", touch.replace(' ', "%20")),
        ),
        ("file", format!("file://{}", served.display())),
        ("path", "../../../../../etc".to_owned()),
    ] {
        let modules = format!("[submodule \"m\"]\n\tpath = m\n\turl = \"{address}\"\n");
        let folder = kiln.context(
            name,
            &[
                ("Dockerfile", "FROM scratch\nCOPY . /\n"),
                (".gitmodules", &modules),
            ],
        );
        shell(
            &folder,
            "git init -q -b main . && git add . &&
             git update-index --add --cacheinfo 160000,0123456789012345678901234567890123456789,m &&
             git -c user.name=n -c user.email=e commit -qm x",
        );
        let bare = served.join(format!("{name}.git"));
        fs::create_dir_all(&bare).unwrap();
        shell(
            &bare,
            &format!("git clone -q --bare {} .", folder.display()),
        );
    }
    // Links that lead out, hooks, attributes and a config: files as any other.
    let files = [
        ("Dockerfile", "FROM scratch\nCOPY link/hostname /a\n"),
        (".gitattributes", "* filter=run export-subst\n"),
        ("hooks/post-checkout", "#!/bin/sh\nexit 1\n"),
        ("bare/HEAD", "ref: refs/heads/main\n"),
    ];
    let folder = kiln.context("links", &files);
    shell(&folder, "ln -s /etc link; ln -s ../../../../etc/passwd up");
    repository(&folder, &served.join("links.git"));
    let web = Web::folder(&served).unwrap();
    for name in ["ext", "option", "ssh", "file", "path"] {
        let url = web.url(&format!("{name}.git"));
        for what in [url.clone(), adding(&kiln, &url)] {
            let said = kiln.fails(["build", &what]);
            assert!(
                said.err.contains("submodule `m` is not taken"),
                "{name}: {}",
                said.err
            );
        }
        let alone = web.url(&format!("{name}.git?submodules=false"));
        kiln.ok(["build", "-q", &alone]);
    }
    let said = kiln.fails(["build", &web.url("links.git")]);
    assert!(
        said.err.contains("`link/hostname` is not in"),
        "{}",
        said.err
    );
    for reference in ["--upload-pack=x", "-u", "a..b", "a^{commit}", "main:../x"] {
        let said = kiln.fails(["build", &web.url(&format!("links.git#{reference}"))]);
        assert!(!said.err.contains("panicked"), "{}", said.err);
    }
    assert!(!canary.exists());
}

#[test]
fn a_dockerfile_is_found_and_has_an_end() {
    let kiln = Kiln::new();
    let served = kiln.scratch().join("served");
    fs::create_dir_all(&served).unwrap();
    let folder = kiln.context(
        "lower",
        &[("dockerfile", "FROM scratch\nCOPY a /\n"), ("a", "a")],
    );
    repository(&folder, &served.join("r.git"));
    shell(
        &folder,
        "tar -cf ../served/c.tar .; truncate -s 3M dockerfile; tar -czf ../served/big.tgz .",
    );
    repository(&folder, &served.join("big.git"));
    let web = Web::folder(&served).unwrap();
    for name in ["r.git", "c.tar"] {
        kiln.ok(["build", "-q", &web.url(name)]);
    }
    for name in ["big.git", "big.tgz"] {
        let said = kiln.fails(["build", "-q", &web.url(name)]);
        assert!(
            said.err.contains("`dockerfile` is too long"),
            "{}",
            said.err
        );
    }
}

#[test]
fn an_archive_without_a_date_is_as_old_as_its_newest_file() {
    let kiln = Kiln::new();
    let text = "FROM scratch AS source\nADD http://WEB/c.tar.gz /\nFROM scratch\nCOPY a /\n";
    let folder = kiln.context("context", &[("a", "a"), ("b", "b")]);
    let tar = kiln.scratch().join("c.tar.gz");
    let served = tar.clone();
    let web = Web::start(move |asked, to| match asked.path() {
        "/c.tar.gz" => answer(to, 200, &[], &fs::read(&served)?),
        _ => answer(to, 200, &[], b"no archive"),
    });
    let web = web.unwrap();
    write(
        &folder.join("Dockerfile"),
        &text.replace("WEB", &web.address()),
    );
    shell(
        &folder,
        "touch -d @1000000000 a Dockerfile; touch -d @1100000000 b; touch -d @1200000000 .; tar -czf ../c.tar.gz .",
    );
    let folder = folder.to_str().unwrap();
    let created = |epoch: &str, context: &str| {
        let argument = format!("SOURCE_DATE_EPOCH={epoch}");
        kiln.ok(["build", "-q", "-t", "x", "--build-arg", &argument, context]);
        kiln.ok(["inspect", "-f", "{{.Created}}", "x"])
            .trim()
            .to_owned()
    };
    for (epoch, context) in [("source", folder), ("context", &web.url("c.tar.gz"))] {
        assert_eq!(created(epoch, context), "2004-11-09T11:33:20Z", "{epoch}");
    }
    let other = text
        .replace("WEB", &web.address())
        .replace("c.tar.gz", "file");
    write(&Path::new(folder).join("Dockerfile"), &other);
    assert!(created("source", folder).as_str() > "2020", "nobody knows");
}

#[test]
fn the_time_of_the_environment_is_the_last_to_count() {
    let kiln = Kiln::new();
    let text = "FROM scratch\nARG SOURCE_DATE_EPOCH\nLABEL e=-$SOURCE_DATE_EPOCH-\nCOPY a /\n";
    let folder = kiln.context("context", &[("Dockerfile", text), ("a", "a")]);
    let served = kiln.scratch().join("served");
    fs::create_dir(&served).unwrap();
    shell(
        &folder,
        "touch -d @1000000000 a; tar -cf ../served/c.tar .; touch -d @1300000000 ../served/c.tar",
    );
    let web = Web::folder(&served).unwrap();
    let (folder, url) = (folder.to_str().unwrap(), web.url("c.tar"));
    for (environment, argument, context, want) in [
        (
            "1100000000",
            None,
            folder,
            "-1100000000- 2004-11-09T11:33:20Z",
        ),
        (
            "1100000000",
            Some("1200000000"),
            folder,
            "-1200000000- 2008-01-10T21:20:00Z",
        ),
        ("context", None, &*url, "-1300000000- 2011-03-13T07:06:40Z"),
        ("context", None, folder, "-- now"),
        ("1100000000", Some(""), folder, "-- now"),
        ("", None, folder, "-- now"),
    ] {
        let argument = argument.map(|text| format!("--build-arg=SOURCE_DATE_EPOCH={text}"));
        let args = ["build", "-q", "-t", "x"].into_iter();
        let mut build = kiln.command(args.chain(argument.as_deref()).chain([context]));
        let done = said(build.env("SOURCE_DATE_EPOCH", environment));
        assert_eq!(done.code, 0, "{}", done.err);
        let told = kiln.ok(["inspect", "-f", "{{.Config.Labels.e}} {{.Created}}", "x"]);
        let (label, created) = told.trim().split_once(' ').unwrap();
        let now = want.ends_with("now") && created > "2020";
        let found = format!("{label} {}", if now { "now" } else { created });
        assert_eq!(found, want, "{environment} {argument:?} {context}");
    }
    let mut build = kiln.command(["build", "-q", folder]);
    let done = said(build.env("SOURCE_DATE_EPOCH", "soon"));
    assert!(
        done.code != 0 && done.err.contains("no number and no name"),
        "{}",
        done.err
    );
}

/// A daemon of ssh for one user, with keys of its own, that knows one key of theirs.
fn sshd(user: &User, folder: &Path) -> (Running, u16) {
    shell(
        folder,
        "ssh-keygen -q -t ed25519 -N '' -f host; ssh-keygen -q -t ed25519 -N '' -f key; cp key.pub known",
    );
    let port = port();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {0}/host\nAuthorizedKeysFile {0}/known\n\
         PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n",
        folder.display()
    );
    write(&folder.join("config"), &config);
    fs::create_dir_all("/run/sshd").unwrap();
    // An account whose password is locked is not let in.
    shell(folder, &format!("usermod -p '*' {}", user.name()));
    let mut daemon = Command::new("/usr/sbin/sshd");
    daemon.args(["-D", "-e", "-f"]).arg(folder.join("config"));
    daemon
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let daemon = Running(daemon.spawn().unwrap());
    so("sshd listens", || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    let host = fs::read_to_string(folder.join("host.pub")).unwrap();
    let known = user.home().join(".ssh/known_hosts");
    write(&known, &format!("[127.0.0.1]:{port} {host}"));
    shell(
        folder,
        &format!(
            "chown -R {0}: {1}",
            user.name(),
            known.parent().unwrap().display()
        ),
    );
    (daemon, port)
}

#[test]
fn a_repository_over_ssh_by_the_agent() {
    if !Path::new("/usr/sbin/sshd").exists() {
        println!("not run: there is no sshd");
        return;
    }
    let user = Arc::new(User::with_ids());
    let kiln = Kiln::of(&user);
    let folder = kiln.context(
        "context",
        &[("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", "a")],
    );
    let bare = kiln.scratch().join("r.git");
    repository(&folder, &bare);
    shell(kiln.scratch(), &format!("chown -R {0}: r.git", user.name()));
    let keys = kiln.scratch().join("keys");
    fs::create_dir(&keys).unwrap();
    let (_sshd, port) = sshd(&user, &keys);
    shell(&keys, &format!("chown -R {}: .; chmod 755 .", user.name()));
    let agent = keys.join("agent");
    let mut ssh_agent = user.command("ssh-agent");
    ssh_agent
        .args(["-D", "-a"])
        .arg(&agent)
        .stdout(Stdio::null());
    let _agent = Running(ssh_agent.spawn().unwrap());
    so("the agent listens", || agent.exists());
    let mut add = user.command("ssh-add");
    add.arg("-q")
        .arg(keys.join("key"))
        .env("SSH_AUTH_SOCK", &agent);
    assert_eq!(said(&mut add).code, 0);
    let url = format!("ssh://{}@127.0.0.1:{port}{}", user.name(), bare.display());
    let with = |args: &[&str]| {
        let mut command = kiln.command(["build", "-q", "--ssh"].iter().chain(args));
        said(
            command
                .env("SSH_AUTH_SOCK", &agent)
                .env("HOME", user.home()),
        )
    };
    for what in [url.clone(), adding(&kiln, &url)] {
        let done = with(&["default", &what]);
        assert_eq!(done.code, 0, "{what}: {}", done.err);
    }
    let key = format!("default={}", keys.join("key").display());
    let done = with(&[&key, &url]);
    assert_eq!(done.code, 0, "a key in a file: {}", done.err);
    // Without it, it is said what to do.
    kiln.ok(["builder", "prune", "-af"]);
    let without = kiln.fails(["build", "-q", &url]);
    assert!(
        without.err.contains("does not let this user in"),
        "{}",
        without.err
    );
    assert!(without.err.contains("--ssh default"), "{}", without.err);
    // A host that nobody vouches for is not spoken to, and nothing is put among those that are known.
    let known = user.home().join(".ssh/known_hosts");
    let before = fs::read_to_string(&known).unwrap();
    let strange = with(&["default", &url.replace("127.0.0.1", "localhost")]);
    assert!(
        strange.err.contains("key of the host is not known"),
        "{}",
        strange.err
    );
    assert_eq!(fs::read_to_string(&known).unwrap(), before);
}
