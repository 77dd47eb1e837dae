//! Parsing is total, places are of the text, and expansion ends, whatever the input.

use std::borrow::Cow;

use kiln_parser::ast::Source;
use kiln_parser::print::Edits;
use kiln_parser::{Instruction, Node, Parse, Word, glob, ignore, parse, parse_instruction};
use proptest::prelude::*;

const SEEDS: [&str; 4] = [
    "# syntax=docker/dockerfile:1\n# escape=\\\nARG V=1\nFROM --platform=$P debian:$V AS base\n\
     RUN --mount=type=cache,target=/x,sharing=locked --network=none apt-get update \\\n  # c\n\n && true\n",
    "FROM a\nENV a=b c=\"d e\" f='g'\nENV old style value\nLABEL x=${y:-${z#*/}} q=${r//a/b}\nEXPOSE 80 90-92/udp\n",
    "FROM a\r\nCOPY --from=b --chown=1:2 [\"a b\", \"/c\\u0020d\"]\r\nCOPY <<A <<-'B' /x/\r\none\r\nA\r\n\ttwo\r\n\tB\r\nCMD ['x']\r\n",
    "FROM a\nHEALTHCHECK --interval=1m30s --retries=3 CMD [\"x\"]\nONBUILD RUN <<E\nbody\nE\nSHELL [\"/bin/sh\", \"-c\"]\n\
     STOPSIGNAL 9\nVOLUME /a /b\nUSER a\nWORKDIR /x\nENTRYPOINT A-/b –c “d”\n",
];

/// A Dockerfile with some stretches replaced by others.
fn mutated() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "\\\n",
        "\n",
        "\\",
        "`",
        "$",
        "${",
        "}",
        "\"",
        "'",
        "<<",
        "<<EOF",
        "--",
        "--mount=",
        "=",
        "[",
        "]",
        ",",
        " ",
        "\t",
        "\r\n",
        "#",
        "–",
        "“",
        "\u{a0}",
        "\u{feff}",
        "\0",
        "FROM ",
        "RUN ",
        "ONBUILD ",
        "# escape=`\n",
        "${a:-",
        "/",
        "-",
        ":",
    ]);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0usize..6, pieces), 0..12);
    (prop::sample::select(SEEDS.to_vec()), edits).prop_map(|(seed, edits)| {
        let mut text: Vec<char> = seed.chars().collect();
        for (at, remove, insert) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + remove).min(text.len());
            text.splice(at..end, insert.chars());
        }
        text.into_iter().collect()
    })
}

fn check(src: &str) {
    let Parse { file, diagnostics } = parse(src);
    let value = |name: &str| (name.len() < 3).then_some(Cow::Borrowed("a $b \"c\" *?\\ é"));
    for d in &diagnostics {
        assert!(d.span.end as usize <= src.len(), "{d:?}");
        assert!(
            src.is_char_boundary(d.span.start as usize)
                && src.is_char_boundary(d.span.end as usize),
            "{d:?} in {src:?}"
        );
        assert!(!d.message.is_empty());
    }
    for stage in &file.stages {
        let _ = stage.image().expand(&value);
        let mut last = 0;
        for node in &stage.instructions {
            assert!(
                node.span.start >= last && node.lines.0 <= node.lines.1,
                "{node:?}"
            );
            last = node.span.end;
            assert_eq!(
                node.keyword.node.to_ascii_uppercase(),
                node.instruction.keyword()
            );
            words(node, &value);
        }
    }
    if let Err(all) = parse(src).into_result() {
        assert!(all.iter().any(kiln_parser::Diagnostic::is_error));
    }
}

