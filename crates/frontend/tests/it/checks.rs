//! The rules of `docker build --check`: what docker says of each case of `tests/checks`, in its order.
//!
//! A case begins with `=== name`; below it stands the Dockerfile, and what else is given:
//! `--- build-arg NAME=VALUE`, `--- ignore` with an ignore file, `--- base` with the Dockerfile of the
//! image `made:1` (for another platform where one is named), `--- crlf` and `--- unended` for the ends of
//! lines. `--- found` is what docker answers, `--- instead` what kiln does where it differs on purpose.

use std::{env, fs, path::PathBuf};

use kiln_frontend::{Bases, Options, Resolved, check, lower};
use kiln_image::Digest;
use kiln_parser::{ignore::Ignore, lint, parse};

use crate::given::{amd64, image, lowered};

/// What is given, and what is to be found.
struct Case {
    name: String,
    source: String,
    options: Options,
    /// The image `made:1`.
    made: Option<Resolved>,
    wanted: String,
}

impl Case {
    fn read(text: &str) -> Self {
        let (name, text) = text.split_once('\n').expect("a case has a name");
        let mut sections = text.split("--- ");
        let mut case = Self {
            name: name.to_owned(),
            source: sections.next().unwrap_or_default().to_owned(),
            options: Options {
                every_stage: true,
                ..amd64()
            },
            made: None,
            wanted: String::new(),
        };
        for section in sections {
            let (head, body) = section.split_once('\n').expect("a section is a line");
            let (kind, value) = head.split_once(' ').unwrap_or((head, ""));
            case.add(kind, value, body);
        }
        case
    }

    fn add(&mut self, kind: &str, value: &str, body: &str) {
        match kind {
            "build-arg" => {
                let (name, value) = value.split_once('=').expect("name=value");
                let arguments = &mut self.options.build_args;
                arguments.insert(name.to_owned(), value.to_owned());
            }
            "ignore" => self.options.ignore = Some(Ignore::parse(body).0),
            "base" => {
                let mut options = amd64();
                if !value.is_empty() {
                    options.platform = value.parse().unwrap();
                }
                self.made = Some(Resolved {
                    manifest: Digest::sha256(body.as_bytes()),
                    config: lowered(body, &options).config,
                });
            }
            "crlf" => self.source = self.source.replace('\n', "\r\n"),
            "unended" => self
                .source
                .truncate(self.source.trim_end_matches('\n').len()),
            "found" => self.wanted = body.to_owned(),
            "instead" => {
                assert_ne!(self.wanted, body, "{}: it is docker's", self.name);
                self.wanted = body.to_owned();
            }
            other => panic!("{}: what is `{other}`?", self.name),
        }
    }

    /// What kiln finds of docker's rules.
    fn found(&self) -> String {
        let parsed = parse(&self.source);
        let argument = self.options.build_args.get("BUILDKIT_DOCKERFILE_CHECK");
        let (settings, _) = lint::Settings::of(&parsed.file, argument.map(String::as_str));
        let mut bases = Bases::new();
        let findings = loop {
            let checked = check(&parsed.file, &self.options, &bases);
            if checked.need.is_empty() {
                break checked.findings;
            }
            for need in checked.need {
                let made = need.reference.familiar_repository() == "made";
                let found = self.made.clone().filter(|_| made);
                let found = found.unwrap_or_else(|| image(&need));
                bases.insert(need.reference, need.platform, found);
            }
        };
        let dockers = |code| lint::rule(code).is_some_and(|rule| !rule.is_own());
        let kept = findings
            .iter()
            .filter(|f| dockers(f.code) && settings.keeps(&parsed.file, f));
        let said = kept.map(|f| {
            let (first, last) = lint::lines(&parsed.file, f).unwrap_or_default();
            format!("{} {first}-{last}: {}\n", f.code, f.message)
        });
        let mut said: String = said.collect();
        let stops = settings.error() && !said.is_empty();
        if stops
            || parsed
                .diagnostics
                .iter()
                .any(kiln_parser::Diagnostic::is_error)
            || lower(&parsed.file, &self.options, &bases).is_err()
        {
            said += "error\n";
        }
        said
    }
}

#[test]
fn findings_are_dockers() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/checks");
    let mut wrong = String::new();
    let mut cases = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for case in text.split("=== ").skip(1).map(Case::read) {
            let got = case.found();
            cases += 1;
            if got != case.wanted {
                wrong += &format!("== {}\n-- wanted\n{}-- kiln\n{got}", case.name, case.wanted);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases > 200, "{cases} cases are there");
}
