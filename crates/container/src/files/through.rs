//! A tar from who makes it to who takes it, through a pipe, both at work at once.

use std::io::{PipeReader, PipeWriter, Write as _};

use crate::{Error, ErrorKind};

/// Calls `make` on a thread and `take` here. Of two errors the one that came first: when the taker
/// has ended, the maker only says that nobody reads.
pub(crate) fn through<T>(
    make: impl FnOnce(&mut (dyn std::io::Write + Send)) -> Result<u64, Error> + Send,
    take: impl FnOnce(PipeReader) -> Result<T, Error>,
) -> Result<T, Error> {
    let (reader, writer) =
        std::io::pipe().map_err(|e| Error::new(ErrorKind::Io, "make a pipe").because(e))?;
    let (made, taken) = std::thread::scope(|scope| {
        let making = scope.spawn(move || made(make, writer));
        let taken = take(reader);
        (making.join(), taken)
    });
    let made = made.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    match (made, taken) {
        (Err(e), _) if !is_broken_pipe(&e) => Err(e),
        (_, taken) => taken,
    }
}

/// The writer is closed when it is done, whatever came of it.
fn made(
    make: impl FnOnce(&mut (dyn std::io::Write + Send)) -> Result<u64, Error>,
    mut writer: PipeWriter,
) -> Result<u64, Error> {
    let made = make(&mut writer)?;
    writer
        .flush()
        .map_err(|e| Error::new(ErrorKind::Io, "write the tar").because(e))?;
    Ok(made)
}

fn is_broken_pipe(e: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(e);
    while let Some(e) = next {
        if let Some(io) = e.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::BrokenPipe;
        }
        next = e.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn error(what: &str) -> Error {
        Error::new(ErrorKind::Invalid, what)
    }

    #[test]
    fn the_first_error_is_told() {
        let much = vec![0; 1 << 20];
        let write = |out: &mut (dyn std::io::Write + Send)| {
            let written = out.write_all(&much);
            written.map_err(|e| Error::new(ErrorKind::Io, "write").because(e))?;
            Ok(much.len() as u64)
        };
        let read = |mut tar: PipeReader| {
            let mut all = Vec::new();
            tar.read_to_end(&mut all).unwrap();
            Ok(all.len())
        };
        assert_eq!(through(write, read).unwrap(), much.len());
        let refuse = |_: PipeReader| Err::<usize, _>(error("taker"));
        assert_eq!(through(write, refuse).unwrap_err().to_string(), "taker");
        let fail = |_: &mut (dyn std::io::Write + Send)| Err(error("maker"));
        assert_eq!(through(fail, read).unwrap_err().to_string(), "maker");
        assert_eq!(through(fail, refuse).unwrap_err().to_string(), "maker");
    }
}
