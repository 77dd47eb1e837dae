//! What a registry holds: blobs in files, which repository has which, manifests, tags, uploads.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io,
    path::PathBuf,
    sync::Mutex,
};

use kiln_image::{Digest, Verifier};
use tempfile::TempDir;

use super::lock;

#[derive(Debug)]
pub(super) struct Storage {
    folder: PathBuf,
    _own: Option<TempDir>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    blobs: BTreeSet<(String, Digest)>,
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    tags: BTreeMap<String, BTreeSet<String>>,
    uploads: u64,
}

impl Storage {
    pub(super) fn new(folder: Option<PathBuf>) -> io::Result<Self> {
        let (folder, own) = match folder {
            Some(folder) => (folder, None),
            None => {
                let own = tempfile::tempdir()?;
                (own.path().to_owned(), Some(own))
            }
        };
        fs::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            _own: own,
            held: Mutex::default(),
        })
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("blob-{}", digest.hex()))
    }

    fn upload_path(&self, id: u64) -> PathBuf {
        self.folder.join(format!("upload-{id}"))
    }

    pub(super) fn has(&self, repository: &str, digest: &str) -> bool {
        let parsed = digest.parse::<Digest>();
        parsed.is_ok_and(|d| lock(&self.held).blobs.contains(&(repository.to_owned(), d)))
    }

    /// A blob, and its size.
    pub(super) fn blob(&self, repository: &str, digest: &str) -> Option<(File, u64)> {
        if !self.has(repository, digest) {
            return None;
        }
        let file = File::open(self.blob_path(&digest.parse().ok()?)).ok()?;
        let size = file.metadata().ok()?.len();
        Some((file, size))
    }

    /// Gives `to` a blob of `from`; whether there is one.
    pub(super) fn mount(&self, to: &str, from: &str, digest: &str) -> bool {
        let Ok(parsed) = digest.parse() else {
            return false;
        };
        self.has(from, digest) && {
            lock(&self.held).blobs.insert((to.to_owned(), parsed));
            true
        }
    }

    pub(super) fn begin(&self) -> io::Result<u64> {
        let mut held = lock(&self.held);
        held.uploads += 1;
        File::create(self.upload_path(held.uploads))?;
        Ok(held.uploads)
    }

    /// The file of an upload, to append to, and how long it is.
    pub(super) fn upload(&self, id: u64) -> Option<(File, u64)> {
        let file = OpenOptions::new()
            .append(true)
            .open(self.upload_path(id))
            .ok()?;
        let size = file.metadata().ok()?.len();
        Some((file, size))
    }

    pub(super) fn cancel(&self, id: u64) -> bool {
        fs::remove_file(self.upload_path(id)).is_ok()
    }

    /// Ends an upload; whether its bytes have the digest.
    pub(super) fn finish(&self, repository: &str, id: u64, digest: &str) -> io::Result<bool> {
        let path = self.upload_path(id);
        let Ok(digest) = digest.parse::<Digest>() else {
            return Ok(false);
        };
        let file = File::open(&path)?;
        let size = file.metadata()?.len();
        if io::copy(&mut Verifier::new(file, digest, size), &mut io::sink()).is_err() {
            return Ok(false);
        }
        fs::rename(&path, self.blob_path(&digest))?;
        let blob = (repository.to_owned(), digest);
        lock(&self.held).blobs.insert(blob);
        Ok(true)
    }

    /// The media type and the bytes of a manifest, by tag or digest.
    pub(super) fn manifest(&self, repository: &str, name: &str) -> Option<(String, Vec<u8>)> {
        let key = (repository.to_owned(), name.to_owned());
        lock(&self.held).manifests.get(&key).cloned()
    }

    pub(super) fn put_manifest(&self, repository: &str, name: &str, kind: &str, bytes: &[u8]) {
        let mut held = lock(&self.held);
        let value = (kind.to_owned(), bytes.to_vec());
        let digest = Digest::sha256(bytes).to_string();
        if name != digest {
            let tags = held.tags.entry(repository.to_owned()).or_default();
            tags.insert(name.to_owned());
            let key = (repository.to_owned(), name.to_owned());
            held.manifests.insert(key, value.clone());
        }
        held.manifests
            .insert((repository.to_owned(), digest), value);
    }

    pub(super) fn tamper(&self, repository: &str, name: &str, bytes: &[u8]) {
        let key = (repository.to_owned(), name.to_owned());
        if let Some((_, held)) = lock(&self.held).manifests.get_mut(&key) {
            *held = bytes.to_vec();
        }
    }

    pub(super) fn tags(&self, repository: &str) -> Option<Vec<String>> {
        let held = lock(&self.held);
        let tags = held.tags.get(repository)?;
        Some(tags.iter().cloned().collect())
    }

    /// The blobs of a manifest that the repository lacks.
    pub(super) fn missing(&self, repository: &str, manifest: &[u8]) -> Vec<String> {
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(manifest) else {
            return vec!["a manifest".to_owned()];
        };
        let layers = value["layers"].as_array().into_iter().flatten();
        let digests = layers
            .chain(value.get("config"))
            .filter_map(|d| d["digest"].as_str());
        digests
            .filter(|d| !self.has(repository, d))
            .map(str::to_owned)
            .collect()
    }
}
