//! What has come of a file so far: on disk, hashed as it comes. Refuses to go on with bytes that were
//! written before the last boot: a power failure may have torn them.

use std::{
    fs,
    io::{self, Read, Write},
};

use kiln_image::{Algorithm, Digest};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::headers::Validators;
use crate::{
    Error,
    slot::{self, Slot},
};

/// The bytes.
pub(super) const PART: &str = "part";
/// Of what they are a part.
const PART_NOTE: &str = "part.json";

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct PartNote {
    validators: Validators,
    boot: String,
}

/// A file that is coming in.
pub(super) struct Part<'a> {
    slot: &'a Slot,
    file: fs::File,
    hashes: Hashes,
    validators: Validators,
}

/// Both digests of what went by.
#[derive(Clone, Default)]
pub(super) struct Hashes {
    sha256: sha2::Sha256,
    blake3: blake3::Hasher,
    pub(super) len: u64,
}

impl Hashes {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.blake3.update(bytes);
        self.len += bytes.len() as u64;
    }

    /// Of all that `from` gives.
    pub(super) fn read(from: &mut dyn Read) -> io::Result<Self> {
        let mut hashes = Self::default();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return Ok(hashes),
                Ok(n) => hashes.update(&buffer[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// SHA-256 and BLAKE3.
    pub(super) fn finish(self) -> (Digest, Digest) {
        let sha256 = Digest::new(Algorithm::Sha256, self.sha256.finalize().into());
        let blake3 = Digest::new(Algorithm::Blake3, *self.blake3.finalize().as_bytes());
        (sha256, blake3)
    }
}

impl<'a> Part<'a> {
    /// What an earlier try left, or nothing yet.
    pub(super) fn open(slot: &'a Slot) -> Result<Self, Error> {
        let path = slot.path(PART);
        let mut file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| Error::io(slot::shown("write", &path), e))?;
        let note: Option<PartNote> = slot.read(PART_NOTE);
        let note = note.filter(|note| note.boot == slot::boot());
        let note = note.filter(|note| note.validators.strong().is_some());
        let mut part = Self {
            slot,
            hashes: Hashes::default(),
            validators: Validators::default(),
            file: file
                .try_clone()
                .map_err(|e| Error::io(slot::shown("write", &path), e))?,
        };
        match note {
            Some(note) => {
                let read = Hashes::read(&mut file);
                part.hashes = read.map_err(|e| Error::io(slot::shown("read", &path), e))?;
                part.validators = note.validators;
            }
            None => part.begin(&Validators::default())?,
        }
        Ok(part)
    }

    /// How much is here, and by what it can be gone on with.
    pub(super) fn resumable(&self) -> Option<(u64, &str)> {
        let strong = self.validators.strong()?;
        (self.hashes.len > 0).then_some((self.hashes.len, strong))
    }

    pub(super) fn len(&self) -> u64 {
        self.hashes.len
    }

    /// Begins anew, with what has these validators.
    pub(super) fn begin(&mut self, validators: &Validators) -> Result<(), Error> {
        let failed = |e| Error::io(slot::shown("write", &self.slot.path(PART)), e);
        self.slot.remove(PART_NOTE)?;
        self.file.set_len(0).map_err(failed)?;
        io::Seek::rewind(&mut self.file).map_err(failed)?;
        self.hashes = Hashes::default();
        self.validators = validators.clone();
        if validators.strong().is_some() {
            let note = PartNote {
                validators: validators.clone(),
                boot: slot::boot(),
            };
            self.slot.write(PART_NOTE, &note)?;
        }
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let path = self.slot.path(PART);
        let written = self.file.write_all(bytes);
        written.map_err(|e| Error::io(slot::shown("write", &path), e))?;
        self.hashes.update(bytes);
        Ok(())
    }

    /// Gives up: what is here is of no use, or in the way.
    pub(super) fn discard(self) -> Result<(), Error> {
        self.slot.remove(PART_NOTE)?;
        self.slot.remove(PART)
    }

    /// All of it is here: its digests.
    pub(super) fn finish(self) -> Result<Hashes, Error> {
        self.slot.remove(PART_NOTE)?;
        Ok(self.hashes)
    }
}
