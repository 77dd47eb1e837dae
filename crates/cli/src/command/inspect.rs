//! `kiln inspect`: containers, images and volumes as docker's JSON.

mod container;
mod image;
pub(crate) mod volume;

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use kiln_build::{
    Builder,
    image::Platform,
    store::{self, Listed},
};
use kiln_container::{Containers, ErrorKind};
use serde_json::Value;

use crate::{failure::Failure, host, template::Template};

#[derive(Args)]
pub(crate) struct Inspect {
    #[command(flatten)]
    what: What,
    /// Only look for this kind of thing
    #[arg(long = "type", value_name = "KIND")]
    kind: Option<Kind>,
    #[command(flatten)]
    variant: Variant,
    /// Show how much a container changed
    #[arg(short, long)]
    size: bool,
}

/// `kiln image inspect`: nothing but images.
#[derive(Args)]
pub(crate) struct Images {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    variant: Variant,
}

/// Which of the images that a name stands for.
#[derive(Args)]
struct Variant {
    /// The image for this platform, where a name stands for several
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
}

/// `kiln container inspect`: nothing but containers.
#[derive(Args)]
pub(crate) struct OfContainers {
    #[command(flatten)]
    what: What,
    /// Show how much it changed
    #[arg(short, long)]
    size: bool,
}

#[derive(Args)]
struct What {
    /// Names or ids
    #[arg(required = true)]
    names: Vec<String>,
    /// `json`, or a Go template
    #[arg(short, long)]
    format: Option<String>,
}

/// What can be inspected, in the order in which it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Container,
    Image,
    Volume,
}

impl Inspect {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        // Nothing else is for a platform.
        let kind = self
            .kind
            .or(self.variant.platform.as_ref().map(|_| Kind::Image));
        inspect(
            &self.what,
            kind,
            self.size,
            self.variant.platform.as_deref(),
        )
    }
}

impl Images {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let platform = self.variant.platform.as_deref();
        inspect(&self.what, Some(Kind::Image), false, platform)
    }
}

impl OfContainers {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        inspect(&self.what, Some(Kind::Container), self.size, None)
    }
}

fn inspect(
    what: &What,
    kind: Option<Kind>,
    size: bool,
    platform: Option<&str>,
) -> Result<ExitCode, Failure> {
    let builder = host::builder()?;
    let place = Place {
        containers: Containers::open(builder.roots())?,
        listed: builder.store().images().list()?,
        builder: &builder,
        platform: platform.map(str::parse).transpose()?,
    };
    let mut values = Vec::new();
    let mut failed: Option<Failure> = None;
    for name in &what.names {
        match place.find(name, kind, size) {
            Ok(value) => values.push(value),
            // As docker has it: what was found is shown all the same.
            Err(e) => {
                if let Some(earlier) = failed.replace(e) {
                    earlier.report();
                }
            }
        }
    }
    host::print(&render(&values, what.format.as_deref())?)?;
    match failed {
        Some(e) => Err(e),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Where things are looked for.
struct Place<'a> {
    builder: &'a Builder,
    containers: Containers,
    listed: Vec<Listed>,
    platform: Option<Platform>,
}

impl Place<'_> {
    fn find(&self, name: &str, kind: Option<Kind>, size: bool) -> Result<Value, Failure> {
        let asked = |of| kind.is_none_or(|kind| kind == of);
        if asked(Kind::Container) {
            match self.containers.get(name) {
                Ok(found) => return container::value(self.builder, &found, size),
                Err(e) if e.kind() == ErrorKind::NotFound && kind.is_none() => {}
                Err(e) => return Err(e.into()),
            }
        }
        if asked(Kind::Image) {
            match self
                .builder
                .store()
                .images()
                .find_for(name, self.platform.as_ref())
            {
                Ok(found) => return image::value(self.builder, &found.image, &self.listed),
                Err(e) if e.kind() == store::ErrorKind::NotFound && kind.is_none() => {}
                // What can be no image's name may be something else's.
                Err(e) if e.kind() == store::ErrorKind::Invalid && kind.is_none() => {}
                Err(e) => return Err(e.into()),
            }
        }
        match self.containers.volumes().get(name) {
            Ok(found) => Ok(volume::value(&found)),
            Err(e) if e.kind() == ErrorKind::NotFound && kind.is_none() => {
                Err(Failure::new(format!("no such object: {name}")).hint(
                    "`kiln ps -a` lists the containers, `kiln images` the images, `kiln volume ls` \
                     the volumes",
                ))
            }
            Err(e) => Err(e.into()),
        }
    }
}

pub(crate) fn render(values: &[Value], format: Option<&str>) -> Result<String, Failure> {
    match format {
        None => {
            let mut text = Vec::new();
            let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
            let mut out = serde_json::Serializer::with_formatter(&mut text, indent);
            serde::Serialize::serialize(&values, &mut out)
                .map_err(|e| Failure::new("write JSON").because(&e))?;
            text.push(b'\n');
            Ok(String::from_utf8_lossy(&text).into_owned())
        }
        Some("json") => Ok(format!("{}\n", Value::from(values))),
        Some(format) => {
            let template = Template::parse(format)?;
            let lines = values.iter().map(|v| Ok(template.apply(v)? + "\n"));
            lines
                .collect::<Result<String, crate::template::Error>>()
                .map_err(Failure::from)
        }
    }
}
