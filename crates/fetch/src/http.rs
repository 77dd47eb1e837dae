//! One file from an HTTP address: asked for each time, sent again only if it is another, gone on with
//! where a connection broke. Refuses to take a kept copy for a current one unless a checksum says that
//! it is the one that is wanted.

mod address;
mod ask;
mod body;
mod client;
mod download;
mod failure;
mod headers;
mod moved;
mod retry;
mod run;

use kiln_image::{Algorithm, Digest};

use crate::{
    Authorization, Error, ErrorKind, Fetcher, Source, Watch,
    fetcher::{LABEL, Label},
    slot::{self, Slot},
};
use address::Address;
pub(crate) use address::decoded;
use ask::{Answer, Asking};
pub use download::Download;
pub(crate) use moved::moved;

/// A file that is asked for.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// `http://` or `https://`. A user and password in it are shown to its host alone.
    pub url: String,
    /// What the content has to be: a sha256.
    pub checksum: Option<Digest>,
    /// What its host is shown; wins over a user in the URL.
    pub authorization: Option<Authorization>,
    /// Have it sent again even if it is the same. A copy that a checksum asks for is taken all the
    /// same.
    pub fresh: bool,
}

impl HttpRequest {
    /// The file at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            checksum: None,
            authorization: None,
            fresh: false,
        }
    }
}

impl Fetcher {
    /// Fetches a file, or finds that the kept one is still what is there. With a checksum, a kept file
    /// that has it is given without asking anybody.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for what is no HTTP address,
    /// [`Unsupported`](ErrorKind::Unsupported) for a checksum that is no sha256,
    /// [`Mismatch`](ErrorKind::Mismatch) when the content has another, and all that a network does.
    pub fn http(&self, request: &HttpRequest, watch: &Watch<'_>) -> Result<Download, Error> {
        let wanted = request.checksum;
        if let Some(sum) = wanted
            && sum.algorithm() != Algorithm::Sha256
        {
            let what = format!("a checksum by {}", sum.algorithm().name());
            return Err(Error::new(ErrorKind::Unsupported, what).hint("give the sha256"));
        }
        let mut address = Address::parse(&request.url)?;
        if request.authorization.is_some() {
            address.authorization.clone_from(&request.authorization);
        }
        let slot = Slot::take(&self.of(Source::Http), address.url.as_str(), watch)?;
        let kept = Download::kept(&slot)?;
        if let (Some(kept), Some(sum)) = (&kept, wanted)
            && kept.digest() == sum
        {
            self.used(&slot, &address)?;
            return Ok(kept.clone());
        }
        let asking = Asking {
            options: &self.options,
            address: &address,
            slot: &slot,
            // A copy that is not the wanted one is no reason to send nothing.
            kept: match request.fresh || wanted.is_some() {
                true => None,
                false => kept.as_ref(),
            },
            wanted,
            watch,
        };
        let answer = run::block_on(ask::ask(asking)).and_then(|answer| answer);
        let answer = answer.map_err(|e| match (e.kind(), &kept) {
            (ErrorKind::Unreachable, Some(_)) if wanted.is_none() => e.hint(
                "an earlier copy is kept, and is not used unseen: `--checksum` with its sha256 would",
            ),
            _ => e,
        })?;
        self.used(&slot, &address)?;
        match (answer, kept) {
            (Answer::Same(now), Some(kept)) => kept.refreshed(&slot, now),
            (Answer::Same(_), None) => Err(Error::new(
                ErrorKind::Mismatch,
                format!("`{address}`: the answer is 304, and nothing was kept"),
            )),
            (Answer::New(note), _) => Download::keep(&slot, *note),
        }
    }

    fn used(&self, slot: &Slot, address: &Address) -> Result<(), Error> {
        let label = Label {
            from: address.to_string(),
            used: slot::now(),
        };
        slot.write(LABEL, &label)
    }
}
