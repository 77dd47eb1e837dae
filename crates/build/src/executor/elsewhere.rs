//! What builds fetch from elsewhere, and keep: in the store, but of no concern to it. How a fetch is told
//! of while it goes on; and when what is elsewhere was made, for `SOURCE_DATE_EPOCH`.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use kiln_fetch::{Download, Fetcher, Progress, Watch};
use kiln_frontend::Epoch;
use kiln_graph::{Cancel, Op};
use kiln_store::Store;

use crate::{
    Builder, Error, ErrorKind, Event, Fetching, FilesContext, Place, Request,
    context::{access::Access, scratch},
};

/// How often it is told how far a fetch is.
const TOLD: Duration = Duration::from_millis(100);

type On<'a> = &'a (dyn Fn(Event<'_>) + Sync);

impl Builder {
    /// Who fetches for builds: what is kept can be listed and removed, and other things fetched.
    ///
    /// # Errors
    /// When there is something else in the place of its folder.
    pub fn fetcher(&self) -> Result<Fetcher, Error> {
        fetcher(self.store())
    }

    /// The options where a time stands in the place of the stage that `SOURCE_DATE_EPOCH` names. `known` are
    /// the times that were found out for other platforms.
    pub(crate) fn with_time(
        &self,
        file: &kiln_parser::Dockerfile<'_>,
        options: kiln_frontend::Options,
        request: &Request,
        known: &mut Vec<(Op, Option<i64>)>,
        (cancel, on): (&Cancel, On<'_>),
    ) -> Result<kiln_frontend::Options, Error> {
        let epoch = kiln_frontend::epoch(file, &options);
        let epoch = epoch.map_err(|found| {
            Error::dockerfile(found.iter().map(crate::job::lowering::finding).collect())
        })?;
        let Epoch::Of { op, span } = epoch else {
            return Ok(options);
        };
        if let Some((_, time)) = known.iter().find(|(of, _)| *of == *op) {
            return Ok(options.with_epoch(*time));
        }
        let what = format!("[internal] time of {}", shown(&op));
        let time = told(&what, cancel, on, |watch| self.time(&op, request, watch));
        let place = Place {
            start: span.start,
            end: span.end,
        };
        let time = time.map_err(|e| match e.kind() {
            ErrorKind::Canceled => e,
            _ => e.at(Some(place)),
        })?;
        known.push((*op, time));
        Ok(options.with_epoch(time))
    }

    /// When what is elsewhere was made, where it says.
    fn time(&self, op: &Op, request: &Request, watch: &Watch<'_>) -> Result<Option<i64>, Error> {
        let lease = self.store().begin()?;
        let access = Access {
            run: &request.run,
            lease: &lease,
            fresh: request.settings.no_cache,
        };
        match op {
            Op::Git(git) => {
                let agent = access.agent(git)?;
                let asked = access.git(git, agent.as_ref())?;
                Ok(Some(self.fetcher()?.git(&asked, watch)?.time()))
            }
            Op::Http(http) => {
                let download = self.fetcher()?.http(&access.http(http)?, watch)?;
                changed(&download, || scratch(&lease))
            }
            op => {
                let what = format!("the time of `{op}`");
                Err(Error::new(ErrorKind::Unsupported, what))
            }
        }
    }
}

/// When a file was changed: as the other side says, else when the newest file of the archive was that it
/// is.
fn changed(
    download: &Download,
    scratch: impl FnOnce() -> Result<std::fs::File, Error>,
) -> Result<Option<i64>, Error> {
    if let Some(time) = download.last_modified() {
        return Ok(Some(time));
    }
    let archive = FilesContext::archive(download.reader(), scratch()?, "the archive");
    // What is no archive, or a broken one, has no time of its own.
    Ok(archive.ok().flatten().and_then(|files| files.newest()))
}

/// Who fetches for this store.
pub(crate) fn fetcher(store: &Store) -> Result<Fetcher, Error> {
    let options = kiln_fetch::Options {
        user_agent: concat!("kiln/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..kiln_fetch::Options::default()
    };
    Ok(Fetcher::open(&store.root().join("fetch"))?.with(options))
}

/// Does what fetches, and tells of it under a name, until it is canceled.
pub(crate) fn told<T>(
    what: &str,
    cancel: &Cancel,
    on: On<'_>,
    work: impl FnOnce(&Watch<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let tell = |state| on(Event::Fetching { what, state });
    let last = Mutex::new(Instant::now());
    let progress = |Progress { done, total }| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() > TOLD {
            *last = Instant::now();
            tell(Fetching::Bytes { done, total });
        }
    };
    let canceled = || cancel.is_canceled();
    tell(Fetching::Started);
    let done = work(&Watch {
        progress: &progress,
        canceled: &canceled,
    });
    tell(match &done {
        Ok(_) => Fetching::Done,
        Err(e) if e.kind() == ErrorKind::Canceled => Fetching::Canceled,
        Err(_) => Fetching::Failed,
    });
    done
}

/// What an operation fetches, for people: without passwords.
pub(crate) fn shown(op: &Op) -> String {
    let text = match op {
        Op::Http(http) => http.url.clone(),
        Op::Git(git) if git.reference.is_empty() => git.remote.clone(),
        Op::Git(git) => format!("{}#{}", git.remote, git.reference),
        op => op.to_string(),
    };
    kiln_frontend::without_passwords(&text)
}
