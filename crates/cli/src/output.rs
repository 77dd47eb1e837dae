//! Where an archive goes: to a file that is there whole or not at all, or to standard output, but
//! never to somebody's terminal.

use std::{
    fs,
    io::{self, IsTerminal as _, Write},
    path::Path,
};

use crate::failure::Failure;

/// How much is written at once.
const BUFFER: usize = 1 << 20;

/// Has `write` write an archive to `path`, or to standard output where there is none.
pub(crate) fn archive(
    path: Option<&Path>,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let Some(path) = path else {
        if io::stdout().is_terminal() {
            return Err(Failure::new("cowardly refusing to save to a terminal")
                .hint("use -o FILE, or redirect standard output"));
        }
        let mut out = io::BufWriter::with_capacity(BUFFER, io::stdout());
        write(&mut out)?;
        return out
            .flush()
            .map_err(|e| Failure::new("write to standard output").because(&e));
    };
    // Beside its place first: an archive is there whole, or not at all.
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = path.with_file_name(name);
    let written = to_file(&beside, path, write)
        .and_then(|()| fs::rename(&beside, path).map_err(|e| failed(path, &e)));
    if written.is_err() {
        // What went wrong is told; that the rest of it stays is not worse.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// The file is `beside` as long as it is not whole; messages name `path`, which people know.
fn to_file(
    beside: &Path,
    path: &Path,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let file = fs::File::create(beside).map_err(|e| failed(path, &e))?;
    let mut out = io::BufWriter::with_capacity(BUFFER, file);
    write(&mut out)?;
    out.flush().map_err(|e| failed(path, &e))
}

fn failed(path: &Path, e: &io::Error) -> Failure {
    Failure::new(format!("write `{}`", path.display())).because(e)
}
