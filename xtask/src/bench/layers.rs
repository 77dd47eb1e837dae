//! Layers packed and unpacked by programs alone: kiln's as whole processes, each beside the limit:
//! the same work by programs that do nothing else, on the same files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::rows::{self, Row, timed};
use crate::Result;
use crate::process;

/// A program to time; one that needs it gets an empty folder `$TO` for each run.
struct Runner {
    name: &'static str,
    /// Without these it is not run.
    needs: &'static [&'static str],
    /// A line of the shell.
    line: &'static str,
}

const fn runner(name: &'static str, needs: &'static [&'static str], line: &'static str) -> Runner {
    Runner { name, needs, line }
}

const TABLES: &[(&str, &[Runner])] = &[
    (
        "50,000 files to a plain layer, digests of all files and of the tar",
        &[
            runner("kiln", &[], "$KILN/pack $FOLDER"),
            runner("kiln, one thread", &[], "$KILN/pack -j 1 $FOLDER"),
            runner(
                "`tar c \\| openssl dgst -sha256`",
                &["openssl"],
                "tar c -C $FOLDER . | openssl dgst -sha256",
            ),
        ],
    ),
    (
        "50,000 files to a gzip layer, level 6",
        &[
            runner(
                "kiln, digests of files, tar and blob",
                &[],
                "$KILN/pack -c gzip $FOLDER",
            ),
            runner(
                "`tar c \\| pigz -6`",
                &["pigz"],
                "tar c -C $FOLDER . | pigz -6 > /dev/null",
            ),
        ],
    ),
    (
        "50,000 files to a zstd layer, level 3",
        &[
            runner(
                "kiln, digests of files, tar and blob",
                &[],
                "$KILN/pack -c zstd $FOLDER",
            ),
            runner(
                "`tar c \\| zstd -3 -T0`",
                &["zstd"],
                "tar c -C $FOLDER . | zstd -q -3 -T0 > /dev/null",
            ),
        ],
    ),
    (
        "a layer of 50,000 files into a folder",
        &[
            runner("kiln, plain", &[], "$KILN/apply $WORK/layer.tar $TO"),
            runner(
                "`tar x`, plain",
                &["tar"],
                "tar x -C $TO -f $WORK/layer.tar",
            ),
            runner("`cp -a` of the files", &["cp"], "cp -a $FOLDER/. $TO"),
            runner("kiln, gzip", &[], "$KILN/apply $WORK/layer.gz $TO"),
            runner(
                "`tar xz`",
                &["tar", "gzip"],
                "tar xz -C $TO -f $WORK/layer.gz",
            ),
            runner(
                "umoci, gzip",
                &["umoci"],
                "umoci unpack --image $WORK/layout:bench $TO/bundle",
            ),
        ],
    ),
    (
        "50,000 files looked at",
        &[runner(
            "`find -printf %s`",
            &["find"],
            "find $FOLDER -printf %s > /dev/null",
        )],
    ),
];

/// `programs`: where kiln's examples `pack` and `apply` are; `files`: what is packed.
pub(super) fn report(
    report: &mut String,
    programs: &Path,
    files: &Path,
    work: &Path,
    runs: usize,
) -> Result<()> {
    fs::create_dir_all(work)?;
    let place = Place {
        programs,
        files,
        work,
    };
    place.prepare()?;
    for (about, runners) in TABLES {
        println!("{about}");
        rows::write(report, about, &place.measure(runners, runs)?)?;
    }
    fs::remove_dir_all(work)?;
    Ok(())
}

struct Place<'a> {
    programs: &'a Path,
    files: &'a Path,
    work: &'a Path,
}

impl Place<'_> {
    fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", line])
            .env("KILN", self.programs)
            .env("FOLDER", self.files)
            .env("WORK", self.work)
            .env("TO", self.to())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    fn to(&self) -> PathBuf {
        self.work.join("to")
    }

    /// The layers that are unpacked.
    fn prepare(&self) -> Result<()> {
        for (name, compression) in [("layer.tar", "none"), ("layer.gz", "gzip")] {
            let line = format!("$KILN/pack -c {compression} -o $WORK/{name} $FOLDER");
            process::output(&mut self.shell(&line))?;
        }
        if is_here("umoci") {
            let line = "umoci init --layout $WORK/layout && \
                umoci new --image $WORK/layout:bench && \
                umoci raw add-layer --image $WORK/layout:bench $WORK/layer.tar";
            process::output(&mut self.shell(line))?;
        }
        Ok(())
    }

    /// All in turns, each after one run that is not counted.
    fn measure(&self, runners: &[Runner], runs: usize) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for runner in runners {
            match runner.needs.iter().find(|program| !is_here(program)) {
                Some(missing) => println!("not run: {}: {missing} is not here", runner.name),
                None => rows.push((runner, Row::new(runner.name))),
            }
        }
        for run in 0..=runs {
            for (runner, row) in &mut rows {
                let took = self.run(runner)?;
                if run > 0 {
                    row.took.push(took);
                }
            }
        }
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    fn run(&self, runner: &Runner) -> Result<rows::Took> {
        let is_made = runner.line.contains("$TO");
        if is_made {
            fs::create_dir(self.to())?;
        }
        let took = timed(&mut self.shell(runner.line))?;
        if is_made {
            fs::remove_dir_all(self.to())?;
        }
        Ok(took)
    }
}

fn is_here(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}
