//! `cargo xtask conformance`: the cases of `tests/conformance` by kiln, or by a tool of others.
//!
//! A peer's command line is what builds: `docker build --network host`, `buildah bud`. It is asked for
//! the same trees, configs and histories; of its errors only that there is one, and its line.

use std::{env, path::PathBuf, process::ExitCode};

use kiln_tests::conformance::{Builder, Ours, Peer, Suite, cases, differences, gaps};

use crate::Result;

/// What is asked for.
#[derive(Default)]
struct Options {
    against: Option<String>,
    filter: String,
    /// Whether kiln runs as a user who is not root.
    user: bool,
    /// Where cases are made: some peers see only a part of the disk.
    scratch: Option<PathBuf>,
}

pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let options = Options::parse(arguments)?;
    let mut cases = cases().map_err(|e| e.to_string())?;
    cases.retain(|case| case.name.contains(&options.filter));
    let ours = options.against.is_none().then(|| match options.user {
        true => Ours::user(),
        false => Ours::root(),
    });
    let peer = options.against.as_deref().map(Peer::new).transpose();
    let peer = peer.map_err(|e| e.to_string())?;
    let known = match &peer {
        None => gaps(),
        Some(peer) => differences(peer.kind()),
    };
    let known = known.map_err(|e| e.to_string())?;
    for (name, reason) in known.iter().filter(|(name, _)| !name.contains('/')) {
        println!("{name} is not compared: {reason}");
        cases.iter_mut().for_each(|case| case.ask_no_more_for(name));
    }
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
    let (mut differ, mut expected) = (0, 0);
    for case in &cases {
        let found = &report.0[&case.name];
        let reason = known.get(&case.name);
        match (found.is_empty(), reason) {
            (true, None) => {}
            (true, Some(_)) => println!("{}: differs no more, and is listed", case.name),
            (false, Some(reason)) => println!("{}: as listed: {reason}", case.name),
            (false, None) => {
                println!("{}: {}", case.name, case.about);
                found.iter().for_each(|line| println!("  {line}"));
            }
        }
        expected += usize::from(reason.is_some() && !found.is_empty());
        differ += usize::from(reason.is_some() == found.is_empty());
    }
    if ours.is_none() {
        std::fs::remove_dir_all(scratch.join("cases"))?;
    }
    println!(
        "{} cases, {differ} differ, {expected} as listed",
        cases.len()
    );
    Ok(if differ == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let usage = "the arguments are --against \"COMMAND\", --as root|user, --filter TEXT and \
                     --scratch FOLDER";
        let mut arguments = arguments.iter();
        while let Some(flag) = arguments.next() {
            let value = arguments.next().ok_or(usage)?;
            match flag.as_str() {
                "--against" => options.against = Some(value.clone()),
                "--as" if ["root", "user"].contains(&value.as_str()) => {
                    options.user = value == "user";
                }
                "--filter" => options.filter = value.clone(),
                "--scratch" => options.scratch = Some(value.into()),
                _ => return Err(usage.into()),
            }
        }
        Ok(options)
    }
}
