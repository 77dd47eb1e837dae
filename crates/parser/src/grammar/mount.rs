//! `RUN --mount=key=value,…`: comma-separated options, checked as far as they do not depend on
//! variables, and as a whole once those have values.

mod value;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::char;
use nom::combinator::recognize;
use nom::multi::{many0, separated_list0};
use nom::sequence::delimited;
use nom::{IResult, Parser};

use super::{Cx, copy};
use crate::ast::{Flag, Mount, MountKind, MountOption, MountSpec};
use crate::diagnostic::Diagnostic;
use crate::expand::Lookup;
use crate::span::{Span, Spanned};
use crate::suggest::nearest;
use crate::text::range_in;
use crate::word::Word;
use value::{boolean, bytes, invalid, kind, name, sharing};

const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "id",
    "sharing",
    "required",
    "mode",
    "uid",
    "gid",
    "size",
    "env",
];

/// Fields between commas; a field in double quotes may hold commas.
fn fields(input: &str) -> IResult<&str, Vec<&str>> {
    let inner = recognize(many0(alt((take_while1(|c| c != '"'), tag("\"\"")))));
    let quoted = delimited(char('"'), inner, char('"'));
    separated_list0(char(','), alt((quoted, take_while(|c| c != ',')))).parse(input)
}

/// Reads the flag. `None` after an error that leaves nothing to work with.
pub(super) fn read<'a>(cx: &mut Cx<'a>, flag: &Flag<'a>) -> Option<Mount<'a>> {
    let raw = flag.value.raw();
    let Ok(("", parts)) = fields(raw) else {
        cx.error(
            "bad-mount",
            flag.value.span(),
            "a quote in `--mount` is not closed",
            "options are `key=value`, with commas between them",
        );
        return None;
    };
    let mut options = Vec::new();
    for part in parts {
        let range = range_in(raw, part);
        let equals = part.find('=');
        let key_end = range.start + equals.unwrap_or(part.len());
        let key = Spanned::new(
            part[..key_end - range.start].to_ascii_lowercase(),
            flag.value.span_of(range.start..key_end),
        );
        let value = equals.map(|_| flag.value.part(key_end + 1..range.end));
        if let Some(value) = &value {
            if key.node == "from" && value.has_variables() {
                copy::no_variables(cx, "from", value);
                return None;
            }
            if let Some(error) = value.error() {
                cx.diagnostics.push(Diagnostic::error(
                    "bad-substitution",
                    error.span,
                    error.to_string(),
                ));
                return None;
            }
        }
        options.push(MountOption { key, value });
    }
    let mount = Mount {
        span: flag.span,
        options,
    };
    let read = Reading {
        lookup: None,
        unknown_kind: false,
    };
    match read.read(&mount) {
        Ok(spec) => cx.diagnostics.extend(without_effect(&spec, &mount)),
        Err(problem) => cx.diagnostics.push(problem),
    }
    Some(mount)
}

/// `env` on what is no secret: builders take it, and do nothing.
fn without_effect(spec: &MountSpec, mount: &Mount<'_>) -> Option<Diagnostic> {
    spec.env.as_ref()?;
    let said = |key: &str| mount.options.iter().find(|o| o.key.node == key);
    // Where the type is a variable nobody knows yet.
    let known = said("type").is_none_or(|o| o.value.as_ref().is_some_and(|v| !v.has_variables()));
    let env = said("env").filter(|_| known && spec.kind != MountKind::Secret)?;
    let message = format!(
        "mount option `env` does nothing for `type={}`",
        name(spec.kind)
    );
    Some(
        Diagnostic::warning("mount-env", env.key.span, message)
            .with_help("it is for `type=secret`"),
    )
}

impl Mount<'_> {
    /// Replaces the variables of the options and reads their values.
    ///
    /// # Errors
    ///
    /// The first option that cannot be used, as a diagnostic at its place.
    pub fn resolve(&self, lookup: &Lookup<'_>) -> Result<MountSpec, Diagnostic> {
        Reading {
            lookup: Some(lookup),
            unknown_kind: false,
        }
        .read(self)
    }
}

fn bad(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error("bad-mount", span, message)
}

/// Without a lookup, values that depend on variables are passed over.
struct Reading<'x, 'l> {
    lookup: Option<&'x Lookup<'l>>,
    unknown_kind: bool,
}

impl Reading<'_, '_> {
    fn read(mut self, mount: &Mount<'_>) -> Result<MountSpec, Diagnostic> {
        let mut spec = MountSpec::default();
        // The kind first: what other options may say depends on it.
        for option in mount.options.iter().filter(|o| o.key.node == "type") {
            match self.value(option)? {
                Some(value) => spec.kind = kind(&value, option)?,
                None => self.unknown_kind = true,
            }
        }
        let mut access = None;
        for option in &mount.options {
            access = self.option(&mut spec, option)?.or(access);
        }
        spec.read_only =
            access.unwrap_or(!matches!(spec.kind, MountKind::Cache | MountKind::Tmpfs));
        if !self.unknown_kind {
            self.whole(&spec, mount)?;
        }
        Ok(spec)
    }

    /// The value of an option; `None` when it is not known yet.
    fn value(&self, option: &MountOption<'_>) -> Result<Option<String>, Diagnostic> {
        let key = &option.key.node;
        let Some(word) = &option.value else {
            let problem = bad(
                option.key.span,
                format!("mount option `{key}` needs a value"),
            );
            return Err(match KEYS.contains(&key.as_str()) {
                true => problem.with_help(format!("write `{key}=value`")),
                false => unknown_key(option),
            });
        };
        match self.lookup {
            Some(_) if key == "from" => Ok(Some(word.raw().to_owned())),
            Some(lookup) => word
                .expand(lookup)
                .map(Some)
                .map_err(|e| bad(e.span, e.to_string())),
            None => Ok(word.constant()),
        }
    }

