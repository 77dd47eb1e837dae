//! Where a build takes its files and its Dockerfile from: standard input, addresses, layouts; as root and
//! as users who are not.

use std::{fs, path::Path, process::Command};

use kiln_tests::{
    kiln::{Kiln, Said, said, write},
    web::Web,
    who::everybody,
};

const DOCKERFILE: &str = "FROM busybox\nCOPY a /a\nRUN cat /a\n";

/// Runs `kiln` with a file as standard input.
fn fed(kiln: &Kiln, args: &[&str], input: &Path) -> Said {
    let mut command = kiln.command(args);
    said(command.stdin(fs::File::open(input).unwrap()))
}

fn ok(said: Said) -> String {
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    said.out
}

/// A tar of the files of a folder, compressed as the name says.
fn tar(folder: &Path, name: &str) -> std::path::PathBuf {
    let tar = folder.parent().unwrap().join(name);
    let mut command = Command::new("tar");
    command.arg("-C").arg(folder).arg("-caf").arg(&tar).arg(".");
    assert!(command.status().unwrap().success());
    tar
}

fn shown(kiln: &Kiln, image: &str) -> String {
    kiln.ok(["run", "--rm", image, "cat", "/a"])
}

#[test]
fn an_archive_on_standard_input() {
    everybody(|_, kiln| {
        let files = [
            ("Dockerfile", DOCKERFILE),
            ("a", "of the archive\n"),
            ("sub/Other", "FROM busybox\nCOPY sub/b /a\n"),
            ("sub/b", "other\n"),
            (".dockerignore", "a\n"),
        ];
        let folder = kiln.context("context", &files);
        for name in ["c.tar", "c.tar.gz", "c.tar.bz2", "c.tar.xz", "c.tar.zst"] {
            let tar = tar(&folder, name);
            ok(fed(kiln, &["build", "-q", "-t", "one", "-"], &tar));
            assert_eq!(shown(kiln, "one"), "of the archive\n", "{name}");
            let other = ["build", "-q", "-t", "two", "-f", "sub/Other", "-"];
            ok(fed(kiln, &other, &tar));
            assert_eq!(shown(kiln, "two"), "other\n", "{name}");
        }
        let tar = tar(&folder, "c.tar");
        let missing = fed(kiln, &["build", "-f", "nothing", "-"], &tar);
        assert_ne!(missing.code, 0);
        assert!(
            missing.err.contains("`nothing` is not in the archive"),
            "{}",
            missing.err
        );
        let cut = kiln.scratch().join("cut.tar");
        fs::write(&cut, &fs::read(&tar).unwrap()[..1800]).unwrap();
        let cut = fed(kiln, &["build", "-"], &cut);
        assert_ne!(cut.code, 0);
        assert!(cut.err.contains("standard input"), "{}", cut.err);
    });
}

#[test]
fn a_dockerfile_on_standard_input() {
    everybody(|_, kiln| {
        let file = kiln.scratch().join("file");
        write(&file, "FROM busybox\nCOPY . /all\nRUN ls -A /all > /a\n");
        ok(fed(kiln, &["build", "-q", "-t", "none", "-"], &file));
        assert_eq!(shown(kiln, "none"), "");
        let folder = kiln.context("context", &[("b", "b\n")]);
        let folder = folder.to_str().unwrap();
        ok(fed(
            kiln,
            &["build", "-q", "-t", "some", "-f", "-", folder],
            &file,
        ));
        assert_eq!(shown(kiln, "some"), "b\n");
        for (args, words) in [
            (&["build", "-f", "-", "-"][..], "at once"),
            (&["build", "-f", "x", "-"], "two Dockerfiles"),
        ] {
            let said = fed(kiln, args, &file);
            assert!(said.code != 0 && said.err.contains(words), "{}", said.err);
        }
        let empty = kiln.scratch().join("empty");
        write(&empty, "");
        let said = fed(kiln, &["build", "-"], &empty);
        assert!(
            said.code != 0 && said.err.contains("is empty"),
            "{}",
            said.err
        );
    });
}

#[test]
fn addresses() {
    everybody(|_, kiln| {
        let files = [("Dockerfile", DOCKERFILE), ("a", "fetched\n")];
        let folder = kiln.context("context", &files);
        let served = kiln.scratch().join("served");
        fs::create_dir_all(&served).unwrap();
        fs::rename(tar(&folder, "c.tar.gz"), served.join("c.tar.gz")).unwrap();
        write(&served.join("file"), "FROM busybox\nRUN echo alone > /a\n");
        repository(&folder, &served.join("r.git"));
        let web = Web::folder(&served).unwrap();
        let folder = folder.to_str().unwrap();
        let more = format!("more={}", web.url("file"));
        let from = format!("more={}", web.url("r.git#main"));
        for name in ["a", "file"] {
            let text = format!("FROM busybox\nCOPY --from=more {name} /a\n");
            write(&kiln.scratch().join(format!("copy-{name}")), &text);
        }
        for (args, want) in [
            (&[&*web.url("c.tar.gz")][..], "fetched\n"),
            (&[&*web.url("file")], "alone\n"),
            (&[&*web.url("r.git#main")], "fetched\n"),
            (&["-f", &*web.url("file"), folder], "alone\n"),
            (
                &["-f", "copy-a", "--build-context", &from, folder],
                "fetched\n",
            ),
            (
                &["-f", "copy-file", "--build-context", &more, folder],
                "FROM busybox\nRUN echo alone > /a\n",
            ),
        ] {
            let given = ["build", "-q", "-t", "x"].iter().chain(args);
            kiln.ok(given);
            assert_eq!(shown(kiln, "x"), want, "{args:?}");
        }
    });
}

