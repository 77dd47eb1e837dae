//! docker's `-v` and `--tmpfs` as people write them.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::Wish;
use crate::{Error, ErrorKind};

/// The mode of a file system in memory where nobody says (docker's).
pub(super) const TMPFS_MODE: u32 = 0o1777;

impl Wish {
    /// Reads `text` as docker's `-v` does: `[SOURCE:]TARGET[:OPTIONS]`. A source with a slash in
    /// front is a path of the machine, one that begins with `.` a path from where the caller
    /// stands, anything else the name of a volume; without a source it is an anonymous volume.
    ///
    /// Options: `ro`, `rw`, `nocopy`; `z` and `Z` (a container's processes are not confined by
    /// labels, so there is nothing to change), `consistent`, `cached`, `delegated` and `rprivate`
    /// (all as it is anyway).
    ///
    /// ```
    /// use kiln_container::mounts::Wish;
    /// let wish = Wish::parse_volume("/srv/data:/data:ro")?;
    /// assert_eq!(wish.target(), "/data");
    /// # Ok::<(), kiln_container::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] with docker's words, [`ErrorKind::Unsupported`] for other kinds of
    /// propagation.
    pub fn parse_volume(text: &str) -> Result<Self, Error> {
        let bad = || invalid(format!("invalid volume specification: '{text}'"));
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, mode) = match parts.as_slice() {
            ["", ..] => return Err(bad()),
            [target] => (None, *target, ""),
            [_, mode] if Options::parse(mode).is_some() => return Err(bad()),
            [source, target] => (Some(*source), *target, ""),
            [source, target, mode] => (Some(*source), *target, *mode),
            _ => return Err(bad()),
        };
        let options =
            Options::parse(mode).ok_or_else(|| invalid(format!("invalid mode: {mode}")))?;
        if let Some(other) = options.propagation {
            return Err(propagation(other));
        }
        let source = source
            .map(|source| {
                if source.starts_with('.') {
                    from_here(source)
                } else {
                    Ok(source.to_owned())
                }
            })
            .transpose()?;
        let is_path = source
            .as_ref()
            .is_some_and(|source| source.starts_with('/'));
        let kind = if is_path { "bind" } else { "volume" };
        let in_spec = |e: Error| invalid(format!("invalid volume specification: '{text}': {e}"));
        let target = target_of(target).map_err(|e| in_spec(config(kind, e)))?;
        match source {
            Some(source) if is_path => {
                if options.no_copy {
                    return Err(in_spec(config(
                        kind,
                        "field VolumeOptions must not be specified",
                    )));
                }
                Ok(Self::Bind {
                    source: clean(&source).into(),
                    target,
                    read_only: options.read_only,
                    create_source: true,
                })
            }
            name => {
                if let Some(name) = &name {
                    check_name(name)?;
                }
                Ok(Self::Volume {
                    name,
                    target,
                    read_only: options.read_only,
                    no_copy: options.no_copy,
                    labels: BTreeMap::new(),
                })
            }
        }
    }

    /// Reads `text` as docker's `--tmpfs` does: `TARGET[:OPTIONS]` with `size=`, `mode=` and `exec`;
    /// `rw`, `nosuid` and `nodev` are so anyway, and `noexec` where nobody says `exec`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]; [`ErrorKind::Unsupported`] for options that mount(8) knows and that
    /// are not carried out.
    pub fn parse_tmpfs(text: &str) -> Result<Self, Error> {
        let (target, options) = text.split_once(':').unwrap_or((text, ""));
        let target = target_of(target).map_err(|e| config("tmpfs", e))?;
        let (mut size, mut mode, mut exec) = (None, TMPFS_MODE, false);
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=').unwrap_or((option, "")) {
                ("rw" | "nosuid" | "nodev", "") => {}
                ("exec" | "noexec", "") => exec = option == "exec",
                ("size", value) => {
                    let bytes = bytes(value);
                    size = Some(bytes.ok_or_else(|| wrong_option(option))?);
                }
                ("mode", value) => mode = octal(value).ok_or_else(|| wrong_option(option))?,
                (name, _) if KNOWN_TO_MOUNT.contains(&name) => {
                    let what = format!("tmpfs option `{option}` is not carried out");
                    let hint = "size=, mode= and exec are; rw,nosuid,nodev is what it always has";
                    return Err(Error::new(ErrorKind::Unsupported, what).hint(hint));
                }
                _ => return Err(wrong_option(option)),
            }
        }
        Ok(Self::Tmpfs {
            target,
            size,
            mode,
            exec,
        })
    }
}