    /// Reads one option; a result says whether the mount is read-only.
    fn option(
        &self,
        spec: &mut MountSpec,
        option: &MountOption<'_>,
    ) -> Result<Option<bool>, Diagnostic> {
        let key = option.key.node.as_str();
        let is_switch = matches!(key, "readonly" | "ro" | "readwrite" | "rw" | "required");
        let value = if is_switch && option.value.is_none() {
            Some("true".to_owned())
        } else {
            self.value(option)?
        };
        let Some(value) = value else { return Ok(None) };
        let text = || Some(value.clone()).filter(|v| !v.is_empty());
        match key {
            "type" => {}
            "from" => spec.from = text(),
            "source" | "src" => spec.source = text(),
            "target" | "dst" | "destination" => spec.target = text(),
            "id" => spec.id = text(),
            "readonly" | "ro" => return boolean(&value, option).map(Some),
            "readwrite" | "rw" => return boolean(&value, option).map(|rw| Some(!rw)),
            "required" => {
                self.only_for(spec, option, &[MountKind::Secret, MountKind::Ssh])?;
                spec.required = boolean(&value, option)?;
            }
            "env" => spec.env = text(),
            "size" => {
                self.only_for(spec, option, &[MountKind::Tmpfs])?;
                let size =
                    bytes(&value).ok_or_else(|| invalid(&value, option, "a size such as `64m`"))?;
                spec.size = Some(size);
            }
            "sharing" => {
                self.only_for(spec, option, &[MountKind::Cache])?;
                spec.sharing = Some(sharing(&value, option)?);
            }
            "mode" | "uid" | "gid" => {
                self.only_for(
                    spec,
                    option,
                    &[MountKind::Secret, MountKind::Ssh, MountKind::Cache],
                )?;
                self.access(spec, &value, option)?;
            }
            _ => return Err(unknown_key(option)),
        }
        Ok(None)
    }

    fn access(
        &self,
        spec: &mut MountSpec,
        value: &str,
        option: &MountOption<'_>,
    ) -> Result<(), Diagnostic> {
        let digits = value.bytes().all(|b| b.is_ascii_digit());
        let number = |radix, wanted| match u32::from_str_radix(value, radix) {
            Ok(number) if digits => Ok(Some(number)),
            _ => Err(invalid(value, option, wanted)),
        };
        match option.key.node.as_str() {
            "mode" => spec.access.mode = number(8, "an octal mode such as `0755`")?,
            "uid" => spec.access.uid = number(10, "a number")?,
            _ => spec.access.gid = number(10, "a number")?,
        }
        Ok(())
    }

    fn only_for(
        &self,
        spec: &MountSpec,
        option: &MountOption<'_>,
        kinds: &[MountKind],
    ) -> Result<(), Diagnostic> {
        if self.unknown_kind || kinds.contains(&spec.kind) {
            return Ok(());
        }
        let names: Vec<_> = kinds
            .iter()
            .map(|kind| format!("`type={}`", name(*kind)))
            .collect();
        let key = &option.key.node;
        Err(bad(
            option.key.span,
            format!("mount option `{key}` is not for `type={}`", name(spec.kind)),
        )
        .with_help(format!("it is for {}", names.join(", "))))
    }

    fn whole(&self, spec: &MountSpec, mount: &Mount<'_>) -> Result<(), Diagnostic> {
        // Given, and not known to be empty.
        let given = |keys: &[&str]| {
            mount.options.iter().find(|o| {
                let empty = match self.lookup {
                    _ if o.key.node == "from" => {
                        o.value.as_ref().is_some_and(|v| v.raw().is_empty())
                    }
                    Some(_) => false, // the fields of `spec` say it
                    None => o
                        .value
                        .as_ref()
                        .and_then(Word::constant)
                        .is_some_and(|v| v.is_empty()),
                };
                keys.contains(&o.key.node.as_str()) && !empty
            })
        };
        let (source, id) = (given(&["source", "src"]), given(&["id"]));
        match spec.kind {
            MountKind::Ssh => match source {
                Some(source) => Err(bad(source.key.span, "an ssh mount has no `source`")
                    .with_help("`id` names the agent")),
                None => Ok(()),
            },
            MountKind::Secret => {
                if let Some(from) = given(&["from"]) {
                    return Err(bad(from.key.span, "a secret mount has no `from`"));
                }
                if let (Some(source), Some(_)) = (source, id) {
                    let message = "`source` and `id` of a secret mean the same: give one";
                    return Err(bad(source.key.span, message));
                }
                let named = match self.lookup {
                    Some(_) => spec.id.is_some() || spec.source.is_some() || spec.target.is_some(),
                    None => {
                        given(&["source", "src", "id", "target", "dst", "destination"]).is_some()
                    }
                };
                if named {
                    return Ok(());
                }
                Err(
                    bad(mount.span, "a secret mount needs an `id` or a `target`")
                        .with_help("for example `--mount=type=secret,id=token`"),
                )
            }
            MountKind::Bind | MountKind::Cache | MountKind::Tmpfs => Ok(()),
        }
    }
}

fn unknown_key(option: &MountOption<'_>) -> Diagnostic {
    let key = &option.key.node;
    if key.is_empty() {
        return bad(option.key.span, "empty mount option")
            .with_help("options are `key=value`, with commas between them");
    }
    let help = nearest(key, KEYS).map(|near| format!("did you mean `{near}`?"));
    bad(option.key.span, format!("unknown mount option `{key}`")).with_help_if(help)
}
