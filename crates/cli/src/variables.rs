//! Variables as a command line gives them: `-e KEY=VALUE`, `-e KEY` for what it is here, and files
//! of such lines. The rules are docker's: a value is taken as it stands, with its quotes.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// A variable and its value; without one, it is to go.
pub(crate) type Variable = (String, Option<String>);

/// What `--env-file` and `-e` say together: the files first, in order.
pub(crate) fn variables(files: &[PathBuf], pairs: &[String]) -> Result<Vec<Variable>, Failure> {
    let mut all = Vec::new();
    for file in files {
        let lines = read(file, &|name| env::var(name).ok())?;
        all.extend(lines.into_iter().map(|(name, value)| (name, Some(value))));
    }
    for pair in pairs {
        all.push(match pair.split_once('=') {
            Some(("", _)) => {
                return Err(Failure::new(format!("invalid environment variable: {pair}")));
            }
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (pair.clone(), env::var(pair).ok()),
        });
    }
    Ok(all)
}

/// The lines `KEY=VALUE` of a file. For a line without `=`, `alone` tells the value; where it has
/// none, the line counts for nothing.
pub(crate) fn read(
    file: &Path,
    alone: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, Failure> {
    let bytes = fs::read(file)
        .map_err(|e| Failure::new(format!("open `{}`", file.display())).because(&e))?;
    parse(&bytes, alone).map_err(|why| {
        let what = format!("`{}`: poorly formatted environment: {why}", file.display());
        Failure::new(what).hint("each line is KEY=VALUE, KEY, or a comment that begins with #")
    })
}

fn parse(
    bytes: &[u8],
    alone: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut found = Vec::new();
    for (index, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = str::from_utf8(line).map_err(|_| {
            let number = index + 1;
            format!("invalid utf8 bytes at line {number}")
        })?;
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (line, None),
        };
        if name.contains([' ', '\t']) {
            return Err(format!("variable '{name}' contains whitespaces"));
        }
        if name.is_empty() {
            return Err(format!("no variable name on line '{line}'"));
        }
        let value = value.or_else(|| alone(name));
        found.extend(value.map(|value| (name.to_owned(), value)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &[u8]) -> Result<Vec<(String, String)>, String> {
        parse(text, &|name| (name == "HERE").then(|| "here".to_owned()))
    }

    #[test]
    fn lines_of_a_file() {
        let text = b"\xef\xbb\xbfA=1\r\n# no\n\n  B= two  \nC='x=y' # no comment\nHERE\nNOWHERE\nD=";
        let want = [
            ("A", "1"),
            ("B", " two  "),
            ("C", "'x=y' # no comment"),
            ("HERE", "here"),
            ("D", ""),
        ];
        let want = want.map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(parsed(text).unwrap(), want);
    }

    #[test]
    fn lines_that_are_wrong() {
        for (text, why) in [
            (&b"a b=1"[..], "variable 'a b' contains whitespaces"),
            (b"a\t", "contains whitespaces"),
            (b"=1", "no variable name on line '=1'"),
            (b"A=1\nB=\xff", "invalid utf8 bytes at line 2"),
        ] {
            let e = parsed(text).unwrap_err();
            assert!(e.contains(why), "{e}");
        }
    }

    #[test]
    fn those_of_the_command_line_come_last() {
        let pairs = ["A=1=2".to_owned(), "SURELY_NOT_SET_HERE".to_owned()];
        let want = [
            ("A".to_owned(), Some("1=2".to_owned())),
            ("SURELY_NOT_SET_HERE".to_owned(), None),
        ];
        assert_eq!(variables(&[], &pairs).unwrap(), want);
        assert!(variables(&[], &["=x".to_owned()]).is_err());
    }
}
