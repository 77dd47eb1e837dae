//! The one error of a build: a kind a caller can act on, the place in the Dockerfile, the cause.

mod convert;

use std::fmt;

use kiln_frontend::Lines;

/// What a caller can do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The Dockerfile or a flag says something that cannot be; see [`Error::reports`].
    Input,
    /// A RUN ended with this exit code.
    Run(i32),
    /// A file, image or stage that is asked for is not there.
    NotFound,
    /// The registry was not to be reached.
    Unreachable,
    /// Credentials are missing, wrong, or not enough.
    Denied,
    /// What was asked for is known, and not done here.
    Unsupported,
    /// Bytes are not what their digest says.
    Mismatch,
    /// The build was canceled.
    Canceled,
    /// Reading or writing failed.
    Io,
}

/// A place in the Dockerfile: byte offsets into the text of [`Request`](crate::Request).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// First byte.
    pub start: u32,
    /// Behind the last byte.
    pub end: u32,
}

/// One finding in a Dockerfile, to be drawn beside its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether it stops the build.
    pub error: bool,
    /// What kind of finding this is: the name of a rule of `docker build --check`, else kiln's own.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where; none for a finding about the whole.
    pub place: Option<Place>,
    /// The lines of the instruction that it is about.
    pub lines: Option<Lines>,
}

impl Report {
    /// Whether only kiln has such findings: docker knows no rule of that name.
    pub fn is_own(&self) -> bool {
        kiln_parser::lint::rule(self.code).is_none_or(kiln_parser::lint::Rule::is_own)
    }

    /// The page that explains the rule; docker's rules have one.
    pub fn url(&self) -> Option<String> {
        kiln_parser::lint::rule(self.code)?.url()
    }
}

impl From<&kiln_parser::Diagnostic> for Report {
    fn from(d: &kiln_parser::Diagnostic) -> Self {
        Report {
            error: d.is_error(),
            code: d.code,
            message: d.message.clone(),
            help: d.help.clone(),
            place: Some(Place {
                start: d.span.start,
                end: d.span.end,
            }),
            lines: None,
        }
    }
}

/// Why a build, or a transfer of an image, did not come to its end.
pub struct Error(Box<Inner>);

/// What it is about, in a box: a result should be small where nothing failed.
struct Inner {
    kind: ErrorKind,
    what: String,
    hint: Option<String>,
    place: Option<Place>,
    reports: Vec<Report>,
    command: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `what` is a lower-case fragment that reads after "failed to …: ".
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            what: what.into(),
            hint: None,
            place: None,
            reports: Vec::new(),
            command: None,
            source: None,
        }))
    }

    /// The error of a RUN whose process ended with `code`.
    pub fn run(argv: &[String], code: i32) -> Self {
        let command = argv.join(" ");
        let what =
            format!("process \"{command}\" did not complete successfully: exit code: {code}");
        let mut error = Self::new(ErrorKind::Run(code), what);
        error.0.command = Some(command);
        error
    }

    /// The error of a RUN whose process could not be started, with the code that a shell would give.
    pub fn not_started(argv: &[String], code: i32, why: &str) -> Self {
        let command = argv.join(" ");
        let what = format!("process \"{command}\" could not be started: {why}: exit code: {code}");
        let mut error = Self::new(ErrorKind::Run(code), what);
        error.0.command = Some(command);
        error
    }

    /// The error of a Dockerfile with findings.
    pub fn dockerfile(reports: Vec<Report>) -> Self {
        let first = reports.iter().find(|r| r.error);
        let what = first.map_or("the Dockerfile cannot be built", |r| &r.message);
        let mut error = Self::new(ErrorKind::Input, what);
        error.0.reports = reports;
        error
    }

    /// The same error with its cause.
    #[must_use]
    pub fn because(
        mut self,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync + 'static>>,
    ) -> Self {
        self.0.source = Some(cause.into());
        self
    }

    /// The same error with what a person can do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same error with its place in the Dockerfile, unless it has one.
    #[must_use]
    pub fn at(mut self, place: Option<Place>) -> Self {
        self.0.place = self.0.place.take().or(place);
        self
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What a person can do next, where that is known.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The command of the RUN that failed, its words joined by blanks.
    pub fn command(&self) -> Option<&str> {
        self.0.command.as_deref()
    }

    /// Where in the Dockerfile.
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }

    /// The findings, where the Dockerfile itself is at fault.
    pub fn reports(&self) -> &[Report] {
        &self.0.reports
    }

    pub(crate) fn io(what: impl Into<String>, cause: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, what).because(cause)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("what", &self.0.what)
            .field("hint", &self.0.hint)
            .field("place", &self.0.place)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}
