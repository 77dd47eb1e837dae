//! Where the bytes of layers are, and what became of them.

use kiln_layer::{
    Entry, Files, InMemory, LayerPath, Meta, flatten,
    usage::{Differs, How, Usage},
};
use proptest::prelude::*;

use crate::support::{files, meta, path};

/// One line a content, in the order of layers and paths: `0 etc/a 5: deleted by 1 at etc`.
fn story(layers: &[&InMemory]) -> Vec<String> {
    let trees: Vec<_> = layers.iter().map(|l| l.tree()).collect();
    let usage = Usage::of(&trees);
    let line = |c: &kiln_layer::usage::Content<'_>| {
        let size = c.file.size;
        let what = format!("{} {} {size}: ", c.layer, c.entry.path);
        what + &match c.gone {
            None => "seen".to_owned(),
            Some(gone) => {
                let how = match gone.how {
                    How::Deleted => "deleted".to_owned(),
                    How::Moved => "moved".to_owned(),
                    How::Changed => "changed".to_owned(),
                    How::Repeated(d) => format!(
                        "repeated{}{}{}{}",
                        if d.mode { " mode" } else { "" },
                        if d.owner { " owner" } else { "" },
                        if d.time { " time" } else { "" },
                        if d.attributes { " attributes" } else { "" },
                    ),
                };
                format!("{how} by {} at {}", gone.by, gone.at)
            }
        }
    };
    usage.contents().iter().map(line).collect()
}

#[test]
fn what_became_of_each_content() {
    let below = files(&[
        "etc/",
        "etc/a = aaaaa",
        "etc/b = bb",
        "etc/c = c",
        "f = fff",
    ]);
    for (above, want) in [
        // Nothing, and things that take nothing away.
        (&["etc/"][..], ["seen", "seen", "seen", "seen"]),
        (&["-nothing", "etc/ab = x"], ["seen"; 4]),
        // Removed: itself, a folder above it, by an opaque folder, by what is no folder.
        (
            &["-etc/a"],
            ["deleted by 1 at etc/a", "seen", "seen", "seen"],
        ),
        (
            &["-etc"],
            [
                "deleted by 1 at etc",
                "deleted by 1 at etc",
                "deleted by 1 at etc",
                "seen",
            ],
        ),
        (
            &["etc/ opaque", "etc/b = new"],
            [
                "deleted by 1 at etc",
                "changed by 1 at etc/b",
                "deleted by 1 at etc",
                "seen",
            ],
        ),
        (
            &["etc -> usr"],
            [
                "deleted by 1 at etc",
                "deleted by 1 at etc",
                "deleted by 1 at etc",
                "seen",
            ],
        ),
        // Something else in its place; the last by a layer that does not name the folder.
        (&["f -> etc"], ["seen", "seen", "seen", "changed by 1 at f"]),
        (
            &["f/", "f/x = x"],
            ["seen", "seen", "seen", "changed by 1 at f"],
        ),
        (
            &["f/x = x"],
            ["seen", "seen", "seen", "deleted by 1 at f/x"],
        ),
        // The same once more; moved.
        (&["f = fff"], ["seen", "seen", "seen", "repeated by 1 at f"]),
        (
            &["-f", "g = fff"],
            ["seen", "seen", "seen", "moved by 1 at g"],
        ),
        (
            &["f == g", "g = fff"],
            ["seen", "seen", "seen", "repeated by 1 at f"],
        ),
        // A copy takes nothing away; a link to what lies below keeps it.
        (&["g = fff"], ["seen"; 4]),
        (
            &["etc/a == f", "f = other"],
            ["changed by 1 at etc/a", "seen", "seen", "changed by 1 at f"],
        ),
        (&["g == f"], ["seen"; 4]),
    ] {
        let got = story(&[&below, &files(above)]);
        let got = got.iter().filter(|l| l.starts_with('0'));
        let got: Vec<_> = got
            .filter_map(|l| l.split_once(": "))
            .map(|l| l.1)
            .collect();
        assert_eq!(got, want, "{above:?}");
    }
}

