use expect_test::{Expect, expect};
use kiln_build::{
    image::Config,
    layer::{Entry, Files, InMemory, Meta, Tree, usage::Usage},
};
use serde_json::json;

use super::{
    Image, Layer, big, formatted, json, layers,
    outline::Limits,
    tree::{self, Look},
    words,
};

/// A layer of files: path, mode, size, and a letter that they are full of; without a letter the path
/// is removed.
fn layer(files: &[(&str, u32, usize, &str)]) -> InMemory {
    let mut layer = InMemory::new();
    for (path, mode, size, letter) in files {
        let path = path.parse().unwrap();
        match *letter {
            "" => layer.entry(Entry::whiteout(path)),
            letter => layer.file(path, Meta::with_mode(*mode), letter.repeat(*size)),
        }
    }
    layer
}

fn sample() -> (Image, Vec<InMemory>) {
    let lists: Vec<String> = (0..12)
        .map(|i| format!("var/lib/apt/lists/l{i:02}"))
        .collect();
    let mut packages = vec![
        ("usr/lib/big.so", 0o755, 40_000, "s"),
        ("usr/lib/small.so", 0o755, 300, "t"),
        ("usr/bin/tool", 0o755, 9_000, "u"),
        ("etc/tool.conf", 0o644, 20, "v"),
    ];
    packages.extend(lists.iter().map(|l| (l.as_str(), 0o644, 2_000, "l")));
    let all = vec![
        layer(&[
            ("bin/sh", 0o755, 60_000, "a"),
            ("etc/passwd", 0o644, 50, "b"),
        ]),
        layer(&packages),
        layer(&[
            ("var/lib/apt/lists", 0, 0, ""),
            ("usr/lib/big.so", 0o775, 40_000, "s"),
        ]),
        layer(&[
            ("srv/copy", 0o644, 9_000, "u"),
            ("etc/passwd", 0o644, 60, "B"),
        ]),
    ];
    let config: Config = serde_json::from_value(json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [
            {"created_by": "/bin/sh -c #(nop) ADD file:0123456789abcdef in / ", "created": "2026-01-01T00:00:00Z"},
            {"created_by": "ENV A=b", "empty_layer": true},
            {"created_by": "RUN /bin/sh -c apt-get update\t&& apt-get install -y tool with many other words # buildkit"},
            {"created_by": "RUN /bin/sh -c rm -rf /var/lib/apt/lists && chmod g+w /usr/lib/big.so # buildkit"},
        ],
    }))
    .unwrap();
    let image = Image {
        name: "app:latest".to_owned(),
        id: "sha256:00".to_owned(),
        layers: layers(&config, (0..4).map(|i| format!("sha256:{i}"))),
    };
    (image, all)
}

