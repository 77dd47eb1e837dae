//! Reads published ports as docker's `-p` does and shows what they mean: `ports 8000-8002:80-82 ...`.
#![allow(clippy::print_stdout)]

use std::error::Error;

use kiln_container::Publish;

fn main() -> Result<(), Box<dyn Error>> {
    for text in std::env::args().skip(1) {
        for port in Publish::parse(&text)? {
            println!("{text}: {port}");
        }
    }
    Ok(())
}
