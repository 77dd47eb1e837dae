//! A blob as a stream that goes on from where it broke, by ranges where the registry knows them.
//! Bounded: what is not read waits in the network. Not verified here: whoever takes a blob does that.

use std::{
    io::{self, Read},
    sync::Arc,
};

use bytes::{Buf, Bytes};
use kiln_image::{Descriptor, Error, ErrorKind};
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_RANGE, HeaderMap, HeaderValue, RANGE},
};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    Endpoint,
    auth::Scope,
    failure::{Failure, Retry},
    retry::Patience,
    transport::{Ask, SILENCE, Shared, spoken_chunk},
    worker::{Worker, outside_runtimes},
};

/// How many chunks of a blob may wait to be read. A chunk is what came in one read: at most some
/// 400 KiB.
const AHEAD: usize = 8;
/// After so many bytes a broken connection is bad luck, not a sign.
const PROGRESS: u64 = 1 << 20;

/// A blob that has begun to come.
#[derive(Debug)]
pub(crate) struct Opened {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    repository: String,
    blob: Descriptor,
    /// Where the next byte to hand out lies in the blob.
    at: u64,
    /// The answer, and how many of its bytes come before that.
    answer: Option<(Response, u64)>,
}

/// Opens a blob at an offset, and waits until the registry has said yes.
pub(crate) async fn open(
    shared: Arc<Shared>,
    endpoint: Endpoint,
    repository: String,
    blob: Descriptor,
    from: u64,
) -> Result<Opened, Error> {
    let mut opened = Opened {
        shared,
        endpoint,
        repository,
        blob,
        at: from,
        answer: None,
    };
    if opened.at < opened.blob.size {
        opened.answer = Some(opened.ask().await.map_err(Failure::into_error)?);
    }
    Ok(opened)
}

impl Opened {
    /// Asks for what is missing.
    async fn ask(&self) -> Result<(Response, u64), Failure> {
        let rest = format!("blobs/{}", self.blob.digest);
        let mut ask = Ask::new(Method::GET, self.endpoint.at(&self.repository, &rest));
        if self.at > 0 {
            let range = format!("bytes={}-{}", self.at, self.blob.size.saturating_sub(1));
            let range = HeaderValue::try_from(range).expect("digits, a dash and an equals sign");
            ask = ask.header(RANGE, range);
        }
        let scope = Scope::pull(&self.repository);
        let response = self.shared.send(&self.endpoint, &scope, &ask).await?;
        let begins = match response.status() {
            StatusCode::PARTIAL_CONTENT => range_start(response.headers()).unwrap_or(self.at),
            // The range was not understood: the blob comes from its beginning.
            _ => 0,
        };
        match self.at.checked_sub(begins) {
            Some(skip) => Ok((response, skip)),
            None => {
                let why = format!("asked for bytes from {} on, got {begins}", self.at);
                Err(Failure::new(ErrorKind::Mismatch, why).at(response.url()))
            }
        }
    }

    /// Sends the blob on, going on after each break; ends when nobody reads any more.
    async fn pump(mut self, tx: mpsc::Sender<Result<Bytes, Error>>) {
        let mut patience = Patience::new(self.shared.options.tries);
        let mut mark = self.at;
        while self.at < self.blob.size {
            let answer = match self.answer.take() {
                Some(answer) => Ok(answer),
                None => self.ask().await,
            };
            let failure = match answer {
                Ok((response, skip)) => match self.drain(response, skip, &tx).await {
                    Ok(Reader::Gone) => return,
                    Ok(Reader::There) => continue,
                    Err(failure) => failure,
                },
                // It was tried again as often as it should be.
                Err(failure) => {
                    let _ = tx.send(Err(failure.into_error())).await;
                    return;
                }
            };
            if self.at - mark >= PROGRESS {
                mark = self.at;
                patience.refresh();
            }
            let Some(wait) = patience.after(&failure) else {
                let e = failure.after(patience.failed()).into_error();
                // Nobody may be there to hear it.
                let _ = tx.send(Err(e)).await;
                return;
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Sends one answer on, to its end.
    async fn drain(
        &mut self,
        mut response: Response,
        mut skip: u64,
        tx: &mpsc::Sender<Result<Bytes, Error>>,
    ) -> Result<Reader, Failure> {
        let url = response.url().clone();
        loop {
            let Some(mut chunk) = spoken_chunk(timeout(SILENCE, response.chunk()).await, &url)?
            else {
                break;
            };
            let skipped = skip.min(chunk.len() as u64);
            skip -= skipped;
            chunk.advance(usize::try_from(skipped).unwrap_or(usize::MAX));
            if chunk.is_empty() {
                continue;
            }
            self.at += chunk.len() as u64;
            if self.at > self.blob.size {
                let why = format!(
                    "blob `{}` should be {} bytes long, and is longer",
                    self.blob.digest, self.blob.size
                );
                return Err(Failure::new(ErrorKind::Mismatch, why).at(&url));
            }
            if tx.send(Ok(chunk)).await.is_err() {
                return Ok(Reader::Gone);
            }
        }
        if self.at < self.blob.size {
            let why = format!(
                "blob `{}` ended after {} bytes of {}",
                self.blob.digest, self.at, self.blob.size
            );
            return Err(Failure::new(ErrorKind::Mismatch, why)
                .retry(Retry::Soon)
                .at(&url));
        }
        Ok(Reader::There)
    }
}

enum Reader {
    There,
    Gone,
}

/// `Content-Range: bytes START-…`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let range = value.trim().strip_prefix("bytes")?.trim_start();
    range.split('-').next()?.trim().parse().ok()
}

/// The end of a pump that is read. Dropping it ends the download.
pub(crate) struct Stream {
    /// The runtime lives as long as somebody reads.
    _worker: Arc<Worker>,
    chunks: mpsc::Receiver<Result<Bytes, Error>>,
    current: Bytes,
}

impl Stream {
    pub(crate) fn start(worker: Arc<Worker>, opened: Opened) -> Self {
        let (tx, chunks) = mpsc::channel(AHEAD);
        worker.spawn(opened.pump(tx));
        Self {
            _worker: worker,
            chunks,
            current: Bytes::new(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if self.current.is_empty() {
            outside_runtimes()?;
            match self.chunks.blocking_recv() {
                None => return Ok(0),
                Some(Err(e)) => return Err(e.into()),
                Some(Ok(chunk)) => self.current = chunk,
            }
        }
        let n = buf.len().min(self.current.len());
        self.current.copy_to_slice(&mut buf[..n]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_say_where_they_begin() {
        for (text, expected) in [
            ("bytes 12-99/100", Some(12)),
            ("bytes 0-0/*", Some(0)),
            ("items 1-2", None),
        ] {
            let mut map = HeaderMap::new();
            map.insert(CONTENT_RANGE, HeaderValue::from_static(text));
            assert_eq!(range_start(&map), expected, "{text}");
        }
    }
}
