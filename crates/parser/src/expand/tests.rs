use super::*;

fn environment(name: &str) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(match name {
        "v" => "value",
        "e" => "",
        "s" => "a b  c",
        "path" => "/usr/local/lib/x.tar.gz",
        "q" => "say \"hi\" $v",
        "lines" => "one\ntwo",
        "1" => "first",
        "12" => "twelfth",
        "é" => "accent",
        "_x9" => "under",
        "star" => "a*b*c",
        _ => return None,
    }))
}

fn value(word: &str) -> Result<String, String> {
    expand(word, '\\', Quotes::Meaningful, &environment)
        .map(|e| e.text)
        .map_err(|e| e.kind.to_string())
}

/// A word and its value.
#[test]
fn values() {
    let rows = [
        // Names.
        ("$v", "value"),
        ("${v}", "value"),
        ("a$v.b", "avalue.b"),
        ("$vx", ""),
        ("${v}x", "valuex"),
        ("$unset", ""),
        ("${unset}", ""),
        ("$_x9", "under"),
        ("$é", "accent"),
        ("$1x", "firstx"),
        ("$12", "twelfth"),
        ("$@ $* $# $? $- $! $$", "      "),
        ("$", "$"),
        ("a$", "a$"),
        ("$/x", "$/x"),
        ("$ v", "$ v"),
        ("$.", "$."),
        ("$(ls)", "$(ls)"),
        // Defaults, alternatives.
        ("${v:-w}", "value"),
        ("${e:-w}", "w"),
        ("${unset:-w}", "w"),
        ("${v-w}", "value"),
        ("${e-w}", ""),
        ("${unset-w}", "w"),
        ("${v:+w}", "w"),
        ("${e:+w}", ""),
        ("${unset:+w}", ""),
        ("${v+w}", "w"),
        ("${e+w}", "w"),
        ("${unset+w}", ""),
        ("${v:?m}", "value"),
        ("${v?m}", "value"),
        ("${e?m}", ""),
        ("${unset:-}", ""),
        // Nested.
        ("${unset:-$v}", "value"),
        ("${unset:-${unset2:-${v}}}", "value"),
        ("${unset:-a${v}b}", "avalueb"),
        ("${unset:-\"a}b\"}", "a}b"),
        ("${unset:-'$v'}", "$v"),
        ("${unset:-a\\}b}", "a}b"),
        ("${v:+${unset:-x}}", "x"),
        // Prefixes and suffixes.
        ("${path#*/}", "usr/local/lib/x.tar.gz"),
        ("${path##*/}", "x.tar.gz"),
        ("${path%.*}", "/usr/local/lib/x.tar"),
        ("${path%%.*}", "/usr/local/lib/x"),
        ("${path%/*}", "/usr/local/lib"),
        ("${v#va}", "lue"),
        ("${v#x}", "value"),
        ("${v%ue}", "val"),
        ("${v#?}", "alue"),
        ("${v%%??}", "val"),
        ("${v##*}", ""),
        ("${v#*}", "value"),
        ("${star#a\\*}", "b*c"),
        ("${star%\\**}", "a*b"),
        ("${star%%\\**}", "a"),
        ("${unset#x}", ""),
        ("${v#$unset}", "value"),
        ("${v#[va]}", "value"),
        ("${path#/usr\\/local}", "/lib/x.tar.gz"),
        // A line end stops both wildcards.
        ("${lines#*e}", "\ntwo"),
        ("${lines##*t}", "one\ntwo"),
        // Replacement.
        ("${v/a/o}", "volue"),
        ("${s// /_}", "a_b__c"),
        ("${s/ /}", "ab  c"),
        ("${path//\\//_}", "_usr_local_lib_x.tar.gz"),
        ("${path/*/x}", "x"),
        ("${v/x/y}", "value"),
        ("${v/$unset/x}", "xvalue"),
        ("${v//?/x}", "xxxxx"),
        ("${v/l*/}", "va"),
        ("${unset/a/b}", ""),
        // Quotes and escapes.
        ("\"$v\"", "value"),
        ("'$v'", "$v"),
        ("\\$v", "$v"),
        ("\"\\$v\"", "$v"),
        ("\"a\\nb\"", "a\\nb"),
        ("a\\nb", "anb"),
        ("\"\\\"\"", "\""),
        ("\"a'b\"", "a'b"),
        ("'a\"b'", "a\"b"),
        ("'a\\'", "a\\"),
        ("\\\\", "\\"),
        ("\\\"", "\""),
        ("a\\", "a"),
        ("$q", "say \"hi\" $v"),
        ("a\"b\"'c'd", "abcd"),
        ("", ""),
        ("\"\"", ""),
    ];
    for (word, want) in rows {
        assert_eq!(value(word).as_deref(), Ok(want), "{word}");
    }
}

