//! What this host offers: read from the kernel's own files, and tried in a child that goes the way
//! of a sandbox up to its root.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::XattrFlags;
use rustix::mount::{MountAttrFlags, UnmountFlags, unmount};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::geteuid;
use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};

use super::{distribution, mounts, root, sys, userns, watch};
use crate::error::Report;
use crate::host::{Finding, State};
use crate::id_map::{Granted, subordinate, user_name};
use crate::{Error, ErrorKind, IdMap, Incoming, RootSpec, UserNamespace, installed, open_in};

/// The name of the door of the child that tries.
pub(crate) const PROBE: &str = "sandbox-probe";

/// Every thing in its order.
pub(crate) fn probe(scratch: &Path, namespace: Option<&UserNamespace>) -> Vec<Finding> {
    let entered = namespace.map(|namespace| namespace.held(|_| ()));
    let mut findings = vec![
        kernel(),
        namespaces(namespace, &entered),
        ids(namespace, &entered),
    ];
    findings.extend(tried(scratch, namespace));
    findings.extend([cgroups(), seccomp(), pasta(), binfmt()]);
    findings
}

fn kernel() -> Finding {
    let found = rustix::system::uname();
    let release = found.release().to_string_lossy().into_owned();
    let text = format!("Linux {release} ({})", found.machine().to_string_lossy());
    let version = super::version(&release);
    if version >= (5, 12) {
        return Finding::new("kernel", State::Ok, text).needed();
    }
    let found = Finding::new("kernel", State::Lacking, format!("{text}, 5.12 is needed"));
    found.needed().remedy("a newer kernel")
}

/// What is said of a namespace that was made, or could not be.
type Entered = Option<Result<(), Error>>;

fn namespaces(namespace: Option<&UserNamespace>, entered: &Entered) -> Finding {
    let name = "user-namespaces";
    let failed = match (namespace, entered) {
        (None, _) | (_, None) => {
            let found = "not needed: this user is root";
            return Finding::new(name, State::Ok, found).needed();
        }
        (_, Some(Ok(()))) => return Finding::new(name, State::Ok, "allowed").needed(),
        // The ids may be what fails, which is a finding of its own.
        (Some(tried), Some(Err(error))) if tried.map().is_single() => first_line(error),
        _ => match UserNamespace::new(IdMap::single()).held(|_| ()) {
            Ok(()) => return Finding::new(name, State::Ok, "allowed").needed(),
            Err(error) => first_line(&error),
        },
    };
    let finding = Finding::new(name, State::Lacking, &failed).needed();
    match userns::knob() {
        Some(knob) => {
            let found = format!("{failed}: `{}` is {}", knob.name(), knob.value);
            let command = format!("sysctl -w {}", knob.mend);
            Finding { found, ..finding }.remedy(command)
        }
        None => finding.remedy(
            "allow them: in a container by its seccomp profile (`--security-opt \
             seccomp=unconfined`), in a chroot not at all",
        ),
    }
}

/// The two that write what a user may not.
const HELPERS: [&str; 2] = ["newuidmap", "newgidmap"];

fn ids(namespace: Option<&UserNamespace>, entered: &Entered) -> Finding {
    let name = "ids";
    let Some(namespace) = namespace else {
        return Finding::new(name, State::Ok, "not needed: this user is root");
    };
    let missing: Vec<&str> = HELPERS
        .into_iter()
        .filter(|helper| installed::program(helper).is_none())
        .collect();
    if !missing.is_empty() {
        let found = format!("`{}` not installed: one id only", missing.join("` and `"));
        let finding = Finding::new(name, State::Lacking, found);
        return finding.remedy(distribution::install("newuidmap"));
    }
    let weak: Vec<PathBuf> = HELPERS
        .into_iter()
        .filter_map(installed::program)
        .filter(|file| !mighty(file))
        .collect();
    if let [first, ..] = &weak[..] {
        let found = format!("`{}` has no rights to map ids", first.display());
        let list: Vec<String> = weak.iter().map(|file| file.display().to_string()).collect();
        let finding = Finding::new(name, State::Broken, found);
        return finding.remedy(format!("chmod u+s {}", list.join(" ")));
    }
    if namespace.map().is_single() {
        return no_ranges(name);
    }
    if let Some(Err(error)) = entered {
        let found = first_line(error);
        let remedy = if rustix::thread::no_new_privs().unwrap_or(false) {
            "start it without no_new_privs (`NoNewPrivileges=no` of a systemd unit)"
        } else {
            "look for ranges in /etc/subuid and /etc/subgid that overlap, or that lie beyond the \
             ids of this container (/proc/self/uid_map)"
        };
        return Finding::new(name, State::Broken, found).remedy(remedy);
    }
    let map = namespace.map();
    let (users, groups) = (map.last_uid(), map.last_gid());
    let found = format!("users 0 to {users}, groups 0 to {groups}");
    if users.min(groups) >= 65_535 {
        return Finding::new(name, State::Ok, found);
    }
    let found = format!("{found}: fewer than the 65536 that images may have");
    Finding::new(name, State::Lacking, found).remedy(more_ids())
}

