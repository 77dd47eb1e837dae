//! The flags of `kiln run` and `kiln create`: what the image is asked for, and what takes the place
//! of what it says.

use std::path::PathBuf;

use clap::Args;
use kiln_container::{Base, Create, HostConfig, Publish, Stdin, extra_host, mounts::Wish};

use crate::{failure::Failure, pairs, terminal};

/// All flags that `run` and `create` share.
#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) identity: Identity,
    #[command(flatten)]
    pub(crate) process: Process,
    #[command(flatten)]
    pub(crate) streams: Streams,
    #[command(flatten)]
    pub(crate) life: Life,
    #[command(flatten)]
    pub(crate) network: Network,
    #[command(flatten)]
    pub(crate) storage: Storage,
    #[command(flatten)]
    pub(crate) source: Source,
    /// Print this help
    // `-h` is the host name, as with docker.
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// The image: its name or id; behind it the command, instead of the image's
    // One list of words: what stands behind the image is the command's, `--` and flags included.
    #[arg(value_name = "IMAGE", required = true, trailing_var_arg = true)]
    words: Vec<String>,
}

impl Options {
    /// The image's name or id.
    pub(crate) fn image(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The command that takes the place of the image's; empty where there is none.
    pub(crate) fn command(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    /// Everything that is wished for, but the image. Nothing but files of pairs is read.
    pub(crate) fn wishes(&self) -> Result<Wishes, Failure> {
        let host = self.host()?;
        if self.life.rm && host.restart != Default::default() {
            let what = "conflicting options: cannot specify both --restart and --rm";
            return Err(Failure::new(what));
        }
        Ok(Wishes {
            env: pairs::environment(&self.process.env_file, &self.process.env)?,
            labels: pairs::labels(&self.identity.label_file, &self.identity.label)?,
            host,
        })
    }

    fn host(&self) -> Result<HostConfig, Failure> {
        let mut ports = Vec::new();
        for text in &self.network.publish {
            ports.extend(Publish::parse(text)?);
        }
        let mut extra_hosts = Vec::new();
        for text in &self.network.add_host {
            extra_hosts.push(extra_host(text)?);
        }
        let network = self.network.network.as_deref().unwrap_or("default");
        Ok(HostConfig {
            ports,
            publish_all: self.network.publish_all,
            mounts: self.storage.mounts()?,
            read_only: self.storage.read_only,
            hostname: self.network.hostname.clone(),
            extra_hosts,
            network: network.parse()?,
            init: self.process.init,
            restart: self.life.restart.parse()?,
            stop_signal: self.life.stop_signal.clone(),
            stop_timeout: self.life.stop_timeout,
        })
    }

    /// Which streams a command in the foreground is attached to: those of `-a`, else all that are
    /// open.
    pub(crate) fn attached(&self) -> terminal::Streams {
        let streams = &self.streams;
        let has = |stream| match streams.attach.is_empty() {
            true => stream != Stream::Stdin || streams.interactive,
            false => streams.attach.contains(&stream),
        };
        terminal::Streams {
            stdin: has(Stream::Stdin) && streams.interactive,
            stdout: has(Stream::Stdout),
            stderr: has(Stream::Stderr),
        }
    }
}

/// What the flags say, read.
pub(crate) struct Wishes {
    env: Vec<pairs::Variable>,
    labels: Vec<(String, String)>,
    host: HostConfig,
}

impl Wishes {
    /// The same of an image. `attended`: whoever starts it is attached to its standard input.
    pub(crate) fn of(self, image: Base, options: &Options, attended: bool) -> Create {
        let process = &options.process;
        let mut create = Create::new(image);
        create.name.clone_from(&options.identity.name);
        create.command = options.command().to_vec();
        create.entrypoint = process
            .entrypoint
            .as_ref()
            .map(|program| match program.as_str() {
                "" => Vec::new(),
                program => vec![program.to_owned()],
            });
        create.env = self.env;
        create.workdir.clone_from(&process.workdir);
        create.user.clone_from(&process.user);
        create.labels = self.labels.into_iter().collect();
        create.remove = options.life.rm;
        create.terminal = options.streams.tty;
        create.stdin = match (options.streams.interactive, attended) {
            (false, _) => Stdin::Closed,
            (true, false) => Stdin::Open,
            (true, true) => Stdin::Once,
        };
        create.host = self.host;
        create
    }
}

/// How it is called.
#[derive(Args)]
pub(crate) struct Identity {
    /// Name of the container
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Set a label
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    label: Vec<String>,
    /// Read labels from a file, one a line
    #[arg(long, value_name = "FILE")]
    label_file: Vec<PathBuf>,
    /// Write the container's id to this file, which must not be there
    #[arg(long, value_name = "FILE")]
    pub(crate) cidfile: Option<PathBuf>,
}

/// What takes the place of what the image says.
#[derive(Args)]
pub(crate) struct Process {
    /// Set an environment variable; without `=VALUE`, to what it is here
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    env: Vec<String>,
    /// Read environment variables from a file, one a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Where the command starts
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// As whom the command runs: `USER[:GROUP]`, by name or number
    #[arg(short, long)]
    user: Option<String>,
    /// What runs, instead of the image's entrypoint
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// Run an init as the first process: it forwards signals and reaps what others left
    #[arg(long)]
    init: bool,
}

/// What its streams are.
#[derive(Args)]
pub(crate) struct Streams {
    /// Keep standard input open
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Attach to these of STDIN, STDOUT and STDERR only
    #[arg(short, long, value_name = "STREAM", value_parser = stream)]
    pub(crate) attach: Vec<Stream>,
}

/// How it ends.
#[derive(Args)]
pub(crate) struct Life {
    /// Remove the container, with its anonymous volumes, when it has ended
    #[arg(long)]
    pub(crate) rm: bool,
    /// Start it again when it ends: `no`, or `on-failure[:TIMES]`
    #[arg(long, value_name = "POLICY", default_value = "no")]
    pub(crate) restart: String,
    /// Signal that asks it to end
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// Seconds that it may take to end before it is killed
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    stop_timeout: Option<i64>,
}

/// What it sees of the network, and the network of it.
#[derive(Args)]
pub(crate) struct Network {
    /// Publish a port of the container, `[IP:][HOST:]CONTAINER`
    #[arg(short, long, value_name = "PORT")]
    publish: Vec<String>,
    /// Publish all ports that the image exposes on free ports of this machine
    #[arg(short = 'P', long)]
    publish_all: bool,
    /// `none`, `host` or `bridge`
    #[arg(long, visible_alias = "net", value_name = "NETWORK")]
    network: Option<String>,
    /// Add a line to its hosts file
    #[arg(long, value_name = "NAME:IP")]
    add_host: Vec<String>,
    /// Host name of the container
    #[arg(short = 'h', long, value_name = "NAME")]
    hostname: Option<String>,
}

/// What it sees of the disk.
#[derive(Args)]
pub(crate) struct Storage {
    /// Mount a folder of this machine or a volume, `[SOURCE:]TARGET[:ro]`
    #[arg(short, long, value_name = "VOLUME")]
    volume: Vec<String>,
    /// The same as `type=bind|volume|tmpfs,source=..,target=..`
    #[arg(long, value_name = "MOUNT")]
    mount: Vec<String>,
    /// Mount an empty folder that is in memory, `TARGET[:size=64m,mode=1777]`
    #[arg(long, value_name = "TARGET")]
    tmpfs: Vec<String>,
    /// Let it change nothing but what is mounted
    #[arg(long)]
    read_only: bool,
}

impl Storage {
    fn mounts(&self) -> Result<Vec<Wish>, Failure> {
        let volumes = self.volume.iter().map(|text| Wish::parse_volume(text));
        let mounts = self.mount.iter().map(|text| Wish::parse_mount(text));
        let tmpfs = self.tmpfs.iter().map(|text| Wish::parse_tmpfs(text));
        let all = volumes.chain(mounts).chain(tmpfs);
        Ok(all.collect::<Result<_, _>>()?)
    }
}

/// Where the image comes from.
#[derive(Args)]
pub(crate) struct Source {
    /// Pull the image: `always`, `missing` or `never`
    #[arg(long, value_name = "WHEN", default_value = "missing", value_parser = ["always", "missing", "never"])]
    pub(crate) pull: String,
    /// The platform of the image
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<String>,
    /// Do not tell of a pull
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// One of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdin,
    Stdout,
    Stderr,
}

fn stream(text: &str) -> Result<Stream, String> {
    match text.to_ascii_lowercase().as_str() {
        "stdin" => Ok(Stream::Stdin),
        "stdout" => Ok(Stream::Stdout),
        "stderr" => Ok(Stream::Stderr),
        _ => Err("valid streams are STDIN, STDOUT and STDERR".to_owned()),
    }
}
