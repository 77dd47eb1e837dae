//! From flags to the build that is asked for: names, values for ARG, settings. Refuses what is not written
//! as it must be. Groups of flags with files of their own add theirs here.

use std::{env, sync::Arc};

use kiln_build::{Context, Request, RunSettings, image::Reference};

use super::{
    Build,
    input::{Dockerfile, Fetch},
};
use crate::{failure::Failure, progress::Style};

impl Build {
    pub(super) fn request(
        &self,
        dockerfile: &Dockerfile,
        context: Arc<dyn Context>,
        style: Style,
        given: RunSettings,
        fetch: &Fetch<'_>,
    ) -> Result<Request, Failure> {
        let mut request = Request::new(dockerfile.text.clone(), context);
        request.file.clone_from(&dockerfile.name);
        for tag in &self.tags {
            request.tags.push(parse_tag(tag)?);
        }
        for pair in &self.build_args {
            match pair.split_once('=') {
                Some(("", _)) => {
                    let what = format!("--build-arg: `{pair}` has no name before its `=`");
                    return Err(Failure::new(what).code(125));
                }
                Some((key, value)) => request.build_args.push((key.to_owned(), value.to_owned())),
                // Docker passes nothing on for a variable that is not set.
                None => {
                    let value = env::var(pair).ok();
                    request.build_args.extend(value.map(|v| (pair.clone(), v)));
                }
            }
        }
        // As docker: an empty name is none, for scripts with `--target "$TARGET"`.
        request.target = self.target.clone().filter(|name| !name.is_empty());
        self.records.apply(&mut request);
        request.settings.keep_steps = style == Style::Classic;
        request.build_args.extend(epoch(&self.build_args));
        request.run = given;
        self.contexts.apply(&mut request, fetch)?;
        self.runs.apply(&mut request)?;
        self.outputs.apply(&mut request)?;
        Ok(request)
    }
}

/// A name for the image. A wrong one is a mistake of the command line.
fn parse_tag(tag: &str) -> Result<Reference, Failure> {
    let name: Reference = tag
        .parse()
        .map_err(|e: kiln_build::image::Error| Failure::from(e).before("--tag: ").code(125))?;
    match name.digest() {
        None => Ok(name),
        Some(_) => {
            let what = format!("--tag: `{tag}` has a digest, which is known only after the build");
            Err(Failure::new(what).code(125))
        }
    }
}

/// `SOURCE_DATE_EPOCH` of the environment: an argument as any, where none is given.
fn epoch(given: &[String]) -> Option<(String, String)> {
    let name = "SOURCE_DATE_EPOCH";
    let is = |pair: &String| pair.split('=').next() == Some(name);
    let text = env::var(name).ok().filter(|_| !given.iter().any(is))?;
    let text = text.trim();
    (!text.is_empty()).then(|| (name.to_owned(), text.to_owned()))
}
