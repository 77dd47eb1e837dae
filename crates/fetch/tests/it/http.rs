//! Files from HTTP addresses.

use std::{
    io::Write,
    net::Shutdown,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use kiln_fetch::{Authorization, ErrorKind, HttpRequest, Watch};
use kiln_layer::Kind;
use kiln_tests::web::{Web, answer, head};

use crate::support::{Count, Own, contents, read};

#[test]
fn what_is_the_same_is_not_sent_again() {
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("a b"), "one").unwrap();
    let web = Web::folder(files.path()).unwrap();
    let own = Own::new();
    let first = own.get(&web.url("a%20b")).unwrap();
    assert_eq!((read(&first), first.name()), (b"one".to_vec(), Some("a b")));
    let again = own.get(&web.url("a%20b")).unwrap();
    assert_eq!(again.digest(), first.digest());
    assert!(web.log()[1].header("if-none-match").is_some());
    std::fs::write(files.path().join("a b"), "two").unwrap();
    assert_eq!(read(&own.get(&web.url("a%20b")).unwrap()), b"two");
    assert_eq!(read(&first), b"one", "what was given out stays as it was");
    assert_eq!(own.fetcher.kept().unwrap().len(), 1);
}

#[test]
fn a_file_stands_alone_in_a_root() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("x");
    std::fs::write(&path, "text").unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_445_412_480);
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(time)
        .unwrap();
    let web = Web::folder(files.path()).unwrap();
    let file = Own::new().get(&web.url("x")).unwrap();
    let files = file.files("y").unwrap();
    let entry = files.tree().iter().next().unwrap().clone();
    assert_eq!(entry.path.to_string(), "y");
    assert_eq!(
        (entry.meta.mode, entry.meta.mtime.seconds),
        (0o600, 1_445_412_480)
    );
    let Kind::File(known) = &entry.kind else {
        panic!()
    };
    assert_eq!(
        (known.size, known.digest.bytes()),
        (4, blake3::hash(b"text").as_bytes())
    );
    for wrong in ["", ".", "..", "a/b"] {
        assert_eq!(
            file.files(wrong).map(|_| ()).unwrap_err().kind(),
            ErrorKind::Invalid
        );
    }
}

#[test]
fn without_an_answer_a_kept_copy_is_taken_only_where_a_checksum_asks_for_it() {
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("x"), "one").unwrap();
    let web = Web::folder(files.path()).unwrap();
    let url = web.url("x");
    let own = Own::new();
    own.get(&url).unwrap();
    let asked = web.log().len();
    assert_eq!(read(&own.pinned(&url, b"one").unwrap()), b"one");
    assert_eq!(
        web.log().len(),
        asked,
        "nobody is asked for what is pinned and here"
    );
    drop(web);
    let e = own.get(&url).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unreachable, "{e}");
    assert!(e.hint_text().unwrap().contains("--checksum"), "{e}");
    assert_eq!(read(&own.pinned(&url, b"one").unwrap()), b"one");
    assert_eq!(
        own.pinned(&url, b"two").unwrap_err().kind(),
        ErrorKind::Unreachable
    );
}

#[test]
fn a_checksum_is_held_to() {
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("x"), "one").unwrap();
    let web = Web::folder(files.path()).unwrap();
    let own = Own::new();
    let e = own.pinned(&web.url("x"), b"two").unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Mismatch);
    let wanted = kiln_image::Digest::sha256(b"two").to_string();
    assert!(e.to_string().contains(&wanted), "{e}");
    assert_eq!(read(&own.get(&web.url("x")).unwrap()), b"one");
    // The server says that it is the same, and what is kept is not what is wanted.
    assert_eq!(
        own.pinned(&web.url("x"), b"two").unwrap_err().kind(),
        ErrorKind::Mismatch
    );
    assert_eq!(
        read(&own.get(&web.url("x")).unwrap()),
        b"one",
        "the kept one stays"
    );
}

/// Sends `whole` in pieces of a third, breaking off after each; a rest is sent where it is asked for.
fn breaking(whole: &'static [u8], tag: &'static str) -> Web {
    Web::start(move |asked, to| {
        let third = whole.len() / 3;
        let known = [("ETag", tag)];
        let start = asked
            .header("range")
            .filter(|_| asked.header("if-range") == Some(tag));
        let start = start.map_or(0, |range| {
            range
                .trim_start_matches("bytes=")
                .trim_end_matches('-')
                .parse()
                .unwrap()
        });
        let end = whole.len().min(start + third + 1);
        head(to, if start > 0 { 206 } else { 200 }, &known)?;
        if start > 0 {
            write!(
                to,
                "Content-Range: bytes {start}-{}/{}\r\n",
                whole.len() - 1,
                whole.len()
            )?;
        }
        write!(to, "Content-Length: {}\r\n\r\n", whole.len() - start)?;
        to.write_all(&whole[start..end])?;
        to.shutdown(Shutdown::Both)
    })
    .unwrap()
}

