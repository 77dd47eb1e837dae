//! The forwarder: listens on the machine, and hands each connection to the container.
//!
//! Two threads a connection, one for each way; the end of one way is passed on while the other goes
//! on. It stops, and closes its ports, when it is dropped.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use kiln_sandbox::Dialer;
use serde::{Deserialize, Serialize};

use crate::holder::holder;
use crate::publish::Protocol;
use crate::{Error, ErrorKind, Publish};

/// A port of the machine that leads into a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Where it listens; the unspecified address of version 6 stands for all addresses of both
    /// versions.
    pub address: SocketAddr,
    /// Where that leads.
    pub container_port: u16,
}

/// Ports that are held, and not answered yet.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Vec<(TcpListener, Bound)>);

impl Listeners {
    /// Takes all ports, or none.
    pub(crate) fn bind(ports: &[Publish]) -> Result<Self, Error> {
        let mut listeners = Vec::new();
        for port in ports {
            if port.protocol == Protocol::Udp {
                let what = format!("publish `{port}`: UDP is not carried out yet");
                return Err(Error::new(ErrorKind::Unsupported, what));
            }
            listeners.push(listen(port)?);
        }
        Ok(Self(listeners))
    }

    /// Which ports were taken.
    pub(crate) fn bound(&self) -> Vec<Bound> {
        self.0.iter().map(|(_, bound)| *bound).collect()
    }

    /// Answers from now on.
    pub(crate) fn forward(self, dialer: &Dialer) -> Result<Forwarder, Error> {
        let mut forwarder = Forwarder::default();
        for (listener, bound) in self.0 {
            let failed = |e| Error::new(ErrorKind::Io, "start a forwarder").because(e);
            let (dialer, stop) = (dialer.clone(), forwarder.stop.clone());
            let ours = listener.try_clone().map_err(failed)?;
            let thread = thread::Builder::new().name(format!("port {}", bound.container_port));
            let accept = move || accept(&ours, bound.container_port, &dialer, &stop);
            let thread = thread.spawn(accept).map_err(failed)?;
            forwarder.listeners.push((listener, thread));
        }
        Ok(forwarder)
    }
}

fn listen(port: &Publish) -> Result<(TcpListener, Bound), Error> {
    let candidates = port.host_ports.clone().unwrap_or(0..=0);
    let mut last = None;
    for candidate in candidates {
        match bind(port, candidate) {
            Ok(listener) => {
                let address = listener.local_addr();
                let address = address
                    .map_err(|e| Error::new(ErrorKind::Io, "look at a socket").because(e))?;
                let bound = Bound {
                    address,
                    container_port: port.container_port,
                };
                return Ok((listener, bound));
            }
            Err(e) => last = Some((candidate, e)),
        }
    }
    let (candidate, cause) = last.unwrap_or((0, io::ErrorKind::AddrNotAvailable.into()));
    Err(refused(port, candidate, cause))
}

fn bind(port: &Publish, host: u16) -> io::Result<TcpListener> {
    match port.ip {
        Some(ip) => TcpListener::bind((ip, host)),
        // One socket for both versions; a machine without version 6 has the other one.
        None => TcpListener::bind((Ipv6Addr::UNSPECIFIED, host)).or_else(|e| match e.kind() {
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(e),
            _ => TcpListener::bind((Ipv4Addr::UNSPECIFIED, host)),
        }),
    }
}

fn refused(port: &Publish, candidate: u16, cause: io::Error) -> Error {
    let what = match cause.kind() {
        io::ErrorKind::AddrInUse => {
            let by = holder(candidate).map_or(String::new(), |who| format!(" by {who}"));
            let what = format!("publish `{port}`: port {candidate} is already in use{by}");
            return Error::new(ErrorKind::PortTaken, what)
                .hint("choose another port of the machine, or stop what uses it")
                .because(cause);
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        io::ErrorKind::PermissionDenied => {
            let what = format!("publish `{port}`: this user may not listen on that port");
            let hint = "ports below 1024 are for root, as a rule: choose another port of the machine, `-p 8080:80` say";
            return Error::new(ErrorKind::Io, what).hint(hint).because(cause);
        }
        _ => "cannot listen",
    };
    Error::new(ErrorKind::Io, format!("publish `{port}`: {what}")).because(cause)
}

/// The threads that answer.
#[derive(Debug, Default)]
pub(crate) struct Forwarder {
    listeners: Vec<(TcpListener, thread::JoinHandle<()>)>,
    stop: Arc<AtomicBool>,
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for (listener, thread) in self.listeners.drain(..) {
            wake(&listener);
            // A thread that panicked has stopped as well.
            let _ = thread.join();
        }
    }
}

