//! Cases as they stand in the files. What a file says that nobody understands is an error.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde::Deserialize;
use serde_json::Value;

use super::{Result, folder, material::Items, served::Repositories};

/// One case: what is built, and what has to come out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// `group/name`.
    #[serde(skip)]
    pub name: String,
    /// Which rule it proves.
    #[serde(default)]
    pub about: String,
    /// The text of the Dockerfile; without one, none is in the context but what `context` has.
    pub(super) dockerfile: Option<String>,
    /// Images that are built before, each by its name from the text of a Dockerfile.
    #[serde(default)]
    pub(super) images: BTreeMap<String, String>,
    /// The files of the context.
    #[serde(default)]
    pub(super) context: Items,
    /// Files beside the context's folder, which is called `context`; commands run where they are.
    #[serde(default)]
    pub(super) beside: Items,
    /// Files at HTTP addresses: `http://{web}/path`.
    #[serde(default)]
    pub(super) served: Items,
    /// Git repositories, `http://{web}/name.git`.
    #[serde(default)]
    pub(super) repositories: Repositories,
    /// Arguments of `build`.
    #[serde(default)]
    pub(super) args: Vec<String>,
    /// What comes in at standard input.
    pub(super) stdin: Option<String>,
    /// What has to come out.
    #[serde(skip)]
    pub(super) wanted: Wanted,
}

/// What has to come out. What is not named may be as it likes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Paths in the image, each with a line of what it is.
    #[serde(default)]
    pub(super) files: BTreeMap<String, String>,
    /// All paths that are not as in the base, those that are gone with a `-` before them.
    pub(super) changes: Option<BTreeSet<String>>,
    /// Members of the image's `config`, each with its whole value; `"none"` is no value.
    #[serde(default)]
    pub(super) config: BTreeMap<String, Value>,
    /// The same of the document around it.
    #[serde(default)]
    pub(super) image: BTreeMap<String, Value>,
    /// Files that the build leaves where the command ran, each with a line of what it is; those in
    /// an archive stand behind its name and a colon. An image is asked for only where more is.
    #[serde(default)]
    pub(super) written: BTreeMap<String, String>,
    /// What the history says above the base; `layer: ` stands before what made one.
    pub(super) history: Option<Vec<String>>,
    /// A part of the error; the build has to fail.
    pub(super) error: Option<String>,
    /// The line of the Dockerfile that the error names.
    pub(super) line: Option<u32>,
    /// Parts of what a build says that succeeds, or fails.
    #[serde(default)]
    pub(super) says: Vec<String>,
}

impl Wanted {
    /// Whether something is asked of an image.
    pub(super) fn an_image(&self) -> bool {
        let none = self.files.is_empty() && self.config.is_empty() && self.image.is_empty();
        !none || self.changes.is_some() || self.history.is_some()
    }
}

/// All cases, by name.
///
/// # Errors
/// When a file cannot be read, or says something that nobody understands.
pub fn cases() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let mut images = BTreeSet::new();
    for file in fs::read_dir(folder().join("cases"))? {
        let path = file?.path();
        let text = fs::read_to_string(&path)?;
        let group = path.file_stem().unwrap_or_default().to_string_lossy();
        let found: BTreeMap<String, toml::Table> =
            toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        for (name, table) in found {
            let name = format!("{group}/{name}");
            let case = Case::read(table).map_err(|e| format!("{name}: {e}"))?;
            let case = Case { name, ..case };
            case.sound(&mut images)?;
            cases.push(case);
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

/// Cases that are known to fail, with the reason.
///
/// # Errors
/// When the file cannot be read.
pub fn gaps() -> Result<BTreeMap<String, String>> {
    let path = folder().join("known_gaps.toml");
    Ok(toml::from_str(&fs::read_to_string(path)?)?)
}

/// In what a peer differs by its nature, or kiln on purpose: names of cases, each with the reason.
/// `history` and `line` stand for that member of every case. Peers are `docker` and `buildah`.
///
/// # Errors
/// When the file cannot be read.
pub fn differences(peer: &str) -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(folder().join("differences.toml"))?;
    let mut all: BTreeMap<String, BTreeMap<String, Vec<String>>> = toml::from_str(&text)?;
    let reasons = all.remove(peer).unwrap_or_default();
    let each = |(reason, cases): (String, Vec<String>)| {
        cases.into_iter().map(move |case| (case, reason.clone()))
    };
    Ok(reasons.into_iter().flat_map(each).collect())
}

/// The members of a case that say what has to come out.
const WANTED: &[&str] = &[
    "files", "changes", "config", "image", "written", "history", "error", "line", "says",
];

impl Case {
    fn read(table: toml::Table) -> Result<Self> {
        let (wanted, given): (toml::Table, toml::Table) = table
            .into_iter()
            .partition(|(key, _)| WANTED.contains(&key.as_str()));
        Ok(Self {
            wanted: wanted.try_into()?,
            ..given.try_into()?
        })
    }

    /// Asks no more for what a peer never has: `history`, `line`.
    pub fn ask_no_more_for(&mut self, member: &str) {
        match member {
            "history" => self.wanted.history = None,
            "line" => self.wanted.line = None,
            _ => {}
        }
    }

    /// The tag that its image gets.
    pub(super) fn tag(&self) -> String {
        format!("case-{}", self.name.replace('/', "-"))
    }

    /// Refuses a case that would prove nothing, and images of two cases that share a name: cases
    /// run beside each other.
    fn sound(&self, images: &mut BTreeSet<String>) -> Result<()> {
        let w = &self.wanted;
        let asks = w.error.is_some() || !w.says.is_empty() || !w.written.is_empty();
        if !asks && !w.an_image() {
            return Err(format!("{}: asks for nothing", self.name).into());
        }
        for image in self.images.keys() {
            if !images.insert(image.clone()) {
                return Err(format!("{}: another case has an image `{image}`", self.name).into());
            }
        }
        Ok(())
    }
}
