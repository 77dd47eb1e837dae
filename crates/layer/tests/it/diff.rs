//! Trees on top of each other, and their differences.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use kiln_image::Digest;
use kiln_layer::{
    Entry, ErrorKind, Files, InMemory, Kind, LayerPath, Root, RootLayer, Time, Tree, apply, diff,
    flatten, upper_changes,
};
use proptest::prelude::*;

use crate::support::{files, listing, meta, packed, path, read};

pub(crate) fn root(layers: Vec<InMemory>) -> Root {
    let layer = |(i, files): (usize, InMemory)| RootLayer {
        diff_id: Digest::sha256(&[i as u8]),
        files: Arc::new(files),
    };
    Root::new(layers.into_iter().enumerate().map(layer).collect())
}

/// A random whole tree over few names, so that kinds meet at the same path.
fn tree() -> impl Strategy<Value = Tree> {
    let name = prop::sample::select(vec!["a", "b", "a.", "c"]);
    let path = prop::collection::vec(name, 1..4).prop_map(|n| n.join("/"));
    let kind = 0..7u32;
    prop::collection::vec((path, kind, 0..3u32, 0..2i64), 0..14).prop_map(|entries| {
        let mut out = files(&["/"]);
        let mut names: Vec<LayerPath> = Vec::new();
        for (p, kind, value, time) in entries {
            let p = path_of(&p);
            // Folders above it, unless something else is there.
            if p.ancestors()
                .any(|a| out.tree().get(&a).is_some_and(|e| !e.is_dir()))
            {
                continue;
            }
            if out.tree().get(&p).is_some() {
                continue;
            }
            for above in p.ancestors() {
                if out.tree().get(&above).is_none() {
                    out.entry(Entry::folder(above, meta(0o755)));
                }
            }
            let mut meta = meta(0o644 + value);
            meta.mtime = Time::at(time);
            match kind {
                0 | 1 => out.entry(Entry::folder(p, meta)),
                2 => out.entry(Entry {
                    path: p,
                    meta,
                    kind: Kind::Symlink {
                        target: vec![b'0' + value as u8],
                    },
                }),
                3 => out.entry(Entry {
                    path: p,
                    meta,
                    kind: Kind::Fifo,
                }),
                _ => {
                    if kind == 6 {
                        names.push(p.clone());
                    }
                    out.file(p, meta, [value as u8]);
                }
            }
        }
        link_up(out, names)
    })
}

fn path_of(s: &str) -> LayerPath {
    s.parse().unwrap()
}

/// Makes the files of `names` names of one file.
fn link_up(mut out: InMemory, mut names: Vec<LayerPath>) -> Tree {
    names.sort();
    if let Some((first, others)) = names.split_first() {
        let meta = out.tree().get(first).unwrap().meta.clone();
        for p in others {
            let kind = Kind::Hardlink {
                target: first.clone(),
            };
            out.entry(Entry {
                path: p.clone(),
                meta: meta.clone(),
                kind,
            });
        }
    }
    out.tree().clone()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn the_difference_applied_to_the_lower_gives_the_upper(a in tree(), b in tree()) {
        let changes = diff(&a, &b);
        prop_assert_eq!(flatten(&[&a, &changes]), b.clone());
        prop_assert!(diff(&a, &a).is_empty());
        prop_assert_eq!(changes.implied(), BTreeSet::new());
        // Flattening in two steps is flattening in one.
        let again = diff(&b, &a);
        prop_assert_eq!(flatten(&[&a, &changes, &again]), a);
        prop_assert_eq!(Tree::decode(&changes.encode()).unwrap(), changes);
    }

    #[test]
    fn hard_links_stay_in_their_layer(a in tree(), b in tree()) {
        let changes = diff(&a, &b);
        for e in changes.iter() {
            if let Kind::Hardlink { target } = &e.kind {
                prop_assert!(changes.get(target).is_some_and(|t| t.file().is_some()));
            }
        }
    }
}

#[test]
fn a_difference_is_small_and_has_its_folders() {
    let lower = files(&[
        "/",
        "a/",
        "a/b/",
        "a/b/x = 1",
        "a/b/y = 2",
        "gone/",
        "gone/z = 3",
        "k = 4",
        "t/",
        "t/u = 5",
    ]);
    let upper = files(&[
        "/",
        "a/",
        "a/b/",
        "a/b/x = 1",
        "a/b/y = 9",
        "k/",
        "k/n = 4",
        "t -> a",
    ]);
    assert_eq!(
        listing(&diff(lower.tree(), upper.tree())),
        ["a/", "a/b/", "a/b/y 1", "-gone", "k/", "k/n 1", "t -> a"]
    );
}

