//! Against the reference implementation, as Debian ships it.

use std::{fs, process::Command, sync::Arc};

use kiln_image::{ErrorKind, Sink, Source, Taken};
use kiln_registry::{Client, Credential, Endpoint, Host, Options, Secret};
use kiln_tests::registry::{docker_registry, docker_registry_with};

use crate::support::{bytes, client, client_as, image, name, pull, push};

const ABSENT: &str = "not run: docker-registry is not installed";

#[test]
fn images_go_there_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let Some(registry) = docker_registry(folder.path()) else {
        println!("{ABSENT}");
        return;
    };
    let what = name(registry.address(), "deep/er/app:v1");
    let (memory, manifest) = image(&what, &[0, 10, 5_000_000]);
    let client = client();
    let remote = client.repository(&what);
    push(&memory, &remote, &what).unwrap();
    let (_, found) = pull(&remote, &what).unwrap();
    assert_eq!(found.digest, manifest.digest);
    assert_eq!(remote.tags().unwrap(), ["v1"]);
    let mut rest = Vec::new();
    let layer = kiln_image::Descriptor::of(kiln_image::media::LAYER, &bytes(5_000_000, 3));
    let mut stream = remote.blob(&layer, 4_999_000).unwrap();
    std::io::Read::read_to_end(&mut stream, &mut rest).unwrap();
    assert_eq!(rest, bytes(5_000_000, 3)[4_999_000..]);
    let other = name(registry.address(), "an/other:1");
    let open = |_| panic!("nothing is to be read");
    let known = remote.locations(&layer);
    let taken = client
        .repository(&other)
        .put_blob(&layer, &open, &known, &mut |_| {});
    assert_eq!(taken.unwrap(), Taken::Mounted);
    let absent = name(registry.address(), "deep/er/app:v2");
    let e = remote.resolve(&absent).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound, "{e}");
}

#[test]
fn a_broken_upload_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let Some(registry) = docker_registry(folder.path()) else {
        println!("{ABSENT}");
        return;
    };
    let proxy = cutting_proxy(registry.address().to_owned(), 3_000_000);
    let what = name(&proxy, "a/b:1");
    let (memory, manifest) = image(&what, &[20_000_000]);
    push(&memory, &client().repository(&what), &what).unwrap();
    let there = name(registry.address(), "a/b:1");
    let (_, found) = pull(&client().repository(&there), &there).unwrap();
    assert_eq!(found.digest, manifest.digest);
}

/// A way to `to` that breaks the first connection that carries more than `after` bytes up.
fn cutting_proxy(to: String, after: u64) -> String {
    use std::{
        io::{Read, Write, copy},
        net::{Shutdown, TcpListener, TcpStream},
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let cut = Arc::new(AtomicBool::new(false));
    thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut server) = (client.unwrap(), TcpStream::connect(&to).unwrap());
            let (mut back_from, mut back_to) =
                (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || {
                let _ = copy(&mut back_from, &mut back_to);
                let _ = back_to.shutdown(Shutdown::Both);
            });
            let cut = cut.clone();
            thread::spawn(move || {
                let (mut carried, mut buf) = (0, vec![0; 64 << 10]);
                while let Ok(n @ 1..) = client.read(&mut buf) {
                    if server.write_all(&buf[..n]).is_err() {
                        break;
                    }
                    carried += n as u64;
                    if carried > after && !cut.swap(true, Ordering::Relaxed) {
                        break;
                    }
                }
                let _ = client.shutdown(Shutdown::Both);
                let _ = server.shutdown(Shutdown::Both);
            });
        }
    });
    address
}

#[test]
fn with_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let passwords = folder.path().join("htpasswd");
    // me:secret, with bcrypt, which is all that it reads.
    let line = "me:$2b$05$wQn7Ofz14Y7O69WKJnNVeeGh6IC2N71rhyXWZx4GK2QOAqNqNJ.k6\n";
    fs::write(&passwords, line).unwrap();
    let auth = format!(
        "auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
        passwords.display()
    );
    let Some(registry) = docker_registry_with(folder.path(), "", &auth) else {
        println!("{ABSENT}");
        return;
    };
    let what = name(registry.address(), "a/b:1");
    let (memory, manifest) = image(&what, &[1_000_000]);
    let e = push(&memory, &client().repository(&what), &what).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Denied, "{e}");
    let as_me = |password: &str| {
        client_as(Credential::Basic {
            user: "me".to_owned(),
            password: Secret::new(password),
        })
        .repository(&what)
    };
    let e = push(&memory, &as_me("wrong"), &what).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Denied, "{e}");
    push(&memory, &as_me("secret"), &what).unwrap();
    let (_, found) = pull(&as_me("secret"), &what).unwrap();
    assert_eq!(found.digest, manifest.digest);
}

#[test]
fn over_tls_with_a_ca_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (key, pem) = (folder.path().join("key.pem"), folder.path().join("crt.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=test", "-addext"])
        .args(["subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&pem)
        .output();
    if !made.is_ok_and(|out| out.status.success()) {
        println!("not run: openssl is not installed");
        return;
    }
    let tls = format!(
        "  tls:\n    certificate: {}\n    key: {}\n",
        pem.display(),
        key.display()
    );
    let Some(registry) = docker_registry_with(folder.path(), &tls, "") else {
        println!("{ABSENT}");
        return;
    };
    let what = name(registry.address(), "a/b:1");
    let (memory, manifest) = image(&what, &[1_000_000]);
    let url = format!("https://{}", registry.address());
    let trusted = fs::read(&pem).unwrap();
    let client = |roots: Option<Vec<u8>>| {
        let url = url.clone();
        let options = Options {
            hosts: Arc::new(move |_: &str, _: &str| {
                let endpoint = Endpoint::new(&url)?;
                let endpoints = match &roots {
                    Some(pem) => vec![endpoint.trusting(pem.clone())],
                    None => vec![endpoint],
                };
                Ok(Host { endpoints })
            }),
            ..Options::default()
        };
        Client::new(options).repository(&what)
    };
    let e = push(&memory, &client(None), &what).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unreachable, "{e}");
    assert!(e.to_string().contains("certificate"), "{e}");
    push(&memory, &client(Some(trusted.clone())), &what).unwrap();
    let (_, found) = pull(&client(Some(trusted)), &what).unwrap();
    assert_eq!(found.digest, manifest.digest);
    let plain = Client::new(Options::default()).repository(&what);
    assert!(
        plain.resolve(&what).is_err(),
        "loopback is plain HTTP unless told"
    );
}