/// Makes an `accept` that waits return.
fn wake(listener: &TcpListener) {
    #[cfg(target_os = "linux")]
    let _ = rustix::net::shutdown(listener, rustix::net::Shutdown::Both);
    #[cfg(not(target_os = "linux"))]
    if let Ok(mut address) = listener.local_addr() {
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let _ = TcpStream::connect_timeout(&address, Duration::from_millis(200));
    }
}

fn accept(listener: &TcpListener, port: u16, dialer: &Dialer, stop: &AtomicBool) {
    loop {
        let accepted = listener.accept();
        if stop.load(Ordering::Acquire) {
            return;
        }
        match accepted {
            Ok((client, _)) => {
                let dialer = dialer.clone();
                let thread = thread::Builder::new().name("connection".to_owned());
                // Without a thread for it the connection is closed, which the client sees.
                let _ = thread.spawn(move || connect(client, port, &dialer));
            }
            // Too many open files: they become fewer.
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Nobody listens inside: the client's connection is closed, as if it had been refused late.
fn connect(client: TcpStream, port: u16, dialer: &Dialer) {
    let Ok(server) = dialer.dial(port) else {
        return;
    };
    // Small answers must not wait for acknowledgements.
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    let back = thread::Builder::new().name("connection".to_owned());
    let back = back.spawn(move || pour(server, client));
    pour(from, to);
    if let Ok(back) = back {
        let _ = back.join();
    }
}

/// Copies until the end and passes the end on. An error ends both ways.
fn pour(mut from: TcpStream, mut to: TcpStream) {
    match io::copy(&mut from, &mut to) {
        Ok(_) => {
            let _ = to.shutdown(Shutdown::Write);
        }
        Err(_) => {
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut all = Vec::new();
                    // Answers only when it has seen the end of the question.
                    stream.read_to_end(&mut all).unwrap();
                    all.reverse();
                    stream.write_all(&all).unwrap();
                });
            }
        });
        port
    }

    fn dialer() -> Dialer {
        Dialer::new(|port| TcpStream::connect(("127.0.0.1", port)))
    }

    #[test]
    fn both_ways_with_the_end_of_one_kept_apart() {
        let inside = echo();
        let listeners =
            Listeners::bind(&Publish::parse(&format!("127.0.0.1::{inside}")).unwrap()).unwrap();
        let address = listeners.bound()[0].address;
        let forwarder = listeners.forward(&dialer()).unwrap();
        let question: Vec<u8> = (0..1 << 20).map(|n: u32| n as u8).collect();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(&question).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            answer.reverse();
            assert!(answer == question);
        }
        drop(forwarder);
        assert!(
            TcpStream::connect(address).is_err(),
            "the port is closed with the forwarder"
        );
    }

    #[test]
    fn a_port_that_is_taken_is_said_with_its_holder() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        for text in [format!("127.0.0.1:{port}:80"), format!("{port}:80")] {
            let error = Listeners::bind(&Publish::parse(&text).unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PortTaken);
            let text = error.to_string();
            assert!(
                text.contains(&format!("port {port} is already in use")),
                "{text}"
            );
            #[cfg(target_os = "linux")]
            assert!(
                text.contains(&format!("(pid {})", std::process::id())),
                "{text}"
            );
        }
    }

    #[test]
    fn nobody_inside_closes_the_connection() {
        let listeners = Listeners::bind(&Publish::parse("127.0.0.1::1").unwrap()).unwrap();
        let address = listeners.bound()[0].address;
        let refused = Dialer::new(|_| Err(io::ErrorKind::ConnectionRefused.into()));
        let _forwarder = listeners.forward(&refused).unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty());
    }
}
