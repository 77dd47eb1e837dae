//! `.gitmodules`: which submodule is from where. Refuses one that is a link, or enormous.

use std::{collections::HashMap, io::Read};

use super::program::{Failed, Git};
use crate::{Error, ErrorKind};

const MOST: u64 = 1 << 20;

/// By the paths of submodules, the addresses that the blob has for them.
pub(super) fn addresses(git: &Git<'_>, blob: &str) -> Result<HashMap<Vec<u8>, String>, Error> {
    let source = format!("--blob={blob}");
    let args = [
        "config",
        "--no-includes",
        source.as_str(),
        "--null",
        "--list",
    ];
    let found = git.read(&args, &[], |out| {
        let mut all = Vec::new();
        out.take(MOST + 1)
            .read_to_end(&mut all)
            .map_err(|e| Error::io("read what git writes", e))?;
        Ok(all)
    })?;
    let wrong = |why: String| {
        let what = "`.gitmodules` of the repository cannot be read";
        Error::new(ErrorKind::Refused, what).because(why)
    };
    let all = found.map_err(|Failed(said)| wrong(said))?;
    if all.len() as u64 > MOST {
        return Err(wrong("it is too long".to_owned()));
    }
    Ok(parse(&all))
}

/// `submodule.NAME.path<newline>value<NUL>`; of one that is said twice the last counts.
fn parse(all: &[u8]) -> HashMap<Vec<u8>, String> {
    let (mut paths, mut urls) = (Vec::new(), HashMap::new());
    for pair in all.split(|b| *b == 0) {
        let Some(end) = pair.iter().position(|b| *b == b'\n') else {
            continue;
        };
        let (key, value) = (&pair[..end], &pair[end + 1..]);
        let Some(key) = key.strip_prefix(b"submodule.") else {
            continue;
        };
        if let Some(name) = key.strip_suffix(b".path") {
            paths.push((name, value));
        } else if let Some(name) = key.strip_suffix(b".url") {
            urls.insert(name, value);
        }
    }
    let both = paths.into_iter().filter_map(|(name, path)| {
        let url = String::from_utf8(urls.get(name)?.to_vec()).ok()?;
        let end = path.iter().rposition(|b| *b != b'/')?;
        Some((path[..=end].to_vec(), url))
    });
    both.collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_by_path() {
        let found = super::parse(
            b"submodule.a b.path\nlib/x/\0submodule.a b.url\n../x\0submodule.c.path\ny\0core.z\n1\0",
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[&b"lib/x"[..]], "../x");
    }
}
