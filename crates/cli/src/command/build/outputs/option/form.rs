//! The options about how an image looks where it goes: compression, media types, notes, names with a
//! digest.

use kiln_build::{Annotation, Compression, ImageForm, Push, WithDigest};

use super::{Options, Wrong, annotated};
use crate::failure::Failure;

impl Options {
    /// Names that have the digest, which only the store has.
    pub(super) fn with_digest(
        &mut self,
        store: bool,
        wrong: Wrong<'_>,
    ) -> Result<WithDigest, Failure> {
        let dangling = match self.take("dangling-name-prefix").as_deref() {
            None | Some("") => None,
            Some(name) => Some(name.parse().map_err(|e: kiln_build::image::Error| {
                wrong(format!("dangling-name-prefix: {e}"))
            })?),
        };
        let with_digest = WithDigest {
            canonical: self.flag("name-canonical").map_err(wrong)?.unwrap_or(false),
            dangling,
        };
        match with_digest != WithDigest::default() && !store {
            true => Err(wrong(
                "`name-canonical` and `dangling-name-prefix` need `store=true`".to_owned(),
            )),
            false => Ok(with_digest),
        }
    }

    pub(super) fn form(&mut self) -> Result<ImageForm, String> {
        let compression = match self.take("compression").as_deref() {
            None => None,
            Some("gzip") => Some(Compression::Gzip),
            Some("zstd") => Some(Compression::Zstd),
            Some("estargz") => Some(Compression::EStargz),
            Some("zstd:chunked") => Some(Compression::ZstdChunked),
            Some("uncompressed") => Some(Compression::None),
            Some(other) => {
                let forms = "uncompressed, gzip, estargz, zstd, zstd:chunked";
                return Err(format!(
                    "there is no compression `{other}` (there are: {forms})"
                ));
            }
        };
        let level = match self.take("compression-level") {
            None => None,
            Some(level) => Some(
                level
                    .parse()
                    .map_err(|_| format!("compression-level: `{level}` is no number"))?,
            ),
        };
        Ok(ImageForm {
            packed: Push {
                compression,
                level,
                force: self.flag("force-compression")?.unwrap_or(false),
            },
            docker_types: !self.oci_types()?,
            annotations: self.annotations()?,
        })
    }

    /// Whether the media types are those of OCI: as it is said, else as that version of buildkit has it.
    fn oci_types(&mut self) -> Result<bool, String> {
        let usual = match self.take("compatibility-version").as_deref() {
            None | Some("30") => true,
            Some("10" | "20") => false,
            Some(other) => {
                return Err(format!(
                    "there is no compatibility-version `{other}` (there are: 10, 20, 30)"
                ));
            }
        };
        Ok(self.flag("oci-mediatypes")?.unwrap_or(usual))
    }

    /// `annotation[-TYPE][[PLATFORM]].KEY=VALUE`.
    fn annotations(&mut self) -> Result<Vec<Annotation>, String> {
        let mut found = Vec::new();
        let mut rest = Vec::new();
        for (key, value) in std::mem::take(&mut self.given) {
            let Some((kind, name)) = key
                .strip_prefix("annotation")
                .and_then(|key| key.split_once('.'))
            else {
                rest.push((key, value));
                continue;
            };
            let (on, platform) = annotated(kind.strip_prefix('-').unwrap_or(kind))?;
            found.push(Annotation {
                on,
                platform,
                key: name.to_owned(),
                value,
            });
        }
        self.given = rest;
        Ok(found)
    }
}
