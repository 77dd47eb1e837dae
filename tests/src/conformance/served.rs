//! What a case has elsewhere: files at HTTP addresses, and git repositories, served while it runs. The
//! same commits have the same numbers each time.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
};

use serde::Deserialize;

use super::{
    Case, Result,
    material::{self, Items},
};
use crate::web::Web;

/// What stands for the server's address in texts and arguments.
const ADDRESS: &str = "{web}";

/// One commit of a repository, on the branch `main`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Commit {
    /// Files that it adds or replaces.
    #[serde(default)]
    files: Items,
    /// A tag that it gets.
    tag: Option<String>,
    /// A tag with a message that it gets.
    annotated: Option<String>,
    /// A branch that begins here.
    branch: Option<String>,
}

/// By the names of repositories, their commits in order.
pub(super) type Repositories = BTreeMap<String, Vec<Commit>>;

/// Serves what the case has elsewhere, and puts the address into it.
pub(super) fn serve(case: &Case, at: &Path) -> Result<(Case, Option<Web>)> {
    if case.served.is_empty() && case.repositories.is_empty() {
        return Ok((case.clone(), None));
    }
    let folder = at.join("served");
    material::place(&case.served, &folder, None)?;
    for (name, commits) in &case.repositories {
        repository(&folder, name, commits)?;
    }
    let web = Web::folder(&folder)?;
    let mut case = case.clone();
    let address = web.address();
    let put = |text: &mut String| *text = text.replace(ADDRESS, &address);
    case.dockerfile.iter_mut().for_each(put);
    case.args.iter_mut().for_each(put);
    case.wanted.history.iter_mut().flatten().for_each(put);
    Ok((case, Some(web)))
}

fn repository(folder: &Path, name: &str, commits: &[Commit]) -> Result<()> {
    let (bare, work) = (folder.join(name), folder.join(format!("{name}-work")));
    std::fs::create_dir_all(&work)?;
    let git = |args: &[&str]| -> Result<()> {
        let out = Command::new("git")
            .args(["-c", "user.name=n", "-c", "user.email=e", "-c", "gc.auto=0"])
            .args(args)
            .current_dir(&work)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_AUTHOR_DATE", "2020-02-02T02:02:02Z")
            .env("GIT_COMMITTER_DATE", "2020-02-02T02:02:02Z")
            .stdin(Stdio::null())
            .output()?;
        match out.status.success() {
            true => Ok(()),
            false => Err(format!("git {args:?}: {}", String::from_utf8_lossy(&out.stderr)).into()),
        }
    };
    git(&["init", "-q", "-b", "main"])?;
    for commit in commits {
        material::place(&commit.files, &work, None)?;
        git(&["add", "-A"])?;
        git(&["commit", "-q", "--allow-empty", "-m", "x"])?;
        if let Some(tag) = &commit.tag {
            git(&["tag", tag])?;
        }
        if let Some(tag) = &commit.annotated {
            git(&["tag", "-m", "x", tag])?;
        }
        if let Some(branch) = &commit.branch {
            git(&["branch", branch])?;
        }
    }
    let bare = bare.to_string_lossy();
    git(&["clone", "-q", "--bare", ".", &bare])
}
