//! What a case says of a path in one line: `file 644 0:0 = text`, `folder 755`, `link -> target`,
//! `same as /path`, `none`. `@N` is a time, `xattr:NAME=VALUE` an attribute.

use super::image::{Files, Kind, Node};

/// In what the path differs from its line; nothing where it does not.
pub(super) fn differs(line: &str, path: &str, files: &Files) -> Option<String> {
    let found = files.get(path);
    if line == "none" {
        return found.map(|node| format!("is there: {}", shown(node)));
    }
    let Some(node) = found else {
        return Some("is not there".to_owned());
    };
    if let Some(other) = line.strip_prefix("same as ") {
        let same = files.get(other).is_some_and(|other| same_file(other, node));
        return (!same).then(|| format!("is not the same file as `{other}`"));
    }
    fits(line, node).err().map(|word| {
        let word = word.escape_debug();
        format!("`{word}` does not hold: {}", shown(node))
    })
}

fn same_file(a: &Node, b: &Node) -> bool {
    match (&a.kind, &b.kind) {
        (Kind::File { number: a, .. }, Kind::File { number: b, .. }) => a == b,
        _ => false,
    }
}

/// Whether all that a line says is so; else the word that is not.
fn fits(line: &str, node: &Node) -> Result<(), String> {
    let (head, rest) = match (line.split_once(" = "), line.split_once(" -> ")) {
        (Some((head, text)), _) => (
            head,
            Some(Kind::File {
                bytes: text.into(),
                number: 0,
            }),
        ),
        (None, Some((head, target))) => (head, Some(Kind::Link(target.to_owned()))),
        (None, None) => (line, None),
    };
    for word in head.split(' ') {
        let holds = if let Some(time) = word.strip_prefix('@') {
            time.parse() == Ok(node.mtime)
        } else if let Some(pair) = word.strip_prefix("xattr:") {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            node.xattrs.get(name).is_some_and(|v| v == value)
        } else if word.contains(':') {
            word == format!("{}:{}", node.owner.0, node.owner.1)
        } else if word.starts_with(|c: char| c.is_ascii_digit()) {
            u32::from_str_radix(word, 8) == Ok(node.mode)
        } else {
            word == kind(node)
        };
        if !holds {
            return Err(word.to_owned());
        }
    }
    let holds = match (rest, &node.kind) {
        (None, _) => true,
        (Some(Kind::File { bytes, .. }), Kind::File { bytes: found, .. }) => bytes == *found,
        (Some(Kind::Link(target)), Kind::Link(found)) => target == *found,
        _ => false,
    };
    if holds {
        Ok(())
    } else {
        Err(line[head.len()..].trim_start().to_owned())
    }
}

fn kind(node: &Node) -> &'static str {
    match &node.kind {
        Kind::File { .. } => "file",
        Kind::Folder => "folder",
        Kind::Link(_) => "link",
        Kind::Other(name) => name,
    }
}

/// A line that says everything.
pub(super) fn shown(node: &Node) -> String {
    let Node {
        mode,
        owner: (user, group),
        mtime,
        ..
    } = node;
    let mut line = format!("{} {mode:o} {user}:{group} @{mtime}", kind(node));
    for (name, value) in &node.xattrs {
        line.push_str(&format!(" xattr:{name}={}", value.escape_debug()));
    }
    match &node.kind {
        Kind::Link(target) => line.push_str(&format!(" -> {target}")),
        Kind::File { bytes, .. } if bytes.len() <= 2000 => {
            let text = String::from_utf8_lossy(bytes);
            line.push_str(&format!(" = {}", text.escape_debug()));
        }
        Kind::File { bytes, .. } => line.push_str(&format!(" of {} bytes", bytes.len())),
        Kind::Folder | Kind::Other(_) => {}
    }
    line
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_line_is_compared_word_by_word() {
        let node = Node {
            kind: Kind::File {
                bytes: b"a -> b = c\n".to_vec(),
                number: 1,
            },
            mode: 0o4755,
            owner: (1000, 50),
            mtime: 7,
            xattrs: BTreeMap::from([("user.a".to_owned(), "1".to_owned())]),
        };
        let files = Files::from([("/x".to_owned(), node.clone()), ("/y".to_owned(), node)]);
        let fitting = [
            "file",
            "4755",
            "1000:50",
            "file 4755 1000:50 @7",
            "file xattr:user.a=1",
            "file = a -> b = c\n",
            "same as /y",
        ];
        for line in fitting {
            assert_eq!(differs(line, "/x", &files), None, "{line}");
        }
        let others = [
            "folder",
            "755",
            "0:50",
            "file @8",
            "file xattr:user.a=2",
            "file = a",
            "link -> b",
            "same as /z",
            "none",
            "file = a -> b = c",
        ];
        for line in others {
            assert!(differs(line, "/x", &files).is_some(), "{line}");
        }
        assert_eq!(differs("none", "/z", &files), None);
    }
}
