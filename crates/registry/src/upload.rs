//! The bytes of one blob on their way up. First in one PUT, the fastest way; after a break in
//! pieces, from where the registry says it has got to. Bounded memory: a piece is a stream, not a
//! buffer. Refuses to end an upload whose bytes do not have the digest and size that were announced.

use std::{
    io::{self, Read, Write},
    sync::Arc,
    thread,
};

use bytes::Bytes;
use kiln_image::{Algorithm, Descriptor, Digest, Error, ErrorKind, HashingWriter, Open, Taken};
use reqwest::{
    Method, Url,
    header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue},
};
use tokio::sync::mpsc;

use crate::{
    Endpoint, Remote,
    auth::Scope,
    failure::{Failure, Retry},
    feed,
    push::{self, Begun, next_location, with_digest},
    retry::Patience,
    transport::{Ask, Shared},
    worker::{Worker, outside_runtimes},
};

/// How many bytes are read and handed over at once.
const CHUNK: usize = 128 << 10;
/// How long a piece is after a break. Some registries want at least 5 MiB, some proxies let no
/// more than 100 MB pass.
const PIECE: u64 = 32 << 20;
/// After so many bytes a broken connection is bad luck, not a sign.
const PROGRESS: u64 = 256 << 10;
/// How many neighbours are asked for a blob.
const NEIGHBOURS: usize = 3;

/// One blob on its way to one repository.
pub(crate) struct Upload {
    worker: Arc<Worker>,
    shared: Arc<Shared>,
    endpoint: Endpoint,
    scope: Scope,
    digest: Digest,
    size: u64,
}

/// How far the bytes have got.
struct State {
    session: Option<Url>,
    /// What the registry has of them.
    there: u64,
    /// Whether a try has failed: then in pieces.
    broken: bool,
    check: Check,
}

/// What has been read so far. Bytes that are read again in a later try are not hashed again.
struct Check {
    seen: u64,
    /// Gone once all bytes have been seen and verified.
    hash: Option<HashingWriter<io::Sink>>,
}

