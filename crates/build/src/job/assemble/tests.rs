use kiln_frontend::{Bases, Lowering, Options, Resolved, lower};
use kiln_image::{Digest, Platform};

use super::*;
use crate::executor::output::Slot;

/// What is known of a build upon `base`.
pub(crate) fn assembly(lowered: &Lowered, epoch: Option<i64>) -> Assembly<'_> {
    let made = |manifest: &Digest| {
        (*manifest == layer("manifest")).then(|| "2024-05-01T00:00:00Z".to_owned())
    };
    Assembly::new(lowered, epoch, &made)
}

/// Lowers `text`, in which `base` is an image of one layer, made in 2024.
pub(crate) fn lowered(text: &str) -> Lowered {
    let parsed = kiln_parser::parse(text);
    let (file, _) = parsed.into_result().unwrap();
    let mut config = Config::scratch(&Platform::host());
    config.history = vec![History {
        created: Some("2024-04-01T00:00:00Z".to_owned()),
        ..History::default()
    }];
    let mut bases = Bases::new();
    let resolved = Resolved {
        manifest: layer("manifest"),
        config,
    };
    bases.insert("base".parse().unwrap(), Platform::host(), resolved);
    let options = Options {
        platform: Platform::host(),
        ..Options::default()
    };
    match lower(&file, &options, &bases).unwrap() {
        Lowering::Done(lowered) => *lowered,
        Lowering::Need(bases) => panic!("{bases:?}"),
    }
}

pub(crate) fn layer(name: &str) -> Digest {
    Digest::sha256(name.as_bytes())
}

/// The layer of the base, and a slot for each of `made`: a name, or no change; and seconds.
pub(crate) fn slots(made: &[(&str, i64)]) -> Slots {
    let slot = |(name, created): &(&str, i64)| Slot {
        layer: (!name.is_empty()).then(|| layer(name)),
        created: *created,
    };
    Slots {
        base: vec![layer("base")],
        made: made.iter().map(slot).collect(),
    }
}

/// Each line of the history: its time and whether it made no layer.
fn history(config: &Config) -> Vec<(&str, bool)> {
    config
        .history
        .iter()
        .map(|h| (h.created.as_deref().unwrap_or("none"), h.empty_layer))
        .collect()
}

#[test]
fn times_layers_and_lines_of_the_history() {
    let lowered = lowered("FROM base\nRUN a\nENV x=y\nRUN nothing\nRUN b\n");
    let assembly = assembly(&lowered, None);
    let slots = slots(&[("a", 60), ("", 120), ("b", 180)]);
    let config = assembly.config(4, &slots);
    assert_eq!(
        history(&config),
        [
            ("2024-04-01T00:00:00Z", false),
            ("1970-01-01T00:01:00Z", false),
            ("1970-01-01T00:01:00Z", true),
            ("1970-01-01T00:02:00Z", true),
            ("1970-01-01T00:03:00Z", false),
        ]
    );
    assert_eq!(config.created.as_deref(), Some("1970-01-01T00:03:00Z"));
    let layers = ["base", "a", "b"].map(layer);
    assert_eq!(config.rootfs.diff_ids, layers);

    // The image of an earlier step is told from the same root.
    let early = assembly.config(2, &slots);
    assert_eq!(history(&early), history(&config)[..3]);
    assert_eq!(early.rootfs.diff_ids, layers[..2]);
    assert_eq!(early.created.as_deref(), Some("1970-01-01T00:01:00Z"));
}

#[test]
fn what_makes_no_layer_is_as_old_as_what_it_stands_on() {
    let on_base = lowered("FROM base\nLABEL a=b\n");
    let config = assembly(&on_base, None).config(1, &slots(&[]));
    assert_eq!(config.created.as_deref(), Some("2024-05-01T00:00:00Z"));
    assert_eq!(history(&config)[1], ("2024-05-01T00:00:00Z", true));
    let on_nothing = lowered("FROM scratch\nLABEL a=b\n");
    let config = assembly(&on_nothing, None).config(1, &Slots::default());
    assert_eq!(config.created.as_deref(), Some("1970-01-01T00:00:00Z"));
}

#[test]
fn no_time_is_later_than_the_epoch() {
    let lowered = lowered("FROM base\nRUN a\nLABEL a=b\n");
    let assembly = assembly(&lowered, Some(3600));
    let config = assembly.config(2, &slots(&[("a", 60)]));
    assert_eq!(
        history(&config),
        [
            ("1970-01-01T01:00:00Z", false),
            ("1970-01-01T00:01:00Z", false),
            ("1970-01-01T00:01:00Z", true),
        ]
    );
    let config = assembly.config(0, &slots(&[]));
    assert_eq!(config.created.as_deref(), Some("1970-01-01T01:00:00Z"));
}

#[test]
fn a_stage_goes_on_where_the_one_it_is_from_ends() {
    let lowered = lowered(
        "FROM base AS a\nRUN a\nFROM base AS b\nRUN b\nFROM a\nRUN c\nCOPY --from=b /x /\n",
    );
    let assembly = assembly(&lowered, None);
    let made: Vec<_> = (0..lowered.steps.len()).map(|s| assembly.made(s)).collect();
    assert_eq!(made, [0, 1, 0, 1, 1, 2, 3]);
    let before: Vec<_> = (0..7).map(|s| assembly.before(s)).collect();
    assert_eq!(
        before,
        [None, Some(0), None, Some(2), Some(1), Some(4), Some(5)]
    );
    let config = assembly.config(6, &slots(&[("a", 1), ("c", 2), ("x", 3)]));
    assert_eq!(config.rootfs.diff_ids, ["base", "a", "c", "x"].map(layer));
    assert_eq!(config.history.len(), 4);
}
