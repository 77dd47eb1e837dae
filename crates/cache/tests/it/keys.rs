//! Keys are injective: other parts, another key.

use kiln_cache::{Key, KeyBuilder, Part};
use kiln_image::Digest;
use proptest::prelude::*;

type Parts = Vec<(String, Vec<u8>)>;

fn key(domain: &str, parts: &Parts) -> Key {
    let add = |k: KeyBuilder, (name, value): &(String, Vec<u8>)| k.part(name, value);
    parts.iter().fold(KeyBuilder::new(domain), add).finish()
}

/// Few letters and short words: so that two draws often have the same bytes in a row.
fn parts() -> impl Strategy<Value = Parts> {
    prop::collection::vec(("[ab]{0,2}", prop::collection::vec(97..99_u8, 0..3)), 0..4)
}

proptest! {
    #[test]
    fn other_parts_give_another_key(d in "[ab]{0,2}", e in "[ab]{0,2}", a in parts(), b in parts()) {
        prop_assert_eq!(key(&d, &a) == key(&e, &b), (&d, &a) == (&e, &b));
    }

    #[test]
    fn moving_bytes_between_parts_gives_another_key(text in "[a-c]{1,8}", cut in 0..8_usize) {
        let cut = cut.min(text.len());
        let (x, y) = text.split_at(cut);
        let one = key("d", &vec![(text.clone(), vec![])]);
        let two = key("d", &vec![(x.to_owned(), y.as_bytes().to_vec())]);
        prop_assert_eq!(one == two, cut == text.len());
    }
}

#[test]
fn a_tree_is_told_from_a_text_that_looks_like_it() {
    let digest = Digest::sha256(b"x");
    let tree = Part::tree("context", digest);
    let text = Part::new("context", digest.to_string());
    assert_ne!(Key::of("d", &[tree]), Key::of("d", &[text]));
}

#[test]
fn keys_are_text_and_back_and_do_not_change_between_versions() {
    let key = KeyBuilder::new("run/1")
        .part("argv", b"make")
        .number("epoch", 7)
        .finish();
    let text = "blake3:f62b5f3aefe395b2be81d19b32ec10a65be84407752aa9fb9e5b23404828b33f";
    assert_eq!(key.to_string(), text);
    assert_eq!(text.parse::<Key>().unwrap(), key);
    let e = "run/1".parse::<Key>().unwrap_err();
    assert!(e.to_string().contains("`run/1`"));
}
