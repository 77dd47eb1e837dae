//! An image as an archive: an OCI layout that docker reads as well, as a file or a stream, or in a
//! folder.

use std::{fs, io, io::Write as _, path::Path};

use kiln_archive::{LayoutDirectory, Writer};
use kiln_durable::NewFile;
use kiln_image::{Select, copy};

use super::{Made, Target, documents::Documents};
use crate::{ArchiveExport, Built, Destination, Error, ErrorKind};

/// How much is written at once.
const BUFFER: usize = 1 << 20;

impl Target<'_> {
    pub(super) fn archive(
        &self,
        export: &ArchiveExport,
        made: &[Made],
        built: &mut Built,
    ) -> Result<(), Error> {
        let documents = Documents::new(self, made, &export.form)?;
        let what = documents.reference();
        let names = self.names(&export.names);
        built.learn(&documents.root);
        match &export.to {
            Destination::Layout(path) => {
                let layout = LayoutDirectory::create(path)?;
                copy(&documents, &layout, &what, &names, &Select::All, &|_| {})?;
                if names.is_empty() {
                    layout.add(&documents.root)?;
                }
            }
            to => {
                let mut write = |out: &mut (dyn io::Write + Send)| -> Result<(), Error> {
                    let mut writer = Writer::new(&documents);
                    writer.add(&what, &names, &Select::All)?;
                    writer.write(out, &|_| {})?;
                    Ok(())
                };
                stream(to, &mut write)?;
            }
        }
        built.name(&names);
        Ok(())
    }
}

impl Built {
    fn name(&mut self, names: &[kiln_image::Reference]) {
        for name in names {
            if !self.names.contains(name) {
                self.names.push(name.clone());
            }
        }
    }
}

/// Has `write` write to a file that is there whole or not at all, or to a stream.
pub(super) fn stream(to: &Destination, write: crate::Writing<'_>) -> Result<(), Error> {
    let path = match to {
        Destination::Stream(receiver) => return receiver.receive(write),
        Destination::File(path) | Destination::Layout(path) => path,
    };
    if fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir()) {
        // A pipe or a device is written to: nothing can be put in its place.
        let mut file = fs::File::options()
            .write(true)
            .open(path)
            .map_err(|e| failed(path, e))?;
        return write(&mut file);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let file = NewFile::unseen_in(folder).map_err(|e| failed(path, e))?;
    let mut out = io::BufWriter::with_capacity(BUFFER, Remembers::new(file));
    if let Err(e) = write(&mut out).and_then(|()| out.flush().map_err(|e| failed(path, e))) {
        // That the disk is full is not for whoever was writing to tell.
        return Err(match out.get_mut().failed.take() {
            Some(cause) => failed(path, cause),
            None => e,
        });
    }
    let (out, _) = out.into_parts();
    out.inner.keep(path).map_err(|e| failed(path, e))?;
    Ok(())
}

/// A writer that remembers why it failed.
struct Remembers<W> {
    inner: W,
    failed: Option<io::Error>,
}

impl<W> Remembers<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            failed: None,
        }
    }
}

impl<W: io::Write> io::Write for Remembers<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes).map_err(|e| {
            let kind = e.kind();
            if kind != io::ErrorKind::Interrupted {
                self.failed = Some(e);
            }
            kind.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn failed(path: &Path, e: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Io, format!("write `{}`", path.display())).because(e)
}
