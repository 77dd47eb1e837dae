//! The normal form: one line an instruction, keyword in upper case, flags in the order of the
//! tree's fields, one blank between words, heredoc bodies as they are. Words are printed as they
//! were written; whether all that is read back as the same tree is the caller's to ask.

use std::time::Duration;

use crate::ast::{
    Add, Arg, Command, Comment, CopyFlags, Directive, DirectiveKey, Dockerfile, Flag, From,
    Healthcheck, HealthcheckOptions, Heredoc, Instruction, Mount, Node, Pair, Run, Source,
};
use crate::span::Spanned;
use crate::word::Word;

/// A line under construction: the keyword, then flags, then the rest.
struct Line {
    text: String,
    escape: char,
    bodies: String,
}

pub(super) fn file(file: &Dockerfile<'_>) -> String {
    let escape = file.escape();
    let mut out: String = file.directives.iter().map(directive).collect();
    let first = file
        .args
        .first()
        .map(|node| &node.comments)
        .or_else(|| file.stages.first().map(|stage| &stage.from.comments));
    // A blank line keeps a comment of the form `key=value` from being a directive.
    if !out.is_empty() || first.is_some_and(|c| c.iter().any(|c| c.text.contains('='))) {
        out.push('\n');
    }
    for arg in &file.args {
        node(&mut out, arg, &self::arg(&arg.instruction, escape));
    }
    for (at, stage) in file.stages.iter().enumerate() {
        if at > 0 || !file.args.is_empty() {
            out.push('\n');
        }
        node(
            &mut out,
            &stage.from,
            &from(&stage.from.instruction, escape),
        );
        for one in &stage.instructions {
            node(&mut out, one, &instruction(&one.instruction, escape));
        }
    }
    out
}

fn directive(directive: &Directive<'_>) -> String {
    let key = match directive.key {
        DirectiveKey::Syntax => "syntax",
        DirectiveKey::Escape => "escape",
        DirectiveKey::Check => "check",
    };
    format!("# {key}={}\n", directive.value.node)
}

fn node<T>(out: &mut String, node: &Node<'_, T>, text: &str) {
    for Comment { text, .. } in &node.comments {
        out.push_str("# ");
        out.push_str(text);
        out.push('\n');
    }
    out.push_str(text);
    out.push('\n');
}

fn from(from: &From<'_>, escape: char) -> String {
    let mut line = Line::new("FROM", escape);
    line.flag("platform", from.platform.as_ref());
    line.rest(from.image.raw());
    if let Some(name) = &from.name {
        line.word("AS");
        line.word(&name.node);
    }
    line.finish()
}

fn arg(arg: &Arg<'_>, escape: char) -> String {
    let mut line = Line::new("ARG", escape);
    let pairs = arg.pairs.iter().map(|pair| match &pair.default {
        Some(default) => format!("{}={}", pair.name.raw(), default.raw()),
        None => pair.name.raw().to_owned(),
    });
    line.rest(&pairs.collect::<Vec<_>>().join(" "));
    line.finish()
}

pub(super) fn instruction(instruction: &Instruction<'_>, escape: char) -> String {
    let mut line = Line::new(instruction.keyword(), escape);
    match instruction {
        Instruction::Arg(one) => return arg(one, escape),
        Instruction::Env(env) => line.pairs(&env.pairs, env.legacy),
        Instruction::Label(label) => line.pairs(&label.pairs, label.legacy),
        Instruction::Run(run) => line.run(run),
        Instruction::Copy(copy) => {
            line.copy_flags(&copy.flags);
            line.files(&copy.sources, &copy.dest, copy.json);
        }
        Instruction::Add(add) => {
            line.add_flags(add);
            line.files(&add.sources, &add.dest, add.json);
        }
        Instruction::Workdir(one) => line.rest(one.path.raw()),
        Instruction::User(one) => line.rest(one.user.raw()),
        Instruction::StopSignal(one) => line.rest(one.signal.raw()),
        Instruction::Maintainer(one) => line.rest(one.name.raw()),
        Instruction::Cmd(command) | Instruction::Entrypoint(command) => {
            line.rest(&self::command(command));
        }
        Instruction::Expose(expose) => line.words(&expose.ports, false),
        Instruction::Volume(volume) => line.words(&volume.paths, volume.json),
        Instruction::Shell(shell) => line.rest(&strings(&shell.args)),
        Instruction::Healthcheck(Healthcheck::None) => line.rest("NONE"),
        Instruction::Healthcheck(Healthcheck::Cmd { options, command }) => {
            line.healthcheck(options);
            line.rest(&format!("CMD {}", self::command(command)));
        }
        Instruction::OnBuild(onbuild) => line.rest(&onbuild.trigger),
    }
    line.finish()
}

impl Line {
    fn new(keyword: &str, escape: char) -> Self {
        Self {
            text: keyword.to_owned(),
            escape,
            bodies: String::new(),
        }
    }

    fn finish(self) -> String {
        self.text + &self.bodies
    }

    fn word(&mut self, word: &str) {
        self.text.push(' ');
        self.text.push_str(word);
    }

    /// What follows the flags. `--` keeps text that looks like a flag from being one.
    fn rest(&mut self, text: &str) {
        if text.starts_with("--") {
            self.word("--");
        }
        if !text.is_empty() {
            self.word(text);
        }
    }

    /// `--name=value`: the value lost its quotes and escapes, so each character that needs one
    /// gets an escape.
    fn text_flag(&mut self, name: &str, value: &str) {
        self.text.push_str(" --");
        self.text.push_str(name);
        self.text.push('=');
        for c in value.chars() {
            if c.is_whitespace() || matches!(c, '\'' | '"') || c == self.escape {
                self.text.push(self.escape);
            }
            self.text.push(c);
        }
    }

