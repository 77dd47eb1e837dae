//! Records come back as they went in, other bytes are an error, and differences are named.

use kiln_cache::{ErrorKind, Part, Record, explain};
use kiln_image::Digest;
use proptest::prelude::*;

fn record() -> impl Strategy<Value = Record> {
    let digest = any::<[u8; 4]>().prop_map(|b| Digest::sha256(&b));
    let part = (".{0,8}", ".{0,8}", prop::option::of(digest.clone()))
        .prop_map(|(name, value, tree)| Part { name, value, tree });
    (
        prop::collection::vec(part, 0..5),
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(digest, 0..4),
    )
        .prop_map(|(parts, value, refs)| Record { parts, value, refs })
}

proptest! {
    #[test]
    fn comes_back_as_it_went_in(r in record()) {
        prop_assert_eq!(Record::decode(&r.encode()).unwrap(), r);
    }

    #[test]
    fn one_changed_byte_is_an_error(r in record(), at in any::<prop::sample::Index>(), x in 1..=255_u8) {
        let mut bytes = r.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= x;
        prop_assert_eq!(Record::decode(&bytes).unwrap_err().kind(), ErrorKind::Damaged);
    }

    #[test]
    fn cut_short_is_an_error(r in record(), at in any::<prop::sample::Index>()) {
        let bytes = r.encode();
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert_eq!(Record::decode(cut).unwrap_err().kind(), ErrorKind::Damaged);
    }

    /// Behind a good checksum too: lengths that promise more than there is, counts without end.
    #[test]
    fn any_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..80), zeros in any::<bool>()) {
        let mut bytes = b"kiln record 1\n".to_vec();
        if zeros {
            bytes.extend_from_slice(&u64::MAX.to_le_bytes());
        }
        bytes.extend_from_slice(&body);
        let checksum = blake3::hash(&bytes);
        bytes.extend_from_slice(checksum.as_bytes());
        let _ = Record::decode(&bytes);
    }

    #[test]
    fn a_difference_is_found_exactly_when_there_is_one(a in record(), b in record()) {
        prop_assert_eq!(explain(&a, &b).is_none(), a.parts == b.parts);
        prop_assert!(explain(&a, &a).is_none());
    }
}

#[test]
fn the_first_difference_has_a_name() {
    let made = |parts: &[(&str, &str)]| Record {
        parts: parts.iter().map(|(n, v)| Part::new(*n, *v)).collect(),
        ..Record::default()
    };
    let old = made(&[("base", "1"), ("arg A", "x"), ("file a", "1")]);
    for (new, name, was, is) in [
        (
            made(&[("base", "2"), ("arg A", "y")]),
            "base",
            Some("1"),
            Some("2"),
        ),
        (
            made(&[("base", "1"), ("file a", "2")]),
            "arg A",
            Some("x"),
            None,
        ),
        (
            made(&[
                ("base", "1"),
                ("arg B", "z"),
                ("arg A", "x"),
                ("file a", "1"),
            ]),
            "arg B",
            None,
            Some("z"),
        ),
        (
            made(&[("base", "1"), ("arg A", "x")]),
            "file a",
            Some("1"),
            None,
        ),
        (
            made(&[
                ("base", "1"),
                ("arg A", "x"),
                ("file a", "1"),
                ("user", "0"),
            ]),
            "user",
            None,
            Some("0"),
        ),
        (
            made(&[("base", "1"), ("file a", "1"), ("arg A", "x")]),
            "file a",
            Some("x"),
            Some("1"),
        ),
    ] {
        let found = explain(&old, &new).unwrap();
        assert_eq!(found.name(), name);
        assert_eq!(found.was.map(|p| p.value.as_str()), was, "{name}");
        assert_eq!(found.is.map(|p| p.value.as_str()), is, "{name}");
    }
}