#[test]
fn a_root_looks_up_opens_and_reads_what_is_on_top() {
    let root = root(vec![
        files(&[
            "a/",
            "a/x = one",
            "a/y = y",
            "h = linked",
            "h2 == h",
            "h3 == h",
            "gone = 1",
        ]),
        files(&["a/x = two", "h = other", "-gone", "implied/n = n"]),
    ]);
    assert_eq!(
        listing(root.tree()),
        [
            "//",
            "a/",
            "a/x 3",
            "a/y 1",
            "h 5",
            "h2 6",
            "h3 == h2",
            "implied/",
            "implied/n 1"
        ]
    );
    assert_eq!(read(&root, "a/x"), b"two");
    assert_eq!(read(&root, "h"), b"other");
    assert_eq!(read(&root, "h3"), b"linked");
    let e: kiln_layer::Error = root.open(&path("gone")).err().unwrap().downcast().unwrap();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    let mut seen = Vec::new();
    root.read(&|e| e.path != path("a/y"), &mut |e, content| {
        let mut text = String::new();
        content.read_to_string(&mut text)?;
        seen.push(format!("{} {text}", e.path));
        Ok(())
    })
    .unwrap();
    seen.sort();
    assert_eq!(seen, ["a/x two", "h other", "h2 linked", "implied/n n"]);
    let ids: Vec<_> = root.layers().iter().map(|l| l.diff_id).collect();
    let chain = Digest::sha256(format!("{} {}", ids[0], ids[1]).as_bytes());
    assert_eq!(root.chain_id(), Some(chain));
    assert_eq!(Root::new(vec![]).chain_id(), None);
}

#[test]
fn links_are_followed_inside_the_root() {
    let root = root(vec![files(&[
        "run/",
        "run/lock/",
        "var/",
        "var/run -> /run",
        "var/up -> ../../../run/lock",
        "loop -> pool",
        "pool -> loop",
        "file = 1",
        "dangling -> /no/where",
        "chain -> var/run/lock",
    ])]);
    for (text, expected) in [
        ("var/run", Ok("run")),
        ("var/run/lock/new", Ok("run/lock/new")),
        ("var/up", Ok("run/lock")),
        ("chain/x/y", Ok("run/lock/x/y")),
        ("dangling", Ok("no/where")),
        ("", Ok("")),
        ("loop", Err(ErrorKind::Loop)),
        ("file/x", Err(ErrorKind::Conflict)),
    ] {
        let found = root.resolve(&path(text));
        let found = found.map(|r| r.path).map_err(|e| e.kind());
        assert_eq!(found, expected.map(path), "{text}");
    }
    let way = root.resolve(&path("chain")).unwrap().way;
    let way: Vec<_> = way.iter().map(|e| e.path.to_string()).collect();
    assert_eq!(way, ["chain", "var", "var/run", "run", "run/lock"]);
}

#[test]
fn an_upper_directory_becomes_the_least_changes() {
    let lower = root(vec![files(&[
        "same = 1",
        "moved = 2",
        "o/",
        "o/x = 3",
        "o/y = 4",
        "k = 5",
        "h = 6",
        "h2 == h",
    ])]);
    let mut upper = files(&[
        "same = 1",
        "moved = 9",
        "o/ opaque",
        "o/y = 4",
        "-k",
        "-never",
        "h = 6",
        "new == h",
    ]);
    for e in upper.tree().clone().iter().filter(|e| e.file().is_some()) {
        let kind = crate::support::unread(e.file().unwrap().size);
        upper.entry(Entry { kind, ..e.clone() });
    }
    let mut asked = Vec::new();
    let changes = upper_changes(&lower, upper.tree(), &mut |_, now| {
        asked.push(now.path.to_string());
        Ok::<_, Infallible>(now.path != path("moved"))
    })
    .unwrap();
    assert_eq!(asked, ["h", "moved", "o/y", "same"]);
    // `h` is copied up and the same, but a new link needs it.
    assert_eq!(
        listing(&changes),
        ["h 1", "-k", "moved 1", "new == h", "o/", "-o/x"]
    );
}

#[test]
fn a_folder_in_an_opaque_one_hides_as_well() {
    let lower = root(vec![files(&[
        "o/",
        "o/s/",
        "o/s/old = 1",
        "o/s/t/",
        "o/s/t/old = 2",
        "o/f/",
        "o/f/g = 3",
    ])]);
    let upper = files(&[
        "o/ opaque",
        "o/s/",
        "o/s/new = 4",
        "o/s/t/",
        "o/f = now a file",
    ]);
    let changes =
        upper_changes(&lower, upper.tree(), &mut |_, _| Ok::<_, Infallible>(true)).unwrap();
    let found = flatten(&[lower.tree(), &changes]);
    assert_eq!(
        listing(&found),
        ["//", "o/", "o/f 10", "o/s/", "o/s/new 1", "o/s/t/"]
    );
}

#[test]
fn a_layer_of_a_difference_stands_alone() {
    let lower = files(&["/", "a/", "a/x = 1", "a/l == a/x"]);
    let upper = files(&["/", "a/", "a/l = 1", "a/m == a/l", "b/", "b/n = 2"]);
    let changes = diff(lower.tree(), upper.tree());
    let mut layer = InMemory::new();
    for e in changes.iter() {
        match e.file() {
            Some(_) => layer.file(
                e.path.clone(),
                e.meta.clone(),
                read(&upper, &e.path.to_string()),
            ),
            None => layer.entry(e.clone()),
        }
    }
    let (tar, _) = packed(&layer);
    let mut applied = InMemory::new();
    apply(&tar[..], &mut applied).unwrap();
    let root = root(vec![lower, applied]);
    assert_eq!(listing(root.tree()), listing(upper.tree()));
    assert_eq!(read(&root, "a/m"), b"1");
}
