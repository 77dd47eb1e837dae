//! The body of an upload: chunks that one thread reads from a blob and the runtime sends. Bounded,
//! and watched: a registry that takes nothing and says nothing is given up on.

use std::{
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use reqwest::{RequestBuilder, Response, Url};
use tokio::{sync::mpsc, time::timeout};

use crate::{failure::Failure, transport::SILENCE};

/// How many chunks may wait to be sent.
const AHEAD: usize = 8;
/// How long a registry may think once it has everything: some copy the blob to its place then.
const THINKING: Duration = Duration::from_secs(600);

/// What the request's side tells about its body.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// How long the body is.
    total: u64,
    /// How many bytes have been taken.
    moved: AtomicU64,
    /// Whether the request waits for us, not for the registry.
    starved: AtomicBool,
}

/// The body of a request, fed by the thread that reads the blob.
pub(crate) struct Feed {
    chunks: mpsc::Receiver<Bytes>,
    left: u64,
    flow: Arc<Flow>,
}

impl Body for Feed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let polled = self.chunks.poll_recv(context);
        self.flow
            .starved
            .store(polled.is_pending(), Ordering::Relaxed);
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(chunk)) => {
                self.left = self.left.saturating_sub(chunk.len() as u64);
                self.flow
                    .moved
                    .fetch_add(chunk.len() as u64, Ordering::Relaxed);
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
            Poll::Ready(None) if self.left == 0 => Poll::Ready(None),
            // The reader gave up: the request must not end as if it were whole.
            Poll::Ready(None) => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A body of exactly `total` bytes, and the end at which they go in.
pub(crate) fn channel(total: u64) -> (mpsc::Sender<Bytes>, Feed, Arc<Flow>) {
    let flow = Arc::new(Flow {
        total,
        ..Flow::default()
    });
    let (tx, chunks) = mpsc::channel(AHEAD);
    let feed = Feed {
        chunks,
        left: total,
        flow: flow.clone(),
    };
    (tx, feed, flow)
}

/// Sends a request, and gives up when the registry takes nothing and says nothing for too long.
/// Time in which it waits for our bytes does not count.
pub(crate) async fn watched(
    request: RequestBuilder,
    flow: &Flow,
    url: &Url,
) -> Result<Response, Failure> {
    const TICK: Duration = Duration::from_secs(5);
    let mut sending = pin!(request.send());
    let (mut before, mut idle) = (0, Duration::ZERO);
    loop {
        match timeout(TICK, sending.as_mut()).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(e)) => return Err(Failure::connection(e, url)),
            Err(_) => idle += TICK,
        }
        let moved = flow.moved.load(Ordering::Relaxed);
        if moved != before || (moved < flow.total && flow.starved.load(Ordering::Relaxed)) {
            (before, idle) = (moved, Duration::ZERO);
        }
        let limit = if moved == flow.total {
            THINKING
        } else {
            SILENCE
        };
        if idle >= limit {
            return Err(Failure::silent(idle.as_secs(), url));
        }
    }
}
