//! An archive that somebody else made, as files: a tar, plain or compressed. It is read once, into a
//! file that the caller gives, so that memory holds its tree only.
//!
//! Refuses what a layer refuses, and names that begin with `.wh.`: in an image they would take files
//! away instead of being some.

use std::{
    fs,
    io::{self, BufWriter, Cursor, Read},
    sync::Arc,
};

use super::{decoded::decoded, field};
use crate::{
    Content, Error, Files, LayerPath, Limits, Nothing, Opening, PlainTar, Tree,
    apply::{Named, apply_named},
    path::escaped,
};

/// The files of a tar, plain or compressed with gzip, bzip2, xz or zstd. Owners, modes, times and
/// attributes are what the archive says; folders that it only implies have no entry.
#[derive(Clone, Debug)]
pub struct Archive(PlainTar);

impl Archive {
    /// Whether what begins with `head` may be an archive: it is compressed, or begins with the header of
    /// a tar. 512 bytes are enough; what is compressed may turn out to be something else.
    pub fn begins(head: &[u8]) -> bool {
        const MAGICS: [&[u8]; 4] = [
            &[0x1f, 0x8b, 8],
            b"BZh",
            &[0xfd, b'7', b'z', b'X', b'Z', 0],
            &[0x28, 0xb5, 0x2f, 0xfd],
        ];
        MAGICS.iter().any(|magic| head.starts_with(magic))
            || head.first_chunk::<512>().is_some_and(is_header)
    }

    /// Reads an archive to its end; the uncompressed tar is kept in `scratch`, an empty file open for
    /// reading and writing. `None` when it is none: what `from` gives, decompressed where it is
    /// compressed, does not begin with the header of a tar.
    ///
    /// # Errors
    ///
    /// As [`apply`](crate::apply), and what writing gives.
    pub fn read(
        from: impl Read + Send,
        scratch: fs::File,
        limits: &Limits,
    ) -> Result<Option<Self>, Error> {
        // A header of some compression may have nothing that it compresses behind it.
        let Ok(mut stream) = decoded(from) else {
            return Ok(None);
        };
        let mut head = [0; 512];
        match stream.read_exact(&mut head) {
            Ok(()) if is_header(&head) => {}
            Err(e) if e.kind() == io::ErrorKind::OutOfMemory => {
                let what = "takes more than 128 MiB of memory to decompress";
                return Err(Error::refused(what).because(e));
            }
            _ => return Ok(None),
        }
        let mut tee = Tee {
            from: Cursor::new(head).chain(stream),
            to: BufWriter::with_capacity(256 << 10, scratch),
        };
        let applied = apply_named(limits, &mut tee, &mut Nothing, &plain)?;
        let scratch = tee.to.into_inner().map_err(io::IntoInnerError::into_error);
        let scratch = scratch.map_err(|e| Error::io("unpack the archive", e))?;
        Ok(Some(Self(PlainTar::new(scratch, Arc::new(applied.tree)))))
    }
}

/// Whether a block is the header of a tar. One of zeros, the end of an empty one, is none.
fn is_header(block: &[u8; 512]) -> bool {
    field::check_sum(block).is_ok()
}

/// What a name means: `..` goes back by the text, but not out.
fn plain(name: &[u8]) -> Result<Named, Error> {
    let mut names: Vec<&[u8]> = Vec::new();
    for part in name.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if names.pop().is_none() => {
                let what = format!("`{}` leads out of the archive", escaped(name));
                return Err(Error::refused(what));
            }
            b".." => {}
            part if part.starts_with(b".wh.") => {
                let what = format!(
                    "`{}` begins with `.wh.`, which in an image means a removal",
                    escaped(name)
                );
                return Err(Error::refused(what).hint("leave it out of the archive"));
            }
            part => names.push(part),
        }
    }
    LayerPath::parse(names.join(&b'/')).map(Named::Plain)
}

impl Files for Archive {
    fn tree(&self) -> &Tree {
        self.0.tree()
    }

    fn open(&self, path: &LayerPath) -> io::Result<Content> {
        self.0.open(path)
    }

    fn opening(&self) -> Opening<'_> {
        self.0.opening()
    }
}

/// Passes on what it reads, and writes it down.
struct Tee<R, W> {
    from: R,
    to: W,
}

impl<R: Read, W: io::Write> Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.to.write_all(&buffer[..n])?;
        Ok(n)
    }
}
