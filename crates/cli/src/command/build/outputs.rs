//! Where a build goes: `--output` and its short forms, and what the image is given on the way. The
//! options are those of buildx; one that kiln has nothing for is refused.

mod below;
mod loading;
mod option;
mod written;

use std::path::PathBuf;

use clap::Args;
use kiln_build::{Annotated, Annotation, Entitlement, Export, Request, image::Platform};

use self::loading::Engine;
use crate::{failure::Failure, pairs};

#[derive(Args)]
#[command(next_help_heading = "Where the result goes")]
pub(super) struct Outputs {
    /// Where the result goes, instead of into the store: a folder, `-` for a tar on standard output,
    /// or `type=local|tar|oci|docker|image|registry|cacheonly[,dest=PATH,…]`; several times for several
    #[arg(short, long = "output", value_name = "TYPE")]
    outputs: Vec<String>,
    /// Push to the registries of the names
    #[arg(long)]
    push: bool,
    /// Put the image into the store, beside other outputs; or hand it to `docker` or `podman`
    #[arg(long, value_name = "ENGINE", num_args = 0..=1, require_equals = true, default_missing_value = "kiln")]
    load: Option<Engine>,
    /// Write the image id to this file
    #[arg(long, value_name = "FILE")]
    iidfile: Option<PathBuf>,
    /// Write what came of the build to this file, as JSON
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
    /// Give the image a label
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// Put a note on the image's documents: `manifest` (the default), `index`, `manifest-descriptor`,
    /// `index-descriptor`
    #[arg(long = "annotation", value_name = "[TYPE[PLATFORM]:]KEY=VALUE")]
    annotations: Vec<String>,
    /// Make one layer of all that come upon the base
    #[arg(long)]
    squash: bool,
}

impl Outputs {
    /// Adds what is asked for.
    pub(super) fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        if self
            .outputs
            .iter()
            .filter(|text| option::is_stdout(text))
            .count()
            > 1
        {
            let what = "--output: only one archive can go to standard output";
            return Err(Failure::new(what).code(125));
        }
        let mut to = kiln_build::Outputs {
            labels: pairs::labels(&[], &self.labels).map_err(|f| f.code(125))?,
            squash: self.squash,
            ..kiln_build::Outputs::default()
        };
        for text in &self.annotations {
            to.annotations.extend(annotations(text)?);
        }
        for text in &self.outputs {
            let output = option::read(text)?;
            self.allowed(&output, request)?;
            to.keep_times |= output.rewrite == Some(false);
            to.exports.push(output.export);
        }
        if self.push {
            push(&mut to.exports);
        }
        match self.load {
            None => {}
            Some(Engine::Kiln) => store(&mut to.exports),
            Some(engine) => to.exports.push(engine.export()),
        }
        self.has_id(&to.exports)?;
        let nameless =
            |e: &Export| matches!(e, Export::Image(i) if i.push.is_some() && i.names.is_empty());
        if request.tags.is_empty() && to.exports.iter().any(nameless) {
            return Err(Failure::new("tag is needed when pushing to registry")
                .code(125)
                .hint("give it with `-t REGISTRY/NAME`, or as `name=` of the output"));
        }
        if !request.tags.is_empty() && !to.exports.is_empty() {
            let named = to.exports.iter().any(Export::is_image);
            if !named {
                crate::host::say(
                    "warning: `--tag` names an image, and no output of this build is one",
                );
            }
        }
        // Several platforms have an index, which is kept as a document.
        if !to.annotations.is_empty() && request.platforms.len() < 2 && stays_here(&to.exports) {
            crate::host::say(
                "warning: `--annotation` is of no effect: it is written into the manifest of an \
                 image that is pushed or put into an archive; `--label` is for the image itself",
            );
        }
        request.outputs = to;
        Ok(())
    }

    /// Refuses to tell the id of an image where there will be none.
    fn has_id(&self, exports: &[Export]) -> Result<(), Failure> {
        let image = exports.is_empty() || exports.iter().any(Export::is_image);
        match self.iidfile.is_none() || image {
            true => Ok(()),
            false => Err(
                Failure::new("--iidfile: no output of this build is an image")
                    .code(125)
                    .hint("leave it out, or add `-o type=image`"),
            ),
        }
    }

    /// Refuses what may do harm, or lacks what it needs.
    fn allowed(&self, output: &option::Output, request: &Request) -> Result<(), Failure> {
        let may_delete = request.run.allow.has(&Entitlement::LocalDelete);
        let outside = |path: &&PathBuf| !may_delete && !below::is_below(path);
        if let Some(path) = output.deletes.as_ref().filter(outside) {
            let what = format!(
                "--output: mode=delete would empty `{}`, which is not below this folder",
                path.display()
            );
            return Err(Failure::new(what)
                .code(125)
                .hint("say `--allow buildx.local.delete`, or run kiln in a folder above it"));
        }
        let epoch = "SOURCE_DATE_EPOCH";
        let has_epoch = request.settings.epoch().is_some()
            || request.build_args.iter().any(|(key, _)| key == epoch);
        match output.rewrite == Some(true) && !has_epoch {
            true => Err(
                Failure::new(format!("--output: rewrite-timestamp needs {epoch}"))
                    .code(125)
                    .hint(format!(
                        "set it: {epoch}=$(git log -1 --pretty=%ct) kiln build …"
                    )),
            ),
            false => Ok(()),
        }
    }

    /// Whether an archive takes standard output, where results stand else.
    pub(super) fn takes_stdout(&self) -> bool {
        self.outputs.iter().any(|text| option::is_stdout(text))
    }
}

