//! The rules of `docker build --check`: what docker says of each file of `tests/checks`, in its order.

use std::{env, fs, path::PathBuf};

use kiln_frontend::{Bases, Options, check};
use kiln_parser::{lint, parse};

use crate::given::{amd64, image};

/// The Dockerfile, the options, and what docker finds.
fn read(text: &str) -> (String, Options, String) {
    let mut options = Options {
        every_stage: true,
        ..amd64()
    };
    let (head, found) = text
        .split_once("--- found\n")
        .expect("it says what is found");
    let source = head.trim_start_matches("--- Dockerfile\n");
    let mut lines = source.split("--- build-arg ");
    let source = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        let (name, value) = line.trim_end().split_once('=').expect("name=value");
        options.build_args.insert(name.to_owned(), value.to_owned());
    }
    (source, options, found.to_owned())
}

/// What kiln finds of docker's rules.
fn found(source: &str, options: &Options) -> String {
    let file = parse(source).file;
    let (settings, _) = lint::Settings::of(&file, None);
    let mut bases = Bases::new();
    let findings = loop {
        let checked = check(&file, options, &bases);
        if checked.need.is_empty() {
            break checked.findings;
        }
        for need in checked.need {
            let image = image(&need);
            bases.insert(need.reference, need.platform, image);
        }
    };
    let dockers = |code| lint::rule(code).is_some_and(|rule| rule.url().is_some());
    let kept = findings
        .iter()
        .filter(|f| dockers(f.code) && settings.keeps(&file, f));
    kept.map(|f| {
        let (first, last) = lint::lines(&file, f).unwrap_or_default();
        format!("{} {first}-{last}: {}\n", f.code, f.message)
    })
    .collect()
}

#[test]
fn findings_are_dockers() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/checks");
    let mut wrong = String::new();
    let mut cases = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let (source, options, want) = read(&fs::read_to_string(&path).unwrap());
        let got = found(&source, &options);
        cases += 1;
        if got != want {
            let name = path.file_stem().unwrap_or_default().display();
            wrong += &format!("== {name}\n-- docker\n{want}-- kiln\n{got}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases > 30, "{cases} cases are there");
}
