//! The contents of a commit's files, one after the other into one file that has no name. Refuses more
//! than the limit.

use std::{
    collections::HashMap,
    fs,
    io::{self, BufRead, BufWriter, Read, Write},
    path::Path,
    sync::Arc,
};

use kiln_image::{Algorithm, Digest};
use kiln_layer::File;

use super::program::{Failed, Git};
use crate::{Error, ErrorKind, Progress, Watch, slot};

/// Contents on disk.
pub(super) struct Contents<'a> {
    file: BufWriter<fs::File>,
    len: u64,
    limit: u64,
    watch: &'a Watch<'a>,
}

/// The targets of links are short.
const SHORT: u64 = 4095;

impl<'a> Contents<'a> {
    /// In a file of `folder` that goes when nobody has it open.
    pub(super) fn new(folder: &Path, limit: u64, watch: &'a Watch<'a>) -> Result<Self, Error> {
        let file = tempfile::tempfile_in(folder);
        let file = file.map_err(|e| Error::io(slot::shown("write in", folder), e))?;
        Ok(Self {
            file: BufWriter::with_capacity(256 << 10, file),
            len: 0,
            limit,
            watch,
        })
    }

    /// Adds what `from` gives, which has `size` bytes.
    pub(super) fn add(&mut self, from: &mut dyn Read, size: u64) -> Result<File, Error> {
        self.watch.check()?;
        if size > self.limit.saturating_sub(self.len) {
            let what = format!("the files together have more than {} bytes", self.limit);
            return Err(Error::new(ErrorKind::Refused, what));
        }
        let mut hash = blake3::Hasher::new();
        let mut from = from.take(size);
        let mut buffer = [0; 64 << 10];
        let mut left = size;
        while left > 0 {
            let n = match from.read(&mut buffer) {
                Ok(0) => {
                    let e = io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Err(Error::io("read what git writes", e));
                }
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Error::io("read what git writes", e)),
            };
            hash.update(&buffer[..n]);
            let written = self.file.write_all(&buffer[..n]);
            written.map_err(|e| Error::io("write the files of a repository", e))?;
            left -= n as u64;
        }
        let file = File {
            size,
            digest: Digest::new(Algorithm::Blake3, *hash.finalize().as_bytes()),
            offset: self.len,
            inline: None,
        };
        self.len += size;
        (self.watch.progress)(Progress {
            done: self.len,
            total: None,
        });
        Ok(file)
    }

    /// Adds these objects, each once: by their numbers, where they are.
    pub(super) fn objects(
        &mut self,
        git: &Git<'_>,
        objects: &[&str],
    ) -> Result<HashMap<String, File>, Error> {
        let mut found = HashMap::new();
        batch(git, objects, &mut |object, size, content| {
            found.insert(object.to_owned(), self.add(content, size)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// The file.
    pub(super) fn finish(self) -> Result<Arc<fs::File>, Error> {
        let file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error);
        Ok(Arc::new(file.map_err(|e| {
            Error::io("write the files of a repository", e)
        })?))
    }
}

/// What links lead to, by their objects' numbers.
pub(super) fn targets(git: &Git<'_>, objects: &[&str]) -> Result<HashMap<String, Vec<u8>>, Error> {
    let mut found = HashMap::new();
    batch(git, objects, &mut |object, size, content| {
        let mut target = Vec::new();
        content
            .read_to_end(&mut target)
            .map_err(|e| Error::io("read what git writes", e))?;
        if size > SHORT || target.contains(&0) || target.is_empty() {
            let what = "the commit is not taken: a link in it leads to what is no path";
            return Err(Error::new(ErrorKind::Refused, what));
        }
        found.insert(object.to_owned(), target);
        Ok(())
    })?;
    Ok(found)
}

type Each<'a> = dyn FnMut(&str, u64, &mut dyn Read) -> Result<(), Error> + 'a;

/// Reads objects, each once, in the order given.
fn batch(git: &Git<'_>, objects: &[&str], each: &mut Each<'_>) -> Result<(), Error> {
    let mut seen = std::collections::HashSet::new();
    let objects: Vec<&str> = objects
        .iter()
        .copied()
        .filter(|o| seen.insert(*o))
        .collect();
    if objects.is_empty() {
        return Ok(());
    }
    let input: String = objects.iter().map(|object| format!("{object}\n")).collect();
    let args = ["cat-file", "--batch", "--buffer"];
    let read = git.read(&args, input.as_bytes(), |out| {
        for object in &objects {
            let mut head = String::new();
            let read = out.by_ref().take(256).read_line(&mut head);
            read.map_err(|e| Error::io("read what git writes", e))?;
            let mut words = head.trim_end().split(' ');
            let (id, kind, size) = (words.next(), words.next(), words.next());
            let size: Option<u64> = size.and_then(|size| size.parse().ok());
            let (Some(size), true) = (size, id == Some(*object) && kind == Some("blob")) else {
                let what = format!("object {object} of the repository is missing or broken");
                return Err(Error::new(ErrorKind::Io, what));
            };
            let mut content = out.by_ref().take(size);
            each(object, size, &mut content)?;
            let rest = io::copy(&mut content, &mut io::sink());
            rest.map_err(|e| Error::io("read what git writes", e))?;
            let mut end = [0];
            let read = out.read_exact(&mut end);
            read.map_err(|e| Error::io("read what git writes", e))?;
        }
        Ok(())
    })?;
    read.map_err(|Failed(said)| {
        Error::new(ErrorKind::Io, "the files of the repository cannot be read").because(said)
    })
}
