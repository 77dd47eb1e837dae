//! Answers at the control socket.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use super::hub::Hub;
use crate::attach::Attach;
use crate::frame::{Frame, Kind, Reply, Report, Request};
use crate::{Error, ErrorKind};

/// How long a caller may take to say what it wants.
const REQUEST: Duration = Duration::from_secs(10);

/// Answers in threads of its own, until this process ends.
pub(crate) fn serve(listener: UnixListener, hub: &Arc<Hub>) -> io::Result<()> {
    let hub = hub.clone();
    let accept = move || {
        for socket in listener.incoming() {
            let Ok(socket) = socket else {
                // Too many open files: they become fewer.
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            let hub = hub.clone();
            let thread = std::thread::Builder::new().name("request".to_owned());
            // Without a thread for it the connection is closed, which the caller sees.
            drop(thread.spawn(move || answer(socket, &hub)));
        }
    };
    let thread = std::thread::Builder::new().name("control".to_owned());
    thread.spawn(accept).map(drop)
}

/// One conversation; an error of it means that the caller has gone.
fn answer(mut socket: UnixStream, hub: &Arc<Hub>) -> io::Result<()> {
    socket.set_read_timeout(Some(REQUEST))?;
    let Some(frame) = Frame::read(&mut socket)? else {
        return Ok(());
    };
    socket.set_read_timeout(None)?;
    match frame.parse::<Request>()? {
        Request::Attach(_) if !hub.runs() => {
            let what = "You cannot attach to a restarting container, wait until it is running";
            reply(&socket, Err(&Error::new(ErrorKind::Conflict, what)))
        }
        Request::Attach(attach) => {
            reply(&socket, Ok(()))?;
            take_part(socket, attach, hub, &std::sync::mpsc::channel().0)
        }
        Request::Wait => {
            reply(&socket, Ok(()))?;
            hub.wait(socket)
        }
        Request::Signal { number, ending } => {
            hub.ask(ending);
            hub.signal(number);
            reply(&socket, Ok(()))
        }
        Request::Resize(size) => {
            hub.resize(size);
            reply(&socket, Ok(()))
        }
        Request::Start(_) => {
            let what = "the container runs already";
            reply(&socket, Err(&Error::new(ErrorKind::Conflict, what)))
        }
    }
}

pub(crate) fn reply(mut socket: &UnixStream, result: Result<(), &Error>) -> io::Result<()> {
    let reply = match result {
        Ok(()) => Reply::Done,
        Err(e) => Reply::Failed(Report::from(e)),
    };
    Frame::json(Kind::Reply, &reply)?.write(&mut socket)
}

/// Carries what somebody types until they go. Tells `joined` when they hear what is written.
pub(crate) fn take_part(
    mut socket: UnixStream,
    attach: Attach,
    hub: &Arc<Hub>,
    joined: &Sender<()>,
) -> io::Result<()> {
    let client = hub.join(socket.try_clone()?, attach);
    // Nobody may be waiting for it.
    let _ = joined.send(());
    let mut detached = false;
    // An error is an end as well: the caller was killed while it spoke.
    while let Ok(Some(frame)) = Frame::read(&mut socket) {
        match frame.kind {
            Kind::Stdin if attach.stdin => hub.input(&frame.data),
            Kind::StdinEnd => hub.input_ended(&client),
            Kind::Detach => detached = true,
            _ => {}
        }
    }
    hub.leave(&client, !detached);
    Ok(())
}
