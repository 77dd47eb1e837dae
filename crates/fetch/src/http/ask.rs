//! One file asked for, until it is here or patience ends: conditional, gone on with, redirected. Refuses
//! answers that contradict themselves.

use std::{future::Future, time::Duration};

use kiln_image::Digest;
use reqwest::{
    Response, StatusCode, Url,
    header::{
        ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
        LOCATION, RANGE,
    },
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    address::{self, Address},
    body::Part,
    client::client,
    download::{Download, Note},
    failure::Failure,
    headers::{self, Validators},
    retry::{Patience, Retry},
};
use crate::{
    Error, ErrorKind, Options, Progress, Watch,
    slot::{self, Slot},
};

/// How long to wait for the other side to say anything.
const SILENCE: Duration = Duration::from_secs(60);
/// How often it is looked at whether the caller has cancelled.
const TICK: Duration = Duration::from_millis(100);
pub(super) const REDIRECTS: usize = 10;

/// What is asked for, and what is here already.
pub(super) struct Asking<'a> {
    pub(super) options: &'a Options,
    pub(super) address: &'a Address,
    pub(super) slot: &'a Slot,
    /// What need not be sent again.
    pub(super) kept: Option<&'a Download>,
    pub(super) wanted: Option<Digest>,
    pub(super) watch: &'a Watch<'a>,
}

/// How it ended.
pub(super) enum Answer {
    /// The kept one is still what is there; its validators may be others.
    Same(Validators),
    /// The file lies where parts lie, whole.
    New(Box<Note>),
}

/// What one try came to.
enum Tried {
    Same(Validators),
    Whole(HeaderMap, Url),
}

pub(super) async fn ask(asking: Asking<'_>) -> Result<Answer, Error> {
    let mut patience = Patience::new(asking.options.tries);
    let mut part = Part::open(asking.slot)?;
    loop {
        let before = part.len();
        let failure = match asking.once(&mut part).await {
            Ok(Tried::Same(validators)) => {
                part.discard()?;
                return Ok(Answer::Same(validators));
            }
            Ok(Tried::Whole(headers, url)) => return asking.finish(part, &headers, &url),
            Err(failure) => failure,
        };
        let came = part.len().saturating_sub(before);
        let Some(wait) = patience.after(failure.retry, came) else {
            // What may be gone on with another time stays, unless it is in the way.
            if part.resumable().is_none() || failure.error.kind() == ErrorKind::Full {
                part.discard()?;
            }
            return Err(failure.error);
        };
        let until = Instant::now() + wait;
        while Instant::now() < until {
            asking.watch.check()?;
            sleep(TICK.min(until - Instant::now())).await;
        }
    }
}

