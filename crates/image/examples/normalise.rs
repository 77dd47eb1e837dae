//! Prints image names, one from each line of standard input, in their whole form, or says what is
//! wrong with them: a filter for scripts that compare names.

#![allow(
    clippy::disallowed_methods,
    reason = "a filter reads and writes its standard streams"
)]

use std::io::{BufRead, Write};

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        match line?.parse::<kiln_image::Reference>() {
            Ok(name) => writeln!(out, "{name}")?,
            Err(e) => writeln!(out, "error: {e}")?,
        }
    }
    Ok(())
}
