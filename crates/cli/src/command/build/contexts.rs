//! `--build-context`: what stands for stages and images of other names, besides the main context. Refuses
//! what only other programs give a meaning to.

use std::{path::Path, sync::Arc};

use clap::Args;
use kiln_build::{
    Fetched, LayoutImage, LocalContext, Named, NamedContext, Purpose, Request, image::Reference,
};

use super::input::Fetch;
use crate::failure::Failure;

#[derive(Args)]
pub(super) struct Contexts {
    /// What NAME stands for in FROM and `from`: a folder, a git or HTTP address, `docker-image://NAME`,
    /// `oci-layout://FOLDER[:TAG|@DIGEST]`, `target:STAGE`; may be given several times
    #[arg(long = "build-context", value_name = "NAME=VALUE")]
    build_contexts: Vec<String>,
}

impl Contexts {
    pub(super) fn apply(&self, request: &mut Request, fetch: &Fetch<'_>) -> Result<(), Failure> {
        for given in &self.build_contexts {
            let wrong = |what: String| {
                Failure::new(format!("--build-context: {what}"))
                    .hint("it is `NAME=VALUE`, for example `assets=../assets`")
                    .code(125)
            };
            let Some((name, value)) = given.split_once('=') else {
                return Err(wrong(format!("`{given}` has no `=`")));
            };
            let name = name.to_owned();
            let image = name.split_once("::").map_or(&*name, |(image, _)| image);
            if let Err(e) = image.parse::<Reference>() {
                return Err(wrong(e.to_string()));
            }
            let context = value.parse::<NamedContext>();
            let context = context.map_err(|e| wrong(format!("`{name}`: {e}")))?;
            let opened = open((&name, &context), request, fetch);
            let opened = opened.map_err(|e| e.before(&format!("--build-context {name}: ")))?;
            request.contexts.insert(name, opened);
        }
        Ok(())
    }
}

fn open(
    (name, context): (&str, &NamedContext),
    request: &Request,
    fetch: &Fetch<'_>,
) -> Result<Named, Failure> {
    Ok(match context {
        NamedContext::Folder(path) => {
            let context = LocalContext::open(Path::new(path), None)?;
            Named::Files(Arc::new(context.plain_modes(request.settings.reproducible)))
        }
        NamedContext::Image(name) if name == "scratch" => Named::Scratch,
        NamedContext::Image(name) => Named::Image(name.parse()?),
        NamedContext::Layout(text) => Named::Layout(LayoutImage::open(text)?),
        NamedContext::Target(stage) => Named::Target(stage.clone()),
        other => {
            let fetched = fetch.address(&other.to_string(), Purpose::Named(name), &request.run)?;
            let context = match fetched {
                Some(Fetched::Repository(context)) => context,
                // As docker has it: what was fetched stays one file, an archive too.
                Some(Fetched::File(file)) => file.alone()?,
                None => return Err(Failure::new(format!("`{other}` cannot be fetched"))),
            };
            Named::Files(Arc::new(context))
        }
    })
}
