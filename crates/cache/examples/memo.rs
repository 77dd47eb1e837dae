//! Runs a command once for the same arguments and the same content of its input files, and says
//! why it runs it again: `memo FOLDER 'COMMAND' [FILE]...`.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a program, not a library"
)]

use std::{
    env,
    error::Error,
    fs,
    io::{self, Write},
    path::Path,
    process::Command,
};

use kiln_cache::{Directory, Key, Part, Record, Records, explain};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [folder, command, files @ ..] = &args[..] else {
        return Err("usage: memo FOLDER 'COMMAND' [FILE]...".into());
    };
    let mut parts = vec![Part::new("command", command)];
    for file in files {
        let digest = blake3::hash(&fs::read(file)?);
        parts.push(Part::new(format!("file {file}"), digest.to_string()));
    }
    let records = Directory::open(Path::new(folder))?;
    let key = Key::of("memo/1", &parts);
    if let Some(hit) = records.get(&key)? {
        io::stdout().write_all(&hit.value)?;
        return Ok(());
    }
    let mut record = Record {
        parts,
        ..Record::default()
    };
    let last = Key::of("memo/1 last", &[Part::new("command", command)]);
    if let Some(before) = records.get(&last)?
        && let Some(difference) = explain(&before, &record)
    {
        writeln!(io::stderr(), "`{}` is not what it was", difference.name())?;
    }
    record.value = Command::new("sh").args(["-c", command]).output()?.stdout;
    io::stdout().write_all(&record.value)?;
    records.put(&key, &record)?;
    records.put(&last, &record)?;
    Ok(())
}
