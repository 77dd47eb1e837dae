//! What the tests are given: images by name, options from a text, and what came of it.

use std::{fs, path::PathBuf};

use kiln_frontend::{Base, Bases, Lowered, Lowering, Options, Resolved, lower};
use kiln_image::{Config, Digest, Platform};
use kiln_parser::{Diagnostic, parse};

pub(crate) fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// Everything is the same on every machine.
pub(crate) fn amd64() -> Options {
    Options {
        platform: Platform::new("linux", "amd64", None),
        build_platform: Platform::new("linux", "amd64", None),
        ..Options::default()
    }
}

/// Options as a file has them: `build-arg A=1`, `target x`, `platform linux/arm64`,
/// `context name=docker-image://x`, `context-time 5`, `time-of name=5`.
pub(crate) fn options(text: &str) -> Options {
    let mut options = amd64();
    for line in text.lines() {
        let (name, value) = line.split_once(' ').unwrap();
        match name {
            "build-arg" => {
                let (name, value) = value.split_once('=').unwrap();
                options.build_args.insert(name.into(), value.into());
            }
            "context" => {
                let (name, value) = value.split_once('=').unwrap();
                options.contexts.insert(name.into(), value.parse().unwrap());
            }
            "context-time" => options.context_time = Some(value.parse().unwrap()),
            "time-of" => {
                let (name, time) = value.split_once('=').unwrap();
                let time = time.parse().unwrap();
                options.named_times.insert(name.into(), time);
            }
            "target" => options.target = Some(value.into()),
            "platform" => options.platform = value.parse().unwrap(),
            other => panic!("unknown option `{other}`"),
        }
    }
    options
}

/// The config that stands for an image: `bases/NAME.json`, else an empty one.
pub(crate) fn image(base: &Base) -> Resolved {
    let name = base.reference.familiar_repository().replace('/', "_");
    let file = corpus().join("bases").join(format!("{name}.json"));
    let config = match fs::read_to_string(file) {
        Ok(text) => serde_json::from_str(&text).unwrap(),
        Err(_) => Config::scratch(&base.platform),
    };
    Resolved {
        manifest: Digest::sha256(base.reference.to_string().as_bytes()),
        config,
    }
}

/// What came of a file: what it asked for, round by round, and the end.
pub(crate) struct Outcome {
    pub(crate) rounds: Vec<Vec<Base>>,
    pub(crate) end: Result<Lowered, Vec<Diagnostic>>,
}

pub(crate) fn outcome(source: &str, options: &Options) -> Outcome {
    let mut rounds = Vec::new();
    let file = match parse(source).into_result() {
        Ok((file, _)) => file,
        Err(errors) => {
            let end = Err(errors);
            return Outcome { rounds, end };
        }
    };
    let mut bases = Bases::new();
    let end = loop {
        match lower(&file, options, &bases) {
            Ok(Lowering::Done(lowered)) => break Ok(*lowered),
            Ok(Lowering::Need(needs)) => {
                assert!(!needs.is_empty() && rounds.len() < 5, "asks for ever");
                for need in &needs {
                    bases.insert(need.reference.clone(), need.platform.clone(), image(need));
                }
                rounds.push(needs);
            }
            Err(errors) => break Err(errors),
        }
    };
    Outcome { rounds, end }
}

pub(crate) fn lowered(source: &str, options: &Options) -> Lowered {
    outcome(source, options).end.unwrap()
}
