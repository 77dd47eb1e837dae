//! Small files that the user or a context names: read with an end. A pipe that was named is read, as shells
//! make them of `<(…)`. Refuses what is larger than any such file is, and devices without end.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

/// More than any Dockerfile or secret is.
const LARGEST: u64 = 16 << 20;

/// A file that was named, whatever kind it is.
pub(super) fn limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LARGEST {
        false => Ok(bytes),
        true => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {} MiB", LARGEST >> 20),
        )),
    }
}

/// A file that was found: a pipe or a device is not opened.
pub(super) fn regular(path: &Path) -> io::Result<Vec<u8>> {
    let meta = fs::metadata(path)?;
    match meta.is_file() || meta.is_dir() {
        true => limited(path),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        )),
    }
}
