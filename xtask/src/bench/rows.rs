//! What somebody needed for one piece of work, run by run, and how a table of it is written.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Result;
use crate::process;

/// How long one run took, and how long the processors worked for it.
#[derive(Clone, Copy)]
pub(super) struct Took {
    pub(super) wall: Duration,
    pub(super) cpu: Option<Duration>,
}

/// One line of a table.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) took: Vec<Took>,
}

impl Row {
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            took: Vec::new(),
        }
    }
}

/// Runs a command that has to succeed.
pub(super) fn timed(command: &mut Command) -> Result<Took> {
    let before = children();
    let start = Instant::now();
    if !process::succeeds(command)? {
        return Err(format!("{} failed", process::shown(command)).into());
    }
    let wall = start.elapsed();
    let cpu = children()
        .zip(before)
        .map(|(now, then)| now.saturating_sub(then));
    Ok(Took { wall, cpu })
}

/// The time that processors worked for the children of this process that have ended (proc(5):
/// `cutime` and `cstime`, in hundredths of a second).
fn children() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may hold anything, these are the 14th and 15th.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks(13)? + ticks(14)?) * 10))
}

/// A heading, and a line for each row.
pub(super) fn write(report: &mut String, about: &str, rows: &[Row]) -> Result<()> {
    writeln!(report, "\n## {about}\n")?;
    writeln!(
        report,
        "| who | best, ms | median, ms | least cpu, s | all, ms |"
    )?;
    writeln!(report, "|---|---|---|---|---|")?;
    for row in rows {
        let mut sorted = row.took.clone();
        sorted.sort_by_key(|took| took.wall);
        let ms = |took: Option<&Took>| took.map_or(0.0, |t| t.wall.as_secs_f64() * 1000.0);
        let (best, median) = (ms(sorted.first()), ms(sorted.get(sorted.len() / 2)));
        let cpu = sorted.iter().filter_map(|took| took.cpu).min();
        let cpu = cpu.map_or_else(String::new, |cpu| format!("{:.2}", cpu.as_secs_f64()));
        let all: Vec<String> = row
            .took
            .iter()
            .map(|t| format!("{:.1}", ms(Some(t))))
            .collect();
        let (name, all) = (&row.name, all.join(" "));
        writeln!(
            report,
            "| {name} | {best:.1} | {median:.1} | {cpu} | {all} |"
        )?;
    }
    Ok(())
}
