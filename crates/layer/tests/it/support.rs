//! What the tests share: paths, entries, tars written by hand.

use std::{collections::BTreeMap, io::Read, path::Path, process::Command};

use kiln_layer::{
    Entry, File, Files, InMemory, Kind, LayerPath, Meta, Packed, Time, Times, Tree, pack,
};

pub(crate) fn path(s: &str) -> LayerPath {
    s.parse().unwrap()
}

pub(crate) fn meta(mode: u32) -> Meta {
    Meta {
        mtime: Time::at(1_600_000_000),
        ..Meta::with_mode(mode)
    }
}

pub(crate) fn dir(p: &str) -> Entry {
    Entry::folder(path(p), meta(0o755))
}

pub(crate) fn entry(p: &str, kind: Kind) -> Entry {
    Entry {
        path: path(p),
        meta: meta(0o644),
        kind,
    }
}

pub(crate) fn symlink(p: &str, target: &str) -> Entry {
    let target = target.into();
    Entry {
        meta: meta(0o777),
        ..entry(p, Kind::Symlink { target })
    }
}

pub(crate) fn hardlink(p: &str, target: &str) -> Entry {
    entry(
        p,
        Kind::Hardlink {
            target: path(target),
        },
    )
}

/// Files in memory from a short notation: `a/` is a folder, `a -> b` a symbolic link, `a = text` a
/// file, `a == b` a hard link, `-a` a whiteout, `a/ opaque`.
pub(crate) fn files(lines: &[&str]) -> InMemory {
    let mut files = InMemory::new();
    for line in lines {
        if let Some(p) = line.strip_prefix('-') {
            files.entry(Entry::whiteout(path(p)));
        } else if let Some((p, target)) = line.split_once(" -> ") {
            files.entry(symlink(p, target));
        } else if let Some((p, target)) = line.split_once(" == ") {
            files.entry(hardlink(p, target));
        } else if let Some((p, text)) = line.split_once(" = ") {
            files.file(path(p), meta(0o644), text);
        } else if let Some(p) = line.strip_suffix(" opaque") {
            files.entry(Entry {
                kind: Kind::Dir { opaque: true },
                ..dir(p)
            });
        } else {
            files.entry(dir(line));
        }
    }
    files
}

/// The notation of [`files`] for what is in a tree, without contents.
pub(crate) fn listing(tree: &Tree) -> Vec<String> {
    tree.iter()
        .map(|e| match &e.kind {
            Kind::Dir { opaque: false } => format!("{}/", e.path),
            Kind::Dir { opaque: true } => format!("{}/ opaque", e.path),
            Kind::Symlink { target } => {
                format!("{} -> {}", e.path, String::from_utf8_lossy(target))
            }
            Kind::Hardlink { target } => format!("{} == {target}", e.path),
            Kind::File(file) => format!("{} {}", e.path, file.size),
            Kind::Whiteout => format!("-{}", e.path),
            other => format!("{} {}", e.path, other.name()),
        })
        .collect()
}

pub(crate) fn read(files: &dyn Files, p: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut file = files.open(&path(p)).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

pub(crate) fn packed(files: &dyn Files) -> (Vec<u8>, Packed) {
    pack(files, Vec::new(), Times::Keep).unwrap()
}

/// A tree with one of everything that a layer can have and every tar reader understands.
pub(crate) fn everything() -> InMemory {
    let mut files = InMemory::new();
    let long = format!("deep/{}", ["folder-with-a-long-name"; 8].join("/"));
    for p in path(&long).ancestors().skip(1) {
        files.entry(Entry::folder(p, meta(0o755)));
    }
    files.entry(dir(&long));
    files.file(path(&format!("{long}/file")), meta(0o600), b"deep");
    files.entry(symlink("far", &format!("/{long}")));
    files.entry(hardlink("hard", &format!("{long}/file")));
    files.file(path("a"), meta(0o644), "content of a");
    files.entry(hardlink("b", "a"));
    files.entry(hardlink("c", "a"));
    files.entry(symlink("link", "../../etc/passwd"));
    files.entry(entry("pipe", Kind::Fifo));
    files.entry(entry("null", Kind::Char { major: 1, minor: 3 }));
    files.entry(entry(
        "disk",
        Kind::Block {
            major: 8,
            minor: 300_000,
        },
    ));
    files.file(path("empty"), meta(0o444), "");
    files.file(path("set"), meta(0o6755), "setuid");
    let owned = Meta {
        uid: 3_000_000,
        gid: u32::MAX - 1,
        ..meta(0o640)
    };
    files.file(path("owned"), owned, [7; 1025]);
    let mut marked = meta(0o755);
    let value = vec![
        1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    marked.xattrs = BTreeMap::from([
        (b"security.capability".to_vec(), value),
        (b"user.note".to_vec(), b"a=b\n\0\xff".to_vec()),
    ]);
    files.file(path("marked"), marked, "capable");
    let old = Meta {
        mtime: Time::at(-86_400),
        ..meta(0o644)
    };
    files.file(path("old"), old, "before 1970");
    files.file(
        LayerPath::parse(b"name-\xff-\xc3\xa9").unwrap(),
        meta(0o644),
        "not UTF-8",
    );
    files.entry(Entry::folder(path("tmp"), meta(0o1777)));
    link_first(&files)
}

/// Of each file's names the first in order is the file.
fn link_first(files: &InMemory) -> InMemory {
    let mut out = files.clone();
    // `deep/…/file` comes before `hard`; `a` before `b`: nothing to do but to take their metadata.
    for e in files.tree().iter() {
        if let Kind::Hardlink { target } = &e.kind {
            out.entry(Entry {
                meta: files.tree().get(target).unwrap().meta.clone(),
                ..e.clone()
            });
        }
    }
    out
}

/// Runs a program; its output, or `None` with a note when it is not installed.
pub(crate) fn run(program: &str, args: &[&str], dir: &Path) -> Option<String> {
    let out = Command::new(program)
        .args(args)
        .current_dir(dir)
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .output();
    match out {
        Ok(out) => {
            let (stdout, stderr) = (
                String::from_utf8_lossy(&out.stdout).into_owned(),
                String::from_utf8_lossy(&out.stderr).into_owned(),
            );
            assert!(out.status.success(), "{program} {args:?}: {stderr}");
            Some(stdout)
        }
        Err(e) => {
            println!("not run: `{program}` cannot be started: {e}");
            None
        }
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(crate) fn unread(size: u64) -> Kind {
    Kind::File(File::unread(size))
}