#[test]
fn a_content_lives_as_long_as_one_of_its_names() {
    let below = files(&["a = 12345", "b == a", "c == a"]);
    let story = |above: &[&str]| story(&[&below, &files(above), &files(&["-b"])]);
    assert_eq!(story(&["-a"]), ["0 a 5: seen"]);
    assert_eq!(story(&["-a", "-c"]), ["0 a 5: deleted by 2 at b"]);
    // A foreign layer may link to a file below, and only remove that later.
    let below = files(&["a = 12345"]);
    let got = self::story(&[&below, &files(&["l == a"]), &files(&["-a"])]);
    assert_eq!(got, ["0 a 5: seen"]);
}

#[test]
fn what_differs_is_told() {
    let mut layers = [InMemory::new(), InMemory::new()];
    let changed = |change: fn(&mut Meta)| {
        let mut meta = meta(0o644);
        change(&mut meta);
        meta
    };
    type Row = (&'static str, fn(&mut Meta), &'static str);
    let all: [Row; 5] = [
        ("a", |m| m.mode = 0o755, " mode"),
        ("b", |m| m.gid = 7, " owner"),
        ("c", |m| m.mtime.nanos = 5, " time"),
        (
            "d",
            |m| drop(m.xattrs.insert("user.x".into(), "y".into())),
            " attributes",
        ),
        ("e", |_| {}, ""),
    ];
    for (name, change, _) in all {
        layers[0].file(path(name), meta(0o644), "same");
        layers[1].file(path(name), changed(change), "same");
    }
    let want = all.map(|(name, _, what)| format!("0 {name} 4: repeated{what} by 1 at {name}"));
    assert_eq!(story(&[&layers[0], &layers[1]])[..5], want);
}

#[test]
fn folders_sum_up() {
    let layers = [
        files(&[
            "usr/lib/x/a = aaa",
            "usr/lib/x/b = b",
            "usr/bin/c = cc",
            "d = d",
        ]),
        files(&["-usr/lib"]),
    ];
    let usage = Usage::of(&[layers[0].tree(), layers[1].tree()]);
    let roots: Vec<_> = usage.layers().collect();
    let sum = roots[0].sum();
    assert_eq!((sum.files, sum.bytes, sum.seen, sum.deleted), (4, 7, 3, 4));
    let names = |places: &[kiln_layer::usage::Place<'_, '_>]| {
        let of = |p: &kiln_layer::usage::Place<'_, '_>| {
            format!("{} {} {}", p.path(), p.sum().bytes, p.file().is_some())
        };
        places.iter().map(of).collect::<Vec<_>>()
    };
    let inside = roots[0].inside();
    assert_eq!(names(&inside), ["d 1 true", "usr 6 false"]);
    let usr = inside[1].inside();
    assert_eq!(names(&usr), ["usr/bin 2 false", "usr/lib 4 false"]);
    let narrow = [usr[0].narrowed(), usr[1].narrowed()];
    assert_eq!(names(&narrow), ["usr/bin/c 2 true", "usr/lib/x 4 false"]);
    assert!(narrow[0].inside().is_empty());
    // A layer without contents is there all the same.
    assert_eq!(names(&roots[1..]), ["/ 0 false"]);
    assert!(roots[1].inside().is_empty());
}

#[test]
fn wastes_are_told_by_layers_and_places() {
    let lists: Vec<String> = (0..9)
        .map(|i| format!("var/lib/lists/{i} = 0123456789"))
        .collect();
    let mut lines: Vec<&str> = lists.iter().map(String::as_str).collect();
    lines.extend(["opt/x/tool = 12345678", "etc/conf = old", "empty = "]);
    let (below, above) = (files(&lines), {
        let mut above = files(&["-var/lib/lists", "-opt", "-empty", "etc/conf = newer"]);
        above.file(path("copy"), meta(0o644), "newer");
        above
    });
    let usage = Usage::of(&[below.tree(), above.tree()]);
    let wastes = usage.wastes();
    let told = wastes.iter().map(|w| {
        let places = w.places(3);
        let places: Vec<_> = places.iter().map(|p| p.path().to_string()).collect();
        let (layer, by, how) = (w.layer, w.by, w.how);
        format!("{} {layer} {by} {how:?} {}", w.bytes, places.join(" "))
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "98 0 1 Deleted var/lib/lists opt/x/tool",
            "3 0 1 Changed etc/conf"
        ]
    );
    let places = wastes[0].places(1);
    assert_eq!((places.len(), places[0].path()), (1, LayerPath::root()));
    let twice = usage.duplicates();
    assert_eq!(
        (twice.len(), twice[0].bytes, twice[0].contents.len()),
        (1, 5, 2)
    );
    assert_eq!(usage.sum().seen, 10);
}

