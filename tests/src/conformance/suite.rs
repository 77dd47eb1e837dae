//! Cases given to a builder, few at a time, each in a folder of its own.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    Builder, Case, Result, check, folder,
    image::Image,
    material::{self, Item, Items},
    served,
};
use crate::base::BUSYBOX;

/// Cases, the builder, and a base image that it has taken in.
pub struct Suite<'a> {
    builder: &'a dyn Builder,
    scratch: PathBuf,
    base: Image,
}

/// What came out: the differences by case, none where there are none.
#[derive(Debug, Default)]
pub struct Report(pub BTreeMap<String, Vec<String>>);

impl<'a> Suite<'a> {
    /// Makes the base image and gives it to the builder.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn new(builder: &'a dyn Builder, scratch: &Path) -> Result<Self> {
        let scratch = scratch.join("cases");
        fs::create_dir_all(&scratch)?;
        let image = base(&scratch)?;
        builder.load(&scratch, "base.tar")?;
        Ok(Self {
            builder,
            base: Image::read(&image, None)?,
            scratch,
        })
    }

    /// Runs these cases.
    pub fn run(&self, cases: &[Case]) -> Report {
        let (next, report) = (AtomicUsize::new(0), Mutex::new(Report::default()));
        thread::scope(|scope| {
            for _ in 0..self.builder.at_once() {
                scope.spawn(|| {
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let found = self.case(case).unwrap_or_else(|e| vec![e.to_string()]);
                        let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                        report.0.insert(case.name.clone(), found);
                    }
                });
            }
        });
        report.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn case(&self, case: &Case) -> Result<Vec<String>> {
        let at = self.scratch.join(case.tag());
        let owner = self.builder.owner();
        let (case, _web) = served::serve(case, &at)?;
        let mut context = case.context.clone();
        if let Some(text) = &case.dockerfile {
            context.insert("Dockerfile".to_owned(), Item::Text(text.clone()));
        }
        material::place(&case.beside, &at, owner)?;
        material::place(&context, &at.join("context"), owner)?;
        for (name, text) in &case.images {
            let parent = at.join(format!("image-{name}"));
            let file = Item::Text(text.clone());
            let items = Items::from([("context/Dockerfile".to_owned(), file)]);
            material::place(&items, &parent, owner)?;
            let said = self
                .builder
                .build(&parent, &["-t".into(), name.clone()], None)?;
            if said.code != 0 {
                return Err(format!("the image `{name}` cannot be built: {}", said.err).into());
            }
        }
        let found = self.built(&case, &at);
        for tag in case.images.keys().chain([&case.tag()]) {
            self.builder.forget(&at, tag);
        }
        fs::remove_dir_all(&at)?;
        found
    }

    fn built(&self, case: &Case, at: &Path) -> Result<Vec<String>> {
        let (tag, wanted) = (case.tag(), &case.wanted);
        let mut args = vec!["-t".to_owned(), tag.clone()];
        args.extend(case.args.iter().cloned());
        let said = self.builder.build(at, &args, case.stdin.as_deref())?;
        let ours = self.builder.speaks_as_we_do();
        let mut found = match ours {
            true => check::words(wanted, &said),
            false => Vec::new(),
        };
        if said.err.contains("panicked") {
            found.push(said.err.clone());
        }
        found.extend(check::written(wanted, at)?);
        if said.code != 0 {
            found.extend(check::failure(wanted, &said, ours));
            return Ok(found);
        }
        if let Some(error) = &wanted.error {
            found.push(format!("was built, and should not: `{error}`"));
        }
        if !wanted.an_image() {
            return Ok(found);
        }
        self.builder.save(at, &tag)?;
        let image = Image::read(&at.join("image.tar"), Some(&self.base))?;
        found.extend(check::image(wanted, &image));
        Ok(found)
    }
}

/// Writes `base.tar`: an image of busybox and of what `base.toml` names, as `docker save` has it.
fn base(scratch: &Path) -> Result<PathBuf> {
    let text = fs::read_to_string(folder().join("base.toml"))?;
    let mut items: Items = toml::from_str(&text)?;
    let list = Command::new(BUSYBOX).arg("--list").output()?.stdout;
    for name in String::from_utf8_lossy(&list)
        .lines()
        .filter(|n| *n != "busybox")
    {
        items.insert(format!("bin/{name}"), Item::Text("-> busybox".to_owned()));
    }
    let mut layer = tar::Builder::new(Vec::new());
    material::archive(&items, &mut layer)?;
    layer.append_path_with_name(BUSYBOX, "bin/busybox")?;
    let layer = layer.into_inner()?;
    let digest = kiln_image::Digest::sha256(&layer).to_string();
    let config = serde_json::json!({
        "architecture": architecture(), "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [digest] },
        "history": [{ "created": "2001-09-09T01:46:40Z", "created_by": "base" }],
    });
    let manifest = serde_json::json!([{
        "Config": "config.json", "RepoTags": ["base:latest"], "Layers": ["layer.tar"],
    }]);
    let mut image = tar::Builder::new(Vec::new());
    let files = [
        ("config.json", config.to_string().into_bytes()),
        ("layer.tar", layer),
        ("manifest.json", manifest.to_string().into_bytes()),
    ];
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        image.append_data(&mut header, name, bytes.as_slice())?;
    }
    let path = scratch.join("base.tar");
    fs::write(&path, image.into_inner()?)?;
    Ok(path)
}

/// This machine's, by the name that images have for it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
