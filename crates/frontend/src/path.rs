//! Paths as text, cleaned without looking at any file: `.`, `..` and double slashes go, `..` stops at
//! the root.

/// `path` below `/`, cleaned, with a leading slash.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// `path` cleaned, relative if it was: what is known by a path is known by this text.
pub(crate) fn clean_as_is(path: &str) -> String {
    match path.starts_with('/') {
        true => clean(path),
        false => within(path),
    }
}

/// `path` as seen from the folder `from`; absolute and cleaned.
pub(crate) fn join(from: &str, path: &str) -> String {
    match path.starts_with('/') {
        true => clean(path),
        false => clean(&format!("{from}/{path}")),
    }
}

/// As [`join`]; what can only be a folder keeps or gets a slash at its end.
pub(crate) fn destination(from: &str, path: &str) -> String {
    let joined = join(from, path);
    let folder = matches!(path, "" | "." | "..") || path.ends_with(['/']) || path.ends_with("/.");
    match folder && joined != "/" {
        true => joined + "/",
        false => joined,
    }
}

/// A path within a source: cleaned, cannot leave it, without slashes at its ends; the source itself
/// is `.`.
pub(crate) fn within(path: &str) -> String {
    match &clean(path)[1..] {
        "" => ".".to_owned(),
        inner => inner.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (from, path, joined, dest) in [
            ("/", "a", "/a", "/a"),
            ("/w", "a/", "/w/a", "/w/a/"),
            ("/w", ".", "/w", "/w/"),
            ("/w", "", "/w", "/w/"),
            ("/w", "..", "/", "/"),
            ("/w", "../x/./y", "/x/y", "/x/y"),
            ("/w", "/a//b/.", "/a/b", "/a/b/"),
            ("/w", "../../..", "/", "/"),
        ] {
            assert_eq!(join(from, path), joined, "{from} {path}");
            assert_eq!(destination(from, path), dest, "{from} {path}");
        }
        for (path, want) in [
            (".", "."),
            ("/", "."),
            ("../a", "a"),
            ("./a/", "a"),
            ("/a/*.txt", "a/*.txt"),
        ] {
            assert_eq!(within(path), want, "{path}");
        }
    }
}
