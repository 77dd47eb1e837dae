//! `kiln build`.

mod call;
mod told;

use std::{
    env, fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use kiln_build::{Built, Cancel, ErrorKind, Event, LocalContext, Request, image::Reference};

use self::{call::Call, told::Told};
use crate::{failure::Failure, host, progress::Style, units};

#[derive(Args)]
pub(crate) struct Build {
    /// Name of the image, `name[:tag]`; may be given several times
    #[arg(short, long = "tag", value_name = "NAME")]
    tags: Vec<String>,
    /// Name of the Dockerfile (default: CONTEXT/Dockerfile); `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Value for an ARG; without `=VALUE`, that of the environment
    #[arg(long = "build-arg", value_name = "KEY[=VALUE]")]
    build_args: Vec<String>,
    /// The stage to build, by name or number
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    #[command(flatten)]
    records: Records,
    /// Print the image id, and nothing else unless the build fails
    #[arg(short, long)]
    quiet: bool,
    /// How the build is shown
    #[arg(long, value_enum, value_name = "STYLE", env = "BUILDKIT_PROGRESS")]
    progress: Option<Style>,
    #[command(flatten)]
    instead: Instead,
    /// The folder that COPY and ADD take files from
    context: Option<String>,
}

/// What is taken from earlier builds, and what must be the same in later ones.
#[derive(Args)]
struct Records {
    /// Carry every instruction out
    #[arg(long)]
    no_cache: bool,
    /// Ask the registry for each base image, even one that is here
    #[arg(long)]
    pull: bool,
    /// The same image from every checkout: plain modes, and times of SOURCE_DATE_EPOCH or zero
    #[arg(long)]
    reproducible: bool,
}

/// What is told instead of building.
#[derive(Args)]
struct Instead {
    /// Print what the build would do, and do not do it
    #[arg(long)]
    dry_run: bool,
    /// Check the Dockerfile, and build nothing: short for `--call=check`
    #[arg(long)]
    check: bool,
    /// Tell of the Dockerfile instead of building it: `check`, `outline`, `targets`,
    /// `subrequests.describe`; with `,format=json` for programs
    #[arg(long, value_name = "METHOD[,format=json]")]
    call: Option<String>,
}

/// A Dockerfile: its name for messages, and its text.
struct Dockerfile {
    name: String,
    path: Option<PathBuf>,
    text: String,
}

impl Build {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let folder = self.folder()?;
        let dockerfile = self.dockerfile(&folder)?;
        let style = match self.quiet {
            true => Style::Quiet,
            false => self.progress.unwrap_or(Style::Auto),
        };
        let call = Call::read(&self.instead)?;
        let context = LocalContext::open(&folder, dockerfile.path.as_deref())?
            .plain_modes(self.records.reproducible);
        if style == Style::Classic && call.builds() {
            let size = units::size(context.tar_size()?, 4);
            host::print(&format!("Sending build context to Docker daemon  {size}\n"))?;
        }
        let request = self.request(&dockerfile, context, style)?;
        if let Some(answer) = call.without_store(&request, &dockerfile)? {
            host::print(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        let builder = host::builder()?;
        let told = Told::default();
        let observer = style.observer();
        let on = |event: Event<'_>| {
            if !told.keeps(&event) {
                observer.event(&event);
            }
        };
        if !call.builds() {
            let answer = call.answer(&builder, &request, &dockerfile, &on);
            told.tell(&dockerfile);
            return answer;
        }
        if self.instead.dry_run {
            let plan = builder
                .plan(&request, &on)
                .map_err(|e| Failure::build(&e, &dockerfile.name, &dockerfile.text))?;
            host::print(&plan)?;
            return Ok(ExitCode::SUCCESS);
        }
        let cancel = Cancel::new();
        host::on_interrupt(&cancel);
        let built = builder.build(&request, &cancel, &on);
        observer.finish(built.is_err());
        if style != Style::Quiet || built.is_err() {
            told.tell(&dockerfile);
        }
        match built {
            Ok(built) => done(&built, style),
            Err(e) => Err(failed(&e, &dockerfile, style)),
        }
    }

    fn folder(&self) -> Result<PathBuf, Failure> {
        let Some(context) = &self.context else {
            let file = self.file.as_ref().map(|f| format!(" -f {}", f.display()));
            let given = format!("kiln build{}", file.unwrap_or_default());
            let what = "\"kiln build\" requires exactly 1 argument: the folder that COPY and ADD \
                        take files from";
            return Err(Failure::new(what).hint(format!("did you mean `{given} .`?")));
        };
        if context == "-" {
            return Err(
                Failure::new("a context from standard input is not read yet")
                    .hint("unpack it to a folder, and name that"),
            );
        }
        if context.contains("://") || context.starts_with("git@") {
            return Err(
                Failure::new(format!("the remote context `{context}` is not fetched yet"))
                    .hint("fetch it to a folder, and name that"),
            );
        }
        let path = PathBuf::from(context);
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => Ok(path),
            Ok(_) => Err(
                Failure::new(format!("the build context `{context}` is a file"))
                    .hint(format!("did you mean `kiln build -f {context} .`?")),
            ),
            Err(e) => Err(Failure::new(format!("read the build context `{context}`")).because(&e)),
        }
    }

    fn dockerfile(&self, folder: &Path) -> Result<Dockerfile, Failure> {
        if self.file.as_deref() == Some(Path::new("-")) {
            let mut bytes = Vec::new();
            std::io::stdin()
                .read_to_end(&mut bytes)
                .map_err(|e| Failure::new("read the Dockerfile from standard input").because(&e))?;
            return Ok(text("Dockerfile".to_owned(), None, bytes));
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
        match fs::read(&path) {
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

    fn request(
        &self,
        dockerfile: &Dockerfile,
        context: LocalContext,
        style: Style,
    ) -> Result<Request, Failure> {
        let mut request = Request::new(dockerfile.text.clone(), Arc::new(context));
        request.file.clone_from(&dockerfile.name);
        for tag in &self.tags {
            request.tags.push(parse_tag(tag)?);
        }
        for pair in &self.build_args {
            match pair.split_once('=') {
                Some((key, value)) => request.build_args.push((key.to_owned(), value.to_owned())),
                // Docker passes nothing on for a variable that is not set.
                None => {
                    let value = env::var(pair).ok();
                    request.build_args.extend(value.map(|v| (pair.clone(), v)));
                }
            }
        }
        request.target.clone_from(&self.target);
        request.settings.no_cache = self.records.no_cache;
        request.settings.pull = self.records.pull;
        request.settings.reproducible = self.records.reproducible;
        request.settings.keep_steps = style == Style::Classic;
        request.settings.epoch = epoch()?;
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

/// `SOURCE_DATE_EPOCH` of the environment.
fn epoch() -> Result<Option<i64>, Failure> {
    let Ok(text) = env::var("SOURCE_DATE_EPOCH") else {
        return Ok(None);
    };
    match text.trim() {
        "" => Ok(None),
        number => number.parse().map(Some).map_err(|_| {
            Failure::new(format!("SOURCE_DATE_EPOCH is `{text}`")).hint(
                "it is a number of seconds since 1970, for example $(git log -1 --pretty=%ct)",
            )
        }),
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
        .filter(|name| {
            let lower = name.to_lowercase();
            let ignore = lower.ends_with(".dockerignore");
            !ignore && (lower.contains("dockerfile") || lower.contains("containerfile"))
        })
        .collect();
    found.sort();
    found.into_iter().next()
}

fn done(built: &Built, style: Style) -> Result<ExitCode, Failure> {
    match style {
        Style::Quiet => host::print(&format!("{}\n", built.id))?,
        Style::Classic => {
            let mut text = format!("Successfully built {}\n", built.id.short());
            for name in &built.names {
                text.push_str(&format!("Successfully tagged {}\n", name.familiar()));
            }
            host::print(&text)?;
        }
        _ => {
            for name in &built.names {
                host::say(&format!("named {}", name.familiar()));
            }
            host::print(&format!("{}\n", built.id))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn failed(e: &kiln_build::Error, dockerfile: &Dockerfile, style: Style) -> Failure {
    match (e.kind(), e.command(), style) {
        // What docker's classic builder says, and the exit code that it gives.
        (ErrorKind::Run(code), Some(command), Style::Classic) => {
            let what = format!("The command '{command}' returned a non-zero code: {code}");
            Failure::as_docker(&what, e, &dockerfile.name, &dockerfile.text)
                .code(u8::try_from(code).unwrap_or(1))
        }
        (kind, ..) => {
            let failure = Failure::build(e, &dockerfile.name, &dockerfile.text);
            match kind {
                ErrorKind::Canceled => failure.code(130),
                _ => failure,
            }
        }
    }
}