fn no_ranges(name: &str) -> Finding {
    match subordinate() {
        Err(error) => Finding::new(name, State::Broken, error.to_string()),
        Ok(_) => {
            let found = "none in /etc/subuid and /etc/subgid: one id only";
            Finding::new(name, State::Lacking, found).remedy(more_ids())
        }
    }
}

/// The command that grants this user a range that nobody has.
fn more_ids() -> String {
    let ends = |file: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let end = |line: &str| {
            let mut fields = line
                .split(':')
                .skip(1)
                .map(|field| field.trim().parse::<u32>());
            let granted: Granted = (fields.next()?.ok()?, fields.next()?.ok()?);
            Some(granted.0.saturating_add(granted.1))
        };
        text.lines().filter_map(end).max().unwrap_or(0)
    };
    let first = ends("/etc/subuid").max(ends("/etc/subgid")).max(100_000);
    let range = format!("{first}-{}", first.saturating_add(65_535));
    let uid = geteuid().as_raw();
    let user = user_name(uid).unwrap_or_else(|| uid.to_string());
    format!("usermod --add-subuids {range} --add-subgids {range} {user}")
}

/// Whether a program has more rights than who calls it: set-user-id of root, or a capability.
fn mighty(file: &Path) -> bool {
    let set_user_id = |found: fs::Metadata| found.mode() & 0o4000 != 0 && found.uid() == 0;
    let capable = || rustix::fs::getxattr(file, "security.capability", &mut [0u8; 64]).is_ok();
    fs::metadata(file).is_ok_and(set_user_id) || capable()
}

/// What the child found; `None` where all went well.
#[derive(Serialize, Deserialize, Default)]
struct Tried {
    overlay: Option<Report>,
    proc: Option<Report>,
}

/// Goes the way of a sandbox, up to its root.
fn tried(scratch: &Path, namespace: Option<&UserNamespace>) -> [Finding; 2] {
    let place = scratch.join(format!("probe-{}", std::process::id()));
    let made = ["lower", "upper", "work"]
        .iter()
        .try_for_each(|part| fs::create_dir_all(place.join(part)))
        .and_then(|()| fs::write(place.join("lower/file"), "lower"));
    let tried = match made {
        Ok(()) => ask(&place, namespace),
        Err(error) => {
            let what = format!("make `{}`", place.display());
            Err(Error::new(ErrorKind::Root, what).because(error))
        }
    };
    // The child has removed it already, unless it could not be started.
    let _ = fs::remove_dir_all(&place);
    match tried {
        Ok(tried) => [
            overlay_finding(scratch, tried.overlay.map(Error::from)),
            proc_finding(tried.proc.map(Error::from)),
        ],
        Err(error) => {
            let found = format!("could not be tried: {}", first_line(&error));
            ["overlay", "proc"].map(|name| Finding::new(name, State::Lacking, &found).needed())
        }
    }
}

fn ask(place: &Path, namespace: Option<&UserNamespace>) -> Result<Tried, Error> {
    let mut child = open_in(namespace, PROBE, [place])?;
    let mut said = Vec::new();
    let lost = |error| super::door::system("hear of the probe", error);
    child.socket.read_to_end(&mut said).map_err(lost)?;
    child.child.wait().map_err(lost)?;
    serde_json::from_slice(&said).map_err(|error| lost(error.into()))
}

fn first_line(error: &Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

fn overlay_finding(scratch: &Path, error: Option<Error>) -> Finding {
    let name = "overlay";
    let Some(error) = error else {
        let found = format!("works in `{}`", scratch.display());
        return Finding::new(name, State::Ok, found).needed();
    };
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let finding = Finding::new(name, State::Broken, first_line(&error)).needed();
    if !known.lines().any(|line| line.trim().ends_with("overlay")) {
        return Finding {
            state: State::Lacking,
            ..finding.remedy("modprobe overlay")
        };
    }
    match error.kind() {
        // It has a finding of its own.
        ErrorKind::Unsupported => finding,
        _ => finding.remedy("keep the store on a local ext4, xfs or btrfs (`KILN_ROOT`)"),
    }
}

fn proc_finding(error: Option<Error>) -> Finding {
    let Some(error) = error else {
        return Finding::new("proc", State::Ok, "can be mounted").needed();
    };
    let finding = Finding::new("proc", State::Broken, first_line(&error)).needed();
    finding
        .remedy("uncover the host's /proc: in a container `--security-opt systempaths=unconfined`")
}

/// The door of the child that tries.
pub(crate) fn run(incoming: Incoming) -> i32 {
    let Incoming { mut socket, args } = incoming;
    let Some(place) = args.first().map(Path::new) else {
        return 1;
    };
    let tried = Tried {
        overlay: try_overlay(place).err().map(Report::from),
        proc: try_proc().err().map(Report::from),
    };
    // Where it was not mounted there is nothing to be taken away; the parent removes what is left.
    let _ = unmount(place.join("lower"), UnmountFlags::DETACH);
    let _ = fs::remove_dir_all(place);
    let said = serde_json::to_vec(&tried).unwrap_or_default();
    i32::from(socket.write_all(&said).is_err())
}

/// Mounts one, and does in it what leaves marks in the upper directory.
fn try_overlay(place: &Path) -> Result<(), Error> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| Error::new(ErrorKind::Root, what).because(error)
    };
    sys::unshare(UnshareFlags::NEWNS).map_err(|error| userns::forbidden(&error))?;
    root::unshare_mounts()?;
    let spec = RootSpec::Overlay {
        lowers: vec![place.join("lower")],
        upper: place.join("upper"),
        work: place.join("work"),
        volatile: true,
    };
    let mounted = root::mounted(&spec, false, false)?;
    root::attach(&mounted, &place.join("lower"))?;
    let top = place.join("lower");
    fs::remove_file(top.join("file")).map_err(failed("remove a file in an overlay"))?;
    fs::create_dir(top.join("file")).map_err(failed("replace a file in an overlay"))?;
    let mode = fs::Permissions::from_mode(0o1777);
    fs::set_permissions(top.join("file"), mode).map_err(failed("set a mode in an overlay"))?;
    let attribute = rustix::fs::setxattr(
        top.join("file"),
        "user.kiln.probe",
        b"1",
        XattrFlags::empty(),
    );
    attribute.map_err(|error| failed("set an extended attribute in an overlay")(error.into()))?;
    Ok(())
}

