//! Prints what a build of the folder given as the first argument would do, and does none of it.

#![allow(clippy::print_stdout)]

use std::{env, error::Error, fs, path::PathBuf, sync::Arc};

use kiln_build::{Builder, DOORS, LocalContext, Options, Request, sandbox};

fn main() -> Result<(), Box<dyn Error>> {
    sandbox::entry(DOORS);
    let folder = PathBuf::from(env::args_os().nth(1).ok_or("usage: plan FOLDER")?);
    let text = fs::read_to_string(folder.join("Dockerfile"))?;
    let context = LocalContext::open(&folder, None)?;
    let builder = Builder::open(Options::usual(env::temp_dir().join("kiln-plan"))?)?;
    let request = Request::new(text, Arc::new(context));
    println!("{}", builder.plan(&request, &|_| {})?);
    Ok(())
}
