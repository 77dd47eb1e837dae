//! The files of an archive by name: in a folder, in a tar, or in a tar that was compressed and has
//! been spooled.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use flate2::read::MultiGzDecoder;
use kiln_image::{Error, ErrorKind, media::Compression};

use crate::index::Index;

/// The longest document that is read into memory.
pub(crate) const LONGEST_DOCUMENT: u64 = 8 << 20;

/// An archive's files.
#[derive(Debug)]
pub(crate) enum Files {
    Folder(PathBuf),
    Tar { file: Arc<File>, index: Index },
}

/// A file in an archive: how long it is, and its bytes.
pub(crate) type Opened = (u64, Box<dyn Read + Send>);

impl Files {
    /// What lies at `path`: a folder, a tar, or a compressed tar, which is unpacked into an unnamed
    /// file in `spool` first.
    pub(crate) fn at(path: &Path, spool: &Path) -> Result<Self, Error> {
        let cannot = |e: io::Error| {
            let kind = match e.kind() {
                io::ErrorKind::NotFound => ErrorKind::NotFound,
                _ => ErrorKind::Io,
            };
            Error::new(kind, format!("cannot open `{}`: {e}", path.display()))
        };
        let meta = fs::metadata(path).map_err(cannot)?;
        if meta.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let file = File::open(path).map_err(cannot)?;
        if !meta.is_file() {
            // A pipe or a device: only once, and only forwards.
            return Self::stream(file, spool);
        }
        let mut head = [0; 4];
        let n = read_at_most(&file, &mut head, 0)?;
        match Compression::sniff(&head[..n]) {
            Compression::None => Self::tar(file),
            _ => Self::stream(file, spool),
        }
    }

    /// A tar, perhaps compressed, that is read once: kept in an unnamed file in `spool`.
    pub(crate) fn stream(from: impl Read, spool: &Path) -> Result<Self, Error> {
        let mut from = BufReader::with_capacity(128 << 10, from);
        let mut head = Vec::new();
        from.by_ref().take(4).read_to_end(&mut head)?;
        let compression = Compression::sniff(&head);
        let whole = BufReader::with_capacity(128 << 10, io::Cursor::new(head).chain(from));
        let mut plain: Box<dyn Read> = match compression {
            Compression::None => Box::new(whole),
            Compression::Gzip => Box::new(MultiGzDecoder::new(whole)),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(whole)?),
        };
        let spooling = |e: io::Error| {
            Error::new(
                ErrorKind::Io,
                format!(
                    "the archive cannot be unpacked into `{}`: {e}",
                    spool.display()
                ),
            )
        };
        let mut file = tempfile::tempfile_in(spool).map_err(spooling)?;
        io::copy(&mut plain, &mut file).map_err(spooling)?;
        Self::tar(file)
    }

    fn tar(file: File) -> Result<Self, Error> {
        let index = Index::scan(&file)?;
        Ok(Self::Tar {
            file: Arc::new(file),
            index,
        })
    }

    /// Opens a file at an offset; `None` where there is none of that name.
    pub(crate) fn open(&self, name: &str, from: u64) -> io::Result<Option<Opened>> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(name);
                match fs::metadata(&path) {
                    Ok(meta) if meta.is_file() => {}
                    Ok(_) => return Ok(None),
                    Err(e) if absent(&e) => return Ok(None),
                    Err(e) => return Err(e),
                }
                let mut file = File::open(path)?;
                let size = file.metadata()?.len();
                io::Seek::seek(&mut file, io::SeekFrom::Start(from))?;
                Ok(Some((size, Box::new(file))))
            }
            Self::Tar { file, index } => Ok(index.find(name).map(|(offset, size)| {
                let skipped = from.min(size);
                let section = Section {
                    file: file.clone(),
                    at: offset + skipped,
                    left: size - skipped,
                };
                (size, Box::new(section) as Box<dyn Read + Send>)
            })),
        }
    }

    /// A document, whole; `None` where there is none of that name.
    pub(crate) fn document(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some((size, reader)) = self.open(name, 0)? else {
            return Ok(None);
        };
        if size > LONGEST_DOCUMENT {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("`{name}` is {size} bytes long; {LONGEST_DOCUMENT} is the most"),
            ));
        }
        let mut bytes = Vec::new();
        reader.take(LONGEST_DOCUMENT).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    pub(crate) fn has_folder(&self, name: &str) -> bool {
        match self {
            Self::Folder(folder) => folder.join(name).is_dir(),
            Self::Tar { index, .. } => index.has_folder(name),
        }
    }
}

pub(crate) fn absent(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// A part of a file, read without moving the file's own position: many at once.
struct Section {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Read for Section {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = buf
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let n = read_at(&self.file, &mut buf[..most], self.at)?;
        self.at += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}

#[cfg(unix)]
fn read_at(file: &File, buf: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, at)
}

#[cfg(windows)]
fn read_at(file: &File, buf: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, at)
}

fn read_at_most(file: &File, buf: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        match read_at(file, &mut buf[done..], at + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

pub(crate) fn read_exact_at(file: &File, buf: &mut [u8], at: u64) -> io::Result<()> {
    match read_at_most(file, buf, at)? == buf.len() {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
