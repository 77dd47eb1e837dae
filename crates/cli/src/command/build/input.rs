//! What is built: the context, from the last argument, and the Dockerfile, from `-f`. Refuses what is
//! neither, with what was probably meant.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use kiln_build::{
    Context, Event, Fetched, FilesContext, LocalContext, Purpose, RunSettings, layer::Archive,
};

use super::{Build, files};
use crate::{
    args::switches::boolean,
    failure::Failure,
    host::{self, Interrupt},
    pairs,
};

/// A Dockerfile: its name for messages, and its text.
pub(super) struct Dockerfile {
    pub(super) name: String,
    pub(super) path: Option<PathBuf>,
    pub(super) text: String,
}

/// The context, and the Dockerfile.
pub(super) struct Input {
    pub(super) dockerfile: Dockerfile,
    pub(super) context: Arc<dyn Context>,
    /// How many bytes a tar of it has, where docker's classic builder would say so.
    pub(super) size: Option<u64>,
}

/// How things are fetched: what stops it, and who is told of it.
pub(super) struct Fetch<'a> {
    pub(super) interrupt: &'a Interrupt,
    pub(super) on: &'a (dyn Fn(Event<'_>) + Sync),
}

/// How much of standard input is looked at to know what it is.
const HEAD: u64 = 512;

impl Build {
    /// Opens what is to be built. `sized` asks for the size of the context; of what is `given`, that is
    /// shown which ADD would show.
    pub(super) fn input(
        &self,
        sized: bool,
        given: &RunSettings,
        fetch: &Fetch<'_>,
    ) -> Result<Input, Failure> {
        let Some(context) = &self.context else {
            let file = self.file.as_ref().map(|f| format!(" -f {}", f.display()));
            let given = format!("kiln build{}", file.unwrap_or_default());
            let what = "\"kiln build\" requires exactly 1 argument: the folder that COPY and ADD \
                        take files from";
            return Err(Failure::new(what).hint(format!("did you mean `{given} .`?")));
        };
        if context == "-" {
            return self.standard_input();
        }
        if !Path::new(context).is_dir()
            && let Some(fetched) = fetch.address(context, self.purpose()?, given)?
        {
            return self.fetched(fetched, given, fetch);
        }
        let folder = folder(context)?;
        let dockerfile = self.dockerfile(&folder, given, fetch)?;
        let context = LocalContext::open(&folder, dockerfile.path.as_deref())?
            .plain_modes(self.records.reproducible);
        Ok(Input {
            size: sized.then(|| context.tar_size()).transpose()?,
            dockerfile,
            context: Arc::new(context),
        })
    }

    /// An archive, which is the context with the Dockerfile in it; or a Dockerfile alone.
    fn standard_input(&self) -> Result<Input, Failure> {
        if self.reads_file_from_input() {
            let what = "standard input cannot be the context and the Dockerfile at once";
            return Err(Failure::new(what).hint("give one of them by its name"));
        }
        let failed = |e: io::Error| Failure::new("read standard input").because(&e);
        let mut head = Vec::new();
        let mut input = io::stdin();
        (&mut input)
            .take(HEAD)
            .read_to_end(&mut head)
            .map_err(failed)?;
        if head.is_empty() {
            let what = "standard input is empty: it is to be an archive or a Dockerfile";
            return Err(Failure::new(what).hint("did you mean `kiln build .`?"));
        }
        if !Archive::begins(&head) {
            if let Some(file) = &self.file {
                let what = format!(
                    "there are two Dockerfiles: standard input is one, and -f names `{}`",
                    file.display()
                );
                let hint = "give an archive as the context, or leave -f out";
                return Err(Failure::new(what).hint(hint));
            }
            input.read_to_end(&mut head).map_err(failed)?;
            let nothing = "a build whose Dockerfile comes from standard input, which has none";
            return Ok(Input {
                size: None,
                dockerfile: text("Dockerfile".to_owned(), None, head),
                context: Arc::new(FilesContext::empty(nothing)),
            });
        }
        let whole = io::Cursor::new(head).chain(input);
        let scratch = host::builder()?.scratch()?;
        let context = FilesContext::archive(whole, scratch, "the archive on standard input")
            .map_err(|e| Failure::from(e).before("the context on standard input: "))?;
        let Some(context) = context else {
            let what = "standard input is compressed, and is no archive";
            return Err(Failure::new(what).hint("give a tar, or the Dockerfile as it is"));
        };
        Ok(Input {
            dockerfile: self.inside(&context, "the archive")?,
            context: Arc::new(context),
            size: None,
        })
    }

