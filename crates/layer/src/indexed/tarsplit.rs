//! What a tar has beside the contents of its files, so that the same bytes can be put together again:
//! tar-split's lines of JSON (`vbatts/tar-split`, `tar/storage`), compressed as they come.

use std::io::{self, Write};

use super::base;

const FILE: u32 = 1;
const SEGMENT: u32 = 2;

pub(super) struct TarSplit {
    lines: zstd::Encoder<'static, Vec<u8>>,
    line: String,
    position: u64,
    size: u64,
}

impl TarSplit {
    pub(super) fn new(level: i32) -> io::Result<Self> {
        Ok(Self {
            lines: zstd::Encoder::new(Vec::new(), level)?,
            line: String::new(),
            position: 0,
            size: 0,
        })
    }

    /// Bytes of the tar: padding and the headers of one entry, or what follows the last.
    pub(super) fn segment(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.line.clear();
        self.line
            .push_str(&format!("{{\"type\":{SEGMENT},\"payload\":\""));
        base::append(bytes, &mut self.line);
        self.line.push('"');
        self.end()
    }

    /// An entry, and the sum of its content where there is any.
    pub(super) fn file(&mut self, name: &str, size: u64, sum: Option<u64>) -> io::Result<()> {
        let name = serde_json::to_string(name)?;
        let payload = sum.map(|sum| base::encode(&sum.to_be_bytes()));
        let payload = payload.map_or("null".to_owned(), |p| format!("\"{p}\""));
        let size = match size {
            0 => String::new(),
            size => format!(",\"size\":{size}"),
        };
        self.line.clear();
        self.line.push_str(&format!(
            "{{\"type\":{FILE},\"name\":{name}{size},\"payload\":{payload}"
        ));
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        self.line
            .push_str(&format!(",\"position\":{}}}\n", self.position));
        self.position += 1;
        self.size += self.line.len() as u64;
        self.lines.write_all(self.line.as_bytes())
    }

    /// The compressed lines, and how long they are uncompressed.
    pub(super) fn finish(self) -> io::Result<(Vec<u8>, u64)> {
        Ok((self.lines.finish()?, self.size))
    }
}
