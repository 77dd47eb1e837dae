//! Any text as a value of LABEL, ENV and a heredoc, with both escape characters: it ends, is bounded,
//! and names its variables at their places.
#![no_main]

use std::borrow::Cow;

use kiln_parser::{Instruction, MAX_EXPANDED, Word, ast::Source, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for src in [
        format!("FROM a\nLABEL l {text}\n"),
        format!("# escape=`\nFROM a\nENV {text}\n"),
        format!("FROM a\nCOPY <<E /\n{text}\nE\n"),
    ] {
        let file = parse(&src).file;
        for node in file.stages.iter().flat_map(|stage| &stage.instructions) {
            match &node.instruction {
                Instruction::Label(label) => label.pairs.iter().for_each(|p| check(&p.value, &src)),
                Instruction::Env(env) => env.pairs.iter().for_each(|p| check(&p.value, &src)),
                Instruction::Copy(copy) => {
                    for source in &copy.sources {
                        if let Source::Heredoc(document) = source {
                            check(&document.body, &src);
                        }
                    }
                }
                _ => {}
            }
        }
    }
});

fn check(word: &Word<'_>, src: &str) {
    let value = |name: &str| match name.len() % 4 {
        0 => None,
        1 => Some(Cow::Borrowed("a $b \"c\" *?\\ é\n/usr/local/lib.tar.gz")),
        2 => Some(Cow::Borrowed("")),
        _ => Some(Cow::Borrowed("aaaaaaaaaaaaaaaaaaaaaaaaaaaab")),
    };
    for variable in word.variables() {
        let at = variable.span;
        let there = src.get(at.start as usize..at.end as usize);
        assert!(
            there.is_some_and(|text| text.starts_with('$')),
            "{variable:?}"
        );
    }
    match word.expand(&value) {
        Ok(text) => {
            assert!(text.len() <= 2 * MAX_EXPANDED);
            let words = word.expand_words(&value).expect("it has a value");
            assert!(words.iter().map(String::len).sum::<usize>() <= text.len());
            if word.constant().is_some() {
                assert!(word.variables().is_empty());
            }
        }
        Err(error) => {
            assert!(
                src.get(error.span.start as usize..error.span.end as usize)
                    .is_some()
            );
        }
    }
}
