//! `KEY=VALUE` as it stands on command lines and in files of environment variables and labels, with
//! docker's rules and words.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// `KEY=VALUE`, or `KEY` as it is in our own environment: where it is not, it goes.
pub(crate) type Variable = (String, Option<String>);

/// The variables of the files, then those of the command line.
pub(crate) fn environment(files: &[PathBuf], pairs: &[String]) -> Result<Vec<Variable>, Failure> {
    let mut all = Vec::new();
    for path in files {
        for (key, value) in read(path)? {
            // In a file, a name that nobody has set says nothing.
            if let Some(value) = value.or_else(|| env::var(&key).ok()) {
                all.push((key, Some(value)));
            }
        }
    }
    for pair in pairs {
        let variable = match pair.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (pair.clone(), env::var(pair).ok()),
        };
        if variable.0.is_empty() {
            let what = format!("invalid environment variable: {pair}");
            return Err(Failure::new(what));
        }
        all.push(variable);
    }
    Ok(all)
}

/// The labels of the files, then those of the command line. One without a value is empty.
pub(crate) fn labels(
    files: &[PathBuf],
    pairs: &[String],
) -> Result<Vec<(String, String)>, Failure> {
    let mut all = Vec::new();
    for path in files {
        let lines = read(path)?;
        all.extend(lines.into_iter().map(|(k, v)| (k, v.unwrap_or_default())));
    }
    for pair in pairs {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key.is_empty() {
            return Err(Failure::new(format!("invalid label '{pair}': empty name")));
        }
        all.push((key.to_owned(), value.to_owned()));
    }
    Ok(all)
}

fn read(path: &Path) -> Result<Vec<Variable>, Failure> {
    let shown = path.display();
    let bytes = fs::read(path).map_err(|e| Failure::new(format!("open `{shown}`")).because(&e))?;
    parse(&bytes).map_err(|why| {
        Failure::new(format!("invalid env file ({shown}): {why}"))
            .hint("each line is KEY=VALUE, KEY, or a comment that begins with #")
    })
}

/// One a line; empty lines and lines that begin with `#` say nothing. Values are taken as they are,
/// quotes and blanks included.
fn parse(bytes: &[u8]) -> Result<Vec<Variable>, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut all = Vec::new();
    for (number, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Ok(line) = str::from_utf8(line) else {
            return Err(format!("invalid utf8 bytes at line {}", number + 1));
        };
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = match line.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (line, None),
        };
        if key.is_empty() {
            return Err(format!("no variable name on line '{line}'"));
        }
        if key.contains(char::is_whitespace) {
            return Err(format!("variable '{key}' contains whitespaces"));
        }
        all.push((key.to_owned(), value));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_file() {
        let text = b"\xef\xbb\xbfA=1\n# B=2\n\n  C= x y \nD=\"q\" # no comment\r\nE=a=b\nF\nG=\n";
        let shown: Vec<String> = parse(text)
            .unwrap()
            .into_iter()
            .map(|(k, v)| v.map_or(k.clone(), |v| format!("{k}={v}")))
            .collect();
        let want = ["A=1", "C= x y ", "D=\"q\" # no comment", "E=a=b", "F", "G="];
        assert_eq!(shown, want);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            (&b"A B=1"[..], "variable 'A B' contains whitespaces"),
            (b"A =1", "variable 'A ' contains whitespaces"),
            (b"=1", "no variable name on line '=1'"),
            (b"A=1\nB=\xff", "invalid utf8 bytes at line 2"),
        ] {
            assert_eq!(parse(text).unwrap_err(), why);
        }
    }

    #[test]
    fn the_command_line() {
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let pairs = words(&["A=1=2", "B=", "NOBODY_HAS_SET_THIS"]);
        let env = environment(&[], &pairs).unwrap();
        let want = [
            ("A", Some("1=2")),
            ("B", Some("")),
            ("NOBODY_HAS_SET_THIS", None),
        ];
        let want: Vec<Variable> = want
            .map(|(k, v)| (k.to_owned(), v.map(str::to_owned)))
            .to_vec();
        assert_eq!(env, want);
        assert!(environment(&[], &words(&["=1"])).is_err());
        let two = labels(&[], &words(&["a=b=c", "d"])).unwrap();
        assert_eq!(two[0], ("a".to_owned(), "b=c".to_owned()));
        assert_eq!(two[1], ("d".to_owned(), String::new()));
        assert!(labels(&[], &words(&["=1"])).is_err());
    }
}
