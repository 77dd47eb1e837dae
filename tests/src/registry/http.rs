//! As much of HTTP/1.1 as registries and their clients speak: bodies with a length or in chunks,
//! connections that stay open.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom, Write},
    net::{Shutdown, TcpStream},
};

pub(super) struct Connection {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

/// The head of a request, and how much of its body is still to come.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    headers: Vec<(String, String)>,
    body: Rest,
    told_to_continue: bool,
}

enum Rest {
    Length(u64),
    Chunks { left: u64, ended: bool },
}

pub(super) enum Content {
    Bytes(Vec<u8>),
    /// Part of a file: from an offset, so many bytes.
    File(File, u64, u64),
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        match self {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File(_, _, len) => *len,
        }
    }
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) content: Content,
    /// Closes the connection after so many bytes of the content.
    pub(super) cut: Option<u64>,
    pub(super) corrupt: bool,
}

impl Answer {
    pub(super) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content: Content::Bytes(Vec::new()),
            cut: None,
            corrupt: false,
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn content(mut self, content: Content) -> Self {
        self.content = content;
        self
    }

    pub(super) fn json(self, value: &serde_json::Value) -> Self {
        self.header("Content-Type", "application/json")
            .content(Content::Bytes(value.to_string().into_bytes()))
    }
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The path without the query.
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or(&self.target)
    }

    /// A parameter of the query, decoded.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        self.queries(name).into_iter().next()
    }

    pub(super) fn queries(&self, name: &str) -> Vec<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        pairs(query, name)
    }
}

/// The values of `name` in `a=b&c=d`.
pub(super) fn pairs(text: &str, name: &str) -> Vec<String> {
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| decode(value))
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(b) = bytes.next() {
        match b {
            b'+' => out.push(b' '),
            b'%' => {
                let hex: Vec<u8> = bytes.by_ref().take(2).collect();
                let hex = String::from_utf8_lossy(&hex).into_owned();
                out.push(u8::from_str_radix(&hex, 16).unwrap_or(b'?'));
            }
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        Ok(Self {
            writer: stream.try_clone()?,
            reader: BufReader::with_capacity(64 << 10, stream),
        })
    }

    /// The next request; `None` at the end of the connection.
    pub(super) fn next(&mut self) -> io::Result<Option<Request>> {
        let line = self.line()?;
        let mut words = line.split_ascii_whitespace();
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Ok(None);
        };
        let mut request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Rest::Length(0),
            told_to_continue: false,
        };
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            let header = (name.to_ascii_lowercase(), value.trim().to_owned());
            request.headers.push(header);
        }
        if request.header("transfer-encoding").is_some() {
            request.body = Rest::Chunks {
                left: 0,
                ended: false,
            };
        } else if let Some(length) = request.header("content-length") {
            request.body = Rest::Length(length.parse().map_err(io::Error::other)?);
        }
        Ok(Some(request))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let read = (&mut self.reader).take(64 << 10).read_line(&mut line);
        if read.is_err() {
            // TLS, most likely: servers say so in plain text.
            self.writer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
        }
        read?;
        Ok(line.trim_end().to_owned())
    }

    /// Some bytes of the request's body; none at its end.
    pub(super) fn read(&mut self, request: &mut Request, buf: &mut [u8]) -> io::Result<usize> {
        if !request.told_to_continue && request.header("expect").is_some() {
            self.writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        request.told_to_continue = true;
        if let Rest::Chunks { left: 0, ended } = &request.body {
            if *ended {
                return Ok(0);
            }
            let size = u64::from_str_radix(self.line()?.trim(), 16).map_err(io::Error::other)?;
            if size == 0 {
                self.line()?;
            }
            request.body = Rest::Chunks {
                left: size,
                ended: size == 0,
            };
        }
        let (Rest::Length(left) | Rest::Chunks { left, .. }) = &mut request.body;
        let most = buf.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let n = self.reader.read(&mut buf[..most])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *left -= n as u64;
        let chunk_ended = *left == 0 && matches!(request.body, Rest::Chunks { .. });
        if chunk_ended {
            self.line()?;
        }
        Ok(n)
    }

    /// The whole body.
    pub(super) fn read_all(&mut self, request: &mut Request) -> io::Result<Vec<u8>> {
        let (mut body, mut buf) = (Vec::new(), vec![0; 64 << 10]);
        loop {
            match self.read(request, &mut buf)? {
                0 => return Ok(body),
                n => body.extend_from_slice(&buf[..n]),
            }
        }
    }

    /// Reads what nobody wanted to know.
    pub(super) fn drain(&mut self, request: &mut Request) -> io::Result<()> {
        let mut buf = vec![0; 64 << 10];
        while self.read(request, &mut buf)? > 0 {}
        Ok(())
    }

    /// Whether the connection is still good afterwards.
    pub(super) fn answer(&mut self, request: &Request, answer: Answer) -> io::Result<bool> {
        let mut head = format!("HTTP/1.1 {} Status\r\n", answer.status);
        for (name, value) in &answer.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let length = answer.content.len();
        if answer.status != 204 {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        head.push_str("Docker-Distribution-Api-Version: registry/2.0\r\n\r\n");
        self.writer.write_all(head.as_bytes())?;
        if request.method == "HEAD" {
            return Ok(true);
        }
        let whole = answer.cut.is_none_or(|cut| cut >= length);
        let mut left = answer.cut.unwrap_or(length).min(length);
        let mut content: Box<dyn Read> = match answer.content {
            Content::Bytes(bytes) => Box::new(Cursor::new(bytes)),
            Content::File(mut file, from, _) => {
                file.seek(SeekFrom::Start(from))?;
                Box::new(file)
            }
        };
        let (mut buf, mut corrupt) = (vec![0; 64 << 10], answer.corrupt);
        while left > 0 {
            let most = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = content.read(&mut buf[..most])?;
            if n == 0 {
                return Ok(false);
            }
            if std::mem::take(&mut corrupt) {
                buf[0] = !buf[0];
            }
            self.writer.write_all(&buf[..n])?;
            left -= n as u64;
        }
        Ok(whole)
    }

    /// Ends the connection at once.
    pub(super) fn close(&self) -> io::Result<()> {
        self.writer.shutdown(Shutdown::Both)
    }
}
