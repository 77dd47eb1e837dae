//! Where files come from that are not of a stage: contexts, heredocs, URLs, git repositories.

use kiln_image::Digest;
use serde::{Deserialize, Serialize};

/// Which files of a source an instruction takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Select {
    /// Patterns as in COPY, cleaned, relative to the source's root, `/` between components.
    /// Empty: everything.
    pub patterns: Vec<String>,
    /// What is left out of that: patterns as in an ignore file, for paths beneath a folder that is
    /// selected; of a file that is selected itself, for its name; with `deep`, for what is behind the
    /// first `/./` of its pattern.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// In patterns, `**` stands for any number of folders.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deep: bool,
}

/// Files that are written out in the instruction itself: heredocs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inline {
    /// In order; a later one of the same name wins.
    pub files: Vec<InlineFile>,
}

/// A file that is written out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InlineFile {
    /// Its name, without folders.
    pub name: String,
    /// What it holds.
    pub text: String,
    /// Its permission bits.
    pub mode: u32,
}

impl Inline {
    /// The digest of names, modes and texts.
    pub fn digest(&self) -> Digest {
        let text = serde_json::to_vec(self).expect("files are plain data");
        Digest::sha256(&text)
    }
}

/// A file that is fetched over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Http {
    /// `http://` or `https://`. May hold a password: for messages it is to be masked.
    pub url: String,
    /// What its content has to be.
    pub checksum: Option<Digest>,
    /// The name that the file gets.
    pub file_name: String,
}

/// A checkout of a git repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// What `git fetch` is given: an URL, or `user@host:path`. Never begins with `-`, and its
    /// scheme is one of `http`, `https`, `ssh` and `git`.
    pub remote: String,
    /// A branch, tag or commit; empty for what the repository has as its default.
    pub reference: String,
    /// The folder of the repository that becomes the root; empty for all of it.
    pub subdir: String,
    /// The commit, or the beginning of one, that the reference has to stand for.
    pub checksum: Option<String>,
    /// Whether `.git` stays.
    pub keep_git_dir: bool,
    /// Whether submodules are checked out too.
    pub submodules: Submodules,
    /// Files get the time of the commit, not that of the checkout.
    pub commit_times: bool,
    /// The commit is asked for by its number where the reference does not lead to it.
    pub fetch_by_commit: bool,
}

/// Whether submodules are checked out too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Submodules {
    /// They are, and theirs.
    #[default]
    All,
    /// Their folders stay empty.
    None,
}
