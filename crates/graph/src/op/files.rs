//! COPY, ADD and WORKDIR, as data.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Select;

/// COPY, and ADD.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// What to take, in this order; what comes later wins.
    pub sources: Vec<Taken>,
    /// Where to: absolute; a trailing slash is kept and means a folder.
    pub destination: String,
    /// `user[:group]` as written, variables expanded; names are looked up in the root beneath.
    pub owner: Option<String>,
    /// The input in which the names of `owner` are looked up, where that is not the root beneath.
    #[serde(default)]
    pub names: Option<usize>,
    /// Octal or symbolic, as written, variables expanded.
    pub mode: Option<String>,
    /// The folders that lead to a source are made at the destination too, from [`Taken::base`] on;
    /// in patterns `**` stands for any number of folders.
    pub parents: bool,
    /// What is left out: patterns as in an ignore file, relative to each source's root.
    pub exclude: Vec<String>,
}

/// A source of a [`Copy`](struct@Copy).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// From which of the node's inputs; the first source is number 1.
    pub input: usize,
    /// A folder of the input from which `path` starts, and whose own name is not kept with
    /// [`Copy::parents`]: cleaned, without slashes at its ends. Empty: the input's root.
    pub base: String,
    /// A path or pattern: cleaned, without slashes at its ends; the root itself is `.`.
    pub path: String,
    /// If it is an archive, what is in it is taken instead.
    pub unpack: bool,
}

impl Taken {
    /// From the first source, as it is.
    pub fn first(path: impl Into<String>) -> Self {
        Self {
            input: 1,
            path: path.into(),
            ..Self::default()
        }
    }

    /// The whole path or pattern within the input: the base, if any, and the path.
    pub fn whole(&self) -> String {
        match (self.base.is_empty(), self.path.as_str()) {
            (true, path) => path.to_owned(),
            (false, ".") => self.base.clone(),
            (false, path) => format!("{}/{path}", self.base),
        }
    }
}

impl fmt::Display for Taken {
    /// As COPY has it: `a/./b` where the name of `a` is not kept.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.base.is_empty() {
            write!(f, "{}/./", self.base)?;
        }
        f.write_str(&self.path)
    }
}

impl Copy {
    /// Whether an archive among the sources would be unpacked.
    pub fn unpacks(&self) -> bool {
        self.sources.iter().any(|taken| taken.unpack)
    }

    /// The paths and patterns that are taken from the input number `input`, in order.
    pub fn taken_from(&self, input: usize) -> impl Iterator<Item = String> {
        let of = self.sources.iter().filter(move |t| t.input == input);
        of.map(Taken::whole)
    }

    /// What is taken from the input number `input`.
    pub fn select(&self, input: usize) -> Select {
        let of = self.sources.iter().filter(|t| t.input == input);
        Select {
            patterns: of.map(ToString::to_string).collect(),
            exclude: self.exclude.clone(),
            deep: self.parents,
        }
    }
}

/// WORKDIR: a folder that is there afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// Absolute, normalised.
    pub path: String,
    /// Who owns what is made: `user[:group]`; empty for root.
    pub user: String,
}
