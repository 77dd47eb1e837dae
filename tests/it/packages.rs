//! Packages that own files, change them and run as users of their own: installed by root and by a
//! user without root, to the same layers.

use std::{
    net::{TcpStream, ToSocketAddrs as _},
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

use kiln_tests::{
    entries::{self, Entries},
    kiln::Kiln,
    users::User,
};

const DOCKERFILE: &str = "FROM debian
RUN apt-get -qq update
RUN DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \\
    nginx-light postgresql libcap2-bin >/dev/null
RUN useradd -m -u 12345 somebody && mkdir /srv/site && cp /etc/passwd /etc/group /srv/site/ && \\
    install -o somebody -g www-data -m 4750 /bin/true /usr/local/bin/mine && \\
    chown -R somebody:www-data /srv/site && chmod 2770 /srv/site
RUN touch /srv/new && chown 33:33 /srv/new && mv /srv/new /srv/site/passwd && \\
    setcap cap_net_bind_service+ep /usr/local/bin/mine && chown -h 33 /bin/sh && mkfifo -m 640 /srv/pipe
";

fn network() -> bool {
    let addresses = ("deb.debian.org", 80).to_socket_addrs();
    let mut some = addresses.into_iter().flatten().take(2);
    some.any(|a| TcpStream::connect_timeout(&a, Duration::from_secs(4)).is_ok())
}

fn built(kiln: &Kiln, base: &str) -> Vec<Entries> {
    kiln.ok(["import", base, "debian"]);
    let context = kiln.context("packages", &[("Dockerfile", DOCKERFILE)]);
    let path = context.to_str().unwrap();
    let said = kiln.run(["build", "--progress=plain", "-t", "packages", path]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    entries::of_image(kiln, "packages")
}

/// What two installations by root differ in, too: times, keys and random numbers written to files.
fn differs_by_chance(path: &str) -> bool {
    let places = [
        "var/log/",
        "var/cache/",
        "var/lib/apt/",
        "var/lib/dpkg/",
        "var/lib/postgresql/",
        "var/lib/systemd/",
        "etc/ssl/private/",
        "etc/shadow",
        "etc/postgresql/",
    ];
    places
        .iter()
        .any(|p| path.trim_matches('\'').starts_with(p))
}

#[test]
fn packages_are_installed_alike_by_root_and_without() {
    if !network() {
        println!("not run: Debian's packages are not to be reached");
        return;
    }
    let (root, user) = (Kiln::new(), Kiln::of(&Arc::new(User::with_ids())));
    let base = root.scratch().join("debian.tar");
    let made = Command::new("mmdebstrap")
        .args(["--quiet", "--variant=apt", "bookworm"])
        .arg(&base)
        .status();
    assert!(made.is_ok_and(|s| s.success()), "mmdebstrap");
    std::fs::set_permissions(
        root.scratch(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let base = base.to_str().unwrap();
    let (by_root, by_user) = thread::scope(|scope| {
        let by_root = scope.spawn(|| built(&root, base));
        let by_user = built(&user, base);
        (by_root.join().unwrap(), by_user)
    });
    // Their content may differ; that they are there, and whose, may not.
    let without = |layers: &[Entries]| -> Vec<Entries> {
        let entry = |(path, said): (&String, &String)| {
            let by_chance = differs_by_chance(path);
            let kept = if by_chance {
                said.rsplit_once(' ').map_or("", |(kept, _)| kept)
            } else {
                said
            };
            (path.clone(), kept.to_owned())
        };
        layers
            .iter()
            .map(|layer| layer.iter().map(entry).collect())
            .collect()
    };
    let named_by_chance = |path: &str| {
        let places = ["/main/", "var/lib/apt/lists", "etc/ssl/certs/"];
        places.iter().any(|place| path.contains(place))
    };
    let found = entries::differences(&without(&by_root), &without(&by_user), &named_by_chance);
    assert!(found.is_empty(), "{}", found.join("\n"));

    // What the one kind of user made, the other runs, with the owners that it says.
    let tar = user.scratch().join("packages.tar");
    let tar = tar.to_str().unwrap();
    user.ok(["save", "-o", tar, "packages"]);
    root.ok(["rmi", "-f", "packages"]);
    root.ok(["load", "-i", tar]);
    let ask = "stat -c %U:%G:%a /srv/site/passwd /var/lib/postgresql /usr/local/bin/mine; nginx -t 2>&1 | tail -1; getcap /usr/local/bin/mine";
    // The machine's low ports are root's, and nginx tries one: so it has a network of its own.
    let own = ["run", "--rm", "--network", "none", "packages"];
    let run = [&own[..], &["sh", "-c", ask]].concat();
    let seen = root.ok(&run);
    assert_eq!(seen, user.ok(&run));
    assert!(
        seen.contains("www-data:www-data:644\npostgres:postgres:755\nsomebody:www-data:4750\n"),
        "{seen}"
    );
    assert!(seen.contains("test is successful"), "{seen}");
}