/// Mounts one, for which there must be a pid namespace.
fn try_proc() -> Result<(), Error> {
    let (report, reporter) =
        pipe_with(PipeFlags::CLOEXEC).map_err(|error| super::door::system("make a pipe", error))?;
    sys::unshare(UnshareFlags::NEWPID).map_err(|error| userns::forbidden(&error))?;
    let Some(pid) = sys::fork().map_err(|error| super::door::system("fork", error))? else {
        let made = mounts::filesystem("proc", &[], MountAttrFlags::empty());
        let number = made.map_or_else(|error| error.raw_os_error().unwrap_or(libc::EIO), |_| 0);
        // A parent that does not hear it has gone.
        let _ = rustix::io::write(&reporter, &number.to_le_bytes());
        sys::exit(0)
    };
    drop(reporter);
    let mut number = [0; 4];
    let got = rustix::io::read(&report, &mut number);
    watch::reap(pid).map_err(|error| super::door::system("wait for the probe", error))?;
    match (got, i32::from_le_bytes(number)) {
        (Ok(4), 0) => Ok(()),
        (_, number) => {
            let error = std::io::Error::from_raw_os_error(number);
            Err(Error::new(ErrorKind::Unsupported, "mount a new /proc").because(error))
        }
    }
}

fn cgroups() -> Finding {
    let mounted = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let has = |kind: &str| mounted.contains(&format!(" - {kind} "));
    let found = match (has("cgroup2"), has("cgroup")) {
        (true, false) => "version 2",
        (true, true) => "version 1, with version 2 beside it",
        (false, true) => "version 1",
        (false, false) => return Finding::new("cgroups", State::Lacking, "not mounted"),
    };
    Finding::new("cgroups", State::Ok, found)
}

fn seccomp() -> Finding {
    match fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail") {
        Ok(_) => Finding::new("seccomp", State::Ok, "filters of system calls are there").needed(),
        Err(_) => Finding::new("seccomp", State::Lacking, "not in this kernel")
            .needed()
            .remedy("a kernel with CONFIG_SECCOMP_FILTER"),
    }
}

fn pasta() -> Finding {
    let Some(file) = installed::program("pasta") else {
        let found = "not installed: a network of its own has no way outward";
        let finding = Finding::new("pasta", State::Lacking, found);
        return finding.remedy(distribution::install("pasta"));
    };
    if super::outward::has_tun() {
        return Finding::new("pasta", State::Ok, file.display().to_string());
    }
    let found = format!("{}, and `/dev/net/tun` cannot be opened", file.display());
    let remedy = if Path::new("/dev/net/tun").exists() {
        "chmod 666 /dev/net/tun"
    } else {
        "modprobe tun"
    };
    Finding::new("pasta", State::Broken, found).remedy(remedy)
}

/// Foreign architectures that programs can be of.
fn binfmt() -> Finding {
    let directory = Path::new("/proc/sys/fs/binfmt_misc");
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let enabled =
        |path: PathBuf| fs::read_to_string(path).is_ok_and(|text| text.starts_with("enabled"));
    let mut found: Vec<String> = entries
        .filter(|entry| entry.file_name() != "status" && enabled(entry.path()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|name| name.strip_prefix("qemu-").map(str::to_owned))
        .collect();
    found.sort_unstable();
    if found.is_empty() {
        let found = "no handlers: programs of this architecture only";
        let finding = Finding::new("binfmt", State::Lacking, found);
        return finding.remedy(distribution::install("qemu"));
    }
    Finding::new("binfmt", State::Ok, found.join(", "))
}
