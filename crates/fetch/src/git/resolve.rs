//! From a reference to a commit. Refuses to guess: a branch and a tag of one name are a tag.

use super::{GitRequest, mirror::Mirror, remote::Remote};
use crate::{Error, ErrorKind, Fetcher, Watch};

/// What a reference stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub(super) id: String,
    pub(super) tag: Option<String>,
    pub(super) reference: Option<String>,
}

impl Commit {
    /// The commit's number, in hexadecimal.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The number of the annotated tag that leads there, if one does.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The whole name of the reference (`refs/heads/main`), where it was one.
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }
}

pub(super) fn remote(request: &GitRequest) -> Result<Remote, Error> {
    let mut remote = Remote::parse(&request.remote)?;
    if request.authorization.is_some() {
        remote.authorization.clone_from(&request.authorization);
    }
    Ok(remote)
}

/// What is asked for: `HEAD` is what the repository has as its default.
fn named(request: &GitRequest) -> &str {
    match request.reference.as_str() {
        "HEAD" => "",
        name => name,
    }
}

pub(super) fn commit(
    fetcher: &Fetcher,
    request: &GitRequest,
    watch: &Watch<'_>,
) -> Result<Commit, Error> {
    let remote = remote(request)?;
    let reference = named(request);
    let sum = request.checksum.as_deref().map(str::to_ascii_lowercase);
    if let Some(sum) = &sum
        && (!is_hex(sum) || sum.is_empty() || sum.len() > 64)
    {
        let what = format!("`{sum}` is no commit");
        return Err(
            Error::new(ErrorKind::Invalid, what).hint("a commit is a number in hexadecimal")
        );
    }
    check_reference(reference)?;
    let by_number = |id: &str| Commit {
        id: id.to_owned(),
        tag: None,
        reference: None,
    };
    let found = if is_id(reference) {
        by_number(&reference.to_ascii_lowercase())
    } else {
        let pinned = sum.as_deref().filter(|sum| is_id(sum));
        if let Some(sum) = pinned
            && Mirror::is_kept(fetcher, &remote, sum)
        {
            return Ok(by_number(sum));
        }
        let said = ask(fetcher, request, &remote, watch).map_err(|e| match e.kind() {
            ErrorKind::Unreachable => e.hint(
                "what was fetched before is not used unseen: a commit's number as reference or checksum would",
            ),
            _ => e,
        })?;
        match pick(&said, reference) {
            Some(found) => found,
            None if is_hex(reference) && reference.len() >= 4 => {
                let mirror = Mirror::open(fetcher, &remote, watch)?;
                by_number(&mirror.find(request, &reference.to_ascii_lowercase())?)
            }
            None => return Err(not_there(&remote, reference, &said)),
        }
    };
    match sum {
        Some(sum) if !found.id.starts_with(&sum) && found.tag.as_deref() != Some(&sum) => {
            let what = format!("`{remote}`: it is commit {}, not {sum}", found.id);
            Err(Error::new(ErrorKind::Mismatch, what)
                .hint("if the reference was meant to move, its checksum has to change too"))
        }
        _ => Ok(found),
    }
}