/// What docker hands on to mount(8), and what is not done here.
const KNOWN_TO_MOUNT: [&str; 23] = [
    "ro",
    "suid",
    "dev",
    "sync",
    "async",
    "dirsync",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "remount",
    "bind",
    "rbind",
    "uid",
    "gid",
    "nr_inodes",
    "nr_blocks",
    "mpol",
    "defaults",
];

/// The last part of `-v`.
#[derive(Default)]
struct Options<'a> {
    read_only: bool,
    no_copy: bool,
    /// Other than what every mount has.
    propagation: Option<&'a str>,
}

impl<'a> Options<'a> {
    /// `None` for what is none, or says a thing twice.
    fn parse(text: &'a str) -> Option<Self> {
        let mut options = Self::default();
        let mut seen = [false; 5];
        for word in text.split(',').filter(|_| !text.is_empty()) {
            let group = match word {
                "rw" | "ro" => 0,
                "z" | "Z" => 1,
                "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared" => 2,
                "nocopy" => 3,
                "consistent" | "cached" | "delegated" => 4,
                _ => return None,
            };
            if std::mem::replace(&mut seen[group], true) {
                return None;
            }
            match (group, word) {
                (0, "ro") => options.read_only = true,
                (2, other) if other != "rprivate" => options.propagation = Some(other),
                (3, _) => options.no_copy = true,
                _ => {}
            }
        }
        Some(options)
    }
}

pub(super) fn propagation(kind: &str) -> Error {
    let what = format!("mount propagation `{kind}` is not carried out");
    Error::new(ErrorKind::Unsupported, what).hint("every mount is `rprivate`")
}

pub(super) fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, what)
}

/// docker's frame around what is wrong with a mount.
pub(super) fn config(kind: &str, why: impl std::fmt::Display) -> Error {
    invalid(format!("invalid mount config for type \"{kind}\": {why}"))
}

fn wrong_option(option: &str) -> Error {
    invalid(format!("invalid tmpfs option \"{option}\""))
}

/// An absolute path inside that is not the root, normalised.
pub(super) fn target_of(text: &str) -> Result<String, Error> {
    if text.is_empty() {
        return Err(invalid("field Target must not be empty"));
    }
    if text.contains('\0') {
        return Err(invalid("mount path must not contain a zero byte"));
    }
    let path = clean(text);
    match path.as_str() {
        "/" => Err(invalid("invalid specification: destination can't be '/'")),
        _ if path.starts_with('/') => Ok(path),
        _ => Err(not_absolute(text)),
    }
}

pub(super) fn not_absolute(path: &str) -> Error {
    invalid(format!(
        "invalid mount path: '{path}' mount path must be absolute"
    ))
}

/// `path` without `.`, `..` and doubled slashes, by its text alone; a relative one stays relative.
pub(crate) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let slash = if path.starts_with('/') { "/" } else { "" };
    format!("{slash}{}", parts.join("/"))
}

/// A path from where the caller stands, made absolute.
pub(super) fn from_here(path: &str) -> Result<String, Error> {
    let whole = std::path::absolute(path)
        .map_err(|e| invalid(format!("find the folder that `{path}` starts from")).because(e))?;
    normal(&whole)
        .into_os_string()
        .into_string()
        .map_err(|path| invalid(format!("path `{}` is not text", path.display())))
}

fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(normal.pop()),
            part => normal.push(part),
        }
    }
    normal
}

