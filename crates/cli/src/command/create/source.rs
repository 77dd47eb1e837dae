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
    let (wanted, images) = (wanted.as_ref(), builder.store().images());
    let mut other = None;
    if options.source.pull != "always" {
        let why = match images.find_for(options.image(), wanted) {
            Ok(found) => return Ok(found.image),
            Err(e) if e.kind() == ErrorKind::NotFound => Failure::from(e),
            Err(e) => return Err(suggest(options, e.into())),
        };
        let Ok(name) = options.image().parse::<Reference>() else {
            return Err(why);
        };
        if options.source.pull == "never" {
            return Err(why);
        }
        if !options.source.quiet {
            let name = name.familiar();
            host::say(&format!("Unable to find image '{name}' locally"));
        }
        // What is here for another platform is the news, where a registry has nothing better.
        other = images.get(&name)?.map(|_| why);
    }
    let name: Reference = options.image().parse()?;
    if let Err(e) = pull(builder, &name, wanted, options.source.quiet) {
        return Err(match other {
            Some(why) => why.because(&e),
            None => e.into(),
        });
    }
    Ok(images.find_for(options.image(), wanted)?.image)
}

/// Tells of it on standard error, as docker does: standard output is the container's.
fn pull(
    builder: &Builder,
    name: &Reference,
    platform: Option<&Platform>,
    quiet: bool,
) -> Result<(), kiln_build::Error> {
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
