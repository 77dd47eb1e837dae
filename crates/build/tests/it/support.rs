//! Second implementations of the seams: a context in memory, a worker that runs nothing.

use std::sync::{Arc, Mutex};

use kiln_build::{
    Builder, Built, Cancel, Context, Error, Event, How, Layer, Options, Request, Step, StepIo,
    Stream, Worker,
    layer::{Files, InMemory, Meta},
};

/// Files that were never on a disk.
pub(crate) struct Memory(pub(crate) Vec<(&'static str, &'static str)>);

impl Context for Memory {
    fn files(
        &self,
        _select: &kiln_build::Select,
        _look: &kiln_build::Look<'_>,
    ) -> Result<Arc<dyn Files>, Error> {
        let mut files = InMemory::new();
        for (path, text) in &self.0 {
            files.file(path.parse().unwrap(), Meta::with_mode(0o644), text);
        }
        Ok(Arc::new(files))
    }

    fn missing(&self, path: &str) -> Option<String> {
        Some(format!("`{path}` was never written"))
    }
}

/// Writes steps down, and runs nothing: no step changes a file.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) steps: Mutex<Vec<Step>>,
}

impl Worker for Recorder {
    fn run(&self, step: &Step, io: &StepIo<'_>) -> Result<Layer, Error> {
        (io.output)(
            Stream::Stdout,
            format!("{}\n", step.argv.join(" ")).as_bytes(),
        );
        self.steps.lock().unwrap().push(step.clone());
        Ok(Layer {
            diff_id: None,
            repeated: None,
        })
    }
}

/// A store of its own, in a folder that goes with it.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn builder(&self) -> Builder {
        Builder::open(Options::usual(self.folder.path().join("store")).unwrap()).unwrap()
    }
}

/// Builds, and gives what each step came to.
pub(crate) fn build(builder: &Builder, request: &Request) -> (Result<Built, Error>, Vec<How>) {
    let how = Mutex::new(Vec::new());
    let built = builder.build(request, &Cancel::new(), &|event| {
        if let Event::Finished { how: done, .. } = event {
            how.lock().unwrap().push(done);
        }
    });
    (built, how.into_inner().unwrap())
}