/// Whether `name` may be a volume's.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if !first || !name.chars().all(fits) {
        let what = format!(
            "\"{name}\" includes invalid characters for a local volume name, only \
             \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, \
             use absolute path"
        );
        return Err(invalid(what));
    }
    match name.len() {
        1 => Err(invalid(
            "volume name is too short, names should be at least two alphanumeric characters",
        )),
        2..=255 => Ok(()),
        _ => Err(invalid(format!(
            "the volume name \"{name}\" is longer than 255 characters"
        ))),
    }
}

/// `64m`, `1.5 GiB`, `65536k`: docker's sizes, in steps of 1024.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let number = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &lower[number.len()..];
    let shift = match unit.strip_suffix('b').unwrap_or(unit) {
        "" => 0,
        "k" | "ki" => 10,
        "m" | "mi" => 20,
        "g" | "gi" => 30,
        "t" | "ti" => 40,
        "p" | "pi" => 50,
        _ => return None,
    };
    let number = number.strip_suffix(' ').unwrap_or(number);
    if !number.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift);
    }
    let bytes = number.parse::<f64>().ok()? * (1u64 << shift) as f64;
    (bytes < 2f64.powi(63)).then_some(bytes as u64)
}

/// A mode in octal digits.
pub(super) fn octal(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| digits)?;
    (mode <= 0o7777).then_some(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wish in short: kind, source, target, what else.
    fn short(wish: &Wish) -> String {
        let flag = |set: bool, word: &str| {
            if set {
                format!(" {word}")
            } else {
                String::new()
            }
        };
        match wish {
            Wish::Bind {
                source,
                target,
                read_only,
                create_source,
            } => format!(
                "bind {} {target}{}{}",
                source.display(),
                flag(*read_only, "ro"),
                flag(*create_source, "create")
            ),
            Wish::Volume {
                name,
                target,
                read_only,
                no_copy,
                labels,
            } => format!(
                "volume {} {target}{}{}{}",
                name.as_deref().unwrap_or("-"),
                flag(*read_only, "ro"),
                flag(*no_copy, "nocopy"),
                flag(!labels.is_empty(), &format!("{labels:?}"))
            ),
            Wish::Tmpfs {
                target,
                size,
                mode,
                exec,
            } => format!("tmpfs {target} {size:?} {mode:o}{}", flag(*exec, "exec")),
        }
    }

    #[test]
    fn volumes_as_people_write_them() {
        let here = std::env::current_dir().unwrap();
        let here = here.to_str().unwrap();
        let below = format!("bind {here}/a /b create");
        let at = format!("bind {here} /b ro create");
        for (text, expected) in [
            ("/a:/b", "bind /a /b create"),
            ("/a/../c/:/b//d/", "bind /c /b/d create"),
            ("/a:/b:ro", "bind /a /b ro create"),
            ("/a:/b:rw,Z", "bind /a /b create"),
            ("/a:/b:ro,rprivate,cached", "bind /a /b ro create"),
            ("/a:/ro", "bind /a /ro create"),
            ("./a:/b", &below),
            (".:/b:ro", &at),
            ("name:/b", "volume name /b"),
            ("na.me_1-2:/b:ro", "volume na.me_1-2 /b ro"),
            ("name:/b:nocopy", "volume name /b nocopy"),
            ("/b", "volume - /b"),
        ] {
            assert_eq!(
                short(&Wish::parse_volume(text).unwrap()),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn volumes_that_are_none() {
        for (text, why) in [
            ("", "invalid volume specification: ''"),
            (":/b", "invalid volume specification: ':/b'"),
            ("/a:ro", "invalid volume specification: '/a:ro'"),
            ("/a:/b:ro:x", "invalid volume specification: '/a:/b:ro:x'"),
            ("/a:/b:x", "invalid mode: x"),
            ("/a:/b:ro,rw", "invalid mode: ro,rw"),
            (
                "/a:b",
                "invalid volume specification: '/a:b': invalid mount config for type \"bind\": invalid mount path: 'b' mount path must be absolute",
            ),
            (
                "name:/",
                "invalid volume specification: 'name:/': invalid mount config for type \"volume\": invalid specification: destination can't be '/'",
            ),
            (
                "/a:/..",
                "invalid volume specification: '/a:/..': invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
            ),
            ("/a:", "invalid volume specification: '/a:'"),
            (
                "/a:/b:nocopy",
                "invalid volume specification: '/a:/b:nocopy': invalid mount config for type \"bind\": field VolumeOptions must not be specified",
            ),
            (
                "a/b:/c",
                "\"a/b\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path",
            ),
            (
                "a:/c",
                "volume name is too short, names should be at least two alphanumeric characters",
            ),
            (
                "/a:/b:rshared",
                "mount propagation `rshared` is not carried out",
            ),
        ] {
            let error = Wish::parse_volume(text).unwrap_err();
            assert_eq!(error.to_string(), why, "{text}");
        }
    }

    #[test]
    fn memory_as_people_write_it() {
        for (text, expected) in [
            ("/run", "tmpfs /run None 1777"),
            ("/run:", "tmpfs /run None 1777"),
            ("/run/:size=64m,mode=755", "tmpfs /run Some(67108864) 755"),
            ("/run:rw,noexec,exec", "tmpfs /run None 1777 exec"),
            ("/run:exec,noexec", "tmpfs /run None 1777"),
            (
                "/run:rw,noexec,nosuid,size=65536k",
                "tmpfs /run Some(67108864) 1777",
            ),
        ] {
            assert_eq!(short(&Wish::parse_tmpfs(text).unwrap()), expected, "{text}");
        }
        for (text, why) in [
            (
                "run",
                "invalid mount config for type \"tmpfs\": invalid mount path: 'run' mount path must be absolute",
            ),
            (
                "/",
                "invalid mount config for type \"tmpfs\": invalid specification: destination can't be '/'",
            ),
            ("/a:size=x", "invalid tmpfs option \"size=x\""),
            ("/a:size=50%", "invalid tmpfs option \"size=50%\""),
            ("/a:mode=9", "invalid tmpfs option \"mode=9\""),
            ("/a:what", "invalid tmpfs option \"what\""),
            ("/a:suid", "tmpfs option `suid` is not carried out"),
            ("/a:uid=5", "tmpfs option `uid=5` is not carried out"),
        ] {
            assert_eq!(
                Wish::parse_tmpfs(text).unwrap_err().to_string(),
                why,
                "{text}"
            );
        }
    }

    #[test]
    fn mounts_as_people_write_them() {
        let here = std::env::current_dir().unwrap();
        let below = format!("bind {}/a /b", here.to_str().unwrap());
        for (text, expected) in [
            ("type=bind,source=/a,target=/b", "bind /a /b"),
            ("type=bind,src=/a,dst=/b,ro", "bind /a /b ro"),
            ("type=bind,src=./a,dst=/b", &below),
            (
                "TYPE=Bind,SRC=/a,destination=/b,readonly=1",
                "bind /a /b ro",
            ),
            (
                "type=bind,src=/a,dst=/b,readonly=false,bind-propagation=rprivate",
                "bind /a /b",
            ),
            (
                "type=bind,src=/a,dst=/b,bind-create-src",
                "bind /a /b create",
            ),
            ("type=bind,\"src=/a,b\",dst=/b", "bind /a,b /b"),
            ("type=bind,\"src=/a\"\"b\",dst=/b", "bind /a\"b /b"),
            ("source=name,target=/b", "volume name /b"),
            ("type=volume,dst=/b", "volume - /b"),
            (
                "src=name,dst=/b,volume-nocopy,readonly",
                "volume name /b ro nocopy",
            ),
            (
                "src=name,dst=/b,volume-label=a=b,volume-label=c,volume-driver=local",
                "volume name /b {\"a\": \"b\", \"c\": \"\"}",
            ),
            ("type=tmpfs,dst=/b", "tmpfs /b None 1777"),
            (
                "type=tmpfs,dst=/b,tmpfs-size=1.5k,tmpfs-mode=0700",
                "tmpfs /b Some(1536) 700",
            ),
        ] {
            assert_eq!(short(&Wish::parse_mount(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn mounts_that_are_none() {
        for (text, why) in [
            ("", "invalid field '' must be a key=value pair"),
            ("type=bind,src=/a", "target is required"),
            ("type=,dst=/a", "type is required"),
            (
                "type=bind,dst=/a",
                "invalid mount config for type \"bind\": field Source must not be empty",
            ),
            (
                "type=bind,src=a,dst=/b",
                "invalid mount config for type \"bind\": invalid mount path: 'a' mount path must be absolute",
            ),
            (
                "type=bind,src=/a,dst=b",
                "invalid mount config for type \"bind\": invalid mount path: 'b' mount path must be absolute",
            ),
            (
                "type=what,src=/a,dst=/b",
                "invalid mount config for type \"what\": mount type unknown",
            ),
            ("type=bind,x=y,dst=/a", "unexpected key 'x' in 'x=y'"),
            (
                "type=bind,x,dst=/a",
                "invalid field 'x' must be a key=value pair",
            ),
            ("src=aa,dst=/a,ro=maybe", "invalid value for ro: maybe"),
            (
                "src=aa,dst=/a,volume-nocopy=x",
                "invalid value for volume-nocopy: x",
            ),
            (
                "type=tmpfs,dst=/a,tmpfs-size=x",
                "invalid value for tmpfs-size: x",
            ),
            (
                "type=tmpfs,dst=/a,tmpfs-mode=8",
                "invalid value for tmpfs-mode: 8",
            ),
            (
                "type=tmpfs,src=x,dst=/a",
                "invalid mount config for type \"tmpfs\": field Source must not be specified",
            ),
            (
                "type=bind,src=/a,dst=/b,volume-nocopy",
                "cannot mix 'volume-*' options with mount type 'bind'",
            ),
            (
                "src=aa,dst=/b,bind-propagation=rprivate",
                "cannot mix 'bind-*' options with mount type 'volume'",
            ),
            (
                "src=aa,dst=/b,tmpfs-size=1",
                "cannot mix 'tmpfs-*' options with mount type 'volume'",
            ),
            (
                "dst=/b,ro",
                "invalid mount config for type \"volume\": must not set ReadOnly mode when using anonymous volumes",
            ),
            (
                "src=a/b,dst=/b",
                "\"a/b\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path",
            ),
            (
                "type=bind,src=/a,dst=/b,bind-propagation=shared",
                "mount propagation `shared` is not carried out",
            ),
            (
                "src=aa,dst=/b,volume-driver=nfs",
                "volume driver `nfs` is not there",
            ),
            (
                "src=aa,dst=/b,volume-opt=o=x",
                "mount option `volume-opt` is not carried out",
            ),
            (
                "type=bind,src=a\"b,dst=/b",
                "parse error on line 1, column 16: bare \" in non-quoted field",
            ),
            (
                "\"type=bind,dst=/b",
                "parse error on line 1, column 18: extraneous or missing \" in quoted field",
            ),
        ] {
            assert_eq!(
                Wish::parse_mount(text).unwrap_err().to_string(),
                why,
                "{text}"
            );
        }
    }

    #[test]
    fn a_wish_survives_json() {
        for text in ["/a:/b:ro", "name:/b:nocopy", "/b"] {
            let wish = Wish::parse_volume(text).unwrap();
            let json = serde_json::to_string(&wish).unwrap();
            assert_eq!(serde_json::from_str::<Wish>(&json).unwrap(), wish, "{json}");
        }
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("64m", Some(64 << 20)),
            ("64MB", Some(64 << 20)),
            ("1GiB", Some(1 << 30)),
            ("1.5k", Some(1536)),
            ("2 g", Some(2 << 30)),
            ("", None),
            ("m", None),
            ("-1", None),
            ("1x", None),
            ("inf", None),
            ("99999999p", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
