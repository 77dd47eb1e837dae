//! The values of secrets, where they must not be: layers that contain one are refused, and in what a
//! step writes `****` stands in their place, however the pieces are cut. Refuses to guess: what a program
//! encodes or cuts up itself goes through.

use kiln_layer::Watch;

use crate::{Error, ErrorKind, RunSettings};

/// A secret of fewer bytes is not looked for in layers: too much would be it by chance.
const IN_LAYERS: usize = 8;

/// A shorter text is not hidden in what a step writes.
const IN_OUTPUT: usize = 4;

/// What is written in place of a secret.
const HIDDEN: &[u8] = b"****";

/// The values of all secrets of a build, to look for.
pub(crate) struct Known {
    /// By which names they are known, in the order of the needles of `watch`.
    ids: Vec<String>,
    /// For layers.
    pub(crate) watch: Watch,
    /// For what is written: whole values, and the lines of those that have several.
    output: Watch,
}

impl Known {
    /// Asks for every secret that there is; none where layers may contain them and nothing is.
    pub(crate) fn of(run: &RunSettings) -> Result<Self, Error> {
        let (mut ids, mut layers, mut output) = (Vec::new(), Vec::new(), Vec::new());
        for id in run.secrets.ids() {
            let Some(secret) = run.secrets.get(&id)? else {
                continue;
            };
            let value = secret.bytes().trim_ascii();
            let mut lines = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            let long = |line: &&[u8]| line.len() >= IN_OUTPUT;
            if long(&value) {
                output.push(value.to_vec());
            }
            if value.contains(&b'\n') {
                let wide = |line: &&[u8]| line.len() >= IN_LAYERS;
                output.extend(lines.by_ref().filter(wide).map(<[u8]>::to_vec));
            }
            if value.len() >= IN_LAYERS && !run.allow_secret_in_layer {
                layers.push(value.to_vec());
                ids.push(id);
            }
        }
        Ok(Self {
            ids,
            watch: Watch::new(layers),
            output: Watch::new(output),
        })
    }

    /// The names of those that no layer may contain.
    pub(crate) fn in_layers(&self) -> impl Iterator<Item = &String> {
        self.ids.iter()
    }

    /// The error of a layer that contains the secret of this needle, in `path` (absolute).
    pub(crate) fn in_layer(&self, needle: usize, path: &str) -> Error {
        let id = self.ids.get(needle).map_or("", String::as_str);
        let what = format!("the layer would contain the value of the secret `{id}`, in `{path}`");
        Error::new(ErrorKind::Input, what).hint(
            "leave it out of what the step keeps; --allow-secret-in-layer lets it through, for all \
             who get the image",
        )
    }

    /// A new text that is hidden in.
    pub(crate) fn mask(&self) -> Mask<'_> {
        Mask {
            watch: &self.output,
            held: Vec::new(),
        }
    }
}

/// One text, piece by piece.
pub(crate) struct Mask<'a> {
    watch: &'a Watch,
    /// What may be the beginning of a secret.
    held: Vec<u8>,
}

impl Mask<'_> {
    /// What of the text so far can be shown, when it goes on with `bytes`.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.watch.needles().is_empty() {
            return bytes.to_vec();
        }
        self.held.extend_from_slice(bytes);
        let mut shown = Vec::with_capacity(self.held.len());
        let mut from = 0;
        while let Some((needle, at)) = self.watch.find(&self.held[from..]) {
            shown.extend_from_slice(&self.held[from..from + at]);
            shown.extend_from_slice(HIDDEN);
            from += at + self.watch.needles()[needle].len();
        }
        let begun = self.begun(&self.held[from..]);
        let until = self.held.len() - begun;
        shown.extend_from_slice(&self.held[from..until]);
        self.held.drain(..until);
        shown
    }

    /// What was held back, at the end of the text.
    pub(crate) fn end(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// How many bytes at the end of `text` may be the beginning of a secret.
    fn begun(&self, text: &[u8]) -> usize {
        let of = |needle: &Vec<u8>| {
            let most = text.len().min(needle.len().saturating_sub(1));
            (1..=most)
                .rev()
                .find(|n| needle.starts_with(&text[text.len() - n..]))
        };
        self.watch
            .needles()
            .iter()
            .filter_map(of)
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Secret, Secrets};

    struct Given(Vec<(&'static str, &'static str)>);

    impl Secrets for Given {
        fn get(&self, id: &str) -> Result<Option<Secret>, Error> {
            let found = self.0.iter().find(|(name, _)| *name == id);
            Ok(found.map(|(_, value)| Secret::new(*value)))
        }

        fn ids(&self) -> Vec<String> {
            self.0.iter().map(|(id, _)| (*id).to_owned()).collect()
        }
    }

    fn known(secrets: &[(&'static str, &'static str)]) -> Known {
        let run = RunSettings {
            secrets: Arc::new(Given(secrets.to_vec())),
            ..RunSettings::default()
        };
        Known::of(&run).unwrap()
    }

    #[test]
    fn secrets_are_hidden_however_the_text_is_cut() {
        let known = known(&[("a", "hunter2\n"), ("b", "line-one\nline-two"), ("c", "xy")]);
        for (text, shown) in [
            ("pass hunter2, hunter2hunter2", "pass ****, ********"),
            ("hunter", "hunter"),
            ("hunthunter2", "hunt****"),
            ("> line-two\n> line-one\n", "> ****\n> ****\n"),
            ("xy", "xy"),
        ] {
            for size in 1..=text.len() {
                let mut mask = known.mask();
                let mut found = Vec::new();
                for piece in text.as_bytes().chunks(size) {
                    found.extend(mask.push(piece));
                }
                found.extend(mask.end());
                assert_eq!(String::from_utf8(found).unwrap(), shown, "{text} by {size}");
            }
        }
    }

    #[test]
    fn what_is_no_beginning_is_shown_at_once() {
        let known = known(&[("a", "hunter2")]);
        let mut mask = known.mask();
        assert_eq!(mask.push(b"Password: "), b"Password: ");
        assert_eq!(mask.push(b"hunt"), b"");
        assert_eq!(mask.push(b"!"), b"hunt!");
    }

    #[test]
    fn short_secrets_are_not_looked_for_in_layers() {
        let known = known(&[("short", "1234567"), ("long", "12345678")]);
        assert_eq!(known.watch.needles(), [b"12345678".to_vec()]);
        assert!(known.in_layer(0, "/x").to_string().contains("`long`"));
    }
}
