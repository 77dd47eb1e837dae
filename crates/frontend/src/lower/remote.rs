//! Sources of ADD that are elsewhere: which texts name a URL or a git repository, and what they ask
//! for. Refuses what could make a program that fetches them do something else.

use kiln_graph::{Git, Http, Submodules};
use percent_encoding::percent_decode_str;

use crate::without_passwords;

/// What is elsewhere: a source of ADD, a build context.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remote {
    /// A file.
    Http(Http),
    /// A repository.
    Git(Git),
}

impl Remote {
    /// What the address of a build context names; `None` for a path. `github.com/user/name` is a
    /// repository there.
    ///
    /// # Errors
    /// What is wrong with it, and what to do, where a program that fetches it could do something else.
    pub fn of_context(address: &str) -> Result<Option<Self>, (String, String)> {
        let there;
        let text = match address.starts_with("github.com/") {
            true => {
                let end = address.find(['#', '?']).unwrap_or(address.len());
                let (path, more) = address.split_at(end);
                let path = path.trim_end_matches('/').trim_end_matches(".git");
                there = format!("https://{path}.git{more}");
                &there
            }
            false => address,
        };
        // A path may have what only a source of ADD cannot.
        let remote = ["https://", "http://", "git://", "ssh://", "git@"];
        if !remote.iter().any(|prefix| text.starts_with(prefix)) {
            return Ok(None);
        }
        read(text).map_err(|Wrong(what, help)| (what, help))
    }
}

/// What is wrong with a source, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) String, pub(super) String);

fn wrong<T>(what: impl Into<String>, help: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong(without_passwords(&what.into()), help.into()))
}

/// The file's name where its URL has none.
const UNNAMED: &str = "__unnamed__";

/// What `text` names; none for a path.
pub(super) fn read(text: &str) -> Result<Option<Remote>, Wrong> {
    if let Some((user, rest)) = scp(text) {
        let (rest, fragment) = cut(rest, '#');
        let (path, query) = cut(rest, '?');
        return git(format!("{user}:{path}"), fragment, query).map(Some);
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        let transport = text.split_once("::").map(|(before, _)| before);
        return match transport.is_some_and(is_scheme) {
            true => wrong(
                format!("`{text}` asks for a git transport of its own"),
                "git repositories are fetched by `https://`, `ssh://`, `git://` or `git@host:path`",
            ),
            false => Ok(None),
        };
    };
    if !is_scheme(scheme) {
        return Ok(None);
    }
    let (rest, fragment) = cut(rest, '#');
    let (whole, query) = cut(rest, '?');
    let (authority, path) = whole.split_once('/').unwrap_or((whole, ""));
    let scheme = scheme.to_ascii_lowercase();
    let is_web = matches!(scheme.as_str(), "http" | "https");
    if !is_web && !matches!(scheme.as_str(), "git" | "ssh") {
        return wrong(
            format!("ADD does not fetch by `{scheme}://`"),
            "it takes `http://` and `https://`, and git repositories also by `ssh://` and `git://`",
        );
    }
    host(text, authority)?;
    if is_web && !path.ends_with(".git") {
        return Ok(Some(Remote::Http(Http {
            url: text.to_owned(),
            checksum: None,
            file_name: file_name(path),
        })));
    }
    git(format!("{scheme}://{whole}"), fragment, query).map(Some)
}

