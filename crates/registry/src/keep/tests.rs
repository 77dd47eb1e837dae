use std::ffi::OsString;

use super::*;
use crate::{Credentials, Secret};

fn me() -> Credential {
    Credential::Basic {
        user: "me".to_owned(),
        password: Secret::new("p:w"),
    }
}

fn user(config: &DockerConfig, registry: &str) -> Option<String> {
    match config.get(registry, "").unwrap() {
        Some(Credential::Basic { user, .. }) => Some(user),
        other => other.map(|c| format!("{c:?}")),
    }
}

/// A home with these files, and its configuration.
fn home(files: &[(&str, &str)]) -> (tempfile::TempDir, impl Fn() -> DockerConfig + use<>) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let home: OsString = dir.path().into();
    let open = move || DockerConfig::usual(&|name| (name == "HOME").then(|| home.clone()));
    (dir, open)
}

#[test]
fn what_others_wrote_stays_in_its_order() {
    let before = "{\n\t\"zeta\": 1,\n\t\"auths\": {\n\t\t\"other.x\": {\n\t\t\t\"auth\": \"YTpi\",\n\t\t\t\"email\": \"a@b\"\n\t\t}\n\t},\n\t\"alpha\": {\n\t\t\"big\": 12345678901234567890\n\t}\n}\n";
    let (dir, open) = home(&[(".docker/config.json", before)]);
    let path = dir.path().join(".docker/config.json");
    assert_eq!(
        open().keep("x.y:5000", &me()).unwrap(),
        Kept::File(path.clone())
    );
    let between = fs::read_to_string(&path).unwrap();
    let entry = ",\n\t\t\"x.y:5000\": {\n\t\t\t\"auth\": \"bWU6cDp3\"\n\t\t}\n\t},";
    assert_eq!(between, before.replace("\n\t},", entry));
    assert_eq!(user(&open(), "x.y:5000").as_deref(), Some("me"));
    assert_eq!(user(&open(), "other.x").as_deref(), Some("a"));
    assert!(open().forget("x.y:5000").unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    assert!(!open().forget("x.y:5000").unwrap());
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_and_a_link_stays_one() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let (dir, open) = home(&[("dotfiles/d.json", "{}")]);
    let docker = dir.path().join(".docker");
    fs::create_dir(&docker).unwrap();
    symlink("../dotfiles/d.json", docker.join("config.json")).unwrap();
    let target = dir.path().join("dotfiles/d.json");
    fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).unwrap();
    open().keep("x.y", &me()).unwrap();
    let mode = |path: &Path| path.symlink_metadata().unwrap().permissions().mode() & 0o777;
    assert!(docker.join("config.json").is_symlink());
    assert_eq!(mode(&target), 0o600);
    let names = fs::read_dir(dir.path().join("dotfiles")).unwrap().count();
    assert_eq!(names, 1, "nothing is left beside it");
    // A link that leads nowhere yet, and a folder that is not there.
    fs::remove_file(&target).unwrap();
    open().keep("x.y", &me()).unwrap();
    assert!(target.exists() && docker.join("config.json").is_symlink());
    fs::remove_dir_all(&docker).unwrap();
    open().keep("x.y", &me()).unwrap();
    assert_eq!(
        (mode(&docker), mode(&docker.join("config.json"))),
        (0o700, 0o600)
    );
}

#[test]
fn the_hub_has_one_entry_whatever_it_is_called() {
    let (dir, open) = home(&[]);
    let path = dir.path().join(".docker/config.json");
    open().keep("docker.io", &me()).unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains(HUB_KEY));
    fs::write(&path, r#"{"auths":{"docker.io":{"auth":"YTpi"},"index.docker.io":{"auth":"YTpi"},"docker.io/ns":{"auth":"YTpi"}}}"#).unwrap();
    open().keep("docker.io", &me()).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("docker.io").count(), 2, "{text}");
    assert_eq!(user(&open(), "docker.io").as_deref(), Some("me"));
    assert!(open().forget("docker.io").unwrap());
    assert_eq!(user(&open(), "docker.io"), None);
    assert!(fs::read_to_string(&path).unwrap().contains("docker.io/ns"));
}

#[test]
fn the_file_that_knows_the_registry_is_the_one() {
    let auth = ".config/containers/auth.json";
    let text = r#"{"auths":{"p.x":{"auth":"YTpi"}}}"#;
    let (dir, open) = home(&[(auth, text)]);
    assert_eq!(
        open().keep("p.x", &me()).unwrap(),
        Kept::File(dir.path().join(auth))
    );
    assert_eq!(
        open().keep("d.x", &me()).unwrap(),
        Kept::File(dir.path().join(".docker/config.json"))
    );
    let chosen = dir.path().join("chosen.json");
    let env = |name: &str| match name {
        "HOME" => Some(dir.path().into()),
        "REGISTRY_AUTH_FILE" => Some(chosen.clone().into()),
        _ => None,
    };
    let kept = DockerConfig::usual(&env).keep("docker.io", &me()).unwrap();
    assert_eq!(kept, Kept::File(chosen.clone()));
    let text = fs::read_to_string(&chosen).unwrap();
    assert!(text.contains("\"docker.io\""), "{text}");
}

#[test]
fn what_cannot_be_kept_changes_nothing() {
    let (dir, open) = home(&[(".docker/config.json", r#"{"auths": "hunter2"}"#)]);
    let path = dir.path().join(".docker/config.json");
    for text in [
        r#"{"auths": "hunter2"}"#,
        "[]",
        r#"{"auths":{"x.y":{"auth":"#,
    ] {
        fs::write(&path, text).unwrap();
        let e = open().keep("x.y", &me()).unwrap_err().to_string();
        assert!(e.contains("config.json") && !e.contains("hunter2"), "{e}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    fs::remove_file(&path).unwrap();
    let colon = Credential::Basic {
        user: "a:b".to_owned(),
        password: Secret::new("c"),
    };
    assert!(open().keep("x.y", &colon).is_err());
    assert!(!path.exists());
}

#[test]
fn many_at_once_all_arrive() {
    let (_dir, open) = home(&[]);
    std::thread::scope(|scope| {
        for n in 0..16 {
            let open = &open;
            scope.spawn(move || open().keep(&format!("r{n}.x"), &me()).unwrap());
        }
    });
    for n in 0..16 {
        assert_eq!(user(&open(), &format!("r{n}.x")).as_deref(), Some("me"));
    }
}
