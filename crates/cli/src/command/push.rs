//! `kiln push`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use kiln_build::{Compression, image::Reference};

use crate::{failure::Failure, host, progress::layers::Layers};

#[derive(Args)]
pub(crate) struct Push {
    /// The image's name: its registry is where it goes
    name: String,
    /// How to compress layers that are not compressed yet (default: gzip)
    #[arg(long, value_enum, value_name = "FORM", alias = "compression-format")]
    compression: Option<Form>,
    /// How hard: 0 to 9 for gzip and estargz (default: 6), 1 to 19 for zstd and zstd:chunked
    /// (default: 3)
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    compression_level: Option<i32>,
    /// Compress also layers that came from elsewhere in another form
    #[arg(long)]
    force_compression: bool,
    /// Push only the image for this platform, and no index, where the name stands for several
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    /// Print nothing but the name
    #[arg(short, long)]
    quiet: bool,
}

/// The forms, by the names that podman and buildx have for them.
#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// What everything reads
    Gzip,
    /// Faster and smaller
    Zstd,
    /// gzip, with a table of contents: files can be fetched one at a time
    #[value(name = "estargz")]
    EStargz,
    /// zstd, with a table of contents
    #[value(name = "zstd:chunked")]
    ZstdChunked,
    /// Plain tars
    #[value(alias = "uncompressed")]
    None,
}

impl From<Form> for Compression {
    fn from(form: Form) -> Self {
        match form {
            Form::Gzip => Compression::Gzip,
            Form::Zstd => Compression::Zstd,
            Form::EStargz => Compression::EStargz,
            Form::ZstdChunked => Compression::ZstdChunked,
            Form::None => Compression::None,
        }
    }
}

impl Push {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let name: Reference = self.name.parse()?;
        let builder = host::builder()?;
        if !self.quiet {
            if !self
                .name
                .ends_with(&format!(":{}", name.tag().unwrap_or_default()))
            {
                host::print("Using default tag: latest\n")?;
            }
            let repository = format!("{}/{}", name.registry(), name.repository());
            host::print(&format!("The push refers to repository [{repository}]\n"))?;
        }
        let layers = Layers::new("Pushed", "Layer already exists", self.quiet);
        let how = kiln_build::Push {
            compression: self.compression.map(Compression::from),
            level: self.compression_level,
            force: self.force_compression,
        };
        let platform = self.platform.as_deref().map(str::parse).transpose()?;
        let pushed = builder.push(&name, platform.as_ref(), &how, &|t| layers.tell(&t))?;
        match self.quiet {
            true => host::print(&format!("{name}\n"))?,
            false => host::print(&format!(
                "{}: digest: {} size: {}\n",
                name.tag().unwrap_or_default(),
                pushed.descriptor.digest,
                pushed.descriptor.size
            ))?,
        }
        if let Some(id) = pushed.id {
            host::say(&format!(
                "the image has the id {} there: eStargz adds its table of contents to each layer's files",
                id.short()
            ));
        }
        if pushed.kept > 0 {
            host::say(&match pushed.kept {
                1 => "1 layer went out as it came; `--force-compression` compresses it anew"
                    .to_owned(),
                n => format!(
                    "{n} layers went out as they came; `--force-compression` compresses them anew"
                ),
            });
        }
        Ok(ExitCode::SUCCESS)
    }
}
