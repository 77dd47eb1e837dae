//! What the parts of a monitor share: the log, who is attached, who waits, and what can be done to
//! the process while it runs.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use kiln_sandbox::Signaller;

use super::client::{Client, Patience, frame_of};
use crate::attach::{Attach, Size};
use crate::frame::{Ending, Frame, Kind};
use crate::logs::{LogStream, LogWriter};
use crate::{Stdin, time};

/// What the parts share.
pub(crate) struct Hub {
    log: Mutex<LogWriter>,
    /// Held while something is written down and handed out, so that all get it in one order.
    order: Mutex<()>,
    clients: Mutex<Vec<Arc<Client>>>,
    writers: Mutex<Vec<JoinHandle<()>>>,
    waiters: Mutex<Waiters>,
    run: Mutex<Run>,
    stdin: Stdin,
    /// The process has ended; what it left in its pipes is still handed out.
    ending: AtomicBool,
    /// What was asked for by signals.
    asked: Mutex<Ending>,
    woken: Condvar,
    /// The first failure of the log.
    lost: Mutex<Option<io::Error>>,
}

/// Those who wait for the end, or the end.
enum Waiters {
    Waiting(Vec<Arc<UnixStream>>),
    Ended(i32),
}

/// What there is while the process runs.
#[derive(Default)]
pub(crate) struct Run {
    pub(crate) signaller: Option<Signaller>,
    pub(crate) input: Option<Arc<File>>,
    pub(crate) terminal: Option<File>,
}

impl Hub {
    pub(crate) fn new(log: LogWriter, stdin: Stdin) -> Self {
        Self {
            log: Mutex::new(log),
            order: Mutex::new(()),
            clients: Mutex::default(),
            writers: Mutex::default(),
            waiters: Mutex::new(Waiters::Waiting(Vec::new())),
            run: Mutex::default(),
            stdin,
            ending: AtomicBool::new(false),
            asked: Mutex::new(Ending::No),
            woken: Condvar::new(),
            lost: Mutex::new(None),
        }
    }

    /// A process runs.
    pub(crate) fn begin(&self, run: Run) {
        self.ending.store(false, Ordering::Release);
        *locked(&self.run) = run;
        // Asked to end between two runs: then it is not to run.
        if *locked(&self.asked) != Ending::No {
            self.signal(crate::signal::KILL);
        }
    }

    /// The process has ended.
    pub(crate) fn ended(&self) {
        self.ending.store(true, Ordering::Release);
        // What a writer still holds of it ends with an error, because nobody reads.
        *locked(&self.run) = Run::default();
    }

    /// Reads one output to its end.
    pub(crate) fn pump(&self, mut from: impl Read, stream: LogStream) {
        let mut buffer = vec![0; 32 << 10];
        loop {
            match from.read(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // A terminal that nobody has open any more is an error.
                Ok(0) | Err(_) => return,
                Ok(n) => self.output(stream, &buffer[..n]),
            }
        }
    }

    fn output(&self, stream: LogStream, bytes: &[u8]) {
        let _order = locked(&self.order);
        let clients = {
            let mut log = locked(&self.log);
            if let Err(e) = log.put(stream, bytes, time::now()) {
                locked(&self.lost).get_or_insert(e);
            }
            locked(&self.clients).clone()
        };
        for client in clients.iter().filter(|client| client.wants(stream)) {
            client.push(frame_of(stream, bytes), || self.patience());
        }
    }

    fn patience(&self) -> Patience {
        if self.ending.load(Ordering::Acquire) {
            return Patience::Ending;
        }
        match locked(&self.clients).len() {
            0 | 1 => Patience::Alone,
            _ => Patience::WithOthers,
        }
    }

    /// Somebody takes part from now on.
    pub(crate) fn join(self: &Arc<Self>, socket: UnixStream, attach: Attach) -> Arc<Client> {
        let client = Arc::new(Client::new(socket, attach));
        let before = {
            // Between two outputs, so that nothing is missed or comes twice.
            let log = locked(&self.log);
            let before = attach.logs.then(|| log.so_far().ok()).flatten();
            if attach.logs {
                for stream in [LogStream::Stdout, LogStream::Stderr] {
                    let begun = log.begun(stream);
                    if client.wants(stream) && !begun.is_empty() {
                        client.push(frame_of(stream, begun), || Patience::Ending);
                    }
                }
            }
            locked(&self.clients).push(client.clone());
            before
        };
        if let Some(size) = attach.size {
            self.resize(size);
        }
        let writing = client.clone();
        let thread = std::thread::Builder::new().name("attached".to_owned());
        match thread.spawn(move || writing.write(before)) {
            Ok(thread) => {
                let mut writers = locked(&self.writers);
                writers.retain(|thread| !thread.is_finished());
                writers.push(thread);
            }
            Err(_) => client.let_go(),
        }
        client
    }

