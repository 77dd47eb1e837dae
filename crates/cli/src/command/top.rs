//! `kiln top`: what runs in a container, in the columns of `ps -ef` or `ps aux`, or in those of
//! `-o`.

use std::{fs, process::ExitCode};

use clap::Args;
use jiff::{Timestamp, Zoned, tz::TimeZone};
use kiln_container::Process;

use super::each::containers;
use crate::{failure::Failure, host, table::align};

#[derive(Args)]
pub(crate) struct Top {
    /// The container: its name or id
    container: String,
    /// Options of ps: `-ef`, which is the default, `aux`, or `-o COLUMN,..`
    #[arg(
        value_name = "PS OPTIONS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    options: Vec<String>,
}

/// docker's columns are as wide as this.
const NARROWEST: usize = 20;

/// The headings of `ps -ef`.
const USUAL: [&str; 8] = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];

/// The columns of `ps aux`, and its headings.
const ALL: [(&str, &str); 11] = [
    ("user", "USER"),
    ("pid", "PID"),
    ("pcpu", "%CPU"),
    ("pmem", "%MEM"),
    ("vsz", "VSZ"),
    ("rss", "RSS"),
    ("tty", "TTY"),
    ("stat", "STAT"),
    ("stime", "START"),
    ("bsdtime", "TIME"),
    ("args", "COMMAND"),
];

/// What `-o` can name, and the heading of it.
const COLUMNS: [(&str, &str); 21] = [
    ("args", "COMMAND"),
    ("bsdtime", "TIME"),
    ("c", "C"),
    ("cmd", "CMD"),
    ("comm", "COMMAND"),
    ("command", "COMMAND"),
    ("cputime", "TIME"),
    ("pcpu", "%CPU"),
    ("pid", "PID"),
    ("pmem", "%MEM"),
    ("ppid", "PPID"),
    ("rss", "RSS"),
    ("stat", "STAT"),
    ("stime", "STIME"),
    ("time", "TIME"),
    ("tt", "TT"),
    ("tty", "TTY"),
    ("uid", "UID"),
    ("uname", "USER"),
    ("user", "USER"),
    ("vsz", "VSZ"),
];

impl Top {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let columns = columns(&self.options)?;
        let processes = containers()?.get(&self.container)?.top()?;
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let now = Timestamp::now().to_zoned(TimeZone::system());
        let mut lines = vec![columns.iter().map(|c| c.heading.to_owned()).collect()];
        for process in &processes {
            let cells = columns.iter();
            lines.push(cells.map(|c| c.cell(process, &passwd, &now)).collect());
        }
        host::print(&align(&lines, NARROWEST))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// One of `ps`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Column {
    name: &'static str,
    heading: &'static str,
}

fn columns(options: &[String]) -> Result<Vec<Column>, Failure> {
    let words: Vec<&str> = options.iter().map(String::as_str).collect();
    let list = match &words[..] {
        [] | ["-ef" | "-e" | "-f" | "ef"] => {
            let name = |heading: &&str| match *heading {
                // The column of this heading is that of a name.
                "UID" => "user".to_owned(),
                heading => heading.to_lowercase(),
            };
            let mut columns = named(&USUAL.iter().map(name).collect::<Vec<_>>().join(","))?;
            for (column, heading) in columns.iter_mut().zip(USUAL) {
                column.heading = heading;
            }
            return Ok(columns);
        }
        ["aux" | "-aux" | "auxw" | "auxww"] => {
            let column = |(name, heading)| Column { name, heading };
            return Ok(ALL.into_iter().map(column).collect());
        }
        ["-o" | "o" | "-eo" | "--format", list] => list,
        [one] => match one.strip_prefix("-o").or_else(|| one.strip_prefix("-eo")) {
            Some(list) => list,
            None => return Err(unknown(one)),
        },
        _ => return Err(unknown(&words.join(" "))),
    };
    named(list)
}