fn told(tell: impl Fn(&Image, &Usage<'_>) -> String, expected: &Expect) {
    let (image, layers) = sample();
    let trees: Vec<&Tree> = layers.iter().map(Files::tree).collect();
    expected.assert_eq(&tell(&image, &Usage::of(&trees)));
}

fn tree_of(depth: usize, all: bool, layer: Option<usize>) -> impl Fn(&Image, &Usage<'_>) -> String {
    let limits = Limits { depth, all };
    move |image, usage| {
        let no_trunc = all;
        tree::text(
            image,
            usage,
            &Look {
                limits,
                layer,
                no_trunc,
            },
        )
    }
}

#[test]
fn a_tree() {
    told(
        tree_of(3, false, None),
        &expect![[r#"
            app:latest: 182kB in 4 layers, 118kB seen in the end, 64kB (35.1%) deleted or written again later

               60kB   32.9%  layer 1  /bin/sh -c #(nop) ADD file:0123456789abcdef in /
               60kB   32.9%  ├─ bin/sh
                50B    0.0%  └─ etc/passwd  ← replaced by layer 4: (not in the history)

             73.3kB   40.2%  layer 2  RUN /bin/sh -c apt-get update && apt-get install -y tool wi…
             49.3kB   27.0%  ├─ usr/
             40.3kB   22.1%  │  ├─ lib/
               40kB   21.9%  │  │  ├─ big.so  ← written again with other mode by layer 3: RUN rm -rf /var/lib/apt/lists && chmod …
               300B    0.2%  │  │  └─ small.so
                9kB    4.9%  │  └─ bin/tool
               24kB   13.2%  ├─ var/lib/apt/lists/  ← deleted by layer 3: RUN rm -rf /var/lib/apt/lists && chmod …
                20B    0.0%  └─ etc/tool.conf

               40kB   21.9%  layer 3  RUN /bin/sh -c rm -rf /var/lib/apt/lists && chmod g+w /usr/…  (deletes 24kB, writes 40kB again)
               40kB   21.9%  └─ usr/lib/big.so

             9.06kB    5.0%  layer 4  (not in the history)  (replaces 50B)
                9kB    4.9%  ├─ srv/copy
                60B    0.0%  └─ etc/passwd
        "#]],
    );
}

#[test]
fn everything_of_one_layer() {
    told(
        tree_of(9, true, Some(2)),
        &expect![[r#"
            app:latest: 182kB in 4 layers, 118kB seen in the end, 64kB (35.1%) deleted or written again later

             73.3kB   40.2%  layer 2  RUN /bin/sh -c apt-get update && apt-get install -y tool with many other words # buildkit
             49.3kB   27.0%  ├─ usr/
             40.3kB   22.1%  │  ├─ lib/
               40kB   21.9%  │  │  ├─ big.so  ← written again with other mode by layer 3: RUN rm -rf /var/lib/apt/lists && chmod …
               300B    0.2%  │  │  └─ small.so
                9kB    4.9%  │  └─ bin/tool
               24kB   13.2%  ├─ var/lib/apt/lists/  ← deleted by layer 3: RUN rm -rf /var/lib/apt/lists && chmod …
                2kB    1.1%  │  ├─ l00
                2kB    1.1%  │  ├─ l01
                2kB    1.1%  │  ├─ l02
                2kB    1.1%  │  ├─ l03
                2kB    1.1%  │  ├─ l04
                2kB    1.1%  │  ├─ l05
                2kB    1.1%  │  ├─ l06
                2kB    1.1%  │  ├─ l07
                2kB    1.1%  │  ├─ l08
                2kB    1.1%  │  ├─ l09
                2kB    1.1%  │  ├─ l10
                2kB    1.1%  │  └─ l11
                20B    0.0%  └─ etc/tool.conf
        "#]],
    );
}

#[test]
fn one_level() {
    told(
        tree_of(1, false, Some(2)),
        &expect![[r#"
            app:latest: 182kB in 4 layers, 118kB seen in the end, 64kB (35.1%) deleted or written again later

             73.3kB   40.2%  layer 2  RUN /bin/sh -c apt-get update && apt-get install -y tool wi…
             49.3kB   27.0%  ├─ usr/  ← 40kB written again with other mode by layer 3: RUN rm -rf /var/lib/apt/lists && chmod …
               24kB   13.2%  ├─ var/lib/apt/lists/  ← deleted by layer 3: RUN rm -rf /var/lib/apt/lists && chmod …
                20B    0.0%  └─ etc/tool.conf
        "#]],
    );
}

#[test]
fn the_largest() {
    told(
        |image, usage| big::text(image, usage, Some(10)),
        &expect![[r#"
            app:latest: 182kB in 4 layers, 118kB seen in the end, 64kB (35.1%) deleted or written again later

            Largest files
               60kB   32.9%  layer 1  /bin/sh
               40kB   21.9%  layer 2  /usr/lib/big.so  ← written again with other mode by layer 3: RUN rm -rf /var/lib/apt/lists && chmod …
               40kB   21.9%  layer 3  /usr/lib/big.so
                9kB    4.9%  layer 2  /usr/bin/tool
                9kB    4.9%  layer 4  /srv/copy
                2kB    1.1%  layer 2  /var/lib/apt/lists/l00  ← deleted by layer 3: RUN rm -rf /var/lib/apt/lists && chmod …
                2kB    1.1%  layer 2  /var/lib/apt/lists/l01  ← deleted by layer 3: RUN rm -rf /var/lib/apt/lists && chmod …
                2kB    1.1%  layer 2  /var/lib/apt/lists/l02  ← deleted by layer 3: RUN rm -rf /var/lib/apt/lists && chmod …
                2kB    1.1%  layer 2  /var/lib/apt/lists/l03  ← deleted by layer 3: RUN rm -rf /var/lib/apt/lists && chmod …
                2kB    1.1%  layer 2  /var/lib/apt/lists/l04  ← deleted by layer 3: RUN rm -rf /var/lib/apt/lists && chmod …

            Could be saved: 73kB (40.0%)
               40kB   21.9%  /usr/lib/big.so
                             written, then written again with other mode:
                             layer 2: RUN apt-get update && apt-get install -…
                             layer 3: RUN rm -rf /var/lib/apt/lists && chmod …
               24kB   13.2%  12 files in /var/lib/apt/lists/
                             written, then deleted:
                             layer 2: RUN apt-get update && apt-get install -…
                             layer 3: RUN rm -rf /var/lib/apt/lists && chmod …
                9kB    4.9%  /usr/bin/tool, /srv/copy
                             the same 9kB twice:
                             layer 2: RUN apt-get update && apt-get install -…
                             layer 4: (not in the history)
                50B    0.0%  /etc/passwd
                             written, then replaced:
                             layer 1: ADD file:0123456789abcdef in /
                             layer 4: (not in the history)

            Deleted, replaced: do it in the RUN that writes it, or keep it out of the COPY
            Written again: `COPY --chmod`, `COPY --chown`, or in the RUN that makes it
        "#]],
    );
    told(
        |image, usage| big::text(image, usage, Some(1)),
        &expect![[r#"
            app:latest: 182kB in 4 layers, 118kB seen in the end, 64kB (35.1%) deleted or written again later

            Largest files
               60kB   32.9%  layer 1  /bin/sh

            Could be saved: 73kB (40.0%)
               40kB   21.9%  /usr/lib/big.so
                             written, then written again with other mode:
                             layer 2: RUN apt-get update && apt-get install -…
                             layer 3: RUN rm -rf /var/lib/apt/lists && chmod …
               33kB   18.1%  … 3 more

            Deleted, replaced: do it in the RUN that writes it, or keep it out of the COPY
            Written again: `COPY --chmod`, `COPY --chown`, or in the RUN that makes it
        "#]],
    );
}

#[test]
fn as_json() {
    told(
        |image, usage| {
            let value = json::tree(image, usage, Some(3), None);
            serde_json::to_string_pretty(&value).unwrap()
        },
        &expect![[r#"
            {
              "Name": "app:latest",
              "ID": "sha256:00",
              "Size": 182430,
              "Seen": 118380,
              "Deleted": 24000,
              "Replaced": 40050,
              "Files": 21,
              "Layers": [
                {
                  "Layer": 3,
                  "DiffID": "sha256:2",
                  "Created": null,
                  "CreatedBy": "RUN /bin/sh -c rm -rf /var/lib/apt/lists && chmod g+w /usr/lib/big.so # buildkit",
                  "Comment": "",
                  "Size": 40000,
                  "Seen": 40000,
                  "Deleted": 0,
                  "Replaced": 0,
                  "Files": 1,
                  "Entries": [
                    {
                      "Path": "/usr",
                      "Kind": "folder",
                      "Size": 40000,
                      "Seen": 40000,
                      "Deleted": 0,
                      "Replaced": 0,
                      "Files": 1
                    },
                    {
                      "Path": "/usr/lib",
                      "Kind": "folder",
                      "Size": 40000,
                      "Seen": 40000,
                      "Deleted": 0,
                      "Replaced": 0,
                      "Files": 1
                    },
                    {
                      "Path": "/usr/lib/big.so",
                      "Kind": "file",
                      "Layer": 3,
                      "Size": 40000,
                      "Digest": "blake3:58471d119cae2b00436fa140d391340b88b2437eab9c75ec17502793fcd7b2ad",
                      "Gone": null
                    }
                  ]
                }
              ]
            }"#]],
    );
    told(
        |image, usage| {
            let value = json::big(image, usage, Some(1));
            serde_json::to_string_pretty(&value).unwrap()
        },
        &expect![[r#"
            {
              "Name": "app:latest",
              "ID": "sha256:00",
              "Size": 182430,
              "Seen": 118380,
              "Deleted": 24000,
              "Replaced": 40050,
              "Files": 21,
              "CouldBeSaved": 73050,
              "Layers": [
                {
                  "Layer": 1,
                  "DiffID": "sha256:0",
                  "Created": "2026-01-01T00:00:00Z",
                  "CreatedBy": "/bin/sh -c #(nop) ADD file:0123456789abcdef in / ",
                  "Comment": "",
                  "Size": 60050,
                  "Seen": 60000,
                  "Deleted": 0,
                  "Replaced": 50,
                  "Files": 2
                },
                {
                  "Layer": 2,
                  "DiffID": "sha256:1",
                  "Created": null,
                  "CreatedBy": "RUN /bin/sh -c apt-get update\t&& apt-get install -y tool with many other words # buildkit",
                  "Comment": "",
                  "Size": 73320,
                  "Seen": 9320,
                  "Deleted": 24000,
                  "Replaced": 40000,
                  "Files": 16
                },
                {
                  "Layer": 3,
                  "DiffID": "sha256:2",
                  "Created": null,
                  "CreatedBy": "RUN /bin/sh -c rm -rf /var/lib/apt/lists && chmod g+w /usr/lib/big.so # buildkit",
                  "Comment": "",
                  "Size": 40000,
                  "Seen": 40000,
                  "Deleted": 0,
                  "Replaced": 0,
                  "Files": 1
                },
                {
                  "Layer": 4,
                  "DiffID": "sha256:3",
                  "Created": null,
                  "CreatedBy": "",
                  "Comment": "",
                  "Size": 9060,
                  "Seen": 9060,
                  "Deleted": 0,
                  "Replaced": 0,
                  "Files": 2
                }
              ],
              "LargestFiles": [
                {
                  "Path": "/bin/sh",
                  "Kind": "file",
                  "Layer": 1,
                  "Size": 60000,
                  "Digest": "blake3:8ae2ebacafaae9d5b28d07dc2d81f89523b1b6d1d4c1c80af61c3750f39bd4c7",
                  "Gone": null
                }
              ],
              "Wastes": [
                {
                  "Size": 40000,
                  "Layer": 2,
                  "By": 3,
                  "How": "repeated",
                  "Differs": [
                    "mode"
                  ],
                  "Files": 1,
                  "Paths": [
                    "/usr/lib/big.so"
                  ]
                }
              ],
              "Duplicates": [
                {
                  "Size": 9000,
                  "FileSize": 9000,
                  "Digest": "blake3:256a7c18428118a1fd8180d09289358f52022219cfa153a3a27c933b6dae5c1a",
                  "Copies": [
                    {
                      "Layer": 2,
                      "Path": "/usr/bin/tool"
                    },
                    {
                      "Layer": 4,
                      "Path": "/srv/copy"
                    }
                  ]
                }
              ]
            }"#]],
    );
    told(
        |image, usage| {
            formatted(
                &json::big(image, usage, None),
                "{{.CouldBeSaved}} of {{.Size}}",
            )
            .unwrap()
        },
        &expect![[r#"
            73050 of 182430
        "#]],
    );
}

#[test]
fn wastes_that_are_next_to_nothing_are_summed_up() {
    let (image, layers) = sample();
    let trees: Vec<&Tree> = layers.iter().map(Files::tree).collect();
    let usage = Usage::of(&trees);
    let text = big::text(&image, &usage, None);
    assert!(text.contains("\n    50B    0.0%  … 1 more\n"), "{text}");
    let text = big::text(&image, &usage, Some(10));
    assert!(text.contains("\n    50B    0.0%  /etc/passwd\n"), "{text}");
}

#[test]
fn what_became_of_a_part_is_said_where_no_line_below_says_it() {
    let small: Vec<String> = (0..60).map(|i| format!("var/lib/small/{i}")).collect();
    let mut files = vec![
        ("usr/big", 0o755, 40_000, "a"),
        ("var/lib/apt/lists/a", 0o644, 9_000, "b"),
        ("var/lib/apt/lists/b", 0o644, 9_000, "c"),
        ("var/lib/apt/states", 0o644, 100, "d"),
    ];
    files.extend(small.iter().map(|path| (path.as_str(), 0o644, 40, "e")));
    let layers = [layer(&files), layer(&[("var/lib/apt/lists", 0, 0, "")])];
    let image = Image {
        name: "app".to_owned(),
        id: String::new(),
        layers: vec![Layer::default(), Layer::default()],
    };
    let trees: Vec<&Tree> = layers.iter().map(Files::tree).collect();
    expect![[r#"
        app: 60.5kB in 2 layers, 42.5kB seen in the end, 18kB (29.8%) deleted or written again later

         60.5kB  100.0%  layer 1  (not in the history)
           40kB   66.1%  ├─ usr/big
         20.5kB   33.9%  └─ var/lib/
         18.1kB   29.9%     ├─ apt/  ← 18kB deleted by layer 2: (not in the history)
          2.4kB    4.0%     └─ small/

             0B    0.0%  layer 2  (not in the history)  (deletes 18kB)
    "#]]
    .assert_eq(&tree_of(2, false, None)(&image, &Usage::of(&trees)));
}

#[test]
fn an_image_of_nothing() {
    let image = Image {
        name: "none".to_owned(),
        id: String::new(),
        layers: Vec::new(),
    };
    let text = tree_of(3, false, None)(&image, &Usage::of(&[]));
    assert_eq!(text, "none: 0B in 0 layers, all of it seen in the end\n");
    let text = big::text(&image, &Usage::of(&[]), None);
    assert!(text.ends_with("Could be saved: 0B (0.0%)\n"), "{text}");
}

#[test]
fn instructions_in_few_letters() {
    let brief = |by: &str| {
        Layer {
            by: by.to_owned(),
            ..Default::default()
        }
        .brief()
    };
    for (by, want) in [
        ("RUN /bin/sh -c make # buildkit", "RUN make"),
        ("/bin/sh -c make", "RUN make"),
        ("/bin/sh -c #(nop) COPY file:0 in /x ", "COPY file:0 in /x"),
        ("COPY . /app # buildkit", "COPY . /app"),
        (
            "RUN |1 A=b /bin/sh -c make # buildkit",
            "RUN |1 A=b /bin/sh -c make",
        ),
        ("", "(not in the history)"),
    ] {
        assert_eq!(brief(by), want);
    }
    assert_eq!(brief(&"x".repeat(100)).chars().count(), 40);
    assert_eq!(words::share(1, 3), "33.3%");
}