    /// A repository or an archive, with the Dockerfile in it; or a Dockerfile alone.
    fn fetched(
        &self,
        fetched: Fetched,
        given: &RunSettings,
        fetch: &Fetch<'_>,
    ) -> Result<Input, Failure> {
        let context = match fetched {
            Fetched::Repository(context) => context,
            Fetched::File(file) => {
                match file.archive(host::builder()?.scratch()?)? {
                    Some(context) => context,
                    None if self.file.is_some() => {
                        let what = "there are two Dockerfiles: what was fetched is one, and -f names another";
                        return Err(Failure::new(what)
                            .hint("leave -f out, or give an archive as the context"));
                    }
                    None => {
                        let nothing = "a build whose Dockerfile was fetched, which has none";
                        let context = FilesContext::empty(nothing).made(file.time());
                        return Ok(Input {
                            dockerfile: text("Dockerfile".to_owned(), None, file.bytes()?),
                            context: Arc::new(context),
                            size: None,
                        });
                    }
                }
            }
        };
        let dockerfile = match self.elsewhere(given, fetch)? {
            Some(dockerfile) => dockerfile,
            None => self.inside(&context, "what was fetched")?,
        };
        Ok(Input {
            dockerfile,
            context: Arc::new(context),
            size: None,
        })
    }

    /// The Dockerfile, where -f names one that is not in the context.
    fn elsewhere(
        &self,
        given: &RunSettings,
        fetch: &Fetch<'_>,
    ) -> Result<Option<Dockerfile>, Failure> {
        let Some(file) = &self.file else {
            return Ok(None);
        };
        if self.reads_file_from_input() {
            let mut bytes = Vec::new();
            io::stdin()
                .read_to_end(&mut bytes)
                .map_err(|e| Failure::new("read the Dockerfile from standard input").because(&e))?;
            return Ok(Some(text("Dockerfile".to_owned(), None, bytes)));
        }
        let address = file.to_str().unwrap_or_default();
        if address.starts_with("https://") || address.starts_with("http://") {
            return match fetch.address(address, Purpose::Dockerfile, given)? {
                Some(Fetched::File(fetched)) => {
                    Ok(Some(text("Dockerfile".to_owned(), None, fetched.bytes()?)))
                }
                _ => Err(Failure::new("-f names a repository, and takes a file")),
            };
        }
        if file.is_absolute() && self.context.as_deref() != Some("-") {
            let failed = |e| Failure::new(format!("read `{}`", file.display())).because(&e);
            let bytes = files::limited(file).map_err(failed)?;
            return Ok(Some(text(file.display().to_string(), None, bytes)));
        }
        Ok(None)
    }

