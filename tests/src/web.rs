//! A web server in this process: what it answers is up to the test, well-meant or not; and one that
//! serves a folder, with what it knows of files, and the git repositories in it. Refuses to keep a
//! connection open.

mod files;

use std::{
    fmt,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// A request, read to its end.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET`.
    pub method: String,
    /// With the query.
    pub target: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// The value of a header, whose name is in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

type Handler = dyn Fn(&Asked, &mut TcpStream) -> io::Result<()> + Send + Sync;

/// A server on a free port of 127.0.0.1. Ends when dropped.
pub struct Web {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Web({})", self.address)
    }
}

impl Web {
    /// One that answers as it is told: what is written goes out as it is, and then the connection is
    /// closed.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start(
        handler: impl Fn(&Asked, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let web = Self {
            address: listener.local_addr()?,
            stopped: Arc::default(),
            log: Arc::default(),
        };
        let (stopped, log) = (Arc::clone(&web.stopped), Arc::clone(&web.log));
        let handler: Arc<Handler> = Arc::new(handler);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (handler, log) = (Arc::clone(&handler), Arc::clone(&log));
                // Whoever hangs up has his reasons.
                thread::spawn(move || stream.and_then(|stream| one(stream, &log, &*handler)));
            }
        });
        Ok(web)
    }

    /// One that serves the files of a folder, with `Last-Modified`, an `ETag` of their contents,
    /// conditions and ranges; and to git, the bare repositories in it whose names end with `.git`.
    ///
    /// # Errors
    /// When there is no port.
    pub fn folder(folder: &Path) -> io::Result<Self> {
        let folder = folder.to_owned();
        Self::start(move |asked, to| files::answer(&folder, asked, to))
    }

    /// The same, and what is below `/private/` only for whoever has a name and a password,
    /// `name:password`.
    ///
    /// # Errors
    /// When there is no port.
    pub fn guarded(folder: &Path, known: &str) -> io::Result<Self> {
        let (folder, known) = (folder.to_owned(), files::credentials(known));
        Self::start(move |asked, to| {
            let open = !asked.path().starts_with("/private/");
            match open || asked.header("authorization") == Some(&known) {
                true => files::answer(&folder, asked, to),
                false => answer(to, 401, &[("WWW-Authenticate", "Basic realm=\"x\"")], b""),
            }
        })
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// What it was asked so far.
    pub fn log(&self) -> Vec<Asked> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.clone()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the one who waits for connections.
        let _ = TcpStream::connect(self.address);
    }
}

/// Writes an answer with a body of the right length.
///
/// # Errors
/// When the other side has gone.
pub fn answer(
    to: &mut TcpStream,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<()> {
    head(to, status, headers)?;
    write!(to, "Content-Length: {}\r\n\r\n", body.len())?;
    to.write_all(body)
}

/// Answers as [`Web::folder`] does: for whoever answers some requests otherwise.
///
/// # Errors
/// When the other side has gone.
pub fn from_folder(folder: &Path, asked: &Asked, to: &mut TcpStream) -> io::Result<()> {
    files::answer(folder, asked, to)
}

/// Writes a status and headers; an empty line is still to come.
///
/// # Errors
/// When the other side has gone.
pub fn head(to: &mut TcpStream, status: u16, headers: &[(&str, &str)]) -> io::Result<()> {
    write!(to, "HTTP/1.1 {status} X\r\nConnection: close\r\n")?;
    headers
        .iter()
        .try_for_each(|(name, value)| write!(to, "{name}: {value}\r\n"))
}

fn one(stream: TcpStream, log: &Mutex<Vec<Asked>>, handler: &Handler) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let asked = read(&mut reader)?;
    let mut all = log.lock().unwrap_or_else(PoisonError::into_inner);
    all.push(asked.clone());
    drop(all);
    let mut stream = stream;
    handler(&asked, &mut stream)
}

fn read(from: &mut BufReader<TcpStream>) -> io::Result<Asked> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next(), words.next());
    let mut asked = Asked {
        method: method.unwrap_or_default(),
        target: target.unwrap_or_default(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        let name = name.to_ascii_lowercase();
        asked.headers.push((name, value.trim().to_owned()));
    }
    let chunked = asked.header("transfer-encoding") == Some("chunked");
    let mut left: u64 = match asked.header("content-length") {
        Some(length) => length.parse().map_err(io::Error::other)?,
        None => 0,
    };
    loop {
        if chunked {
            let mut line = String::new();
            from.read_line(&mut line)?;
            left = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        }
        from.by_ref().take(left).read_to_end(&mut asked.body)?;
        if !chunked {
            return Ok(asked);
        }
        from.read_line(&mut String::new())?;
        if left == 0 {
            return Ok(asked);
        }
    }
}
