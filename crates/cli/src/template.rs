//! The templates of `--format`: Go's text/template as far as people use it with docker. Values are
//! JSON. Refuses definitions of further templates and methods.

mod eval;
mod functions;
mod lex;
mod parse;

use std::fmt;

use serde_json::Value;

/// A template, ready to be applied.
#[derive(Debug)]
pub(crate) struct Template {
    nodes: Vec<parse::Node>,
}

/// What is wrong with a template, or with applying it to a value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "template: {}", self.0)
    }
}

impl std::error::Error for Error {}

fn error<T>(what: impl Into<String>) -> Result<T, Error> {
    Err(Error(what.into()))
}

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let tokens = lex::lex(text)?;
        Ok(Self {
            nodes: parse::parse(tokens)?,
        })
    }

    /// The text for one value.
    pub(crate) fn apply(&self, value: &Value) -> Result<String, Error> {
        eval::render(&self.nodes, value)
    }

    /// The fields that are printed, by their last names: the header of a table.
    pub(crate) fn fields(&self) -> Vec<String> {
        parse::fields(&self.nodes)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn apply(template: &str) -> Result<String, Error> {
        let value = json!({
            "ID": "0123456789abcdef", "Names": ["a", "b"], "Size": 12, "Empty": [], "Nothing": null,
            "Config": {"Env": ["A=1", "B=2"], "Labels": {"x.y": "z"}, "Cmd": null},
            "Labels": {"k": "v"}, "Flag": true, "Text": "a,b,c", "Many": {"b": 2, "a": 1},
        });
        Template::parse(template)?.apply(&value)
    }

    #[test]
    fn renders() {
        for (template, want) in [
            ("{{.ID}}", "0123456789abcdef"),
            ("x {{ .Size }} y", "x 12 y"),
            ("{{.Config.Env}}", "[A=1 B=2]"),
            ("{{json .Config.Env}}", r#"["A=1","B=2"]"#),
            ("{{.Config.Env | json}}", r#"["A=1","B=2"]"#),
            ("{{json .}}", ""),
            ("{{index .Config.Env 1}}", "B=2"),
            ("{{index .Config.Labels \"x.y\"}}", "z"),
            ("{{.Label \"k\"}}", "v"),
            ("{{join .Names \", \"}}", "a, b"),
            ("{{range .Names}}<{{.}}>{{end}}", "<a><b>"),
            (
                "{{range $i, $n := .Names}}{{$i}}={{$n}} {{end}}",
                "0=a 1=b ",
            ),
            ("{{range $k, $v := .Many}}{{$k}}={{$v}} {{end}}", "a=1 b=2 "),
            ("{{range .Empty}}x{{else}}none{{end}}", "none"),
            ("{{if .Flag}}yes{{else}}no{{end}}", "yes"),
            (
                "{{if not .Flag}}yes{{else if eq .Size 12}}dozen{{else}}no{{end}}",
                "dozen",
            ),
            ("{{with .Config}}{{index .Env 0}}{{end}}", "A=1"),
            ("{{range split .Text \",\"}}{{.}};{{end}}", "a;b;c;"),
            (
                "{{upper .Text}} {{title .Text}} {{lower \"AbC\"}}",
                "A,B,C A,b,c abc",
            ),
            ("{{truncate .ID 4}}", "0123"),
            ("{{pad .Text 1 2}}|", " a,b,c  |"),
            (
                "{{printf \"%s-%d-%v-%q\" .Text .Size .Flag .Text}}",
                "a,b,c-12-true-\"a,b,c\"",
            ),
            ("{{println .Size}}", "12\n"),
            ("{{len .Names}} {{len .Text}}", "2 5"),
            ("{{eq .Text \"x\" \"a,b,c\"}}", "true"),
            (
                "{{and .Flag .Size}} {{or .Nothing .Text}} {{ne 1 2}}",
                "12 a,b,c true",
            ),
            (
                "{{lt 1 2}}{{gt 1 2}}{{le 2 2}}{{ge 1 2}}",
                "truefalsetruefalse",
            ),
            ("a {{- /* gone */ -}} b", "ab"),
            ("a {{- .Size -}} b", "a12b"),
            ("{{(index .Names 0) | upper}}", "A"),
            ("{{$x := .Size}}{{$x}}", "12"),
            ("{{.Config.Cmd}}", "<no value>"),
            ("{{\"{{\"}}", "{{"),
        ] {
            let got = apply(template).unwrap_or_else(|e| panic!("{template}: {e}"));
            if !want.is_empty() {
                assert_eq!(got, want, "{template}");
            }
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (template, why) in [
            ("{{.Id}}", "there is no field `Id`"),
            ("{{.ID", "is not closed"),
            ("{{if .ID}}", "`end` is missing"),
            ("{{end}}", "`end`"),
            ("{{foo .ID}}", "function `foo`"),
            ("{{index .Names 7}}", "out of range"),
            ("{{$nope}}", "`$nope`"),
            ("{{.ID | }}", "after `|`"),
            ("{{range .Size}}x{{end}}", "range over"),
            ("{{json}}", "json"),
        ] {
            let e = apply(template).expect_err(template).to_string();
            assert!(e.contains(why), "{template}: {e}");
        }
    }
}
