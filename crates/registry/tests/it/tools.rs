//! With skopeo, against the registry in the process: both must be understood by a third.

use std::{io::ErrorKind, process::Command};

use kiln_image::Source;
use kiln_registry::Credential;
use kiln_tests::registry::{self, Access, Registry, Tokens};

use crate::support::{ME, client, client_as, image, me, name, pull, push};

/// Runs skopeo, which must succeed; false where it is not installed.
#[allow(clippy::print_stdout)] // Nothing is skipped in silence.
fn skopeo(args: &[&str]) -> bool {
    match Command::new("skopeo").args(args).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "skopeo {args:?}: {said}");
            true
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            println!("not run: skopeo is not installed");
            false
        }
        Err(e) => panic!("skopeo: {e}"),
    }
}

#[test]
fn skopeo_copies_what_we_pushed_and_we_pull_the_copy() {
    let open = Registry::start();
    let locked = Registry::start_with(registry::Options {
        access: Access::Tokens(Tokens::new(ME)),
        folder: None,
    });
    for (registry, credential) in [(open, None), (locked, Some(me()))] {
        let client = match &credential {
            Some(credential) => client_as(Credential::clone(credential)),
            None => client(),
        };
        let what = name(&registry.address(), "a/b:1");
        let (memory, manifest) = image(&what, &[1000, 2_000_000]);
        push(&memory, &client.repository(&what), &what).unwrap();
        let copied = name(&registry.address(), "c/d:2");
        let from = format!("docker://{what}");
        let to = format!("docker://{copied}");
        let mut args = vec!["--insecure-policy", "copy", "-q", "--preserve-digests"];
        args.extend(["--src-tls-verify=false", "--dest-tls-verify=false"]);
        if credential.is_some() {
            args.extend([
                "--src-creds",
                "me:pass:word",
                "--dest-creds",
                "me:pass:word",
            ]);
        }
        args.extend([from.as_str(), to.as_str()]);
        if !skopeo(&args) {
            return;
        }
        let remote = client.repository(&copied);
        let (_, found) = pull(&remote, &copied).unwrap();
        assert_eq!(found.digest, manifest.digest);
        assert_eq!(remote.resolve(&copied).unwrap(), found);
    }
}