/// What the other side says of the reference.
fn ask(
    fetcher: &Fetcher,
    request: &GitRequest,
    remote: &Remote,
    watch: &Watch<'_>,
) -> Result<String, Error> {
    let git = super::program::Git::new(fetcher, "/nonexistent".into(), watch);
    let (address, reference) = (remote.to_string(), named(request));
    let patterns = match reference {
        "" => vec!["HEAD".to_owned()],
        whole if whole.starts_with("refs/") => vec![whole.to_owned(), format!("{whole}^{{}}")],
        name => vec![
            format!("refs/heads/{name}"),
            format!("refs/tags/{name}"),
            format!("refs/tags/{name}^{{}}"),
            format!("refs/{name}"),
        ],
    };
    let mut args = vec!["ls-remote", "--quiet", "--symref", "--", address.as_str()];
    args.extend(patterns.iter().map(String::as_str));
    let said = git.talk(remote, request.agent.as_deref(), &args)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// The one that is meant: an exact name, a tag before a branch, then any other.
fn pick(said: &str, reference: &str) -> Option<Commit> {
    let lines = || said.lines().filter_map(|line| line.split_once('\t'));
    let find = |name: &str| {
        let found = lines().find(|(id, found)| *found == name && is_id(id));
        found.map(|(id, _)| id.to_owned())
    };
    if reference.is_empty() {
        let branch = lines().find_map(|(to, from)| {
            let to = to.strip_prefix("ref: ")?;
            (from == "HEAD").then(|| to.to_owned())
        });
        return Some(Commit {
            id: find("HEAD")?,
            tag: None,
            reference: branch.filter(|name| check_reference(name).is_ok()),
        });
    }
    let names = match reference.starts_with("refs/") {
        true => vec![reference.to_owned()],
        false => ["tags/", "heads/", ""]
            .map(|kind| format!("refs/{kind}{reference}"))
            .to_vec(),
    };
    names.into_iter().find_map(|name| {
        let id = find(&name)?;
        Some(match find(&format!("{name}^{{}}")) {
            Some(commit) => Commit {
                id: commit,
                tag: Some(id),
                reference: Some(name),
            },
            None => Commit {
                id,
                tag: None,
                reference: Some(name),
            },
        })
    })
}

fn not_there(remote: &Remote, reference: &str, said: &str) -> Error {
    let what = match reference {
        "" if said.trim().is_empty() => format!("`{remote}`: there is no commit in it"),
        "" => format!("`{remote}`: it has no default branch"),
        name => format!("`{remote}`: there is no branch, tag or commit `{name}`"),
    };
    Error::new(ErrorKind::NotFound, what)
}

/// A name that git takes for nothing but a name.
fn check_reference(name: &str) -> Result<(), Error> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let fits = !name.starts_with(['-', '/']) && !name.contains("..") && !name.contains(odd);
    match fits && name.len() <= 1024 {
        true => Ok(()),
        false => {
            let what = format!("`{}` is no branch, tag or commit", name.escape_debug());
            Err(Error::new(ErrorKind::Invalid, what))
        }
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether it is the whole number of an object.
pub(super) fn is_id(text: &str) -> bool {
    is_hex(text) && matches!(text.len(), 40 | 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(digit: char) -> String {
        std::iter::repeat_n(digit, 40).collect()
    }

    #[test]
    fn a_tag_before_a_branch_and_what_a_tag_leads_to() {
        let [a, b, c, d] = ['a', 'b', 'c', 'd'].map(number);
        let said = format!(
            "ref: refs/heads/main\tHEAD\n{a}\tHEAD\n{a}\trefs/heads/main\n{b}\trefs/heads/x\n\
             {c}\trefs/tags/x\n{d}\trefs/tags/x^{{}}\n{b}\trefs/pull/1/head\nnonsense\trefs/heads/bad\n"
        );
        let of = |name: &str| pick(&said, name).map(|found| (found.id, found.tag, found.reference));
        let name = |text: &str| Some(text.to_owned());
        assert_eq!(of(""), Some((a.clone(), None, name("refs/heads/main"))));
        assert_eq!(of("main"), Some((a, None, name("refs/heads/main"))));
        assert_eq!(of("x"), Some((d, Some(c), name("refs/tags/x"))));
        assert_eq!(
            of("refs/heads/x"),
            Some((b.clone(), None, name("refs/heads/x")))
        );
        assert_eq!(of("pull/1/head"), Some((b, None, name("refs/pull/1/head"))));
        assert_eq!(of("bad"), None);
        assert_eq!(of("nope"), None);
    }

    #[test]
    fn names_are_names() {
        for name in [
            "-x",
            "--upload-pack=x",
            "a b",
            "a..b",
            "a:b",
            "a^{}",
            "a\nb",
            "+a",
            "a*",
        ] {
            let found = check_reference(name);
            assert_eq!(found.is_ok(), name == "+a", "{name}");
        }
    }
}
