//! Lists the tags of a repository and what each of them stands for:
//! `cargo run --example tags -- localhost:5000/app`.
#![allow(clippy::print_stdout)] // A program, not a library.

use std::{env, error::Error};

use kiln_image::{Reference, Source};
use kiln_registry::{Client, Options};

fn main() -> Result<(), Box<dyn Error>> {
    let name = env::args().nth(1).ok_or("which repository?")?;
    let name: Reference = name.parse()?;
    let client = Client::new(Options::usual(&|variable| env::var_os(variable)));
    let repository = client.repository(&name);
    for tag in repository.tags()? {
        let found = repository.resolve(&name.with_tag(&tag)?)?;
        println!("{tag}\t{}\t{}", found.digest, found.media_type);
    }
    Ok(())
}
