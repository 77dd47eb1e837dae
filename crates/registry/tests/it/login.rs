//! Logging in: asked of the registry, kept where users have it, found again; with helpers too.

use std::{fs, path::Path, sync::Arc};

use kiln_image::{ErrorKind, Source};
use kiln_registry::{Client, Credential, Credentials, DockerConfig, Host, Kept, Options, Secret};
use kiln_tests::registry::{self, Access, Registry, Tokens};

use crate::support::{ME, client, image, me, name, push};

fn with(access: Access) -> Registry {
    Registry::start_with(registry::Options {
        access,
        folder: None,
    })
}

fn wrong() -> Credential {
    Credential::Basic {
        user: "me".to_owned(),
        password: Secret::new("hunter2"),
    }
}

#[test]
fn a_registry_says_whether_it_knows_somebody() {
    for registry in [
        with(Access::Basic(ME.to_owned())),
        with(Access::Tokens(Tokens::new(ME))),
    ] {
        let client = client();
        client.login(&registry.address(), &me()).unwrap();
        let e = client.login(&registry.address(), &wrong()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Denied, "{e}");
        let said = format!(
            "login attempt to http://{}/v2/ failed with status: 401 Unauthorized",
            registry.address()
        );
        assert_eq!(e.to_string(), said);
        assert!(e.hint_text().unwrap().contains("wrong"), "{e:?}");
        assert!(!format!("{e:?}").contains("hunter2"));
        // One that was right before does not help one that is wrong, nor the other way round.
        client.login(&registry.address(), &me()).unwrap();
    }
}

#[test]
fn an_open_registry_takes_everybody_and_a_dead_one_nobody() {
    let registry = Registry::start();
    client().login(&registry.address(), &wrong()).unwrap();
    let e = client().login("127.0.0.1:1", &me()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unreachable, "{e}");
}

#[test]
fn mirrors_are_not_asked() {
    let (registry, mirror) = (with(Access::Basic(ME.to_owned())), Registry::start());
    let urls = [mirror.address(), registry.address()];
    let hosts = move |_: &str, _: &str| {
        let mut host = Host::plain(&urls[0])?;
        host.endpoints = vec![host.endpoints.remove(0).pull_only()];
        host.endpoints.extend(Host::plain(&urls[1])?.endpoints);
        Ok(host)
    };
    let client = Client::new(Options {
        hosts: Arc::new(hosts),
        ..Options::default()
    });
    assert!(client.login("x.y", &wrong()).is_err());
    client.login("x.y", &me()).unwrap();
    assert!(mirror.requests().is_empty());
}

#[test]
fn what_is_kept_is_used() {
    let registry = with(Access::Basic(ME.to_owned()));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    let config = || DockerConfig::read(vec![path.clone()]);
    let what = name(&registry.address(), "a/b:1");
    let (memory, _) = image(&what, &[1000]);
    let remote = || {
        let options = Options {
            credentials: Arc::new(config()),
            ..Options::default()
        };
        Client::new(options).repository(&what)
    };
    let kept = config().keep(&registry.address(), &me()).unwrap();
    assert_eq!(kept, Kept::File(path.clone()));
    push(&memory, &remote(), &what).unwrap();
    assert!(config().forget(&registry.address()).unwrap());
    let e = remote().resolve(&what).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Denied);
    assert!(e.hint_text().unwrap().contains("kiln login"), "{e:?}");
}

/// A helper that keeps everything in a folder, one file a server.
fn helper(folder: &Path, suffix: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let script = format!(
        "#!/bin/sh\nset -eu\ncd '{}'\nfile() {{ printf %s \"$1\" | tr -c 'a-z0-9.\\n' _; }}\n\
         case \"$1\" in\n\
         store) text=$(cat); server=$(printf %s \"$text\" | sed 's/.*\"ServerURL\":\"\\([^\"]*\\)\".*/\\1/')\n\
         printf %s \"$text\" > \"$(file \"$server\").kept\";;\n\
         get) at=$(file \"$(cat)\").kept; [ -e \"$at\" ] || {{ echo 'credentials not found in native keychain'; exit 1; }}; cat \"$at\";;\n\
         erase) rm \"$(file \"$(cat)\").kept\";;\nesac\n",
        folder.display()
    );
    let path = folder.join(format!("docker-credential-{suffix}"));
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn helpers_keep_and_forget() {
    let dir = tempfile::tempdir().unwrap();
    helper(dir.path(), "kilntest");
    helper(dir.path(), "kilnown");
    let search = std::env::var_os("PATH").unwrap_or_default();
    let mut places = vec![dir.path().to_owned()];
    places.extend(std::env::split_paths(&search));
    let path = dir.path().join("config.json");
    // The helpers are found by a program of their own: this test's environment is everybody's.
    let me_again = std::env::current_exe().unwrap();
    if std::env::var_os("KILN_TEST_HELPERS").is_none() {
        let output = std::process::Command::new(me_again)
            .args(["--exact", "login::helpers_keep_and_forget"])
            .env("KILN_TEST_HELPERS", dir.path())
            .env("PATH", std::env::join_paths(places).unwrap())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}"
        );
        return;
    }
    let text = r#"{"credsStore":"kilntest","credHelpers":{"own.x":"kilnown"},"auths":{"old.x":{"auth":"YTpi"}}}"#;
    fs::write(&path, text).unwrap();
    // Those of the first program's folder are the ones in `PATH`.
    let folder = Path::new(&std::env::var_os("KILN_TEST_HELPERS").unwrap()).to_owned();
    let config = || DockerConfig::read(vec![path.clone()]);
    for (registry, suffix, file) in [
        ("docker.io", "kilntest", "https___index.docker.io_v1_.kept"),
        ("x.y:5000", "kilntest", "x.y_5000.kept"),
        ("own.x", "kilnown", "own.x.kept"),
        ("old.x", "kilntest", "old.x.kept"),
    ] {
        let kept = config().keep(registry, &me()).unwrap();
        assert_eq!(kept, Kept::Helper(suffix.to_owned()));
        assert!(folder.join(file).exists(), "{file}");
        assert_eq!(config().get(registry, "a").unwrap(), Some(me()));
        assert!(config().forget(registry).unwrap());
        assert!(!folder.join(file).exists(), "{file}");
        assert!(!config().forget(registry).unwrap(), "{registry}");
    }
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("auth\":"), "no secret stays in it: {text}");
}
