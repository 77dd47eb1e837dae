//! Archives written header by header, right or wrong.

use super::world::real;

/// A tar written header by header, right or wrong.
#[derive(Default)]
pub(super) struct Tar(pub(super) Vec<u8>);

impl Tar {
    pub(super) fn header(&mut self, kind: u8, name: &[u8], change: impl FnOnce(&mut [u8; 512])) {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name);
        block[100..108].copy_from_slice(b"0000644\0");
        block[108..116].copy_from_slice(b"0000000\0");
        block[116..124].copy_from_slice(b"0000000\0");
        block[124..136].copy_from_slice(b"00000000000\0");
        block[136..148].copy_from_slice(b"00000000005\0");
        block[156] = kind;
        block[257..265].copy_from_slice(b"ustar\x0000");
        change(&mut block);
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&block);
    }

    pub(super) fn content(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    pub(super) fn sized(mut self, kind: u8, name: &[u8], bytes: &[u8]) -> Self {
        self.header(kind, name, |b| size(b, bytes.len()));
        self.content(bytes);
        self
    }

    pub(super) fn file(self, name: &str, bytes: &str) -> Self {
        self.sized(b'0', real(name).as_bytes(), bytes.as_bytes())
    }

    pub(super) fn dir(mut self, name: &str) -> Self {
        self.header(b'5', name.as_bytes(), |b| {
            b[100..108].copy_from_slice(b"0000755\0");
        });
        self
    }

    pub(super) fn link(mut self, kind: u8, name: &str, target: &str) -> Self {
        let target = real(target).into_bytes();
        self.header(kind, name.as_bytes(), |b| {
            b[157..157 + target.len()].copy_from_slice(&target);
        });
        self
    }

    pub(super) fn symlink(self, name: &str, target: &str) -> Self {
        self.link(b'2', name, target)
    }

    pub(super) fn hardlink(self, name: &str, target: &str) -> Self {
        self.link(b'1', name, target)
    }

    pub(super) fn raw(mut self, kind: u8, name: &str, change: impl FnOnce(&mut [u8; 512])) -> Self {
        self.header(kind, name.as_bytes(), change);
        self
    }

    /// An old GNU sparse file with these regions, up to four, and so many bytes.
    pub(super) fn sparse(
        mut self,
        name: &str,
        map: &[(u64, u64)],
        real: u64,
        stored: usize,
    ) -> Self {
        let number = |n: u64| {
            let mut field = [0; 12];
            field[4..].copy_from_slice(&n.to_be_bytes());
            field[0] = if n == u64::MAX { 0xff } else { 0x80 };
            field
        };
        self.header(b'S', name.as_bytes(), |b| {
            b[257..265].copy_from_slice(b"ustar  \0");
            b[345..].fill(0);
            size(b, stored);
            for (n, (start, len)) in map.iter().enumerate() {
                let at = 386 + n * 24;
                b[at..at + 12].copy_from_slice(&number(*start));
                b[at + 12..at + 24].copy_from_slice(&number(*len));
            }
            b[483..495].copy_from_slice(&number(real));
        });
        self.content(&vec![b's'; stored]);
        self
    }

    /// One with so many further blocks of regions, each of which promises another.
    pub(super) fn sparse_blocks(mut self, name: &str, blocks: usize) -> Self {
        self.header(b'S', name.as_bytes(), |b| {
            b[257..265].copy_from_slice(b"ustar  \0");
            b[345..].fill(0);
            b[482] = 1;
            b[483..495].copy_from_slice(b"00000001000\0");
        });
        let region = [&b"00000001000\0"[..], b"00000000000\0"].concat();
        let mut block = region.repeat(21);
        block.resize(512, 0);
        block[504] = 1;
        self.content(&block.repeat(blocks));
        self
    }

    /// A block of content alone.
    pub(super) fn raw_block(mut self, bytes: &[u8]) -> Self {
        self.content(bytes);
        self
    }

    pub(super) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let bytes = pax(records);
        self.sized(b'x', b"PaxHeaders.0/x", &bytes)
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

pub(super) fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let len = (1..9)
            .map(|d| rest + d)
            .find(|n| n.to_string().len() + rest == *n)
            .unwrap();
        out.extend_from_slice(format!("{len} {key}=").as_bytes());
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    out
}

pub(super) fn size(block: &mut [u8; 512], n: usize) {
    block[124..136].copy_from_slice(format!("{n:011o}\0").as_bytes());
}

pub(super) fn tar() -> Tar {
    Tar::default()
}

/// The numbers of a device.
pub(super) fn device(block: &mut [u8; 512], major: u8, minor: u8) {
    block[329..337].copy_from_slice(format!("{major:07o}\0").as_bytes());
    block[337..345].copy_from_slice(format!("{minor:07o}\0").as_bytes());
}
