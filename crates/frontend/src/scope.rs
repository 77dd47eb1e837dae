//! Which variable has which value where: the global scope, and that of a stage. Refuses to know the
//! environment of the process.

use std::borrow::Cow;

use kiln_image::{Platform, Runtime};
use kiln_parser::{Diagnostic, Dockerfile, Word, ast};

use crate::{Options, error};

/// Arguments before the first FROM, and those that are always there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Globals {
    values: Vec<(String, String)>,
    declared: Vec<String>,
}

impl Globals {
    pub(crate) fn new(file: &Dockerfile<'_>, options: &Options) -> Result<Self, Vec<Diagnostic>> {
        let mut globals = Self::default();
        for (name, value) in builtin(file, options) {
            let given = options.build_args.get(&name);
            globals.set(&name, given.cloned().unwrap_or(value));
        }
        let mut errors = Vec::new();
        for pair in file.args.iter().flat_map(|arg| &arg.instruction.pairs) {
            if let Err(e) = globals.declare(pair, options) {
                errors.push(e);
            }
        }
        match errors.is_empty() {
            true => Ok(globals),
            false => Err(errors),
        }
    }

    fn declare(&mut self, pair: &ast::ArgPair<'_>, options: &Options) -> Result<(), Diagnostic> {
        let name = pair.name.raw().to_owned();
        let value = match (options.build_args.get(&name), &pair.default) {
            (Some(given), _) => Some(given.clone()),
            (None, Some(default)) => Some(self.expand(default)?),
            (None, None) => None,
        };
        if let Some(value) = value {
            self.set(&name, value);
        }
        self.declared.push(name);
        Ok(())
    }

    fn set(&mut self, name: &str, value: String) {
        match self.values.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value,
            None => self.values.push((name.to_owned(), value)),
        }
    }

    /// The value of `name`, if it has one.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.values.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All names that have one, and their values.
    pub(crate) fn values(&self) -> impl Iterator<Item = (String, String)> {
        self.values.iter().cloned()
    }

    /// Those that the file declares.
    pub(crate) fn declared(&self) -> &[String] {
        &self.declared
    }

    /// Whether it is always there.
    pub(crate) fn is_builtin(name: &str) -> bool {
        ["TARGET", "BUILD"].iter().any(|prefix| {
            let parts = ["PLATFORM", "OS", "ARCH", "VARIANT", "OSVERSION", "STAGE"];
            let rest = name.strip_prefix(prefix);
            rest.is_some_and(|rest| parts.contains(&rest)) && name != "BUILDSTAGE"
        })
    }

    /// The value of a word of a FROM line.
    pub(crate) fn expand(&self, word: &Word<'_>) -> Result<String, Diagnostic> {
        word.expand(&|name| self.get(name).map(Cow::Borrowed))
            .map_err(|e| error::expand(&e))
    }
}

fn builtin(file: &Dockerfile<'_>, options: &Options) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (prefix, platform) in [
        ("BUILD", &options.build_platform),
        ("TARGET", &options.platform),
    ] {
        for (part, value) in parts(platform) {
            all.push((format!("{prefix}{part}"), value));
        }
    }
    let last = || file.stages.last().and_then(|s| s.name());
    let stage = options.target.as_deref().or_else(last);
    all.push((
        "TARGETSTAGE".to_owned(),
        stage.unwrap_or("default").to_owned(),
    ));
    all
}

fn parts(platform: &Platform) -> [(&'static str, String); 5] {
    let version = platform.other.get("os.version").and_then(|v| v.as_str());
    [
        ("PLATFORM", platform.to_string()),
        ("OS", platform.os.clone()),
        ("ARCH", platform.architecture.clone()),
        ("VARIANT", platform.variant.clone().unwrap_or_default()),
        ("OSVERSION", version.unwrap_or_default().to_owned()),
    ]
}

/// The arguments of a stage, in the order in which they were declared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args(Vec<Arg>);

#[derive(Clone, Debug)]
struct Arg {
    name: String,
    value: Option<String>,
    /// An ENV of that name came after the value, and has taken its place.
    hidden: bool,
}

impl Args {
    /// Declared again without a value, it is as it was. With one, it stands before an ENV that came
    /// earlier.
    pub(crate) fn declare(&mut self, name: &str, value: Option<String>) {
        let at = self.0.iter().position(|arg| arg.name == name);
        match (at, value) {
            (Some(_), None) => {}
            (Some(at), value) => {
                self.0[at].value = value;
                self.0[at].hidden = false;
            }
            (None, value) => self.0.push(Arg {
                name: name.to_owned(),
                value,
                hidden: false,
            }),
        }
    }

    /// An ENV takes the place of the argument of its name.
    pub(crate) fn hide(&mut self, name: &str) {
        for arg in self.0.iter_mut().filter(|arg| arg.name == name) {
            arg.hidden = true;
        }
    }

    /// A stage begins: what its base has in its environment takes the place of inherited arguments.
    pub(crate) fn hide_all(&mut self, runtime: &Runtime) {
        for arg in &mut self.0 {
            arg.hidden |= runtime.env(&arg.name).is_some();
        }
    }

    fn value(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|arg| arg.name == name)?;
        found.value.as_deref().filter(|_| !found.hidden)
    }

    /// The value of a variable: of ENV and ARG the one that came last.
    pub(crate) fn look_up<'v>(&'v self, runtime: &'v Runtime, name: &str) -> Option<&'v str> {
        self.value(name).or_else(|| runtime.env(name))
    }

    /// What a process finds in its environment.
    pub(crate) fn environment(&self, runtime: &Runtime) -> Vec<(String, String)> {
        let pair = |pair: &String| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = self.value(name).unwrap_or(value);
            (name.to_owned(), value.to_owned())
        };
        let mut all: Vec<_> = runtime.env.iter().map(pair).collect();
        for arg in &self.0 {
            if let (Some(value), None) = (&arg.value, runtime.env(&arg.name)) {
                all.push((arg.name.clone(), value.clone()));
            }
        }
        all
    }

    /// `|2 A=1 B=2 `, as it stands before the command of a RUN in a history; empty without any.
    pub(crate) fn in_history(&self, runtime: &Runtime) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let mut text = format!("|{} ", self.0.len());
        for Arg { name, .. } in &self.0 {
            let value = self.look_up(runtime, name).unwrap_or_default();
            text += &format!("{name}={value} ");
        }
        text
    }
}
