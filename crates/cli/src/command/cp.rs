//! `kiln cp`: files out of a container and into it.

use std::{
    io::{self, IsTerminal as _},
    path::{self, Path},
    process::ExitCode,
};

use clap::Args;
use kiln_container::CopyOptions;

use super::each::containers;
use crate::{failure::Failure, host, output, units};

#[derive(Args)]
pub(crate) struct Cp {
    /// Keep the numbers of users and groups
    #[arg(short, long)]
    archive: bool,
    /// Where SOURCE is a symbolic link, copy what it leads to
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Do not tell what was copied, which is told on a terminal only
    #[arg(short, long)]
    quiet: bool,
    /// `CONTAINER:PATH`, a path of this machine, or `-` for a tar on standard input; `/.` at its end
    /// is what is in a folder
    source: String,
    /// `CONTAINER:PATH`, a path of this machine, or `-` for a tar on standard output
    destination: String,
}

/// One end of a copy.
#[derive(Debug, PartialEq, Eq)]
enum End<'a> {
    Container {
        name: &'a str,
        path: &'a str,
    },
    Here(&'a str),
    /// A tar on standard input or output.
    Stream,
}

impl<'a> End<'a> {
    /// As docker reads it: what begins with `.`, is absolute or has no `:` is of this machine.
    fn parse(text: &'a str) -> Self {
        if text == "-" {
            return Self::Stream;
        }
        let here = Path::new(text).is_absolute() || text.starts_with('.');
        match text.split_once(':') {
            Some((name, path)) if !here => Self::Container { name, path },
            _ => Self::Here(text),
        }
    }
}

impl Cp {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let copied = match (End::parse(&self.source), End::parse(&self.destination)) {
            (End::Container { .. }, End::Container { .. }) => {
                return Err(Failure::new("copying between containers is not supported")
                    .hint("copy to this machine first"));
            }
            (End::Container { name, path }, to) => self.outward(name, path, &to)?,
            (from, End::Container { name, path }) => self.inward(&from, name, path)?,
            _ => {
                return Err(Failure::new("must specify at least one container source")
                    .hint("write it as CONTAINER:PATH"));
            }
        };
        let streamed = self.destination == "-";
        if !self.quiet && !streamed && io::stderr().is_terminal() {
            let size = units::size(copied, 4);
            host::say(&format!(
                "Successfully copied {size} to {}",
                self.destination
            ));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn options(&self) -> CopyOptions {
        CopyOptions {
            follow: self.follow_link,
            keep_owner: self.archive,
        }
    }

    /// Out of a container; how many bytes.
    fn outward(&self, name: &str, path: &str, to: &End<'_>) -> Result<u64, Failure> {
        not_empty(path, "source")?;
        let container = containers()?.get(name)?;
        let End::Here(to) = to else {
            let mut copied = 0;
            output::archive(None, |out| {
                copied = container.copy_out(path, self.follow_link, out)?;
                Ok(())
            })?;
            return Ok(copied);
        };
        not_empty(to, "destination")?;
        has_folder(to)?;
        Ok(container.copy_from(path, to, self.options())?)
    }

    /// Into a container; how many bytes.
    fn inward(&self, from: &End<'_>, name: &str, path: &str) -> Result<u64, Failure> {
        not_empty(path, "destination")?;
        let container = containers()?.get(name)?;
        let End::Here(from) = from else {
            if !container.stat(path, true)?.is_dir {
                let what = format!("destination \"{name}:{path}\" must be a directory");
                return Err(Failure::new(what));
            }
            return Ok(container.copy_in(path, &mut io::stdin())?);
        };
        not_empty(from, "source")?;
        Ok(container.copy_to(from, path, self.options())?)
    }
}

fn not_empty(path: &str, what: &str) -> Result<(), Failure> {
    match path {
        "" => Err(Failure::new(format!("{what} can not be empty"))),
        _ => Ok(()),
    }
}

/// A copy makes the last folder of a path, and none above it.
fn has_folder(path: &str) -> Result<(), Failure> {
    let clean = path.trim_end_matches(path::is_separator);
    let folder = Path::new(clean).parent();
    match folder.filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) if !folder.exists() => Err(Failure::new(format!(
            "invalid output path: directory \"{}\" does not exist",
            folder.display()
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        let inside = |name, path| End::Container { name, path };
        for (text, want) in [
            ("-", End::Stream),
            ("a", End::Here("a")),
            ("a:b", inside("a", "b")),
            ("a:/b:c", inside("a", "/b:c")),
            ("a:", inside("a", "")),
            ("./a:b", End::Here("./a:b")),
            ("../a:b", End::Here("../a:b")),
            ("/a:b", End::Here("/a:b")),
            ("a/b:c", inside("a/b", "c")),
        ] {
            assert_eq!(End::parse(text), want, "{text}");
        }
    }

    #[test]
    fn folders_that_are_missing() {
        assert!(has_folder("x").is_ok());
        assert!(has_folder("/").is_ok());
        assert!(has_folder("/tmp/").is_ok());
        assert!(has_folder("/surely/not/here").is_err());
    }
}