fn words(node: &Node<'_>, value: &kiln_parser::Lookup<'_>) {
    match &node.instruction {
        Instruction::Env(env) => {
            for pair in &env.pairs {
                let _ = (
                    pair.key.expand(value),
                    pair.value.expand_words(value),
                    pair.value.variables(),
                );
                for span in pair.value.spans() {
                    assert!(span.start <= span.end);
                }
            }
        }
        Instruction::Run(run) => {
            let _ = run.script();
            for mount in &run.mounts {
                let _ = mount.resolve(value);
            }
        }
        Instruction::OnBuild(onbuild) => {
            let _ = parse_instruction(&onbuild.trigger, '\\');
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_parsed(src in "\\PC*|(?s).{0,200}") {
        check(&src);
    }

    #[test]
    fn mutated_dockerfiles_are_parsed(src in mutated()) {
        check(&src);
    }

    #[test]
    fn expansion_ends(word in "[a$\\{\\}:#%/?*+\"'\\\\` -]{0,60}") {
        check(&format!("FROM x\nENV v={word}\nARG w={word}\n"));
    }

    #[test]
    fn ignore_files_are_parsed(src in "(?s).{0,100}|([a*?/!\\[\\]\\\\^-]{0,20}\n){0,5}", path in "[ab/]{0,20}") {
        let (ignore, _) = ignore::Ignore::parse(&src);
        prop_assert_eq!(ignore.excludes(&path, false), ignore.decide(&path, false).is_some_and(|rule| !rule.negated));
    }

    /// Where there are no folders and no `**`, both matchers are one.
    #[test]
    fn ignore_and_glob_agree(pattern in "[ab?\\[\\]^-]{1,8}|([ab?]|[*][ab?]){1,6}", name in "[ab-]{1,8}") {
        if let Ok(glob) = glob::Pattern::new(&pattern) {
            let (ignore, _) = ignore::Ignore::parse(&pattern);
            prop_assert_eq!(glob.matches(&name), ignore.excludes(&name, false), "{} {}", pattern, name);
        }
    }

    /// Where nothing is changed, nothing changes, and one change is one change.
    #[test]
    fn edits_leave_the_rest_alone(src in mutated()) {
        let file = parse(&src).file;
        let mut edits = Edits::new();
        prop_assert_eq!(edits.apply(&src), Ok(src.clone()));
        let spans: Vec<_> = file.stages.iter().map(|stage| stage.from.keyword.span).collect();
        for span in &spans {
            edits.replace(*span, span.of(&src));
        }
        prop_assert_eq!(edits.apply(&src), Ok(src.clone()));
        if let Some(first) = spans.first() {
            let mut edits = Edits::new();
            edits.replace(*first, "XX");
            let (start, end) = (first.start as usize, first.end as usize);
            let want = format!("{}XX{}", &src[..start], &src[end..]);
            prop_assert_eq!(edits.apply(&src), Ok(want));
        }
    }

    /// The example that formats changes no meaning.
    #[test]
    fn formatting_keeps_the_meaning(src in mutated()) {
        if !parse(&src).diagnostics.iter().any(kiln_parser::Diagnostic::is_error) {
            crate::format::checked(&src);
        }
    }

    /// The normal form is read as the same tree, and is its own normal form.
    #[test]
    fn printing_and_parsing_gives_the_same_tree(src in mutated()) {
        let parsed = parse(&src);
        if parsed.diagnostics.iter().any(kiln_parser::Diagnostic::is_error) {
            let _ = parsed.file.print();
            return Ok(());
        }
        match parsed.file.print() {
            Ok(text) => {
                let again = parse(&text);
                prop_assert!(parsed.file.same_as(&again.file));
                prop_assert_eq!(again.file.print(), Ok(text));
            }
            Err(e) => prop_assert!(unprintable(&src, &parsed), "{}: {:?}", e, src),
        }
    }
}

/// Texts with a line that ends in an escape character and a blank of another kind, which only the
/// text itself can say; and COPY with a marker of a heredoc that is only a part of a word: its
/// tree has the word, and not the body.
fn unprintable(src: &str, parsed: &Parse<'_>) -> bool {
    let odd_end = |line: &str| {
        let kept = line.trim_end();
        kept.len() < line.trim_end_matches(['\r', ' ', '\t']).len() && kept.ends_with(['\\', '`'])
    };
    let marked = |sources: &[Source<'_>], dest: &Word<'_>| {
        let path = |source: &Source<'_>| match source {
            Source::Path(path) => path.raw().contains("<<"),
            Source::Heredoc(_) => false,
        };
        sources.iter().any(path) || dest.raw().contains("<<")
    };
    let mut all = parsed.file.stages.iter().flat_map(|s| &s.instructions);
    src.lines().any(odd_end)
        || all.any(|node| match &node.instruction {
            Instruction::Copy(copy) => marked(&copy.sources, &copy.dest),
            Instruction::Add(add) => marked(&add.sources, &add.dest),
            _ => false,
        })
}
