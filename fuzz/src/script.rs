//! Archives from a script that a fuzzer can change step by step: right headers with names, links and
//! records that meet each other often.

use arbitrary::Arbitrary;

/// The members of an archive.
#[derive(Arbitrary, Debug)]
pub struct Script {
    members: Vec<Member>,
    /// Bytes to change at the end, by place and value.
    flips: Vec<(u16, u8)>,
    cut: Option<u16>,
}

#[derive(Arbitrary, Debug)]
struct Member {
    kind: Type,
    name: Name,
    link: Name,
    mode: u16,
    id: Id,
    size: u16,
    device: (u8, u8),
    records: Vec<Record>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Type {
    File,
    Link,
    Symlink,
    Folder,
    Char,
    Block,
    Fifo,
    Old,
    Sparse { start: u16, len: u16, size: u32 },
    Other(u8),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Id {
    Zero,
    Small(u8),
    Edge,
    Beyond,
}

#[derive(Arbitrary, Debug)]
struct Name {
    absolute: bool,
    parts: Vec<Part>,
    slash: bool,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Part {
    A,
    B,
    C,
    UpperA,
    Dot,
    Up,
    Nothing,
    Canary,
    File,
    Outside,
    Without(u8),
    Opaque,
    Aufs,
    Byte(u8),
    Wide,
}

#[derive(Arbitrary, Debug)]
enum Record {
    Path(Name),
    Link(Name),
    Size(u32),
    Time(i32, u16),
    Uid(u64),
    Attribute(u8, u8),
    SparseName(Name),
    SparseMap(Vec<(u16, u16)>),
    SparseSize(u32),
    SparseVersion(u8, u8),
    Raw(Vec<u8>),
}

impl Name {
    fn bytes(&self, outside: &str) -> Vec<u8> {
        let mut out: Vec<u8> = if self.absolute {
            b"/".to_vec()
        } else {
            Vec::new()
        };
        let parts = self.parts.iter().take(8);
        let parts: Vec<Vec<u8>> = parts.map(|p| p.bytes(outside)).collect();
        out.extend(parts.join(&b'/'));
        if self.slash {
            out.push(b'/');
        }
        out
    }
}

impl Part {
    fn bytes(self, outside: &str) -> Vec<u8> {
        match self {
            Self::A => b"a".to_vec(),
            Self::B => b"b".to_vec(),
            Self::C => b"c".to_vec(),
            Self::UpperA => b"A".to_vec(),
            Self::Dot => b".".to_vec(),
            Self::Up => b"..".to_vec(),
            Self::Nothing => Vec::new(),
            Self::Canary => b"canary".to_vec(),
            Self::File => b"file".to_vec(),
            Self::Outside => outside.as_bytes().to_vec(),
            Self::Without(n) => {
                let names: [&[u8]; 5] = [b"a", b"b", b"c", b"canary", b"file"];
                [b".wh.", names[usize::from(n) % 5]].concat()
            }
            Self::Opaque => b".wh..wh..opq".to_vec(),
            Self::Aufs => b".wh..wh.plnk".to_vec(),
            Self::Byte(b) => vec![b],
            Self::Wide => vec![b'w'; 120],
        }
    }
}

impl Record {
    fn write(&self, outside: &str, out: &mut Vec<u8>) {
        let text = |n: &dyn std::fmt::Display| n.to_string().into_bytes();
        let (key, value): (&[u8], Vec<u8>) = match self {
            Self::Path(name) => (b"path", name.bytes(outside)),
            Self::Link(name) => (b"linkpath", name.bytes(outside)),
            Self::Size(n) => (b"size", text(n)),
            Self::Time(s, n) => (b"mtime", format!("{s}.{n}").into_bytes()),
            Self::Uid(n) => (b"uid", text(n)),
            Self::Attribute(name, value) => {
                let names: [&[u8]; 6] = [
                    b"SCHILY.xattr.user.x",
                    b"SCHILY.xattr.user.overlay.opaque",
                    b"SCHILY.xattr.trusted.overlay.redirect",
                    b"SCHILY.xattr.user.kiln.stat",
                    b"SCHILY.xattr.security.capability",
                    b"SCHILY.xattr.system.posix_acl_default",
                ];
                (names[usize::from(*name) % 6], vec![*value; 20])
            }
            Self::SparseName(name) => (b"GNU.sparse.name", name.bytes(outside)),
            Self::SparseSize(n) => (b"GNU.sparse.realsize", text(n)),
            Self::SparseMap(map) => {
                let map: Vec<_> = map
                    .iter()
                    .take(50)
                    .map(|(a, b)| format!("{a},{b}"))
                    .collect();
                record(b"GNU.sparse.numblocks", &text(&map.len()), out);
                (b"GNU.sparse.map", map.join(",").into_bytes())
            }
            Self::SparseVersion(major, minor) => {
                record(b"GNU.sparse.major", &text(&(major % 3)), out);
                (b"GNU.sparse.minor", text(&(minor % 3)))
            }
            Self::Raw(bytes) => {
                out.extend_from_slice(bytes);
                return;
            }
        };
        record(key, &value, out);
    }
}

fn record(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let rest = key.len() + value.len() + 3;
    let len = (1..9)
        .map(|d| rest + d)
        .find(|n| n.to_string().len() + rest == *n);
    let len = len.expect("some length fits");
    out.extend_from_slice(format!("{len} ").as_bytes());
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

impl Script {
    /// The archive. `outside` is an absolute path to what must not be touched.
    pub fn archive(&self, outside: &str) -> Vec<u8> {
        let mut out = Vec::new();
        for member in self.members.iter().take(40) {
            member.write(outside, &mut out);
        }
        out.extend_from_slice(&[0; 1024]);
        for (place, value) in self.flips.iter().take(4) {
            let place = usize::from(*place) % out.len();
            out[place] = *value;
        }
        if !self.flips.is_empty() {
            right_checksums(&mut out);
        }
        if let Some(cut) = self.cut {
            out.truncate(usize::from(cut));
        }
        out
    }
}

impl Member {
    fn write(&self, outside: &str, out: &mut Vec<u8>) {
        let mut records = Vec::new();
        for record in self.records.iter().take(8) {
            record.write(outside, &mut records);
        }
        if !records.is_empty() {
            header(b'x', b"x", records.len(), out, |_| ());
            content(&records, out);
        }
        let (name, link) = (self.name.bytes(outside), self.link.bytes(outside));
        for (kind, text) in [(b'L', &name), (b'K', &link)] {
            if text.len() > 100 {
                header(kind, b"././@LongLink", text.len(), out, |_| ());
                content(text, out);
            }
        }
        let (kind, size) = match self.kind {
            Type::File => (b'0', usize::from(self.size % 2048)),
            Type::Link => (b'1', 0),
            Type::Symlink => (b'2', 0),
            Type::Char => (b'3', 0),
            Type::Block => (b'4', 0),
            Type::Folder => (b'5', 0),
            Type::Fifo => (b'6', 0),
            Type::Old => (0, usize::from(self.size % 2048)),
            Type::Sparse { len, .. } => (b'S', usize::from(len)),
            Type::Other(kind) => (kind, usize::from(self.size % 2048)),
        };
        header(kind, &name, size, out, |block| {
            let link = &link[..link.len().min(100)];
            block[157..157 + link.len()].copy_from_slice(link);
            octal(&mut block[100..108], u64::from(self.mode));
            self.id.write(&mut block[108..116]);
            octal(&mut block[329..337], u64::from(self.device.0 % 4));
            octal(&mut block[337..345], u64::from(self.device.1 % 4));
            if let Type::Sparse { start, len, size } = self.kind {
                block[257..265].copy_from_slice(b"ustar  \0");
                block[345..].fill(0);
                octal(&mut block[386..398], u64::from(start));
                octal(&mut block[398..410], u64::from(len));
                octal(&mut block[483..495], u64::from(size));
            }
        });
        content(&vec![b'c'; size], out);
    }
}

impl Id {
    fn write(self, field: &mut [u8]) {
        match self {
            Self::Zero => octal(field, 0),
            Self::Small(n) => octal(field, u64::from(n)),
            Self::Edge => field.copy_from_slice(&[0x80, 0, 0, 0, 255, 255, 255, 254]),
            Self::Beyond => field.copy_from_slice(&[0x80, 0, 0, 0, 255, 255, 255, 255]),
        }
    }
}

fn octal(field: &mut [u8], n: u64) {
    let digits = field.len() - 1;
    field[..digits].copy_from_slice(format!("{n:0digits$o}").as_bytes());
    field[digits] = 0;
}

fn header(
    kind: u8,
    name: &[u8],
    size: usize,
    out: &mut Vec<u8>,
    change: impl FnOnce(&mut [u8; 512]),
) {
    let mut block = [0; 512];
    let name = &name[..name.len().min(100)];
    block[..name.len()].copy_from_slice(name);
    octal(&mut block[100..108], 0o644);
    octal(&mut block[108..116], 0);
    octal(&mut block[116..124], 0);
    octal(&mut block[124..136], size as u64);
    octal(&mut block[136..148], 5);
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    change(&mut block);
    sum(&mut block);
    out.extend_from_slice(&block);
}

fn content(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(bytes);
    out.resize(out.len().next_multiple_of(512), 0);
}

/// Gives every block that looks like a header the checksum that belongs to it.
pub fn right_checksums(archive: &mut [u8]) {
    let (blocks, _) = archive.as_chunks_mut::<512>();
    for block in blocks.iter_mut().filter(|b| b[257..262] == *b"ustar") {
        sum(block);
    }
}

fn sum(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
