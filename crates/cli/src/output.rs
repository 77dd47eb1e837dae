//! Where an archive goes: to a file that is there whole or not at all, or to standard output, but
//! never to somebody's terminal.

use std::{
    io::{self, IsTerminal as _, Write},
    path::Path,
};

use kiln_build::durable::NewFile;

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
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let file =
        NewFile::unseen_in(folder.unwrap_or(Path::new("."))).map_err(|e| failed(path, &e))?;
    let mut out = io::BufWriter::with_capacity(BUFFER, file);
    write(&mut out)?;
    out.flush().map_err(|e| failed(path, &e))?;
    let (file, _) = out.into_parts();
    file.keep(path).map_err(|e| failed(path, &e))?;
    Ok(())
}

fn failed(path: &Path, e: &dyn std::error::Error) -> Failure {
    Failure::new(format!("write `{}`", path.display())).because(e)
}