fn named(list: &str) -> Result<Vec<Column>, Failure> {
    let find = |name: &str| {
        let found = COLUMNS.iter().find(|(known, _)| *known == name);
        let column = found.map(|(name, heading)| Column { name, heading });
        column.ok_or_else(|| unknown(&format!("-o {name}")))
    };
    list.split(',').map(|name| find(name.trim())).collect()
}

fn unknown(what: &str) -> Failure {
    let known: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    Failure::new(format!("ps options `{what}` are not carried out"))
        .hint(format!("-o takes: {}", known.join(", ")))
}

impl Column {
    fn cell(&self, process: &Process, passwd: &str, now: &Zoned) -> String {
        match self.name {
            "uid" => process.uid.to_string(),
            "user" | "uname" => user(process.uid, passwd),
            "pid" => process.pid.to_string(),
            "ppid" => process.ppid.to_string(),
            "c" => process.cpu.to_string(),
            "pcpu" => format!("{}.0", process.cpu),
            "pmem" => format!("{}.{}", process.share / 10, process.share % 10),
            "vsz" => process.virtual_memory.to_string(),
            "rss" => process.resident.to_string(),
            "stat" => process.state.clone(),
            "bsdtime" => format!("{}:{:02}", process.time / 60, process.time % 60),
            "stime" => started(process.start, now),
            "tty" | "tt" => process.tty.clone(),
            "time" | "cputime" => clock(process.time),
            "comm" => program(&process.cmd).to_owned(),
            _ => process.cmd.clone(),
        }
    }
}

/// The name of a user of this machine; the number where there is none.
fn user(uid: u32, passwd: &str) -> String {
    let number = uid.to_string();
    let line = passwd
        .lines()
        .find(|l| l.split(':').nth(2) == Some(&number));
    let name = line.and_then(|l| l.split(':').next());
    name.map_or(number.clone(), str::to_owned)
}

/// `ps`'s STIME: the time of day, or the day where that was another.
fn started(seconds: u64, now: &Zoned) -> String {
    let at = Timestamp::from_second(i64::try_from(seconds).unwrap_or(i64::MAX));
    let at = at.unwrap_or(Timestamp::UNIX_EPOCH);
    let at = at.to_zoned(now.time_zone().clone());
    let format = if at.date() == now.date() {
        "%H:%M"
    } else {
        "%b%d"
    };
    at.strftime(format).to_string()
}

/// `HH:MM:SS`.
fn clock(seconds: u64) -> String {
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

/// The program's name alone.
fn program(cmd: &str) -> &str {
    let first = cmd.split(' ').next().unwrap_or(cmd);
    first.rsplit('/').next().unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headings(options: &str) -> Result<String, String> {
        let words: Vec<String> = options.split_whitespace().map(str::to_owned).collect();
        let columns = columns(&words).map_err(|e| format!("{e:?}"))?;
        let names: Vec<&str> = columns.iter().map(|c| c.heading).collect();
        Ok(names.join(" "))
    }

    #[test]
    fn what_ps_is_asked_for() {
        for (options, want) in [
            ("", "UID PID PPID C STIME TTY TIME CMD"),
            ("-ef", "UID PID PPID C STIME TTY TIME CMD"),
            ("-o pid,cmd", "PID CMD"),
            ("-opid,user", "PID USER"),
            ("-o pid,rss,stat", "PID RSS STAT"),
            (
                "aux",
                "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND",
            ),
        ] {
            assert_eq!(headings(options).as_deref(), Ok(want), "{options}");
        }
        for options in ["lax", "-o pid,wchan", "-x y z"] {
            assert!(headings(options).unwrap_err().contains("not carried out"));
        }
    }

    #[test]
    fn cells() {
        let passwd = "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/:/bin/sh\n";
        assert_eq!(user(1000, passwd), "me");
        assert_eq!(user(7, passwd), "7");
        assert_eq!(clock(3 * 3600 + 62), "03:01:02");
        assert_eq!(program("/bin/sh -c x"), "sh");
        let now: Zoned = "2024-05-02T10:00[UTC]".parse().unwrap();
        assert_eq!(started(1_714_640_000, &now), "08:53");
        assert_eq!(started(1_714_540_000, &now), "May01");
    }
}
