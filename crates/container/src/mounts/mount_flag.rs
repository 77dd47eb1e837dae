//! docker's `--mount`: fields of a line of comma-separated values, each a key and a value.

use std::collections::BTreeMap;

use super::Wish;
use super::parse::{
    TMPFS_MODE, bytes, check_name, clean, config, from_here, invalid, not_absolute, octal,
    propagation, target_of,
};
use crate::{Error, ErrorKind};

/// What the fields say, before it is known whether they go together.
#[derive(Default)]
struct Fields {
    kind: Option<String>,
    source: String,
    target: String,
    read_only: bool,
    create_source: bool,
    no_copy: bool,
    labels: BTreeMap<String, String>,
    size: Option<u64>,
    mode: Option<u32>,
    /// The first fields that are for one kind of mount alone: `bind`, `volume`, `tmpfs`.
    special: [bool; 3],
}

const KINDS: [&str; 3] = ["bind", "volume", "tmpfs"];

impl Wish {
    /// Reads `text` as docker's `--mount` does: `type=bind|volume|tmpfs`, `source|src`,
    /// `target|dst|destination`, `readonly|ro`, `bind-propagation`, `bind-create-src`,
    /// `volume-nocopy`, `volume-label`, `volume-driver`, `tmpfs-size`, `tmpfs-mode`; a field with a
    /// comma in it stands in quotes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] with docker's words, [`ErrorKind::Unsupported`] for what is not
    /// carried out.
    pub fn parse_mount(text: &str) -> Result<Self, Error> {
        let mut fields = Fields::default();
        for field in split(text)? {
            fields.set(&field)?;
        }
        fields.wish()
    }
}

impl Fields {
    fn set(&mut self, field: &str) -> Result<(), Error> {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field, None),
        };
        let key = key.to_ascii_lowercase();
        for (special, kind) in self.special.iter_mut().zip(KINDS) {
            *special |= key
                .strip_prefix(kind)
                .is_some_and(|rest| rest.starts_with('-'));
        }
        let switch = matches!(
            key.as_str(),
            "readonly" | "ro" | "volume-nocopy" | "bind-create-src" | "bind-nonrecursive"
        );
        let value = match value {
            Some(value) => value,
            None if switch => "true",
            None => {
                return Err(invalid(format!(
                    "invalid field '{field}' must be a key=value pair"
                )));
            }
        };
        let wrong = || invalid(format!("invalid value for {key}: {value}"));
        match key.as_str() {
            "type" => self.kind = Some(value.to_ascii_lowercase()),
            "source" | "src" => value.clone_into(&mut self.source),
            "target" | "dst" | "destination" => value.clone_into(&mut self.target),
            "readonly" | "ro" => self.read_only = boolean(value).ok_or_else(wrong)?,
            // How a machine far away may delay what it shows: here nothing is.
            "consistency" => {}
            "bind-create-src" => self.create_source = boolean(value).ok_or_else(wrong)?,
            "bind-propagation" if value == "rprivate" => {}
            "bind-propagation" => return Err(propagation(value)),
            "volume-nocopy" => self.no_copy = boolean(value).ok_or_else(wrong)?,
            "volume-label" => {
                let (name, value) = value.split_once('=').unwrap_or((value, ""));
                self.labels.insert(name.to_owned(), value.to_owned());
            }
            "volume-driver" if matches!(value, "" | "local") => {}
            "volume-driver" => {
                let what = format!("volume driver `{value}` is not there");
                return Err(Error::new(ErrorKind::Unsupported, what).hint("only `local` is"));
            }
            "tmpfs-size" => self.size = Some(bytes(value).ok_or_else(wrong)?),
            "tmpfs-mode" => self.mode = Some(octal(value).ok_or_else(wrong)?),
            "volume-opt" | "volume-subpath" | "bind-nonrecursive" | "bind-recursive" => {
                let what = format!("mount option `{key}` is not carried out");
                return Err(Error::new(ErrorKind::Unsupported, what));
            }
            _ => return Err(invalid(format!("unexpected key '{key}' in '{field}'"))),
        }
        Ok(())
    }

    fn wish(self) -> Result<Wish, Error> {
        let kind = self.kind.as_deref().unwrap_or("volume");
        if kind.is_empty() {
            return Err(invalid("type is required"));
        }
        if self.target.is_empty() {
            return Err(invalid("target is required"));
        }
        // docker's order.
        for at in [1, 0, 2] {
            if self.special[at] && KINDS[at] != kind {
                let what = format!(
                    "cannot mix '{}-*' options with mount type '{kind}'",
                    KINDS[at]
                );
                return Err(invalid(what));
            }
        }
        let target = target_of(&self.target).map_err(|e| config(kind, e))?;
        match kind {
            "bind" => Ok(Wish::Bind {
                source: bind_source(&self.source)?.into(),
                target,
                read_only: self.read_only,
                create_source: self.create_source,
            }),
            "volume" => {
                let name = (!self.source.is_empty()).then_some(self.source);
                match &name {
                    Some(name) => check_name(name)?,
                    None if self.read_only => {
                        let why = "must not set ReadOnly mode when using anonymous volumes";
                        return Err(config(kind, why));
                    }
                    None => {}
                }
                Ok(Wish::Volume {
                    name,
                    target,
                    read_only: self.read_only,
                    no_copy: self.no_copy,
                    labels: self.labels,
                })
            }
            "tmpfs" if !self.source.is_empty() => {
                Err(config(kind, "field Source must not be specified"))
            }
            "tmpfs" if self.read_only => {
                let what = "a file system in memory that is read-only is not carried out";
                Err(Error::new(ErrorKind::Unsupported, what))
            }
            "tmpfs" => Ok(Wish::Tmpfs {
                target,
                size: self.size,
                mode: self.mode.unwrap_or(TMPFS_MODE),
                exec: false,
            }),
            _ => Err(config(kind, "mount type unknown")),
        }
    }
}

fn bind_source(source: &str) -> Result<String, Error> {
    match source {
        "" => Err(config("bind", "field Source must not be empty")),
        path if path.starts_with('/') => Ok(clean(path)),
        path if path == "." || path.starts_with("./") => from_here(path),
        path => Err(config("bind", not_absolute(path))),
    }
}

/// The words that docker takes for yes and no.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// The fields of a line (RFC 4180): one in quotes may hold commas, and quotes that are doubled.
fn split(text: &str) -> Result<Vec<String>, Error> {
    let bad = |column: usize, why: &str| {
        invalid(format!("parse error on line 1, column {column}: {why}"))
    };
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let mut field = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut left = quoted;
            loop {
                let Some(end) = left.find('"') else {
                    return Err(bad(
                        text.len() + 1,
                        "extraneous or missing \" in quoted field",
                    ));
                };
                field.push_str(&left[..end]);
                left = &left[end + 1..];
                match left.strip_prefix('"') {
                    Some(after) => {
                        field.push('"');
                        left = after;
                    }
                    None => break,
                }
            }
            if !left.is_empty() && !left.starts_with(',') {
                let column = text.len() - left.len();
                return Err(bad(column, "extraneous or missing \" in quoted field"));
            }
            rest = left;
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            field.push_str(&rest[..end]);
            if let Some(at) = field.find('"') {
                let column = text.len() - rest.len() + at + 1;
                return Err(bad(column, "bare \" in non-quoted field"));
            }
            rest = &rest[end..];
        }
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}
