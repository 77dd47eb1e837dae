//! Input that was made to hurt: all of it ends soon, in bounded memory, on a small stack.

use std::borrow::Cow;
use std::cell::Cell;

use kiln_parser::ignore::Ignore;
use kiln_parser::{Diagnostic, ExpandErrorKind, Instruction, MAX_EXPANDED, MAX_PATTERN, parse};

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new()
        .stack_size(512 * 1024)
        .spawn(test)
        .expect("a thread");
    thread.join().expect("it ends");
}

#[test]
fn many_labels() {
    let src = format!(
        "FROM a\n{}",
        "LABEL key=value other=\"a b\"\n".repeat(100_000)
    );
    let (file, _) = parse(&src).into_result().expect("no errors");
    assert_eq!(file.stages[0].instructions.len(), 100_000);
}

#[test]
fn many_errors() {
    let src = format!(
        "FROM a\n{}",
        "LABLE x\nCOPY --form=x a b\nRUN –x “\n".repeat(30_000)
    );
    assert_eq!(
        parse(&src)
            .diagnostics
            .iter()
            .filter(|d| d.is_error())
            .count(),
        60_000
    );
}

#[test]
fn one_instruction_over_many_lines() {
    let src = format!(
        "FROM a\nENV a=b \\\n{}c=d\n",
        "  x=\"y\" \\\n".repeat(100_000)
    );
    let (file, _) = parse(&src).into_result().expect("no errors");
    let Instruction::Env(env) = &file.stages[0].instructions[0].instruction else {
        panic!("ENV")
    };
    assert_eq!(env.pairs.len(), 100_002);
    assert_eq!(env.pairs[100_001].key.span().of(&src), "c");
}

#[test]
fn deep_nesting_has_a_limit() {
    on_a_small_stack(|| {
        for (open, close) in [
            ("${a:-", "}"),
            ("\"${a:-", "}\""),
            ("${a#", "}"),
            ("${a/", "/}"),
        ] {
            for n in [32, 5_000] {
                let src = format!("FROM x\nENV v={}x{}\n", open.repeat(n), close.repeat(n));
                let errors = parse(&src)
                    .diagnostics
                    .iter()
                    .filter(|d| d.is_error())
                    .count();
                assert_eq!(errors, usize::from(n > 32), "{open}");
            }
        }
        let src = format!(
            "FROM x\nCMD {}\nRUN {}\n",
            "[".repeat(60_000),
            "ONBUILD ".repeat(8_000)
        );
        let _ = parse(&src);
        let _ = parse(&format!("FROM x\n{}RUN a\n", "ONBUILD ".repeat(8_000)));
    });
}

#[test]
fn long_lines() {
    let long = |n: usize| format!("FROM a\nENV a={}\nUSER b\n", "x".repeat(n));
    assert!(parse(&long(65_000)).into_result().is_ok());
    let src = long(65_535);
    let parsed = parse(&src);
    let errors: Vec<&Diagnostic> = parsed.diagnostics.iter().collect();
    assert_eq!(
        errors.iter().map(|d| d.code).collect::<Vec<_>>(),
        ["line-too-long"]
    );
    assert_eq!(
        parsed.file.stages[0].instructions.len(),
        1,
        "reading goes on behind it"
    );
}

#[test]
fn long_words_of_every_kind() {
    for piece in [
        "a",
        "\"",
        "'",
        "\\\"",
        "$",
        "${",
        "$a",
        "--x ",
        "--mount= ",
        "<<",
        "<<A ",
        "a=",
        ",",
        "[",
        "\"a\",",
        "–",
        "${a/",
    ] {
        let text = piece.repeat(60_000 / piece.len());
        for keyword in [
            "FROM",
            "RUN",
            "COPY",
            "ENV",
            "ARG",
            "EXPOSE",
            "VOLUME",
            "HEALTHCHECK",
            "ONBUILD COPY",
            "SHELL",
            "RUN --mount=",
        ] {
            let _ = parse(&format!("FROM a\n{keyword} {text}\n"));
        }
    }
}

