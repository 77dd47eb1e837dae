//! Instructions that change an image's config and nothing else, as `commit --change` takes them.
//! They mean what they mean in a Dockerfile, because the frontend reads them as one.

use kiln_frontend::{Bases, Lowering, Options, Resolved, lower};
use kiln_image::{Config, Digest, Platform, Reference, Runtime};
use kiln_parser::{Diagnostic, Dockerfile};

use crate::{Error, ErrorKind};

/// What docker takes; the rest makes layers, or is about a build.
const KNOWN: [&str; 11] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// The name of what is changed, in the Dockerfile that the frontend is given.
const BASE: &str = "container";

/// A config with the instructions `changes` over it: `CMD ["sh"]`, `ENV A=1`.
///
/// ```
/// let changes = ["ENV A=1 B=$C".to_owned(), "CMD make".to_owned()];
/// let mut config = kiln_build::image::Runtime::default();
/// config.set_env("C", "2");
/// let config = kiln_build::change_config(&config, &changes)?;
/// assert_eq!(config.env("B"), Some("2"));
/// assert_eq!(config.cmd.unwrap(), ["/bin/sh", "-c", "make"]);
/// # Ok::<(), kiln_build::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Input`] for what is no instruction, or not one of these: CMD, ENTRYPOINT, ENV, EXPOSE,
/// HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR.
pub fn change_config(config: &Runtime, changes: &[String]) -> Result<Runtime, Error> {
    if changes.is_empty() {
        return Ok(config.clone());
    }
    let text = format!("FROM {BASE}\n{}\n", changes.join("\n"));
    let wrong = |found: &[Diagnostic]| at_line(&text, found);
    let (file, _) = kiln_parser::parse(&text)
        .into_result()
        .map_err(|found| wrong(&found))?;
    known(&file)?;
    let platform = Platform::host();
    let options = Options {
        platform: platform.clone(),
        ..Options::default()
    };
    let mut base = Config::scratch(&platform);
    base.config = config.clone();
    // Triggers are for whoever builds on the image: here they only stay what they are.
    let triggers = std::mem::take(&mut base.config.on_build);
    let name: Reference = BASE.parse()?;
    let mut bases = Bases::new();
    let resolved = Resolved {
        manifest: Digest::sha256(b""),
        config: base,
    };
    bases.insert(name, platform, resolved);
    let lowered = match lower(&file, &options, &bases).map_err(|found| wrong(&found))? {
        Lowering::Done(lowered) => lowered,
        Lowering::Need(_) => {
            let what = "a change that names an image is not carried out";
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
    };
    let mut changed = lowered.config.config;
    changed.on_build.splice(0..0, triggers);
    Ok(changed)
}

/// Refuses what is not a change of the config.
fn known(file: &Dockerfile<'_>) -> Result<(), Error> {
    let stage = file.stages.first();
    let mut words = stage
        .iter()
        .flat_map(|stage| &stage.instructions)
        .map(|node| node.instruction.keyword());
    let other = match file.stages.len() {
        1 => words.find(|word| !KNOWN.contains(word)),
        _ => Some("FROM"),
    };
    match other {
        None => Ok(()),
        Some(word) => {
            let what = format!("{word} is not a valid change command");
            let hint = format!("there are: {}", KNOWN.join(", "));
            Err(Error::new(ErrorKind::Input, what).hint(hint))
        }
    }
}

/// The first finding, with the line that it is about.
fn at_line(text: &str, found: &[Diagnostic]) -> Error {
    let Some(first) = found.iter().find(|d| d.is_error()) else {
        return Error::new(ErrorKind::Input, "a change cannot be read");
    };
    let start = usize::try_from(first.span.start).unwrap_or(usize::MAX);
    let mut behind = 0;
    let line = text.split_inclusive('\n').find(|line| {
        behind += line.len();
        start < behind
    });
    let line = line.unwrap_or_default().trim();
    let error = Error::new(ErrorKind::Input, format!("`{line}`: {}", first.message));
    match &first.help {
        Some(help) => error.hint(help.clone()),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(changes: &[&str]) -> Result<Runtime, Error> {
        let mut config = Runtime::default();
        config.set_env("PATH", "/bin");
        config.set_env("A", "1");
        config.cmd = Some(vec!["old".to_owned()]);
        config.on_build = vec!["RUN never".to_owned(), "nonsense".to_owned()];
        config.working_dir = "/w".to_owned();
        let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
        change_config(&config, &changes)
    }

    #[test]
    fn every_instruction_of_the_config() {
        let config = changed(&[
            "env A=2 B=$A",
            "CMD [\"x\", \"y\"]",
            "EXPOSE 80 53/udp",
            "LABEL l=\"a b\"",
            "USER me",
            "VOLUME /data",
            "WORKDIR sub",
            "STOPSIGNAL SIGINT",
            "ONBUILD RUN make",
            "HEALTHCHECK CMD true",
        ])
        .unwrap();
        assert_eq!(config.env, ["PATH=/bin", "A=2", "B=1"]);
        assert_eq!(config.cmd.unwrap(), ["x", "y"]);
        assert_eq!(config.exposed_ports.len(), 2);
        assert_eq!(config.labels["l"], "a b");
        assert_eq!(config.user, "me");
        assert!(config.volumes.contains_key("/data"));
        assert_eq!(config.working_dir, "/w/sub");
        assert_eq!(config.stop_signal.as_deref(), Some("SIGINT"));
        let triggers = ["RUN never", "nonsense", "RUN make"];
        assert_eq!(config.on_build, triggers);
        assert_eq!(config.healthcheck.unwrap().test, ["CMD-SHELL", "true"]);
        let entry = changed(&["ENTRYPOINT [\"e\"]"]).unwrap();
        assert_eq!(entry.entrypoint.unwrap(), ["e"]);
        assert_eq!(entry.cmd, None, "a new entrypoint has no old arguments");
        assert_eq!(changed(&[]).unwrap().cmd.unwrap(), ["old"]);
    }

    #[test]
    fn what_is_no_change_is_refused() {
        for (change, why) in [
            ("RUN make", "RUN is not a valid change command"),
            ("COPY a b", "COPY is not a valid change command"),
            ("ARG a", "ARG is not a valid change command"),
            ("FROM other", "FROM is not a valid change command"),
            ("CMDD x", "`CMDD x`: "),
            ("STOPSIGNAL never", "`STOPSIGNAL never`: "),
            ("EXPOSE x", "`EXPOSE x`: "),
        ] {
            let e = changed(&["ENV X=1", change]).unwrap_err();
            assert!(e.to_string().starts_with(why), "{change}: {e}");
        }
    }
}
