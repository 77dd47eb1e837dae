//! `kiln rmi`: names go first, then what nobody names.

use std::process::ExitCode;

use clap::Args;
use kiln_build::{
    Builder,
    image::{Digest, Reference},
    store::{CollectOptions, Found},
};

use crate::{failure::Failure, host};

#[derive(Args)]
pub(crate) struct Rmi {
    /// Images: names or ids
    #[arg(required = true)]
    images: Vec<String>,
    /// Remove all names of an image, and one that a container uses
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
        let by_name = found.name.clone();
        if by_name.is_none() && names.len() > 1 && !self.force {
            return Err(conflict(
                &found,
                "is referenced in multiple repositories",
                "name them one by one, or use --force",
            ));
        }
        let last = by_name.is_none() || names.len() <= 1;
        if last && !self.force && in_use(builder, &found.image.id)? {
            let hint =
                "remove the container (`kiln system prune` removes stopped ones), or use --force";
            return Err(conflict(&found, "is being used by a container", hint));
        }
        let go: Vec<Reference> = match by_name {
            Some(name) => vec![name],
            None => names.clone(),
        };
        for name in &go {
            images.remove_name(name)?;
            host::print(&format!("Untagged: {}\n", name.familiar()))?;
        }
        if !last {
            return Ok(false);
        }
        self.delete(builder, found.image.id)?;
        Ok(true)
    }

    /// Deletes an image without a name, and the intermediate ones that only it stood on.
    fn delete(&self, builder: &Builder, id: Digest) -> Result<(), Failure> {
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
        Ok(())
    }
}

fn in_use(builder: &Builder, id: &Digest) -> Result<bool, Failure> {
    let containers = builder.store().refs().list("container/")?;
    Ok(containers.iter().any(|(_, r)| r.keeps.contains(id)))
}

fn conflict(found: &Found, why: &str, hint: &str) -> Failure {
    let id = found.image.id.short();
    Failure::new(format!("conflict: unable to delete {id}: image {why}")).hint(hint)
}
