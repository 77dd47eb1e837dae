//! A small make: `target: inputs` and below it indented commands. What ran before on the same
//! content is not run again, whatever its time. Results are kept under `.make`.
//!
//! ```text
//! cargo run --example make -- Makefile all
//! ```
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stderr,
    reason = "a program, not the library"
)]

use std::{collections::HashMap, error::Error, fs, path::Path, process::Command};

use kiln_cache::{Directory, Record};
use kiln_graph::{
    Cancel, Context, Event, Executor, GraphBuilder, Node, NodeId, Op, Origin, Run, Select,
    Settings, plan, solve,
};
use kiln_image::Digest;

/// The content of the file that a leaf is.
fn file(node: &Node) -> Result<Digest, String> {
    let Op::Context { select, .. } = &node.op else {
        return Err(format!("`{}` is not a file", node.op));
    };
    keep(&select.patterns[0])
}

/// Runs commands; a result is the content of the file that the target names.
struct Make;

impl Executor for Make {
    type Output = Digest;
    type Error = String;

    fn leaf(&self, node: &Node) -> Result<Option<Digest>, String> {
        file(node).map(Some)
    }

    fn execute(&self, _: NodeId, node: &Node, _: &[Digest], c: &Cancel) -> Result<Digest, String> {
        let Op::Run(run) = &node.op else {
            return file(node);
        };
        let mut child = Command::new(&run.argv[0])
            .args(&run.argv[1..])
            .spawn()
            .map_err(|e| format!("start `{}`: {e}", run.argv[0]))?;
        loop {
            match child.try_wait().map_err(|e| e.to_string())? {
                Some(status) if status.success() => return keep(&node.name),
                Some(status) => return Err(format!("{status}")),
                None if c.is_canceled() => child.kill().map_err(|e| e.to_string())?,
                None => std::thread::sleep(std::time::Duration::from_millis(5)),
            }
        }
    }

    fn digest(
        &self,
        _: NodeId,
        _: &Node,
        index: usize,
        inputs: &[Digest],
    ) -> Result<Option<Digest>, String> {
        let output = &inputs[index];
        Ok(Some(*output))
    }

    fn save(&self, output: &Digest) -> Result<Record, String> {
        Ok(Record {
            value: output.to_string().into_bytes(),
            ..Record::default()
        })
    }

    fn load(&self, record: &Record, _: Option<&[Digest]>) -> Result<Option<Digest>, String> {
        let text = String::from_utf8_lossy(&record.value);
        let digest: Option<Digest> = text.parse().ok();
        Ok(digest.filter(|d| Path::new(".make").join(d.hex()).exists()))
    }
}

/// The digest of a file's content, of which a copy is kept. A target that makes no file is empty.
fn keep(file: &str) -> Result<Digest, String> {
    let content = match fs::read(file) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(format!("`{file}`: {e}")),
        read => read.unwrap_or_default(),
    };
    let digest = Digest::sha256(&content);
    fs::write(Path::new(".make").join(digest.hex()), content).map_err(|e| e.to_string())?;
    Ok(digest)
}

struct Rule {
    inputs: Vec<String>,
    script: String,
    line: u32,
}

fn rules(text: &str) -> HashMap<String, Rule> {
    let mut rules: HashMap<String, Rule> = HashMap::new();
    let mut last = String::new();
    for (line, text) in (1..).zip(text.lines()) {
        if text.starts_with([' ', '\t']) {
            let rule = rules.get_mut(&last).expect("a command stands below a rule");
            rule.script += &format!("{}\n", text.trim());
        } else if let Some((target, inputs)) = text.split_once(':') {
            last = target.trim().to_owned();
            let inputs = inputs.split_whitespace().map(str::to_owned).collect();
            let script = "set -e\n".to_owned();
            rules.insert(
                last.clone(),
                Rule {
                    inputs,
                    script,
                    line,
                },
            );
        }
    }
    rules
}

/// The node for `target`, behind those that it needs.
fn add(g: &mut GraphBuilder, file: &str, rules: &HashMap<String, Rule>, target: &str) -> NodeId {
    let Some(rule) = rules.get(target) else {
        let select = Select {
            patterns: vec![target.to_owned()],
            ..Select::default()
        };
        let name = String::new();
        return g.add(Op::Context { name, select }, &[], None);
    };
    let inputs: Vec<_> = rule.inputs.iter().map(|i| add(g, file, rules, i)).collect();
    let run = Run {
        argv: ["sh", "-c", &rule.script].map(str::to_owned).into(),
        ..Run::default()
    };
    let origin = Origin {
        file: file.to_owned(),
        span: (0, 0),
        line: rule.line,
    };
    let id = g.add(Op::Run(run), &inputs, Some(origin));
    g.name(id, target);
    id
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, target] = arguments.as_slice() else {
        return Err("usage: make FILE TARGET".into());
    };
    let records = Directory::open(Path::new(".make"))?;
    let mut builder = GraphBuilder::new();
    let wanted = add(
        &mut builder,
        file,
        &rules(&fs::read_to_string(file)?),
        target,
    );
    let graph = builder.finish();
    let settings = Settings::default();
    let plan = plan(&graph, &[wanted], &Make, &records, &settings).map_err(|e| e.to_string())?;
    eprint!("{plan}");
    let context = Context {
        records: &records,
        settings: &settings,
        cancel: &Cancel::new(),
        on: &|event| {
            if let Event::Finished(id) = event {
                eprintln!("made {}", graph.node(id).name);
            }
        },
    };
    let solved = solve(&context, plan, &Make).map_err(|e| format!("{e}: {:?}", e.kind()))?;
    let made = solved.output(wanted).expect("a target has an output");
    fs::copy(Path::new(".make").join(made.hex()), target)?;
    Ok(())
}
