//! What patterns select, and what a COPY sees of it.
use kiln_layer::{Entry, Kind};

use super::*;

fn select(patterns: &[&str]) -> Select {
    Select {
        patterns: patterns.iter().map(ToString::to_string).collect(),
        ..Select::default()
    }
}

#[test]
fn fits() {
    let fit = |patterns: &[&str], path: &str| {
        let selection = Selection::new(&select(patterns), &[]).unwrap();
        selection.fit(&path.parse().unwrap(), false)
    };
    for (patterns, path, want) in [
        (&[][..], "any/thing", Fit::Selected),
        (&["."][..], "any", Fit::Selected),
        (&["src"][..], "src/main.rs", Fit::Selected),
        (&["src/a"][..], "src", Fit::Above),
        (&["src/a"][..], "src/b", Fit::Outside),
        (&["*.txt"][..], "a.txt", Fit::Selected),
        (&["*.txt"][..], "a.rs", Fit::Outside),
        (&["*/x"][..], "a", Fit::Above),
        (&["../a"][..], "a", Fit::Selected),
        (&["a", "b*/c"][..], "bb/c/d", Fit::Selected),
    ] {
        assert_eq!(fit(patterns, path), want, "{patterns:?} {path}");
    }
}

fn root(files: &[(&str, u32, &str)]) -> Root {
    let mut memory = kiln_layer::InMemory::new();
    for (path, mode, text) in files {
        let mut meta = kiln_layer::Meta::with_mode(*mode);
        meta.uid = u32::try_from(text.len()).unwrap();
        memory.file(path.parse().unwrap(), meta, text);
    }
    crate::context::as_root(std::sync::Arc::new(memory))
}

#[test]
fn wildcards_are_expanded_in_order_and_literals_as_they_are() {
    let root = root(&[("b.txt", 0, ""), ("a.txt", 0, ""), ("sub/c.txt", 0, "")]);
    let expanded = |source: &str| {
        let found = expand(&root, source, false).unwrap();
        found.iter().map(|f| f.path.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(expanded("*.txt"), ["a.txt", "b.txt"]);
    assert_eq!(expanded("./sub//x"), ["sub/x"]);
    assert!(expanded("*.rs").is_empty());
}

#[test]
fn the_digest_is_of_what_a_copy_takes() {
    let of = |files: &[(&str, u32, &str)], sources: &[&str], owners| {
        digest(&root(files), &select(sources), owners)
            .unwrap()
            .unwrap()
    };
    let files = [("a", 0o644, "1"), ("b", 0o644, "22")];
    let same = of(&files, &["a"], false);
    assert_eq!(same, of(&files[..1], &["a"], false), "nobody takes `b`");
    assert_ne!(same, of(&files, &["a", "b"], false), "another file");
    assert_ne!(same, of(&files, &["b"], false), "another name");
    assert_ne!(
        same,
        of(&[("a", 0o755, "1")], &["a"], false),
        "another mode"
    );
    assert_ne!(
        same,
        of(&[("a", 0o644, "2")], &["a"], false),
        "other content"
    );
    assert_ne!(
        same,
        of(&files, &["a"], true),
        "owners count where they are kept"
    );
    let missing = digest(&root(&files), &select(&["c"]), false).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

#[test]
fn which_names_are_one_file_counts_where_both_are_taken() {
    let link = |path: &str, target: &str| Entry {
        path: path.parse().unwrap(),
        meta: kiln_layer::Meta::with_mode(0o644),
        kind: Kind::Hardlink {
            target: target.parse().unwrap(),
        },
    };
    let of = |links: &[(&str, &str)], sources: &[&str]| {
        let mut memory = kiln_layer::InMemory::new();
        for path in ["d/a", "d/b", "d/c", "e/a", "e/b"] {
            match links.iter().find(|(name, _)| *name == path) {
                Some((name, target)) => memory.entry(link(name, target)),
                None => {
                    let meta = kiln_layer::Meta::with_mode(0o644);
                    memory.file(path.parse().unwrap(), meta, "x");
                }
            }
        }
        let root = crate::context::as_root(std::sync::Arc::new(memory));
        digest(&root, &select(sources), false).unwrap().unwrap()
    };
    let apart = of(&[], &["d"]);
    let one = of(&[("d/b", "d/a")], &["d"]);
    assert_ne!(apart, one, "two names of one file");
    assert_ne!(one, of(&[("d/c", "d/a")], &["d"]), "other names");
    assert_ne!(one, of(&[("d/b", "d/a"), ("d/c", "d/a")], &["d"]), "three");
    let beyond = of(&[("e/a", "d/a"), ("e/b", "d/a")], &["e"]);
    assert_ne!(beyond, of(&[], &["e"]), "names of a file that is not taken");
    assert_eq!(beyond, of(&[("e/b", "e/a")], &["e"]), "wherever it is");
    let alone = of(&[("e/a", "d/a")], &["e"]);
    assert_eq!(
        of(&[("d/b", "d/a")], &["d/a", "d/b"]),
        of(&[], &["d/a", "d/b"]),
        "sources are copied for themselves"
    );
    assert_eq!(alone, of(&[], &["e"]), "one of two names");
}