impl Upload {
    pub(crate) fn new(remote: &Remote, blob: &Descriptor) -> Result<Self, Error> {
        if blob.digest.algorithm() != Algorithm::Sha256 {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("registries do not know the digest of `{}`", blob.digest),
            ));
        }
        outside_runtimes()?;
        Ok(Self {
            worker: remote.client().worker()?,
            shared: remote.client().shared(),
            endpoint: remote.pushes()?,
            scope: Scope::push(remote.repository()),
            digest: blob.digest,
            size: blob.size,
        })
    }

    /// Sees to it that the blob is there.
    pub(crate) fn run(
        &self,
        open: Open<'_>,
        neighbours: Vec<String>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Taken, Error> {
        if self.has().map_err(Failure::into_error)? {
            return Ok(Taken::Existed);
        }
        let session = match self.mount(neighbours)? {
            Begun::Mounted => return Ok(Taken::Mounted),
            Begun::Session(session) => session,
        };
        let mut state = State {
            session: Some(session),
            there: 0,
            broken: false,
            check: Check {
                seen: 0,
                hash: Some(HashingWriter::new(io::sink())),
            },
        };
        let mut patience = Patience::new(self.shared.options.tries);
        loop {
            let before = state.there;
            let failure = match self.carry(&mut state, open, progress) {
                Ok(()) => return Ok(Taken::Copied),
                Err(failure) => failure,
            };
            let failure = match state.worth_another(failure) {
                Ok(failure) => failure,
                Err(end) => return Err(end.into_error()),
            };
            let Some(wait) = patience.after(&failure) else {
                return Err(failure.after(patience.failed()).into_error());
            };
            thread::sleep(wait);
            // The answer to the last byte may be all that was lost.
            if self.has().map_err(Failure::into_error)? {
                return Ok(Taken::Copied);
            }
            self.look_again(&mut state)?;
            if state.there >= before + PROGRESS {
                patience.refresh();
            }
        }
    }

    fn has(&self) -> Result<bool, Failure> {
        let (shared, endpoint) = (self.shared.clone(), self.endpoint.clone());
        let (scope, digest) = (self.scope.clone(), self.digest);
        self.worker
            .run(async move { push::has(&shared, &endpoint, &scope, digest).await })?
    }

    /// Asks the neighbours; begins an upload where none of them gives the blob.
    fn mount(&self, neighbours: Vec<String>) -> Result<Begun, Error> {
        let (shared, endpoint) = (self.shared.clone(), self.endpoint.clone());
        let (scope, digest) = (self.scope.clone(), self.digest);
        let work = async move {
            let mut session = None;
            for from in neighbours.iter().take(NEIGHBOURS) {
                let mount = Some((digest, from.as_str()));
                // A neighbour that may not be asked is no reason to fail.
                match push::begin(&shared, &endpoint, scope.repository(), mount).await {
                    Ok(Begun::Mounted) => {
                        if let Some(unused) = session {
                            push::cancel(&shared, &endpoint, &scope, unused).await;
                        }
                        return Ok(Begun::Mounted);
                    }
                    Ok(Begun::Session(new)) => {
                        if let Some(unused) = session.replace(new) {
                            push::cancel(&shared, &endpoint, &scope, unused).await;
                        }
                    }
                    Err(_) => {}
                }
            }
            match session {
                Some(session) => Ok(Begun::Session(session)),
                None => push::begin(&shared, &endpoint, scope.repository(), None).await,
            }
        };
        self.worker.run(work)?.map_err(Failure::into_error)
    }

    /// After a break: where to go on from. A session that is no more is begun anew.
    fn look_again(&self, state: &mut State) -> Result<(), Error> {
        let (shared, endpoint, scope) = (
            self.shared.clone(),
            self.endpoint.clone(),
            self.scope.clone(),
        );
        let old = state.session.take();
        let work = async move {
            if let Some(old) = old
                && let Ok(found) = push::reached(&shared, &endpoint, &scope, &old).await
            {
                return Ok(found);
            }
            match push::begin(&shared, &endpoint, scope.repository(), None).await? {
                Begun::Session(new) => Ok((new, 0)),
                Begun::Mounted => Err(Failure::new(ErrorKind::Invalid, "nothing was mounted")),
            }
        };
        let (session, there) = self.worker.run(work)?.map_err(Failure::into_error)?;
        state.session = Some(session);
        // More than has been sent cannot be ours.
        match there <= state.check.seen {
            true => state.there = there,
            false => (state.there, state.session) = (0, None),
        }
        if state.session.is_none() {
            return self.look_again(state);
        }
        Ok(())
    }

    /// Carries over what is missing, in one PUT or in pieces.
    fn carry(
        &self,
        state: &mut State,
        open: Open<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Failure> {
        let gone = || Failure::new(ErrorKind::Invalid, "there is no upload to go on with");
        if !state.broken && state.there == 0 {
            let session = state.session.clone().ok_or_else(gone)?;
            let ask = Ask::new(Method::PUT, with_digest(&session, self.digest));
            self.piece(ask, (0, self.size), state, open, progress)?;
            return Ok(());
        }
        while state.there < self.size {
            let session = state.session.clone().ok_or_else(gone)?;
            let to = self.size.min(state.there + PIECE);
            let range = format!("{}-{}", state.there, to - 1);
            let range = HeaderValue::try_from(range).expect("digits and a dash");
            let ask = Ask::new(Method::PATCH, session).header(CONTENT_RANGE, range);
            let next = self.piece(ask, (state.there, to), state, open, progress)?;
            state.session = next.or(state.session.take());
            state.there = to;
        }
        let session = state.session.clone().ok_or_else(gone)?;
        let (shared, endpoint) = (self.shared.clone(), self.endpoint.clone());
        let (scope, digest) = (self.scope.clone(), self.digest);
        self.worker
            .run(async move { push::finish(&shared, &endpoint, &scope, &session, digest).await })?
    }

    /// Sends the bytes of one range; answers with where the upload goes on.
    fn piece(
        &self,
        ask: Ask,
        (from, to): (u64, u64),
        state: &mut State,
        open: Open<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Option<Url>, Failure> {
        let mut reader = open(from).map_err(Error::from)?;
        let ask = ask.header(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        let (tx, body, flow) = feed::channel(to - from);
        let body = reqwest::Body::wrap(body);
        let (shared, endpoint, scope) = (
            self.shared.clone(),
            self.endpoint.clone(),
            self.scope.clone(),
        );
        let answer = self
            .worker
            .begin(async move { shared.stream(&endpoint, &scope, &ask, body, &flow).await });
        let fed = self.feed(&mut *reader, (from, to), &tx, &mut state.check, progress);
        drop(tx);
        let answer = answer.wait()?;
        // What is wrong with the bytes explains why the request failed, not the other way round.
        fed?;
        Ok(next_location(&answer?))
    }

    /// Reads a range and hands it over. The last bytes of the blob go only once all are verified.
    fn feed(
        &self,
        reader: &mut dyn Read,
        (from, to): (u64, u64),
        tx: &mpsc::Sender<Bytes>,
        check: &mut Check,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        let mut at = from;
        while at < to {
            let most = usize::try_from(to - at).unwrap_or(CHUNK).min(CHUNK);
            let chunk = read_up_to(reader, most)?;
            if chunk.is_empty() {
                return Err(self.mismatch(&format!("got {at} bytes of {}", self.size)));
            }
            check.see(at, &chunk)?;
            at += chunk.len() as u64;
            if at == self.size {
                self.verify(reader, check)?;
            }
            if tx.blocking_send(chunk.into()).is_err() {
                // The request has ended before its body: its answer says why.
                return Ok(());
            }
            progress(at);
        }
        Ok(())
    }

    /// At the end of the blob, before its last bytes are handed over.
    fn verify(&self, reader: &mut dyn Read, check: &mut Check) -> Result<(), Error> {
        if !read_up_to(reader, 1)?.is_empty() {
            return Err(self.mismatch(&format!("more than the {} bytes announced", self.size)));
        }
        match check.hash.take().map(HashingWriter::finish) {
            Some((_, found, len)) if found != self.digest => {
                Err(self.mismatch(&format!("the {len} bytes have the digest {found}")))
            }
            _ => Ok(()),
        }
    }

    fn mismatch(&self, why: &str) -> Error {
        Error::new(
            ErrorKind::Mismatch,
            format!("blob `{}`: {why}", self.digest),
        )
    }
}

impl Check {
    fn see(&mut self, at: u64, chunk: &[u8]) -> io::Result<()> {
        let known = usize::try_from(self.seen.saturating_sub(at)).unwrap_or(usize::MAX);
        if let (Some(hash), Some(new)) = (&mut self.hash, chunk.get(known..)) {
            hash.write_all(new)?;
        }
        self.seen = self.seen.max(at + chunk.len() as u64);
        Ok(())
    }
}

impl State {
    /// Turns failures around that another way may avoid: a body too large for one piece, an offset
    /// that the registry sees differently, bytes that were mixed up on the way.
    fn worth_another(&mut self, failure: Failure) -> Result<Failure, Failure> {
        let first = !self.broken;
        self.broken = true;
        let resumed = self.there > 0;
        match failure.status.map(|s| s.as_u16()) {
            Some(413) if first => Ok(failure.retry(Retry::Soon)),
            Some(404 | 416) => Ok(failure.retry(Retry::Soon)),
            Some(400) if resumed => {
                self.session = None;
                Ok(failure.retry(Retry::Once))
            }
            _ if failure.retry == Retry::No => Err(failure),
            _ => Ok(failure),
        }
    }
}

fn read_up_to(reader: &mut dyn Read, most: usize) -> io::Result<Vec<u8>> {
    let mut chunk = Vec::with_capacity(most);
    reader.take(most as u64).read_to_end(&mut chunk)?;
    Ok(chunk)
}
