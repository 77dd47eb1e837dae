//! The scanner on the corners of Rust that a count of braces falls over.

use super::*;

fn functions(text: &str) -> Vec<(String, usize)> {
    Source::read(text)
        .functions
        .into_iter()
        .map(|f| (f.name, f.size))
        .collect()
}

fn structs(text: &str) -> Vec<(String, usize)> {
    Source::read(text)
        .structs
        .into_iter()
        .map(|s| (s.name, s.size))
        .collect()
}

fn one(name: &str, size: usize) -> Vec<(String, usize)> {
    vec![(name.to_owned(), size)]
}

#[test]
fn braces_in_strings_and_comments_do_not_count() {
    for inside in [
        r#"let a = "}";"#,
        r#"let a = "\"}";"#,
        r##"let a = r"\"; let b = r#"}"}"#;"##,
        r#"let a = b"}"; let c = c"}"; let d = br"}";"#,
        "let a = '}';",
        r"let a = '\''; let b = '}';",
        r"let a = '\u{7d}';",
        "let a = b'}';",
        "// }",
        "/* } /* } */ } */",
        "let a: &'static str = f::<'_>(x);",
        "let r#fn = 1;",
        "let é = 'é';",
    ] {
        let text = format!("fn f<'a>(x: &'a u8) -> u8 {{\n    {inside}\n}}\nfn g() {{}}\n");
        assert_eq!(
            functions(&text),
            [("f".to_owned(), 3), ("g".to_owned(), 1)],
            "{inside}"
        );
    }
}

#[test]
fn a_function_reaches_from_its_name_to_its_brace() {
    let text = "pub(crate) fn f<T>(\n    a: [u8; 3],\n) -> impl Fn(u8) -> u8\nwhere\n    T: Into<u8>,\n{\n    move |x| x\n}\n";
    assert_eq!(functions(text), one("f", 8));
}

#[test]
fn what_has_no_body_is_not_counted() {
    assert_eq!(
        functions("trait T {\n    fn f(&self);\n    fn g(&self) {\n    }\n}\n"),
        one("g", 2)
    );
    assert_eq!(functions("type F = fn(u8) -> u8;\n"), []);
    assert_eq!(
        functions("macro_rules! m { ($n:ident) => { fn $n() {} } }\n"),
        []
    );
}

#[test]
fn fields_are_counted_whatever_their_types() {
    let table = [
        ("struct A;", 0),
        ("struct A {}", 0),
        ("struct A(u8, Vec<(u8, u8)>);", 2),
        ("struct A { a: u8 }", 1),
        (
            "struct A {\n a: u8, // one, and\n b: HashMap<u8, u8>,\n}",
            2,
        ),
        (
            "struct A { #[serde(default, skip)] a: u8, b: Box<dyn Fn(u8, u8) -> (u8, u8)>, c: [u8; 2] }",
            3,
        ),
        (
            "struct A<T: Fn(u8) -> u8, const N: usize> where T: Fn(u8, u8) { a: T, b: [T; N] }",
            2,
        ),
        ("struct A<T>(T) where T: Copy;", 1),
    ];
    for (text, size) in table {
        assert_eq!(structs(text), one("A", size), "{text}");
    }
}

#[test]
fn tests_are_told_from_code() {
    let text = "\
fn code() {}
#[cfg(test)]
mod tests;
#[cfg(test)]
#[allow(dead_code)]
mod more {
    fn helper() {}
    #[test]
    fn test() {}
}
#[cfg(all(test, unix))]
fn also() {
}
#[cfg(not(test))]
fn real() {}
#[cfg(feature = \"test\")]
fn code_too() {}
";
    let source = Source::read(text);
    let names: Vec<_> = source.functions.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["code", "real", "code_too"]);
    assert_eq!(source.lines_without_tests(), 5);
    assert!(source.is_test_line(7) && !source.is_test_line(1) && !source.is_test_line(0));
}

#[test]
fn the_header_comes_first() {
    let table = [
        ("//! For this.\n", true),
        ("\n//! For this.\n", true),
        ("// Under a licence.\n//! For this.\n", true),
        ("#![doc = include_str!(\"../README.md\")]\n", true),
        (
            "#![allow(\n    unsafe_code,\n    reason = \"a door\"\n)]\n//! For this.\n",
            true,
        ),
        ("use std::fs;\n//! Late.\n", false),
        ("/// Of an item.\nfn f() {}\n", false),
        ("", false),
    ];
    for (text, good) in table {
        assert_eq!(has_header(text), good, "{text}");
    }
}
