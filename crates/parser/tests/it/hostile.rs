//! Input that was made to hurt: all of it ends soon, in bounded memory, on a small stack.

use kiln_parser::{Diagnostic, Instruction, parse};

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
