//! Any text as the options of `RUN --mount`: what passes as text resolves with values or says at which
//! place it does not, and twice the same.
#![no_main]

use std::borrow::Cow;

use kiln_parser::{Instruction, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let src = format!("FROM a\nRUN --mount={text} true\n");
    let file = parse(&src).file;
    let value = |name: &str| match name {
        "T" => Some(Cow::Borrowed("cache")),
        "v" => Some(Cow::Borrowed("value")),
        "n" => Some(Cow::Borrowed("1000")),
        "e" => Some(Cow::Borrowed("")),
        _ => None,
    };
    for node in file.stages.iter().flat_map(|stage| &stage.instructions) {
        let Instruction::Run(run) = &node.instruction else {
            continue;
        };
        for mount in &run.mounts {
            let resolved = mount.resolve(&value);
            assert_eq!(resolved, mount.resolve(&value));
            if let Err(problem) = resolved {
                let at = problem.span;
                assert!(src.get(at.start as usize..at.end as usize).is_some());
            }
        }
    }
});
