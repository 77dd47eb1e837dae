//! `cargo xtask bench`: whole builds and starts of containers, kiln's beside those of installed
//! peers, run in turns on the same machine. The numbers go to `bench/DATE.md`, with versions and what the machine is.

mod builder;
mod machine;
mod start;
mod work;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::Result;
use crate::process;
use builder::Builder;
use work::Work;

/// What one builder needed for one piece of work, run by run.
struct Row {
    builder: String,
    walls: Vec<Duration>,
}

pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let (runs, user) = options(arguments)?;
    let root = process::root()?;
    let built = process::succeeds(process::cargo(&root).args([
        "build",
        "--quiet",
        "--release",
        "--package",
        "kiln-cli",
    ]))?;
    let example = ["--package", "kiln-sandbox", "--example", "true"];
    let example = process::succeeds(
        process::cargo(&root)
            .args(["build", "--quiet", "--release"])
            .args(example),
    )?;
    if !built || !example {
        return Err("kiln does not compile".into());
    }
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join("bench");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let builders = builder::installed(&target.join("release/kiln"), &folder)?;
    let mut report = machine::report(&builders)?;
    // First of all: a file system that has just removed many files may be slow for a while.
    let release = target.join("release");
    let (kiln, example) = (release.join("kiln"), release.join("examples/true"));
    start::report(&mut report, &kiln, &example, user.as_deref(), runs)?;
    for work in work::all(&folder)? {
        println!("{}", work.about);
        let rows = measure(&work, &builders, runs)?;
        write_rows(&mut report, work.about, &rows)?;
    }
    let file = root.join("bench").join(format!("{}.md", machine::today()?));
    fs::create_dir_all(root.join("bench"))?;
    fs::write(&file, &report)?;
    println!("\n{report}\nwritten to {}", file.display());
    fs::remove_dir_all(&folder)?;
    Ok(ExitCode::SUCCESS)
}

/// How many runs, and who stands for people without root.
fn options(arguments: &[String]) -> Result<(usize, Option<String>)> {
    let (mut runs, mut user) = (5, None);
    for pair in arguments.chunks(2) {
        match pair {
            [flag, n] if flag == "--runs" => runs = n.parse()?,
            [flag, name] if flag == "--user" => user = Some(name.clone()),
            _ => return Err("the arguments are --runs N and --user NAME".into()),
        }
    }
    Ok((runs, user))
}

/// Each builder in turn, so that a machine that changes its speed changes it for all.
fn measure(work: &Work, builders: &[Builder], runs: usize) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = builders
        .iter()
        .map(|b| Row {
            builder: b.name.to_owned(),
            walls: Vec::new(),
        })
        .collect();
    for builder in builders {
        builder.build(work, false)?;
    }
    for _ in 0..runs {
        for (builder, row) in builders.iter().zip(&mut rows) {
            row.walls.push(builder.build(work, work.cold)?);
        }
    }
    Ok(rows)
}

fn write_rows(report: &mut String, about: &str, rows: &[Row]) -> Result<()> {
    writeln!(report, "\n## {about}\n")?;
    writeln!(report, "| who | best, ms | median, ms | all, ms |")?;
    writeln!(report, "|---|---|---|---|")?;
    for row in rows {
        let mut sorted = row.walls.clone();
        sorted.sort();
        let ms = |d: Option<&Duration>| d.map_or(0.0, |d| d.as_secs_f64() * 1000.0);
        let (best, median) = (ms(sorted.first()), ms(sorted.get(sorted.len() / 2)));
        let all: Vec<String> = row
            .walls
            .iter()
            .map(|d| format!("{:.1}", ms(Some(d))))
            .collect();
        writeln!(
            report,
            "| {} | {best:.1} | {median:.1} | {} |",
            row.builder,
            all.join(" ")
        )?;
    }
    Ok(())
}
