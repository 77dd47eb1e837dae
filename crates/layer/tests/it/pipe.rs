//! Bytes between threads: whole, or an error.

use std::io::{self, ErrorKind, Read, Write};

use kiln_layer::{pipe, read_ahead};
use proptest::prelude::*;

fn sample(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn what_goes_in_comes_out(len in 0..3_000_000usize, wrote in 1..400_000usize, read in 1..400_000usize) {
        let bytes = sample(len);
        let (mut to, mut from) = pipe();
        let found = std::thread::scope(|scope| {
            scope.spawn(|| {
                for piece in bytes.chunks(wrote) {
                    to.write_all(piece).unwrap();
                }
                to.finish().unwrap();
            });
            let mut found = Vec::new();
            let mut buffer = vec![0; read];
            loop {
                match from.read(&mut buffer).unwrap() {
                    0 => break found,
                    n => found.extend_from_slice(&buffer[..n]),
                }
            }
        });
        prop_assert!(found == bytes);
        let mut ahead = Vec::new();
        read_ahead(io::Cursor::new(bytes.clone())).read_to_end(&mut ahead).unwrap();
        prop_assert!(ahead == bytes);
    }
}

#[test]
fn an_end_that_nobody_said_is_an_error() {
    let (mut to, mut from) = pipe();
    to.write_all(b"begun").unwrap();
    to.flush().unwrap();
    drop(to);
    let mut found = Vec::new();
    let e = from.read_to_end(&mut found).unwrap_err();
    assert_eq!(
        (e.kind(), &found[..]),
        (ErrorKind::UnexpectedEof, &b"begun"[..])
    );
    // And stays one.
    assert!(from.read(&mut [0]).is_err());
}

#[test]
fn an_error_travels_and_a_reader_that_is_gone_is_one() {
    let (to, mut from) = pipe();
    to.fail(io::Error::other("torn"));
    let e = from.read(&mut [0]).unwrap_err();
    assert_eq!(e.to_string(), "torn");
    let (mut to, from) = pipe();
    drop(from);
    let e = to.write_all(&sample(4 << 20)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::BrokenPipe);
}

/// So many bytes, then an error, or a panic.
struct Torn {
    left: usize,
    panics: bool,
}

impl Read for Torn {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = buffer.len().min(self.left);
        self.left -= n;
        match n {
            0 if self.panics => panic!("on purpose"),
            0 => Err(io::Error::other("torn")),
            n => Ok(n),
        }
    }
}

#[test]
fn reading_ahead_gives_the_error_where_it_is() {
    for len in [0, 10, 256 << 10, 3 << 20] {
        let torn = Torn {
            left: len,
            panics: false,
        };
        let mut found = Vec::new();
        let e = read_ahead(torn).read_to_end(&mut found).unwrap_err();
        assert_eq!((e.to_string().as_str(), found.len()), ("torn", len));
    }
    // A panic on the other thread is no end.
    let torn = Torn {
        left: 3 << 20,
        panics: true,
    };
    assert!(read_ahead(torn).read_to_end(&mut Vec::new()).is_err());
}

#[test]
fn whoever_stops_reading_ends_the_thread() {
    struct Endless {
        _alive: std::sync::Arc<()>,
    }
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            Ok(buffer.len())
        }
    }
    let alive = std::sync::Arc::new(());
    let mut ahead = read_ahead(Endless {
        _alive: alive.clone(),
    });
    ahead.read_exact(&mut vec![0; 1 << 20]).unwrap();
    drop(ahead);
    while std::sync::Arc::strong_count(&alive) > 1 {
        std::thread::yield_now();
    }
}
