//! Rules about the instructions of a stage, with the variables that each of them finds.

use kiln_parser::{
    Diagnostic, Instruction, Node, Span, Word,
    ast::{self, Flag, Source},
    lint,
};

use super::{ignored, meant, state::State};
use crate::{Options, scope::Globals};

/// Names that are given without being variables.
const NO_VARIABLES: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// One way through a stage.
pub(super) struct Pass<'p> {
    pub(super) options: &'p Options,
    pub(super) globals: &'p Globals,
    pub(super) sequence: lint::Sequence,
    pub(super) state: State,
    pub(super) found: &'p mut Vec<Diagnostic>,
    /// Where everything is told, for triggers, which have no place in the file.
    pub(super) at: Option<Span>,
}

impl Pass<'_> {
    /// What a stage that stands on this one begins with.
    pub(super) fn end(mut self) -> State {
        self.state.has_shell = self.sequence.has_shell();
        self.state
    }

    pub(super) fn node(&mut self, node: &Node<'_>) {
        let first = self.found.len();
        self.sequence.look(node, self.at, self.found);
        let mut state = std::mem::take(&mut self.state);
        self.instruction(&node.instruction, &mut state);
        self.state = state;
        // Those of a trigger have one place, and keep their order.
        lint::steps(&mut self.found[first..]);
    }

    fn instruction(&mut self, instruction: &Instruction<'_>, state: &mut State) {
        match instruction {
            Instruction::Arg(arg) => self.arg(arg, state),
            Instruction::Env(env) => {
                self.pairs(&env.pairs, state);
                // All words see what was there before the instruction.
                let value = |pair: &ast::Pair<'_>| {
                    Some((state.expand(&pair.key)?, state.expand(&pair.value)?))
                };
                let set: Vec<_> = env.pairs.iter().filter_map(value).collect();
                for (name, value) in set {
                    state.set(&name, value);
                }
            }
            Instruction::Label(label) => self.pairs(&label.pairs, state),
            Instruction::Copy(copy) => {
                self.flags([&copy.flags.chown, &copy.flags.chmod], state);
                self.paths(&copy.sources, &copy.dest, state);
                if copy.flags.from.is_none() {
                    self.ignored("Copy", &copy.sources, state);
                }
            }
            Instruction::Add(add) => {
                let flags = &add.flags;
                self.flags([&flags.chown, &flags.chmod, &flags.checksum], state);
                self.paths(&add.sources, &add.dest, state);
                self.ignored("Add", &add.sources, state);
            }
            Instruction::Run(run) => {
                let options = run.mounts.iter().flat_map(|mount| &mount.options);
                let expanded = options.filter(|option| option.key.node != "from");
                for word in expanded.filter_map(|option| option.value.as_ref()) {
                    self.word(word, state);
                }
            }
            Instruction::User(user) => self.word(&user.user, state),
            Instruction::StopSignal(signal) => self.word(&signal.signal, state),
            Instruction::Volume(volume) => {
                volume.paths.iter().for_each(|path| self.word(path, state));
            }
            Instruction::Workdir(workdir) => self.workdir(&workdir.path, state),
            Instruction::Expose(expose) => self.expose(expose, state),
            _ => {}
        }
    }

    /// Each pair sees those before it.
    fn arg(&mut self, arg: &ast::Arg<'_>, state: &mut State) {
        for pair in &arg.pairs {
            if let Some(default) = &pair.default {
                self.word(default, state);
            }
            let name = pair.name.raw().to_owned();
            let given = self.options.build_args.get(&name).cloned();
            let value = given.or_else(|| match &pair.default {
                Some(default) => state.expand(default),
                None => self.globals.get(&name).map(str::to_owned),
            });
            match value {
                Some(value) => state.set(&name, value),
                None => state.declare(name),
            }
        }
    }

    fn pairs(&mut self, pairs: &[ast::Pair<'_>], state: &State) {
        for pair in pairs {
            self.word(&pair.key, state);
            self.word(&pair.value, state);
        }
    }

    fn flags<'f, 'w: 'f>(
        &mut self,
        flags: impl IntoIterator<Item = &'f Option<Flag<'w>>>,
        state: &State,
    ) {
        for flag in flags.into_iter().flatten() {
            self.word(&flag.value, state);
        }
    }

    fn paths(&mut self, sources: &[Source<'_>], dest: &Word<'_>, state: &State) {
        for source in sources {
            match source {
                Source::Path(word) => self.word(word, state),
                Source::Heredoc(doc) if doc.expand => self.word(&doc.body, state),
                Source::Heredoc(_) => {}
            }
        }
        self.word(dest, state);
    }

    fn workdir(&mut self, path: &Word<'_>, state: &mut State) {
        self.word(path, state);
        let has_one = std::mem::replace(&mut state.has_workdir, true);
        let Some(path_text) = state.expand(path) else {
            return;
        };
        if !has_one && !path_text.starts_with('/') {
            let message = format!(
                "Relative workdir {path_text:?} can have unexpected results if the base image changes"
            );
            self.tell("WorkdirRelativePath", path.span(), message);
        }
    }

    /// Docker sorts the words first, as they are written, and does not miss variables in them.
    fn expose(&mut self, expose: &ast::Expose<'_>, state: &State) {
        let mut words: Vec<&Word<'_>> = expose.ports.iter().collect();
        words.sort_by_key(|word| word.raw());
        for word in words {
            let span = self.at.unwrap_or(word.span());
            for port in state.expand_words(word) {
                self.found.extend(lint::expose(&port, span));
            }
        }
    }

    fn ignored(&mut self, verb: &str, sources: &[Source<'_>], state: &State) {
        let Some(ignore) = &self.options.ignore else {
            return;
        };
        for source in sources {
            let Source::Path(word) = source else { continue };
            let Some(path) = state.expand(word) else {
                continue;
            };
            if let Some(rule) = ignored::by(ignore, &path) {
                let message =
                    format!("Attempting to {verb} file {path:?} that is excluded by .dockerignore");
                let help = format!("line {} of it says `{}`", rule.line, rule.pattern);
                let span = self.at.unwrap_or(word.span());
                let finding = Diagnostic::warning("CopyIgnoredFile", span, message);
                self.found.push(finding.with_help(help));
            }
        }
    }

    /// Variables of a word that are not set here, each once.
    fn word(&mut self, word: &Word<'_>, state: &State) {
        let mut seen: Vec<String> = Vec::new();
        for variable in word.variables() {
            let name = variable.name;
            let known = state.is_declared(&name) || NO_VARIABLES.contains(&name.as_str());
            if known || seen.contains(&name) {
                continue;
            }
            let mut message = format!("Usage of undefined variable '${name}'");
            if let Some(meant) = meant(&name, state.names()) {
                message += &format!(" (did you mean ${meant}?)");
            }
            self.tell("UndefinedVar", variable.span, message);
            seen.push(name);
        }
    }

    fn tell(&mut self, rule: &'static str, span: Span, message: String) {
        let span = self.at.unwrap_or(span);
        self.found.push(Diagnostic::warning(rule, span, message));
    }
}
