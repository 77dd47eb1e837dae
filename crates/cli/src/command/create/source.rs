//! The image that a container is made of: the one that is here, or pulled.

use kiln_build::{
    Builder,
    image::{Platform, Reference},
    store::{ErrorKind, ImageRecord},
};
use kiln_container::Base;

use super::flags::Options;
use crate::{failure::Failure, host, progress::layers::Layers};

/// The image, and what it says about running.
pub(super) fn base(builder: &Builder, options: &Options) -> Result<Base, Failure> {
    let image = image(builder, options)?;
    let config = builder.store().images().config(&image)?;
    Ok(Base {
        id: image.id,
        name: options.image().to_owned(),
        layers: image.layers,
        config: config.config.clone(),
    })
}

fn image(builder: &Builder, options: &Options) -> Result<ImageRecord, Failure> {
    let wanted: Option<Platform> = options
        .source
        .platform
        .as_deref()
        .map(str::parse)
        .transpose()?;
    if options.source.pull != "always" {
        let why = match find(builder, options.image(), wanted.as_ref()) {
            Ok(Some(image)) => return Ok(image),
            Ok(None) => other_platform(options.image(), wanted.as_ref()),
            Err(e) if e.kind() == ErrorKind::NotFound => e.into(),
            Err(e) => return Err(suggest(options, e.into())),
        };
        if options.source.pull == "never" {
            return Err(why);
        }
        let Ok(name) = options.image().parse::<Reference>() else {
            return Err(why);
        };
        if !options.source.quiet {
            host::say(&format!(
                "Unable to find image '{}' locally",
                name.familiar()
            ));
        }
    }
    let name: Reference = options.image().parse()?;
    pull(builder, &name, wanted.as_ref(), options.source.quiet)?;
    match find(builder, options.image(), wanted.as_ref())? {
        Some(image) => Ok(image),
        None => Err(other_platform(options.image(), wanted.as_ref())),
    }
}

/// The image of this name; `None` when it is for another platform.
fn find(
    builder: &Builder,
    name: &str,
    wanted: Option<&Platform>,
) -> Result<Option<ImageRecord>, kiln_build::store::Error> {
    let images = builder.store().images();
    let image = images.find(name)?.image;
    let Some(wanted) = wanted else {
        return Ok(Some(image));
    };
    let config = images.config(&image)?;
    let of = Platform::new(&config.os, &config.architecture, config.variant.as_deref());
    Ok(of.serves(wanted).then_some(image))
}

fn other_platform(name: &str, wanted: Option<&Platform>) -> Failure {
    let wanted = wanted.map_or_else(String::new, ToString::to_string);
    Failure::new(format!(
        "image with reference {name} was found but does not provide the specified platform ({wanted})"
    ))
}

/// Tells of it on standard error, as docker does: standard output is the container's.
fn pull(
    builder: &Builder,
    name: &Reference,
    platform: Option<&Platform>,
    quiet: bool,
) -> Result<(), Failure> {
    let platform = platform.cloned().unwrap_or_else(Platform::host);
    let say = |text: &str| {
        if !quiet {
            host::say(text);
        }
    };
    let (tag, repository) = (name.tag_or_digest(), name.repository());
    say(&format!("{tag}: Pulling from {repository}"));
    let layers = Layers::new("Pull complete", "Already exists", quiet).on_stderr();
    let pulled = builder.pull(name, &platform, &|t| layers.tell(&t))?;
    let status = match pulled.new {
        true => "Downloaded newer image for",
        false => "Image is up to date for",
    };
    say(&format!("Digest: {}", pulled.descriptor.digest));
    say(&format!("Status: {status} {}", name.familiar()));
    Ok(())
}

/// `simple: app` on a command line is two words.
fn suggest(options: &Options, e: Failure) -> Failure {
    match (options.image().strip_suffix(':'), options.command().first()) {
        (Some(name), Some(next)) => e.hint(format!("did you mean `{name}:{next}`?")),
        _ => e,
    }
}
