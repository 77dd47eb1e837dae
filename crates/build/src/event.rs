//! What a build tells on the way. Nothing here decides how it looks.

use kiln_image::{Descriptor, Digest, Reference, Taken};
use kiln_rootfs::Repeated;

use crate::{Place, Report};

/// One instruction of the stages that are needed, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepInfo {
    /// Counted from 1 over all needed stages.
    pub number: usize,
    /// How many there are.
    pub total: usize,
    /// The instruction as docker shows it: keyword upper case, continuations joined.
    pub text: String,
    /// The stage: its name, or its number.
    pub stage: String,
    /// Counted from 1 within its stage.
    pub in_stage: usize,
    /// How many instructions its stage has.
    pub of_stage: usize,
    /// The line in the Dockerfile, counted from 1.
    pub line: u32,
    /// Whether it is an ONBUILD trigger of the base; its number is that of its FROM.
    pub trigger: bool,
}

/// How a step came to its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// A record of an earlier build says what it gives: found before anything ran.
    Cached,
    /// What it depends on was made anew, and turned out to be the same as in an earlier build.
    Verified,
    /// It was carried out.
    Ran,
    /// It changes the config only.
    Config,
}

/// Which stream of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How far a fetch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetching {
    /// It begins.
    Started,
    /// Something has come.
    Bytes {
        /// Bytes that are here.
        done: u64,
        /// Bytes that there will be, where that is known.
        total: Option<u64>,
    },
    /// It is here, or what was kept is still what is there.
    Done,
    /// It is not to be had.
    Failed,
    /// It was stopped, because the build was canceled.
    Canceled,
}

/// How far a layer is on its way to a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Bytes so far.
    Bytes(u64),
    /// It is there, and was before or came so.
    Done(Taken),
}

/// Something that happened. Steps are named by their place in the list of [`Event::Steps`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The Dockerfile was understood.
    Steps {
        /// The ARGs before the first FROM: the first numbers are theirs.
        preamble: &'a [String],
        /// The steps.
        steps: &'a [StepInfo],
    },
    /// Something in the Dockerfile or the flags that does not stop the build.
    Warning(&'a Report),
    /// Something is fetched before there are steps: a context, a Dockerfile, what an ADD names.
    Fetching {
        /// What people are shown for it: `[internal] load remote build context`. Without passwords, and
        /// the same for all events of one fetch.
        what: &'a str,
        /// How far it is.
        state: Fetching,
    },
    /// A registry is asked for a base image.
    Resolving(&'a Reference),
    /// A base image was found, under this digest.
    Resolved(&'a Reference, Digest),
    /// A step is carried out from now on. `id` is the id of the container it works in.
    Started {
        /// The step.
        step: usize,
        /// 64 hexadecimal digits.
        id: &'a str,
    },
    /// A base image is being pulled for a step: bytes of one of its blobs so far.
    Pulling {
        /// The step.
        step: usize,
        /// The blob.
        blob: &'a Descriptor,
        /// Bytes so far; `None` when the blob is here.
        bytes: Option<u64>,
    },
    /// A layer is brought to a registry, while steps are carried out or after them.
    Pushing {
        /// A name in its repository.
        to: &'a Reference,
        /// The layer as it is there.
        blob: &'a Descriptor,
        /// How far.
        how: Sent,
    },
    /// A process of a step wrote something.
    Output {
        /// The step.
        step: usize,
        /// Where it wrote.
        stream: Stream,
        /// What it wrote.
        bytes: &'a [u8],
    },
    /// A step only changed what is known about files, not their content, and so has all of that
    /// content in its layer once more.
    Repeated {
        /// The step.
        step: usize,
        /// Where it stands in the Dockerfile.
        place: Option<Place>,
        /// How much, and what was changed.
        what: &'a Repeated,
    },
    /// A step has its result.
    Finished {
        /// The step.
        step: usize,
        /// How.
        how: How,
        /// The image so far, where images of steps are kept.
        image: Option<Digest>,
        /// The layer it made and the size of the files in it, in bytes.
        layer: Option<(Digest, u64)>,
    },
    /// A step failed.
    Failed {
        /// The step.
        step: usize,
    },
    /// A step was stopped because another one failed or the build was canceled.
    Canceled {
        /// The step.
        step: usize,
    },
}

/// What a transfer tells on the way.
#[derive(Debug)]
#[non_exhaustive]
pub enum Transfer<'a> {
    /// The layers of the image, bottom first, as they are at the other side.
    Layers(&'a [Descriptor]),
    /// Bytes of a layer so far.
    Bytes(&'a Descriptor, u64),
    /// A layer has arrived.
    Taken(&'a Descriptor, Taken),
}
