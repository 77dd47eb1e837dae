//! One value of `--output`: a path, `-`, or `type=…` and its options, in the form that buildx has them
//! (fields of CSV). Refuses what has no such option, and what kiln has nothing for.

mod form;

use std::{
    fs,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use kiln_build::{
    ArchiveExport, Compression, Destination, Export, FilesExport, FilesTo, ImageExport, ImageForm,
    PushTo, WithDigest, image::Reference,
};

use super::{
    super::csv::fields,
    annotated,
    loading::{self, Stdout},
};
use crate::{args::switches::boolean, failure::Failure};

/// An output, and what it says of the layers themselves.
pub(super) struct Output {
    pub(super) export: Export,
    /// `rewrite-timestamp`, where it is said.
    pub(super) rewrite: Option<bool>,
    /// The folder of which everything else is removed.
    pub(super) deletes: Option<PathBuf>,
}

impl Output {
    fn plain(export: Export) -> Self {
        Self {
            export,
            rewrite: None,
            deletes: None,
        }
    }
}

/// An image in the store, without options.
pub(super) fn image() -> ImageExport {
    ImageExport {
        names: Vec::new(),
        with_digest: WithDigest::default(),
        store: true,
        unpack: false,
        push: None,
        form: ImageForm::default(),
    }
}

/// Reads one value of the flag.
pub(super) fn read(text: &str) -> Result<Output, Failure> {
    let wrong = |why: String| Failure::new(format!("--output `{text}`: {why}")).code(125);
    if text.is_empty() {
        let hint = "a folder, `-` for a tar on standard output, or `type=…`";
        return Err(wrong("it is empty".to_owned()).hint(hint));
    }
    let fields = fields(text).map_err(&wrong)?;
    if let [only] = &fields[..]
        && !only.contains('=')
    {
        return Ok(Output::plain(match only.as_str() {
            "-" => Export::Files(FilesExport {
                to: FilesTo::Tar(stdout()?),
                split: None,
            }),
            path => Options::default().folder(path).map_err(&wrong)?.export,
        }));
    }
    let mut options = Options::default();
    for field in fields {
        let Some((key, value)) = field.split_once('=') else {
            return Err(wrong(format!("`{field}` is not KEY=VALUE")));
        };
        let key = key.trim().to_lowercase();
        match key.as_str() {
            "type" => options.kind = value.to_owned(),
            _ => options.given.push((key, value.to_owned())),
        }
    }
    options.output(&wrong)
}

/// Whether a value asks for standard output.
pub(super) fn is_stdout(text: &str) -> bool {
    let fields = fields(text).unwrap_or_default();
    let value = |key: &str| {
        let of = |f: &String| f.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
        fields.iter().find_map(of)
    };
    match (value("type").as_deref(), value("dest").as_deref()) {
        (None, None) => text == "-",
        (Some("tar" | "oci"), None) => true,
        (_, dest) => dest == Some("-"),
    }
}

/// What stands in one value; options are taken away as they are read.
#[derive(Default)]
struct Options {
    kind: String,
    given: Vec<(String, String)>,
}

type Wrong<'a> = &'a dyn Fn(String) -> Failure;

impl Options {
    fn output(mut self, wrong: Wrong<'_>) -> Result<Output, Failure> {
        let kind = std::mem::take(&mut self.kind);
        let mut output = match kind.as_str() {
            "local" => {
                let Some(dest) = self.take("dest") else {
                    return Err(wrong("dest is required for a local output".to_owned()));
                };
                self.folder(&dest).map_err(wrong)?
            }
            "tar" => {
                let split = self.flag("platform-split").map_err(wrong)?;
                let to = self.destination(wrong)?;
                Output::plain(Export::Files(FilesExport {
                    to: FilesTo::Tar(to),
                    split,
                }))
            }
            "oci" | "docker" => self.archive(&kind, wrong)?,
            "image" | "registry" => self.image(&kind, wrong)?,
            "cacheonly" => Output::plain(Export::Nothing),
            "" => return Err(wrong("type is required".to_owned())),
            other => {
                let what = format!("there is no output of the type `{other}`");
                let types = "there are: local, tar, oci, docker, image, registry, cacheonly";
                return Err(wrong(what).hint(types));
            }
        };
        output.rewrite = self.flag("rewrite-timestamp").map_err(wrong)?;
        self.rest(&kind, wrong)?;
        Ok(output)
    }

    fn take(&mut self, key: &str) -> Option<String> {
        let at = self.given.iter().rposition(|(k, _)| k == key)?;
        let (_, value) = self.given.remove(at);
        self.given.retain(|(k, _)| k != key);
        Some(value)
    }

    /// A value that is true or false, as Go reads these.
    fn flag(&mut self, key: &str) -> Result<Option<bool>, String> {
        let Some(text) = self.take(key) else {
            return Ok(None);
        };
        let value = boolean(&text).ok_or_else(|| format!("non-bool value for {key}: `{text}`"))?;
        Ok(Some(value))
    }

    fn folder(&mut self, dest: &str) -> Result<Output, String> {
        if dest == "-" {
            return Err("a folder cannot be standard output: `type=tar` can".to_owned());
        }
        let path = PathBuf::from(dest);
        if fs::metadata(&path).is_ok_and(|meta| !meta.is_dir()) {
            return Err(format!("destination directory `{dest}` is a file"));
        }
        let delete = match self.take("mode").as_deref() {
            None | Some("copy") => false,
            Some("delete") => true,
            Some(other) => return Err(format!("there is no mode `{other}`: copy, delete")),
        };
        Ok(Output {
            deletes: delete.then(|| path.clone()),
            export: Export::Files(FilesExport {
                to: FilesTo::Folder { path, delete },
                split: self.flag("platform-split")?,
            }),
            rewrite: None,
        })
    }

    /// `dest`, a file; standard output where there is none.
    fn destination(&mut self, wrong: Wrong<'_>) -> Result<Destination, Failure> {
        let Some(dest) = self.take("dest").filter(|dest| dest != "-") else {
            return stdout();
        };
        let path = PathBuf::from(&dest);
        if path.is_dir() {
            return Err(wrong(format!("destination file `{dest}` is a directory")));
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        match folder.is_none_or(Path::is_dir) {
            true => Ok(Destination::File(path)),
            false => Err(wrong(format!("the folder of `{dest}` is not there"))),
        }
    }

    fn archive(&mut self, kind: &str, wrong: Wrong<'_>) -> Result<Output, Failure> {
        let has = |me: &Self, wanted: &str| me.given.iter().any(|(key, _)| key == wanted);
        let context = has(self, "context");
        if kind == "docker" && !has(self, "dest") && !context {
            return self.load(wrong);
        }
        let as_tar = self.flag("tar").map_err(wrong)?.unwrap_or(true);
        let to = match as_tar {
            true if kind == "docker" && context => self.engine(wrong)?,
            true => self.destination(wrong)?,
            false if kind == "docker" => {
                return Err(wrong(
                    "a docker archive is a tar: `type=oci` can be a folder".into(),
                ));
            }
            false => match self.take("dest").filter(|dest| dest != "-") {
                Some(dest) if Path::new(&dest).is_file() => {
                    return Err(wrong(format!("destination directory `{dest}` is a file")));
                }
                Some(dest) => Destination::Layout(dest.into()),
                None => return Err(wrong("dest is required with tar=false".to_owned())),
            },
        };
        let names = self.names().map_err(wrong)?;
        let mut form = self.form().map_err(wrong)?;
        if kind == "docker" {
            // As `docker save` writes them.
            form.packed.compression.get_or_insert(Compression::None);
        }
        Ok(Output::plain(Export::Archive(ArchiveExport {
            to,
            names,
            form,
        })))
    }

    /// The docker that `context` leads to.
    fn engine(&mut self, wrong: Wrong<'_>) -> Result<Destination, Failure> {
        let context = self.take("context").unwrap_or_default();
        if self.take("dest").is_some() {
            return Err(wrong("`dest` and `context` are two places".to_owned()));
        }
        match context.is_empty() || context.starts_with('-') {
            true => Err(wrong(format!("`{context}` is no context of docker"))),
            false => Ok(loading::docker(context)),
        }
    }

    /// Into the store: what loading is here.
    fn load(&mut self, wrong: Wrong<'_>) -> Result<Output, Failure> {
        let names = self.names().map_err(wrong)?;
        self.in_store_only(wrong)?;
        let image = ImageExport { names, ..image() };
        Ok(Output::plain(Export::Image(image)))
    }

    fn image(&mut self, kind: &str, wrong: Wrong<'_>) -> Result<Output, Failure> {
        let bool = |me: &mut Self, key: &str| me.flag(key).map_err(wrong);
        let push = bool(self, "push")?.unwrap_or(kind == "registry");
        let by_digest = bool(self, "push-by-digest")?.unwrap_or(false);
        let insecure = bool(self, "registry.insecure")?.unwrap_or(false);
        if !push && (by_digest || insecure) {
            return Err(wrong(
                "`push-by-digest` and `registry.insecure` need `push=true`".into(),
            ));
        }
        let store = bool(self, "store")?.unwrap_or(!by_digest);
        let unpack = bool(self, "unpack")?.unwrap_or(false);
        if unpack && !store {
            return Err(wrong("`unpack=true` needs `store=true`".to_owned()));
        }
        let names = self.names().map_err(wrong)?;
        let with_digest = self.with_digest(store, wrong)?;
        if !push {
            self.in_store_only(wrong)?;
        }
        let form = self.form().map_err(wrong)?;
        Ok(Output::plain(Export::Image(ImageExport {
            names,
            with_digest,
            store,
            unpack,
            push: push.then_some(PushTo {
                by_digest,
                insecure,
            }),
            form,
        })))
    }

    /// In the store an image has no form: options for one would change nothing.
    fn in_store_only(&self, wrong: Wrong<'_>) -> Result<(), Failure> {
        let of_form = |key: &str| {
            let compression = ["compression", "compression-level", "force-compression"];
            let types = ["oci-mediatypes", "compatibility-version"];
            compression.contains(&key) || types.contains(&key) || key.starts_with("annotation")
        };
        match self.given.iter().find(|(key, _)| of_form(key)) {
            None => Ok(()),
            Some((key, _)) => Err(wrong(format!(
                "`{key}` is about an image that goes out, and this one stays in the store"
            ))
            .hint("add `push=true`, or say it to `kiln push`")),
        }
    }

    /// `name`, which has commas between names.
    fn names(&mut self) -> Result<Vec<Reference>, String> {
        let names = self.take("name").unwrap_or_default();
        let names = names.split(',').filter(|name| !name.is_empty());
        names
            .map(|name| {
                name.parse()
                    .map_err(|e: kiln_build::image::Error| e.to_string())
            })
            .collect()
    }

    /// What is left is not known, or known and not done.
    fn rest(&mut self, kind: &str, wrong: Wrong<'_>) -> Result<(), Failure> {
        match self.given.first() {
            None => Ok(()),
            // What is the case anyway may be said.
            Some((key, value)) if value == "false" && key == "oci-artifact" => {
                self.take("oci-artifact");
                self.rest(kind, wrong)
            }
            Some((key, _)) if ["oci-artifact", "attestation-prefix"].contains(&key.as_str()) => {
                let what = format!("`{key}` is about attestations, and kiln makes none");
                Err(wrong(what).hint("leave it out"))
            }
            Some((key, _)) => Err(wrong(format!("there is no option `{key}` of type={kind}"))),
        }
    }
}

/// Standard output, but never somebody's terminal.
fn stdout() -> Result<Destination, Failure> {
    match std::io::stdout().is_terminal() {
        false => Ok(Destination::Stream(Arc::new(Stdout))),
        true => Err(
            Failure::new("cowardly refusing to write an archive to a terminal")
                .hint("add `dest=FILE`, or redirect standard output")
                .code(125),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_value_is_told_of() {
        for (text, why) in [
            ("type=zip,dest=x", "no output of the type `zip`"),
            ("dest=x", "type is required"),
            ("type=local", "dest is required"),
            ("type=local,dest=Cargo.toml", "is a file"),
            ("type=local,dest=x,mode=none", "no mode `none`"),
            ("type=tar,dest=/", "is a directory"),
            ("type=tar,dest=/nowhere/at/all", "the folder of"),
            (
                "type=tar,dest=x,foo=1",
                "there is no option `foo` of type=tar",
            ),
            ("x,y", "`x` is not KEY=VALUE"),
            ("type=image,compression=xz", "stays in the store"),
            ("type=registry,compression=xz", "no compression `xz`"),
            ("type=registry,compression-level=hard", "is no number"),
            ("type=image,push=perhaps", "non-bool value for push"),
            ("type=image,push-by-digest=true", "need `push=true`"),
            ("type=image,name=Foo", "lower"),
            ("type=registry,oci-artifact=true", "kiln makes none"),
            ("type=image,name-canonical=x", "non-bool value"),
            (
                "type=registry,store=false,name-canonical=1",
                "need `store=true`",
            ),
            (
                "type=image,dangling-name-prefix=A",
                "dangling-name-prefix: ",
            ),
            (
                "type=oci,dest=x,compatibility-version=7",
                "there are: 10, 20, 30",
            ),
            ("type=oci,tar=false", "dest is required"),
            ("type=docker,tar=false,dest=x", "is a tar"),
            ("type=docker,context=-x", "is no context"),
            ("type=docker,context=x,dest=y", "two places"),
            (
                "type=oci,dest=x,annotation-other.a=b",
                "unknown annotation type",
            ),
        ] {
            let failure = read(text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(failure.text().contains(why), "{text}: {}", failure.text());
        }
    }

    #[test]
    fn images_and_what_is_said_of_them() {
        let text = "type=image,\"name=a,b/c:1\",push=true,compression=zstd,compression-level=9,\
                    force-compression=true,oci-mediatypes=false,annotation.a=1,\
                    annotation-index.b=2,annotation-manifest-descriptor[linux/arm64].c=3";
        let Export::Image(image) = read(text).ok().unwrap().export else {
            panic!("an image");
        };
        let names: Vec<String> = image.names.iter().map(Reference::familiar).collect();
        assert_eq!(names, ["a:latest", "b/c:1"]);
        assert_eq!(image.push, Some(PushTo::default()));
        assert_eq!(image.form.packed.compression, Some(Compression::Zstd));
        assert_eq!(image.form.packed.level, Some(9));
        assert!(image.form.packed.force && image.form.docker_types && image.store);
        let notes = &image.form.annotations;
        assert_eq!(notes.len(), 3);
        assert_eq!(
            notes[2].platform.as_ref().unwrap().to_string(),
            "linux/arm64"
        );
    }

    #[test]
    fn media_types_are_those_of_the_version_unless_they_are_said() {
        for (text, docker) in [
            ("", false),
            (",compatibility-version=10", true),
            (",compatibility-version=20", true),
            (",compatibility-version=30", false),
            (",compatibility-version=20,oci-mediatypes=true", false),
            (",oci-mediatypes=false,compatibility-version=30", true),
        ] {
            let Export::Image(image) = read(&format!("type=registry{text}")).ok().unwrap().export
            else {
                panic!("an image");
            };
            assert_eq!(image.form.docker_types, docker, "{text}");
        }
    }

    #[test]
    fn which_of_them_takes_standard_output() {
        for (text, stdout) in [
            ("-", true),
            ("out", false),
            ("type=tar", true),
            ("type=oci,dest=-", true),
            ("type=oci,dest=x", false),
            ("type=docker", false),
            ("type=docker,dest=-", true),
            ("type=image", false),
        ] {
            assert_eq!(is_stdout(text), stdout, "{text}");
        }
    }
}
