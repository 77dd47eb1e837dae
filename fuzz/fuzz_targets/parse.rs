//! Any text as a Dockerfile: there is always a tree, all places lie in the text, and what is read
//! as a trigger of ONBUILD can be read alone. What is printed is read as the same.
#![no_main]

use kiln_parser::print::Edits;
use kiln_parser::{Instruction, Parse, Span, parse, parse_instruction};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|src: &str| {
    let Parse { file, diagnostics } = parse(src);
    let within = |span: Span| {
        assert!(span.start <= span.end);
        assert!(
            src.get(span.start as usize..span.end as usize).is_some(),
            "{span:?}"
        );
    };
    for found in &diagnostics {
        within(found.span);
        assert!(!found.message.is_empty());
    }
    let mut last = 0;
    for stage in &file.stages {
        within(stage.image().span());
        for node in &stage.instructions {
            within(node.span);
            assert!(node.span.start >= last && node.lines.0 <= node.lines.1);
            last = node.span.end;
            match &node.instruction {
                Instruction::OnBuild(on) => drop(parse_instruction(&on.trigger, '\\')),
                Instruction::Run(run) => drop(run.script()),
                _ => {}
            }
        }
    }
    // What a file is printed as is read as the same, and printed so again.
    if let Ok(text) = file.print() {
        let again = parse(&text).file;
        assert!(file.same_as(&again));
        assert_eq!(again.print().as_ref(), Ok(&text));
    }
    assert_eq!(Edits::new().apply(src).as_deref(), Ok(src));
    let failed = diagnostics.iter().any(|found| found.is_error());
    assert_eq!(parse(src).into_result().is_err(), failed);
});
