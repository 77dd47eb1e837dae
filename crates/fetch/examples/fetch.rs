//! Fetches what it is given, and says what it is: `fetch https://host/file [sha256:…]`, or
//! `fetch https://host/repository.git [branch, tag or commit]`.
#![allow(clippy::print_stdout)]

use kiln_fetch::{Fetcher, GitRequest, HttpRequest, Watch};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let address = args.next().ok_or("which address?")?;
    let fetcher = Fetcher::open(&std::env::temp_dir().join("kiln-fetch-example"))?;
    if address.ends_with(".git") {
        let mut request = GitRequest::new(address);
        request.reference = args.next().unwrap_or_default();
        let found = fetcher.git(&request, &Watch::NOBODY)?;
        println!("commit {} of {}", found.commit(), found.time());
        for entry in found.files().tree().iter() {
            println!("{:04o} {}", entry.meta.mode, entry.path);
        }
        return Ok(());
    }
    let mut request = HttpRequest::new(address);
    request.checksum = args.next().map(|sum| sum.parse()).transpose()?;
    let found = fetcher.http(&request, &Watch::NOBODY)?;
    println!("{} {} bytes", found.digest(), found.size());
    for kept in fetcher.kept()? {
        println!("kept: {} ({} bytes)", kept.from, kept.size);
    }
    Ok(())
}
