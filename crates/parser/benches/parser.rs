//! How fast Dockerfiles are read, words expanded and paths matched: ordinary ones, and such as were
//! made to hurt.
//!
//! ```text
//! cargo bench -p kiln-parser [FILTER]
//! ```

use std::borrow::Cow;
use std::fmt::Write;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use kiln_parser::ignore::Ignore;
use kiln_parser::{Instruction, parse};

fn main() {
    divan::main();
}

/// A stage as people write them, 25 lines long.
const STAGE: &str = r#"# What is built, and with what.
FROM --platform=$BUILDPLATFORM golang:${GO_VERSION} AS build
ARG TARGETOS TARGETARCH
WORKDIR /src
ENV CGO_ENABLED=0 \
    GOFLAGS="-trimpath -buildvcs=false"
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/root/.cache/go-build \
    --mount=type=cache,target=/go/pkg/mod,sharing=locked \
    go mod download
# The rest changes more often.
COPY --chown=1000:1000 . .
RUN --mount=type=cache,target=/root/.cache/go-build \
    --mount=type=secret,id=token,env=TOKEN \
    GOOS=$TARGETOS GOARCH=$TARGETARCH go build -o /out/app ./cmd/app && \
    echo "done"
RUN <<EOF
set -e
apt-get update
apt-get install -y --no-install-recommends ca-certificates
EOF
LABEL org.opencontainers.image.source="https://example.com/${NAME:-app}" version=1
EXPOSE 8080/tcp
ENTRYPOINT ["/out/app", "--listen", ":8080"]

"#;

fn reads(bencher: Bencher<'_, '_>, src: &str) {
    bencher
        .counter(BytesCount::of_str(src))
        .bench(|| parse(src).diagnostics.len());
}

/// A FROM and the same piece again and again.
fn repeats(bencher: Bencher<'_, '_>, piece: &str, times: usize) {
    reads(bencher, &format!("FROM a\n{}", piece.repeat(times)));
}

#[divan::bench]
fn ordinary_25_lines(bencher: Bencher<'_, '_>) {
    reads(bencher, STAGE);
}

#[divan::bench]
fn ordinary_10000_lines(bencher: Bencher<'_, '_>) {
    reads(bencher, &STAGE.repeat(400));
}

#[divan::bench]
fn labels_100000_lines(bencher: Bencher<'_, '_>) {
    repeats(bencher, "LABEL key=value other=\"a b\"\n", 100_000);
}

#[divan::bench]
fn one_env_of_100000_lines(bencher: Bencher<'_, '_>) {
    let lines = "  x=\"y\" \\\n".repeat(100_000);
    reads(bencher, &format!("FROM a\nENV a=b \\\n{lines}c=d\n"));
}

#[divan::bench]
fn heredocs_20000(bencher: Bencher<'_, '_>) {
    repeats(bencher, "RUN <<EOF\nx\nEOF\n", 20_000);
}

#[divan::bench]
fn words_of_60_kib_100(bencher: Bencher<'_, '_>) {
    let line = format!("ENV a={}\n", "${a:-\"b\"}".repeat(6_500));
    repeats(bencher, &line, 100);
}

#[divan::bench]
fn errors_60000(bencher: Bencher<'_, '_>) {
    repeats(bencher, "LABLE x\nCOPY --form=x a b\n", 30_000);
}

#[divan::bench(args = [
    "/opt/$NAME/bin:$NAME",
    "${NAME:-none}/${NAME%%.*}/${NAME//a/b}",
    "${a:-${b:-${c:-${d:-x}}}}",
])]
fn expansion(bencher: Bencher<'_, '_>, word: &str) {
    let src = format!("FROM a\nENV v={word}\n");
    let file = parse(&src).file;
    let Instruction::Env(env) = &file.stages[0].instructions[0].instruction else {
        return;
    };
    let lookup = |name: &str| (name == "NAME").then_some(Cow::Borrowed("application-1.2.3.tar.gz"));
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench(|| env.pairs[0].value.expand(&lookup));
}

/// 1,000 paths against a number of patterns.
#[divan::bench(args = [10, 100, 10_000])]
fn ignore_1000_paths(bencher: Bencher<'_, '_>, patterns: usize) {
    let kinds = [
        "node_modules",
        "**/*.log",
        "/target",
        "docs/**/*.tmp",
        "**/cache",
        "!keep",
    ];
    let mut src = String::new();
    for i in 0..patterns {
        let _ = writeln!(src, "{}{i}", kinds[i % kinds.len()]);
    }
    let (ignore, _) = Ignore::parse(&src);
    let paths: Vec<String> = (0..1000)
        .map(|i| format!("src/module{i}/tests/file{i}.rs"))
        .collect();
    bencher.counter(ItemsCount::new(paths.len())).bench(|| {
        let excluded = paths.iter().filter(|path| ignore.excludes(path, false));
        excluded.count()
    });
}
