//! Lists the images in a store with their sizes, as CSV, and fails when the store is not whole:
//! `inventory FOLDER`. For a report or a cron job that has nothing else to do with kiln.

use std::{
    error::Error,
    io::{self, Write},
    path::Path,
};

use kiln_store::Store;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: inventory FOLDER")?;
    let store = Store::open(Path::new(&folder))?;
    let mut out = io::stdout().lock();
    writeln!(out, "name,id,bytes,created")?;
    for listed in store.images().list()? {
        let image = &listed.image;
        let created = image.created.as_deref().unwrap_or_default();
        for named in &listed.names {
            let (name, id) = (&named.name, image.id);
            writeln!(out, "{name},{id},{},{created}", image.size)?;
        }
    }
    let problems = store.check()?;
    for problem in &problems {
        writeln!(io::stderr(), "{}: {}", problem.what, problem.why)?;
    }
    match problems.len() {
        0 => Ok(()),
        n => Err(format!("{n} problems").into()),
    }
}
