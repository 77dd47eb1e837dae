//! [`Packer`]: a tar written entry by entry on one thread, for those who have the entries and the
//! contents one at a time. Refuses entries out of order.

use std::io::{Read, Write};

use kiln_image::{Algorithm, Digest, HashingWriter};

use super::{
    Packed, Times, as_written, changed, header, kept_inline, not_before, out_of_order, refuse_mark,
    unwritten,
};
use crate::{Entry, Error, File, Kind, LayerPath, Tree};

/// Writes the tar of a layer, entry by entry.
#[derive(Debug)]
pub struct Packer<W: Write> {
    out: HashingWriter<W>,
    times: Times,
    tree: Tree,
    last: Option<LayerPath>,
    headers: Vec<u8>,
    buffer: Vec<u8>,
}

impl<W: Write> Packer<W> {
    /// Writes to `out`, which should be buffered or take large writes well.
    pub fn new(out: W, times: Times) -> Self {
        Self {
            out: HashingWriter::new(out),
            times,
            tree: Tree::new(),
            last: None,
            headers: Vec::new(),
            buffer: vec![0; 128 << 10],
        }
    }

    /// Writes one entry. Entries come in the order of their paths; a hard link after its file. A
    /// regular file with a size comes with its content; a digest that is already known must be
    /// that of the content, else ([`File::unread`]) it is found.
    ///
    /// # Errors
    ///
    /// [`Changed`](crate::ErrorKind::Changed) when the content is not what the entry says,
    /// [`Invalid`](crate::ErrorKind::Invalid) for an entry out of order or a link without its file,
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for what a tar cannot say, and what reading and
    /// writing give. After an error the stream is of no use.
    pub fn add(&mut self, entry: &Entry, content: Option<&mut dyn Read>) -> Result<(), Error> {
        self.check(entry)?;
        let mut entry = as_written(entry, self.times);
        self.headers.clear();
        header::headers(&entry, &mut self.headers)?;
        self.out.write_all(&self.headers).map_err(unwritten)?;
        if let Kind::File(file) = &mut entry.kind {
            file.offset = self.out.len();
            let mut nothing = std::io::empty();
            let content = content.unwrap_or(&mut nothing);
            self.content(&entry.path, file, content)?;
        }
        self.last = Some(entry.path.clone());
        self.tree.insert(entry);
        Ok(())
    }

    fn check(&self, entry: &Entry) -> Result<(), Error> {
        if self.last.as_ref().is_some_and(|last| *last >= entry.path) {
            return Err(out_of_order(&entry.path));
        }
        refuse_mark(&entry.path)?;
        match &entry.kind {
            Kind::Hardlink { target }
                if self.tree.get(target).is_none_or(|e| e.file().is_none()) =>
            {
                Err(not_before(target, &entry.path))
            }
            _ => Ok(()),
        }
    }

    fn content(
        &mut self,
        path: &LayerPath,
        file: &mut File,
        content: &mut dyn Read,
    ) -> Result<(), Error> {
        let mut hash = blake3::Hasher::new();
        let mut inline = kept_inline(path, file.size).then(Vec::new);
        let mut left = file.size;
        loop {
            // One byte more than is left shows that a file has grown.
            let want = usize::try_from(left.saturating_add(1)).unwrap_or(usize::MAX);
            let want = want.min(self.buffer.len());
            let n = match content.read(&mut self.buffer[..want]) {
                Ok(n) => n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Error::io("read the file", e).at(path)),
            };
            if n as u64 > left || (n == 0 && left > 0) {
                return Err(changed(path));
            }
            if n == 0 {
                break;
            }
            left -= n as u64;
            let read = &self.buffer[..n];
            hash.update(read);
            if let Some(inline) = &mut inline {
                inline.extend_from_slice(read);
            }
            self.out.write_all(read).map_err(unwritten)?;
        }
        let digest = Digest::new(Algorithm::Blake3, *hash.finalize().as_bytes());
        if !file.is_unread() && digest != file.digest {
            return Err(changed(path));
        }
        file.digest = digest;
        file.inline = inline.map(Into::into);
        let padding = file.size.next_multiple_of(header::BLOCK as u64) - file.size;
        let zeros = [0; header::BLOCK];
        self.out
            .write_all(&zeros[..padding as usize])
            .map_err(unwritten)
    }

    /// Writes the end of the archive.
    ///
    /// # Errors
    ///
    /// What writing gives.
    pub fn finish(mut self) -> Result<(W, Packed), Error> {
        self.out.write_all(&header::END).map_err(unwritten)?;
        self.out.flush().map_err(unwritten)?;
        let (out, diff_id, size) = self.out.finish();
        let tree = self.tree;
        Ok((
            out,
            Packed {
                diff_id,
                size,
                tree,
            },
        ))
    }
}