#[test]
fn a_broken_connection_is_gone_on_with() {
    let web = breaking(b"abcdefghijklmnopqrstuvwxyz", "\"v1\"");
    let own = Own::new();
    let file = own.get(&web.url("x")).unwrap();
    assert_eq!(read(&file), b"abcdefghijklmnopqrstuvwxyz");
    let ranges: Vec<_> = web
        .log()
        .iter()
        .map(|a| a.header("range").map(str::to_owned))
        .collect();
    assert_eq!(
        ranges,
        [
            None,
            Some("bytes=9-".to_owned()),
            Some("bytes=18-".to_owned())
        ]
    );
}

#[test]
fn without_a_tag_a_broken_connection_begins_anew() {
    let count = Count::default();
    let web = Web::start(move |_, to| match count.next() {
        0 => {
            head(to, 200, &[])?;
            to.write_all(b"Content-Length: 6\r\n\r\nabc")
        }
        _ => answer(to, 200, &[], b"ABCDEF"),
    });
    let web = web.unwrap();
    assert_eq!(read(&Own::new().get(&web.url("x")).unwrap()), b"ABCDEF");
    assert!(
        web.log()
            .iter()
            .all(|asked| asked.header("range").is_none())
    );
}

#[test]
fn what_a_kill_left_is_gone_on_with() {
    let count = Arc::new(Count::default());
    let stop = Arc::new(AtomicBool::new(false));
    let (counted, stopped) = (Arc::clone(&count), Arc::clone(&stop));
    let web = Web::start(move |asked, to| {
        if counted.next() == 0 {
            head(to, 200, &[("ETag", "\"v\"")])?;
            to.write_all(b"Content-Length: 6\r\n\r\nabc")?;
            to.flush()?;
            // The one who asks goes away while the rest is to come.
            while !stopped.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            return Ok(());
        }
        assert_eq!(asked.header("range"), Some("bytes=3-"));
        answer(
            to,
            206,
            &[("Content-Range", "bytes 3-5/6"), ("ETag", "\"v\"")],
            b"def",
        )
    });
    let web = web.unwrap();
    let own = Own::new();
    let here = AtomicBool::new(false);
    let watch = Watch {
        progress: &|progress| here.store(progress.done == 3, Ordering::SeqCst),
        canceled: &|| here.load(Ordering::SeqCst),
    };
    let e = own
        .fetcher
        .http(&HttpRequest::new(web.url("x")), &watch)
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Canceled);
    stop.store(true, Ordering::SeqCst);
    assert_eq!(read(&own.get(&web.url("x")).unwrap()), b"abcdef");
}

#[test]
fn trouble_that_passes_is_waited_for() {
    let count = Count::default();
    let web = Web::start(move |_, to| match count.next() {
        0 => answer(to, 503, &[("Retry-After", "0")], b""),
        1 => answer(to, 429, &[], b""),
        _ => answer(to, 200, &[], b"x"),
    });
    assert_eq!(read(&Own::new().get(&web.unwrap().url("x")).unwrap()), b"x");
}

#[test]
fn answers_become_kinds_of_errors() {
    for (status, want) in [
        (404, ErrorKind::NotFound),
        (410, ErrorKind::NotFound),
        (401, ErrorKind::Denied),
        (403, ErrorKind::Denied),
        (204, ErrorKind::Refused),
        (418, ErrorKind::Refused),
        (304, ErrorKind::Mismatch),
    ] {
        let web = Web::start(move |_, to| answer(to, status, &[], b"")).unwrap();
        let e = Own::new().get(&web.url("x?token=hunter2")).unwrap_err();
        assert_eq!(e.kind(), want, "{status}: {e}");
        assert!(!format!("{e:?}").contains("hunter2"), "{e:?}");
        assert_eq!(web.log().len(), 1, "{status} is not asked for again");
    }
}

