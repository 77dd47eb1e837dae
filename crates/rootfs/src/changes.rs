//! The layer that an upper directory would become, while something may still run on it: the directory
//! is not touched, and what changes under the reader cannot spoil the tar.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use kiln_layer::{Entry, File as Content, Kind, LayerPath, Packed, Packer, Root, Times, Tree};
use kiln_sandbox::IdMap;

use crate::Error;
use crate::commit::{as_image, is_content, unreadable};
use crate::cores::each;
use crate::folder::Folder;
use crate::plan::plan;
use crate::upper::{on_disk, scan};

/// Packs what `upper` changes in what is `below`, as [`commit`](crate::commit::commit) does.
pub(crate) fn changes(
    upper: &Path,
    below: (&Root, &Tree),
    times: Times,
    tar: &mut (dyn Write + Send),
    ids: Option<&IdMap>,
) -> Result<Packed, Error> {
    let mut found = scan(upper, true)?;
    if let Some(ids) = ids {
        as_image(&mut found, below.0, ids);
    }
    let folder = Folder::open(upper)?;
    let undecided = plan(&found, below, times);
    let untouched = each(undecided.questions(), |question| {
        match folder.file_now(&question.entry.path)? {
            Some(file) => is_content(file, question).map_err(|e| unreadable(upper, question, e)),
            // The entry counts as changed; then it is found to be gone.
            None => Ok(false),
        }
    })?;
    let plan = undecided.decide(&untouched);
    let mut live = Live {
        upper,
        folder: &folder,
        packer: Packer::new(tar, times),
        instead: BTreeMap::new(),
    };
    for entry in plan.entries.iter() {
        live.add(entry)?;
    }
    Ok(live.packer.finish()?.1)
}

struct Live<'a, W: Write> {
    upper: &'a Path,
    folder: &'a Folder<'a>,
    packer: Packer<W>,
    /// For files whose first name went away before they were read: the name they have instead, once
    /// there is one.
    instead: BTreeMap<LayerPath, Option<LayerPath>>,
}

impl<W: Write> Live<'_, W> {
    fn add(&mut self, entry: &Entry) -> Result<(), Error> {
        let first = match &entry.kind {
            Kind::File(_) => entry.path.clone(),
            Kind::Hardlink { target } => match self.instead.get(target) {
                None => return Ok(self.packer.add(entry, None)?),
                Some(Some(other)) => {
                    let kind = Kind::Hardlink {
                        target: other.clone(),
                    };
                    let link = Entry {
                        kind,
                        ..entry.clone()
                    };
                    return Ok(self.packer.add(&link, None)?);
                }
                Some(None) => target.clone(),
            },
            _ => return Ok(self.packer.add(entry, None)?),
        };
        let there = self.file(entry)?;
        if !there || first != entry.path {
            let name = there.then(|| entry.path.clone());
            self.instead.insert(first, name);
        }
        Ok(())
    }

    /// A file as it is now; whether it is there at all.
    fn file(&mut self, entry: &Entry) -> Result<bool, Error> {
        let Some(file) = self.folder.file_now(&entry.path)? else {
            return Ok(false);
        };
        let failed = |e| Error::io("look at", &on_disk(self.upper, &entry.path), e);
        let size = file.metadata().map_err(failed)?.len();
        let entry = Entry {
            kind: Kind::File(Content::unread(size)),
            ..entry.clone()
        };
        let mut content = Exactly { file, left: size };
        self.packer.add(&entry, Some(&mut content))?;
        Ok(true)
    }
}

/// As many bytes of a file as it had, whatever becomes of it: what is missing is read as zeros.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let buffer = &mut buffer[..most];
        let mut n = self.file.read(buffer)?;
        if n == 0 {
            buffer.fill(0);
            n = most;
        }
        self.left -= n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_size_that_was_stated() {
        let path = std::env::temp_dir().join(format!("rootfs-exactly-{}", std::process::id()));
        std::fs::write(&path, "four").unwrap();
        for (size, expected) in [(2, &b"fo"[..]), (4, b"four"), (6, b"four\0\0")] {
            let file = File::open(&path).unwrap();
            let mut read = Vec::new();
            let mut exactly = Exactly { file, left: size };
            exactly.read_to_end(&mut read).unwrap();
            assert_eq!(read, expected, "{size}");
        }
        std::fs::remove_file(&path).unwrap();
    }
}
