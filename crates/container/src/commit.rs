//! `commit`: a container's changes as one more layer on its image's own, which are shared.
//!
//! The container is not paused for it: without a control group of its own there is nothing that
//! could. What it writes meanwhile may be in the layer or not; no file's content is torn from its
//! size.

use kiln_image::{Config, Digest, History, Raw, Reference, Runtime};
use kiln_layer::Times;

use crate::containers::Container;
use crate::root::changed;
use crate::{Error, ErrorKind, time};

/// What an image that is made of a container is to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Who made it.
    pub author: Option<String>,
    /// What they have to say.
    pub message: Option<String>,
    /// What runs in it, and how: [`Details::config`](crate::Details), with what was to be changed.
    pub config: Runtime,
}

impl Container {
    /// Makes an image of the container's image and what was changed since, names it where a name is
    /// given, and gives its id. Without changes there is no new layer.
    ///
    /// The history says what docker's does: the command line, the message as comment, the author.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when the image's config is gone; as
    /// [`Roots::changes`](kiln_rootfs::Roots::changes), and what the store gives.
    pub fn commit(&self, commit: &Commit, name: Option<&Reference>) -> Result<Digest, Error> {
        let store = self.roots.store();
        let build = store.begin().map_err(kiln_rootfs::Error::from)?;
        let mut config = self.image_config()?;
        let layers = &self.details.layers;
        let made = match changed(self)? {
            Some(prepared) => {
                let made = self.roots.changes(&prepared, layers, Times::Keep, true);
                self.or_missing(made)?.0
            }
            None => None,
        };
        let now = Some(time::text(time::now()));
        config.rootfs.diff_ids.clone_from(layers);
        config.rootfs.diff_ids.extend(made.map(|made| made.diff_id));
        let words = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        config.history.push(History {
            created: now.clone(),
            created_by: Some(self.details.command.argv.join(" ")),
            author: words(&commit.author),
            comment: words(&commit.message),
            empty_layer: made.is_none(),
            ..History::default()
        });
        config.created = now;
        config.author = words(&commit.author);
        config.config = commit.config.clone();
        // The classic builder's notes of the container that it made the base in.
        for of_another in ["container", "container_config"] {
            config.other.remove(of_another);
        }
        let stored = kiln_rootfs::Error::from;
        let parent = Some(self.details.image);
        let image = build
            .put_image(&Raw::new(config), None, parent)
            .map_err(stored)?;
        if let Some(name) = name {
            build.name(name, &image).map_err(stored)?;
        }
        build.seal().map_err(stored)?;
        Ok(image.id)
    }

    fn image_config(&self) -> Result<Config, Error> {
        let gone = |e: Box<dyn std::error::Error + Send + Sync>| {
            let what = format!(
                "read the config of the image \"{}\"",
                self.details.image_name
            );
            Error::new(ErrorKind::NotFound, what).because(e)
        };
        let bytes = self.roots.store().blobs().read(&self.details.image);
        let bytes = bytes.map_err(|e| gone(e.into()))?;
        let config = Raw::<Config>::parse(bytes).map_err(|e| gone(e.into()))?;
        Ok(config.value().clone())
    }
}
