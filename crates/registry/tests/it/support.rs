//! Images to move, and clients to move them with.

use std::sync::Arc;

use kiln_image::{
    Descriptor, Error, History, Image, Memory, Platform, Progress, Reference, Select, Sink, copy,
    media,
};
use kiln_registry::{Client, Credential, Credentials, Options, Remote, Secret};

/// Bytes that do not repeat in a way that would hide a mistake about an offset.
pub(crate) fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(len);
    out
}

/// An image of one layer for each length, called `name`.
pub(crate) fn image(name: &Reference, layers: &[usize]) -> (Memory, Descriptor) {
    let memory = Memory::new();
    let mut image = Image::scratch(&Platform::host());
    for (n, len) in layers.iter().enumerate() {
        let layer = memory.put(media::LAYER, bytes(*len, n as u64 + 1));
        let diff_id = layer.digest;
        image = image.with_layer(layer, diff_id, History::default());
    }
    memory.put(media::CONFIG, image.config_document().bytes().to_vec());
    let manifest = memory.put(media::MANIFEST, image.manifest().bytes().to_vec());
    memory.name(&manifest, name).unwrap();
    (memory, manifest)
}

pub(crate) fn client() -> Client {
    Client::new(Options::default())
}

pub(crate) fn client_as(credential: Credential) -> Client {
    Client::new(Options {
        credentials: Arc::new(Fixed(credential)),
        ..Options::default()
    })
}

pub(crate) fn me() -> Credential {
    Credential::Basic {
        user: "me".to_owned(),
        password: Secret::new("pass:word"),
    }
}

/// `me:pass:word` in base64.
pub(crate) const ME: &str = "bWU6cGFzczp3b3Jk";

struct Fixed(Credential);

impl Credentials for Fixed {
    fn get(&self, _registry: &str, _repository: &str) -> Result<Option<Credential>, Error> {
        Ok(Some(self.0.clone()))
    }
}

pub(crate) fn name(registry: &str, rest: &str) -> Reference {
    format!("{registry}/{rest}").parse().unwrap()
}

pub(crate) fn push(memory: &Memory, to: &Remote, what: &Reference) -> Result<Descriptor, Error> {
    copy(
        memory,
        to,
        what,
        std::slice::from_ref(what),
        &Select::All,
        &|_| {},
    )
}

pub(crate) fn pull(from: &Remote, what: &Reference) -> Result<(Memory, Descriptor), Error> {
    let memory = Memory::new();
    let names = std::slice::from_ref(what);
    let found = copy(from, &memory, what, names, &Select::All, &|_: Progress<
        '_,
    >| {})?;
    Ok((memory, found))
}