    /// Somebody has gone. `closed`: with the end of its input, where it gave any.
    pub(crate) fn leave(&self, client: &Arc<Client>, closed: bool) {
        locked(&self.clients).retain(|other| !Arc::ptr_eq(other, client));
        client.let_go();
        if closed {
            self.input_ended(client);
        }
    }

    /// What one of them typed.
    pub(crate) fn input(&self, bytes: &[u8]) {
        let input = locked(&self.run).input.clone();
        if let Some(input) = input {
            // A process that does not read any more has closed it.
            let _ = (&*input).write_all(bytes);
        }
    }

    pub(crate) fn input_ended(&self, client: &Client) {
        let mut run = locked(&self.run);
        // The end of a terminal is typed.
        if client.attach.stdin && self.stdin == Stdin::Once && run.terminal.is_none() {
            run.input = None;
        }
    }

    pub(crate) fn resize(&self, size: Size) {
        if let Some(terminal) = &locked(&self.run).terminal {
            // A terminal that is gone needs no size.
            let _ = size.set(terminal);
        }
    }

    /// Whether there was a process to send it to.
    pub(crate) fn signal(&self, number: i32) -> bool {
        let run = locked(&self.run);
        let Some(signaller) = &run.signaller else {
            return false;
        };
        signaller(number);
        true
    }

    /// It is not to be started again.
    pub(crate) fn ask(&self, ending: Ending) {
        if ending != Ending::No {
            *locked(&self.asked) = ending;
            self.woken.notify_all();
        }
    }

    pub(crate) fn asked(&self) -> Ending {
        *locked(&self.asked)
    }

    /// Waits before the next start; cut short when it is not to be.
    pub(crate) fn pause(&self, delay: Duration) {
        let asked = locked(&self.asked);
        let going_on = |asked: &mut Ending| *asked == Ending::No;
        drop(self.woken.wait_timeout_while(asked, delay, going_on));
    }

    pub(crate) fn runs(&self) -> bool {
        locked(&self.run).signaller.is_some()
    }

    /// Somebody who waits for the end. Returns when it was told, or waits no more.
    pub(crate) fn wait(&self, socket: UnixStream) -> io::Result<()> {
        let socket = Arc::new(socket);
        match &mut *locked(&self.waiters) {
            Waiters::Waiting(all) => all.push(socket.clone()),
            Waiters::Ended(code) => tell_end(&socket, *code),
        }
        // It says nothing more: this is the end of its side.
        let ended = (&*socket).read(&mut [0]);
        if let Waiters::Waiting(all) = &mut *locked(&self.waiters) {
            all.retain(|other| !Arc::ptr_eq(other, &socket));
        }
        ended.map(drop)
    }

    /// The log is whole; what failed of it.
    pub(crate) fn end_log(&self) -> Option<io::Error> {
        let ended = locked(&self.log).end(time::now());
        locked(&self.lost).take().or(ended.err())
    }

    /// Tells those who are attached how a run ended.
    pub(crate) fn tell_attached(&self, code: i32) {
        for client in std::mem::take(&mut *locked(&self.clients)) {
            client.finish(Frame::new(Kind::Exited, code.to_string()));
        }
    }

    /// Tells all that it has ended for good, and stays until they have heard all.
    pub(crate) fn tell_all(&self, code: i32) {
        self.tell_attached(code);
        let before = std::mem::replace(&mut *locked(&self.waiters), Waiters::Ended(code));
        if let Waiters::Waiting(all) = before {
            all.iter().for_each(|socket| tell_end(socket, code));
        }
        for writer in std::mem::take(&mut *locked(&self.writers)) {
            // A writer that panicked has ended as well.
            let _ = writer.join();
        }
    }
}

fn tell_end(mut socket: &UnixStream, code: i32) {
    // Who does not wait any more has gone.
    let _ = Frame::new(Kind::Exited, code.to_string()).write(&mut socket);
}

/// What a thread that panicked left is as good as before.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