/// A word and what is wrong with it.
#[test]
fn errors() {
    let rows = [
        ("${", "missing `}`"),
        ("${v", "missing `}`"),
        ("${v:-", "missing `}`"),
        ("${v:", "missing `}`"),
        ("${v:-${x}", "missing `}`"),
        ("${}", "bad substitution"),
        ("${{v}}", "bad substitution"),
        ("${:-x}", "bad substitution"),
        ("${.x}", "bad substitution"),
        ("${v:#x}", "unsupported modifier `:#`"),
        ("${v:x}", "unsupported modifier `:x`"),
        ("${v^}", "unsupported modifier `^`"),
        ("${v,,}", "unsupported modifier `,`"),
        ("${v[0]}", "unsupported modifier `[`"),
        ("${v/a}", "missing second `/`"),
        ("${v/a/b", "missing `}`"),
        ("${v#\\a}", "invalid escape `\\a`"),
        ("\"a", "no closing `\"`"),
        ("'a", "no closing `'`"),
        ("\"${v", "missing `}`"),
        ("${unset:-'}", "no closing `'`"),
        ("${unset?}", "`unset`: is not allowed to be unset"),
        ("${unset:?say $v}", "`unset`: say value"),
        ("${e:?}", "`e`: is not allowed to be empty"),
        // Nested words count even where they are not used.
        ("${v:-${unset?gone}}", "`unset`: gone"),
    ];
    for (word, want) in rows {
        let error = value(word).expect_err(word);
        assert!(error.contains(want), "{word}: {error}");
    }
}

#[test]
fn values_split_at_blanks_that_are_not_quoted() {
    let rows: [(&str, &[&str]); 9] = [
        ("$s", &["a", "b", "c"]),
        ("\"$s\"", &["a b  c"]),
        ("x$s", &["xa", "b", "c"]),
        ("a\\ b c", &["a b", "c"]),
        ("'a b' c", &["a b", "c"]),
        ("$unset", &[]),
        ("80 $v", &["80", "value"]),
        ("${unset:-1 2}", &["1", "2"]),
        ("", &[]),
    ];
    for (word, want) in rows {
        let words = expand(word, '\\', Quotes::Meaningful, &environment)
            .expect(word)
            .words;
        assert_eq!(words, want, "{word}");
    }
}

#[test]
fn the_escape_character_is_the_files() {
    let value = |word| {
        expand(word, '`', Quotes::Meaningful, &environment)
            .expect(word)
            .text
    };
    assert_eq!(value("C:\\$v"), "C:\\value");
    assert_eq!(value("`$v"), "$v");
    assert_eq!(value("\"`\"\""), "\"");
}

#[test]
fn in_heredocs_quotes_are_characters() {
    let value = |word| {
        expand(word, '\\', Quotes::Literal, &environment)
            .expect(word)
            .text
    };
    assert_eq!(
        value("it's \"$v\" '$v' \\$v\n"),
        "it's \"value\" 'value' $v\n"
    );
}

#[test]
fn nesting_and_length_are_bounded() {
    let deep = |n: usize| format!("{}x{}", "${unset:-".repeat(n), "}".repeat(n));
    assert_eq!(value(&deep(MAX_NESTING)).as_deref(), Ok("x"));
    let error = value(&deep(20_000)).expect_err("too deep");
    assert!(error.contains("nested deeper"), "{error}");
    let long = |_: &str| Some(Cow::Owned("x".repeat(1 << 16)));
    let error = expand(&"$v".repeat(17), '\\', Quotes::Meaningful, &long).expect_err("too long");
    assert_eq!(error.kind, ExpandErrorKind::TooLong);
    let error = expand(
        "${v//x/yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy}",
        '\\',
        Quotes::Meaningful,
        &long,
    );
    assert_eq!(error.expect_err("too long").kind, ExpandErrorKind::TooLong);
}

#[test]
fn patterns_do_not_backtrack() {
    let value = "a".repeat(30_000);
    let lookup = move |_: &str| Some(Cow::Owned(value.clone()));
    for word in [
        format!("${{v##{}b}}", "*a".repeat(2000)),
        format!("${{v//{}b/x}}", "a*".repeat(2000)),
    ] {
        let expanded = expand(&word, '\\', Quotes::Meaningful, &lookup).expect("a value");
        assert_eq!(expanded.text.len(), 30_000);
    }
}

#[test]
fn errors_and_variables_have_their_place() {
    let text = Text::at("a ${x:-${y}} \"$z\" ${v^}", 100);
    let error = expand(text.as_str(), '\\', Quotes::Meaningful, &environment)
        .expect_err("a bad modifier")
        .at(&text);
    assert_eq!(error.span, Span::new(118, 122));
    let text = Text::at("a ${x:-${y}} \"$z\"", 100);
    let found = variables(text.as_str(), '\\', Quotes::Meaningful, &text);
    let found: Vec<_> = found
        .iter()
        .map(|v| (v.name.as_str(), v.span, v.handles_unset))
        .collect();
    assert_eq!(
        found,
        [
            ("x", Span::new(102, 112), true),
            ("y", Span::new(107, 111), false),
            ("z", Span::new(114, 116), false)
        ]
    );
}
