//! Why a path is not in a context, from looking at the folder: left out, written in other case, outside.
//! Refuses to guess: what is not known to be missing is not told.

use std::{fs, path::Path};

use kiln_frontend::nearest;
use kiln_parser::ignore::Ignore;

use crate::Absent;

/// How many names of a folder are listed.
const LISTED: usize = 6;

/// How many links a path may lead through.
const LINKS: usize = 40;

/// Looks for `path` in the folder `root` of which `ignore`, read from the file of that name, leaves
/// things out. `None` when it is there.
pub(super) fn find(root: &Path, ignore: &Ignore, file: &str, path: &str) -> Option<Absent> {
    let clean: Vec<&str> = path
        .split('/')
        .filter(|p| !matches!(*p, "" | "."))
        .collect();
    let inside: Vec<&str> = clean.iter().copied().filter(|p| *p != "..").collect();
    let text = inside.join("/");
    if text.is_empty() {
        return None;
    }
    if let Ok(meta) = fs::symlink_metadata(root.join(&text)) {
        if let Some(rule) = left_out(ignore, &text, &meta) {
            let why = format!("it is there, but {rule} of `{file}` leaves it out");
            return some("copy-source-ignored", Some(why));
        }
        return at_its_end(root, ignore, file, &inside);
    }
    if let Some(why) = in_other_case(root, &inside) {
        return some("copy-source-case", Some(why));
    }
    if let Some(why) = outside(root, path, &clean) {
        return some("copy-source-outside", Some(why));
    }
    some("copy-source-missing", beside(root, &inside))
}

/// The rule that leaves out what is at a path.
fn left_out(ignore: &Ignore, path: &str, meta: &fs::Metadata) -> Option<String> {
    let rule = ignore.decide(path, meta.is_dir());
    let rule = rule.filter(|rule| !rule.negated)?;
    // Something in it may be taken back.
    if meta.is_dir() && ignore.has_negation() {
        return None;
    }
    Some(format!("`{}` in line {}", rule.pattern, rule.line))
}

/// What is wrong with what a path leads to, itself where it is no link.
fn at_its_end(root: &Path, ignore: &Ignore, file: &str, parts: &[&str]) -> Option<Absent> {
    let missing = |why| some("copy-source-missing", Some(why));
    let Some(end) = followed(root, parts) else {
        return missing("it leads through links in a circle".to_owned());
    };
    let Ok(meta) = fs::symlink_metadata(root.join(&end)) else {
        return missing(format!("it is a link to `{end}`, which is not there"));
    };
    if is_socket(&meta) {
        return missing("it is a socket, which an image cannot hold".to_owned());
    }
    let rule = left_out(ignore, &end, &meta)?;
    let why = format!("it is a link to `{end}`, which {rule} of `{file}` leaves out");
    some("copy-source-ignored", Some(why))
}

/// Where a path leads through links, with the folder as the root of them all; `None` for ever.
fn followed(root: &Path, parts: &[&str]) -> Option<String> {
    let mut todo: Vec<String> = parts.iter().rev().map(|part| (*part).to_owned()).collect();
    let mut at: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(name) = todo.pop() {
        match &*name {
            "" | "." => continue,
            ".." => drop(at.pop()),
            _ => at.push(name),
        }
        let Ok(target) = fs::read_link(root.join(at.join("/"))) else {
            continue;
        };
        links += 1;
        if links > LINKS {
            return None;
        }
        let target = target.to_string_lossy().into_owned();
        match target.starts_with('/') {
            true => at.clear(),
            false => drop(at.pop()),
        }
        todo.extend(target.split('/').rev().map(str::to_owned));
    }
    Some(at.join("/"))
}

#[cfg(unix)]
fn is_socket(meta: &fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_socket(&meta.file_type())
}

#[cfg(not(unix))]
fn is_socket(_: &fs::Metadata) -> bool {
    false
}

fn some(code: &'static str, why: Option<String>) -> Option<Absent> {
    Some(Absent { code, why })
}

/// The same path where every name may be written in other case.
fn in_other_case(root: &Path, parts: &[&str]) -> Option<String> {
    let mut found: Vec<String> = Vec::new();
    for part in parts {
        let folder = root.join(found.join("/"));
        let exact = folder.join(part);
        if fs::symlink_metadata(&exact).is_ok() {
            found.push((*part).to_owned());
            continue;
        }
        let wanted = part.to_lowercase();
        let mut same: Vec<String> = names(&folder)?
            .into_iter()
            .filter(|name| name.to_lowercase() == wanted)
            .collect();
        same.sort();
        found.push(same.into_iter().next()?);
    }
    let found = found.join("/");
    Some(format!("there is `{found}`: letters have a case here"))
}

/// A path that leads somewhere from the folder, or on this machine, and not in the context.
fn outside(root: &Path, path: &str, parts: &[&str]) -> Option<String> {
    let advice =
        "a build sees only its context: name a folder further up as the context, or copy it in";
    if parts.contains(&"..") && root.join(path.trim_start_matches('/')).exists() {
        return Some(format!(
            "`{path}` is there, outside of the context; {advice}"
        ));
    }
    // `..` is gone from the sources of a COPY: it stays at the context's root.
    let above = format!("../{}", parts.join("/"));
    if !parts.contains(&"..") && fs::symlink_metadata(root.join(&above)).is_ok() {
        return Some(format!(
            "`{above}` is there, outside of the context; {advice}"
        ));
    }
    let absolute = format!("/{}", parts.join("/"));
    let is_there = !parts.contains(&"..") && Path::new(&absolute).exists();
    is_there.then(|| format!("`{absolute}` is on this machine, outside of the context; {advice}"))
}

/// What there is instead, in the folder that is there.
fn beside(root: &Path, parts: &[&str]) -> Option<String> {
    let (last, folders) = parts.split_last()?;
    let folder = folders.join("/");
    let mut found = names(&root.join(&folder))?;
    found.sort();
    let stem = |name: &str| name.split('.').next().unwrap_or_default().to_lowercase();
    let mut alike: Vec<&str> = found
        .iter()
        .filter(|name| !stem(name).is_empty() && stem(name) == stem(last))
        .map(String::as_str)
        .take(LISTED)
        .collect();
    if alike.is_empty() {
        alike.extend(nearest(last, found.iter().map(String::as_str)));
    }
    let alike: Vec<String> = alike
        .into_iter()
        .map(|name| match folder.is_empty() {
            true => format!("`{name}`"),
            false => format!("`{folder}/{name}`"),
        })
        .collect();
    (!alike.is_empty()).then(|| format!("there is {}", alike.join(", ")))
}

fn names(folder: &Path) -> Option<Vec<String>> {
    let names = fs::read_dir(folder).ok()?;
    let text = |entry: std::io::Result<fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    Some(names.filter_map(text).collect())
}
