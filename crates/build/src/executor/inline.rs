//! Heredocs: files that are in the instruction itself. Refuses to touch a disk.

use std::sync::Arc;

use kiln_graph::{Inline, Select};
use kiln_layer::{InMemory, LayerPath, Meta, Time};

use crate::{
    Error, ErrorKind,
    executor::{Carrier, Selected},
};

impl Carrier<'_> {
    /// The files of a heredoc, made now.
    pub(super) fn inline(&self, inline: &Inline) -> Result<Arc<Selected>, Error> {
        let mut files = InMemory::new();
        for file in &inline.files {
            let path = LayerPath::parse(&file.name).map_err(|e| {
                Error::new(ErrorKind::Input, format!("heredoc `{}`", file.name)).because(e)
            })?;
            let meta = Meta {
                mtime: Time::at(self.now),
                ..Meta::with_mode(file.mode)
            };
            files.file(path, meta, &file.text);
        }
        let select = Select {
            patterns: inline.files.iter().map(|file| file.name.clone()).collect(),
            ..Select::default()
        };
        let of = (String::new(), select);
        Ok(Arc::new(Selected::new(of, Arc::new(files), false)))
    }
}
