//! A folder as a server has it; what is a repository in it, git answers for.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::UNIX_EPOCH,
};

use super::{Asked, head};

pub(super) fn answer(folder: &Path, asked: &Asked, to: &mut TcpStream) -> io::Result<()> {
    let path = decoded(asked.path());
    if path.split('/').any(|part| part == "..") {
        return super::answer(to, 400, &[], b"");
    }
    if path.split('/').any(|part| part.ends_with(".git")) {
        return git(folder, &path, asked, to);
    }
    let at = folder.join(path.trim_start_matches('/'));
    let Ok(content) = fs::read(&at) else {
        return super::answer(to, 404, &[], b"");
    };
    let modified = fs::metadata(&at)?.modified()?;
    let seconds = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let date = date(seconds.as_secs());
    let mut hash = DefaultHasher::new();
    content.hash(&mut hash);
    let tag = format!("\"{:x}\"", hash.finish());
    let known = [("Last-Modified", date.as_str()), ("ETag", tag.as_str())];
    if asked.header("if-none-match") == Some(&tag) {
        head(to, 304, &known)?;
        return to.write_all(b"\r\n");
    }
    let range = asked.header("range").and_then(|range| {
        let fits = asked.header("if-range").is_none_or(|known| known == tag);
        let start = range.strip_prefix("bytes=")?.strip_suffix('-')?;
        start
            .parse::<usize>()
            .ok()
            .filter(|s| fits && *s < content.len())
    });
    let Some(start) = range else {
        return super::answer(to, 200, &known, &content);
    };
    let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
    let [date, tag] = known;
    let known = [date, tag, ("Content-Range", range.as_str())];
    super::answer(to, 206, &known, &content[start..])
}

/// The header that sends `name:password`.
pub(super) fn credentials(known: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("Basic ");
    for three in known.as_bytes().chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at > three.len() {
                '='
            } else {
                char::from(letter)
            });
        }
    }
    text
}

fn git(folder: &Path, path: &str, asked: &Asked, to: &mut TcpStream) -> io::Result<()> {
    let query = asked.target.split_once('?').map_or("", |(_, query)| query);
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &asked.method)
        .env(
            "CONTENT_TYPE",
            asked.header("content-type").unwrap_or_default(),
        )
        .env("CONTENT_LENGTH", asked.body.len().to_string())
        .env(
            "HTTP_CONTENT_ENCODING",
            asked.header("content-encoding").unwrap_or_default(),
        )
        .env(
            "GIT_PROTOCOL",
            asked.header("git-protocol").unwrap_or_default(),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (stdin, body) = (child.stdin.take(), asked.body.clone());
    let writer = thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&body)));
    let said = child.wait_with_output()?.stdout;
    // It may have wanted less.
    let _ = writer.join();
    let status = said.strip_prefix(b"Status: ").and_then(|s| s.get(..3));
    let status = status
        .and_then(|s| std::str::from_utf8(s).ok())
        .unwrap_or("200");
    write!(to, "HTTP/1.1 {status} X\r\nConnection: close\r\n")?;
    to.write_all(&said)
}

fn decoded(path: &str) -> String {
    let mut parts = path.split('%');
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let byte = part
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) => {
                out.push(byte);
                out.extend_from_slice(&part.as_bytes()[2..]);
            }
            None => out.extend_from_slice(format!("%{part}").as_bytes()),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// As HTTP has dates.
fn date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (days, rest) = (seconds / 86400, seconds % 86400);
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [
        31,
        28 + u64::from(is_leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let mut month = 0;
    while left >= lengths[month] {
        left -= lengths[month];
        month += 1;
    }
    let week = DAYS[usize::try_from(days % 7).unwrap_or_default()];
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let day = left + 1;
    let month = MONTHS[month];
    format!("{week}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates() {
        assert_eq!(super::date(1_445_412_480), "Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(super::date(1_582_934_400), "Sat, 29 Feb 2020 00:00:00 GMT");
    }
}