    fn flag(&mut self, name: &str, flag: Option<&Flag<'_>>) {
        if let Some(flag) = flag {
            self.text_flag(name, flag.value.raw());
        }
    }

    fn boolean(&mut self, name: &str, on: Option<&Spanned<bool>>) {
        match on.map(|on| on.node) {
            Some(true) => self.word(&format!("--{name}")),
            Some(false) => self.word(&format!("--{name}=false")),
            None => {}
        }
    }

    fn copy_flags(&mut self, flags: &CopyFlags<'_>) {
        self.flag("from", flags.from.as_ref());
        self.flag("chown", flags.chown.as_ref());
        self.flag("chmod", flags.chmod.as_ref());
        self.boolean("link", flags.link.as_ref());
        self.boolean("parents", flags.parents.as_ref());
        for exclude in &flags.exclude {
            self.flag("exclude", Some(exclude));
        }
    }

    fn add_flags(&mut self, add: &Add<'_>) {
        let flags = &add.flags;
        self.flag("chown", flags.chown.as_ref());
        self.flag("chmod", flags.chmod.as_ref());
        self.boolean("link", flags.link.as_ref());
        self.boolean("keep-git-dir", flags.keep_git_dir.as_ref());
        self.flag("checksum", flags.checksum.as_ref());
        self.boolean("unpack", flags.unpack.as_ref());
        for exclude in &flags.exclude {
            self.flag("exclude", Some(exclude));
        }
    }

    fn run(&mut self, run: &Run<'_>) {
        for mount in &run.mounts {
            self.text_flag("mount", &options(mount));
        }
        self.flag("network", run.network.as_ref());
        self.flag("security", run.security.as_ref());
        for device in &run.devices {
            self.flag("device", Some(device));
        }
        self.rest(&command(&run.command));
        for doc in &run.heredocs {
            self.body(doc);
        }
    }

    fn healthcheck(&mut self, options: &HealthcheckOptions) {
        let periods = [
            ("interval", &options.interval),
            ("timeout", &options.timeout),
            ("start-period", &options.start_period),
            ("start-interval", &options.start_interval),
        ];
        for (name, period) in periods {
            if let Some(period) = period {
                self.text_flag(name, &duration(period.node));
            }
        }
        if let Some(retries) = &options.retries {
            self.text_flag("retries", &retries.node.to_string());
        }
    }

    fn pairs(&mut self, pairs: &[Pair<'_>], legacy: bool) {
        let sign = if legacy { ' ' } else { '=' };
        let pairs: Vec<String> = pairs
            .iter()
            .map(|pair| format!("{}{sign}{}", pair.key.raw(), pair.value.raw()))
            .collect();
        self.rest(&pairs.join(" "));
    }

    fn words(&mut self, words: &[Word<'_>], json: bool) {
        let words: Vec<&str> = words.iter().map(Word::raw).collect();
        self.rest(&list(&words, json));
    }

    fn files(&mut self, sources: &[Source<'_>], dest: &Word<'_>, json: bool) {
        let marked: Vec<String> = sources
            .iter()
            .map(|source| match source {
                Source::Path(path) => path.raw().to_owned(),
                Source::Heredoc(doc) => marker(doc),
            })
            .collect();
        let mut words: Vec<&str> = marked.iter().map(String::as_str).collect();
        words.push(dest.raw());
        self.rest(&list(&words, json));
        for source in sources {
            if let Source::Heredoc(doc) = source {
                self.body(doc);
            }
        }
    }

    fn body(&mut self, doc: &Heredoc<'_>) {
        self.bodies.push('\n');
        self.bodies.push_str(doc.body.raw());
        self.bodies.push_str(&doc.name);
    }
}

fn list(words: &[&str], json: bool) -> String {
    if json {
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        format!("[{}]", words.join(", "))
    } else {
        words.join(" ")
    }
}

fn strings(args: &[Spanned<String>]) -> String {
    let args: Vec<&str> = args.iter().map(|arg| arg.node.as_str()).collect();
    list(&args, true)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn command(command: &Command<'_>) -> String {
    match command {
        Command::Exec(args) => strings(args),
        Command::Shell(word) => word.raw().to_owned(),
    }
}

/// `key=value,…`; an option with a comma in it stands in quotes.
fn options(mount: &Mount<'_>) -> String {
    let options: Vec<String> = mount
        .options
        .iter()
        .map(|option| {
            let text = match &option.value {
                Some(value) => format!("{}={}", option.key.node, value.raw()),
                None => option.key.node.clone(),
            };
            if text.contains(',') {
                format!("\"{text}\"")
            } else {
                text
            }
        })
        .collect();
    options.join(",")
}

fn marker(doc: &Heredoc<'_>) -> String {
    let fd = doc.fd.map(|fd| fd.to_string()).unwrap_or_default();
    let dash = if doc.strip_tabs { "-" } else { "" };
    let quote = if doc.expand { "" } else { "\"" };
    format!("{fd}<<{dash}{quote}{}{quote}", doc.name)
}

/// Whole seconds, and what is left in the largest unit that fits.
fn duration(period: Duration) -> String {
    let (seconds, nanos) = (period.as_secs(), period.subsec_nanos());
    let rest = match nanos {
        0 => String::new(),
        n if n % 1_000_000 == 0 => format!("{}ms", n / 1_000_000),
        n => format!("{n}ns"),
    };
    if seconds == 0 && !rest.is_empty() {
        return rest;
    }
    format!("{seconds}s{rest}")
}