    /// A context that is a repository has a `.git` where that is asked for; the last word counts.
    fn purpose(&self) -> Result<Purpose<'static>, Failure> {
        const NAME: &str = "BUILDKIT_CONTEXT_KEEP_GIT_DIR";
        let given = pairs::environment(&[], &self.build_args)?;
        let mut values = given.iter().rev().filter(|(name, _)| name == NAME);
        let value = values.next().and_then(|(_, value)| value.as_deref());
        let value = value.filter(|text| !text.is_empty()).unwrap_or("0");
        let keep_git_dir = boolean(value).ok_or_else(|| {
            let what = format!("--build-arg: {NAME} is `{value}`");
            Failure::new(what).hint("it is `1` or `0`").code(125)
        })?;
        Ok(Purpose::Context { keep_git_dir })
    }

    fn reads_file_from_input(&self) -> bool {
        self.file.as_deref() == Some(Path::new("-"))
    }

    /// The Dockerfile in a context that is no folder.
    fn inside(&self, context: &FilesContext, what: &str) -> Result<Dockerfile, Failure> {
        let given = self.file.as_ref().map(|file| file.display().to_string());
        let names = match &given {
            Some(name) => vec![name.as_str()],
            None => vec!["Dockerfile", "dockerfile"],
        };
        for name in &names {
            if let Some(bytes) = context.read(name)? {
                return Ok(text((*name).to_owned(), None, bytes));
            }
        }
        let what = format!("failed to read dockerfile: `{}` is not in {what}", names[0]);
        let mut found = context.names().filter(|name| is_similar(name));
        let hint = match found.next() {
            Some(name) => format!("there is `{name}`: name it with -f"),
            None => "name it with -f FILE, as it is called there".to_owned(),
        };
        Err(Failure::new(what).hint(hint))
    }

    fn dockerfile(
        &self,
        folder: &Path,
        given: &RunSettings,
        fetch: &Fetch<'_>,
    ) -> Result<Dockerfile, Failure> {
        let is_address = |file: &Path| file.to_str().is_some_and(|text| text.contains("://"));
        if (self.reads_file_from_input() || self.file.as_deref().is_some_and(is_address))
            && let Some(dockerfile) = self.elsewhere(given, fetch)?
        {
            return Ok(dockerfile);
        }
        let path = match &self.file {
            Some(file) => file.clone(),
            None => {
                let usual = folder.join("Dockerfile");
                let lower = folder.join("dockerfile");
                if !usual.exists() && lower.exists() {
                    lower
                } else {
                    usual
                }
            }
        };
        let shown = path
            .strip_prefix(folder)
            .unwrap_or(&path)
            .display()
            .to_string();
        // One that was not named may be anything: nobody waits for a pipe.
        let read = match self.file {
            Some(_) => files::limited(&path),
            None => files::regular(&path),
        };
        match read {
            Ok(bytes) => Ok(text(shown, Some(path), bytes)),
            Err(e) => {
                let what = format!("failed to read dockerfile: open `{}`", path.display());
                let failure = Failure::new(what).because(&e);
                if path.is_dir() {
                    let inner = path.join("Dockerfile");
                    return Err(failure.hint(match inner.is_file() {
                        true => format!("did you mean `-f {}`?", inner.display()),
                        false => "-f takes a file; the folder comes last".to_owned(),
                    }));
                }
                Err(match others(folder) {
                    Some(name) => failure.hint(format!("there is `{name}`: name it with -f")),
                    None => failure.hint("name it with -f FILE"),
                })
            }
        }
    }
}

impl Fetch<'_> {
    /// What an address names; `None` for a path.
    pub(super) fn address(
        &self,
        address: &str,
        purpose: Purpose<'_>,
        given: &RunSettings,
    ) -> Result<Option<Fetched>, Failure> {
        if address.contains("://") || address.contains('@') || address.starts_with("github.com/") {
            let cancel = self.interrupt.armed();
            let builder = host::builder()?;
            return Ok(builder.fetch((address, purpose), given, cancel, self.on)?);
        }
        Ok(None)
    }
}

/// The folder that is the context.
fn folder(context: &str) -> Result<PathBuf, Failure> {
    let path = PathBuf::from(context);
    match fs::metadata(&path) {
        Ok(meta) if meta.is_dir() => Ok(path),
        Ok(_) => Err(
            Failure::new(format!("the build context `{context}` is a file"))
                .hint(format!("did you mean `kiln build -f {context} .`?")),
        ),
        Err(e) => {
            let failure = Failure::new(format!("read the build context `{context}`")).because(&e);
            Err(match e.kind() {
                io::ErrorKind::NotFound => failure.hint(
                    "the last argument is the folder that COPY and ADD take files from: `.` is this one",
                ),
                _ => failure,
            })
        }
    }
}

fn text(name: String, path: Option<PathBuf>, bytes: Vec<u8>) -> Dockerfile {
    // What is no UTF-8 becomes U+FFFD, as builders have it; the parser warns of it.
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
    };
    Dockerfile { name, path, text }
}

/// Another file that looks like a Dockerfile.
fn others(folder: &Path) -> Option<String> {
    let names = fs::read_dir(folder).ok()?;
    let mut found: Vec<String> = names
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_similar(name))
        .collect();
    found.sort_by_key(|name| (name != "Dockerfile", name.clone()));
    found.into_iter().next()
}

fn is_similar(name: &str) -> bool {
    let lower = name.to_lowercase();
    let ignore = lower.ends_with(".dockerignore");
    !ignore && (lower.contains("dockerfile") || lower.contains("containerfile"))
}
