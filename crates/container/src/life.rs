//! What a caller does with a container's process: start it, take part in it, end it.
//!
//! Nothing of this looks after the process: that is the monitor's, and the caller may go at any time.
//! One transition of a container at a time: `start`, `remove` and `rename` hold its lock.

use std::io;
use std::time::{Duration, Instant};

use kiln_durable::{Lease, Lock};
use kiln_sandbox::Peer;

use crate::containers::{Container, missing};
use crate::control::{self, Connection};
use crate::frame::{Ending, Frame, Kind, Reply, Request};
use crate::signal::{KILL, TERM, signal_number};
use crate::state::{Noted, read_state};
use crate::{Attach, Attached, Error, ErrorKind, State};

/// How long a container may take to end when it is asked to, in seconds, where nobody says (docker's).
const STOP: i64 = 10;
/// How long a monitor that does not answer may take to let go of its container.
pub(crate) const MOMENT: Duration = Duration::from_secs(2);
/// How long what was killed may take to be gone.
const GONE: Duration = Duration::from_secs(20);

impl Container {
    /// Starts its process, and returns when it runs. With `attach` the caller takes part in it from
    /// the first byte on; without, and when it runs already, there is nothing to take part in.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PortTaken`] with who holds it; [`ErrorKind::ProgramNotFound`] and
    /// [`ErrorKind::NotExecutable`] for the program; [`ErrorKind::User`]; [`ErrorKind::Conflict`]
    /// when another program is making or removing it.
    pub fn start(&self, attach: Option<Attach>) -> Result<Option<Attached>, Error> {
        let _lock = self.lock()?;
        match self.state()? {
            State::Running { .. } | State::Restarting { .. } => {
                return match attach {
                    Some(attach) => self.attach(attach).map(Some),
                    None => Ok(None),
                };
            }
            _ => {}
        }
        self.wait_for_leftovers()?;
        // Nobody takes it before the monitor does: that needs the lock.
        drop(self.take_own_lease());
        let connection = crate::spawn::monitor(self, attach)?;
        Ok(attach.map(|_| Attached::new(connection, &self.folder)))
    }

    /// A monitor that was killed just now takes its process along, which may take a moment.
    pub(crate) fn wait_for_leftovers(&self) -> Result<(), Error> {
        let Some(noted) = read_state(&self.folder)? else {
            return Err(missing(self.id()));
        };
        // Asked after it was read: so it is a dead program's note.
        if !Lease::held(&self.lease_path())? {
            noted.end_leftovers();
        }
        Ok(())
    }

    /// Takes part in the process, which runs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when it does not run.
    pub fn attach(&self, attach: Attach) -> Result<Attached, Error> {
        match self.state()? {
            State::Running { .. } => {}
            State::Restarting { .. } => {
                let what = "You cannot attach to a restarting container, wait until it is running";
                return Err(Error::new(ErrorKind::Conflict, what));
            }
            _ => {
                let what = "You cannot attach to a stopped container, start it first";
                return Err(Error::new(ErrorKind::Conflict, what));
            }
        }
        match self.ask(&Request::Attach(attach))? {
            Some(connection) => Ok(Attached::new(connection, &self.folder)),
            None => Err(Error::new(
                ErrorKind::Conflict,
                "You cannot attach to a stopped container, start it first",
            )),
        }
    }

    /// Asks the process to end: by `signal`, else by its own stop signal; kills it after `timeout`
    /// seconds, else after its own. A negative timeout is none. Nothing happens when it does not run.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a signal that is none; [`ErrorKind::Conflict`] when it does not go.
    pub fn stop(&self, timeout: Option<i64>, signal: Option<&str>) -> Result<(), Error> {
        self.end(timeout, signal, Ending::Last)
    }

    fn end(&self, timeout: Option<i64>, signal: Option<&str>, how: Ending) -> Result<(), Error> {
        let host = &self.details.host;
        let own = self.details.config.stop_signal.as_deref();
        let number = match (signal, own) {
            (Some(signal), _) => signal_number(signal)?,
            // What an image says may be nonsense; it ends nevertheless.
            (None, Some(own)) => signal_number(own).unwrap_or(TERM),
            (None, None) => TERM,
        };
        let timeout = timeout.or(host.stop_timeout).unwrap_or(STOP);
        let timeout = u64::try_from(timeout).ok().map(Duration::from_secs);
        // First the place to wait, so that the end is not missed.
        let Some(waiting) = self.ask(&Request::Wait)? else {
            return Ok(());
        };
        let signal = |number| {
            let request = Request::Signal {
                number,
                ending: how,
            };
            self.ask(&request).map(drop)
        };
        signal(number)?;
        if self.await_end(&waiting, timeout)?.is_some() {
            return Ok(());
        }
        signal(KILL)?;
        match self.await_end(&waiting, Some(GONE))? {
            Some(_) => Ok(()),
            None => {
                let what = format!("container \"/{}\" was killed and does not end", self.name());
                Err(Error::new(ErrorKind::Conflict, what))
            }
        }
    }

    /// Sends the process a signal; `KILL` where none is named. One that is meant to end it (`KILL`,
    /// its stop signal) also ends its being started again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a signal that is none; [`ErrorKind::Conflict`] when it does not run.
    pub fn kill(&self, signal: Option<&str>) -> Result<(), Error> {
        let number = signal.map_or(Ok(KILL), signal_number)?;
        let own = self.details.config.stop_signal.as_deref();
        let own = own
            .and_then(|text| signal_number(text).ok())
            .unwrap_or(TERM);
        let ending = match number == KILL || number == own {
            true => Ending::Last,
            false => Ending::No,
        };
        let waiting = match number {
            KILL => self.ask(&Request::Wait)?,
            _ => None,
        };
        match self.ask(&Request::Signal { number, ending })? {
            Some(_) => {}
            None => return Err(self.not_running()),
        }
        if let Some(waiting) = waiting {
            self.await_end(&waiting, Some(GONE))?;
        }
        Ok(())
    }

