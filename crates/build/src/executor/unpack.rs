//! ADD of archives: what a source is, by its content, and its files. Refuses what an image cannot hold.

use std::{io::Read as _, sync::Arc};

use kiln_layer::{Archive, Files as _, Kind, LayerPath, Limits, Root, copy};

use crate::{Error, ErrorKind, context::scratch, executor::Carrier};

impl Carrier<'_> {
    /// Of the sources that are to be unpacked, those that are archives become all of one more input
    /// behind those of `from`, each of which is given; the others are copied as they are.
    pub(super) fn unpack(
        &self,
        sources: &mut [copy::Source],
        from: &[Arc<Root>],
    ) -> Result<Vec<Archive>, Error> {
        let mut archives = Vec::new();
        for source in sources.iter_mut().filter(|source| source.unpack) {
            let Some(archive) = self.archive(&from[source.input], &source.path)? else {
                source.unpack = false;
                continue;
            };
            *source = copy::Source {
                input: from.len() + archives.len(),
                keep_owner: true,
                unpack: true,
                ..copy::Source::default() // What was unpacked has times of its own.
            };
            archives.push(archive);
        }
        Ok(archives)
    }

    /// The files of the archive at `path`; `None` when it is none.
    fn archive(&self, from: &Root, path: &LayerPath) -> Result<Option<Archive>, Error> {
        // What is not there is told of when it is to be copied.
        let Ok(found) = from.resolve(path) else {
            return Ok(None);
        };
        let kind = found.entry.map(|entry| entry.kind);
        if !matches!(kind, Some(Kind::File(_) | Kind::Hardlink { .. })) {
            return Ok(None);
        }
        let reading = |e| Error::io(format!("read `{path}`"), e);
        let mut head = Vec::new();
        let mut file = from.open(&found.path).map_err(reading)?;
        (&mut file)
            .take(512)
            .read_to_end(&mut head)
            .map_err(reading)?;
        if !Archive::begins(&head) {
            return Ok(None);
        }
        let whole = std::io::Cursor::new(head).chain(file);
        let archive = Archive::read(whole, scratch(self.lease)?, &Limits::default());
        archive.map_err(|e| {
            let error = Error::new(ErrorKind::Input, format!("unpack `{path}`"));
            match e.hint_text().map(str::to_owned) {
                Some(hint) => error.hint(hint),
                None => error.hint("COPY, or ADD with `--unpack=false`, takes it as it is"),
            }
            .because(e)
        })
    }
}
