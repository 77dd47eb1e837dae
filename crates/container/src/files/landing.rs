//! Where a copied thing lands and how it is called there: docker's table for `cp`. Pure, and the
//! same in both directions.

use crate::{Error, ErrorKind};

/// Where a copy goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landing {
    /// The folder that it is put into; it must exist.
    pub folder: String,
    /// What it is called there; as before where `None`. What a source that ends with `/.` has in it
    /// goes into the folder itself, or into a new one of this name.
    pub name: Option<String>,
}

/// Where `source` lands when it is copied to `destination`. Both as the user writes them; `there`
/// says whether something is at the destination (links followed), and whether that is a folder.
///
/// | source | nothing there | a file there | a folder there |
/// |---|---|---|---|
/// | a file | becomes it; an error with a slash at the end | takes its place | goes into it |
/// | a folder | becomes it | an error | goes into it |
/// | a folder, `/.` | becomes it | an error | what is in it goes into it |
///
/// ```
/// use kiln_container::landing;
/// let landing = landing("/etc/hosts", false, "hosts.txt", None)?;
/// assert_eq!((landing.folder.as_str(), landing.name.as_deref()), (".", Some("hosts.txt")));
/// # Ok::<(), kiln_container::Error>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::Invalid`] with docker's words.
pub fn landing(
    source: &str,
    source_is_dir: bool,
    destination: &str,
    there: Option<bool>,
) -> Result<Landing, Error> {
    let bad = |what: &str| Err(Error::new(ErrorKind::Invalid, what));
    if !source_is_dir && asserts_folder(source) {
        return bad("not a directory");
    }
    match there {
        Some(true) => {
            return Ok(Landing {
                folder: destination.to_owned(),
                name: None,
            });
        }
        Some(false) if source_is_dir => return bad("cannot copy directory"),
        Some(false) if asserts_folder(destination) => return bad("not a directory"),
        None if !source_is_dir && asserts_folder(destination) => return bad("no such directory"),
        _ => {}
    }
    let (folder, name) = split(destination);
    if name.is_empty() || matches!(name, "." | "..") {
        return bad("no such directory");
    }
    Ok(Landing {
        folder: folder.to_owned(),
        name: Some(name.to_owned()),
    })
}

/// Whether a path can only be meant as a folder.
pub(crate) fn asserts_folder(path: &str) -> bool {
    path.ends_with('/') || last(path) == "."
}

/// Whether a path means what is in a folder rather than the folder.
#[cfg(target_os = "linux")]
pub(crate) fn means_content(path: &str) -> bool {
    last(path) == "." || path.chars().all(|c| c == '/')
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// The folder that a path is in, and its name there; slashes and `/.` at its end do not count.
pub(crate) fn split(path: &str) -> (&str, &str) {
    let mut path = path;
    loop {
        let shorter = path.trim_end_matches('/');
        let shorter = match shorter.strip_suffix("/.") {
            Some(rest) => rest,
            None => shorter,
        };
        if shorter.len() == path.len() {
            break;
        }
        path = shorter;
    }
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((folder, name)) => (folder, name),
        None => (".", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_docker_has_it() {
        for (source, is_dir, destination, there, expected) in [
            // A file.
            ("/a/f", false, "/b/g", None, "/b g"),
            ("/a/f", false, "g", None, ". g"),
            ("/a/f", false, "/g", None, "/ g"),
            ("/a/f", false, "/b/g", Some(false), "/b g"),
            ("/a/f", false, "/b", Some(true), "/b -"),
            ("/a/f", false, "/b/", Some(true), "/b/ -"),
            ("/a/f", false, ".", Some(true), ". -"),
            ("/a/f", false, "/b/g/", None, "no such directory"),
            ("/a/f", false, "/b/g/.", None, "no such directory"),
            ("/a/f", false, "/b/g/", Some(false), "not a directory"),
            ("/a/f/", false, "/b", Some(true), "not a directory"),
            ("/a/f/.", false, "/b", Some(true), "not a directory"),
            // A folder.
            ("/a/d", true, "/b/e", None, "/b e"),
            ("/a/d", true, "/b/e/", None, "/b e"),
            ("/a/d", true, "/b/e/.", None, "/b e"),
            ("/a/d", true, "/b", Some(true), "/b -"),
            ("/a/d", true, "/b/g", Some(false), "cannot copy directory"),
            // What is in a folder.
            ("/a/d/.", true, "/b/e", None, "/b e"),
            ("/a/d/.", true, "/b", Some(true), "/b -"),
            ("/a/d/.", true, "/b/g", Some(false), "cannot copy directory"),
            ("/", true, "e", None, ". e"),
            ("a", false, "", None, "no such directory"),
            ("a", false, "x/..", None, "no such directory"),
        ] {
            let landed = match landing(source, is_dir, destination, there) {
                Ok(Landing { folder, name }) => {
                    format!("{folder} {}", name.as_deref().unwrap_or("-"))
                }
                Err(e) => e.to_string(),
            };
            assert_eq!(landed, expected, "{source} to {destination}, {there:?}");
        }
    }

    #[test]
    fn folder_and_name() {
        for (path, expected) in [
            ("/a/b", ("/a", "b")),
            ("/a/b/", ("/a", "b")),
            ("/a/b/./", ("/a", "b")),
            ("/a", ("/", "a")),
            ("a", (".", "a")),
            ("/", (".", "")),
            (".", (".", ".")),
        ] {
            assert_eq!(split(path), expected, "{path}");
        }
    }
}