    /// Stops it, when it runs, and starts it.
    ///
    /// # Errors
    ///
    /// As [`stop`](Self::stop) and [`start`](Self::start).
    pub fn restart(&self, timeout: Option<i64>, signal: Option<&str>) -> Result<(), Error> {
        self.end(timeout, signal, Ending::Restart)?;
        self.start(None).map(drop)
    }

    /// Waits until it does not run any more, and gives the code with which it ended: 0 when it never
    /// ran, 137 when the program that looked after it was killed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`].
    pub fn wait(&self) -> Result<i32, Error> {
        if let Some(waiting) = self.ask(&Request::Wait)?
            && let Some(code) = self.await_end(&waiting, None)?
        {
            return Ok(code);
        }
        Ok(match self.state()? {
            State::Exited { code, .. } => code,
            _ => 0,
        })
    }

    /// Gives its terminal a size, where it has one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when it does not run.
    pub fn resize(&self, size: crate::Size) -> Result<(), Error> {
        match self.ask(&Request::Resize(size))? {
            Some(_) => Ok(()),
            None => Err(self.not_running()),
        }
    }

    /// The code with which it ended, 137 when the monitor did not live to tell; `None` when that takes
    /// longer than `timeout`.
    fn await_end(
        &self,
        mut connection: &Connection,
        timeout: Option<Duration>,
    ) -> Result<Option<i32>, Error> {
        let timeout = timeout.map(|timeout| timeout.max(Duration::from_millis(1)));
        connection.set_read_timeout(timeout).map_err(lost)?;
        match Frame::read(&mut connection) {
            Ok(Some(frame)) => Ok(Some(frame.parse().map_err(lost)?)),
            Ok(None) => {
                // The system takes what a killed process had one by one.
                self.wait_for_lease(GONE)?;
                Ok(Some(137))
            }
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                Ok(None)
            }
            Err(e) => Err(lost(e)),
        }
    }

    pub(crate) fn not_running(&self) -> Error {
        let what = format!("Container {} is not running", self.id());
        let hint = format!("`kiln start {}` starts it", self.name());
        Error::new(ErrorKind::Conflict, what).hint(hint)
    }

    /// Asks its monitor. `None` when there is none.
    fn ask(&self, request: &Request) -> Result<Option<Connection>, Error> {
        if let State::Created | State::Exited { .. } = self.state()? {
            return Ok(None);
        }
        match control::connect(&self.folder).and_then(|connection| say(connection, request)) {
            Ok((connection, Reply::Done)) => Ok(Some(connection)),
            Ok((_, Reply::Failed(report))) => Err(report.into()),
            Err(e) => {
                // It ended while it was asked, or its monitor was killed, which takes a moment.
                self.wait_for_lease(MOMENT)?;
                match self.state() {
                    Ok(State::Created | State::Exited { .. }) => Ok(None),
                    Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
                    _ => Err(lost(e)),
                }
            }
        }
    }

    /// Until nobody looks after it, or so long.
    pub(crate) fn wait_for_lease(&self, longest: Duration) -> Result<(), Error> {
        let from = Instant::now();
        while Lease::held(&self.lease_path())? && from.elapsed() < longest {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// [`lock`](Self::lock), unless somebody has it.
    pub(crate) fn try_lock(&self) -> Result<Option<Lock>, Error> {
        match Lock::try_exclusive(&self.folder.join("lock")) {
            Ok(lock) => Ok(lock.filter(|_| self.folder.join(crate::state::DETAILS).exists())),
            Err(_) if !self.folder.exists() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Held while it goes from one state to another.
    pub(crate) fn lock(&self) -> Result<Lock, Error> {
        let lock = Lock::exclusive(&self.folder.join("lock"));
        // Meanwhile it may have been removed.
        match self.folder.join(crate::state::DETAILS).exists() {
            true => Ok(lock?),
            false => Err(missing(self.id())),
        }
    }
}

impl Noted {
    /// Its process, when it was last heard of as running.
    pub(crate) fn peer(&self) -> Option<Peer> {
        match self.state {
            State::Running { pid, .. } => Some(Peer {
                pid,
                born: self.born,
            }),
            _ => None,
        }
    }

    /// Ends the process of a monitor that is dead. That takes it along, as a rule; but not when its
    /// sandbox was killed with it and the process has become another user since.
    pub(crate) fn end_leftovers(&self) {
        let from = Instant::now();
        let known = self.peer().filter(|peer| peer.born.is_some());
        while known.is_some_and(|peer| peer.is_running()) && from.elapsed() < GONE {
            known.inspect(Peer::kill);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Puts a request, and waits for the answer.
pub(crate) fn say(
    mut connection: Connection,
    request: &Request,
) -> io::Result<(Connection, Reply)> {
    Frame::json(Kind::Request, request)?.write(&mut connection)?;
    let frame = Frame::read(&mut connection)?;
    let frame = frame.ok_or(io::ErrorKind::UnexpectedEof)?;
    let reply = frame.parse()?;
    Ok((connection, reply))
}

fn lost(e: io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        "talk to the program that looks after the container",
    )
    .because(e)
}
