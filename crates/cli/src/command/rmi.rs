//! `kiln rmi`: names go first, then what nobody names.

use std::process::ExitCode;

use clap::Args;
use kiln_build::{
    Builder,
    image::{Digest, Reference},
    store::{CollectOptions, Found, ImageRecord},
};
use kiln_container::Containers;

use super::ps::is_up;
use crate::{failure::Failure, host};

#[derive(Args)]
pub(crate) struct Rmi {
    /// Images: names or ids
    #[arg(required = true)]
    images: Vec<String>,
    /// Remove all names of an image, also where a container uses it
    #[arg(short, long)]
    force: bool,
    /// Do not delete untagged parents
    #[arg(long)]
    no_prune: bool,
}

impl Rmi {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let builder = host::builder()?;
        let mut failed = None;
        let mut deleted = false;
        for text in &self.images {
            match self.remove(&builder, text) {
                Ok(gone) => deleted |= gone,
                Err(e) => {
                    if let Some(earlier) = failed.replace(e) {
                        earlier.report();
                    }
                }
            }
        }
        if deleted {
            builder.store().collect(&CollectOptions::default())?;
        }
        match failed {
            Some(e) => Err(e),
            None => Ok(ExitCode::SUCCESS),
        }
    }

    /// Removes one name, or an image with its only name. Tells whether an image went.
    fn remove(&self, builder: &Builder, text: &str) -> Result<bool, Failure> {
        let images = builder.store().images();
        let found = images.find(text)?;
        let all = images.list()?;
        let listed = all.iter().find(|l| l.image.id == found.image.id);
        let names: Vec<Reference> = listed.map_or_else(Vec::new, |l| {
            l.names.iter().map(|n| n.name.clone()).collect()
        });
        let last = found.name.is_none() || names.len() <= 1;
        let user = if last {
            user(builder, &found.image.id)?
        } else {
            None
        };
        self.check(text, &found, names.len(), user.as_ref())?;
        let go: Vec<Reference> = match &found.name {
            Some(name) => vec![name.clone()],
            None => names,
        };
        let mut others = Vec::new();
        for name in &go {
            let of_name = images.remove_name(name)?;
            others.extend(of_name.into_iter().flat_map(|image| image.index));
            host::print(&format!("Untagged: {}\n", name.familiar()))?;
        }
        let mut gone = self.others(builder, &found.image.id, &others)?;
        // What runs keeps its image, without a name.
        if !last || user.is_some_and(|user| user.runs) {
            return Ok(gone);
        }
        gone |= self.delete(builder, found.image.id)?;
        Ok(gone)
    }

    /// Deletes the images for other platforms that had no names but through an index that has none
    /// any more.
    fn others(
        &self,
        builder: &Builder,
        own: &Digest,
        others: &[ImageRecord],
    ) -> Result<bool, Failure> {
        let mut gone = false;
        for id in others.iter().map(|image| image.id).filter(|id| id != own) {
            let all = builder.store().images().list()?;
            let idle = all.iter().any(|l| l.image.id == id && l.dangling());
            if idle && !in_use(builder, &id)? {
                gone |= self.delete(builder, id)?;
            }
        }
        Ok(gone)
    }

    /// docker's reasons not to.
    fn check(
        &self,
        text: &str,
        found: &Found,
        names: usize,
        user: Option<&User>,
    ) -> Result<(), Failure> {
        let id = found.image.id.short();
        let unable = |why: String, hint: &str| {
            Err(Failure::new(format!("conflict: unable to delete {id} {why}")).hint(hint))
        };
        match (user, &found.name) {
            (_, None) if names > 1 && !self.force => unable(
                "(must be forced) - image is referenced in multiple repositories".to_owned(),
                "name them one by one, or use --force",
            ),
            (Some(user), None) if user.runs => unable(
                format!("(cannot be forced) - image is being used by running container {}", user.id),
                "stop the container and remove it first",
            ),
            (Some(user), None) if !self.force => unable(
                format!("(must be forced) - image is being used by stopped container {}", user.id),
                "remove the container, or use --force",
            ),
            (Some(user), Some(_)) if !self.force => Err(Failure::new(format!(
                "conflict: unable to remove repository reference \"{text}\" (must force) - container \
                 {} is using its referenced image {id}",
                user.id
            ))
            .hint(format!("remove the container with `kiln rm {}`, or use --force", user.id))),
            _ => Ok(()),
        }
    }

    /// Deletes an image without a name, and the intermediate ones that only it stood on.
    fn delete(&self, builder: &Builder, id: Digest) -> Result<bool, Failure> {
        let images = builder.store().images();
        let mut next = Some(id);
        while let Some(id) = next {
            let parent = images.by_id(&id)?.and_then(|record| record.parent);
            images.remove(&id)?;
            host::print(&format!("Deleted: {id}\n"))?;
            next = parent.filter(|_| !self.no_prune);
            if let Some(parent) = next {
                let all = images.list()?;
                let child = all.iter().any(|l| l.image.parent == Some(parent));
                let named = all
                    .iter()
                    .any(|l| l.image.id == parent && !l.names.is_empty());
                if child || named || in_use(builder, &parent)? {
                    next = None;
                }
            }
        }
        Ok(true)
    }
}

/// A container that stands in the way.
struct User {
    /// The beginning of its id.
    id: String,
    runs: bool,
}

/// The container that uses an image: one that runs, where there is one.
fn user(builder: &Builder, image: &Digest) -> Result<Option<User>, Failure> {
    let mut found = None;
    for container in Containers::open(builder.roots())?.list()? {
        if container.details().image != *image {
            continue;
        }
        let runs = match container.state() {
            Ok(state) => is_up(&state),
            // It was removed meanwhile.
            Err(e) if e.kind() == kiln_container::ErrorKind::NotFound => continue,
            Err(e) => return Err(e.into()),
        };
        if runs || found.is_none() {
            let id = container.id()[..12].to_owned();
            found = Some(User { id, runs });
        }
    }
    Ok(found)
}

fn in_use(builder: &Builder, id: &Digest) -> Result<bool, Failure> {
    let containers = builder.store().refs().list("container/")?;
    Ok(containers.iter().any(|(_, r)| r.keeps.contains(id)))
}
