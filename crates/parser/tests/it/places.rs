//! What users of the tree rely on: joined text, places, scripts, mounts, triggers.

use std::borrow::Cow;

use kiln_parser::ast::{Copy, MountKind, Port, Run, Script, Source};
use kiln_parser::{Diagnostic, Instruction, parse, parse_instruction};

fn run(src: &str) -> Run<'_> {
    let node = parse_instruction(src, '\\').node.expect("an instruction");
    match node.instruction {
        Instruction::Run(run) => run,
        other => panic!("{other:?}"),
    }
}

fn copy(src: &str) -> Copy<'_> {
    let node = parse_instruction(src, '\\').node.expect("an instruction");
    match node.instruction {
        Instruction::Copy(copy) => copy,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_shown_text_is_that_of_the_transcript() {
    let src = "FROM a\nrun apt-get update \\\n  # a comment\n\n  && apt-get install -y \\\n  curl\n  \tCopy  a   b  \n";
    let (file, _) = parse(src).into_result().expect("no errors");
    let texts: Vec<&str> = file.stages[0]
        .instructions
        .iter()
        .map(|node| node.text.as_ref())
        .collect();
    assert_eq!(
        texts,
        [
            "RUN apt-get update   && apt-get install -y   curl",
            "COPY  a   b"
        ]
    );
    assert_eq!(file.stages[0].instructions[0].lines, (2, 6));
}

#[test]
fn words_are_borrowed_where_they_lie_in_one_piece() {
    let src = "FROM a\nENV one=1 \\\n  two=2 th\\\nree=3\n";
    let (file, _) = parse(src).into_result().expect("no errors");
    let Instruction::Env(env) = &file.stages[0].instructions[0].instruction else {
        panic!("ENV")
    };
    let keys: Vec<Cow<'_, str>> = env
        .pairs
        .iter()
        .map(|pair| pair.key.clone().into_raw())
        .collect();
    assert!(
        matches!(keys.as_slice(), [Cow::Borrowed("one"), Cow::Borrowed("two"), Cow::Owned(three)] if three == "three")
    );
    let pieces: Vec<&str> = env.pairs[2]
        .key
        .spans()
        .iter()
        .map(|span| span.of(src))
        .collect();
    assert_eq!(pieces, ["th", "ree"]);
}

#[test]
fn a_run_says_what_to_execute() {
    assert_eq!(
        run("RUN [\"a\", \"b c\"]").script(),
        Script::Exec(vec!["a".into(), "b c".into()])
    );
    assert_eq!(run("RUN a \\\n b").script(), Script::Shell("a  b".into()));
    assert_eq!(
        run("RUN <<EOF\na\nb\nEOF").script(),
        Script::Shell("a\nb\n".into())
    );
    assert_eq!(
        run("RUN <<-EOF\n\ta\n\t\tb\n\tEOF").script(),
        Script::Shell("a\nb\n".into())
    );
    assert_eq!(
        run("RUN cat <<A 3<<B > x\na\nA\nb\nB").script(),
        Script::Shell("cat <<A 3<<B > x\na\nA\nb\nB".into())
    );
    // To the shell that is a comment: the tabs stood before it.
    assert_eq!(
        run("RUN <<-EOF\n\t#!/bin/x\n\ta\n\tEOF").script(),
        Script::Shell("#!/bin/x\na\n".into())
    );
    let python = run("RUN <<EOF\n#!/usr/bin/python3\nprint(1)\nEOF");
    assert_eq!(
        python.script(),
        Script::File {
            name: "EOF",
            content: "#!/usr/bin/python3\nprint(1)\n".into()
        }
    );
    let flagged = run("RUN --network=none <<EOF\na\nEOF");
    assert_eq!(
        (
            flagged.script(),
            flagged.network.as_ref().expect("given").value.raw()
        ),
        (Script::Shell("a\n".into()), "none")
    );
}

#[test]
fn heredocs_are_files() {
    let copy = copy("COPY <<a.txt <<'b.txt' c /x/\nhello $v\na.txt\nraw $v\nb.txt\n");
    let contents: Vec<(String, String)> = copy
        .sources
        .iter()
        .filter_map(|source| match source {
            Source::Heredoc(doc) => {
                let content = doc
                    .expand_content(&|_| Some(Cow::Borrowed("world")))
                    .expect("a value");
                Some((doc.name.clone(), content))
            }
            Source::Path(_) => None,
        })
        .collect();
    let want = [("a.txt", "hello world\n"), ("b.txt", "raw $v\n")]
        .map(|(n, c)| (n.to_owned(), c.to_owned()));
    assert_eq!(contents, want);
    assert_eq!((copy.sources.len(), copy.dest.raw()), (3, "/x/"));
}

#[test]
fn mounts_resolve_with_values() {
    let mounts = run("RUN --mount=type=cache,target=$HOME/.cache,sharing=locked,mode=0700,uid=5 --mount=source=a,target=/b,rw \
         --mount=type=secret,id=t,env=TOKEN,required --mount=type=tmpfs,target=/t,size=64m --mount=type=$KIND,target=/k true")
    .mounts;
    let lookup = |name: &str| match name {
        "HOME" => Some(Cow::Borrowed("/root")),
        "KIND" => Some(Cow::Borrowed("ssh")),
        _ => None,
    };
    let specs: Vec<_> = mounts
        .iter()
        .map(|mount| mount.resolve(&lookup).expect("good"))
        .collect();
    assert_eq!(specs[0].target.as_deref(), Some("/root/.cache"));
    assert_eq!(
        (
            specs[0].access.mode,
            specs[0].access.uid,
            specs[0].read_only
        ),
        (Some(0o700), Some(5), false)
    );
    assert_eq!(
        (specs[1].kind, specs[1].read_only),
        (MountKind::Bind, false)
    );
    assert_eq!(
        (specs[2].env.as_deref(), specs[2].required),
        (Some("TOKEN"), true)
    );
    assert_eq!(specs[3].size, Some(64 << 20));
    assert_eq!(specs[4].kind, MountKind::Ssh);
    let problem = mounts[4]
        .resolve(&|_| Some(Cow::Borrowed("sssh")))
        .expect_err("no such type");
    assert_eq!(problem.help.as_deref(), Some("did you mean `ssh`?"));
}

#[test]
fn triggers_are_read_again() {
    let src = "FROM a\nONBUILD COPY --chown=1 <<EOF \\\n /x\ntext\nEOF\nONBUILD RUN make\n";
    let (file, warnings) = parse(src).into_result().expect("no errors");
    assert!(warnings.is_empty());
    let triggers: Vec<&str> = file.stages[0]
        .instructions
        .iter()
        .map(|node| match &node.instruction {
            Instruction::OnBuild(onbuild) => onbuild.trigger.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        triggers,
        ["COPY --chown=1 <<EOF  /x\ntext\nEOF", "RUN make"]
    );
    let again = parse_instruction(triggers[0], '\\');
    assert!(again.diagnostics.is_empty(), "{:?}", again.diagnostics);
    let Some(Instruction::Copy(copy)) = again.node.map(|node| node.instruction) else {
        panic!("COPY")
    };
    assert!(matches!(&copy.sources[0], Source::Heredoc(doc) if doc.content() == "text\n"));
}

#[test]
fn the_limit_of_a_line_holds_for_all_that_it_may_be() {
    let long = "x".repeat(65_535);
    let rows = [
        ("FROM a\n#", "\n", 1),
        ("FROM a\nRUN a \\\n", " \\\n b\n", 1),
        ("FROM a\nRUN a \\\n#", "\n b\n", 1),
        ("FROM a\nCOPY <<A /x\nx", "\nA\n", 1),
        ("FROM a\nCOPY <<A /x\n", "\nA\n", 0),
        ("FROM a\nCOPY <<A /x\n", "\r\nA\n", 1),
        // Read twice, told once.
        ("FROM a\nRUN <<A\n A\n#", "\n", 1),
    ];
    for (before, behind, errors) in rows {
        let src = format!("{before}{long}{behind}");
        let diagnostics = parse(&src).diagnostics;
        let found = diagnostics.iter().filter(|d| d.code == "line-too-long");
        assert_eq!(found.count(), errors, "{before:?} {behind:?}");
    }
}

#[test]
fn triggers_that_cannot_be_read() {
    for text in ["", "FROM x", "NONSENSE", "RUN a\nRUN b", "COPY x"] {
        let read = parse_instruction(text, '\\');
        assert!(read.diagnostics.iter().any(Diagnostic::is_error), "{text}");
    }
}

#[test]
fn ports() {
    let parse = |word| {
        Port::parse(word).map(|ports| {
            ports
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        })
    };
    let rows = [
        ("80", "80/tcp"),
        ("80/UDP", "80/udp"),
        ("8000-8002/sctp", "8000/sctp 8001/sctp 8002/sctp"),
        ("127.0.0.1:8080:80", "80/tcp"),
        ("0", "0/tcp"),
        ("65535", "65535/tcp"),
        ("+1", "1/tcp"),
        ("080-0081", "80/tcp 81/tcp"),
        ("80/", "80/tcp"),
        (":90", "90/tcp"),
        ("80-82:90-92", "90/tcp 91/tcp 92/tcp"),
        ("80-81:90", "90/tcp"),
        ("[::1]:80:90/udp", "90/udp"),
        ("::1:80:90", "90/tcp"),
        ("1.2.3.4::90", "90/tcp"),
    ];
    for (word, want) in rows {
        assert_eq!(parse(word).as_deref(), Ok(want), "{word}");
    }
    for word in [
        "",
        "x",
        "80/http",
        "65536",
        "90-80",
        "-1",
        "80-",
        "80,90",
        "80 90",
        "99999999999",
        "80/tcp/udp",
        "/tcp",
        "80-81-82",
        "80-82:90-93",
        "80:90-92",
        "x:90",
        "70000:90",
        "1.2.3:80:90",
        "localhost:80:90",
        "1:2:3:4",
    ] {
        assert!(parse(word).is_err(), "{word}");
    }
}