#[test]
fn many_heredocs() {
    let src = format!("FROM a\n{}", "RUN <<EOF\nx\nEOF\n".repeat(20_000));
    assert!(parse(&src).into_result().is_ok());
    // Those that are never closed must not read the rest of the file again and again.
    let src = format!(
        "FROM a\nCOPY {} /x\n{}",
        "<<A ".repeat(10_000),
        "text\n".repeat(10_000)
    );
    assert!(
        parse(&src)
            .diagnostics
            .iter()
            .any(|d| d.code == "unterminated-heredoc")
    );
    let src = format!("FROM a\n{}", "RUN <<A\nA \n".repeat(3_000));
    assert!(
        parse(&src)
            .diagnostics
            .iter()
            .any(|d| d.code == "unterminated-heredoc")
    );
}

/// What `LABEL l <word>` gives where all variables have `value`, and how many values were asked for.
fn expanded(word: &str, value: &str) -> (Result<usize, ExpandErrorKind>, usize) {
    let src = format!("FROM a\nLABEL l {word}\n");
    let (file, _) = parse(&src).into_result().expect("no errors");
    let Instruction::Label(label) = &file.stages[0].instructions[0].instruction else {
        panic!("LABEL")
    };
    let asked = Cell::new(0);
    let lookup = |_: &str| {
        asked.set(asked.get() + 1);
        Some(Cow::Borrowed(value))
    };
    let result = label.pairs[0].value.expand(&lookup);
    (
        result.map(|text| text.len()).map_err(|e| e.kind),
        asked.get(),
    )
}

#[test]
fn values_that_double_themselves_end() {
    let mut value = "x".to_owned();
    for _ in 0..20 {
        assert_eq!(expanded("$a$a", &value).0, Ok(2 * value.len()));
        value = value.repeat(2);
    }
    assert_eq!(value.len(), MAX_EXPANDED);
    assert_eq!(expanded("$a$a", &value).0, Err(ExpandErrorKind::TooLong));
    // The rest of the word is not looked at.
    let (result, asked) = expanded(&"$a".repeat(30_000), &value);
    assert_eq!((result, asked), (Err(ExpandErrorKind::TooLong), 2));
}

#[test]
fn work_that_gives_nothing_counts() {
    let value = "x".repeat(MAX_EXPANDED);
    for word in ["${a##*}", "${a%%*}", "${a//x/}", "${b:+${a##*}}"] {
        let (result, asked) = expanded(&word.repeat(4_000), &value);
        assert_eq!(result, Err(ExpandErrorKind::TooLong), "{word}");
        assert!(asked <= 10, "{word}: {asked} values");
    }
}

#[test]
fn patterns_have_a_limit() {
    let value = "é".repeat(MAX_PATTERN);
    assert_eq!(expanded("${a#$a}", &value).0, Ok(0));
    let value = "é".repeat(MAX_PATTERN + 1);
    let (result, _) = expanded("${a#$a}", &value);
    assert_eq!(result, Err(ExpandErrorKind::PatternTooLong));
}

#[test]
fn many_and_long_ignore_patterns() {
    let src: String = (0..10_000)
        .map(|i| format!("**/dir{i}/**/*.log\n!keep{i}\n"))
        .collect();
    let (ignore, problems) = Ignore::parse(&src);
    assert!(problems.is_empty());
    assert_eq!(ignore.rules().len(), 20_000);
    assert!(ignore.excludes("a/dir9999/b/c.log", false));
    assert!(!ignore.excludes("a/dir10000/b/c.log", false));

    let long = format!("{}b", "*a".repeat(30_000));
    assert!(!Ignore::parse(&long).0.excludes(&"a".repeat(100), false));
    let (ignore, problems) = Ignore::parse(&format!("{long}{long}\nc\n"));
    assert_eq!(problems[0].code, "line-too-long");
    assert!(ignore.excludes("c", false));
}

#[test]
fn mounts_of_any_length() {
    for piece in [",", "\"\"", "a=b,", "type=cache,", "target=${", "ro,", "\""] {
        let options = piece.repeat(60_000 / piece.len());
        let src = format!("FROM a\nRUN --mount={options} true\n");
        assert!(parse(&src).diagnostics.len() <= 2, "{piece}");
    }
    let src = format!("FROM a\nRUN {}true\n", "--mount=type=ssh ".repeat(3_500));
    let (file, _) = parse(&src).into_result().expect("no errors");
    let Instruction::Run(run) = &file.stages[0].instructions[0].instruction else {
        panic!("RUN")
    };
    assert_eq!(run.mounts.len(), 3_500);
}
