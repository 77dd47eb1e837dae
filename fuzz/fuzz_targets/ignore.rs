//! Any text as an ignore file, any path: one answer from both questions, and where a pattern has no
//! `**` and the path no folders, the answer of the wildcards of COPY.
#![no_main]

use kiln_parser::{glob::Pattern, ignore::Ignore};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (src, path) = input;
    let (ignore, problems) = Ignore::parse(src);
    for problem in problems {
        let at = problem.span;
        assert!(src.get(at.start as usize..at.end as usize).is_some());
    }
    for rule in ignore.rules() {
        let at = rule.span;
        assert_eq!(
            src.get(at.start as usize..at.end as usize),
            Some(&*rule.pattern)
        );
    }
    let excluded = ignore.excludes(path, false);
    let decided = ignore.decide(path, false);
    assert_eq!(excluded, decided.is_some_and(|rule| !rule.negated));
    // What is excluded stays so in all folders below, where nothing takes it back.
    if excluded && !ignore.has_negation() {
        assert!(ignore.excludes(&format!("{path}/x"), false), "{path}");
    }
    if let [rule] = ignore.rules() {
        let plain = |text: &str| !text.is_empty() && !text.contains(['/', '!', '\n', '.']);
        if plain(&rule.pattern) && plain(path) && !rule.pattern.contains("**") {
            let glob = Pattern::new(&rule.pattern).expect("ignore files take no more than COPY");
            assert_eq!(glob.matches(path), excluded, "{} {path}", rule.pattern);
        }
    }
});
