//! `cargo xtask conformance`: the cases of `tests/conformance` by kiln, or by a tool of others.
//!
//! A peer's command line is what builds: `docker build --network host`, `buildah bud`. It is asked for
//! the same trees, configs and histories; of its errors only that there is one, and its line.

use std::{env, path::PathBuf, process::ExitCode};

use kiln_tests::conformance::{Builder, Ours, Peer, Suite, cases, gaps};

use crate::Result;

/// What is asked for.
#[derive(Default)]
struct Options {
    against: Option<String>,
    filter: String,
    /// Where cases are made: some peers see only a part of the disk.
    scratch: Option<PathBuf>,
}

pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let options = Options::parse(arguments)?;
    let mut cases = cases().map_err(|e| e.to_string())?;
    cases.retain(|case| case.name.contains(&options.filter));
    let ours = options.against.is_none().then(Ours::root);
    let peer = options.against.as_deref().map(Peer::new).transpose();
    let peer = peer.map_err(|e| e.to_string())?;
    let builder: &dyn Builder = match (&ours, &peer) {
        (Some(ours), _) => ours,
        (None, Some(peer)) => peer,
        (None, None) => return Err("nobody builds".into()),
    };
    let scratch = match (&options.scratch, &ours) {
        (Some(scratch), _) => scratch.clone(),
        (None, Some(ours)) => ours.scratch().to_owned(),
        (None, None) => env::temp_dir().join(format!("kiln-conformance-{}", std::process::id())),
    };
    let suite = Suite::new(builder, &scratch).map_err(|e| e.to_string())?;
    let report = suite.run(&cases);
    let gaps = match peer {
        None => gaps().map_err(|e| e.to_string())?,
        Some(_) => Default::default(),
    };
    let mut differ = 0;
    for case in &cases {
        let found = &report.0[&case.name];
        if found.is_empty() {
            continue;
        }
        let gap = gaps.get(&case.name);
        differ += usize::from(gap.is_none());
        println!("{}: {}", case.name, gap.unwrap_or(&case.about));
        found.iter().for_each(|line| println!("  {line}"));
    }
    if ours.is_none() {
        std::fs::remove_dir_all(scratch.join("cases"))?;
    }
    println!("{} cases, {differ} differ", cases.len());
    Ok(if differ == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let usage = "the arguments are --against \"COMMAND\", --filter TEXT and --scratch FOLDER";
        let mut arguments = arguments.iter();
        while let Some(flag) = arguments.next() {
            let value = arguments.next().ok_or(usage)?;
            match flag.as_str() {
                "--against" => options.against = Some(value.clone()),
                "--filter" => options.filter = value.clone(),
                "--scratch" => options.scratch = Some(value.into()),
                _ => return Err(usage.into()),
            }
        }
        Ok(options)
    }
}
