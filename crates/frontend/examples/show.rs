//! Prints what a Dockerfile comes to: stages, steps, and the graph as `dot` reads it. Base images are
//! taken to be empty, since nobody is asked.
//!
//! ```text
//! cargo run --example show -- Dockerfile [--target STAGE]
//! ```
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program, not the library"
)]

use std::{error::Error, fs};

use kiln_frontend::{Bases, Lowered, Lowering, Options, Resolved, lower};
use kiln_image::{Config, Digest};
use kiln_parser::{Diagnostic, parse, position};

fn lowered(source: &str, options: &Options) -> Result<Lowered, Vec<Diagnostic>> {
    let (file, _) = parse(source).into_result()?;
    let mut bases = Bases::new();
    loop {
        match lower(&file, options, &bases)? {
            Lowering::Done(lowered) => return Ok(*lowered),
            Lowering::Need(needs) => {
                for base in needs {
                    let resolved = Resolved {
                        manifest: Digest::sha256(base.reference.to_string().as_bytes()),
                        config: Config::scratch(&base.platform),
                    };
                    bases.insert(base.reference, base.platform, resolved);
                }
            }
        }
    }
}

fn show(lowered: &Lowered) {
    println!("digraph {{");
    for step in &lowered.steps {
        println!("  // {}/{} {}", step.number, lowered.total, step.text);
    }
    for (id, node) in lowered.graph.iter() {
        println!("  n{id} [label={:?}]", node.name);
        for input in &node.inputs {
            println!("  n{input} -> n{id}");
        }
    }
    println!("  n{} [shape=box]\n}}", lowered.target);
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments
        .next()
        .ok_or("usage: show DOCKERFILE [--target STAGE]")?;
    let options = Options {
        target: arguments.nth(1),
        file: file.clone(),
        ..Options::default()
    };
    let source = fs::read_to_string(&file)?;
    match lowered(&source, &options) {
        Ok(lowered) => show(&lowered),
        Err(errors) => {
            for error in errors {
                let at = position(&source, error.span.start);
                eprintln!("{file}:{}:{}: {error}", at.line, at.column);
            }
            std::process::exit(1);
        }
    }
    Ok(())
}