#[test]
fn no_difference_is_none() {
    let (a, b) = (meta(0o644), meta(0o644));
    assert_eq!(Differs::between(&a, &b), Differs::default());
    assert!(Usage::of(&[]).wastes().is_empty() && Usage::of(&[]).layers().len() == 0);
}

/// A random layer over few names. Its hard links stay inside of it.
fn layer() -> impl Strategy<Value = InMemory> {
    let name = prop::sample::select(vec!["a", "b", "c"]);
    let path = prop::collection::vec(name, 1..4).prop_map(|n| n.join("/"));
    let line = (path, 0..7_u32, 0..3_u32);
    prop::collection::vec(line, 0..10).prop_map(|lines| {
        let mut layer = InMemory::new();
        let mut file: Option<LayerPath> = None;
        for (name, kind, value) in lines {
            let name: LayerPath = path_of(&name);
            let tree = layer.tree();
            let is_file = |p: &LayerPath| tree.get(p).is_some_and(|e| !e.is_dir());
            if name.ancestors().any(|p| is_file(&p)) || tree.within(&name).next().is_some() {
                continue;
            }
            match kind {
                0 => layer.entry(Entry::whiteout(name)),
                1 => layer.entry(Entry::folder(name, meta(0o755))),
                2 => layer.entry(opaque(name)),
                3 if file.is_some() => {
                    let target = file.clone().unwrap();
                    layer.entry(crate::support::hardlink(
                        std::str::from_utf8(name.as_bytes()).unwrap(),
                        std::str::from_utf8(target.as_bytes()).unwrap(),
                    ));
                }
                _ => {
                    file = Some(name.clone());
                    layer.file(
                        name,
                        meta(0o644),
                        value.to_string().repeat(value as usize + 1),
                    );
                }
            };
        }
        layer
    })
}

fn path_of(p: &str) -> LayerPath {
    p.parse().unwrap()
}

fn opaque(path: LayerPath) -> Entry {
    let kind = kiln_layer::Kind::Dir { opaque: true };
    Entry {
        kind,
        ..Entry::folder(path, meta(0o755))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// What is seen is what the layers on top of each other have.
    #[test]
    fn seen_is_what_flatten_has(layers in prop::collection::vec(layer(), 1..5)) {
        let trees: Vec<_> = layers.iter().map(Files::tree).collect();
        let usage = Usage::of(&trees);
        let mut seen: Vec<_> = usage.contents().iter().filter(|c| c.gone.is_none())
            .map(|c| c.file.digest).collect();
        let merged = flatten(&trees);
        let mut want: Vec<_> = merged.iter().filter_map(|e| e.file()).map(|f| f.digest).collect();
        seen.sort();
        want.sort();
        prop_assert_eq!(seen, want);
        let sum = usage.sum();
        prop_assert_eq!(sum.bytes, sum.seen + sum.deleted + sum.replaced);
        let wasted: u64 = usage.wastes().iter().map(|w| w.bytes).sum();
        prop_assert_eq!(wasted, sum.deleted + sum.replaced);
        for waste in usage.wastes() {
            for most in 1..5 {
                let places = waste.places(most);
                prop_assert!(!places.is_empty() && places.len() <= most);
                prop_assert_eq!(places.iter().map(|p| p.sum().bytes).sum::<u64>(), waste.bytes);
            }
        }
    }
}