/// `text` up to the first `mark`, and what is behind it.
fn cut(text: &str, mark: char) -> (&str, Option<&str>) {
    match text.split_once(mark) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

fn is_scheme(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// `user@host` and the path of `user@host:path`.
fn scp(text: &str) -> Option<(&str, &str)> {
    let (before, path) = text.split_once(':')?;
    let (user, host) = before.split_once('@')?;
    let name = |text: &str, more: char| {
        let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == more;
        !text.is_empty() && !text.starts_with('-') && text.chars().all(known)
    };
    let is_url = path.starts_with("//");
    (name(user, '_') && name(host, '.') && !is_url && !path.is_empty()).then_some((before, path))
}

/// Refuses a host that a program would read as one of its options.
fn host(text: &str, authority: &str) -> Result<(), Wrong> {
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let hostile = user.starts_with('-') || host.starts_with('-');
    if host.is_empty() || hostile || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return wrong(
            format!("`{text}` names no host that can be asked"),
            "a URL is `scheme://host/path`",
        );
    }
    Ok(())
}

/// The last component of a URL's path, its escapes replaced.
fn file_name(path: &str) -> String {
    let path = percent_decode_str(path).decode_utf8_lossy();
    match crate::path::within(&path).rsplit('/').next() {
        None | Some("" | ".") => UNNAMED.to_owned(),
        Some(name) => name.to_owned(),
    }
}

fn git(remote: String, fragment: Option<&str>, query: Option<&str>) -> Result<Remote, Wrong> {
    let mut git = Git {
        remote,
        ..Git::default()
    };
    for pair in query
        .unwrap_or_default()
        .split('&')
        .filter(|p| !p.is_empty())
    {
        option(&mut git, pair)?;
    }
    if let Some(fragment) = fragment {
        let (reference, subdir) = cut(fragment, ':');
        set("ref", &mut git.reference, reference.to_owned())?;
        set(
            "subdir",
            &mut git.subdir,
            subdir.unwrap_or_default().to_owned(),
        )?;
    }
    if git.reference.starts_with('-') {
        let what = format!("`{}` is no branch, tag or commit", git.reference);
        return wrong(what, "a name does not begin with `-`");
    }
    if let Some(sum) = &git.checksum {
        commit(sum)?;
    }
    git.subdir = match crate::path::within(&git.subdir).as_str() {
        "." => String::new(),
        subdir => subdir.to_owned(),
    };
    Ok(Remote::Git(git))
}

/// The beginning of a commit's number.
pub(super) fn commit(text: &str) -> Result<(), Wrong> {
    let hexadecimal = text.bytes().all(|b| b.is_ascii_hexdigit());
    match hexadecimal && (1..=64).contains(&text.len()) {
        true => Ok(()),
        false => wrong(
            format!("`{text}` is no commit"),
            "it is a commit's number or its beginning, in hexadecimal",
        ),
    }
}

/// Sets what may be said once.
fn set(name: &str, field: &mut String, value: String) -> Result<(), Wrong> {
    if !field.is_empty() && !value.is_empty() && *field != value {
        let what = format!("the repository's `{name}` is `{field}` and `{value}`");
        return wrong(what, "give one of them");
    }
    if !value.is_empty() {
        *field = value;
    }
    Ok(())
}

/// One option of the query form: `tag=v1`.
fn option(git: &mut Git, pair: &str) -> Result<(), Wrong> {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    let on = |value: &str| match value {
        "" | "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        other => wrong(
            format!("`{key}` of a repository is `{other}`"),
            "it is `true` or `false`",
        ),
    };
    match key {
        "ref" => set("ref", &mut git.reference, value.to_owned())?,
        "tag" => set("ref", &mut git.reference, format!("refs/tags/{value}"))?,
        "branch" => set("ref", &mut git.reference, format!("refs/heads/{value}"))?,
        "subdir" => set("subdir", &mut git.subdir, value.to_owned())?,
        "checksum" | "commit" => git.checksum = Some(value.to_owned()),
        "keep-git-dir" => git.keep_git_dir = on(value)?,
        "submodules" => {
            git.submodules = match on(value)? {
                true => Submodules::All,
                false => Submodules::None,
            }
        }
        "fetch-by-commit" => git.fetch_by_commit = on(value)?,
        "mtime" => {
            git.commit_times = match value {
                "commit" => true,
                "checkout" => false,
                other => {
                    let what = format!("`mtime` of a repository is `{other}`");
                    return wrong(what, "it is `checkout` or `commit`");
                }
            }
        }
        other => {
            let known = [
                "ref",
                "tag",
                "branch",
                "subdir",
                "checksum",
                "commit",
                "keep-git-dir",
                "submodules",
                "mtime",
                "fetch-by-commit",
            ];
            let help = match crate::suggest::nearest(other, known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("there are: {}", known.join(", ")),
            };
            return wrong(format!("a repository has no option `{other}`"), help);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match read(text) {
            Ok(None) => "path".to_owned(),
            Ok(Some(Remote::Http(http))) => format!("file {}", http.file_name),
            Ok(Some(Remote::Git(git))) => {
                let checksum = git.checksum.as_deref().unwrap_or("-");
                let flags = [
                    (git.keep_git_dir, " .git"),
                    (git.submodules == Submodules::None, " alone"),
                    (git.commit_times, " times"),
                    (git.fetch_by_commit, " by commit"),
                ];
                let flags: String = flags.iter().filter(|f| f.0).map(|f| f.1).collect();
                let Git {
                    remote,
                    reference,
                    subdir,
                    ..
                } = git;
                format!("git {remote} [{reference}] [{subdir}] {checksum}{flags}")
            }
            Err(Wrong(what, _)) => format!("error: {what}"),
        }
    }

    #[test]
    fn what_is_elsewhere() {
        for (text, want) in [
            ("https://h/a/b.tar?x=1#y", "file b.tar"),
            ("http://h", "file __unnamed__"),
            ("HTTP://h/", "file __unnamed__"),
            ("http://h/a%20b", "file a b"),
            ("http://h/%2e%2e", "file __unnamed__"),
            ("http://h/x.git/y", "file y"),
            ("https://h/a.git", "git https://h/a.git [] [] -"),
            (
                "https://h/a.git#main:s/../t",
                "git https://h/a.git [main] [t] -",
            ),
            ("https://h/a.git#:../..", "git https://h/a.git [] [] -"),
            ("git@h.org:a/b.git#v1", "git git@h.org:a/b.git [v1] [] -"),
            ("git@h:a", "git git@h:a [] [] -"),
            ("ssh://u@h:22/a", "git ssh://u@h:22/a [] [] -"),
            ("git://h/a?tag=v1", "git git://h/a [refs/tags/v1] [] -"),
            (
                "https://h/a.git?branch=b&subdir=s&commit=0abc&keep-git-dir=1&submodules=false&mtime=commit&fetch-by-commit",
                "git https://h/a.git [refs/heads/b] [s] 0abc .git alone times by commit",
            ),
            ("https://h/a.git?ref=x#x", "git https://h/a.git [x] [] -"),
            ("a.git", "path"),
            ("http", "path"),
            ("github.com/a/b", "path"),
            ("a:b", "path"),
            ("git@-oProxyCommand=x:y", "path"),
            ("-a@h:b", "path"),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_refused() {
        for (text, want) in [
            ("ext::sh -c id", "asks for a git transport of its own"),
            ("file:///etc/passwd", "does not fetch by `file://`"),
            ("ftp://h/a", "does not fetch by `ftp://`"),
            ("git://-h/a", "names no host"),
            ("ssh://-oProxyCommand=id/x", "names no host"),
            ("ssh://u@-h/x", "names no host"),
            ("https:///a", "names no host"),
            ("https://u:pw@-h/a", "`https://u:xx@-h/a` names no host"),
            ("https://h/a b", "names no host"),
            (
                "https://h/a.git#--upload-pack=x",
                "is no branch, tag or commit",
            ),
            (
                "https://h/a.git?tag=a&branch=b",
                "the repository's `ref` is",
            ),
            ("https://h/a.git?ref=a#b", "the repository's `ref` is"),
            ("https://h/a.git?commit=xyz", "is no commit"),
            (
                "https://h/a.git?submodules=2",
                "`submodules` of a repository is `2`",
            ),
            (
                "https://h/a.git?mtime=now",
                "`mtime` of a repository is `now`",
            ),
            (
                "https://h/a.git?tags=1",
                "a repository has no option `tags`",
            ),
        ] {
            let found = shown(text);
            assert!(
                found.starts_with("error: ") && found.contains(want),
                "{text}: {found}"
            );
        }
    }
}
