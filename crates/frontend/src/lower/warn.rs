//! What is told of a build as a whole.

use std::collections::BTreeSet;

use kiln_parser::{Diagnostic, Span};

use super::{
    Lowerer,
    mounts::CACHE_NAMESPACE,
    run::{HOST_NAME, PROXIES},
};
use crate::{scope::Globals, suggest::nearest, syntax};

/// Arguments to the builder that are heeded, or that change nothing in what is built.
const HEEDED: [&str; 5] = [
    syntax::ARGUMENT,
    "BUILDKIT_BUILD_NAME",
    CACHE_NAMESPACE,
    HOST_NAME,
    "BUILDKIT_DOCKERFILE_CHECK",
];

impl Lowerer<'_, '_> {
    /// Build arguments that nobody asked for.
    pub(super) fn unused_arguments(&mut self) {
        let mut unused = Vec::new();
        let globals = self.survey.globals.declared().iter();
        let stages = self.declared.iter().map(|declared| &declared.name);
        let declared: BTreeSet<String> = globals.chain(stages).cloned().collect();
        for name in self.options.build_args.keys() {
            let upper = name.to_uppercase();
            if declared.contains(name)
                || Globals::is_builtin(name)
                || name == "SOURCE_DATE_EPOCH"
                || PROXIES.contains(&upper.as_str())
            {
                continue;
            }
            if HEEDED.contains(&name.as_str()) {
                continue;
            }
            if name.starts_with("BUILDKIT_") {
                let message = format!("the build argument `{name}` has no effect here");
                self.warn("build-arg-without-effect", message, None);
                continue;
            }
            unused.push(name.as_str());
        }
        if unused.is_empty() {
            return;
        }
        let list = unused.join(" ");
        let message = format!("One or more build-args [{list}] were not consumed");
        let meant = unused.iter().find_map(|name| {
            let meant = nearest(name, declared.iter().map(String::as_str))?;
            Some(format!("`{name}`: did you mean `{meant}`?"))
        });
        let help = meant.unwrap_or_else(|| format!("declare it: `ARG {}`", unused[0]));
        self.warn("build-arg-not-consumed", message, Some(help));
    }

    fn warn(&mut self, code: &'static str, message: String, help: Option<String>) {
        let warning = Diagnostic::warning(code, Span::default(), message);
        self.warnings.push(warning.with_help_if(help));
    }
}
