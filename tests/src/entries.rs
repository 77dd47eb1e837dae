//! What the layers of an image hold, entry by entry, as a library that is not kiln's reads it.

use std::{collections::BTreeMap, process::Command};

use crate::kiln::{Kiln, said};

/// The entries of a layer by path: type, mode, owner, device numbers, link, attributes, and the
/// digest of the content; without times.
pub type Entries = BTreeMap<String, String>;

/// The layers of the image, the bottom first, by python's `tarfile`.
///
/// # Panics
/// When the image cannot be saved, or read.
pub fn of_image(kiln: &Kiln, image: &str) -> Vec<Entries> {
    let tar = kiln.scratch().join("entries.tar");
    let path = tar.to_str().expect("made of letters");
    kiln.ok(["save", "-o", path, image]);
    let said = said(Command::new("python3").args(["-c", SCRIPT, path]));
    assert_eq!(said.code, 0, "{}", said.err);
    let mut layers: Vec<Entries> = Vec::new();
    for line in said.out.lines() {
        match line.split_once('\t') {
            None => layers.push(Entries::new()),
            Some((name, rest)) => {
                let layer = layers.last_mut().expect("a layer comes first");
                layer.insert(name.to_owned(), rest.to_owned());
            }
        }
    }
    layers
}

/// In what two lists of layers differ, a line each; `ignore` takes a path out.
pub fn differences(a: &[Entries], b: &[Entries], ignore: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    if a.len() != b.len() {
        found.push(format!("{} layers and {}", a.len(), b.len()));
    }
    for (number, (a, b)) in a.iter().zip(b).enumerate() {
        for path in a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))) {
            if a.get(path) != b.get(path) && !ignore(path) {
                let (a, b) = (a.get(path), b.get(path));
                found.push(format!("layer {number}: {path}\n  {a:?}\n  {b:?}"));
            }
        }
    }
    found
}

const SCRIPT: &str = r#"
import hashlib, json, sys, tarfile
outer = tarfile.open(sys.argv[1])
manifest = json.load(outer.extractfile("manifest.json"))
for name in manifest[0]["Layers"]:
    print(name)
    layer = tarfile.open(fileobj=outer.extractfile(name))
    for e in layer:
        kept = sorted((k, v) for k, v in e.pax_headers.items() if k.startswith("SCHILY.xattr."))
        content = hashlib.sha256(layer.extractfile(e).read()).hexdigest() if e.isreg() else ""
        print("%s\t%s %o %d:%d %d,%d %r %r %s" % (ascii(e.name), e.type.decode(), e.mode, e.uid, e.gid,
              e.devmajor, e.devminor, e.linkname, kept, content))
"#;