/// Images that are outputs already are pushed as well; where there are none, one is, and stays here.
fn push(exports: &mut Vec<Export>) {
    let mut any = false;
    for export in exports.iter_mut() {
        if let Export::Image(image) = export {
            image.push.get_or_insert_default();
            any = true;
        }
    }
    if !any {
        let mut image = option::image();
        image.push = Some(kiln_build::PushTo::default());
        exports.push(Export::Image(image));
    }
}

/// An image in the store, unless one goes there already.
fn store(exports: &mut Vec<Export>) {
    let there = |e: &Export| matches!(e, Export::Image(image) if image.store);
    // Without any output the image goes there anyway.
    if !exports.is_empty() && !exports.iter().any(there) {
        exports.push(Export::Image(option::image()));
    }
}

/// Whether no image goes anywhere but into the store.
fn stays_here(exports: &[Export]) -> bool {
    exports.iter().all(|export| match export {
        Export::Image(image) => image.push.is_none(),
        Export::Archive(_) => false,
        _ => true,
    })
}

/// `[TYPE,…[PLATFORM]:]KEY=VALUE`, one for each type.
fn annotations(text: &str) -> Result<Vec<Annotation>, Failure> {
    let wrong = |why: String| Failure::new(format!("--annotation: {why}")).code(125);
    let Some((left, value)) = text.split_once('=') else {
        return Err(wrong(format!("`{text}` is not KEY=VALUE")));
    };
    // A key may have colons itself; only a type stands before one.
    let (types, key) = match left.split_once(':') {
        Some((types, key)) => (types, key),
        None => ("manifest", left),
    };
    if key.is_empty() {
        return Err(wrong(format!("`{text}` has an empty key")));
    }
    types
        .split(',')
        .map(|one| {
            let (on, platform) = annotated(one).map_err(&wrong)?;
            Ok(Annotation {
                on,
                platform,
                key: key.to_owned(),
                value: value.to_owned(),
            })
        })
        .collect()
}

/// `TYPE[PLATFORM]`.
fn annotated(text: &str) -> Result<(Annotated, Option<Platform>), String> {
    let (name, platform) = match text.split_once('[') {
        None => (text, None),
        Some((name, rest)) => {
            let inner = rest.strip_suffix(']');
            let platform = inner.and_then(|inner| inner.parse::<Platform>().ok());
            let platform = platform.ok_or_else(|| format!("`{text}` names no platform"))?;
            (name, Some(platform))
        }
    };
    let on = match name {
        "" | "manifest" => Annotated::Manifest,
        "index" => Annotated::Index,
        "manifest-descriptor" => Annotated::ManifestDescriptor,
        "index-descriptor" => Annotated::IndexDescriptor,
        other => {
            let types = "manifest, index, manifest-descriptor, index-descriptor";
            return Err(format!(
                "unknown annotation type `{other}` (there are: {types})"
            ));
        }
    };
    let of_index = matches!(on, Annotated::Index | Annotated::IndexDescriptor);
    match of_index && platform.is_some() {
        true => Err(format!("`{text}`: an index is for no single platform")),
        false => Ok((on, platform)),
    }
}
