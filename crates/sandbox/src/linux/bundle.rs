//! A [`Spec`](crate::Spec) as the `config.json` of an OCI bundle.
//!
//! Only what the runtime has to do stands in it: the root comes mounted, with the caller's mounts in
//! it but for those that the runtime's own would hide.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Capability as Named, LinuxBuilder, LinuxCapabilitiesBuilder, LinuxDeviceCgroupBuilder,
    LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType, LinuxResourcesBuilder,
    Mount as Entry, MountBuilder, Process as Program, ProcessBuilder, RootBuilder, Spec as Config,
    SpecBuilder, UserBuilder,
};

use super::mounts::{MASKED, MASKED_SYS, READ_ONLY};
use super::seccomp;
use crate::{Error, ErrorKind, Mount, Process, Spec};

type Built<T> = Result<T, OciSpecError>;

/// The configuration of a bundle whose root is `rootfs`; `network` is the path of a namespace.
pub(crate) fn config(spec: &Spec, network: Option<PathBuf>) -> Result<Config, Error> {
    let program = program(&spec.process)?;
    let build = || {
        let mut config = SpecBuilder::default()
            .version("1.0.2")
            .root(
                RootBuilder::default()
                    .path("rootfs")
                    .readonly(spec.read_only)
                    .build()?,
            )
            .process(program)
            .mounts(mounts(spec)?)
            .linux(linux(spec, network)?)
            .build()?;
        config.set_hostname(spec.hostname.clone());
        Ok(config)
    };
    build().map_err(|error: OciSpecError| {
        Error::new(ErrorKind::Runtime, format!("write the bundle: {error}"))
    })
}

/// Whether the runtime has to make this mount, because it lies in what the runtime mounts itself.
pub(crate) fn is_the_runtimes(mount: &Mount) -> bool {
    let own = |point: &crate::MountPoint| mount.target().starts_with(point.path);
    crate::mount_points().iter().any(own)
}

fn program(process: &Process) -> Result<Program, Error> {
    let text = |text: &std::ffi::OsStr| {
        text.to_str().map(str::to_owned).ok_or_else(|| {
            let what = format!("an OCI runtime takes only Unicode, which {text:?} is not");
            Error::new(ErrorKind::Process, what)
        })
    };
    let argv: Result<Vec<_>, _> = process.argv.iter().map(|arg| text(arg)).collect();
    let variable = |(name, value): &(OsString, OsString)| {
        let (name, value) = (text(name)?, text(value)?);
        Ok::<_, Error>(format!("{name}={value}"))
    };
    let env: Result<Vec<_>, _> = process.env.iter().map(variable).collect();
    let named = |one: &crate::Capability| serde_json::from_value(one.name().into());
    let set: Result<HashSet<Named>, _> = process.capabilities.iter().map(named).collect();
    let set = set.map_err(|error| Error::new(ErrorKind::Process, error.to_string()))?;
    let (argv, env) = (argv?, env?);
    let build = || {
        let user = UserBuilder::default()
            .uid(process.user.uid)
            .gid(process.user.gid)
            .umask(0o022u32)
            .additional_gids(process.user.groups.clone())
            .build()?;
        let capabilities = LinuxCapabilitiesBuilder::default()
            .bounding(set.clone())
            .effective(set.clone())
            .permitted(set)
            .inheritable(HashSet::new())
            .ambient(HashSet::new())
            .build()?;
        ProcessBuilder::default()
            .terminal(false)
            .user(user)
            .args(argv)
            .env(env)
            .cwd(&process.cwd)
            .capabilities(capabilities)
            .no_new_privileges(process.no_new_privileges)
            .rlimits(Vec::new())
            .build()
    };
    build().map_err(|error: OciSpecError| {
        Error::new(ErrorKind::Process, format!("describe the process: {error}"))
    })
}

fn linux(spec: &Spec, network: Option<PathBuf>) -> Built<oci_spec::runtime::Linux> {
    let kinds = [
        LinuxNamespaceType::Pid,
        LinuxNamespaceType::Ipc,
        LinuxNamespaceType::Uts,
        LinuxNamespaceType::Mount,
        LinuxNamespaceType::Cgroup,
    ];
    let new = |kind| LinuxNamespaceBuilder::default().typ(kind).build();
    let mut namespaces: Vec<LinuxNamespace> =
        kinds.into_iter().map(new).collect::<Result<_, _>>()?;
    if let Some(path) = network {
        let network = LinuxNamespaceBuilder::default().typ(LinuxNamespaceType::Network);
        namespaces.push(network.path(path).build()?);
    }
    let devices = LinuxDeviceCgroupBuilder::default()
        .allow(spec.privileged)
        .access("rwm")
        .build()?;
    let linux = LinuxBuilder::default().namespaces(namespaces).resources(
        LinuxResourcesBuilder::default()
            .devices([devices])
            .build()?,
    );
    if spec.privileged {
        return linux.build();
    }
    let below = |top: &str, paths: &[&str]| -> Vec<String> {
        paths.iter().map(|path| format!("{top}/{path}")).collect()
    };
    let mut masked = below("/proc", MASKED);
    masked.extend(below("/sys", MASKED_SYS));
    linux
        .masked_paths(masked)
        .readonly_paths(below("/proc", READ_ONLY))
        .seccomp(seccomp::described(&spec.process.capabilities)?)
        .build()
}

fn mounts(spec: &Spec) -> Built<Vec<Entry>> {
    let safe = ["nosuid", "noexec", "nodev"];
    let sys: &[&str] = if spec.privileged { &[] } else { &["ro"] };
    let sys: Vec<&str> = safe.iter().chain(sys).copied().collect();
    let terminals = [
        "nosuid",
        "noexec",
        "newinstance",
        "ptmxmode=0666",
        "mode=0620",
        "gid=5",
    ];
    let memory = ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"];
    let mut mounts = vec![
        mount("proc", "/proc", &safe)?,
        mount(
            "tmpfs",
            "/dev",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        )?,
        mount("devpts", "/dev/pts", &terminals)?,
        mount("tmpfs", "/dev/shm", &memory)?,
        mount("mqueue", "/dev/mqueue", &safe)?,
        mount("sysfs", "/sys", &sys)?,
    ];
    for mount in spec.mounts.iter().filter(|mount| is_the_runtimes(mount)) {
        mounts.extend(given(mount)?);
    }
    Ok(mounts)
}

/// A mount of the caller's, where a runtime has words for it.
fn given(given: &Mount) -> Built<Option<Entry>> {
    let (kind, source, target, options) = match given {
        Mount::Bind {
            source,
            target,
            read_only,
        } => {
            let access = if *read_only { "ro" } else { "rw" };
            let options = ["rbind", access].map(String::from).to_vec();
            ("bind", source.as_path(), target, options)
        }
        Mount::Tmpfs {
            target,
            size,
            mode,
            exec,
        } => {
            let mut options = vec!["nosuid".to_owned(), "nodev".to_owned()];
            options.extend((!exec).then(|| "noexec".to_owned()));
            options.push(format!("mode={mode:o}"));
            options.extend(size.map(|size| format!("size={size}")));
            ("tmpfs", Path::new("tmpfs"), target, options)
        }
        _ => return Ok(None),
    };
    MountBuilder::default()
        .typ(kind)
        .source(source)
        .destination(target)
        .options(options)
        .build()
        .map(Some)
}

/// One of the usual.
fn mount(kind: &str, target: impl AsRef<Path>, options: &[&str]) -> Built<Entry> {
    MountBuilder::default()
        .typ(kind)
        .source(kind)
        .destination(target.as_ref())
        .options(
            options
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>(),
        )
        .build()
}
