//! Servers that do not mean well.

use std::io::Write;

use kiln_fetch::{ErrorKind, Limits};
use kiln_tests::web::{Web, answer, head};

use crate::support::{Count, Own, contents, read};

#[test]
fn an_endless_body_has_an_end() {
    let web = Web::start(|_, to| {
        head(to, 200, &[])?;
        to.write_all(b"\r\n")?;
        loop {
            to.write_all(&[0; 4096])?;
        }
    });
    let limits = Limits {
        file: 1 << 20,
        ..Limits::default()
    };
    let own = Own::limited(limits);
    let e = own.get(&web.unwrap().url("x")).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Refused, "{e}");
    assert!(
        contents(own.folder.path()).len() < 4096,
        "nothing of it stays"
    );
}

#[test]
fn an_enormous_length_is_refused_before_a_byte_comes() {
    let web = Web::start(|_, to| {
        head(to, 200, &[])?;
        to.write_all(b"Content-Length: 9223372036854775807\r\n\r\n")
    });
    let web = web.unwrap();
    assert_eq!(
        Own::new().get(&web.url("x")).unwrap_err().kind(),
        ErrorKind::Refused
    );
    assert_eq!(web.log().len(), 1);
}

#[test]
fn a_length_that_never_comes_is_no_file() {
    let web = Web::start(|_, to| {
        head(to, 200, &[])?;
        to.write_all(b"Content-Length: 10\r\n\r\nabc")
    });
    let own = Own::new();
    let e = own.get(&web.unwrap().url("x")).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unreachable, "{e}");
    assert!(own.get("http://127.0.0.1:1/").is_err());
}

#[test]
fn redirects_have_an_end() {
    let web = Web::start(|_, to| answer(to, 302, &[("Location", "/again")], b"")).unwrap();
    let e = Own::new().get(&web.url("x")).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Refused, "{e}");
    assert_eq!(web.log().len(), 11);
    for away in ["file:///etc/passwd", "ftp://h/", "http://", "javascript:x"] {
        let web = Web::start(move |_, to| answer(to, 302, &[("Location", away)], b"")).unwrap();
        let e = Own::new().get(&web.url("x")).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Refused, "{away}: {e}");
    }
}

#[test]
fn a_part_that_is_of_something_else_is_not_put_to_the_rest() {
    for (range, body) in [
        ("bytes 1-5/6", &b"bcdef"[..]),
        ("bytes 4-5/6", b"ef"),
        ("bytes 0-5/6", b"abcdef"),
        ("lines 3-5/6", b"def"),
        ("bytes 3-9/6", b"def"),
    ] {
        let count = Count::default();
        let web = Web::start(
            move |asked, to| match (count.next(), asked.header("range")) {
                (0, _) => {
                    head(to, 200, &[("ETag", "\"v\"")])?;
                    to.write_all(b"Content-Length: 6\r\n\r\nabc")
                }
                (_, Some(_)) => answer(to, 206, &[("Content-Range", range)], body),
                (_, None) => answer(to, 200, &[("ETag", "\"v\"")], b"ABCDEF"),
            },
        );
        let found = Own::new().get(&web.unwrap().url("x"));
        assert_eq!(found.map(|f| read(&f)).unwrap(), b"ABCDEF", "{range}");
    }
    // A part that nobody asked for.
    let web = Web::start(|_, to| answer(to, 206, &[("Content-Range", "bytes 0-2/3")], b"abc"));
    let e = Own::new().get(&web.unwrap().url("x")).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Mismatch, "{e}");
}

#[test]
fn a_whole_that_is_shorter_than_it_was_said_to_be_is_none() {
    let count = Count::default();
    let web = Web::start(move |_, to| match count.next() {
        0 => {
            head(to, 200, &[("ETag", "\"v\"")])?;
            to.write_all(b"Content-Length: 6\r\n\r\nabc")
        }
        // Says that three are to come and sends one, as a whole answer.
        _ => answer(to, 206, &[("Content-Range", "bytes 3-5/6")], b"d"),
    });
    let e = Own::new().get(&web.unwrap().url("x")).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Mismatch, "{e}");
}

#[test]
fn names_cannot_leave_their_folder() {
    for (said, want) in [
        ("attachment; filename=\"../../etc/passwd\"", Some("passwd")),
        ("attachment; filename=\"..\"", Some("x")),
        ("attachment; filename*=UTF-8''%2e%2e%2fa", Some("a")),
    ] {
        let web = Web::start(move |_, to| answer(to, 200, &[("Content-Disposition", said)], b""));
        let found = Own::new().get(&web.unwrap().url("x")).unwrap();
        assert_eq!(found.name(), want, "{said}");
    }
}

#[test]
fn headers_without_end_are_no_answer() {
    let web = Web::start(|_, to| {
        head(to, 200, &[])?;
        loop {
            to.write_all(b"X-More: and more and more\r\n")?;
        }
    });
    assert!(Own::new().get(&web.unwrap().url("x")).is_err());
}