#[test]
fn passwords_go_to_their_host_alone_and_nowhere_else() {
    let other = Web::start(|_, to| answer(to, 200, &[], b"x")).unwrap();
    let to = other.url("there");
    let web = Web::start(move |asked, out| match asked.path() {
        "/away" => answer(out, 302, &[("Location", &to)], b""),
        "/near" => answer(out, 302, &[("Location", "/here")], b""),
        _ => answer(out, 200, &[], b"x"),
    });
    let web = web.unwrap();
    let own = Own::new();
    let with_password = |path: &str| format!("http://me:hunter2@{}/{path}", web.address());
    own.get(&with_password("near")).unwrap();
    own.get(&with_password("away")).unwrap();
    let shown = |web: &Web| -> Vec<_> {
        let log = web.log();
        log.iter()
            .map(|a| a.header("authorization").map(str::to_owned))
            .collect()
    };
    let basic = Some("Basic bWU6aHVudGVyMg==".to_owned());
    assert_eq!(shown(&web), [basic.clone(), basic.clone(), basic]);
    assert_eq!(shown(&other), [None]);
    let kept = contents(own.folder.path());
    assert!(
        !String::from_utf8_lossy(&kept).contains("hunter2"),
        "nothing of it is on disk"
    );
    let mut request = HttpRequest::new(web.url("token"));
    request.authorization = Some(Authorization::bearer("abc"));
    assert!(!format!("{request:?}").contains("abc"));
    own.fetcher.http(&request, &Watch::NOBODY).unwrap();
    assert_eq!(shown(&web)[3].as_deref(), Some("Bearer abc"));
}

#[test]
fn many_ask_at_once_for_one_file() {
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("x"), vec![7; 1 << 20]).unwrap();
    let web = Web::folder(files.path()).unwrap();
    let own = Own::new();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(read(&own.get(&web.url("x")).unwrap()).len(), 1 << 20));
        }
    });
    let whole = web
        .log()
        .iter()
        .filter(|a| a.header("if-none-match").is_none())
        .count();
    assert_eq!(whole, 1, "it is sent once");
}

#[test]
fn what_is_kept_can_be_listed_and_removed() {
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("x"), "one").unwrap();
    let web = Web::folder(files.path()).unwrap();
    let own = Own::new();
    let file = own.get(&web.url("x")).unwrap();
    let kept = own.fetcher.kept().unwrap();
    assert_eq!(kept[0].from, web.url("x"));
    assert!(kept[0].size >= 3 && kept[0].used > 0);
    assert!(own.fetcher.remove(&kept[0].id).unwrap());
    assert!(!own.fetcher.remove(&kept[0].id).unwrap());
    assert!(own.fetcher.kept().unwrap().is_empty());
    assert_eq!(read(&file), b"one", "it is held open");
    for odd in ["", "http/..", "http/../../x", "git/", "x"] {
        assert_eq!(
            own.fetcher.remove(odd).unwrap_err().kind(),
            ErrorKind::Invalid,
            "{odd}"
        );
    }
}

#[test]
fn a_torn_copy_is_fetched_again() {
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("x"), "whole").unwrap();
    let web = Web::folder(files.path()).unwrap();
    let own = Own::new();
    own.get(&web.url("x")).unwrap();
    let body = |own: &Own| {
        let slots = std::fs::read_dir(own.folder.path().join("http")).unwrap();
        let slot = slots.flatten().find(|e| e.path().is_dir()).unwrap().path();
        let mut files = std::fs::read_dir(slot).unwrap().flatten();
        files
            .find(|e| e.file_name().to_string_lossy().starts_with("body-"))
            .unwrap()
            .path()
    };
    std::fs::write(body(&own), "who").unwrap();
    assert_eq!(read(&own.get(&web.url("x")).unwrap()), b"whole");
    // As after a power failure: of another boot, and as long as it was.
    std::fs::write(body(&own), "WHOLE").unwrap();
    let note = body(&own).with_file_name("file.json");
    let text = std::fs::read_to_string(&note).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value["boot"] = "another".into();
    std::fs::write(&note, value.to_string()).unwrap();
    assert_eq!(read(&own.get(&web.url("x")).unwrap()), b"whole");
}

#[test]
fn what_a_kill_left_of_no_use_goes() {
    let web = Web::start(|_, to| answer(to, 200, &[("ETag", "\"1\"")], b"x")).unwrap();
    let own = Own::new();
    own.get(&web.url("x")).unwrap();
    let id = own.fetcher.kept().unwrap().remove(0).id;
    let torn = own.folder.path().join(&id).join(".new-0123456789abcdef");
    let all = own.folder.path().join("http");
    let (left, held) = (all.join("left.lock"), all.join("held.lock"));
    let of_kept = own.folder.path().join(format!("{id}.lock"));
    for path in [&torn, &left, &held, &of_kept] {
        std::fs::write(path, "").unwrap();
    }
    let holder = std::fs::File::open(&held).unwrap();
    holder.lock().unwrap();
    own.fetcher.sweep().unwrap();
    assert!(!left.exists() && held.exists() && of_kept.exists());
    own.get(&web.url("x")).unwrap();
    assert!(!torn.exists() && !of_kept.exists());
}