#[test]
fn what_is_asked_for_is_shown() {
    everybody(|_, kiln| {
        let files = [("Dockerfile", DOCKERFILE), ("a", "fetched\n")];
        let folder = kiln.context("context", &files);
        let private = kiln.scratch().join("served/private");
        fs::create_dir_all(&private).unwrap();
        fs::rename(tar(&folder, "c.tar.gz"), private.join("c.tar.gz")).unwrap();
        repository(&folder, &private.join("r.git"));
        let web = Web::guarded(private.parent().unwrap(), "x-access-token:password1").unwrap();
        write(&kiln.scratch().join("token"), "password1\n");
        let header = "Basic eC1hY2Nlc3MtdG9rZW46cGFzc3dvcmQx\n";
        write(&kiln.scratch().join("header"), header);
        write(
            &kiln.scratch().join("file"),
            "FROM busybox\nCOPY --from=more a /a\n",
        );
        let git = web.url("private/r.git#main");
        let http = web.url("private/c.tar.gz");
        let more = format!("more={git}");
        let token = "id=GIT_AUTH_TOKEN.127.0.0.1,src=token";
        let header = "id=HTTP_AUTH_HEADER_127.0.0.1,src=header";
        for (secret, args) in [
            (token, &[&*git][..]),
            (header, &[&*http]),
            (token, &["-f", "file", "--build-context", &more, "context"]),
        ] {
            let build = ["build", "-q", "-t", "x"].iter();
            let secret = ["--secret", secret];
            kiln.ok(build.clone().chain(&secret).chain(args));
            assert_eq!(shown(kiln, "x"), "fetched\n", "{args:?}");
            let without = kiln.run(build.chain(args));
            assert_ne!(without.code, 0, "{args:?}");
            assert!(!without.err.contains("password1"), "{}", without.err);
        }
    });
}

#[test]
fn the_git_directory_of_a_context_stays_where_that_is_asked_for() {
    let kiln = Kiln::new();
    kiln_tests::base::busybox(&kiln);
    let text = "FROM busybox\nCOPY . /all\nRUN cat /all/.git/HEAD > /a || true\n";
    let folder = kiln.context("context", &[("Dockerfile", text), ("sub/Dockerfile", text)]);
    let served = kiln.scratch().join("served");
    fs::create_dir_all(&served).unwrap();
    repository(&folder, &served.join("r.git"));
    let web = Web::folder(&served).unwrap();
    let (whole, part) = (web.url("r.git#main"), web.url("r.git#main:sub"));
    for (value, url, kept) in [
        (None, &whole, false),
        (Some("1"), &whole, true),
        (Some("true"), &whole, true),
        (Some("0"), &whole, false),
        (Some("false"), &whole, false),
        // A folder of a repository is none.
        (Some("1"), &part, false),
    ] {
        let argument = value.map(|value| format!("BUILDKIT_CONTEXT_KEEP_GIT_DIR={value}"));
        let given = argument.iter().flat_map(|arg| ["--build-arg", arg]);
        let args = ["build", "-q", "-t", "x"].into_iter().chain(given);
        kiln.ok(args.chain([url.as_str()]));
        let head = shown(&kiln, "x");
        assert_eq!(!head.is_empty(), kept, "{argument:?} {url}: {head}");
    }
    let argument = "BUILDKIT_CONTEXT_KEEP_GIT_DIR=perhaps";
    let said = kiln.fails(["build", "--build-arg", argument, &whole]);
    assert!(said.err.contains("perhaps"), "{}", said.err);
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

#[test]
fn a_layout_stands_for_an_image() {
    everybody(|_, kiln| {
        kiln.build(
            "made",
            &[("Dockerfile", "FROM busybox\nRUN echo made > /a\n")],
        );
        let layout = kiln.scratch().join("layout");
        let to = format!("type=oci,tar=false,dest={}", layout.display());
        let made = kiln.scratch().join("made");
        kiln.ok([
            "build",
            "-q",
            "--output",
            &to,
            "-t",
            "made:1",
            made.to_str().unwrap(),
        ]);
        kiln.ok(["rmi", "-f", "made"]);
        let folder = kiln.context("context", &[("Dockerfile", "FROM other\nRUN cat /a\n")]);
        let folder = folder.to_str().unwrap();
        let given = format!("other=oci-layout://{}:1", layout.display());
        kiln.ok(["build", "-q", "-t", "x", "--build-context", &given, folder]);
        assert_eq!(shown(kiln, "x"), "made\n");
        let wrong = format!("other=oci-layout://{}:2", layout.display());
        let said = kiln.fails(["build", "--build-context", &wrong, folder]);
        assert!(
            said.err.contains("no image with the tag `2`"),
            "{}",
            said.err
        );
    });
}
