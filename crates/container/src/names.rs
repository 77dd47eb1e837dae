//! Names and ids: `adjective_surname` where the user gives none, 64 hexadecimal digits always.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use crate::{Error, ErrorKind};

/// A name as it is kept: `inspect` shows it with a slash in front, as docker's does, and what is
/// shown can be given.
pub(crate) fn bare(name: &str) -> &str {
    name.strip_prefix('/').unwrap_or(name)
}

/// How a container may be called (docker's rule).
pub(crate) fn check(name: &str) -> Result<(), Error> {
    let mut letters = name.bytes();
    let first = letters.next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    if first && name.len() >= 2 && letters.all(rest) {
        return Ok(());
    }
    let what =
        format!("invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
    Err(Error::new(ErrorKind::Invalid, what))
}

/// Seeded by the system; not secret, only unlikely to be drawn twice.
fn draw() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A new id: 64 hexadecimal digits. The first twelve are never all decimal, because those become
/// the host name, and some programs read a host name of digits as an address.
pub(crate) fn id() -> String {
    loop {
        let id: String = (0..4).map(|_| format!("{:016x}", draw())).collect();
        if id[..12].bytes().any(|b| b.is_ascii_alphabetic()) {
            return id;
        }
    }
}

/// A name; a later `attempt` gets a number at its end.
pub(crate) fn random(attempt: u32) -> String {
    let pick = |from: &[&'static str]| from[(draw() % from.len() as u64) as usize];
    let mut name = format!("{}_{}", pick(ADJECTIVES), pick(SURNAMES));
    if attempt > 2 {
        name.push_str(&(draw() % 1000).to_string());
    }
    name
}

const ADJECTIVES: &[&str] = &[
    "amber", "ardent", "blithe", "bold", "brave", "bright", "calm", "candid", "careful", "clear",
    "clever", "crisp", "daring", "deft", "eager", "earnest", "fair", "famed", "fluent", "fond",
    "frank", "gentle", "glad", "glowing", "golden", "grand", "happy", "hardy", "honest", "jolly",
    "keen", "kind", "lively", "lucid", "mellow", "merry", "mild", "modest", "neat", "nimble",
    "noble", "patient", "placid", "plucky", "polite", "prompt", "proud", "quiet", "rapid", "ready",
    "rosy", "serene", "sharp", "shining", "sincere", "smooth", "snug", "sober", "steady", "stoic",
    "sturdy", "sunny", "swift", "tidy", "upbeat", "vivid", "warm", "wise", "witty", "zesty",
];

const SURNAMES: &[&str] = &[
    "abel",
    "archimedes",
    "babbage",
    "bernoulli",
    "bohr",
    "boole",
    "bose",
    "brahe",
    "cantor",
    "cauchy",
    "cavendish",
    "chandrasekhar",
    "church",
    "copernicus",
    "curie",
    "darwin",
    "descartes",
    "dijkstra",
    "dirac",
    "einstein",
    "euclid",
    "euler",
    "faraday",
    "fermat",
    "fermi",
    "feynman",
    "fibonacci",
    "fourier",
    "franklin",
    "galileo",
    "galois",
    "gauss",
    "germain",
    "goedel",
    "hamilton",
    "heisenberg",
    "herschel",
    "hilbert",
    "hopper",
    "hubble",
    "huygens",
    "hypatia",
    "joule",
    "kepler",
    "knuth",
    "kovalevskaya",
    "lagrange",
    "laplace",
    "leibniz",
    "lovelace",
    "maxwell",
    "meitner",
    "mendel",
    "mercator",
    "newton",
    "nightingale",
    "noether",
    "ohm",
    "pascal",
    "pasteur",
    "pauli",
    "planck",
    "poincare",
    "ptolemy",
    "raman",
    "ramanujan",
    "riemann",
    "ritchie",
    "shannon",
    "somerville",
    "tesla",
    "thales",
    "torricelli",
    "turing",
    "volta",
    "watt",
    "wegener",
    "zuse",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_names_and_ids_are_good_ones() {
        for attempt in 0..20 {
            check(&random(attempt)).unwrap();
            let id = id();
            assert_eq!(id.len(), 64);
            assert!(id.bytes().all(|b| b.is_ascii_hexdigit()));
        }
        assert_ne!(id(), id());
    }

    #[test]
    fn names_that_are_none() {
        for bad in ["", "a", "_a", "a b", "a/b", "..", "ä1"] {
            assert!(check(bad).is_err(), "{bad}");
        }
        check("web-1.x_y").unwrap();
    }
}
