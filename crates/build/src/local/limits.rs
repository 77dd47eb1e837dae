//! What a RUN cannot do without root, told from what its process said of it. Guesses from words, so
//! it only ever adds a hint to an error that is there anyway.

use kiln_sandbox::IdMap;

/// How much of the end of its output is looked at, in bytes.
const LOOKED_AT: usize = 16 << 10;

/// One thing that cannot be done.
struct Limit {
    /// Words for it, in small letters.
    asked: &'static [&'static str],
    /// What the system answers, in words.
    answered: &'static [&'static str],
    /// Whether it can be done with subordinate ids.
    ids_help: bool,
    hint: &'static str,
}

const LIMITS: &[Limit] = &[
    Limit {
        asked: &["mknod"],
        answered: &["operation not permitted"],
        ids_help: false,
        hint: "a device node can only be made by root: build as root, or leave the device to the \
               runtime, which has the usual ones in `/dev`",
    },
    Limit {
        asked: &[
            "chown",
            "chgrp",
            "ownership",
            "setgroups",
            "initgroups",
            "seteuid",
            "setegid",
            "setuid",
            "setgid",
            "setreuid",
            "setregid",
            "setresuid",
            "setresgid",
        ],
        answered: &["invalid argument", "operation not permitted"],
        ids_help: true,
        hint: "this user has no subordinate ids; see `kiln doctor`",
    },
];

/// What to do about a process that failed in a namespace with these ids and ended with this output.
pub(crate) fn hint(output: &[u8], ids: &IdMap) -> Option<&'static str> {
    let text = String::from_utf8_lossy(output).to_lowercase();
    let limit = LIMITS.iter().find(|limit| {
        let has = |line: &str, words: &[&str]| words.iter().any(|word| line.contains(word));
        let met = |line: &str| has(line, limit.asked) && has(line, limit.answered);
        (ids.is_single() || !limit.ids_help) && text.lines().any(met)
    })?;
    Some(limit.hint)
}

/// The end of what a process says.
#[derive(Debug, Default)]
pub(crate) struct End(Vec<u8>);

impl End {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        if self.0.len() > 2 * LOOKED_AT {
            self.0.drain(..self.0.len() - LOOKED_AT);
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use kiln_sandbox::IdRange;

    use super::*;

    fn ids(count: u32) -> IdMap {
        let range = IdRange {
            inside: 0,
            outside: 1000,
            count,
        };
        IdMap {
            uids: vec![range],
            gids: vec![range],
        }
    }

    #[test]
    fn limits_are_known_by_what_tools_say() {
        let (no_ids, device) = (Some(LIMITS[1].hint), Some(LIMITS[0].hint));
        #[rustfmt::skip]
        let rows = [
            ("chown: changing ownership of '/x': Invalid argument", no_ids, None),
            ("chown: /x: Invalid argument", no_ids, None),
            ("tar: x: Cannot change ownership to uid 33, gid 33: Invalid argument\ntar: Exiting", no_ids, None),
            ("E: setgroups 65534 failed - setgroups (1: Operation not permitted)", no_ids, None),
            ("E: seteuid 42 failed - seteuid (22: Invalid argument)", no_ids, None),
            ("cpio: chown failed - Invalid argument", no_ids, None),
            ("mknod: /dev/x: Operation not permitted", device, device),
            ("mount: /x: Operation not permitted", None, None),
            ("chown is here\nmount: Operation not permitted", None, None),
            ("chown: unknown user x", None, None),
            ("", None, None),
        ];
        for (said, single, many) in rows {
            assert_eq!(hint(said.as_bytes(), &ids(1)), single, "{said}");
            assert_eq!(hint(said.as_bytes(), &ids(65_537)), many, "{said}");
        }
    }

    #[test]
    fn only_the_end_is_kept() {
        let mut end = End::default();
        for _ in 0..100 {
            end.push(&[b'x'; 1000]);
        }
        end.push(b"chown: /x: Invalid argument\n");
        assert!(end.bytes().len() <= 2 * LOOKED_AT);
        assert_eq!(hint(end.bytes(), &ids(1)), Some(LIMITS[1].hint));
    }
}
