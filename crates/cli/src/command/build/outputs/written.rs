//! What came of a build, for programs: the files of `--iidfile` and `--metadata-file`, with docker's
//! names for things. Refuses to say what is not so.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use kiln_build::{
    Built,
    durable::NewFile,
    image::{Reference, media},
};
use serde_json::{Map, Value, json};

use super::Outputs;
use crate::failure::Failure;

impl Outputs {
    /// Looks whether the files can be written, and takes those of an earlier build away: after one that
    /// fails they would tell of another.
    pub(in super::super) fn make_way(&self) -> Result<(), Failure> {
        let files = [
            ("--iidfile", &self.iidfile),
            ("--metadata-file", &self.metadata_file),
        ];
        for (flag, path) in files {
            let Some(path) = path else { continue };
            if path.is_dir() {
                let what = format!("{flag}: `{}` is a folder", path.display());
                return Err(Failure::new(what).code(125));
            }
            if !folder(path).is_dir() {
                let what = format!("{flag}: the folder of `{}` is not there", path.display());
                return Err(Failure::new(what).code(125));
            }
            if path.is_file() {
                fs::remove_file(path).map_err(|e| failed(path).because(&e))?;
            }
        }
        Ok(())
    }

    /// Writes what came of the build.
    pub(in super::super) fn write(&self, built: &Built) -> Result<(), Failure> {
        if let Some(path) = &self.iidfile {
            write(path, built.id.to_string().as_bytes())?;
        }
        if let Some(path) = &self.metadata_file {
            let mut text = serde_json::to_vec_pretty(&metadata(built)).unwrap_or_default();
            text.push(b'\n');
            write(path, &text)?;
        }
        Ok(())
    }
}

/// As docker tells of a build. Where no manifest went out, the image is known by its id alone.
fn metadata(built: &Built) -> Value {
    let mut all = Map::new();
    let manifest = built.manifest.as_ref();
    // An index has no config, and files are no image.
    if built.is_image && !manifest.is_some_and(|m| media::is_index(&m.media_type)) {
        all.insert("containerimage.config.digest".to_owned(), json!(built.id));
    }
    match &built.manifest {
        Some(manifest) => {
            all.insert("containerimage.descriptor".to_owned(), json!(manifest));
            all.insert("containerimage.digest".to_owned(), json!(manifest.digest));
        }
        None if built.is_image => {
            all.insert("containerimage.digest".to_owned(), json!(built.id));
        }
        None => {}
    }
    let mut names: Vec<String> = built.names.iter().map(Reference::to_string).collect();
    let pushed = built.pushed.iter().map(Reference::to_string);
    names.extend(pushed.filter(|name| !built.names.iter().any(|n| n.to_string() == *name)));
    if !names.is_empty() {
        all.insert("image.name".to_owned(), json!(names.join(",")));
    }
    Value::Object(all)
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if path.exists() && !path.is_file() {
        // A pipe or a device is written to: nothing can be put in its place.
        return fs::write(path, bytes).map_err(|e| failed(path).because(&e));
    }
    let mut file = NewFile::unseen_in(&folder(path)).map_err(|e| failed(path).because(&e))?;
    file.write_all(bytes)
        .map_err(|e| failed(path).because(&e))?;
    file.keep(path).map_err(|e| failed(path).because(&e))?;
    Ok(())
}

fn failed(path: &Path) -> Failure {
    Failure::new(format!("write `{}`", path.display()))
}
