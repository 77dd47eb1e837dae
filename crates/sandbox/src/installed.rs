//! Where the programs are that the host may have installed. It executes none of them.

use std::path::{Path, PathBuf};

/// Where administrators' programs lie that a user's `PATH` may lack.
const ALWAYS: &[&str] = &["/usr/bin", "/usr/sbin", "/usr/local/bin"];

/// The file of a program: in the caller's `PATH`, else where such programs usually lie.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .chain(ALWAYS.iter().map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|file| Path::is_file(file))
}
