use super::*;

/// Pattern lines, a path, whether it is excluded.
#[test]
fn as_moby_decides() {
    let rows: &[(&str, &str, bool)] = &[
        ("*.log", "a.log", true),
        ("*.log", "dir/a.log", false),
        ("**/*.log", "a.log", true),
        ("**/*.log", "x/y/a.log", true),
        ("/a.log", "a.log", true),
        ("./a.log", "a.log", true),
        ("a//b/../c", "a/c", true),
        ("  a.log  ", "a.log", true),
        ("#a", "#a", false),
        (" #a", "#a", true),
        ("docs", "docs", true),
        ("docs", "docs/a/b", true),
        ("docs/", "docs/a", true),
        ("docs", "mydocs", false),
        ("docs\n!docs/keep", "docs/keep", false),
        ("docs\n!docs/keep", "docs/other", true),
        ("!docs/keep\ndocs", "docs/keep", true),
        ("*\n!src", "src/main.rs", false),
        // What nothing had excluded, `!` did not take; it did what had been.
        ("?/b\n!c", "c/b", true),
        ("?\n?/b\n!c", "c/b", false),
        ("?/b\n!c\n!c/b", "c/b", false),
        ("?/[a-c]*\n![a-c]*", "c/a/b", true),
        ("*\n!src\nsrc/*.tmp", "src/a.tmp", true),
        ("*\n!src\nsrc/*.tmp", "src/a/b.tmp", false),
        ("! keep", "keep", false),
        ("**", "a/b/c", true),
        ("**\n!a", "a/b", false),
        ("a/**", "a/b", true),
        ("a/**", "a", false),
        ("a**", "abc/d", true),
        ("a/**/z", "a/z", true),
        ("a/**/z", "a/b/c/z", true),
        ("a/**/z", "a/bz", false),
        ("**/foo", "foo", true),
        ("**/foo", "a/foo", true),
        ("**/foo", "a/foo/b", true),
        ("**/foo", "afoo", false),
        ("**foo", "a/bfoo", true),
        ("**/foo*", "a/food", true),
        ("**/foo/**", "a/foo/b", true),
        ("**/foo/**", "foo/b", true),
        ("**/a/**/b", "x/a/y/z/b", true),
        ("a?c", "abc", true),
        ("a?c", "a/c", false),
        ("[a-c]x", "bx", true),
        ("[^a-c]x", "bx", false),
        ("a\\*b", "a*b", true),
        ("a\\*b", "axb", false),
        (".", "a", false),
        ("..", "a", false),
        ("a.b", "axb", false),
        ("a$b", "a$b", true),
        ("é*", "tété", false),
        ("é*", "éa", true),
        ("\u{feff}a", "a", true),
        ("a\r\nb\r\n", "a", true),
        ("", "a", false),
        ("dir/*", "dir/sub/file", true),
        ("*/temp*", "a/temporary.txt", true),
        ("*/*/temp*", "a/b/temp", true),
        ("temp?", "temp1", true),
        ("temp?", "temp", false),
    ];
    for (src, path, want) in rows {
        let (ignore, problems) = Ignore::parse(src);
        assert!(problems.is_empty(), "{src:?}: {problems:?}");
        assert_eq!(ignore.excludes(path, false), *want, "{src:?} {path}");
    }
}

#[test]
fn bad_lines_are_named_and_the_others_count() {
    let (ignore, problems) = Ignore::parse("[\n!\na\\\nb\n");
    assert_eq!(problems.len(), 3);
    assert_eq!(problems[0].span, Span::new(0, 1));
    assert!(ignore.excludes("b", false));
    assert!(!ignore.has_negation());
}

#[test]
fn the_deciding_rule_has_its_line() {
    let (ignore, _) = Ignore::parse("# comment\n\n*\n!src\n");
    assert!(ignore.has_negation());
    let rule = ignore.decide("src/a", false).expect("two rules match");
    assert_eq!(
        (rule.pattern.as_str(), rule.line, rule.negated),
        ("!src", 4, true)
    );
    let rule = ignore.decide("other", true).expect("the star matches");
    assert_eq!((rule.pattern.as_str(), rule.line), ("*", 3));
    assert!(ignore.decide(".", true).is_none());
    // Rules that change nothing do not decide.
    let (ignore, _) = Ignore::parse("!a\n*\na\n");
    assert_eq!(ignore.decide("a", false).map(|rule| rule.line), Some(2));
    assert!(Ignore::parse("!a\n").0.decide("a", false).is_none());
}

#[test]
fn short_and_long_patterns_decide_alike() {
    let padding = "x".repeat(80);
    for (pattern, path) in [
        ("a/**/b*", "a/c/d/bee"),
        ("a/**/b*", "a/c/d/e"),
        ("**/?*/[a-c]", "q/w/b"),
    ] {
        let (short, _) = Ignore::parse(pattern);
        let (long, _) = Ignore::parse(&format!("{padding}/{pattern}"));
        assert_eq!(
            short.excludes(path, false),
            long.excludes(&format!("{padding}/{path}"), false),
            "{pattern} {path}"
        );
    }
}

#[test]
fn hostile_patterns_stay_linear() {
    let (ignore, _) = Ignore::parse(&"*a".repeat(1000));
    assert!(!ignore.excludes(&"a".repeat(4000).replace("aaaa", "aab"), false));
    let (ignore, _) = Ignore::parse(&"**/a/".repeat(501));
    assert!(!ignore.excludes(&"a/b/".repeat(500), false));
}
