//! Merging side by side gives what merging one by one gives, and so does looking up.

use std::{borrow::Cow, collections::BTreeSet, io::Read as _, sync::Arc};

use kiln_image::Digest;
use proptest::prelude::*;

use super::*;
use crate::{File, Files as _, InMemory, Meta, Root, RootLayer, Time};

fn any_path() -> impl Strategy<Value = LayerPath> {
    let name = prop::sample::select(vec!["a", "b", "a.", "c"]);
    prop::collection::vec(name, 0..5).prop_map(|n| n.join("/").parse().unwrap())
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => (0..3u64).prop_map(|n| Kind::File(File::unread(n))),
        3 => Just(Kind::Dir { opaque: false }),
        2 => Just(Kind::Dir { opaque: true }),
        3 => Just(Kind::Whiteout),
        1 => Just(Kind::Fifo),
        4 => any_path().prop_map(|target| Kind::Hardlink { target }),
    ]
}

/// Layers with everything that a tree can have; most of them tidied.
fn any_layer() -> impl Strategy<Value = Tree> {
    let entry = (any_path(), any_kind(), 0..3i64);
    let entries = prop::collection::vec(entry, 0..16);
    (entries, 0..4u8).prop_map(|(entries, how)| {
        let entries = entries.into_iter().map(|(path, kind, time)| {
            let mut meta = Meta::with_mode(0o700);
            meta.mtime = Time::at(time);
            Entry { path, meta, kind }
        });
        let tree: Tree = entries.collect();
        if how == 0 { tree } else { tidied(&tree) }
    })
}

/// Without what makes a tree untidy; hard links have the metadata of their file.
fn tidied(tree: &Tree) -> Tree {
    let mut out = Tree::new();
    for entry in tree.iter() {
        let leaf = |p: &LayerPath| out.get(p).is_some_and(|e| !e.is_dir());
        let mut entry = entry.clone();
        if entry.path.ancestors().any(|p| leaf(&p)) || entry.path.is_root() && !entry.is_dir() {
            continue;
        }
        if let Kind::Hardlink { target } = &entry.kind {
            let Some(file) = out.get(target).filter(|e| e.file().is_some()) else {
                continue;
            };
            entry.meta = file.meta.clone();
        }
        out.insert(entry);
    }
    assert!(out.is_tidy());
    out
}

fn root_of(layers: &[Tree]) -> Root {
    let layer = |(i, tree): (usize, &Tree)| {
        let mut files = InMemory::new();
        for e in tree.iter() {
            match e.file() {
                Some(_) => files.file(e.path.clone(), e.meta.clone(), format!("{i} {}", e.path)),
                None => files.entry(e.clone()),
            }
        }
        RootLayer {
            diff_id: Digest::sha256(&[i as u8]),
            files: Arc::new(files),
        }
    };
    Root::new(layers.iter().enumerate().map(layer).collect())
}

fn text(root: &Root, path: &LayerPath) -> Option<String> {
    let mut text = String::new();
    root.open(path).ok()?.read_to_string(&mut text).unwrap();
    Some(text)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn side_by_side_is_one_by_one(layers in prop::collection::vec(any_layer(), 0..6)) {
        let layers: Vec<_> = layers.iter().collect();
        prop_assert_eq!(flatten(&layers), untidy::flatten(&layers));
    }

    #[test]
    fn looking_up_is_looking_up_in_the_merged(
        layers in prop::collection::vec(any_layer(), 0..5),
        more in prop::collection::vec(any_path(), 0..4),
    ) {
        let (root, merged) = (root_of(&layers), root_of(&layers));
        let whole = merged.tree();
        let mut paths: BTreeSet<_> = layers.iter().flat_map(Tree::iter).map(|e| e.path.clone()).collect();
        paths.extend(more);
        for path in &paths {
            prop_assert_eq!(root.lookup(path), whole.get(path).map(Cow::Borrowed), "{}", path);
            prop_assert_eq!(root.file(path), whole.file(path).map(|(_, f)| f), "{}", path);
            prop_assert!(root.children(path).iter().eq(whole.children(path)), "{}", path);
            prop_assert!(root.within(path).iter().eq(whole.within(path)), "{}", path);
            prop_assert_eq!(text(&root, path), text(&merged, path), "{}", path);
            let (a, b) = (root.resolve(path), merged.resolve(path));
            prop_assert_eq!(a.map_err(|e| e.to_string()), b.map_err(|e| e.to_string()));
        }
        let all = |root: &Root| {
            let mut seen = BTreeSet::new();
            root.read(&|_| true, &mut |e, content| {
                let mut text = String::new();
                content.read_to_string(&mut text)?;
                seen.insert((e.path.clone(), text));
                Ok(())
            }).map(|()| seen).map_err(|e| e.to_string())
        };
        prop_assert_eq!(all(&root_of(&layers)), all(&merged));
    }
}
