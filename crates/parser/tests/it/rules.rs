//! The table of checks: `docs/checks.md` says what is in it, and every warning that kiln gives is in it.

// These read the repository's own files; helpers of tests end them where something is missing.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use kiln_parser::lint::{self, Rule};

fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2);
    root.expect("the crate lies in the workspace").to_owned()
}

const HEAD: &str = "\
# Checks

`kiln build --check` looks at a Dockerfile and builds nothing; a build lists what it finds at its end.
The first table has the rules of `docker build --check`, with docker's names and words, the second what
kiln sees besides.

| in the Dockerfile | |
|---|---|
| `# check=skip=StageNameCasing,not-json` | at the top: these do not count; `skip=all` is all of them |
| `# check=error=true` | a finding of docker's rules stops the build |
| `# check=experimental=arg-reruns` | a rule counts that else does not; `experimental=all` is all of them |
| `# check=skip=JSONArgsRecommended` | right above an instruction: for this instruction alone |

Options are joined by `;`. The build argument `BUILDKIT_DOCKERFILE_CHECK` stands in for the line at the
top. `--call=check,format=json` gives the findings to programs, and `kiln parse --format json` those that
need no more than the text.
";

/// The page, from the table.
fn page() -> String {
    let mut page = HEAD.to_owned();
    let (own, dockers): (Vec<&Rule>, Vec<&Rule>) = lint::rules().partition(|rule| rule.is_own());
    for (title, rules) in [("Docker's rules", dockers), ("kiln's own", own)] {
        write!(page, "\n## {title}\n\n| rule | |\n|---|---|\n").unwrap();
        for rule in &rules {
            let anchor = rule.name.to_lowercase();
            let text = rule.description.replace('|', "\\|");
            let only = if rule.experimental {
                " (experimental)"
            } else {
                ""
            };
            writeln!(page, "| [`{}`](#{anchor}) | {text}{only} |", rule.name).unwrap();
        }
        for rule in rules {
            write!(page, "\n### {}\n\n", rule.name).unwrap();
            if let Some(url) = rule.url() {
                write!(page, "[Docker's page]({url}). ").unwrap();
            }
            write!(page, "Not\n\n```dockerfile\n{}\n```\n\n", rule.bad).unwrap();
            write!(page, "but\n\n```dockerfile\n{}\n```\n", rule.good).unwrap();
        }
    }
    page
}

#[test]
fn the_page_says_what_is_in_the_table() {
    let path = workspace().join("docs/checks.md");
    let page = page();
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "UPDATE_GOLDEN=1 writes docs/checks.md anew"
    );
}

/// What stands before the name of a warning in the code.
const OPENINGS: [&str; 8] = [
    "Diagnostic::warning(",
    "finding(",
    "tell(found,",
    "self.tell(",
    "self.warn(",
    " some(",
    "told(",
    "code: ",
];

/// Names of warnings in a text, with what opens them.
fn names(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for opening in OPENINGS {
        for (at, _) in text.match_indices(opening) {
            let rest = text[at + opening.len()..].trim_start();
            let Some((name, _)) = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'))
            else {
                continue;
            };
            names.push(name);
        }
    }
    names
}

fn sources(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|end| end == "rs") {
            all.push(path);
        }
    }
}

#[test]
fn every_warning_is_in_the_table() {
    // Not a check, and `CopyIgnoredFile` tells it in its place.
    const NO_CHECKS: [&str; 1] = ["copy-source-ignored"];
    let mut files = Vec::new();
    for name in ["parser", "frontend", "build", "cli"] {
        sources(
            &workspace().join("crates").join(name).join("src"),
            &mut files,
        );
    }
    let mut seen = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for name in names(&text) {
            let is_code =
                name.len() > 3 && name.chars().all(|c| c.is_ascii_alphabetic() || c == '-');
            if !is_code || NO_CHECKS.contains(&name) {
                continue;
            }
            seen += 1;
            assert!(lint::rule(name).is_some(), "{}: {name}", file.display());
        }
    }
    assert!(seen > 30, "{seen} names of warnings were found");
}
