//! The normal form, edits, and what neither can do.

use kiln_parser::ast::{Env, Pair};
use kiln_parser::print::{Edits, Error};
use kiln_parser::{Instruction, Span, Word, parse, parse_instruction};

#[test]
fn the_normal_form() {
    let rows = [
        ("run   a \\\n  # c\n  b", "RUN a   b"),
        ("RUN -- --mount=x", "RUN -- --mount=x"),
        (
            "RUN --network=none --mount=type=cache,target=/a\\ b,id='x y' c",
            "RUN --mount=type=cache,target=/a\\ b,id=x\\ y --network=none c",
        ),
        (
            "RUN --mount='type=bind,\"source=a,b\",target=/c' d",
            "RUN --mount=type=bind,\\\"source=a,b\\\",target=/c d",
        ),
        (
            "RUN cat <<-A 3<<'B'\n\tx\n\tA\ny\nB",
            "RUN cat <<-A 3<<'B'\n\tx\nA\ny\nB",
        ),
        (
            "COPY --link=false --from=x [\"a b\",\"/c\\u0020d\"]",
            "COPY --from=x --link=false [\"a b\", \"/c d\"]",
        ),
        (
            "COPY <<'A' <<-B /x/\n$a\nA\nB",
            "COPY <<\"A\" <<-B /x/\n$a\nA\nB",
        ),
        (
            "ADD --unpack --exclude=a --exclude=b x y",
            "ADD --unpack --exclude=a --exclude=b x y",
        ),
        ("env a=b   c='d e'", "ENV a=b c='d e'"),
        ("ENV a  b  c", "ENV a b  c"),
        (
            "HEALTHCHECK --interval=1m30.5s --retries=3 cmd [\"x\"]",
            "HEALTHCHECK --interval=90s500ms --retries=3 CMD [\"x\"]",
        ),
        ("healthcheck none", "HEALTHCHECK NONE"),
        ("onbuild run  <<E\nx\nE", "ONBUILD run  <<E\nx\nE"),
        ("ARG a b=", "ARG a b="),
    ];
    for (text, want) in rows {
        let node = parse_instruction(text, '\\').node.expect("readable");
        assert_eq!(
            node.instruction.print('\\').as_deref(),
            Ok(want),
            "of {text:?}"
        );
    }
}

#[test]
fn instructions_made_by_programs() {
    let word = |text: &'static str| Word::written(text, '\\');
    let env = |key, value| {
        let pair = Pair {
            key: word(key),
            value: word(value),
        };
        Instruction::Env(Env {
            pairs: vec![pair],
            legacy: false,
        })
    };
    assert_eq!(
        env("a", "\"b c\"").print('\\').as_deref(),
        Ok("ENV a=\"b c\"")
    );
    for (key, value) in [("a", "b c"), ("a", "b\nRUN evil"), ("", "x"), ("a", "b\\")] {
        let printed = env(key, value).print('\\');
        assert_eq!(printed, Err(Error::NotReadBack("ENV")), "{key}={value}");
    }
}

#[test]
fn edits_are_refused_whole() {
    let apply = |spans: &[(u32, u32)]| {
        let mut edits = Edits::new();
        for (start, end) in spans {
            edits.replace(Span::new(*start, *end), "-");
        }
        edits.apply("aébc")
    };
    assert_eq!(apply(&[(3, 4), (0, 1)]).as_deref(), Ok("-é-c"));
    assert_eq!(apply(&[(1, 1), (1, 1), (1, 3)]).as_deref(), Ok("a---bc"));
    assert_eq!(
        apply(&[(0, 3), (1, 4)]),
        Err(Error::Overlap(Span::new(1, 4)))
    );
    for span in [(2, 3), (1, 2), (4, 9), (9, 9)] {
        assert_eq!(
            apply(&[span]),
            Err(Error::NoPlace(Span::new(span.0, span.1)))
        );
    }
}

#[test]
fn a_whole_file() {
    let src = "\n# escape=x\n# for all\narg A=1\n#\n# base\nfrom b as C\n\n\nrun x\nfrom c\n";
    let file = parse(src).file;
    let text = file.print().expect("printable");
    let want = "\n# escape=x\n# for all\nARG A=1\n\n# base\nFROM b AS c\nRUN x\n\nFROM c\n";
    assert_eq!(text, want);
    assert!(file.same_as(&parse(&text).file));
    assert!(!file.same_as(&parse("ARG A=1\nFROM b AS c\nRUN y\nFROM c\n").file));
}
