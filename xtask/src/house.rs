//! The plan of the house as data: who may know whom, and who may open which door.
//!
//! A line here is changed in a commit of its own that says why. ARCHITECTURE.md carries the same
//! table of arrows, and `cargo xtask ci arrows` compares the two.

/// What a crate may know of its siblings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knows {
    /// These, by their names inside the house, and no others.
    Only(&'static [&'static str]),
    /// Everything that stands above it in the table.
    AllAbove,
    /// Whatever it likes: it ships nothing.
    Anything,
}

/// The crates from the bottom up. A crate knows only crates that stand above it in this list.
pub(crate) const ARROWS: &[(&str, Knows)] = &[
    ("image", Knows::Only(&[])),
    ("parser", Knows::Only(&[])),
    ("durable", Knows::Only(&[])),
    ("sandbox", Knows::Only(&[])),
    ("layer", Knows::Only(&["image"])),
    ("cache", Knows::Only(&["image", "durable"])),
    ("registry", Knows::Only(&["image"])),
    ("archive", Knows::Only(&["image"])),
    ("fetch", Knows::Only(&["image", "layer", "durable"])),
    ("store", Knows::Only(&["image", "layer", "durable"])),
    (
        "rootfs",
        Knows::Only(&["image", "layer", "store", "sandbox"]),
    ),
    ("graph", Knows::Only(&["image", "cache"])),
    ("frontend", Knows::Only(&["parser", "graph", "image"])),
    ("build", Knows::AllAbove),
    (
        "container",
        Knows::Only(&["image", "layer", "store", "rootfs", "sandbox", "durable"]),
    ),
    ("cli", Knows::Only(&["build", "container"])),
    ("xtask", Knows::Anything),
    ("tests", Knows::Anything),
];

/// The crates that `name` may depend on, or `None` where it may depend on anything.
/// A name that the table does not have may know nothing.
pub(crate) fn known_to(name: &str) -> Option<Vec<&'static str>> {
    match ARROWS.iter().position(|(n, _)| *n == name) {
        None => Some(Vec::new()),
        Some(at) => match ARROWS[at].1 {
            Knows::Only(names) => Some(names.to_vec()),
            Knows::AllAbove => Some(ARROWS[..at].iter().map(|(n, _)| *n).collect()),
            Knows::Anything => None,
        },
    }
}

/// The support of tests, on which any crate's tests may depend, and nothing but tests. That it knows
/// none of those who use it is left to the check for cycles.
pub(crate) const TEST_SUPPORT: &str = "tests";

/// A way out of the process that only some crates may use.
pub(crate) struct Door {
    pub(crate) name: &'static str,
    /// Packages that open it; a trailing `*` stands for any ending.
    pub(crate) packages: &'static [&'static str],
    /// Who may depend on them, each with the reason.
    pub(crate) may: &'static [(&'static str, &'static str)],
    /// Whether a crate that may not open it may not even get it by way of others.
    pub(crate) sealed: bool,
}

/// The doors. Crates that ship nothing (`Knows::Anything`) are not asked.
pub(crate) const DOORS: &[Door] = &[
    Door {
        name: "network and async",
        packages: &[
            "tokio",
            "tokio-*",
            "async-*",
            "smol",
            "futures",
            "futures-*",
            "reqwest",
            "hyper",
            "hyper-*",
            "h2",
            "rustls",
            "rustls-*",
            "native-tls",
            "openssl",
            "ureq",
            "curl",
            "oci-client",
            "oci-distribution",
        ],
        may: &[
            ("registry", "it speaks the distribution protocol"),
            ("fetch", "it fetches from HTTP addresses"),
            ("build", "the thin edge that calls registry and fetch"),
            ("cli", "the thin edge that calls registry"),
        ],
        sealed: true,
    },
    Door {
        name: "kernel",
        packages: &[
            "nix",
            "libc",
            "rustix",
            "linux-raw-sys",
            "seccompiler",
            "libseccomp",
            "caps",
            "netlink-*",
            "signal-hook",
            "signal-hook-*",
            "windows-sys",
        ],
        may: &[
            (
                "sandbox",
                "namespaces, mounts, ids and capabilities are its subject",
            ),
            (
                "rootfs",
                "mounts, and file work by descriptor inside a user namespace",
            ),
            ("durable", "flock, fsync and syncfs"),
            ("fetch", "a signal, to end git with all that it started"),
            (
                "container",
                "signals, terminals and sockets of a running container",
            ),
            ("store", "statfs: how full the disk is and what it can do"),
            (
                "layer",
                "scan and targets walk and write by directory handle",
            ),
            ("cli", "what kind of thing stdin and stdout are, and Ctrl-C"),
        ],
        sealed: false,
    },
];

/// Crates that clippy keeps from files, network, environment, processes and clock, each with the
/// paths (their beginnings) in which it does touch the disk nevertheless.
pub(crate) const PURE: &[(&str, &[&str])] = &[
    ("image", &[]),
    ("parser", &[]),
    ("graph", &[]),
    ("frontend", &[]),
    ("cache", &["src/directory"]),
];

/// How many packages Cargo.lock may hold, ours included. Whoever raises it says in the commit what
/// the new ones are worth.
pub(crate) const LOCK_BUDGET: usize = 280;

/// Targets that every shipped crate compiles for, beside the machine at hand.
pub(crate) const TARGETS: &[&str] = &["x86_64-pc-windows-gnu", "aarch64-apple-darwin"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_point_up_the_list_only() {
        for (at, (name, _)) in ARROWS.iter().enumerate() {
            for known in known_to(name).unwrap_or_default() {
                let above = ARROWS[..at].iter().any(|(n, _)| *n == known);
                assert!(
                    above,
                    "`{name}` knows `{known}`, which does not stand above it"
                );
            }
        }
    }

    #[test]
    fn a_crate_that_the_table_lacks_knows_nothing() {
        assert_eq!(known_to("utils"), Some(vec![]));
    }

    #[test]
    fn doors_and_purity_name_crates_of_the_table() {
        let has = |name: &str| ARROWS.iter().any(|(n, _)| *n == name);
        assert!(
            DOORS
                .iter()
                .flat_map(|d| d.may)
                .all(|(name, why)| has(name) && !why.is_empty())
        );
        assert!(PURE.iter().all(|(name, _)| has(name)));
    }
}
