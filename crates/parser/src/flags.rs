//! Flags of instructions: `--name`, `--name=value`, right behind the keyword.
//!
//! What each flag means is the grammar's business; here they are read, and those that an
//! instruction does not have are refused.

use crate::ast::Flag;
use crate::diagnostic::Diagnostic;
use crate::span::{Span, Spanned};
use crate::split;
use crate::suggest::nearest;
use crate::text::{Text, offset_in, range_in};
use crate::word::Word;

/// What follows the name of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `--x`, `--x=true`, `--x=false`
    Bool,
    /// `--x=text`, once.
    Text,
    /// `--x=text`, any number.
    List,
}

pub(crate) type Known = &'static [(&'static str, Kind)];

pub(crate) const FROM: Known = &[("platform", Kind::Text)];
pub(crate) const RUN: Known = &[
    ("mount", Kind::List),
    ("network", Kind::Text),
    ("security", Kind::Text),
    ("device", Kind::List),
];
pub(crate) const COPY: Known = &[
    ("from", Kind::Text),
    ("chown", Kind::Text),
    ("chmod", Kind::Text),
    ("link", Kind::Bool),
    ("parents", Kind::Bool),
    ("exclude", Kind::List),
];
pub(crate) const ADD: Known = &[
    ("chown", Kind::Text),
    ("chmod", Kind::Text),
    ("link", Kind::Bool),
    ("keep-git-dir", Kind::Bool),
    ("checksum", Kind::Text),
    ("unpack", Kind::Bool),
    ("exclude", Kind::List),
];
pub(crate) const HEALTHCHECK: Known = &[
    ("interval", Kind::Text),
    ("timeout", Kind::Text),
    ("start-period", Kind::Text),
    ("start-interval", Kind::Text),
    ("retries", Kind::Text),
];

/// Which flags an instruction has, by its keyword.
pub(crate) fn known(keyword: &str) -> Known {
    match keyword {
        "FROM" => FROM,
        "RUN" => RUN,
        "COPY" => COPY,
        "ADD" => ADD,
        "HEALTHCHECK" => HEALTHCHECK,
        _ => &[],
    }
}

struct Raw<'a> {
    span: Span,
    name: String,
    value: Option<Text<'a>>,
}

/// The flags of one instruction, checked against those it has.
#[derive(Default)]
pub(crate) struct Flags<'a> {
    list: Vec<Raw<'a>>,
    escape: char,
    /// Whether some were refused.
    pub(crate) refused: bool,
}

impl<'a> Flags<'a> {
    /// Reads the flags at the start of `args`; the second part is where the rest begins.
    pub(crate) fn read(args: &Text<'a>, escape: char) -> (Self, usize) {
        let whole = args.as_str();
        let mut list = Vec::new();
        let mut at = 0;
        while let Some((word, parts)) = split::flag_word(&whole[at..], escape) {
            let range = range_in(whole, word);
            at = range.end;
            if word == "--" {
                break;
            }
            let span = args.span_of(range);
            let parts: Vec<_> = parts
                .into_iter()
                .map(|p| args.slice(range_in(whole, p)))
                .collect();
            let text = Text::concat(parts, span.end);
            let raw = text.as_str();
            let name_end = raw.find('=').unwrap_or(raw.len());
            let name = raw.get(2..name_end).unwrap_or_default().to_owned();
            let value = (name_end < raw.len()).then(|| text.slice(name_end + 1..raw.len()));
            list.push(Raw { span, name, value });
        }
        let rest = whole[at..].trim_start();
        (
            Self {
                list,
                escape,
                refused: false,
            },
            if rest.is_empty() {
                whole.len()
            } else {
                offset_in(whole, rest)
            },
        )
    }

    /// Refuses what the instruction does not have, and values that are not as they must be.
    /// What is refused is taken out.
    pub(crate) fn check(&mut self, keyword: &str, diagnostics: &mut Vec<Diagnostic>) {
        let known = known(keyword);
        let mut seen = vec![false; known.len()];
        self.list.retain(|flag| {
            let problem = match known.iter().position(|(name, _)| *name == flag.name) {
                None => Some(unknown(keyword, flag, known)),
                Some(i) => problem(
                    known[i].0,
                    known[i].1,
                    flag,
                    std::mem::replace(&mut seen[i], true),
                ),
            };
            let keep = problem.is_none();
            self.refused |= !keep;
            diagnostics.extend(problem);
            keep
        });
    }

    pub(crate) fn text(&self, name: &str) -> Option<Flag<'a>> {
        self.texts(name).next()
    }

    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = Flag<'a>> {
        self.list
            .iter()
            .filter(move |flag| flag.name == name)
            .filter_map(|flag| {
                let value = Word::new(flag.value.clone()?, self.escape);
                Some(Flag {
                    span: flag.span,
                    value,
                })
            })
    }

    pub(crate) fn boolean(&self, name: &str) -> Option<Spanned<bool>> {
        let flag = self.list.iter().find(|flag| flag.name == name)?;
        let on = flag
            .value
            .as_ref()
            .is_none_or(|value| value.as_str().eq_ignore_ascii_case("true"));
        Some(Spanned::new(on, flag.span))
    }
}

fn problem(name: &str, kind: Kind, flag: &Raw<'_>, duplicate: bool) -> Option<Diagnostic> {
    if duplicate && kind != Kind::List {
        let message = format!("duplicate flag `--{name}`");
        return Some(
            Diagnostic::error("duplicate-flag", flag.span, message)
                .with_help("remove one of the two"),
        );
    }
    let value = flag.value.as_ref().map(Text::as_str);
    match (kind, value) {
        (Kind::Bool, Some(v))
            if !v.eq_ignore_ascii_case("true") && !v.eq_ignore_ascii_case("false") =>
        {
            let message = format!("flag `--{name}` is true or false, not `{v}`");
            Some(
                Diagnostic::error("bad-flag-value", flag.span, message)
                    .with_help(format!("write `--{name}` or `--{name}=false`")),
            )
        }
        (Kind::Text | Kind::List, None) => {
            let message = format!("missing value of flag `--{name}`");
            Some(
                Diagnostic::error("missing-flag-value", flag.span, message)
                    .with_help(format!("write `--{name}=value`, without blanks around `=`")),
            )
        }
        _ => None,
    }
}

fn unknown(keyword: &str, flag: &Raw<'_>, known: Known) -> Diagnostic {
    let name = &flag.name;
    let elsewhere = ["FROM", "RUN", "COPY", "ADD", "HEALTHCHECK"]
        .into_iter()
        .find(|other| self::known(other).iter().any(|(known, _)| known == name));
    let help = if let Some(near) = nearest(name, known.iter().map(|(name, _)| *name)) {
        format!("did you mean `--{near}`?")
    } else if let Some(other) = elsewhere {
        format!("`--{name}` is a flag of {other}")
    } else if known.is_empty() {
        let to_program = matches!(keyword, "CMD" | "ENTRYPOINT");
        let json = if to_program {
            "; arguments that begin with `--` need a program before them, or the JSON form"
        } else {
            ""
        };
        format!("{keyword} has no flags{json}")
    } else {
        let names: Vec<String> = known
            .iter()
            .map(|(name, _)| format!("`--{name}`"))
            .collect();
        format!("{keyword} has {}", names.join(", "))
    };
    Diagnostic::error(
        "unknown-flag",
        flag.span,
        format!("unknown flag `--{name}` of {keyword}"),
    )
    .with_help(help)
}
