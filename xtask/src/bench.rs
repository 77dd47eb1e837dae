//! `cargo xtask bench`: layers, whole builds and starts of containers, kiln's beside those of
//! installed peers, run in turns on the same machine. The numbers go to `bench/DATE.md`, with
//! versions and what the machine is.

mod builder;
mod disk;
mod layers;
mod machine;
mod rows;
mod start;
mod work;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::Result;
use crate::process;
use builder::Builder;
use disk::Disk;
use rows::Row;
use work::Work;

/// What is asked for.
struct Options {
    /// How often each thing is done.
    runs: usize,
    /// Who stands for people without root.
    user: Option<String>,
    /// Only what has to do with layers.
    layers: bool,
}

pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let options = Options::parse(arguments)?;
    let root = process::root()?;
    compile(&root)?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let release = target.join("release");
    let disk = Disk::make(&target.join("bench"))?;
    let builders = builder::installed(&release.join("kiln"), &disk.folder)?;
    let mut report = machine::report(&builders, disk.about())?;
    let name = match options.layers {
        true => format!("{}-layers.md", machine::today()?),
        false => format!("{}.md", machine::today()?),
    };
    // Quick things first: a disk that has just removed many files may be slow for a while.
    if !options.layers {
        let (kiln, example) = (release.join("kiln"), release.join("examples/true"));
        let user = options.user.as_deref();
        start::report(&mut report, &kiln, &example, user, options.runs)?;
        builds(
            &mut report,
            &work::small(&disk.folder)?,
            &builders,
            options.runs,
        )?;
    }
    let large = work::large(&disk.folder)?;
    let (programs, work) = (release.join("examples"), disk.folder.join("layers"));
    let files = work::files(&disk.folder);
    layers::report(&mut report, &programs, &files, &work, options.runs)?;
    builds(&mut report, &large, &builders, options.runs)?;
    let file = root.join("bench").join(name);
    fs::create_dir_all(root.join("bench"))?;
    fs::write(&file, &report)?;
    println!("\n{report}\nwritten to {}", file.display());
    Ok(ExitCode::SUCCESS)
}

/// The binary, and the examples that are measured.
fn compile(root: &Path) -> Result<()> {
    let wanted: &[&[&str]] = &[
        &["--package", "kiln-cli"],
        &["--package", "kiln-sandbox", "--example", "true"],
        &[
            "--package",
            "kiln-layer",
            "--example",
            "pack",
            "--example",
            "apply",
        ],
    ];
    for arguments in wanted {
        let mut cargo = process::cargo(root);
        let cargo = cargo.args(["build", "--quiet", "--release"]);
        if !process::succeeds(cargo.args(*arguments))? {
            return Err("kiln does not compile".into());
        }
    }
    Ok(())
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            runs: 5,
            user: None,
            layers: false,
        };
        let usage = "the arguments are --runs N, --user NAME and --layers";
        let mut arguments = arguments.iter();
        while let Some(flag) = arguments.next() {
            match flag.as_str() {
                "--layers" => options.layers = true,
                "--runs" => options.runs = arguments.next().ok_or(usage)?.parse()?,
                "--user" => options.user = Some(arguments.next().ok_or(usage)?.clone()),
                _ => return Err(usage.into()),
            }
        }
        Ok(options)
    }
}

fn builds(report: &mut String, works: &[Work], builders: &[Builder], runs: usize) -> Result<()> {
    for work in works {
        println!("{}", work.about);
        rows::write(report, work.about, &measure(work, builders, runs)?)?;
    }
    Ok(())
}

/// Each builder in turn, so that a machine that changes its speed changes it for all; each after
/// one run that is not counted.
fn measure(work: &Work, builders: &[Builder], runs: usize) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = builders.iter().map(|b| Row::new(b.name)).collect();
    let mut find = Row::new("`find -printf %s` over the files");
    for run in 0..=runs {
        for (builder, row) in builders.iter().zip(&mut rows) {
            let took = builder.build(work, run)?;
            if run > 0 {
                row.took.push(took);
            }
        }
        if work.beside_find {
            let mut command = Command::new("find");
            command.arg(&work.context).args(["-printf", "%s"]);
            let took = rows::timed(command.stdout(Stdio::null()))?;
            if run > 0 {
                find.took.push(took);
            }
        }
    }
    if work.beside_find {
        rows.push(find);
    }
    Ok(rows)
}