impl Asking<'_> {
    /// Asks once, wherever that leads, and reads what comes.
    async fn once(&self, part: &mut Part<'_>) -> Result<Tried, Failure> {
        let response = self.answer(part).await?;
        let validators = Validators::of(response.headers());
        let url = response.url().clone();
        let wrong = |why: &str| Failure::new(ErrorKind::Mismatch, &url, why);
        match response.status() {
            StatusCode::NOT_MODIFIED if self.kept.is_some() => return Ok(Tried::Same(validators)),
            StatusCode::NOT_MODIFIED => {
                return Err(wrong("the answer is 304, which nobody asked for"));
            }
            StatusCode::PARTIAL_CONTENT => {
                let here = part.resumable().map(|(here, _)| here);
                let fits = headers::range(response.headers());
                if here.is_none() || fits.map(|(first, _)| first) != here {
                    part.begin(&Validators::default())?;
                    return Err(wrong("a part came that was not asked for").retry(Retry::Soon));
                }
            }
            StatusCode::RANGE_NOT_SATISFIABLE if part.resumable().is_some() => {
                part.begin(&Validators::default())?;
                return Err(wrong("the rest is refused").retry(Retry::Soon));
            }
            StatusCode::OK => part.begin(&validators)?,
            _ => return Err(Failure::answer(&response)),
        }
        let headers = response.headers().clone();
        self.body(response, part).await?;
        Ok(Tried::Whole(headers, url))
    }

    /// The answer of whom redirects lead to.
    async fn answer(&self, part: &Part<'_>) -> Result<Response, Failure> {
        let mut url = self.address.url.clone();
        for _ in 0..=REDIRECTS {
            let response = self.send(&url, part).await?;
            let status = response.status();
            let location = headers::text(response.headers(), &LOCATION);
            match location {
                Some(to) if status.is_redirection() && status != StatusCode::NOT_MODIFIED => {
                    url = address::redirected(&url, &to)?;
                }
                _ => return Ok(response),
            }
        }
        let why = format!("more than {REDIRECTS} redirects");
        Err(Failure::new(ErrorKind::Refused, &self.address.url, why))
    }

    async fn send(&self, url: &Url, part: &Part<'_>) -> Result<Response, Failure> {
        let client = client(self.options, url)?;
        let mut request = client.get(url.clone()).header(ACCEPT_ENCODING, "identity");
        if address::is_same_origin(url, &self.address.url)
            && let Some(authorization) = &self.address.authorization
        {
            request = request.header(AUTHORIZATION, authorization.reveal());
        }
        if let Some(known) = self.kept.map(Download::validators) {
            if let Some(tag) = &known.etag {
                request = request.header(IF_NONE_MATCH, tag);
            }
            if let Some(date) = &known.last_modified {
                request = request.header(IF_MODIFIED_SINCE, date);
            }
        }
        if let Some((here, strong)) = part.resumable() {
            request = request.header(RANGE, format!("bytes={here}-"));
            request = request.header(IF_RANGE, strong);
        }
        let sent = waited(self.watch, request.send(), url).await?;
        sent.map_err(|e| Failure::connection(e, url))
    }

    async fn body(&self, mut response: Response, part: &mut Part<'_>) -> Result<(), Failure> {
        let url = response.url().clone();
        let limit = self.options.limits.file;
        let too_long = || {
            let why = format!("longer than {limit} bytes");
            Failure::new(ErrorKind::Refused, &url, why)
        };
        let length = headers::length(response.headers());
        let total = length.map(|length| part.len().saturating_add(length));
        if total.is_some_and(|total| total > limit) {
            part.begin(&Validators::default())?;
            return Err(too_long());
        }
        loop {
            let chunk = waited(self.watch, response.chunk(), &url).await?;
            let chunk = chunk.map_err(|e| Failure::connection(e, &url))?;
            let Some(chunk) = chunk else {
                return Ok(());
            };
            if part.len() + chunk.len() as u64 > limit {
                part.begin(&Validators::default())?;
                return Err(too_long());
            }
            part.write(&chunk)?;
            let done = part.len();
            (self.watch.progress)(Progress { done, total });
        }
    }

    /// The file is here: whether it is the one that is wanted.
    fn finish(&self, part: Part<'_>, headers: &HeaderMap, url: &Url) -> Result<Answer, Error> {
        let whole = headers::range(headers).and_then(|(_, whole)| whole);
        if let Some(whole) = whole.filter(|whole| *whole != part.len()) {
            let here = part.len();
            part.discard()?;
            let why = format!("{here} bytes came of {whole}");
            return Err(Failure::new(ErrorKind::Mismatch, url, why).error);
        }
        let hashes = part.finish()?;
        let size = hashes.len;
        let (sha256, blake3) = hashes.finish();
        if let Some(wanted) = self.wanted.filter(|wanted| *wanted != sha256) {
            self.slot.remove(super::body::PART)?;
            let what = format!("`{}` is {sha256}, not {wanted}", self.address);
            return Err(Error::new(ErrorKind::Mismatch, what)
                .hint("if the file was meant to change, its checksum has to change too"));
        }
        Ok(Answer::New(Box::new(Note {
            sha256,
            blake3,
            size,
            validators: Validators::of(headers),
            name: headers::name(headers)
                .or_else(|| headers::as_name(&address::decoded(url.path()))),
            content_type: headers::content_type(headers),
            boot: slot::boot(),
        })))
    }
}

/// Waits for `work`, not too long, and not after the caller has cancelled.
pub(super) async fn waited<T>(
    watch: &Watch<'_>,
    work: impl Future<Output = T>,
    url: &Url,
) -> Result<T, Failure> {
    let mut work = Box::pin(work);
    let until = Instant::now() + SILENCE;
    loop {
        watch.check()?;
        if let Ok(done) = timeout(TICK, &mut work).await {
            return Ok(done);
        }
        if Instant::now() > until {
            let why = format!("no answer for {} s", SILENCE.as_secs());
            return Err(Failure::new(ErrorKind::Unreachable, url, why).retry(Retry::Soon));
        }
    }
}
