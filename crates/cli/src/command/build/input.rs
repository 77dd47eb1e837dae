//! What is built: the context, from the last argument, and the Dockerfile, from `-f`. Refuses what is
//! neither, with what was probably meant.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::Build;
use crate::failure::Failure;

/// A Dockerfile: its name for messages, and its text.
pub(super) struct Dockerfile {
    pub(super) name: String,
    pub(super) path: Option<PathBuf>,
    pub(super) text: String,
}

impl Build {
    pub(super) fn folder(&self) -> Result<PathBuf, Failure> {
        let Some(context) = &self.context else {
            let file = self.file.as_ref().map(|f| format!(" -f {}", f.display()));
            let given = format!("kiln build{}", file.unwrap_or_default());
            let what = "\"kiln build\" requires exactly 1 argument: the folder that COPY and ADD \
                        take files from";
            return Err(Failure::new(what).hint(format!("did you mean `{given} .`?")));
        };
        if context == "-" {
            return Err(
                Failure::new("a context from standard input is not read yet")
                    .hint("unpack it to a folder, and name that"),
            );
        }
        if context.contains("://") || context.starts_with("git@") {
            return Err(
                Failure::new(format!("the remote context `{context}` is not fetched yet"))
                    .hint("fetch it to a folder, and name that"),
            );
        }
        let path = PathBuf::from(context);
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => Ok(path),
            Ok(_) => Err(
                Failure::new(format!("the build context `{context}` is a file"))
                    .hint(format!("did you mean `kiln build -f {context} .`?")),
            ),
            Err(e) => Err(Failure::new(format!("read the build context `{context}`")).because(&e)),
        }
    }

    pub(super) fn dockerfile(&self, folder: &Path) -> Result<Dockerfile, Failure> {
        if self.file.as_deref() == Some(Path::new("-")) {
            let mut bytes = Vec::new();
            std::io::stdin()
                .read_to_end(&mut bytes)
                .map_err(|e| Failure::new("read the Dockerfile from standard input").because(&e))?;
            return Ok(text("Dockerfile".to_owned(), None, bytes));
        }
        let path = match &self.file {
            Some(file) => file.clone(),
            None => {
                let usual = folder.join("Dockerfile");
                let lower = folder.join("dockerfile");
                if !usual.exists() && lower.exists() {
                    lower
                } else {
                    usual
                }
            }
        };
        let shown = path
            .strip_prefix(folder)
            .unwrap_or(&path)
            .display()
            .to_string();
        match fs::read(&path) {
            Ok(bytes) => Ok(text(shown, Some(path), bytes)),
            Err(e) => {
                let what = format!("failed to read dockerfile: open `{}`", path.display());
                let failure = Failure::new(what).because(&e);
                if path.is_dir() {
                    let inner = path.join("Dockerfile");
                    return Err(failure.hint(match inner.is_file() {
                        true => format!("did you mean `-f {}`?", inner.display()),
                        false => "-f takes a file; the folder comes last".to_owned(),
                    }));
                }
                Err(match others(folder) {
                    Some(name) => failure.hint(format!("there is `{name}`: name it with -f")),
                    None => failure.hint("name it with -f FILE"),
                })
            }
        }
    }
}

fn text(name: String, path: Option<PathBuf>, bytes: Vec<u8>) -> Dockerfile {
    // What is no UTF-8 becomes U+FFFD, as builders have it; the parser warns of it.
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
    };
    Dockerfile { name, path, text }
}

/// Another file that looks like a Dockerfile.
fn others(folder: &Path) -> Option<String> {
    let names = fs::read_dir(folder).ok()?;
    let mut found: Vec<String> = names
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            let lower = name.to_lowercase();
            let ignore = lower.ends_with(".dockerignore");
            !ignore && (lower.contains("dockerfile") || lower.contains("containerfile"))
        })
        .collect();
    found.sort();
    found.into_iter().next()
}
