//! What an entry is, by what `stat` and the index say. Opens nothing.

use std::os::fd::BorrowedFd;

use rustix::{
    fs::{FileType, Stat, major, minor, readlinkat},
    io::Errno,
};

use super::{Large, Mine, Walk};
use crate::{
    Entry, Error, File, Kind, LayerPath,
    disk::{
        at, meta,
        scan::{Seen, Style, believed::Believed, io_of, kept, moved, stamp_of},
    },
    pack::kept_inline,
};

impl Walk<'_> {
    pub(super) fn leaf(
        &self,
        large: &Large,
        path: LayerPath,
        stat: &Stat,
        mine: &mut Mine,
    ) -> Result<Option<(Entry, Seen)>, Error> {
        let (major, minor) = (major(stat.st_rdev as _), minor(stat.st_rdev as _));
        let overlay = self.how.style == Style::Overlay;
        let meta = meta::of(stat);
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                return Ok(Some(self.file(large.believed, path, stat, mine)));
            }
            FileType::Symlink => {
                let name = path.name().unwrap_or_default();
                let target = match readlinkat(&large.fd, name, Vec::new()) {
                    Err(e) if at::is_missing(e) => return Ok(None),
                    Err(Errno::INVAL) => return Err(moved(&path)),
                    read => read.map_err(|e| io_of(&path, e))?,
                };
                let target = target.into_bytes();
                Kind::Symlink { target }
            }
            FileType::CharacterDevice if overlay && (major, minor) == (0, 0) => {
                return Ok(Some((Entry::whiteout(path), Seen::Done)));
            }
            FileType::CharacterDevice => Kind::Char { major, minor },
            FileType::BlockDevice => Kind::Block { major, minor },
            FileType::Fifo => Kind::Fifo,
            // Sockets are of no use without the process that listens.
            _ => return Ok(None),
        };
        Ok(Some((Entry { path, meta, kind }, Seen::Done)))
    }

    fn file(
        &self,
        believed: Believed,
        path: LayerPath,
        stat: &Stat,
        mine: &mut Mine,
    ) -> (Entry, Seen) {
        let stamp = stamp_of(stat);
        let believed = believed.takes(&stamp);
        let mut meta = meta::of(stat);
        let mut file = File::unread(stamp.size);
        let several = stat.st_nlink > 1;
        // The content of these few is wanted, not its digest alone.
        let index = self
            .how
            .index
            .filter(|_| believed && !kept_inline(&path, stamp.size));
        let seen = match index.and_then(|i| Some((i, i.find(&stamp, &mut mine.near)?))) {
            Some((index, place)) => {
                let record = index.record(place);
                file.digest = record.digest();
                meta.xattrs.clone_from(&record.xattrs);
                Seen::Known { place, several }
            }
            None => Seen::Unread {
                stamp: Box::new(stamp),
                believed,
                several,
            },
        };
        let kind = Kind::File(file);
        (Entry { path, meta, kind }, seen)
    }

    pub(super) fn folder(
        &self,
        path: &LayerPath,
        fd: BorrowedFd<'_>,
        stat: &Stat,
    ) -> Result<Entry, Error> {
        let mut meta = meta::of(stat);
        let found = meta::xattrs(fd).map_err(|e| io_of(path, e))?;
        let marks = [&b"user.overlay.opaque"[..], b"trusted.overlay.opaque"];
        let is_marked = |m: &&[u8]| found.get(*m).is_some_and(|v| v == b"y");
        let opaque = self.how.style == Style::Overlay && marks.iter().any(is_marked);
        meta.xattrs = kept(self.how.style, found);
        Ok(Entry {
            path: path.clone(),
            meta,
            kind: Kind::Dir { opaque },
        })
    }
}
