//! Layers that are made here: unpacked straight from whoever writes their tar, and what they have of
//! the files below once more.

use std::io::{self, Read as _, Write};
use std::process::Command;
use std::sync::Arc;

use kiln_image::Digest;
use kiln_layer::{InMemory, Meta, Times};
use kiln_rootfs::{Direct, Error, ErrorKind, Repeated, Roots, bodies};
use kiln_sandbox::UserNamespace;
use kiln_store::Store;

use crate::shell::Scratch;
use crate::world::World;

/// An error of somebody who packs.
#[derive(Debug)]
enum Told {
    Own(&'static str),
    Rootfs(Error),
}

impl From<Error> for Told {
    fn from(e: Error) -> Self {
        Self::Rootfs(e)
    }
}

impl From<kiln_layer::Error> for Told {
    fn from(e: kiln_layer::Error) -> Self {
        Self::Rootfs(e.into())
    }
}

fn files() -> InMemory {
    let mut files = InMemory::new();
    let meta = Meta {
        uid: 33,
        gid: 70000,
        ..Meta::with_mode(0o4755)
    };
    for (path, size) in [("a", 0), ("d/b", 10), ("d/c", 3 << 20)] {
        let content: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        files.file(path.parse().unwrap(), meta.clone(), content);
    }
    files.entry(kiln_layer::Entry::folder(
        "d".parse().unwrap(),
        Meta::with_mode(0o750),
    ));
    files
}

/// As root, and in a keeper: one mechanism.
fn a_layer_is_made(roots: &Roots) {
    let store = roots.store();
    let (tar, packed) = kiln_layer::pack(&files(), Vec::new(), Times::Keep).unwrap();
    let write = |out: &mut (dyn Write + Send)| -> Result<_, Told> {
        Ok(kiln_layer::pack(&files(), out, Times::Keep)?.1)
    };
    for round in 0..2 {
        let made = roots.make_unpacked(write).unwrap();
        assert_eq!((made.diff_id, made.size), (packed.diff_id, packed.size));
        let known = store.layers().get(&made.diff_id).unwrap().unwrap().facts;
        assert_eq!(known.dialect, Some(kiln_layer::DIALECT), "{round}");
        assert_eq!(
            *store.layers().tree(&made.diff_id).unwrap().unwrap(),
            packed.tree
        );
        assert!(!store.blobs().has(&made.diff_id), "no packed copy");
        let mut again = Vec::new();
        let mut read = roots.packed(&made.diff_id).unwrap();
        read.read_to_end(&mut again).unwrap();
        assert!(again == tar, "the same bytes from the body");
        let body = roots.unpacked(&made.diff_id, &[]).unwrap();
        let file = roots.bodies().open(&body, &"d/b".parse().unwrap());
        assert_eq!(
            io::read_to_string(file.unwrap().take(3)).unwrap(),
            "\0\u{1}\u{2}"
        );
    }
}

/// Of both sides that fail it is told who failed first; there is neither a layer nor a folder of it.
fn nothing_of_a_failure_stays(roots: &Roots) {
    let files = files();
    let early = roots.make_unpacked(|out| {
        out.write_all(&[b'x'; 100]).unwrap();
        Err(Told::Own("no more files"))
    });
    assert!(matches!(early, Err(Told::Own("no more files"))));
    let late = roots.make_unpacked(|out| {
        kiln_layer::pack(&files, out, Times::Keep)?;
        Err(Told::Own("at the end"))
    });
    assert!(matches!(late, Err(Told::Own("at the end"))));
    // The reader finds out that this is no tar; the writer only that nobody listens any more.
    let refused = roots.make_unpacked(|out| {
        loop {
            if out.write_all(&[b'x'; 100_000]).is_err() {
                return Err(Told::Own("a broken pipe"));
            }
        }
    });
    let Err(Told::Rootfs(e)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(e.kind(), ErrorKind::Layer, "{e}");
    let other = roots.make_unpacked(|out| -> Result<_, Told> {
        let (_, packed) = kiln_layer::pack(&files, out, Times::Keep)?;
        let diff_id = Digest::sha256(b"another");
        Ok(kiln_layer::Packed { diff_id, ..packed })
    });
    let Err(Told::Rootfs(e)) = other else {
        panic!("{other:?}");
    };
    assert_eq!(e.kind(), ErrorKind::Mismatch, "{e}");
    let left = Command::new("find")
        .arg(roots.store().root())
        .args(["-name", "layer", "-o", "-name", "root"])
        .output();
    assert_eq!(String::from_utf8_lossy(&left.unwrap().stdout), "");
}

pub(crate) fn unpacked_at_once() {
    let scratch = Scratch::new("made");
    let store = Store::open(&scratch.join("store")).unwrap();
    let roots = Roots::new(store, Arc::new(Direct));
    nothing_of_a_failure_stays(&roots);
    a_layer_is_made(&roots);
}

pub(crate) fn unpacked_at_once_without_root() -> Result<(), String> {
    let namespace = UserNamespace::usual()
        .unwrap()
        .expect("these tests are not run as root");
    let folder = std::env::temp_dir().join("made");
    let store = Store::open(&folder).unwrap();
    let roots = Roots::new(store, bodies(Some(&namespace), &folder));
    nothing_of_a_failure_stays(&roots);
    a_layer_is_made(&roots);
    Ok(())
}

/// What is only given another mode or owner is in the layer as a whole, and that is told.
pub(crate) fn what_is_repeated() {
    let world = World::new("repeated");
    let script = "for n in 1 2 3; do head -c 4000000 /dev/zero > /b$n; done; ln /b3 /b4; echo x > /small; touch -d @1600000000 /b1 /b2 /b3 /small";
    let big = world.run(&[world.base], script).1.unwrap();
    assert_eq!(big.repeated, None, "new files are not repeated");
    let layers = [world.base, big.diff_id];
    let repeated = |script: &str| world.run(&layers, script).1.unwrap().repeated;
    let three = Repeated {
        files: 3,
        bytes: 12_000_000,
        ..Repeated::default()
    };
    assert_eq!(
        repeated("chmod 600 /b1 /b2 /b3 /small; echo x > /new"),
        Some(Repeated {
            files: 4,
            bytes: 12_000_002,
            mode: true,
            ..three
        })
    );
    assert_eq!(
        repeated("chown 5 /b1; touch /b2; chmod 600 /b3"),
        Some(Repeated {
            mode: true,
            owner: true,
            time: true,
            ..three
        })
    );
    assert_eq!(repeated("chmod 600 /b1 /b2"), None, "too little to tell");
    assert_eq!(
        repeated("chmod 600 /b1 /b2; echo more >> /b3"),
        None,
        "what has changed is not repeated"
    );
    assert_eq!(repeated("mkdir /x; mv /b1 /b2 /b3 /x"), None);
}
